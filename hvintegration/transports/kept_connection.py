"""One connection that is kept between calls, and thrown away after any failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, Protocol

from hvintegration.calls.refusals import is_refusal_of_scripts
from hvintegration.clock import Deadline, SystemClock
from hvintegration.errors import ConfigurationError, HvError, RemoteError, TransportError, UnsupportedError
from hvintegration.scripts import Effect, Script
from hvintegration.transports.one_time_event import OneTimeEvent

__all__ = ["Connection", "KeptConnection"]

LEAST_SECONDS_TO_FENCE: Final = 3.0
MOST_SECONDS_TO_FENCE: Final = 5.0
"""Of a write's time, a quarter is left for fencing it: within these limits, and never more than half."""

SECONDS_TO_FENCE_LATER: Final = 10.0
"""How long fencing is tried behind the caller's back, for the network may come back."""

SECONDS_TO_CLOSE: Final = 3.0
"""How long closing waits for that: a process that ends takes it along."""

SECONDS_OF_ONE_TRY: Final = 3.0
PAUSE_BETWEEN_TRIES: Final = 0.5


class Connection(Protocol):
    """An open way to a PowerShell, good for one call at a time until the first failure."""

    @property
    def requests(self) -> int:
        """Messages of its protocol sent so far."""
        ...

    def open(self, deadline: Deadline) -> None:
        """Connect and authenticate.

        Raises:
            TransportError: That could not be done in time. Nothing ran.
            RemoteError: The host refuses this user or this endpoint.
        """
        ...

    def call(self, script: Script, document: str, deadline: Deadline) -> str:
        """The document that *script* writes for *document*.

        Raises:
            TransportError: There is no answer; ``may_have_run`` says what is known of the call.
            RemoteError: The script was refused. Where the endpoint runs no scripts, later calls call the functions
                of their names.
        """
        ...

    def close(self) -> None:
        """End it in good order, within a moment."""
        ...

    def fence(self, deadline: Deadline, /) -> bool:
        """Make sure that what was sent does not go on running over there, and let go of everything.

        Where it does not succeed, it is tried again behind the caller's back.

        Returns:
            Whether that is certain.
        """
        ...


class KeptConnection:
    """Makes a connection when it is needed and makes calls over it; after a failure the next call makes a new one.

    Args:
        make: Makes a connection, which is not open yet.
        fences_at_once: Whether fencing takes no time, so that reads are fenced as writes are. Otherwise what is left
            of a read is fenced behind the caller's back.
    """

    def __init__(self, make: Callable[[], Connection], *, fences_at_once: bool) -> None:
        self._make = make
        self._fences_at_once = fences_at_once
        self._requests = 0
        self._connection: Connection | None = None
        self._fences: list[OneTimeEvent] = []

    @property
    def requests(self) -> int:
        """Messages sent over all connections so far."""
        return self._requests + (self._connection.requests if self._connection is not None else 0)

    def call(self, script: Script, document: str, timeout: float) -> str:
        """Run *script* on *document*; see :class:`~hvintegration.transports.base.Transport`."""
        waits = script.effect is Effect.WRITE and not self._fences_at_once
        reserve = min(max(timeout / 4, LEAST_SECONDS_TO_FENCE), MOST_SECONDS_TO_FENCE, timeout / 2) if waits else 0.0
        deadline = Deadline(timeout - reserve, SystemClock())
        with self._kept(reserve):
            connection = self._opened(deadline)
            try:
                return connection.call(script, document, deadline)
            except UnsupportedError as refusal:
                if not is_refusal_of_scripts(refusal.error_id):
                    raise
                # Nothing ran. From now on the connection calls functions of the scripts' names.
                return connection.call(script, document, deadline)

    def open(self, timeout: float) -> None:
        """Make a connection within *timeout* seconds, for calls to use, unless there is one.

        Raises:
            TransportError: That could not be done. Nothing ran.
            RemoteError: The host refuses this user or this endpoint.
        """
        with self._kept(0):
            self._opened(Deadline(timeout, SystemClock()))

    def keep(self, connection: Connection) -> None:
        """Have calls use *connection*, which is open. Where there is one already, it is closed instead."""
        if self._connection is None:
            self._connection = connection
        else:
            connection.close()

    def _opened(self, deadline: Deadline) -> Connection:
        if self._connection is None:
            self._connection = self._make()
            try:
                self._connection.open(deadline)
            except (ConfigurationError, RemoteError):
                self._discard(0)
                raise
        return self._connection

    @contextmanager
    def _kept(self, reserve: float) -> Generator[None, None, None]:
        """Discards the connection, within *reserve* seconds, where what is done with it fails."""
        try:
            yield
        except TransportError as error:
            error.fenced = self._discard(reserve) or not error.may_have_run
            raise
        except HvError:
            raise
        except BaseException:
            self._discard(0)
            raise

    def close(self) -> None:
        """End the connection in good order, and wait a moment for what is being fenced behind the caller's back."""
        connection = self._forget()
        if connection is not None:
            connection.close()
        fences, self._fences = self._fences, []
        over = Deadline(SECONDS_TO_CLOSE, SystemClock())
        for fenced in fences:
            fenced.wait(over)

    def _discard(self, seconds: float) -> bool:
        """Fence the connection, within *seconds* or behind the caller's back; whether nothing certainly runs on."""
        connection = self._forget()
        if connection is None:
            return True
        if self._fences_at_once:
            return connection.fence(Deadline(seconds, SystemClock()))
        if seconds and connection.fence(Deadline(seconds, SystemClock())):
            return True
        over = OneTimeEvent()
        threading.Thread(target=_fence_later, args=(connection, over), name="hvintegration fence", daemon=True).start()
        self._fences = [*(fence for fence in self._fences if not fence.happened), over]
        return False

    def _forget(self) -> Connection | None:
        # Forgotten first: interrupted in what follows, the connection lets go of everything when it is collected.
        connection, self._connection = self._connection, None
        if connection is not None:
            self._requests += connection.requests
        return connection


def _fence_later(connection: Connection, over: OneTimeEvent) -> None:
    clock = SystemClock()
    deadline = Deadline(SECONDS_TO_FENCE_LATER, clock)
    try:
        while not connection.fence(Deadline(min(SECONDS_OF_ONE_TRY, deadline.left()), clock)):
            if deadline.left() < PAUSE_BETWEEN_TRIES:
                break
            clock.sleep(PAUSE_BETWEEN_TRIES)
    finally:
        over.happen()
