"""What a rule is, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs

from hvintegration.diagnosis.facts import Facts
from hvintegration.findings import End, Fix, Severity
from hvintegration.service_kind import HOST_MANAGED, ServiceKind

__all__ = [
    "OF_THE_MACHINE",
    "SIX",
    "Act",
    "Rule",
    "Seen",
    "disable",
    "enable",
    "install",
    "restart",
    "set_manual",
    "start",
]

OF_THE_MACHINE: Final = (None,)
"""What a rule looks at that is not about one service."""

SIX: Final[tuple[ServiceKind | None, ...]] = HOST_MANAGED
"""What a rule looks at that is about each service."""


@attrs.frozen
class Act:
    """What would help, before it is known of which virtual machine: a :class:`~hvintegration.Fix` without it."""

    end: End
    kind: ServiceKind
    action: str
    cost: str
    undo: str | None

    def of(self, vm_id: str | None) -> Fix:
        """It, for that virtual machine."""
        return Fix(end=self.end, vm_id=vm_id, kind=self.kind, action=self.action, cost=self.cost, undo=self.undo)


@attrs.frozen
class Seen:
    """That a rule applies.

    Attributes:
        evidence: What it was judged from, in sentences.
        act: What this package can do about it.
    """

    evidence: tuple[str, ...]
    act: Act | None = None


Look: TypeAlias = Callable[[Facts, Any], Seen | None]
"""Whether a rule applies to a service, which is None for the machine as a whole."""


@attrs.frozen(kw_only=True)
class Rule:
    """A rule: what it is called and says, and the function that says whether it applies.

    In ``cause`` and ``remedy``, ``{service}`` stands for the service, ``{windows}`` for its name in Windows guests, and
    ``{lost}`` for what does not work without it.

    Attributes:
        id: Its stable name.
        severity: How bad it is.
        title: What is so, in a few words.
        kinds: The services that it looks at, one after the other; None stands for the machine as a whole.
        needs: What it is judged from, in words.
        cause: What it means.
        remedy: What to do.
        source: Where that is documented.
        look: Whether it applies. It raises LackError where it lacks a fact.
    """

    id: str
    severity: Severity
    title: str
    kinds: tuple[ServiceKind | None, ...] = SIX
    needs: str
    cause: str
    remedy: str
    source: str
    look: Look = attrs.field(repr=False, eq=False)

    def say(self, text: str, kind: ServiceKind | None) -> str:
        """*text*, which is its cause or its remedy, about that service."""
        if kind is None:
            return text
        return text.format(service=kind.label, windows=kind.windows_service, lost=kind.when_disabled)


# -- what can be done ------------------------------------------------------------------------------------------------

_NOTHING: Final = "Nothing: it works while the virtual machine runs."


def enable(kind: ServiceKind) -> Act:
    """Enable it on the host."""
    return Act(End.HOST, kind, "enable", _NOTHING, "disable")


def disable(kind: ServiceKind) -> Act:
    """Disable it on the host."""
    return Act(End.HOST, kind, "disable", kind.when_disabled, "enable")


def start(kind: ServiceKind) -> Act:
    """Start it in the guest."""
    return Act(End.GUEST, kind, "start", "Nothing: only this service starts.", "stop")


def restart(kind: ServiceKind) -> Act:
    """Stop and start it in the guest."""
    return Act(End.GUEST, kind, "restart", "The service is away for a moment.", None)


def set_manual(kind: ServiceKind) -> Act:
    """Have it start when it is needed."""
    return Act(End.GUEST, kind, "manual", "Nothing: it does not start by this.", "disabled")


def install(kind: ServiceKind) -> Act:
    """Install the package that its daemon is from, in Linux."""
    return Act(End.GUEST, kind, "install", "The package manager of the guest fetches and installs packages.", None)
