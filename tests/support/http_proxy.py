"""An HTTP proxy on this machine: CONNECT for HTTPS, and forwarding for HTTP, each client on a connection of its own.

with HttpProxy(username="proxy-user", password="Proxy-1") as proxy:
    ...                                                 # proxy.url
"""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable

from tests.support.closing import Closing


class HttpProxy(Closing):
    """The proxy.

    Args:
        username: Who may use it, with Basic authentication; None for anybody.
        password: With which password.
        refusal: Status that every request is answered with, if any.

    Attributes:
        counts: Of ``connections``, of ``CONNECT`` and ``POST`` requests, and of ``refused`` ones.
        seen: What it was sent, but for what went through tunnels.
    """

    def __init__(self, *, username: str | None = None, password: str = "", refusal: str | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.seen = b""
        self._refusal = refusal
        self._expected = None
        if username is not None:
            self._expected = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """End everything, connections too."""
        for sock in [self._listener, *self._sockets]:
            _end(sock)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, name="http proxy", daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._start(self._serve, self._listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:  # noqa: C901 - one conversation, from its beginning to its end
        self.counts["connections"] += 1
        self._sockets.add(client)
        far: socket.socket | None = None
        back: threading.Thread | None = None
        try:
            with contextlib.suppress(OSError), client.makefile("rb") as reader:
                while request := reader.readline().decode("latin1").split():
                    headers = {}
                    while line := reader.readline().strip():
                        name, _, value = line.decode("latin1").partition(":")
                        headers[name.lower()] = value.strip()
                        self.seen += line + b"\n"
                    body = reader.read(int(headers.get("content-length", "0")))
                    self.seen += body
                    method, target = request[:2]
                    self.counts[method] += 1
                    refusal = self._refused(headers)
                    if refusal is not None:
                        self.counts["refused"] += 1
                        client.sendall(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode())
                        if method == "CONNECT":
                            return
                        continue
                    if far is None:
                        host, _, port = target.removeprefix("http://").partition("/")[0].rpartition(":")
                        far = socket.create_connection((host, int(port)))
                        self._sockets.add(far)
                        if method == "CONNECT":
                            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        back = self._start(_pump, far, client)
                    if method == "CONNECT":
                        _pump(client, far)
                        return
                    path = "/" + target.removeprefix("http://").partition("/")[2]
                    passed = "".join(
                        f"{name}: {value}\r\n" for name, value in headers.items() if not name.startswith("proxy-")
                    )
                    far.sendall(f"{method} {path} HTTP/1.1\r\n{passed}\r\n".encode("latin1") + body)
        finally:
            self._sockets.discard(client)
            if far is not None:
                self._sockets.discard(far)
                _end(far)
            if back is not None:
                back.join()
            if far is not None:
                far.close()
            client.close()

    def _refused(self, headers: dict[str, str]) -> str | None:
        if self._expected is not None and headers.get("proxy-authorization") != f"Basic {self._expected}":
            return '407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"'
        return self._refusal


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _end(source)
    _end(sink)


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
