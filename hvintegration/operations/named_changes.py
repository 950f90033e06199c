"""Changes of services as callers name them: which virtual machine a text means, and then the changes themselves."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from hvintegration.calls.operation import DeadlineReached, Operation, SessionClosed
from hvintegration.errors import AmbiguousError, ConfigurationError, HvError, OutcomeUnknownError, VMNotFoundError
from hvintegration.models import ChangeOutcome, ServiceChange
from hvintegration.operations.refusals import is_absent
from hvintegration.operations.services import ResolvedChange, set_services
from hvintegration.operations.vms import list_vms, normal_guid, pick_vm
from hvintegration.service_kind import ServiceKind

__all__ = ["RequestedChange", "change_services", "resolve_changes"]


@attrs.frozen
class RequestedChange:
    """A change as the caller names it.

    Attributes:
        vm_id: GUID of the virtual machine, lower case without braces; None where the caller gives a text.
        vm_name: Its name; or the text, which is an id or a name.
        kind: Which service.
        enable: True to enable, False to disable.
    """

    vm_id: str | None
    vm_name: str
    kind: ServiceKind
    enable: bool


def resolve_changes(requested: Sequence[RequestedChange]) -> Operation[tuple[ResolvedChange, ...]]:
    """The same by id: no round trip, or one if a virtual machine is given by name. What looks like an id is one.

    Raises:
        ConfigurationError: A service has no switch on the host.
        VMNotFoundError: There is no virtual machine of a given name.
        AmbiguousError: There are several of a given name.
    """
    _refuse_guest_services(requested)
    texts = dict.fromkeys(change.vm_name for change in requested if change.vm_id is None)
    ids = {text: guid for text in texts if (guid := normal_guid(text)) is not None}
    if names := texts.keys() - ids.keys():
        records = yield from list_vms()
        ids |= {name: pick_vm(name, records).id for name in texts if name in names}
    return tuple(
        ResolvedChange(change.vm_id or ids[change.vm_name], change.vm_name, change.kind, change.enable)
        for change in requested
    )


def change_services(requested: Sequence[RequestedChange], *, dry_run: bool) -> Operation[tuple[ServiceChange, ...]]:
    """As :func:`~hvintegration.operations.services.set_services`, after one round trip more if a name is given.

    A text that looks like an id and is none is tried as a name, in two round trips more, as ``host.vms[...]`` does it.
    """
    changes = yield from resolve_changes(requested)
    made = yield from set_services(changes, dry_run=dry_run)
    no_ids = [
        change
        for asked, change, result in zip(requested, changes, made, strict=True)
        if asked.vm_id is None and normal_guid(asked.vm_name) is not None and _is_absent(result)
    ]
    again = (yield from _by_name(no_ids, made, dry_run=dry_run)) if no_ids else {}
    return tuple(again.get(change, result) for change, result in zip(changes, made, strict=True))


def _is_absent(made: ServiceChange) -> bool:
    return (
        made.outcome is ChangeOutcome.FAILED
        and made.error is not None
        and is_absent(made.error.error_id, made.error.target)
    )


def _by_name(
    changes: Sequence[ResolvedChange], made: Sequence[ServiceChange], *, dry_run: bool
) -> Operation[dict[ResolvedChange, ServiceChange]]:
    """What came of *changes* after all, by the names that look like their ids. Of others nothing is said."""
    try:
        records = yield from list_vms()
        named: dict[ResolvedChange, ResolvedChange] = {}
        for change in changes:
            try:
                named[change] = attrs.evolve(change, vm_id=pick_vm(change.vm_id, records).id)
            except (VMNotFoundError, AmbiguousError):
                continue
        results = yield from set_services(tuple(named.values()), dry_run=dry_run)
    except OutcomeUnknownError as error:
        error.known = (*made, *error.known)
        raise
    except (HvError, DeadlineReached, SessionClosed):
        return {}  # What came of the others is not to be lost.
    return dict(zip(named, results, strict=True))


def _refuse_guest_services(requested: Sequence[RequestedChange]) -> None:
    for change in requested:
        if not change.kind.managed_by_host:
            raise ConfigurationError(
                f"{change.kind.label} has no switch on the host.",
                hint=f"It is the service {change.kind.windows_service} inside the guest.",
            )
