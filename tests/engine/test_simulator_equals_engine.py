"""From equal worlds, simulator and engine give equal documents and leave equal worlds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hvintegration import Local, Simulator, VirtualClock, World
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.scripts import GET_HOST, GET_VMS, SET_SERVICES, Script
from hvintegration.service_kind import HOST_MANAGED
from hvintegration.simulator import Fault, GuestService, Machine, OperatingSystem, ServiceSetting
from hvintegration.testing import HOSTILE_NAMES, machine_id

pytestmark = pytest.mark.engine

STATUSES = st.sampled_from([None, "Ok", "Degraded", "Error", "NoContact", "LostCommunication", "ProtocolMismatch"])
STATUSES |= st.sampled_from(["ApplicationCritical", "Disabled", "NonRecoverableError", "2", "15", "4711"])
TEXTS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=8)
NAMES = st.sampled_from([*HOSTILE_NAMES, "demovm", "web", "WEB", "spare"]) | TEXTS.filter(bool)

SETTINGS = st.builds(
    ServiceSetting,
    enabled=st.booleans(),
    primary=STATUSES,
    secondary=STATUSES,
    primary_text=st.none() | TEXTS,
    secondary_text=st.none() | TEXTS,
)
GUEST_SERVICES = st.lists(
    st.builds(
        GuestService,
        name=st.sampled_from([kind.windows_service for kind in HOST_MANAGED]),
        status=st.sampled_from(["Running", "Stopped"]),
        start_type=st.sampled_from(["Manual", "Disabled"]),
    ),
    max_size=4,
    unique_by=lambda service: service.name,
)
MACHINES = st.lists(
    st.builds(
        Machine,
        id=st.just(""),
        name=NAMES,
        state=st.sampled_from(["Running", "Running", "Off", "Saved", "Paused", "Starting", "RunningCritical"]),
        guest=st.sampled_from(["windows", "linux", "none"]),
        generation=st.sampled_from([1, 2]),
        version=st.sampled_from(["5.0", "9.0", "12.0"]),
        notes=TEXTS,
        is_clustered=st.booleans(),
        addresses=st.lists(st.sampled_from(["192.0.2.5", "2001:db8::1"]), max_size=2),
        services=st.dictionaries(st.sampled_from([kind.key for kind in HOST_MANAGED]), SETTINGS, max_size=3),
        guest_services=GUEST_SERVICES,
        daemons=st.lists(st.sampled_from(["hv_kvp_daemon", "hv_vss_daemon", "hv_fcopy_uio_daemon"]), max_size=3),
    ),
    max_size=4,
)
CMDLETS = ["Get-VM", "Get-VMIntegrationService", "Enable-VMIntegrationService", "disable-vmintegrationservice"]
FAULTS = st.lists(
    st.builds(
        Fault,
        action=st.sampled_from(["error", "error", "remove", "delay"]),
        cmdlet=st.none() | st.sampled_from(CMDLETS),
        machine=st.none() | st.sampled_from(["demovm", "web"]),
        id=st.sampled_from(["InvalidState", "OperationFailed"]),
        category=st.sampled_from(["InvalidOperation", "NotSpecified", "PermissionDenied"]),
        message=TEXTS,
        times=st.none() | st.integers(0, 2),
    ),
    max_size=2,
)
WORLDS = st.builds(
    World,
    computer=st.sampled_from(["HV01", "HV02"]),
    locale=st.sampled_from(["en-US", "de-DE", "fr-CA", "ja-JP"]),
    names=st.dictionaries(st.sampled_from(["vss", "heartbeat"]), TEXTS.filter(bool), max_size=2),
    messages=st.dictionaries(
        st.sampled_from(["vm_not_found", "vm_id_not_found", "vm_gone", "access_denied"]),
        st.just("¿{0}? {0}!"),
        max_size=2,
    ),
    access=st.sampled_from(["full"] * 9 + ["denied"]),
    os=st.builds(OperatingSystem, caption=TEXTS, build=st.sampled_from(["14393", "26100"])),
    machines=MACHINES,
    faults=FAULTS,
)
CHANGES = st.lists(
    st.fixed_dictionaries(
        {
            "vm_id": st.integers(1, 5).map(machine_id),
            "component_id": st.sampled_from([kind.component_id for kind in HOST_MANAGED] * 3 + [machine_id(9)]),
            "enabled": st.booleans(),
        }
    ),
    max_size=6,
)
CALLS = st.one_of(
    st.just((GET_HOST, {})),
    st.builds(
        lambda vm_id, name, info, services: (
            GET_VMS,
            {"vm_id": vm_id, "name": None if name is None else ":" + name, "info": info, "services": services},
        ),
        st.none() | st.integers(1, 5).map(machine_id),
        st.none() | NAMES,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        lambda changes, dry_run: (SET_SERVICES, {"changes": changes, "dry_run": dry_run}), CHANGES, st.booleans()
    ),
)


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worlds") / "engine.json"


@pytest.fixture(scope="module")
def local(engine: str, shared_world: Path) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPERV_WORLD", str(shared_world))
        World().save(shared_world)
        transport = Local(engine)
        transport.call(Call(GET_HOST, {}), Deadline(60))
        yield transport
        transport.close()


def numbered(world: World) -> World:
    """The world with ids for its machines."""
    for number, machine in enumerate(world.machines, 1):
        machine.id = machine_id(number)
    return world


def comparable(world: World) -> dict[str, Any]:
    return attrs.asdict(attrs.evolve(world, extra={}), filter=lambda field, _: field.name != "extra")


@settings(max_examples=150, deadline=None, report_multiple_bugs=False, suppress_health_check=list(HealthCheck))
@given(world=WORLDS.map(numbered), calls=st.lists(CALLS, min_size=1, max_size=3))
def test_equal_worlds_give_equal_documents(
    local: Local, shared_world: Path, world: World, calls: list[tuple[Script, dict[str, Any]]]
) -> None:
    world.save(shared_world)
    simulated = shared_world.with_name("simulated.json")
    world.save(simulated)
    simulator = Simulator(simulated, clock=VirtualClock())

    for script, document in calls:
        call = Call(script, document)
        expected = json.loads(local.call(call, Deadline(60)))
        actual = json.loads(simulator.call(call, Deadline(60)))
        assert actual == expected

    assert comparable(World.load(simulated)) == comparable(World.load(shared_world))
