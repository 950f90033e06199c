"""What a host's error means: which exception to raise, or what entry to keep. Decided on ids, never on messages."""

from __future__ import annotations

from collections.abc import Mapping

from hvintegration.calls.answer import Answer, ErrorEntry
from hvintegration.calls.decoding import JsonObject
from hvintegration.errors import (
    CommandFailedError,
    InvalidStateError,
    PermissionDeniedError,
    RemoteError,
    ServiceNotFoundError,
    UnsupportedError,
    VMNotFoundError,
    excerpt,
)
from hvintegration.models import Failure

__all__ = [
    "COMPONENT_NOT_FOUND",
    "HYPERV_MODULE",
    "failure_of",
    "is_absent",
    "is_busy",
    "is_refusal_of_scripts",
    "refusal_of",
    "remote_error",
    "result_of",
]

COMPONENT_NOT_FOUND = "ComponentNotFound"
"""Error id of the package's own script: the virtual machine has no component of that GUID."""

HYPERV_MODULE = "the Hyper-V module for PowerShell"
"""What a host without the module needs."""

_MODULE_MISSING = frozenset({"CouldNotAutoLoadModule", "CommandNotFoundException", "Modules_ModuleNotFound"})
_SCRIPTS_REFUSED = frozenset({"ScriptsNotAllowed", "ScriptBlockNotSupportedInLanguageMode"})


def _short(error_id: str) -> str:
    """The identifier before the comma of a FullyQualifiedErrorId."""
    return error_id.partition(",")[0]


def remote_error(
    *, address: str, error_id: str, category: str, message: str, doing: str, target: str | None = None
) -> RemoteError:
    """The exception for an error record that *address* sent.

    Args:
        address: Who said so.
        error_id: PowerShell's FullyQualifiedErrorId.
        category: PowerShell's error category.
        message: The host's sentence.
        doing: What was being done, for the message, such as ``read virtual machines``.
        target: What it is about, if that is known.
    """
    said = f": {excerpt(message)}" if message else "."
    about = f" ({target})" if target and target not in doing else ""
    facts = {"address": address, "error_id": error_id, "category": category, "host_message": message}
    short = _short(error_id)
    if category == "PermissionDenied" or short == "AccessDenied":
        return PermissionDeniedError(
            f"{address} does not let this user {doing}{about}{said}",
            **facts,
            hint="Use an elevated session, or a member of the host's Hyper-V Administrators group (SID S-1-5-32-578).",
        )
    if short in _MODULE_MISSING:
        return UnsupportedError(
            f"{address} cannot {doing}{about}{said}",
            needs=HYPERV_MODULE,
            **facts,
            hint="Install the feature Hyper-V-PowerShell on the host, or use a host that has the Hyper-V role.",
        )
    if is_refusal_of_scripts(error_id):
        return UnsupportedError(
            f"{address} takes no scripts at this endpoint{about}{said}", needs="an endpoint that runs scripts", **facts
        )
    if short == COMPONENT_NOT_FOUND:
        return ServiceNotFoundError(
            f"{address} has no such integration service{about}.",
            **facts,
            hint="Hosts older than Windows Server 2012 R2 have no Guest Service Interface.",
        )
    if short == "ObjectNotFound" and target is None:
        return CommandFailedError(
            f"{address} failed to {doing}{said}",
            **facts,
            hint="Check that the Virtual Machine Management service runs, and that this user may manage Hyper-V.",
        )
    if short == "ObjectNotFound":
        return VMNotFoundError(
            f"{address} has no such virtual machine{about}{said}",
            **facts,
            hint="It may have been deleted or moved, or this user may not see it.",
        )
    if short == "InvalidState":
        return InvalidStateError(f"{address} cannot {doing} now{about}{said}", action=doing, **facts)
    return CommandFailedError(f"{address} failed to {doing}{about}{said}", **facts)


def refusal_of(entry: ErrorEntry, *, address: str, doing: str, target: str | None = None) -> RemoteError:
    """The exception for one entry of an answer's error list; *target* is what it is about if the entry says nothing."""
    return remote_error(
        address=address,
        error_id=entry.id,
        category=entry.category,
        message=entry.message,
        doing=doing,
        target=entry.target or target,
    )


def result_of(answer: Answer, doing: str) -> JsonObject:
    """The result; errors about one of several things stay where they are.

    Raises:
        RemoteError: The question failed as a whole; as :func:`remote_error` chooses it.
    """
    if answer.result is not None:
        return answer.result
    for entry in answer.errors:
        raise refusal_of(entry, address=answer.address, doing=doing)
    raise CommandFailedError(f"{answer.address} answered neither a result nor an error.", address=answer.address)


def failure_of(entry: ErrorEntry, *, address: str, names: Mapping[str, str]) -> Failure:
    """The entry as a value; *address* is who said so, *names* are the names of known virtual machines by id."""
    vm_id = entry.target if entry.target in names else None
    return Failure(
        address=address,
        vm_id=vm_id,
        vm_name=names[vm_id] if vm_id is not None else None,
        target=entry.target,
        error_id=entry.id,
        category=entry.category,
        message=entry.message,
    )


def is_absent(error_id: str) -> bool:
    """Whether the virtual machine or its component is not there."""
    return _short(error_id) in {"ObjectNotFound", COMPONENT_NOT_FOUND}


def is_refusal_of_scripts(error_id: str) -> bool:
    """Whether the endpoint runs no scripts, only commands of its own."""
    return _short(error_id) in _SCRIPTS_REFUSED


def is_busy(error_id: str) -> bool:
    """Whether asking again later may succeed because another operation is running.

    Hosts answer ``InvalidState`` while somebody else is changing the virtual machine.
    """
    return _short(error_id) == "InvalidState"
