"""What a transport is, and what it can be besides."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from hvintegration.calls.call import Call
from hvintegration.clock import Clock, Deadline, SystemClock
from hvintegration.processes import Lock
from hvintegration.transports.sharing import Sharing

__all__ = [
    "Checkable",
    "Clocked",
    "Counting",
    "Discardable",
    "Shared",
    "Step",
    "Transport",
    "clock_of",
    "discard",
    "requests_of",
    "sharing_of",
]

Step: TypeAlias = tuple[str, Callable[[Deadline], str]]
"""A step on the way to a machine: its name, such as ``TLS``, and what takes it before a deadline.

That answers with what it found, in a sentence or less, and raises :class:`~hvintegration.errors.HvError` where the way
ends.
"""


@runtime_checkable
class Transport(Protocol):
    """A way to a machine. ``str()`` of it is its address, without secrets.

    Sessions make one call at a time on it, so it needs no lock of its own. Constructing a transport sends nothing; the
    first call connects. It may be more besides: :class:`~hvintegration.transports.base.Clocked`,
    :class:`~hvintegration.transports.base.Counting`, :class:`~hvintegration.transports.base.Shared`,
    :class:`~hvintegration.transports.base.Discardable`, :class:`~hvintegration.transports.base.Checkable`.
    """

    def call(self, call: Call, deadline: Deadline, /) -> str:
        """Run ``call.script`` over there on ``call.text``, with ``call.secrets``.

        After any failure, time-out or interruption the connection is discarded; the next call opens a new one, and
        an answer never reaches a later question.

        Args:
            call: What to run, and on what.
            deadline: When all of it must be over, connecting and giving up included. From the moment at which the
                script is sent, :func:`~hvintegration.calls.reserve.answer_by` says how long to wait for the answer.

        Returns:
            The document that the script wrote.

        Raises:
            TransportError: There is no answer; ``may_have_run`` and ``fenced`` say what is known of the call.
            RemoteError: The machine refused to run the script.
        """
        ...

    def close(self) -> None:
        """Let go of everything. A later call may connect again. Closing twice is no error.

        It may come from another thread while a call is under way: that call then ends in a
        :class:`~hvintegration.errors.ConnectionLostError`.
        """
        ...


@runtime_checkable
class Clocked(Protocol):
    """A transport that says what tells the time where it leads to; for others it is this machine's clock."""

    @property
    def clock(self) -> Clock:
        """What its sessions go by."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A transport that counts the messages of its protocol."""

    @property
    def requests(self) -> int | None:
        """How many it has sent; None if that is not known."""
        ...


@runtime_checkable
class Shared(Protocol):
    """A transport over something that others use, too, such as another transport."""

    @property
    def sharing(self) -> Sharing:
        """Whose turn it is there."""
        ...


@runtime_checkable
class Discardable(Protocol):
    """A transport that can give up its connection faster than by closing it."""

    def discard(self) -> None:
        """Give up the connection at once; the next call opens another one. What it leaves is ended behind the back."""
        ...


@runtime_checkable
class Checkable(Protocol):
    """A transport that can say how far the way to its machine leads."""

    def steps(self) -> Sequence[Step]:
        """The steps of connecting, in order, such as name, port, TLS, authentication, PowerShell. Sends nothing.

        They are taken in this order, one at a time, up to the first that fails. What a step opens is either kept for
        the first call, or closed again by that step.
        """
        ...


def clock_of(transport: Transport) -> Clock:
    """What sessions over *transport* go by."""
    return transport.clock if isinstance(transport, Clocked) else SystemClock()


def discard(transport: Transport) -> None:
    """Have the next call over *transport* open a new connection, without waiting if it can be had so."""
    if isinstance(transport, Discardable):
        transport.discard()
    else:
        transport.close()


def requests_of(transport: Transport) -> int | None:
    """How many messages *transport* has sent; None if it does not count them."""
    return transport.requests if isinstance(transport, Counting) else None


def sharing_of(transport: Transport) -> Sharing:
    """Whose turn it is on *transport*: its own word for it, or else one for each transport as long as it is used."""
    if isinstance(transport, Shared):
        return transport.sharing
    made = _SharingOf(transport)
    with _turn.lock:
        # A signal handler of this thread may have been here meanwhile: the lock lets it, and the first one stays.
        return _sharings.setdefault(id(transport), made)


class _SharingOf(Sharing):
    """Keeps its transport, so that no other one is taken for it."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport


_sharings: weakref.WeakValueDictionary[int, Sharing] = weakref.WeakValueDictionary()
_turn = Lock()
