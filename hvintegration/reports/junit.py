"""A report as JUnit XML, which continuous integration shows as tests.

Each virtual machine is a suite. An error or a warning is a test that failed, an accepted finding one that was skipped,
a note one that passed and says something; a service without findings is a test that passed. What could not be read is
a test with an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs

from hvintegration.display import clean, escaped
from hvintegration.reports.content import Entry, Machine, Report

__all__ = ["report_as_junit"]

FAILING: Final = frozenset({"error", "warning"})

_NO_XML = re.compile("[\ufffe\uffff]")
"""What XML may not contain, of what :func:`~hvintegration.display.clean` leaves."""


@attrs.frozen(kw_only=True)
class _Case:
    """A test.

    Attributes:
        name: What it is called.
        outcome: The element that says what became of it; None if it passed and says nothing.
        message: What that element says in a line.
        type: What kind of failure it is.
        lines: What it says at length.
    """

    name: str
    outcome: str | None = None
    message: str | None = None
    type: str | None = None
    lines: tuple[str, ...] = ()


def report_as_junit(report: Report) -> str:
    """All of it, as a document."""
    suites = list(_suites(report))
    totals = _totals([case for _, cases in suites for case in cases])
    yielded = "".join(_suite(name, cases, f"{report.read_at:%Y-%m-%dT%H:%M:%S}") for name, cases in suites)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f"{head}<testsuites{_attributes({'name': report.title} | totals)}>\n{yielded}</testsuites>\n"


def _suites(report: Report) -> Iterator[tuple[str, list[_Case]]]:
    seen = Counter(clean(machine.name) for machine in report.machines)
    for machine in report.machines:
        repeats = seen[clean(machine.name)] > 1 and machine.id is not None
        yield f"{machine.name} ({machine.id})" if repeats else machine.name, _unique(_cases(machine))
    if report.troubles:
        troubles = (_Case(name=each.about, outcome="error", message=each.message) for each in report.troubles)
        yield "Could not be read", _unique(troubles)


def _cases(machine: Machine) -> Iterator[_Case]:
    for entry in (*machine.open, *machine.accepted):
        yield _case(entry)
    found = {entry.service for entry in machine.entries}
    yield from (_Case(name=service) for service in machine.judged if service not in found)
    if machine.missing:
        yield _Case(name="facts missing", outcome="skipped", message=" ".join(machine.missing))


def _case(entry: Entry) -> _Case:
    name = f"{entry.service}: {entry.rule}" if entry.service else entry.rule
    lines = (f"{entry.severity}: {entry.cause}", *(f"{label}: {text}" for label, text in entry.details))
    if entry.accepted is not None:
        return _Case(name=name, outcome="skipped", message=f"Accepted: {entry.accepted}", lines=lines)
    if entry.severity in FAILING:
        return _Case(name=name, outcome="failure", message=entry.cause, type=entry.severity, lines=lines)
    return _Case(name=name, outcome="system-out", lines=lines)


def _unique(cases: Iterable[_Case]) -> list[_Case]:
    """The same, with names that do not repeat: many systems show only one test of each name."""
    seen: Counter[str] = Counter()
    told_apart: list[_Case] = []
    for case in cases:
        name = clean(case.name)
        seen[name] += 1
        told_apart.append(case if seen[name] == 1 else attrs.evolve(case, name=f"{name} ({seen[name]})"))
    return told_apart


def _totals(cases: list[_Case]) -> dict[str, str]:
    outcomes = Counter(case.outcome for case in cases)
    failed = {"failures": outcomes["failure"], "errors": outcomes["error"], "skipped": outcomes["skipped"]}
    return {name: str(count) for name, count in ({"tests": len(cases)} | failed).items()}


def _suite(name: str, cases: list[_Case], time: str) -> str:
    attributes = _attributes({"name": name, "timestamp": time} | _totals(cases))
    return f"  <testsuite{attributes}>\n{''.join(_written(case, name) for case in cases)}  </testsuite>\n"


def _written(case: _Case, suite: str) -> str:
    start = f"    <testcase{_attributes({'classname': suite, 'name': case.name})}"
    if case.outcome is None:
        return f"{start}/>\n"
    said = _attributes({"message": case.message, "type": case.type})
    text = "\n".join(map(_text, case.lines))
    return f"{start}>\n      <{case.outcome}{said}>{text}</{case.outcome}>\n    </testcase>\n"


def _attributes(values: Mapping[str, str | None]) -> str:
    return "".join(f' {name}="{_text(value)}"' for name, value in values.items() if value is not None)


def _text(text: str) -> str:
    return _NO_XML.sub("", escaped(text))
