"""The shipped scripts as Python functions, line by line: same question, same world, same answer.

Names of scripts repeat between languages: what answers follows from what runs at the place as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import attrs

from hvintegration.calls.call import Call
from hvintegration.credential import Credential
from hvintegration.operations.refusals import COMPONENT_NOT_FOUND, COMPONENT_NOT_READ
from hvintegration.scripts import DIRECT, GUEST_SECRET, SUDO_SECRET
from hvintegration.simulator.envelope import Failures, Request, Result, enveloped, failure
from hvintegration.simulator.faults import CmdletError, InterpreterEnded
from hvintegration.simulator.guest_functions import GUEST_FUNCTIONS, GuestFunction
from hvintegration.simulator.hyperv import Component, HyperV, VirtualMachine, session_lost
from hvintegration.simulator.linux import Linux
from hvintegration.simulator.linux_functions import LINUX_FUNCTIONS
from hvintegration.simulator.windows import Windows

__all__ = ["FUNCTIONS", "PowerShell", "answer"]


@attrs.frozen
class PowerShell:
    """What a script finds where it runs.

    Attributes:
        hyperv: The module Hyper-V.
        windows: The system itself.
    """

    hyperv: HyperV
    windows: Windows


Function: TypeAlias = Callable[[PowerShell, Request, Mapping[str, Credential], Failures], Result]


def answer(call: Call, here: PowerShell | Linux) -> dict[str, Any]:
    """What the script of *call* writes; it is one of the language that runs *here*."""
    request = json.loads(call.text)
    if isinstance(here, Linux):
        here.sudo_password = call.secrets[SUDO_SECRET].password if SUDO_SECRET in call.secrets else None
        return enveloped(partial(LINUX_FUNCTIONS[call.script.name], here, request))
    return enveloped(partial(FUNCTIONS[call.script.name], here, request, call.secrets))


def _on_host(function: Callable[[HyperV, Request, Failures], Result]) -> Function:
    """One that asks the module Hyper-V, or nobody."""
    return lambda here, request, _secrets, failures: function(here.hyperv, request, failures)


def _in_guest(function: GuestFunction) -> Function:
    """One that asks the system that it runs on."""
    return lambda here, request, _secrets, failures: function(here.windows, request, failures)


def _directly(function: GuestFunction) -> Function:
    """One that has *function* done inside a guest, by PowerShell Direct."""

    def work(here: PowerShell, request: Request, secrets: Mapping[str, Credential], failures: Failures) -> Result:
        result: Result = {"opened": False, "reason": None, "answer": None}
        vm_id, credential = request["vm_id"], secrets[GUEST_SECRET]
        try:
            here.hyperv.get_vm(vm_id=vm_id)
            if request["opens_first"]:
                here.hyperv.invoke_command(vm_id, credential)
                result["opened"] = True
            windows = here.hyperv.invoke_command(vm_id, credential)
            try:
                document = enveloped(partial(function, windows, json.loads(request["document"])))
            except InterpreterEnded:
                raise session_lost(vm_id) from None
            result["answer"] = json.dumps(document)
        except CmdletError as error:
            result["reason"] = error.reason
            failures.append(failure(error, None))
        return result

    return work


def _get_host(
    here: PowerShell, _request: Request, _secrets: Mapping[str, Credential], _failures: Failures
) -> dict[str, Any]:
    world = here.hyperv.get_vm_host()
    _, system = here.windows.operating_system()
    return {
        "name": world.computer,
        "os_caption": system.caption,
        "os_version": system.version,
        "os_build": system.build,
        "language": world.locale,
        "module_version": "2.0.0.0",
        "powershell_version": "7.6.9",
        "powershell_edition": "Core",
        "language_mode": "FullLanguage",
    }


def _get_process(_hyperv: HyperV, _request: Request, _failures: Failures) -> dict[str, Any]:
    return {"process_id": 1, "started": "0"}


def _stop_process(_hyperv: HyperV, _request: Request, _failures: Failures) -> dict[str, Any]:
    return {"gone": True}  # Nothing goes on running in a simulator after its answer.


def _get_vms(hyperv: HyperV, request: Request, failures: Failures) -> dict[str, Any]:
    problems: list[CmdletError] = []
    name = request["name"]
    if request["vm_id"] is not None:
        found = hyperv.get_vm(problems, vm_id=request["vm_id"])
    elif name is not None and not re.search(r"[*?\[\]`]", name):
        found = hyperv.get_vm(problems, name=name[1:])
    else:
        found = hyperv.get_vm(problems)
    failures.extend(failure(problem, problem.target) for problem in problems)
    if not found and not failures:
        hyperv.get_vm_host()
    return {"vms": [_vm_record(hyperv, vm, request, failures) for vm in found]}


def _vm_record(hyperv: HyperV, vm: VirtualMachine, request: Request, failures: Failures) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": vm.id, "name": vm.name, "state": vm.state, "info": None, "services": None}
    try:
        if request["info"]:
            entry["info"] = {
                "status": vm.status,
                "heartbeat": vm.heartbeat,
                "generation": vm.generation,
                "version": vm.version,
                "uptime_seconds": vm.uptime_seconds,
                "notes": vm.notes,
                "addresses": None if vm.addresses is None else list(vm.addresses),
                "clustered": vm.is_clustered,
                "integration_services_version": vm.integration_services_version,
                "checkpoint_type": vm.checkpoint_type,
            }
        if request["services"]:
            entry["services"] = list(map(_service_record, hyperv.get_vm_integration_service(vm)))
    except CmdletError as error:
        failures.append(failure(error, vm.id))
    return entry


def _get_guest_system(hyperv: HyperV, request: Request, _failures: Failures) -> dict[str, Any]:
    hyperv.get_vm(vm_id=request["vm_id"])
    items = hyperv.told_by_guest(request["vm_id"])
    return {"intrinsic_items": items if items is None else [item for item in items if _OF_SYSTEM.search(item)]}


_OF_SYSTEM: Final = re.compile(r"<VALUE>OS(Name|Version|MajorVersion|BuildNumber)</VALUE>", re.IGNORECASE)


def _set_services(hyperv: HyperV, request: Request, failures: Failures) -> dict[str, Any]:
    machines: dict[str, VirtualMachine] = {}
    components: dict[str, list[Component]] = {}
    unreadable: dict[str, CmdletError] = {}
    plan: list[Component | None] = []
    for index, change in enumerate(request["changes"]):
        vm_id = change["vm_id"]
        if vm_id not in machines and vm_id not in unreadable:
            try:
                (machine,) = hyperv.get_vm(vm_id=vm_id)
                components[vm_id] = hyperv.get_vm_integration_service(machine)
                machines[vm_id] = machine
            except CmdletError as error:
                unreadable[vm_id] = error
        component = None
        if vm_id in machines:
            readable = [item for item in components[vm_id] if item.id is not None]
            fits = [item for item in readable if item.kind.component_id == change["component_id"]]
            component = fits[-1] if fits else None
            if component is None:
                reason = COMPONENT_NOT_FOUND if readable == components[vm_id] else COMPONENT_NOT_READ
                absent = CmdletError(reason, "ObjectNotFound", "", change["component_id"])
                failures.append(failure(absent, str(index)))
        else:
            failures.append(failure(unreadable[vm_id], str(index)))
        plan.append(component)
    changes = [_change(hyperv, component, request, index, failures) for index, component in enumerate(plan)]
    vms: list[dict[str, Any]] = []
    for vm_id, machine in machines.items():
        try:
            services = list(map(_service_record, hyperv.get_vm_integration_service(machine)))
            vms.append({"id": vm_id, "name": machine.name, "state": machine.state, "services": services})
        except CmdletError as error:
            failures.append(failure(error, vm_id))
    return {"changes": changes, "vms": vms}


def _change(
    hyperv: HyperV,
    component: Component | None,
    request: Request,
    index: int,
    failures: Failures,
) -> dict[str, Any] | None:
    if component is None:
        return None
    enabled = request["changes"][index]["enabled"]
    outcome = {"before": component.enabled, "begun": False, "after": None}
    if component.enabled not in {None, enabled} and not request["dry_run"]:
        outcome["begun"] = True
        try:
            outcome["after"] = hyperv.set_vm_integration_service(component, enabled=enabled).enabled
        except CmdletError as error:
            failures.append(failure(error, str(index)))
    return outcome


def _service_record(component: Component) -> dict[str, Any]:
    return {
        "id": component.id,
        "name": component.name,
        "enabled": component.enabled,
        "primary": component.primary,
        "primary_text": component.primary_text,
        "secondary": component.secondary,
        "secondary_text": component.secondary_text,
    }


FUNCTIONS: Final[dict[str, Function]] = (
    {"get_host": _get_host}
    | {
        name: _on_host(function)
        for name, function in {
            "get_guest_system": _get_guest_system,
            "get_process": _get_process,
            "get_vms": _get_vms,
            "set_services": _set_services,
            "stop_process": _stop_process,
        }.items()
    }
    | {name: _in_guest(function) for name, function in GUEST_FUNCTIONS.items()}
    | {direct.name: _directly(GUEST_FUNCTIONS[script.name]) for script, direct in DIRECT.items()}
)
"""Those of PowerShell, by script name."""
