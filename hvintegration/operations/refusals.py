"""What a refusal means where virtual machines are asked for. Decided on ids and categories, never on messages."""

from __future__ import annotations

from hvintegration.calls import refusals
from hvintegration.calls.answer import Answer
from hvintegration.calls.decoding import JsonObject
from hvintegration.calls.refusals import Refusal, remote_error, short_id
from hvintegration.errors import CommandFailedError, RemoteError, ServiceNotFoundError, VMNotFoundError

__all__ = [
    "COMPONENT_NOT_FOUND",
    "COMPONENT_NOT_READ",
    "HYPERV_MODULE",
    "hyperv_error",
    "is_absent",
    "is_busy",
    "is_unanswered",
    "result_of",
]

COMPONENT_NOT_FOUND = "ComponentNotFound"
"""Error id of the package's own script: the virtual machine has no component of that GUID."""

HYPERV_MODULE = "the Hyper-V module for PowerShell"
"""What a host without the module needs."""

COMPONENT_NOT_READ = "ComponentNotRead"
"""Likewise: it has none that could be read, but one whose GUID could not be."""

_OBJECT_NOT_FOUND = "ObjectNotFound"


def hyperv_error(refusal: Refusal) -> RemoteError:
    """The exception for what a Hyper-V host said when it was asked for virtual machines."""
    if refusal.denies_permission:
        return remote_error(
            refusal,
            hint="Use an elevated session, or a member of the host's Hyper-V Administrators group (SID S-1-5-32-578).",
        )
    if refusal.lacks_command and refusal.missing_module in {None, "Hyper-V"}:
        return remote_error(
            refusal,
            needs=HYPERV_MODULE,
            hint="Install the feature Hyper-V-PowerShell on the host, or use a host that has the Hyper-V role.",
        )
    short = short_id(refusal.error_id)
    if short == COMPONENT_NOT_FOUND:
        return ServiceNotFoundError(
            f"{refusal.address} has no such integration service{refusal.about}.",
            **refusal.facts,
            hint="Hosts older than Windows Server 2012 R2 have no Guest Service Interface.",
        )
    if short == COMPONENT_NOT_READ:
        return CommandFailedError(
            f"{refusal.address} failed to {refusal.doing}{refusal.about}: it gave no value for Id of an integration "
            "service.",
            **refusal.facts,
        )
    if is_unanswered(refusal.error_id, refusal.target_object):
        return CommandFailedError(
            f"{refusal.address} failed to {refusal.doing}{refusal.said}",
            **refusal.facts,
            hint="Check that the Virtual Machine Management service runs, and that this user may manage Hyper-V.",
        )
    if short == _OBJECT_NOT_FOUND:
        return VMNotFoundError(
            f"{refusal.address} has no such virtual machine{refusal.about}{refusal.said}",
            **refusal.facts,
            hint="It may have been deleted or moved, or this user may not see it.",
        )
    return remote_error(refusal)


def result_of(answer: Answer, doing: str) -> JsonObject:
    """The result; errors about one of several things stay where they are.

    Raises:
        RemoteError: The question failed as a whole; as :func:`hyperv_error` chooses it.
    """
    return refusals.result_of(answer, doing, hyperv_error)


def is_absent(error_id: str, target_object: str | None) -> bool:
    """Whether the host says of a virtual machine or of its component that it is not there."""
    return short_id(error_id) in {_OBJECT_NOT_FOUND, COMPONENT_NOT_FOUND} and target_object is not None


def is_unanswered(error_id: str, target_object: str | None) -> bool:
    """Whether the management service of the host does not answer: it finds nothing, and names nothing that is gone."""
    return short_id(error_id) == _OBJECT_NOT_FOUND and target_object is None


def is_busy(error_id: str) -> bool:
    """Whether asking again later may succeed because another operation is running.

    Hosts answer ``InvalidState`` while somebody else is changing the virtual machine.
    """
    return short_id(error_id) == "InvalidState"
