"""Time as something that is handed in, so that waiting can be tested without waiting."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeAlias, runtime_checkable

from hvintegration.errors import ConfigurationError
from hvintegration.processes import Lock

__all__ = ["MOST_SECONDS", "Clock", "Deadline", "SystemClock", "Timeout", "VirtualClock"]


@runtime_checkable
class Clock(Protocol):
    """What tells the time and sleeps."""

    def monotonic(self) -> float:
        """Seconds since some fixed point; never runs backwards."""
        ...

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""
        ...


class SystemClock:
    """The machine's own clock. All of them are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SystemClock)

    def __hash__(self) -> int:
        return hash(SystemClock)

    def monotonic(self) -> float:
        """Seconds since some fixed point; never runs backwards."""
        return time.monotonic()

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""
        time.sleep(seconds)


class VirtualClock:
    """A clock on which sleeping takes no time: it moves the clock on instead.

    Args:
        start: The time of day at which it starts, with a time zone; noon of 1 January 2026, UTC, if None.

    >>> clock = VirtualClock()
    >>> clock.sleep(90)
    >>> clock.now().isoformat()
    '2026-01-01T12:01:30+00:00'
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._start = (start or datetime(2026, 1, 1, 12, tzinfo=UTC)).astimezone(UTC)
        self._seconds = 0.0
        self._turn = Lock()

    def monotonic(self) -> float:
        """Seconds slept so far."""
        return self._seconds

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return self._start + timedelta(seconds=self._seconds)

    def sleep(self, seconds: float) -> None:
        """Move on by *seconds*."""
        forward = max(0.0, seconds)
        with self._turn.lock:
            self._seconds += forward


MOST_SECONDS: Final = 1_000_000
"""What a deadline may be away: what every system can wait for, eleven days."""


class Deadline:
    """A point in time, as seconds left until it. It may be given to several verbs in turn, for all of them together.

    Args:
        seconds: How far away it is.
        clock: What tells the time; the machine's own clock if None.

    Attributes:
        given: The seconds that the caller gave; those of the first deadline where this one was made of another.
        clock: What it goes by.

    Raises:
        ConfigurationError: It is no number of seconds, or more than a million.

    >>> whole = Deadline(60, VirtualClock())
    >>> part = whole.within(20)
    >>> whole.left(), part.left(), part.given
    (60.0, 20.0, 60)
    """

    __slots__ = ("_end", "clock", "given")

    def __init__(self, seconds: float, clock: Clock | None = None) -> None:
        if not 0 <= seconds <= MOST_SECONDS:
            raise ConfigurationError(f"Invalid deadline {seconds!r}: it is not up to {MOST_SECONDS:g} seconds away.")
        self.given = seconds
        self.clock = SystemClock() if clock is None else clock
        self._end = self.clock.monotonic() + seconds

    def within(self, seconds: float) -> Deadline:
        """Another one, for a part of what is to be done: in *seconds*, or when this one ends, if that is earlier."""
        part = Deadline(max(0.0, min(seconds, self.left())), self.clock)
        part.given = self.given
        return part

    def left(self) -> float:
        """Seconds left; zero once it has passed."""
        return max(0.0, self._end - self.clock.monotonic())


Timeout: TypeAlias = float | Deadline | None
"""What verbs take: seconds for all of it; a deadline, which several verbs may share; None for 60 seconds."""
