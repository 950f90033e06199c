"""Every path of reading a guest and of changing its services: what is asked, and what callers are told."""

from __future__ import annotations

from typing import Any

import pytest

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.calls.operation import DeadlineReached, SessionClosed, Sleep
from hvintegration.errors import (
    AuthenticationError,
    CommandFailedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    DecodeError,
    HvError,
    InvalidStateError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ServiceNotFoundError,
    TransportTimeoutError,
    UnsupportedError,
    WaitTimeoutError,
)
from hvintegration.guest_models import GuestChange, GuestFamily, GuestServiceState, Startup
from hvintegration.models import ChangeOutcome, Health
from hvintegration.operations.guests import (
    GuestAction,
    GuestTarget,
    change_guest_service,
    list_guest_services,
    read_guest_info,
    read_guest_inventory,
    read_guest_service,
    restart_guest_service,
    set_guest_services,
    wait_until_running,
)
from hvintegration.operations.settling import FIRST_PAUSE, LEAST_FOR_A_CHANGE, LONGEST_PAUSE
from hvintegration.scripts import GET_GUEST, SET_GUEST_SERVICES, SH_GET_GUEST, SH_SET_GUEST_SERVICES
from hvintegration.service_kind import Impact, ServiceKind
from hvintegration.values import Rows

from .driving import HOST, READ_AT, Outcome, Reply, answer, drive, problem
from .linux_starting import LINUX_KINDS, linux, linux_result
from .starting import (
    HEARTBEAT,
    KVP,
    OTHER,
    SESSION,
    SHUTDOWN,
    VM_ID,
    VSS,
    eight,
    guest,
    look,
    report,
    said,
    service,
    write,
)

ANYONE = GuestTarget()
DIRECT = GuestTarget(vm_id=VM_ID, carrier=SESSION)
WINDOWS = GuestTarget(family=GuestFamily.WINDOWS)
PAUSE = Sleep(FIRST_PAUSE, leaving=LEAST_FOR_A_CHANGE)
LOST = ConnectionLostError("The connection ended.", address=HOST, may_have_run=True, fenced=True)

READ = Call(GET_GUEST, {"info": False})
NO_LIST = problem("System.InvalidOperationException,Microsoft.PowerShell.Commands.GetServiceCommand", message="Nein.")
NO_SERVICES = answer({"vm_id": None, "version": None, "services": [], "info": None})
NO_POWERSHELL = ConnectError("PowerShell did not start.", address=HOST)
NO_DETAILS = problem("HRESULT 0x80041003,CimCmdlets", "Win32_Service", message="Access denied")


def listing(*replies: Reply, target: GuestTarget = ANYONE) -> Outcome[Rows[GuestServiceState]]:
    return drive(list_guest_services(target), replies)


def by_kind(rows: Rows[GuestServiceState]) -> dict[ServiceKind | None, GuestServiceState]:
    return {row.kind: row for row in rows}


# -- reading -------------------------------------------------------------------------------------------------------


def test_all_kinds_are_listed_in_one_round_trip_in_one_order_whatever_the_guests() -> None:
    outcome = listing(guest(list(reversed(eight()))))
    assert (outcome.yielded, [row.kind for row in outcome.value]) == ((READ,), list(ServiceKind))
    assert {(row.address, row.installed, row.running, row.startup) for row in outcome.value} == {
        (HOST, True, True, Startup.TRIGGERED)
    }


def test_a_service_has_what_windows_says_of_it() -> None:
    row = by_kind(listing(guest([service(requires=["VmGid"], account="NT AUTHORITY\\LocalService")])).value)[HEARTBEAT]
    assert (row.name, row.display_name, row.status) == ("vmicheartbeat", "Anzeigename von heartbeat", "Running")
    assert (row.pid, row.account, row.requires) == (1204, "NT AUTHORITY\\LocalService", ("VmGid",))
    assert (row.program, row.version) == ("C:\\Windows\\system32\\svchost.exe -k ICService -p", "10.0.20348")
    assert (row.device, row.offered, row.health, row.read_at) == (None, None, Health.OK, READ_AT)


@pytest.mark.parametrize("name", ["vmicheartbeat", "VMICHEARTBEAT", "vmicHeartBeat"])
def test_a_service_is_told_by_its_name_in_any_case_and_never_by_what_people_are_shown(name: str) -> None:
    rows = by_kind(listing(guest([service(name=name, display_name="Hyper-V Guest Shutdown Service")])).value)
    assert (rows[HEARTBEAT].name, rows[HEARTBEAT].installed, rows[SHUTDOWN].installed) == (name, True, False)


