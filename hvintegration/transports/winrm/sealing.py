"""Messages as [MS-WSMV] 2.2.9.1 seals them: parts of two blocks, one that says what it is, one with the sealed bytes.

What comes is somebody else's until its seal is checked: it is compared as bytes, and no pattern is made of it.
"""

from __future__ import annotations

import sys
from typing import Final

import spnego

from hvintegration.transports.library_logs import without_library_logs

__all__ = ["BrokenSealError", "Sealing", "boundary_of"]

_KINDS: Final = frozenset({"multipart/encrypted", "multipart/x-multi-encrypted"})
_BOUNDARY: Final = "Encrypted Boundary"
_STREAM: Final = b"content-type: application/octet-stream"
_LENGTH: Final = b"Length="
MOST_OF_CREDSSP: Final = 16 * 1024
"""Bytes that one record of TLS holds, which is what CredSSP seals with."""

MOST_PARTS: Final = 1000
_MOST_DIGITS: Final = 10
_PREFIX: Final = 4


class BrokenSealError(Exception):
    """A message is not sealed as it should be."""


def boundary_of(content_type: str) -> bytes | None:
    """What stands between the blocks of a sealed message of that type; None if the message is none."""
    kind, *parameters = content_type.split(";")
    if kind.strip().lower() not in _KINDS:
        return None
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "boundary":
            return value.strip().strip("\"'").encode("latin-1", "replace") or None
    return None


class Sealing:
    """Seals what is sent over one connection, and opens what comes.

    Args:
        context: What the authentication has agreed on.
        kind: ``SPNEGO``, ``Kerberos`` or ``CredSSP``.
    """

    def __init__(self, context: spnego.ContextProxy, kind: str) -> None:
        self._context = context
        self._protocol = f"application/HTTP-{kind}-session-encrypted"
        self._most = MOST_OF_CREDSSP if kind == "CredSSP" else sys.maxsize

    def sealed(self, message: bytes) -> tuple[str, bytes]:
        """The content type and the body for *message*."""
        with without_library_logs():
            parts = [self._part(message[at : at + self._most]) for at in range(0, len(message), self._most)]
        kind = "multipart/encrypted" if len(parts) == 1 else "multipart/x-multi-encrypted"
        content_type = f'{kind};protocol="{self._protocol}";boundary="{_BOUNDARY}"'
        return content_type, b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()

    def _part(self, message: bytes) -> bytes:
        wrapped = self._context.wrap_winrm(message)
        size = len(message) + wrapped.padding_length
        head = (
            f"--{_BOUNDARY}\r\n\tContent-Type: {self._protocol}\r\n"
            f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={size}\r\n"
            f"--{_BOUNDARY}\r\n\tContent-Type: application/octet-stream\r\n"
        )
        return head.encode() + len(wrapped.header).to_bytes(_PREFIX, "little") + wrapped.header + wrapped.data

    def opened(self, body: bytes, boundary: bytes) -> bytes:
        """The message in *body*.

        Raises:
            BrokenSealError: It is none, or not from whom it should be.
        """
        # Exchange has a space in between.
        edge = b"-- " + boundary if body.startswith(b"-- " + boundary) else b"--" + boundary
        before, *blocks = body.split(edge, 2 * MOST_PARTS + 1)
        if before.strip() or len(blocks) % 2 != 1 or blocks.pop().strip() != b"--":
            raise BrokenSealError
        with without_library_logs():
            return b"".join(self._open(*pair) for pair in zip(blocks[::2], blocks[1::2], strict=True))

    def _open(self, head: bytes, block: bytes) -> bytes:
        _, _, digits = head.rstrip().rpartition(_LENGTH)
        _, _, stream = block.partition(b"\r\n")
        kind, _, data = stream.partition(b"\r\n")
        if not digits.isdigit() or len(digits) > _MOST_DIGITS or kind.strip().lower() != _STREAM:
            raise BrokenSealError
        size = _PREFIX + int.from_bytes(data[:_PREFIX], "little")
        try:
            message = self._context.unwrap_winrm(data[_PREFIX:size], data[size:])
        except Exception:  # noqa: BLE001 - spnego raises what it likes
            message = None
        if message is None or len(message) != int(digits):
            raise BrokenSealError
        return message
