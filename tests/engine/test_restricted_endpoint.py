"""The restricted endpoint that ``hvintegration jea`` writes, on a real PowerShell."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypedDict

import pytest

from hvintegration import Credential, Host, Local, World
from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.calls.operation import Operation
from hvintegration.clock import Deadline
from hvintegration.errors import UnsupportedError
from hvintegration.scripts import SCRIPTS, Script
from hvintegration.scripts.jea import REGISTRATION, ROLES, Role, endpoint_files
from tests.support.amounts import some_by_day
from tests.support.script_commands import commands_in

pytestmark = pytest.mark.engine

READER, OPERATOR, GUEST_OPERATOR = ROLES
SESSION = "@{\n    SchemaVersion = '2.0.0.0'\n    SessionType = 'RestrictedRemoteServer'\n"
OTHERS_ROLE = (
    "    GUID = '5f0c2f0e-0000-4000-8000-000000000002'\n"
    "    ModulesToImport = @('Hyper-V')\n    VisibleCmdlets = @('Get-VM')\n}\n"
)

CREDENTIAL = Credential("Administrator", "Guest-Passw0rd")

Endpoint = Callable[[str], Local]


def ask(script: Script) -> Operation[Answer]:
    answer = yield Call(script, {}, secrets=dict.fromkeys(script.secrets, CREDENTIAL))
    assert isinstance(answer, Answer)
    return answer


@pytest.fixture
def world_file(world_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HYPERV_WORLD", str(world_file))
    return world_file


@pytest.fixture
def endpoint(engine: str, tmp_path: Path, world_file: Path) -> Iterator[Endpoint]:
    """Makes a transport to an endpoint with the keys of that role, which are those of a session configuration."""
    made: list[Local] = []

    def make(role: str) -> Local:
        session = tmp_path / f"{len(made)}.pssc"
        session.write_text(SESSION + role.removeprefix("@{\n"))
        made.append(Local([engine, "-ConfigurationFile", str(session)]))
        return made[-1]

    yield make
    for local in made:
        local.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files as they are written."""
    for name, text in endpoint_files().items():
        path = tmp_path / "endpoint" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii", newline="")
    return tmp_path / "endpoint"


