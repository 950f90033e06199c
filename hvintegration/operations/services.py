"""Questions about integration services, and switching them."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from hvintegration.calls.answer import Answer, ErrorEntry
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import Json, JsonObject, as_object, flag, list_field, optional_flag
from hvintegration.calls.operation import DeadlineReached, Operation, Sleep
from hvintegration.calls.refusals import Refusal, failure_of, own_failure
from hvintegration.errors import (
    CommandFailedError,
    ConfigurationError,
    DecodeError,
    InvalidStateError,
    ServiceNotFoundError,
    TransportTimeoutError,
    WaitTimeoutError,
)
from hvintegration.models import ChangeOutcome, Health, ServiceChange, ServiceState
from hvintegration.operations.refusals import hyperv_error, is_absent, is_busy, is_unanswered, result_of
from hvintegration.operations.settling import FIRST_PAUSE, LONGEST_PAUSE, Loss, make_changes
from hvintegration.operations.vms import VMRecord, decode_vms, no_value, read_one
from hvintegration.scripts import SET_SERVICES
from hvintegration.service_kind import ServiceKind
from hvintegration.values import Failure, Rows

__all__ = [
    "ResolvedChange",
    "list_services",
    "make_change",
    "read_service",
    "set_services",
    "switch_service",
    "wait_until_ok",
]


@attrs.frozen
class ResolvedChange:
    """A change of a service of a virtual machine that is known by its id.

    Attributes:
        vm_id: GUID, lower case without braces.
        vm_name: Its name, if it is known.
        kind: Which service; one that the host switches.
        enable: True to enable, False to disable.
    """

    vm_id: str
    vm_name: str | None = attrs.field(eq=False)
    kind: ServiceKind
    enable: bool

    def __str__(self) -> str:
        return f"{'enable' if self.enable else 'disable'} {self.kind.label} of {self.vm_name or self.vm_id}"


def list_services(vm_id: str) -> Operation[Rows[ServiceState]]:
    """Every integration service of a virtual machine, and what of them could not be read: one round trip."""
    record = yield from read_one(vm_id, services=True)
    return Rows(ServiceState, record.services or (), record.unread)


def read_service(vm_id: str, kind: ServiceKind) -> Operation[ServiceState]:
    """One integration service of a virtual machine: one round trip."""
    record = yield from read_one(vm_id, services=True)
    return _service_in(record, kind)


def _service_in(record: VMRecord, kind: ServiceKind) -> ServiceState:
    for state in record.services or ():
        if state.kind is kind:
            return state
    for failure in record.unread if record.has_unknown_services else ():
        raise CommandFailedError(
            f"{record.address} failed to read {kind.label} of {record.name}: {failure.message}", address=record.address
        )
    raise ServiceNotFoundError(
        f"The virtual machine {record.name} on {record.address} has no {kind.label}.",
        address=record.address,
        hint="Hosts older than Windows Server 2012 R2 have no Guest Service Interface.",
    )


def wait_until_ok(vm_id: str, kind: ServiceKind) -> Operation[ServiceState]:
    """The service's state once it is healthy: one round trip per look, half a second to five seconds apart."""
    state: ServiceState | None = None
    pause = FIRST_PAUSE
    try:
        while True:
            record = yield from read_one(vm_id, services=True)
            state = _service_in(record, kind)
            if state.health is Health.OK:
                return state
            if state.health in {Health.DISABLED, Health.NOT_RUNNING}:
                raise _cannot_become_ok(kind, state, record.address)
            yield Sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
    except (DeadlineReached, TransportTimeoutError) as end:
        if state is None:
            raise
        status = state.primary or "no status"
        raise WaitTimeoutError(
            f"{kind.label} of {state.vm_name} did not become ok in time; it was {state.health} ({status}).",
            wanted=Health.OK.value,
            last=state,
            hint=state.notes[0] if state.notes else None,
        ) from end


def _cannot_become_ok(kind: ServiceKind, state: ServiceState, address: str) -> InvalidStateError:
    disabled = state.health is Health.DISABLED
    why = "it is disabled on the host" if disabled else f"the virtual machine is {state.vm_state}"
    return InvalidStateError(
        f"{kind.label} of {state.vm_name} cannot become ok: {why}.",
        address=address,
        action="wait until ok",
        current="disabled" if disabled else state.vm_state or "",
        expected="enabled" if disabled else "Running",
        hint="Enable it first." if disabled else "Start the virtual machine first.",
    )


def switch_service(change: ResolvedChange) -> Operation[ServiceState]:
    """Make one change: one round trip. The state after.

    Raises:
        RemoteError: The host refused, or could not read the state after.
    """
    made = yield from make_change(change)
    assert made.state is not None
    return made.state


def make_change(change: ResolvedChange) -> Operation[ServiceChange]:
    """Make one change: one round trip. What became of it, with the state after; otherwise as :func:`switch_service`."""
    (made,) = yield from set_services((change,), dry_run=False)
    failed = made.outcome is ChangeOutcome.FAILED
    if made.state is not None and not failed:
        return made
    error = made.error
    assert error is not None
    refusal = Refusal(
        address=error.address,
        error_id=error.error_id,
        category=error.category,
        message=error.message,
        doing=str(change) if failed else f"read the state after it was asked to {change}",
        target=made.vm_name or made.vm_id,
        target_object=error.target,
    )
    raise hyperv_error(refusal)


