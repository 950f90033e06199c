"""PowerShell Direct: what a host is asked, and what its answers mean."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from typing import Any, Final

import attrs
import pytest

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline, VirtualClock
from hvintegration.credential import Credential
from hvintegration.errors import (
    AuthenticationError,
    CommandFailedError,
    ConnectError,
    ConnectionLostError,
    DecodeError,
    HvError,
    InvalidStateError,
    PermissionDeniedError,
    ProtocolError,
    RemoteError,
    TransportError,
    UnsupportedError,
    VMNotFoundError,
)
from hvintegration.scripts import DIRECT, GET_GUEST, GET_HOST, SET_GUEST_SERVICES, SH_GET_GUEST
from hvintegration.transports.base import sharing_of
from hvintegration.transports.powershell_direct import PowerShellDirect

VM_ID: Final = "aaaaaaaa-0000-4000-8000-000000000001"
WHO: Final = Credential("Administrator", "Pa55-mark-Wort!")
READ: Final = Call(GET_GUEST, {"info": False})
WRITE: Final = Call(SET_GUEST_SERVICES, {"vm_id": VM_ID, "dry_run": False, "changes": []})
LOOK: Final = Call(SET_GUEST_SERVICES, {"vm_id": VM_ID, "dry_run": True, "changes": []}, dry_run=True)

PS_DIRECT: Final = "PSDirectException"
TRANSPORT: Final = "PSRemotingTransportException"
ENDED: Final = "An error has occurred which PowerShell cannot handle. A remote session might have ended."


class FakeHost:
    """A host's transport that answers the same to every call."""

    requests = 7

    def __init__(self, answer: str | HvError) -> None:
        self.answer = answer
        self.calls: list[Call] = []
        self.discarded = self.closed = 0
        self.clock = VirtualClock()

    def __str__(self) -> str:
        return "winrm://hv01"

    def call(self, call: Call, deadline: Deadline, /) -> str:
        assert deadline.left()
        self.calls.append(call)
        if isinstance(self.answer, HvError):
            raise self.answer
        return self.answer

    def discard(self) -> None:
        self.discarded += 1

    def close(self) -> None:
        self.closed += 1


def answered(text: str | None, *, opened: bool = False, reason: str | None = None, error: object = None) -> str:
    result = {"opened": opened, "reason": reason, "answer": text}
    return json.dumps({"schema": 1, "result": result, "errors": [] if error is None else [error]})


def failed(error_id: str, *, opened: bool = False, reason: str = "", category: str = "", message: str = "Nein.") -> str:
    entry = {"id": error_id, "category": category, "message": message, "target": None, "target_object": None}
    return answered(None, opened=opened, reason=reason, error=entry)


def called(host: FakeHost, call: Call = READ) -> str:
    return PowerShellDirect(host, VM_ID, WHO).call(call, Deadline(60, host.clock))


def raised(answer: str | HvError, call: Call = READ) -> HvError:
    with pytest.raises(HvError) as error:
        called(FakeHost(answer), call)
    return error.value


# -- what is asked -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "is_write"), [(READ, False), (WRITE, True), (LOOK, False)])
def test_a_call_is_one_call_of_the_host_with_the_document_in_its_document(call: Call, *, is_write: bool) -> None:
    host = FakeHost(answered("{}"))
    assert called(host, call) == "{}"
    (asked,) = host.calls
    assert asked.document == {"vm_id": VM_ID, "document": call.text, "opens_first": is_write}
    assert (asked.script, asked.secrets) == (DIRECT[call.script], {"Guest": WHO})
    assert (asked.effect, asked.dry_run) == (call.effect, call.dry_run)


def test_whatever_is_in_a_document_arrives_in_the_guest_as_it_is() -> None:
    document = {"text": "'\"`$(x)\u2028\x1b[31m 2026-01-01T00:00:00Z \ud800 \U0001f600"}
    host = FakeHost(answered("{}"))
    called(host, Call(GET_GUEST, document))
    nested = json.loads(json.loads(host.calls[0].text)["document"])
    assert nested == document


