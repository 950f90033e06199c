"""The table of faults in the documentation is that of the tests.

With ``HVINTEGRATION_MEASURE=1`` it is written.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "explanation" / "faults.md"
DATA: Final = ROOT / "tests" / "faults" / "winrm_faults.json"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def _line(name: str, row: dict[str, Any]) -> str:
    seconds = row["seconds"]
    dagger = " †" if row.get("leaves") else ""
    cells = [name + dagger, row["what"], _shown(row["read"]), _shown(row["write"]), row["made"]]
    return " | ".join(["", *map(str, cells), f"{seconds['read']:.1f}, {seconds['write']:.1f}", ""]).strip()


def _shown(came: str) -> str:
    return re.sub(r"\w+Error", r"`\g<0>`", came)


def table() -> str:
    rows: dict[str, dict[str, Any]] = json.loads(DATA.read_text("utf-8"))
    lines = ["| fault | what happens | read | write | made | seconds |", "| --- | --- | --- | --- | --- | --- |"]
    return "\n".join(["", *lines, *(_line(name, row) for name, row in rows.items()), "", ""])


def test_the_table_is_that_of_the_tests() -> None:
    page = PAGE.read_text("utf-8")
    before, rest = page.split(BEGIN)
    shown, after = rest.split(END)
    if os.environ.get("HVINTEGRATION_MEASURE"):
        PAGE.write_text(before + BEGIN + table() + END + after, "utf-8")
    else:
        assert shown == table()
