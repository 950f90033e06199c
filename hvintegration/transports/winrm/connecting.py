"""Connecting, step by step: the name, the port, a proxy's tunnel, TLS. A connection takes them all, a check each."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
from typing import Final, NoReturn
from urllib.parse import urlsplit

import attrs

from hvintegration.clock import Deadline
from hvintegration.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    Hint,
    ProtocolError,
    TransportTimeoutError,
    argument,
    excerpt,
)
from hvintegration.transports.winrm.exchange import EncodedError, EndlessError, HttpConnection
from hvintegration.transports.winrm.statuses import proxy_wants_a_user
from hvintegration.transports.winrm.target import WSManTarget
from hvintegration.transports.winrm.tls import fingerprint_of, looking_context, refuses_client, untrusted_certificate

__all__ = ["Place", "dial", "proxy_headers", "reason", "refused_certificate", "resolve", "secure", "too_late", "tunnel"]

_REACH_HINT: Final = (
    "Check name and port, that WinRM runs there (Enable-PSRemoting), and that firewalls let it through."
)
_TLS_HINT: Final = (
    "Is there an HTTPS listener, with TLS 1.2 at least? winrm enumerate winrm/config/listener lists them."
)


@attrs.frozen
class Place:
    """One of the places that a name stands for."""

    family: socket.AddressFamily
    address: tuple[str | int | bytes, ...]


def resolve(target: WSManTarget) -> list[Place]:
    """The places of the host, or of the proxy in front of it.

    Raises:
        ConnectError: Nobody knows that name.
    """
    host, port = target.host, target.port
    if target.proxy is not None:
        parts = urlsplit(target.proxy)
        host, port = parts.hostname or "", parts.port or http.client.HTTP_PORT
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        if target.proxy is not None:
            raise _unreachable(target, error) from None
        raise ConnectError(
            f"{target.address} cannot be reached, for the name {host} cannot be resolved: {error.strerror or error}.",
            address=target.address,
            hint="Check the spelling and the DNS suffix, or use an IP address.",
        ) from None
    return [Place(family, address) for family, _, _, _, address in found]


def dial(target: WSManTarget, deadline: Deadline) -> socket.socket:
    """A socket that is connected to the host, or to the proxy in front of it.

    Raises:
        ConnectError: There is nobody.
        TransportTimeoutError: Nobody says whether there is.
    """
    places = resolve(target)
    for number, place in enumerate(places):
        sock = socket.socket(place.family, socket.SOCK_STREAM)
        try:
            # The first of several places may be one where packets are dropped.
            sock.settimeout(max(deadline.left() / (len(places) - number), 0.001))
            sock.connect(place.address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            if place is places[-1] or not deadline.left():
                _raise_undialled(target, error, deadline)
        else:
            return sock
    raise ConnectError(f"{target.address} cannot be reached: its name stands for nothing.", address=target.address)


def tunnel(connection: HttpConnection, target: WSManTarget, deadline: Deadline) -> None:
    """Have the proxy lead to the host.

    Raises:
        ConnectError: It does not.
        ProtocolError: What it says has no end.
        TransportTimeoutError: It says nothing.
    """
    headers = {"Host": target.authority} | proxy_headers(target)
    try:
        answer = connection.ask("CONNECT", target.authority, b"", headers, deadline)
    except TimeoutError:
        raise too_late(target, deadline) from None
    except (EndlessError, EncodedError):
        raise ProtocolError(
            f"The proxy of {target.address} answered more than was to be expected, or without end.",
            address=target.address,
        ) from None
    except (OSError, http.client.HTTPException, ValueError):
        raise _no_tunnel(target, "it was closed in the middle") from None
    if answer.status == http.client.PROXY_AUTHENTICATION_REQUIRED:
        raise proxy_wants_a_user(target.address)
    if answer.status != http.client.OK:
        raise _no_tunnel(target, f"HTTP status {answer.status} {excerpt(answer.reason)}".rstrip(), answer.reason)


def secure(
    connection: HttpConnection, target: WSManTarget, context: ssl.SSLContext, deadline: Deadline
) -> ssl.SSLSocket:
    """Shake hands, and see whether it is the host; the socket, to be looked at.

    Raises:
        UntrustedHostError: It is not, or nobody can tell.
        AuthenticationError: The host refuses this client's certificate.
        ConnectError: There is no TLS to be had there.
        ConnectionLostError: The connection was lost.
        TransportTimeoutError: It takes too long.
    """
    try:
        secured = connection.begin_tls(context, target.name, deadline)
    except TimeoutError:
        raise too_late(target, deadline) from None
    except ssl.SSLCertVerificationError as error:
        raise untrusted_certificate(target, _offered(target, deadline), error) from None
    except ssl.SSLError as error:
        raise refused_certificate(target, error) if refuses_client(error) else _no_tls(target, error) from None
    except OSError as error:
        # Lost, as it would be a moment later.
        raise ConnectionLostError(
            f"{target.address} broke off while connecting: {reason(error)}.", address=target.address
        ) from None
    offered = fingerprint_of(secured)
    if target.certificate_sha256 not in {None, offered}:
        raise untrusted_certificate(target, offered)
    return secured


def _offered(target: WSManTarget, deadline: Deadline) -> str:
    """Fingerprint of what was offered: once it was refused, only another connection shows it."""
    if target.proxy is not None:
        return ""
    looking = deadline.within(max(deadline.left() - 0.1, 0.1))
    with contextlib.suppress(OSError, ConnectError), contextlib.closing(HttpConnection(dial(target, looking))) as other:
        return fingerprint_of(other.begin_tls(looking_context(), target.name, looking))
    return ""


def proxy_headers(target: WSManTarget) -> dict[str, str]:
    """Who asks at the proxy. Not part of its address, where errors and tracebacks would show the password."""
    who = target.proxy_credential
    if who is None:
        return {}
    return {"Proxy-Authorization": f"Basic {base64.b64encode(f'{who.username}:{who.password}'.encode()).decode()}"}


# -- what went wrong ---------------------------------------------------------------------------------------------------


def reason(error: BaseException) -> str:
    """Why a connection was lost, as half a sentence."""
    return (error.strerror if isinstance(error, OSError) else None) or "it was closed in the middle"


def too_late(target: WSManTarget, deadline: Deadline) -> TransportTimeoutError:
    """What to raise once the time is up."""
    return TransportTimeoutError(address=target.address, after=deadline.given)


def refused_certificate(target: WSManTarget, error: BaseException) -> AuthenticationError:
    """What to raise where the host does not accept this client's certificate."""
    return AuthenticationError(
        f"{target.address} does not accept the client certificate, or wants one: {reason(error)}.",
        address=target.address,
        hint=Hint.of(
            "Pass {} with {}, of an authority that the host trusts.",
            argument("client_certificate"),
            argument("auth", "certificate"),
        ),
    )


def _raise_undialled(target: WSManTarget, error: OSError, deadline: Deadline) -> NoReturn:
    if not deadline.left():
        raise too_late(target, deadline) from None
    raise _unreachable(target, error) from None


def _unreachable(target: WSManTarget, error: OSError) -> ConnectError:
    address, proxy = target.address, target.proxy
    if proxy is not None:
        return ConnectError(
            f"The proxy {proxy} of {address} cannot be reached: {reason(error)}.",
            address=address,
            hint="Check its name and port.",
        )
    return ConnectError(f"{address} cannot be reached: {reason(error)}.", address=address, hint=_REACH_HINT)


def _no_tunnel(target: WSManTarget, why: str, phrase: str = "") -> ConnectError:
    return ConnectError(
        f"The proxy {target.proxy} does not lead to {target.address}: {why}.",
        address=target.address,
        host_message=phrase,
        hint="See whether the proxy allows CONNECT to this host and port.",
    )


def _no_tls(target: WSManTarget, error: ssl.SSLError) -> ConnectError:
    return ConnectError(
        f"There is no TLS to be had at {target.address}: {reason(error)}.", address=target.address, hint=_TLS_HINT
    )
