from __future__ import annotations

from typing import Any

import pytest

from hvintegration.calls.call import Call
from hvintegration.errors import CommandFailedError, ConnectError, DecodeError, PermissionDeniedError, UnsupportedError
from hvintegration.models import HostInfo
from hvintegration.operations.hosts import read_host
from hvintegration.scripts import GET_HOST

from .driving import READ_AT, answer, drive, problem

RESULT: dict[str, Any] = {
    "name": "HV01",
    "os_caption": "Microsoft Windows Server 2022 Datacenter",
    "os_version": "10.0.20348",
    "os_build": "20348",
    "language": "de-DE",
    "module_version": "2.0.0.0",
    "powershell_version": "5.1.20348.1",
    "powershell_edition": "Desktop",
    "language_mode": "FullLanguage",
}
OPTIONAL = ("name", "os_caption", "os_version", "os_build", "language", "module_version")


def test_it_is_one_round_trip() -> None:
    outcome = drive(read_host(), [answer(RESULT)])
    assert (outcome.yielded, outcome.value) == ((Call(GET_HOST, {}),), HostInfo(**RESULT, read_at=READ_AT))


def test_it_knows_when_it_was_read() -> None:
    assert drive(read_host(), [answer(RESULT)]).value.read_at == READ_AT


def test_what_the_caller_may_not_know_of_the_system_is_none() -> None:
    nothing = dict.fromkeys(name for name in OPTIONAL if name.startswith("os_") or name == "language")
    denied = problem("HRESULT 0x80041003", "Win32_OperatingSystem", category="PermissionDenied")
    host = drive(read_host(), [answer(RESULT | nothing, denied)]).value
    assert (host.name, host.os_caption, host.language) == ("HV01", None, None)


@pytest.mark.parametrize("name", RESULT)
@pytest.mark.parametrize("value", [None, 7], ids=["null", "number"])
def test_a_field_of_another_shape_is_refused_with_its_place(name: str, value: object) -> None:
    outcome = drive(read_host(), [answer(RESULT | {name: value})])
    if value is None and name in OPTIONAL:
        assert getattr(outcome.value, name) is None
    else:
        assert outcome.error(DecodeError).path == f"$.result.{name}"


@pytest.mark.parametrize(
    ("error_id", "kind"),
    [
        ("AccessDenied,Microsoft.HyperV.PowerShell.Commands.GetVMHost", PermissionDeniedError),
        ("CouldNotAutoLoadModule", UnsupportedError),
        ("OperationFailed", CommandFailedError),
    ],
)
def test_a_refusal_is_raised(error_id: str, kind: type[Exception]) -> None:
    assert isinstance(drive(read_host(), [answer(None, problem(error_id))]).error(kind), kind)


def test_a_lost_connection_is_passed_on() -> None:
    lost = ConnectError("There is no connection.", address="hv01")
    assert drive(read_host(), [lost]).error(ConnectError) is lost
