"""Counts that must stay as they are: calls and protocol messages for what people do with hundreds of machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hvintegration import ChangeOutcome, Credential, Host, Local, Simulator, World
from hvintegration.simulator import Machine
from hvintegration.testing import machine_id

MACHINES = 500


def big_world() -> World:
    return World(machines=[Machine(id=machine_id(number), name=f"vm{number:03}") for number in range(MACHINES)])


def test_500_machines_are_read_in_one_round_trip_and_changed_in_one() -> None:
    host = Host(Simulator(big_world()))

    def round_trips() -> int:
        return host.session.stats.round_trips

    assert (len(host.inventory().services), round_trips()) == (6 * MACHINES, 1)
    changes = host.set_services([(machine_id(number), "gsi", True) for number in range(MACHINES)], timeout=300)
    assert ({change.outcome for change in changes}, round_trips()) == ({ChangeOutcome.CHANGED}, 2)
    again = host.set_services([(f"vm{number:03}", "gsi", True) for number in range(MACHINES)], timeout=300)
    assert ({change.outcome for change in again}, round_trips()) == ({ChangeOutcome.UNCHANGED}, 4)


@pytest.mark.engine
def test_packets_of_a_warm_query(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command, data, close: the close goes out when the answer is there."""
    path = tmp_path / "world.json"
    big_world().save(path)
    monkeypatch.setenv("HYPERV_WORLD", str(path))

    with Host(Local(engine)) as host:
        host.info()
        cold = host.session.stats.requests
        host.vms["vm007"].services.list()
        assert cold == 4
        assert host.session.stats.requests == cold + 2 * 3


@pytest.mark.engine
def test_a_guest_costs_no_more_than_its_host(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key for the guest's password, once; from then on each question is three packets, as of a host."""
    path = tmp_path / "world.json"
    machine = {"id": machine_id(1), "name": "web", "guest": "windows", "user": "Administrator", "password": "Guest-1"}
    path.write_text(json.dumps({"computer": "HV01", "machines": [machine]}))
    monkeypatch.setenv("HYPERV_WORLD", str(path))

    with Host(Local(engine)) as host:
        guest = host.vm(machine_id(1)).guest(credential=Credential("Administrator", "Guest-1"))
        service = guest.services["vss"]
        assert len(guest.services.list()) == 8

        def cost(verb: Callable[[], object]) -> tuple[int, int]:
            before = host.session.stats
            verb()
            after = host.session.stats
            return after.round_trips - before.round_trips, (after.requests or 0) - (before.requests or 0)

        questions: list[Callable[[], object]] = [guest.services.list, guest.info, guest.inventory, service.state]
        changes: list[Callable[[], object]] = [
            service.stop,
            service.start,
            lambda: service.set_startup("automatic"),
            lambda: guest.set_services({"vss": False, "kvp": False, "heartbeat": True}),
        ]
        assert [cost(verb) for verb in (host.info, *questions, *changes)] == [(1, 3)] * 9
        assert cost(service.start) == (1, 3)
        assert cost(service.restart) == (2, 6)
