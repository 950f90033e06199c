"""What every fault test checks besides: that nothing is left behind, and nothing told."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hvintegration import Host, Local
from tests.support.secrets import Records, assert_clean, everything_logged

FAKE = Path(__file__).with_name("fake_powershell.py")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0


def children() -> list[str]:
    """Command lines of this process's children."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.append(stat.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (OSError, IndexError):
            continue
    return found


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Neither threads, nor descriptors, nor processes."""
    before = (threading.active_count(), descriptors(), len(children()))
    yield
    gc.collect()
    give_up = time.monotonic() + 15  # What is left of a call may be ended behind the back of its caller.
    while (threading.active_count(), descriptors(), len(children())) > before and time.monotonic() < give_up:
        time.sleep(0.02)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("local:")] == []
    assert threading.active_count() <= before[0]
    assert descriptors() <= before[1]
    assert len(children()) <= before[2], children()


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
