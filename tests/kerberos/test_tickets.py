"""What a host is handed, and what users are told when Kerberos does not come about. Nothing here needs PowerShell."""

from __future__ import annotations

import base64
import contextlib
import http.server
import importlib
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from hvintegration import Credential, Host, WinRM
from hvintegration.errors import AuthenticationError, HvError, ProtocolError, TransportTimeoutError
from tests.support.certificates import Certificate
from tests.support.kerberos_realm import PASSWORD, REALM, USER, Realm
from tests.support.time_limit import GRACE, within

WHO = Credential(USER, PASSWORD)
SECRET = "Wr0ng-and-s3cret"

Be = Callable[..., None]


@attrs.define
class Acceptor:
    """A service that takes tickets, notes what it gets, and knows no WSMan.

    Attributes:
        port: Where it listens.
        clients: Who came.
        onward: For each, whether it handed on a ticket that is good for another service.
        sealed: How many encrypted messages came.
        bindings: What the ticket must be bound to, such as the TLS connection that it comes over.
        instead: What is answered to a token, as somebody would who has not the keys; the real answer if None.
    """

    port: int = 0
    clients: list[str] = attrs.field(factory=list)
    onward: list[bool] = attrs.field(factory=list)
    sealed: int = 0
    bindings: bytes | None = None
    instead: bytes | None = None

    def take(self, token: bytes) -> bytes | None:
        """The answer to a token, or None if it is no good."""
        gssapi: Any = importlib.import_module("gssapi")
        if self.instead is not None:
            return self.instead
        bound = None if self.bindings is None else gssapi.raw.ChannelBindings(application_data=self.bindings)
        context = gssapi.SecurityContext(usage="accept", channel_bindings=bound)
        try:
            answer = context.step(token)
            if not context.complete:  # It would go on with something else than Kerberos.
                return None
        except gssapi.exceptions.GSSError:
            return None
        self.clients.append(str(context.initiator_name).rstrip("\0"))
        self.onward.append(context.delegated_creds is not None and self._goes_on(context.delegated_creds))
        return answer or b""

    @staticmethod
    def _goes_on(handed: Any) -> bool:  # noqa: ANN401 - gssapi is imported late
        gssapi: Any = importlib.import_module("gssapi")
        name = gssapi.Name("HTTP@localhost", gssapi.NameType.hostbased_service)
        token = gssapi.SecurityContext(name=name, creds=handed, usage="initiate").step()
        return token is not None and b"HTTP" in token


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    acceptor: Acceptor

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = re.fullmatch(r"Negotiate ([\w+/=]+)", self.headers.get("Authorization", ""))
        answer = None if found is None else self.acceptor.take(base64.b64decode(found.group(1)))
        sealed = "encrypted" in self.headers.get("Content-Type", "")
        self.acceptor.sealed += sealed
        self.send_response(500 if sealed else 401 if answer is None else 200)
        if not sealed:
            token = base64.b64encode(answer or b"").decode()
            self.send_header("WWW-Authenticate", f"Negotiate {token}".strip())
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(acceptor: Acceptor, certificate: str | None = None) -> Iterator[None]:
    """Have it listen; with TLS if there is a certificate."""
    handler = type("Handler", (_Handler,), {"acceptor": acceptor})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        acceptor.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield
        server.shutdown()
        thread.join(10)


@pytest.fixture
def acceptor(realm: Realm, be: Be) -> Iterator[Acceptor]:
    """It runs in this process, which is the client's, too: the keys are for it, the ticket is for the client."""
    be(**realm.service_environment)
    acceptor = Acceptor()
    with serving(acceptor):
        yield acceptor


def ask(transport: WinRM, timeout: float = 20) -> HvError:
    """The error that asking for anything ends in, which comes in time and says how to go on."""
    with Host(transport) as host, within(timeout + GRACE), pytest.raises(HvError) as failed:
        host.info(timeout=timeout)
    text = f"{failed.value} {failed.value.hint} {failed.value!r}"
    assert SECRET not in text
    assert PASSWORD not in text
    return failed.value


def refusal(transport: WinRM) -> AuthenticationError:
    error = ask(transport)
    assert isinstance(error, AuthenticationError), repr(error)
    assert error.may_have_run is False
    assert error.hint
    return error


