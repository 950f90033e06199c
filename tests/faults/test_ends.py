"""A program that ends without closing anything, in order or not, leaves no PowerShell behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.endpoints import SSHEndpoint, wait_until

if TYPE_CHECKING:
    from tests.support.ssh_server import Way

FAKE = Path(__file__).with_name("fake_powershell.py")

OVER_SSH = """
import os, signal, sys
from hvintegration import SSH, Credential, Host
host = Host(SSH("127.0.0.1", port=int(sys.argv[2]), host_key=sys.argv[3], credential=Credential(*sys.argv[4:])))
print(len(host.vms.list()), flush=True)
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "raise":
    raise RuntimeError
"""

PROGRAM = """
import os, signal, sys
from hvintegration import Host, Local
host = Host(Local([sys.executable, *sys.argv[2:]]))
print(len(host.vms.list()), flush=True)
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "raise":
    raise RuntimeError
"""


def running(marker: Path) -> list[str]:
    """Command lines that mention *marker*."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(marker) in line and str(os.getpid()) not in path.parts:
            found.append(line)
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to look for processes")
@pytest.mark.parametrize("end", ["fall off the end", "raise", "kill"])
def test_no_powershell_outlives_its_program(world_file: Path, end: str) -> None:
    began = time.monotonic()
    command = [sys.executable, "-c", PROGRAM, end, str(FAKE), "none", str(world_file)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "5\n"
    assert done.returncode == {"raise": 1, "kill": -signal.SIGKILL}.get(end, 0)
    while running(world_file) and time.monotonic() < began + 30:
        time.sleep(0.05)
    assert running(world_file) == []


@pytest.mark.parametrize("end", ["fall off the end", "raise", "kill"])
def test_nothing_over_ssh_outlives_its_program(end: str) -> None:
    with SSHEndpoint() as endpoint:
        server = endpoint.server
        who = [str(server.port), server.fingerprint, server.username, server.password]

        done = subprocess.run(
            [sys.executable, "-c", OVER_SSH, end, *who], capture_output=True, text=True, timeout=60, check=False
        )

        assert done.stdout == "5\n"
        assert done.stderr == "" or end == "raise"
        assert done.returncode == {"raise": 1, "kill": -signal.SIGKILL}.get(end, 0)
        assert wait_until(lambda: endpoint.left() == {}), endpoint.left()


@pytest.mark.parametrize("way", ["subsystem", "process"])
def test_what_is_not_used_any_more_is_let_go_of(way: Way) -> None:
    with SSHEndpoint(way) as endpoint:
        host = endpoint.host()
        host.info()
        assert endpoint.left()["connections"] == 1

        del host
        gc.collect()

        assert wait_until(lambda: endpoint.left() == {}), endpoint.left()
