"""Every path of switching: what is asked, what is asked again, and what callers are told.

``w`` is a write, ``r`` the dry run that reads back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.calls.operation import DeadlineReached, Sleep
from hvintegration.errors import (
    AuthenticationError,
    BusyError,
    CommandFailedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    DecodeError,
    HvError,
    InvalidStateError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProtocolError,
    ServiceNotFoundError,
    TransportError,
    TransportTimeoutError,
    VMNotFoundError,
    WaitTimeoutError,
)
from hvintegration.models import ChangeOutcome, Health, ServiceChange, ServiceState
from hvintegration.operations.services import (
    ResolvedChange,
    list_services,
    read_service,
    set_services,
    switch_service,
    wait_until_ok,
)
from hvintegration.operations.settling import FIRST_PAUSE, LEAST_FOR_A_CHANGE, LONGEST_PAUSE
from hvintegration.scripts import GET_VMS
from hvintegration.service_kind import HOST_MANAGED, ServiceKind

from .driving import HOST, READ_AT, Outcome, Reply, answer, drive, problem, service_json, vm_json
from .switching import (
    ALREADY,
    DONE,
    HEARTBEAT,
    IGNORED,
    MADE,
    ON_A,
    ON_B,
    SEEN_NOT_DONE,
    SHUTDOWN,
    UNMADE,
    VSS,
    A,
    B,
    outcomes,
    read_back,
    said,
    vm,
    write,
)

PAUSE = Sleep(FIRST_PAUSE, leaving=LEAST_FOR_A_CHANGE)

OFF_A = ResolvedChange(A, "demovm", VSS, enable=False)

ENABLE = ",Microsoft.HyperV.PowerShell.Commands.EnableVMIntegrationService"
BUSY = "InvalidState" + ENABLE


def lost(*, may_have_run: bool = True, fenced: bool = True) -> ConnectionLostError:
    return ConnectionLostError("The connection ended.", address=HOST, may_have_run=may_have_run, fenced=fenced)


def timed_out(*, may_have_run: bool = True, fenced: bool = True) -> TransportTimeoutError:
    return TransportTimeoutError(address=HOST, after=45.0, may_have_run=may_have_run, fenced=fenced)


def garbled(*, fenced: bool = True) -> ProtocolError:
    return ProtocolError("The answer is not JSON.", address=HOST, fenced=fenced)


UNREADABLE = answer({"changes": "x", "vms": []})
SEEN_DONE = said([ALREADY], [vm()])
STILL_BUSY = said([None], [vm(enabled=False)], problem(BUSY, "0", category="InvalidOperation", message="Später."))
VM_GONE = said([None], [], problem("ObjectNotFound,x", "0", category="ObjectNotFound", message="Weg."))
NO_COMPONENT = said([None], [vm_json(A, services=[])], problem("ComponentNotFound", "0", category="ObjectNotFound"))


def setting(
    replies: Sequence[Reply], *changes: ResolvedChange, dry_run: bool = False
) -> Outcome[tuple[ServiceChange, ...]]:
    return drive(set_services(changes or (ON_A,), dry_run=dry_run), replies)


# -- reading -------------------------------------------------------------------------------------------------------


def reading(vm_id: str = A) -> Call:
    return Call(GET_VMS, {"vm_id": vm_id, "name": None, "info": False, "services": True})


def listed(*services: dict[str, Any], state: str = "Running", name: str = "demovm") -> Answer:
    return answer({"vms": [vm_json(A, name, state, services=services)]})


def heartbeat(**changes: object) -> dict[str, Any]:
    return service_json(A, str(HEARTBEAT.component_id), **changes)


def test_services_are_listed_in_one_round_trip_in_the_hosts_order() -> None:
    outcome = drive(list_services(A), [answer({"vms": [vm()]})])
    assert (outcome.yielded, tuple(state.kind for state in outcome.value)) == ((reading(),), HOST_MANAGED)


def test_a_virtual_machine_can_have_no_services() -> None:
    assert list(drive(list_services(A), [listed()]).value) == []


def test_services_that_were_not_read_are_not_no_services() -> None:
    outcome = drive(list_services(A), [answer({"vms": [vm_json(A, services=None)]})])
    assert outcome.error(DecodeError).path == "$.result.vms[0].services"


def test_services_that_could_not_be_read_are_an_error() -> None:
    entry = problem("OperationFailed", A, message="Nein.")
    outcome = drive(list_services(A), [answer({"vms": [vm_json(A, services=None)]}, entry)])
    assert outcome.error(CommandFailedError).host_message == "Nein."


def test_a_service_is_told_by_its_component_and_not_by_its_name() -> None:
    services = [service_json(A, str(kind.component_id), name="Heartbeat") for kind in HOST_MANAGED]
    outcome = drive(read_service(A, VSS), [listed(*services)])
    assert (outcome.yielded, outcome.value.kind) == ((reading(),), VSS)


def test_a_service_that_the_virtual_machine_lacks_is_not_found() -> None:
    error = drive(read_service(A, ServiceKind.GUEST_SERVICE_INTERFACE), [listed(heartbeat())]).error(
        ServiceNotFoundError
    )
    assert str(error) == "The virtual machine demovm on hv01 has no Guest Service Interface."


# -- wait_until_ok -------------------------------------------------------------------------------------------------


def waiting(*replies: Reply) -> Outcome[ServiceState]:
    return drive(wait_until_ok(A, HEARTBEAT), replies)


def test_a_service_that_is_ok_is_not_waited_for() -> None:
    outcome = waiting(listed(heartbeat()))
    assert (outcome.yielded, outcome.value.health) == ((reading(),), Health.OK)


@pytest.mark.parametrize("primary", ["NoContact", "LostCommunication", None, "FromTheFuture"])
def test_a_service_that_is_not_ok_is_looked_at_again(primary: str | None) -> None:
    outcome = waiting(listed(heartbeat(primary=primary)), None, listed(heartbeat(primary="Degraded")))
    assert (outcome.yielded, outcome.value.primary) == ((reading(), Sleep(FIRST_PAUSE), reading()), "Degraded")


def test_the_pauses_grow_to_a_limit() -> None:
    looks: list[Reply] = [listed(heartbeat(primary="NoContact")), None] * 10
    pauses = waiting(*looks, listed(heartbeat())).pauses
    assert (pauses[:3], max(pauses), pauses[-1]) == ((0.5, 0.75, 1.125), LONGEST_PAUSE, LONGEST_PAUSE)


def test_at_the_deadline_the_state_that_was_seen_last_is_told() -> None:
    error = waiting(
        listed(heartbeat(primary="NoContact")), None, listed(heartbeat(primary="LostCommunication")), DeadlineReached()
    ).error(WaitTimeoutError)
    assert isinstance(error.last, ServiceState)
    assert (error.wanted, error.last.primary, error.hint) == ("ok", "LostCommunication", error.last.notes[0])
    assert str(error) == "Heartbeat of demovm did not become ok in time; it was problem (LostCommunication)."


@pytest.mark.parametrize("end", [DeadlineReached(), timed_out()], ids=["before the look", "during the look"])
def test_a_look_that_comes_too_late_ends_the_waiting(end: HvError | DeadlineReached) -> None:
    error = waiting(listed(heartbeat(primary="NoContact")), None, end).error(WaitTimeoutError)
    assert (error.__cause__, error.retryable) == (end, True)


@pytest.mark.parametrize("end", [DeadlineReached(), timed_out()], ids=["before the look", "during the look"])
def test_where_nothing_was_seen_no_state_is_told(end: HvError | DeadlineReached) -> None:
    assert waiting(end).error(type(end)) is end


def test_a_service_without_a_status_is_told_without_one() -> None:
    error = waiting(listed(heartbeat(primary=None)), DeadlineReached()).error(WaitTimeoutError)
    assert "None" not in str(error)


@pytest.mark.parametrize(
    ("vm_state", "enabled", "current", "expected", "hint"),
    [
        ("Running", False, "disabled", "enabled", "Enable it first."),
        ("Off", False, "disabled", "enabled", "Enable it first."),
        ("Off", True, "Off", "Running", "Start the virtual machine first."),
        ("Paused", True, "Paused", "Running", "Start the virtual machine first."),
    ],
)
def test_what_cannot_become_ok_is_not_waited_for(
    *, vm_state: str, enabled: bool, current: str, expected: str, hint: str
) -> None:
    error = waiting(listed(heartbeat(enabled=enabled), state=vm_state)).error(InvalidStateError)
    assert (error.current, error.expected, error.hint, error.address) == (current, expected, hint, HOST)


def test_a_service_that_is_disabled_meanwhile_is_not_waited_for() -> None:
    outcome = waiting(listed(heartbeat(primary="NoContact")), None, listed(heartbeat(enabled=False)))
    assert outcome.error(InvalidStateError).current == "disabled"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (lost(), ConnectionLostError),
        (answer({"vms": []}, problem("ObjectNotFound", A)), VMNotFoundError),
        (listed(), ServiceNotFoundError),
        (answer(None, problem("AccessDenied")), PermissionDeniedError),
        (answer({"vms": 1}), DecodeError),
    ],
    ids=["connection", "virtual machine", "service", "right", "shape"],
)
def test_another_error_ends_the_waiting_as_it_is(reply: Reply, kind: type[HvError]) -> None:
    assert isinstance(waiting(listed(heartbeat(primary="NoContact")), None, reply).error(kind), kind)


# -- set_services: the plain ways ----------------------------------------------------------------------------------


def test_nothing_to_do_asks_nothing() -> None:
    outcome = drive(set_services((), dry_run=False))
    assert (outcome.yielded, outcome.value) == ((), ())


def test_a_change_is_one_round_trip_by_id_and_component() -> None:
    outcome = setting([DONE])
    (made,) = outcome.value
    assert outcome.yielded == (write(ON_A),)
    assert (made.outcome, made.before, made.error, made.vm_name) == (ChangeOutcome.CHANGED, False, None, "demovm")
    assert made.state is not None
    assert (made.state.kind, made.state.enabled, made.state.read_at) == (HEARTBEAT, True, READ_AT)


def test_many_changes_are_one_round_trip_with_an_outcome_each() -> None:
    disabled = service_json(A, str(VSS.component_id), enabled=False)
    entry = vm_json(A, services=[heartbeat(), disabled])
    outcome = setting(
        [said([MADE, {"before": True, "begun": True, "after": False}, ALREADY], [entry, vm(B)])], ON_A, OFF_A, ON_B
    )
    assert outcome.yielded == (write(ON_A, OFF_A, ON_B),)
    assert outcomes(outcome) == [ChangeOutcome.CHANGED, ChangeOutcome.CHANGED, ChangeOutcome.UNCHANGED]
    assert [(change.vm_id, change.kind, change.enable) for change in outcome.value] == [
        (A, HEARTBEAT, True),
        (A, VSS, False),
        (B, HEARTBEAT, True),
    ]


def test_what_is_as_wanted_is_unchanged() -> None:
    (made,) = setting([SEEN_DONE]).value
    assert (made.outcome, made.before, made.error) == (ChangeOutcome.UNCHANGED, True, None)


def test_a_duplicate_is_asked_once_and_answered_twice() -> None:
    again = attrs.evolve(ON_A, vm_name="another name for it")
    outcome = setting([DONE], ON_A, again, ON_A)
    assert (outcome.yielded, outcomes(outcome)) == ((write(ON_A),), [ChangeOutcome.CHANGED] * 3)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_contradiction_is_refused_before_anything_is_sent(*, dry_run: bool) -> None:
    outcome = setting([], ON_A, ON_B, attrs.evolve(ON_A, enable=False), dry_run=dry_run)
    assert outcome.yielded == ()
    assert str(outcome.error(ConfigurationError)) == "Heartbeat of demovm is to be both enabled and disabled."


def test_a_dry_run_reads_and_says_what_would_be() -> None:
    answered = said([UNMADE, ALREADY], [vm(A, enabled=False), vm(B)])
    outcome = setting([answered], ON_A, ON_B, dry_run=True)
    assert outcome.yielded == (read_back(ON_A, ON_B),)
    assert outcomes(outcome) == [ChangeOutcome.WOULD_CHANGE, ChangeOutcome.UNCHANGED]


@pytest.mark.parametrize(
    "error", [lost(), timed_out(), garbled(), BusyError("Later.", address=HOST)], ids=lambda e: type(e).__name__
)
def test_a_dry_run_that_gets_lost_is_an_error_and_nothing_is_read_back(error: TransportError) -> None:
    outcome = setting([error], dry_run=True)
    assert (outcome.error(type(error)), outcome.yielded) == (error, (read_back(ON_A),))


def test_a_dry_run_of_a_missing_virtual_machine_says_so() -> None:
    (made,) = setting([VM_GONE], dry_run=True).value
    assert made.error is not None
    assert (made.outcome, made.error.error_id) == (ChangeOutcome.FAILED, "ObjectNotFound,x")


# -- set_services: the host says no --------------------------------------------------------------------------------


def test_a_virtual_machine_that_is_missing_fails_its_changes_alone() -> None:
    gone = problem("ObjectNotFound,x", "1", category="ObjectNotFound", message="Weg.")
    outcome = setting([said([MADE, None], [vm()], gone)], ON_A, ON_B)
    made, failed = outcome.value
    assert (made.outcome, failed.outcome, failed.before, failed.state) == (
        ChangeOutcome.CHANGED,
        ChangeOutcome.FAILED,
        None,
        None,
    )
    assert failed.error is not None
    assert (failed.error.error_id, failed.error.message) == ("ObjectNotFound,x", "Weg.")


def test_the_error_of_a_change_names_its_virtual_machine() -> None:
    """The host names the change by its index in the question, which means nothing to the caller."""
    (failed,) = setting([NO_COMPONENT]).value
    assert failed.error is not None
    assert (failed.error.vm_id, failed.error.vm_name) == (A, "demovm")


def test_a_component_that_is_missing_fails() -> None:
    (failed,) = setting([NO_COMPONENT]).value
    assert failed.error is not None
    assert (failed.outcome, failed.error.error_id, failed.state) == (ChangeOutcome.FAILED, "ComponentNotFound", None)


def test_a_refused_write_is_a_failure_with_the_state_as_it_is() -> None:
    no = problem("OperationFailed" + ENABLE, "0", category="NotSpecified", message="Nein.")
    (failed,) = setting([said([None], [vm(enabled=False)], no)]).value
    assert failed.error is not None
    assert failed.state is not None
    assert (failed.outcome, failed.error.message, failed.state.enabled) == (ChangeOutcome.FAILED, "Nein.", False)


def test_an_error_at_the_write_is_confirmed_where_the_state_is_as_wanted() -> None:
    no = problem("OperationFailed" + ENABLE, "0", category="NotSpecified", message="Nein.")
    (made,) = setting([said([None], [vm(enabled=True)], no)]).value
    assert made.error is not None
    assert (made.outcome, made.before, made.error.message) == (ChangeOutcome.CONFIRMED, None, "Nein.")


def test_success_without_effect_is_a_failure() -> None:
    (failed,) = setting([said([IGNORED], [vm(enabled=False)])]).value
    assert failed.error is not None
    assert (failed.outcome, failed.error.vm_id) == (ChangeOutcome.FAILED, A)
    assert failed.error.message == "The host reported success, but the service is as it was before."


def test_what_somebody_else_undid_since_was_made_and_is_shown_as_it_is_now() -> None:
    (made,) = setting([said([MADE], [vm(enabled=False)])]).value
    assert made.state is not None
    assert (made.outcome, made.state.enabled, made.error) == (ChangeOutcome.CHANGED, False, None)


@pytest.mark.parametrize("after", [False, None], ids=["as before", "nothing"])
def test_what_a_cmdlet_passes_on_may_be_stale_or_nothing_if_the_service_is_as_wanted(*, after: bool | None) -> None:
    outcome = setting([said([MADE | {"after": after}], [vm()])])
    assert outcomes(outcome) == [ChangeOutcome.CHANGED]


def test_a_switch_that_was_refused_after_it_was_begun_is_a_failure() -> None:
    begun = {"before": False, "begun": True, "after": None}
    no = problem("OperationFailed" + ENABLE, "0", category="NotSpecified", message="Nein.")
    (failed,) = setting([said([begun], [vm(enabled=False)], no)]).value
    assert failed.error is not None
    assert (failed.outcome, failed.before, failed.error.message) == (ChangeOutcome.FAILED, False, "Nein.")


# -- set_services: what could not be read --------------------------------------------------------------------------

NOT_READ = {"before": None, "begun": False, "after": None}


@pytest.mark.parametrize("dry_run", [False, True])
def test_of_a_switch_that_could_not_be_read_nothing_is_changed(*, dry_run: bool) -> None:
    (failed,) = setting([said([NOT_READ], [vm(enabled=None)])], dry_run=dry_run).value
    assert failed.error is not None
    assert (failed.outcome, failed.before) == (ChangeOutcome.FAILED, None)
    assert failed.error.message == "The host gave no value for Enabled of Heartbeat."


def test_a_switch_that_could_be_read_at_last_and_is_as_wanted_is_unchanged() -> None:
    (made,) = setting([said([NOT_READ], [vm()])]).value
    assert (made.outcome, made.before, made.error) == (ChangeOutcome.UNCHANGED, None, None)


def test_a_switch_that_could_be_read_at_last_and_is_not_as_wanted_was_not_changed() -> None:
    (failed,) = setting([said([NOT_READ], [vm(enabled=False)])]).value
    assert failed.error is not None
    assert (failed.outcome, failed.error.message) == (
        ChangeOutcome.FAILED,
        "The host gave no value for Enabled of Heartbeat: nothing was changed.",
    )


def test_a_made_change_that_could_not_be_read_afterwards_says_so() -> None:
    (made,) = setting([said([MADE], [vm(enabled=None)])]).value
    assert (made.outcome, made.state and made.state.health) == (ChangeOutcome.CHANGED, Health.UNKNOWN)
    assert made.error is not None
    assert made.error.message == "The host gave no value for Enabled of Heartbeat."


def test_a_switch_that_cannot_be_read_back_is_unknown() -> None:
    error = setting([timed_out(), said([NOT_READ], [vm(enabled=None)])]).error(OutcomeUnknownError)
    assert error.asked == ("enable Heartbeat of demovm",)


def test_a_component_whose_id_could_not_be_read_is_not_missing() -> None:
    unread = problem("ComponentNotRead", "0", category="ObjectNotFound")
    error = drive(switch_service(ON_A), [said([None], [vm_json(A, services=[])], unread)]).error(CommandFailedError)
    assert "gave no value for Id" in str(error)


# -- set_services: a management service that does not answer -------------------------------------------------------


def unanswered(target: str) -> dict[str, Any]:
    return problem("ObjectNotFound" + ENABLE, target, category="ObjectNotFound", message="Weg.") | {
        "target_object": None
    }


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_management_service_that_does_not_answer_is_an_error_and_not_a_missing_machine(*, dry_run: bool) -> None:
    outcome = setting([said([None, None], [], unanswered("0"), unanswered("1"))], ON_A, ON_B, dry_run=dry_run)
    assert "Virtual Machine Management service" in str(outcome.error(CommandFailedError).hint)


def test_a_management_service_that_goes_away_while_it_changes_leaves_the_outcome_unknown() -> None:
    begun = {"before": False, "begun": True, "after": None}
    outcome = setting([said([MADE, begun], [vm(A)], unanswered("1"), unanswered(B))], ON_A, ON_B)
    error = outcome.error(OutcomeUnknownError)
    assert (error.asked, "Weg." in str(error)) == (("enable Heartbeat of second",), True)
    assert [(change.vm_id, change.outcome) for change in error.known if isinstance(change, ServiceChange)] == [
        (A, ChangeOutcome.CHANGED)
    ]


def test_a_management_service_that_is_back_when_the_state_is_read_leaves_nothing_unknown() -> None:
    begun = {"before": False, "begun": True, "after": None}
    outcome = setting([said([begun], [vm(A)], unanswered("0"))])
    assert outcomes(outcome) == [ChangeOutcome.CONFIRMED]


def test_a_management_service_that_does_not_answer_when_reading_back_leaves_the_outcome_unknown() -> None:
    outcome = setting([timed_out(), said([None], [], unanswered("0"))])
    assert outcome.error(OutcomeUnknownError).asked == ("enable Heartbeat of demovm",)


def test_a_change_whose_state_could_not_be_read_is_made_and_says_so() -> None:
    unreadable = problem("OperationFailed", A, message="Weg.")
    (made,) = setting([said([MADE], [], unreadable)]).value
    assert made.error is not None
    assert (made.outcome, made.state, made.error.message, made.error.vm_id) == (ChangeOutcome.CHANGED, None, "Weg.", A)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (None, "The host says neither what happened nor why not."),
        (MADE, "The host does not say how it is now."),
        (ALREADY, "The host does not say how it is now."),
    ],
    ids=["nothing", "made", "already"],
)
def test_silence_about_the_state_is_no_success_without_a_word(entry: object, message: str) -> None:
    (made,) = setting([said([entry], [])]).value
    assert made.error is not None
    assert made.error.message == message


@pytest.mark.parametrize(
    ("error_id", "kind"),
    [("AccessDenied", PermissionDeniedError), ("OperationFailed", CommandFailedError)],
)
def test_a_question_that_is_refused_as_a_whole_is_an_error(error_id: str, kind: type[HvError]) -> None:
    outcome = setting([answer(None, problem(error_id))], ON_A, ON_B)
    assert (type(outcome.error(kind)), outcome.yielded) == (kind, (write(ON_A, ON_B),))


# -- set_services: busy --------------------------------------------------------------------------------------------


def test_a_busy_host_is_asked_again() -> None:
    outcome = setting([STILL_BUSY, None, DONE])
    assert outcome.yielded == (write(ON_A), PAUSE, write(ON_A))
    assert outcomes(outcome) == [ChangeOutcome.CHANGED]


def test_only_what_was_busy_is_asked_again() -> None:
    busy = problem(BUSY, "1", category="InvalidOperation")
    no = problem("OperationFailed", "2")
    first = said([MADE, None, None], [vm(A), vm(B, enabled=False)], busy, no)
    failing = ResolvedChange(B, "second", SHUTDOWN, enable=True)
    outcome = setting([first, None, said([MADE], [vm(B)])], ON_A, ON_B, failing)
    assert outcome.yielded == (write(ON_A, ON_B, failing), PAUSE, write(ON_B))
    assert outcomes(outcome) == [ChangeOutcome.CHANGED, ChangeOutcome.CHANGED, ChangeOutcome.FAILED]


def test_a_host_that_stays_busy_is_asked_until_the_deadline() -> None:
    replies: list[Reply] = [STILL_BUSY, None] * 8
    outcome = setting([*replies, STILL_BUSY, DeadlineReached()])
    (failed,) = outcome.value
    assert failed.error is not None
    assert (failed.outcome, failed.error.error_id, failed.error.message) == (ChangeOutcome.FAILED, BUSY, "Später.")
    assert (len(outcome.calls), outcome.pauses[:3], max(outcome.pauses)) == (9, (0.5, 0.75, 1.125), LONGEST_PAUSE)


def test_busy_while_the_state_is_as_wanted_is_not_asked_again() -> None:
    outcome = setting([said([None], [vm(enabled=True)], problem(BUSY, "0"))])
    assert (outcomes(outcome), outcome.yielded) == ([ChangeOutcome.CONFIRMED], (write(ON_A),))


BUSY_B = said([MADE, None], [vm(A), vm(B, enabled=False)], problem(BUSY, "1"))


@pytest.mark.parametrize(
    "end",
    [DeadlineReached(), answer(None, problem("AccessDenied")), ConnectError("No.", address=HOST)],
    ids=["no time left", "refused", "no connection"],
)
def test_what_was_made_is_told_although_asking_again_for_the_rest_fails(end: Reply) -> None:
    """An exception would say nothing of the change that was made; the deadline's would even say that nothing ran."""
    outcome = setting([BUSY_B, None, end], ON_A, ON_B)
    assert outcomes(outcome) == [ChangeOutcome.CHANGED, ChangeOutcome.FAILED]


