"""Somebody in between, who opens TLS."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading

from hvintegration.transports.winrm.tls import TLSSocket
from tests.support.certificates import Certificate, server_context
from tests.support.closing import Closing


class TlsRelay(Closing):
    """Somebody in between who has another certificate, opens what comes, and hands it on in a connection of theirs."""

    def __init__(self, port: int, certificate: Certificate) -> None:
        self._far = port
        self._context = server_context(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.seen = b""
        self._thread = threading.Thread(target=self._accept, name="relay", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), name="relay link", daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        outgoing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        outgoing.sslsocket_class = TLSSocket
        outgoing.check_hostname = False
        outgoing.verify_mode = ssl.CERT_NONE
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(client, server_side=True) as near,
            socket.create_connection(("127.0.0.1", self._far)) as plain,
            outgoing.wrap_socket(plain) as far,
        ):
            other = {near: far, far: near}
            while True:
                for source in [end for end in other if end.pending()] or select.select(list(other), [], [])[0]:
                    source.settimeout(0)  # What has come may be less than a message.
                    try:
                        data = source.recv(65536)
                    except ssl.SSLWantReadError:
                        continue
                    finally:
                        source.settimeout(None)
                    if not data:
                        return
                    self.seen += data
                    other[source].sendall(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
