"""Reports say all that there is to say, and no text of others is anything but text in them."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import itertools
import re
import unicodedata
import xml.etree.ElementTree as ET  # of our own documents
from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

import hvintegration as hv
from hvintegration.display import clean
from hvintegration.findings import Audit, Diagnosis
from hvintegration.reports.markdown import escaped_markdown
from tests.support.diagnoses import (
    HOSTILE,
    SOURCE,
    audit_of,
    diagnosis_of,
    finding,
    hostile_audit,
    sample_audit,
)

FORMATS = ("to_text", "to_markdown", "to_junit", "to_html", "_repr_html_")


def written(audit: Audit | Diagnosis, form: str) -> str:
    return str(getattr(audit, form)())


@pytest.mark.parametrize("form", FORMATS)
def test_a_report_says_all_of_it(form: str) -> None:
    said = written(sample_audit(), form)
    for text in (
        *("demovm", "backup", "web", "spare", "legacy", "guest-service-not-running", "pools-readable", "off"),
        *("error", "warning", "note", "The guest was not asked.", "The operation failed.", "Start it.", SOURCE),
        *("2026-06-30", "An agent does backups.", "Time Synchronization"),
    ):
        assert text.lower() in said.lower(), text


@pytest.mark.parametrize("form", FORMATS)
def test_a_report_of_nothing_says_so(form: str) -> None:
    empty = audit_of([])
    said = written(empty, form)
    assert re.search(r'0 errors|Nothing was found|tests="0"', said)
    assert "None" not in said


@pytest.mark.parametrize("form", FORMATS)
def test_a_guest_that_knows_no_machine_has_a_name_all_the_same(form: str) -> None:
    alone = attrs.evolve(finding(1), vm_id=None, vm_name=None)
    nameless = attrs.evolve(diagnosis_of(1, "x", [alone]), vm_id=None, vm_name=None)
    said = written(nameless, form)
    assert "the guest" in said
    assert "None" not in said


def test_a_guest_that_knows_its_machine_by_id_only_goes_by_its_own_name() -> None:
    guest = hv.connect_guest("sim:", options={"guest": "web"})
    alone = guest.diagnose()
    assert alone.vm_name is None
    assert "Diagnosis of web, " in alone.to_text()
    assert "ERROR  web  VSS" in alone.to_text()
    assert str(alone.findings[0]).startswith(f"ERROR  {alone.vm_id}  VSS")


def test_a_report_has_the_worst_first_and_what_is_accepted_last() -> None:
    said = sample_audit().to_text()
    marks = ("ERROR  backup", "WARNING  web", "NOTE  backup", "NOTE  spare", "Accepted\n", "ERROR  web")
    places = [said.index(mark) for mark in marks]
    assert places == sorted(places)
    counted = "1 error, 1 warning, 2 notes in 4 virtual machines; 1 accepted; 1 could not be read."
    assert said.splitlines()[:2] == ["Audit of sim:, 2026-01-02 03:04 UTC", counted]


def test_a_finding_shows_itself_as_in_the_report() -> None:
    audit = sample_audit()
    assert str(audit.findings[0]) in audit.to_text()
    assert str(audit.findings[0]).splitlines() == [
        "ERROR  backup  VSS  guest-service-not-running",
        "    The guest's service does not run.",
        "    Evidence:   On the host it is enabled and reports LostCommunication.",
        "                In the guest it is stopped.",
        "    What to do: Start it.",
        "    Fix:        Start VSS in the guest (to undo it: stop it).",
        "    It costs:   Nothing.",
        f"    Source:     {SOURCE}",
    ]


def test_diagnoses_and_audits_show_themselves_as_reports() -> None:
    audit = sample_audit()
    assert str(audit) == audit.to_text()
    assert str(audit.diagnoses[1]) == audit.diagnoses[1].to_text()


# -- text ------------------------------------------------------------------------------------------------------------


def test_text_cannot_steer_a_terminal() -> None:
    said = hostile_audit().to_text()
    assert {unicodedata.category(each) for each in said.replace("\n", "")} & {"Cc", "Cs"} == set()
    assert not set(said) & set("\u202e\u2066\u2069")
    heads = [line for line in said.splitlines() if line.startswith(("ERROR", "NOTE", "WARNING"))]
    assert len(heads) == 2 * len(HOSTILE)


# -- Markdown --------------------------------------------------------------------------------------------------------


def tokens(text: str) -> list[Any]:
    """What a parser makes of Markdown: the tokens of blocks and of what is in them."""
    markdown_it = pytest.importorskip("markdown_it", reason="needs markdown-it-py, which rich brings")
    parsed = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [each for block in parsed for each in (block, *(block.children or ()))]


def test_markdown_has_no_markup_of_others() -> None:
    parsed = tokens(hostile_audit().to_markdown())
    kinds = Counter(each.type for each in parsed)
    assert not {kind for kind in kinds if kind.startswith(("html", "image", "fence", "code_block", "em_", "s_"))}
    assert {each.attrGet("href") for each in parsed if each.type == "link_open"} == {SOURCE}
    headings = [after for each, after in itertools.pairwise(parsed) if each.type == "heading_open"]
    assert len(headings) == 1 + len(HOSTILE) + 3
    assert kinds["tr_open"] == 1 + len(HOSTILE)
    assert kinds["th_open"] == 5
    assert kinds["td_open"] == 5 * len(HOSTILE)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_markdown_shows_texts_letter_by_letter(name: str) -> None:
    (_, inline, *parts, _) = tokens(f"{escaped_markdown(name)}\n") or (None, None, None)
    assert {part.type for part in parts} <= {"text", "text_special"}
    shown = "".join(part.content for part in parts).replace("\u2060", "")
    assert shown == clean(name).strip()
    assert inline is None or not re.search(r"@\w|#\w|://|www\.", inline.content)  # Nor do sites make links of it.


# -- JUnit -----------------------------------------------------------------------------------------------------------


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text.encode())  # our own


def outcomes(suite: ET.Element) -> dict[str | None, str]:
    return {case.get("name"): case[0].tag if len(case) else "passed" for case in suite}


def test_junit_has_a_suite_for_each_machine_and_a_test_for_each_finding() -> None:
    root = parsed(sample_audit().to_junit())
    assert {suite.get("name"): outcomes(suite) for suite in root} == {
        "demovm": {"facts missing": "skipped"},
        "backup": {"VSS: guest-service-not-running": "failure", "Time Synchronization: two-time-sources": "system-out"},
        "web": {"Key-Value Pair Exchange: pools-readable": "failure", "VSS: guest-service-not-running": "skipped"},
        "spare": {"off": "system-out"},
        "Could not be read": {"legacy": "error"},
    }
    assert [root.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["7", "2", "1", "2"]
    for suite in root:
        assert suite.get("tests") == str(len(suite))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        assert suite.get("timestamp") == "2026-01-02T03:04:00"


def test_junit_says_of_a_failure_what_to_do() -> None:
    found = parsed(sample_audit().to_junit()).find("testsuite/testcase/failure")
    assert found is not None
    assert found.attrib == {"type": "error", "message": "The guest's service does not run."}
    assert "Evidence: In the guest it is stopped.\nWhat to do: Start it.\n" in (found.text or "")


def test_junit_passes_services_without_findings() -> None:
    host = hv.connect("sim:")
    seen = host.inventory().vms[0]
    others = [state.kind.label for state in seen.services if state.kind and state.kind is not hv.ServiceKind.VSS]
    (suite,) = parsed(attrs.evolve(diagnosis_of(1, "demovm", [finding(1)]), host=seen).to_junit())
    assert len(others) == 5
    assert outcomes(suite) == {"VSS: guest-service-not-running": "failure"} | dict.fromkeys(others, "passed")


def test_junit_tells_machines_and_tests_of_one_name_apart() -> None:
    twice = [finding(1), finding(1)]
    root = parsed(audit_of([diagnosis_of(1, "web", twice), diagnosis_of(2, "web", twice)]).to_junit())
    names = [(suite.get("name"), case.get("name")) for suite in root for case in suite]
    assert len(set(names)) == 4


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_junit_has_the_texts_of_others_whole(name: str) -> None:
    root = parsed(hostile_audit([name]).to_junit())
    shown = re.sub("[\ufffe\uffff]", "", clean(name))
    suite, troubles = root
    assert suite.get("name") == shown
    assert [case.tag for case in suite] == ["testcase"] * 3
    assert troubles[0][0].get("message") == shown
    assert suite[0][0].get("message") == f"The guest's service does not run. {shown}".strip()


# -- HTML ------------------------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """The elements of a page, and what is in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (found for each, found in self.elements if each == tag)


