"""PowerShell remoting over a pair of byte streams, as ``powershell -s`` and ``pwsh -sshs`` speak it.

One packet per line, each an XML element: ``<Data>`` with a payload in Base64, ``<Command>`` to begin a pipeline,
``<Close>`` to end one, and an acknowledgement of each. A pipeline's data may only follow the acknowledgement of its
command, or the server can lose it.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import Final, Protocol

from hvintegration.clock import Deadline
from hvintegration.errors import ProtocolError, TransportError
from hvintegration.scripts import Script
from hvintegration.transports.remoting.psrp import Conversation

__all__ = ["MAX_LINE", "Client", "Streams"]

MAX_LINE: Final = 1024 * 1024
"""Bytes that a line may have; PowerShell writes some 44,000."""

_PIECE_LENGTH: Final = 256 * 1024
"""Bytes of one packet's payload. Each is acknowledged before the next may follow, so a question should fit into one."""

_POOL: Final = uuid.UUID(int=0)
_PACKET: Final = re.compile(
    rb"<(?P<kind>[A-Za-z]+) (?:Stream='\w+' )?PSGuid='(?P<target>[0-9a-fA-F-]{36})'"
    rb"(?: Stream='\w+')? ?(?:/>|>(?P<data>[0-9A-Za-z+/=]*)</\w+>)\s*"
)


class Streams(Protocol):
    """What carries the lines."""

    def write(self, line: bytes, deadline: Deadline) -> None:
        """Send *line*.

        Raises:
            TransportError: It could not be sent in time, or the far side is gone.
        """
        ...

    def read_line(self, deadline: Deadline) -> bytes:
        """The next line, at most :data:`MAX_LINE` bytes.

        Raises:
            TransportError: None came in time, or the far side is gone.
        """
        ...


class Client:
    """Runs scripts over a pair of streams, one at a time."""

    def __init__(self, streams: Streams, address: str) -> None:
        self._streams = streams
        self._address = address
        self._conversation = Conversation(address)
        self.requests = 0
        """Packets sent."""

    @property
    def opened(self) -> bool:
        """Whether the runspace pool has been opened."""
        return self._conversation.opened

    def open(self, deadline: Deadline) -> None:
        """Open the runspace pool.

        Raises:
            TransportError: It could not be opened in time.
        """
        self._send_data(_POOL, deadline)
        while not self._conversation.opened:
            self._receive(_POOL, deadline)

    def call(self, script: Script, document: str, deadline: Deadline) -> str:
        """The document that *script* writes for *document*.

        Raises:
            TransportError: There is no answer; ``may_have_run`` is True from the moment at which the script was sent.
            RemoteError: The script was refused.
        """
        pipeline = self._conversation.start(script, document)
        sent = False
        try:
            self._send(b"<Command PSGuid='%b' />\n" % str(pipeline).encode(), deadline)
            while self._receive(pipeline, deadline) != (b"CommandAck", pipeline):
                pass
            sent = True
            self._send_data(pipeline, deadline)
            while not self._conversation.finished:
                self._receive(pipeline, deadline)
        except TransportError as error:
            error.may_have_run = sent
            raise
        self._send(b"<Close PSGuid='%b' />\n" % str(pipeline).encode(), deadline)
        return self._conversation.result()

    def _send_data(self, target: uuid.UUID, deadline: Deadline) -> None:
        while (payload := self._conversation.outgoing(_PIECE_LENGTH)) is not None:
            data = base64.b64encode(payload)
            self._send(b"<Data Stream='Default' PSGuid='%b'>%b</Data>\n" % (str(target).encode(), data), deadline)
            while self._receive(target, deadline) != (b"DataAck", target):
                pass

    def _send(self, line: bytes, deadline: Deadline) -> None:
        self.requests += 1
        self._streams.write(line, deadline)

    def _receive(self, current: uuid.UUID, deadline: Deadline) -> tuple[bytes, uuid.UUID] | None:
        """Take in the next line; what kind of packet it is and for whom, or None if it is no packet.

        Whatever does not belong to the runspace pool or the current pipeline is late and means nothing any more.
        Lines that are no packets come from programs that write to the console around PowerShell.
        """
        line = self._streams.read_line(deadline)
        match = _PACKET.fullmatch(line.lstrip(b"\xef\xbb\xbf"))
        if match is None:
            self._conversation.count(len(line))
            if line.lstrip().startswith((b"<Data ", b"<Data>")):
                raise self._broken(line)
            return None
        try:
            target = uuid.UUID(match["target"].decode())
            payload = base64.b64decode(match["data"] or b"", validate=True)
        except (ValueError, binascii.Error):
            raise self._broken(line) from None
        if match["kind"] == b"Data" and target in {_POOL, current}:
            self._conversation.receive(payload)
        return match["kind"], target

    def _broken(self, line: bytes) -> ProtocolError:
        return ProtocolError(
            f"{self._address} sent a broken packet.",
            address=self._address,
            received=line[:400].decode("ascii", "replace"),
        )
