"""Looking at the way to a host's virtual machines step by step: which steps there are, and what follows from each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypeAlias, TypeVar

from hvintegration.calls.operation import Operation
from hvintegration.clock import Clock, Deadline
from hvintegration.errors import HvError, RemoteError, UnsupportedError
from hvintegration.models import CheckOutcome, CheckStep, HostInfo
from hvintegration.operations.hosts import read_host
from hvintegration.operations.refusals import HYPERV_MODULE
from hvintegration.operations.vms import VMRecords, list_vms, read_one

__all__ = ["HostSteps", "NothingToLookAt", "take"]

T = TypeVar("T")

Look: TypeAlias = Callable[[Deadline], str]
"""Takes a step before a deadline and answers what it found."""

RIGHTS_HINT: Final = (
    "Make this user a member of the host's group Hyper-V Administrators (SID S-1-5-32-578); over WinRM, users who are"
    " no administrators also need Remote Management Users (SID S-1-5-32-580). Administrators need an elevated session."
)


class NothingToLookAt(Exception):  # noqa: N818 - an event for `take`, not an error for callers
    """A step has nothing to look at, which is no failure."""


class Ask(Protocol):
    """Drives an operation, before a deadline."""

    def __call__(self, operation: Operation[T], deadline: Deadline, /) -> T:
        """What the operation answers; raises what it raises."""
        ...


def take(steps: Iterable[tuple[str, Look]], deadline: Deadline, clock: Clock) -> tuple[CheckStep, ...]:
    """Take *steps* in order until one fails or the time is up; the others are skipped."""
    taken: list[CheckStep] = []
    failed: str | None = None

    for name, look in steps:
        started = clock.monotonic()
        outcome, detail, hint = CheckOutcome.OK, "", None
        if failed is not None:
            outcome, detail = CheckOutcome.SKIPPED, f"It needs the step {failed!r}."
        elif not deadline.left():
            outcome, detail = CheckOutcome.FAILED, f"The {deadline.given:g} seconds were over."
            hint = "Give the check more time."
        else:
            try:
                detail = look(deadline)
            except NothingToLookAt as nothing:
                outcome, detail = CheckOutcome.SKIPPED, str(nothing)
            except HvError as error:
                outcome, detail, hint = CheckOutcome.FAILED, str(error), error.hint
        if outcome is CheckOutcome.FAILED:
            failed = name
        taken.append(
            CheckStep(name=name, outcome=outcome, detail=detail, hint=hint, seconds=clock.monotonic() - started)
        )
    return tuple(taken)


class HostSteps:
    """The steps beyond the transport's, found out with at most three round trips. Each needs those before it.

    Args:
        ask: How to ask the host.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._info: HostInfo | RemoteError | None = None
        self._vms: VMRecords | None = None

    def steps(self) -> tuple[tuple[str, Look], ...]:
        """Their names, and what takes them."""
        return (
            ("answer", self._answer),
            ("module", self._module),
            ("rights", self._rights),
            ("language mode", self._language_mode),
            ("virtual machines", self._virtual_machines),
            ("services", self._services),
        )

    def _answer(self, deadline: Deadline) -> str:
        try:
            self._info = info = self._ask(read_host(), deadline)
        except UnsupportedError as error:
            if error.needs != HYPERV_MODULE:
                raise
            self._info = error
        except RemoteError as error:
            self._info = error
        else:
            powershell = f"PowerShell {info.powershell_version} ({info.powershell_edition})"
            return f"{info.name}, {powershell}" if info.name is not None else powershell
        return "The host answers."

    def _module(self, _deadline: Deadline) -> str:
        if isinstance(self._info, UnsupportedError):
            raise self._info
        version = self._info.module_version if isinstance(self._info, HostInfo) else None
        return f"Hyper-V {version}" if version is not None else "Hyper-V"

    def _rights(self, _deadline: Deadline) -> str:
        if isinstance(self._info, RemoteError):
            if self._info.category == "PermissionDenied":
                self._info.hint = RIGHTS_HINT
            raise self._info
        return "This user may manage Hyper-V."

    def _language_mode(self, _deadline: Deadline) -> str:
        assert isinstance(self._info, HostInfo)
        return self._info.language_mode

    def _virtual_machines(self, deadline: Deadline) -> str:
        self._vms = self._ask(list_vms(), deadline)
        unread = len(self._vms.errors)
        return f"{len(self._vms.vms)} can be seen" + (f", {unread} cannot be read" if unread else "")

    def _services(self, deadline: Deadline) -> str:
        assert self._vms is not None
        if not self._vms.vms:
            raise NothingToLookAt("There is no virtual machine whose services could be read.")
        first = self._vms.vms[0]
        record = self._ask(read_one(first.id, services=True), deadline)
        assert record.services is not None
        return f"{first.name} has {len(record.services)}"