def run(engine: str, script: Path, *arguments: object) -> str:
    command = [engine, "-File", str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


# -- roles --------------------------------------------------------------------------------------------------------


def test_a_reader_looks_and_is_told_which_role_switches(endpoint: Endpoint, world_file: Path) -> None:
    with Host(endpoint(READER.text)) as host:
        assert host.info().name == "HV01"
        assert len(host.inventory().services) == 30
        service = host.vms["demovm"].services["vss"]
        assert service.state().enabled is True

        for write in (service.disable, lambda: host.set_services([(service.vm_id, "vss", False)], dry_run=True)):
            with pytest.raises(UnsupportedError) as refused:
                write()
            assert "has no function Set-HvIntegrationServices" in str(refused.value)
            assert refused.value.needs == "the role HvIntegrationOperator, which `hvintegration jea` writes"
            assert "HvIntegrationOperator" in str(refused.value.hint)
        assert len(host.vms.list()) == 5
    assert World.load(world_file).journal == []


def test_an_operator_switches(endpoint: Endpoint, world_file: Path) -> None:
    with Host(endpoint(OPERATOR.text)) as host:
        assert host.vms["demovm"].services["vss"].disable().enabled is False

    assert World.load(world_file).journal == ["disable demovm vss"]


def test_an_operator_of_guests_reaches_into_them_and_switches_nothing_of_the_hosts(
    endpoint: Endpoint, world_file: Path
) -> None:
    with Host(endpoint(GUEST_OPERATOR.text)) as host:
        vm = host.vms["demovm"]
        guest = vm.guest(credential=CREDENTIAL)
        assert guest.services["vss"].state().running is True
        assert guest.services["vss"].stop().running is False
        with pytest.raises(UnsupportedError, match="has no function Set-HvIntegrationServices"):
            vm.services["vss"].disable()

    assert World.load(world_file).journal == ["guest-stop demovm vmicvss"]


def test_others_are_told_which_role_reaches_into_guests(endpoint: Endpoint, world_file: Path) -> None:
    with Host(endpoint(OPERATOR.text)) as host:
        guest = host.vms["demovm"].guest(credential=CREDENTIAL)
        for ask_guest in (guest.info, guest.services["vss"].stop):
            with pytest.raises(UnsupportedError) as refused:
                ask_guest()
            assert refused.value.needs == "the role HvIntegrationGuestOperator, which `hvintegration jea` writes"
    assert World.load(world_file).journal == []


def test_someone_who_has_both_roles_is_an_operator(endpoint: Endpoint, world_file: Path) -> None:
    """PowerShell puts the lists of all roles together, so functions are there twice."""
    functions, marker = READER.text.partition("    FunctionDefinitions = @(\n")[2], "    FunctionDefinitions = @(\n"
    both = OPERATOR.text.replace(marker, marker + functions.removesuffix("    )\n}\n"))

    with Host(endpoint(both)) as host:
        assert both.count("Name        = 'Get-HvIntegrationVms'") == 2
        assert host.vms["demovm"].services["vss"].disable().enabled is False


def test_an_endpoint_with_somebody_elses_role_is_told_which_is_missing(endpoint: Endpoint) -> None:
    local = endpoint(OTHERS_ROLE)
    for script in SCRIPTS:
        with pytest.raises(UnsupportedError) as refused:
            Host(local).session.run(ask(script))

        assert refused.value.needs == f"the role {script.role}, which `hvintegration jea` writes"
        assert "HvIntegration" in str(refused.value.hint)


def test_that_scripts_are_refused_is_learned_once(endpoint: Endpoint) -> None:
    """The first call is sent twice; later ones take as many requests as where scripts are run."""
    local = endpoint(OPERATOR.text)
    call = Call(SCRIPTS[0], {})
    counts = [local.requests]
    for _ in range(3):
        local.call(call, Deadline(60))
        counts.append(local.requests)
    first, second, third = (after - before for before, after in itertools.pairwise(counts))

    local.close()
    local.call(call, Deadline(60))

    assert second == third == 3
    assert first > second + 3
    assert local.requests - counts[-1] == first


# -- files --------------------------------------------------------------------------------------------------------


def test_files_are_windows_powershell_5_1(engine: str, folder: Path) -> None:
    checker = os.environ.get("HVINTEGRATION_CHECK_5_1")
    if not checker:
        pytest.skip("HVINTEGRATION_CHECK_5_1 does not name a script that checks scripts for Windows PowerShell 5.1")

    assert run(engine, Path(checker), *(folder / name for name in endpoint_files())) == ""


READ_DATA = """\
param($File)
$parsing = $null
$ast = [System.Management.Automation.Language.Parser]::ParseFile($File, [ref] $null, [ref] $parsing)
if ($parsing) { throw $parsing[0].Message }
$data = $ast.Find({ $args[0] -is [System.Management.Automation.Language.HashtableAst] }, $false).SafeGetValue()
$functions = @(foreach ($function in $data.FunctionDefinitions) {
    @{ name = $function.Name; text = [string] $function.ScriptBlock; keys = @($function.Keys) }
})
$read = @{
    keys = @($data.Keys)
    visible = @($data.VisibleFunctions)
    modules = @($data.ModulesToImport)
    functions = $functions
    statements = $ast.EndBlock.Statements.Count
    first = $ast.EndBlock.Statements[0].Extent.Text.Substring(0, 2)
}
ConvertTo-Json -InputObject $read -Depth 5 -Compress
"""
"""What ``Import-PowerShellDataFile`` does: the file is data, or SafeGetValue throws."""


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    path = tmp_path / "read.ps1"
    path.write_text(READ_DATA)
    return path


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_is_data_and_its_functions_are_the_scripts(engine: str, folder: Path, reader: Path, role: Role) -> None:
    read = json.loads(run(engine, reader, folder / "HvIntegration" / "RoleCapabilities" / f"{role.name}.psrc"))

    assert sorted(read["keys"]) == [
        "Description",
        "FunctionDefinitions",
        "GUID",
        "ModulesToImport",
        "VisibleFunctions",
    ]
    assert (read["statements"], read["first"]) == (1, "@{")
    assert read["visible"] == [function["name"] for function in read["functions"]]
    assert [(function["name"], function["text"]) for function in read["functions"]] == [
        (script.function, f"{{\n{script.text}\n            }}") for script in role.scripts
    ]
    assert all(sorted(function["keys"]) == ["Name", "ScriptBlock"] for function in read["functions"])


def test_the_modules_are_those_of_the_commands(engine: str, folder: Path, reader: Path, tmp_path: Path) -> None:
    files = [folder / "HvIntegration" / "RoleCapabilities" / f"{role.name}.psrc" for role in ROLES]
    for file, commands in commands_in(engine, files, tmp_path).items():
        used = {command.partition("\\")[0] for command in commands if "\\" in command}

        assert sorted(used - {"Microsoft.PowerShell.Core"}) == json.loads(run(engine, reader, file))["modules"]


def test_the_manifest_is_data(engine: str, folder: Path, reader: Path) -> None:
    read = json.loads(run(engine, reader, folder / "HvIntegration" / "HvIntegration.psd1"))

    assert (read["statements"], read["first"]) == (1, "@{")
    assert {"GUID", "ModuleVersion"} <= set(read["keys"])


# -- registering --------------------------------------------------------------------------------------------------

WINDOWS = """\
param($Script, $Arguments)
# What the engine lacks. An alias comes before a function, so the script's own look-up of accounts gives way.
function Show-Account {
    [Alias('ConvertTo-AccountName')] param($Account)
    if ($Account -eq 'S-1-5-32-578') { return 'VORDEFINIERT\\Hyper-V-Administratoren' }
    if ($Account -eq 'nobody') { throw 'nobody is unknown' }
    $Account
}
$done = [System.Collections.ArrayList] @()
function Join-Path { param($Path, $ChildPath) "$Path/$ChildPath".Replace('\\', '/') }
function Split-Path {
    param([switch] $Parent, [Parameter(Position = 0)] $Path)
    $Path.Substring(0, $Path.LastIndexOf('/'))
}
function Copy-Item {
    param($LiteralPath, $Destination, [switch] $Recurse, [switch] $Force)
    $null = $done.Add("copy $LiteralPath $Destination")
    $null = [System.IO.Directory]::CreateDirectory("$Destination/HvIntegration")
}
function Get-PSSessionConfiguration { [CmdletBinding()] param($Name) if ($env:REGISTERED -eq 'yes') { $Name } }
function Unregister-PSSessionConfiguration {
    param($Name, [switch] $Force, [switch] $NoServiceRestart)
    $null = $done.Add("unregister $Name")
}
function Register-PSSessionConfiguration {
    param($Name, $Path, [switch] $Force)
    $null = $done.Add("register $Name $Path")
}
$given = @{}
foreach ($argument in (ConvertFrom-Json -InputObject $Arguments).PSObject.Properties) {
    $given[$argument.Name] = $argument.Value
}
$failure = $said = $null
try { $said = & $Script @given } catch { $failure = [string] $_ }
ConvertTo-Json -InputObject @{ done = @($done); said = [string] $said; failure = $failure } -Compress
"""

needs_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="the script asks for an administrator: run as root"
)


