"""Connecting over WinRM, step by step, each with what it found: for checking a host."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from hvintegration.clock import Deadline
from hvintegration.errors import BusyError, ConnectError, HvError, RemoteError, TransportError, TransportTimeoutError
from hvintegration.transports.base import Step
from hvintegration.transports.winrm.host_record import HostRecord
from hvintegration.transports.winrm.http import (
    WSManTarget,
    offered_certificate,
    tls_context,
    untrusted_certificate,
)
from hvintegration.transports.worker import Late, Worker

__all__ = ["winrm_steps"]


def winrm_steps(target: WSManTarget, open_pool: Callable[[Deadline], None], record: HostRecord) -> tuple[Step, ...]:
    """The steps; *open_pool* opens a runspace pool before a deadline, and what it finds out is in *record*."""
    session = _Session(target, open_pool, record)
    direct = [("name", _resolve), ("port", _connect)] + ([("TLS", _handshake)] if target.tls else [])
    if target.proxy is not None:
        direct = []  # The proxy does these.
    return (
        *((name, partial(_in_time, step, target)) for name, step in direct),
        ("authentication", session.authenticate),
        ("PowerShell", session.opened),
    )


def _in_time(step: Callable[[WSManTarget, float], str], target: WSManTarget, deadline: Deadline) -> str:
    worker = Worker(f"{target.address} step")
    try:
        return worker.do(lambda: step(target, deadline.left()), deadline)
    except (Late, TimeoutError):
        raise TransportTimeoutError(
            address=target.address,
            after=deadline.given,
            may_have_run=False,
            fenced=True,
            hint="A firewall that drops packets looks like this, and so does a wrong address.",
        ) from None
    finally:
        worker.stop()


def _resolve(target: WSManTarget, _seconds: float) -> str:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectError(
            f"The name {target.host} cannot be resolved: {error.strerror or error}.",
            address=target.address,
            hint="Check the spelling and the DNS suffix, or use an IP address.",
        ) from None
    return ", ".join(dict.fromkeys(str(address[4][0]) for address in found))


def _connect(target: WSManTarget, seconds: float) -> str:
    try:
        with socket.create_connection((target.host, target.port), seconds) as connected:
            return "{}:{}".format(*connected.getpeername()[:2])
    except TimeoutError:
        raise
    except OSError as error:
        raise ConnectError(
            f"Port {target.port} of {target.host} does not answer: {error.strerror or error}.",
            address=target.address,
            hint="Run Enable-PSRemoting on the host, and let its firewall accept the port.",
        ) from None


def _handshake(target: WSManTarget, seconds: float) -> str:
    offered = ""
    try:
        offered = offered_certificate(target, seconds)
        if target.certificate_sha256 is not None:
            if offered != target.certificate_sha256:
                raise untrusted_certificate(target, offered, None)
            return f"the pinned certificate, SHA-256 {offered}"
        with (
            socket.create_connection((target.host, target.port), seconds) as plain,
            tls_context(target).wrap_socket(plain, server_hostname=target.host) as secured,
        ):
            expires = ssl.cert_time_to_seconds(str((secured.getpeercert() or {})["notAfter"]))
            day = datetime.fromtimestamp(expires, UTC).date()
            return f"{secured.version()}, certificate valid until {day}, SHA-256 {offered}"
    except ssl.SSLCertVerificationError as error:
        raise untrusted_certificate(target, offered, error.verify_message) from None
    except TimeoutError:
        raise
    except OSError as error:
        raise ConnectError(
            f"There is no TLS to be had at {target.address}: {error.strerror or error}.",
            address=target.address,
            hint="Is there an HTTPS listener? winrm enumerate winrm/config/listener lists them.",
        ) from None


class _Session:
    """Opens a runspace pool once; the two last steps of connecting are two views of that."""

    def __init__(self, target: WSManTarget, open_pool: Callable[[Deadline], None], record: HostRecord) -> None:
        self._target = target
        self._open_pool = open_pool
        self._record = record
        self._refusal: HvError | None = None

    def authenticate(self, deadline: Deadline) -> str:
        """What came of authenticating; what the host says to a user it knows is for the next step."""
        self._refusal = None
        self._record.knows_user = False
        try:
            self._open_pool(deadline)
        except (RemoteError, TransportError) as error:
            if not (self._record.knows_user or isinstance(error, BusyError)):
                raise
            self._refusal = error
        who = self._target.credential
        name = self._target.auth if who is None else f"{self._target.auth} as {who.username}"
        return name if self._target.tls else f"{name}, and encrypted by it"

    def opened(self, _deadline: Deadline) -> str:
        """What came of opening the runspace pool."""
        if self._refusal is not None:
            raise self._refusal
        return "A runspace pool is open."