def set_services(changes: Sequence[ResolvedChange], *, dry_run: bool) -> Operation[tuple[ServiceChange, ...]]:
    """Make all of them, or with *dry_run* say what would be made: one round trip.

    More round trips only where the host is busy, or where an answer got lost: then the state is read back, and what is
    seen not to have been made is sent again if what was sent before certainly runs no more.

    Raises:
        OutcomeUnknownError: An answer got lost, and reading back could not settle what was made.
    """
    _refuse_contradictions(changes)
    return (yield from make_changes(_Switching(), changes, dry_run=dry_run))


def _refuse_contradictions(changes: Sequence[ResolvedChange]) -> None:
    wanted: dict[tuple[str, ServiceKind], bool] = {}
    for change in changes:
        if wanted.setdefault((change.vm_id, change.kind), change.enable) is not change.enable:
            raise ConfigurationError(
                f"{change.kind.label} of {change.vm_name or change.vm_id} is to be both enabled and disabled."
            )


def _document(changes: Sequence[ResolvedChange], *, dry_run: bool) -> JsonObject:
    return {
        "dry_run": dry_run,
        "changes": [
            {"vm_id": change.vm_id, "component_id": change.kind.component_id, "enabled": change.enable}
            for change in changes
        ],
    }


class _Switching:
    """Switching services, as a kind of change: :class:`~hvintegration.operations.settling.KindOfChange`."""

    def ask(
        self, changes: Sequence[ResolvedChange], *, dry_run: bool
    ) -> Operation[dict[ResolvedChange, ServiceChange]]:
        answer = yield Call(SET_SERVICES, _document(changes, dry_run=dry_run), dry_run=dry_run)
        assert isinstance(answer, Answer)
        try:
            return _decoded(answer, changes, dry_run=dry_run)
        except DecodeError as error:
            error.address = answer.address
            raise

    def is_busy(self, result: ServiceChange) -> bool:
        return result.outcome is ChangeOutcome.FAILED and is_busy(_error_id(result))

    def goes_on(self, seen: ServiceChange) -> bool:
        del seen  # A host makes changes at once: where it is busy, that says nothing of them.
        return False

    def is_made(self, seen: ServiceChange) -> bool | None:
        if seen.outcome is not ChangeOutcome.FAILED:
            return seen.outcome is not ChangeOutcome.WOULD_CHANGE
        was_read = seen.before is not None or _enabled_after(seen) is not None
        gone = seen.error is not None and is_absent(seen.error.error_id, seen.error.target)
        return False if was_read or gone else None

    def doubt(self, result: ServiceChange) -> Failure | None:
        # Its cmdlet was called, since it was not as wanted before; and the management service went away meanwhile.
        if result.outcome is not ChangeOutcome.FAILED or result.before is None or result.error is None:
            return None
        was_read = _enabled_after(result) is not None
        return result.error if not was_read and is_unanswered(result.error.error_id, result.error.target) else None

    def confirmed(self, seen: ServiceChange) -> ServiceChange:
        return attrs.evolve(seen, outcome=ChangeOutcome.CONFIRMED, before=None)

    def not_made(self, change: ResolvedChange, lost: Loss, seen: ServiceChange | None) -> ServiceChange:
        if seen is not None and seen.outcome is ChangeOutcome.FAILED:
            return seen
        failed = _explained(_failed(change), lost.address, f"It was not made: {lost}")
        return failed if seen is None else attrs.evolve(failed, vm_name=seen.vm_name, state=seen.state)


def _decoded(
    answer: Answer, changes: Sequence[ResolvedChange], *, dry_run: bool
) -> dict[ResolvedChange, ServiceChange]:
    result = result_of(answer, "change integration services")
    entries = list_field(result, "changes", "$.result")
    if len(entries) != len(changes):
        raise DecodeError(path="$.result.changes", expected=f"{len(changes)} entries", found=str(len(entries)))
    vms, unknown = decode_vms(result, answer)
    after = _After(
        address=answer.address,
        vms={vm.id: vm for vm in vms},
        errors={entry.target: entry for entry in answer.errors},
        unknown={failure.vm_id: failure for failure in unknown},
    )
    reports = [_report(entry, f"$.result.changes[{index}]") for index, entry in enumerate(entries)]
    if not any(report.begun for report in reports):
        for said in answer.errors:
            if is_unanswered(said.id, said.target_object):
                raise hyperv_error(Refusal.of(said, address=answer.address, doing="change integration services"))
    return {
        change: _outcome(change, index, report, after, dry_run=dry_run)
        for index, (change, report) in enumerate(zip(changes, reports, strict=True))
    }


