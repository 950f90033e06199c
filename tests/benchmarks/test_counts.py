"""Counts that must stay as they are: calls and protocol messages for what people do with hundreds of machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvintegration import ChangeOutcome, Host, Local, Simulator, World
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
