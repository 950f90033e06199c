"""A report as plain text, for terminals, logs and mail. No text in it can steer a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from hvintegration.display import clean
from hvintegration.reports.content import Entry, Report

__all__ = ["entry_as_text", "report_as_text"]

WIDTH: Final = 100
"""Columns that lines take where nobody says how many."""

INDENT: Final = "    "
LABEL: Final = 12
"""Columns that a label takes, with what is between it and its text."""

LEAST_WIDTH: Final = 40


def report_as_text(report: Report, width: int = WIDTH) -> str:
    """All of it: what is open, then what was accepted, what facts were missing, and what could not be read."""
    return "\n".join(_lines(report, width))


def _lines(report: Report, width: int) -> Iterator[str]:
    yield clean(f"{report.title}, {report.time}")
    yield report.summary
    for entry in report.open:
        yield ""
        yield entry_as_text(entry, width)
    if report.accepted:
        yield from _heading("Accepted")
        for entry in report.accepted:
            yield entry_as_text(entry, width)
    if report.gone:
        yield from _heading("Gone since the last time")
        yield from _listed([entry.line for entry in report.gone], width)
    missing = [f"{machine.name}: {fact}" for machine in report.machines for fact in machine.missing]
    if missing:
        yield from _heading("Not judged, for facts are missing")
        yield from _listed(missing, width)
    if report.troubles:
        yield from _heading("Could not be read")
        yield from _listed([f"{trouble.about}: {trouble.message}" for trouble in report.troubles], width)


def entry_as_text(entry: Entry, width: int = WIDTH) -> str:
    """One finding: what and where in a line, then what it means and what to do."""
    about = (entry.severity.upper(), entry.machine, entry.service, entry.rule, "(new)" if entry.new else None)
    lines = ["  ".join(clean(text) for text in about if text)]
    lines += _wrapped(entry.cause, width, INDENT, INDENT)
    before = ""
    for label, text in entry.details:
        shown = "" if label == before else f"{label}:"
        lines += _wrapped(text, width, INDENT + shown.ljust(LABEL), INDENT + " " * LABEL)
        before = label
    return "\n".join(lines)


def _heading(title: str) -> tuple[str, str, str]:
    return ("", title, "-" * len(title))


def _listed(sentences: list[str], width: int) -> Iterator[str]:
    for sentence in sentences:
        yield from _wrapped(sentence, width, "- ", "  ")


def _wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        clean(text),
        max(width, LEAST_WIDTH),
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]
