"""Questions about a Windows guest and its integration services, and starting and stopping these."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, TypeAlias

import attrs

from hvintegration.calls.answer import Answer, ErrorEntry
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import (
    Json,
    JsonObject,
    OptionalFields,
    as_object,
    decode_list,
    flag,
    list_field,
    object_field,
    optional_text,
    optional_texts,
)
from hvintegration.calls.operation import DeadlineReached, Operation, SessionClosed, Sleep
from hvintegration.calls.refusals import Refusal, failure_of, own_failure, remote_error, result_of, short_id
from hvintegration.errors import (
    AuthenticationError,
    CommandFailedError,
    ConfigurationError,
    ConnectError,
    DecodeError,
    Hint,
    HvError,
    InvalidStateError,
    PermissionDeniedError,
    RemoteError,
    ServiceNotFoundError,
    TransportTimeoutError,
    UnsupportedError,
    UntrustedHostError,
    WaitTimeoutError,
)
from hvintegration.guest_models import (
    GuestChange,
    GuestFamily,
    GuestInfo,
    GuestInventory,
    GuestServiceState,
    Startup,
)
from hvintegration.models import ChangeOutcome
from hvintegration.operations.settling import FIRST_PAUSE, LONGEST_PAUSE, Loss, make_changes
from hvintegration.operations.vms import normal_guid
from hvintegration.scripts import GET_GUEST, SET_GUEST_SERVICES, SH_GET_SYSTEM
from hvintegration.service_kind import Impact, ServiceKind
from hvintegration.values import Failure, Rows

__all__ = [
    "ANOTHER_MACHINE",
    "GuestAction",
    "GuestTarget",
    "change_guest_service",
    "confirmation_for",
    "error_of",
    "list_guest_services",
    "read_guest_info",
    "read_guest_inventory",
    "read_guest_service",
    "restart_guest_service",
    "set_guest_services",
    "wait_until_running",
]

ANOTHER_MACHINE: Final = "AnotherVirtualMachine"
"""Error id of the package's own script: the guest is not the virtual machine that it should be."""

_RUNNING: Final = "Running"
_STOPPED: Final = "Stopped"
_PENDING: Final = "Pending"
_STOPPED_AGAIN: Final = "It was started, and stopped again by itself: the host does not offer it."


_WINDOWS: Final = "a Windows guest of Hyper-V"
_OF_SERVICES: Final = "Microsoft.PowerShell.Management"
_GET_SERVICE: Final = "GetServiceCommand"


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


@attrs.frozen
class GuestTarget:
    """Which guest is meant, and what must stay as it is there.

    Attributes:
        vm_id: GUID of the virtual machine that it has to be, lower case without braces; None for any.
        carrier: The service that the connection itself runs on, which is not to be stopped over it; None for none.
        family: What kind of system it is; None if that is not known.
    """

    vm_id: str | None = None
    carrier: ServiceKind | None = None
    family: GuestFamily | None = None


@attrs.frozen
class _Change:
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

    def asked(self) -> JsonObject:
        """What the script is told of it."""
        told: JsonObject = {"name": self.kind.windows_service, "action": self.action.value}
        return told | {"then_start": True} if self.then_start else told

    def __str__(self) -> str:
        if self.action.is_startup:
            return f"set the startup of {self.kind.label} to {self.action}"
        return f"{self.action} {self.kind.label}"


@attrs.frozen
class _Records:
    """What an answer says of a guest."""

    answer: Answer
    result: JsonObject
    vm_id: str | None
    version: str | None
    services: tuple[GuestServiceState, ...]
    failures: tuple[Failure, ...]


# -- reading -------------------------------------------------------------------------------------------------------


def _read(target: GuestTarget, *, info: bool) -> Operation[_Records]:
    if target.family is GuestFamily.LINUX:
        raise _not_windows("The guest", "Linux")
    try:
        return (yield from _read_windows(target, info=info))
    except (UnsupportedError, ConnectError) as error:
        kernel = (yield from _kernel()) if target.family is None and _may_be_another(error) else None
        if kernel is None:
            raise
        raise _not_windows(error.address, kernel) from error


def _read_windows(target: GuestTarget, *, info: bool) -> Operation[_Records]:
    answer = yield Call(GET_GUEST, {"info": info})
    assert isinstance(answer, Answer)
    records = _records(answer, result_of(answer, "read the guest", _guest_error), target)
    _check_identity(records, target)
    if all(state.installed is not True for state in records.services):
        _raise_no_guest(records)
    return records