def test_the_password_is_in_no_document_and_in_nothing_that_is_shown() -> None:
    host = FakeHost(failed("InvalidCredential", reason=PS_DIRECT))
    transport = PowerShellDirect(host, VM_ID, WHO)
    with pytest.raises(AuthenticationError) as error:
        transport.call(WRITE, Deadline(60, host.clock))
    shown = [str(transport), repr(transport), repr(host.calls), host.calls[0].text, str(error.value)]
    assert [text for text in shown if WHO.password in text] == []
    assert WHO.password.encode() not in pickle.dumps(error.value)


@pytest.mark.parametrize("script", [GET_HOST, SH_GET_GUEST])
def test_a_script_that_is_none_for_windows_guests_is_not_sent(script: Any) -> None:  # noqa: ANN401 - two of them
    host = FakeHost(answered("{}"))
    with pytest.raises(UnsupportedError):
        called(host, Call(script, {}))
    assert host.calls == []


def test_it_is_where_the_host_is_and_goes_by_its_clock_and_its_turn() -> None:
    host = FakeHost(answered("{}"))
    transport = PowerShellDirect(host, VM_ID, WHO)
    assert str(transport) == f"winrm://hv01#vm={VM_ID}"
    assert transport.clock is host.clock
    assert transport.sharing is sharing_of(host)
    assert transport.requests == 7
    transport.close()
    transport.discard()
    assert (host.closed, host.discarded) == (0, 1)


# -- what comes back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "no JSON", "\x1b[31m", "[" * 5000])
def test_what_a_guest_says_is_passed_on_for_the_session_to_judge(text: str) -> None:
    assert called(FakeHost(answered(text))) == text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<html>", ProtocolError),
        ('{"schema": 2}', DecodeError),
        ('{"schema": 1, "result": {"opened": 1}, "errors": []}', DecodeError),
        ('{"schema": 1, "result": {"opened": true, "reason": null, "answer": 5}, "errors": []}', DecodeError),
        ('{"schema": 1, "result": null, "errors": []}', CommandFailedError),
    ],
)
def test_a_host_that_answers_anything_else_is_not_asked_again_over_the_same_connection(
    text: str, kind: type[HvError]
) -> None:
    host = FakeHost(text)
    with pytest.raises(kind):
        called(host)
    assert host.discarded == 1


def test_an_error_of_the_hosts_transport_is_the_same_error() -> None:
    error = ConnectionLostError("It ended.", address="winrm://hv01", fenced=True)
    assert raised(error) is error


def test_neither_an_answer_nor_an_error_is_a_failure() -> None:
    assert isinstance(raised(answered(None)), CommandFailedError)


# -- errors, row by row --------------------------------------------------------------------------------------------


@attrs.frozen
class Row:
    """A row of what PowerShell says, and what it means: for a read, and for a write with and without a session."""

    error_id: str
    reason: str
    category: str
    read: type[HvError]
    write: type[HvError]
    opened: type[HvError]
    hint: str


def row(error_id: str, reason: str, category: str, kinds: Sequence[type[HvError]], hint: str) -> Row:
    read, write, opened = kinds if len(kinds) == 3 else [kinds[0]] * 3
    return Row(error_id, reason, category, read, write, opened, hint)


