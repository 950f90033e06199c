"""The shipped scripts, and other people's modules and answers, on a real PowerShell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import hvintegration.scripts
from hvintegration import Host, Local, Simulator
from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.calls.operation import Operation
from hvintegration.clock import Deadline
from hvintegration.errors import HvError, PermissionDeniedError, ProtocolError, RemoteError, UnsupportedError
from hvintegration.scripts import SCRIPTS, bootstrap_arguments
from hvintegration.session import Session
from hvintegration.simulator import demo_world
from hvintegration.simulator.functions import FUNCTIONS
from tests.support.amounts import some_by_day
from tests.support.other_script import powershell
from tests.support.script_commands import commands_in

pytestmark = pytest.mark.engine

BOOTSTRAP = Path(hvintegration.scripts.__file__).with_name("powershell") / "bootstrap.ps1"


@pytest.fixture
def world_file(world_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HYPERV_WORLD", str(world_file))
    return world_file


@pytest.fixture
def session(engine: str, world_file: Path) -> Iterator[Session]:
    session = Session(Local(engine))
    yield session
    session.close()


def ask(text: str) -> Operation[Answer]:
    answer = yield Call(powershell(text), {})
    assert isinstance(answer, Answer)
    return answer


def test_every_script_is_windows_powershell_5_1(engine: str, tmp_path: Path) -> None:
    checker = os.environ.get("HVINTEGRATION_CHECK_5_1")
    if not checker:
        pytest.skip("HVINTEGRATION_CHECK_5_1 does not name a script that checks scripts for Windows PowerShell 5.1")
    files = []
    for script in SCRIPTS:
        files.append(tmp_path / f"{script.name}.ps1")
        files[-1].write_text(script.text)
    files.append(BOOTSTRAP)
    later = tmp_path / "later.ps1"
    later.write_text("$a ?? 1\n")

    def findings(*paths: Path) -> str:
        command = [engine, "-File", checker, *map(str, paths)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    assert findings(*files) == ""
    assert "PowerShell 7 syntax" in findings(later)


def test_every_script_file_is_shipped_and_simulated() -> None:
    folder = Path(__file__).parents[2] / "hvintegration" / "scripts" / "powershell"

    own = {script.name for script in SCRIPTS if script.guest is None}
    libraries = {name for script in SCRIPTS for name in script.libraries}
    assert {path.stem for path in folder.glob("*.ps1")} - {"bootstrap", "frame", "direct"} == own | libraries
    assert set(FUNCTIONS) == {script.name for script in SCRIPTS}


def test_the_bootstrap_fits_into_a_command_line_of_windows() -> None:
    assert len(bootstrap_arguments()) < 8000


def test_scripts_are_ascii_and_name_the_module_of_every_command(engine: str, tmp_path: Path) -> None:
    texts = {script.name: script.text for script in SCRIPTS} | {"bootstrap": BOOTSTRAP.read_text()}
    files = {name: tmp_path / f"{name}.ps1" for name in texts}
    for name, file in files.items():
        file.write_text(texts[name], encoding="ascii")

    called = commands_in(engine, list(files.values()), tmp_path)

    for name, file in files.items():
        own = {*re.findall(r"^function ([\w-]+)", texts[name], re.MULTILINE), "hvintegration_call"}
        own |= (
            {"Invoke-Command"} if name.endswith("_directly") else set()
        )  # Hyper-V's on one host, PowerShell's on others.
        assert called[file]
        assert [command for command in called[file] if "\\" not in command and command not in own] == []


def test_a_host_without_the_hyper_v_module_says_what_it_needs(engine: str, tmp_path: Path, world_file: Path) -> None:
    bare = tmp_path / "engine"
    shutil.copytree(Path(engine).parent, bare, ignore=shutil.ignore_patterns("Hyper-V"))

    with Host(Local(bare / "pwsh")) as host:
        for verb in (host.info, host.vms.list, host.inventory):
            with pytest.raises(UnsupportedError) as missing:
                verb()
            assert missing.value.needs == "the Hyper-V module for PowerShell"
            assert missing.value.hint is not None


def test_other_modules_with_commands_of_the_same_names_do_not_matter(
    engine: str, tmp_path: Path, world_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("Get-VM", "Get-VMHost", "ConvertTo-Json", "ConvertFrom-Json", "Get-CimInstance")
    module = tmp_path / "modules" / "AAA"
    module.mkdir(parents=True)
    functions = [f"function {name} {{ throw 'not me' }}" for name in names]
    (module / "AAA.psm1").write_text("\n".join([*functions, "Export-ModuleMember -Function *"]))
    monkeypatch.setenv("PSModulePath", str(module.parent))
    loader = powershell("param($Document) Import-Module AAA; Get-VM")
    local = Local(engine)

    with pytest.raises(RemoteError, match="not me"):
        local.call(Call(loader, {}), Deadline(60))
    with Host(local) as host:
        assert len(host.inventory().vms) == 5
        assert host.info().name == "HV01"


def test_other_streams_are_not_mixed_into_the_answer(session: Session) -> None:
    noise = (
        "param($Document) $VerbosePreference = 'Continue'; Write-Warning 'w'; Write-Verbose 'v'; Write-Information 'i';"
        " Write-Progress -Activity 'p'; Write-Error 'e'; Write-Host 'h'; '{\"schema\":1,\"result\":null,\"errors\":[]}'"
    )

    assert session.run(ask(noise)).errors == ()


WRONG: Final = {
    "cut": ('\'{"schema":1,"result":\'', ProtocolError),
    "text": ("'not json'", ProtocolError),
    "deep": ("'{\"schema\":1,\"errors\":' + '[' * 1000 + ']' * 1000 + '}'", ProtocolError),
    "huge": ("'\"' + 'x' * 100000000 + '\"'", ProtocolError),
    "several": ("1..3", ProtocolError),
    "nothing": ("", ProtocolError),
    "nested": ("$a = @(); foreach ($i in 1..200) { $a = , $a }; , $a", HvError),
    "exit": ("[System.Environment]::Exit(5)", HvError),
    "throw": ("throw 'nein'", RemoteError),
    "syntax": ("{ syntax", RemoteError),
}


@pytest.mark.parametrize("wrong", some_by_day(WRONG, ("huge", "nested", "exit", "throw")))
def test_a_wrong_answer_is_an_error_and_the_next_one_is_right(session: Session, wrong: str) -> None:
    text, error = WRONG[wrong]
    with pytest.raises(error):
        session.run(ask(f"param($Document) {text}"))

    assert session.run(ask('param($Document) \'{"schema":1,"result":null,"errors":[]}\'')).result is None


def test_a_refusal_is_told_by_its_id_in_any_language(engine: str, world_file: Path) -> None:
    world = demo_world()
    world.access = "denied"
    world.messages = {"access_denied": "アクセスが拒否されました"}
    world.save(world_file)

    with Host(Local(engine)) as host, pytest.raises(PermissionDeniedError) as denied:
        host.inventory()
    with Host(Simulator(world)) as simulated, pytest.raises(PermissionDeniedError) as expected:
        simulated.inventory()
    assert denied.value.host_message == expected.value.host_message == "アクセスが拒否されました"
    assert denied.value.error_id == expected.value.error_id
