"""A connection that is kept: when it is made, when it is used again, when it is thrown away."""

from __future__ import annotations

import threading

import pytest

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline, SystemClock
from hvintegration.errors import ConnectError, HvError, PermissionDeniedError
from hvintegration.scripts import GET_HOST
from hvintegration.transports.kept_connection import KeptConnection


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
    kept = KeptConnection(lambda: Line(done), fences_at_once=True)

    kept.open(Deadline(5))
    kept.open(Deadline(5))
    kept.call(Call(GET_HOST, {}), Deadline(5))
    kept.close()

    assert done == ["open 5", "call", "close"]
    assert kept.requests == 1


def test_what_was_opened_elsewhere_is_used_unless_there_is_one() -> None:
    done: list[str] = []
    another: list[str] = []
    kept = KeptConnection(lambda: Line(done), fences_at_once=True)
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
    kept = KeptConnection(lambda: next(made), fences_at_once=fences_at_once)

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
    kept = KeptConnection(lambda: line, fences_at_once=False)
    with pytest.raises(KeyboardInterrupt):
        kept.open(Deadline(5))

    threading.Timer(0.1, line.may.set).start()
    kept.close()

    assert done == ["open 5", "fence"]


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvintegration.transports.kept_connection.SECONDS_TO_CLOSE", 0.1)
    line = SlowToFence([], KeyboardInterrupt())
    kept = KeptConnection(lambda: line, fences_at_once=False)
    with pytest.raises(KeyboardInterrupt):
        kept.open(Deadline(5))

    kept.close()

    assert not line.fenced.is_set()
    line.may.set()
    assert line.fenced.wait(30)
