"""Runs the cases of tests/cases; README.md there says what they look like."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import attrs
import pytest

from hvintegration import errors
from hvintegration.calls.answer import Answer, parse_answer
from hvintegration.calls.call import Call
from hvintegration.calls.operation import DeadlineReached, Sleep
from hvintegration.guest_models import GuestFamily
from hvintegration.operations import guests, hosts, inventory, named_changes, services, vms
from hvintegration.service_kind import ServiceKind
from hvintegration.values import Rows

from .driving import HOST, READ_AT

Case = dict[str, Any]
Operation = Generator[Call | Sleep, Answer | None, object]

FOLDER = Path(__file__).parent.parent / "cases"


def operation_of(name: str, arguments: dict[str, Any]) -> Operation:
    """The operation of that name; its arguments are plain data."""
    plain = dict(arguments)
    if "kind" in plain:
        plain["kind"] = ServiceKind(plain["kind"])
    if "target" in plain:
        carrier, family = plain["target"].get("carrier"), plain["target"].get("family")
        plain["target"] = guests.GuestTarget(
            vm_id=plain["target"].get("vm_id"),
            carrier=ServiceKind(carrier) if carrier else None,
            family=GuestFamily(family) if family else None,
        )
    if "action" in plain:
        plain["action"] = guests.GuestAction(plain["action"])
    if isinstance(plain.get("wanted"), list):
        plain["wanted"] = [(ServiceKind(kind), run) for kind, run in plain["wanted"]]
    if "changes" in plain:
        plain["changes"] = [
            services.ResolvedChange(**entry | {"kind": ServiceKind(entry["kind"])}) for entry in plain["changes"]
        ]
    if "requested" in plain:
        plain["requested"] = [
            named_changes.RequestedChange(**entry | {"kind": ServiceKind(entry["kind"])})
            for entry in plain["requested"]
        ]
    if name == "switch_service":
        plain = {"change": services.ResolvedChange(**plain)}
    for module in (vms, services, named_changes, inventory, hosts, guests):
        if name in module.__all__:
            made: Operation = getattr(module, name)(**plain)
            return made
    raise LookupError(f"there is no operation {name!r}")


def plain_of(value: object) -> object:
    """A value as plain data: what ``to_dict()`` says, and every attribute where there is none."""
    if isinstance(value, tuple | list | Rows):
        return [plain_of(item) for item in value]
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if attrs.has(type(value)):
        return {name: plain_of(getattr(value, name)) for name in dir(value) if not name.startswith("_")}
    return value


def as_far_as_told(actual: object, expected: object) -> object:
    """*actual* without the keys that *expected* does not speak of."""
    if isinstance(actual, dict) and isinstance(expected, dict):
        return {key: as_far_as_told(actual.get(key, "(missing)"), expected[key]) for key in expected}
    if isinstance(actual, list) and isinstance(expected, list) and len(actual) == len(expected):
        return [as_far_as_told(one, other) for one, other in zip(actual, expected, strict=True)]
    return actual


def error_as_plain(error: BaseException) -> dict[str, object]:
    return {"class": type(error).__name__, "message": str(error)} | {
        name: plain_of(value) for name, value in vars(error).items()
    }


def step_as_plain(step: Call | Sleep) -> dict[str, object]:
    if isinstance(step, Sleep):
        return {"sleep": step.seconds}
    return {"call": step.script.name, "effect": step.effect.value, "document": step.document}


def reply_of(line: dict[str, Any]) -> Answer | BaseException | None:
    if "answer" in line:
        return parse_answer(json.dumps(line["answer"]), address=HOST, received_at=READ_AT)
    if "answer_text" in line:
        try:
            return parse_answer(line["answer_text"], address=HOST, received_at=READ_AT)
        except errors.HvError as refused:
            return refused
    if "error" in line:
        facts = {"message": "It happened.", "address": HOST} | line["error"]
        kind = facts.pop("class")
        error: BaseException = getattr(errors, kind)(**facts)
        return error
    return DeadlineReached() if line.get("deadline") else None


def played(case: Case) -> dict[str, object]:
    """What comes of a case, in the words of a case."""
    operation = operation_of(case["operation"], case.get("arguments", {}))
    told: list[dict[str, object]] = []
    end: dict[str, object]
    try:
        step = next(operation)
        for line in case["conversation"]:
            told.append(step_as_plain(step))
            reply = reply_of(line)
            step = operation.throw(reply) if isinstance(reply, BaseException) else operation.send(reply)
        told.append(step_as_plain(step))
        end = {"value": "(it goes on)"}
    except StopIteration as stop:
        end = {"value": plain_of(stop.value)}
    except (errors.HvError, DeadlineReached) as error:
        end = {"error": error_as_plain(error)}
    return {"asked": told} | end


def loaded() -> list[Any]:
    return [
        pytest.param(case | {"operation": path.stem}, id=f"{path.stem}: {case['name']}")
        for path in sorted(FOLDER.glob("*.json"))
        for case in json.loads(path.read_text("utf-8"))
    ]


CASES = loaded()


@pytest.mark.parametrize("case", CASES)
def test_a_case_ends_as_it_says(case: Case) -> None:
    asked = [
        {key: line[key] for key in ("call", "effect", "document", "sleep") if key in line}
        for line in case["conversation"]
    ]
    expected = {"asked": asked} | {key: case[key] for key in ("value", "error") if key in case}
    assert as_far_as_told(played(case), expected) == expected


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_complete(case: Case) -> None:
    assert set(case) <= {"name", "why", "operation", "arguments", "conversation", "value", "error"}
    assert ("value" in case) != ("error" in case)
    assert [line for line in case["conversation"] if ("call" in line) == ("sleep" in line)] == []


def test_there_are_cases_for_every_operation_that_users_reach() -> None:
    operations = {path.stem for path in FOLDER.glob("*.json")}
    assert operations == {
        "change_guest_service",
        "change_services",
        "find_vm",
        "list_guest_services",
        "list_services",
        "list_vms",
        "read_guest_info",
        "read_guest_inventory",
        "read_guest_service",
        "read_host",
        "read_inventory",
        "read_service",
        "read_vm",
        "restart_guest_service",
        "set_guest_services",
        "set_services",
        "switch_service",
        "wait_until_ok",
        "wait_until_running",
    }
