from __future__ import annotations

from typing import Any

import pytest

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.errors import (
    AmbiguousError,
    CommandFailedError,
    ConfigurationError,
    DecodeError,
    PermissionDeniedError,
    UnsupportedError,
    VMNotFoundError,
)
from hvintegration.models import ServiceState, VMInfo
from hvintegration.operations.vms import VMRecord, find_vm, list_vms, normal_guid, read_one, read_vm, read_vms
from hvintegration.scripts import GET_VMS
from hvintegration.service_kind import ServiceKind

from .driving import HOST, READ_AT, answer, drive, info_json, problem, service_json, vm_json

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
C = "cccccccc-0000-4000-8000-000000000003"
HEARTBEAT = "84eaae65-2f2e-45f5-9bb5-0e857dc8eb47"
GET_VM = ",Microsoft.HyperV.PowerShell.Commands.GetVM"
UNKNOWN_NAME = problem("InvalidParameter" + GET_VM, "demovm", category="InvalidArgument", message="Kein demovm.")
UNKNOWN_ID = problem("ObjectNotFound" + GET_VM, A, category="ObjectNotFound", message="Keine solche Id.")


def vms(*entries: dict[str, Any], errors: tuple[dict[str, Any], ...] = ()) -> Answer:
    return answer({"vms": list(entries)}, *errors)


def asking(**changes: object) -> Call:
    return Call(GET_VMS, {"vm_id": None, "name": None, "info": False, "services": False} | changes)


# -- ids -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [A, A.upper(), f"{{{A}}}", f"  {A.upper()}\n", f"{{{A.upper()}}}"])
def test_a_guid_in_any_form_becomes_one_form(text: str) -> None:
    assert normal_guid(text) == A


@pytest.mark.parametrize(
    "text", ["", "demovm", A[:-1], A + "0", A.replace("-", ""), f"x{A}", f"Microsoft:{A}", "{" + A[1:]]
)
def test_what_is_no_guid_is_none(text: str) -> None:
    assert normal_guid(text) is None


# -- list_vms ------------------------------------------------------------------------------------------------------


def test_listing_is_one_round_trip_that_reads_no_details() -> None:
    outcome = drive(list_vms(), [vms(vm_json(A.upper()), vm_json(B, "second", "Off"))])
    assert outcome.yielded == (asking(),)
    assert outcome.value.vms == (
        VMRecord(HOST, A, "demovm", "Running", None, None),
        VMRecord(HOST, B, "second", "Off", None, None),
    )


def test_no_virtual_machines_are_an_empty_list() -> None:
    records = drive(list_vms(), [vms()]).value
    assert (records.vms, records.failures) == ((), ())


def test_virtual_machines_that_one_may_not_see_are_not_an_empty_list() -> None:
    outcome = drive(list_vms(), [vms(errors=(problem("AccessDenied" + GET_VM, "hv01", category="PermissionDenied"),))])
    assert outcome.error(PermissionDeniedError).address == HOST


def test_a_refusal_of_the_whole_question_is_no_empty_list() -> None:
    assert drive(list_vms(), [vms(errors=(problem("OperationFailed"),))]).error(CommandFailedError).address == HOST


def test_a_missing_module_is_named() -> None:
    outcome = drive(list_vms(), [answer(None, problem("CouldNotAutoLoadModule", category="ObjectNotFound"))])
    assert outcome.error(UnsupportedError).needs == "the Hyper-V module for PowerShell"


def test_what_could_not_be_read_is_kept_beside_what_could() -> None:
    entry = problem("OperationFailed", A, message="Nein.")
    records = drive(list_vms(), [vms(vm_json(A), vm_json(B, "b"), errors=(entry, problem("OperationFailed", C)))]).value
    assert [(failure.vm_id, failure.vm_name, failure.target) for failure in records.failures] == [
        (A, "demovm", A),
        (None, None, C),
    ]


# -- find_vm -------------------------------------------------------------------------------------------------------


def test_a_name_is_found_in_one_round_trip() -> None:
    outcome = drive(find_vm("demovm"), [vms(vm_json(A))])
    assert (outcome.yielded, outcome.value.id) == ((asking(name=":demovm"),), A)


