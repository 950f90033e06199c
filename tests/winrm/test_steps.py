"""steps() and host.check(): the step that fails is the right one, in time, and says what it is."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hvintegration import CheckOutcome, Credential, Host, HostCheck, WinRM, errors
from hvintegration.clock import Deadline
from hvintegration.simulator import demo_world
from tests.support.certificates import Certificate, self_signed
from tests.support.fault_proxy import FaultProxy
from tests.support.leftovers import nothing_left
from tests.support.wsman_server import WSManServer
from tests.support.wsman_shells import FaultError

WHO = Credential("admin", "Loopback-1")
SECONDS = 10.0
OK, FAILED, SKIPPED = CheckOutcome.OK, CheckOutcome.FAILED, CheckOutcome.SKIPPED

AnyError = TypeVar("AnyError", bound=errors.HvError)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture
def server() -> Iterator[WSManServer]:
    with WSManServer(demo_world()) as running:
        yield running


@pytest.fixture
def tls_server(certificate: Certificate) -> Iterator[WSManServer]:
    with WSManServer(demo_world(), tls=True, certificate=certificate) as running:
        yield running


def winrm(port: int, host: str = "127.0.0.1", **arguments: Any) -> WinRM:  # noqa: ANN401 - as WinRM has them
    given: dict[str, Any] = {"port": port, "credential": WHO, "auth": "ntlm"}
    return WinRM(host, **(given | arguments))


def over_tls(port: int, host: str = "localhost", **arguments: Any) -> WinRM:  # noqa: ANN401 - as WinRM has them
    return winrm(port, host, tls=True, auth="basic", **arguments)


def first_failure(transport: WinRM, seconds: float) -> tuple[str, errors.HvError | None, float]:
    for name, step in transport.steps():
        started = time.monotonic()
        try:
            step(Deadline(seconds))
        except errors.HvError as error:
            return name, error, time.monotonic() - started
    return "", None, 0


def fails(transport: WinRM, at: str, kind: type[AnyError], *, seconds: float = SECONDS) -> AnyError:
    """The error of the step *at*, the first that fails, by steps() and by check(), in time."""
    try:
        name, found, took = first_failure(transport, seconds)
    finally:
        transport.close()
    assert (name, type(found)) == (at, kind), found
    assert isinstance(found, kind)
    assert took < seconds + 0.5

    with Host(transport) as host:
        started = time.monotonic()
        check = host.check(timeout=seconds)
        assert time.monotonic() - started < seconds + 0.5
    assert not check.ok
    assert [step.name for step in check.steps if step.outcome is FAILED] == [at]
    names = [step.name for step in check.steps]
    assert {step.outcome for step in check.steps[: names.index(at)]} <= {OK}
    assert {step.outcome for step in check.steps[names.index(at) + 1 :]} == {SKIPPED}
    return found


def outcomes(check: HostCheck) -> dict[str, str]:
    return {step.name: step.detail for step in check.steps}


def test_a_host_that_is_well(server: WSManServer) -> None:
    with Host(winrm(server.port)) as host:
        check = host.check(timeout=SECONDS)
    assert check.ok
    found = outcomes(check)
    assert list(found)[:4] == ["name", "port", "authentication", "PowerShell"]
    assert found["name"] == "127.0.0.1"
    assert found["port"] == f"127.0.0.1:{server.port}"
    assert found["authentication"] == "ntlm as admin, and encrypted by it"


def test_a_host_that_is_well_over_tls(tls_server: WSManServer, certificate: Certificate) -> None:
    for trusting in ({"ca_file": certificate.path}, {"certificate_sha256": certificate.sha256}):
        with Host(over_tls(tls_server.port, **trusting)) as host:
            check = host.check(timeout=SECONDS)
        assert check.ok
        found = outcomes(check)
        assert list(found)[:5] == ["name", "port", "TLS", "authentication", "PowerShell"]
        assert certificate.sha256.upper() in found["TLS"]
        assert found["authentication"] == "basic as admin"


def test_an_unknown_name() -> None:
    host = "no-such-host.invalid"
    error = fails(winrm(5985, host), "name", errors.ConnectError)
    assert host in str(error)
    assert error.hint is not None


def test_a_port_that_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = fails(winrm(port), "port", errors.ConnectError)
    assert "refused" in str(error)
    assert error.hint is not None
    assert "Enable-PSRemoting" in error.hint


def test_a_port_that_drops_what_comes() -> None:
    """As behind a firewall: a listener whose queue is full drops packets, on Linux."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - it has no other name
            waiting.connect_ex(listener.getsockname())
        time.sleep(0.05)
        error = fails(winrm(listener.getsockname()[1]), "port", errors.TransportTimeoutError, seconds=0.3)
    assert error.hint is not None
    assert "firewall" in error.hint


