from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hvintegration.clock import Clock, Deadline, SystemClock, VirtualClock
from hvintegration.errors import ConfigurationError


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.mark.parametrize(("passed", "left"), [(0.0, 10.0), (4.0, 6.0), (10.0, 0.0), (99.0, 0.0)])
def test_what_is_left_shrinks_to_zero_and_never_below(passed: float, left: float) -> None:
    clock = HandClock()
    deadline = Deadline(10.0, clock)
    clock.sleep(passed)
    assert (deadline.left(), deadline.given) == (left, 10.0)


@pytest.mark.parametrize("clock", [SystemClock(), HandClock()], ids=["system", "hand"])
def test_it_is_a_clock(clock: object) -> None:
    assert isinstance(clock, Clock)


def test_something_else_is_no_clock() -> None:
    assert not isinstance(object(), Clock)


def test_the_system_tells_the_time_of_day_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_the_systems_seconds_never_run_backwards() -> None:
    clock = SystemClock()
    seconds = [clock.monotonic() for _ in range(100)]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("seconds", [-1, 1_000_001, float("inf"), float("nan")])
def test_a_deadline_is_some_seconds_away_that_can_be_waited_for(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match=r"^Invalid deadline"):
        Deadline(seconds)


def test_a_part_of_a_deadline_ends_with_it_and_knows_what_was_given() -> None:
    clock = VirtualClock()
    whole = Deadline(60, clock)
    clock.sleep(50)

    parts = [whole.within(4), whole.within(40), whole.within(-1), whole.within(4).within(3)]

    assert [part.left() for part in parts] == [4, 10, 0, 3]
    assert [part.given for part in parts] == [60] * 4
