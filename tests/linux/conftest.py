"""Linux guests for tests. ``HVINTEGRATION_LINUX_GUEST`` names the program that starts them; without it they skip."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.linux_guest import TOOL, LinuxGuest, start_guest

KINDS = ("systemd", "sysvinit", "openrc", "none")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, in one of several processes, the tests that share a guest."""
    for item in items:
        if isinstance(item, pytest.Function) and "linux_guest" in item.fixturenames:
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            item.add_marker(pytest.mark.xdist_group(f"linux-{parameters.get('linux_guest', '')}"))


@pytest.fixture(scope="session")
def start_linux(worker_id: str) -> Iterator[Callable[..., LinuxGuest]]:
    """Starts Linux guests; the same one for the same options. They end with the tests."""
    tool = os.environ.get(TOOL)
    if not tool:
        pytest.skip(f"{TOOL} does not name a program that starts Linux guests")
    run = Path(tempfile.gettempdir(), f"hv-{os.environ.get('PYTEST_XDIST_TESTRUNUID', str(os.getpid()))[:8]}")
    made: dict[tuple[str, ...], LinuxGuest] = {}

    def start(*options: str) -> LinuxGuest:
        if options not in made:
            try:
                made[options] = start_guest(tool, run, f"{worker_id.replace('master', 'm')}-{len(made)}", *options)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no Linux guest can be started here: {error.stderr.strip()[-200:]}")
        return made[options]

    yield start
    for guest in made.values():
        guest.stop()


@pytest.fixture(params=KINDS)
def linux_guest(request: pytest.FixtureRequest, start_linux: Callable[..., LinuxGuest]) -> LinuxGuest:
    """A Linux guest of each kind: systemd, SysV scripts, OpenRC, and busybox without an init system."""
    return start_linux("--init", str(request.param))
