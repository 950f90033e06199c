"""The Hyper-V cmdlets that the scripts use, over a world.

They behave as the documented cmdlets do: the order of services, translated names, statuses that follow from both ends,
error ids and categories. Faults of the world strike when a cmdlet reaches a machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar
from xml.sax.saxutils import escape

import attrs

from hvintegration.credential import Credential
from hvintegration.linux_distributions import known_names
from hvintegration.service_kind import HOST_MANAGED, ServiceKind
from hvintegration.simulator.faults import CmdletError, Faults, InterpreterEnded
from hvintegration.simulator.pending import Pending
from hvintegration.simulator.settling import Settling
from hvintegration.simulator.store import WorldAccess
from hvintegration.simulator.windows import Windows
from hvintegration.simulator.world import Machine, World

__all__ = ["Component", "HyperV", "VirtualMachine", "session_lost"]


@attrs.frozen(kw_only=True)
class Component:
    """An integration service, as ``Get-VMIntegrationService`` shows it; what cannot be read is None."""

    machine_id: str
    kind: ServiceKind
    id: str | None
    name: str | None
    enabled: bool | None
    primary: str | None
    primary_text: str | None
    secondary: str | None
    secondary_text: str | None


@attrs.frozen(kw_only=True)
class VirtualMachine:
    """A virtual machine, as ``Get-VM`` shows it; what cannot be read is None."""

    machine_id: str
    id: str | None
    name: str | None
    state: str | None
    status: str | None
    heartbeat: str | None
    generation: int | None
    version: str | None
    uptime_seconds: int | None
    notes: str | None
    addresses: tuple[str, ...] | None
    is_clustered: bool | None
    integration_services_version: str | None
    checkpoint_type: str | None


STATUS_NUMBERS: Final = {
    2: "Ok",
    3: "Degraded",
    6: "Error",
    7: "NonRecoverableError",
    12: "NoContact",
    13: "LostCommunication",
    15: "Paused",
    32775: "ProtocolMismatch",
    32782: "ApplicationCritical",
    32783: "CommunicationTimedOut",
    32784: "CommunicationFailed",
    32896: "Disabled",
}
PAUSED: Final = "Paused"

_TEXTS: Final = {
    "Ok": "OK",
    "NoContact": "No Contact",
    "LostCommunication": "Lost Communication",
    "NonRecoverableError": "Non-Recoverable Error",
    "ProtocolMismatch": (
        "The protocol version of the component installed in the virtual machine does not match the version expected by"
        " the hosting system"
    ),
}
_REFUSALS: Final = {
    "vm_not_found": (
        "InvalidParameter",
        "InvalidArgument",
        'Hyper-V was unable to find a virtual machine with name "{0}".',
    ),
    "vm_id_not_found": (
        "ObjectNotFound",
        "ObjectNotFound",
        'Hyper-V was unable to find a virtual machine with id "{0}".',
    ),
    "vm_gone": (
        "ObjectNotFound",
        "ObjectNotFound",
        (
            "Hyper-V encountered an error trying to access an object on computer '{0}' because the object was not"
            " found. The object might have been deleted. Verify that the Virtual Machine Management service on the"
            " computer is running."
        ),
    ),
    "access_denied": (
        "AccessDenied",
        "PermissionDenied",
        (
            "You do not have the required permission to complete this task. Contact the administrator of the"
            " authorization policy for the computer '{0}'."
        ),
    ),
}
"""Error id, category and sentence by key in a world's messages."""
_HEARTBEATS: Final = {
    "NoContact": "NoContact",
    "LostCommunication": "LostCommunication",
    PAUSED: "Paused",
}
_APPLICATIONS: Final = {"Ok": "OkApplicationsHealthy", "ApplicationCritical": "OkApplicationsCritical"}


