"""The commands that files of PowerShell call."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["commands_in"]

LISTER: Final = r"""
foreach ($file in $args) {
    $ast = [System.Management.Automation.Language.Parser]::ParseFile($file, [ref] $null, [ref] $null)
    foreach ($node in $ast.FindAll({ $args[0] -is [System.Management.Automation.Language.CommandAst] }, $true)) {
        "$file`t$($node.GetCommandName())"
    }
}
"""


def commands_in(engine: str, files: Sequence[Path], folder: Path) -> dict[Path, list[str]]:
    """What each file calls, by one PowerShell for all; *folder* takes the script that finds it out."""
    lister = folder / "lister.ps1"
    lister.write_text(LISTER)
    command = [engine, "-NoProfile", "-File", *map(str, (lister, *files))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found: dict[Path, list[str]] = {file: [] for file in files}
    for line in done.stdout.splitlines():
        file, _, name = line.partition("\t")
        if name:
            found[Path(file)].append(name)
    return found
