"""Installing the daemon of a service in a Linux guest: begun once, waited for, and looked at."""

from __future__ import annotations

import shlex
from typing import Final

import attrs

from hvintegration.calls.answer import Answer, ErrorEntry
from hvintegration.calls.decoding import OptionalFields
from hvintegration.calls.operation import INTERRUPTED_CHANGE, DeadlineReached, Operation, Sleep
from hvintegration.calls.refusals import Refusal, remote_error, result_of, short_id
from hvintegration.errors import (
    CommandFailedError,
    HvError,
    InvalidStateError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RemoteError,
    TransportError,
    TransportTimeoutError,
    UnsupportedError,
    WaitTimeoutError,
    excerpt,
)
from hvintegration.guest_models import GuestChange, GuestFamily, GuestServiceState
from hvintegration.linux_distributions import DAEMON_KINDS
from hvintegration.models import ChangeOutcome
from hvintegration.operations.guest_systems import (
    ANOTHER_MACHINE,
    CHANGE_UNDER_WAY,
    LINUX,
    PROCESSES_HIDDEN,
    SHOW_PROCESSES,
    GuestTarget,
    another_machine,
    state_of,
    windows_only,
)
from hvintegration.operations.guests import read_guest_service, start_after
from hvintegration.operations.linux_calls import ask_linux
from hvintegration.operations.linux_facts import LinuxFacts, decode_facts, looked_for
from hvintegration.operations.linux_states import how_to_install, install_command, records_of
from hvintegration.operations.settling import FIRST_PAUSE, LONGEST_PAUSE, SENDS
from hvintegration.scripts import SH_INSTALL_PACKAGE
from hvintegration.service_kind import ServiceKind

__all__ = ["INSTALL", "LOG", "install_guest_service"]

INSTALL: Final = "install"
"""What the action is called."""

LOG: Final = "/run/hvintegration/log"
"""Where the guest has what its package manager wrote; for root only."""


@attrs.frozen
class _Seen:
    """What a guest says of installing.

    Attributes:
        facts: The guest.
        state: The service.
        installing: Number of the process that installs something; None if there is none.
        ended: How the last one ended; None if that is not known.
        said: The last of what it wrote.
    """

    facts: LinuxFacts
    state: GuestServiceState
    installing: int | None
    ended: int | None
    said: str | None


_FIELDS: Final = OptionalFields(installing=int, ended=int, said=str)


def install_guest_service(target: GuestTarget, kind: ServiceKind, *, dry_run: bool) -> Operation[GuestChange]:
    """Install its daemon, unless it is there, and see that it runs: two round trips, and one for each look."""
    state = yield from read_guest_service(target, kind)  # Which also says what system it is.
    address = state.address
    if target.family is not GuestFamily.LINUX:
        raise UnsupportedError(
            f"{address} is no Linux guest: integration services come with Windows and its updates.",
            address=address,
            needs=LINUX,
        )
    if kind not in DAEMON_KINDS:
        raise (
            windows_only(kind, address)
            if state.kind is None
            else UnsupportedError(
                f"In a Linux guest {kind.label} is part of the kernel's driver: there is nothing to install.",
                address=address,
                needs="a service that a daemon serves",
            )
        )
    seen = yield from _look(target, kind, (), dry_run=True)
    command: tuple[str, ...] = ()
    before = "installed"
    # Files are there before their package manager is at its end.
    if not seen.state.installed or seen.installing is not None:
        before = "not installed"
        command = _command(kind, seen, address)
        if not dry_run:
            seen = yield from _install(target, kind, seen, command)
    start = not _runs_or_cannot(seen.state)
    outcome = ChangeOutcome.CHANGED if command or start else ChangeOutcome.UNCHANGED
    if dry_run and outcome is ChangeOutcome.CHANGED:
        outcome = ChangeOutcome.WOULD_CHANGE
    state = seen.state
    if start and not dry_run:
        done = f"{kind.label} was installed." if command else f"{kind.label} was installed before."
        state = yield from start_after(target, kind, state, done)
    return GuestChange(
        address=address,
        kind=kind,
        action=INSTALL,
        outcome=outcome,
        before=before,
        state=state,
        error=None,
        command=shlex.join(command) if command else None,
    )


def _runs_or_cannot(state: GuestServiceState) -> bool:
    """Whether there is nothing to start: it runs, as far as that can be seen, or the host does not offer it."""
    return state.running is not False or state.offered is False or state.device is False


