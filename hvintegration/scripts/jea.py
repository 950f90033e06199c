"""A restricted endpoint (JEA) for a host: the shipped scripts as the functions of two roles, and how to register them.

An endpoint of this kind runs no scripts that are sent to it, only functions that it has. Ours are the same scripts, so
whoever may connect there can ask what this package asks and nothing else. There is nothing to fill in: who may connect
is an argument of the script that registers the endpoint, and is resolved on the host.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Final

import attrs

from hvintegration.scripts import (
    DIRECT,
    GET_GUEST_SYSTEM,
    GET_HOST,
    GET_VMS,
    GUEST_OPERATOR,
    OPERATOR,
    READER,
    SET_SERVICES,
    Script,
)

__all__ = ["CONFIGURATION", "REGISTRATION", "ROLES", "Role", "endpoint_files"]

CONFIGURATION: Final = "HvIntegration"
"""Name of the session configuration, which is what a client asks for."""

REGISTRATION: Final = "Register-HvIntegrationEndpoint.ps1"
"""The script that an administrator runs on the host."""

_MODULE: Final = "HvIntegration"
_COMMAND: Final = re.compile(r"\b([A-Z][\w.-]*)\\[A-Z]\w+-\w+")
_ALWAYS_THERE: Final = "Microsoft.PowerShell.Core"


@attrs.frozen
class Role:
    """A role capability: what those who have it may run.

    Attributes:
        name: Its name, and that of its file.
        guid: Its identity.
        description: What it is for.
        scripts: What it allows.
    """

    name: str
    guid: str
    description: str
    scripts: Sequence[Script]

    @property
    def text(self) -> str:
        """The role capability file (``.psrc``): data, in which the scripts are functions, letter for letter."""
        functions = "".join(
            f"        @{{\n            Name        = '{script.function}'\n            ScriptBlock = {{\n"
            f"{script.text}\n            }}\n        }}\n"
            for script in self.scripts
        )
        return (
            "@{\n"
            f"    GUID                = '{self.guid}'\n"
            f"    Description         = '{self.description}'\n"
            f"    ModulesToImport     = {_list(_modules(self.scripts))}\n"
            f"    VisibleFunctions    = {_list([script.function for script in self.scripts])}\n"
            f"    FunctionDefinitions = @(\n{functions}    )\n"
            "}\n"
        )


def _modules(scripts: Sequence[Script]) -> list[str]:
    """The modules whose commands *scripts* use: named, because an endpoint need not load them by itself."""
    return sorted({module for script in scripts for module in _COMMAND.findall(script.text)} - {_ALWAYS_THERE})


def _list(names: Sequence[str]) -> str:
    return "@(" + ", ".join(f"'{name}'" for name in names) + ")"


_LOOKING: Final = (GET_HOST, GET_VMS, GET_GUEST_SYSTEM)
"""No role has what serves a transport: none shall end processes."""

ROLES: Final = (
    Role(
        READER,
        "05641d9a-f133-42af-aa9e-56540f8bb4db",
        "Reads virtual machines and their integration services. Changes nothing.",
        _LOOKING,
    ),
    Role(
        OPERATOR,
        "3e2a99b8-f3cb-49bc-8233-281d42502d1b",
        "Reads virtual machines and their integration services, and switches these.",
        (*_LOOKING, SET_SERVICES),
    ),
    Role(
        GUEST_OPERATOR,
        "b4c1a8d7-6a0e-4d0f-9b62-7e3f5c2d91a4",
        "Reads and switches integration services inside Windows guests, with a credential of the guest.",
        (*_LOOKING, *DIRECT.values()),
    ),
)
"""All of them."""


def endpoint_files() -> dict[str, str]:
    """What is copied to a host: the text of each file, ASCII, by its path with slashes."""
    return {
        f"{_MODULE}/{_MODULE}.psd1": _shipped(f"{_MODULE}.psd1"),
        **{f"{_MODULE}/RoleCapabilities/{role.name}.psrc": role.text for role in ROLES},
        REGISTRATION: _shipped(REGISTRATION),
    }


@functools.cache
def _shipped(name: str) -> str:
    import importlib.resources

    return (importlib.resources.files("hvintegration.scripts") / "endpoint" / name).read_text("ascii")
