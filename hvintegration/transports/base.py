"""What a transport is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from hvintegration.powershell import Script

__all__ = ["Transport"]


@runtime_checkable
class Transport(Protocol):
    """A way to a host. ``str()`` of it is its address, without secrets.

    A session makes one call at a time. Constructing a transport sends nothing; the first call connects. A transport
    may have two more attributes: ``requests``, how many messages of its protocol it has sent, and ``clock``, a
    :class:`~hvintegration.clock.Clock` for sessions to go by.
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
