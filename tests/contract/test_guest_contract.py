"""The contract of Windows guests: by PowerShell Direct and from inside, over each way, and on the simulator."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import hvintegration as hv
from hvintegration.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    HvError,
    InvalidStateError,
    ServiceNotFoundError,
    UnknownServiceError,
    UnsupportedError,
    VMNotFoundError,
    WaitTimeoutError,
)
from hvintegration.guest import Guest
from hvintegration.guest_models import GuestServiceState, Startup
from hvintegration.models import ChangeOutcome, Health
from hvintegration.simulator import GuestService, Machine, OperatingSystem, ServiceSetting, World
from hvintegration.testing import HOSTILE_NAMES, machine_id
from hvintegration.transports.base import Transport
from tests.support.amounts import night_unless
from tests.support.kept import Kept
from tests.support.sshd import QUICK_START

if TYPE_CHECKING:
    from tests.support.sshd import Sshd

WHO: Final = hv.Credential("Administrator", "Guest-Passw0rd")
DEMOVM, WEB, SPARE = map(machine_id, (1, 2, 3))
Verb = Callable[[Guest], object]


def services(**status: str) -> list[GuestService]:
    """The usual eight services of a guest; those that are named have another status or start type."""
    found = Machine(id=DEMOVM, name="").guest_services
    for service in found:
        said = status.get(service.name.removeprefix("vmic"), "")
        if said == "Disabled":
            service.status, service.start_type = "Stopped", said
        elif said:
            service.status = said
    return found


def default_world(**facts: Any) -> World:  # noqa: ANN401 - Machine checks them
    """A host with a Windows guest, a Linux guest and one that is off."""
    demovm: dict[str, Any] = {
        "name": "demovm",
        "os": OperatingSystem(caption="Windows 11 Pro", version="10.0.26100", build="26100"),
        "intrinsic": {"IntegrationServicesVersion": "10.0.26100.1"},
        "guest_services": services(vss="Stopped", timesync="Disabled"),
    }
    return World(
        machines=[
            Machine(id=DEMOVM, **(demovm | facts)),
            Machine(id=WEB, name="web", guest="linux"),
            Machine(id=SPARE, name="spare", state="Off"),
        ]
    )


class Way:
    """A way into the guests of a world.

    Args:
        file: The file of the world.
        transport: The host's, or that of the guest ``demovm``.
        through_host: Which of them.
    """

    def __init__(self, file: Path, transport: Transport, *, through_host: bool) -> None:
        self.file = file
        self.through_host = through_host
        self.transport = Kept(transport)

    def have(self, **facts: Any) -> Guest:  # noqa: ANN401 - Machine checks them
        """The guest of ``demovm``, of which this is so."""
        default_world(**facts).save(self.file)
        return self.guest()

    def guest(self, vm_id: str = DEMOVM, who: hv.Credential = WHO) -> Guest:
        """A guest of the world as it is."""
        if self.through_host:
            return hv.Host(self.transport).vm(vm_id).guest(credential=who)
        return Guest(self.transport, vm_id=vm_id)

    def journal(self) -> list[str]:
        """What was done."""
        return World.load(self.file).journal


@contextmanager
def simulated(_request: pytest.FixtureRequest, file: Path, guest: str | None) -> Generator[Transport]:
    World(machines=[Machine(id=DEMOVM, name="demovm")]).save(file)
    yield hv.Simulator(file, clock=hv.VirtualClock(), guest=guest)


@contextmanager
def local(
    request: pytest.FixtureRequest, file: Path, guest: str | None, session: Path | None = None
) -> Generator[Transport]:
    engine = request.getfixturevalue("engine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPERV_WORLD", str(file))
        patch.delenv("HYPERV_GUEST", raising=False)
        if guest is not None:
            patch.setenv("HYPERV_GUEST", guest)
        transport = hv.Local([engine] if session is None else [engine, "-ConfigurationFile", str(session)])
        yield transport
        transport.close()


@contextmanager
def restricted(request: pytest.FixtureRequest, file: Path, guest: str | None) -> Generator[Transport]:
    with local(request, file, guest, request.getfixturevalue("guest_session")) as transport:
        yield transport


@contextmanager
def winrm(request: pytest.FixtureRequest, file: Path, guest: str | None) -> Generator[Transport]:
    environment = {} if guest is None else {"HYPERV_GUEST": guest}
    bridge = request.getfixturevalue("start_bridge")(auth="ntlm", world=file, environment=environment)
    who = hv.Credential("BRIDGE\\admin", "Secret-1")
    transport = hv.WinRM("127.0.0.1", port=bridge.port, credential=who, auth="ntlm")
    yield transport
    transport.close()


@contextmanager
def ssh(request: pytest.FixtureRequest, file: Path, guest: str | None) -> Generator[Transport]:
    environment = QUICK_START | {"HYPERV_WORLD": str(file)} | ({} if guest is None else {"HYPERV_GUEST": guest})
    server: Sshd = request.getfixturevalue("start_sshd")(
        f"Subsystem powershell {request.getfixturevalue('engine')} -sshs -NoLogo -NoProfile",
        " ".join(["SetEnv", *(f"{name}={value}" for name, value in environment.items())]),
    )
    transport = server.ssh(username=getpass.getuser())
    yield transport
    transport.close()


CARRIED: Final = ("winrm", "ssh")
"""Ways that only carry what a local PowerShell answers, as the contract of hosts shows by day."""


def on_engine(name: str) -> object:
    return pytest.param(name, marks=[pytest.mark.engine, *night_unless(not name.endswith(CARRIED))])


MAKERS: Final[dict[str, Callable[[pytest.FixtureRequest, Path, str | None], AbstractContextManager[Transport]]]] = {
    "simulator": simulated,
    "local": local,
    "winrm": winrm,
    "ssh": ssh,
    "restricted": restricted,
}

DIRECT: Final = ["simulator", *map(on_engine, ("local", *CARRIED, "restricted"))]
INSIDE: Final = ["inside: simulator", *(on_engine(f"inside: {name}") for name in ("local", *CARRIED))]

directly = pytest.mark.parametrize("way", DIRECT, indirect=True, scope="module")
inside = pytest.mark.parametrize("way", INSIDE, indirect=True, scope="module")
everywhere = pytest.mark.parametrize("way", [*DIRECT, *INSIDE], indirect=True, scope="module")


@pytest.fixture(scope="module")
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    where, _, name = str(request.param).rpartition(": ")
    file = tmp_path_factory.mktemp("guests") / "world.json"
    with MAKERS[name](request, file, "demovm" if where else None) as transport:
        yield Way(file, transport, through_host=not where)


def round_trips(guest: Guest, verb: Verb) -> int:
    """How many *verb* takes."""
    before = guest.session.stats.round_trips
    verb(guest)
    return guest.session.stats.round_trips - before


# -- reading -------------------------------------------------------------------------------------------------------


@everywhere
def test_a_guest_describes_itself(way: Way) -> None:
    info = way.have().info()

    assert (info.family, info.name, info.caption) == ("windows", "demovm", "Windows 11 Pro")
    assert (info.os_version, info.os_build, info.integration_services_version) == (
        *("10.0.26100", "26100"),
        "10.0.26100.1",
    )
    assert (info.vm_id, info.vm_name, info.host_name) == (DEMOVM, "demovm", "HV01.corp.example")
    assert info.powershell_version
    assert info.language_mode == "FullLanguage"
    assert info.address.endswith(f"#vm={DEMOVM}") == way.through_host


@everywhere
def test_all_services_are_listed_and_those_that_are_absent_too(way: Way) -> None:
    some = [one for one in services(vss="Stopped", timesync="Disabled") if one.name != "vmicrdv"]
    listed = way.have(guest_services=[*some, GuestService(name="vmic[*]", display_name="New"), *NO_IC]).services.list()

    assert [state.kind for state in listed] == [*hv.ServiceKind, None]
    by_name = {state.name: state for state in listed}
    assert {name: (state.running, state.startup, state.health) for name, state in by_name.items()} == {
        "vmicguestinterface": (False, Startup.MANUAL, Health.NOT_RUNNING),
        "vmicheartbeat": (True, Startup.MANUAL, Health.OK),
        "vmickvpexchange": (True, Startup.MANUAL, Health.OK),
        "vmicshutdown": (True, Startup.MANUAL, Health.OK),
        "vmictimesync": (False, Startup.DISABLED, Health.DISABLED),
        "vmicvss": (False, Startup.MANUAL, Health.NOT_RUNNING),
        "vmicvmsession": (True, Startup.MANUAL, Health.OK),
        "vmicrdv": (False, None, Health.DISABLED),
        "vmic[*]": (True, Startup.MANUAL, Health.OK),
    }
    assert [state.installed for state in listed] == [True] * 7 + [False, True]
    assert by_name["vmicvss"].display_name == "Hyper-V Volume Shadow Copy Requestor"
    assert (by_name["vmicheartbeat"].pid, by_name["vmicvss"].pid) == (1204, None)
    assert {state.offered for state in listed} == {state.device for state in listed} == {None}
    assert not listed.errors


NO_IC: Final = [GuestService(name="wuauserv"), GuestService(name="vmms")]
"""Services that are none of integration."""


@everywhere
def test_an_inventory_is_both_and_can_be_stored(way: Way) -> None:
    guest = way.have()
    inventory = guest.inventory()

    assert inventory.info == guest.info()
    assert list(inventory.services) == list(guest.services.list())
    assert not inventory.errors
    assert '"vmicvss"' in json.dumps(inventory.to_dict())


@everywhere
def test_questions_take_one_round_trip(way: Way) -> None:
    guest = way.have()
    verbs: list[Verb] = [
        Guest.info,
        Guest.inventory,
        lambda guest: guest.services.list(),
        lambda guest: guest.services["heartbeat"].state(),
        lambda guest: guest.services["heartbeat"].wait_until_running(),
        lambda guest: guest.set_services({"vss": True, "kvp": False}, dry_run=True),
    ]
    assert [round_trips(guest, verb) for verb in verbs] == [1] * len(verbs)
    assert way.journal() == []


@everywhere
@pytest.mark.parametrize("name", ["vmic*", "*", "?", "[v]micvss", "no such service", ""])
def test_a_service_that_nobody_knows_is_refused_before_anything_is_sent(way: Way, name: str) -> None:
    guest = way.have()
    before = guest.session.stats.round_trips
    with pytest.raises(UnknownServiceError):
        guest.services[name]
    with pytest.raises(UnknownServiceError):
        guest.set_services({"vss": True, name: False})
    assert guest.session.stats.round_trips == before
    assert way.journal() == []


# -- changing ------------------------------------------------------------------------------------------------------


@everywhere
def test_a_service_is_started_stopped_and_restarted(way: Way) -> None:
    guest = way.have()
    vss = guest.services["vss"]
    states: list[GuestServiceState] = []

    assert round_trips(guest, lambda _: states.append(vss.start())) <= 2
    assert round_trips(guest, lambda _: states.append(vss.start())) == 1
    assert round_trips(guest, lambda _: states.append(vss.restart())) <= 4
    assert round_trips(guest, lambda _: states.append(vss.stop())) <= 2
    assert round_trips(guest, lambda _: states.append(vss.stop(confirm=True))) == 1

    assert [state.running for state in states] == [True, True, True, False, False]
    assert [line.removesuffix(" demovm vmicvss") for line in way.journal()] == [
        *("guest-start", "guest-stop"),
        *("guest-start", "guest-stop"),
    ]


@everywhere
def test_how_a_service_comes_to_run_is_set(way: Way) -> None:
    service = way.have().services["timesync"]
    with pytest.raises(InvalidStateError) as disabled:
        service.start()
    assert (disabled.value.current, disabled.value.expected) == ("disabled", "manual")
    assert "set_startup" in str(disabled.value.hint)
    with pytest.raises(InvalidStateError):
        service.wait_until_running()
    assert way.journal() == []

    assert service.set_startup("manual").startup is Startup.MANUAL
    assert service.start().running
    assert service.set_startup(Startup.AUTOMATIC).startup is Startup.AUTOMATIC
    assert service.set_startup("disabled", confirm=True).startup is Startup.DISABLED
    with pytest.raises(ConfigurationError):
        service.set_startup("triggered")
    assert service.state().running


@everywhere
def test_what_could_not_be_started_again_is_not_stopped_for_a_restart(way: Way) -> None:
    service = way.have().services["shutdown"]
    assert service.set_startup("disabled", confirm=True).running
    with pytest.raises(InvalidStateError) as disabled:
        service.restart()
    assert (disabled.value.current, disabled.value.expected) == ("disabled", "manual")
    assert service.state().running
    assert way.journal() == ["guest-configure demovm vmicshutdown"]


@everywhere
def test_what_is_severe_needs_to_be_confirmed(way: Way) -> None:
    guest = way.have()
    shutdown = guest.services["shutdown"]
    before = guest.session.stats.round_trips
    severe: list[Callable[[], object]] = [
        shutdown.stop,
        lambda: shutdown.set_startup("disabled"),
        lambda: guest.set_services({"vss": True, "shutdown": False}),
    ]
    for change in severe:
        with pytest.raises(ConfigurationError, match="confirmed"):
            change()
    assert guest.session.stats.round_trips == before
    assert [change.outcome for change in guest.set_services({"shutdown": False}, dry_run=True)] == ["would_change"]
    assert shutdown.stop(confirm=True).running is False
    assert way.journal() == ["guest-stop demovm vmicshutdown"]


@everywhere
def test_many_changes_have_an_outcome_each(way: Way) -> None:
    without_rdv = [one for one in services(vss="Stopped", timesync="Disabled") if one.name != "vmicrdv"]
    guest = way.have(guest_services=without_rdv)
    wanted: dict[str | hv.ServiceKind, bool] = {
        "vss": True,
        "heartbeat": True,
        "kvp": False,
        "time_sync": True,
        "rdv": True,
    }

    planned = guest.set_services(wanted, dry_run=True)
    assert [change.outcome for change in planned] == ["would_change", "unchanged", "would_change", "failed", "failed"]
    assert way.journal() == []
    made = guest.set_services(wanted)

    assert [change.outcome for change in made] == ["changed", "unchanged", "changed", "failed", "failed"]
    assert [change.before for change in made] == ["Stopped", "Running", "Running", "Stopped", None]
    assert [change.state.running for change in made if change.state] == [True, True, False, False, False]
    assert way.journal() == ["guest-start demovm vmicvss", "guest-stop demovm vmickvpexchange"]


@everywhere
def test_what_the_host_does_not_offer_stops_again_and_the_host_is_named(way: Way) -> None:
    off = {"vss": ServiceSetting(enabled=False)}
    guest = way.have(services=off)
    with pytest.raises(InvalidStateError) as refused:
        guest.services["vss"].start()
    assert 'vm.services["VSS"].enable()' in str(refused.value.hint)
    assert guest.services["vss"].state().running is False
    assert [change.outcome for change in guest.set_services({"vss": True})] == [ChangeOutcome.FAILED]
    assert way.journal() == ["guest-start demovm vmicvss"] * 2


@everywhere
def test_a_service_that_is_absent_is_not_found(way: Way) -> None:
    guest = way.have(guest_services=[one for one in services() if one.name != "vmicvss"])
    vss = guest.services["vss"]
    assert vss.state().installed is False
    verbs: list[Callable[[], object]] = [vss.start, vss.stop, vss.wait_until_running]
    verbs.append(lambda: vss.set_startup("manual"))
    for verb in verbs:
        with pytest.raises(ServiceNotFoundError):
            verb()
    assert way.journal() == []


@everywhere
def test_a_service_that_stays_as_it_is_was_waited_for(way: Way) -> None:
    guest = way.have(guest_services=services(vss="StartPending", kvpexchange="Stopped"))
    guest.info()  # On a machine with much to do, a PowerShell takes a while to start.
    with pytest.raises(WaitTimeoutError) as pending:
        guest.services["vss"].start(timeout=8)
    assert isinstance(pending.value.last, GuestServiceState)
    assert pending.value.last.status == "StartPending"
    with pytest.raises(WaitTimeoutError):
        guest.services["kvp"].wait_until_running(timeout=2)
    assert guest.services["heartbeat"].state().running
    assert way.journal() == []


@everywhere
def test_the_service_of_the_connection_is_not_stopped_over_it(way: Way) -> None:
    guest = way.have()
    carrier = guest.services["vmicvmsession"]
    assert (carrier.state().cannot_stop is not None) == way.through_host
    if way.through_host:
        before = guest.session.stats.round_trips
        for verb in (carrier.stop, carrier.restart, lambda: guest.set_services({"vmicvmsession": False})):
            with pytest.raises(ConfigurationError, match="runs on"):
                verb()
        assert guest.session.stats.round_trips == before
        assert way.journal() == []
    else:
        assert carrier.stop().running is False


# -- whose guest it is ---------------------------------------------------------------------------------------------


@directly
def test_what_cannot_be_reached_is_told_apart_and_nothing_is_done(way: Way) -> None:
    way.have()
    wrong = hv.Credential("Administrator", "wrong")
    verbs: list[Verb] = [Guest.info, Guest.inventory, lambda guest: guest.services["vss"].start()]
    for vm_id, who, error in (
        (SPARE, WHO, InvalidStateError),
        (WEB, WHO, ConnectError),
        (DEMOVM, wrong, AuthenticationError),
        (machine_id(9), WHO, VMNotFoundError),
    ):
        for verb in verbs:
            with pytest.raises(HvError) as refused:
                verb(way.guest(vm_id, who))
            assert type(refused.value) is error
            assert refused.value.hint
            assert "wrong" not in str(refused.value)
    assert way.guest().info().name == "demovm"
    assert way.journal() == []


@directly
def test_without_its_service_powershell_direct_does_not_work(way: Way) -> None:
    with pytest.raises(ConnectError, match="cannot be reached") as refused:
        way.have(guest_services=services(vmsession="Stopped")).info()
    assert "vmicvmsession" in str(refused.value.hint)


@directly
@pytest.mark.parametrize("name", HOSTILE_NAMES[:6], ids=ascii)
def test_the_name_of_a_virtual_machine_means_nothing(way: Way, name: str) -> None:
    guest = way.have(name=name)
    assert (guest.info().name, guest.info().vm_name) == (name, name)
    assert guest.services["vss"].start().running
    assert way.journal() == [f"guest-start {name} vmicvss"]


@pytest.mark.parametrize("way", DIRECT[:-1], indirect=True, scope="module")  # That role is for guests alone.
def test_a_host_and_its_guest_take_turns_over_one_connection(way: Way) -> None:
    guest = way.have(services={"vss": ServiceSetting(enabled=False)})
    vm = hv.Host(way.transport).vm(DEMOVM)
    assert guest.services["vss"].state().running is False
    vm.services["vss"].enable()
    assert guest.services["vss"].state().running is True
    assert vm.services["vss"].disable().enabled is False
    assert guest.services["vss"].state().running is False


@inside
def test_another_virtual_machine_is_noticed_before_anything_changes(way: Way) -> None:
    way.have()
    guest = way.guest(WEB)
    for verb in (guest.info, guest.services.list, guest.services["vss"].start, guest.services["vss"].restart):
        with pytest.raises(InvalidStateError, match="is not the virtual machine") as refused:
            verb()
        assert (refused.value.current, refused.value.expected) == (DEMOVM, WEB)
    assert way.journal() == []


@inside
def test_a_machine_without_integration_services_is_no_windows_guest(way: Way) -> None:
    way.have(guest="none", guest_services=[])
    guest = Guest(way.transport, family="windows")  # Over SSH it could be one of another family.
    for verb in (guest.info, guest.services.list, guest.inventory):
        with pytest.raises(UnsupportedError) as refused:
            verb()
        assert refused.value.needs == "a Windows guest of Hyper-V"


# -- equal answers -------------------------------------------------------------------------------------------------

STATES: Final = [
    {},
    {"guest_services": services(vss="Paused", rdv="StopPending", heartbeat="Disabled")},
    {"guest_services": [GuestService(name="vmicvmsession"), GuestService(name="VmicVss", status="Stopped")]},
    {"services": {"kvp": ServiceSetting(enabled=False)}, "intrinsic": {}},
]


@everywhere
@pytest.mark.parametrize("facts", STATES, ids=range(len(STATES)))
def test_answers_are_those_of_the_simulator(way: Way, facts: dict[str, Any]) -> None:
    guest = way.have(**facts)
    world = World.load(way.file)
    name = None if way.through_host else "demovm"
    simulator = Way(way.file, hv.Simulator(world, clock=hv.VirtualClock(), guest=name), through_host=way.through_host)
    other = simulator.guest()

    def told(guest: Guest) -> list[object]:
        answers = [guest.inventory(), *guest.set_services({"vss": True, "guest_service_interface": True})]
        return [without_address(answer.to_dict()) for answer in [*answers, guest.inventory()]]

    assert told(guest) == told(other)
    assert way.journal() == world.journal


def without_address(value: object) -> object:
    """Plain data without what differs by way and by time."""
    if isinstance(value, dict):
        return {key: without_address(item) for key, item in value.items() if key not in {"address", "read_at"}}
    return list(map(without_address, value)) if isinstance(value, list) else value
