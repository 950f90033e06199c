"""Fixtures of all tests: the PowerShell engine and Linux guests, if there are any."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import urllib.request
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from hvintegration.simulator import demo_world
from tests.support import sshd
from tests.support.amounts import THOROUGH
from tests.support.certificates import Certificate, self_signed
from tests.support.leftovers import set_apart
from tests.support.linux_guest import HOSTILE, KINDS, TOOL, LinuxGuest, end_guests, name_folder, start_guest, why_none

pytest_plugins = ["hvintegration.testing"]

MEASURING: Final = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""Environment variables by which coverage measures the processes that a measured one starts."""

MEASURED: Final = frozenset(
    {
        "unit",
        "objects",
        "cli",
        "winrm",
        "ssh",
        "kerberos",
        "test_forks",
        "test_local_shell",
        "test_misbehaving_powershell",
        "test_ssh",
    }
)
"""Folders, and files of others, whose tests reach, between them and on the simulator, what all reach."""


WAITING: Final = frozenset({"faults", "ssh"})
"""Folders of tests that wait for the most part: for silence, and for time to pass."""


def pytest_configure(config: pytest.Config) -> None:
    """Name the folder of Linux guests, before there are other processes."""
    if os.environ.get(TOOL) and not hasattr(config, "workerinput"):
        name_folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End Linux guests that a process of the tests has left behind, such as one that was ended by Ctrl-C."""
    if (tool := os.environ.get(TOOL)) and not hasattr(config, "workerinput"):
        end_guests(tool)


@pytest.hookimpl(tryfirst=True)  # xdist looks at the groups in the same hook.
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for the night, and keep in one of several processes what belongs together."""
    if not THOROUGH:
        for_the_night = {item for item in items if item.get_closest_marker("at_night")}
        config.hook.pytest_deselected(items=list(for_the_night))
        items[:] = [item for item in items if item not in for_the_night]
    for item in items:
        if isinstance(item, pytest.Function) and (group := group_of(item)):
            item.add_marker(pytest.mark.xdist_group(group))
        marker = item.get_closest_marker("xdist_group")
        if marker is not None and getattr(config.option, "loadgroup", False) and hasattr(item, "id"):
            # xdist 3.8 puts the group where pytest 9.2 does not look for it any more.
            item._id = item.id.parse(f"{item.nodeid}@{marker.args[0]}")  # noqa: SLF001 - nothing else sets it


def group_of(item: pytest.Function) -> str | None:
    """With which tests it runs in the same process, if its own marker does not say so.

    A PowerShell or a Linux guest starts slowly, and is shared. What waits is left to two thirds of the processes: the
    others have something to do meanwhile.
    """
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if item.get_closest_marker("engine"):
        shared = [str(parameters[name]) for name in ("way", "interpreter") if name in parameters]
        return "-".join([item.path.stem, item.cls.__name__ if item.cls else "", *shared])
    if "linux_guest" in parameters:
        return f"linux-{parameters['linux_guest']}"
    if item.get_closest_marker("xdist_group"):
        return None
    if "start_linux" in item.fixturenames:
        return f"linux-{item.originalname}"
    if item.path.parent.name in WAITING:
        processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        return f"waits-{zlib.crc32(item.nodeid.encode()) % max(1, processes * 2 // 3)}"
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let coverage rest where tests do the same over and over: it would learn little there, and costs as much again."""
    measuring = sys.modules["coverage"].Coverage.current() if "coverage" in sys.modules else None
    folder, on_simulator = item.path.parent.name, "simul" in item.nodeid.lower()
    if (
        measuring is None
        or not MEASURED.isdisjoint({folder, item.path.stem})
        or (folder == "contract" and on_simulator)
    ):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        for name in MEASURING:
            patch.delenv(name, raising=False)
        measuring.stop()
        try:
            return (yield)
        finally:
            measuring.start()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Set apart what is there to stay: many tests collect garbage, and need not look at thousands of other tests."""
    set_apart()


@pytest.fixture(scope="session")
def engine() -> str:
    """Path of the PowerShell engine with the stand-in Hyper-V module, from ``HVINTEGRATION_PWSH``."""
    path = os.environ.get("HVINTEGRATION_PWSH")
    if not path:
        pytest.skip("HVINTEGRATION_PWSH does not name a PowerShell engine with the stand-in Hyper-V module")
    if not Path(path).is_file():
        pytest.fail(f"HVINTEGRATION_PWSH names {path}, which is no file")
    os.environ.update(sshd.QUICK_START)
    return path


