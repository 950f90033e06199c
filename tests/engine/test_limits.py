"""What the engine says of many virtual machines with much to tell is let through by far."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvintegration import Host, Local, World
from hvintegration.service_kind import HOST_MANAGED
from hvintegration.simulator import Machine, ServiceSetting
from hvintegration.testing import machine_id
from tests.support.amounts import at_night

pytestmark = [pytest.mark.engine, at_night]

MACHINES = 500
NOTES = 'Änderung: [geprüft], {ja}, "nein" \\ & <b> _x0041_ 😀\n' * 40


def test_500_machines_with_statuses_and_long_notes(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "world.json"
    setting = ServiceSetting(primary="ProtocolMismatch", primary_text="Die Protokolle weichen ab: [1], {2}")
    machines = [
        Machine(
            id=machine_id(number),
            name=f"vm {number}: [Büro], 😀",
            notes=NOTES,
            addresses=[f"fe80::{number:x}:{nic}" for nic in range(10)],
            services={kind.key: setting for kind in HOST_MANAGED},
        )
        for number in range(MACHINES)
    ]
    World(machines=machines).save(path)
    monkeypatch.setenv("HYPERV_WORLD", str(path))

    with Host(Local(engine)) as host:
        inventory = host.inventory()

    assert [vm.info.notes for vm in inventory.vms] == [NOTES] * MACHINES
    assert {service.primary for service in inventory.services} == {"ProtocolMismatch"}
    assert len(inventory.services) == len(HOST_MANAGED) * MACHINES
    assert list(inventory.errors) == []
