"""What others say in the errors of a transport is in no recording of it: a marked text, said in each of their ways."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

import pytest

import hvintegration as hv
from hvintegration import Credential, WinRM, errors
from hvintegration.errors import HvError
from tests.support.endpoints import SSHEndpoint, WSManEndpoint
from tests.support.http_proxy import HttpProxy
from tests.support.wsman_shells import FaultError

MARK: Final = "Anna-Mark-7131"
SAID: Final = f"Nein,\r\n {MARK} ({'sehr lang ' * 20}{MARK})"
WHO: Final = Credential("admin", "Loopback-1")


@contextlib.contextmanager
def saying(words: bytes, *, after: bytes = b"") -> Iterator[int]:
    """A port at which each connection is told *words*, once *after* has come."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, client.makefile("rb") as reader:
                    while after and (line := reader.readline()) and line != after:
                        pass
                    client.sendall(words)
                    client.shutdown(socket.SHUT_WR)
                    reader.read()

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@contextlib.contextmanager
def a_program() -> Iterator[hv.Local]:
    with contextlib.closing(hv.Local([sys.executable, "-c", f"import sys; sys.exit({SAID!r})"])) as local:
        yield local


@contextlib.contextmanager
def a_program_that_complains_and_hangs() -> Iterator[hv.Local]:
    text = f"import sys, time; sys.stderr.write({MARK!r} + chr(10)); sys.stderr.flush(); time.sleep(60)"
    with contextlib.closing(hv.Local([sys.executable, "-c", text])) as local:
        yield local


@contextlib.contextmanager
def questions() -> Iterator[hv.Transport]:
    with SSHEndpoint() as endpoint:
        endpoint.server.questions = [("", "", "Password:"), ("", "", f"{MARK}:")]
        with contextlib.closing(endpoint.transport()) as transport:
            yield transport


@contextlib.contextmanager
def a_program_that_writes_it_where_answers_belong() -> Iterator[hv.Local]:
    with contextlib.closing(hv.Local([sys.executable, "-c", f"import sys; sys.stdout.write({MARK!r})"])) as local:
        yield local


@contextlib.contextmanager
def a_fault(subcode: str, code: int, at: str = "_create") -> Iterator[hv.Transport]:
    def refuse(*_: object) -> NoReturn:
        raise FaultError(code, SAID, subcode=subcode)

    with WSManEndpoint() as endpoint, contextlib.closing(endpoint.transport()) as transport:
        setattr(endpoint.server.shells, at, refuse)
        yield transport


@contextlib.contextmanager
def a_proxy() -> Iterator[hv.Transport]:
    with (
        HttpProxy(refusal=f"403 {MARK} {'x' * 300}") as proxy,
        contextlib.closing(
            WinRM("127.0.0.1", tls=True, certificate_sha256="0" * 64, auth="basic", credential=WHO, proxy=proxy.url)
        ) as transport,
    ):
        yield transport


@contextlib.contextmanager
def ways_to_authenticate() -> Iterator[hv.Transport]:
    header = f"HTTP/1.1 401 {MARK}\r\nWWW-Authenticate: {MARK}\r\nContent-Length: 0\r\n\r\n".encode()
    with (
        saying(header, after=b"\r\n") as port,
        contextlib.closing(WinRM("127.0.0.1", port=port, credential=WHO, auth="ntlm")) as transport,
    ):
        yield transport


@contextlib.contextmanager
def a_banner(words: str) -> Iterator[hv.Transport]:
    with (
        saying(f"{words}\r\n".encode()) as port,
        contextlib.closing(hv.SSH("127.0.0.1", port=port, credential=WHO)) as ssh,
    ):
        yield ssh


@contextlib.contextmanager
def ways_to_prove_who_one_is() -> Iterator[hv.Transport]:
    with SSHEndpoint() as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.ssh_server._Manners.get_allowed_auths", lambda *_: MARK)
        transport = endpoint.transport()
        endpoint.server.password = "another"
        with contextlib.closing(transport):
            yield transport


Way: TypeAlias = Callable[[], contextlib.AbstractContextManager[hv.Transport]]

WAYS: Final[dict[str, tuple[Way, type[HvError]]]] = {
    "standard error": (a_program, errors.ConnectError),
    "standard output": (a_program_that_writes_it_where_answers_belong, errors.ConnectError),
    "standard error before a time-out": (a_program_that_complains_and_hangs, errors.TransportTimeoutError),
    "questions": (questions, errors.AuthenticationError),
    "quota": (lambda: a_fault("w:QuotaLimit", 2150859173), errors.BusyError),
    "refusal": (lambda: a_fault("w:AccessDenied", 5), errors.PermissionDeniedError),
    "failure": (lambda: a_fault("w:InternalError", 87), errors.CommandFailedError),
    "end of a session": (lambda: a_fault("w:InternalError", 995, "_receive"), errors.ConnectionLostError),
    "end under a call": (lambda: a_fault("w:InvalidSelectors", 2150858843, "_command"), errors.ConnectionLostError),
    "proxy": (a_proxy, errors.ConnectError),
    "HTTP header": (ways_to_authenticate, errors.AuthenticationError),
    "banner": (lambda: a_banner("\r\n".join([MARK] * 200)), errors.ConnectError),
    "version": (lambda: a_banner(f"SSH-{MARK}"), errors.ConnectError),
    "SSH authentication": (ways_to_prove_who_one_is, errors.AuthenticationError),
}


@pytest.mark.parametrize(("way", "kind"), WAYS.values(), ids=WAYS)
def test_what_others_say_is_not_recorded(way: Way, kind: type[HvError], tmp_path: Path) -> None:
    file = tmp_path / "bug.jsonl"

    with way() as transport, pytest.raises(kind) as failed:
        hv.Host(hv.Recorder(transport, file)).info(timeout=2 if kind is errors.TransportTimeoutError else 20)

    assert "Anna" in str(failed.value)  # It is said to whoever asked.
    assert "Anna" not in file.read_text()
    with pytest.raises(kind) as again:
        hv.Host(hv.Replay(file)).info()
    assert "xxxx" in str(again.value)
