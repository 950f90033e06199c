"""What every fault test checks besides: that nothing is left behind, and nothing told."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hvintegration import Host, Local
from tests.support.leftovers import set_apart
from tests.support.secrecy import Records, assert_clean, everything_logged

FAKE = Path(__file__).with_name("fake_powershell.py")


def entries(folder: str) -> list[str]:
    """The names in a folder of ``/proc``; none where there is no such thing."""
    return os.listdir(folder) if os.path.isdir(folder) else []  # noqa: PTH112, PTH208 - quick: each test asks often


def children() -> list[str]:
    """Command lines of this process's children. Each is listed at the thread that started it."""
    found: list[str] = []
    for thread in entries("/proc/self/task"):
        with contextlib.suppress(OSError):  # A thread that ends meanwhile leaves its children to another one.
            found += Path(f"/proc/self/task/{thread}/children").read_text("ascii").split()
    return [_command_line(process) for process in found]


def _command_line(process: str) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return process


def left() -> tuple[int, int, int]:
    """How many threads, descriptors and processes there are."""
    return threading.active_count(), len(entries("/proc/self/fd")), len(children())


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Neither threads, nor descriptors, nor processes."""
    set_apart()
    before = left()
    yield
    gc.collect()
    give_up = time.monotonic() + 15  # What is left of a call may be ended behind the back of its caller.
    while left() > before and time.monotonic() < give_up:
        time.sleep(0.02)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("local:")] == []
    threads, descriptors, processes = left()
    assert threads <= before[0], [thread.name for thread in threading.enumerate()]
    assert descriptors <= before[1]
    assert processes <= before[2], children()


@pytest.fixture
def records() -> Iterator[Records]:
    """Everything that anything logs, with every logger at DEBUG; no secret may be in it."""
    with everything_logged() as records:
        yield records
    assert_clean("\n".join(records.texts), "the log")


@pytest.fixture
def misbehaving(world_file: Path, tmp_path: Path, unmeasured: None) -> Iterator[Callable[..., Host]]:
    """Makes a host behind a PowerShell with a certain misbehaviour; ``once`` for the first process only."""
    hosts: list[Host] = []

    def make(behaviour: str, *, once: bool = False) -> Host:
        marker = [str(tmp_path / "once")] if once else []
        hosts.append(Host(Local([sys.executable, str(FAKE), behaviour, str(world_file), *marker])))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()