def _install(target: GuestTarget, kind: ServiceKind, seen: _Seen, command: tuple[str, ...]) -> Operation[_Seen]:
    """Have it installed, or wait for who does that already."""
    if seen.installing is None:
        seen = yield from _begin(target, kind, command)
    seen = yield from _wait(target, kind, seen)
    if seen.state.installed:
        return seen
    address = seen.state.address
    how = "ended" if seen.ended is None else f"ended with status {seen.ended}"
    raise CommandFailedError(
        f"{address} failed to install {kind.label}: its package manager {how},"
        f" and the daemon is not there: {excerpt((seen.said or 'it wrote nothing').strip()[-400:])}",
        address=address,
        host_message=(seen.said or "")[-400:],
        hint=f"All that it wrote is in {LOG} there, for root.",
    )


def _command(kind: ServiceKind, seen: _Seen, address: str) -> tuple[str, ...]:
    command = install_command(kind, seen.facts)
    if command is not None:
        return command
    why = how_to_install(kind, seen.facts)
    name = seen.facts.os_release.get("PRETTY_NAME") or "this distribution"
    raise UnsupportedError(
        f"{address} cannot install {kind.label}: {why or f'which package of {excerpt(name)} has it is not known.'}",
        address=address,
        needs="a package that is known to have it",
        hint=None if why else "Install what its distribution has for Hyper-V guests by hand.",
    )


def _begin(target: GuestTarget, kind: ServiceKind, command: tuple[str, ...]) -> Operation[_Seen]:
    """Have it begun once. Where the answer gets lost, it is looked at; asking again begins no second one beside it."""
    for sent in range(1, SENDS + 1):
        try:
            return (yield from _look(target, kind, command, dry_run=False))
        except TransportError as lost:
            if not lost.may_have_run:
                raise
            try:
                seen = yield from _look(target, kind, (), dry_run=True)
            except (HvError, DeadlineReached) as error:
                raise _unknown(kind, lost, str(error) or "there was no time left to look") from lost
            if seen.installing is not None or seen.state.installed:
                return seen
            if not lost.fenced or sent == SENDS:
                raise _unknown(kind, lost, "nothing is being installed, but what was sent may still begin it") from lost
    raise AssertionError(SENDS)


def _unknown(kind: ServiceKind, lost: TransportError, reason: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(address=lost.address, asked=(f"install {kind.label}",), reason=reason)


def _wait(target: GuestTarget, kind: ServiceKind, seen: _Seen) -> Operation[_Seen]:
    """Look until nothing is being installed any more."""
    pause = FIRST_PAUSE
    try:
        while seen.installing is not None:
            yield Sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            seen = yield from _look(target, kind, (), dry_run=True)
    except (DeadlineReached, TransportTimeoutError) as end:
        raise WaitTimeoutError(
            f"{kind.label} of {seen.state.address} is still being installed there, by process {seen.installing}.",
            wanted="installed",
            last=seen.state,
            hint=f"It goes on; what it writes is in {LOG} there, for root. Ask again to wait for its end.",
        ) from end
    except (Exception, KeyboardInterrupt) as error:
        error.add_note(
            f"{INTERRUPTED_CHANGE} {seen.state.address} goes on: {kind.label} is being installed there, by process"
            f" {seen.installing}. Ask again to wait for its end."
        )
        raise
    return seen


def _look(target: GuestTarget, kind: ServiceKind, command: tuple[str, ...], *, dry_run: bool) -> Operation[_Seen]:
    document = looked_for() | {"vm_id": target.vm_id, "dry_run": dry_run, "command": " ".join(command)}
    answer = yield from ask_linux(SH_INSTALL_PACKAGE, document, target, dry_run=dry_run)
    result = result_of(answer, f"install {kind.label}", remote_error)
    for entry in answer.errors:
        raise _error(kind, entry, answer, target)
    facts = decode_facts(result, "$.result")
    installing, ended, said = _FIELDS.read(result, "$.result")
    records = records_of(facts, answer, GuestFamily.LINUX, info=False)
    return _Seen(facts, state_of(records, kind), installing, ended, said)


def _error(kind: ServiceKind, entry: ErrorEntry, answer: Answer, target: GuestTarget) -> RemoteError:
    address, error_id = answer.address, short_id(entry.id)
    if error_id == ANOTHER_MACHINE:
        return another_machine(address, entry.target_object or entry.message, target)
    if error_id == "RightsMissing":
        return PermissionDeniedError(
            f"{address} does not let this user install {kind.label}.",
            address=address,
            error_id=entry.id,
            category=entry.category,
            hint=f"As root, run: {entry.message}",
        )
    if error_id == CHANGE_UNDER_WAY:
        busy = InvalidStateError(
            f"{address} cannot install {kind.label} now: process {excerpt(entry.message)} there is making a change.",
            address=address,
            action=f"install {kind.label}",
            error_id=entry.id,
            category=entry.category,
            hint="Ask again once that is over.",
        )
        busy.retryable = True
        return busy
    refused = remote_error(Refusal.of(entry, address=address, doing=f"install {kind.label}"))
    if error_id == PROCESSES_HIDDEN:
        refused.hint = SHOW_PROCESSES
    return refused
