"""Connecting over WinRM, step by step, each with what it found: for checking a host."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from hvintegration.clock import Deadline
from hvintegration.errors import BusyError, HvError, RemoteError, TransportError, TransportTimeoutError
from hvintegration.transports.base import Step
from hvintegration.transports.winrm.connecting import dial, resolve, secure
from hvintegration.transports.winrm.exchange import HttpConnection
from hvintegration.transports.winrm.host_record import HostRecord
from hvintegration.transports.winrm.target import WSManTarget
from hvintegration.transports.winrm.tls import fingerprint_of, tls_context
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


def _in_time(step: Callable[[WSManTarget, Deadline], str], target: WSManTarget, deadline: Deadline) -> str:
    worker = Worker(f"{target.address} step")
    try:
        return worker.do(lambda: step(target, deadline), deadline)
    except (Late, TransportTimeoutError):
        raise TransportTimeoutError(
            address=target.address,
            after=deadline.given,
            may_have_run=False,
            fenced=True,
            hint="A firewall that drops packets looks like this, and so does a wrong address.",
        ) from None
    finally:
        worker.stop()


def _resolve(target: WSManTarget, _deadline: Deadline) -> str:
    return ", ".join(dict.fromkeys(str(place.address[0]) for place in resolve(target)))


def _connect(target: WSManTarget, deadline: Deadline) -> str:
    with dial(target, deadline) as connected:
        return "{}:{}".format(*connected.getpeername()[:2])


def _handshake(target: WSManTarget, deadline: Deadline) -> str:
    context = tls_context(target)
    with contextlib.closing(HttpConnection(dial(target, deadline))) as connection:
        secured = secure(connection, target, context, deadline)
        offered = fingerprint_of(secured)
        if target.certificate_sha256 is not None:
            return f"the pinned certificate, SHA-256 {offered}"
        expires = ssl.cert_time_to_seconds(str((secured.getpeercert() or {})["notAfter"]))
        day = datetime.fromtimestamp(expires, UTC).date()
        return f"{secured.version()}, certificate valid until {day}, SHA-256 {offered}"


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
