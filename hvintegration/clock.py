"""Time as something that is handed in, so that waiting can be tested without waiting."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

__all__ = ["Clock", "Deadline", "SystemClock"]


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
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Seconds since some fixed point; never runs backwards."""
        return time.monotonic()

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""
        time.sleep(seconds)


class Deadline:
    """A point in time, as seconds left until it."""

    __slots__ = ("_clock", "_end", "total")

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.total = seconds
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def left(self) -> float:
        """Seconds left; zero once it has passed."""
        return max(0.0, self._end - self._clock.monotonic())
