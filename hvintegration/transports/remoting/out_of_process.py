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

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import ProtocolError
from hvintegration.transports.remoting.psrp import RunspacePool

__all__ = ["LINE_OVERHEAD", "MAX_LINE", "Client", "Streams"]

MAX_LINE: Final = 1024 * 1024
"""Bytes that a line may have; PowerShell writes some 44,000."""

_PIECE_LENGTH: Final = 256 * 1024
"""Bytes of one packet's payload. Each is acknowledged before the next may follow, so a question should fit into one."""

LINE_OVERHEAD: Final = 16
"""Bytes that a line counts for besides what is in it, so that empty ones end as well."""

_POOL: Final = uuid.UUID(int=0)
_PACKET: Final = re.compile(
    rb"<(?P<kind>[A-Za-z]{1,20}+) (?:Stream='\w{1,20}+' )?PSGuid='(?P<target>[0-9a-fA-F-]{36})'"
    rb"(?: Stream='\w{1,20}+')? ?(?:/>|>(?P<data>[0-9A-Za-z+/=]*+)</\w{1,20}+>)\s*+"
)
"""Nothing in it is tried in two ways, however long the line."""


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
        self._pool = RunspacePool(address)
        self.requests = 0
        """Packets sent."""
        self.sent = False
        """Whether the script of the last call was sent."""

    @property
    def opened(self) -> bool:
        """Whether the runspace pool has been opened."""
        return self._pool.opened

    def open(self, deadline: Deadline) -> None:
        """Open the runspace pool.

        Raises:
            TransportError: It could not be opened in time.
            RemoteError: It is refused, and the host says why.
        """
        self._send_data(_POOL, deadline)
        while not self._pool.opened:
            self._receive(_POOL, deadline)

    def prepare(self, call: Call, deadline: Deadline) -> None:
        """Exchange a session key if *call* needs one, once.

        Raises:
            TransportError: It did not come in time.
        """
        self.sent = False
        if call.secrets and self._pool.request_key():
            self._send_data(_POOL, deadline)
            while not self._pool.has_key:
                self._receive(_POOL, deadline)

    def call(self, call: Call, deadline: Deadline) -> str:
        """The document that the script writes.

        Raises:
            TransportError: There is no answer.
            RemoteError: The script was refused.
        """
        self.sent = False
        self._send_data(_POOL, deadline)  # What psrpcore answers by itself to what the far side asked.
        pipeline = self._pool.start(call)
        self._send(b"<Command PSGuid='%b' />\n" % str(pipeline).encode(), deadline)
        while self._receive(pipeline, deadline) != (b"CommandAck", pipeline):
            pass
        self.sent = True
        self._send_data(pipeline, deadline)
        while not self._pool.finished:
            self._receive(pipeline, deadline)
        self._send(b"<Close PSGuid='%b' />\n" % str(pipeline).encode(), deadline)
        return self._pool.result()

    def _send_data(self, target: uuid.UUID, deadline: Deadline) -> None:
        while (payload := self._pool.outgoing(_PIECE_LENGTH)) is not None:
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
        self._pool.count(LINE_OVERHEAD)
        match = _PACKET.fullmatch(line.lstrip(b"\xef\xbb\xbf"))
        if match is None:
            self._pool.count(len(line))
            if line.lstrip().startswith((b"<Data ", b"<Data>")):
                raise self._broken(line)
            return None
        try:
            target = uuid.UUID(match["target"].decode())
            payload = base64.b64decode(match["data"] or b"", validate=True)
        except (ValueError, binascii.Error):
            raise self._broken(line) from None
        if match["kind"] == b"Data" and target in {_POOL, current}:
            self._pool.receive(payload, deadline)
        else:
            self._pool.count(len(line))
        return match["kind"], target

    def _broken(self, line: bytes) -> ProtocolError:
        return ProtocolError(
            f"{self._address} sent a broken packet.",
            address=self._address,
            received=line[:400].decode("ascii", "replace"),
        )