# -- what is handed on -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_credential", [False, True])
def test_nothing_is_handed_on_unless_asked_for(
    acceptor: Acceptor, realm: Realm, monkeypatch: pytest.MonkeyPatch, *, with_credential: bool
) -> None:
    monkeypatch.setenv("KRB5CCNAME", realm.kinit("forwardable", "-f"))
    who = WHO if with_credential else None

    # It knows no WSMan, but has taken the ticket.
    assert isinstance(ask(WinRM("localhost", port=acceptor.port, credential=who, auth="kerberos")), ProtocolError)

    assert set(acceptor.clients) == {USER}
    assert set(acceptor.onward) == {False}


@pytest.mark.parametrize("with_credential", [False, True])
def test_a_ticket_is_handed_on_and_good_for_another_service(
    acceptor: Acceptor, realm: Realm, monkeypatch: pytest.MonkeyPatch, *, with_credential: bool
) -> None:
    if not with_credential:
        monkeypatch.setenv("KRB5CCNAME", realm.kinit("forwardable", "-f"))
    who = WHO if with_credential else None

    error = ask(WinRM("localhost", port=acceptor.port, credential=who, auth="kerberos", delegate=True))

    assert isinstance(error, ProtocolError)
    assert set(acceptor.clients) == {USER}
    assert set(acceptor.onward) == {True}


def test_a_ticket_that_may_not_be_handed_on_is_an_error(
    acceptor: Acceptor, ticket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5CCNAME", ticket)

    error = refusal(WinRM("localhost", port=acceptor.port, auth="kerberos", delegate=True))

    assert "kinit -f" in str(error.hint)
    assert "or pass credential=Credential(...). NTLM hands on nothing: with auth='kerberos' it" in str(error.hint)


# -- who the host is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x60\x03\x01\x02\x03", id="nonsense"),
        pytest.param(base64.b64decode("oQcwBaADCgEA"), id="SPNEGO's accept-completed"),
    ],
)
def test_a_host_that_cannot_prove_who_it_is_gets_nothing(
    acceptor: Acceptor, ticket: str, monkeypatch: pytest.MonkeyPatch, auth: str, answer: bytes
) -> None:
    monkeypatch.setenv("KRB5CCNAME", ticket)
    acceptor.instead = answer

    refusal(WinRM("localhost", port=acceptor.port, auth=auth))

    assert acceptor.sealed == 0


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
@pytest.mark.parametrize("same", [True, False])
def test_over_tls_a_ticket_is_bound_to_the_certificate(
    acceptor: Acceptor,
    certificate: Certificate,
    ticket: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    auth: str,
    same: bool,
) -> None:
    """So that whoever is in between cannot hand it on to the host."""
    monkeypatch.setenv("KRB5CCNAME", ticket)
    fingerprint = certificate.sha256 if same else "00" * 32
    acceptor.bindings = b"tls-server-end-point:" + bytes.fromhex(fingerprint)
    with serving(acceptor, str(certificate.both)):
        error = ask(WinRM("localhost", port=acceptor.port, tls=True, ca_file=certificate.path, auth=auth))

    assert isinstance(error, ProtocolError if same else AuthenticationError)
    assert acceptor.clients == [USER] * len(acceptor.clients)
    assert bool(acceptor.clients) is same


# -- what may be amiss -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
def test_without_a_ticket_users_are_told_to_get_one(acceptor: Acceptor, auth: str) -> None:
    error = refusal(WinRM("localhost", port=acceptor.port, auth=auth))

    assert "no Kerberos ticket" in str(error)
    assert "kinit" in str(error.hint)


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
def test_an_expired_ticket_is_said_to_be_one(
    acceptor: Acceptor, realm: Realm, monkeypatch: pytest.MonkeyPatch, auth: str
) -> None:
    monkeypatch.setenv("KRB5CCNAME", realm.expired_ticket())

    error = refusal(WinRM("localhost", port=acceptor.port, auth=auth))

    assert "expired" in str(error)
    assert "kinit" in str(error.hint)


