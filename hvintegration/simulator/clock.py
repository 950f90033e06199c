"""A clock that only moves when somebody sleeps."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

__all__ = ["VirtualClock"]


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
