"""The time that a guest needs, after it was started or a service was switched on, until the host has contact."""

from __future__ import annotations

from collections.abc import Callable

from hvintegration.service_kind import HOST_MANAGED, ServiceKind
from hvintegration.simulator.world import Machine, World

__all__ = ["Settling"]


class Settling:
    """Notices what has become active since it looked last, and for how long that has no contact yet.

    Args:
        seconds: How long there is no contact; 0 for none of this.
        monotonic: Tells the time in seconds.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._active: dict[tuple[str, ServiceKind], bool] = {}
        self._until: dict[tuple[str, ServiceKind], float] = {}

    def look(self, world: World) -> None:
        """See what is active: switched on, in a running machine."""
        if not self._seconds:
            return
        for machine in world.machines:
            for kind in HOST_MANAGED:
                key = (machine.id, kind)
                active = machine.state == "Running" and machine.setting(kind).enabled
                if active and not self._active.get(key, True):
                    self._until[key] = self._monotonic() + self._seconds
                self._active[key] = active

    def holds(self, machine: Machine, kind: ServiceKind) -> bool:
        """Whether that service of that machine has no contact yet."""
        return self._monotonic() < self._until.get((machine.id, kind), 0.0)
