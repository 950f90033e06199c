"""The shipped scripts for Windows guests as Python functions, line by line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from hvintegration.operations.guest_systems import ANOTHER_MACHINE
from hvintegration.simulator.envelope import Failures, Request, Result, failure
from hvintegration.simulator.faults import CmdletError
from hvintegration.simulator.windows import Windows, WindowsService

__all__ = ["GUEST_FUNCTIONS", "GuestFunction"]

GuestFunction: TypeAlias = Callable[[Windows, Request, Failures], Result]

_DOMAIN_CONTROLLER: Final = 2
"""The ``ProductType`` of one."""
_LOOKS: Final = 10
_SECONDS: Final = (0.5, 0.3)
"""Seconds before the first look at what was begun, and before each other one."""
_MODES: Final = {"automatic": "Automatic", "manual": "Manual", "disabled": "Disabled"}


def _get_guest(windows: Windows, request: Request, failures: Failures) -> Result:
    problems: list[CmdletError] = []
    result: Result = {
        "vm_id": _machine_id(windows),
        "version": windows.intrinsic("IntegrationServicesVersion"),
        "services": list(map(_record, windows.get_services(problems))),
        "info": None,
    }
    failures.extend(failure(problem, None) for problem in problems)
    if request["info"]:
        name, system = windows.operating_system()
        result["info"] = {
            "name": name,
            "caption": system.caption,
            "os_version": system.version,
            "os_build": system.build,
            "vm_name": windows.parameter("VirtualMachineName"),
            "host_name": windows.parameter("PhysicalHostNameFullyQualified"),
            "powershell_version": "7.6.9",
            "powershell_edition": "Core",
            "language_mode": "FullLanguage",
            "administrator": None,
            "uptime": system.uptime,
            "domain_controller": system.product_type == _DOMAIN_CONTROLLER,
            "time_sources": system.time_sources,
        }
    return result


def _set_guest_services(windows: Windows, request: Request, failures: Failures) -> Result:
    known = _machine_id(windows)
    result: Result = {
        "vm_id": known,
        "version": windows.intrinsic("IntegrationServicesVersion"),
        "changes": None,
        "services": None,
    }
    if request["vm_id"] is not None and known is not None and known != request["vm_id"].lower():
        failures.append(failure(CmdletError(ANOTHER_MACHINE, "InvalidOperation", "", known), None))
        return result
    problems: list[CmdletError] = []
    services = windows.get_services(problems)
    before = {str(service.name).lower(): service for service in services}
    result["changes"] = [
        _change(windows, before.get(change["name"].lower()), request, index, failures)
        for index, change in enumerate(request["changes"])
    ]
    begun = any(change is not None and change["begun"] for change in result["changes"])
    asked_for = {change["name"].lower() for change in request["changes"]}
    for look in range(_LOOKS if begun else 0):
        windows.sleep(_SECONDS[look > 0])
        problems.clear()
        services = windows.get_services(problems)
        if not any(str(one.name).lower() in asked_for and (one.status or "").endswith("Pending") for one in services):
            break
    result["services"] = list(map(_record, services))
    failures.extend(failure(problem, None) for problem in problems)
    return result


def _change(
    windows: Windows, service: WindowsService | None, request: Request, index: int, failures: Failures
) -> dict[str, Any] | None:
    if service is None:
        return None
    change = request["changes"][index]
    name, action = change["name"], change["action"]
    record = _record(service)
    outcome = {"before": record, "begun": False}
    start_type = "Automatic" if record["start_type"] == "Auto" else record["start_type"]
    if action == "start":
        needed = service.status == "Stopped" and start_type != "Disabled"
    elif change.get("then_start") and start_type == "Disabled":
        needed = False
    elif action == "stop":
        needed = service.status in {"Running", "Paused"}
    else:
        needed = start_type != _MODES[action]
    if needed and not request["dry_run"]:
        outcome["begun"] = True
        try:
            if action == "start":
                windows.start_service(name)
            elif action == "stop":
                windows.stop_service(name)
            else:
                windows.set_service(name, _MODES[action])
        except CmdletError as error:
            failures.append(failure(error, str(index)))
    return outcome


def _machine_id(windows: Windows) -> str | None:
    known = windows.parameter("VirtualMachineId")
    return known and known.lower()


def _record(service: WindowsService) -> dict[str, Any]:
    known = service.name is not None  # Without its name, nothing of Win32_Service is found.
    return {
        "name": service.name,
        "display_name": service.display_name,
        "state": service.status,
        "start_type": service.start_mode if service.start_type is None and known else service.start_type,
        "path": service.path if known else None,
        "account": service.account if known else None,
        "process_id": service.process_id if known else None,
        "requires": None if service.required is None else list(service.required),
        "triggered": False,
    }


GUEST_FUNCTIONS: Final[dict[str, GuestFunction]] = {
    "get_guest": _get_guest,
    "set_guest_services": _set_guest_services,
}
"""By script name."""
