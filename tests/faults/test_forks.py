"""A process that is forked leaves alone what its parent has open, and connects anew. See ``forking.py``."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from hvintegration import Host, Recorder, Replay, Simulator, World
from hvintegration.processes import Lock
from hvintegration.simulator.store import FileStore
from tests.support.amounts import some_by_day
from tests.support.endpoints import SSHEndpoint, WSManEndpoint, wait_until
from tests.support.forks import CONNECTIONS, ON_THE_ENGINE, check, command
from tests.support.time_limit import within

if TYPE_CHECKING:
    from tests.support.ssh_server import Way

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

FAKE: Final = Path(__file__).with_name("fake_powershell.py")
SCENARIOS: Final = list(CONNECTIONS)
SOME_SCENARIOS: Final = ["a_fork_within_a_call", "pools"]


def over_ssh(endpoint: SSHEndpoint) -> dict[str, Any]:
    server = endpoint.server
    return {
        "host": server.host,
        "port": server.port,
        "host_key": server.fingerprint,
        "credential": (server.username, server.password),
    }


def over_winrm(endpoint: WSManEndpoint) -> dict[str, Any]:
    server = endpoint.server
    arguments = {"host": server.host, "port": server.port, "credential": (server.username, server.password)}
    if server.certificate is None:
        return arguments | {"auth": "ntlm"}
    return arguments | {"auth": "basic", "tls": True, "certificate_sha256": server.certificate.sha256}


@pytest.mark.parametrize("scenario", some_by_day(SCENARIOS, SOME_SCENARIOS))
def test_on_this_machine(world_file: Path, scenario: str) -> None:
    check(scenario, "Local", program=[sys.executable, str(FAKE), "none", str(world_file)])


@pytest.mark.engine
@pytest.mark.parametrize("scenario", ON_THE_ENGINE)
def test_on_the_engine(engine: str, world_file: Path, scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERV_WORLD", str(world_file))

    check(scenario, "Local", program=engine)


@pytest.mark.parametrize("way", some_by_day(["subsystem", "process"], ["subsystem"]))
@pytest.mark.parametrize("scenario", some_by_day(SCENARIOS, SOME_SCENARIOS))
def test_over_ssh(way: Way, scenario: str) -> None:
    with SSHEndpoint(way) as endpoint:
        check(scenario, "SSH", **over_ssh(endpoint))

        assert endpoint.server.counts["connection"] in CONNECTIONS[scenario]
        assert wait_until(lambda: endpoint.left() == {}), endpoint.left()


@pytest.mark.parametrize("tls", some_by_day([False, True], [False]), ids=["sealed", "tls"])
@pytest.mark.parametrize("scenario", some_by_day(SCENARIOS, [*SOME_SCENARIOS, "children_that_use_it"]))
def test_over_winrm(*, tls: bool, scenario: str) -> None:
    with WSManEndpoint(tls=tls) as endpoint:
        check(scenario, "WinRM", **over_winrm(endpoint))

        created = endpoint.server.actions["Create"]
        assert created in CONNECTIONS[scenario]
        assert endpoint.server.counts["connections"] <= 2 * created, "a shell has one to ask by and one to end it by"


@pytest.mark.parametrize("scenario", some_by_day(SCENARIOS, SOME_SCENARIOS))
def test_on_a_world_file(world_file: Path, scenario: str) -> None:
    check(scenario, "Simulator", world=str(world_file))


def test_a_child_keeps_nothing_of_a_parent_that_is_killed() -> None:
    with SSHEndpoint() as endpoint:
        program = subprocess.Popen(
            command("a_parent_that_is_killed", "SSH", **over_ssh(endpoint)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with program:
            assert program.stdin is not None
            assert program.stdout is not None
            assert program.stdout.readline() == "goes on\n"

            assert wait_until(lambda: endpoint.left() == {}), endpoint.left()

            program.stdin.close()
            assert program.stdout.read() == "has asked\n"


def in_a_child(work: Callable[[], object]) -> None:
    """Do *work* in a forked process, which then is gone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later: this process has threads.
        process = os.fork()
    if not process:
        try:
            work()
        except BaseException:  # noqa: BLE001 - pytest is the parent's
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(process, 0)[1] == 0


def test_a_recording_is_of_the_process_that_began_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(Simulator(World()), tmp_path / "recording")
    host = Host(recorder)
    host.info()

    def ask() -> None:
        assert recorder.failure is None
        host.vms.list()
        assert "of the process that this one was forked from" in str(recorder.failure)
        assert "of the process that this one was forked from" in caplog.text

    in_a_child(ask)

    host.info()
    assert recorder.failure is None
    replay = Host(Replay(tmp_path / "recording"))
    assert replay.info() == replay.info() == host.info()


def test_a_lock_that_a_thread_of_the_parent_holds_is_free(world_file: Path) -> None:
    lock = Lock()
    store = FileStore(world_file)
    held, over = threading.Event(), threading.Event()

    def hold(_: World) -> None:
        with lock.lock:
            held.set()
            assert over.wait(60)

    thread = threading.Thread(target=store.change, args=(hold,))
    thread.start()
    assert held.wait(60)

    def take() -> None:
        assert lock.lock.acquire(timeout=0)

    in_a_child(take)

    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os.close(write)
        os.read(read, 1)  # Until the parent ends it.
        os._exit(0)
    os.close(read)
    over.set()
    thread.join()
    with within(10):
        assert store.change(lambda world: world.computer) == World.load(world_file).computer
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
