"""A report as Markdown, for the summaries, comments and wikis of GitHub, GitLab and the like.

Texts are escaped so that none becomes a heading, a link, HTML, a mention or mathematics there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hvintegration.display import clean
from hvintegration.reports.content import Entry, Machine, Report, counts, is_link

__all__ = ["escaped_markdown", "report_as_markdown"]

_WORD_JOINER: Final = "\u2060"
"""Takes no room, and keeps apart what some make a link or mathematics of even where it is escaped."""

_MARKUP = re.compile(r"[\\`*_{}\[\]<>#!|~&$^]")
_BLOCK = re.compile(r"^([-+=:]|\d+(?=[.)]))")
_LINKED = re.compile(r"[@#](?=\w)|:(?=//)|(?<=www)(?=\.)|\\(?=[(\[])", re.IGNORECASE)


def report_as_markdown(report: Report) -> str:
    """All of it: a table of the virtual machines, then a section for each that has findings, then the rest."""
    return "\n".join(_lines(report)) + "\n"


def escaped_markdown(text: str) -> str:
    """*text*, cleaned, so that it is shown letter by letter."""
    kept = _LINKED.sub(lambda match: match[0] + _WORD_JOINER, clean(text).strip())
    kept = _MARKUP.sub(r"\\\g<0>", kept)
    return _BLOCK.sub(lambda match: match[0] + "\\" if match[0].isdigit() else "\\" + match[0], kept)


def _lines(report: Report) -> Iterator[str]:
    yield f"# {escaped_markdown(report.title)}"
    yield ""
    yield f"{report.summary} Judged {report.time}."
    yield from _counts(report)
    for machine in report.machines:
        if machine.open:
            yield from ("", f"## {escaped_markdown(machine.name)}", "")
            yield from _listed(machine.open)
    if report.accepted:
        yield from ("", "## Accepted", "")
        yield from _listed(report.accepted, named=True)
    if report.gone:
        yield from ("", "## Gone since the last time", "")
        yield from (f"- {escaped_markdown(entry.line)}" for entry in report.gone)
    missing = [(machine.name, fact) for machine in report.machines for fact in machine.missing]
    if missing:
        yield from ("", "## Not judged, for facts are missing", "")
        yield from (f"- {escaped_markdown(name)}: {escaped_markdown(fact)}" for name, fact in missing)
    if report.troubles:
        yield from ("", "## Could not be read", "")
        for trouble in report.troubles:
            yield f"- {escaped_markdown(trouble.about)}: {escaped_markdown(trouble.message)}"


def _counts(report: Report) -> Iterator[str]:
    if not report.machines:
        return
    yield from ("", "| VM | Errors | Warnings | Notes | Accepted |", "| --- | ---: | ---: | ---: | ---: |")
    yield from (_count(machine) for machine in report.machines)


def _count(machine: Machine) -> str:
    cells = [escaped_markdown(machine.name), *counts(machine.open).values(), len(machine.accepted)]
    return f"| {' | '.join(map(str, cells))} |"


def _listed(entries: tuple[Entry, ...], *, named: bool = False) -> Iterator[str]:
    for entry in entries:
        about = [escaped_markdown(text) for text in (entry.machine if named else None, entry.service) if text]
        marks = [f"**{entry.severity}**", *about, _code(entry.rule), *(["new"] if entry.new else [])]
        yield f"- {' · '.join(marks)}: {escaped_markdown(entry.cause)}"
        for label, text in entry.details:
            yield f"  - {label}: {f'<{text}>' if is_link(text) else escaped_markdown(text)}"


def _code(name: str) -> str:
    return f"`{name}`" if re.fullmatch(r"[\w-]+", name) else escaped_markdown(name)
