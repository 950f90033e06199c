"""What WSMan's faults are read as, and what is raised for them: by numbers, in whatever form and language."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import attrs
import pytest

from hvintegration.clock import Deadline, VirtualClock
from hvintegration.errors import (
    BusyError,
    CommandFailedError,
    ConnectError,
    ConnectionLostError,
    HvError,
    PermissionDeniedError,
    TransportError,
    TransportTimeoutError,
    UnsupportedError,
)
from hvintegration.transports.winrm.host_record import HostRecord
from hvintegration.transports.winrm.wsman_faults import FaultKind, WSManFault, fault_error, read_fault, too_long

SOAP = "http://www.w3.org/2003/05/soap-envelope"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
WMI = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"


def fault(detail: str, *, subcode: str = "w:InternalError", reason: str = "Grund") -> WSManFault:
    return read_fault(
        ElementTree.fromstring(
            f'<s:Fault xmlns:s="{SOAP}"><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{subcode}</s:Value>'
            f'</s:Subcode></s:Code><s:Reason><s:Text xml:lang="de-DE">{reason}</s:Text></s:Reason>{detail}</s:Fault>'
        )
    )


def in_wsman(code: object, message: str = "Satz") -> str:
    inner = f'<f:WSManFault xmlns:f="{FAULT}" Code="{code}"><f:Message>{message}</f:Message></f:WSManFault>'
    return f"<s:Detail>{inner}</s:Detail>"


def in_wmi(code: object, message: str = "Satz") -> str:
    return (
        f'<s:Detail><p:MSFT_WmiError xmlns:p="{WMI}"><p:Message>{message}</p:Message>'
        f"<p:error_Code>{code}</p:error_Code></p:MSFT_WmiError></s:Detail>"
    )


def nested(code: int) -> str:
    inner = f'<f:WSManFault Code="{code}"><f:Message>Innen</f:Message></f:WSManFault>'
    return in_wsman(code, f'<f:ProviderFault provider="x">{inner}</f:ProviderFault>')


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (fault(in_wsman(1018)), WSManFault(1018, "InternalError", "Satz")),
        (fault(in_wmi(2150859174)), WSManFault(2150859174, "InternalError", "Satz")),
        (fault(nested(2150858843)), WSManFault(2150858843, "InternalError", "Innen")),
        (fault(in_wsman(2152992672, "")), WSManFault(2152992672, "InternalError", "Grund")),
        (fault(""), WSManFault(0, "InternalError", "Grund")),
        (fault("", reason=""), WSManFault(0, "InternalError", "")),
        (fault("<s:Detail/>"), WSManFault(0, "InternalError", "Grund")),
        (fault(in_wsman("")), WSManFault(0, "InternalError", "Satz")),
        (fault(in_wsman("-5")), WSManFault(0, "InternalError", "Satz")),
        (fault(in_wmi("five")), WSManFault(0, "InternalError", "Satz")),
        (fault(in_wsman("9" * 11)), WSManFault(0, "InternalError", "Satz")),
        (fault(f'<s:Detail><p:MSFT_WmiError xmlns:p="{WMI}"/></s:Detail>'), WSManFault(0, "InternalError", "Grund")),
        (fault(in_wsman(5), subcode="AccessDenied"), WSManFault(5, "AccessDenied", "Satz")),
        (read_fault(ElementTree.fromstring(f'<s:Fault xmlns:s="{SOAP}"/>')), WSManFault(0, "", "")),
    ],
)
def test_reading(said: WSManFault, expected: WSManFault) -> None:
    assert attrs.astuple(said) == attrs.astuple(expected)


@pytest.mark.parametrize(
    ("code", "subcode", "kind"),
    [
        (2150858793, "InternalError", FaultKind.TIMED_OUT),
        (0, "TimedOut", FaultKind.TIMED_OUT),
        (2150858843, "InternalError", FaultKind.GONE),
        (2150858813, "InvalidSelectors", FaultKind.GONE),
        (995, "InternalError", FaultKind.PASSING),
        (1018, "InternalError", FaultKind.PASSING),
        (1726, "InternalError", FaultKind.PASSING),
        (2147943418, "InternalError", FaultKind.PASSING),
        (2147943395, "InternalError", FaultKind.PASSING),
        *((code, "InternalError", FaultKind.QUOTA) for code in (2150859173, 2150859174, 2150859241)),
        (0, "QuotaLimit", FaultKind.QUOTA),
        (5, "InternalError", FaultKind.DENIED),
        (2147942405, "InternalError", FaultKind.DENIED),
        (0, "AccessDenied", FaultKind.DENIED),
        (2150859180, "AccessDenied", FaultKind.NO_SHELLS),
        (0, "EncodingLimit", FaultKind.TOO_LONG),
        (2, "InternalError", FaultKind.OTHER),
        (2147942402, "InternalError", FaultKind.OTHER),
        (2150858811, "DestinationUnreachable", FaultKind.OTHER),
        (4294967295, "InternalError", FaultKind.OTHER),
        (0, "", FaultKind.OTHER),
    ],
)
def test_numbers_decide_and_then_soap(code: int, subcode: str, kind: FaultKind) -> None:
    for sentence in ("", "Zugriff verweigert", "quota", "Access is denied."):
        assert WSManFault(code, subcode, sentence).kind is kind


def raised(said: WSManFault, *, sent: bool = False, opened: bool = False) -> HvError:
    error = fault_error(
        said,
        address="winrm://hv01",
        configuration_name="Microsoft.PowerShell",
        deadline=Deadline(60, VirtualClock()),
        sent=sent,
        opened=opened,
    )
    assert isinstance(error, HvError)
    return error


def of(code: int, subcode: str = "InternalError", message: str = "Satz.") -> WSManFault:
    return WSManFault(code, subcode, message)


@pytest.mark.parametrize(
    ("said", "kind", "retryable", "hint"),
    [
        (of(2150858793), TransportTimeoutError, True, "The host itself"),
        (of(2150858843), ConnectionLostError, True, "not used for long"),
        (of(995), ConnectionLostError, True, "passes by itself"),
        (of(1018), ConnectionLostError, True, "passes by itself"),
        (of(2147943418), ConnectionLostError, True, "passes by itself"),
        (of(1726), ConnectionLostError, True, "passes by itself"),
        (of(2150859173), BusyError, True, "MaxShellsPerUser"),
        (of(2150859236), BusyError, True, "MaxShellsPerUser"),
        (of(2150859174), BusyError, True, "MaxConcurrentOperationsPerUser"),
        (of(2150859240), BusyError, True, "MaxConcurrentOperationsPerUser"),
        (of(2150859179), BusyError, True, "MaxConcurrentUsers"),
        (of(2150859241), BusyError, True, "MaxConcurrentCommandsPerShell"),
        (of(2150859176), BusyError, True, "quotas"),
        (of(0, "QuotaLimit"), BusyError, True, "quotas"),
        (of(5), PermissionDeniedError, False, "S-1-5-32-580"),
        (of(2147942405), PermissionDeniedError, False, "S-1-5-32-580"),
        (of(2150859180), UnsupportedError, False, "AllowRemoteShellAccess"),
        (too_long(), ConnectError, False, "MaxEnvelopeSizekb"),
        (of(2), CommandFailedError, False, "Enable-PSRemoting"),
        (of(2147942402), CommandFailedError, False, "Enable-PSRemoting"),
        (of(2150858811, "DestinationUnreachable"), CommandFailedError, False, "Get-PSSessionConfiguration"),
        (of(2152992672, message=""), CommandFailedError, False, "winrm helpmsg 0x80540fa0"),
        (of(0, ""), CommandFailedError, False, "Get-PSSessionConfiguration"),
    ],
)
def test_what_is_raised_while_a_session_is_opened(
    said: WSManFault, kind: type[HvError], hint: str, *, retryable: bool
) -> None:
    error = raised(said)

    assert (type(error), error.retryable) == (kind, retryable)
    assert error.hint is not None
    assert hint in error.hint
    if said.code and kind is not TransportTimeoutError:
        assert f"(WSMan fault {said.code})" in str(error)
    facts: Any = error
    if kind is not TransportTimeoutError:
        assert facts.host_message == said.message
    if not isinstance(error, TransportError):
        assert (facts.error_id, facts.category) == (str(said.code or said.subcode), said.subcode)


@pytest.mark.parametrize("code", [995, 1726, 2, 87, 2150859174, 5, 4294967295])
def test_whatever_is_said_of_a_script_that_may_run_is_a_loss(code: int) -> None:
    error = raised(of(code), sent=True, opened=True)

    assert type(error) is ConnectionLostError
    assert str(error) == f"winrm://hv01 broke off the session (WSMan fault {code}): Satz."


@pytest.mark.parametrize("code", [995, 1018, 87, 4294967295])
def test_what_ends_a_session_before_anything_was_sent_is_a_loss(code: int) -> None:
    assert type(raised(of(code), opened=True)) is ConnectionLostError


def test_messages_get_shorter_where_long_ones_are_refused() -> None:
    record = HostRecord()

    assert not record.shorten(20_000)
    assert record.longest == 150 * 1024
    assert record.shorten(140_000)
    assert record.longest == 70_000
    assert record.shorten(70_000)
    assert not record.shorten(35_000)
    assert record.longest == 35_000