def test_clocks_that_differ_are_said_to(
    acceptor: Acceptor, realm: Realm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Path(realm.client_environment["KRB5_CONFIG"]).read_text()
    unforgiving = tmp_path / "krb5.conf"  # With less than no tolerance, the same clock differs from itself.
    unforgiving.write_text(config.replace("[libdefaults]\n", "[libdefaults]\n  clockskew = -1\n", 1))
    monkeypatch.setenv("KRB5_CONFIG", str(unforgiving))

    error = refusal(WinRM("localhost", port=acceptor.port, credential=WHO, auth="kerberos"))

    assert "clocks differ" in str(error)


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
@pytest.mark.parametrize(("host", "name"), [("127.0.0.1", None), ("localhost", "hv99.hv.test")])
def test_a_host_that_kerberos_does_not_know(
    acceptor: Acceptor, ticket: str, monkeypatch: pytest.MonkeyPatch, *, auth: str, host: str, name: str | None
) -> None:
    monkeypatch.setenv("KRB5CCNAME", ticket)

    error = refusal(WinRM(host, port=acceptor.port, auth=auth, kerberos_hostname=name))

    assert f"WSMAN/{name or host}" in str(error)
    assert "kerberos_hostname" in str(error.hint)
    assert "setspn" in str(error.hint)


@pytest.mark.parametrize(
    ("username", "said", "hint"),
    [
        pytest.param(USER, "does not accept the password", "password", id="password"),
        pytest.param(f"nobody@{REALM}", "does not know this user", "user@REALM", id="user"),
        pytest.param("HV\\admin", "does not know this user", "user@REALM", id="form"),
        pytest.param("admin@NO.WHERE", "KDC", "krb5.conf", id="realm"),
        pytest.param("admin@hv.test", "KDC", "capitals", id="small letters"),
        pytest.param("admin@@@", "", "", id="nonsense"),
    ],
)
def test_a_credential_that_kerberos_does_not_take(acceptor: Acceptor, username: str, said: str, hint: str) -> None:
    who = Credential(username, SECRET)

    error = refusal(WinRM("localhost", port=acceptor.port, credential=who, auth="kerberos"))

    assert said in str(error)
    assert hint in str(error.hint)
    assert acceptor.clients == []


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
def test_a_wrong_password_is_tried_once(acceptor: Acceptor, realm: Realm, auth: str) -> None:
    """Domains lock users out after some wrong ones."""
    log = realm.folder / "kdc.log"
    before = log.read_text().count("PREAUTH_FAILED")

    ask(WinRM("localhost", port=acceptor.port, credential=Credential(USER, SECRET), auth=auth))

    assert log.read_text().count("PREAUTH_FAILED") == before + 1


def test_a_host_that_cannot_read_the_ticket(
    acceptor: Acceptor, ticket: str, realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5CCNAME", ticket)
    monkeypatch.setenv("KRB5_KTNAME", f"FILE:{realm.folder / 'no-keytab'}")

    refusal(WinRM("localhost", port=acceptor.port, auth="kerberos"))

    assert acceptor.clients == []


@pytest.mark.parametrize("with_credential", [False, True])
@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_a_kdc_that_does_not_answer(
    acceptor: Acceptor, realm: Realm, monkeypatch: pytest.MonkeyPatch, over: str, *, with_credential: bool
) -> None:
    if not with_credential:
        monkeypatch.setenv("KRB5CCNAME", realm.kinit("unused"))
    who = WHO if with_credential else None
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        limit = 1 if over == "tcp" else 32700
        monkeypatch.setenv("KRB5_CONFIG", str(realm.config("silent.conf", port, udp_preference_limit=limit)))

        error = ask(WinRM("localhost", port=acceptor.port, credential=who, auth="kerberos"), timeout=1)

    assert isinstance(error, TransportTimeoutError)
    assert error.may_have_run is False
    assert "KDC" in str(error.hint)


def test_a_kdc_that_is_not_there(acceptor: Acceptor, realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("KRB5_CONFIG", str(realm.config("absent.conf", port)))

    error = refusal(WinRM("localhost", port=acceptor.port, credential=WHO, auth="kerberos"))

    assert "KDC" in str(error)
    assert "krb5.conf" in str(error.hint)


def test_a_ticket_that_is_got_later_is_used(acceptor: Acceptor, ticket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = WinRM("localhost", port=acceptor.port, auth="kerberos")
    with Host(transport) as host:
        with pytest.raises(AuthenticationError):
            host.info(timeout=20)
        monkeypatch.setenv("KRB5CCNAME", ticket)
        with contextlib.suppress(ProtocolError):
            host.info(timeout=20)

    assert set(acceptor.clients) == {USER}
    assert os.environ["KRB5CCNAME"] == ticket
