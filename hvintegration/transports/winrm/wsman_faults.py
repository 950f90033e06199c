"""Faults of WSMan: what an endpoint says no with, and what follows from it.

Numbers decide, and where there is none SOAP's own word; never a sentence, which is in the host's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final
from xml.etree import ElementTree

import attrs

from hvintegration.clock import Deadline
from hvintegration.errors import (
    BusyError,
    CommandFailedError,
    ConnectError,
    ConnectionLostError,
    HvError,
    PermissionDeniedError,
    TransportTimeoutError,
    UnsupportedError,
    excerpt,
)

__all__ = ["TOO_MANY_COMMANDS", "FaultKind", "WSManFault", "fault_error", "read_fault", "too_long"]


class FaultKind(Enum):
    """What a fault means for what was asked."""

    TIMED_OUT = auto()
    """OperationTimeout is over. What was asked may still be done."""
    GONE = auto()
    """There is no such shell, or no such command in it."""
    PASSING = auto()
    """The process behind the shell did not start, or has ended. The next one may do better."""
    QUOTA = auto()
    """There is no room for it now."""
    DENIED = auto()
    """This user may not do it."""
    NO_SHELLS = auto()
    """A policy forbids remote shells."""
    TOO_LONG = auto()
    """The message is longer than messages may be."""
    OTHER = auto()

    @property
    def refuses(self) -> bool:
        """Whether what was asked was certainly not begun."""
        return self not in {FaultKind.TIMED_OUT, FaultKind.PASSING, FaultKind.OTHER}


# Numbers of winerror.h and wsmerror.h.
FILE_NOT_FOUND: Final = 2
ACCESS_DENIED: Final = 5
OPERATION_ABORTED: Final = 995
KEY_DELETED: Final = 1018
RPC_CALL_FAILED: Final = 1726
OPERATION_TIMED_OUT: Final = 2150858793
UNEXPECTED_SELECTORS: Final = 2150858843
TOO_MANY_SHELLS: Final = 2150859173
TOO_MANY_OPERATIONS: Final = 2150859174
TOO_MANY_USERS: Final = 2150859179
SHELLS_NOT_ALLOWED: Final = 2150859180
TOO_MANY_COMMANDS: Final = 2150859241

_SHELLS: Final = frozenset({TOO_MANY_SHELLS, 2150859236, 2150859238})
_OPERATIONS: Final = frozenset({TOO_MANY_OPERATIONS, 2150859239, 2150859240})
_USERS: Final = frozenset({TOO_MANY_USERS, 2150859237})
_OTHER_QUOTAS: Final = frozenset({2150858815, 2150859175, 2150859176, 2150859242})

_KINDS: Final[Mapping[int, FaultKind]] = {
    OPERATION_TIMED_OUT: FaultKind.TIMED_OUT,
    UNEXPECTED_SELECTORS: FaultKind.GONE,
    OPERATION_ABORTED: FaultKind.PASSING,
    KEY_DELETED: FaultKind.PASSING,
    RPC_CALL_FAILED: FaultKind.PASSING,
    ACCESS_DENIED: FaultKind.DENIED,
    SHELLS_NOT_ALLOWED: FaultKind.NO_SHELLS,
    **dict.fromkeys(_SHELLS | _OPERATIONS | _USERS | _OTHER_QUOTAS | {TOO_MANY_COMMANDS}, FaultKind.QUOTA),
}
_KINDS_BY_SUBCODE: Final[Mapping[str, FaultKind]] = {
    "TimedOut": FaultKind.TIMED_OUT,
    "InvalidSelectors": FaultKind.GONE,
    "AccessDenied": FaultKind.DENIED,
    "QuotaLimit": FaultKind.QUOTA,
    "EncodingLimit": FaultKind.TOO_LONG,
}

_NAMESPACES: Final = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "f": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
    "e": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError",
}
_MOST_DIGITS: Final = 10
_WIN32: Final = 0x8007
"""The upper half of an HRESULT that wraps an error of winerror.h."""


@attrs.define(eq=False)
class WSManFault(Exception):  # noqa: N818 - the protocol's word
    """The endpoint said no.

    Attributes:
        code: The number of a Windows error, or 0 where there is none.
        subcode: SOAP's own word for it, such as ``QuotaLimit``, without its prefix.
        message: The endpoint's sentence.
    """

    code: int
    subcode: str
    message: str

    @property
    def number(self) -> int:
        """The code, without the HRESULT that may be around it."""
        return self.code & 0xFFFF if self.code >> 16 == _WIN32 else self.code

    @property
    def kind(self) -> FaultKind:
        """What it means."""
        return _KINDS.get(self.number) or _KINDS_BY_SUBCODE.get(self.subcode) or FaultKind.OTHER


def read_fault(fault: ElementTree.Element) -> WSManFault:
    """What a SOAP fault says, in either form of its detail, or without any."""
    number = sentence = ""
    if (detail := fault.find("s:Detail/f:WSManFault", _NAMESPACES)) is not None:
        number = detail.get("Code", "")
        sentence = _text(detail.find("f:Message", _NAMESPACES))
    elif (detail := fault.find("s:Detail/e:MSFT_WmiError", _NAMESPACES)) is not None:
        number = _text(detail.find("e:error_Code", _NAMESPACES))
        sentence = _text(detail.find("e:Message", _NAMESPACES))
    return WSManFault(
        code=int(number) if number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS else 0,
        subcode=fault.findtext("s:Code/s:Subcode/s:Value", "", _NAMESPACES).strip().rpartition(":")[2],
        message=sentence or fault.findtext("s:Reason/s:Text", "", _NAMESPACES).strip(),
    )


def too_long() -> WSManFault:
    """The fault that HTTP status 413 stands for: nobody has looked at the message."""
    return WSManFault(0, "EncodingLimit", "HTTP status 413")


def fault_error(
    fault: WSManFault, *, address: str, configuration_name: str, deadline: Deadline, sent: bool, opened: bool
) -> HvError:
    """What to raise for *fault*.

    Args:
        fault: What the endpoint said.
        address: The endpoint's.
        configuration_name: Its session configuration.
        deadline: When all of it should have been done.
        sent: Whether a script was sent and may have run, whatever the fault says.
        opened: Whether there was a session.
    """
    kind = fault.kind
    if kind is FaultKind.TIMED_OUT:
        return TransportTimeoutError(
            address=address,
            after=deadline.given,
            hint="The host itself gave up waiting. See its load.",
        )
    if kind is FaultKind.GONE:
        return _lost(fault, address, "ended the session", _GONE_HINT)
    if sent or (opened and not kind.refuses):
        return _lost(fault, address, "broke off the session", None)
    if kind is FaultKind.PASSING:
        return _lost(fault, address, "could not start a session now", _PASSING_HINT)
    if kind is FaultKind.QUOTA:
        return BusyError(
            f"{address} has no room for this user now{_said(fault)}",
            address=address,
            host_message=fault.message,
            hint=_quota_hint(fault.number),
        )
    if kind is FaultKind.TOO_LONG:
        return ConnectError(
            f"{address} does not take messages of this length{_said(fault)}",
            address=address,
            host_message=fault.message,
            hint=_TOO_LONG_HINT,
        )
    return _refusal(fault, address, configuration_name)


def _lost(fault: WSManFault, address: str, what: str, hint: str | None) -> ConnectionLostError:
    return ConnectionLostError(
        f"{address} {what}{_said(fault)}", address=address, host_message=fault.message, hint=hint
    )


def _refusal(fault: WSManFault, address: str, configuration_name: str) -> HvError:
    facts = {
        "address": address,
        "error_id": str(fault.code or fault.subcode),
        "category": fault.subcode,
        "host_message": fault.message,
    }
    if fault.kind is FaultKind.DENIED:
        return PermissionDeniedError(
            f"{address} knows this user but does not let them in{_said(fault)}",
            **facts,
            hint="A member of Administrators (S-1-5-32-544) or Remote Management Users (S-1-5-32-580) may use the"
            " default endpoint; other endpoints say themselves who may.",
        )
    if fault.kind is FaultKind.NO_SHELLS:
        return UnsupportedError(
            f"{address} allows no remote shells{_said(fault)}",
            needs="the policy 'Allow Remote Shell Access'",
            **facts,
            hint="Set AllowRemoteShellAccess to true in the host's WinRM settings or group policy.",
        )
    return CommandFailedError(
        f"{address} did not open a session at {configuration_name}{_said(fault)}", **facts, hint=_other_hint(fault)
    )


_GONE_HINT: Final = "The host ends sessions that are not used for long; an administrator may end them, too."
_PASSING_HINT: Final = (
    "The process for the session did not start, or ended at once. That passes by itself as a rule: ask again later."
)

_TOO_LONG_HINT: Final = (
    "Raise MaxEnvelopeSizekb on the host (winrm get winrm/config): 500 is usual. Or something in between has a limit."
)


def _quota_hint(number: int) -> str:
    if number in _SHELLS:
        return "Close other sessions of this user, or raise the quota MaxShellsPerUser (winrm get winrm/config/winrs)."
    if number in _OPERATIONS:
        return (
            "Ask less at the same time as this user, or raise the quota MaxConcurrentOperationsPerUser"
            " (winrm get winrm/config/service)."
        )
    if number in _USERS:
        return "Too many users have sessions there. The quota is MaxConcurrentUsers (winrm get winrm/config/winrs)."
    if number == TOO_MANY_COMMANDS:
        return (
            "Ask again: that opens a new session. The quota is MaxConcurrentCommandsPerShell of the endpoint"
            " (WSMan:\\localhost\\Plugin)."
        )
    return "Close other sessions of this user, or raise the host's quotas (winrm get winrm/config/winrs)."


def _other_hint(fault: WSManFault) -> str:
    if fault.number == FILE_NOT_FOUND:
        return (
            "The host did not find the program of the endpoint's process: it may not be registered as it should."
            " Enable-PSRemoting on the host registers its endpoints anew."
        )
    if fault.subcode == "DestinationUnreachable" or not fault.code:
        return "Get-PSSessionConfiguration on the host lists its endpoints and who may use them."
    return (
        f"`winrm helpmsg 0x{fault.code:x}` on Windows says what the number means; the host's event log"
        " Microsoft-Windows-WinRM/Operational may say more."
    )


def _said(fault: WSManFault) -> str:
    number = f" (WSMan fault {fault.code})" if fault.code else ""
    return f"{number}: {excerpt(fault.message)}" if fault.message else f"{number}."


def _text(element: ElementTree.Element | None) -> str:
    return "" if element is None else "".join(element.itertext()).strip()