def test_a_port_that_answers_nothing(server: WSManServer, certificate: Certificate) -> None:
    with FaultProxy(server.host, server.port) as proxy:
        proxy.mode = "swallow"
        fails(winrm(proxy.port), "authentication", errors.TransportTimeoutError, seconds=0.3)
        fails(over_tls(proxy.port, ca_file=certificate.path), "TLS", errors.TransportTimeoutError, seconds=0.3)


def test_a_port_without_tls(server: WSManServer, certificate: Certificate) -> None:
    error = fails(over_tls(server.port, ca_file=certificate.path), "TLS", errors.ConnectError)
    assert "no TLS" in str(error)
    assert server.counts["requests"] == 0


def test_an_untrusted_certificate(tls_server: WSManServer, certificate: Certificate) -> None:
    error = fails(over_tls(tls_server.port), "TLS", errors.UntrustedHostError)
    assert (error.expected, error.offered) == (None, certificate.sha256.upper())
    assert error.hint is not None
    assert error.offered in error.hint

    error = fails(over_tls(tls_server.port, certificate_sha256="AB" * 32), "TLS", errors.UntrustedHostError)
    assert (error.expected, error.offered) == ("AB" * 32, certificate.sha256.upper())
    assert tls_server.counts["requests"] == 0


def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, hosts=["hv02.example"])
    with WSManServer(demo_world(), tls=True, certificate=certificate) as server:
        error = fails(over_tls(server.port, ca_file=certificate.path), "TLS", errors.UntrustedHostError)
        assert "localhost" in str(error)
        assert error.offered == certificate.sha256.upper()


def test_files_of_certificates_that_cannot_be_used(tls_server: WSManServer) -> None:
    error = fails(over_tls(tls_server.port, ca_file="no-such-file.pem"), "TLS", errors.ConfigurationError)
    assert "no-such-file.pem" in str(error)


def test_a_wrong_password(server: WSManServer, tls_server: WSManServer, certificate: Certificate) -> None:
    wrong = Credential("admin", "Wrong-1")
    for transport in (
        winrm(server.port, credential=wrong),
        over_tls(tls_server.port, credential=wrong, ca_file=certificate.path),
    ):
        error = fails(transport, "authentication", errors.AuthenticationError)
        assert error.hint is not None
        assert "password" in error.hint
        assert "Wrong-1" not in f"{error!r} {error.hint}"
    assert not server.actions
    assert not tls_server.actions


def test_a_full_quota(server: WSManServer) -> None:
    server.shells.max_shells = 0
    error = fails(winrm(server.port), "PowerShell", errors.BusyError)
    assert error.retryable
    assert error.hint is not None
    assert "quota" in error.hint


def test_a_user_who_may_not_open_a_session(server: WSManServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> None:
        raise FaultError(5, "Zugriff verweigert")

    monkeypatch.setattr(server.shells, "_create", deny)
    error = fails(winrm(server.port), "PowerShell", errors.PermissionDeniedError)
    assert error.error_id == "5"
    assert error.host_message == "Zugriff verweigert"
    assert error.hint is not None
    assert "S-1-5-32-580" in error.hint


def test_a_session_configuration_that_is_not_there(server: WSManServer) -> None:
    fails(winrm(server.port, configuration_name="No.Such"), "PowerShell", errors.CommandFailedError)
