"""The page of a report in a real browser: what others wrote stays text, and sorting and filters work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hvintegration.display import clean
from hvintegration.findings import Audit
from tests.support.chromium import CHROMIUM, Browser, browser
from tests.support.diagnoses import (
    HOSTILE,
    SOURCE,
    audit_of,
    diagnosis_of,
    finding,
    hostile_audit,
    sample_audit,
)
from tests.support.time_limit import within

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
    pytest.mark.xdist_group("chromium"),  # It takes a second to start.
]

MACHINES = "[...document.querySelectorAll('.findings .vm bdi')].map(name => name.textContent)"
COLOURS = """
['.badge.error', '.badge.warning', '.badge.note', 'bdi', 'small', 'summary', 'thead th', 'a'].map(name => {
  const seen = document.querySelector(name), colours = [getComputedStyle(seen).color];
  for (let each = seen; each; each = each.parentElement) colours.push(getComputedStyle(each).backgroundColor);
  return [name, ...colours];
})"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def seen(chromium: Browser, tmp_path: Path) -> Iterator[Browser]:
    """The browser; what goes wrong in it, or is asked for from elsewhere, fails the test."""
    chromium.emulate()
    chromium.troubles.clear()
    chromium.requests.clear()
    yield chromium
    assert chromium.troubles == []
    assert {address.partition("#")[0] for address in chromium.requests} == {(tmp_path / "page.html").as_uri()}


