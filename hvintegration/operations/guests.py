"""Questions about a guest and its integration services, and starting and stopping these, whatever system it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from hvintegration.calls.operation import DeadlineReached, Operation, SessionClosed, Sleep
from hvintegration.calls.refusals import failure_of
from hvintegration.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    Hint,
    HvError,
    TransportTimeoutError,
    UnsupportedError,
    UntrustedHostError,
    WaitTimeoutError,
    excerpt,
)
from hvintegration.guest_models import GuestChange, GuestFamily, GuestInfo, GuestInventory, GuestServiceState, Startup
from hvintegration.models import ChangeOutcome
from hvintegration.operations.guest_systems import (
    CHANGE_UNDER_WAY,
    WINDOWS,
    Change,
    GuestAction,
    GuestRecords,
    GuestSystem,
    GuestTarget,
    Report,
    another_machine,
    change_of,
    failed,
    own,
    state_of,
)
from hvintegration.operations.linux_guests import FREEBSD_GUESTS, LINUX_GUESTS
from hvintegration.operations.settling import FIRST_PAUSE, LONGEST_PAUSE, Loss, make_changes
from hvintegration.operations.windows_guests import WINDOWS_GUESTS
from hvintegration.service_kind import Impact, ServiceKind
from hvintegration.values import Failure, Rows

__all__ = [
    "GuestAction",
    "GuestTarget",
    "apply_action",
    "change_guest_service",
    "confirmation_for",
    "error_of",
    "list_guest_services",
    "read_guest_info",
    "read_guest_inventory",
    "read_guest_service",
    "restart_guest_service",
    "set_guest_services",
    "start_after",
    "wait_until_running",
]

RESTART: Final = "restart"
"""What a change says that is a stop and a start."""

_SYSTEMS: Final = {system.family: system for system in (WINDOWS_GUESTS, LINUX_GUESTS, FREEBSD_GUESTS)}


# -- reading -------------------------------------------------------------------------------------------------------


def _read(target: GuestTarget, *, info: bool) -> Operation[GuestRecords]:
    records = yield from _read_whatever_it_is(target, info=info)
    if target.vm_id is not None and records.vm_id not in {None, target.vm_id}:
        raise another_machine(records.answer.address, records.vm_id, target)
    return records


def _read_whatever_it_is(target: GuestTarget, *, info: bool) -> Operation[GuestRecords]:
    """The guest; what kind of system it is, is noted once it is known."""
    if target.family is not None:
        return (yield from _system(target.family).read(target, info=info))
    try:
        records = yield from WINDOWS_GUESTS.read(target, info=info)
    except (UnsupportedError, ConnectError, ConfigurationError) as no_windows:
        if not _may_be_another(no_windows):
            raise
        try:
            records = yield from LINUX_GUESTS.read(target, info=info)
        except AuthenticationError as refused:
            if target.sudo_refusal is None:
                raise no_windows from None
            target.family = GuestFamily.LINUX
            raise refused from None
        except HvError:
            raise no_windows from None
    target.family = records.family
    return records


def _may_be_another(error: UnsupportedError | ConnectError | ConfigurationError) -> bool:
    """Whether the machine may be something else than a Windows guest, after what it said when it was taken for one.

    A way that runs no PowerShell is a ConfigurationError.
    """
    if isinstance(error, UnsupportedError):
        return error.needs == WINDOWS
    return not isinstance(error, AuthenticationError | UntrustedHostError)


def _system(family: GuestFamily | None) -> GuestSystem:
    """What a family has of its own: that of Windows, as long as it is not known to be another."""
    return _SYSTEMS[family or GuestFamily.WINDOWS]


def read_guest_info(target: GuestTarget) -> Operation[GuestInfo]:
    """The guest: one round trip."""
    records = yield from _read(target, info=True)
    assert records.info is not None
    return records.info


def list_guest_services(target: GuestTarget) -> Operation[Rows[GuestServiceState]]:
    """Every integration service of the guest: one round trip."""
    records = yield from _read(target, info=False)
    return Rows(GuestServiceState, records.services, records.failures)


def read_guest_service(target: GuestTarget, kind: ServiceKind) -> Operation[GuestServiceState]:
    """One integration service of the guest: one round trip."""
    records = yield from _read(target, info=False)
    return state_of(records, kind)


def read_guest_inventory(target: GuestTarget) -> Operation[GuestInventory]:
    """The guest with all its integration services: one round trip."""
    records = yield from _read(target, info=True)
    assert records.info is not None
    return GuestInventory(
        info=records.info,
        services=Rows(GuestServiceState, records.services),
        errors=Rows(Failure, records.failures),
        read_at=records.answer.received_at,
    )


def wait_until_running(target: GuestTarget, kind: ServiceKind) -> Operation[GuestServiceState]:
    """The service's state once it runs: one round trip per look, half a second to five seconds apart."""
    state: GuestServiceState | None = None
    pause = FIRST_PAUSE
    try:
        while True:
            state = yield from read_guest_service(target, kind)
            if state.running:
                return state
            if state.installed is False or state.startup is Startup.DISABLED:
                raise _system(target.family).cannot(Change(kind, GuestAction.START), state)
            yield Sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
    except (DeadlineReached, TransportTimeoutError) as end:
        if state is None:
            raise
        raise WaitTimeoutError(
            f"{kind.label} of {state.address} did not run in time; it was {state.status or 'in no known state'}.",
            wanted="running",
            last=state,
            hint=state.notes[0] if state.notes else None,
        ) from end


