"""What can be said of this machine's interpreters without starting one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hvintegration import Host, Local
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import ConfigurationError, for_command
from hvintegration.scripts import GET_HOST


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
def test_without_windows_there_is_no_default_for_powershell() -> None:
    local = Local()
    assert (str(local), repr(local), local.requests) == ("local:", "Local()", 0)

    with pytest.raises(ConfigurationError, match=r"^local: needs a program on this system\.") as refused:
        local.call(Call(GET_HOST, {}), Deadline(10))
    assert refused.value.hint == "Name a PowerShell: local:/usr/bin/pwsh or Local('/usr/bin/pwsh')."
    assert for_command(refused.value.hint) == "Name a PowerShell: local:/usr/bin/pwsh."
    assert local.requests == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a PowerShell of its own")
def test_a_check_of_a_host_says_so_at_its_first_step() -> None:
    check = Host(Local()).check()

    assert check.failed is check.steps[0]
    assert check.steps[0].detail == "local: needs a program on this system."
    assert check.steps[0].hint == "Name a PowerShell: local:/usr/bin/pwsh or Local('/usr/bin/pwsh')."


def test_closing_what_was_never_used_is_no_error() -> None:
    local = Local("/usr/bin/pwsh")

    local.close()
    local.close()
