"""Through an HTTP proxy: CONNECT for HTTPS, and forwarding for HTTP with sealed messages."""

from __future__ import annotations

import base64
import logging
import pickle
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hvintegration import Credential, Host, WinRM
from hvintegration.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    HvError,
    TransportTimeoutError,
    UntrustedHostError,
    for_command,
)
from hvintegration.simulator import demo_world
from tests.support.certificates import Certificate, self_signed
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.http_proxy import HttpProxy
from tests.support.leftovers import nothing_left
from tests.support.refusals import refused
from tests.support.secrecy import told
from tests.support.tls_relay import TlsRelay
from tests.support.wsman_server import WSManServer

WHO = Credential("admin", "Loopback-1")
PASSWORDS = ["Proxy-Secret-1", "p@ss:w/rd %41 Proxy-Secret", "密码-Пароль-ß"]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[WSManServer]:
    """One that asks for sealed messages, and one with TLS."""
    tls = request.param == "https"
    with WSManServer(demo_world(), tls=tls, certificate=certificate if tls else None) as running:
        yield running


def through(proxy: HttpProxy | str, server: WSManServer, **arguments: Any) -> WinRM:  # noqa: ANN401 - as WinRM has them
    given: dict[str, Any] = {"port": server.port, "credential": WHO, "auth": "ntlm"}
    if server.certificate is not None:
        given |= {"tls": True, "auth": "basic", "ca_file": server.certificate.path}
    url = proxy if isinstance(proxy, str) else proxy.url
    return WinRM("127.0.0.1", proxy=url, **(given | arguments))


def kind_of(server: WSManServer) -> str:
    return "POST" if server.certificate is None else "CONNECT"


def test_it_leads_to_the_host(server: WSManServer) -> None:
    with HttpProxy() as proxy, Host(through(proxy, server)) as host:
        assert host.info().name == "HV01"
        assert len(host.vms.list()) == 5
        assert host.vms["demovm"].name == "demovm"
        assert proxy.counts[kind_of(server)] > 0
        assert proxy.counts["connections"] == server.counts["connections"] <= 2


def test_what_goes_through_cannot_be_read(server: WSManServer) -> None:
    with HttpProxy() as proxy, Host(through(proxy, server)) as host:
        host.vms.list()
        assert b"Envelope" not in proxy.seen
        assert b"Loopback-1" not in proxy.seen


@pytest.mark.parametrize("password", PASSWORDS)
def test_it_may_ask_for_a_user(server: WSManServer, password: str) -> None:
    with HttpProxy(username="proxy-ü", password=password) as proxy:
        who = Credential("proxy-ü", password)
        with Host(through(proxy, server, proxy_credential=who)) as host:
            assert host.info().name == "HV01"
        assert proxy.counts["refused"] == 0


def test_the_proxys_user_is_not_told_to_the_host(certificate: Certificate, tmp_path: Path) -> None:
    theirs = self_signed(tmp_path)
    with (
        WSManServer(demo_world(), tls=True, certificate=certificate) as server,
        TlsRelay(server.port, theirs) as relay,
        HttpProxy() as proxy,
    ):
        who = Credential("proxy-user", "Proxy-Secret-1")
        with Host(through(proxy, server, port=relay.port, ca_file=theirs.path, proxy_credential=who)) as host:
            host.info()
        assert b"Authorization: Basic" in relay.seen
        assert b"proxy-authorization" not in relay.seen.lower()
        assert b"Proxy-Authorization: Basic" in proxy.seen


@pytest.mark.parametrize("who", [None, Credential("proxy-user", "Proxy-Secret-2")])
def test_a_wrong_user_of_the_proxy(server: WSManServer, who: Credential | None) -> None:
    with HttpProxy(username="proxy-user", password="Proxy-Secret-1") as proxy:
        error = refused(through(proxy, server, proxy_credential=who))

        assert isinstance(error, ConnectError)
        assert not isinstance(error, AuthenticationError)  # That would be about the host's user.
        assert "proxy" in str(error)
        assert "407" in str(error)
        assert error.hint is not None
        assert error.hint.startswith("Pass proxy_credential=Credential(...).")
        assert for_command(error.hint).startswith("The command has no option for who asks at the proxy")
        assert server.counts["requests"] == 0
        assert proxy.counts["refused"] == 1


@pytest.mark.parametrize("status", ["403 Forbidden", "502 Bad Gateway", "405 Method Not Allowed"])
def test_a_proxy_that_leads_nowhere(certificate: Certificate, status: str) -> None:
    with WSManServer(demo_world(), tls=True, certificate=certificate) as server, HttpProxy(refusal=status) as proxy:
        error = refused(through(proxy, server))

        assert type(error) is ConnectError
        assert f"The proxy {proxy.url} does not lead to winrms://127.0.0.1" in str(error)
        assert status in str(error)
        assert error.hint is not None
        assert "CONNECT" in error.hint


