"""Diagnoses and what they offer, as verbs of a host, a virtual machine and a guest."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest

from hvintegration import (
    VM,
    Acceptance,
    Audit,
    ChangeOutcome,
    Credential,
    End,
    Finding,
    Fix,
    Guest,
    GuestChange,
    GuestFamily,
    Host,
    HostInfo,
    ServiceChange,
    ServiceKind,
    Severity,
    Simulator,
    VirtualClock,
    World,
)
from hvintegration.calls.operation import Operation, Sleep
from hvintegration.errors import (
    ConfigurationError,
    ConnectionLostError,
    InvalidStateError,
    PermissionDeniedError,
    VMNotFoundError,
)
from hvintegration.operations import hosts
from hvintegration.simulator import Fault, demo_world
from hvintegration.testing import machine_id
from tests.support.time_limit import within

DEMOVM, BACKUP, WEB = map(machine_id, (1, 2, 3))
CLOCK = VirtualClock()


@pytest.fixture
def world() -> World:
    return demo_world()


@pytest.fixture
def host(world: World) -> Host:
    return Host(Simulator(world, clock=CLOCK))


def guest_of(world: World, name: str, **options: Any) -> Guest:  # noqa: ANN401 - Guest checks them
    return Guest(Simulator(world, guest=name, clock=CLOCK), **options)


def ways_into(world: World) -> Callable[[VM], Guest]:
    return lambda vm: guest_of(world, vm.name)


def found(findings: Any, rule: str) -> Finding:  # noqa: ANN401 - whatever has findings
    (finding,) = (finding for finding in findings if finding.id == rule)
    assert isinstance(finding, Finding)
    return finding


# -- one virtual machine ---------------------------------------------------------------------------------------------


def test_a_virtual_machine_is_diagnosed_in_one_round_trip_an_end(world: World, host: Host) -> None:
    guest = guest_of(world, "backup")
    diagnosis = host.vm(BACKUP).diagnose(guest)
    assert (host.session.stats.round_trips, guest.session.stats.round_trips) == (1, 1)
    assert diagnosis.guest == guest.inventory()
    assert diagnosis.host == host.vm(BACKUP).inventory()
    assert found(diagnosis.findings, "guest-service-not-running").vm_name == "backup"


def test_it_can_be_diagnosed_from_its_host_alone_and_from_inside_alone(world: World, host: Host) -> None:
    outside = host.vm(BACKUP).diagnose()
    assert found(outside.findings, "backup-silent").kind is ServiceKind.VSS
    inside = guest_of(world, "web").diagnose()
    assert inside.host is None
    assert found(inside.findings, "guest-service-not-running").kind is ServiceKind.VSS


def test_a_virtual_machine_that_is_gone_is_an_error(host: Host) -> None:
    with pytest.raises(VMNotFoundError):
        host.vm(machine_id(9)).diagnose()


MISUSED: Any = "ssh://root@web"
"""What a caller may take for a guest, or for what makes one."""

STARTING = Fix(end=End.GUEST, vm_id=WEB, kind=ServiceKind.VSS, action="start", cost="Nothing.", undo="stop")


@pytest.mark.parametrize(
    "misuse",
    [
        lambda host, _: host.vm(WEB).diagnose(MISUSED),
        lambda host, _: host.vm(WEB).update_advice(MISUSED),
        lambda host, _: host.vm(WEB).apply(STARTING, guest=MISUSED),
        lambda host, _: host.audit(MISUSED),
        lambda host, _: host.audit(accepted=[MISUSED]),
        lambda host, _: host.audit(changes=[MISUSED]),
        lambda host, _: host.vm(WEB).diagnose(accepted=[MISUSED]),
        lambda host, _: host.vm(WEB).diagnose(changes=[MISUSED]),
        lambda _, guest: guest.diagnose(accepted=[MISUSED]),
        lambda _, guest: guest.diagnose(changes=[MISUSED]),
    ],
)
def test_what_is_given_instead_of_a_value_is_named_before_anything_is_sent(
    world: World, host: Host, misuse: Callable[[Host, Guest], object]
) -> None:
    guest = guest_of(world, "web")
    with pytest.raises(ConfigurationError, match=r"Invalid \w+ 'ssh://root@web'"):
        misuse(host, guest)
    assert (host.session.stats.round_trips, guest.session.stats.round_trips) == (0, 0)


def test_where_the_host_shows_nothing_the_guest_is_judged_alone(world: World, host: Host) -> None:
    world.access = "denied"
    diagnosis = host.vm(BACKUP).diagnose(guest_of(world, "web", vm_id=None))
    assert diagnosis.host is None
    assert {one.id for one in diagnosis.findings} >= {"rights-missing-on-host", "guest-service-not-running"}
    with pytest.raises(PermissionDeniedError):
        host.vm(BACKUP).diagnose()


def test_where_nothing_runs_inside_the_guest_is_not_asked(world: World, host: Host) -> None:
    world.machine("backup").state = "Saved"
    guest = guest_of(world, "backup")
    diagnosis = host.vm(BACKUP).diagnose(guest)
    assert found(diagnosis.findings, "machine-not-running").severity is Severity.NOTE
    assert diagnosis.guest is None
    assert guest.session.stats.round_trips == 0


def test_both_ends_have_one_deadline(world: World) -> None:
    clock = VirtualClock()
    world.faults.append(Fault(action="delay", cmdlet="Get-Service", seconds=30))
    world.faults.append(Fault(action="delay", cmdlet="Get-VM", seconds=30))
    host = Host(Simulator(world, clock=clock))
    guest = Guest(Simulator(world, guest="backup", clock=clock))
    with pytest.raises(TimeoutError, match="45"):
        host.vm(BACKUP).diagnose(guest, timeout=45)


# -- applying --------------------------------------------------------------------------------------------------------


def test_what_a_finding_offers_is_applied_on_the_host(world: World, host: Host) -> None:
    vm = host.vm(BACKUP)
    fix = found(vm.diagnose().findings, "file-copy-off").fix
    assert fix is not None
    made = vm.apply(fix)
    assert isinstance(made, ServiceChange)
    assert (made.outcome, made.before, made.enable) == (ChangeOutcome.CHANGED, False, True)
    assert world.machine("backup").setting(ServiceKind.GUEST_SERVICE_INTERFACE).enabled
    assert not [one for one in vm.diagnose().findings if one.id == "file-copy-off"]


def test_what_a_finding_offers_is_applied_in_the_guest(world: World, host: Host) -> None:
    vm, guest = host.vm(BACKUP), guest_of(world, "backup")
    fix = found(vm.diagnose(guest).findings, "guest-service-not-running").fix
    assert fix is not None
    made = vm.apply(fix, guest=guest)
    assert isinstance(made, GuestChange)
    assert (made.outcome, made.action, made.before) == (ChangeOutcome.CHANGED, "start", "Stopped")
    assert not [one for one in vm.diagnose(guest).findings if one.id == "guest-service-not-running"]


def fix_of(action: str, kind: ServiceKind = ServiceKind.VSS, vm_id: str | None = BACKUP, end: End = End.GUEST) -> Fix:
    return Fix(end=end, vm_id=vm_id, kind=kind, action=action, cost="", undo=None)


def test_applying_learns_what_kind_of_system_it_is(world: World) -> None:
    guest = guest_of(world, "web")
    assert guest.apply(fix_of("start", vm_id=WEB)).outcome is ChangeOutcome.CHANGED
    assert guest.family is GuestFamily.LINUX


def test_what_is_not_installed_is_installed(world: World) -> None:
    world.machine("web").linux.programs, world.machine("web").daemons = [], []
    guest = guest_of(world, "web")
    fix = next(one.fix for one in guest.diagnose().findings if one.id == "guest-service-not-installed")
    assert fix is not None
    assert fix.action == "install"
    made = guest.apply(fix)
    assert made.state is not None
    assert made.state.running


def test_a_restart_is_a_change_too(world: World) -> None:
    made = guest_of(world, "backup").apply(fix_of("restart", ServiceKind.KVP))
    assert (made.action, made.outcome) == ("restart", ChangeOutcome.CHANGED)
    assert world.journal == ["guest-stop backup vmickvpexchange", "guest-start backup vmickvpexchange"]


def test_what_is_for_another_virtual_machine_is_refused(world: World, host: Host) -> None:
    other = host.vm(DEMOVM)
    for fix in (fix_of("enable", end=End.HOST), fix_of("start")):
        with pytest.raises(ConfigurationError, match="Nothing was changed"):
            other.apply(fix, guest=guest_of(world, "demovm"))
    with pytest.raises(ConfigurationError, match="Nothing was changed"):
        guest_of(world, "demovm", vm_id=other.id).apply(fix_of("start"))
    with pytest.raises(InvalidStateError, match="is not the virtual machine"):
        guest_of(world, "demovm").apply(fix_of("start"))
    assert world.journal == []


@pytest.mark.parametrize(
    ("fix", "says"),
    [
        (None, "Invalid fix None"),
        (fix_of("start"), "done in the guest"),
        (fix_of("enable", vm_id=None, end=End.HOST), "for the virtual machine None"),
        (fix_of("start", end=End.HOST), "'start' is nothing"),
        (fix_of("enable", ServiceKind.POWERSHELL_DIRECT, end=End.HOST), "'enable' is nothing"),
    ],
)
def test_what_cannot_be_done_on_the_host_is_refused(host: Host, fix: Any, says: str) -> None:  # noqa: ANN401
    with pytest.raises(ConfigurationError, match=says):
        host.vm(BACKUP).apply(fix)
    assert host.session.stats.round_trips == 0


@pytest.mark.parametrize(
    ("fix", "says"),
    [
        (None, "Invalid fix None"),
        (fix_of("enable", end=End.HOST), "done on the host"),
        (fix_of("format"), "Invalid action 'format'"),
        (fix_of("stop", ServiceKind.SHUTDOWN), "needs to be confirmed"),
        (fix_of("disabled", ServiceKind.TIME_SYNC), "needs to be confirmed"),
        (fix_of("stop", ServiceKind.KVP), "runs on"),
    ],
)
def test_what_cannot_be_done_in_the_guest_is_refused(world: World, fix: Any, says: str) -> None:  # noqa: ANN401
    with pytest.raises(ConfigurationError, match=says):
        guest_of(world, "backup", carrier=ServiceKind.KVP).apply(fix)
    assert world.journal == []


def test_what_has_to_be_confirmed_can_be(world: World) -> None:
    fix = fix_of("stop", ServiceKind.SHUTDOWN)
    assert guest_of(world, "backup").apply(fix, confirm=True).outcome is ChangeOutcome.CHANGED


# -- a whole host ----------------------------------------------------------------------------------------------------


def test_an_audit_of_the_host_alone_is_one_round_trip(host: Host) -> None:
    audit = host.audit()
    assert host.session.stats.round_trips == 1
    assert len(audit.diagnoses) == 5
    assert all(diagnosis.guest is None for diagnosis in audit.diagnoses)
    assert Audit.from_dict(json.loads(json.dumps(audit.to_dict()))) == audit


def test_an_audit_asks_the_guests_that_run_and_shows_the_worst_first(world: World, host: Host) -> None:
    audit = host.audit(ways_into(world))
    assert [diagnosis.vm_name for diagnosis in audit.diagnoses][:2] == ["backup", "web"]
    assert {diagnosis.vm_name: diagnosis.guest is None for diagnosis in audit.diagnoses} == {
        **dict.fromkeys(("demovm", "backup", "web", "legacy"), False),
        "spare": True,
    }
    assert len(audit.errors) == 0
    order = [finding.severity for finding in audit.findings]
    assert order == sorted(order, key=["error", "warning", "note"].index)


def test_a_guest_that_fails_is_an_entry_and_its_machine_is_judged_from_the_host(world: World, host: Host) -> None:
    def way(vm: VM) -> Guest | None:
        if vm.name == "demovm":
            return None
        if vm.name == "legacy":
            raise ConfigurationError("There is no password for it.")
        return guest_of(world, "web" if vm.name == "backup" else vm.name, vm_id=vm.id)

    audit = host.audit(way)
    errors = {error.vm_name: error.message for error in audit.errors}
    assert sorted(map(str, errors)) == ["backup", "legacy"]
    assert errors["legacy"] == "There is no password for it."
    backup = next(diagnosis for diagnosis in audit.diagnoses if diagnosis.vm_name == "backup")
    assert backup.guest is None
    assert found(backup.findings, "backup-silent").vm_id == BACKUP


def test_guests_are_asked_beside_each_other_so_many_at_once_and_closed(world: World, host: Host) -> None:
    together = threading.Barrier(2, timeout=30)
    lock = threading.Lock()
    opened: list[Guest] = []
    now, most = 0, 0

    def way(vm: VM) -> Guest:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait()
        with lock:
            now -= 1
            opened.append(guest_of(world, vm.name))
            return opened[-1]

    with within(30):
        host.audit(way, parallel=2)
    assert most == 2
    assert len(opened) == 4
    assert all(guest.session.closed for guest in opened)


def test_what_has_not_answered_in_time_is_an_entry(world: World) -> None:
    answered = threading.Event()

    def way(vm: VM) -> Guest | None:
        if vm.name == "web":
            answered.wait(30)
            return None
        return guest_of(world, vm.name)

    try:
        audit = Host(Simulator(world)).audit(way, timeout=0.5)
    finally:
        answered.set()
    late = [error for error in audit.errors if error.vm_name == "web"]
    assert [error.message for error in late] == [
        "The guest had not answered after 0.5 seconds, which all of them had together."
    ]


def test_no_thread_of_an_audit_keeps_the_interpreter_from_ending(world: World, host: Host) -> None:
    threads: list[threading.Thread] = []

    def way(vm: VM) -> Guest:
        threads.append(threading.current_thread())
        return guest_of(world, vm.name)

    host.audit(way)
    assert len(threads) == 4
    assert all(thread.daemon for thread in threads)


def test_after_a_fault_of_the_caller_no_guest_is_asked_any_more(world: World) -> None:
    asked: list[str] = []
    go_on = threading.Event()

    def way(vm: VM) -> Guest | None:
        asked.append(vm.name)
        go_on.wait(30)
        return None

    with within(30):
        Host(Simulator(world)).audit(way, parallel=1, timeout=0.3)
    go_on.set()
    assert asked == ["demovm"]


def test_a_host_that_does_not_describe_itself_is_an_entry(
    world: World, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> Operation[HostInfo]:
        yield Sleep(0)
        raise ConnectionLostError("The connection was lost.", address="sim:")

    monkeypatch.setattr(hosts, "read_host", lost)
    audit = host.audit(ways_into(world))
    assert len(audit.diagnoses) == 5
    assert [error.message for error in audit.errors] == ["The connection was lost."]


def test_a_fault_of_the_caller_is_raised(host: Host) -> None:
    passwords: dict[str, str] = {}
    with pytest.raises(KeyError):
        host.audit(lambda vm: vm.guest(credential=Credential("Administrator", passwords[vm.name])))
    way: Any = lambda _vm: "ssh://web"  # noqa: E731 - of a type that Host.audit does not take
    with pytest.raises(ConfigurationError, match="neither a Guest nor None"):
        host.audit(way)
    with pytest.raises(ConfigurationError, match="parallel"):
        host.audit(parallel=0)


def test_guests_by_powershell_direct_take_turns_on_the_hosts_connection(host: Host) -> None:
    credential = Credential("Administrator", "Guest-Passw0rd")
    audit = host.audit(lambda vm: None if vm.name == "web" else vm.guest(credential=credential))
    assert sum(diagnosis.guest is not None for diagnosis in audit.diagnoses) == 3
    assert not host.session.closed


# -- from one audit to the next --------------------------------------------------------------------------------------


def test_an_audit_says_what_is_new_and_what_is_gone(world: World, host: Host) -> None:
    before = host.audit(ways_into(world))
    host.vm(BACKUP).services["vss"].disable()
    world.machine("demovm").setting(ServiceKind.SHUTDOWN).enabled = False
    after = host.audit(ways_into(world))
    changes = after.since(Audit.from_dict(json.loads(json.dumps(before.to_dict()))))
    assert {(one.vm_name, one.id) for one in changes.new} == {
        ("backup", "backup-off"),
        ("demovm", "shutdown-off"),
    }
    assert {(one.vm_name, one.id) for one in changes.gone} == {
        ("backup", "guest-service-not-running"),
    }
    assert changes.table().to_text().endswith("Findings that are gone: 1.")
    assert "; 2 new; 1 gone." in str(changes)


def test_what_was_not_looked_for_is_not_gone(world: World, host: Host) -> None:
    before = host.audit(ways_into(world))
    world.machines[:] = [machine for machine in world.machines if machine.name != "legacy"]
    gone = host.audit().since(before).gone
    assert len(gone) == 0


def test_what_was_accepted_is_new_once_that_is_over(world: World, host: Host) -> None:
    fact = found((one for one in host.audit().findings if one.vm_name == "backup"), "file-copy-off")
    accepted = Acceptance(finding=fact.id, vm_id=BACKUP, reason="Nobody copies.", until=date.max)
    before = host.audit(accepted=[accepted])
    assert [one.id for one in before.findings if one.acceptance is not None] == ["file-copy-off"]
    over = attrs.evolve(accepted, until=date.min)
    assert [one.key for one in host.audit(accepted=[over]).since(before).new] == [fact.key]
    assert len(host.audit(accepted=[accepted]).since(host.audit()).new) == 0


def test_an_acceptance_is_for_a_virtual_machine_in_any_spelling_and_until_a_day(host: Host) -> None:
    accepted = Acceptance(finding="file-copy-off", vm_id=f"{{{BACKUP.upper()}}}", reason="Why not.", until=date.max)
    assert [one.vm_id for one in host.audit(accepted=[accepted]).findings if one.acceptance] == [BACKUP]
    untils: list[Any] = ["2099-01-01", datetime(2099, 1, 1, tzinfo=UTC)]
    for until in untils:
        with pytest.raises(ConfigurationError, match="no day"):
            Acceptance(finding="file-copy-off", vm_id=BACKUP, reason="", until=until)


def test_audits_of_two_hosts_are_not_compared(host: Host) -> None:
    audit = host.audit()
    with pytest.raises(ConfigurationError, match="sim:elsewhere"):
        audit.since(attrs.evolve(audit, address="sim:elsewhere"))
