"""How callers name the changes that they want, and what of it is refused before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias, cast

from hvintegration.errors import ConfigurationError, excerpt
from hvintegration.integration_service import IntegrationService
from hvintegration.operations import named_changes
from hvintegration.service_kind import ServiceKind
from hvintegration.session import Session
from hvintegration.vm import VM

__all__ = ["RequestedChange", "RequestedChanges", "read_changes"]

RequestedChange: TypeAlias = tuple[VM | str, ServiceKind | str, bool] | tuple[IntegrationService, bool]
"""A virtual machine (a handle, an id or a name), a service, and whether it shall be enabled; or a service's handle, and
that."""

RequestedChanges: TypeAlias = Iterable[RequestedChange] | Mapping[Any, Mapping[Any, bool]]
"""Changes one by one, or by virtual machine and service: ``{"demovm": {"heartbeat": True, "vss": False}}``.

The keys are what a change names; a type that said so would refuse a ``dict[str, ...]``, since keys do not vary."""


def read_changes(changes: RequestedChanges, session: Session) -> tuple[named_changes.RequestedChange, ...]:
    """What callers want of the host behind *session*.

    Raises:
        ConfigurationError: It has another shape, a value is neither True nor False, or a handle belongs to another
            host. The message says where.
        UnknownServiceError: No service is known by a given text.
    """
    return tuple(_read(change, place, session) for place, change in _each(changes))


def _each(changes: object) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Each change with its place."""
    if isinstance(changes, Mapping):
        for machine, wanted in cast("Mapping[object, object]", changes).items():
            place = f"changes[{excerpt(repr(machine))}]"
            if not isinstance(wanted, Mapping):
                _refuse(place, wanted, "no mapping of services to True or False")
            for service, enable in cast("Mapping[object, object]", wanted).items():
                yield f"{place}[{excerpt(repr(service))}]", (machine, service, enable)
        return
    if isinstance(changes, str | bytes) or not isinstance(changes, Iterable):
        _refuse("changes", changes, "neither a sequence of changes nor a mapping")
    for index, change in enumerate(cast("Iterable[object]", changes)):
        parts = _parts(change)
        if len(parts) not in {2, 3}:
            _refuse(
                f"changes[{index}]", change, "neither (virtual machine, service, bool) nor (IntegrationService, bool)"
            )
        yield f"changes[{index}]", parts


def _parts(change: object) -> tuple[object, ...]:
    return tuple(cast("Sequence[object]", change)) if isinstance(change, tuple | list) else ()


def _read(change: tuple[object, ...], place: str, session: Session) -> named_changes.RequestedChange:
    *about, enable = change
    if type(enable) is not bool:
        _refuse(place, enable, "neither True nor False")
    if len(about) == 1:
        (service,) = about
        if not isinstance(service, IntegrationService):
            _refuse(place, service, "no integration service; with its name, say first of which virtual machine")
        _belongs(service, service.session, session)
        return named_changes.RequestedChange(service.vm_id, service.vm_name, service.kind, enable)
    machine, kind = about
    if not isinstance(kind, ServiceKind | str):
        _refuse(place, kind, "neither a ServiceKind nor the name of a service")
    if isinstance(machine, VM):
        _belongs(machine, machine.session, session)
        return named_changes.RequestedChange(machine.id, machine.name, ServiceKind.find(kind), enable)
    if not isinstance(machine, str) or not machine or "\0" in machine:
        _refuse(place, machine, "no handle, name or id of a virtual machine")
    return named_changes.RequestedChange(None, machine, ServiceKind.find(kind), enable)


def _belongs(handle: object, its: Session, session: Session) -> None:
    if its is not session:
        raise ConfigurationError(f"{handle!r} belongs to {its.address}, not to {session.address}.")


def _refuse(place: str, value: object, why: str) -> NoReturn:
    raise ConfigurationError(f"Invalid {place}: {excerpt(repr(value))} is {why}. Nothing was changed.")
