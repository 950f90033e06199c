"""What can be said of a local PowerShell without starting one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hvintegration import Local
from hvintegration.errors import ConfigurationError, for_command


@pytest.mark.parametrize(
    ("program", "address", "shown"),
    [
        ("/usr/bin/pwsh", "local:/usr/bin/pwsh", "Local('/usr/bin/pwsh')"),
        (
            ["/usr/bin/pwsh", "-WorkingDirectory", "/"],
            "local:/usr/bin/pwsh",
            "Local(['/usr/bin/pwsh', '-WorkingDirectory', '/'])",
        ),
    ],
)
def test_it_shows_what_it_would_start(program: str | list[str], address: str, shown: str) -> None:
    local = Local(program)

    assert (str(local), repr(local), local.requests) == (address, shown, 0)


def test_a_path_is_as_good_as_a_text() -> None:
    assert str(Local(Path("/usr/bin/pwsh"))) == f"local:{Path('/usr/bin/pwsh')}"


@pytest.mark.parametrize("program", ["", [], ["/usr/bin/pwsh", ""], "/usr/bin/pw\0sh"])
def test_a_program_that_cannot_be_one_is_refused(program: str | list[str]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^Invalid program .*: it is neither a path nor a list that begins with one"
    ):
        Local(program)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a PowerShell of its own")
def test_without_windows_there_is_no_default() -> None:
    with pytest.raises(ConfigurationError, match="needs a program") as refused:
        Local()
    assert refused.value.hint == "Name a PowerShell: local:/usr/bin/pwsh or Local('/usr/bin/pwsh')."
    assert for_command(refused.value.hint) == "Name a PowerShell: local:/usr/bin/pwsh."


def test_closing_what_was_never_used_is_no_error() -> None:
    local = Local("/usr/bin/pwsh")

    local.close()
    local.close()
