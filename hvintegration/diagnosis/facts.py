"""The facts that rules are given, and how a rule says that it lacks one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, TypeVar

import attrs

from hvintegration.guest_models import GuestChange, GuestFamily, GuestInfo, GuestInventory, GuestServiceState
from hvintegration.models import (
    STATES_WITHOUT_GUEST,
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
        """Whether something can run inside, according to the host; if the guest answered, it can."""
        if self.machine is None and self.inside is not None:
            return True
        state = known(self.vm.state, "The state of the virtual machine: the host gave no value.")
        return state.removesuffix("Critical") not in STATES_WITHOUT_GUEST

    # -- a service -------------------------------------------------------------------------------------------------

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

    def was_just_changed(self, kind: ServiceKind) -> bool:
        """Whether the service was switched on or started a short while before the host was asked."""
        asked = self.on_host(kind).read_at
        return any(
            change.kind is kind and _began(change) and _time_of(change, asked) <= asked < _time_of(change, asked) + SOON
            for change in self.changes
            if isinstance(change, GuestChange) or change.vm_id == self.vm.id
        )


def _began(change: ServiceChange | GuestChange) -> bool:
    if change.outcome not in {ChangeOutcome.CHANGED, ChangeOutcome.CONFIRMED}:
        return False
    return change.enable if isinstance(change, ServiceChange) else change.action in {"start", "restart"}


def _time_of(change: ServiceChange | GuestChange, otherwise: datetime) -> datetime:
    return otherwise + SOON if change.state is None else change.state.read_at
