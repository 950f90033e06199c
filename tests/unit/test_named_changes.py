"""Changes as callers name them, driven by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hvintegration.calls.call import Call
from hvintegration.calls.operation import DeadlineReached, SessionClosed
from hvintegration.errors import (
    AmbiguousError,
    ConfigurationError,
    ConnectionLostError,
    OutcomeUnknownError,
    TransportTimeoutError,
    VMNotFoundError,
)
from hvintegration.models import ChangeOutcome, ServiceChange
from hvintegration.operations.named_changes import RequestedChange, change_services, resolve_changes
from hvintegration.scripts import GET_VMS
from hvintegration.service_kind import ServiceKind

from .driving import HOST, Outcome, Reply, answer, drive, problem, vm_json
from .switching import (
    DONE,
    HEARTBEAT,
    MADE,
    ON_A,
    ON_B,
    SEEN_NOT_DONE,
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

LISTING = Call(GET_VMS, {"vm_id": None, "name": None, "info": False, "services": False})
NAMES = answer({"vms": [vm_json(A, "demovm"), vm_json(B, "second")]})


def changing(
    asked: Sequence[RequestedChange], *replies: Reply, dry_run: bool = False
) -> Outcome[tuple[ServiceChange, ...]]:
    return drive(change_services(asked, dry_run=dry_run), replies)


def requested(
    vm_id: str | None = None, name: str = "demovm", kind: ServiceKind = HEARTBEAT, *, enable: bool = True
) -> RequestedChange:
    return RequestedChange(vm_id, name, kind, enable=enable)


def test_changes_by_id_are_one_round_trip() -> None:
    outcome = changing([requested(A)], DONE)
    assert (outcome.yielded, outcomes(outcome)) == ((write(ON_A),), [ChangeOutcome.CHANGED])


def test_changes_by_name_are_one_round_trip_more_whatever_their_number() -> None:
    outcome = changing([requested(), requested(name="SECOND"), requested(B)], NAMES, said([MADE, MADE], [vm(A), vm(B)]))
    assert outcome.yielded == (LISTING, write(ON_A, ON_B))
    assert [change.vm_id for change in outcome.value] == [A, B, B]


def test_no_changes_ask_nothing() -> None:
    outcome = changing([])
    assert (outcome.yielded, outcome.value) == ((), ())


def test_changes_can_be_tried_dry() -> None:
    outcome = changing([requested()], NAMES, SEEN_NOT_DONE, dry_run=True)
    assert (outcome.yielded, outcomes(outcome)) == ((LISTING, read_back(ON_A)), [ChangeOutcome.WOULD_CHANGE])


def test_changes_can_be_resolved_alone_in_their_order() -> None:
    asked = [requested(name="SECOND"), requested(B, "zwei", VSS, enable=False)]
    outcome = drive(resolve_changes(asked), [NAMES])
    assert (outcome.yielded, [str(change) for change in outcome.value]) == (
        (LISTING,),
        ["enable Heartbeat of SECOND", "disable VSS of zwei"],
    )
    assert [change.vm_id for change in outcome.value] == [B, B]


@pytest.mark.parametrize("kind", [ServiceKind.POWERSHELL_DIRECT, ServiceKind.REMOTE_DESKTOP_VIRTUALIZATION])
def test_what_the_host_does_not_switch_is_refused_before_anything_is_sent(kind: ServiceKind) -> None:
    outcome = changing([requested(A), requested(kind=kind)])
    error = outcome.error(ConfigurationError)
    assert (outcome.yielded, error.hint) == ((), f"It is the service {kind.windows_service} inside the guest.")


def test_a_name_that_fits_none_changes_nothing() -> None:
    outcome = changing([requested(A), requested(name="third")], NAMES)
    assert (outcome.error(VMNotFoundError).address, outcome.yielded) == (HOST, (LISTING,))


def test_a_name_that_fits_several_changes_nothing() -> None:
    twins = answer({"vms": [vm_json(A, "demovm"), vm_json(B, "demovm")]})
    outcome = changing([requested()], twins)
    assert (outcome.error(AmbiguousError).candidates, outcome.yielded) == ((A, B), (LISTING,))


def test_a_name_is_no_pattern() -> None:
    assert changing([requested(name="demo*")], NAMES).error(VMNotFoundError).address == HOST


def test_changes_that_contradict_each_other_by_name_and_id_are_refused() -> None:
    outcome = changing([requested(), requested(A, enable=False)], NAMES)
    assert (type(outcome.error(ConfigurationError)), outcome.yielded) == (ConfigurationError, (LISTING,))


def test_the_same_change_by_name_and_id_is_asked_once() -> None:
    outcome = changing([requested(), requested(A)], NAMES, DONE)
    assert (outcome.yielded, outcomes(outcome)) == ((LISTING, write(ON_A)), [ChangeOutcome.CHANGED] * 2)


# -- names that look like ids ------------------------------------------------------------------------------------

GONE = problem("ObjectNotFound,x", "0", category="ObjectNotFound", message="Weg.")
BY_THAT_NAME = answer({"vms": [vm_json(B, A)]})


def test_a_text_that_looks_like_an_id_is_one() -> None:
    outcome = changing([requested(name=A.upper())], DONE)
    assert (outcome.yielded, outcomes(outcome)) == ((write(ON_A),), [ChangeOutcome.CHANGED])


def test_one_that_is_none_is_tried_as_a_name() -> None:
    outcome = changing([requested(name=A)], said([None], [], GONE), BY_THAT_NAME, said([MADE], [vm(B, name=A)]))
    assert outcome.yielded == (write(ON_A), LISTING, write(ON_B))
    assert [(change.vm_id, change.outcome) for change in outcome.value] == [(B, ChangeOutcome.CHANGED)]


@pytest.mark.parametrize("asked", [requested(A, A), requested(A)], ids=["handle without a name", "handle"])
def test_a_handle_is_never_tried_as_a_name(asked: RequestedChange) -> None:
    outcome = changing([asked], said([None], [], GONE))
    assert (outcome.yielded, outcomes(outcome)) == ((write(ON_A),), [ChangeOutcome.FAILED])


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([answer({"vms": []})], id="none has that name"),
        pytest.param([answer({"vms": [vm_json(A, "demovm")]}), DONE], id="it is there after all"),
        pytest.param([ConnectionLostError("Nein.", address=HOST)], id="names cannot be read"),
        pytest.param([DeadlineReached()], id="no time left"),
        pytest.param([SessionClosed()], id="closed"),
        pytest.param([answer(None, problem("AccessDenied"))], id="refused"),
        pytest.param([BY_THAT_NAME, answer(None, problem("AccessDenied"))], id="refused at last"),
    ],
)
def test_what_came_of_the_others_is_kept_whatever_becomes_of_that(replies: list[Reply]) -> None:
    first = said([MADE, None], [vm(B)], GONE | {"target": "1"})
    outcome = changing([requested(B, "second"), requested(name=A)], first, *replies)
    assert outcomes(outcome)[0] is ChangeOutcome.CHANGED


def test_what_came_of_the_others_is_in_the_error_if_the_second_try_gets_lost() -> None:
    first = said([MADE, None], [vm(B)], GONE | {"target": "1"})
    lost = TransportTimeoutError(address=HOST, after=45.0, fenced=False)
    back = said([UNMADE], [vm(B, enabled=False)])
    outcome = changing([requested(B, "second", VSS), requested(name=A)], first, BY_THAT_NAME, lost, back)
    error = outcome.error(OutcomeUnknownError)
    known = [change for change in error.known if isinstance(change, ServiceChange)]
    assert ChangeOutcome.CHANGED in [change.outcome for change in known]
