"""One connection that is kept between calls, and thrown away after any failure."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Generator
from typing import Final, Protocol

from hvintegration.calls.call import Call
from hvintegration.calls.refusals import is_refusal_of_scripts
from hvintegration.calls.reserve import answer_by, fence_by
from hvintegration.clock import Deadline, SystemClock
from hvintegration.errors import ConnectionLostError, HvError, TransportError, UnsupportedError
from hvintegration.processes import OfThisProcess, forget_after_fork
from hvintegration.scripts import Effect
from hvintegration.transports.one_time_event import OneTimeEvent
from hvintegration.transports.sharing import Sharing

__all__ = ["KeptConnection", "KeptTransport", "ScriptConnection"]

SECONDS_TO_FENCE_LATER: Final = 10.0
"""How long fencing is tried behind the caller's back, for the network may come back."""

SECONDS_TO_CLOSE: Final = 3.0
"""How long closing waits for that: a process that ends takes it along."""

SECONDS_OF_ONE_TRY: Final = 3.0
PAUSE_BETWEEN_TRIES: Final = 0.5


class ScriptConnection(Protocol):
    """An open way to what runs scripts, good for one call at a time until the first failure.

    Its errors say what happened. What that means for the call, whether it may have run and goes on running, is decided
    by :class:`KeptConnection` alone.
    """

    @property
    def requests(self) -> int:
        """Messages of its protocol sent so far."""
        ...

    @property
    def sent(self) -> bool:
        """Whether the script of the last call may have reached the far side and not been refused there."""
        ...

    def open(self, deadline: Deadline) -> None:
        """Connect and authenticate.

        Raises:
            TransportError: That could not be done in time.
            RemoteError: The machine refuses this user or this endpoint.
        """
        ...

    def prepare(self, call: Call, deadline: Deadline) -> None:
        """Do all that *call* needs before it can be sent.

        Raises:
            TransportError: That could not be done in time.
            RemoteError: The machine refuses it.
        """
        ...

    def call(self, call: Call, deadline: Deadline) -> str:
        """The document that the script writes, for which all is prepared.

        Raises:
            TransportError: There is no answer.
            RemoteError: The script was refused. Where the endpoint runs no scripts, later calls call the functions
                of their names.
        """
        ...

    def close(self) -> None:
        """End it in good order, within a moment."""
        ...

    def break_off(self) -> None:
        """Have the call that another thread has under way end in a TransportError, now. May come at any time."""
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

    So does the first call of a process that was forked: a connection is its maker's, and nobody else ends it.

    Args:
        make: Makes a connection, which is not open yet.
        address: Where it leads, for errors.
        fences_at_once: Whether fencing takes no time, so that reads are fenced as writes are. Otherwise what is left
            of a read is fenced behind the caller's back.

    Attributes:
        sharing: Whose turn it is on it.
    """

    def __init__(self, make: Callable[[], ScriptConnection], *, address: str, fences_at_once: bool) -> None:
        self.sharing = Sharing()
        self._address = address
        self._make = make
        self._fences_at_once = fences_at_once
        self._requests = 0
        self._idle: ScriptConnection | None = None
        self._in_use: ScriptConnection | None = None
        self._closings = 0
        self._fences: list[OneTimeEvent] = []
        self._own: weakref.WeakSet[ScriptConnection] = weakref.WeakSet()
        forget_after_fork(self, KeptConnection._forget)

    def _forget(self) -> None:
        self._requests = self.requests
        self._idle = self._in_use = None
        self._fences = []
        self._own = weakref.WeakSet()

    @property
    def requests(self) -> int:
        """Messages sent over all connections so far."""
        return self._requests + sum(used.requests for used in (self._idle, self._in_use) if used is not None)

    def call(self, call: Call, deadline: Deadline) -> str:
        """The answer to *call*; see :class:`~hvintegration.transports.base.Transport`."""
        with self._taken(call, deadline) as connection:
            connection.prepare(call, deadline)
            try:
                return connection.call(call, answer_by(call, deadline))
            except UnsupportedError as refusal:
                if not is_refusal_of_scripts(refusal.error_id):
                    raise
                # Nothing ran. From now on the connection calls functions of the scripts' names.
                connection.prepare(call, deadline)
                return connection.call(call, answer_by(call, deadline))

    def open(self, deadline: Deadline) -> None:
        """Make a connection for calls to use, unless there is one.

        Raises:
            TransportError: That could not be done. Nothing ran.
            RemoteError: The machine refuses this user or this endpoint.
        """
        with self._taken(None, deadline):
            pass

    def keep(self, connection: ScriptConnection) -> None:
        """Have calls use *connection*, which is open. Where there is one already, it is closed instead."""
        if self._idle is None:
            self._own.add(connection)
            self._idle = connection
        else:
            connection.close()

    def close(self) -> None:
        """End the connection in good order, and wait a moment for what is being fenced behind the caller's back.

        A call that is under way gets ten seconds. Then it is broken off: whoever asked gets the loss, and fences it.
        """
        self.sharing.close(self._close)

    def discard(self) -> None:
        """Give up the connection: what there is over there is ended behind the caller's back. Waits for nothing."""
        idle, self._idle = self._idle, None
        if idle is not None:
            self._discard(idle, None)

    def _close(self) -> None:
        self._closings += 1
        used, self._in_use = self._in_use, None
        if used is not None:
            used.break_off()
        idle, self._idle = self._idle, None
        if idle is not None:
            self._requests += idle.requests
            idle.close()
        fences, self._fences = self._fences, []
        over = Deadline(SECONDS_TO_CLOSE)
        for fenced in fences:
            fenced.wait(over)

    @contextlib.contextmanager
    def _taken(self, call: Call | None, deadline: Deadline) -> Generator[ScriptConnection, None, None]:
        """An open connection, which is kept afterwards, unless it gets lost or is closed meanwhile.

        What a loss means for *call* is decided here and nowhere else.
        """
        closings = self._closings
        # Interrupted before the connection is in use again, it lets go of everything when it is collected.
        connection, self._idle = self._idle, None
        is_open = connection is not None
        if connection is None:
            connection = self._make()
            self._own.add(connection)
        self._in_use = connection
        try:
            self._check_not_closed(closings)
            if not is_open:
                connection.open(deadline)
                is_open = True
            yield connection
        except TransportError as loss:
            try:
                judged = self._judged(loss, connection, call, deadline)
            except BaseException:
                self._fence_later(connection)
                raise
            raise judged from loss.__cause__
        except HvError:
            if is_open:
                self._put_back(connection)
            else:
                self._discard(connection, None)
            raise
        except BaseException:
            self._discard(connection, None)
            raise
        self._put_back(connection)

    def _judged(
        self, loss: TransportError, connection: ScriptConnection, call: Call | None, deadline: Deadline
    ) -> TransportError:
        if self._in_use is not connection:  # However that shows.
            loss = self._was_closed()
        sent = connection.sent
        is_write = call is not None and call.effect is Effect.WRITE
        fenced = self._discard(connection, deadline if sent and is_write else None)
        return loss.judged(may_have_run=sent, fenced=fenced or not sent)

    def _check_not_closed(self, closings: int) -> None:
        if self._closings != closings:
            raise self._was_closed()

    def _was_closed(self) -> ConnectionLostError:
        closed = ConnectionLostError(f"The connection with {self._address} was closed.", address=self._address)
        closed.retryable = False
        return closed

    def _put_back(self, connection: ScriptConnection) -> None:
        if self._in_use is connection:
            self._in_use, self._idle = None, connection
        else:
            self._discard(connection, None)

    def _discard(self, connection: ScriptConnection, deadline: Deadline | None) -> bool:
        """Fence the connection, in time or behind the caller's back; whether nothing certainly runs on."""
        if connection not in self._own:
            return False
        if self._in_use is connection:
            self._in_use = None
        self._requests += connection.requests
        if self._fences_at_once:
            return connection.fence(Deadline(0) if deadline is None else fence_by(deadline))
        if deadline is not None and connection.fence(fence_by(deadline)):
            return True
        self._fence_later(connection)
        return False

    def _fence_later(self, connection: ScriptConnection) -> None:
        if connection not in self._own:
            return
        over = OneTimeEvent()
        threading.Thread(target=_fence, args=(connection, over), name="hvintegration fence", daemon=True).start()
        self._fences = [*(fence for fence in self._fences if not fence.happened), over]


class KeptTransport(OfThisProcess):
    """What transports over a kept connection have in common. Each says itself what it counts, and what closing ends."""

    _kept: KeptConnection

    @property
    def sharing(self) -> Sharing:
        """Whose turn it is."""
        return self._kept.sharing

    def call(self, call: Call, deadline: Deadline, /) -> str:
        """Make *call*; see :class:`~hvintegration.transports.base.Transport`."""
        return self._kept.call(call, deadline)

    def discard(self) -> None:
        """Give up the connection at once; what it leaves over there is ended behind the caller's back."""
        self._kept.discard()


def _fence(connection: ScriptConnection, over: OneTimeEvent) -> None:
    clock = SystemClock()
    deadline = Deadline(SECONDS_TO_FENCE_LATER, clock)
    try:
        while not connection.fence(Deadline(min(SECONDS_OF_ONE_TRY, deadline.left()), clock)):
            if deadline.left() < PAUSE_BETWEEN_TRIES:
                break
            clock.sleep(PAUSE_BETWEEN_TRIES)
    finally:
        over.happen()