@pytest.mark.parametrize("form", ["to_html", "_repr_html_"])
def test_html_has_no_element_or_attribute_of_others(form: str) -> None:
    names = [f"vm{number}" for number in range(len(HOSTILE))]
    harmless = Page(written(hostile_audit(names), form))
    hostile = Page(written(hostile_audit(), form))
    assert hostile.elements == harmless.elements
    for name in HOSTILE:
        assert clean(name) in hostile.texts


def test_the_page_names_nothing_elsewhere() -> None:
    page = Page(hostile_audit().to_html())
    assert {found["href"] for found in page.all("a")} == {SOURCE}
    for tag, found in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "base"}
        assert not {"src", "action", "style"} & found.keys()
        assert not any(name.startswith("on") for name in found)


def test_the_policy_of_the_page_allows_its_one_script_and_style_and_nothing_else() -> None:
    hostile, plain = hostile_audit().to_html(), sample_audit().to_html()
    (policy,) = (found["content"] for found in Page(hostile).all("meta") if "http-equiv" in found)
    allowed = dict(each.split(maxsplit=1) for each in str(policy).split("; "))
    for tag in ("script", "style"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", hostile, re.DOTALL)
        assert f"<{tag}>{content}</{tag}>" in plain
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert allowed.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert allowed == {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'"}


def test_the_page_shows_everything_without_script() -> None:
    page = Page(sample_audit().to_html())
    assert list(page.all("form")) == [{"hidden": None, "aria-label": "Filter findings"}]
    assert not any("hidden" in found for tag, found in page.elements if tag not in {"form", "button"})


def test_what_is_shown_is_labelled() -> None:
    page = Page(sample_audit().to_html())
    ids = {found["id"] for _, found in page.elements if "id" in found}
    labels = {found["for"] for found in page.all("label") if "for" in found}
    assert labels == {found["id"] for tag, found in page.elements if tag in {"input", "select"} and "id" in found}
    assert {found["aria-labelledby"] for _, found in page.elements if "aria-labelledby" in found} <= ids
    assert all(found["scope"] in {"col", "row"} for found in page.all("th"))


@pytest.mark.parametrize("source", ["javascript:alert(1)", "https://a b", 'https://x"onclick=', "KB4014894", ""])
def test_what_is_no_address_is_no_link(source: str) -> None:
    audit = audit_of([diagnosis_of(1, "web", [attrs.evolve(finding(1), source=source)])])
    assert list(Page(audit.to_html()).all("a")) == []
    assert not [each for each in tokens(audit.to_markdown()) if each.type == "link_open"]


def test_what_is_new_is_marked_and_what_is_gone_is_said() -> None:
    now, before = sample_audit(), audit_of([diagnosis_of(2, "backup", [finding(2, rule="<gone>")])])
    changes = now.since(before)
    said = changes.to_text()
    assert "; 4 new; 1 gone; 1 accepted;" in said
    assert "guest-service-not-running  (new)" in said
    assert said.count("(new)") == 4
    assert "Gone since the last time\n------------------------\n- backup, VSS: <gone>\n" in said
    assert "`guest-service-not-running` · new" in changes.to_markdown()
    assert "- backup, VSS: \\<gone\\>" in changes.to_markdown()
    assert changes.to_html().count('class="badge new"') == 4
    assert "<li><bdi>backup, VSS: &lt;gone&gt;</bdi></li>" in changes.to_html()
    assert "error, new" in changes._repr_html_()  # IPython's protocol
    assert changes.to_junit() == now.to_junit()


def test_many_findings_are_written_in_time_that_grows_with_them() -> None:
    names = [f"vm{number}" for number in range(3000)]
    audit = audit_of([diagnosis_of(number, name, [finding(number, vm=name)]) for number, name in enumerate(names, 1)])
    assert audit.to_html().count("<details>") == 3000
    assert audit.to_markdown().count("\n## ") == 3000
    assert audit.to_junit().count("<testcase ") == 3000
