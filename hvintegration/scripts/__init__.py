"""The scripts that the package sends: constant files, each a function from one JSON document to another.

Nothing is ever written into a script's text. What it works on is its only argument, a JSON document.
"""

from __future__ import annotations

import enum
import functools
from typing import Final

import attrs

__all__ = [
    "GET_HOST",
    "GET_PROCESS",
    "GET_VMS",
    "OPERATOR",
    "READER",
    "SCRIPTS",
    "SET_SERVICES",
    "STOP_PROCESS",
    "Effect",
    "Language",
    "Script",
    "bootstrap_arguments",
]

READER: Final = "HvIntegrationReader"
"""The role, at a restricted endpoint, of those who may look."""

OPERATOR: Final = "HvIntegrationOperator"
"""The role of those who may look and switch."""


class Effect(enum.StrEnum):
    """What running a script does to the host."""

    READ = "read"
    WRITE = "write"


class Language(enum.StrEnum):
    """What a script is written in."""

    POWERSHELL = "PowerShell"
    SH = "POSIX sh"


@attrs.frozen
class Script:
    """A shipped script.

    It takes one JSON document and writes one, ``{"schema": 1, "result": ..., "errors": [...]}``, as a single string.
    It runs on Windows PowerShell 5.1 and PowerShell 7, in full and in constrained language, on a host of any language.

    Attributes:
        name: Its name, which is also the name of its file.
        effect: Whether it changes anything.
        language: What it is written in.
        secrets: Names of the credentials that it takes besides its document; in PowerShell they are its parameters.
    """

    name: str
    effect: Effect
    language: Language = Language.POWERSHELL
    secrets: tuple[str, ...] = ()

    @property
    def function(self) -> str:
        """The function that a restricted endpoint has in its place, such as ``Get-HvIntegrationVms``."""
        verb, *nouns = self.name.split("_")
        return f"{verb.capitalize()}-HvIntegration{''.join(map(str.capitalize, nouns))}"

    @property
    def role(self) -> str:
        """The least role that may call it there."""
        return READER if self.effect is Effect.READ else OPERATOR

    @property
    def text(self) -> str:
        """PowerShell with the parameter ``Document``, and one more for each secret."""
        return _text(self)


@functools.cache
def _text(script: Script) -> str:
    import importlib.resources  # late, for a light `import hvintegration`

    folder = importlib.resources.files(__name__) / "powershell"
    frame = (folder / "frame.ps1").read_text("utf-8")
    parameters = "".join(f", [pscredential] ${name}" for name in script.secrets)
    return frame.replace("#SECRETS", parameters).replace("#BODY", (folder / f"{script.name}.ps1").read_text("utf-8"))


GET_HOST: Final = Script("get_host", Effect.READ)
GET_PROCESS: Final = Script("get_process", Effect.READ)
GET_VMS: Final = Script("get_vms", Effect.READ)
SET_SERVICES: Final = Script("set_services", Effect.WRITE)
STOP_PROCESS: Final = Script("stop_process", Effect.WRITE)

SCRIPTS: Final = (GET_HOST, GET_PROCESS, GET_VMS, SET_SERVICES, STOP_PROCESS)
"""All of them."""


@functools.cache
def bootstrap_arguments() -> str:
    """The arguments with which a PowerShell reads a script and a document from its standard input, once.

    They are constant, and written with letters, digits and ``+/=-`` only: they mean the same to every shell.
    """
    import base64  # late, for a light `import hvintegration`
    import importlib.resources

    text = (importlib.resources.files(__name__) / "powershell" / "bootstrap.ps1").read_text("utf-8")
    lines = [line.strip() for line in text.splitlines()]
    kept = "\n".join(line for line in lines if line and not line.startswith("#"))
    encoded = base64.b64encode(kept.encode("utf-16-le")).decode()
    return f"-NoLogo -NoProfile -NonInteractive -OutputFormat Text -EncodedCommand {encoded}"
