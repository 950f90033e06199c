"""Linux guests, and those of FreeBSD as far as they can be read: questions, changes, and what is said of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from hvintegration.calls.answer import Answer, ErrorEntry
from hvintegration.calls.decoding import Json, as_object, flag, optional_flag
from hvintegration.calls.operation import Operation
from hvintegration.calls.refusals import remote_error, result_of
from hvintegration.errors import (
    DecodeError,
    HvError,
    InvalidStateError,
    PermissionDeniedError,
    ServiceNotFoundError,
    UnsupportedError,
    excerpt,
)
from hvintegration.guest_models import GuestChange, GuestFamily, GuestServiceState, Startup
from hvintegration.linux_distributions import DAEMON_KINDS, known_names
from hvintegration.models import ChangeOutcome
from hvintegration.operations.guest_systems import (
    CHANGE_UNDER_WAY,
    FREEBSD,
    LINUX,
    PROCESSES_HIDDEN,
    SHOW_PROCESSES,
    WINDOWS,
    Change,
    GuestAction,
    GuestRecords,
    GuestSystem,
    GuestTarget,
    Report,
    Told,
    kept_from_starting,
    offer_it,
    refusal_of,
    reports_of,
    switch_it,
    windows_only,
)
from hvintegration.operations.linux_calls import ask_linux
from hvintegration.operations.linux_facts import decode_facts, looked_for, names_of
from hvintegration.operations.linux_states import DRIVER_KINDS, FAMILIES, NOT_INSTALLED, records_of
from hvintegration.scripts import SH_GET_GUEST, SH_SET_GUEST_SERVICES

__all__ = ["FREEBSD_GUESTS", "LINUX_GUESTS"]


class _LinuxGuests:
    """The family of Linux: :class:`~hvintegration.operations.guest_systems.GuestSystem`."""

    family = GuestFamily.LINUX

    def read(self, target: GuestTarget, *, info: bool) -> Operation[GuestRecords]:
        answer = yield from ask_linux(SH_GET_GUEST, looked_for(available=info), target)
        facts = decode_facts(result_of(answer, "read the guest", remote_error), "$.result")
        family = FAMILIES.get(facts.kernel or "")
        if family is None or target.family not in {None, family}:
            raise UnsupportedError(
                f"{answer.address} runs {facts.kernel or 'an unknown system'}, no {_NAMES[self.family]}.",
                address=answer.address,
                needs=_NEEDS[self.family],
            )
        return records_of(facts, answer, family, info=info)

    def change(self, changes: Sequence[Change], target: GuestTarget, *, dry_run: bool) -> Operation[Told]:
        document = looked_for() | {
            "vm_id": target.vm_id,
            "dry_run": dry_run,
            "changes": " ".join(f"{change.kind.key}:{_asked(change)}" for change in changes),
        }
        for kind in DAEMON_KINDS:
            names = names_of(kind) | {"executables": " ".join(known_names(kind).executables)}
            document |= {f"{kind.key}_{key}": text for key, text in names.items()}
        answer = yield from ask_linux(SH_SET_GUEST_SERVICES, document, target, dry_run=dry_run)
        try:
            return _told(answer, changes, target)
        except DecodeError as error:
            error.address = answer.address
            raise

    def refuse(self, change: Change) -> None:
        if change.kind in DRIVER_KINDS:
            raise UnsupportedError(
                f"In a Linux guest {change.kind.label} is part of the kernel's driver: nothing there can {change}.",
                address="",
                needs=WINDOWS,
                hint=switch_it(change),
            )
        if change.kind not in DAEMON_KINDS:
            raise windows_only(change.kind)

    def is_started(self, state: GuestServiceState) -> bool | None:
        return state.running

    def is_stopped(self, state: GuestServiceState) -> bool | None:
        return None if state.running is None else not state.running

    def is_under_way(self, state: GuestServiceState) -> bool:
        status = state.status or ""
        return status.startswith(("activating (", "deactivating (")) and "auto-restart" not in status

    def why_not(self, change: Change, state: GuestServiceState) -> str:
        if change.action is GuestAction.START:
            return state.cannot_start or f"Its daemon was started, and ended: it is {state.status or 'gone'}."
        if change.action is GuestAction.STOP:
            return "Its daemon did not end, or was started again."
        return f"Its startup is {state.startup or 'not known'}."

    def cannot(self, change: Change, state: GuestServiceState) -> HvError:
        if state.installed is False:
            return ServiceNotFoundError(
                f"{state.address} has no daemon of {change.kind.label}: it is not installed.",
                address=state.address,
                hint=(state.cannot_start or "").removeprefix(NOT_INSTALLED).strip() or None,
            )
        return kept_from_starting(change.kind, state.address, "its unit is masked")

    def error(self, change: Change, made: GuestChange) -> HvError:
        state, error = made.state, made.error
        assert error is not None
        if error.error_id == _RIGHTS_MISSING:
            return PermissionDeniedError(
                f"{made.address} does not let this user {change}.",
                address=made.address,
                error_id=error.error_id,
                category=error.category,
                hint=error.message,
            )
        if error.error_id == CHANGE_UNDER_WAY:
            busy = InvalidStateError(
                f"{made.address} cannot {change} now: {_in_a_sentence(error.message)}",
                address=made.address,
                action=str(change),
                error_id=error.error_id,
                category=error.category,
                hint="Ask again once that is over.",
            )
            busy.retryable = True
            return busy
        if error.error_id == _NO_STARTUP:
            return UnsupportedError(
                f"{made.address} cannot {change}: {_in_a_sentence(error.message)}",
                address=made.address,
                error_id=error.error_id,
                category=error.category,
                needs="an init system that can",
            )
        if state is not None and made.outcome is ChangeOutcome.FAILED:
            masked = change.needs_to_start and state.startup is Startup.DISABLED
            if state.installed is False or (masked and not error.error_id):
                return self.cannot(change, state)
            if error.error_id in {"", _DAEMON_ENDED, _DEVICE_HELD}:
                offered = state.offered is not False
                # What is known to be against it says more than what its daemon noticed of that.
                reason = state.cannot_start if error.error_id == _DAEMON_ENDED else None
                return InvalidStateError(
                    f"{made.address} failed to {change}: {_in_a_sentence(reason or error.message)}",
                    address=made.address,
                    action=str(change),
                    current=state.status or "",
                    error_id=error.error_id,
                    category=error.category,
                    host_message=error.message if error.error_id else "",
                    expected="" if offered else "enabled on the host",
                    hint=None if offered else offer_it(change.kind),
                )
        refused = remote_error(refusal_of(change, made))
        if error.error_id == PROCESSES_HIDDEN:
            refused.hint = SHOW_PROCESSES
        return refused


_RIGHTS_MISSING: Final = "RightsMissing"
_NO_STARTUP: Final = "NoStartup"
_NOT_THERE: Final = "ServiceNotInstalled"
_DAEMON_ENDED: Final = "DaemonEnded"
_DEVICE_HELD: Final = "DeviceHeld"


def _asked(change: Change) -> str:
    """What the script is told to do."""
    return "stop_to_start" if change.then_start else change.action.value


def _in_a_sentence(text: str) -> str:
    return text[:1].lower() + text[1:]


def _told(answer: Answer, changes: Sequence[Change], target: GuestTarget) -> Told:
    result = result_of(answer, "change integration services", remote_error)
    reports = reports_of(result, answer, changes, target, _report)
    return Told(reports, records_of(decode_facts(result, "$.result"), answer, GuestFamily.LINUX, info=False))


def _report(entry: Json, path: str, error: ErrorEntry | None) -> Report:
    done = as_object(entry, path)
    was = optional_flag(done, "was", path)
    state = None if was is None else "running" if was else "not running"
    found = error is None or error.id != _NOT_THERE
    return Report(found=found, state=state, begun=flag(done, "begun", path), error=_said(error))


def _said(error: ErrorEntry | None) -> ErrorEntry | None:
    """What a script says of a change, in sentences; the message of some errors is only what makes the difference."""
    if error is None or error.id == _NOT_THERE:
        return None
    if error.id == _RIGHTS_MISSING:
        return attrs.evolve(error, message=f"As root, run: {error.message}")
    if error.id == CHANGE_UNDER_WAY:
        return attrs.evolve(error, message=f"Process {excerpt(error.message)} there is making another change.")
    if error.id == _DAEMON_ENDED:
        return attrs.evolve(error, message=f"Its daemon was started, and ended: {excerpt(error.message)}")
    return error


class _FreeBsdGuests(_LinuxGuests):
    """The family of FreeBSD, of which too little is known to change anything."""

    family = GuestFamily.FREEBSD

    def refuse(self, change: Change) -> None:
        raise UnsupportedError(
            f"In a FreeBSD guest integration services are only read: this package does not {change}.",
            address="",
            needs=f"{LINUX}, or one of Windows",
            hint=switch_it(change) if change.kind.managed_by_host else None,
        )


LINUX_GUESTS: Final[GuestSystem] = _LinuxGuests()
"""The family of Linux."""

FREEBSD_GUESTS: Final[GuestSystem] = _FreeBsdGuests()
"""The family of FreeBSD."""

_NAMES: Final = {GuestFamily.LINUX: "Linux", GuestFamily.FREEBSD: "FreeBSD"}
_NEEDS: Final = {GuestFamily.LINUX: LINUX, GuestFamily.FREEBSD: FREEBSD}
