"""HTTP answers that are no WSMan: each is named, with what to do, and with the truth about trying again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from hvintegration import Credential, Host, WinRM
from hvintegration.errors import (
    AuthenticationError,
    BusyError,
    ConnectError,
    ConnectionLostError,
    HvError,
    ProtocolError,
)
from hvintegration.simulator import demo_world
from tests.support.certificates import Certificate
from tests.support.endpoints import WSManEndpoint, wait_until
from tests.support.hostile_http import WHO, HostileServer, Request, page
from tests.support.leftovers import nothing_left
from tests.support.refusals import refused
from tests.support.wsman_server import WSManServer

PAGE: Final = (
    b"<html><head><title>Bad Request</title></head><body><h2>Bad Request - Invalid Hostname</h2></body></html>"
)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    with nothing_left(15):
        yield


def ask(server: HostileServer) -> HvError:
    with Host(server.winrm()) as host, pytest.raises(HvError) as raised:
        host.info(timeout=20)
    assert "Authorization" not in f"{raised.value!r} {raised.value.hint}"
    return raised.value


def to_tokens(answer: bytes) -> Callable[[Request], bytes]:
    return lambda asked: (
        answer if "authorization" in asked.headers else page("401 Unauthorized", WWW_Authenticate="Negotiate")
    )


@pytest.mark.parametrize("status", ["400 Bad Request", "413 Too Large", "431 Request Header Fields Too Large"])
@pytest.mark.parametrize("body", [b"", PAGE])
def test_a_ticket_that_is_too_large(status: str, body: bytes) -> None:
    with HostileServer(before=to_tokens(page(status, body))) as server:
        error = ask(server)

        assert len(server.requests) == 2
    assert type(error) is AuthenticationError
    assert status[:3] in str(error)
    assert "MaxFieldLength" in str(error.hint)
    assert "MaxRequestBytes" in str(error.hint)
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "kind", "said", "hint"),
    [
        ("400 Bad Request", ConnectError, "does not take such a request", "by a name"),
        ("403 Forbidden", ConnectError, "forbids", "proxy"),
        ("404 Not Found", ConnectError, "no WSMan there", "port"),
        ("405 Method Not Allowed", ConnectError, "no WSMan there", "port"),
        ("413 Too Large", ConnectError, "does not take messages of this length", "MaxEnvelopeSizekb"),
        ("429 Too Many Requests", BusyError, "no room now", "later"),
        ("431 Too Large", ConnectError, "does not take such a request", "by a name"),
        ("500 Error", ProtocolError, "failed and does not say why", "event log"),
        ("501 Not Implemented", ConnectError, "no WSMan there", "port"),
        ("502 Bad Gateway", BusyError, "in between", "gateway"),
        ("503 Unavailable", BusyError, "no room now", "later"),
        ("504 Timeout", BusyError, "in between", "gateway"),
    ],
)
@pytest.mark.parametrize("body", [b"", PAGE, b"no XML"])
def test_a_status_is_named(status: str, kind: type[HvError], said: str, hint: str, body: bytes) -> None:
    with HostileServer(before=lambda _: page(status, body)) as server:
        error = ask(server)

    assert type(error) is kind
    assert said in str(error)
    assert f"HTTP status {status[:3]}" in str(error)
    assert hint in str(error.hint)
    assert error.retryable is (kind is BusyError)


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent"])
@pytest.mark.parametrize(
    ("location", "hint"),
    [("https://127.0.0.1/wsman", "winrms://"), ("http://elsewhere/", "port"), ("x" * 5000, "port"), (None, "port")],
)
def test_a_redirection_is_told_and_not_followed(status: str, location: str | None, hint: str) -> None:
    answer = page(status) if location is None else page(status, Location=location)
    with HostileServer(before=lambda _: answer) as server:
        error = ask(server)

        assert len(server.requests) == 1
    assert type(error) is ConnectError
    assert "not followed" in str(error)
    assert location is None or location[:50] in str(error)
    assert hint in str(error.hint)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    ("auth", "offered", "named"),
    [
        ("negotiate", ['Basic realm="WSMAN"'], "Basic"),
        ("ntlm", ["Kerberos", 'Basic realm="a, b"', "CredSSP"], "Kerberos, Basic, CredSSP"),
        ("ntlm", ['Kerberos, Digest realm="x", nonce="y"'], "Kerberos, Digest"),
        ("ntlm", [], "none"),
        ("credssp", ["Negotiate", "Kerberos", 'Basic realm="WSMAN"'], "Negotiate, Kerberos, Basic"),
        ("credssp", ["NTLM"], "NTLM"),
    ],
)
def test_other_ways_to_authenticate_are_named(auth: str, offered: list[str], named: str) -> None:
    head = "".join(f"WWW-Authenticate: {way}\r\n" for way in offered)
    with HostileServer(before=lambda _: f"HTTP/1.1 401 \r\n{head}Content-Length: 0\r\n\r\n".encode()) as server:
        with Host(server.winrm(auth=auth)) as host, pytest.raises(AuthenticationError) as raised:
            host.info(timeout=20)

        assert len(server.requests) == 1
    assert str(raised.value).endswith(f"with {auth} failed: the host offers {named}.")


def test_kerberos_is_not_taken_for_ntlm() -> None:
    pytest.importorskip("gssapi")
    with (
        HostileServer(before=lambda _: page("401 No", WWW_Authenticate="NTLM")) as server,
        Host(server.winrm(auth="kerberos")) as host,
        pytest.raises(AuthenticationError) as raised,
    ):
        host.info(timeout=20)
    assert str(raised.value).endswith("with kerberos failed: the host offers NTLM.")


def test_basic_is_told_what_else_there_is(certificate: Certificate) -> None:
    with WSManServer(demo_world(), tls=True, auth="negotiate", certificate=certificate) as server:
        error = refused(
            WinRM("localhost", port=server.port, tls=True, auth="basic", credential=WHO, ca_file=certificate.path)
        )
    assert str(error).endswith("with basic failed: the host offers Negotiate.")


def test_a_host_that_ends_the_connection_with_its_demand() -> None:
    with WSManServer(demo_world()) as server:
        server.closes_after_demand = True
        with Host(WinRM(server.host, port=server.port, credential=WHO, auth="ntlm")) as host:
            assert host.info(timeout=20).name == "HV01"
        assert server.counts["connections"] >= 2


def test_a_host_that_ends_the_connection_with_each_answer() -> None:
    with HostileServer(before=lambda asked: page("200 OK", Connection="close")) as server:
        assert type(ask(server)) is AuthenticationError
        assert server.connections == 1


def test_fencing_is_tried_a_few_times_where_each_connection_is_lost() -> None:
    with WSManEndpoint(tls=True) as endpoint:
        endpoint.server.misbehave("drop", times=None)
        host = endpoint.host()
        with pytest.raises(ConnectionLostError):
            host.info(timeout=20)
        time.sleep(1)
        host.close()
        assert wait_until(lambda: endpoint.left() == {}, 20)
        wait_until(_nothing_is_fenced, 20)
        # Three times it was asked, for a read is asked again; what each may have left is fenced.
        assert endpoint.server.counts["connections"] <= 3 * (1 + 2 * 5)


def _nothing_is_fenced() -> bool:
    import threading

    return not any(thread.name == "hvintegration fence" for thread in threading.enumerate())


def credssp(server: WSManServer, **arguments: Any) -> WinRM:  # noqa: ANN401 - as WinRM has them
    given: dict[str, Any] = {"port": server.port, "credential": Credential("admin", "Loopback-1"), "auth": "credssp"}
    return WinRM(server.host, **(given | arguments))


def test_credssp_seals_in_parts() -> None:
    with WSManServer(demo_world(), auth="credssp") as server:
        with Host(credssp(server)) as host:
            assert host.info(timeout=20).name == "HV01"
            assert len(host.inventory().vms) == 5
            assert host.vms["demovm"].services["vss"].disable().enabled is False
        assert server.counts["several parts"] > 0


def test_credssp_does_not_take_a_wrong_password() -> None:
    with WSManServer(demo_world(), auth="credssp") as server:
        error = refused(credssp(server, credential=Credential("admin", "Wrong-1")))

        assert type(error) is AuthenticationError
        assert server.actions == {}
