"""The proxy's ways to fail, with plain sockets on both sides."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.time_limit import within


class _EchoServer(socketserver.ThreadingTCPServer):
    request_queue_size = 64


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    before = threading.active_count()
    with _EchoServer(("127.0.0.1", 0), _Echo) as echo:
        threading.Thread(target=echo.serve_forever, kwargs={"poll_interval": 0.01}).start()
        with FaultProxy("127.0.0.1", echo.server_address[1]) as running:
            yield running
        echo.shutdown()
    assert threading.active_count() <= before


def connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=5)


def read(client: socket.socket, size: int) -> bytes:
    """What comes until *size* bytes are there, or the end."""
    found = b""
    while len(found) < size and (data := client.recv(size - len(found))):
        found += data
    return found


def is_silent(client: socket.socket) -> bool:
    client.settimeout(0.1)
    try:
        return client.recv(1) == b"never"
    except TimeoutError:
        return True


def test_bytes_pass_and_are_counted(proxy: FaultProxy) -> None:
    data = b"0123456789" * 100_000
    with connect(proxy) as client:
        sending = threading.Thread(target=client.sendall, args=(data,))
        sending.start()
        assert read(client, len(data)) == data
        sending.join()
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""

    assert (proxy.connections, proxy.bytes_up, proxy.bytes_down) == (1, len(data), len(data))


def test_64_connections_at_once(proxy: FaultProxy) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(proxy)) for _ in range(64)]
        for number, client in enumerate(clients):
            client.sendall(b"%02d" % number)
        assert [read(client, 2) for client in clients] == [b"%02d" % number for number in range(64)]
        assert proxy.open_connections == 64


def test_delay_is_each_way_and_limits_no_throughput(proxy: FaultProxy) -> None:
    proxy.delay = 0.1
    with connect(proxy) as client:
        began = time.monotonic()
        with within(0.8):
            client.sendall(b"a" * 500_000)
            assert len(read(client, 500_000)) == 500_000
        assert time.monotonic() - began >= 0.2


def test_drip(proxy: FaultProxy) -> None:
    proxy.drip = (10, 0.01)
    with connect(proxy) as client:
        began = time.monotonic()
        client.sendall(b"a" * 100)
        assert read(client, 100) == b"a" * 100
        assert time.monotonic() - began > 0.08


@pytest.mark.parametrize("size", [0, 3])
def test_reset_after_bytes_down(proxy: FaultProxy, size: int) -> None:
    strike = proxy.strike("reset", after_bytes_down=size)
    with connect(proxy) as client:
        client.sendall(b"abcdef")
        found = b""
        with pytest.raises(ConnectionResetError):  # noqa: PT012 - what came before it counts
            while True:
                found += client.recv(1)
    assert found == b"abcdef"[:size]
    assert strike.struck.is_set()
    with connect(proxy) as client:
        client.sendall(b"abcdef")
        assert read(client, 6) == b"abcdef"


def test_reset_after_bytes_up(proxy: FaultProxy) -> None:
    proxy.strike("reset", after_bytes_up=3)
    with connect(proxy) as client:
        client.sendall(b"abcdef")
        with pytest.raises(ConnectionResetError):
            read(client, 6)
    assert proxy.bytes_up == 3


def test_truncate(proxy: FaultProxy) -> None:
    proxy.strike("close", after_bytes_down=3)
    with connect(proxy) as client:
        client.sendall(b"abcdef")
        assert read(client, 6) == b"abc"


def test_reset_now(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"a")
        assert read(client, 1) == b"a"
        assert proxy.strike("reset").struck.is_set()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest.mark.parametrize("kind", ["freeze", "freeze-up", "freeze-down"])
def test_half_open(proxy: FaultProxy, kind: str) -> None:
    with connect(proxy) as client:
        client.sendall(b"a")
        assert read(client, 1) == b"a"
        if kind == "freeze":
            proxy.strike("freeze")
        elif kind == "freeze-up":
            proxy.strike("freeze-up")
        else:
            proxy.strike("freeze-down")
        client.sendall(b"b")
        assert is_silent(client)
        assert proxy.bytes_up == (2 if kind == "freeze-down" else 1)
        proxy.thaw()
        client.settimeout(5)
        assert read(client, 1) == b"b"


def test_new_connections(proxy: FaultProxy) -> None:
    proxy.mode = "refuse"
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.mode = "reset"
    with pytest.raises(ConnectionResetError), connect(proxy) as client:
        client.recv(1)
    proxy.mode = "swallow"
    with connect(proxy) as client:
        client.sendall(b"a" * 1_000_000)
        assert is_silent(client)
    proxy.mode = "pass"
    with connect(proxy) as client:
        client.sendall(b"a")
        assert read(client, 1) == b"a"


def test_close_ends_what_is_frozen_full_and_swallowed(proxy: FaultProxy) -> None:
    with connect(proxy) as frozen, connect(proxy) as full:
        full.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            while True:
                full.send(b"x" * 65536)
        frozen.sendall(b"a")
        assert read(frozen, 1) == b"a"
        proxy.strike("freeze")
        proxy.mode = "swallow"
        with connect(proxy) as swallowed:
            with within(1):
                proxy.close()
            with pytest.raises(ConnectionResetError):
                frozen.recv(1)
            with contextlib.suppress(ConnectionResetError):
                assert swallowed.recv(1) == b""
