"""An HTTP server on this machine that lets anybody in with NTLM, and answers whatever a test says.

with HostileServer(before=answer) as server:            # to everything
with HostileServer(after=answer) as server:             # to the first message that is encrypted

An answer is bytes, or pieces of them without end.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import attrs
import spnego

from hvintegration import Credential, WinRM
from hvintegration.transports.library_logs import without_library_logs
from tests.support.closing import Closing
from tests.support.ntlm_users import let_in

WHO = Credential("admin", "Loopback-1")


@attrs.frozen
class Request:
    """What was asked."""

    line: str
    headers: dict[str, str]
    body: bytes


Answer: TypeAlias = Callable[[Request], bytes | Iterable[bytes]]


def page(status: str, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class HostileServer(Closing):
    """The server.

    Attributes:
        who: Who is let in.
        requests: What was asked so far.
        connections: How many there were.
    """

    def __init__(self, *, before: Answer | None = None, after: Answer | None = None) -> None:
        self._before, self._after = before, after
        self.who = WHO
        self.requests: list[Request] = []
        self.connections = 0
        self._users = tempfile.NamedTemporaryFile("w", prefix="hostile-http-")  # noqa: SIM115 - closed below
        self._users.write(f":{WHO.username}:{WHO.password}\n")
        self._users.flush()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def winrm(self, **arguments: object) -> WinRM:
        given: dict[str, object] = {"port": self.port, "credential": WHO, "auth": "ntlm"}
        return WinRM("127.0.0.1", **(given | arguments))  # type: ignore[arg-type]  # as WinRM has them

    def close(self) -> None:
        for sock in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in [self._listener, *self._sockets]:
            sock.close()
        self._users.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="hostile http", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(client)
                self.connections += 1
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        context: spnego.ContextProxy | None = None
        with contextlib.suppress(OSError), client.makefile("rb") as reader:
            while line := reader.readline().decode("latin-1").strip():
                headers = {}
                while header := reader.readline().decode("latin-1").strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                request = Request(line, headers, reader.read(int(headers.get("content-length", "0"))))
                self.requests.append(request)
                token = headers.get("authorization", "").removeprefix("Negotiate ")
                if self._before is not None:
                    answer = self._before(request)
                elif token:
                    context, answer = self._let_in(context, base64.b64decode(token))
                elif self._after is not None and "encrypted" in headers.get("content-type", ""):
                    answer = self._after(request)
                else:
                    answer = page("401 Unauthorized", WWW_Authenticate="Negotiate")
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    client.sendall(piece)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _let_in(self, context: spnego.ContextProxy | None, token: bytes) -> tuple[spnego.ContextProxy | None, bytes]:
        with let_in(Path(self._users.name)), without_library_logs():
            context = context or spnego.server(protocol="ntlm")
            said = context.step(token)
        if context.complete:
            return None, page("200 OK")
        challenge = base64.b64encode(said or b"").decode()
        return context, page("401 Unauthorized", WWW_Authenticate=f"Negotiate {challenge}")
