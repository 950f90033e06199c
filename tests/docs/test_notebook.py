"""The notebook runs, and nothing in it was typed by hand."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path

import pytest

NOTEBOOK = json.loads((Path(__file__).resolve().parents[2] / "docs" / "notebook.ipynb").read_text("utf-8"))
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_no_output_is_stored() -> None:
    assert CODE
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CODE)


def test_every_cell_runs_and_shows_only_tables_of_its_own() -> None:
    names: dict[str, object] = {}
    shown: list[str] = []
    for cell in CODE:
        source = "".join(cell["source"])
        if "to_pandas" in source and importlib.util.find_spec("pandas") is None:
            pytest.skip("pandas is not installed")
        *statements, last = ast.parse(source).body
        exec(compile(ast.Module(statements, []), "notebook", "exec"), names)  # noqa: S102  # our own notebook
        assert isinstance(last, ast.Expr)
        value = eval(compile(ast.Expression(last.value), "notebook", "eval"), names)  # noqa: S307  # likewise
        html = getattr(value, "_repr_html_", None)
        shown.append(repr(value) if html is None else html())

    assert sum(text.startswith("<table ") for text in shown) >= 8
    assert "<script>" not in "".join(shown)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in "".join(shown)
    assert any("web could not be read" in text for text in shown)