def _may_be_another(error: UnsupportedError | ConnectError) -> bool:
    """Whether the machine may be something else than a Windows guest, after what it said when it was taken for one."""
    if isinstance(error, UnsupportedError):
        return error.needs == _WINDOWS
    return not isinstance(error, AuthenticationError | UntrustedHostError)


def _kernel() -> Operation[str | None]:
    """What a machine runs, asked of its shell; None if there is none to be had."""
    try:
        answer = yield Call(SH_GET_SYSTEM, {})
    except HvError:
        return None
    assert isinstance(answer, Answer)
    return None if answer.result is None else optional_text(answer.result, "kernel", "$.result")


def _not_windows(address: str, kernel: str) -> UnsupportedError:
    return UnsupportedError(
        f"{address} runs {kernel}, no Windows: this version handles the services of Windows guests.",
        address=address,
        needs=_WINDOWS,
        hint="Its host shows whether the services of a Linux guest answer, and switches them.",
    )


def _check_identity(records: _Records, target: GuestTarget) -> None:
    if target.vm_id is not None and records.vm_id not in {None, target.vm_id}:
        raise _another_machine(records.answer.address, records.vm_id, target)


def _another_machine(address: str, found: str | None, target: GuestTarget) -> InvalidStateError:
    return InvalidStateError(
        f"{address} is not the virtual machine {target.vm_id}, but {found}. Nothing was changed.",
        address=address,
        action="reach the guest",
        current=found or "",
        expected=target.vm_id or "",
        hint="Give the address of the virtual machine that is meant.",
    )


def _raise_no_guest(records: _Records) -> None:
    address = records.answer.address
    for entry in records.answer.errors:
        raise _guest_error(Refusal.of(entry, address=address, doing="read the integration services"))
    for failure in records.failures:
        raise CommandFailedError(
            f"{address} failed to read the integration services: {failure.message}", address=address
        )
    raise UnsupportedError(
        f"{address} has none of the integration services that Windows has in a guest.",
        address=address,
        needs=_WINDOWS,
        hint="Their names begin with vmic; Windows has them since Windows 8 and Windows Server 2012.",
    )


def _guest_error(refusal: Refusal) -> RemoteError:
    """The exception for what a machine said when it was asked for services of Windows."""
    if short_id(refusal.error_id) == "CommandNotFoundException" and refusal.missing_module == _OF_SERVICES:
        return UnsupportedError(
            f"{refusal.address} cannot {refusal.doing}{refusal.said}",
            needs=_WINDOWS,
            **refusal.facts,
            hint="PowerShell has commands for services on Windows only.",
        )
    if refusal.error_id.endswith(_GET_SERVICE):
        return remote_error(refusal, hint="Where this user lacks the right: use an administrator of the guest.")
    return remote_error(refusal)


def read_guest_info(target: GuestTarget) -> Operation[GuestInfo]:
    """The guest: one round trip."""
    records = yield from _read(target, info=True)
    return _info(records)


def list_guest_services(target: GuestTarget) -> Operation[Rows[GuestServiceState]]:
    """Every integration service of the guest: one round trip."""
    records = yield from _read(target, info=False)
    return Rows(GuestServiceState, records.services, records.failures)


def read_guest_service(target: GuestTarget, kind: ServiceKind) -> Operation[GuestServiceState]:
    """One integration service of the guest: one round trip."""
    records = yield from _read(target, info=False)
    return _state_of(records.services, kind)


