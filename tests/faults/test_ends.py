"""A program that ends without closing anything, in order or not, leaves no PowerShell behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FAKE = Path(__file__).with_name("fake_powershell.py")

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
