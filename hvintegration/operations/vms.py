"""Questions about virtual machines, and how their records are read."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NoReturn

import attrs

from hvintegration.calls.answer import Answer, ErrorEntry
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import (
    JsonObject,
    decode_list,
    flag,
    integer,
    list_field,
    object_field,
    optional_text,
    text,
    texts,
)
from hvintegration.calls.operation import Operation
from hvintegration.calls.refusals import Refusal, failure_of
from hvintegration.errors import AmbiguousError, ConfigurationError, DecodeError, Hint, VMNotFoundError, excerpt
from hvintegration.models import Failure, ServiceState, VMInfo
from hvintegration.operations.refusals import hyperv_error, result_of
from hvintegration.scripts import GET_VMS
from hvintegration.service_kind import ServiceKind, component_id_of

__all__ = [
    "VMRecord",
    "VMRecords",
    "decode_vms",
    "find_vm",
    "list_vms",
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
        state: Member name of ``VMState``.
        info: Details, if they were asked for and could be read.
        services: Its integration services, likewise.
    """

    address: str
    id: str
    name: str
    state: str
    info: VMInfo | None
    services: tuple[ServiceState, ...] | None


@attrs.frozen
class VMRecords:
    """The virtual machines of an answer, and its errors, raw and as values."""

    vms: tuple[VMRecord, ...]
    errors: tuple[ErrorEntry, ...]
    answer: Answer

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The errors as values that know the names of the virtual machines."""
        names = {vm.id: vm.name for vm in self.vms}
        return tuple(failure_of(entry, address=self.answer.address, names=names) for entry in self.errors)


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
    vms = decode_vms(result, answer)
    if not vms:
        for entry in answer.errors:
            if entry.category == "PermissionDenied" or (entry.target is None and vm_id is None):
                raise hyperv_error(Refusal.of(entry, address=answer.address, doing="read virtual machines"))
    explained = {entry.target for entry in answer.errors}
    for index, vm in enumerate(vms):
        for part, wanted, value in (("info", info, vm.info), ("services", services, vm.services)):
            if wanted and value is None and vm.id not in explained:
                path = f"$.result.vms[{index}].{part}"
                raise DecodeError(path=path, expected="an answer or an error", found="null", address=answer.address)
    return VMRecords(vms, answer.errors, answer)


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
    return pick_vm(wanted, (yield from read_vms(name=wanted)))


def pick_vm(wanted: str, records: VMRecords) -> VMRecord:
    """The one of that name.

    Raises:
        VMNotFoundError: There is none.
        AmbiguousError: There are several.
    """
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


def _raise_not_found(wanted: str, records: VMRecords) -> NoReturn:
    address = records.answer.address
    said = records.errors[0] if records.errors else ErrorEntry("", "", "", None)
    if said.id.startswith(("InvalidParameter", "ObjectNotFound")) or not said.id:
        raise VMNotFoundError(
            f"{address} has no virtual machine named {excerpt(wanted)!r}, or this user may not see it.",
            address=address,
            error_id=said.id,
            category=said.category,
            host_message=said.message,
            hint=Hint.of("{} all that this user may see.", Hint("host.vms.list() shows", "'hvintegration vms' lists")),
        )
    raise hyperv_error(Refusal.of(said, address=address, doing="find a virtual machine"))


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
    if len(records.vms) != 1 or records.vms[0].id != vm_id:
        raise VMNotFoundError(
            f"{records.answer.address} did not answer for the virtual machine {vm_id}.", address=records.answer.address
        )
    return records.vms[0]


def decode_vms(result: JsonObject, answer: Answer) -> tuple[VMRecord, ...]:
    """The virtual machines in the ``vms`` list of an answer's result.

    Raises:
        DecodeError: Something in it has another shape; it says where.
    """
    read_at = answer.received_at

    def decode(entry: JsonObject, path: str) -> VMRecord:
        vm = VMRecord(
            address=answer.address,
            id=text(entry, "id", path).lower(),
            name=text(entry, "name", path),
            state=text(entry, "state", path),
            info=None,
            services=None,
        )
        return attrs.evolve(
            vm,
            info=None if entry.get("info") is None else _info(entry, path, vm, read_at),
            services=None if entry.get("services") is None else _services(entry, path, vm, read_at),
        )

    return decode_list(list_field(result, "vms", "$.result"), "$.result.vms", decode)


def _info(entry: JsonObject, path: str, vm: VMRecord, read_at: datetime) -> VMInfo:
    info = object_field(entry, "info", path)
    path = f"{path}.info"
    version = text(info, "integration_services_version", path)
    return VMInfo(
        id=vm.id,
        name=vm.name,
        state=vm.state,
        status=text(info, "status", path),
        heartbeat=optional_text(info, "heartbeat", path),
        generation=integer(info, "generation", path),
        version=text(info, "version", path),
        uptime=integer(info, "uptime_seconds", path),
        notes=text(info, "notes", path),
        addresses=texts(info, "addresses", path),
        clustered=flag(info, "clustered", path),
        integration_services_version=None if version in {"", "0.0"} else version,
        read_at=read_at,
    )


def _services(entry: JsonObject, path: str, vm: VMRecord, read_at: datetime) -> tuple[ServiceState, ...]:
    def decode(service: JsonObject, path: str) -> ServiceState:
        component_id = component_id_of(text(service, "id", path))
        return ServiceState(
            vm_id=vm.id,
            vm_name=vm.name,
            vm_state=vm.state,
            kind=ServiceKind.of_component(component_id),
            component_id=component_id,
            name=text(service, "name", path),
            enabled=flag(service, "enabled", path),
            primary=optional_text(service, "primary", path),
            primary_text=optional_text(service, "primary_text", path),
            secondary=optional_text(service, "secondary", path),
            secondary_text=optional_text(service, "secondary_text", path),
            read_at=read_at,
        )

    return decode_list(list_field(entry, "services", path), f"{path}.services", decode)
