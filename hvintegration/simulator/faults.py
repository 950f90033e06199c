"""The faults of a world, when a cmdlet reaches a machine; and what a cmdlet that fails raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hvintegration.simulator.store import WorldAccess
from hvintegration.simulator.world import Fault, Machine, World

__all__ = ["CmdletError", "Faults", "InterpreterEnded"]

_TAKE_A_WHILE: Final = frozenset({"start-service", "stop-service"})


class CmdletError(Exception):
    """An error record of a cmdlet.

    Attributes:
        error_id: Its ``FullyQualifiedErrorId``.
        category: PowerShell's category.
        message: The sentence.
        target: What it is about.
        reason: Name of the type of its exception.
    """

    def __init__(
        self, error_id: str, category: str, message: str, target: str | None, reason: str = "VirtualizationException"
    ) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.category = category
        self.message = message
        self.target = target
        self.reason = reason


class InterpreterEnded(Exception):  # noqa: N818 - no error record is left of it
    """The PowerShell that ran the cmdlet is dead, or the machine that it ran on is gone."""


class Faults:
    """The faults of a world, for one call.

    Args:
        access: The world.
        pause: How to let time pass for a delay.
    """

    def __init__(self, access: WorldAccess, pause: Callable[[float], None]) -> None:
        self._access = access
        self._pause = pause

    def strike(self, name: str, machine: Machine) -> Fault | None:
        """The first fault that fits, of those that keep the cmdlet from its work; None, after any delay, if none does.

        It is used up by one, and what it removes is removed.

        Raises:
            InterpreterEnded: PowerShell dies of it.
        """
        fault = self._first(name, machine)
        if fault is None:
            return None
        if fault.action == "delay":
            self._pause(fault.seconds)
            return None
        if fault.action == "exit":
            raise InterpreterEnded
        return fault

    def unreadable(self, name: str, machine: Machine) -> frozenset[str]:
        """The properties whose getters fail in what that cmdlet shows of the machine."""

        def fits(fault: Fault) -> bool:
            return fault.action == "unreadable" and _fits(fault, name, machine)

        def use_up(world: World) -> None:
            for fault in filter(fits, world.faults):
                fault.times = None if fault.times is None else fault.times - 1

        found = list(filter(fits, self._access.read().faults))
        if any(fault.times is not None for fault in found):
            self._access.change(use_up)
        return frozenset(fault.property for fault in found)

    def _first(self, name: str, machine: Machine) -> Fault | None:
        def fits(fault: Fault) -> bool:
            return fault.action != "unreadable" and _fits(fault, name, machine)

        found = next(filter(fits, self._access.read().faults), None)
        if found is None or (found.times is None and found.action not in {"remove", "unavailable"}):
            return found

        def use_up(world: World) -> Fault | None:
            found = next(filter(fits, world.faults), None)
            if found is not None and found.times is not None:
                found.times -= 1
            if found is not None and found.action == "remove":
                world.machines[:] = [other for other in world.machines if other.name != machine.name]
            if found is not None and found.action == "unavailable":
                world.access = "unavailable"
            return found

        return self._access.change(use_up)


def _fits(fault: Fault, name: str, machine: Machine) -> bool:
    """Whether it strikes when that cmdlet reaches the machine."""
    cmdlet = name.lower()
    return (
        (fault.cmdlet.lower() == cmdlet if fault.cmdlet is not None else _is_hyper_v(cmdlet))
        and (fault.machine is None or fault.machine == machine.name)
        and (fault.times is None or fault.times > 0)
        and (fault.action != "pending" or cmdlet in _TAKE_A_WHILE)
    )


def _is_hyper_v(cmdlet: str) -> bool:
    """Whether it is one of the module Hyper-V, which run on the host."""
    return cmdlet.partition("-")[2].startswith("vm")
