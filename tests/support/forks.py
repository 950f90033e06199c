"""Runs ``forking.py``, a program that forks, over any transport."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.amounts import some_by_day

__all__ = ["CONNECTIONS", "ON_THE_ENGINE", "check", "command"]

_PROGRAM: Final = Path(__file__).with_name("forking.py")
_QUIET: Final = ("-W", "ignore:This process:DeprecationWarning")
"""Python 3.12 and later warn of any fork of a process with threads."""

CONNECTIONS: Final = {
    "children_that_do_not_use_it": range(1, 2),
    "children_that_use_it": range(5, 6),
    "a_fork_before_anything": range(2, 3),
    "forks_during_calls": range(3, 4),
    "a_fork_within_a_call": range(2, 3),
    "pools": range(3, 6),
}
"""How many connections each scenario makes: one for each process that asks. Of a pool, some may find nothing to do."""

ON_THE_ENGINE: Final = some_by_day(["children_that_do_not_use_it", "forks_during_calls"], ["forks_during_calls"])
"""Those that are done with a real PowerShell, as parameters."""


def command(scenario: str, transport: str, **arguments: object) -> list[str]:
    """What starts it."""
    return [sys.executable, *_QUIET, str(_PROGRAM), scenario, json.dumps([transport, arguments])]


def check(scenario: str, transport: str, **arguments: object) -> None:
    """Let it do *scenario*: it must find nothing wrong, and say nothing."""
    done = subprocess.run(
        command(scenario, transport, **arguments), capture_output=True, text=True, timeout=200, check=False
    )

    assert not done.stderr, done.stderr
    assert done.returncode == 0