def read_guest_inventory(target: GuestTarget) -> Operation[GuestInventory]:
    """The guest with all its integration services: one round trip."""
    records = yield from _read(target, info=True)
    return GuestInventory(
        info=_info(records),
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
                raise _cannot(_Change(kind, GuestAction.START), state)
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


def _state_of(states: Iterable[GuestServiceState], kind: ServiceKind) -> GuestServiceState:
    return next(state for state in states if state.kind is kind)


# -- changing ------------------------------------------------------------------------------------------------------


def change_guest_service(
    target: GuestTarget, kind: ServiceKind, action: GuestAction, *, confirm: bool
) -> Operation[GuestServiceState]:
    """Make one change: one round trip, more while it is under way. The state after.

    Raises:
        ConfigurationError: It would cut the connection, or its impact is high and it is not confirmed. Nothing is sent.
        RemoteError: The guest refused, or could not read the state after.
    """
    return (yield from _make_one(target, _Change(kind, action), confirm=confirm))


def _make_one(target: GuestTarget, change: _Change, *, confirm: bool) -> Operation[GuestServiceState]:
    (made,) = yield from _make(target, (change,), dry_run=False, confirm=confirm)
    if made.outcome is not ChangeOutcome.FAILED and made.state is not None:
        return made.state
    raise _error_of(change, made)


def restart_guest_service(target: GuestTarget, kind: ServiceKind) -> Operation[GuestServiceState]:
    """Stop it and start it, each settled: two round trips, more while it is under way. The state after.

    One that is disabled in the guest is not stopped, for it could not be started.
    """
    stopped = yield from _make_one(target, _Change(kind, GuestAction.STOP, then_start=True), confirm=True)
    try:
        return (yield from change_guest_service(target, kind, GuestAction.START, confirm=True))
    except DeadlineReached as end:
        raise WaitTimeoutError(
            f"{kind.label} of {stopped.address} is stopped for the restart: there was no time left to start it.",
            wanted="running",
            last=stopped,
            hint="Start it.",
        ) from end
    except (HvError, SessionClosed) as error:
        error.add_note(f"{kind.label} is stopped for the restart.")
        raise


def set_guest_services(
    target: GuestTarget, wanted: Sequence[tuple[ServiceKind, bool]], *, dry_run: bool, confirm: bool
) -> Operation[tuple[GuestChange, ...]]:
    """Start and stop many: one round trip, more while some are under way. What became of each, in order."""
    changes = tuple(_Change(kind, GuestAction.START if run else GuestAction.STOP) for kind, run in wanted)
    if len(dict.fromkeys(change.kind for change in changes)) < len(dict.fromkeys(changes)):
        twice = next(change for change in changes if _Change(change.kind, _OPPOSITE[change.action]) in changes)
        raise ConfigurationError(f"{twice.kind.label} is to be both started and stopped.")
    return (yield from _make(target, changes, dry_run=dry_run, confirm=confirm))


_OPPOSITE: Final = {GuestAction.START: GuestAction.STOP, GuestAction.STOP: GuestAction.START}


def _make(
    target: GuestTarget, changes: Sequence[_Change], *, dry_run: bool, confirm: bool
) -> Operation[tuple[GuestChange, ...]]:
    if target.family is GuestFamily.LINUX:
        raise _not_windows("The guest", "Linux")
    for change in changes:
        _refuse_to_cut_off(change, target)
        refusal = confirmation_for(change.kind, change.action)
        if refusal is not None and not dry_run and not confirm:
            raise refusal
    made = yield from make_changes(_Changing(target), changes, dry_run=dry_run)
    return made


def _refuse_to_cut_off(change: _Change, target: GuestTarget) -> None:
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
        f"To {_Change(kind, action)} needs to be confirmed. {kind.when_disabled}",
        hint=Hint.of("If that is meant, {}.", Hint("pass confirm=True", "answer yes, or give --yes")),
    )


class _Changing:
    """Starting, stopping and setting the startup of services in a guest, as a kind of change."""

    def __init__(self, target: GuestTarget) -> None:
        self._target = target
        self._begun: dict[_Change, _Report] = {}

    def ask(self, changes: Sequence[_Change], *, dry_run: bool) -> Operation[dict[_Change, GuestChange]]:
        # What has been begun is looked at: where it has ended otherwise than wanted, it is not begun once more.
        asked = changes if dry_run else [change for change in changes if change not in self._begun]
        dry_run, asked = (dry_run, asked) if asked else (True, changes)
        document: JsonObject = {
            "vm_id": self._target.vm_id,
            "dry_run": dry_run,
            "changes": [change.asked() for change in asked],
        }
        answer = yield Call(SET_GUEST_SERVICES, document, dry_run=dry_run)
        assert isinstance(answer, Answer)
        try:
            told = _told(answer, asked, self._target)
        except DecodeError as error:
            error.address = answer.address
            raise
        self._begun = {change: report for change, report in told.reports.items() if report.begun} | self._begun
        reports = told.reports | self._begun
        return {change: _outcome(change, reports[change], told.records, dry_run=dry_run) for change in changes}

    def is_busy(self, result: GuestChange) -> bool:
        return result.outcome is ChangeOutcome.FAILED and _is_under_way(_change_of(result), result.state)

    def doubt(self, result: GuestChange) -> Failure | None:
        # It was begun, and how it is now could not be read.
        begun = result.outcome is ChangeOutcome.FAILED and _change_of(result) in self._begun
        return result.error if begun and not self.is_busy(result) and self.is_made(result) is None else None

    def is_made(self, seen: GuestChange) -> bool | None:
        if seen.outcome is not ChangeOutcome.FAILED:
            return seen.outcome is not ChangeOutcome.WOULD_CHANGE
        return _is_so(_change_of(seen), seen.state) if seen.state is not None else None

    def confirmed(self, seen: GuestChange) -> GuestChange:
        return attrs.evolve(seen, outcome=ChangeOutcome.CONFIRMED, before=None)

    def not_made(self, change: _Change, lost: Loss, seen: GuestChange | None) -> GuestChange:
        if seen is not None and seen.outcome is ChangeOutcome.FAILED:
            return seen
        error = _own(f"It was not made: {lost}", lost.address)
        state = seen.state if seen is not None else None
        return attrs.evolve(_failed(change, lost.address), state=state, error=error)


