"""Windows guests of the simulator: addresses, and the faults that only the simulator has there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import hvintegration as hv
from hvintegration.errors import (
    AuthenticationError,
    CommandFailedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    HvError,
    InvalidStateError,
    OutcomeUnknownError,
    TransportTimeoutError,
)
from hvintegration.guest import Guest
from hvintegration.models import ChangeOutcome
from hvintegration.simulator import Fault, World, demo_world

WHO = hv.Credential("Administrator", "Guest-Passw0rd")


def directly(world: World, clock: hv.VirtualClock) -> Guest:
    return hv.Host(hv.Simulator(world, clock=clock)).vms["backup"].guest(credential=WHO)


def inside(world: World, clock: hv.VirtualClock) -> Guest:
    return Guest(hv.Simulator(world, guest="backup", clock=clock))


Reach = Callable[[World, hv.VirtualClock], Guest]
on_both_ways = pytest.mark.parametrize("reach", [directly, inside])


# -- addresses ---------------------------------------------------------------------------------------------------------


def test_a_guest_has_an_address_and_is_named_by_an_option(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    demo_world().save(path)

    guest = hv.connect_guest(f"sim:{path}", options={"guest": "backup"})

    assert (guest.address, guest.info().name) == (f"sim:{path}#guest=backup", "backup")
    assert guest.services["vss"].start().running
    assert World.load(path).journal == ["guest-start backup vmicvss"]
    assert hv.connect_guest("sim:").address == "sim:#guest=demovm"
    assert hv.connect_guest("sim:", options={"guest": "backup"}).info().vm_name == "backup"
    assert hv.connect("sim:").vms["demovm"].guest("sim:").info().name == "demovm"


def test_a_guest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    demo_world().save(path)
    with pytest.raises(ConfigurationError, match="has no virtual machine 'Demovm'"):
        hv.Simulator(demo_world(), guest="Demovm")
    with pytest.raises(ConfigurationError, match="does not say which guest") as unsaid:
        hv.connect_guest(f"sim:{path}")
    assert "guest" in str(unsaid.value.hint)

    guest = hv.connect_guest(f"sim:{path}", options={"guest": "backup"})
    World().save(path)
    with pytest.raises(ConfigurationError, match="has no virtual machine 'backup'"):
        guest.info()


@pytest.mark.parametrize("state", ["Off", "Saved", "Paused"])
def test_a_guest_that_does_not_run_is_at_no_address(state: str) -> None:
    world = demo_world()
    guest = hv.Guest(hv.Simulator(world, guest="backup", clock=hv.VirtualClock()))
    world.machine("backup").state = state
    for verb in (guest.info, guest.services.list, guest.services["kvp"].stop):
        with pytest.raises(ConnectError, match=f"the virtual machine is {state}") as unreachable:
            verb()
        assert unreachable.value.may_have_run is False
    assert world.journal == []


def test_a_guest_tells_of_its_clock_and_what_it_is() -> None:
    world = demo_world()
    plain = Guest(hv.Simulator(world, guest="backup")).info()
    assert (plain.domain_controller, plain.uptime, plain.time_sources, plain.on_hyperv) == (False, None, None, None)
    system = world.machine("backup").os
    system.product_type, system.uptime, system.time_sources = 2, 4711, ["NT5DS", "VMICTimeProvider"]
    info = Guest(hv.Simulator(world, guest="backup")).info()
    assert (info.domain_controller, info.uptime) == (True, 4711)
    assert info.time_sources == ("NT5DS", "VMICTimeProvider")
    system.time_sources = ["NoSync"]
    assert Guest(hv.Simulator(world, guest="backup")).info().time_sources == ()


def test_a_world_shows_no_password() -> None:
    assert "Guest-Passw0rd" not in repr(demo_world())


# -- faults ------------------------------------------------------------------------------------------------------------


@on_both_ways
@pytest.mark.parametrize("cmdlet", ["Get-Service", "Start-Service", "Stop-Service", "Set-Service"])
def test_an_error_of_a_cmdlet_is_told(reach: Reach, cmdlet: str) -> None:
    world = demo_world()
    guest = reach(world, hv.VirtualClock())
    world.faults = [Fault(cmdlet=cmdlet, machine="backup", id="CouldNotStartService", message="No.")]
    verbs: dict[str, Callable[[], object]] = {
        "Get-Service": guest.services.list,
        "Start-Service": guest.services["vss"].start,
        "Stop-Service": guest.services["kvp"].stop,
        "Set-Service": lambda: guest.services["kvp"].set_startup("automatic"),
    }

    with pytest.raises(CommandFailedError) as failed:
        verbs[cmdlet]()

    kind = f"{cmdlet.replace('-', '')}Command"
    assert failed.value.error_id == f"CouldNotStartService,Microsoft.PowerShell.Commands.{kind}"
    assert failed.value.host_message == "No."
    assert world.journal == []
    world.faults = []
    verbs[cmdlet]()


@on_both_ways
def test_what_names_no_cmdlet_of_a_guest_does_not_strike_there(reach: Reach) -> None:
    world = demo_world()
    guest = reach(world, hv.VirtualClock())
    world.faults = [
        Fault(action="remove", cmdlet="Enable-VMIntegrationService"),
        Fault(cmdlet="Start-Service", times=0),
    ]
    assert guest.services["vss"].start().running
    world.faults = [Fault(machine="backup")]
    if reach is inside:
        assert guest.services["vss"].state().running
    else:
        with pytest.raises(CommandFailedError):  # Get-VM fails, on the host.
            guest.info()


@on_both_ways
def test_a_service_that_takes_a_while_is_waited_for(reach: Reach) -> None:
    world, clock = demo_world(), hv.VirtualClock()
    guest = reach(world, clock)
    world.faults = [Fault(action="pending", cmdlet="Start-Service", seconds=10, times=1)]

    assert guest.services["vss"].start().running

    assert clock.monotonic() > 10
    assert world.journal == ["guest-start backup vmicvss"]
    world.faults = [Fault(action="pending", cmdlet="Stop-Service", seconds=600)]
    with pytest.raises(hv.errors.WaitTimeoutError, match="StopPending"):
        guest.services["vss"].stop()
    clock.sleep(600)
    assert guest.services["vss"].state().running is False


@on_both_ways
def test_a_guest_that_hangs_ends_with_the_time(reach: Reach) -> None:
    world, clock = demo_world(), hv.VirtualClock()
    guest = reach(world, clock)
    world.faults = [Fault(action="delay", cmdlet="Get-Service", seconds=3600, times=1)]

    with pytest.raises(TransportTimeoutError):
        guest.services.list(timeout=10)

    assert clock.monotonic() <= 10
    assert guest.services.list()


@on_both_ways
def test_what_cannot_be_read_is_none(reach: Reach) -> None:
    world = demo_world()
    world.faults = [
        Fault(action="unreadable", cmdlet="Get-Service", property=name) for name in ("Status", "DisplayName")
    ]
    world.faults.append(Fault(action="unreadable", cmdlet="Get-Service", property="StartType"))

    state = reach(world, hv.VirtualClock()).services["vss"].state()

    assert (state.installed, state.running, state.display_name, state.startup) == (True, None, None, "manual")
    assert state.health is hv.Health.UNKNOWN


@pytest.mark.parametrize(
    ("reach", "action", "error"),
    [
        (directly, "exit", ConnectionLostError),
        (directly, "remove", ConnectionLostError),
        (inside, "remove", ConfigurationError),  # Asked again, it is not there.
    ],
)
def test_a_death_inside_a_guest_is_a_loss(reach: Reach, action: str, error: type[HvError]) -> None:
    world = demo_world()
    guest = reach(world, hv.VirtualClock())
    world.faults = [Fault(action=action, cmdlet="Get-Service", times=1)]

    with pytest.raises(error):
        guest.services.list()
    assert world.journal == []


def test_a_question_that_a_death_inside_leaves_unanswered_is_asked_again() -> None:
    world = demo_world()
    guest = inside(world, hv.VirtualClock())
    world.faults = [Fault(action="exit", cmdlet="Get-Service", times=1)]

    assert guest.services.list()
    assert guest.session.stats.repeats == 1


@on_both_ways
def test_an_answer_that_is_lost_after_a_change_is_settled(reach: Reach) -> None:
    """The first look lets a fault pass that takes no time; the second one, after the change, loses the session."""
    world = demo_world()
    guest = reach(world, hv.VirtualClock())
    world.faults = [Fault(action=action, cmdlet="Get-Service", times=1) for action in ("delay", "exit")]

    (change,) = guest.set_services({"vss": True})

    assert change.outcome is ChangeOutcome.CONFIRMED
    assert world.journal == ["guest-start backup vmicvss"]


@on_both_ways
def test_what_cannot_be_settled_is_unknown(reach: Reach) -> None:
    world = demo_world()
    guest = reach(world, hv.VirtualClock())
    world.faults = [Fault(action="delay", cmdlet="Get-Service", times=1), Fault(action="exit", cmdlet="Get-Service")]

    with pytest.raises(OutcomeUnknownError):
        guest.services["vss"].start()
    assert world.journal == ["guest-start backup vmicvss"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(id="VMSessionConnectFailed"), ConnectError),
        (Fault(id="InvalidCredential"), AuthenticationError),
        (Fault(id="PSSessionStateBroken", reason="PSDirectException"), AuthenticationError),
        (Fault(id="PSSessionStateBroken", reason="PSRemotingTransportException"), ConnectError),
    ],
)
def test_a_session_that_is_not_to_be_had_has_changed_nothing(fault: Fault, error: type[HvError]) -> None:
    world = demo_world()
    guest = directly(world, hv.VirtualClock())
    fault.cmdlet = "Invoke-Command"
    world.faults = [fault]

    with pytest.raises(HvError) as refused:
        guest.services["vss"].start()

    assert type(refused.value) is error
    assert world.journal == []


@pytest.mark.parametrize(
    ("reach", "lost", "then"),
    [(directly, ConnectionLostError, InvalidStateError), (inside, ConnectError, ConnectError)],
)
def test_a_guest_that_goes_off_in_the_middle_is_a_lost_session(
    reach: Reach, lost: type[HvError], then: type[HvError]
) -> None:
    world = demo_world()

    class Clock(hv.VirtualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            world.machine("backup").state = "Off"

    guest = reach(world, Clock())
    world.faults = [Fault(action="delay", cmdlet="Get-Service", seconds=1, times=1)]
    with pytest.raises(HvError) as gone:
        guest.info()
    assert type(gone.value) is lost
    with pytest.raises(then):
        guest.info()
