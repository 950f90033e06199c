from __future__ import annotations

from typing import Any

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.errors import DecodeError, PermissionDeniedError
from hvintegration.models import Inventory
from hvintegration.operations.inventory import read_inventory
from hvintegration.scripts import GET_VMS

from .driving import READ_AT, answer, drive, info_json, problem, service_json, vm_json

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
HEARTBEAT = "84eaae65-2f2e-45f5-9bb5-0e857dc8eb47"


def full(vm_id: str, name: str, **changes: object) -> dict[str, Any]:
    return vm_json(vm_id, name, info=info_json(), services=[service_json(vm_id, HEARTBEAT)]) | changes


def inventory(*entries: dict[str, Any], errors: tuple[dict[str, Any], ...] = ()) -> Inventory:
    return drive(read_inventory(), [answer({"vms": list(entries)}, *errors)]).value


def test_everything_is_one_round_trip() -> None:
    outcome = drive(read_inventory(), [answer({"vms": [full(A, "a"), full(B, "b")]})])
    assert outcome.yielded == (Call(GET_VMS, {"vm_id": None, "name": None, "info": True, "services": True}),)
    assert [(vm.name, len(vm.services)) for vm in outcome.value.vms] == [("a", 1), ("b", 1)]
    assert (len(outcome.value.errors), outcome.value.read_at) == (0, READ_AT)


def test_a_host_without_virtual_machines_has_an_empty_inventory() -> None:
    empty = inventory()
    assert (len(empty.vms), len(empty.errors), len(empty.services)) == (0, 0, 0)


def test_a_virtual_machine_without_services_is_in_it() -> None:
    assert [len(vm.services) for vm in inventory(full(A, "a", services=[])).vms] == [0]


def test_what_could_not_be_read_in_full_is_an_error_with_its_name() -> None:
    found = inventory(
        full(A, "a"), full(B, "b", services=None), errors=(problem("OperationFailed", B, message="Nein."),)
    )
    assert [vm.name for vm in found.vms] == ["a"]
    assert [(failure.vm_id, failure.vm_name, failure.message) for failure in found.errors] == [(B, "b", "Nein.")]


def test_errors_about_nothing_known_are_kept() -> None:
    found = inventory(full(A, "a"), errors=(problem("OperationFailed", None), problem("OperationFailed", "elsewhere")))
    assert [(failure.vm_id, failure.target) for failure in found.errors] == [(None, None), (None, "elsewhere")]


def test_a_right_that_is_missing_is_no_empty_inventory() -> None:
    denied: Answer = answer({"vms": []}, problem("AccessDenied", category="PermissionDenied"))
    assert drive(read_inventory(), [denied]).error(PermissionDeniedError).category == "PermissionDenied"


def test_a_virtual_machine_never_disappears_without_a_word() -> None:
    """It is not read in full, and the host does not say why: not in ``vms``, not in ``errors``."""
    outcome = drive(read_inventory(), [answer({"vms": [full(A, "a"), full(B, "b", services=None)]})])
    assert outcome.error(DecodeError).path == "$.result.vms[1].services"