def test_a_service_of_the_future_is_a_row_without_a_kind_behind_the_others() -> None:
    row = listing(guest([*eight(), service(name="vmicfuture")])).value[-1]
    assert (row.kind, row.name, row.installed, row.running) == (None, "vmicfuture", True, True)


def test_what_windows_does_not_list_is_not_installed() -> None:
    row = by_kind(listing(guest([service()])).value)[VSS]
    assert (row.installed, row.running, row.startup, row.health) == (False, False, None, Health.DISABLED)
    assert (row.cannot_start, row.cannot_stop, row.notes) == (
        "It is not installed.",
        "It is not installed.",
        ("It is not installed.",),
    )


def test_what_could_not_be_listed_is_not_called_absent() -> None:
    rows = listing(guest([service()], NO_LIST)).value
    row = by_kind(rows)[VSS]
    assert (row.installed, row.running, row.health) == (None, None, Health.UNKNOWN)
    assert (row.cannot_start, row.cannot_stop) == (None, None)
    assert [failure.message for failure in rows.errors] == ["Nein."]


def test_details_that_cannot_be_read_say_nothing_of_what_is_installed() -> None:
    rows = listing(guest([service(path=None, account=None, process_id=None)], NO_DETAILS)).value
    assert [failure.message for failure in rows.errors] == ["Access denied"]
    assert (by_kind(rows)[HEARTBEAT].pid, by_kind(rows)[VSS].installed) == (None, False)


def test_a_service_whose_name_cannot_be_read_makes_no_other_one_absent() -> None:
    rows = listing(guest([service(), service(VSS, name=None)])).value
    assert (by_kind(rows)[VSS].installed, by_kind(rows)[KVP].installed) == (None, None)
    assert [failure.message for failure in rows.errors] == [
        "The guest gave no value for Name of an integration service."
    ]


def test_where_no_name_can_be_read_it_is_not_called_no_guest() -> None:
    outcome = listing(guest([service(name=None)]))
    assert "gave no value for Name" in str(outcome.error(CommandFailedError))


@pytest.mark.parametrize(
    ("field", "attribute"),
    [("state", "running"), ("start_type", "startup"), ("process_id", "pid"), ("requires", "requires")],
)
def test_what_could_not_be_found_out_is_none(field: str, attribute: str) -> None:
    row = by_kind(listing(guest([service() | {field: None}])).value)[HEARTBEAT]
    assert (row.installed, getattr(row, attribute)) == (True, None)


@pytest.mark.parametrize(
    ("start_type", "triggered", "startup"),
    [
        ("Automatic", False, Startup.AUTOMATIC),
        ("Automatic", True, Startup.AUTOMATIC),
        ("Auto", False, Startup.AUTOMATIC),
        ("Manual", True, Startup.TRIGGERED),
        ("Manual", False, Startup.MANUAL),
        ("Manual", None, Startup.MANUAL),
        ("Disabled", True, Startup.DISABLED),
        ("Boot", False, None),
        (None, True, None),
    ],
)
def test_how_a_service_comes_to_run(start_type: str | None, triggered: object, startup: Startup | None) -> None:
    row = by_kind(listing(guest([service(start_type=start_type, triggered=triggered)])).value)[HEARTBEAT]
    assert row.startup is startup


def test_what_the_connection_runs_on_cannot_be_stopped_and_says_so() -> None:
    rows = by_kind(listing(guest(), target=DIRECT).value)
    assert [kind for kind, row in rows.items() if row.cannot_stop] == [SESSION]
    assert by_kind(listing(guest()).value)[SESSION].cannot_stop is None


@pytest.mark.parametrize(
    ("reply", "path"),
    [
        (guest("x"), "$.result.services"),
        (guest([1]), "$.result.services[0]"),
        (guest([service(state=1)]), "$.result.services[0].state"),
        (guest([service(requires="VmGid")]), "$.result.services[0].requires"),
        (guest([service(requires=[None])]), "$.result.services[0].requires[0]"),
        (guest(vm_id=1), "$.result.vm_id"),
    ],
)
def test_an_answer_of_another_shape_says_where(reply: Answer, path: str) -> None:
    assert listing(reply).error(DecodeError).path == path


def test_one_service_is_one_round_trip_also_if_it_is_not_installed() -> None:
    outcome = drive(read_guest_service(ANYONE, VSS), [guest([service()])])
    assert (outcome.yielded, outcome.value.kind, outcome.value.installed) == ((READ,), VSS, False)


