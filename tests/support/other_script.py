"""Scripts that are not shipped."""

from __future__ import annotations

import attrs

from hvintegration.scripts import Effect, Language, Script

__all__ = ["OtherScript", "powershell"]


@attrs.frozen
class OtherScript(Script):
    """A script with a text of its own."""

    text: str = attrs.field(default="", kw_only=True)


def powershell(text: str, *, effect: Effect = Effect.READ, secrets: tuple[str, ...] = ()) -> OtherScript:
    """A script of PowerShell, which says its parameters itself."""
    return OtherScript("other", effect, Language.POWERSHELL, secrets, text=text)