class HyperV:
    """The module, as one PowerShell session has it.

    Args:
        access: The world.
        pause: How to let time pass for a slow machine.
        go_on: Raises when the call is to end.
        settling: What has been switched or started too recently to have contact.
        pending: What is still starting or stopping inside guests.
    """

    def __init__(
        self,
        access: WorldAccess,
        pause: Callable[[float], None],
        go_on: Callable[[], None],
        settling: Settling,
        pending: Pending,
    ) -> None:
        self._access = access
        self._pause = pause
        self._go_on = go_on
        self._settling = settling
        self._pending = pending
        self._faults = Faults(access, pause)

    def get_vm_host(self) -> World:
        """``Get-VMHost``."""
        return self._world("GetVMHost")

    def get_vm(
        self, problems: list[CmdletError] | None = None, *, vm_id: str | None = None, name: str | None = None
    ) -> list[VirtualMachine]:
        """``Get-VM``, by id, by name (no wildcards in it) or all; errors go into *problems*, or are raised."""
        world = self._world("GetVM")
        machines = world.machines
        if vm_id is not None:
            machine = self._by_id(world, "GetVM", vm_id, problems)
            machines = [] if machine is None else [machine]
        elif name is not None:
            machines = [machine for machine in machines if machine.name.lower() == name.lower()]
            if not machines:
                _report(_refusal(world, "GetVM", "vm_not_found", about=name, target=name), problems)
        reached = [machine for machine in machines if self._reach(world, "Get-VM", machine, problems)]
        return [
            _without(self._virtual_machine(machine), self._faults.unreadable("Get-VM", machine)) for machine in reached
        ]

    def get_vm_integration_service(self, vm: VirtualMachine) -> list[Component]:
        """``Get-VMIntegrationService -VM``."""
        cmdlet = "GetVMIntegrationService"
        world = self._world(cmdlet)
        machine = self._by_id(world, cmdlet, vm.machine_id, None)
        assert machine is not None
        self._reach(world, "Get-VMIntegrationService", machine, None)
        self._pause(machine.delay_ms / 1000)
        hidden = self._faults.unreadable("Get-VMIntegrationService", machine)
        return [_without(self._component(world, machine, kind), hidden) for kind in HOST_MANAGED]

    def set_vm_integration_service(self, component: Component, *, enabled: bool) -> Component:
        """``Enable-`` or ``Disable-VMIntegrationService -VMIntegrationService -Passthru``."""
        verb = "Enable" if enabled else "Disable"
        cmdlet = f"{verb}VMIntegrationService"
        world = self._world(cmdlet)
        machine = self._by_id(world, cmdlet, component.machine_id, None)
        assert machine is not None
        self._reach(world, f"{verb}-VMIntegrationService", machine, None)

        def switch(changed: World) -> Component:
            for candidate in changed.machines:
                if candidate.id == component.machine_id:
                    _switch(changed, candidate, component.kind, enabled=enabled)
                    return self._component(changed, candidate, component.kind)
            return component

        hidden = self._faults.unreadable(f"{verb}-VMIntegrationService", machine)
        return _without(self._access.change(switch), hidden)

    def invoke_command(self, vm_id: str, credential: Credential) -> Windows:
        """The session that ``Invoke-Command -VMId -Credential`` opens in a guest: PowerShell Direct."""
        self._go_on()
        world = self._access.read()
        machine = next((machine for machine in world.machines if machine.id == vm_id), None)
        if machine is None:
            message = f"The input VMId {vm_id} does not resolve to a single virtual machine."
            raise _direct_error("InvalidVMIdNotSingle", "InvalidArgument", message, vm_id, "ArgumentException")
        fault = self._faults.strike("Invoke-Command", machine)
        if fault is not None and fault.action == "remove":
            raise session_lost(vm_id)
        if fault is not None:
            raise _direct_error(fault.id, fault.category, fault.message, vm_id, fault.reason)
        if machine.state != "Running":
            message = f"The virtual machine {machine.name} is not in running state."
            raise _direct_error("InvalidVMState", "InvalidArgument", message, vm_id, "ArgumentException")
        if machine.guest != "windows" or not _guest_side_runs(machine, ServiceKind.POWERSHELL_DIRECT):
            message = "A failure occurred while attempting to connect to the target virtual machine."
            raise _direct_error("VMSessionConnectFailed", "InvalidOperation", message, vm_id)
        user = credential.username.rpartition("\\")[2]
        if user.lower() != machine.user.lower() or credential.password != machine.password:
            raise _direct_error("InvalidCredential", "AuthenticationError", "The credential is invalid.", vm_id)

        def while_it_runs(world: World) -> Machine:
            for machine in world.machines:
                if machine.id == vm_id and machine.state == "Running":
                    return machine
            raise InterpreterEnded

        return Windows(self._access, self._faults, self._go_on, self._pause, self._pending, while_it_runs)

    def told_by_guest(self, vm_id: str) -> list[str] | None:
        """``GuestIntrinsicExchangeItems`` of its ``Msvm_KvpExchangeComponent``; None if it has no such component."""
        self._go_on()
        machine = next((one for one in self._access.read().machines if one.id == vm_id), None)
        if machine is None or machine.state not in {"Running", "Paused"}:
            return None
        if not machine.setting(ServiceKind.KVP).enabled or not _guest_side_runs(machine, ServiceKind.KVP):
            return []
        return [_exchange_item(name, data) for name, data in machine.intrinsic.items()]

    # -- what all cmdlets do --------------------------------------------------------------------------------------

    def _world(self, cmdlet: str) -> World:
        self._go_on()
        world = self._access.read()
        self._settling.look(world)
        if world.access == "denied":
            raise _refusal(world, cmdlet, "access_denied", about=world.computer, target=None)
        if world.access == "unavailable":
            raise _refusal(world, cmdlet, "vm_gone", about=world.computer, target=None)
        return world

    def _by_id(self, world: World, cmdlet: str, vm_id: str, problems: list[CmdletError] | None) -> Machine | None:
        for machine in world.machines:
            if machine.id == vm_id:
                return machine
        _report(_refusal(world, cmdlet, "vm_id_not_found", about=vm_id, target=vm_id), problems)
        return None

    def _reach(self, world: World, name: str, machine: Machine, problems: list[CmdletError] | None) -> bool:
        fault = self._faults.strike(name, machine) if world.faults else None
        if fault is None:
            return True
        cmdlet = name.replace("-", "")
        if fault.action == "unavailable":
            error = _refusal(world, cmdlet, "vm_gone", about=world.computer, target=None)
        elif fault.action == "remove":
            error = _refusal(world, cmdlet, "vm_gone", about=world.computer, target=machine.name)
        else:
            error_id = f"{fault.id},Microsoft.HyperV.PowerShell.Commands.{cmdlet}"
            error = CmdletError(error_id, fault.category, fault.message, machine.name)
        _report(error, problems)
        return False

    # -- what they show -------------------------------------------------------------------------------------------

    def _virtual_machine(self, machine: Machine) -> VirtualMachine:
        running = machine.state == "Running"
        reports = running and machine.setting(ServiceKind.KVP).enabled and _guest_side_runs(machine, ServiceKind.KVP)
        return VirtualMachine(
            machine_id=machine.id,
            id=machine.id,
            name=machine.name,
            state=machine.state,
            status="Operating normally",
            heartbeat=None if machine.state == "Off" else self._heartbeat(machine),
            generation=machine.generation,
            version=machine.version,
            uptime_seconds=machine.uptime if running else 0,
            notes=machine.notes,
            addresses=tuple(machine.addresses) if reports else (),
            is_clustered=machine.is_clustered,
            integration_services_version="0.0",
            checkpoint_type=machine.checkpoint_type,
        )

    def _heartbeat(self, machine: Machine) -> str:
        if not machine.setting(ServiceKind.HEARTBEAT).enabled:
            return "Disabled"
        statuses = self._statuses(machine, ServiceKind.HEARTBEAT)
        if not statuses:
            return "Unknown"
        if statuses[0] in {"Ok", "Degraded"}:
            return _APPLICATIONS.get(statuses[1] if len(statuses) > 1 else "", "OkApplicationsUnknown")
        return _HEARTBEATS.get(statuses[0], "Error")

    def _component(self, world: World, machine: Machine, kind: ServiceKind) -> Component:
        assert kind.component_id is not None
        setting = machine.setting(kind)
        primary, secondary = (*self._statuses(machine, kind), None, None)[:2]
        return Component(
            machine_id=machine.id,
            kind=kind,
            id=f"Microsoft:{machine.id.upper()}\\{kind.component_id.upper()}",
            name=world.names.get(kind.key) or _shipped_name(kind, world.locale),
            enabled=setting.enabled,
            primary=primary,
            primary_text=_text(primary, setting.primary_text),
            secondary=secondary,
            secondary_text=_text(secondary, setting.secondary_text),
        )

    def _statuses(self, machine: Machine, kind: ServiceKind) -> tuple[str, ...]:
        if machine.state in {"Off", "Saved"}:
            return ()
        setting = machine.setting(kind)
        heartbeat = kind is ServiceKind.HEARTBEAT
        if setting.primary is not None:
            primary = _member(setting.primary)
        elif machine.state == "Paused" and heartbeat:
            primary = PAUSED
        elif not setting.enabled:
            primary = "Ok"
        elif not _guest_side_runs(machine, kind):
            primary = "LostCommunication" if machine.guest == "windows" else "NoContact"
        else:
            primary = "NoContact" if self._settling.holds(machine, kind) else "Ok"
        if setting.secondary is not None:
            return (primary, _member(setting.secondary))
        if heartbeat and machine.guest == "windows" and primary == "Ok":
            return (primary, "Ok")
        return (primary,)