def test_a_windows_that_is_no_guest_says_so() -> None:
    error = listing(NO_SERVICES, target=WINDOWS).error(UnsupportedError)
    assert error.needs == "a Windows guest of Hyper-V"


@pytest.mark.parametrize("first", [NO_SERVICES, NO_POWERSHELL], ids=["no services", "no PowerShell"])
def test_a_machine_that_is_no_windows_guest_is_asked_by_its_shell_and_read_as_linux(first: Reply) -> None:
    target = GuestTarget()
    outcome = listing(first, linux(), target=target)
    assert [call.script for call in outcome.calls] == [GET_GUEST, SH_GET_GUEST]
    assert [row.kind for row in outcome.value] == [*LINUX_KINDS]
    assert target.family is GuestFamily.LINUX
    again = listing(linux(), target=target)
    assert [call.script for call in again.calls] == [SH_GET_GUEST]


@pytest.mark.parametrize(
    "shell",
    [
        ConnectError("No sh.", address=HOST),
        ConfigurationError("It runs PowerShell."),
        linux(kernel="SunOS"),
        linux(kernel=None),
        linux(kernel=7),
        LOST,
    ],
    ids=["none", "no way to one", "another system", "it does not say", "nonsense", "lost"],
)
def test_where_no_shell_answers_what_powershell_was_stays(shell: Reply) -> None:
    target = GuestTarget()
    assert listing(NO_POWERSHELL, shell, target=target).error(ConnectError) is NO_POWERSHELL
    assert target.family is None


@pytest.mark.parametrize(
    ("reply", "target"),
    [(NO_POWERSHELL, WINDOWS), (AuthenticationError("No.", address=HOST), GuestTarget()), (LOST, GuestTarget())],
    ids=["it is known", "nobody may ask", "it was lost"],
)
def test_otherwise_no_shell_is_asked(reply: HvError, target: GuestTarget) -> None:
    outcome = listing(reply, target=target)
    assert outcome.error(type(reply)) is reply
    assert outcome.calls == (READ,)


def test_what_is_said_to_be_linux_is_not_asked_for_services_of_windows() -> None:
    target = GuestTarget(family=GuestFamily.LINUX)
    assert [call.script for call in listing(linux(), target=target).calls] == [SH_GET_GUEST]
    error = listing(linux(kernel="Darwin"), target=target).error(UnsupportedError)
    assert (error.address, error.needs, "runs Darwin" in str(error)) == (HOST, "a Linux guest of Hyper-V", True)


def test_a_change_of_a_guest_that_turns_out_to_be_linux_is_made_there_once() -> None:
    target = GuestTarget()
    made = answer(linux_result(processes=[]) | {"changes": [{"was": True, "begun": True}]})
    outcome = drive(
        change_guest_service(target, KVP, GuestAction.STOP, confirm=False),
        [NO_POWERSHELL, NO_POWERSHELL, linux(), made],
    )
    assert [call.script for call in outcome.calls] == [
        SET_GUEST_SERVICES,
        GET_GUEST,
        SH_GET_GUEST,
        SH_SET_GUEST_SERVICES,
    ]
    assert outcome.value.running is False


def test_a_powershell_without_services_is_no_windows_guest() -> None:
    """PowerShell 7 on Linux has no such command; a module that is not there is another matter."""
    missing = problem("CommandNotFoundException", category="ObjectNotFound") | {
        "target_object": "Microsoft.PowerShell.Management\\Get-Service"
    }
    error = listing(answer(None, missing), target=WINDOWS).error(UnsupportedError)
    assert (error.needs, "PSModulePath" in str(error.hint)) == ("a Windows guest of Hyper-V", False)
    module = listing(answer(None, missing | {"id": "CouldNotAutoLoadModule"})).error(UnsupportedError)
    assert "PSModulePath" in str(module.hint)


def test_a_user_who_may_not_list_services_is_not_told_that_there_are_none() -> None:
    for reply in (said([], [], NO_LIST), answer(None, NO_LIST)):
        error = listing(reply).error(CommandFailedError)
        assert (error.host_message, "administrator of the guest" in str(error.hint)) == ("Nein.", True)


# -- which guest ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "known", [VM_ID, VM_ID.upper(), f"{{{VM_ID.upper()}}}", f" {VM_ID} ", None, "", "not a GUID", "00-11"]
)
def test_a_guest_that_is_the_one_or_does_not_know_is_taken(known: str | None) -> None:
    outcome = listing(guest(vm_id=known), target=DIRECT)
    assert len(outcome.value) == len(ServiceKind)


