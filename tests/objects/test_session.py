"""Turns, deadlines, counts, logs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

import hvintegration as hv
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import (
    ConfigurationError,
    ConnectionLostError,
    DecodeError,
    InvalidStateError,
    TransportTimeoutError,
    WaitTimeoutError,
)
from hvintegration.simulator import Fault


class Wrapped:
    """A transport that does something before each call of another."""

    def __init__(self, inner: hv.Transport, before: Callable[[str], None]) -> None:
        self._inner = inner
        self._before = before
        self.closed = 0

    def __str__(self) -> str:
        return "wrapped:"

    def call(self, call: Call, deadline: Deadline, /) -> str:
        self._before(call.script.name)
        return self._inner.call(call, deadline)

    def close(self) -> None:
        self.closed += 1


def test_threads_take_turns_and_get_their_own_answers() -> None:
    class Counting(Wrapped):
        inside = most = 0

        def call(self, call: Call, deadline: Deadline, /) -> str:
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                return super().call(call, deadline)
            finally:
                self.inside -= 1

    machines = [hv.simulator.Machine(id=f"{n:08}-0000-4000-8000-000000000000", name=f"vm{n}") for n in range(32)]
    transport = Counting(hv.Simulator(hv.World(machines=machines)), lambda _: None)
    host = hv.Host(transport)
    vms = list(host.vms.list())
    wrong: list[object] = []

    def ask(vm: hv.VM) -> None:
        for _ in range(20):
            states = vm.services.list()
            if {state.vm_name for state in states} != {vm.name}:
                wrong.append(states)

    threads = [threading.Thread(target=ask, args=(vm,)) for vm in vms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert transport.most == 1
    assert host.session.stats.round_trips == 1 + 32 * 20


def test_a_turn_that_does_not_come_is_a_timeout() -> None:
    holding, done = threading.Event(), threading.Event()

    def hold(_script: str) -> None:
        holding.set()
        done.wait(30)

    host = hv.Host(Wrapped(hv.Simulator(hv.World()), hold))
    holder = threading.Thread(target=host.info)
    holder.start()
    holding.wait(30)

    with pytest.raises(TransportTimeoutError) as late:
        host.info(timeout=0.05)
    done.set()
    holder.join()

    assert (late.value.may_have_run, late.value.after, late.value.address) == (False, 0.05, "wrapped:")


def test_a_read_is_given_up_after_three_losses() -> None:
    def die(_script: str) -> None:
        raise ConnectionLostError("gone", address="wrapped:", may_have_run=True)

    host = hv.Host(Wrapped(hv.Simulator(hv.World()), die))

    with pytest.raises(ConnectionLostError):
        host.info()
    assert (host.session.stats.round_trips, host.session.stats.repeats) == (3, 2)


def test_who_answers_nonsense_is_not_asked_again_over_the_same_connection() -> None:
    class Nonsense(Wrapped):
        def call(self, call: Call, deadline: Deadline, /) -> str:
            return '{"schema": 1, "result": {"vms": [{"id": 3}]}, "errors": []}' if self.closed else "[]"

    transport = Nonsense(hv.Simulator(hv.World()), lambda _: None)
    host = hv.Host(transport)

    with pytest.raises(DecodeError) as shapeless:
        host.vms.list()
    assert transport.closed == 1
    with pytest.raises(DecodeError) as wrong:
        host.vms.list()
    assert (shapeless.value.path, shapeless.value.address) == ("$", "wrapped:")
    assert (wrong.value.path, wrong.value.address) == ("$.result.vms[0].id", "wrapped:")


@pytest.mark.parametrize(("timeout", "asked"), [(2.4, 1), (3, 2)])
def test_a_change_is_not_asked_for_again_in_a_hurry_in_which_nobody_would_know(timeout: float, asked: int) -> None:
    world = hv.simulator.demo_world()
    world.faults = [Fault(cmdlet="Disable-VMIntegrationService", id="InvalidState", category="InvalidOperation")]
    host = hv.Host(hv.Simulator(world, clock=hv.VirtualClock()))
    vm = host.vms["demovm"]
    before = host.session.stats.round_trips

    with pytest.raises(InvalidStateError):
        vm.services["vss"].disable(timeout=timeout)

    assert host.session.stats.round_trips - before == asked


def test_waiting_takes_the_time_that_settling_takes_and_not_much_more() -> None:
    clock = hv.VirtualClock()
    host = hv.Host(hv.Simulator(hv.simulator.demo_world(), clock=clock, settle=8))
    service = host.vms["demovm"].services["gsi"]

    first = service.enable()
    ready = service.wait_until_ok(timeout=60)

    assert (first.health, first.primary) == (hv.Health.PROBLEM, "NoContact")
    assert ready.health is hv.Health.OK
    assert 8 <= clock.monotonic() <= 8 + 5


def test_waiting_ends_at_the_deadline_on_any_clock() -> None:
    clock = hv.VirtualClock()
    host = hv.Host(hv.Simulator(hv.simulator.demo_world(), clock=clock, settle=600))
    service = host.vms["demovm"].services["gsi"]
    service.enable()

    with pytest.raises(WaitTimeoutError) as end:
        service.wait_until_ok(timeout=60)
    assert 55 <= clock.monotonic() <= 60
    assert isinstance(end.value.last, hv.ServiceState)


def test_a_write_keeps_time_back_for_reading_back() -> None:
    clock = hv.VirtualClock()
    world = hv.simulator.demo_world()
    host = hv.Host(hv.Simulator(world, clock=clock))
    service = host.vms["demovm"].services["vss"]
    world.faults = [Fault(cmdlet="Disable-VMIntegrationService", action="delay", seconds=3600, times=1)]

    with pytest.raises(TransportTimeoutError) as late:
        service.disable(timeout=40)

    assert late.value.may_have_run is False
    assert clock.monotonic() == 30


def test_calls_are_logged_with_facts_and_without_contents(caplog: pytest.LogCaptureFixture) -> None:
    world = hv.simulator.demo_world()
    world.machine("demovm").notes = "the password is Secret1"
    host = hv.Host(hv.Simulator(world))

    with caplog.at_level(logging.DEBUG, logger="hvintegration"):
        host.inventory()

    (record,) = [record for record in caplog.records if record.name == "hvintegration.session"]
    facts = {name: value for name, value in vars(record).items() if name.startswith("hv_")}
    assert record.getMessage() == "get_vms on sim:: answered"
    assert facts.pop("hv_seconds") >= 0
    assert facts.pop("hv_characters_sent") > 10
    assert facts.pop("hv_characters_received") > 1000
    assert facts == {"hv_script": "get_vms", "hv_effect": "read", "hv_address": "sim:", "hv_outcome": "answered"}
    assert "Secret1" not in caplog.text


def test_who_handles_the_log_keeps_nobody_waiting() -> None:
    host = hv.Host(hv.Simulator(hv.simulator.demo_world()))
    names: list[str] = []

    class Slow(logging.Handler):
        def handle(self, _record: logging.LogRecord) -> bool:
            if threading.current_thread() is threading.main_thread():
                other = threading.Thread(target=lambda: names.append(str(host.info(timeout=10).name)))
                other.start()
                other.join(10)
            return True

    logger = logging.getLogger("hvintegration")
    level, handler = logger.level, Slow()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        host.info()
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)

    assert names == ["HV01"]


def test_counts_are_kept() -> None:
    host = hv.Host(hv.Simulator(hv.simulator.demo_world()))
    assert host.session.stats == hv.SessionStats(requests=0)

    host.info()

    stats = host.session.stats
    assert (stats.round_trips, stats.repeats, stats.requests) == (1, 0, 1)
    assert stats.characters_sent == len("{}")
    assert stats.characters_received > 100


def test_a_transport_that_counts_nothing_is_no_problem() -> None:
    host = hv.Host(Wrapped(hv.Simulator(hv.World()), lambda _: None))
    host.info()

    assert host.session.stats.requests is None


def test_a_session_whose_closing_was_interrupted_can_be_closed_again() -> None:
    class Interrupted(Wrapped):
        def close(self) -> None:
            super().close()
            if self.closed == 1:
                raise KeyboardInterrupt

    transport = Interrupted(hv.Simulator(hv.World()), lambda _: None)
    host = hv.Host(transport)

    with pytest.raises(KeyboardInterrupt):
        host.close()
    host.close()
    host.close()

    assert transport.closed == 2


def test_who_answers_nonsense_is_given_up_without_waiting_where_that_can_be() -> None:
    class Giving(Wrapped):
        discarded = 0

        def call(self, call: Call, deadline: Deadline, /) -> str:
            return "[]"

        def discard(self) -> None:
            self.discarded += 1

    transport = Giving(hv.Simulator(hv.World()), lambda _: None)

    with pytest.raises(DecodeError):
        hv.Host(transport).info()

    assert (transport.discarded, transport.closed) == (1, 0)


def test_a_deadline_of_another_clock_is_refused() -> None:
    host = hv.Host(Wrapped(hv.Simulator(hv.World()), lambda _: None))

    with pytest.raises(ConfigurationError, match="another clock"):
        host.info(timeout=hv.Deadline(60, hv.VirtualClock()))
    assert host.info(timeout=hv.Deadline(60)).name == "HV01"


def test_a_deadline_is_shared_by_verbs() -> None:
    clock = hv.VirtualClock()
    world = hv.simulator.demo_world()
    world.faults = [Fault(cmdlet="Get-VM", action="delay", machine="demovm", seconds=40, times=2)]
    host = hv.Host(hv.Simulator(world, clock=clock))
    deadline = hv.Deadline(60, clock)

    host.vms.list(timeout=deadline)
    with pytest.raises(TransportTimeoutError, match="within 60 seconds") as late:
        host.vms.list(timeout=deadline)

    assert (clock.monotonic(), late.value.after) == (60, 60)