# -- changing ------------------------------------------------------------------------------------------------------


def change_guest_service(
    target: GuestTarget, kind: ServiceKind, action: GuestAction, *, confirm: bool
) -> Operation[GuestServiceState]:
    """Make one change: one round trip, more while it is under way. The state after.

    Raises:
        ConfigurationError: It would cut the connection, or its impact is high and it is not confirmed. Nothing is sent.
        RemoteError: The guest refused, or could not read the state after.
    """
    return (yield from _make_one(target, Change(kind, action), confirm=confirm))


def _make_one(target: GuestTarget, change: Change, *, confirm: bool) -> Operation[GuestServiceState]:
    made = yield from _made(target, change, confirm=confirm)
    assert made.state is not None
    return made.state


def _made(target: GuestTarget, change: Change, *, confirm: bool) -> Operation[GuestChange]:
    (made,) = yield from _make(target, (change,), dry_run=False, confirm=confirm)
    if made.outcome is not ChangeOutcome.FAILED and made.state is not None:
        return made
    raise _system(target.family).error(change, made)


def apply_action(target: GuestTarget, kind: ServiceKind, action: str, *, confirm: bool) -> Operation[GuestChange]:
    """As :func:`change_guest_service`, or :func:`restart_guest_service` for ``restart``. What became of it.

    Raises:
        ConfigurationError: There is no such action. Nothing is sent.
    """
    if action == RESTART:
        state = yield from restart_guest_service(target, kind)
        return attrs.evolve(
            failed(Change(kind, GuestAction.START), state.address),
            action=RESTART,
            outcome=ChangeOutcome.CHANGED,
            state=state,
        )
    try:
        change = Change(kind, GuestAction(action))
    except ValueError:
        raise ConfigurationError(f"Invalid action {excerpt(repr(action))} in a guest. Nothing was changed.") from None
    return (yield from _made(target, change, confirm=confirm))


def restart_guest_service(target: GuestTarget, kind: ServiceKind) -> Operation[GuestServiceState]:
    """Stop it and start it, each settled: two round trips, more while it is under way. The state after.

    One that is disabled in the guest is not stopped, for it could not be started.
    """
    stopped = yield from _make_one(target, Change(kind, GuestAction.STOP, then_start=True), confirm=True)
    return (yield from start_after(target, kind, stopped, f"{kind.label} is stopped for the restart."))


