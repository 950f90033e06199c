"""The cmdlets that scripts for Windows guests use, over a machine of a world, or over the host itself.

Faults of the world strike here as well, where they name the cmdlet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import attrs

from hvintegration.service_kind import ServiceKind
from hvintegration.simulator.faults import CmdletError, Faults, InterpreterEnded
from hvintegration.simulator.pending import Pending
from hvintegration.simulator.store import WorldAccess
from hvintegration.simulator.world import GuestService, Machine, OperatingSystem, World

__all__ = ["Windows", "WindowsService"]

_PROCESS_ID: Final = 1204
_PATH: Final = r"C:\Windows\system32\svchost.exe -k LocalSystemNetworkRestricted"
_ACCOUNT: Final = "LocalSystem"
_MODES: Final = {"Automatic": "Auto"}
"""What ``Win32_Service`` calls a start type differently."""


@attrs.frozen(kw_only=True)
class WindowsService:
    """A service, as ``Get-Service`` and ``Win32_Service`` show it; what cannot be read is None."""

    name: str | None
    display_name: str | None
    status: str | None
    start_type: str | None
    start_mode: str
    path: str
    account: str
    process_id: int
    required: tuple[str, ...] | None


class Windows:
    """A Windows system, as one PowerShell session in it has it.

    Args:
        access: The world.
        faults: What goes wrong in it.
        go_on: Raises when the call is to end.
        pause: How to let time pass.
        pending: What is still starting or stopping.
        find: The machine whose guest this is; None for the host, which has no integration services of a guest. Raises
            InterpreterEnded where it is one no more.
    """

    def __init__(  # noqa: PLR0917 - what a call consists of
        self,
        access: WorldAccess,
        faults: Faults,
        go_on: Callable[[], None],
        pause: Callable[[float], None],
        pending: Pending,
        find: Callable[[World], Machine | None],
    ) -> None:
        self._access = access
        self._faults = faults
        self._go_on = go_on
        self._pending = pending
        self._find = find
        self.sleep = pause
        """``Start-Sleep``."""

    def operating_system(self) -> tuple[str, OperatingSystem]:
        """``Win32_OperatingSystem``: the computer's name, and what runs there."""
        world, machine = self._look()
        return (world.computer, world.os) if machine is None else (machine.name, machine.os)

    def parameter(self, name: str) -> str | None:
        r"""What the host has told: a value in ``SOFTWARE\Microsoft\Virtual Machine\Guest\Parameters``."""
        world, machine = self._look()
        if machine is None:
            return None
        return {
            "VirtualMachineId": machine.id.upper(),
            "VirtualMachineName": machine.name,
            "PhysicalHostNameFullyQualified": f"{world.computer}.corp.example",
        }.get(name)

    def intrinsic(self, name: str) -> str | None:
        r"""What the guest tells of itself: a value in ``SOFTWARE\Microsoft\Virtual Machine\Auto``."""
        _, machine = self._look()
        values: Mapping[str, str | None] = {} if machine is None else machine.intrinsic
        return next((value for key, value in values.items() if key.lower() == name.lower()), None)

    def get_services(self, problems: list[CmdletError]) -> list[WindowsService]:
        """``Get-Service vmic*``, with what ``Win32_Service`` knows of each; errors go into *problems*."""
        _, machine = self._look()
        if machine is None:
            return []
        try:
            self._reach("Get-Service", machine, machine.name)
        except CmdletError as error:
            problems.append(error)
            return []
        _, machine = self._look()  # It may be another world after a delay.
        if machine is None:
            return []
        hidden = self._faults.unreadable("Get-Service", machine)
        named = [service for service in machine.guest_services if service.name.lower().startswith("vmic")]
        return [self._shown(machine, service, hidden) for service in sorted(named, key=lambda one: one.name.lower())]

    def start_service(self, name: str) -> None:
        """``Start-Service``. What the host does not offer stops again by itself."""

        def start(machine: Machine, service: GuestService) -> None:
            if service.start_type == "Disabled":
                why = f"Cannot start service '{service.name}' on computer '.'."
                raise _error(
                    "CouldNotStartService",
                    "OpenError",
                    f"Service '{service.display_name} ({service.name})' cannot be started due to the following error: "
                    f"{why}",
                    service.name,
                    "Start-Service",
                )
            service.status = "Running" if _is_offered(machine, service) else "Stopped"

        self._change("Start-Service", name, start)

    def stop_service(self, name: str) -> None:
        """``Stop-Service``."""

        def stop(_machine: Machine, service: GuestService) -> None:
            service.status = "Stopped"

        self._change("Stop-Service", name, stop)

    def set_service(self, name: str, start_type: str) -> None:
        """``Set-Service -StartupType``."""

        def configure(_machine: Machine, service: GuestService) -> None:
            service.start_type = start_type

        self._change("Set-Service", name, configure)

    def _look(self) -> tuple[World, Machine | None]:
        self._go_on()
        world = self._access.read()
        return world, self._find(world)

    def _reach(self, name: str, machine: Machine, target: str) -> float:
        """Let faults strike; how many seconds a service is pending."""
        fault = self._faults.strike(name, machine)
        if fault is None:
            return 0.0
        if fault.action == "pending":
            return fault.seconds
        if fault.action == "remove":
            raise InterpreterEnded
        raise _error(fault.id, fault.category, fault.message, target, name)

    def _change(self, cmdlet: str, name: str, work: Callable[[Machine, GuestService], None]) -> None:
        _, machine = self._look()
        assert machine is not None
        seconds = self._reach(cmdlet, machine, name)

        def change(world: World) -> None:
            machine = self._find(world)
            assert machine is not None
            for service in machine.guest_services:
                if service.name.lower() == name.lower():
                    _noted(world, machine, service, _VERBS[cmdlet], work)
                    if seconds:
                        self._pending.hold(machine.id, service.name, _PENDING[cmdlet], seconds)
                    return
            message = f"Cannot find any service with service name '{name}'."
            raise _error("NoServiceFoundForGivenName", "ObjectNotFound", message, name, cmdlet)

        self._access.change(change)

    def _shown(self, machine: Machine, service: GuestService, hidden: frozenset[str]) -> WindowsService:
        status = self._pending.status(machine.id, service.name) or service.status

        def readable(name: str, value: str) -> str | None:
            return None if name in hidden else value

        return WindowsService(
            name=readable("Name", service.name),
            display_name=readable("DisplayName", service.display_name),
            status=readable("Status", status),
            start_type=readable("StartType", service.start_type),
            start_mode=_MODES.get(service.start_type, service.start_type),
            path=_PATH,
            account=_ACCOUNT,
            process_id=_PROCESS_ID if status == "Running" else 0,
            required=None if "ServicesDependedOn" in hidden else (),
        )


_VERBS: Final = {"Start-Service": "start", "Stop-Service": "stop", "Set-Service": "configure"}
_PENDING: Final = {"Start-Service": "StartPending", "Stop-Service": "StopPending"}


def _noted(
    world: World, machine: Machine, service: GuestService, verb: str, work: Callable[[Machine, GuestService], None]
) -> None:
    """Make the change and note it down; both or, if interrupted, neither."""
    before = (service.status, service.start_type)
    changes = len(world.journal)
    try:
        work(machine, service)
        world.journal.append(f"guest-{verb} {machine.name} {service.name}")
    except BaseException:
        del world.journal[changes:]
        service.status, service.start_type = before
        raise


def _is_offered(machine: Machine, service: GuestService) -> bool:
    """Whether the host has that service switched on; those without a switch are always on."""
    for kind in ServiceKind:
        if kind.windows_service == service.name.lower():
            return not kind.managed_by_host or machine.setting(kind).enabled
    return True


def _error(identifier: str, category: str, message: str, target: str, cmdlet: str) -> CmdletError:
    error_id = f"{identifier},Microsoft.PowerShell.Commands.{cmdlet.replace('-', '')}Command"
    return CmdletError(error_id, category, message, target, "ServiceCommandException")