def test_what_is_no_id_is_not_told_as_one() -> None:
    info = drive(read_guest_info(ANYONE), [guest(vm_id="not a GUID", info={})]).value
    assert info.vm_id is None


def test_another_guest_is_refused() -> None:
    error = listing(guest(vm_id=OTHER.upper()), target=DIRECT).error(InvalidStateError)
    assert (error.current, error.expected) == (OTHER, VM_ID)


def test_another_guest_is_refused_before_anything_is_changed() -> None:
    entry = problem("AnotherVirtualMachine") | {"target_object": OTHER}
    refused = answer({"vm_id": OTHER, "version": None, "changes": None, "services": None}, entry)
    outcome = drive(change_guest_service(DIRECT, HEARTBEAT, GuestAction.START, confirm=False), [refused])
    assert outcome.yielded == (write((HEARTBEAT, "start"), vm_id=VM_ID),)
    assert "Nothing was changed" in str(outcome.error(InvalidStateError))


def test_the_inventory_has_the_guest_its_services_and_what_could_not_be_read() -> None:
    outcome = drive(
        read_guest_inventory(ANYONE), [guest(None, NO_DETAILS, info={"name": "WEB1", "administrator": True})]
    )
    found = outcome.value
    assert outcome.yielded == (Call(GET_GUEST, {"info": True}),)
    assert (found.info.name, found.info.administrator, found.info.caption) == ("WEB1", True, None)
    assert (len(found.services), [failure.message for failure in found.errors]) == (8, ["Access denied"])


# -- waiting -------------------------------------------------------------------------------------------------------


def waiting(*replies: Reply) -> Outcome[GuestServiceState]:
    return drive(wait_until_running(ANYONE, VSS), replies)


def test_what_runs_is_not_waited_for() -> None:
    outcome = waiting(guest())
    assert (outcome.yielded, outcome.value.running) == ((READ,), True)


def test_what_does_not_run_is_looked_at_again_with_growing_pauses() -> None:
    stopped: list[Reply] = [guest(eight(vss="Stopped")), None] * 8
    outcome = waiting(*stopped, guest())
    assert (outcome.pauses[:3], max(outcome.pauses)) == ((0.5, 0.75, 1.125), LONGEST_PAUSE)


@pytest.mark.parametrize(
    "end", [DeadlineReached(), TransportTimeoutError(address=HOST, after=1.0)], ids=["before a look", "in a look"]
)
def test_the_state_that_was_seen_last_is_told_at_the_end(end: HvError | DeadlineReached) -> None:
    error = waiting(guest(eight(vss="StartPending")), None, end).error(WaitTimeoutError)
    assert isinstance(error.last, GuestServiceState)
    assert (error.last.status, "StartPending" in str(error)) == ("StartPending", True)
    assert waiting(end).error(type(end)) is end


@pytest.mark.parametrize(
    ("services", "kind"),
    [([service()], ServiceNotFoundError), ([service(VSS, "Stopped", start_type="Disabled")], InvalidStateError)],
)
def test_what_cannot_come_to_run_is_not_waited_for(services: list[dict[str, Any]], kind: type[HvError]) -> None:
    assert isinstance(waiting(guest(services)).error(kind), kind)


# -- one change ----------------------------------------------------------------------------------------------------


def changing(
    action: str, *replies: Reply, kind: ServiceKind = VSS, target: GuestTarget = ANYONE, confirm: bool = False
) -> Outcome[GuestServiceState]:
    return drive(change_guest_service(target, kind, GuestAction(action), confirm=confirm), replies)


STOPPED = service(VSS, "Stopped")
RUNNING = service(VSS)
STARTING = service(VSS, "StartPending")
STOPPING = service(VSS, "StopPending")


def test_a_start_is_one_round_trip_with_the_state_after() -> None:
    outcome = changing("start", said([report(STOPPED)], [RUNNING]))
    assert (outcome.yielded, outcome.value.running) == ((write((VSS, "start")),), True)


@pytest.mark.parametrize(("run", "is_so"), [(True, RUNNING), (False, STOPPED)])
def test_what_is_as_wanted_is_left_alone(*, run: bool, is_so: dict[str, Any]) -> None:
    (made,) = setting((VSS, run), replies=[said([report(is_so, begun=False)], [is_so])]).value
    assert (made.outcome, made.error) == (ChangeOutcome.UNCHANGED, None)