def show(seen: Browser, audit: Audit, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(audit.to_html(), "utf-8")
    seen.open(file.as_uri())


def put(seen: Browser, name: str, *, value: str | bool) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Fill in a field of the form; the machines that are shown then."""
    attribute = "checked" if isinstance(value, bool) else "value"
    seen.run(f"""new Promise(done => {{
        const field = document.forms[0].elements.namedItem({json.dumps(name)});
        field.{attribute} = {json.dumps(value)};
        field.dispatchEvent(new Event('input', {{bubbles: true}}));
        requestAnimationFrame(() => requestAnimationFrame(() => done()));
    }})""")
    return seen.run(MACHINES)


def test_names_are_shown_letter_by_letter_and_nothing_of_them_runs(seen: Browser, tmp_path: Path) -> None:
    show(seen, hostile_audit(), tmp_path)

    names = [clean(name) for name in HOSTILE]
    assert seen.run(MACHINES) == names
    assert put(seen, "state", value="all") == [*names, *names]
    options = seen.run("[...document.querySelector('#vm').options].map(option => option.text)")
    assert len(options) == 1 + len(HOSTILE)
    assert seen.run("[...document.querySelectorAll('a')].map(link => link.href)") == [SOURCE] * 2 * len(HOSTILE)
    for number, name in enumerate(names):
        assert put(seen, "vm", value=f"={name}") == [name] * 2, number
    assert seen.run("document.scripts.length") == 1
    assert seen.run("document.images.length") == 0


def test_a_script_that_gets_into_the_page_after_all_is_refused(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    added = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\"><style>p {}</style>"
    file.write_text(sample_audit().to_html().replace("</main>", f"{added}</main>"), "utf-8")
    chromium.emulate()
    chromium.troubles.clear()
    chromium.open(file.as_uri())
    with within(60):
        while sum("Content Security Policy" in trouble for trouble in chromium.troubles) < 3:
            chromium.run("new Promise(requestAnimationFrame)")
    assert chromium.run("document.title") == "Audit of sim:"
    chromium.open("about:blank")


def test_filters_show_what_fits_all_of_them(seen: Browser, tmp_path: Path) -> None:
    show(seen, sample_audit(), tmp_path)
    status = "document.querySelector('[role=status]').textContent"

    assert seen.run(MACHINES) == ["backup", "web", "backup", "spare"]
    assert put(seen, "note", value=False) == ["backup", "web"]
    assert seen.run(status) == "2 of 5 findings shown"
    assert put(seen, "error", value=False) == ["web"]
    assert put(seen, "service", value="=VSS") == []
    assert put(seen, "error", value=True) == ["backup"]
    assert put(seen, "state", value="accepted") == ["web"]
    assert put(seen, "state", value="all") == ["backup", "web"]
    assert put(seen, "text", value="NOT-running vendor") == []
    assert put(seen, "text", value="NOT-running AGENT") == ["web"]

    seen.run("document.querySelector('form button').click()")
    seen.run("new Promise(done => setTimeout(done))")
    assert seen.run(MACHINES) == ["backup", "web", "backup", "spare"]
    assert put(seen, "service", value="=") == ["spare"]


def test_headings_sort_and_say_how(seen: Browser, tmp_path: Path) -> None:
    show(seen, sample_audit(), tmp_path)
    orders = "[...document.querySelectorAll('.findings th')].map(head => head.getAttribute('aria-sort'))"

    def press(key: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        seen.run(f"document.querySelector('[data-key={key}] button').click()")
        return seen.run(MACHINES)

    assert press("vm") == ["backup", "backup", "spare", "web"]
    assert seen.run(orders) == [None, "ascending", None, None]
    assert press("vm") == ["web", "spare", "backup", "backup"]
    assert seen.run(orders) == [None, "descending", None, None]
    assert press("severity") == ["backup", "web", "backup", "spare"]
    assert seen.run(orders) == ["ascending", None, None, None]
    assert press("severity") == ["backup", "spare", "web", "backup"]
    assert press("finding") == ["backup", "spare", "web", "backup"]


def test_a_keyboard_is_enough(seen: Browser, tmp_path: Path) -> None:
    show(seen, sample_audit(), tmp_path)
    reached = []
    for _ in range(14):
        seen.press("Tab")
        reached.append(seen.run("document.activeElement.name || document.activeElement.textContent"))
        if reached[-1] == "VM":
            seen.press("Enter")
        if reached[-1] == "Evidence and source":
            break
    names = ["text", "error", "warning", "note", "vm", "service", "state"]
    assert reached == [*names, "Reset", "Severity", "VM", "Service", "Finding", "Evidence and source"]
    assert seen.run("document.querySelector('[data-key=vm]').getAttribute('aria-sort')") == "ascending"
    seen.press("Enter")
    assert seen.run("document.querySelector('details').open") is True


def test_those_who_hear_the_page_are_told_what_things_are(seen: Browser, tmp_path: Path) -> None:
    show(seen, sample_audit(), tmp_path)
    for width in (1280, 390):
        seen.emulate(width=width)
        heard = seen.roles()
        for role, name in (
            *(("table", "Findings"), ("table", "Virtual machines"), ("form", "Filter findings")),
            *(("searchbox", "Text"), ("combobox", "VM"), ("combobox", "Service"), ("combobox", "State")),
            *(("checkbox", "Errors"), ("columnheader", "Severity"), ("cell", "error")),
            *(("heading", "Findings"), ("heading", "Could not be read")),
        ):
            assert (role, name) in heard, (width, role, name)
        assert sum(role == "row" for role, _ in heard) == 1 + 4 + 1 + 4


def test_the_page_is_whole_without_script(seen: Browser, tmp_path: Path) -> None:
    seen.emulate(script=False)
    show(seen, sample_audit(), tmp_path)
    text = {name for role, name in seen.roles() if role == "StaticText"}
    assert {"demovm", "backup", "web", "spare", "legacy: The operation failed.", "accepted"} <= text
    assert "Reset" not in text


@pytest.mark.parametrize("dark", [False, True])
def test_all_of_it_can_be_read_in_the_light_and_in_the_dark(seen: Browser, tmp_path: Path, *, dark: bool) -> None:
    seen.emulate(dark=dark)
    show(seen, sample_audit(), tmp_path)
    seen.run("document.querySelector('details').open = true")
    for name, colour, *behind in seen.run(COLOURS):
        solid = next(each for each in behind if each != "rgba(0, 0, 0, 0)")
        assert contrast(colour, solid) >= 4.5, (name, colour, solid)  # What WCAG asks for.


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(", ")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dim, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("width", [320, 600, 1280])
def test_nothing_sticks_out_on_narrow_screens(seen: Browser, tmp_path: Path, width: int) -> None:
    seen.emulate(width=width)
    show(seen, hostile_audit(["x" * 300, "web"]), tmp_path)
    assert seen.run("document.documentElement.scrollWidth") <= width


def test_paper_has_the_evidence_of_what_is_shown(seen: Browser, tmp_path: Path) -> None:
    seen.emulate(medium="print", dark=True)
    show(seen, sample_audit(), tmp_path)
    opened = "[...document.querySelectorAll('details')].filter(each => each.open).length"
    seen.run("dispatchEvent(new Event('beforeprint'))")
    assert seen.run(opened) == 4 + 1
    assert seen.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert seen.run("document.querySelector('form').offsetHeight") == 0
    seen.run("dispatchEvent(new Event('afterprint'))")
    assert seen.run(opened) == 0


def test_many_findings_are_filtered_and_sorted_at_once(seen: Browser, tmp_path: Path) -> None:
    machines = [
        diagnosis_of(number, f"vm{number}", [finding(number, vm=f"vm{number}"), finding(number, "note", rule="off")])
        for number in range(1, 1201)
    ]
    with within(60):
        show(seen, audit_of(machines), tmp_path)
        assert seen.run(MACHINES) == [f"vm{number}" for number in range(1, 301)]
        assert seen.run("document.querySelector('[role=status]').textContent") == "300 of 2400 findings shown"
        assert put(seen, "text", value="vm117") == ["vm117", *(f"vm{number}" for number in range(1170, 1180))]
        assert put(seen, "text", value="vm") == [f"vm{number}" for number in range(1, 301)]
        seen.run("document.querySelector('[data-key=vm] button').click()")
        seen.run("document.querySelector('[data-key=vm] button').click()")
        assert seen.run(MACHINES) == [f"vm{number}" for number in range(1200, 900, -1)]
        seen.run("document.querySelector('.more').click()")
        assert len(seen.run(MACHINES)) == 1200
        assert seen.run("document.querySelector('.more').offsetHeight") == 0
