"""The facts that rules are given, and how a rule says that it lacks one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias, TypeVar

import attrs

from hvintegration.guest_models import GuestChange, GuestFamily, GuestInfo, GuestInventory, GuestServiceState
from hvintegration.models import (
    ChangeOutcome,
    HostInfo,
    ServiceChange,
    ServiceState,
    VMInfo,
    VMInventory,
)
from hvintegration.service_kind import ServiceKind
from hvintegration.values import Failure

__all__ = ["Facts", "InapplicableError", "LackError", "known"]

T = TypeVar("T")

_Change: TypeAlias = ServiceChange | GuestChange

SOON = timedelta(minutes=5)
"""So long after its start, or after a change, a guest may still be on its way. Linux alone lets Data Exchange wait for
its daemon for 55 seconds."""


_HOST_NOT_ASKED: Final = "What the host says: it was not asked."
_GUEST_NOT_ASKED: Final = "What the guest says: it was not asked."


class LackError(Exception):
    """A rule lacks a fact; ``str()`` is a sentence that says which."""


class InapplicableError(Exception):
    """A rule is about something that is not there."""


def known(value: T | None, what: str) -> T:
    """*value*, which a rule cannot do without.

    Args:
        value: The fact.
        what: A sentence that says what is not known if it is None.

    Raises:
        LackError: It is None.
    """
    if value is None:
        raise LackError(what)
    return value


@attrs.frozen(kw_only=True)
class Facts:
    """What is known of a virtual machine. Each end may be missing, and a rule that asks for it then lacks it.

    Attributes:
        machine: What the host says of it.
        inside: What its guest says.
        host: The host itself.
        changes: What was changed before.
        host_errors: What the host said in place of facts.
    """

    machine: VMInventory | None
    inside: GuestInventory | None
    host: HostInfo | None = None
    changes: tuple[ServiceChange | GuestChange, ...] = ()
    host_errors: tuple[Failure, ...] = ()

    # -- the two ends ----------------------------------------------------------------------------------------------

    @property
    def vm(self) -> VMInfo:
        """The virtual machine, as the host describes it."""
        return known(self.machine, _HOST_NOT_ASKED).info

    @property
    def guest(self) -> GuestInfo:
        """The guest, as it describes itself."""
        return known(self.inside, _GUEST_NOT_ASKED).info

    @property
    def is_windows(self) -> bool:
        """Whether the guest is Windows."""
        return self.guest.family is GuestFamily.WINDOWS

    @property
    def is_linux(self) -> bool:
        """Whether the guest is Linux."""
        return self.guest.family is GuestFamily.LINUX

    @property
    def is_running(self) -> bool:
        """Whether the virtual machine runs, and is not about to start or stop; if its guest alone answered, it does."""
        if self.machine is None and self.inside is not None:
            return True
        state = known(self.vm.state, "The state of the virtual machine: the host gave no value.")
        return state.removesuffix("Critical") == "Running"

    # -- a service -------------------------------------------------------------------------------------------------

    @property
    def kinds_on_host(self) -> tuple[ServiceKind, ...]:
        """The services that the host lists and this package knows."""
        return tuple(state.kind for state in known(self.machine, _HOST_NOT_ASKED).services if state.kind is not None)

    def on_host(self, kind: ServiceKind) -> ServiceState:
        """What the host says of a service."""
        for state in known(self.machine, _HOST_NOT_ASKED).services:
            if state.kind is kind:
                return state
        raise InapplicableError

    def in_guest(self, kind: ServiceKind) -> GuestServiceState:
        """What the guest says of a service."""
        for state in known(self.inside, _GUEST_NOT_ASKED).services:
            if state.kind is kind:
                return state
        raise InapplicableError

    def is_enabled(self, kind: ServiceKind) -> bool:
        """Whether it is enabled on the host: as the host says, or where that was not asked, as the guest sees it."""
        if self.machine is None:
            return known(self.in_guest(kind).offered, _HOST_NOT_ASKED)
        return known(self.on_host(kind).enabled, f"Whether {kind.label} is enabled: the host gave no value.")

    def serves(self, kind: ServiceKind) -> bool | None:
        """Whether the guest serves it, as far as that is known: it runs, and nothing is missing."""
        if self.inside is None:
            return None
        try:
            state = self.in_guest(kind)
        except InapplicableError:
            return None
        if state.running and (state.device is False or state.offered is False):
            return False
        return state.running

    # -- time ------------------------------------------------------------------------------------------------------

    @property
    def has_just_started(self) -> bool:
        """Whether the virtual machine was started a short while before the host was asked."""
        uptime = known(self.vm.uptime, "How long the virtual machine has been running: the host gave no value.")
        return uptime < SOON.total_seconds()

    def was_just_begun(self, kind: ServiceKind) -> bool:
        """Whether the service was switched on or started a short while before the host was asked."""
        return self._was_just_changed(kind, self.on_host(kind).read_at, _begins)

    def was_just_stopped(self, kind: ServiceKind) -> bool:
        """Whether the service was stopped in the guest a short while before the guest was asked."""
        return self._was_just_changed(kind, self.in_guest(kind).read_at, _stops)

    def _was_just_changed(self, kind: ServiceKind, asked: datetime, fits: Callable[[_Change], bool]) -> bool:
        return any(
            timedelta(0) <= asked - change.state.read_at < SOON
            for change in self.changes
            if change.kind is kind
            and change.outcome in {ChangeOutcome.CHANGED, ChangeOutcome.CONFIRMED}
            and change.state is not None
            and fits(change)
            and (isinstance(change, GuestChange) or self.machine is None or change.vm_id == self.vm.id)
        )


def _begins(change: _Change) -> bool:
    return change.enable if isinstance(change, ServiceChange) else change.action in {"start", "restart", "install"}


def _stops(change: _Change) -> bool:
    return isinstance(change, GuestChange) and change.action == "stop"
