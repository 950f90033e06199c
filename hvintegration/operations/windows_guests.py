"""Windows guests: what is asked of them, and what their answers mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias

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
from hvintegration.calls.operation import Operation
from hvintegration.calls.refusals import Refusal, failure_of, remote_error, result_of, short_id
from hvintegration.errors import (
    CommandFailedError,
    DecodeError,
    HvError,
    InvalidStateError,
    PermissionDeniedError,
    RemoteError,
    ServiceNotFoundError,
    UnsupportedError,
    WaitTimeoutError,
)
from hvintegration.guest_models import GuestChange, GuestFamily, GuestInfo, GuestServiceState, Startup
from hvintegration.models import ChangeOutcome
from hvintegration.operations.guest_systems import (
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
    own,
    refusal_of,
    reports_of,
)
from hvintegration.operations.vms import normal_guid
from hvintegration.scripts import GET_GUEST, SET_GUEST_SERVICES
from hvintegration.service_kind import ServiceKind

__all__ = ["WINDOWS_GUESTS"]

_RUNNING: Final = "Running"
_STOPPED: Final = "Stopped"
_PENDING: Final = "Pending"
_STOPPED_AGAIN: Final = "It was started, and stopped again by itself: the host does not offer it."
_OF_SERVICES: Final = "Microsoft.PowerShell.Management"
_GET_SERVICE: Final = "GetServiceCommand"


class _WindowsGuests:
    """The family of Windows: :class:`~hvintegration.operations.guest_systems.GuestSystem`."""

    family = GuestFamily.WINDOWS

    def read(self, target: GuestTarget, *, info: bool) -> Operation[GuestRecords]:
        answer = yield Call(GET_GUEST, {"info": info})
        assert isinstance(answer, Answer)
        records = _records(answer, result_of(answer, "read the guest", _guest_error), target, info=info)
        if all(state.installed is not True for state in records.services):
            _raise_no_guest(records)
        return records

    def change(self, changes: Sequence[Change], target: GuestTarget, *, dry_run: bool) -> Operation[Told]:
        document: JsonObject = {
            "vm_id": target.vm_id,
            "dry_run": dry_run,
            "changes": list(map(_asked, changes)),
        }
        answer = yield Call(SET_GUEST_SERVICES, document, dry_run=dry_run)
        assert isinstance(answer, Answer)
        try:
            return _told(answer, changes, target)
        except DecodeError as error:
            error.address = answer.address
            raise

    def refuse(self, change: Change) -> None:
        """Windows has all of them."""

    def is_started(self, state: GuestServiceState) -> bool | None:
        return None if self._is_open(state) else state.status == _RUNNING

    def is_stopped(self, state: GuestServiceState) -> bool | None:
        return None if self._is_open(state) else state.status == _STOPPED

    def _is_open(self, state: GuestServiceState) -> bool:
        return state.status is None or self.is_under_way(state)

    def is_under_way(self, state: GuestServiceState) -> bool:
        return (state.status or "").endswith(_PENDING)

    def why_not(self, change: Change, state: GuestServiceState) -> str:
        if change.action is GuestAction.START and state.status == _STOPPED:
            return _STOPPED_AGAIN
        if change.action is GuestAction.STOP and state.running:
            return "It was stopped, and runs again: Hyper-V starts what is enabled on the host."
        return f"The guest reported success, but it is {state.status or 'in no known state'}."

    def cannot(self, change: Change, state: GuestServiceState) -> HvError:
        if state.installed is False:
            return ServiceNotFoundError(
                f"{state.address} has no {change.kind.label}: it is not installed.",
                address=state.address,
                hint=f"The service of Windows is {change.kind.windows_service}.",
            )
        return kept_from_starting(change.kind, state.address, "it is disabled in the guest")

    def error(self, change: Change, made: GuestChange) -> HvError:
        state, error = made.state, made.error
        if state is not None and made.outcome is ChangeOutcome.FAILED:
            if not change.action.is_startup and self.is_under_way(state):
                return WaitTimeoutError(
                    f"{change.kind.label} of {made.address} is {state.status}: there was no time left to {change}.",
                    wanted=change.action.value,
                    last=state,
                    hint="Give it more time.",
                )
            is_disabled = change.needs_to_start and state.startup is Startup.DISABLED
            if state.installed is False or (is_disabled and error is not None and not error.error_id):
                return self.cannot(change, state)
        assert error is not None
        refusal = refusal_of(change, made)
        if short_id(error.error_id) in {"CouldNotStartService", "CouldNotStopService", "CouldNotSetService"}:
            return _not_let(refusal)
        if error.message == _STOPPED_AGAIN and not error.error_id:
            return InvalidStateError(
                f"{made.address} failed to {change}: {error.message}",
                address=made.address,
                action=str(change),
                current=(state.status or "") if state is not None else "",
                expected="enabled on the host",
                hint=offer_it(change.kind),
            )
        return _guest_error(refusal)


def _asked(change: Change) -> JsonObject:
    """What the script is told of a change."""
    told: JsonObject = {"name": change.kind.windows_service, "action": change.action.value}
    return told | {"then_start": True} if change.then_start else told


def _raise_no_guest(records: GuestRecords) -> None:
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
        needs=WINDOWS,
        hint="Their names begin with vmic; Windows has them since Windows 8 and Windows Server 2012.",
    )


def _guest_error(refusal: Refusal) -> RemoteError:
    """The exception for what a machine said when it was asked for services of Windows."""
    if short_id(refusal.error_id) == "CommandNotFoundException" and refusal.missing_module == _OF_SERVICES:
        return UnsupportedError(
            f"{refusal.address} cannot {refusal.doing}{refusal.said}",
            needs=WINDOWS,
            **refusal.facts,
            hint="PowerShell has commands for services on Windows only.",
        )
    if refusal.error_id.endswith(_GET_SERVICE):
        return remote_error(refusal, hint="Where this user lacks the right: use an administrator of the guest.")
    return remote_error(refusal)


def _told(answer: Answer, changes: Sequence[Change], target: GuestTarget) -> Told:
    result = result_of(answer, "change integration services", _guest_error)
    reports = reports_of(result, answer, changes, target, _report)
    return Told(reports, _records(answer, result, target, info=False))


def _report(entry: Json, path: str, error: ErrorEntry | None) -> Report:
    if entry is None:
        return Report(found=False, error=error)
    done = as_object(entry, path)
    before = object_field(done, "before", path)
    state = optional_text(before, "state", f"{path}.before")
    startup = _startup(_SERVICE.read(before, f"{path}.before"))
    return Report(found=True, state=state, startup=startup, begun=flag(done, "begun", path), error=error)


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


def _records(answer: Answer, result: JsonObject, target: GuestTarget, *, info: bool) -> GuestRecords:
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
    unread = [own(nameless, answer.address) for state in listed if state is None]
    found = [state for state in listed if state is not None]
    seen = {state.kind: state for state in found if state.kind is not None}
    # An error with a target is about that alone, and not about the list.
    is_whole = result.get("services") is not None and not unread and all(entry.target for entry in answer.errors)
    known = [
        seen.get(kind) or _unseen(kind, answer.address, answer.received_at, installed=False if is_whole else None)
        for kind in ServiceKind
    ]
    others = [state for state in found if state.kind is None]
    vm_id = normal_guid(vm_id or "")
    return GuestRecords(
        answer,
        GuestFamily.WINDOWS,
        vm_id,
        (*known, *others),
        (*said, *unread),
        _info(result, answer, vm_id, version) if info else None,
    )


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
        installed=installed,
        running=False if installed is False else None,
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
    uptime=int,
    domain_controller=bool,
)
_NO_SOURCE: Final = "NoSync"
"""What the registry says of a clock that Windows sets by nothing."""


def _info(result: JsonObject, answer: Answer, vm_id: str | None, version: str | None) -> GuestInfo:
    path = "$.result.info"
    told = object_field(result, "info", "$.result")
    name, caption, os_version, os_build, vm_name, host_name, administrator, powershell, edition, mode, *more = (
        _INFO.read(told, path)
    )
    uptime, domain_controller = more
    time_sources = optional_texts(told, "time_sources", path)
    return GuestInfo(
        address=answer.address,
        family=GuestFamily.WINDOWS,
        name=name,
        caption=caption,
        os_version=os_version,
        os_build=os_build,
        vm_id=vm_id,
        vm_name=vm_name,
        host_name=host_name,
        integration_services_version=version,
        administrator=administrator,
        powershell_version=powershell,
        powershell_edition=edition,
        language_mode=mode,
        uptime=uptime,
        domain_controller=domain_controller,
        time_sources=None if time_sources is None else tuple(one for one in time_sources if one != _NO_SOURCE),
        read_at=answer.received_at,
    )


WINDOWS_GUESTS: Final[GuestSystem] = _WindowsGuests()
"""The family of Windows."""