def test_a_proxy_that_forbids_forwarding() -> None:
    with WSManServer(demo_world()) as server, HttpProxy(refusal="403 Forbidden") as proxy:
        error = refused(through(proxy, server))

        assert isinstance(error, ConnectError)
        assert "403" in str(error)
        assert error.hint is not None
        assert "proxy" in error.hint


def test_a_proxy_that_is_down(server: WSManServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

    error = refused(through(url, server))

    assert type(error) is ConnectError
    assert f"The proxy {url}" in str(error)
    assert "refused" in str(error)


@pytest.mark.parametrize("mode", ["reset", "swallow"])
def test_a_proxy_that_answers_nothing(server: WSManServer, mode: Mode) -> None:
    with FaultProxy("127.0.0.1", 9) as proxy:
        proxy.mode = mode
        started = time.monotonic()
        error = refused(through(f"http://127.0.0.1:{proxy.port}", server), timeout=0.5)
        assert time.monotonic() - started < 1.0
    assert isinstance(error, TransportTimeoutError) is (mode == "swallow")


def test_an_untrusted_certificate_behind_it(certificate: Certificate) -> None:
    """What is offered is not looked at, past the proxy; there is no empty fingerprint to pin either."""
    with WSManServer(demo_world(), tls=True, certificate=certificate) as server, HttpProxy() as proxy:
        error = refused(through(proxy, server, ca_file=None))

        assert isinstance(error, UntrustedHostError)
        assert error.offered == ""
        assert error.hint is not None
        assert error.hint.endswith("the host's own: certificate_sha256=....")
        assert server.counts["connections"] == proxy.counts["CONNECT"] == 1


def test_another_certificate_than_the_pinned_one_behind_it(certificate: Certificate) -> None:
    with WSManServer(demo_world(), tls=True, certificate=certificate) as server, HttpProxy() as proxy:
        error = refused(through(proxy, server, ca_file=None, certificate_sha256="AB" * 32))

        assert isinstance(error, UntrustedHostError)
        assert error.offered == certificate.sha256.upper()
        assert server.counts["requests"] == 0


def test_channel_binding_holds_through_it(certificate: Certificate) -> None:
    with (
        WSManServer(demo_world(), tls=True, auth="negotiate", certificate=certificate) as server,
        HttpProxy() as proxy,
        Host(through(proxy, server, auth="ntlm")) as host,
    ):
        assert host.info().name == "HV01"


def test_its_steps_are_the_proxys_business(server: WSManServer) -> None:
    with HttpProxy() as proxy, Host(through(proxy, server)) as host:
        check = host.check(timeout=20)
        assert check.ok
        assert [step.name for step in check.steps][:2] == ["authentication", "PowerShell"]


@pytest.mark.parametrize("end", ["wrong user", "refuses", "down", "resets", "stalls", "unauthorized", "host is down"])
@pytest.mark.parametrize("password", PASSWORDS[:2])
def test_the_password_is_told_to_nobody(
    server: WSManServer, end: str, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither by the transport, nor by its errors, what is behind them and their locals, nor in logs."""
    caplog.set_level(logging.DEBUG)
    options = {"refuses": {"refusal": "403 Forbidden"}, "wrong user": {"username": "other"}}.get(end, {})
    modes: dict[str, Mode] = {"down": "refuse", "resets": "reset", "stalls": "swallow"}
    seconds = 0.2 if end == "stalls" else 20
    with HttpProxy(**options) as proxy, FaultProxy("127.0.0.1", proxy.port) as fault:
        fault.mode = modes.get(end, "pass")
        if end == "host is down":
            server.close()
        if end == "unauthorized":
            server.misbehave("unauthorized", times=None)
        url = f"http://127.0.0.1:{fault.port}"
        transport = through(url, server, proxy_credential=Credential("proxy-user", password))
        with Host(transport) as host:
            with pytest.raises(HvError) as raised:
                host.info(timeout=seconds)
            check = host.check(timeout=seconds)
        assert not check.ok
    texts = [*told(raised.value), str(transport), repr(transport), str(check), repr(check), str(check.to_dict())]
    texts += [f"{vars(record)} {record.getMessage()}" for record in caplog.records]
    hidden = {password, repr(password)[1:-1], quote(password, safe="")}
    hidden.add(base64.b64encode(f"proxy-user:{password}".encode()).decode())
    assert not [text for text in texts for secret in hidden if secret in text]


def test_a_transport_with_a_password_cannot_be_pickled(server: WSManServer) -> None:
    transport = through("http://127.0.0.1:9", server, proxy_credential=Credential("proxy-user", "Proxy-Secret-1"))
    with pytest.raises(TypeError):
        pickle.dumps(transport)


@pytest.mark.parametrize("proxy", ["http://proxy-user:Proxy-Secret-1@proxy:8080", "http://:Proxy-Secret-1@proxy"])
def test_a_password_in_the_proxys_address_is_refused(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^Invalid proxy: .* without a user or a password") as raised:
        WinRM("hv01", proxy=proxy)
    assert "Secret" not in f"{raised.value!r} {raised.value.hint}"
