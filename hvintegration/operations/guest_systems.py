"""What is asked of guests and told of them, whatever their system; and what a family of systems has of its own."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import attrs

from hvintegration.calls.answer import Answer, ErrorEntry
from hvintegration.calls.decoding import Json, JsonObject, list_field
from hvintegration.calls.operation import Operation
from hvintegration.calls.refusals import Refusal, own_failure, short_id
from hvintegration.credential import Credential
from hvintegration.errors import AuthenticationError, DecodeError, Hint, HvError, InvalidStateError, UnsupportedError
from hvintegration.guest_models import GuestChange, GuestFamily, GuestInfo, GuestServiceState, Startup
from hvintegration.models import ChangeOutcome
from hvintegration.service_kind import ServiceKind
from hvintegration.values import Failure

__all__ = [
    "ANOTHER_MACHINE",
    "CHANGE_UNDER_WAY",
    "FREEBSD",
    "LINUX",
    "PROCESSES_HIDDEN",
    "SHOW_PROCESSES",
    "WINDOWS",
    "Change",
    "GuestAction",
    "GuestRecords",
    "GuestSystem",
    "GuestTarget",
    "Report",
    "Told",
    "another_machine",
    "change_of",
    "failed",
    "kept_from_starting",
    "offer_it",
    "own",
    "refusal_of",
    "reports_of",
    "state_of",
    "switch_it",
    "windows_only",
]

ANOTHER_MACHINE: Final = "AnotherVirtualMachine"
"""Error id of the package's own scripts: the guest is not the virtual machine that it should be."""

CHANGE_UNDER_WAY: Final = "ChangeUnderWay"
PROCESSES_HIDDEN: Final = "ProcessesHidden"
SHOW_PROCESSES: Final = Hint.of(
    "Ask as root, or with {}; where that does not help either, mount /proc in the guest.",
    Hint("sudo_password=...", "--sudo"),
)
"""Likewise: nothing was done, since another change is being made there; perhaps that of a call that got lost."""


WINDOWS: Final = "a Windows guest of Hyper-V"
LINUX: Final = "a Linux guest of Hyper-V"
FREEBSD: Final = "a FreeBSD guest of Hyper-V"
"""What a machine is not where something needs one: ``needs`` of an UnsupportedError."""


class GuestAction(enum.StrEnum):
    """What can be done to a service inside a guest."""

    START = "start"
    STOP = "stop"
    AUTOMATIC = "automatic"
    MANUAL = "manual"
    DISABLED = "disabled"

    @property
    def is_startup(self) -> bool:
        """Whether it is about how the service comes to run."""
        return self not in {GuestAction.START, GuestAction.STOP}


@attrs.define(eq=False)
class GuestTarget:
    """Which guest is meant, and what must stay as it is there.

    Attributes:
        vm_id: GUID of the virtual machine that it has to be, lower case without braces; None for any.
        carrier: The service that the connection itself runs on, which is not to be stopped over it; None for none.
        family: What kind of system it is; None as long as that is not known.
        sudo: The password that sudo asks for there, behind a name that means nothing; None if there is none.
        sudo_refusal: The error of when sudo refused that password, which is not tried again; None if it did not.
    """

    vm_id: str | None = None
    carrier: ServiceKind | None = None
    family: GuestFamily | None = None
    sudo: Credential | None = None
    sudo_refusal: AuthenticationError | None = None


@attrs.frozen
class Change:
    """A change of a service in a guest: what shall be so.

    Attributes:
        kind: Which service.
        action: What is to be done.
        then_start: Whether it is stopped to be started: then one that cannot be started is not stopped.
    """

    kind: ServiceKind
    action: GuestAction
    then_start: bool = attrs.field(default=False, eq=False)

    @property
    def needs_to_start(self) -> bool:
        """Whether it comes to nothing where the service cannot be started."""
        return self.then_start or self.action is GuestAction.START

    def __str__(self) -> str:
        if self.action.is_startup:
            return f"set the startup of {self.kind.label} to {self.action}"
        return f"{self.action} {self.kind.label}"


@attrs.frozen
class GuestRecords:
    """What an answer says of a guest.

    Attributes:
        answer: Where it is from.
        family: What kind of system it is.
        vm_id: Which virtual machine the guest takes itself for; None if it does not know.
        services: Its services.
        failures: What could not be read.
        info: The guest itself, if it was asked for.
    """

    answer: Answer
    family: GuestFamily
    vm_id: str | None
    services: tuple[GuestServiceState, ...]
    failures: tuple[Failure, ...]
    info: GuestInfo | None = None


@attrs.frozen
class Report:
    """What an answer says of one change.

    Attributes:
        found: Whether there is such a service.
        state: How it was before.
        startup: How it came to run before.
        begun: Whether its cmdlet was called.
        error: What went wrong.
    """

    found: bool
    state: str | None = None
    startup: Startup | None = None
    begun: bool = False
    error: ErrorEntry | None = None


@attrs.frozen
class Told:
    """What an answer says of each change, and how the guest is after all of them."""

    reports: Mapping[Change, Report]
    records: GuestRecords


