"""Many threads on one host: each gets its own answers, and nothing grows.

``HVINTEGRATION_QUERIES`` says how many queries instead of 400.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from hvintegration import Host, World
from hvintegration.simulator import Machine
from tests.support.amounts import some_by_day
from tests.support.endpoints import Endpoint, SSHEndpoint, WSManEndpoint, wait_until

if TYPE_CHECKING:
    from tests.support.ssh_server import Way

QUERIES: Final = int(os.environ.get("HVINTEGRATION_QUERIES", "200"))
THREADS: Final = 32
QUERIES_OF_A_ROUND: Final = 3
WARMING: Final = 1
"""Rounds of each thread before anything is counted."""

BLOCKS: Final = 2000
"""Blocks of memory that may be left in all, whatever is asked."""

BLOCKS_PER_QUERY: Final = 3
"""Blocks of memory that a query may leave; the journal keeps some. A pipeline that is not let go of has hundreds."""


def many_machines() -> World:
    machines = [
        Machine(
            id=f"7a000000-0000-4000-8000-{number:012}",
            name=f"vm{number:02}",
            addresses=[f"192.0.2.{number}"],
        )
        for number in range(1, THREADS + 1)
    ]
    return World(machines=machines)


def work(host: Host, number: int, rounds: int) -> None:
    """Ask about a virtual machine of one's own, and switch a service of it there and back."""
    name = f"vm{number:02}"
    vm = host.vms[name]
    service = vm.services["vss"]
    for _ in range(rounds):
        info = vm.info(timeout=300)
        assert (info.name, info.addresses) == (name, (f"192.0.2.{number}",))
        for switch, enabled in ((service.disable, False), (service.enable, True)):
            state = switch(timeout=300)
            assert (state.vm_name, state.enabled) == (name, enabled)


@attrs.frozen
class Size:
    """What must not grow."""

    descriptors: int
    threads: int
    blocks: int

    @classmethod
    def now(cls) -> Size:
        gc.collect()
        folder = "/proc/self/fd"
        descriptors = len(os.listdir(folder)) if os.path.isdir(folder) else 0  # noqa: PTH112, PTH208 - quick
        return cls(descriptors, threading.active_count(), sys.getallocatedblocks())


def in_threads(host: Host, rounds: int) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, host, number, rounds) for number in range(1, THREADS + 1)]:
            done.result()


def check(endpoint: Endpoint, host: Host, queries: int) -> None:
    """Let many threads ask one host, and compare what there is before and after."""
    rounds = max(1, queries // (THREADS * QUERIES_OF_A_ROUND))
    in_threads(host, WARMING)
    assert wait_until(lambda: "commands" not in endpoint.left())
    before = Size.now()

    in_threads(host, rounds)

    assert wait_until(lambda: "commands" not in endpoint.left())
    after = Size.now()
    made = THREADS * QUERIES_OF_A_ROUND * rounds
    assert after.descriptors <= before.descriptors
    assert after.threads <= before.threads
    if sys.gettrace() is None:  # What measures coverage keeps something of each thread that there ever was.
        assert after.blocks - before.blocks < BLOCKS + BLOCKS_PER_QUERY * made
    assert len(endpoint.journal()) == THREADS * (rounds + WARMING) * 2
    assert host.session.stats.repeats == 0


@pytest.mark.timeout(0 if QUERIES > 400 else 300)
@pytest.mark.parametrize("tls", some_by_day([False, True], [False]), ids=["sealed", "tls"])
def test_over_winrm(*, tls: bool) -> None:
    with WSManEndpoint(tls=tls, world=many_machines()) as endpoint, endpoint.host() as host:
        endpoint.server.shells.max_shells = 1
        endpoint.server.shells.max_commands = 25

        check(endpoint, host, QUERIES // 2)

        assert endpoint.server.actions["Create"] == 1
        assert endpoint.server.counts["connections"] == 2
        host.close()
        assert wait_until(lambda: endpoint.left() == {})


@pytest.mark.timeout(0 if QUERIES > 400 else 300)
@pytest.mark.parametrize("way", some_by_day(["subsystem", "process"], ["subsystem"]))
def test_over_ssh(way: Way) -> None:
    with SSHEndpoint(way, world=many_machines()) as endpoint, endpoint.host() as host:
        check(endpoint, host, QUERIES // 3)

        assert endpoint.server.counts["connection"] == 1
        assert endpoint.server.counts["powershell"] == (1 if way == "subsystem" else host.session.stats.round_trips)
        host.close()
        assert wait_until(lambda: endpoint.left() == {})
