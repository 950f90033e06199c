"""From equal worlds, simulator and engine give equal documents and leave equal worlds: on a host and inside guests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hvintegration import Credential, Local, Simulator, VirtualClock, World
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.operations.guests import GuestAction
from hvintegration.scripts import (
    DIRECT,
    GET_GUEST,
    GET_GUEST_SYSTEM,
    GET_HOST,
    GET_VMS,
    GUEST_SECRET,
    SET_GUEST_SERVICES,
    SET_SERVICES,
)
from hvintegration.service_kind import HOST_MANAGED, ServiceKind
from hvintegration.simulator import Fault, GuestService, Machine, OperatingSystem, ServiceSetting
from hvintegration.testing import HOSTILE_NAMES, machine_id
from tests.support.amounts import THOROUGH

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
GUEST_SERVICES: st.SearchStrategy[list[GuestService]] = st.lists(
    st.builds(
        GuestService,
        name=st.sampled_from(
            [*(kind.windows_service for kind in ServiceKind), "VmicVSS", "VMICzzz", "vmic", "wuauserv"]
        ),
        display_name=TEXTS,
        status=st.sampled_from(["Running", "Running", "Stopped", "Paused", "StartPending", "StopPending"]),
        start_type=st.sampled_from(["Manual", "Automatic", "Disabled"]),
    ),
    max_size=6,
    unique_by=lambda service: service.name.lower(),
) | st.just([])
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
        checkpoint_type=st.sampled_from(["Production", "ProductionOnly", "Standard", "Disabled"]),
        addresses=st.lists(st.sampled_from(["192.0.2.5", "2001:db8::1"]), max_size=2),
        services=st.dictionaries(st.sampled_from([kind.key for kind in HOST_MANAGED]), SETTINGS, max_size=3),
        guest_services=GUEST_SERVICES,
        daemons=st.lists(st.sampled_from(["hv_kvp_daemon", "hv_vss_daemon", "hv_fcopy_uio_daemon"]), max_size=3),
        os=st.builds(OperatingSystem, caption=TEXTS, version=st.sampled_from(["6.2.9200", "10.0.26100"])),
        user=st.sampled_from(["Administrator", "Administrator", "GUEST\\bob", "bob"]),
        password=st.sampled_from(["Guest-Passw0rd", "Guest-Passw0rd", ""]),
        intrinsic=st.dictionaries(
            st.sampled_from(["IntegrationServicesVersion", "integrationservicesversion", "OSName"]), TEXTS, max_size=1
        ),
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
GUEST_CHANGES = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from([*(kind.windows_service for kind in ServiceKind), "VMICVSS", "vmiczzz", "vmicno"]),
            "action": st.sampled_from(list(GuestAction)),
        }
    ),
    max_size=4,
)
GUEST_CALLS = st.builds(lambda info: (GET_GUEST, {"info": info}), st.booleans()) | st.builds(
    lambda vm_id, changes, dry_run: (SET_GUEST_SERVICES, {"vm_id": vm_id, "changes": changes, "dry_run": dry_run}),
    st.none() | st.integers(1, 2).map(machine_id),
    GUEST_CHANGES,
    st.booleans(),
)
CALLS = st.one_of(
    st.just((GET_HOST, {})),
    st.builds(lambda vm_id: (GET_GUEST_SYSTEM, {"vm_id": vm_id}), st.integers(1, 5).map(machine_id)),
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


WHO = st.sampled_from([Credential("Administrator", "Guest-Passw0rd")] * 6)
WHO |= st.sampled_from(
    [
        Credential(name, password)
        for name in ("ADMINISTRATOR", r"x\y\bob", "bob@x")
        for password in ("", "Guest-Passw0rd")
    ]
)


def directly(vm_id: str, call: Call, who: Credential) -> Call:
    """What has *call* made inside a guest, by PowerShell Direct."""
    opens_first = call.script is SET_GUEST_SERVICES
    document = {"vm_id": vm_id, "document": call.text, "opens_first": opens_first}
    return Call(DIRECT[call.script], document, secrets={GUEST_SECRET: who})


DIRECT_CALLS = st.builds(
    lambda vm_id, call, who: directly(vm_id, Call(*call), who),
    st.sampled_from([1, 1, 1, 2, 3, 4]).map(machine_id),
    GUEST_CALLS,
    WHO,
)


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worlds") / "engine.json"


@pytest.fixture(scope="module")
def local(engine: str, shared_world: Path) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPERV_WORLD", str(shared_world))
        patch.delenv("HYPERV_GUEST", raising=False)
        World().save(shared_world)
        transport = Local(engine)
        transport.call(Call(GET_HOST, {}), Deadline(60))
        yield transport
        transport.close()


@pytest.fixture(scope="module")
def inside(engine: str, shared_world: Path) -> Iterator[Local]:
    """A session inside the guest of the machine named demovm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPERV_WORLD", str(shared_world))
        patch.setenv("HYPERV_GUEST", "demovm")
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