@pytest.mark.parametrize("startup", ["automatic", "manual", "disabled"])
def test_a_startup_is_one_round_trip_with_the_state_after(startup: str) -> None:
    before = service(VSS, start_type="Manual" if startup != "manual" else "Disabled")
    outcome = changing(startup, said([report(before)], [service(VSS, start_type=startup.capitalize())]))
    assert outcome.yielded == (write((VSS, startup)),)
    assert outcome.value.startup is (Startup.TRIGGERED if startup == "manual" else Startup(startup))


def test_a_slow_start_is_looked_at_again_and_told_once_it_is_settled() -> None:
    outcome = changing(
        "start", said([report(STOPPED)], [STARTING]), None, said([report(STARTING, begun=False)], [RUNNING])
    )
    assert outcome.yielded == (write((VSS, "start")), PAUSE, look((VSS, "start")))
    assert outcome.value.status == "Running"


def test_what_was_begun_is_told_as_changed_although_it_took_a_while() -> None:
    replies = [said([report(STOPPED)], [STARTING]), None, said([report(STARTING, begun=False)], [RUNNING])]
    (made,) = drive(set_guest_services(ANYONE, [(VSS, True)], dry_run=False, confirm=False), replies).value
    assert (made.outcome, made.before, made.error) == (ChangeOutcome.CHANGED, "Stopped", None)


def test_what_stops_again_after_a_slow_start_is_not_started_twice() -> None:
    outcome = changing(
        "start", said([report(STOPPED)], [STARTING]), None, said([report(STOPPED, begun=False)], [STOPPED])
    )
    assert [call.effect.value for call in outcome.calls] == ["write", "read"]
    assert outcome.error(InvalidStateError).expected == "enabled on the host"


def test_what_somebody_else_is_stopping_is_started_once_that_is_over() -> None:
    outcome = changing(
        "start", said([report(STOPPING, begun=False)], [STOPPING]), None, said([report(STOPPED)], [RUNNING])
    )
    assert outcome.yielded == (write((VSS, "start")), PAUSE, write((VSS, "start")))
    assert outcome.value.running


def test_of_two_only_what_has_not_been_begun_is_asked_for_again() -> None:
    first = said(
        [report(STOPPED), report(service(KVP, "StopPending"), begun=False)], [STARTING, service(KVP, "StopPending")]
    )
    second = said([report(service(KVP, "Stopped"))], [RUNNING, service(KVP)])
    outcome = drive(
        set_guest_services(ANYONE, [(VSS, True), (KVP, True)], dry_run=False, confirm=False), [first, None, second]
    )
    assert outcome.yielded == (write((VSS, "start"), (KVP, "start")), PAUSE, write((KVP, "start")))
    assert [(made.outcome, made.before) for made in outcome.value] == [
        (ChangeOutcome.CHANGED, "Stopped"),
        (ChangeOutcome.CHANGED, "Stopped"),
    ]


def test_a_start_that_never_ends_tells_the_state_at_the_deadline() -> None:
    pending: list[Reply] = [None, said([report(STARTING, begun=False)], [STARTING])] * 3
    outcome = changing("start", said([report(STOPPED)], [STARTING]), *pending, DeadlineReached())
    error = outcome.error(WaitTimeoutError)
    assert isinstance(error.last, GuestServiceState)
    assert (error.last.status, [call.effect.value for call in outcome.calls]) == (
        "StartPending",
        ["write", "read", "read", "read"],
    )


def test_a_service_that_the_host_does_not_offer_stops_again_and_that_is_said() -> None:
    error = changing("start", said([report(STOPPED)], [STOPPED])).error(InvalidStateError)
    assert "the host does not offer it" in str(error)
    assert (error.expected, "enable()" in str(error.hint)) == ("enabled on the host", True)


def test_a_stopped_service_that_runs_again_is_said() -> None:
    error = changing("stop", said([report(RUNNING)], [RUNNING])).error(CommandFailedError)
    assert "runs again: Hyper-V starts what is enabled on the host" in str(error)


def test_a_disabled_service_is_not_started_and_how_to_is_said() -> None:
    disabled = service(VSS, "Stopped", start_type="Disabled")
    error = changing("start", said([report(disabled, begun=False)], [disabled])).error(InvalidStateError)
    assert (error.current, error.expected) == ("disabled", "manual")
    assert "set_startup" in str(error.hint)


@pytest.mark.parametrize("action", ["stop", "automatic"])
def test_that_a_service_is_disabled_is_in_the_way_of_starting_it_only(action: str) -> None:
    disabled = service(VSS, start_type="Disabled")
    error = changing(action, said([report(disabled)], [disabled])).error(CommandFailedError)
    assert "cannot" not in str(error)