_PROPERTIES: Final = {
    "Id": "id",
    "Name": "name",
    "State": "state",
    "Status": "status",
    "Heartbeat": "heartbeat",
    "Generation": "generation",
    "Version": "version",
    "Uptime": "uptime_seconds",
    "Notes": "notes",
    "NetworkAdapters": "addresses",
    "IsClustered": "is_clustered",
    "IntegrationServicesVersion": "integration_services_version",
    "CheckpointType": "checkpoint_type",
    "Enabled": "enabled",
    "PrimaryOperationalStatus": "primary",
    "PrimaryStatusDescription": "primary_text",
    "SecondaryOperationalStatus": "secondary",
    "SecondaryStatusDescription": "secondary_text",
}
"""What of ours shows a property of PowerShell's objects."""

Shown = TypeVar("Shown", Component, VirtualMachine)


def _without(shown: Shown, hidden: frozenset[str]) -> Shown:
    """It, with nothing in place of the properties that cannot be read."""
    ours = {field.name for field in attrs.fields(type(shown))}
    nothing: dict[str, Any] = {
        _PROPERTIES[name]: None for name in hidden & _PROPERTIES.keys() if _PROPERTIES[name] in ours
    }
    return attrs.evolve(shown, **nothing)


def _direct_error(
    identifier: str, category: str, message: str, target: str, reason: str = "InvalidOperationException"
) -> CmdletError:
    error_id = f"{identifier},Microsoft.HyperV.PowerShell.Commands.InvokeCommandDirect"
    return CmdletError(error_id, category, message, target, reason)


