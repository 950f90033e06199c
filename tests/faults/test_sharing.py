"""Several who ask over one transport, on every way: hosts, threads, and a thread that asks while it is asking."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import attrs
import pytest

from hvintegration import SSH, Host, Local, Simulator, Transport, WinRM
from hvintegration.errors import ConfigurationError, ConnectionLostError, HvError, ReentrantCallError
from hvintegration.simulator import Fault
from hvintegration.simulator.store import FileStore
from hvintegration.simulator.world import World
from hvintegration.transports.base import requests_of
from tests.support.amounts import some_by_day
from tests.support.endpoints import SSHEndpoint, WSManEndpoint, wait_until
from tests.support.time_limit import Stopwatch, within

FAKE = Path(__file__).with_name("fake_powershell.py")


@attrs.frozen
class Way:
    """A way to a host.

    Attributes:
        transport: The way.
        change: Changes the host's world.
        journal: The changes that were made to its services.
        slow: Makes connecting take seconds.
    """

    transport: Transport
    change: Callable[[Callable[[World], None]], None]
    journal: Callable[[], list[str]]
    slow: Callable[[float], None] | None

    def delay(self, cmdlet: str, seconds: float) -> None:
        """Let that cmdlet take so long, once."""
        fault = Fault(cmdlet=cmdlet, action="delay", seconds=seconds, times=1)
        self.change(lambda world: setattr(world, "faults", [fault]))


WAYS = ("simulator", "local", "WinRM, sealed", "WinRM over TLS", "SSH, remoting", "SSH, a process for each call")
BY_DAY = ("simulator", "local", "WinRM, sealed", "SSH, remoting")


@pytest.fixture(params=some_by_day(WAYS, BY_DAY))
def way(request: pytest.FixtureRequest, unmeasured: None, world_file: Path, tmp_path: Path) -> Iterator[Way]:
    """Every way that needs no engine."""
    store = FileStore(world_file)
    name = str(request.param)
    if name == "simulator":
        yield Way(Simulator(world_file), store.change, lambda: store.read().journal, None)
    elif name == "local":
        slowly = tmp_path / "slowly"
        code = "import os, pathlib, sys, time; slow = pathlib.Path(sys.argv[1]); time.sleep(slow.exists() and float("
        code += "slow.read_text())); os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
        local = Local([sys.executable, "-c", code, str(slowly), str(FAKE), "none", str(world_file)])
        with contextlib.closing(local):
            yield Way(local, store.change, lambda: store.read().journal, lambda seconds: _write(slowly, str(seconds)))
    else:
        reached_by: Literal["process", "subsystem"] = "process" if name.endswith("call") else "subsystem"
        endpoint = WSManEndpoint(tls="TLS" in name) if name.startswith("WinRM") else SSHEndpoint(reached_by)
        with endpoint, contextlib.closing(endpoint.transport()) as transport:
            assert isinstance(transport, WinRM | SSH)
            yield Way(
                transport,
                lambda change: change(endpoint.world),
                endpoint.journal,
                lambda seconds: setattr(endpoint.proxy, "delay", seconds / 12),
            )
            endpoint.proxy.delay = 0
            transport.close()
            assert wait_until(lambda: endpoint.left() == {}), endpoint.left()


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def test_two_hosts_over_one_transport_ask_in_turn(way: Way) -> None:
    hosts = (Host(way.transport), Host(way.transport))
    came: Counter[str] = Counter()

    def ask(verb: Callable[..., object]) -> None:
        for _ in range(20):
            try:
                came[type(verb(timeout=60)).__name__] += 1
            except HvError as error:
                came[repr(error)] += 1

    threads = [
        threading.Thread(target=ask, args=(verb,)) for verb in (hosts[0].info, hosts[1].vms.list, hosts[1].inventory)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert came == {"HostInfo": 20, "Rows": 20, "Inventory": 20}


def test_the_connection_is_closed_with_its_last_host(way: Way) -> None:
    first, second = Host(way.transport), Host(way.transport)

    def cost_of_a_call() -> int:
        """In requests, those made behind the caller's back after it included."""
        before = requests_of(way.transport)
        second.info()
        time.sleep(0.3)
        after = requests_of(way.transport)
        assert before is not None
        assert after is not None
        return after - before

    cold, warm = cost_of_a_call(), cost_of_a_call()
    first.close()
    with pytest.raises(ConfigurationError, match="closed"):
        first.info()

    assert cost_of_a_call() == warm
    second.close()
    second = Host(way.transport)
    assert cost_of_a_call() >= warm + (cold > warm)


