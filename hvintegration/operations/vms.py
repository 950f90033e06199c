"""Questions about virtual machines, and how their records are read."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NoReturn, TypeAlias

import attrs

from hvintegration.calls.answer import Answer, ErrorEntry
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import (
    JsonObject,
    OptionalFields,
    as_object,
    decode_list,
    list_field,
    object_field,
    optional_text,
    optional_texts,
)
from hvintegration.calls.operation import Operation
from hvintegration.calls.refusals import Refusal, failure_of, own_failure
from hvintegration.errors import (
    AmbiguousError,
    CommandFailedError,
    ConfigurationError,
    DecodeError,
    Hint,
    VMNotFoundError,
    excerpt,
)
from hvintegration.models import ServiceState, VMInfo
from hvintegration.operations.refusals import hyperv_error, is_absent, result_of
from hvintegration.scripts import GET_VMS
from hvintegration.service_kind import component_of
from hvintegration.values import Failure

__all__ = [
    "VMRecord",
    "VMRecords",
    "decode_vms",
    "find_vm",
    "list_vms",
    "no_value",
    "normal_guid",
    "pick_vm",
    "read_vm",
    "read_vms",
]

_GUID = re.compile(r"\{?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\}?", re.IGNORECASE)


def normal_guid(candidate: str) -> str | None:
    """*candidate* as a GUID in lower case without braces, or None if it is not one."""
    match = _GUID.fullmatch(candidate.strip())
    return match[1].lower() if match else None


@attrs.frozen
class VMRecord:
    """What an answer says of one virtual machine.

    Attributes:
        address: Who said so.
        id: GUID, lower case without braces.
        name: Its name.
        state: Member name of ``VMState``; None if the host gave no value.
        info: Details, if they were asked for and could be read.
        services: Its integration services, likewise, without those whose id the host gave no value for.
        unread: What the host gave no value for though there always is one.
        has_unknown_services: Whether the id of one of its services is among that.
    """

    address: str
    id: str
    name: str
    state: str | None
    info: VMInfo | None = None
    services: tuple[ServiceState, ...] | None = None
    unread: tuple[Failure, ...] = ()
    has_unknown_services: bool = False


@attrs.frozen
class VMRecords:
    """The virtual machines of an answer, and its errors, raw and as values.

    Attributes:
        vms: Those whose id and name the host gave a value for.
        unknown: An entry for each of the others.
        errors: What the host itself says that went wrong.
        answer: Where that is from.
    """

    vms: tuple[VMRecord, ...]
    unknown: tuple[Failure, ...]
    errors: tuple[ErrorEntry, ...]
    answer: Answer

    @property
    def failures(self) -> tuple[Failure, ...]:
        """All that could not be read, as values that know the names of the virtual machines."""
        names = {vm.id: vm.name for vm in self.vms}
        said = tuple(failure_of(entry, address=self.answer.address, names=names) for entry in self.errors)
        return said + self.unknown + tuple(failure for vm in self.vms for failure in vm.unread)


def read_vms(
    *, vm_id: str | None = None, name: str | None = None, info: bool = False, services: bool = False
) -> Operation[VMRecords]:
    """The virtual machines of that id or name, or all: one round trip.

    The name is not a pattern; but what comes back can be more than the virtual machine of exactly that name.
    """
    # A colon in front keeps PowerShell's JSON parser from taking a name such as 2026-01-01T00:00:00Z for a date.
    document = {"vm_id": vm_id, "name": None if name is None else ":" + name, "info": info, "services": services}
    answer = yield Call(GET_VMS, document)
    assert isinstance(answer, Answer)
    result = result_of(answer, "read virtual machines")
    vms, unknown = decode_vms(result, answer)
    if not vms:
        for entry in answer.errors:
            if entry.category == "PermissionDenied" or entry.target_object is None:
                raise hyperv_error(Refusal.of(entry, address=answer.address, doing="read virtual machines"))
    explained = {entry.target for entry in answer.errors}
    for index, vm in enumerate(vms):
        for part, wanted, value in (("info", info, vm.info), ("services", services, vm.services)):
            if wanted and value is None and vm.id not in explained:
                path = f"$.result.vms[{index}].{part}"
                raise DecodeError(path=path, expected="an answer or an error", found="null", address=answer.address)
    return VMRecords(vms, unknown, answer.errors, answer)


def list_vms() -> Operation[VMRecords]:
    """Id, name and state of every virtual machine: one round trip."""
    return (yield from read_vms())


def find_vm(wanted: str) -> Operation[VMRecord]:
    """The one virtual machine of that id or name: one round trip.

    A name must fit in every character; where none does, case does not matter. A text that looks like an id but is
    none is tried as a name, in a second round trip.
    """
    if not wanted or "\0" in wanted:
        raise ConfigurationError(f"{wanted!r} cannot be the name or id of a virtual machine.")
    guid = normal_guid(wanted)
    if guid is not None:
        records = yield from read_vms(vm_id=guid)
        for vm in records.vms:
            if vm.id == guid:
                return vm
        _raise_what_hides(wanted, records)
    return pick_vm(wanted, (yield from read_vms(name=wanted)))


def pick_vm(wanted: str, records: VMRecords) -> VMRecord:
    """The one of that id; where there is none, the one of that name.

    Raises:
        VMNotFoundError: There is none.
        AmbiguousError: There are several of that name.
        CommandFailedError: It is not among what could be read.
    """
    guid = normal_guid(wanted)
    for vm in records.vms if guid is not None else ():
        if vm.id == guid:
            return vm
    fits = [vm for vm in records.vms if vm.name == wanted]
    fits = fits or [vm for vm in records.vms if vm.name.lower() == wanted.lower()]
    address = records.answer.address
    if len(fits) > 1:
        raise AmbiguousError(
            f"{address} has {len(fits)} virtual machines named {excerpt(wanted)!r}.",
            address=address,
            candidates=tuple(vm.id for vm in fits),
        )
    if not fits:
        _raise_not_found(wanted, records)
    return fits[0]


def _raise_what_hides(wanted: str, records: VMRecords) -> None:
    """Raise what keeps *wanted*, which is not among *records*, from being known not to be there."""
    address = records.answer.address
    for entry in records.errors:
        if not is_absent(entry.id, entry.target_object) and not entry.id.startswith("InvalidParameter"):
            raise hyperv_error(Refusal.of(entry, address=address, doing="find a virtual machine"))
    for failure in records.unknown:
        raise CommandFailedError(
            f"{address} failed to find a virtual machine named {excerpt(wanted)!r}: {failure.message}",
            address=address,
        )


def _raise_not_found(wanted: str, records: VMRecords) -> NoReturn:
    _raise_what_hides(wanted, records)
    address = records.answer.address
    said = records.errors[0] if records.errors else ErrorEntry("", "", "", None)
    raise VMNotFoundError(
        f"{address} has no virtual machine named {excerpt(wanted)!r}, or this user may not see it.",
        address=address,
        error_id=said.id,
        category=said.category,
        host_message=said.message,
        hint=Hint.of("{} all that this user may see.", Hint("host.vms.list() shows", "'hvintegration vms' lists")),
    )


def read_vm(vm_id: str) -> Operation[VMInfo]:
    """One virtual machine in detail: one round trip."""
    record = yield from read_one(vm_id, info=True)
    assert record.info is not None
    return record.info


def read_one(vm_id: str, *, info: bool = False, services: bool = False) -> Operation[VMRecord]:
    """The virtual machine of that id with all that was asked for: one round trip."""
    records = yield from read_vms(vm_id=vm_id, info=info, services=services)
    for entry in records.errors:
        raise hyperv_error(
            Refusal.of(entry, address=records.answer.address, doing="read the virtual machine", target=vm_id)
        )
    for failure in records.unknown:
        raise CommandFailedError(
            f"{failure.address} failed to read the virtual machine ({vm_id}): {failure.message}",
            address=failure.address,
        )
    if len(records.vms) != 1 or records.vms[0].id != vm_id:
        raise CommandFailedError(
            f"{records.answer.address} did not answer for the virtual machine {vm_id}.", address=records.answer.address
        )
    return records.vms[0]


def decode_vms(result: JsonObject, answer: Answer) -> tuple[tuple[VMRecord, ...], tuple[Failure, ...]]:
    """The virtual machines in the ``vms`` list of an answer's result, and an entry for each that has no id or no name.

    Raises:
        DecodeError: Something in it has another shape; it says where.
    """
    unknown: list[Failure] = []

    def decode(entry: JsonObject, path: str) -> VMRecord | None:
        vm_id, name = optional_text(entry, "id", path), optional_text(entry, "name", path)
        if vm_id is None or name is None:
            said = f"{no_value('Id' if vm_id is None else 'Name', 'a virtual machine')}."
            known_id = vm_id.lower() if vm_id is not None else None
            unknown.append(own_failure(said, address=answer.address, vm_id=known_id, vm_name=name))
            return None
        return _record(entry, path, answer, vm_id.lower(), name)

    found = decode_list(list_field(result, "vms", "$.result"), "$.result.vms", decode, answer.step)
    return tuple(vm for vm in found if vm is not None), tuple(unknown)


_About: TypeAlias = tuple[str, str, str | None]
"""Id, name and state of a virtual machine."""


def no_value(what: str, owner: str) -> str:
    """What is said of a property of a live object that is never null, and yet was: its getter failed, silently."""
    return f"The host gave no value for {what} of {owner}"


def _record(entry: JsonObject, path: str, answer: Answer, vm_id: str, name: str) -> VMRecord:
    unread: list[Failure] = []

    def note(what: str, owner: str = "the virtual machine") -> None:
        said = f"{no_value(what, owner)}."
        unread.append(own_failure(said, address=answer.address, vm_id=vm_id, vm_name=name))

    state = optional_text(entry, "state", path)
    if state is None:
        note("State")
    about = vm_id, name, state
    info = None if entry.get("info") is None else _info(entry, path, about, answer.received_at)
    if info is not None and info.generation is None:
        note("Generation")
    if entry.get("services") is None:
        return VMRecord(answer.address, vm_id, name, state, info, unread=tuple(unread))

    items = list_field(entry, "services", path)
    services: list[ServiceState] = []
    for index, item in enumerate(items):
        try:
            service = _service(as_object(item, ""), about, answer.received_at)
        except DecodeError as wrong:
            place = f"{path}.services[{index}]{wrong.path}"
            raise DecodeError(path=place, expected=wrong.expected, found=wrong.found) from None
        answer.step()
        if service is None:
            note("Id", "an integration service")
            continue
        services.append(service)
        if service.enabled is None or service.name is None:
            for what in ("Enabled",) * (service.enabled is None) + ("Name",) * (service.name is None):
                note(what, service.kind.label if service.kind is not None else service.component_id)
    return VMRecord(
        address=answer.address,
        id=vm_id,
        name=name,
        state=state,
        info=info,
        services=tuple(services),
        unread=tuple(unread),
        has_unknown_services=len(services) < len(items),
    )


_INFO = OptionalFields(
    status=str,
    heartbeat=str,
    generation=int,
    version=str,
    uptime_seconds=int,
    notes=str,
    clustered=bool,
    integration_services_version=str,
    checkpoint_type=str,
)


def _info(entry: JsonObject, path: str, about: _About, read_at: datetime) -> VMInfo:
    vm_id, name, state = about
    info = object_field(entry, "info", path)
    path = f"{path}.info"
    status, heartbeat, generation, version, uptime, notes, clustered, services_version, checkpoints = _INFO.read(
        info, path
    )
    return VMInfo(
        id=vm_id,
        name=name,
        state=state,
        status=status,
        heartbeat=heartbeat,
        generation=generation,
        version=version,
        uptime=uptime,
        notes=notes,
        addresses=optional_texts(info, "addresses", path),
        clustered=clustered,
        integration_services_version=None if services_version in {"", "0.0"} else services_version,
        checkpoint_type=checkpoints,
        read_at=read_at,
    )


_SERVICE = OptionalFields(
    id=str, name=str, enabled=bool, primary=str, primary_text=str, secondary=str, secondary_text=str
)


def _service(service: JsonObject, about: _About, read_at: datetime) -> ServiceState | None:
    """The state of a service; None if the host gave no value for its id.

    Raises:
        DecodeError: It has another shape; the path begins at the service.
    """
    identifier, name, enabled, primary, primary_text, secondary, secondary_text = _SERVICE.read(service, "")
    if identifier is None:
        return None
    vm_id, vm_name, vm_state = about
    component_id, kind = component_of(identifier)
    return ServiceState(
        vm_id=vm_id,
        vm_name=vm_name,
        vm_state=vm_state,
        kind=kind,
        component_id=component_id,
        name=name,
        enabled=enabled,
        primary=primary,
        primary_text=primary_text,
        secondary=secondary,
        secondary_text=secondary_text,
        read_at=read_at,
    )