def test_a_service_that_is_not_installed_is_not_found() -> None:
    error = changing("start", said([None], [service()])).error(ServiceNotFoundError)
    assert "vmicvss" in str(error.hint)


def test_a_service_that_could_not_be_listed_is_not_called_absent_when_it_is_changed() -> None:
    error = changing("start", said([None], [service()], NO_LIST)).error(CommandFailedError)
    assert "could not be read" in str(error)


def test_of_two_changes_the_error_of_one_does_not_hide_that_the_other_is_not_installed() -> None:
    no = problem("CouldNotStartService,x", "0", category="OpenError", message="Nein.")
    kvp = service(KVP, "Stopped")
    failed, absent = drive(
        set_guest_services(ANYONE, [(KVP, True), (VSS, True)], dry_run=False, confirm=False),
        [said([report(kvp), None], [kvp], no)],
    ).value
    assert failed.error is not None
    assert absent.error is not None
    assert (failed.error.message, absent.error.message) == ("Nein.", "It is not installed in the guest.")


@pytest.mark.parametrize(
    ("error_id", "category", "kind"),
    [
        ("CouldNotStopService,x", "CloseError", CommandFailedError),
        ("CouldNotStopService,x", "PermissionDenied", PermissionDeniedError),
    ],
)
def test_a_refused_change_says_who_may(error_id: str, category: str, kind: type[HvError]) -> None:
    no = problem(error_id, "0", category=category, message="Cannot open vmicvss service on computer '.'.")
    error = changing("stop", said([report(RUNNING)], [RUNNING], no)).error(kind)
    assert ("Cannot open vmicvss" in str(error), "administrator of the guest" in str(error.hint)) == (True, True)


def test_an_error_of_a_command_is_none_where_the_state_is_as_wanted() -> None:
    no = problem("CouldNotStartService,x", "0", message="Nein.")
    (made,) = drive(
        set_guest_services(ANYONE, [(VSS, True)], dry_run=False, confirm=False),
        [said([report(STOPPED)], [RUNNING], no)],
    ).value
    assert (made.outcome, made.error) == (ChangeOutcome.CONFIRMED, None)


def test_an_error_about_something_else_is_not_about_the_first_change() -> None:
    (made,) = drive(
        set_guest_services(ANYONE, [(VSS, True)], dry_run=False, confirm=False),
        [said([report(STOPPED)], [RUNNING], NO_DETAILS)],
    ).value
    assert (made.outcome, made.error) == (ChangeOutcome.CHANGED, None)


@pytest.mark.parametrize("begun", [True, False])
def test_a_paused_service_is_not_called_stopped(*, begun: bool) -> None:
    paused = service(VSS, "Paused")
    no = [problem("CouldNotStopService,x", "0", message="Nein.")] if begun else []
    (made,) = drive(
        set_guest_services(ANYONE, [(VSS, False)], dry_run=not begun, confirm=True),
        [said([report(paused, begun=begun)], [paused], *no)],
    ).value
    assert made.outcome is (ChangeOutcome.FAILED if begun else ChangeOutcome.WOULD_CHANGE)


def test_what_was_begun_and_cannot_be_read_afterwards_is_unknown() -> None:
    error = changing("start", said([report(STOPPED)], [], NO_LIST)).error(OutcomeUnknownError)
    assert error.asked == ("start VSS",)


def test_a_startup_that_cannot_be_read_afterwards_is_unknown() -> None:
    unread = service(VSS, start_type=None)
    error = changing("automatic", said([report(unread)], [unread])).error(OutcomeUnknownError)
    assert error.asked == ("set the startup of VSS to automatic",)


def test_a_startup_is_settled_although_the_service_is_starting() -> None:
    no = problem("CouldNotSetService,x", "0", category="PermissionDenied", message="Nein.")
    outcome = changing("automatic", said([report(STARTING)], [STARTING], no))
    assert outcome.yielded == (write((VSS, "automatic")),)
    assert isinstance(outcome.error(PermissionDeniedError), PermissionDeniedError)


# -- what is refused before anything is sent -----------------------------------------------------------------------


