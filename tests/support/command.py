"""The command, run in this process."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from hvintegration.cli import main

__all__ = ["Command", "Run", "Terminal", "run"]


@attrs.frozen
class Run:
    """What a run of the command gave."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  # whatever JSON holds
        return json.loads(self.out)

    @property
    def csv(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


Command: TypeAlias = Callable[..., Run]


def run(*arguments: str, together: bool = False) -> Run:
    """Run the command; all that it writes is its output if *together*."""
    out = io.StringIO()
    err = out if together else io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
    return Run(status, out.getvalue(), "" if together else err.getvalue())


class Terminal(io.StringIO):
    """What only says that somebody types there."""

    def isatty(self) -> bool:
        return True
