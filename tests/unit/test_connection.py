"""A connection that is kept: when it is made, when it is used again, when it is thrown away."""

from __future__ import annotations

import threading
import time

import pytest

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline, SystemClock, VirtualClock
from hvintegration.errors import ConnectError, ConnectionLostError, HvError, PermissionDeniedError, UnsupportedError
from hvintegration.scripts import GET_HOST, SET_SERVICES
from hvintegration.transports.kept_connection import KeptConnection
from tests.support.time_limit import within


class Line:
    """A connection that writes down what is done with it."""

    requests = 1

    def __init__(self, done: list[str], failure: BaseException | None = None) -> None:
        self.sent = False
        self._done = done
        self._failure = failure
        self._open = False
        self.fenced = threading.Event()

    def open(self, deadline: Deadline) -> None:
        self._done.append(f"open {deadline.given:g}")
        if self._failure is not None:
            raise self._failure
        self._open = True

    def prepare(self, call: Call, deadline: Deadline) -> None:
        assert self._open
        self.sent = False

    def call(self, call: Call, deadline: Deadline) -> str:
        self.sent = True
        self._done.append("call")
        return call.text

    def break_off(self) -> None:
        self._done.append("break off")

    def close(self) -> None:
        self._done.append("close")

    def fence(self, deadline: Deadline, /) -> bool:
        self._done.append("fence")
        self.fenced.set()
        return True


def test_what_was_opened_ahead_is_used_by_the_first_call() -> None:
    done: list[str] = []
    kept = KeptConnection(lambda: Line(done), address="x", fences_at_once=True)

    kept.open(Deadline(5))
    kept.open(Deadline(5))
    kept.call(Call(GET_HOST, {}), Deadline(5))
    kept.close()

    assert done == ["open 5", "call", "close"]
    assert kept.requests == 1


def test_what_was_opened_elsewhere_is_used_unless_there_is_one() -> None:
    done: list[str] = []
    another: list[str] = []
    kept = KeptConnection(lambda: Line(done), address="x", fences_at_once=True)
    line = Line(done)
    line.open(Deadline(5, SystemClock()))

    kept.keep(line)
    kept.keep(Line(another))
    kept.call(Call(GET_HOST, {}), Deadline(5))

    assert done == ["open 5", "call"]
    assert another == ["close"]


@pytest.mark.parametrize("fences_at_once", [True, False])
@pytest.mark.parametrize(
    "failure",
    [ConnectError("No.", address="x"), PermissionDeniedError("No.", address="x"), KeyboardInterrupt()],
    ids=repr,
)
def test_what_could_not_be_opened_is_not_used_by_the_next_call(failure: BaseException, *, fences_at_once: bool) -> None:
    done: list[str] = []
    lines = [Line(done, failure), Line(done)]
    made = iter(lines)
    kept = KeptConnection(lambda: next(made), address="x", fences_at_once=fences_at_once)

    with pytest.raises(type(failure)):
        kept.open(Deadline(5))
    assert lines[0].fenced.wait(30)

    assert kept.call(Call(GET_HOST, {}), Deadline(5)) == "{}"
    assert done == ["open 5", "fence", "open 5", "call"]
    assert not isinstance(failure, HvError) or str(failure) == "No."


class SlowToFence(Line):
    """A connection that is fenced when it may be."""

    def __init__(self, done: list[str], failure: BaseException) -> None:
        super().__init__(done, failure)
        self.may = threading.Event()

    def fence(self, deadline: Deadline, /) -> bool:
        assert self.may.wait(30)
        return super().fence(deadline)


def test_closing_waits_for_what_is_still_being_fenced() -> None:
    done: list[str] = []
    line = SlowToFence(done, KeyboardInterrupt())
    kept = KeptConnection(lambda: line, address="x", fences_at_once=False)
    with pytest.raises(KeyboardInterrupt):
        kept.open(Deadline(5))

    threading.Timer(0.1, line.may.set).start()
    kept.close()

    assert done == ["open 5", "fence"]


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvintegration.transports.kept_connection.SECONDS_TO_CLOSE", 0.1)
    line = SlowToFence([], KeyboardInterrupt())
    kept = KeptConnection(lambda: line, address="x", fences_at_once=False)
    with pytest.raises(KeyboardInterrupt):
        kept.open(Deadline(5))

    kept.close()

    assert not line.fenced.is_set()
    line.may.set()
    assert line.fenced.wait(30)


# -- what a loss means -------------------------------------------------------------------------------------------------


class Losing(Line):
    """A connection over which a call gets lost, before or after it was sent."""

    def __init__(self, done: list[str], *, sent: bool, fences: bool = True) -> None:
        super().__init__(done)
        self._loses_after_sending = sent
        self._fences = fences

    def call(self, call: Call, deadline: Deadline) -> str:
        self.sent = self._loses_after_sending
        raise ConnectionLostError("Reset.", address="x", hint="Look.") from OSError("reset")

    def fence(self, deadline: Deadline, /) -> bool:
        super().fence(deadline)
        return self._fences