def test_what_a_guest_is_severely_limited_without_is_stopped_only_if_that_is_confirmed() -> None:
    high = [kind for kind in ServiceKind if kind.impact is Impact.HIGH]
    assert high == [SHUTDOWN, ServiceKind.TIME_SYNC]
    for kind in high:
        for action in ("stop", "disabled"):
            outcome = changing(action, kind=kind)
            assert kind.when_disabled in str(outcome.error(ConfigurationError))
            assert outcome.yielded == ()
        for action in ("start", "automatic", "manual"):
            assert isinstance(
                changing(action, answer(None, problem("x")), kind=kind).error(CommandFailedError), CommandFailedError
            )


def test_confirming_is_accepted_for_all() -> None:
    for kind in ServiceKind:
        stopped = service(kind, "Stopped")
        outcome = changing("stop", said([report(service(kind))], [stopped]), kind=kind, confirm=True)
        assert outcome.value.status == "Stopped"


@pytest.mark.parametrize("confirm", [False, True])
def test_what_the_connection_runs_on_is_not_stopped_over_it(*, confirm: bool) -> None:
    for operation in (
        change_guest_service(DIRECT, SESSION, GuestAction.STOP, confirm=confirm),
        restart_guest_service(DIRECT, SESSION),
        set_guest_services(DIRECT, [(VSS, True), (SESSION, False)], dry_run=False, confirm=confirm),
        set_guest_services(DIRECT, [(SESSION, False)], dry_run=True, confirm=confirm),
    ):
        outcome: Outcome[Any] = drive(operation)
        assert "connection with this guest runs on" in str(outcome.error(ConfigurationError))
        assert outcome.yielded == ()


def test_a_contradiction_is_refused() -> None:
    outcome = drive(set_guest_services(ANYONE, [(KVP, True), (VSS, True), (KVP, False)], dry_run=True, confirm=True))
    assert outcome.yielded == ()
    assert str(outcome.error(ConfigurationError)) == ("Key-Value Pair Exchange is to be both started and stopped.")


# -- many ----------------------------------------------------------------------------------------------------------


def setting(
    *wanted: tuple[ServiceKind, bool], replies: list[Reply], dry_run: bool = False
) -> Outcome[tuple[GuestChange, ...]]:
    return drive(set_guest_services(ANYONE, wanted, dry_run=dry_run, confirm=False), replies)


def test_nothing_to_do_asks_nothing() -> None:
    outcome = setting(replies=[])
    assert (outcome.yielded, outcome.value) == ((), ())


def test_the_same_twice_is_asked_once_and_answered_twice() -> None:
    outcome = setting((VSS, True), (VSS, True), replies=[said([report(STOPPED)], [RUNNING])])
    assert (outcome.yielded, [made.outcome for made in outcome.value]) == (
        (write((VSS, "start")),),
        [ChangeOutcome.CHANGED] * 2,
    )


def test_a_dry_run_reads_and_says_what_would_be_without_a_confirmation() -> None:
    answered = said(
        [report(STOPPED, begun=False), report(service(SHUTDOWN), begun=False), report(service(KVP), begun=False)],
        [STOPPED, service(SHUTDOWN), service(KVP)],
    )
    outcome = setting((VSS, True), (SHUTDOWN, False), (KVP, True), replies=[answered], dry_run=True)
    assert outcome.yielded == (look((VSS, "start"), (SHUTDOWN, "stop"), (KVP, "start")),)
    assert [made.outcome for made in outcome.value] == [
        ChangeOutcome.WOULD_CHANGE,
        ChangeOutcome.WOULD_CHANGE,
        ChangeOutcome.UNCHANGED,
    ]


def test_a_dry_run_of_a_disabled_service_says_that_it_cannot() -> None:
    disabled = service(VSS, "Stopped", start_type="Disabled")
    (failed,) = setting((VSS, True), replies=[said([report(disabled, begun=False)], [disabled])], dry_run=True).value
    assert failed.error is not None
    assert (failed.outcome, failed.error.message) == (ChangeOutcome.FAILED, "It is disabled in the guest.")


# -- the answer got lost -------------------------------------------------------------------------------------------


def test_what_is_read_back_as_done_is_confirmed() -> None:
    outcome = setting((VSS, True), replies=[LOST, said([report(RUNNING, begun=False)], [RUNNING])])
    assert outcome.yielded == (write((VSS, "start")), look((VSS, "start")))
    assert [(made.outcome, made.before) for made in outcome.value] == [(ChangeOutcome.CONFIRMED, None)]


def test_what_is_read_back_as_not_done_is_sent_again() -> None:
    outcome = setting(
        (VSS, True),
        replies=[LOST, said([report(STOPPED, begun=False)], [STOPPED]), said([report(STOPPED)], [RUNNING])],
    )
    assert [call.effect.value for call in outcome.calls] == ["write", "read", "write"]
    assert outcome.value[0].outcome is ChangeOutcome.CHANGED


