"""What the connections to one host have found out about it, and the next ones should know."""

from __future__ import annotations

from typing import Final

__all__ = ["HostRecord"]

USUAL: Final = 150 * 1024
"""Bytes that any host takes unless somebody lowered its MaxEnvelopeSizekb."""

LEAST: Final = 32 * 1024
"""Bytes that MaxEnvelopeSizekb cannot be less than."""


class HostRecord:
    """See above.

    Attributes:
        longest: How many bytes a message may have, all that belongs to it included. Only refusals tell.
        knows_user: Whether it has let this user in since this was last set to False.
    """

    def __init__(self) -> None:
        self.longest = USUAL
        self.knows_user = False

    def shorten(self, refused: int) -> bool:
        """Have messages be shorter than the one of *refused* bytes that the host did not take; whether they can be."""
        shorter = min(self.longest, refused) // 2
        if shorter < LEAST:
            return False
        self.longest = shorter
        return True
