"""The map in docs/explanation/architecture.md is true, and folders import what it says they may."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hvintegration

PACKAGE = Path(hvintegration.__file__).parent
PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "architecture.md"
TEXT = PAGE.read_text("utf-8")
_ROWS = re.findall(r"^\| (\d) \| `([\w.]+)` \|", TEXT, re.MULTILINE)
FOLDERS = {folder: (int(level), row) for row, (level, folder) in enumerate(_ROWS)}
"""The level of each folder, and its place on the page."""

MODULES = re.findall(r"^\| `([\w.]+)` \|", TEXT, re.MULTILINE)


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


FILES = {module_of(path): path for path in PACKAGE.rglob("*.py")}


def imports(path: Path) -> Iterator[str]:
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


@functools.cache
def imported_by(module: str) -> frozenset[str]:
    return frozenset(imports(FILES[module])) - {module}


def folder_of(module: str) -> str:
    """The folder that a module lies in, or the module itself where it stands alone."""
    while module not in FOLDERS:
        module, dot, _ = module.rpartition(".")
        assert dot
    return module


def has_code(path: Path) -> bool:
    """Whether there is more than a docstring, and what shows names of other modules."""
    statements = ast.parse(path.read_text("utf-8")).body[1:]
    return any(not isinstance(statement, ast.ImportFrom | ast.Assign) for statement in statements)


def test_every_module_is_on_the_map() -> None:
    alone = {module for module in FOLDERS if FILES[module].name != "__init__.py" or module == "__init__"}
    with_code = {module for module, path in FILES.items() if path.name != "__init__.py" or has_code(path)}
    assert sorted(MODULES) == sorted(with_code - alone)
    assert [level for level, _ in FOLDERS.values()] == sorted(level for level, _ in FOLDERS.values())


@pytest.mark.parametrize("module", sorted(FILES))
def test_a_folder_imports_only_from_those_above_it_on_the_map(module: str) -> None:
    own = folder_of(module)
    for imported in imported_by(module):
        other = folder_of(imported)
        assert other == own or FOLDERS[other] < FOLDERS[own], imported


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_imports_within_a_folder_have_no_circles(folder: str) -> None:
    inside = {
        module: {imported for imported in imported_by(module) if folder_of(imported) == folder}
        for module in FILES
        if folder_of(module) == folder
    }
    list(graphlib.TopologicalSorter(inside).static_order())  # Raises CycleError.