@pytest.mark.parametrize(
    "seen",
    [
        said([report(service(VSS, None), begun=False)], [service(VSS, None)]),
        said([None], [service()], NO_LIST),
        answer(None, NO_LIST),
        ConnectError("No.", address=HOST),
        DeadlineReached(),
    ],
    ids=["no state", "not listed", "refused", "no connection", "no time"],
)
def test_what_cannot_be_settled_is_unknown(seen: Reply) -> None:
    assert setting((VSS, True), replies=[LOST, seen]).error(OutcomeUnknownError).asked == ("start VSS",)


def test_what_is_still_under_way_is_read_back_until_it_is_over() -> None:
    seen = said([report(STARTING, begun=False)], [STARTING])
    outcome = setting(
        (VSS, True), replies=[LOST, seen, None, seen, None, said([report(RUNNING, begun=False)], [RUNNING])]
    )
    assert [call.effect.value for call in outcome.calls] == ["write", "read", "read", "read"]
    assert outcome.value[0].outcome is ChangeOutcome.CONFIRMED
    late = setting((VSS, True), replies=[LOST, seen, DeadlineReached()]).error(OutcomeUnknownError)
    assert "still under way" in str(late)


def test_what_certainly_did_not_run_is_that_error() -> None:
    refused = AuthenticationError("No.", address=HOST)
    assert setting((VSS, True), replies=[refused]).error(AuthenticationError) is refused


# -- restart -------------------------------------------------------------------------------------------------------


STOP_TO_START = Call(
    SET_GUEST_SERVICES,
    {"vm_id": None, "dry_run": False, "changes": [{"name": "vmicvss", "action": "stop", "then_start": True}]},
)


def restarting(*replies: Reply) -> Outcome[GuestServiceState]:
    return drive(restart_guest_service(ANYONE, VSS), replies)


def test_a_restart_is_a_stop_and_a_start() -> None:
    outcome = restarting(said([report(RUNNING)], [STOPPED]), said([report(STOPPED)], [RUNNING]))
    assert outcome.yielded == (STOP_TO_START, write((VSS, "start")))
    assert outcome.value.running


def test_a_restart_needs_no_confirmation() -> None:
    stopped = service(SHUTDOWN, "Stopped")
    replies = [said([report(service(SHUTDOWN))], [stopped]), said([report(stopped)], [service(SHUTDOWN)])]
    assert drive(restart_guest_service(ANYONE, SHUTDOWN), replies).value.running


def test_a_restart_that_cannot_stop_does_not_start() -> None:
    no = problem("CouldNotStopService,x", "0", message="Nein.")
    outcome = restarting(said([report(RUNNING)], [RUNNING], no))
    assert outcome.yielded == (STOP_TO_START,)
    assert isinstance(outcome.error(CommandFailedError), CommandFailedError)


def test_a_restart_does_not_stop_what_it_could_not_start() -> None:
    disabled = service(VSS, "Running", start_type="Disabled")
    outcome = restarting(said([report(disabled, begun=False)], [disabled]))
    error = outcome.error(InvalidStateError)
    assert "cannot start VSS: it is disabled in the guest" in str(error)
    assert (error.current, error.expected) == ("disabled", "manual")
    assert not [note for note in error.__notes__ if "restart" in note]
    assert outcome.yielded == (STOP_TO_START,)


def test_a_restart_that_the_session_is_closed_in_says_that_it_is_stopped() -> None:
    error = restarting(said([report(RUNNING)], [STOPPED]), SessionClosed()).error(SessionClosed)
    assert error.__notes__ == ["VSS is stopped for the restart."]


def test_a_restart_that_cannot_start_says_that_it_is_stopped() -> None:
    no = problem("CouldNotStartService,x", "0", message="Nein.")
    outcome = restarting(said([report(RUNNING)], [STOPPED]), said([report(STOPPED)], [STOPPED], no))
    assert outcome.error(CommandFailedError).__notes__[-1] == "VSS is stopped for the restart."


def test_a_restart_without_time_to_start_does_not_say_that_nothing_ran() -> None:
    error = restarting(said([report(RUNNING)], [STOPPED]), DeadlineReached()).error(WaitTimeoutError)
    assert isinstance(error.last, GuestServiceState)
    assert (error.last.status, "is stopped for the restart" in str(error)) == ("Stopped", True)