def _change_of(result: GuestChange) -> _Change:
    return _Change(result.kind, GuestAction(result.action))


@attrs.frozen
class _Told:
    """What an answer says of each change, and how the guest is after all of them."""

    reports: dict[_Change, _Report]
    records: _Records


def _told(answer: Answer, changes: Sequence[_Change], target: GuestTarget) -> _Told:
    result = result_of(answer, "change integration services", _guest_error)
    for entry in answer.errors:
        if short_id(entry.id) == ANOTHER_MACHINE:
            raise _another_machine(answer.address, entry.target_object, target)
    records = _records(answer, result, target)
    entries = list_field(result, "changes", "$.result")
    if len(entries) != len(changes):
        raise DecodeError(path="$.result.changes", expected=f"{len(changes)} entries", found=str(len(entries)))
    said = {entry.target: entry for entry in answer.errors}
    reports = {
        change: _report(entry, f"$.result.changes[{index}]", said.get(str(index)))
        for index, (change, entry) in enumerate(zip(changes, entries, strict=True))
    }
    return _Told(reports, records)


@attrs.frozen
class _Report:
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


def _report(entry: Json, path: str, error: ErrorEntry | None) -> _Report:
    if entry is None:
        return _Report(found=False, error=error)
    done = as_object(entry, path)
    before = object_field(done, "before", path)
    state = optional_text(before, "state", f"{path}.before")
    startup = _startup(_SERVICE.read(before, f"{path}.before"))
    return _Report(found=True, state=state, startup=startup, begun=flag(done, "begun", path), error=error)


def _outcome(change: _Change, report: _Report, records: _Records, *, dry_run: bool) -> GuestChange:
    address = records.answer.address
    state = _state_of(records.services, change.kind)
    error = failure_of(report.error, address=address, names={}) if report.error is not None else None
    seen = attrs.evolve(_failed(change, address), state=state, error=error)
    if not report.found:
        why = "It is not installed in the guest." if state.installed is False else "It could not be read."
        return attrs.evolve(seen, error=error or _own(why, address))
    before = report.startup.value if change.action.is_startup and report.startup is not None else report.state
    seen = attrs.evolve(seen, before=before)
    is_so = _is_so(change, state)
    if report.begun:
        if is_so:
            return attrs.evolve(
                seen, outcome=ChangeOutcome.CHANGED if error is None else ChangeOutcome.CONFIRMED, error=None
            )
        return attrs.evolve(seen, error=error or _own(_why_not_so(change, state), address))
    if is_so:
        return attrs.evolve(seen, outcome=ChangeOutcome.UNCHANGED)
    if is_so is None:
        return attrs.evolve(seen, error=error or _own(f"It is {state.status or 'in no known state'}.", address))
    if change.needs_to_start and state.startup is Startup.DISABLED:
        return attrs.evolve(seen, error=_own("It is disabled in the guest.", address))
    if dry_run:
        return attrs.evolve(seen, outcome=ChangeOutcome.WOULD_CHANGE)
    return attrs.evolve(seen, error=_own(f"It is {state.status} now, and was {report.state} before.", address))


def _is_so(change: _Change, state: GuestServiceState) -> bool | None:
    """Whether the state is as wanted; None if that could not be read, or is still to show."""
    if state.installed is False:
        return False
    if change.action.is_startup:
        if state.startup is None:
            return None
        startup = Startup.MANUAL if state.startup is Startup.TRIGGERED else state.startup
        return startup.value == change.action.value
    if state.status is None or _is_pending(state):
        return None
    return state.status == (_RUNNING if change.action is GuestAction.START else _STOPPED)


