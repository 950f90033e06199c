"""The scripts that the package sends: constant files, each a function from one JSON document to another.

Nothing is ever written into a script's text. What it works on is its only argument, a JSON document.
"""

from __future__ import annotations

import enum
import functools
from typing import Final

import attrs

__all__ = [
    "DIRECT",
    "GET_GUEST",
    "GET_GUEST_SYSTEM",
    "GET_HOST",
    "GET_PROCESS",
    "GET_VMS",
    "GUEST_OPERATOR",
    "GUEST_SCRIPTS",
    "GUEST_SECRET",
    "OPERATOR",
    "READER",
    "SCRIPTS",
    "SET_GUEST_SERVICES",
    "SET_SERVICES",
    "SH_INSTALL_PACKAGE",
    "SH_SCRIPTS",
    "SH_STOP_PROCESS",
    "STOP_PROCESS",
    "SUDO_SECRET",
    "WITH_SUDO",
    "Effect",
    "Language",
    "Script",
    "bootstrap_arguments",
    "loader_arguments",
]

READER: Final = "HvIntegrationReader"
"""The role, at a restricted endpoint, of those who may look."""

OPERATOR: Final = "HvIntegrationOperator"
"""The role of those who may look and switch."""

GUEST_OPERATOR: Final = "HvIntegrationGuestOperator"
"""The role of those who may reach into guests, with a credential of the guest, and look and switch there."""


class Effect(enum.StrEnum):
    """What running a script does to the host."""

    READ = "read"
    WRITE = "write"


class Language(enum.StrEnum):
    """What a script is written in."""

    POWERSHELL = "PowerShell"
    SH = "POSIX sh"

    @property
    def stop_process(self) -> Script:
        """What ends a hung process of its interpreter, the fencer of its scripts."""
        return STOP_PROCESS if self is Language.POWERSHELL else SH_STOP_PROCESS


@attrs.frozen
class Script:
    """A shipped script.

    It takes one JSON document and writes one, ``{"schema": 1, "result": ..., "errors": [...]}``, as a single string.
    In PowerShell it runs on Windows PowerShell 5.1 and PowerShell 7, in full and in constrained language, on a host of
    any language; in POSIX sh it runs in dash, bash and the shell of busybox.

    Attributes:
        name: Its name, which is also the name of its file.
        effect: Whether it changes anything.
        language: What it is written in.
        secrets: Names of the credentials that it takes besides its document. In PowerShell they are its parameters; in
            POSIX sh, user and password of each, with a colon in front, are its arguments after the document.
        libraries: Names of the files whose functions it shares with others, in order.
        guest: The script that it runs inside a guest; None for one that does its own work.
    """

    name: str
    effect: Effect
    language: Language = Language.POWERSHELL
    secrets: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    guest: Script | None = None

    @property
    def function(self) -> str:
        """The function that a restricted endpoint has in its place, such as ``Get-HvIntegrationVms``."""
        verb, *nouns = self.name.split("_")
        return f"{verb.capitalize()}-HvIntegration{''.join(map(str.capitalize, nouns))}"

    @property
    def role(self) -> str:
        """The least role that may call it there."""
        if self.guest is not None:
            return GUEST_OPERATOR
        return READER if self.effect is Effect.READ else OPERATOR

    @property
    def text(self) -> str:
        """The whole of it, its own lines in the frame that all scripts of its language have."""
        return _text(self)


_FILES: Final = {Language.POWERSHELL: ("powershell", "ps1"), Language.SH: ("sh", "sh")}
"""Where the scripts of a language lie, and how their names end."""


@functools.cache
def _text(script: Script) -> str:
    folder, ending = _FILES[script.language]
    frame = _file(folder, f"frame.{ending}")
    parameters = "".join(f", [pscredential] ${name}" for name in script.secrets)
    names = (*script.libraries, _DIRECT if script.guest is not None else script.name)
    body = "".join(_file(folder, f"{name}.{ending}") for name in names)
    text = frame.replace("#SECRETS", parameters).replace("#BODY", body)
    return text if script.guest is None else text.replace("#GUEST", script.guest.text)