def test_an_answer_that_gets_lost_while_waiting_out_a_busy_host_is_read_back() -> None:
    outcome = setting([BUSY_B, None, timed_out(), said([ALREADY], [vm(B)])], ON_A, ON_B)
    assert outcome.yielded == (write(ON_A, ON_B), PAUSE, write(ON_B), read_back(ON_B))
    assert outcomes(outcome) == [ChangeOutcome.CHANGED, ChangeOutcome.CONFIRMED]


# -- set_services: the answer got lost -----------------------------------------------------------------------------

Loss = Callable[..., TransportError]

LOSSES: dict[str, Loss] = {
    "connection": lost,
    "time": timed_out,
    "garbled": garbled,
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@pytest.mark.parametrize(
    "error",
    [
        ConnectError("No connection.", address=HOST),
        AuthenticationError("Wrong password.", address=HOST),
        BusyError("Later.", address=HOST),
        timed_out(may_have_run=False),
    ],
    ids=["connect", "authentication", "busy", "time"],
)
def test_what_certainly_did_not_run_is_an_error_and_nothing_is_read_back(error: TransportError) -> None:
    outcome = setting([error], ON_A, ON_B)
    assert (outcome.error(type(error)), outcome.yielded) == (error, (write(ON_A, ON_B),))


def test_a_connection_that_ended_before_it_ran_is_tried_again_without_reading_back() -> None:
    outcome = setting([lost(may_have_run=False), DONE])
    assert (outcome.yielded, outcomes(outcome)) == ((write(ON_A), write(ON_A)), [ChangeOutcome.CHANGED])


def test_a_connection_that_ends_every_time_before_it_ran_is_tried_three_times() -> None:
    errors = [lost(may_have_run=False) for _ in range(3)]
    outcome = setting(errors)
    assert (outcome.error(ConnectionLostError), len(outcome.calls)) == (errors[2], 3)


@pytest.mark.parametrize("fenced", [True, False], ids=["fenced", "not fenced"])
@every_loss
def test_what_is_read_back_as_done_is_confirmed_and_not_sent_again(loss: Loss, *, fenced: bool) -> None:
    outcome = setting([loss(fenced=fenced), SEEN_DONE])
    (made,) = outcome.value
    assert outcome.yielded == (write(ON_A), read_back(ON_A))
    assert (made.outcome, made.before, made.error) == (ChangeOutcome.CONFIRMED, None, None)
    assert made.state is not None
    assert made.state.enabled is True


def test_what_is_fenced_and_read_back_as_not_done_is_sent_again() -> None:
    outcome = setting([lost(), SEEN_NOT_DONE, DONE])
    assert outcome.yielded == (write(ON_A), read_back(ON_A), write(ON_A))
    assert outcomes(outcome) == [ChangeOutcome.CHANGED]


def test_what_gets_lost_every_time_and_is_never_done_is_sent_three_times() -> None:
    outcome = setting([lost(), SEEN_NOT_DONE, lost(), SEEN_NOT_DONE, lost(), SEEN_NOT_DONE])
    error = outcome.error(ConnectionLostError)
    assert outcome.yielded == (write(ON_A), read_back(ON_A)) * 3
    assert (error.may_have_run, error.fenced) == (False, True)


@pytest.mark.parametrize("loss", [timed_out, garbled], ids=["time", "garbled"])
def test_other_losses_are_not_sent_again_but_known_not_to_be_done(loss: Loss) -> None:
    """The error says so; the one that the transport raised stays as it was."""
    lost_so = loss()
    outcome = setting([lost_so, SEEN_NOT_DONE])
    error = outcome.error(type(lost_so))
    assert outcome.yielded == (write(ON_A), read_back(ON_A))
    assert (str(error), error.may_have_run, error.fenced) == (str(lost_so), False, True)
    assert (error is lost_so, lost_so.may_have_run) == (False, True)


@every_loss
def test_what_is_not_fenced_and_read_back_as_not_done_is_unknown_and_not_sent_again(loss: Loss) -> None:
    error = loss(fenced=False)
    outcome = setting([error, SEEN_NOT_DONE])
    unknown = outcome.error(OutcomeUnknownError)
    assert outcome.yielded == (write(ON_A), read_back(ON_A))
    assert (unknown.asked, unknown.may_have_run, unknown.address) == (("enable Heartbeat of demovm",), True, HOST)
    assert (unknown.__cause__, error.may_have_run) == (error, True)


READ_BACK_FAILURES: dict[str, Reply] = {
    "lost": lost(may_have_run=False),
    "time": timed_out(may_have_run=False),
    "no connection": ConnectError("No connection.", address=HOST),
    "garbled": garbled(),
    "shape": UNREADABLE,
    "refused": answer(None, problem("AccessDenied")),
    "no time left": DeadlineReached(),
}


@pytest.mark.parametrize("reply", READ_BACK_FAILURES.values(), ids=READ_BACK_FAILURES)
@every_loss
def test_what_cannot_be_read_back_is_unknown(loss: Loss, reply: Reply) -> None:
    outcome = setting([loss(), reply], ON_A, OFF_A)
    unknown = outcome.error(OutcomeUnknownError)
    assert outcome.yielded == (write(ON_A, OFF_A), read_back(ON_A, OFF_A))
    assert unknown.asked == ("enable Heartbeat of demovm", "disable VSS of demovm")


def test_an_answer_of_another_shape_is_read_back() -> None:
    outcome = setting([UNREADABLE, SEEN_DONE])
    assert (outcome.yielded, outcomes(outcome)) == ((write(ON_A), read_back(ON_A)), [ChangeOutcome.CONFIRMED])


def test_an_answer_of_another_shape_is_an_error_where_nothing_was_done() -> None:
    outcome = setting([UNREADABLE, SEEN_NOT_DONE])
    assert (outcome.error(DecodeError).path, len(outcome.calls)) == ("$.result.changes", 2)


def test_an_unknown_outcome_after_an_answer_of_another_shape_names_the_host() -> None:
    unknown = setting([UNREADABLE, lost()]).error(OutcomeUnknownError)
    assert unknown.address == HOST


def test_of_a_batch_only_what_is_not_done_is_sent_again() -> None:
    seen = said([ALREADY, UNMADE], [vm(A), vm(B, enabled=False)])
    outcome = setting([lost(), seen, said([MADE], [vm(B)])], ON_A, ON_B)
    assert outcome.yielded == (write(ON_A, ON_B), read_back(ON_A, ON_B), write(ON_B))
    assert outcomes(outcome) == [ChangeOutcome.CONFIRMED, ChangeOutcome.CHANGED]


def test_of_a_batch_what_is_not_done_fails_beside_what_is_confirmed() -> None:
    seen = said([ALREADY, UNMADE], [vm(A), vm(B, enabled=False, name="zwei")])
    outcome = setting([timed_out(), seen], ON_A, ON_B)
    done, failed = outcome.value
    assert failed.error is not None
    assert failed.state is not None
    assert (done.outcome, failed.outcome, failed.vm_name) == (ChangeOutcome.CONFIRMED, ChangeOutcome.FAILED, "zwei")
    assert (failed.error.message, failed.state.enabled) == (
        "It was not made: No answer came from hv01 within 45 seconds.",
        False,
    )


def test_of_a_batch_only_what_is_unsettled_is_unknown() -> None:
    seen = said([ALREADY, UNMADE], [vm(A), vm(B, enabled=False)])
    assert setting([lost(fenced=False), seen], ON_A, ON_B).error(OutcomeUnknownError).asked == (
        "enable Heartbeat of second",
    )


def test_of_a_batch_what_was_confirmed_is_told_although_there_is_no_time_to_send_the_rest_again() -> None:
    seen = said([ALREADY, UNMADE], [vm(A), vm(B, enabled=False)])
    outcome = setting([lost(), seen, DeadlineReached()], ON_A, ON_B)
    assert outcomes(outcome) == [ChangeOutcome.CONFIRMED, ChangeOutcome.FAILED]


def test_a_virtual_machine_that_is_missing_when_reading_back_fails_with_the_hosts_reason() -> None:
    seen = said([ALREADY, None], [vm(A)], problem("ObjectNotFound,x", "1", category="ObjectNotFound", message="Weg."))
    _, failed = setting([timed_out(), seen], ON_A, ON_B).value
    assert failed.error is not None
    assert (failed.outcome, failed.error.error_id, failed.error.message) == (
        ChangeOutcome.FAILED,
        "ObjectNotFound,x",
        "Weg.",
    )


@pytest.mark.parametrize("error_id", ["OperationFailed", "AccessDenied", BUSY], ids=["failed", "denied", "busy"])
@every_loss
def test_what_the_host_could_not_read_back_is_unknown_and_not_seen_as_not_done(loss: Loss, error_id: str) -> None:
    """The answer to the reading back came, but says nothing of this change: it was not *seen* not to be done."""
    error = loss()
    outcome = setting([error, said([None], [], problem(error_id, "0", message="Nein."))])
    assert outcome.yielded == (write(ON_A), read_back(ON_A))
    assert (outcome.error(OutcomeUnknownError).asked, error.may_have_run) == (("enable Heartbeat of demovm",), True)


def test_a_loss_after_which_the_host_is_busy_is_waited_out() -> None:
    outcome = setting([lost(), SEEN_NOT_DONE, STILL_BUSY, None, DONE])
    assert outcome.yielded == (write(ON_A), read_back(ON_A), write(ON_A), PAUSE, write(ON_A))
    assert outcomes(outcome) == [ChangeOutcome.CHANGED]


def test_without_time_for_the_first_question_nothing_was_asked() -> None:
    end = DeadlineReached()
    assert setting([end]).error(DeadlineReached) is end


# -- set_services: answers of another shape ------------------------------------------------------------------------


def with_entries(*entries: object) -> dict[str, Any]:
    return {"changes": list(entries), "vms": [vm()]}


@pytest.mark.parametrize(
    ("result", "path", "expected"),
    [
        ({"vms": []}, "$.result.changes", "a list"),
        ({"changes": {}, "vms": []}, "$.result.changes", "a list"),
        (with_entries(), "$.result.changes", "1 entries"),
        (with_entries(MADE, MADE), "$.result.changes", "1 entries"),
        (with_entries("x"), "$.result.changes[0]", "an object"),
        (with_entries([]), "$.result.changes[0]", "an object"),
        (with_entries(UNMADE | {"before": 0}), "$.result.changes[0].before", "true, false or null"),
        (with_entries(MADE | {"after": 1}), "$.result.changes[0].after", "true, false or null"),
        (with_entries({"before": False}), "$.result.changes[0].begun", "true or false"),
        (with_entries(UNMADE | {"begun": None}), "$.result.changes[0].begun", "true or false"),
        ({"changes": [MADE]}, "$.result.vms", "a list"),
        ({"changes": [MADE], "vms": [None]}, "$.result.vms[0]", "an object"),
        (
            {"changes": [MADE], "vms": [vm_json(A, services=[heartbeat(enabled=1)])]},
            "$.result.vms[0].services[0].enabled",
            "true, false or null",
        ),
    ],
)
def test_an_answer_of_another_shape_is_refused_with_its_place(result: object, path: str, expected: str) -> None:
    error = setting([answer(result)], dry_run=True).error(DecodeError)
    assert (error.path, error.expected) == (path, expected)


# -- switch_service ------------------------------------------------------------------------------------------------


def switching(*replies: Reply) -> Outcome[ServiceState]:
    return drive(switch_service(ON_A), replies)


@pytest.mark.parametrize("answered", [DONE, SEEN_DONE], ids=["changed", "unchanged"])
def test_switching_answers_with_the_state_after(answered: Answer) -> None:
    outcome = switching(answered)
    assert (outcome.yielded, outcome.value.kind, outcome.value.enabled) == ((write(ON_A),), HEARTBEAT, True)


def test_switching_answers_with_the_state_that_was_read_back() -> None:
    assert switching(timed_out(), SEEN_DONE).value.enabled is True


def test_switching_is_fine_where_the_state_is_as_wanted_in_spite_of_an_error() -> None:
    assert switching(said([None], [vm()], problem("OperationFailed", "0"))).value.enabled is True


@pytest.mark.parametrize(
    ("answered", "kind", "error_id"),
    [
        (VM_GONE, VMNotFoundError, "ObjectNotFound,x"),
        (NO_COMPONENT, ServiceNotFoundError, "ComponentNotFound"),
        (said([None], [vm(enabled=False)], problem("AccessDenied", "0")), PermissionDeniedError, "AccessDenied"),
        (said([None], [vm(enabled=False)], problem("OperationFailed", "0")), CommandFailedError, "OperationFailed"),
        (said([IGNORED], [vm(enabled=False)]), CommandFailedError, ""),
        (said([None], [vm(enabled=False)]), CommandFailedError, ""),
        (said([MADE], [], problem("OperationFailed", A)), CommandFailedError, "OperationFailed"),
    ],
    ids=["no machine", "no service", "no right", "refused", "no effect", "silence", "state unreadable"],
)
def test_a_switch_that_fails_is_an_error_that_says_why(answered: Answer, kind: type[HvError], error_id: str) -> None:
    outcome = switching(answered)
    error: Any = outcome.error(kind)
    assert (error.error_id, error.address, outcome.yielded) == (error_id, HOST, (write(ON_A),))


def test_a_refused_switch_names_service_and_virtual_machine() -> None:
    error = switching(said([None], [vm(enabled=False)], problem("OperationFailed", "0", message="Nein."))).error(
        CommandFailedError
    )
    assert str(error) == "hv01 failed to enable Heartbeat of demovm: Nein."


def test_a_switch_whose_state_could_not_be_read_is_not_told_as_failed() -> None:
    error = switching(said([MADE], [], problem("OperationFailed", A, message="Weg."))).error(CommandFailedError)
    assert "failed to enable" not in str(error)


def test_a_host_that_stays_busy_is_told_as_busy() -> None:
    error = switching(STILL_BUSY, DeadlineReached()).error(InvalidStateError)
    assert (error.error_id, error.retryable, error.host_message) == (BUSY, True, "Später.")


def test_a_switch_that_got_lost_before_it_ran_is_the_transports_error() -> None:
    error = BusyError("Later.", address=HOST)
    assert switching(error).error(BusyError) is error


def test_a_switch_of_unknown_outcome_is_unknown() -> None:
    assert switching(lost(fenced=False), SEEN_NOT_DONE).error(OutcomeUnknownError).asked == (
        "enable Heartbeat of demovm",
    )


# -- hostile names -------------------------------------------------------------------------------------------------

EVIL = "evil\x1b[31m\nname\u202e"
EVIL_CHANGE = attrs.evolve(ON_A, vm_name=EVIL)

HOSTILE_CASES: dict[str, Callable[[], HvError]] = {
    "service not found": lambda: drive(read_service(A, VSS), [listed(heartbeat(), name=EVIL)]).error(
        ServiceNotFoundError
    ),
    "cannot become ok": lambda: waiting(listed(heartbeat(enabled=False), name=EVIL)).error(InvalidStateError),
    "not ok in time": lambda: waiting(listed(heartbeat(primary="\x1b[31m"), name=EVIL), DeadlineReached()).error(
        WaitTimeoutError
    ),
    "refused": lambda: drive(
        switch_service(EVIL_CHANGE), [said([None], [vm(enabled=False)], problem("OperationFailed", "0"))]
    ).error(CommandFailedError),
    "unknown": lambda: drive(switch_service(EVIL_CHANGE), [lost(fenced=False), SEEN_NOT_DONE]).error(
        OutcomeUnknownError
    ),
    "contradiction": lambda: setting([], EVIL_CHANGE, attrs.evolve(EVIL_CHANGE, enable=False)).error(
        ConfigurationError
    ),
}


@pytest.mark.parametrize("case", HOSTILE_CASES.values(), ids=HOSTILE_CASES)
def test_a_hostile_name_does_not_reach_the_terminal(case: Callable[[], HvError]) -> None:
    assert str(case()).isprintable() is True
