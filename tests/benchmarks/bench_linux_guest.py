"""What asking a Linux guest everything takes: the shell's time here, and on real guests over SSH, warm."""

from __future__ import annotations

import resource
import shlex
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hvintegration.calls.call import Call
from hvintegration.guest import Guest
from hvintegration.operations.guest_systems import GuestTarget
from hvintegration.operations.linux_guests import LINUX_GUESTS
from hvintegration.scripts import loader_arguments
from tests.support.linux_guest import KINDS, LinuxGuest

LIMIT = 0.3
TIMES = 15


def request() -> bytes:
    """What a shell is sent for an inventory."""
    call = next(LINUX_GUESTS.read(GuestTarget(), info=True))
    assert isinstance(call, Call)
    return f"{call.script.text}\n#document\n{call.text}\n#end\n".encode()


@pytest.mark.parametrize("shell", ["dash", "busybox sh", "bash"])
def test_the_shell_here(shell: str) -> None:
    if shutil.which(shell.partition(" ")[0]) is None:
        pytest.skip(f"the shell {shell} is missing")
    command, data = [*shell.split(), *shlex.split(loader_arguments())], request()
    seconds, processor = [], resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(TIMES):
        began = time.perf_counter()
        done = subprocess.run(command, input=data, capture_output=True, check=True)
        seconds.append(time.perf_counter() - began)
        assert b'"kernel":"Linux"' in done.stdout
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (used.ru_utime + used.ru_stime - processor.ru_utime - processor.ru_stime) / TIMES
    print(f"\n  {shell:10} {statistics.median(seconds):.3f} s, of that {cpu:.3f} s of a processor   (limit {LIMIT})")
    print(f"             {len(list(Path('/proc').iterdir()))} entries in /proc")


@pytest.mark.parametrize("init", KINDS)
def test_a_guest_over_ssh(init: str, start_linux: Callable[..., LinuxGuest]) -> None:
    with Guest(start_linux(init).ssh(), family="linux") as guest:
        guest.inventory()
        seconds = []
        for _ in range(TIMES):
            began = time.perf_counter()
            guest.inventory()
            seconds.append(time.perf_counter() - began)
    print(f"\n  {init:10} {statistics.median(seconds):.3f} s over SSH, warm")
