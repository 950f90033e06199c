"""One HTTP connection over a socket of ours: requests, answers within limits, and shutting it from another thread.

``http.client`` writes the requests and reads the answers. What it reads comes through here, so that each read looks at
the deadline, and everything that an answer consists of is counted.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
from typing import Final, cast

import attrs
from typing_extensions import Buffer

from hvintegration.clock import Deadline
from hvintegration.processes import Lock, forget_after_fork

__all__ = ["MAX_ANSWER", "MAX_DEMAND", "EncodedError", "EndlessError", "Headers", "HttpAnswer", "HttpConnection"]

MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes that the body of an answer may have. Hosts keep to the envelope size they are asked for, half a megabyte."""

MAX_DEMAND: Final = 64 * 1024
"""Bytes that it may have where nothing of it is wanted: in a demand to authenticate, or in a proxy's refusal."""

MAX_HEAD: Final = 64 * 1024
MOST_HEAD_LINES: Final = 100
"""What comes before a body may have: its own headers, and all of "100 Continue" before them."""

_FRAMING: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"proxy-connection"}
)

MAX_FRAMING: Final = 1024 * 1024
MOST_FRAMING_LINES: Final = 20_000
"""What stands around the chunks of a body, two lines for each, and after the last of them."""


class EndlessError(Exception):
    """An answer has more of something than answers may have."""


class EncodedError(Exception):
    """An answer is encoded, as the argument says, and no encoding was asked for."""


class Headers:
    """The headers of an answer, by name, in whatever letters."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, line: bytes) -> None:
        """Add one, as it came."""
        name, _, value = line.decode("latin-1").partition(":")
        self._found.setdefault(name.strip().lower(), []).append(value.strip())

    def all(self, name: str) -> list[str]:
        """Each value of that name."""
        return self._found.get(name.lower(), [])

    def first(self, name: str) -> str:
        """The first of them, or nothing."""
        return next(iter(self.all(name)), "")


@attrs.frozen
class HttpAnswer:
    """What came back.

    Attributes:
        status: The HTTP status.
        reason: What stands beside it.
        headers: Its headers.
        body: Its body, unsealed where it was sealed.
    """

    status: int
    reason: str
    headers: Headers = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


class _Incoming(io.RawIOBase):
    """What the host sends, waited for until the deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline, most: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        self._sock.settimeout(_left(self._deadline))
        size = self._sock.recv_into(buffer)
        self._left -= size
        if self._left < 0:
            raise EndlessError
        return size


class _Reader(io.BufferedReader):
    """Counts the lines, and keeps headers: ``http.client`` shall see only those that say where an answer ends.

    It has a limit for each line, and for headers, but not for what it repeats; and it parses a content type in a time
    that grows with the square of its length.

    Attributes:
        headers: The others.
    """

    def __init__(self, incoming: _Incoming) -> None:
        super().__init__(incoming)
        self.headers = Headers()
        self._lines = MOST_HEAD_LINES
        self._bytes = MAX_HEAD
        self._in_head = True
        self._is_status = True

    def begin_body(self) -> None:
        """What follows is no header."""
        self._lines = MOST_FRAMING_LINES
        self._bytes = MAX_FRAMING
        self._in_head = False

    def readline(self, size: int | None = -1, /) -> bytes:
        line = self._counted(size)
        if not self._in_head:
            return line
        if self._is_status:
            self.headers = Headers()
        else:
            while line.strip() and line.partition(b":")[0].strip().lower() not in _FRAMING:
                self.headers.add(line)
                line = self._counted(size)
        self._is_status = not line.strip()
        return line

    def _counted(self, size: int | None) -> bytes:
        line = super().readline(size)
        self._lines -= 1
        self._bytes -= len(line)
        if self._lines < 0 or self._bytes < 0 or len(line) == size:
            raise EndlessError
        if not line.endswith(b"\n"):  # Else the end within a header would pass for the end of the header.
            raise ConnectionAbortedError
        return line


