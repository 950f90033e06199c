from __future__ import annotations

import importlib.resources
import pickle
import re

import attrs
import pytest

from hvintegration import scripts
from hvintegration.scripts import (
    DIRECT,
    GET_GUEST,
    GET_GUEST_SYSTEM,
    GET_HOST,
    GET_VMS,
    GUEST_SCRIPTS,
    SCRIPTS,
    SET_GUEST_SERVICES,
    SET_SERVICES,
    SH_SCRIPTS,
    Effect,
    Language,
    Script,
)

FOLDER = importlib.resources.files(scripts) / "powershell"
OWN_FUNCTIONS = {"ConvertTo-Failure", "ConvertTo-ServiceRecord", "ConvertTo-Texts"}
OWN_FUNCTIONS_FOR_GUESTS = {"Get-GuestServices", "Get-MachineId", "Get-Setting", "Test-Trigger"}

every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)


def code_of(script: Script) -> str:
    """The text without comments and strings in single quotes."""
    return re.sub(r"'[^']*'", "''", re.sub(r"(?m)^\s*#.*$", "", script.text))


def test_every_file_is_a_script_and_every_script_a_file() -> None:
    files = sorted(item.name for item in FOLDER.iterdir())
    own = {script.name for script in SCRIPTS if script.guest is None}
    libraries = {name for script in SCRIPTS for name in script.libraries}
    assert libraries == {"guest_services"}
    assert files == sorted(f"{name}.ps1" for name in {"bootstrap", "frame", "direct"} | own | libraries)


def test_every_script_for_guests_can_be_run_by_their_host_in_its_whole() -> None:
    assert GUEST_SCRIPTS == tuple(DIRECT) == (GET_GUEST, SET_GUEST_SERVICES)
    for guest, direct in DIRECT.items():
        assert (direct.guest, direct.effect, direct.secrets) == (guest, guest.effect, ("Guest",))
        assert direct.text.count(f"-ScriptBlock {{\n{guest.text}\n    }} | ") == 1


@pytest.mark.parametrize(
    ("script", "effect"),
    [
        (GET_HOST, Effect.READ),
        (GET_VMS, Effect.READ),
        (GET_GUEST_SYSTEM, Effect.READ),
        (SET_SERVICES, Effect.WRITE),
        (GET_GUEST, Effect.READ),
        (SET_GUEST_SERVICES, Effect.WRITE),
        (DIRECT[GET_GUEST], Effect.READ),
        (DIRECT[SET_GUEST_SERVICES], Effect.WRITE),
    ],
)
def test_the_effect_is_what_the_commands_do(script: Script, effect: Effect) -> None:
    writes = re.findall(
        r"(?:Hyper-V\\(?!Get-)\w+|(?:Start|Stop|Set|Restart|New|Remove))-(?!Sleep|StrictMode)\w+", script.text
    )
    assert (script.effect, bool(writes)) == (effect, effect is Effect.WRITE)


@every_script
def test_the_text_takes_one_document_and_holds_the_body_where_the_frame_says(script: Script) -> None:
    names = (*script.libraries, script.name if script.guest is None else "direct")
    parts = [(FOLDER / f"{name}.ps1").read_text("utf-8") for name in names]
    if script.guest is not None:
        parts = parts[0].split("#GUEST")
        assert len(parts) == 2
    secrets = "".join(f", [pscredential] ${name}" for name in script.secrets)
    assert script.text.startswith(f"param([string] $Document{secrets})\n")
    assert [script.text.count(part) for part in parts] == [1] * len(parts)
    assert [mark for mark in ("#BODY", "#SECRETS", "#GUEST") if mark in script.text] == []


@every_script
def test_the_text_is_the_same_every_time(script: Script) -> None:
    again = attrs.evolve(script)
    assert again is not script
    assert again.text is script.text


@every_script
def test_the_text_is_plain_ascii(script: Script) -> None:
    """Windows PowerShell 5.1 reads a file without a byte order mark in the host's code page."""
    assert script.text.isascii()


@every_script
def test_every_command_is_qualified_by_its_module(script: Script) -> None:
    commands = re.findall(r"(?<![\w$.\\-])([\w.-]+\\)?([A-Z]\w+-[A-Z]\w+)", code_of(script))
    own = OWN_FUNCTIONS | (OWN_FUNCTIONS_FOR_GUESTS if script.libraries or script.guest else set())
    # Windows' Invoke-Command is PowerShell's own, the stand-in's belongs to its module Hyper-V: see direct.ps1.
    allowed = ["Invoke-Command"] * 2 if script.guest is not None else []
    assert [name for module, name in commands if not module and name not in own] == allowed


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


@pytest.mark.parametrize("scripts_of", [SCRIPTS, SH_SCRIPTS], ids=["PowerShell", "sh"])
def test_a_name_stands_for_one_script_of_its_language(scripts_of: tuple[Script, ...]) -> None:
    names = [script.name for script in scripts_of]
    assert len(set(names)) == len(names)
    assert {script.language for script in scripts_of} == {scripts_of[0].language}


def test_scripts_of_the_same_name_do_the_same_in_each_language() -> None:
    others = {script.name: script for script in SCRIPTS}
    both = [script for script in SH_SCRIPTS if script.name in others]
    assert [script.name for script in both] == ["stop_process", "get_guest", "set_guest_services"]
    for script in both:
        other = others[script.name]
        assert (script.effect, script.role) == (other.effect, other.role)
        assert (script == other, script.text == other.text) == (False, False)
        assert (script.language, other.language) == (Language.SH, Language.POWERSHELL)


@pytest.mark.parametrize("script", SH_SCRIPTS, ids=lambda script: script.name)
def test_a_script_of_sh_holds_its_library_and_its_body_where_the_frame_says(script: Script) -> None:
    folder = importlib.resources.files(scripts) / "sh"
    names = [*script.libraries, script.name]
    places = [script.text.find((folder / f"{name}.sh").read_text("ascii")) for name in names]
    assert places == sorted(places)
    assert min(places) > script.text.index("document=$1")


@pytest.mark.parametrize("script", SH_SCRIPTS, ids=lambda script: script.name)
def test_a_script_of_sh_travels_by_name(script: Script) -> None:
    assert pickle.loads(pickle.dumps(script)) == script  # noqa: S301  # its own pickle


@every_script
def test_a_script_travels_by_name(script: Script) -> None:
    again = pickle.loads(pickle.dumps(script))  # noqa: S301  # its own pickle
    assert (again, again.text) == (script, script.text)
