"""A runspace pool in a WSMan shell, and the two HTTP connections that lead to it."""

from __future__ import annotations

import atexit
import contextlib
import functools
import uuid
import weakref
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline, SystemClock
from hvintegration.errors import (
    AuthenticationError,
    BusyError,
    ConnectError,
    ConnectionLostError,
    HvError,
    TransportTimeoutError,
)
from hvintegration.processes import finalize, forget_after_fork
from hvintegration.transports.remoting.psrp import RunspacePool
from hvintegration.transports.winrm.host_record import HostRecord
from hvintegration.transports.winrm.shell import Shell
from hvintegration.transports.winrm.target import WSManTarget
from hvintegration.transports.winrm.wsman_faults import TOO_MANY_COMMANDS, FaultKind, WSManFault, fault_error
from hvintegration.transports.worker import Job, Late, Worker

__all__ = ["WinRMConnection"]

T = TypeVar("T")

TRIES_TO_FENCE: Final = 2
MOST_REFUSALS: Final = 3
SECONDS_TO_CLOSE: Final = 3.0
SECONDS_TO_TELL: Final = 15.0
MOST_UNTOLD: Final = 8
"""Pipelines that may be over without the host's knowing; it allows some 25 in a shell."""


class WinRMConnection:
    """See :class:`~hvintegration.transports.kept_connection.ScriptConnection`."""

    def __init__(self, target: WSManTarget, configuration_name: str, locale: str, record: HostRecord) -> None:
        self._address = target.address
        self._record = record
        self._configuration_name = configuration_name
        self._pool = RunspacePool(target.address)
        pool_id = self._pool.pool_id
        session_id = uuid.uuid4()

        def new_shell() -> Shell:
            return Shell(target, pool_id, configuration_name, locale, session_id=session_id, record=record)

        self._new_shell = new_shell
        self._front = new_shell()
        self._worker = Worker(f"{self._address} calls")
        self._closings = _Closings(new_shell, self._address)
        self.sent = False
        self._refusals = 0
        self._finalizer = finalize(self, _abandon, self._front, self._worker, self._closings)
        self._finalizer.atexit = False
        _open_connections.add(self)
        forget_after_fork(self, WinRMConnection._forget)

    def _forget(self) -> None:
        """In a forked process, which has none of the threads: nothing is to be ended. Calls that wait end."""
        _open_connections.discard(self)
        self._worker.break_off(self._asked_no_more())

    @property
    def requests(self) -> int:
        """WSMan messages sent; those of authentication are not counted."""
        return self._front.http.requests + self._closings.requests

    # -- for the kept connection ----------------------------------------------------------------------------------

    def open(self, deadline: Deadline) -> None:
        """Connect, authenticate and open the runspace pool."""
        self._do(lambda: self._open(deadline), deadline)

    def prepare(self, call: Call, deadline: Deadline) -> None:
        """Exchange a session key if *call* needs one, once."""
        self.sent = False
        if call.secrets and self._pool.request_key():
            self._do(lambda: self._exchange_key(deadline), deadline)

    def call(self, call: Call, deadline: Deadline) -> str:
        """The document that the script writes."""
        self.sent = False
        return self._do(lambda: self._call(call, deadline), deadline)

    def break_off(self) -> None:
        """Let the call that is under way end: nothing more is sent or received."""
        self._front.http.shut()
        self._worker.break_off(self._asked_no_more())

    def _asked_no_more(self) -> ConnectionLostError:
        return ConnectionLostError(f"{self._address} is asked no more.", address=self._address)

    def close(self) -> None:
        """End the runspace pool in good order, within a moment."""
        ending = self.begin_closing()
        with contextlib.suppress(Late):
            ending.wait(Deadline(SECONDS_TO_CLOSE, SystemClock()))
        self._let_go()

    def begin_closing(self) -> Job[None]:
        """Have the runspace pool ended, and do not wait for it."""
        return self._worker.later(lambda: _delete(self._front, Deadline(SECONDS_TO_CLOSE, SystemClock())))

    def fence(self, deadline: Deadline) -> bool:
        """End the runspace pool, with all that runs in it, over a fresh connection. May be tried again."""
        self._let_go()
        if not self._front.created:  # Asked after letting go: the worker may be about to create it.
            return True
        for _ in range(TRIES_TO_FENCE):
            shell = self._new_shell()
            worker = Worker(f"{self._address} fence")
            try:
                return worker.do(functools.partial(_is_gone, shell, deadline), deadline)
            except ConnectionLostError:
                continue
            except AuthenticationError:
                # The same user was let in before; a fault while authenticating looks like this, too.
                self._refusals += 1
                if self._refusals == MOST_REFUSALS:
                    self._front.created = False  # Not tried again: too many tries lock the user out.
                break
            except (Late, HvError):
                break
            finally:
                shell.http.shut()
                worker.later(shell.http.close)
                worker.stop()
        return False

    def _let_go(self) -> None:
        self._finalizer.detach()
        _open_connections.discard(self)
        self._front.http.shut()
        self._worker.later(self._front.http.close)
        self._worker.stop()
        self._closings.stop()

    # -- in the worker --------------------------------------------------------------------------------------------

    def _open(self, deadline: Deadline) -> None:
        beginning = self._outgoing()
        assert beginning is not None
        self._front.create(beginning, deadline)
        while not self._pool.opened:
            self._receive(None, deadline)
        self._front.expect_large_envelopes()

    def _exchange_key(self, deadline: Deadline) -> None:
        self._send(None, deadline)
        while not self._pool.has_key:
            self._receive(None, deadline)

    def _call(self, call: Call, deadline: Deadline) -> str:
        self._closings.catch_up(self._front, deadline)
        self._send(None, deadline)  # What psrpcore answers by itself to what the host asked.
        pipeline_id = self._pool.start(call)
        self._begin(pipeline_id, list(iter(self._outgoing, None)), deadline)
        while not self._pool.finished:
            self._receive(pipeline_id, deadline)
        self._closings.tell(pipeline_id)
        return self._pool.result()

    def _begin(self, pipeline_id: uuid.UUID, pieces: Sequence[bytes], deadline: Deadline) -> None:
        """Send all that the pipeline begins with. Until the last piece goes out, it cannot run."""
        beginning, *rest = pieces
        command = functools.partial(self._front.command, pipeline_id)
        try:
            self._carry(beginning, command, deadline, is_last=not rest)
        except WSManFault as fault:
            if fault.number != TOO_MANY_COMMANDS or not self._closings.catch_up(self._front, deadline, most=0):
                raise
            self._carry(beginning, command, deadline, is_last=not rest)
        try:
            for number, piece in enumerate(rest, 1):
                send = functools.partial(self._front.send, pipeline_id)
                self._carry(piece, send, deadline, is_last=number == len(rest))
        except WSManFault:
            self._closings.tell(pipeline_id)
            raise

    def _carry(
        self, piece: bytes, send: Callable[[bytes, Deadline], None], deadline: Deadline, *, is_last: bool
    ) -> None:
        self._front.http.about_to_send = self._note_sent if is_last else None
        try:
            send(piece, deadline)
        except WSManFault as fault:
            self.sent = self.sent and not fault.kind.refuses
            raise
        finally:
            self._front.http.about_to_send = None

    def _outgoing(self) -> bytes | None:
        return self._pool.outgoing(self._front.room)

    def _send(self, pipeline_id: uuid.UUID | None, deadline: Deadline) -> None:
        while (more := self._outgoing()) is not None:
            self._front.send(pipeline_id, more, deadline)

    def _note_sent(self) -> None:
        self.sent = True

    def _receive(self, pipeline_id: uuid.UUID | None, deadline: Deadline) -> None:
        try:
            pieces = self._front.receive(pipeline_id, deadline)
        except WSManFault as fault:
            if fault.kind is not FaultKind.TIMED_OUT:
                raise
            pieces = []
        for piece in pieces:
            self._pool.receive(piece, deadline)

    # -- what went wrong ------------------------------------------------------------------------------------------

    def _do(self, work: Callable[[], T], deadline: Deadline) -> T:
        try:
            return self._worker.do(work, deadline)
        except Late:
            # Shut first: after that the worker sends nothing more, so what is said of it stays true.
            self._front.http.shut()
            raise TransportTimeoutError(
                address=self._address, after=deadline.given, hint=self._front.http.late_hint
            ) from None
        except WSManFault as fault:
            raise self._refusal(fault, deadline) from None
        except (ConnectError, BusyError) as error:
            if not self.sent:
                raise
            raise ConnectionLostError(
                str(error), address=self._address, host_message=error.host_message, hint=error.hint
            ) from None

    def _refusal(self, fault: WSManFault, deadline: Deadline) -> HvError:
        error = fault_error(
            fault,
            address=self._address,
            configuration_name=self._configuration_name,
            deadline=deadline,
            sent=self.sent,
            opened=self._pool.opened,
        )
        if fault.kind is FaultKind.TOO_LONG and not self.sent and self._record.shorten(self._front.http.posted):
            # Over the next connection it goes in shorter pieces.
            return ConnectionLostError(str(error), address=self._address, host_message=fault.message, hint=error.hint)
        return error