class _Wire:
    """What ``http.client`` takes for the socket of one exchange."""

    def __init__(self, sock: socket.socket, deadline: Deadline, most: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self.reader = _Reader(_Incoming(sock, deadline, most + MAX_FRAMING + 2 * MAX_HEAD))

    def sendall(self, data: bytes) -> None:
        # What was said to be about to go out goes out. That it is too late shows when its answer is waited for.
        self._sock.settimeout(max(self._deadline.left(), 0.001))
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> _Reader:
        return self.reader

    def close(self) -> None:
        """Nothing: the connection's end is seen by its answer."""


class HttpConnection:
    """For one thread at a time; :meth:`shut` may be called by any.

    Args:
        sock: A connected socket, which belongs to this from now on.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._turn = Lock()
        self._sock = sock
        self._over = False
        self.answered = False
        """Whether anything was answered over it."""
        forget_after_fork(self, HttpConnection._forget)

    def _forget(self) -> None:
        """Close the descriptor of the parent's socket, which it goes on with."""
        self._over = True
        with contextlib.suppress(OSError):
            self._sock.close()

    @property
    def certificate(self) -> bytes | None:
        """The host's certificate (DER), over TLS."""
        return self._sock.getpeercert(binary_form=True) if isinstance(self._sock, ssl.SSLSocket) else None

    @property
    def ended(self) -> bool:
        """Whether the host has said that it ends it, or something went wrong on it."""
        return self._over

    @property
    def stands(self) -> bool:
        """Whether it can be used again, as far as is known here: where nobody was asked, nothing is to be read."""
        if self._over:
            return False
        self._sock.settimeout(0)
        try:
            self._sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False

    def begin_tls(self, context: ssl.SSLContext, name: str, deadline: Deadline) -> ssl.SSLSocket:
        """Shake hands with *name*; the socket, to be looked at.

        Raises:
            OSError: That did not succeed in time.
        """
        self._sock.settimeout(_left(deadline))
        with self._turn.lock:
            secured = context.wrap_socket(self._sock, server_hostname=name, do_handshake_on_connect=False)
            self._sock = secured
        secured.do_handshake()
        return secured

    def ask(self, method: str, url: str, body: bytes, headers: dict[str, str], deadline: Deadline) -> HttpAnswer:
        """What is answered. Where nothing is sent, there is no large answer either.

        Raises:
            OSError: The connection was lost, or it takes too long (TimeoutError).
            http.client.HTTPException: What came is not HTTP.
            ValueError: Likewise.
            EndlessError: What came is more than an answer may be.
            EncodedError: The answer is compressed, say.
        """
        was_over, self._over = self._over, True
        if was_over:
            raise ConnectionAbortedError
        most = MAX_ANSWER if body else MAX_DEMAND
        wire = _Wire(self._sock, deadline, most)
        asking = http.client.HTTPConnection("")
        asking.auto_open = 0  # Never another connection in place of this one.
        asking.sock = cast("socket.socket", wire)
        try:
            asking.request(method, url, body or None, headers)
        except OSError as error:
            self._read_alert(error)
            raise
        answer = asking.getresponse()
        wire.reader.begin_body()
        with answer:
            opens = method == "CONNECT" and answer.status == http.client.OK
            came = b"" if opens else _body(answer, wire.reader.headers, most)
        self.answered = True
        self._over = answer.will_close and not opens
        return HttpAnswer(answer.status, answer.reason, wire.reader.headers, came)

    def shut(self) -> None:
        """Shut it, for good. What another thread is doing here then fails."""
        with self._turn.lock, contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)  # Past TLS, which that thread may be using.

    def close(self) -> None:
        """Close it."""
        self._over = True
        with self._turn.lock:
            self._sock.close()

    def _read_alert(self, error: OSError) -> None:
        """Raise what the host said before it closed, which tells more: in TLS 1.3, that it refuses the certificate."""
        if isinstance(self._sock, ssl.SSLSocket) and not isinstance(error, TimeoutError):
            self._sock.recv(1)


def _body(answer: http.client.HTTPResponse, headers: Headers, most: int) -> bytes:
    for name in [*headers.all("Content-Encoding"), answer.headers.get("Transfer-Encoding", "")]:
        if name.strip().lower() not in {"", "identity", "chunked"}:
            raise EncodedError(name)
    if answer.length is not None and answer.length > most:
        raise EndlessError
    ends_with_connection = answer.length is None and not answer.chunked
    body = answer.read(most + 1)
    if len(body) > most:
        raise EndlessError
    # Where only the connection's end says that an answer is whole, it may as well have been lost.
    if answer.length or (ends_with_connection and answer.status < http.client.MULTIPLE_CHOICES):
        raise ConnectionAbortedError
    return body


def _left(deadline: Deadline) -> float:
    left = deadline.left()
    if not left:
        raise TimeoutError
    return left
