"""What a transport is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from hvintegration.scripts import Script

__all__ = ["Checkable", "Step", "Transport"]

Step: TypeAlias = tuple[str, Callable[[float], str]]
"""A step on the way to a host: its name, such as ``TLS``, and what takes it.

That is given the seconds it may take, and answers with what it found, in a sentence or less. It raises
:class:`~hvintegration.errors.HvError` where the way ends.
"""


@runtime_checkable
class Transport(Protocol):
    """A way to a host. ``str()`` of it is its address, without secrets.

    A session makes one call at a time. Constructing a transport sends nothing; the first call connects. A transport
    may have two more attributes: ``requests``, how many messages of its protocol it has sent, and ``clock``, a
    :class:`~hvintegration.clock.Clock` for sessions to go by. It may also be :class:`Checkable`.
    """

    def call(self, script: Script, document: str, /, *, timeout: float) -> str:
        """Run *script* on *document* over there.

        After any failure, time-out or interruption the connection is discarded; the next call opens a new one, and
        an answer never reaches a later question.

        Args:
            script: What to run.
            document: Its argument, JSON in ASCII.
            timeout: Seconds for all of it, connecting and giving up included.

        Returns:
            The document that the script wrote.

        Raises:
            TransportError: There is no answer; ``may_have_run`` and ``fenced`` say what is known of the call.
            RemoteError: The host refused to run the script.
        """
        ...

    def close(self) -> None:
        """Let go of everything. A later call may connect again. Closing twice is no error."""
        ...


@runtime_checkable
class Checkable(Protocol):
    """A transport that can say how far the way to its host leads."""

    def steps(self) -> Sequence[Step]:
        """The steps of connecting, in order, such as name, port, TLS, authentication, PowerShell. Sends nothing.

        They are taken in this order, one at a time, up to the first that fails. What a step opens is either kept for
        the first call, or closed again by that step.
        """
        ...