class GuestSystem(Protocol):
    """What a family of systems has of its own: how its services are asked for, and what is said of them."""

    @property
    def family(self) -> GuestFamily:
        """Which family."""
        ...

    def read(self, target: GuestTarget, *, info: bool) -> Operation[GuestRecords]:
        """The guest and its services: one round trip.

        Raises:
            UnsupportedError: It is no guest of this family.
            RemoteError: It refused.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        ...

    def change(self, changes: Sequence[Change], target: GuestTarget, *, dry_run: bool) -> Operation[Told]:
        """Make *changes*, or say what would be made: one round trip.

        Raises:
            RemoteError: It refused all of it.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape; ``address`` says whose it is.
        """
        ...

    def refuse(self, change: Change) -> None:
        """See to it that there can be such a change at all.

        Raises:
            UnsupportedError: There cannot; it says why.
        """
        ...

    def is_started(self, state: GuestServiceState) -> bool | None:
        """Whether it runs; None while that is under way, or where it could not be read."""
        ...

    def is_stopped(self, state: GuestServiceState) -> bool | None:
        """Whether it has stopped, likewise: what is paused neither runs nor has stopped."""
        ...

    def is_under_way(self, state: GuestServiceState) -> bool:
        """Whether it is starting or stopping."""
        ...

    def why_not(self, change: Change, state: GuestServiceState) -> str:
        """Why a change that was begun shows no effect, in a sentence."""
        ...

    def cannot(self, change: Change, state: GuestServiceState) -> HvError:
        """The exception for what cannot be by the state alone: it is not installed, or disabled."""
        ...

    def error(self, change: Change, made: GuestChange) -> HvError:
        """The exception for a change that failed, or whose state after could not be read."""
        ...


def state_of(records: GuestRecords, kind: ServiceKind) -> GuestServiceState:
    """The state of *kind* among *records*.

    Raises:
        UnsupportedError: No guest of this family has it.
    """
    for state in records.services:
        if state.kind is kind:
            return state
    raise windows_only(kind, records.answer.address)


def windows_only(kind: ServiceKind, address: str = "") -> UnsupportedError:
    """The exception where *kind* is looked for in a guest of another family."""
    return UnsupportedError(f"{kind.label} is there in Windows guests only.", address=address, needs=WINDOWS)


def change_of(result: GuestChange) -> Change:
    """The change that *result* is of."""
    return Change(result.kind, GuestAction(result.action))


def failed(change: Change, address: str) -> GuestChange:
    """A change of which nothing is known but that it was not made."""
    return GuestChange(
        address=address,
        kind=change.kind,
        action=change.action.value,
        outcome=ChangeOutcome.FAILED,
        before=None,
        state=None,
        error=None,
    )


def own(message: str, address: str) -> Failure:
    """What the package itself says went wrong."""
    return own_failure(message, address=address, vm_id=None, vm_name=None)


def reports_of(
    result: JsonObject,
    answer: Answer,
    changes: Sequence[Change],
    target: GuestTarget,
    report: Callable[[Json, str, ErrorEntry | None], Report],
) -> dict[Change, Report]:
    """What an answer says of each change.

    Args:
        result: Its result.
        answer: The answer, whose errors about a change have its index as target.
        changes: What was asked for, in order.
        target: Which guest was meant.
        report: Reads what is said of one change: its entry, where that is, and what went wrong with it.

    Raises:
        InvalidStateError: Another machine answers, and has changed nothing.
        DecodeError: The result has another shape; it says where.
    """
    for entry in answer.errors:
        if short_id(entry.id) == ANOTHER_MACHINE:
            raise another_machine(answer.address, entry.target_object or entry.message, target)
    entries = list_field(result, "changes", "$.result")
    if len(entries) != len(changes):
        raise DecodeError(path="$.result.changes", expected=f"{len(changes)} entries", found=str(len(entries)))
    said = {entry.target: entry for entry in answer.errors}
    return {
        change: report(entry, f"$.result.changes[{index}]", said.get(str(index)))
        for index, (change, entry) in enumerate(zip(changes, entries, strict=True))
    }


def refusal_of(change: Change, made: GuestChange) -> Refusal:
    """What a guest said against a change."""
    assert made.error is not None
    return Refusal(
        address=made.address,
        error_id=made.error.error_id,
        category=made.error.category,
        message=made.error.message,
        doing=str(change),
        target_object=made.error.target,
    )


def kept_from_starting(kind: ServiceKind, address: str, why: str) -> InvalidStateError:
    """The exception for a service whose startup is disabled; *why* ends the sentence."""
    start = str(Change(kind, GuestAction.START))
    return InvalidStateError(
        f"{address} cannot {start}: {why}.",
        address=address,
        action=start,
        current=Startup.DISABLED.value,
        expected=Startup.MANUAL.value,
        hint=Hint.of(
            "Allow it first: {}.",
            Hint('service.set_startup("manual")', "'hvintegration guest startup SERVICE manual'"),
        ),
    )


def another_machine(address: str, found: str | None, target: GuestTarget) -> InvalidStateError:
    """The exception where another machine answers than the one that is meant."""
    return InvalidStateError(
        f"{address} is not the virtual machine {target.vm_id}, but {found}. Nothing was changed.",
        address=address,
        action="reach the guest",
        current=found or "",
        expected=target.vm_id or "",
        hint="Give the address of the virtual machine that is meant.",
    )


def offer_it(kind: ServiceKind) -> str | None:
    """How the host comes to offer a service, if it has a switch for that."""
    if not kind.managed_by_host:
        return None
    return Hint.of("Enable it on the host: {}.", _switch(kind, "enable"))


def switch_it(change: Change) -> str:
    """Where the switch is for what cannot be changed in the guest."""
    return Hint.of("Use the host's switch: {}.", _switch(change.kind, _SWITCH[change.action]))


_SWITCH: Final = {
    GuestAction.START: "enable",
    GuestAction.STOP: "disable",
    GuestAction.AUTOMATIC: "enable",
    GuestAction.MANUAL: "enable",
    GuestAction.DISABLED: "disable",
}


def _switch(kind: ServiceKind, verb: str) -> Hint:
    return Hint(f'vm.services["{kind.label}"].{verb}()', f"'hvintegration {verb} \"{kind.label}\" VM'")
