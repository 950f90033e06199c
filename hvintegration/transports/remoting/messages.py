"""What arrives of PowerShell remoting: fragments, put together to messages, and of those only what matters.

A document that a script wrote is read here, piece by piece: it may be large. Of all else, what says how a script, a
pipeline or the session ended is left to psrpcore, if it is small. Warnings, progress, calls to a user interface and the
like are let pass unread.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final, Protocol

from psrpcore.types import PSRPMessageType

from hvintegration.calls.limits import MAX_LENGTH, Work
from hvintegration.transports.remoting.xml_guard import RefusedError, XmlGuard, XmlReader

__all__ = ["FRAGMENT_HEADER", "LAST", "MESSAGE_HEADER_LENGTH", "START", "Messages"]

FRAGMENT_HEADER: Final = struct.Struct(">QQBI")
"""Of which message, which piece, flags, how long."""

START: Final = 1
LAST: Final = 2

MESSAGE_HEADER_LENGTH: Final = 40

MAX_FRAGMENTS: Final = 65_536
"""Fragments that may arrive for a call; PowerShell fills them with 32 KiB, but each record has one at least."""

MAX_BEGUN: Final = 2
"""Messages that may be under way: one of the session, one of the pipeline."""

MAX_RECORD: Final = 512 * 1024
"""Bytes of a message that psrpcore reads; a record of an error has some 10,000."""

MAX_ELEMENTS: Final = 2_000
"""Elements of such a message; a record of an error has some 200. psrpcore takes a tenth of a second for so many."""

MAX_CHILDREN: Final = 500
"""Elements right under another one: psrpcore compares each property with all before it."""

_ENOUGH_TO_TELL: Final = MESSAGE_HEADER_LENGTH + 6
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_ESCAPE: Final = re.compile("_x([0-9A-Fa-f]{4})_")

_OUTPUT: Final = PSRPMessageType.PipelineOutput.value
_READ_BY_PSRPCORE: Final = frozenset(
    kind.value
    for kind in (
        PSRPMessageType.SessionCapability,
        PSRPMessageType.RunspacePoolState,
        PSRPMessageType.PublicKeyRequest,
        PSRPMessageType.EncryptedSessionKey,
        PSRPMessageType.PipelineOutput,
        PSRPMessageType.ErrorRecord,
        PSRPMessageType.PipelineState,
    )
)


class Messages:
    """Puts together what one side sends."""

    def __init__(self) -> None:
        self._begun: dict[int, _Message] = {}
        self._fragments = 0
        self._length = 0

    def expect_answer(self) -> None:
        """Begin to count anew: what arrives from here on arrives for another call."""
        self._fragments = 0
        self._length = 0

    def count(self, length: int) -> None:
        """Count *length* bytes towards the limit of one call.

        Raises:
            RefusedError: There are too many.
        """
        self._length += length
        if self._length > MAX_LENGTH:
            raise RefusedError(f"is more than {MAX_LENGTH} bytes")

    def take(self, payload: bytes, work: Work) -> Iterator[str | bytes]:
        """What is complete with *payload*: a text that a script wrote, or one fragment for psrpcore.

        Raises:
            RefusedError: It is more than may arrive, or not made of fragments in order.
            xml.parsers.expat.ExpatError: It is not XML.
            TransportTimeoutError: The time was up.
        """
        self.count(len(payload))
        offset = 0
        while offset < len(payload):
            work.look()
            if len(payload) - offset < FRAGMENT_HEADER.size:
                raise RefusedError("ends within a fragment")
            object_id, number, flags, length = FRAGMENT_HEADER.unpack_from(payload, offset)
            offset += FRAGMENT_HEADER.size
            if len(payload) - offset < length:
                raise RefusedError("ends within a fragment")
            message = self._message(object_id, number)
            message.feed(payload[offset : offset + length], work)
            offset += length
            if flags & LAST:
                del self._begun[object_id]
                came = message.close(work)
                if came is not None:
                    yield came

    def _message(self, object_id: int, number: int) -> _Message:
        self._fragments += 1
        if self._fragments > MAX_FRAGMENTS:
            raise RefusedError(f"has more than {MAX_FRAGMENTS} fragments")
        message = self._begun.get(object_id)
        if message is None:
            if number:
                raise RefusedError("lacks the beginning of a message")
            if len(self._begun) == MAX_BEGUN:
                raise RefusedError(f"begins more than {MAX_BEGUN} messages at a time")
            message = self._begun[object_id] = _Message(object_id)
        if message.fragments != number:
            raise RefusedError("lacks a part of a message")
        message.fragments += 1
        return message


class _Body(Protocol):
    """What becomes of what a message says."""

    def feed(self, data: bytes, work: Work, /) -> None:
        """Take in the next part."""
        ...

    def close(self, work: Work, /) -> str | bytes | None:
        """What it comes to; None if that does not matter."""
        ...


class _Message:
    """A message that is under way.

    Attributes:
        fragments: How many of it have come.
    """

    def __init__(self, object_id: int) -> None:
        self.fragments = 0
        self._object_id = object_id
        self._beginning = b""
        self._body: _Body | None = None

    def feed(self, data: bytes, work: Work) -> None:
        """Take in the next fragment's part of it."""
        if self._body is not None:
            self._body.feed(data, work)
            return
        self._beginning += data
        if len(self._beginning) >= _ENOUGH_TO_TELL:
            self._begin(work)

    def close(self, work: Work) -> str | bytes | None:
        """What it comes to; None if that does not matter."""
        body = self._body or self._begin(work)
        return body.close(work)

    def _begin(self, work: Work) -> _Body:
        header, data = self._beginning[:MESSAGE_HEADER_LENGTH], self._beginning[MESSAGE_HEADER_LENGTH:]
        if len(header) < MESSAGE_HEADER_LENGTH:
            raise RefusedError("has a message without its header")
        kind = int.from_bytes(header[4:8], "little")
        if kind == _OUTPUT and data.removeprefix(_BYTE_ORDER_MARK).startswith(b"<S>"):
            body: _Body = _Text()
        else:
            body = _Record(self._object_id, header) if kind in _READ_BY_PSRPCORE else _Unread()
        self._body = body
        body.feed(data, work)
        return body


