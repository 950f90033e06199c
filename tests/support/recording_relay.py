"""A TCP relay on this machine that keeps a copy of all bytes, as somebody in between would."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.support.closing import Closing


class RecordingRelay(Closing):
    """The relay.

    Args:
        target_port: Where each connection is taken to, on 127.0.0.1.

    Attributes:
        port: Where it listens.
        sent: What clients sent, on all connections.
        received: What they got.
    """

    def __init__(self, target_port: int) -> None:
        self.sent = bytearray()
        self.received = bytearray()
        self._target_port = target_port
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def close(self) -> None:
        # Closing alone would not wake who waits in there.
        for open_socket in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for open_socket in [self._listener, *self._sockets]:
            open_socket.close()

    def _start(self, work: object, *arguments: object) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=arguments, name="relay", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                target = socket.create_connection(("127.0.0.1", self._target_port))
                self._sockets.append(target)
                self._start(self._copy, client, target, self.sent)
                self._start(self._copy, target, client, self.received)

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket, copy: bytearray) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                copy += piece
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