def session_lost(vm_id: str) -> CmdletError:
    """The error of ``Invoke-Command`` where a session with a guest has ended within it."""
    message = "An error has occurred which PowerShell cannot handle. A remote session might have ended."
    return _direct_error("PSSessionStateBroken", "OpenError", message, vm_id, "PSRemotingTransportException")


def _text(status: str | None, override: str | None) -> str | None:
    """What is shown for a status."""
    return None if status is None else override if override is not None else _TEXTS.get(status, status)


def _report(error: CmdletError, problems: list[CmdletError] | None) -> None:
    if problems is None:
        raise error
    problems.append(error)


def _refusal(world: World, cmdlet: str, key: str, *, about: str, target: str | None) -> CmdletError:
    """The error of that key in a world's messages; *about* is what its sentence speaks of."""
    identifier, category, sentence = _REFUSALS[key]
    message = world.messages.get(key, sentence).replace("{0}", about)
    return CmdletError(f"{identifier},Microsoft.HyperV.PowerShell.Commands.{cmdlet}", category, message, target)


def _member(status: str) -> str:
    """A status as an enumeration shows it: a known number by its name."""
    number = int(status) if re.fullmatch(r"\s*[+-]?[0-9]{1,10}\s*", status) else None
    return status if number is None else STATUS_NUMBERS.get(number, str(number))


def _shipped_name(kind: ServiceKind, locale: str) -> str:
    language = locale.split("-", maxsplit=1)[0].lower()
    return kind.names(language)[0] if language in {"de", "fr"} else kind.label


def _guest_side_runs(machine: Machine, kind: ServiceKind) -> bool:
    if machine.guest == "windows":
        service = machine.guest_service(kind)
        return service is not None and service.status == "Running"
    if machine.guest == "linux":
        daemons = known_names(kind).executables
        return machine.linux.driver != "absent" and (not daemons or any(name in daemons for name in machine.daemons))
    return False


def _switch(world: World, machine: Machine, kind: ServiceKind, *, enabled: bool) -> None:
    """Make the change and note it down; both or, if interrupted, neither."""
    setting = machine.setting(kind)
    # One whose name is written otherwise counts for statuses, but is not switched: so it is on the engine.
    service = next((one for one in machine.guest_services if one.name == kind.windows_service), None)
    changes = len(world.journal)
    before = (setting.enabled, service.status if service is not None else "")
    try:
        setting.enabled = enabled
        world.journal.append(f"{'enable' if enabled else 'disable'} {machine.name} {kind.key}")
        if service is not None and machine.state == "Running" and service.start_type != "Disabled":
            service.status = "Running" if enabled else "Stopped"
    except BaseException:
        del world.journal[changes:]
        setting.enabled = before[0]
        if service is not None:
            service.status = before[1]
        raise


def _exchange_item(name: str, data: str | None) -> str:
    """An ``Msvm_KvpExchangeDataItem`` as CIM writes it in XML."""
    values = {"Caption": "", "Data": _value(data), "Description": "", "ElementName": "", "Name": _value(name)}
    texts = "".join(
        f'<PROPERTY NAME="{key}"{"" if value else _PROPAGATED.get(key, "")} TYPE="string">{value}</PROPERTY>'
        for key, value in values.items()
    )
    source = '<PROPERTY NAME="Source" TYPE="uint16"><VALUE>2</VALUE></PROPERTY>'
    return f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem">{texts}{source}</INSTANCE>'


_PROPAGATED: Final[dict[str, str]] = dict.fromkeys(("Caption", "Description", "ElementName"), ' PROPAGATED="true"')


def _value(text: str | None) -> str:
    return "" if text is None else f"<VALUE>{escape(text, _QUOTES)}</VALUE>"


_QUOTES: Final = {'"': "&quot;", "'": "&apos;"}
