"""That something ends in time, however much else the machine has to do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["GRACE", "Stopwatch", "within"]

GRACE: Final = 0.5
"""Seconds that a call may last longer than it was given."""


def _seconds_in_line() -> float:
    """Seconds that the threads of this process were ready to run and had no processor; zero where no system says so."""
    total = 0
    for file in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(file.read_text().split()[1])
    return total / 1e9


class Stopwatch:
    """Tells how long something has taken by itself: waiting for a processor does not count."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._in_line = _seconds_in_line()

    def seconds(self) -> float:
        """Seconds since this was made."""
        took = time.monotonic() - self._began
        return max(0.0, took - max(0.0, _seconds_in_line() - self._in_line))


@contextlib.contextmanager
def within(seconds: float) -> Iterator[Stopwatch]:
    """Fail if what is done in here takes longer."""
    stopwatch = Stopwatch()
    yield stopwatch
    took = stopwatch.seconds()
    assert took < seconds, f"it took {took:.2f} seconds"
