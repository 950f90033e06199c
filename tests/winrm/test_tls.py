"""TLS: who is trusted, who is not, and what is said of it."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hvintegration import Credential, Host, WinRM
from hvintegration.clock import Deadline
from hvintegration.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    TransportTimeoutError,
    UntrustedHostError,
    for_command,
)
from hvintegration.simulator import demo_world
from hvintegration.transports.winrm import connecting, http, steps
from hvintegration.transports.winrm.target import WSManTarget
from tests.support.certificates import Certificate, self_signed, server_context
from tests.support.fault_proxy import FaultProxy
from tests.support.leftovers import nothing_left
from tests.support.refusals import refused
from tests.support.secrecy import told
from tests.support.tls_relay import TlsRelay
from tests.support.wsman_server import WSManServer

WHO = Credential("admin", "Loopback-1")
OTHER_PIN = "AB" * 32


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture
def server(certificate: Certificate) -> Iterator[WSManServer]:
    with WSManServer(demo_world(), tls=True, certificate=certificate) as running:
        yield running


def winrm(server: WSManServer, host: str = "localhost", **arguments: Any) -> WinRM:  # noqa: ANN401 - as WinRM has them
    given: dict[str, Any] = {"port": server.port, "tls": True, "credential": WHO, "auth": "basic"}
    return WinRM(host, **(given | arguments))


def answers(transport: WinRM) -> bool:
    with Host(transport) as host:
        return host.info(timeout=20).name == "HV01"


def untrusted(transport: WinRM) -> UntrustedHostError:
    error = refused(transport)
    assert isinstance(error, UntrustedHostError), error
    return error


# -- who is trusted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LOCALHOST"])
def test_a_certificate_of_the_ca_file_is_trusted(server: WSManServer, certificate: Certificate, host: str) -> None:
    assert answers(winrm(server, host, ca_file=certificate.path))


@pytest.mark.parametrize(
    "notation",
    [
        str.lower,
        str.upper,
        "sha256:{}".format,
        "SHA-256:{}".format,
        lambda digits: ":".join(digits[at : at + 2] for at in range(0, 64, 2)),
        lambda digits: "sha256:" + ":".join(digits[at : at + 2] for at in range(0, 64, 2)).upper(),
        lambda digits: " ".join(digits[at : at + 8] for at in range(0, 64, 8)) + "\n",
    ],
)
def test_a_pinned_certificate_is_trusted_in_any_notation(
    server: WSManServer, certificate: Certificate, notation: Callable[[str], str]
) -> None:
    assert answers(winrm(server, certificate_sha256=notation(certificate.sha256)))


def test_a_pinned_certificate_may_be_expired_and_for_another_name(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, days=-1, hosts=["hv02.example"])
    with WSManServer(demo_world(), tls=True, certificate=certificate) as server:
        assert answers(winrm(server, "127.0.0.1", certificate_sha256=certificate.sha256))


def ask_in_a_process(server: WSManServer, **environment: str) -> str:
    """What an interpreter with that environment says of the server, whose certificate the system may know."""
    program = (
        "from hvintegration import Credential, Host, WinRM\n"
        "from hvintegration.errors import HvError\n"
        f"who = Credential({server.username!r}, {server.password!r})\n"
        f"with Host(WinRM('localhost', port={server.port}, tls=True, credential=who, auth='basic')) as host:\n"
        "    try:\n"
        "        print(host.info(timeout=20).name)\n"
        "    except HvError as error:\n"
        "        print(type(error).__name__)\n"
    )
    variables = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    asked = subprocess.run(
        [sys.executable, "-c", program], env=variables | environment, capture_output=True, text=True, check=True
    )
    return asked.stdout.strip()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="OpenSSL has the system's certificates on Linux only")
def test_the_systems_certificates_are_trusted(server: WSManServer, certificate: Certificate) -> None:
    assert ask_in_a_process(server, SSL_CERT_FILE=str(certificate.path)) == "HV01"


# -- what is not used --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environments_bundles_are_not_used(server: WSManServer, certificate: Certificate, variable: str) -> None:
    assert ask_in_a_process(server, **{variable: str(certificate.path)}) == "UntrustedHostError"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_the_environments_proxies_are_not_used(
    server: WSManServer, certificate: Certificate, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:9")

    assert answers(winrm(server, ca_file=certificate.path))


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_environments_proxies_are_not_used_for_http(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:9")

    with WSManServer(demo_world()) as server:
        assert answers(WinRM(server.host, port=server.port, credential=WHO, auth="ntlm"))


@pytest.mark.parametrize("named", ["HOME", "NETRC"])
def test_a_netrc_is_not_used(
    tmp_path: Path, certificate: Certificate, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a client certificate there is no other authentication that would hide its use."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine localhost login netrc-user password netrc-password\n")
    netrc.chmod(0o600)
    monkeypatch.setenv(named, str(tmp_path if named == "HOME" else netrc))

    client = self_signed(tmp_path, name="client", hosts=["admin"])
    with WSManServer(
        demo_world(), tls=True, certificate=certificate, auth="certificate", client_certificate=client
    ) as server:
        assert answers(with_certificate(server, client.both, None, ca_file=certificate.path))


# -- who is not trusted ------------------------------------------------------------------------------------------------


def test_another_certificate_than_the_pinned_one(server: WSManServer, certificate: Certificate) -> None:
    error = untrusted(winrm(server, certificate_sha256=OTHER_PIN, ca_file=certificate.path))

    assert (error.expected, error.offered) == (OTHER_PIN, certificate.sha256.upper())
    assert "pinned" in str(error)
    assert error.hint is not None
    assert "renewed" in error.hint
    assert error.offered in error.hint
    assert server.counts["requests"] == 0
    assert server.counts["connections"] == 1  # What was offered is known from the connection that was refused.


def test_a_self_signed_certificate_is_named_and_can_then_be_pinned(
    server: WSManServer, certificate: Certificate
) -> None:
    error = untrusted(winrm(server))

    assert (error.expected, error.offered) == (None, certificate.sha256.upper())
    assert "self-signed certificate" in str(error)
    assert error.hint is not None
    assert f"certificate_sha256='{error.offered}'" in error.hint
    assert "(ca_file=...)" in error.hint
    assert "(--option ca_file=...)" in for_command(error.hint)
    assert f": --option certificate_sha256={error.offered}." in for_command(error.hint)
    assert server.counts["requests"] == 0
    assert answers(winrm(server, certificate_sha256=error.offered))


def test_another_authority_than_that_of_the_ca_file(server: WSManServer, tmp_path: Path) -> None:
    other = self_signed(tmp_path, name="other")

    assert untrusted(winrm(server, ca_file=other.path)).offered
    assert server.counts["requests"] == 0


def test_an_expired_certificate(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, days=-1)
    with WSManServer(demo_world(), tls=True, certificate=certificate) as server:
        error = untrusted(winrm(server, ca_file=certificate.path))
        assert "expired" in str(error)
        assert error.offered == certificate.sha256.upper()
        assert server.counts["requests"] == 0


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (["hv02.example"], "localhost"),
        (["hv02.example"], "127.0.0.1"),
        (["localhost"], "127.0.0.1"),
        (["127.0.0.1"], "localhost"),
        (["*.localhost"], "localhost"),
    ],
)
def test_a_certificate_for_another_name(tmp_path: Path, hosts: list[str], host: str) -> None:
    certificate = self_signed(tmp_path, hosts=hosts)
    with WSManServer(demo_world(), tls=True, certificate=certificate) as server:
        error = untrusted(winrm(server, host, ca_file=certificate.path))
        assert "mismatch" in str(error)
        assert host in str(error)
        assert "a name that is in the certificate" in str(error.hint)
        assert error.offered == certificate.sha256.upper()
        assert server.counts["requests"] == 0


def test_asking_what_is_offered_takes_no_longer_than_there_is_time(server: WSManServer) -> None:
    """The first connection is refused, and the second one, which looks at the certificate, stalls."""
    with FaultProxy(server.host, server.port) as proxy:
        with socket.create_connection((proxy.host, proxy.port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
        stalling = proxy.strike("freeze", after_bytes_down=proxy.bytes_down + 100)
        started = time.monotonic()
        error = refused(winrm(server, port=proxy.port), timeout=2)
        assert time.monotonic() - started < 2.5
        assert stalling.struck.is_set()
    assert isinstance(error, UntrustedHostError)
    assert error.offered == ""
    assert error.hint is not None
    assert error.hint.endswith("the host's own: certificate_sha256=....")


# -- no TLS, or none that is good enough -------------------------------------------------------------------------------


def test_a_server_that_has_only_old_versions(server: WSManServer, certificate: Certificate) -> None:
    assert server.tls_context is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        server.tls_context.minimum_version = ssl.TLSVersion.TLSv1
        server.tls_context.maximum_version = ssl.TLSVersion.TLSv1_1
        server.tls_context.set_ciphers("ALL:@SECLEVEL=0")

    for trusting in (winrm(server, ca_file=certificate.path), winrm(server, certificate_sha256=certificate.sha256)):
        error = refused(trusting)
        assert type(error) is ConnectError
        assert "no TLS" in str(error)
        assert error.hint is not None
        assert "TLS 1.2" in error.hint
    assert server.counts["requests"] == 0


def test_a_port_that_speaks_no_tls(certificate: Certificate) -> None:
    with WSManServer(demo_world()) as plain:
        error = refused(winrm(plain, ca_file=certificate.path))
        assert type(error) is ConnectError
        assert "no TLS" in str(error)
        assert plain.counts["requests"] == 0


def test_a_port_that_speaks_tls_only(server: WSManServer) -> None:
    error = refused(WinRM("localhost", port=server.port, credential=WHO, auth="ntlm"))

    assert isinstance(error, ConnectError | ConnectionLostError)
    assert error.hint is not None
    assert "winrms://" in error.hint
    assert server.counts["requests"] == 0


@pytest.mark.parametrize("auth", ["negotiate", "ntlm"])
def test_a_host_that_authenticates_in_other_ways_is_said_to(
    server: WSManServer, certificate: Certificate, auth: str
) -> None:
    error = refused(winrm(server, auth=auth, ca_file=certificate.path))

    assert type(error) is AuthenticationError
    assert str(error).endswith(f"with {auth} failed: the host offers Basic.")
    assert error.hint is not None
    assert error.hint.endswith("TLS (winrms://) and auth='basic'.")
    assert for_command(error.hint).endswith("TLS (winrms://) and --option auth=basic.")


@contextlib.contextmanager
def no_worker_left() -> Iterator[None]:
    """Half a second after the end, no thread of a transport is there."""
    yield
    give_up = time.monotonic() + 0.5
    while any(thread.name.startswith("winrms:") for thread in threading.enumerate()):
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.mark.parametrize("trusting", ["ca_file", "certificate_sha256"])
def test_a_handshake_that_stalls(server: WSManServer, certificate: Certificate, trusting: str) -> None:
    given: dict[str, Any] = {"ca_file": certificate.path, "certificate_sha256": certificate.sha256}
    with FaultProxy(server.host, server.port) as proxy, no_worker_left():
        proxy.mode = "swallow"
        started = time.monotonic()
        transport = winrm(server, "localhost", port=proxy.port, **{trusting: given[trusting]})
        error = refused(transport, timeout=0.4)
        assert 0.3 < time.monotonic() - started < 0.4 + 0.5
    assert isinstance(error, TransportTimeoutError)


def test_a_handshake_that_stalls_in_the_middle(server: WSManServer, certificate: Certificate) -> None:
    with FaultProxy(server.host, server.port) as proxy, no_worker_left():
        proxy.strike("freeze", after_bytes_down=300)
        started = time.monotonic()
        error = refused(winrm(server, port=proxy.port, ca_file=certificate.path), timeout=0.4)
        assert 0.3 < time.monotonic() - started < 0.4 + 0.5
    assert isinstance(error, TransportTimeoutError)


def test_a_connection_that_is_reset_before_tls_begins_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def and_be_reset(target: WSManTarget, deadline: Deadline) -> socket.socket:
        connected = connecting.dial(target, deadline)
        accepted = listener.accept()[0]
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        assert select.select([connected], [], [], 10)[0]
        return connected

    for module in (http, steps):
        monkeypatch.setattr(module, "dial", and_be_reset)
    with socket.create_server(("127.0.0.1", 0)) as listener, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        transport = WinRM("127.0.0.1", port=listener.getsockname()[1], tls=True, credential=WHO, auth="basic")

        assert isinstance(refused(transport), ConnectionLostError)
        with pytest.raises(ConnectionLostError, match="while connecting"):
            dict(transport.steps())["TLS"](Deadline(20))
        gc.collect()

        assert [str(warning.message) for warning in told] == []


def test_a_handshake_that_is_reset_is_tried_again(server: WSManServer, certificate: Certificate) -> None:
    with FaultProxy(server.host, server.port) as proxy:
        struck = proxy.strike("reset", after_bytes_down=300).struck
        assert answers(winrm(server, port=proxy.port, ca_file=certificate.path))
        assert struck.is_set()


def test_a_handshake_that_the_other_side_ends(server: WSManServer, certificate: Certificate) -> None:
    with FaultProxy(server.host, server.port) as proxy:
        proxy.strike("close", after_bytes_down=300)
        assert type(refused(winrm(server, port=proxy.port, ca_file=certificate.path))) is ConnectError


# -- client certificates -----------------------------------------------------------------------------------------------


def with_certificate(
    server: WSManServer,
    client: Path,
    key: Path | None,
    **arguments: Any,  # noqa: ANN401 - as WinRM has them
) -> WinRM:
    given: dict[str, Any] = {"credential": None, "auth": "certificate"}
    return winrm(server, **(given | {"client_certificate": client, "client_key": key} | arguments))


class TestClientCertificates:
    @pytest.fixture
    def client(self, tmp_path: Path) -> Certificate:
        return self_signed(tmp_path, name="client", hosts=["admin"])

    @pytest.fixture
    def server(self, certificate: Certificate, client: Certificate) -> Iterator[WSManServer]:
        with WSManServer(
            demo_world(), tls=True, certificate=certificate, auth="certificate", client_certificate=client
        ) as running:
            yield running

    def test_it_says_who_asks(self, server: WSManServer, client: Certificate, certificate: Certificate) -> None:
        assert answers(with_certificate(server, client.path, client.key, ca_file=certificate.path))
        assert answers(with_certificate(server, client.both, None, certificate_sha256=certificate.sha256))
        assert server.counts["unauthorized"] == 0

    def test_its_key_may_be_encrypted(self, tmp_path: Path, certificate: Certificate) -> None:
        client = self_signed(tmp_path, name="encrypted", hosts=["admin"], key_password="Key-Secret-1")
        with WSManServer(
            demo_world(), tls=True, certificate=certificate, auth="certificate", client_certificate=client
        ) as server:
            trusting: dict[str, Any] = {"ca_file": certificate.path, "client_key_password": "Key-Secret-1"}
            assert answers(with_certificate(server, client.path, client.key, **trusting))

    @pytest.mark.parametrize("password", [None, "", "Key-Secret-2", "x" * 2000])
    def test_a_wrong_password_of_the_key_is_refused_without_asking(
        self, server: WSManServer, tmp_path: Path, password: str | None, capfd: pytest.CaptureFixture[str]
    ) -> None:
        client = self_signed(tmp_path, name="encrypted", hosts=["admin"], key_password="Key-Secret-1")
        transport = with_certificate(server, client.path, client.key, client_key_password=password)

        with Host(transport) as host, pytest.raises(ConfigurationError, match="cannot be used") as raised:
            host.info(timeout=20)

        if password:
            assert not any(password in text for text in told(raised.value))
        assert str(client.key) in str(raised.value)
        assert server.counts["connections"] == 0
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("argument", ["client_certificate", "client_key", "ca_file"])
    @pytest.mark.parametrize("content", [None, "", "no certificate"])
    def test_files_that_cannot_be_used(
        self, server: WSManServer, client: Certificate, tmp_path: Path, argument: str, content: str | None
    ) -> None:
        broken = tmp_path / "broken.pem"
        if content is not None:
            broken.write_text(content)
        transport = with_certificate(server, client.path, client.key, **{argument: broken})

        with Host(transport) as host, pytest.raises(ConfigurationError, match=r"broken\.pem"):
            host.info(timeout=20)
        assert server.counts["connections"] == 0

    def test_a_server_that_maps_no_user_to_it(
        self, server: WSManServer, tmp_path: Path, certificate: Certificate
    ) -> None:
        other = self_signed(tmp_path, name="other", hosts=["other"])
        assert server.tls_context is not None
        server.tls_context.load_verify_locations(other.path)

        error = refused(with_certificate(server, other.path, other.key, ca_file=certificate.path))

        assert isinstance(error, ConnectError)
        assert "403" in str(error)
        assert error.hint is not None
        assert "client certificate" in error.hint

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize("auth", ["certificate", "basic"])
    def test_a_server_that_refuses_it_in_the_handshake(
        self, server: WSManServer, tmp_path: Path, certificate: Certificate, version: ssl.TLSVersion, auth: str
    ) -> None:
        """In TLS 1.3 the client has then finished its part already. Without any certificate it is the same."""
        other = self_signed(tmp_path, name="other", hosts=["other"])
        assert server.tls_context is not None
        server.tls_context.maximum_version = version
        if auth == "certificate":
            transport = with_certificate(server, other.path, other.key, ca_file=certificate.path)
        else:
            transport = winrm(server, ca_file=certificate.path)

        error = refused(transport)

        if (version, auth) == (ssl.TLSVersion.TLSv1_2, "basic"):
            assert type(error) is ConnectError  # The alert says no more than that the handshake failed.
        else:
            assert isinstance(error, AuthenticationError)
            assert "client certificate" in str(error)
            assert error.hint is not None
            assert error.hint.startswith("Pass client_certificate=... with auth='certificate', of")
            assert for_command(error.hint).startswith(
                "Pass --option client_certificate=... with --option auth=certificate, of"
            )
        assert server.counts["requests"] == 0
        assert server.counts["connections"] == 1  # There is nothing to be fenced.


class TestCertificatesAskedForLater:
    """As Windows Server 2022 does, with TLS 1.3: once the request has come."""

    @pytest.fixture
    def client(self, tmp_path: Path) -> Certificate:
        return self_signed(tmp_path, name="client", hosts=["admin"])

    def serve(self, listener: socket.socket, context: ssl.SSLContext, came: list[bytes | None]) -> None:
        with contextlib.suppress(OSError):
            while True:
                with context.wrap_socket(listener.accept()[0], server_side=True) as secured:
                    head, _, body = secured.recv(65536).partition(b"\r\n\r\n")
                    left = int(head.lower().partition(b"content-length: ")[2].split()[0]) - len(body)
                    while left:
                        left -= len(secured.recv(left))
                    secured.verify_client_post_handshake()
                    secured.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    secured.settimeout(0.5)
                    with contextlib.suppress(TimeoutError):  # Nothing but the certificate comes.
                        secured.recv(1)
                    came.append(secured.getpeercert(binary_form=True))
                    secured.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    @pytest.mark.parametrize("has_one", [True, False])
    def test_it_is_shown(self, certificate: Certificate, client: Certificate, *, has_one: bool) -> None:
        came: list[bytes | None] = []
        context = server_context(certificate)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.post_handshake_auth = True
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(client.path)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(20)
            thread = threading.Thread(target=self.serve, args=(listener, context, came))
            thread.start()
            given: dict[str, Any] = {"port": listener.getsockname()[1], "tls": True, "ca_file": certificate.path}
            if has_one:
                given |= {"auth": "certificate", "client_certificate": client.path, "client_key": client.key}
            else:
                given |= {"auth": "basic", "credential": WHO}
            error = refused(WinRM("localhost", **given))
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()

        assert "404" in str(error)
        assert [der is not None and hashlib.sha256(der).hexdigest() for der in came] == [has_one and client.sha256]

    def test_a_first_exchange_that_is_lost_has_a_hint(self, certificate: Certificate, client: Certificate) -> None:
        with WSManServer(
            demo_world(), tls=True, certificate=certificate, auth="certificate", client_certificate=client
        ) as server:
            server.misbehave("drop", times=None)
            transport = with_certificate(server, client.both, None, ca_file=certificate.path)
            with Host(transport) as host, pytest.raises(ConnectionLostError) as lost:
                host.info(timeout=20)
        assert "Windows Server 2022" in str(lost.value.hint)


# -- channel binding ---------------------------------------------------------------------------------------------------


class TestChannelBinding:
    @pytest.fixture
    def server(self, certificate: Certificate) -> Iterator[WSManServer]:
        with WSManServer(demo_world(), tls=True, auth="negotiate", certificate=certificate) as running:
            yield running

    @pytest.fixture
    def relay(self, server: WSManServer, tmp_path: Path) -> Iterator[tuple[TlsRelay, Certificate]]:
        theirs = self_signed(tmp_path, name="relay")
        with TlsRelay(server.port, theirs) as running:
            yield running, theirs

    @pytest.mark.parametrize("auth", ["ntlm", "negotiate"])
    def test_ntlm_is_bound_to_the_certificate(self, server: WSManServer, certificate: Certificate, auth: str) -> None:
        assert answers(winrm(server, "127.0.0.1", auth=auth, ca_file=certificate.path))
        assert answers(winrm(server, "127.0.0.1", auth=auth, certificate_sha256=certificate.sha256))

    def test_somebody_in_between_cannot_use_it(self, server: WSManServer, relay: tuple[TlsRelay, Certificate]) -> None:
        """Even if this side trusts their certificate."""
        between, theirs = relay
        error = refused(winrm(server, "127.0.0.1", port=between.port, auth="ntlm", ca_file=theirs.path))

        assert isinstance(error, AuthenticationError)
        assert server.open_shells == 0
        assert server.actions == {}

    def test_without_the_binding_they_could(self, server: WSManServer, relay: tuple[TlsRelay, Certificate]) -> None:
        """What the server checks is what makes the difference above."""
        between, theirs = relay
        server.channel_bindings = None
        assert answers(winrm(server, "127.0.0.1", port=between.port, auth="ntlm", ca_file=theirs.path))
        assert server.actions["Command"] == 1
