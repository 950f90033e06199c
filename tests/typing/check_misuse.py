"""What type checkers must refuse."""

from __future__ import annotations

import re
from pathlib import Path

import mypy.api

MISUSE = Path(__file__).with_name("misuse.py")
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_every_misuse_is_refused_line_by_line() -> None:
    """As mypy is set up for the package: what it has found out about that is in its cache."""
    report, problem, _ = mypy.api.run(["--config-file", str(PYPROJECT), str(MISUSE)])

    assert problem == ""
    refused = {int(number) for number in re.findall(r"misuse\.py:(\d+): error:", report)}
    lines = MISUSE.read_text().splitlines()
    start = next(number for number, line in enumerate(lines, 1) if line.startswith("# --"))
    assert refused == set(range(start + 1, len(lines) + 1)), report
