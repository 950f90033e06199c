"""What an operation and its driver say to each other."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, TypeAlias, TypeVar

import attrs

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call

__all__ = ["INTERRUPTED_CHANGE", "DeadlineReached", "Operation", "SessionClosed", "Sleep"]

T = TypeVar("T")

INTERRUPTED_CHANGE: Final = "The change sent to"
"""How the note of an interruption begins that a change was under way in."""


@attrs.frozen
class Sleep:
    """Wait. The driver throws :class:`DeadlineReached` instead if less than *leaving* would be left of its time then.

    Attributes:
        seconds: How long.
        leaving: Seconds that what comes next needs to be worth beginning.
    """

    seconds: float
    leaving: float = 0.0


class DeadlineReached(Exception):  # noqa: N818 - an event for operations, not an error for callers
    """There is no time left for what was yielded; it was not begun."""


class SessionClosed(Exception):  # noqa: N818 - an event for operations, not an error for callers
    """The session was closed, so what was yielded was not begun, and nothing more will be."""


Operation: TypeAlias = Generator[Call | Sleep, Answer | None, T]