def _why_not_so(change: _Change, state: GuestServiceState) -> str:
    if change.action is GuestAction.START and state.status == _STOPPED:
        return _STOPPED_AGAIN
    if change.action is GuestAction.STOP and state.running:
        return "It was stopped, and runs again: Hyper-V starts what is enabled on the host."
    return f"The guest reported success, but it is {state.status or 'in no known state'}."


def _is_pending(state: GuestServiceState | None) -> bool:
    return state is not None and (state.status or "").endswith(_PENDING)


def _is_under_way(change: _Change, state: GuestServiceState | None) -> bool:
    """Whether what is wanted is still to show. How a service comes to run is set at once."""
    return not change.action.is_startup and _is_pending(state)


def _failed(change: _Change, address: str) -> GuestChange:
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


def _own(message: str, address: str) -> Failure:
    return own_failure(message, address=address, vm_id=None, vm_name=None)


def error_of(made: GuestChange) -> HvError:
    """The exception that a change which failed is, where it is the only one."""
    return _error_of(_Change(made.kind, GuestAction(made.action)), made)


def _error_of(change: _Change, made: GuestChange) -> HvError:
    """The exception for a single change that failed, or whose state after could not be read."""
    state, error = made.state, made.error
    if state is not None and made.outcome is ChangeOutcome.FAILED:
        if _is_under_way(change, state):
            return WaitTimeoutError(
                f"{change.kind.label} of {made.address} is {state.status}: there was no time left to {change}.",
                wanted=change.action.value,
                last=state,
                hint="Give it more time.",
            )
        is_disabled = change.needs_to_start and state.startup is Startup.DISABLED
        if state.installed is False or (is_disabled and error is not None and not error.error_id):
            return _cannot(change, state)
    assert error is not None
    refusal = Refusal(
        address=made.address,
        error_id=error.error_id,
        category=error.category,
        message=error.message,
        doing=str(change),
        target_object=error.target,
    )
    if short_id(error.error_id) in {"CouldNotStartService", "CouldNotStopService", "CouldNotSetService"}:
        return _not_let(refusal)
    if error.message == _STOPPED_AGAIN and not error.error_id:
        return InvalidStateError(
            f"{made.address} failed to {change}: {error.message}",
            address=made.address,
            action=str(change),
            current=(state.status or "") if state is not None else "",
            expected="enabled on the host",
            hint=_offer_it(change.kind),
        )
    return _guest_error(refusal)


def _offer_it(kind: ServiceKind) -> str | None:
    """How the host comes to offer a service, if it has a switch for that."""
    if not kind.managed_by_host:
        return None
    python, command = f'vm.services["{kind.label}"].enable()', f"'hvintegration enable \"{kind.label}\" VM'"
    return Hint.of("Enable it on the host: {}.", Hint(python, command))


def _not_let(refusal: Refusal) -> RemoteError:
    """Windows says in the same words that a service could not be handled and that this user may not."""
    hint = "Use an administrator of the guest, in an elevated session."
    if refusal.denies_permission:
        return PermissionDeniedError(
            f"{refusal.address} does not let this user {refusal.doing}{refusal.said}", **refusal.facts, hint=hint
        )
    return CommandFailedError(
        f"{refusal.address} failed to {refusal.doing}{refusal.said}",
        **refusal.facts,
        hint=f"Where this user lacks the right: {hint[0].lower()}{hint[1:]}",
    )


def _cannot(change: _Change, state: GuestServiceState) -> RemoteError:
    """What is in the way by the state alone."""
    if state.installed is False:
        return ServiceNotFoundError(
            f"{state.address} has no {change.kind.label}: it is not installed.",
            address=state.address,
            hint=f"The service of Windows is {change.kind.windows_service}.",
        )
    start = str(_Change(change.kind, GuestAction.START))
    return InvalidStateError(
        f"{state.address} cannot {start}: it is disabled in the guest.",
        address=state.address,
        action=start,
        current=Startup.DISABLED.value,
        expected=Startup.MANUAL.value,
        hint=Hint.of(
            "Allow it first: {}.",
            Hint('service.set_startup("manual")', "'hvintegration guest startup SERVICE manual'"),
        ),
    )


# -- decoding ------------------------------------------------------------------------------------------------------

_SERVICE: Final = OptionalFields(
    name=str,
    display_name=str,
    state=str,
    start_type=str,
    path=str,
    account=str,
    process_id=int,
    triggered=bool,
)
_Fields: TypeAlias = Sequence[object]

