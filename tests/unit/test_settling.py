"""What making changes asks, asks again and tells, whatever is changed: here it is lamps.

``w`` is a write, ``r`` the dry run that reads back. Of services, `test_services` claims the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.calls.operation import DeadlineReached, SessionClosed, Sleep
from hvintegration.errors import (
    BusyError,
    ConnectError,
    ConnectionLostError,
    DecodeError,
    HvError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
)
from hvintegration.operations.settling import FIRST_PAUSE, LEAST_FOR_A_CHANGE, LONGEST_PAUSE, SENDS
from tests.support.lamps import SET_LAMPS, Dim, Dimmed, Told, document, set_lamps

from .driving import HOST, Outcome, Reply, answer, drive, problem

HALL, ATTIC, CELLAR = Dim("hall", 3), Dim("attic", 1), Dim("cellar", 0)
BRIGHT, OFF = 3, 0
PAUSE = Sleep(FIRST_PAUSE, leaving=LEAST_FOR_A_CHANGE)


def w(*dims: Dim) -> Call:
    return Call(SET_LAMPS, document(dims, dry_run=False))


def r(*dims: Dim) -> Call:
    return Call(SET_LAMPS, document(dims, dry_run=True), dry_run=True)


def lamps(*lamps: tuple[int, int] | None, **errors: str) -> Answer:
    """An answer: of each lamp how bright it was and is, and error ids by room."""
    told = [None if lamp is None else {"before": lamp[0], "after": lamp[1]} for lamp in lamps]
    return answer({"lamps": told}, *(problem(error_id, room) for room, error_id in errors.items()))


MADE = lamps((0, 3))
SO_BEFORE = lamps((3, 3))
NOT_SO = lamps((0, 0))
BUSY = lamps((0, 0), hall="InvalidState")
UNREADABLE = answer({"lamps": "?"})
DENIED = answer(None, problem("AccessDenied"))


def lost(*, may_have_run: bool = True, fenced: bool = True) -> ConnectionLostError:
    return ConnectionLostError("The connection ended.", address=HOST, may_have_run=may_have_run, fenced=fenced)


def timed_out(*, may_have_run: bool = True, fenced: bool = True) -> TransportTimeoutError:
    return TransportTimeoutError(address=HOST, after=45.0, may_have_run=may_have_run, fenced=fenced)


def garbled(*, fenced: bool = True) -> ProtocolError:
    return ProtocolError("The answer is not JSON.", address=HOST, fenced=fenced)


LOSSES: dict[str, Callable[..., TransportError]] = {"connection": lost, "time": timed_out, "garbled": garbled}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def making(replies: Sequence[Reply], *dims: Dim, dry_run: bool = False) -> Outcome[tuple[Dimmed, ...]]:
    return drive(set_lamps(dims or (HALL,), dry_run=dry_run), replies)


def told(outcome: Outcome[tuple[Dimmed, ...]]) -> list[Told]:
    return [result.told for result in outcome.value]


# -- the plain ways ------------------------------------------------------------------------------------------------


def test_nothing_to_do_asks_nothing() -> None:
    outcome = drive(set_lamps((), dry_run=False))
    assert (outcome.yielded, outcome.value) == ((), ())


def test_many_changes_are_one_round_trip_with_a_result_each_in_order() -> None:
    outcome = making([lamps((0, 3), (1, 1), None, cellar="ObjectNotFound")], HALL, ATTIC, CELLAR)
    assert outcome.yielded == (w(HALL, ATTIC, CELLAR),)
    assert outcome.value == (
        Dimmed(HALL, Told.MADE, 3),
        Dimmed(ATTIC, Told.SO_BEFORE, 1),
        Dimmed(CELLAR, Told.FAILED, None, "ObjectNotFound"),
    )


def test_a_duplicate_is_asked_once_and_answered_twice() -> None:
    outcome = making([lamps((0, 3), (0, 1))], HALL, ATTIC, HALL)
    assert (outcome.yielded, [result.dim for result in outcome.value]) == ((w(HALL, ATTIC),), [HALL, ATTIC, HALL])


def test_a_dry_run_is_one_read() -> None:
    outcome = making([lamps((0, 0), (1, 1))], HALL, ATTIC, dry_run=True)
    assert (outcome.yielded, told(outcome)) == ((r(HALL, ATTIC),), [Told.WOULD_BE_MADE, Told.SO_BEFORE])


@pytest.mark.parametrize("error", [lost(), timed_out(), garbled(), BusyError("Later.", address=HOST)], ids=str)
def test_a_dry_run_that_gets_lost_is_an_error_and_nothing_is_read_back(error: TransportError) -> None:
    outcome = making([error], dry_run=True)
    assert (outcome.error(type(error)), outcome.yielded) == (error, (r(HALL),))


def test_a_question_that_is_refused_as_a_whole_is_an_error() -> None:
    outcome = making([DENIED], HALL, ATTIC)
    assert (outcome.error(PermissionDeniedError).address, outcome.yielded) == (HOST, (w(HALL, ATTIC),))


def test_without_time_for_the_first_question_nothing_was_asked() -> None:
    end = DeadlineReached()
    assert making([end]).error(DeadlineReached) is end


# -- busy ----------------------------------------------------------------------------------------------------------


def test_only_what_was_busy_is_asked_again() -> None:
    first = lamps((0, 3), (0, 0), (3, 3), attic="InvalidState", cellar="OperationFailed")
    outcome = making([first, None, lamps((0, 1))], HALL, ATTIC, CELLAR)
    assert outcome.yielded == (w(HALL, ATTIC, CELLAR), PAUSE, w(ATTIC))
    assert told(outcome) == [Told.MADE, Told.MADE, Told.FAILED]


def test_what_stays_busy_is_asked_until_the_deadline_with_growing_pauses() -> None:
    outcome = making([*[BUSY, None] * 8, BUSY, DeadlineReached()])
    assert outcome.value == (Dimmed(HALL, Told.FAILED, 0, "InvalidState"),)
    assert (len(outcome.calls), outcome.pauses[:3], max(outcome.pauses)) == (9, (0.5, 0.75, 1.125), LONGEST_PAUSE)


@pytest.mark.parametrize(
    "end", [DeadlineReached(), DENIED, ConnectError("No.", address=HOST)], ids=["no time", "refused", "no connection"]
)
def test_what_was_made_is_told_although_asking_again_for_the_rest_fails(end: Reply) -> None:
    outcome = making([lamps((0, 3), (0, 0), attic="InvalidState"), None, end], HALL, ATTIC)
    assert outcome.value == (Dimmed(HALL, Told.MADE, 3), Dimmed(ATTIC, Told.FAILED, 0, "InvalidState"))


def test_a_refusal_says_more_than_a_loss_after_it() -> None:
    outcome = making([BUSY, None, timed_out(), NOT_SO])
    assert (outcome.value[0].why, outcome.yielded) == ("InvalidState", (w(HALL), PAUSE, w(HALL), r(HALL)))


# -- the answer got lost -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [ConnectError("No.", address=HOST), BusyError("Later.", address=HOST), timed_out(may_have_run=False)],
    ids=["connect", "busy", "time"],
)
def test_what_certainly_did_not_run_is_that_error_and_nothing_is_read_back(error: TransportError) -> None:
    outcome = making([error], HALL, ATTIC)
    assert (outcome.error(type(error)), outcome.yielded) == (error, (w(HALL, ATTIC),))


def test_a_connection_that_ended_before_it_ran_is_tried_again_without_reading_back() -> None:
    errors: list[HvError] = [lost(may_have_run=False) for _ in range(SENDS)]
    assert making([*errors[1:], MADE]).yielded == (w(HALL),) * SENDS
    assert making(errors).error(ConnectionLostError) is errors[-1]


@pytest.mark.parametrize("fenced", [True, False], ids=["fenced", "not fenced"])
@every_loss
def test_what_is_so_now_is_confirmed_and_not_sent_again(loss: Callable[..., TransportError], *, fenced: bool) -> None:
    outcome = making([loss(fenced=fenced), SO_BEFORE])
    assert (outcome.yielded, outcome.value) == ((w(HALL), r(HALL)), (Dimmed(HALL, Told.CONFIRMED, 3),))


def test_what_is_fenced_and_not_so_is_sent_again() -> None:
    outcome = making([lost(), NOT_SO, MADE])
    assert (outcome.yielded, told(outcome)) == ((w(HALL), r(HALL), w(HALL)), [Told.MADE])


def test_of_many_only_what_is_not_so_is_sent_again() -> None:
    outcome = making([lost(), lamps((3, 3), (0, 0)), lamps((0, 1))], HALL, ATTIC)
    assert outcome.yielded == (w(HALL, ATTIC), r(HALL, ATTIC), w(ATTIC))
    assert told(outcome) == [Told.CONFIRMED, Told.MADE]


def test_it_is_sent_no_more_often_than_allowed() -> None:
    outcome = making([lost(), NOT_SO] * SENDS)
    error = outcome.error(ConnectionLostError)
    assert outcome.yielded == (w(HALL), r(HALL)) * SENDS
    assert (error.may_have_run, error.fenced) == (False, True)


@pytest.mark.parametrize("loss", [timed_out, garbled], ids=["time", "garbled"])
def test_another_loss_is_an_error_that_says_that_nothing_was_made(loss: Callable[..., TransportError]) -> None:
    """What the transport raised stays as it was."""
    raised = loss()
    outcome = making([raised, NOT_SO])
    error = outcome.error(type(raised))
    assert outcome.yielded == (w(HALL), r(HALL))
    assert (str(error), error.address, error.may_have_run) == (str(raised), HOST, False)
    assert (error is raised, raised.may_have_run) == (False, True)


def test_of_many_what_is_not_so_fails_beside_what_is_confirmed() -> None:
    outcome = making([timed_out(), lamps((3, 3), (0, 0))], HALL, ATTIC)
    why = "No answer came from hv01 within 45 seconds."
    assert outcome.value == (Dimmed(HALL, Told.CONFIRMED, 3), Dimmed(ATTIC, Told.FAILED, 0, why))


def test_what_is_not_there_any_more_is_certainly_not_made() -> None:
    outcome = making([timed_out(), lamps((3, 3), None, attic="ObjectNotFound")], HALL, ATTIC)
    assert outcome.value == (Dimmed(HALL, Told.CONFIRMED, 3), Dimmed(ATTIC, Told.FAILED, None, "ObjectNotFound"))


def test_an_answer_that_cannot_be_understood_is_read_back() -> None:
    assert told(making([UNREADABLE, SO_BEFORE])) == [Told.CONFIRMED]
    assert making([UNREADABLE, NOT_SO]).error(DecodeError).path == "$.result.lamps"


def test_of_many_what_is_confirmed_is_told_although_there_is_no_time_for_the_rest() -> None:
    outcome = making([lost(), lamps((3, 3), (0, 0)), DeadlineReached()], HALL, ATTIC)
    assert told(outcome) == [Told.CONFIRMED, Told.FAILED]


# -- what nobody knows ---------------------------------------------------------------------------------------------


@every_loss
def test_what_is_not_so_but_may_still_be_running_is_unknown(loss: Callable[..., TransportError]) -> None:
    raised = loss(fenced=False)
    outcome = making([raised, NOT_SO])
    unknown = outcome.error(OutcomeUnknownError)
    assert outcome.yielded == (w(HALL), r(HALL))
    assert (unknown.asked, unknown.known, unknown.address) == (("brightness 3 in the hall",), (), HOST)
    assert (unknown.__cause__, raised.may_have_run) == (raised, True)


@pytest.mark.parametrize(
    "reply",
    [lost(may_have_run=False), timed_out(), garbled(), UNREADABLE, DENIED, DeadlineReached()],
    ids=["lost", "time", "garbled", "shape", "refused", "no time left"],
)
@every_loss
def test_what_cannot_be_read_back_is_unknown(loss: Callable[..., TransportError], reply: Reply) -> None:
    outcome = making([loss(), reply], HALL, ATTIC)
    unknown = outcome.error(OutcomeUnknownError)
    assert outcome.yielded == (w(HALL, ATTIC), r(HALL, ATTIC))
    assert unknown.asked == ("brightness 3 in the hall", "brightness 1 in the attic")


def test_what_was_answered_before_is_known_beside_what_is_not() -> None:
    first = lamps((0, 3), (0, 0), (3, 3), attic="InvalidState", cellar="OperationFailed")
    unknown = making([first, None, lost(fenced=False), NOT_SO], HALL, ATTIC, CELLAR).error(OutcomeUnknownError)
    assert unknown.asked == ("brightness 1 in the attic",)
    assert unknown.known == (Dimmed(HALL, Told.MADE, 3), Dimmed(CELLAR, Told.FAILED, 3, "OperationFailed"))


@pytest.mark.parametrize(
    ("fenced", "asked", "known"),
    [
        (True, (ATTIC,), (Dimmed(HALL, Told.CONFIRMED, 3), Dimmed(CELLAR, Told.FAILED, 2, "The connection ended."))),
        (False, (ATTIC, CELLAR), (Dimmed(HALL, Told.CONFIRMED, 3),)),
    ],
    ids=["fenced", "not fenced"],
)
def test_what_was_read_back_is_known_beside_what_could_not_be(
    *, fenced: bool, asked: tuple[Dim, ...], known: tuple[Dimmed, ...]
) -> None:
    """What is not so is known not to be made only if nothing of it can still be running."""
    seen = lamps((3, 3), None, (2, 2), attic="OperationFailed")
    unknown = making([lost(fenced=fenced), seen], HALL, ATTIC, CELLAR).error(OutcomeUnknownError)
    assert (unknown.asked, unknown.known) == (tuple(map(str, asked)), known)


# -- closed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ran", [False, True])
def test_a_loss_after_which_the_session_was_closed_is_told_as_it_is(*, ran: bool) -> None:
    error = lost(may_have_run=ran)
    outcome = making([error, SessionClosed()], HALL, ATTIC)
    assert (outcome.error(ConnectionLostError), outcome.calls[0]) == (error, w(HALL, ATTIC))
    assert error.may_have_run is ran


def test_what_was_known_before_the_session_was_closed_is_told() -> None:
    busy = lamps((0, 3), (0, 0), attic="InvalidState")
    unknown = making([busy, None, lost(), SessionClosed()], HALL, ATTIC).error(OutcomeUnknownError)
    assert unknown.asked == (str(ATTIC),)
    assert unknown.known == (Dimmed(HALL, Told.MADE, 3),)
    assert told(making([busy, None, SessionClosed()], HALL, ATTIC)) == [Told.MADE, Told.FAILED]


def test_a_session_that_is_closed_asks_nothing() -> None:
    closed = SessionClosed()
    assert type(making([closed]).error(SessionClosed)) is SessionClosed