@pytest.fixture
def world_file(tmp_path: Path) -> Path:
    """A file with the demonstration's world."""
    path = tmp_path / "world.json"
    demo_world().save(path)
    return path


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No coverage is measured of what is started from here on."""
    for name in MEASURING:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A self-signed certificate for ``localhost`` and 127.0.0.1."""
    return self_signed(tmp_path_factory.mktemp("certificate"))


class Bridge:
    """A WSMan endpoint in front of a real PowerShell, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], *, tls: bool) -> None:
        assert process.stdout is not None
        self._process = process
        self._base = "https" if tls else "http"
        self.port = int(process.stdout.readline())

    def stats(self) -> dict[str, Any]:
        """How often each action of WSMan came, by ``counts``, and how many ``shells`` there are."""
        found: dict[str, Any] = json.loads(self._ask("stats", None))
        return found

    def reset(self) -> None:
        """Count from the beginning."""
        self._ask("reset", b"{}")

    def misbehave(self, **faults: object) -> None:
        """Have it misbehave from now on; nothing is good behaviour."""
        self._ask("faults", json.dumps(faults).encode())

    def stop(self) -> None:
        """End it, with its shells."""
        self._process.communicate(timeout=30)

    def _ask(self, path: str, data: bytes | None) -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        url = f"{self._base}://127.0.0.1:{self.port}/{path}"
        with urllib.request.urlopen(  # noqa: S310 - it is http or https
            url, data, context=context if self._base == "https" else None
        ) as answer:
            found: bytes = answer.read()
        return found


@pytest.fixture(scope="session")
def start_bridge(engine: str) -> Iterator[Callable[..., Bridge]]:
    """Starts WSMan endpoints in front of the engine; ``HVINTEGRATION_WSMAN_BRIDGE`` names the module that has them.

    ``start_bridge(world=FILE, pwsh=FILE, program=[ARGUMENT, ...], auth=..., certificate=FILE, latency_ms=...)``
    """
    module = os.environ.get("HVINTEGRATION_WSMAN_BRIDGE")
    if not module:
        pytest.skip("HVINTEGRATION_WSMAN_BRIDGE does not name the module that puts PowerShell behind WSMan")
    bridges: list[Bridge] = []

    def start(
        *,
        world: Path,
        pwsh: str = engine,
        program: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        **options: str | float,
    ) -> Bridge:
        arguments = json.dumps({"engine": [pwsh, *program], "env": {"HYPERV_WORLD": str(world)}, **options})
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("bridge_process.py")), module, arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name not in MEASURING} | dict(environment or {}),
            text=True,
        )
        bridges.append(Bridge(process, tls="certificate" in options))
        return bridges[-1]

    yield start
    for bridge in bridges:
        bridge.stop()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys of SSH servers, ``host`` and ``host_rsa``, and a user's, ``user``."""
    reason = sshd.missing()
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("keys")
    sshd.make_keys(folder)
    return folder


@pytest.fixture(scope="session")
def start_sshd(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., sshd.Sshd]]:
    """Starts OpenSSH servers, with more lines of configuration."""
    servers = sshd.Servers(keys, lambda: tmp_path_factory.mktemp("sshd"))
    yield servers.start
    servers.stop()


@pytest.fixture(scope="session")
def start_linux() -> Iterator[Callable[..., LinuxGuest]]:
    """Starts Linux guests; the same one for the same options. They end with the tests.

    ``HVINTEGRATION_LINUX_GUEST`` names the program that starts them. Where there is none, or it cannot, tests skip.
    """
    tool = os.environ.get(TOOL)
    if not tool:
        pytest.skip(f"{TOOL} does not name a program that starts Linux guests")
    reasons: dict[str, str | None] = {}
    made: dict[tuple[str, ...], LinuxGuest] = {}

    def start(init: str, *options: str) -> LinuxGuest:
        if init not in reasons:
            reasons[init] = next(filter(None, reasons.values()), None) or why_none(tool, init)
        if reasons[init] is not None:
            pytest.skip(f"there can be no Linux guest here: {reasons[init]}")
        if (init, *options) not in made:
            name = f"{os.environ.get('PYTEST_XDIST_WORKER', 'm')}-{len(made)}"
            made[init, *options] = start_guest(tool, name, "--init", init, *options)
        return made[init, *options]

    yield start
    for guest in made.values():
        guest.stop()


@pytest.fixture(params=KINDS)
def linux_guest(request: pytest.FixtureRequest, start_linux: Callable[..., LinuxGuest]) -> LinuxGuest:
    """A Linux guest of each kind: systemd, SysV scripts, OpenRC, and busybox without an init system."""
    return start_linux(str(request.param), *HOSTILE)
