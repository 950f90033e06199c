"""Waiting for what another thread does, such that Ctrl-C may strike at any moment of it."""

from __future__ import annotations

import queue
from typing import Final

from hvintegration.clock import Deadline

__all__ = ["WAIT_SLICE", "OneTimeEvent"]

WAIT_SLICE: Final = 0.5
"""Seconds of one wait: on Windows, Ctrl-C is noticed between waits only."""


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
        while not self._happened:
            left = deadline.left()
            try:
                self._news.get(timeout=min(left, WAIT_SLICE))
            except queue.Empty:
                if not left:
                    break
        return self._happened