@attrs.frozen
class _Report:
    """What an answer says of one change.

    Attributes:
        found: Whether there is a component to switch.
        before: Whether it was enabled before; None if that could not be read.
        begun: Whether the cmdlet that switches it was called.
        passed_on: Whether the component that the cmdlet passed on was enabled; None if that could not be read.
    """

    found: bool
    before: bool | None = None
    begun: bool = False
    passed_on: bool | None = None


def _report(entry: Json, path: str) -> _Report:
    if entry is None:
        return _Report(found=False)
    done = as_object(entry, path)
    return _Report(
        found=True,
        before=optional_flag(done, "before", path),
        begun=flag(done, "begun", path),
        passed_on=optional_flag(done, "after", path),
    )


@attrs.frozen
class _After:
    """What an answer says besides what it says of each change: the virtual machines after, and what went wrong.

    Attributes:
        address: Who said so.
        vms: The virtual machines by id.
        errors: What the host says that went wrong, by the index of a change or the id of a virtual machine.
        unknown: What it gave no value for, so that a virtual machine is missing, by its id.
    """

    address: str
    vms: dict[str, VMRecord]
    errors: dict[str | None, ErrorEntry]
    unknown: dict[str | None, Failure]


def _outcome(change: ResolvedChange, index: int, report: _Report, after: _After, *, dry_run: bool) -> ServiceChange:
    seen = attrs.evolve(_seen_after(change, index, after), before=report.before)
    if report.found and not report.begun:
        return _not_begun(seen, after, dry_run=dry_run)
    if report.found and str(index) not in after.errors:
        return _begun(seen, after, passed_on=report.passed_on)
    if _is_as_wanted(seen):
        return attrs.evolve(seen, outcome=ChangeOutcome.CONFIRMED)
    return _explained(seen, after.address, "The host says neither what happened nor why not.")


def _seen_after(change: ResolvedChange, index: int, after: _After) -> ServiceChange:
    """The change, with the state after all changes and with what the host says that went wrong, taken as not made."""
    vm = after.vms.get(change.vm_id)
    services = vm.services if vm is not None else None
    state = next((state for state in services or () if state.kind is change.kind), None)
    seen = attrs.evolve(_failed(change), vm_name=vm.name if vm is not None else change.vm_name, state=state)
    said = after.errors.get(str(index)) or after.errors.get(change.vm_id)
    if said is not None:
        failure = failure_of(said, address=after.address, names={})
        return attrs.evolve(seen, error=attrs.evolve(failure, vm_id=seen.vm_id, vm_name=seen.vm_name))
    if state is not None and state.enabled is None:
        return _explained(seen, after.address, f"{no_value('Enabled', change.kind.label)}.")
    if state is None and vm is not None and vm.has_unknown_services:
        return _explained(seen, after.address, f"{no_value('Id', 'an integration service')}.")
    return attrs.evolve(seen, error=after.unknown.get(change.vm_id))


def _not_begun(seen: ServiceChange, after: _After, *, dry_run: bool) -> ServiceChange:
    """What became of a change whose cmdlet was not called."""
    if seen.before is seen.enable or (seen.before is None and _is_as_wanted(seen)):
        return attrs.evolve(_with_state(seen, after), outcome=ChangeOutcome.UNCHANGED)
    if seen.before is not None and dry_run:
        return attrs.evolve(_with_state(seen, after), outcome=ChangeOutcome.WOULD_CHANGE)
    return _explained(seen, after.address, f"{no_value('Enabled', seen.kind.label)}: nothing was changed.")


def _begun(seen: ServiceChange, after: _After, *, passed_on: bool | None) -> ServiceChange:
    """What became of a change whose cmdlet ended well; *passed_on* is what it passed on as enabled."""
    read = [enabled for enabled in (passed_on, _enabled_after(seen)) if enabled is not None]
    if read and seen.enable not in read:
        return _explained(seen, after.address, "The host reported success, but the service is as it was before.")
    return attrs.evolve(_with_state(seen, after), outcome=ChangeOutcome.CHANGED)


def _enabled_after(seen: ServiceChange) -> bool | None:
    return None if seen.state is None else seen.state.enabled


def _is_as_wanted(seen: ServiceChange) -> bool:
    return _enabled_after(seen) is seen.enable


def _with_state(seen: ServiceChange, after: _After) -> ServiceChange:
    """The change, with an error if there is no state after it."""
    return seen if seen.state is not None else _explained(seen, after.address, "The host does not say how it is now.")


def _explained(seen: ServiceChange, address: str, message: str) -> ServiceChange:
    """The change, with *message* for an error if it has none."""
    if seen.error is not None:
        return seen
    return attrs.evolve(seen, error=own_failure(message, address=address, vm_id=seen.vm_id, vm_name=seen.vm_name))


def _failed(change: ResolvedChange) -> ServiceChange:
    """A change of which nothing is known but that it was not made."""
    return ServiceChange(
        vm_id=change.vm_id,
        vm_name=change.vm_name,
        kind=change.kind,
        enable=change.enable,
        outcome=ChangeOutcome.FAILED,
        before=None,
        state=None,
        error=None,
    )


def _error_id(change: ServiceChange) -> str:
    return change.error.error_id if change.error is not None else ""
