"""Answers that are meant to do harm, before and after authentication: an error in time, and no growth."""

from __future__ import annotations

import gzip
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import pytest

from hvintegration import Host, WinRM
from hvintegration.errors import ConnectionLostError, HvError, ProtocolError, TransportTimeoutError
from hvintegration.transports import kept_connection
from tests.support.hostile_http import HostileServer, Request, page
from tests.support.leftovers import nothing_left
from tests.support.time_limit import GRACE, within

SECONDS: Final = 2.0

OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(kept_connection, "SECONDS_TO_FENCE_LATER", 0.1)  # It would do no good here.
    with nothing_left():
        yield


def once_and(first: bytes, forever: bytes) -> Callable[[Request], Iterable[bytes]]:
    return lambda _: itertools.chain([first], itertools.repeat(forever))


def slowly(text: bytes) -> Callable[[Request], Iterable[bytes]]:
    def answer(_: Request) -> Iterator[bytes]:
        yield text
        while True:
            time.sleep(0.02)
            yield b"x"

    return answer


def bomb(megabytes: int) -> bytes:
    return gzip.compress(gzip.compress(bytes(megabytes << 20), 1), 1)


ENDLESS: Final[dict[str, Callable[[Request], bytes | Iterable[bytes]]]] = {
    "100 Continue": once_and(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100 Continue, each with headers": once_and(b"", b"HTTP/1.1 100 Continue\r\nA: b\r\nC: d\r\n\r\n"),
    "a status line": once_and(b"HTTP/1.1 200 ", b"x" * 4096),
    "a header": once_and(OK + b"X: ", b"x" * 4096),
    "headers": once_and(OK, b"X: y\r\n"),
    "hundreds of headers": lambda _: OK + b"X: y\r\n" * 500 + b"Content-Length: 0\r\n\r\n",
    "64 KB of headers": lambda _: OK + (b"X: " + b"y" * 8000 + b"\r\n") * 9 + b"Content-Length: 0\r\n\r\n",
    "a body": once_and(OK + b"\r\n", b"x" * 65536),
    "a body that says so": once_and(OK + b"Content-Length: 1000000000000\r\n\r\n", b"x" * 65536),
    "chunks": once_and(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "tiny chunks": once_and(CHUNKED, b"1\r\nx\r\n" * 512),
    "a chunk's size": once_and(CHUNKED, b"0" * 4096),
    "what is said of a chunk": once_and(CHUNKED + b"1;", b"x" * 4096),
    "a chunk of less than nothing": once_and(CHUNKED + b"-1\r\n", b"x" * 65536),
    "trailers": once_and(CHUNKED + b"0\r\n", b"X: y\r\n"),
    "gzip": lambda _: page("200 OK", b"x", Content_Encoding="gzip"),
    "gzip, within chunks": lambda _: OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "gzip, with an error": lambda _: page("500 Error", b"x", Content_Encoding="x-gzip, identity"),
}


def ask(transport: WinRM, seconds: float = SECONDS) -> HvError:
    """The error that asking ends with, in time. What may have been created is fenced behind the caller's back."""
    with Host(transport) as host, within(seconds + GRACE), pytest.raises(HvError) as raised:
        host.info(timeout=seconds)
    return raised.value


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ENDLESS)
def test_what_has_no_end_is_ended_here(what: str, when: str) -> None:
    with HostileServer(**{when: ENDLESS[what]}) as server:
        error = ask(server.winrm())

        assert isinstance(error, ProtocolError), error
        assert server.connections <= 2 + 3  # Fencing what may have been created is tried, too.


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("begins", [b"HTTP/1.1 200", OK + b"X: ", OK + b"Content-Length: 9999\r\n\r\n", CHUNKED])
def test_what_trickles_in_is_waited_for_until_the_time_is_up(begins: bytes, when: str) -> None:
    with HostileServer(**{when: slowly(begins)}) as server:
        error = ask(server.winrm())

    assert isinstance(error, TransportTimeoutError)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="the end"),
        pytest.param(b"HTTP/1.1 2", id="the end within the status"),
        pytest.param(OK + b"Content-Length: 0\r\nX", id="the end within a header"),
        pytest.param(OK + b"Content-Length: 0\r\n", id="the end before the header's"),
        pytest.param(OK + b"Content-Length: 9\r\n\r\nx", id="the end within the body"),
        pytest.param(OK + b"\r\nx", id="the end alone says that it is whole"),
        pytest.param(CHUNKED + b"9\r\nx", id="the end within a chunk"),
        pytest.param(CHUNKED + b"1\r\nx\r\n", id="the end before the last chunk"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 xyz\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/9.9 200 OK\r\n\r\n", id="no version"),
        pytest.param(CHUNKED + b"g\r\nx", id="no size of a chunk"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_no_whole_answer_is_a_lost_connection(answer: bytes, when: str) -> None:
    def say(_: Request) -> Iterator[bytes]:
        yield answer
        raise ConnectionAbortedError

    with HostileServer(**{when: say}) as server:
        error = ask(server.winrm(), 20)

    assert isinstance(error, ConnectionLostError)


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not say how much memory was used at most")
@pytest.mark.parametrize("when", ["before", "after"])
def test_nothing_is_unpacked(when: str) -> None:
    import resource

    packed = bomb(256)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with HostileServer(**{when: lambda _: page("200 OK", packed, Content_Encoding="gzip, gzip")}) as server:
        error = ask(server.winrm())

    assert isinstance(error, ProtocolError)
    assert "encoding" in str(error)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def sealed(boundary: str, body: bytes) -> Callable[[Request], bytes]:
    return lambda _: page(
        "200 OK",
        body,
        Content_Type=f'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="{boundary}"',
    )


def parts(boundary: str, head: bytes, data: bytes, times: int = 1) -> bytes:
    edge = b"--" + boundary.encode()
    stream = b"\r\n\tContent-Type: application/octet-stream\r\n" + data
    return (edge + b"\r\n\tOriginalContent: " + head + b"\r\n" + edge + stream) * times + edge + b"--\r\n"


@pytest.mark.parametrize(
    ("boundary", "body"),
    [
        pytest.param("(a+)+", parts("(a+)+", b"Length=5", b"--" + b"a" * 34 + b"!"), id="a pattern"),
        pytest.param("x", b"--x" * 2_500_000, id="edges alone"),
        pytest.param("a" * 60, b"--" + b"a" * 8_000_000, id="nearly edges"),
        pytest.param("x", parts("x", b"Length=5", b"\0\0\0\0", 100_000), id="many parts"),
        pytest.param("x", parts("x", b"Length=" + b"9" * 5000, b""), id="a long length"),
        pytest.param("x", parts("x", b"Length=-5", b"\x10\0\0\0"), id="a negative length"),
        pytest.param("x", parts("x", b"Length=5", b"\xff\xff\xff\xff"), id="a long signature"),
        pytest.param("x", parts("x", b"Length=" * 500_000, b""), id="many lengths"),
        pytest.param("x", parts("x", b"Length=5", b"\x10\0\0\0" + bytes(8_000_000)), id="a broken seal"),
        pytest.param("x", b"", id="nothing"),
        pytest.param("x", b"--x--\r\n", id="no part"),
        pytest.param("", b"----", id="no boundary"),
        pytest.param("x;" * 20_000, b"--x", id="a long content type"),
        pytest.param(";" * 60_000, b"--;", id="a longer content type"),
        pytest.param('boundary="' * 6000, b"--x", id="many boundaries"),
    ],
)
def test_sealed_parts_that_are_none(boundary: str, body: bytes) -> None:
    with HostileServer(after=sealed(boundary, body)) as server:
        error = ask(server.winrm())

    assert isinstance(error, ProtocolError)


@pytest.mark.parametrize(
    "header",
    ["," * 60_000, "Negotiate," * 6000, 'Basic realm="' + "\\" * 60_000, "Negotiate " + "A" * 60_000, "a b " * 15_000],
)
def test_demands_that_are_none(header: str) -> None:
    with HostileServer(before=lambda _: page("401 No", WWW_Authenticate=header)) as server:
        error = ask(server.winrm())

    assert isinstance(error, HvError)
    assert len(str(error)) < 400


@pytest.mark.parametrize("what", ["100 Continue", "headers", "a header", "64 KB of headers", "slowly"])
def test_a_proxy_may_be_as_hostile(what: str) -> None:
    answer = slowly(OK) if what == "slowly" else ENDLESS[what]
    with HostileServer(before=answer) as proxy:
        transport = WinRM("hv01", tls=True, auth="basic", credential=proxy.who, proxy=f"http://127.0.0.1:{proxy.port}")
        error = ask(transport)

        assert isinstance(error, TransportTimeoutError if what == "slowly" else ProtocolError)
        assert proxy.requests[0].line.startswith("CONNECT hv01:5986 ")