@pytest.mark.parametrize(
    "name", ["[a]*?", "2026-01-01T00:00:00Z", "/Date(0)/", "$(x)", "a'b\"c", "-Name", ":", " ", "\u202e"]
)
def test_a_name_is_sent_as_data_behind_a_colon(name: str) -> None:
    outcome = drive(find_vm(name), [vms(vm_json(A, name))])
    assert (outcome.yielded, outcome.value.id) == ((asking(name=":" + name),), A)


def test_a_pattern_finds_only_the_name_that_it_is() -> None:
    assert drive(find_vm("vm*"), [vms(vm_json(A, "vm1"), vm_json(B, "vm*"), vm_json(C, "vm2"))]).value.id == B


@pytest.mark.parametrize("pattern", ["*", "vm*", "vm?", "vm[12]"])
def test_a_pattern_does_not_match(pattern: str) -> None:
    assert drive(find_vm(pattern), [vms(vm_json(A, "vm1"), vm_json(B, "vm2"))]).error(VMNotFoundError).address == HOST


def test_case_does_not_matter_where_no_name_is_exact() -> None:
    assert drive(find_vm("DEMOVM"), [vms(vm_json(A, "DemoVM"))]).value.id == A


def test_an_exact_name_goes_before_one_of_other_case() -> None:
    assert drive(find_vm("demovm"), [vms(vm_json(A, "DEMOVM"), vm_json(B, "demovm"))]).value.id == B


@pytest.mark.parametrize("names", [("demovm", "demovm"), ("DEMOVM", "Demovm")], ids=["exact", "other case"])
def test_a_name_that_fits_several_is_answered_with_all_ids(names: tuple[str, str]) -> None:
    outcome = drive(find_vm("demovm"), [vms(vm_json(A, names[0]), vm_json(B, names[1]), vm_json(C, "other"))])
    error = outcome.error(AmbiguousError)
    assert (error.candidates, str(error)) == ((A, B), "hv01 has 2 virtual machines named 'demovm'.")


@pytest.mark.parametrize(
    "answered", [vms(), vms(errors=(UNKNOWN_NAME,)), vms(vm_json(A, "other"))], ids=["nothing", "error", "other"]
)
def test_a_name_that_fits_none_is_an_error_that_says_so(answered: Answer) -> None:
    error = drive(find_vm("demovm"), [answered]).error(VMNotFoundError)
    assert str(error) == "hv01 has no virtual machine named 'demovm', or this user may not see it."


def test_the_hosts_own_words_are_kept() -> None:
    error = drive(find_vm("demovm"), [vms(errors=(UNKNOWN_NAME,))]).error(VMNotFoundError)
    assert (error.error_id, error.category, error.host_message) == (
        "InvalidParameter" + GET_VM,
        "InvalidArgument",
        "Kein demovm.",
    )


@pytest.mark.parametrize("target", [None, "demovm"])
def test_a_right_that_is_missing_is_not_told_as_a_virtual_machine_that_is_missing(target: str | None) -> None:
    entry = problem("AccessDenied" + GET_VM, target, category="PermissionDenied")
    assert drive(find_vm("demovm"), [vms(errors=(entry,))]).error(PermissionDeniedError).category == "PermissionDenied"


def test_another_failure_is_not_told_as_a_virtual_machine_that_is_missing() -> None:
    outcome = drive(find_vm("demovm"), [vms(errors=(problem("OperationFailed" + GET_VM, "demovm"),))])
    assert outcome.error(CommandFailedError).error_id == "OperationFailed" + GET_VM


@pytest.mark.parametrize("text", [A, A.upper(), f"{{{A}}}"])
def test_an_id_is_found_in_one_round_trip(text: str) -> None:
    outcome = drive(find_vm(text), [vms(vm_json(A))])
    assert (outcome.yielded, outcome.value.name) == ((asking(vm_id=A),), "demovm")


def test_an_id_never_selects_a_virtual_machine_of_another_id() -> None:
    """Rule 1: whatever the host answers, the wrong one is not selected."""
    outcome = drive(find_vm(A), [vms(vm_json(B, "other")), vms()])
    assert outcome.error(VMNotFoundError).address == HOST


@pytest.mark.parametrize("answered", [vms(), vms(errors=(UNKNOWN_ID,))], ids=["nothing", "error"])
def test_a_name_may_look_like_an_id(answered: Answer) -> None:
    outcome = drive(find_vm(A), [answered, vms(vm_json(B, A))])
    assert (outcome.yielded, outcome.value.id) == ((asking(vm_id=A), asking(name=":" + A)), B)