_STARTUPS: Final = {
    "Automatic": Startup.AUTOMATIC,
    "Auto": Startup.AUTOMATIC,
    "Manual": Startup.MANUAL,
    "Disabled": Startup.DISABLED,
}
"""By member names of ``ServiceStartMode``, and by what ``Win32_Service`` calls them."""

_KINDS: Final = {kind.windows_service: kind for kind in ServiceKind}


def _records(answer: Answer, result: JsonObject, target: GuestTarget) -> _Records:
    path = "$.result"
    vm_id = optional_text(result, "vm_id", path)
    version = optional_text(result, "version", path)

    def decode(entry: JsonObject, place: str) -> GuestServiceState | None:
        return _service(entry, place, answer, version, target)

    listed = (
        ()
        if result.get("services") is None
        else decode_list(list_field(result, "services", path), f"{path}.services", decode, answer.step)
    )
    said = [failure_of(entry, address=answer.address, names={}) for entry in answer.errors]
    nameless = "The guest gave no value for Name of an integration service."
    unread = [_own(nameless, answer.address) for state in listed if state is None]
    found = [state for state in listed if state is not None]
    seen = {state.kind: state for state in found if state.kind is not None}
    # An error with a target is about that alone, and not about the list.
    is_whole = result.get("services") is not None and not unread and all(entry.target for entry in answer.errors)
    known = [
        seen.get(kind) or _unseen(kind, answer.address, answer.received_at, installed=False if is_whole else None)
        for kind in ServiceKind
    ]
    others = [state for state in found if state.kind is None]
    return _Records(answer, result, normal_guid(vm_id or ""), version, (*known, *others), (*said, *unread))


def _service(
    entry: JsonObject, path: str, answer: Answer, version: str | None, target: GuestTarget
) -> GuestServiceState | None:
    fields = _SERVICE.read(entry, path)
    name, display_name, status, _, program, account, process_id, _ = fields
    if name is None:
        return None
    kind = _KINDS.get(name.lower())
    startup = _startup(fields)
    return GuestServiceState(
        address=answer.address,
        kind=kind,
        name=name,
        display_name=display_name,
        installed=True,
        running=None if status is None else status == _RUNNING,
        status=status,
        startup=startup,
        pid=process_id or None,
        program=program,
        version=version,
        account=account,
        requires=optional_texts(entry, "requires", path),
        device=None,
        offered=None,
        cannot_start="It is disabled in the guest." if startup is Startup.DISABLED else None,
        cannot_stop=(
            "The connection with this guest runs on it." if kind is not None and kind is target.carrier else None
        ),
        read_at=answer.received_at,
    )


def _startup(fields: _Fields) -> Startup | None:
    start_type, triggered = fields[3], fields[7]
    startup = _STARTUPS.get(start_type) if isinstance(start_type, str) else None
    return Startup.TRIGGERED if startup is Startup.MANUAL and triggered else startup


def _unseen(kind: ServiceKind, address: str, read_at: datetime, *, installed: bool | None) -> GuestServiceState:
    """A service that the guest did not list."""
    return GuestServiceState(
        address=address,
        kind=kind,
        name=kind.windows_service,
        display_name=None,
        installed=installed,
        running=False if installed is False else None,
        status=None,
        startup=None,
        pid=None,
        program=None,
        version=None,
        account=None,
        requires=None,
        device=None,
        offered=None,
        cannot_start="It is not installed." if installed is False else None,
        cannot_stop="It is not installed." if installed is False else None,
        read_at=read_at,
    )


_INFO: Final = OptionalFields(
    name=str,
    caption=str,
    os_version=str,
    os_build=str,
    vm_name=str,
    host_name=str,
    administrator=bool,
    powershell_version=str,
    powershell_edition=str,
    language_mode=str,
)


def _info(records: _Records) -> GuestInfo:
    path = "$.result.info"
    name, caption, os_version, os_build, vm_name, host_name, administrator, version, edition, mode = _INFO.read(
        object_field(records.result, "info", "$.result"), path
    )
    return GuestInfo(
        address=records.answer.address,
        family=GuestFamily.WINDOWS,
        name=name,
        caption=caption,
        os_version=os_version,
        os_build=os_build,
        vm_id=records.vm_id,
        vm_name=vm_name,
        host_name=host_name,
        integration_services_version=records.version,
        administrator=administrator,
        powershell_version=version,
        powershell_edition=edition,
        language_mode=mode,
        read_at=records.answer.received_at,
    )
