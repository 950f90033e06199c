"""Waiting for what another thread does, such that Ctrl-C may strike at any moment of it."""

from __future__ import annotations

import contextlib
import queue
from typing import Final, TypeVar

from hvintegration.clock import Deadline

__all__ = ["OneTimeEvent", "get_in_time"]

T = TypeVar("T")

_SLICE: Final = 0.5  # Seconds of one wait: on Windows, Ctrl-C is noticed between waits only.


def get_in_time(source: queue.SimpleQueue[T], deadline: Deadline) -> T:
    """What comes next.

    Raises:
        queue.Empty: The deadline came first.
    """
    while True:
        left = deadline.left()
        try:
            return source.get(timeout=min(left, _SLICE))
        except queue.Empty:
            if not left:
                raise


class OneTimeEvent:
    """Something that happens once, and that one thread waits for.

    ``threading.Event`` and ``queue.Queue`` are written in Python around a lock: a Ctrl-C within them can leave it
    locked, and then the next one at it hangs, or become a RuntimeError. ``SimpleQueue`` is one piece.
    """

    def __init__(self) -> None:
        self._happened = False
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()

    @property
    def happened(self) -> bool:
        """Whether it has happened."""
        return self._happened

    def happen(self) -> None:
        """Let the waiting thread go on."""
        self._happened = True
        self._news.put(None)

    def wait(self, deadline: Deadline) -> bool:
        """Return when it has happened, or when the deadline has come; whether it has happened."""
        if not self._happened:
            with contextlib.suppress(queue.Empty):
                get_in_time(self._news, deadline)
        return self._happened
