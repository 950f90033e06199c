from __future__ import annotations

import importlib.resources
import pickle
import re

import pytest

from hvintegration import scripts
from hvintegration.scripts import GET_HOST, GET_VMS, SCRIPTS, SET_SERVICES, Effect, Script

FOLDER = importlib.resources.files(scripts) / "powershell"
OWN_FUNCTIONS = {"ConvertTo-Failure", "ConvertTo-ServiceRecord", "ConvertTo-Texts"}

every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)


def code_of(script: Script) -> str:
    """The text without comments and strings in single quotes."""
    return re.sub(r"'[^']*'", "''", re.sub(r"(?m)^\s*#.*$", "", script.text))


def test_every_file_is_a_script_and_every_script_a_file() -> None:
    files = sorted(item.name for item in FOLDER.iterdir())
    assert files == sorted(["bootstrap.ps1", "frame.ps1", *(f"{script.name}.ps1" for script in SCRIPTS)])


@pytest.mark.parametrize(
    ("script", "effect"), [(GET_HOST, Effect.READ), (GET_VMS, Effect.READ), (SET_SERVICES, Effect.WRITE)]
)
def test_the_effect_is_what_the_commands_do(script: Script, effect: Effect) -> None:
    writes = re.findall(r"Hyper-V\\(?!Get-)\w+-\w+", script.text)
    assert (script.effect, bool(writes)) == (effect, effect is Effect.WRITE)


@every_script
def test_the_text_takes_one_document_and_holds_the_body_where_the_frame_says(script: Script) -> None:
    body = (FOLDER / f"{script.name}.ps1").read_text("utf-8")
    assert script.text.startswith("param([string] $Document)\n")
    assert (script.text.count(body), "#BODY" in script.text) == (1, False)


@every_script
def test_the_text_is_the_same_every_time(script: Script) -> None:
    assert Script(script.name, script.effect).text is script.text


@every_script
def test_the_text_is_plain_ascii(script: Script) -> None:
    """Windows PowerShell 5.1 reads a file without a byte order mark in the host's code page."""
    assert script.text.isascii()


@every_script
def test_every_command_is_qualified_by_its_module(script: Script) -> None:
    commands = re.findall(r"(?<![\w$.\\-])([\w.-]+\\)?([A-Z]\w+-[A-Z]\w+)", code_of(script))
    assert [name for module, name in commands if not module and name not in OWN_FUNCTIONS] == []


@every_script
@pytest.mark.parametrize(
    "forbidden",
    ["[pscustomobject]", "::new(", "New-Object", "Add-Type", "Invoke-Expression", "[scriptblock]"],
)
def test_nothing_is_used_that_constrained_language_forbids(script: Script, forbidden: str) -> None:
    assert forbidden.lower() not in script.text.lower()


@every_script
def test_nothing_is_used_that_windows_powershell_lacks(script: Script) -> None:
    assert re.findall(r"\?\?|\?\.|&&|\|\||-AsArray|-EnumsAsStrings|-Parallel", code_of(script)) == []


@every_script
def test_every_bracket_is_closed(script: Script) -> None:
    code = code_of(script)
    assert [code.count(mark) for mark in "({["] == [code.count(mark) for mark in ")}]"]


@every_script
def test_a_script_travels_by_name(script: Script) -> None:
    again = pickle.loads(pickle.dumps(script))  # noqa: S301  # its own pickle
    assert (again, again.text) == (script, script.text)
