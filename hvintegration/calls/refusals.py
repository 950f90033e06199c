"""What a machine's refusal means, whatever the machine is. Decided on ids and categories, never on messages.

Who knows more of the machine has a function of their own from a :class:`Refusal` to an exception, and ends it with
:func:`remote_error`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Self, TypedDict

import attrs

from hvintegration.calls.answer import Answer, ErrorEntry
from hvintegration.calls.decoding import JsonObject
from hvintegration.errors import (
    CommandFailedError,
    HvError,
    InvalidStateError,
    PermissionDeniedError,
    RemoteError,
    UnsupportedError,
    excerpt,
)
from hvintegration.values import Failure

__all__ = [
    "Facts",
    "Refusal",
    "failure_from",
    "failure_of",
    "is_refusal_of_scripts",
    "own_failure",
    "remote_error",
    "result_of",
    "short_id",
]

_COMMAND_MISSING = frozenset({"CouldNotAutoLoadModule", "CommandNotFoundException", "Modules_ModuleNotFound"})
_MODULE = re.compile(r"[A-Za-z][\w.-]{0,99}", re.ASCII)
_SCRIPTS_REFUSED = frozenset({"ScriptsNotAllowed", "ScriptBlockNotSupportedInLanguageMode"})


class Facts(TypedDict):
    """What every :class:`~hvintegration.errors.RemoteError` keeps of a refusal."""

    address: str
    error_id: str
    category: str
    host_message: str


@attrs.frozen(kw_only=True)
class Refusal:
    """An error record that a machine sent, and what it was asked for.

    Attributes:
        address: Who said so.
        error_id: PowerShell's FullyQualifiedErrorId.
        category: PowerShell's error category.
        message: The machine's sentence.
        doing: What was being done, for the message, such as ``read virtual machines``.
        target: What it is about, if that is known.
        target_object: What the machine itself says that it is about, or None.
    """

    address: str
    error_id: str
    category: str
    message: str
    doing: str
    target: str | None = None
    target_object: str | None = None

    @classmethod
    def of(cls, entry: ErrorEntry, *, address: str, doing: str, target: str | None = None) -> Self:
        """One entry of an answer's error list; *target* is what it is about if the entry says nothing."""
        return cls(
            address=address,
            error_id=entry.id,
            category=entry.category,
            message=entry.message,
            doing=doing,
            target=entry.target or target,
            target_object=entry.target_object,
        )

    @property
    def facts(self) -> Facts:
        """What the exception keeps of it."""
        return Facts(address=self.address, error_id=self.error_id, category=self.category, host_message=self.message)

    @property
    def about(self) -> str:
        """What it is about, for the end of a sentence; empty if that is not known or said already."""
        return f" ({self.target})" if self.target and self.target not in self.doing else ""

    @property
    def said(self) -> str:
        """The machine's sentence, as the end of one of ours."""
        return f": {excerpt(self.message)}" if self.message else "."

    @property
    def denies_permission(self) -> bool:
        """Whether the user lacks a right."""
        return self.category == "PermissionDenied" or short_id(self.error_id) == "AccessDenied"

    @property
    def lacks_command(self) -> bool:
        """Whether a command, or the module that it is in, is missing."""
        return short_id(self.error_id) in _COMMAND_MISSING

    @property
    def missing_module(self) -> str | None:
        r"""The module that a command was asked of and that cannot be loaded, if the machine says which.

        The scripts call every command by its module's name, as in ``Hyper-V\Get-VM``.
        """
        module, separator, _ = (self.target_object or "").partition("\\")
        return module if self.lacks_command and separator and _MODULE.fullmatch(module) else None


def short_id(error_id: str) -> str:
    """The identifier before the comma of a FullyQualifiedErrorId."""
    return error_id.partition(",")[0]


def is_refusal_of_scripts(error_id: str) -> bool:
    """Whether the endpoint runs no scripts, only commands of its own."""
    return short_id(error_id) in _SCRIPTS_REFUSED


def remote_error(
    refusal: Refusal, *, needs: str = "a command or a module of PowerShell", hint: str | None = None
) -> RemoteError:
    """The exception for *refusal*, as far as it means the same on every machine.

    Args:
        refusal: What the machine said.
        needs: What is missing where a command is, if the caller knows; a module that the machine names goes first.
        hint: What to do next, if the caller knows.
    """
    address, doing, about, said = refusal.address, refusal.doing, refusal.about, refusal.said
    if refusal.denies_permission:
        return PermissionDeniedError(
            f"{address} does not let this user {doing}{about}{said}", **refusal.facts, hint=hint
        )
    if (module := refusal.missing_module) is not None and hint is None:
        return UnsupportedError(
            f"{address} cannot {doing}{about}{said}",
            needs=f"the module {module} of PowerShell",
            **refusal.facts,
            hint="Look at the environment variable PSModulePath there: a Windows PowerShell that was started from "
            "PowerShell 7 inherits folders whose modules it cannot load.",
        )
    if refusal.lacks_command:
        return UnsupportedError(f"{address} cannot {doing}{about}{said}", needs=needs, **refusal.facts, hint=hint)
    if is_refusal_of_scripts(refusal.error_id):
        return UnsupportedError(
            f"{address} takes no scripts at this endpoint{about}{said}",
            needs="an endpoint that runs scripts",
            **refusal.facts,
            hint=hint,
        )
    if short_id(refusal.error_id) == "InvalidState":
        return InvalidStateError(f"{address} cannot {doing} now{about}{said}", action=doing, **refusal.facts, hint=hint)
    return CommandFailedError(f"{address} failed to {doing}{about}{said}", **refusal.facts, hint=hint)


def result_of(answer: Answer, doing: str, error_of: Callable[[Refusal], RemoteError]) -> JsonObject:
    """The result; errors about one of several things stay where they are.

    Args:
        answer: What came.
        doing: What was being done, for the message.
        error_of: Which exception a refusal is.

    Raises:
        RemoteError: The question failed as a whole; as *error_of* chooses it.
    """
    if answer.result is not None:
        return answer.result
    for entry in answer.errors:
        raise error_of(Refusal.of(entry, address=answer.address, doing=doing))
    raise CommandFailedError(f"{answer.address} answered neither a result nor an error.", address=answer.address)


def failure_of(entry: ErrorEntry, *, address: str, names: Mapping[str, str]) -> Failure:
    """The entry as a value; *address* is who said so, *names* are the names by id of what it may be about."""
    vm_id = entry.target if entry.target in names else None
    return Failure(
        address=address,
        vm_id=vm_id,
        vm_name=names[vm_id] if vm_id is not None else None,
        target=entry.target_object,
        error_id=entry.id,
        category=entry.category,
        message=entry.message,
    )


def own_failure(message: str, *, address: str, vm_id: str | None, vm_name: str | None) -> Failure:
    """A value like that of an entry, where the package itself draws the conclusion that *message* says."""
    return Failure(
        address=address, vm_id=vm_id, vm_name=vm_name, target=None, error_id="", category="", message=message
    )


def failure_from(error: HvError, *, address: str, vm_id: str | None, vm_name: str | None) -> Failure:
    """A value like that of an entry, where *error* is about one of several things while the others go on."""
    said = own_failure(str(error), address=address, vm_id=vm_id, vm_name=vm_name)
    if isinstance(error, RemoteError):
        return attrs.evolve(said, error_id=error.error_id, category=error.category)
    return said
