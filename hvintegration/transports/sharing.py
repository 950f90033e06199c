"""Whose turn it is on a connection that several may use, and who uses it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Final, TypeVar

from hvintegration.clock import Deadline
from hvintegration.errors import ReentrantCallError, TransportTimeoutError
from hvintegration.processes import forget_after_fork

__all__ = ["Sharing"]

T = TypeVar("T")

SECONDS_TO_CLOSE: Final = 10.0
"""How long closing waits for the call of another thread."""

SLICE: Final = 0.5
"""Seconds of one wait: on Windows, Ctrl-C is noticed between waits only."""


class Sharing:
    """One turn at a time, among threads and sessions; and when the last session goes.

    Ctrl-C may strike at any moment of it.
    """

    def __init__(self) -> None:
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        self._begin()
        forget_after_fork(self, Sharing._begin)

    def _begin(self) -> None:
        """It is nobody's turn."""
        self._turn = threading.RLock()  # It knows its owner, so that releasing what was not acquired is refused.
        self._asking: int | None = None
        self._closing: set[int] = set()

    def join(self, user: object) -> None:
        """Count *user* among those who use it, until it leaves or is collected."""
        self._users.add(user)

    def leave(self, user: object) -> bool:
        """Count it no longer; whether it was the last."""
        was_there = user in self._users
        self._users.discard(user)
        return was_there and not self._users

    def in_turn(self, work: Callable[[], T], deadline: Deadline, address: str) -> T:
        """What *work* answers, done while nobody else does anything.

        Raises:
            ReentrantCallError: This thread is in the middle of its turn.
            TransportTimeoutError: The turn did not come in time. Nothing was done.
        """
        this_thread = threading.get_ident()
        if self._asking == this_thread:
            raise ReentrantCallError(address=address)
        # Ctrl-C can strike between acquiring and the next statement, so releasing is tried in any case. It is done in
        # this very frame, before anything is called: Ctrl-C strikes after calls, and would end a `finally` before it.
        try:
            if not self._acquire(deadline):
                raise TransportTimeoutError(address=address, after=deadline.given, may_have_run=False, fenced=True)
            self._asking = this_thread
            return work()
        finally:
            if self._asking == this_thread:
                self._asking = None
            try:  # noqa: SIM105
                self._turn.release()
            except RuntimeError:
                pass

    def close(self, close: Callable[[], None]) -> None:
        """Let *close* end what is shared: after the call that is under way, or while it is, ten seconds later.

        A call of this very thread, which a signal handler has interrupted, is not waited for; and who closes something
        around something else waits once.
        """
        this_thread = threading.get_ident()
        if this_thread in self._closing:
            close()
            return
        try:
            self._closing.add(this_thread)
            self._acquire(Deadline(SECONDS_TO_CLOSE))
            close()
        finally:
            try:  # noqa: SIM105
                self._turn.release()
            except RuntimeError:
                pass
            self._closing.discard(this_thread)

    def _acquire(self, deadline: Deadline) -> bool:
        while True:
            left = deadline.left()
            if self._turn.acquire(timeout=min(left, SLICE)):
                return True
            if not left:
                return False
