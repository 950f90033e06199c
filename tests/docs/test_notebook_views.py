r"""In a notebook, other people's texts are shown letter by letter: in JupyterLab and on a page of nbconvert's.

Both take what is between dollar signs for TeX, whose ``\href`` makes a link of a name, and ``\phantom`` nothing. They
do so in a browser, so a browser shows here what becomes of it.
"""

from __future__ import annotations

import contextlib
import html
import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import hvintegration as hv
from hvintegration.display import Table
from hvintegration.simulator import Fault, GuestService, Machine
from hvintegration.testing import machine_id
from tests.support.chromium import CHROMIUM

NAMES: Final = (
    r"$\href{http://elsewhere.example}{demovm}$",
    r"$\phantom{hidden}$",
    r"\(x^2\)",
    r"\[y_1\]",
    "$$z$$",
    r"\begin{align}a\end{align}",
    "5$ or 6$",
    "<b>$q$</b>",
)
CONTROL: Final = r"$\href{http://control.example}{control}$"
"""Not one of ours. Where it is no link, the page was not typeset, and shows nothing."""


def needs(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if CHROMIUM is None:
        missing.append("Chromium")
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}; `nox -s notebooks` installs the packages")


def views() -> list[str]:
    """What is shown of texts in cells, titles and notes."""
    machines = [Machine(id=machine_id(number), name=name) for number, name in enumerate(NAMES, 1)]
    faults = [Fault(cmdlet="Get-VMIntegrationService", id="OperationFailed", message=NAMES[0])]
    host = hv.Host(hv.Simulator(hv.World(machines=machines, faults=faults)))
    odd = [GuestService(name=f"vmic{number}", display_name=name) for number, name in enumerate(NAMES)]
    table, listed, unread = Table(NAMES, (NAMES,), NAMES), host.vms.list(), host.inventory().services
    machines = [Machine(id=machine_id(1), name="web", guest_services=odd)]
    guest = hv.Guest(hv.Simulator(hv.World(machines=machines), guest="web"))
    assert listed
    assert unread.errors
    shown = (listed, unread, guest.services.list())
    return [table.to_html(), *(rows._repr_html_() for rows in shown)]  # IPython's protocol


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A notebook whose cells show the views, and the control."""
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "execution_count": 1,
            "metadata": {},
            "source": "1",
            "outputs": [
                {"output_type": "display_data", "metadata": {}, "data": {"text/html": shown, "text/plain": "a table"}}
            ],
        }
        for number, shown in enumerate([*views(), f"<table><tr><td>{CONTROL}</td></tr></table>"])
    ]
    file = tmp_path / "views.ipynb"
    file.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}), "utf-8")
    return file


def in_browser(address: str, profile: Path) -> str:
    """What a browser makes of a page, once it has nothing more to do, as HTML."""
    assert CHROMIUM is not None
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom")
    seconds = ("--virtual-time-budget=60000", "--window-size=1200,4000")
    ran = subprocess.run(
        [CHROMIUM, *options, *seconds, f"--user-data-dir={profile}", address], capture_output=True, check=True
    )
    return ran.stdout.decode()


def check_page(page: str) -> None:
    assert 'href="http://control.example"' in page  # It was typeset.
    assert "elsewhere.example" in page
    assert 'href="http://elsewhere.example"' not in page
    for name in NAMES:
        assert page.count(f">{html.escape(name, quote=False)}<") == 5, (
            name
        )  # In a title, a cell, a note, the list, and a guest.


def test_on_a_page_of_nbconvert(notebook: Path, tmp_path: Path) -> None:
    needs("nbconvert", "jupyter_server_mathjax")
    found = importlib.util.find_spec("jupyter_server_mathjax")
    assert found is not None
    assert found.origin is not None
    mathjax = Path(found.origin).with_name("static") / "MathJax.js"  # Of the version that nbconvert gets from the net.
    command = (sys.executable, "-m", "nbconvert", "--to", "html", "--HTMLExporter.mathjax_url")
    address = f"{mathjax.as_uri()}?config=TeX-AMS-MML_HTMLorMML-full,Safe"

    subprocess.run([*command, address, str(notebook)], check=True, capture_output=True)

    check_page(in_browser(notebook.with_suffix(".html").as_uri(), tmp_path / "profile"))


@pytest.fixture
def jupyterlab(notebook: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a JupyterLab that has the notebook in its folder."""
    needs("jupyterlab")
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    with subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "jupyterlab",
                "--allow-root",
                "--no-browser",
                "--port=0",
                "--ServerApp.ip=127.0.0.1",
            ),
            *("--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={notebook.parent}"),
        ],
        env=os.environ | folders,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield f"{address_of(process, tmp_path / 'runtime')}lab/tree/{notebook.name}"
        finally:
            process.terminate()


def address_of(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Where it answers, which it writes into a folder."""
    while process.poll() is None:
        for file in folder.glob("jpserver-*.json"):
            with contextlib.suppress(ValueError, urllib.error.URLError):
                address = str(json.loads(file.read_text("utf-8"))["url"])
                with urllib.request.urlopen(f"{address}lab"):  # noqa: S310  # of our own server
                    return address
        time.sleep(0.1)
    pytest.fail("JupyterLab does not start")


def test_in_jupyterlab(jupyterlab: str, tmp_path: Path) -> None:
    check_page(in_browser(jupyterlab, tmp_path / "profile"))
