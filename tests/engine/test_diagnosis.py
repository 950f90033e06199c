"""The same world is diagnosed equally on the engine and on the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvintegration import VM, Audit, Credential, Guest, Host, Local, Simulator, World
from hvintegration.testing import machine_id
from tests.support.ailments import AILMENTS, HOST, Ailment, world_of

pytestmark = pytest.mark.engine

SHARED = [
    ailment
    for ailment in AILMENTS
    if ailment.ends == HOST and ailment.switched is None and ailment.rule != "no-contact-yet"
]
"""Those of a host; of uptimes the engine knows one only."""
INSIDE = [
    ailment for ailment in AILMENTS if ailment.rule in {"guest-service-not-running", "components-older-than-host"}
]


def ill_world() -> World:
    """A world in which each machine has the ailment that it is named after."""
    world = World()
    for number, ailment in enumerate([*SHARED, *INSIDE], 1):
        machine = world_of(ailment, ill=True).machines[0]
        machine.id, machine.name = machine_id(number), ailment.rule
        world.machines.append(machine)
    return world


def way_in(vm: VM) -> Guest | None:
    if vm.name not in {ailment.rule for ailment in INSIDE}:
        return None
    return vm.guest(credential=Credential("Administrator", "Guest-Passw0rd"))


def summary(audit: Audit) -> list[tuple[str | None, str, tuple[str, ...]]]:
    return sorted((finding.vm_name, finding.id, finding.evidence) for finding in audit.findings)


def test_the_engine_and_the_simulator_have_the_same_findings(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "world.json"
    ill_world().save(file)
    monkeypatch.setenv("HYPERV_WORLD", str(file))
    with Host(Local(engine)) as host:
        on_engine = host.audit(way_in)
    simulated = Host(Simulator(ill_world())).audit(way_in)

    assert summary(on_engine) == summary(simulated)
    assert list(on_engine.errors) == []
    found = {(finding.vm_name, finding.id) for finding in on_engine.findings}
    ailments: list[Ailment] = [*SHARED, *INSIDE]
    assert {(ailment.rule, ailment.rule) for ailment in ailments} <= found
