"""Installing step by step: where answers get lost, where time is up, and where somebody interrupts."""

from __future__ import annotations

from typing import Any

import pytest

from hvintegration.calls.answer import Answer
from hvintegration.calls.operation import INTERRUPTED_CHANGE, DeadlineReached, SessionClosed
from hvintegration.errors import (
    ConnectError,
    ConnectionLostError,
    OutcomeUnknownError,
    TransportTimeoutError,
    WaitTimeoutError,
)
from hvintegration.guest_models import GuestChange, GuestFamily
from hvintegration.models import ChangeOutcome
from hvintegration.operations.guests import GuestTarget
from hvintegration.operations.installing import install_guest_service
from hvintegration.scripts import SH_INSTALL_PACKAGE, SH_SET_GUEST_SERVICES
from hvintegration.service_kind import ServiceKind

from .driving import HOST, Outcome, Reply, answer, drive
from .linux_starting import linux, linux_result, unit

KVP = ServiceKind.KVP
WITHOUT: dict[str, Any] = {"processes": [], "programs": [], "units": [""], "packages": ["apt\n"]}
STOPPED: dict[str, Any] = {"processes": [], "units": [unit("hv-kvp-daemon", ActiveState="inactive")]}
ABSENT = linux(**WITHOUT)


def seen(installing: int | None = None, ended: int | None = None, **facts: Any) -> Answer:  # noqa: ANN401 - plain data
    """What install_package answers."""
    return answer(linux_result(**facts) | {"installing": installing, "ended": ended, "said": None})


NOTHING = seen(**WITHOUT)
UNDER_WAY = seen(77, **WITHOUT)
OVER = seen(ended=0)


def lost(*, fenced: bool = True) -> ConnectionLostError:
    error = ConnectionLostError("The connection was lost.", address=HOST)
    return error.judged(may_have_run=True, fenced=fenced)


def installing(*replies: Reply, dry_run: bool = False) -> Outcome[GuestChange]:
    return drive(install_guest_service(GuestTarget(family=GuestFamily.LINUX), KVP, dry_run=dry_run), replies)


def begun(outcome: Outcome[GuestChange]) -> int:
    """How often it was to be begun."""
    return sum(call.script is SH_INSTALL_PACKAGE and not call.dry_run for call in outcome.calls)


def test_it_is_begun_and_waited_for() -> None:
    outcome = installing(ABSENT, NOTHING, UNDER_WAY, None, UNDER_WAY, None, OVER)
    assert (outcome.value.outcome, outcome.value.before) == (ChangeOutcome.CHANGED, "not installed")
    assert (begun(outcome), outcome.pauses) == (1, (0.5, 0.75))


def test_what_somebody_else_installs_is_waited_for() -> None:
    outcome = installing(linux(), UNDER_WAY, None, OVER)
    assert (outcome.value.outcome, begun(outcome)) == (ChangeOutcome.CHANGED, 0)


@pytest.mark.parametrize("fenced", [False, True])
def test_where_the_answer_gets_lost_and_it_is_under_way_no_other_is_begun(*, fenced: bool) -> None:
    outcome = installing(ABSENT, NOTHING, lost(fenced=fenced), UNDER_WAY, None, OVER)
    assert (outcome.value.outcome, begun(outcome)) == (ChangeOutcome.CHANGED, 1)


def test_where_it_was_certainly_not_begun_it_is_begun_again_three_times_at_most() -> None:
    outcome = installing(ABSENT, NOTHING, lost(), NOTHING, lost(), NOTHING, UNDER_WAY, None, OVER)
    assert (outcome.value.outcome, begun(outcome)) == (ChangeOutcome.CHANGED, 3)
    outcome = installing(ABSENT, NOTHING, lost(), NOTHING, lost(), NOTHING, lost(), NOTHING)
    assert outcome.error(OutcomeUnknownError).asked == ("install Key-Value Pair Exchange",)


@pytest.mark.parametrize(
    ("fenced", "look"), [(False, NOTHING), (True, lost()), (True, DeadlineReached())], ids=["runs on", "lost", "time"]
)
def test_what_cannot_be_found_out_is_unknown(*, fenced: bool, look: Reply) -> None:
    outcome = installing(ABSENT, NOTHING, lost(fenced=fenced), look)
    assert outcome.error(OutcomeUnknownError).address == HOST


def test_what_was_never_sent_is_no_riddle() -> None:
    never = ConnectError("No route.", address=HOST).judged(may_have_run=False, fenced=True)
    assert installing(ABSENT, NOTHING, never).error(ConnectError) is never


@pytest.mark.parametrize("end", [DeadlineReached(), TransportTimeoutError(address=HOST, after=60.0)])
def test_when_the_time_is_up_it_goes_on_and_that_is_said(end: Reply) -> None:
    error = installing(ABSENT, NOTHING, UNDER_WAY, None, end).error(WaitTimeoutError)
    assert "by process 77" in str(error)
    assert "Ask again" in str(error.hint)


@pytest.mark.parametrize("end", [SessionClosed(), lost(), KeyboardInterrupt()], ids=["closed", "lost", "Ctrl-C"])
def test_who_stops_waiting_is_told_that_it_goes_on(end: BaseException) -> None:
    operation = install_guest_service(GuestTarget(family=GuestFamily.LINUX), KVP, dry_run=False)
    next(operation)
    for reply in (ABSENT, NOTHING, UNDER_WAY, None):
        operation.send(reply)
    with pytest.raises(type(end)) as told:
        operation.throw(end)
    (note,) = told.value.__notes__
    assert note.startswith(f"{INTERRUPTED_CHANGE} {HOST} goes on: Key-Value Pair Exchange is being installed there")


def test_what_is_there_and_does_not_run_is_started() -> None:
    started = answer(linux_result() | {"changes": [{"was": False, "begun": True}]})
    outcome = installing(linux(**STOPPED), seen(**STOPPED), started)
    made = outcome.value
    assert (made.outcome, made.before, made.command, begun(outcome)) == (ChangeOutcome.CHANGED, "installed", None, 0)
    assert [call.script for call in outcome.calls][-1] is SH_SET_GUEST_SERVICES
    would = installing(linux(**STOPPED), seen(**STOPPED), dry_run=True).value
    assert (would.outcome, would.command) == (ChangeOutcome.WOULD_CHANGE, None)


@pytest.mark.parametrize(
    "facts", [{}, STOPPED | {"channels": []}, STOPPED | {"devices": []}], ids=["runs", "not offered", "no device"]
)
def test_what_is_there_and_has_nothing_to_start_is_left_alone(facts: dict[str, Any]) -> None:
    outcome = installing(linux(**facts), seen(**facts))
    assert (outcome.value.outcome, begun(outcome)) == (ChangeOutcome.UNCHANGED, 0)


def test_where_no_time_is_left_to_start_it_what_was_done_is_said() -> None:
    error = installing(ABSENT, NOTHING, seen(ended=0, **STOPPED), DeadlineReached()).error(WaitTimeoutError)
    assert str(error).startswith("Key-Value Pair Exchange was installed.")