def start_after(
    target: GuestTarget, kind: ServiceKind, state: GuestServiceState, done: str
) -> Operation[GuestServiceState]:
    """Start it after something else was done; who is told that this failed is told what was done before.

    Args:
        target: The guest.
        kind: The service.
        state: What it was like then.
        done: What was done, in a sentence.
    """
    try:
        return (yield from change_guest_service(target, kind, GuestAction.START, confirm=True))
    except DeadlineReached as end:
        raise WaitTimeoutError(
            f"{done} There was no time left to start it on {state.address}.",
            wanted="running",
            last=state,
            hint="Start it.",
        ) from end
    except (HvError, SessionClosed) as error:
        error.add_note(done)
        raise


def set_guest_services(
    target: GuestTarget, wanted: Sequence[tuple[ServiceKind, bool]], *, dry_run: bool, confirm: bool
) -> Operation[tuple[GuestChange, ...]]:
    """Start and stop many: one round trip, more while some are under way. What became of each, in order."""
    changes = tuple(Change(kind, GuestAction.START if run else GuestAction.STOP) for kind, run in wanted)
    if len(dict.fromkeys(change.kind for change in changes)) < len(dict.fromkeys(changes)):
        twice = next(change for change in changes if Change(change.kind, _OPPOSITE[change.action]) in changes)
        raise ConfigurationError(f"{twice.kind.label} is to be both started and stopped.")
    return (yield from _make(target, changes, dry_run=dry_run, confirm=confirm))


_OPPOSITE: Final = {GuestAction.START: GuestAction.STOP, GuestAction.STOP: GuestAction.START}


def _make(
    target: GuestTarget, changes: Sequence[Change], *, dry_run: bool, confirm: bool
) -> Operation[tuple[GuestChange, ...]]:
    for change in changes:
        _refuse_to_cut_off(change, target)
        refusal = confirmation_for(change.kind, change.action)
        if refusal is not None and not dry_run and not confirm:
            raise refusal
    try:
        return (yield from _make_by(_system(target.family), target, changes, dry_run=dry_run))
    except (UnsupportedError, ConnectError, ConfigurationError) as error:
        if target.family is not None or not _may_be_another(error):
            raise
    yield from _read(target, info=False)
    return (yield from _make_by(_system(target.family), target, changes, dry_run=dry_run))


def _make_by(
    system: GuestSystem, target: GuestTarget, changes: Sequence[Change], *, dry_run: bool
) -> Operation[tuple[GuestChange, ...]]:
    for change in changes:
        system.refuse(change)
    return (yield from make_changes(_Changing(system, target), changes, dry_run=dry_run))


def _refuse_to_cut_off(change: Change, target: GuestTarget) -> None:
    if change.action is GuestAction.STOP and change.kind is target.carrier:
        raise ConfigurationError(
            f"{change.kind.label} is what the connection with this guest runs on: it is not stopped over it.",
            hint=f"Stop {change.kind.windows_service} over the network, or inside the guest.",
        )


def confirmation_for(kind: ServiceKind, action: GuestAction) -> ConfigurationError | None:
    """The refusal of what has to be confirmed, since a guest is severely limited by it; None for all else."""
    if kind.impact is not Impact.HIGH or action not in {GuestAction.STOP, GuestAction.DISABLED}:
        return None
    return ConfigurationError(
        f"To {Change(kind, action)} needs to be confirmed. {kind.when_disabled}",
        hint=Hint.of("If that is meant, {}.", Hint("pass confirm=True", "answer yes, or give --yes")),
    )