def test_asking_while_asking_is_refused_at_once_and_the_outer_question_is_answered(way: Way) -> None:
    host, other = Host(way.transport), Host(way.transport)
    host.info()
    came: list[object] = []

    def ask_again(*_: object) -> None:
        stopwatch = Stopwatch()
        for verb in (host.info, other.vms.list, host.vms.list):
            try:
                came.append(verb(timeout=5))
            except HvError as error:
                came.append(type(error))
        came.append(stopwatch.seconds() < 0.2)

    before = signal.signal(signal.SIGALRM, ask_again)
    try:
        way.delay("Get-VM", 1.0)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        answered = host.inventory(timeout=30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert came == [ReentrantCallError] * 3 + [True]
    assert len(answered.vms) == 5
    assert host.session.stats.repeats == 0
    assert other.info().name == "HV01"


@pytest.mark.parametrize("verb", ["read", "write"])
def test_closing_ends_the_call_of_another_thread_and_tells_the_truth(
    way: Way, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hvintegration.transports.sharing.SECONDS_TO_CLOSE", 0.2)
    host = Host(way.transport)
    service = host.vms["demovm"].services["vss"]
    way.delay("Get-VMIntegrationService" if verb == "read" else "Disable-VMIntegrationService", 60)
    came: list[ConnectionLostError] = []

    def ask() -> None:
        with pytest.raises(ConnectionLostError) as lost:
            (service.state if verb == "read" else service.disable)(timeout=60)
        came.append(lost.value)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(1)
    with within(5):
        host.close()
    asking.join(30)

    (lost,) = came
    assert lost.may_have_run
    assert lost.fenced or verb == "read"
    assert way.journal() == []
    way.change(lambda world: setattr(world, "faults", []))
    assert Host(way.transport).vms["demovm"].services["vss"].state().enabled is True


def test_a_signal_handler_may_close_what_its_thread_asks(way: Way) -> None:
    host = Host(way.transport)
    host.info()
    before = signal.signal(signal.SIGALRM, lambda *_: host.close())
    try:
        way.delay("Get-VM", 60)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with within(5), pytest.raises(ConnectionLostError):
            host.inventory(timeout=30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_write_over_a_slow_new_connection_has_its_time(way: Way) -> None:
    """Of ten seconds, two and a half were once left for connecting and writing."""
    if way.slow is None:
        pytest.skip("a simulator has no connection")
    host = Host(way.transport)
    service = host.vms["demovm"].services["vss"]
    way.transport.close()
    way.slow(3.5)
    began = time.monotonic()

    assert service.disable(timeout=12).enabled is False

    assert time.monotonic() - began > 2.5
    assert way.journal() == ["disable demovm vss"]
    assert host.session.stats.round_trips == 2


def test_closing_while_it_connects_ends_that_at_once(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvintegration.transports.sharing.SECONDS_TO_CLOSE", 0.2)
    if way.slow is None:
        pytest.skip("a simulator has no connection")
    way.slow(20)
    host = Host(way.transport)
    came: list[ConnectionLostError] = []

    def ask() -> None:
        with pytest.raises(ConnectionLostError) as lost:
            host.info(timeout=60)
        came.append(lost.value)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.7)
    host.close()
    asking.join(3)

    (lost,) = came
    assert (lost.may_have_run, lost.fenced) == (False, True)
    way.slow(0)