@pytest.mark.parametrize("call", [Call(GET_HOST, {}), Call(SET_SERVICES, {}), Call(SET_SERVICES, {}, dry_run=True)])
@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("fences", [False, True])
def test_what_a_loss_means_follows_from_what_was_sent_and_fenced(call: Call, *, sent: bool, fences: bool) -> None:
    kept = KeptConnection(lambda: Losing([], sent=sent, fences=fences), address="x", fences_at_once=True)

    with pytest.raises(ConnectionLostError, match="Reset") as lost:
        kept.call(call, Deadline(5))

    assert (lost.value.may_have_run, lost.value.fenced) == (sent, fences or not sent)
    assert (lost.value.hint, str(lost.value.__cause__)) == ("Look.", "reset")


class LosingSlowly(Losing):
    """One that is fenced when it may be."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__([], sent=sent)
        self.may = threading.Event()

    def fence(self, deadline: Deadline, /) -> bool:
        assert self.may.wait(30)
        return super().fence(deadline)


@pytest.mark.parametrize(
    ("call", "sent", "fenced_first"),
    [(Call(SET_SERVICES, {}), True, True), (Call(SET_SERVICES, {}), False, False), (Call(GET_HOST, {}), True, False)],
)
def test_only_a_write_that_was_sent_is_fenced_before_its_loss_is_told(
    call: Call, *, sent: bool, fenced_first: bool
) -> None:
    line = LosingSlowly(sent=sent)
    kept = KeptConnection(lambda: line, address="x", fences_at_once=False)
    told = threading.Event()

    def ask() -> None:
        with pytest.raises(ConnectionLostError):
            kept.call(call, Deadline(60))
        told.set()

    asking = threading.Thread(target=ask)
    asking.start()
    assert told.wait(0.3) is not fenced_first
    line.may.set()
    asking.join(30)
    assert told.is_set()
    assert line.fenced.wait(30)


# -- whose time it is --------------------------------------------------------------------------------------------------


class Timed(Line):
    """A connection that takes its time, on a clock, and writes down until when it was to wait for an answer."""

    def __init__(self, clock: VirtualClock, *, opening: float, preparing: float) -> None:
        super().__init__([])
        self._clock = clock
        self._opening = opening
        self._preparing = preparing
        self.given: list[float] = []

    def open(self, deadline: Deadline) -> None:
        super().open(deadline)
        self._clock.sleep(self._opening)

    def prepare(self, call: Call, deadline: Deadline) -> None:
        super().prepare(call, deadline)
        self._clock.sleep(self._preparing)

    def call(self, call: Call, deadline: Deadline) -> str:
        self.given.append(deadline.left())
        return super().call(call, deadline)


@pytest.mark.parametrize(
    ("timeout", "opening", "preparing", "write", "read"),
    [
        (10, 0, 0, 5, 10),
        (10, 6, 2, 1, 2),
        (60, 0, 0, 45, 60),
        (60, 20, 0, 30, 40),
        (200, 0, 0, 180, 200),
        (1, 0, 0, 0.5, 1),
    ],
)
def test_a_write_keeps_its_reserve_from_what_is_left_when_it_is_sent(
    timeout: float, opening: float, preparing: float, write: float, read: float
) -> None:
    for call, given in ((Call(SET_SERVICES, {}), write), (Call(GET_HOST, {}), read)):
        clock = VirtualClock()
        line = Timed(clock, opening=opening, preparing=preparing)

        KeptConnection(lambda line=line: line, address="x", fences_at_once=False).call(call, Deadline(timeout, clock))  # type: ignore[misc]

        assert line.given == [given]


# -- closing while it is used ------------------------------------------------------------------------------------------


class Waiting(Line):
    """A connection whose answer does not come until it is broken off, or may come."""

    def __init__(self, done: list[str]) -> None:
        super().__init__(done)
        self.called = threading.Event()
        self.may_answer = threading.Event()
        self._broken = False

    def call(self, call: Call, deadline: Deadline) -> str:
        self.sent = True
        self.called.set()
        assert self.may_answer.wait(30)
        if self._broken:
            raise ConnectionLostError("Broken off.", address="x")
        return "answer"

    def break_off(self) -> None:
        super().break_off()
        self._broken = True
        self.may_answer.set()


def in_turn(kept: KeptConnection, call: Call) -> str:
    return kept.sharing.in_turn(lambda: kept.call(call, Deadline(60)), Deadline(60), "x")


def test_closing_breaks_off_a_call_that_does_not_end_and_the_caller_fences_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvintegration.transports.sharing.SECONDS_TO_CLOSE", 0.05)
    done: list[str] = []
    lines = [Waiting(done), Line(done)]
    kept = KeptConnection(lambda: lines.pop(0), address="x", fences_at_once=True)
    line = lines[0]
    assert isinstance(line, Waiting)
    came: list[object] = []

    def ask() -> None:
        try:
            came.append(
                kept.sharing.in_turn(lambda: kept.call(Call(SET_SERVICES, {}), Deadline(60)), Deadline(60), "x")
            )
        except ConnectionLostError as lost:
            came.append((lost.may_have_run, lost.fenced))

    asking = threading.Thread(target=ask)
    asking.start()
    assert line.called.wait(30)
    kept.close()
    asking.join(30)

    assert came == [(True, True)]
    assert done == ["open 60", "break off", "fence"]
    assert kept.call(Call(GET_HOST, {}), Deadline(5)) == "{}"


def test_closing_waits_for_a_call_that_ends() -> None:
    done: list[str] = []
    line = Waiting(done)
    kept = KeptConnection(lambda: line, address="x", fences_at_once=True)
    came: list[str] = []

    def ask() -> None:
        came.append(in_turn(kept, Call(GET_HOST, {})))

    asking = threading.Thread(target=ask)
    asking.start()
    assert line.called.wait(30)
    threading.Timer(0.1, line.may_answer.set).start()
    kept.close()
    asking.join(30)

    assert came == ["answer"]
    assert done == ["open 60", "close"]


def test_what_was_broken_off_just_as_the_answer_came_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answering(Line):
        def call(self, call: Call, deadline: Deadline) -> str:
            kept.close()  # As a signal handler of this thread may.
            return super().call(call, deadline)

    done: list[str] = []
    lines = [Answering(done), Line(done)]
    kept = KeptConnection(lambda: lines.pop(0), address="x", fences_at_once=True)

    assert kept.call(Call(GET_HOST, {}), Deadline(5)) == "{}"
    assert kept.call(Call(GET_HOST, {}), Deadline(5)) == "{}"
    assert done == ["open 5", "break off", "call", "fence", "open 5", "call"]
    assert kept.requests == 2


def test_who_closes_waits_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvintegration.transports.sharing.SECONDS_TO_CLOSE", 0.5)
    line = Waiting([])
    kept = KeptConnection(lambda: line, address="x", fences_at_once=True)

    def ask() -> None:
        with pytest.raises(ConnectionLostError):
            in_turn(kept, Call(GET_HOST, {}))

    asking = threading.Thread(target=ask)
    asking.start()
    assert line.called.wait(30)
    began = time.monotonic()
    with within(0.9):
        kept.sharing.close(kept.close)  # As a session does.
    assert time.monotonic() - began > 0.4
    asking.join(30)


def test_a_connection_that_is_closed_while_it_opens_is_lost_however_that_shows() -> None:
    class Opening(Line):
        def open(self, deadline: Deadline) -> None:
            kept.close()
            raise ConnectError("Is it a PowerShell?", address="x")

    done: list[str] = []
    kept = KeptConnection(lambda: Opening(done), address="x", fences_at_once=True)

    with pytest.raises(ConnectionLostError, match=r"^The connection with x was closed\.$") as lost:
        kept.call(Call(SET_SERVICES, {}), Deadline(5))

    assert (lost.value.may_have_run, lost.value.fenced, lost.value.retryable) == (False, True, False)
    assert done == ["break off", "fence"]


def test_a_connection_that_is_closed_while_it_is_made_is_not_used() -> None:
    done: list[str] = []

    def make() -> Line:
        kept.close()
        return Line(done)

    kept = KeptConnection(make, address="x", fences_at_once=True)

    with pytest.raises(ConnectionLostError, match="was closed"):
        kept.call(Call(SET_SERVICES, {}), Deadline(5))

    assert done == ["fence"]


def test_ctrl_c_while_a_lost_write_is_fenced_leaves_the_fencing_to_others() -> None:
    class Interrupted(Losing):
        def fence(self, deadline: Deadline, /) -> bool:
            if threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt
            return super().fence(deadline)

    line = Interrupted([], sent=True)
    kept = KeptConnection(lambda: line, address="x", fences_at_once=False)

    with pytest.raises(KeyboardInterrupt):
        kept.call(Call(SET_SERVICES, {}), Deadline(60))

    assert line.fenced.wait(30)


def test_what_is_given_up_is_fenced_behind_the_back() -> None:
    line = LosingSlowly(sent=True)
    kept = KeptConnection(lambda: line, address="x", fences_at_once=False)
    kept.open(Deadline(5))

    kept.discard()
    kept.discard()

    assert not line.fenced.is_set()
    line.may.set()
    assert line.fenced.wait(30)


def test_a_refused_script_is_called_by_name_after_all_is_prepared_again() -> None:
    class Refusing(Line):
        def prepare(self, call: Call, deadline: Deadline) -> None:
            super().prepare(call, deadline)
            self._done.append("prepare")

        def call(self, call: Call, deadline: Deadline) -> str:
            answer = super().call(call, deadline)
            if self._done.count("call") == 1:
                raise UnsupportedError("No.", address="x", needs="scripts", error_id="ScriptsNotAllowed")
            return answer

    done: list[str] = []
    kept = KeptConnection(lambda: Refusing(done), address="x", fences_at_once=True)

    assert kept.call(Call(GET_HOST, {}), Deadline(5)) == "{}"
    assert done == ["open 5", "prepare", "call", "prepare", "call"]