class _Closings:
    """Tells the host which pipelines are done with, over a connection of its own, so that nobody waits for it."""

    def __init__(self, new_shell: Callable[[], Shell], address: str) -> None:
        self._new_shell = new_shell
        self._worker = Worker(f"{address} closings")
        self._shell: Shell | None = None
        self._untold: set[uuid.UUID] = set()
        self._stopped = False
        self._requests = 0

    @property
    def requests(self) -> int:
        """WSMan messages sent over this connection."""
        shell = self._shell
        return self._requests + (0 if shell is None else shell.http.requests)

    def tell(self, pipeline_id: uuid.UUID) -> None:
        """Have the host told; not waited for."""
        self._untold.add(pipeline_id)
        self._worker.later(lambda: self._tell(pipeline_id))

    def catch_up(self, shell: Shell, deadline: Deadline, most: int = MOST_UNTOLD) -> bool:
        """Tell over *shell* what should have been told long ago: the connection for it must have failed.

        Args:
            shell: Where to tell it.
            deadline: When that must be done.
            most: How many may be untold before anything is done.

        Returns:
            Whether anything was told.
        """
        untold = list(self._untold)
        if len(untold) <= most:
            return False
        for pipeline_id in untold:
            with contextlib.suppress(WSManFault):
                shell.terminate(pipeline_id, deadline)
            self._untold.discard(pipeline_id)
        return True

    def stop(self) -> None:
        """Close the connection. What was to be told ends with the shell."""
        self._stopped = True
        shell = self._shell
        if shell is not None:
            shell.http.shut()
            self._worker.later(shell.http.close)
        self._worker.stop()

    def _tell(self, pipeline_id: uuid.UUID) -> None:
        if pipeline_id not in self._untold:
            return
        shell = self._shell = self._shell or self._new_shell()
        if self._stopped:  # Asked after the shell can be seen: whoever stops shuts what it sees.
            return
        try:
            shell.terminate(pipeline_id, Deadline(SECONDS_TO_TELL, SystemClock()))
        except WSManFault as fault:
            if fault.kind is not FaultKind.GONE:
                return  # Not told, so the pipeline still counts.
        except BaseException:
            self._requests += shell.http.requests
            self._shell = None
            shell.http.close()
            raise
        self._untold.discard(pipeline_id)


def _is_gone(shell: Shell, deadline: Deadline) -> bool:
    """Delete the shell; whether it is certainly not there any more."""
    try:
        shell.delete(deadline)
    except WSManFault as fault:
        return fault.kind is FaultKind.GONE
    return True


def _delete(shell: Shell, deadline: Deadline) -> None:
    if shell.created:
        with contextlib.suppress(WSManFault, HvError):
            shell.delete(deadline)


def _abandon(shell: Shell, worker: Worker, closings: _Closings) -> None:
    """What is left to do when a connection is collected that nobody has closed; waits for nothing."""
    worker.later(lambda: _delete(shell, Deadline(SECONDS_TO_CLOSE, SystemClock())))
    worker.later(shell.http.close)
    worker.stop()
    closings.stop()


_open_connections: weakref.WeakSet[WinRMConnection] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """End every runspace pool that is still open when this process ends, all at the same time."""
    deadline = Deadline(SECONDS_TO_CLOSE, SystemClock())
    for ending in [connection.begin_closing() for connection in list(_open_connections)]:
        with contextlib.suppress(Late):
            ending.wait(deadline)
