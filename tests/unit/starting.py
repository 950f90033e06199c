"""Changes of services inside a guest, and what guests answer to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.scripts import SET_GUEST_SERVICES
from hvintegration.service_kind import ServiceKind

from .driving import answer

VM_ID = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER = "bbbbbbbb-0000-4000-8000-000000000002"

HEARTBEAT, VSS, KVP, SHUTDOWN = (
    ServiceKind.HEARTBEAT,
    ServiceKind.VSS,
    ServiceKind.KVP,
    ServiceKind.SHUTDOWN,
)
SESSION = ServiceKind.POWERSHELL_DIRECT


def service(kind: ServiceKind = HEARTBEAT, state: str | None = "Running", **changes: object) -> dict[str, Any]:
    """A service of Windows that runs and starts when it is triggered, but for *changes*."""
    plain: dict[str, Any] = {
        "name": kind.windows_service,
        "display_name": f"Anzeigename von {kind.key}",
        "state": state,
        "start_type": "Manual",
        "path": "C:\\Windows\\system32\\svchost.exe -k ICService -p",
        "account": "LocalSystem",
        "process_id": 1204 if state == "Running" else 0,
        "requires": [],
        "triggered": True,
    }
    return plain | changes


def eight(**states: str) -> list[dict[str, Any]]:
    """All that Windows has, running, but for those given by key."""
    return [service(kind, states.get(kind.key, "Running")) for kind in ServiceKind]


def guest(services: object = None, *errors: dict[str, Any], **changes: object) -> Answer:
    """What get_guest answers."""
    plain = {"vm_id": VM_ID, "version": "10.0.20348", "info": None, "services": services or eight()}
    return answer(plain | changes, *errors)


def report(before: dict[str, Any], *, begun: bool = True) -> dict[str, Any]:
    return {"before": before, "begun": begun}


def said(changes: Sequence[object], services: object, *errors: dict[str, Any], vm_id: str | None = VM_ID) -> Answer:
    """What set_guest_services answers."""
    result = {"vm_id": vm_id, "version": None, "changes": list(changes), "services": services}
    return answer(result, *errors)


def document(*changes: tuple[ServiceKind, str], vm_id: str | None = None, dry_run: bool = False) -> dict[str, Any]:
    entries = [{"name": kind.windows_service, "action": action} for kind, action in changes]
    return {"vm_id": vm_id, "dry_run": dry_run, "changes": entries}


def write(*changes: tuple[ServiceKind, str], vm_id: str | None = None) -> Call:
    return Call(SET_GUEST_SERVICES, document(*changes, vm_id=vm_id))


def look(*changes: tuple[ServiceKind, str], vm_id: str | None = None) -> Call:
    return Call(SET_GUEST_SERVICES, document(*changes, vm_id=vm_id, dry_run=True), dry_run=True)
