"""What is asked: a script, and what it works on."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

from hvintegration.calls.decoding import JsonObject
from hvintegration.credential import Credential
from hvintegration.scripts import Effect, Script

__all__ = ["Call"]


@attrs.frozen
class Call:
    """Run *script* on *document*: what operations yield, and transports carry.

    Attributes:
        script: What to run.
        document: What to run it on.
        secrets: The credentials that the script needs, such as a guest's, by the names that it has for them. They
            travel beside the document: never in it, nor in an argument list, an environment, a log or a recording.
        dry_run: Whether the document asks to change nothing.
        text: The document as it travels: JSON in ASCII, on one line.

    Raises:
        ValueError: *secrets* are not those that the script takes, or the document is no JSON.
    """

    script: Script
    document: JsonObject
    secrets: Mapping[str, Credential] = attrs.field(factory=dict[str, Credential], kw_only=True)
    dry_run: bool = attrs.field(default=False, kw_only=True)
    text: str = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if set(self.secrets) != set(self.script.secrets):
            raise ValueError(f"{self.script.name} takes the secrets {self.script.secrets}, not {tuple(self.secrets)}")
        object.__setattr__(self, "text", json.dumps(self.document, allow_nan=False))  # It is frozen from here on.

    @property
    def effect(self) -> Effect:
        """What that does to the machine."""
        return Effect.READ if self.dry_run else self.script.effect