def with_demovm(world: World) -> World:
    """The world with a first machine that has that name."""
    demovm = world.machines[0] if world.machines else Machine(id="", name="")
    world.machines = [attrs.evolve(demovm, name="demovm"), *world.machines[1:]]
    return numbered(world)


def with_session(world: World) -> World:
    """The world with a first machine in which a PowerShell can run: the engine takes any for one.

    It stays: of the engine, a PowerShell outlives its machine.
    """
    world = with_demovm(world)
    world.faults = [fault for fault in world.faults if fault.action != "remove" or fault.machine == "web"]
    first = world.machines[0]
    first.state = "Running"
    first.guest = "none" if first.guest == "linux" else first.guest
    return world


def with_windows(world: World) -> World:
    """The world with a first machine whose guest can be reached by PowerShell Direct, but for the credential."""
    world = with_demovm(world)
    first = world.machines[0]
    first.state, first.guest = "Running", "windows"
    first.guest_services = [one for one in first.guest_services if one.name != "vmicvmsession"]
    first.guest_services.append(GuestService(name="vmicvmsession"))
    return world


def alike(document: str) -> Any:  # noqa: ANN401 - JSON
    """A document to be compared, with the one inside it that a guest wrote."""
    parsed = json.loads(document)
    if (parsed["result"] or {}).get("answer") is not None:
        parsed["result"]["answer"] = json.loads(parsed["result"]["answer"])
    return parsed


def assert_equal(engine: Local, shared_world: Path, world: World, calls: list[Call], guest: str | None = None) -> None:
    """Make the calls on both, from that world."""
    world.save(shared_world)
    simulated = shared_world.with_name("simulated.json")
    world.save(simulated)
    simulator = Simulator(simulated, clock=VirtualClock(), guest=guest)

    for call in calls:
        expected = alike(engine.call(call, Deadline(60)))
        assert alike(simulator.call(call, Deadline(60))) == expected

    assert comparable(World.load(simulated)) == comparable(World.load(shared_world))


many = settings(
    max_examples=150 if THOROUGH else 50,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
fewer = settings(many, max_examples=25 if THOROUGH else 10)
"""For what sleeps half a second of real time in each change."""


def with_a_name_written_otherwise(*, enabled: bool) -> World:
    """A world whose guest has its service under a name with capitals, not as it should be after the next switching."""
    service = GuestService(name="VmicVSS", status="Running" if enabled else "Stopped")
    demovm = Machine(id="", name="demovm", services={"vss": ServiceSetting(enabled=enabled)}, guest_services=[service])
    return numbered(World(machines=[demovm]))


def switching(kind: ServiceKind, *, enabled: bool) -> Call:
    change = {"vm_id": machine_id(1), "component_id": kind.component_id, "enabled": enabled}
    return Call(SET_SERVICES, {"changes": [change], "dry_run": False})


@many
@example(world=with_a_name_written_otherwise(enabled=True), calls=[switching(ServiceKind.VSS, enabled=False)])
@example(world=with_a_name_written_otherwise(enabled=False), calls=[switching(ServiceKind.VSS, enabled=True)])
@given(world=WORLDS.map(numbered), calls=st.lists(CALLS.map(lambda call: Call(*call)), min_size=1, max_size=3))
def test_equal_worlds_give_equal_documents(local: Local, shared_world: Path, world: World, calls: list[Call]) -> None:
    assert_equal(local, shared_world, world, calls)


@fewer
@given(world=WORLDS.map(numbered) | WORLDS.map(with_windows), calls=st.lists(DIRECT_CALLS, min_size=1, max_size=2))
def test_guests_reached_by_powershell_direct_are_equal(
    local: Local, shared_world: Path, world: World, calls: list[Call]
) -> None:
    assert_equal(local, shared_world, world, calls)


@fewer
@given(
    world=WORLDS.map(with_session),
    calls=st.lists((GUEST_CALLS | CALLS).map(lambda call: Call(*call)) | DIRECT_CALLS, min_size=1, max_size=2),
)
def test_sessions_inside_a_guest_are_equal(inside: Local, shared_world: Path, world: World, calls: list[Call]) -> None:
    assert_equal(inside, shared_world, world, calls, guest="demovm")


@fewer
@given(world=WORLDS.map(numbered), call=GUEST_CALLS.map(lambda call: Call(*call)))
def test_a_host_that_is_asked_as_a_guest_is_equal(local: Local, shared_world: Path, world: World, call: Call) -> None:
    assert_equal(local, shared_world, world, [call])
