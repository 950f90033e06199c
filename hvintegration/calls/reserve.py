"""The time that a write keeps for what follows a lost answer: fencing what was sent, and reading back what was made."""

from __future__ import annotations

from typing import Final

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.scripts import Effect

__all__ = ["answer_by", "fence_by"]

LEAST_SECONDS: Final = 8.0
MOST_SECONDS: Final = 20.0
MOST_SHARE: Final = 0.5
"""A write keeps a quarter of what is left when it is sent: within these limits, and never more than this share."""

MOST_SECONDS_TO_FENCE: Final = 5.0
"""Of that, fencing may take the half, up to this."""


def answer_by(call: Call, deadline: Deadline) -> Deadline:
    """When waiting for the answer to *call* ends; to be asked when it is sent, not before.

    A read has all the time that there is. What follows its loss needs none.
    """
    if call.effect is Effect.READ:
        return deadline
    left = deadline.left()
    return deadline.within(left - min(max(left / 4, LEAST_SECONDS), MOST_SECONDS, left * MOST_SHARE))


def fence_by(deadline: Deadline) -> Deadline:
    """When fencing a write whose answer was lost must be over, so that there is time to read back."""
    return deadline.within(min(MOST_SECONDS_TO_FENCE, deadline.left() / 2))