class _Changing:
    """Starting, stopping and setting the startup of services in a guest, as a kind of change."""

    def __init__(self, system: GuestSystem, target: GuestTarget) -> None:
        self._system = system
        self._target = target
        self._begun: dict[Change, Report] = {}

    def ask(self, changes: Sequence[Change], *, dry_run: bool) -> Operation[dict[Change, GuestChange]]:
        # What has been begun is looked at: where it has ended otherwise than wanted, it is not begun once more.
        asked = changes if dry_run else [change for change in changes if change not in self._begun]
        dry_run, asked = (dry_run, asked) if asked else (True, changes)
        told = yield from self._system.change(asked, self._target, dry_run=dry_run)
        self._begun = {change: report for change, report in told.reports.items() if report.begun} | self._begun
        reports = {**told.reports, **self._begun}
        return {change: self._outcome(change, reports[change], told.records, dry_run=dry_run) for change in changes}

    def is_busy(self, result: GuestChange) -> bool:
        if result.outcome is not ChangeOutcome.FAILED:
            return False
        waits = result.error is not None and result.error.error_id == CHANGE_UNDER_WAY
        return waits or self._is_under_way(change_of(result), result.state)

    def goes_on(self, seen: GuestChange) -> bool:
        return self.is_busy(seen)

    def doubt(self, result: GuestChange) -> Failure | None:
        # It was begun, and how it is now could not be read.
        begun = result.outcome is ChangeOutcome.FAILED and change_of(result) in self._begun
        return result.error if begun and not self.is_busy(result) and self.is_made(result) is None else None

    def is_made(self, seen: GuestChange) -> bool | None:
        if seen.outcome is not ChangeOutcome.FAILED:
            return seen.outcome is not ChangeOutcome.WOULD_CHANGE
        return self._is_so(change_of(seen), seen.state) if seen.state is not None else None

    def confirmed(self, seen: GuestChange) -> GuestChange:
        return attrs.evolve(seen, outcome=ChangeOutcome.CONFIRMED, before=None)

    def not_made(self, change: Change, lost: Loss, seen: GuestChange | None) -> GuestChange:
        if seen is not None and seen.outcome is ChangeOutcome.FAILED:
            return seen
        error = own(f"It was not made: {lost}", lost.address)
        state = seen.state if seen is not None else None
        return attrs.evolve(failed(change, lost.address), state=state, error=error)

    def _outcome(self, change: Change, report: Report, records: GuestRecords, *, dry_run: bool) -> GuestChange:
        address = records.answer.address
        state = state_of(records, change.kind)
        error = failure_of(report.error, address=address, names={}) if report.error is not None else None
        seen = attrs.evolve(failed(change, address), state=state, error=error)
        if error is not None and error.error_id == CHANGE_UNDER_WAY:
            return seen
        if not report.found:
            why = "It is not installed in the guest." if state.installed is False else "It could not be read."
            return attrs.evolve(seen, error=error or own(why, address))
        before = report.startup.value if change.action.is_startup and report.startup is not None else report.state
        seen = attrs.evolve(seen, before=before)
        is_so = self._is_so(change, state)
        if report.begun:
            if is_so:
                return attrs.evolve(
                    seen, outcome=ChangeOutcome.CHANGED if error is None else ChangeOutcome.CONFIRMED, error=None
                )
            return attrs.evolve(seen, error=error or own(self._system.why_not(change, state), address))
        if is_so:
            return attrs.evolve(seen, outcome=ChangeOutcome.UNCHANGED)
        if is_so is None:
            return attrs.evolve(seen, error=error or own(f"It is {state.status or 'in no known state'}.", address))
        if change.needs_to_start and state.startup is Startup.DISABLED:
            return attrs.evolve(seen, error=error or own("It is disabled in the guest.", address))
        if dry_run and error is None:
            return attrs.evolve(seen, outcome=ChangeOutcome.WOULD_CHANGE)
        return attrs.evolve(
            seen, error=error or own(f"It is {state.status} now, and was {report.state} before.", address)
        )

    def _is_so(self, change: Change, state: GuestServiceState) -> bool | None:
        """Whether the state is as wanted; None if that could not be read, or is still to show."""
        if state.installed is False:
            return False
        if change.action.is_startup:
            if state.startup is None:
                return None
            startup = Startup.MANUAL if state.startup is Startup.TRIGGERED else state.startup
            return startup.value == change.action.value
        is_so = self._system.is_started if change.action is GuestAction.START else self._system.is_stopped
        return is_so(state)

    def _is_under_way(self, change: Change, state: GuestServiceState | None) -> bool:
        """Whether what is wanted is still to show. How a service comes to run is set at once."""
        return state is not None and not change.action.is_startup and self._system.is_under_way(state)


def error_of(made: GuestChange, family: GuestFamily | None) -> HvError:
    """The exception that a change which failed is, where it is the only one."""
    return _system(family).error(change_of(made), made)
