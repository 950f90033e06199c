"""Time as something that is handed in, so that waiting can be tested without waiting."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

__all__ = ["Clock", "Deadline", "SystemClock", "VirtualClock"]


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
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Seconds slept so far."""
        return self._seconds

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return self._start + timedelta(seconds=self._seconds)

    def sleep(self, seconds: float) -> None:
        """Move on by *seconds*."""
        with self._lock:
            self._seconds += max(0.0, seconds)


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