INVOKE: Final = ",Microsoft.PowerShell.Commands.InvokeCommandCommand"
ROWS: Final = {
    "no machine of that name": row(
        "InvalidVMNameNotSingle" + INVOKE, "ArgumentException", "InvalidArgument", [VMNotFoundError], "elevated"
    ),
    "no machine of that id": row(
        "InvalidVMIdNotSingle" + INVOKE, "ArgumentException", "InvalidArgument", [VMNotFoundError], "elevated"
    ),
    "no machine, otherwise": row(
        "InvalidVMId" + INVOKE, "ArgumentException", "InvalidArgument", [VMNotFoundError], "elevated"
    ),
    "not running": row(
        "InvalidVMState" + INVOKE, "ArgumentException", "InvalidArgument", [InvalidStateError], "Start the virtual"
    ),
    "wrong credential": row("InvalidCredential", PS_DIRECT, "OpenError", [AuthenticationError], "password"),
    "wrong credential, as a session says it": row(
        "PSSessionStateBroken", PS_DIRECT, "OpenError", [AuthenticationError], "password"
    ),
    "empty user": row("InvalidUsername", "ArgumentException", "InvalidArgument", [AuthenticationError], "user"),
    "guest not ready": row(
        "PSSessionStateBroken",
        TRANSPORT,
        "OpenError",
        [ConnectionLostError, ConnectError, ConnectionLostError],
        "vmicvmsession",
    ),
    "guest not ready, with a number": row(
        "2100,PSSessionStateBroken",
        TRANSPORT,
        "OpenError",
        [ConnectionLostError, ConnectError, ConnectionLostError],
        "vmicvmsession",
    ),
    "session denied": row(
        "AccessDenied,PSSessionStateBroken",
        TRANSPORT,
        "OpenError",
        [ConnectionLostError, ConnectError, ConnectionLostError],
        "vmicvmsession",
    ),
    "no connection": row(
        "VMSessionConnectFailed", "PSInvalidOperationException", "InvalidOperation", [ConnectError], "Linux guest"
    ),
    "negotiation": row("HyperVNegotiationFailed", PS_DIRECT, "OpenError", [ConnectError], "updates"),
    "negotiation, other words": row("HyperVInvalidResponse", PS_DIRECT, "OpenError", [ConnectError], "updates"),
    "no module": row(
        "HyperVModuleNotAvailable" + INVOKE, "ArgumentException", "NotInstalled", [UnsupportedError], "Hyper-V-Power"
    ),
    "scripts refused": row("ScriptsNotAllowed", "PSRemotingDataException", "", [UnsupportedError], ""),
    "something that nobody knows": row(
        "JobFailure",
        "PSRemotingTransportException",
        "ReadError",
        [CommandFailedError, CommandFailedError, ConnectionLostError],
        "",
    ),
    "no right on the host": row(
        "AccessDenied,Microsoft.HyperV.PowerShell.Commands.GetVM",
        "VirtualizationException",
        "PermissionDenied",
        [PermissionDeniedError, PermissionDeniedError, ConnectionLostError],
        "",
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_what_powershell_says_means(row: Row) -> None:
    for call, opened, kind in ((READ, False, row.read), (WRITE, False, row.write), (WRITE, True, row.opened)):
        answer = failed(row.error_id, opened=opened, reason=row.reason, category=row.category)
        error = raised(answer, call)
        assert type(error) is kind
        assert "Nein." in str(error)
        assert row.hint in str(error.hint)
        assert isinstance(error, RemoteError | TransportError)
        assert error.host_message == "Nein."


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_only_before_a_session_was_opened_is_a_write_certain_to_have_changed_nothing(row: Row) -> None:
    """Or where the error itself is raised before anything runs."""
    before = raised(failed(row.error_id, reason=row.reason, category=row.category), WRITE)
    assert not (isinstance(before, TransportError) and before.may_have_run)
    after = raised(failed(row.error_id, opened=True, reason=row.reason, category=row.category), WRITE)
    if isinstance(after, ConnectionLostError):
        assert (after.may_have_run, after.fenced) == (True, False)
    else:
        assert type(after) is type(before)


def test_a_read_without_a_session_is_not_tried_again_at_once_and_a_lost_write_is() -> None:
    broken = failed("PSSessionStateBroken", reason=TRANSPORT, message=ENDED)
    assert raised(broken).retryable is False
    lost = failed("PSSessionStateBroken", opened=True, reason=TRANSPORT, message=ENDED)
    assert raised(lost, WRITE).retryable is True