def test_an_id_that_is_neither_id_nor_name_is_not_found() -> None:
    outcome = drive(find_vm(A), [vms(errors=(UNKNOWN_ID,)), vms(errors=(problem("InvalidParameter" + GET_VM, A),))])
    assert outcome.error(VMNotFoundError).error_id == "InvalidParameter" + GET_VM


@pytest.mark.parametrize("text", ["", "a\0b"], ids=["empty", "null character"])
def test_what_cannot_be_a_name_is_refused_before_anything_is_sent(text: str) -> None:
    outcome = drive(find_vm(text))
    assert (outcome.yielded, type(outcome.error(ConfigurationError))) == ((), ConfigurationError)


def test_a_hostile_name_does_not_reach_the_terminal() -> None:
    name = "evil\x1b[31m\nname\u202e"
    texts = [
        str(drive(find_vm(name), [vms()]).error(VMNotFoundError)),
        str(drive(find_vm(name), [vms(vm_json(A, name), vm_json(B, name))]).error(AmbiguousError)),
        str(drive(find_vm(name), [vms(errors=(problem("OperationFailed", name),))]).error(CommandFailedError)),
    ]
    assert [text for text in texts if not text.isprintable()] == []


# -- read_vm -------------------------------------------------------------------------------------------------------


def test_details_are_read_in_one_round_trip() -> None:
    outcome = drive(read_vm(A), [vms(vm_json(A.upper(), info=info_json(notes="Zeile\n2")))])
    assert outcome.yielded == (asking(vm_id=A, info=True),)
    assert outcome.value == VMInfo(
        id=A,
        name="demovm",
        state="Running",
        status="Operating normally",
        heartbeat="OkApplicationsHealthy",
        generation=2,
        version="10.0",
        uptime=3600,
        notes="Zeile\n2",
        addresses=("192.0.2.10",),
        clustered=False,
        integration_services_version=None,
        checkpoint_type="Production",
        read_at=READ_AT,
    )


@pytest.mark.parametrize(("version", "known"), [("0.0", None), ("", None), ("6.3.9600.16384", "6.3.9600.16384")])
def test_a_version_that_says_nothing_is_none(version: str, known: str | None) -> None:
    info = drive(read_vm(A), [vms(vm_json(A, info=info_json(integration_services_version=version)))]).value
    assert info.integration_services_version == known


def test_a_virtual_machine_that_is_off_has_no_heartbeat() -> None:
    info = drive(read_vm(A), [vms(vm_json(A, state="Off", info=info_json(heartbeat=None, uptime_seconds=0)))]).value
    assert (info.state, info.heartbeat, info.uptime) == ("Off", None, 0)


def test_unknown_states_are_kept() -> None:
    info = drive(read_vm(A), [vms(vm_json(A, state="FromTheFuture", info=info_json(heartbeat="7")))]).value
    assert (info.state, info.heartbeat) == ("FromTheFuture", "7")


def test_a_virtual_machine_that_went_away_is_not_found() -> None:
    error = drive(read_vm(A), [vms(errors=(UNKNOWN_ID,))]).error(VMNotFoundError)
    assert (error.error_id, error.host_message) == ("ObjectNotFound" + GET_VM, "Keine solche Id.")


def test_details_that_could_not_be_read_are_an_error() -> None:
    outcome = drive(read_vm(A), [vms(vm_json(A), errors=(problem("OperationFailed", A),))])
    assert outcome.error(CommandFailedError).error_id == "OperationFailed"


@pytest.mark.parametrize(
    "entries",
    [(), (vm_json(B, info=info_json()),), (vm_json(A, info=info_json()), vm_json(B, info=info_json()))],
    ids=["none", "another", "two"],
)
def test_an_answer_about_something_else_is_not_taken(entries: tuple[dict[str, Any], ...]) -> None:
    assert drive(read_vm(A), [vms(*entries)]).error(CommandFailedError).address == HOST


def test_details_that_are_missing_without_an_error_are_refused() -> None:
    assert drive(read_vm(A), [vms(vm_json(A, info=None))]).error(DecodeError).path == "$.result.vms[0].info"


