"""Changes of services, and what hosts answer to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.models import ChangeOutcome, ServiceChange
from hvintegration.operations.services import ResolvedChange
from hvintegration.scripts import SET_SERVICES
from hvintegration.service_kind import HOST_MANAGED, ServiceKind

from .driving import Outcome, answer, service_json, vm_json

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
HEARTBEAT, VSS, SHUTDOWN = ServiceKind.HEARTBEAT, ServiceKind.VSS, ServiceKind.SHUTDOWN
ON_A = ResolvedChange(A, "demovm", HEARTBEAT, enable=True)
ON_B = ResolvedChange(B, "second", HEARTBEAT, enable=True)

MADE = {"before": False, "begun": True, "after": True}
IGNORED = {"before": False, "begun": True, "after": False}
UNMADE = {"before": False, "begun": False, "after": None}
ALREADY = {"before": True, "begun": False, "after": None}


def vm(vm_id: str = A, *, enabled: bool | None = True, name: str = "demovm") -> dict[str, Any]:
    """A virtual machine whose six services all are, or are not, enabled."""
    services = [service_json(vm_id, str(kind.component_id), enabled=enabled) for kind in HOST_MANAGED]
    return vm_json(vm_id, name, services=services)


def said(changes: Sequence[object], vms: Sequence[object], *errors: dict[str, Any]) -> Answer:
    return answer({"changes": list(changes), "vms": list(vms)}, *errors)


def document(*changes: ResolvedChange, dry_run: bool = False) -> dict[str, Any]:
    entries = [
        {"vm_id": change.vm_id, "component_id": change.kind.component_id, "enabled": change.enable}
        for change in changes
    ]
    return {"dry_run": dry_run, "changes": entries}


def write(*changes: ResolvedChange) -> Call:
    return Call(SET_SERVICES, document(*changes))


def read_back(*changes: ResolvedChange) -> Call:
    return Call(SET_SERVICES, document(*changes, dry_run=True), dry_run=True)


DONE = said([MADE], [vm()])
SEEN_NOT_DONE = said([UNMADE], [vm(enabled=False)])


def outcomes(outcome: Outcome[tuple[ServiceChange, ...]]) -> list[ChangeOutcome]:
    return [change.outcome for change in outcome.value]