class Outcome(TypedDict):
    done: list[str]
    said: str
    failure: str | None


class Registering:
    """Runs the script for an administrator, on what is not Windows: the commands of Windows write down their calls."""

    def __init__(self, engine: str, folder: Path, programs: Path) -> None:
        self.engine, self.folder, self.programs = engine, folder, programs
        self.module = f"{programs}/WindowsPowerShell/Modules/HvIntegration"

    def __call__(self, **arguments: object) -> Outcome:
        windows = self.programs.parent / "windows.ps1"
        windows.write_text(WINDOWS)
        outcome: Outcome = json.loads(run(self.engine, windows, self.folder / REGISTRATION, json.dumps(arguments)))
        return outcome

    def session(self) -> dict[str, str]:
        """The lines of the session configuration that say something."""
        text = Path(self.module, "HvIntegration.pssc").read_text("utf-16")
        lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#") and "=" in line]
        return dict(line.split(" = ", 1) for line in lines)


@pytest.fixture
def registering(engine: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registering:
    monkeypatch.setenv("ProgramFiles", str(tmp_path / "programs"))
    return Registering(engine, folder, tmp_path / "programs")


@needs_root
def test_registering_gives_roles_to_groups_under_a_hyper_v_administrator(registering: Registering) -> None:
    answer = registering(
        Readers=["CORP\\Readers", "CORP\\All"],
        Operators=["CORP\\Operators", "CORP\\All", "CORP\\All"],
        GuestOperators=["CORP\\Guests", "CORP\\All"],
    )

    session = registering.session()
    assert answer["failure"] is None
    assert answer["done"] == [
        f"copy {registering.folder}/HvIntegration {registering.programs}/WindowsPowerShell/Modules",
        f"register HvIntegration {registering.module}/HvIntegration.pssc",
    ]
    assert session["SessionType"] == "'RestrictedRemoteServer'"
    assert session["RunAsVirtualAccount"] == "$true"
    assert session["RunAsVirtualAccountGroups"] == "'Hyper-V-Administratoren'"
    text = " ".join(Path(registering.module, "HvIntegration.pssc").read_text("utf-16").split())
    every = ", ".join(f"'{role.name}'" for role in ROLES)
    named = {"Readers": f"'{READER.name}'", "Operators": f"'{OPERATOR.name}'", "Guests": f"'{GUEST_OPERATOR.name}'"}
    for group, roles in {**named, "All": every}.items():
        assert f"'CORP\\{group}' = @{{ 'RoleCapabilities' = {roles} }}" in text
    assert "TranscriptDirectory" not in session


@needs_root
def test_registering_again_replaces_what_was_there(registering: Registering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTERED", "yes")

    done = registering(Operators=["CORP\\Operators"], AsAdministrator=True, TranscriptDirectory="C:\\Transcripts")

    assert [step.partition(" ")[0] for step in done["done"]] == ["copy", "unregister", "register"]
    session = registering.session()
    assert "RunAsVirtualAccountGroups" not in session
    assert session["TranscriptDirectory"] == "'C:\\Transcripts'"


QUOTED: Final = [[f"CORP\\O{quote}Brien"] for quote in "'‘’‚‛\n"]
NOT_REGISTERED: Final[list[tuple[dict[str, list[str]], str]]] = [
    ({}, "Name those who may connect"),
    ({"Readers": ["nobody"]}, "nobody is unknown"),
    ({"Readers": ["CORP\\Readers"], "Operators": ["nobody"]}, "nobody is unknown"),
    *(({"Readers": readers}, "with a quote") for readers in QUOTED),
]


@needs_root
@pytest.mark.parametrize(("arguments", "says"), some_by_day(NOT_REGISTERED, NOT_REGISTERED[::3]))
def test_what_cannot_be_registered_changes_nothing(
    registering: Registering, arguments: dict[str, list[str]], says: str
) -> None:
    answer = registering(**arguments)

    assert says in str(answer["failure"])
    assert answer["done"] == []
