"""The map of modules in docs/explanation/architecture.md is true, and modules import what it says they may."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hvintegration

PACKAGE = Path(hvintegration.__file__).parent
PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "architecture.md"
ROWS = re.findall(r"^\| (\d) \| `(\w[\w.]*)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
PLACES = {module: (int(level), row) for row, (level, module) in enumerate(ROWS)}


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


FILES = {module_of(path): path for path in PACKAGE.rglob("*.py")}


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "hvintegration":
            inside = node.module.partition(".")[2]
            for alias in node.names:
                whole = f"{inside}.{alias.name}".strip(".")
                yield whole if whole in FILES else inside or "__init__"
        elif isinstance(node, ast.Import):
            yield from (
                a.name.partition(".")[2] or "__init__" for a in node.names if a.name.startswith("hvintegration")
            )


def test_every_module_is_on_the_map() -> None:
    assert sorted(PLACES) == sorted(FILES)
    assert len(ROWS) == len(PLACES)
    assert [level for level, _ in PLACES.values()] == sorted(level for level, _ in PLACES.values())


@pytest.mark.parametrize("module", sorted(FILES))
def test_a_module_imports_only_from_above_it_on_the_map(module: str) -> None:
    for imported in imported_by(FILES[module]):
        assert PLACES[imported] < PLACES[module], imported
