"""The tables of faults in the documentation are those of the tests.

With ``HVINTEGRATION_MEASURE=1`` they are written.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "explanation" / "faults.md"
FAULTS: Final = ROOT / "tests" / "faults"
END: Final = "<!-- end of table -->\n"


def _line(name: str, row: dict[str, Any]) -> str:
    seconds = row["seconds"]
    dagger = " †" if row.get("leaves") else ""
    cells = [name + dagger, row["what"], _shown(row["read"]), _shown(row["write"]), row["made"]]
    return " | ".join(["", *map(str, cells), f"{seconds['read']:.1f}, {seconds['write']:.1f}", ""]).strip()


def _shown(came: str) -> str:
    return re.sub(r"\w+Error", r"`\g<0>`", came)


def table(name: str) -> str:
    rows: dict[str, dict[str, Any]] = json.loads((FAULTS / f"{name}_faults.json").read_text("utf-8"))
    lines = ["| fault | what happens | read | write | made | seconds |", "| --- | --- | --- | --- | --- | --- |"]
    return "\n".join(["", *lines, *(_line(name, row) for name, row in rows.items()), "", ""])


@pytest.mark.parametrize("name", ["winrm", "ssh", "linux"])
def test_a_table_is_that_of_the_tests(name: str) -> None:
    begin = f"<!-- table of {name} -->\n"
    before, rest = PAGE.read_text("utf-8").split(begin)
    shown, after = rest.split(END, 1)
    if os.environ.get("HVINTEGRATION_MEASURE"):
        PAGE.write_text(before + begin + table(name) + END + after, "utf-8")
    else:
        assert shown == table(name)