def _file(folder: str, name: str) -> str:
    import importlib.resources  # late, for a light `import hvintegration`

    return (importlib.resources.files(__name__) / folder / name).read_text("ascii")


def _code(folder: str, name: str) -> list[str]:
    """The lines of a file that are code, without indentation."""
    lines = [line.strip() for line in _file(folder, name).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


_DIRECT: Final = "direct"
"""The file of every script that runs another one inside a guest."""

GUEST_SECRET: Final = "Guest"  # noqa: S105 - a name
"""What those call the credential of the guest."""

GET_HOST: Final = Script("get_host", Effect.READ)
GET_GUEST_SYSTEM: Final = Script("get_guest_system", Effect.READ)
GET_PROCESS: Final = Script("get_process", Effect.READ)
GET_VMS: Final = Script("get_vms", Effect.READ)
SET_SERVICES: Final = Script("set_services", Effect.WRITE)
STOP_PROCESS: Final = Script("stop_process", Effect.WRITE)

GET_GUEST: Final = Script("get_guest", Effect.READ, libraries=("guest_services",))
SET_GUEST_SERVICES: Final = Script("set_guest_services", Effect.WRITE, libraries=("guest_services",))

DIRECT: Final = {
    script: Script(f"{script.name}_directly", script.effect, secrets=(GUEST_SECRET,), guest=script)
    for script in (GET_GUEST, SET_GUEST_SERVICES)
}
"""What runs a script for guests on their host, by PowerShell Direct, for each of them."""

GUEST_SCRIPTS: Final = tuple(DIRECT)
"""All that run inside a Windows guest."""

SCRIPTS: Final = (
    *(GET_HOST, GET_VMS, GET_GUEST_SYSTEM, SET_SERVICES, GET_PROCESS, STOP_PROCESS),
    *GUEST_SCRIPTS,
    *DIRECT.values(),
)
"""All of PowerShell."""

SH_STOP_PROCESS: Final = Script("stop_process", Effect.WRITE, Language.SH)

_LINUX: Final = ("rights", "linux_facts")

SH_GET_GUEST: Final = Script("get_guest", Effect.READ, Language.SH, libraries=_LINUX)
SH_SET_GUEST_SERVICES: Final = Script(
    "set_guest_services", Effect.WRITE, Language.SH, libraries=("detached", *_LINUX, "others")
)
SH_INSTALL_PACKAGE: Final = Script("install_package", Effect.WRITE, Language.SH, libraries=(*_LINUX, "others"))

SUDO_SECRET: Final = "Sudo"  # noqa: S105 - a name
"""What scripts for Linux guests call the password that sudo asks for there."""

WITH_SUDO: Final = {
    script: attrs.evolve(script, secrets=(SUDO_SECRET,))
    for script in (SH_GET_GUEST, SH_SET_GUEST_SERVICES, SH_INSTALL_PACKAGE)
}
"""The same scripts with that password."""

SH_SCRIPTS: Final = (SH_STOP_PROCESS, SH_GET_GUEST, SH_SET_GUEST_SERVICES, SH_INSTALL_PACKAGE)
"""All of POSIX sh."""


@functools.cache
def bootstrap_arguments() -> str:
    """The arguments with which a PowerShell reads a script and a document from its standard input, once.

    They are constant, and written with letters, digits and ``+/=-`` only: they mean the same to every shell.
    """
    import base64  # late, for a light `import hvintegration`

    encoded = base64.b64encode("\n".join(_code("powershell", "bootstrap.ps1")).encode("utf-16-le")).decode()
    return f"-NoLogo -NoProfile -NonInteractive -OutputFormat Text -EncodedCommand {encoded}"


@functools.cache
def loader_arguments() -> str:
    """The arguments with which a POSIX shell reads a script and a document from its standard input, once.

    They are constant. In single quotes, without a quote, a backslash, an exclamation mark or a line break between
    them, they mean the same to every login shell. The second is what the loader writes of a script that fails.
    """
    import json  # late, for a light `import hvintegration`

    failure = {"id": "ScriptFailed", "category": "NotSpecified", "message": "exit status %s"}
    return f"-c '{' '.join(_code('sh', 'loader.sh'))}' hvintegration '{json.dumps(failure)}'"
