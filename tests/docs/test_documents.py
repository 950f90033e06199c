"""Every block of code in the documentation runs and shows what it says it shows."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import hvintegration
from hvintegration.guest_models import GuestServiceState
from hvintegration.scripts import SCRIPTS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)]
MODULES = [module.name for module in pkgutil.walk_packages(hvintegration.__path__, "hvintegration.")]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_the_code_of_a_document_does_what_it_shows(run_document: Callable[[Path], list[str]], path: Path) -> None:
    assert all(reason.strip() for reason in run_document(path))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_a_document_has_no_code_that_is_not_run(path: Path) -> None:
    known = {"pycon", "python", "console", "json", "powershell", "bat", "text"}

    for language in re.findall(r"^```(\S+)$", path.read_text("utf-8"), re.MULTILINE):
        assert language in known or language.startswith("{"), language


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_to_files_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("name", ["hvintegration", *MODULES])
def test_docstrings_do_what_they_show(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name.endswith("__main__"):
        pytest.skip("importing it is running it")

    tried = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)

    assert not tried.failed


def test_the_health_of_a_guest_is_in_the_documents_as_in_the_code() -> None:
    decided = (GuestServiceState.health.__doc__ or "").partition("=\n")[2].rpartition("====")[0]
    rows = re.findall(r"^ *(\w[^=\n]*?)  +(\w+)$", decided, re.MULTILINE)[1:]
    shown = (ROOT / "docs" / "explanation" / "health.md").read_text("utf-8").partition("The first that fits counts:")[2]
    assert len(rows) == 9
    assert re.findall(r"^\| (.*?) \| `(\w+)` \|$", shown, re.MULTILINE) == rows


def test_every_script_of_powershell_is_described() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "docs" / "reference" / "wire.md").read_text("utf-8"), re.MULTILINE)
    described = {name for heading in headings for name in re.findall(r"`(\w+)`", heading)}
    assert described >= {script.name for script in SCRIPTS}
