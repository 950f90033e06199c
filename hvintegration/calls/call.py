"""What is asked: a script, and what it works on."""

from __future__ import annotations

import attrs

from hvintegration.calls.decoding import JsonObject
from hvintegration.scripts import Effect, Script

__all__ = ["Call"]


@attrs.frozen
class Call:
    """Ask the host: run *script* on *document*.

    Attributes:
        script: What to run.
        document: What to run it on.
        dry_run: Whether the document asks to change nothing.
    """

    script: Script
    document: JsonObject
    dry_run: bool = False

    @property
    def effect(self) -> Effect:
        """What that does to the host."""
        return Effect.READ if self.dry_run else self.script.effect
