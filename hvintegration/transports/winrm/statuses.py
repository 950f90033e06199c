"""What an HTTP status means that comes instead of a WSMan message, and whether trying again helps."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Final

from hvintegration.errors import (
    AuthenticationError,
    BusyError,
    ConnectError,
    Hint,
    HvError,
    ProtocolError,
    argument,
    excerpt,
)
from hvintegration.transports.winrm.exchange import HttpAnswer

__all__ = ["named_status", "proxy_wants_a_user", "refused_status", "refused_token"]

_PORT_HINT: Final = "Check the port and the path: something else than WinRM seems to answer there."
_TICKET_STATUSES: Final = frozenset(
    {
        http.client.BAD_REQUEST,
        http.client.REQUEST_ENTITY_TOO_LARGE,
        http.client.REQUEST_HEADER_FIELDS_TOO_LARGE,
    }
)


def refused_status(address: str, answer: HttpAnswer) -> HvError | None:
    """What to raise where a status says enough, whatever came with it; None where it does not."""
    make = _ENOUGH.get(answer.status)
    return None if make is None else make(address, answer)


def named_status(address: str, answer: HttpAnswer) -> HvError | None:
    """What to raise about a status where nothing came with it that is WSMan; None if it says nothing."""
    make = _ALONE.get(answer.status)
    if make is None and http.client.MULTIPLE_CHOICES <= answer.status < http.client.BAD_REQUEST:
        make = _moved
    return None if make is None else make(address, answer)


def refused_token(address: str, answer: HttpAnswer) -> AuthenticationError | None:
    """What to raise where a message with a token in its header is too large; None if it was not refused for that."""
    if answer.status not in _TICKET_STATUSES:
        return None
    return AuthenticationError(
        f"{address} does not take the message that says who asks (HTTP status {answer.status}).",
        address=address,
        hint=Hint.of(
            "The Kerberos ticket of a user in many groups may be larger than the host takes. Raise MaxFieldLength and"
            " MaxRequestBytes of http.sys there, take the user out of groups, or pass {} with a password.",
            argument("auth", "ntlm"),
        ),
    )


def proxy_wants_a_user(address: str) -> ConnectError:
    """What to raise where the proxy answers with HTTP status 407."""
    return ConnectError(
        f"The proxy of {address} does not accept this user, or wants one (HTTP status 407).",
        address=address,
        hint=Hint(
            "Pass proxy_credential=Credential(...). Only Basic authentication is supported there.",
            "The command has no option for who asks at the proxy; Python has proxy_credential=Credential(...).",
        ),
    )


def _proxy_user(address: str, _answer: HttpAnswer) -> HvError:
    return proxy_wants_a_user(address)


def _moved(address: str, answer: HttpAnswer) -> HvError:
    to = answer.headers.first("Location")
    return ConnectError(
        f"{address} sends elsewhere (HTTP status {answer.status}), which is not followed"
        f"{f': {excerpt(to)}' if to else ''}.",
        address=address,
        host_message=to,
        hint="It wants TLS: use winrms://." if to.lower().startswith("https:") else _PORT_HINT,
    )


def _failed(address: str, answer: HttpAnswer) -> HvError:
    return ProtocolError(
        f"{address} failed and does not say why (HTTP status {answer.status}).",
        address=address,
        received=answer.body[:400].decode("utf-8", "replace"),
        hint="See the host's event log, under Microsoft-Windows-WinRM/Operational, and its memory.",
    )


_Make = Callable[[str, HttpAnswer], HvError]


def _saying(kind: type[ConnectError | BusyError], sentence: str, hint: str) -> _Make:
    """What makes an error of *kind*; in *sentence*, ``{}`` stands for the address."""

    def make(address: str, answer: HttpAnswer) -> HvError:
        return kind(f"{sentence.format(address)} (HTTP status {answer.status}).", address=address, hint=hint)

    return make


_busy: Final = _saying(BusyError, "{} has no room now", "Try again later; see the host's load.")
_no_wsman: Final = _saying(ConnectError, "{} has no WSMan there", _PORT_HINT)
_not_reached: Final = _saying(
    BusyError,
    "Something in between got no answer from {}",
    "Try again later. See whether the proxy or gateway reaches the host, and whether WinRM runs there.",
)
_not_taken: Final = _saying(
    ConnectError,
    "{} does not take such a request",
    "Give the host by a name that it goes by, and check the port; something in between may change requests.",
)

_ENOUGH: Final[dict[int, _Make]] = {
    403: _saying(
        ConnectError,
        "{} forbids this",
        "A proxy or an HTTP filter may be in between; or the host maps no user to the client certificate.",
    ),
    404: _no_wsman,
    407: _proxy_user,
    503: _busy,
}

_ALONE: Final[dict[int, _Make]] = {
    400: _not_taken,
    405: _no_wsman,
    411: _not_taken,
    414: _not_taken,
    415: _no_wsman,
    421: _not_taken,
    429: _busy,
    431: _not_taken,
    500: _failed,
    501: _no_wsman,
    502: _not_reached,
    504: _not_reached,
}