# -- decoding ------------------------------------------------------------------------------------------------------


def test_services_are_told_apart_by_component_and_named_as_the_host_does() -> None:
    entry = vm_json(A, services=[service_json(A, HEARTBEAT, name="Takt", secondary="Ok", secondary_text="OK")])
    (vm,) = drive(read_vms(services=True), [vms(entry)]).value.vms
    assert vm.services == (
        ServiceState(
            vm_id=A,
            vm_name="demovm",
            vm_state="Running",
            kind=ServiceKind.HEARTBEAT,
            component_id=HEARTBEAT,
            name="Takt",
            enabled=True,
            primary="Ok",
            primary_text="OK",
            secondary="Ok",
            secondary_text="OK",
            read_at=READ_AT,
        ),
    )


def test_a_component_of_a_later_windows_is_kept() -> None:
    entry = vm_json(A, services=[service_json(A, B, name="Neu")])
    (vm,) = drive(read_vms(services=True), [vms(entry)]).value.vms
    assert [(state.kind, state.component_id, state.name) for state in vm.services or ()] == [(None, B, "Neu")]


def vm_of(**changes: object) -> dict[str, Any]:
    return vm_json(A) | changes


SERVICE = service_json(A, HEARTBEAT)


@pytest.mark.parametrize(
    ("result", "path", "expected"),
    [
        ({}, "$.result.vms", "a list"),
        ({"vms": {}}, "$.result.vms", "a list"),
        ({"vms": ["x"]}, "$.result.vms[0]", "an object"),
        ({"vms": [vm_of(id=1)]}, "$.result.vms[0].id", "a text or null"),
        ({"vms": [vm_of(), vm_of(name=7)]}, "$.result.vms[1].name", "a text or null"),
        ({"vms": [vm_of(state=2)]}, "$.result.vms[0].state", "a text or null"),
        ({"vms": [vm_of(info=[])]}, "$.result.vms[0].info", "an object"),
        ({"vms": [vm_of(info=info_json(status=0))]}, "$.result.vms[0].info.status", "a text or null"),
        ({"vms": [vm_of(info=info_json(heartbeat=6))]}, "$.result.vms[0].info.heartbeat", "a text or null"),
        ({"vms": [vm_of(info=info_json(generation="2"))]}, "$.result.vms[0].info.generation", "a whole number or null"),
        (
            {"vms": [vm_of(info=info_json(uptime_seconds=1.5))]},
            "$.result.vms[0].info.uptime_seconds",
            "a whole number or null",
        ),
        ({"vms": [vm_of(info=info_json(clustered=0))]}, "$.result.vms[0].info.clustered", "true, false or null"),
        ({"vms": [vm_of(info=info_json(addresses="::1"))]}, "$.result.vms[0].info.addresses", "a list"),
        ({"vms": [vm_of(info=info_json(addresses=["", 1]))]}, "$.result.vms[0].info.addresses[1]", "a text"),
        ({"vms": [vm_of(services={})]}, "$.result.vms[0].services", "a list"),
        ({"vms": [vm_of(services=[SERVICE, None])]}, "$.result.vms[0].services[1]", "an object"),
        ({"vms": [vm_of(services=[SERVICE | {"id": 1}])]}, "$.result.vms[0].services[0].id", "a text or null"),
        (
            {"vms": [vm_of(services=[SERVICE | {"enabled": "True"}])]},
            "$.result.vms[0].services[0].enabled",
            "true, false or null",
        ),
        (
            {"vms": [vm_of(services=[SERVICE | {"primary": 2}])]},
            "$.result.vms[0].services[0].primary",
            "a text or null",
        ),
    ],
)
def test_an_answer_of_another_shape_is_refused_with_its_place(result: object, path: str, expected: str) -> None:
    error = drive(read_vms(info=True, services=True), [answer(result)]).error(DecodeError)
    assert (error.path, error.expected) == (path, expected)


def test_one_virtual_machine_can_be_read_with_everything() -> None:
    entry = vm_json(A, info=info_json(), services=[SERVICE])
    outcome = drive(read_one(A, info=True, services=True), [vms(entry)])
    assert outcome.yielded == (asking(vm_id=A, info=True, services=True),)
    assert (outcome.value.info is not None, len(outcome.value.services or ())) == (True, 1)