class _Text:
    """A text, the only output that the scripts write."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._elements = 0
        self._reader = XmlReader()
        self._reader.expat.buffer_text = True
        self._reader.expat.CharacterDataHandler = self._pieces.append
        self._reader.expat.StartElementHandler = self._enter

    def feed(self, data: bytes, work: Work, /) -> None:
        self._reader.feed(data, work.look)

    def close(self, work: Work, /) -> str:
        self._reader.close()
        return _unescaped("".join(self._pieces), work)

    def _enter(self, *_: object) -> None:
        self._elements += 1
        if self._elements > 1:
            raise RefusedError("has elements in a text")


class _Record:
    """What psrpcore reads."""

    def __init__(self, object_id: int, header: bytes) -> None:
        self._object_id = object_id
        self._pieces = [header]
        self._length = len(header)
        self._guard = XmlGuard(elements=MAX_ELEMENTS, children=MAX_CHILDREN)

    def feed(self, data: bytes, work: Work, /) -> None:
        self._length += len(data)
        if self._length > MAX_RECORD:
            raise RefusedError(f"has a record of more than {MAX_RECORD} bytes")
        self._guard.feed(data, work.look)
        self._pieces.append(data)

    def close(self, _work: Work, /) -> bytes:
        return FRAGMENT_HEADER.pack(self._object_id, 0, START | LAST, self._length) + b"".join(self._pieces)


class _Unread:
    """What nobody needs."""

    def feed(self, _data: bytes, _work: Work, /) -> None:
        pass

    def close(self, _work: Work, /) -> None:
        return None


def _unescaped(text: str, work: Work) -> str:
    """*text* with the characters that PowerShell writes as ``_x000A_`` in UTF-16."""

    def character(match: re.Match[str]) -> str:
        work.step()
        return chr(int(match[1], 16))

    if "_x" not in text:
        return text
    work.look()
    text = _ESCAPE.sub(character, text)
    work.look()
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
