"""The script that updates a guest that is off, run by a real PowerShell with modules that write down what they do."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from hvintegration.scripts.offline_update import OFFLINE_UPDATE, offline_update_script

pytestmark = pytest.mark.engine

MODULES = {
    "Hyper-V": """\
function Get-VHD([string] $Path) { $world.disks.$([System.IO.Path]::GetFileName($Path)) }
function Get-VM { $world.vms }
function Get-VMSnapshot($VM) { $VM.snapshots }
function Get-VMHardDiskDrive($VM, $VMSnapshot) { if ($null -ne $VM) { $VM.drives } else { $VMSnapshot.drives } }
function Mount-VHD([string] $Path, [switch] $Passthru) { $done.Add('mount'); $world.mounted }
function Dismount-VHD([string] $Path) { $done.Add('dismount') }
""",
    "Storage": """\
function Get-Disk($Number) { @{ OperationalStatus = $world.status } }
function Set-Disk($Number, $IsOffline, $IsReadOnly) { $done.Add("set $Number $IsOffline $IsReadOnly") }
function Get-Partition($DiskNumber) { $world.partitions }
""",
    "Dism": """\
function Add-WindowsPackage([string] $Path, [string] $PackagePath) {
    $done.Add("add $Path $([System.IO.Path]::GetFileName($PackagePath))")
    if ($world.refused) { throw 'The specified package is not applicable to this image.' }
}
""",
}

RUN = """\
foreach ($name in 'Hyper-V', 'Storage', 'Dism') { Import-Module "$PWD/$name/$name.psm1" }
$global:done = [System.Collections.Generic.List[string]]::new()
$found = foreach ($global:world in (ConvertFrom-Json $env:OFFLINE_WORLDS)) {
    $done.Clear()
    $more = @{ $world.switch = $world.on }
    $said = ''
    try { $null = & $env:OFFLINE_SCRIPT -Path $world.disk -PackagePath $env:OFFLINE_PACKAGE @more }
    catch { $said = "$_" }
    @{ done = @($done); said = $said }
}
ConvertTo-Json -InputObject @($found) -Depth 4 -Compress
"""

World: TypeAlias = dict[str, Any]
VHD: Final = {"VhdType": "Dynamic", "Attached": False, "ParentPath": ""}
ADDED: Final = "add E:\\ it's a $(cab).cab"


def web(*, state: str = "Off", disk: str | None = "DISK", snapshots: tuple[World, ...] = ()) -> World:
    drives = [] if disk is None else [{"Path": disk}]
    return {"vms": [{"Name": "web", "State": state, "drives": drives, "snapshots": snapshots}]}


CASES: Final[dict[str, tuple[World, list[str], str]]] = {
    "it is added": ({}, ["mount", ADDED, "dismount"], ""),
    "no machine has the disk": (web(disk=None), ["mount", ADDED, "dismount"], ""),
    "another disk": (
        web(disk="C:\\b.vhdx") | {"disks": {"web.vhdx": VHD, "C:\\b.vhdx": VHD}},
        ["mount", ADDED, "dismount"],
        "",
    ),
    "the disk comes up offline": (
        {"status": "Offline"},
        ["mount", "set 3 False ", "set 3  False", ADDED, "dismount"],
        "",
    ),
    "the package is refused": ({"refused": True}, ["mount", ADDED, "dismount"], "not applicable"),
    "no Windows on it": ({"partitions": [{"DriveLetter": ""}]}, ["mount", "dismount"], "0 partitions"),
    "two Windows on it": ({"partitions": [{"DriveLetter": "E"}] * 2}, ["mount", "dismount"], "2 partitions"),
    "mounted without a number": ({"mounted": {}}, ["mount", "dismount"], "DiskNumber"),
    "differencing": ({"disks": {"web.vhdx": VHD | {"VhdType": "Differencing"}}}, [], "differencing disk"),
    "attached": ({"disks": {"web.vhdx": VHD | {"Attached": True}}}, [], "in use"),
    "saved": (web(state="Saved"), [], "not off but Saved"),
    "checkpoints": (web(snapshots=({"drives": []},)), [], "has checkpoints"),
    "in a checkpoint": (web(disk=None, snapshots=({"drives": [{"Path": "DISK"}]},)), [], "A checkpoint of"),
    "a parent": (
        web(disk="C:\\b.vhdx") | {"disks": {"web.vhdx": VHD, "C:\\b.vhdx": VHD | {"ParentPath": "DISK"}}},
        [],
        "is based on",
    ),
    "tried only": ({"switch": "WhatIf", "on": True}, [], ""),
    "no such disk": ({"disk": "none.vhdx"}, [], "There is no file"),
}
"""What is changed in the world, what is done in it, and what is said."""


def world(changes: World) -> World:
    return {
        "disks": {"web.vhdx": VHD},
        **web(),
        "mounted": {"DiskNumber": 3},
        "status": "Online",
        "partitions": [{"DriveLetter": "R"}, {"DriveLetter": "E"}, {"DriveLetter": ""}],
        "refused": False,
        "disk": "DISK",
        "switch": "Confirm",
        "on": False,
    } | changes


@pytest.fixture(scope="module")
def outcomes(engine: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[str], str]]:
    """What came of each case, all in one process."""
    folder = tmp_path_factory.mktemp("offline")
    (folder / OFFLINE_UPDATE).write_text(offline_update_script(), "ascii")
    disk, package = folder / "web.vhdx", folder / "it's a $(cab).cab"
    disk.touch()
    package.touch()
    (folder / "E:\\Windows\\System32").mkdir()
    for name, text in MODULES.items():
        (folder / name).mkdir()
        (folder / name / f"{name}.psm1").write_text(text)
    worlds = [json.dumps(world(changes)).replace("DISK", str(disk)) for changes, _, _ in CASES.values()]
    environment = os.environ | {
        "OFFLINE_WORLDS": f"[{','.join(worlds)}]",
        "OFFLINE_SCRIPT": str(folder / OFFLINE_UPDATE),
        "OFFLINE_PACKAGE": str(package),
    }
    ran = subprocess.run(
        [engine, "-Command", RUN], env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    found = json.loads(ran.stdout.splitlines()[-1]) if ran.stdout else pytest.fail(ran.stderr)
    return {name: (each["done"], each["said"]) for name, each in zip(CASES, found, strict=True)}


@pytest.mark.parametrize("case", CASES)
def test_what_is_done_with_the_disk(outcomes: dict[str, tuple[list[str], str]], case: str) -> None:
    done, said = outcomes[case]
    _, expected, words = CASES[case]
    assert done == expected
    assert words in said if words else said == ""


def test_it_is_windows_powershell_5_1(engine: str, tmp_path: Path) -> None:
    checker = os.environ.get("HVINTEGRATION_CHECK_5_1")
    if not checker:
        pytest.skip("HVINTEGRATION_CHECK_5_1 does not name a script that checks scripts for Windows PowerShell 5.1")
    script = tmp_path / OFFLINE_UPDATE
    script.write_text(offline_update_script(), "ascii")
    command = [engine, "-File", checker, str(script)]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == ""
