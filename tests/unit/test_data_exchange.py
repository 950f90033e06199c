"""What a guest has told its host: text of the guest in XML of the host."""

from __future__ import annotations

import pytest

from hvintegration.calls.call import Call
from hvintegration.errors import DecodeError, PermissionDeniedError, VMNotFoundError
from hvintegration.operations.data_exchange import ToldSystem, read_told_system
from hvintegration.scripts import GET_GUEST_SYSTEM
from tests.support.time_limit import within

from .driving import answer, drive, problem

VM = "3f1b1a52-0000-4000-8000-000000000001"
DOCUMENT_TYPE = '<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;&b;&b;">]>'


def item(name: str, data: str | None) -> str:
    value = "" if data is None else f"<VALUE>{data}</VALUE>"
    return (
        '<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Caption" PROPAGATED="true" TYPE="string">'
        f'</PROPERTY><PROPERTY NAME="Data" TYPE="string">{value}</PROPERTY><PROPERTY NAME="InstanceID" TYPE="string">'
        f'<VALUE>x</VALUE></PROPERTY><PROPERTY NAME="Name" TYPE="string"><VALUE>{name}</VALUE></PROPERTY>'
        '<PROPERTY NAME="Source" TYPE="uint16"><VALUE>2</VALUE></PROPERTY></INSTANCE>'
    )


def told(items: object) -> ToldSystem:
    return drive(read_told_system(VM), [answer({"intrinsic_items": items})]).value


def test_it_is_one_round_trip() -> None:
    items = [item("OSName", "Windows &lt;8&gt; &#x26; more"), item("OSVersion", "6.2.9200"), item("X", "y")]
    outcome = drive(read_told_system(VM), [answer({"intrinsic_items": items})])

    assert outcome.yielded == (Call(GET_GUEST_SYSTEM, {"vm_id": VM}),)
    assert outcome.value == ToldSystem(name="Windows <8> & more", version="6.2.9200")
    of_linux = told([item("OSMajorVersion", "12"), item("OSBuildNumber", "6.1.0-28-amd64")])
    assert of_linux == ToldSystem(major="12", build="6.1.0-28-amd64")


@pytest.mark.parametrize(
    "items",
    [
        None,
        [],
        [item("OSName", None)],
        [""],
        ["no XML"],
        [item("OSName", "8")[:-1]],
        [DOCUMENT_TYPE + item("OSName", "&c;")],
        [item("OSName", "&unknown;")],
        [item("OSName", "\ud800")],
        [item("OSName", "x" * 20_000)],
        ["<a>" * 5_000],
        ["<VALUE>OSName</VALUE>"],
    ],
)
def test_what_is_not_told_or_not_readable_is_none(items: object) -> None:
    with within(2):
        assert told(items) == ToldSystem()


@pytest.mark.parametrize("items", ["text", [1], [None], {}])
def test_an_answer_of_another_shape_is_refused(items: object) -> None:
    assert (
        drive(read_told_system(VM), [answer({"intrinsic_items": items})])
        .error(DecodeError)
        .path.startswith("$.result.intrinsic_items")
    )


def test_a_refusal_is_an_error() -> None:
    gone = problem("ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.GetVM", VM)
    assert VM in str(drive(read_told_system(VM), [answer(None, gone)]).error(VMNotFoundError))
    denied = problem("HRESULT 0x80041003", category="PermissionDenied")
    assert drive(read_told_system(VM), [answer(None, denied)]).error(PermissionDeniedError).hint
