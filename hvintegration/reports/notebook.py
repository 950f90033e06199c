"""A report as tables for notebooks, in which every text is escaped."""

from __future__ import annotations

from hvintegration.display import Table
from hvintegration.reports.content import Entry, Report

__all__ = ["report_as_tables"]

COLUMNS = ("Severity", "VM", "Service", "Finding", "Cause", "What to do", "Source")


def report_as_tables(report: Report) -> str:
    """What is open; what was accepted in a table of its own; then facts that were missing, and what was not read."""
    gone = [f"Gone since the last time: {entry.line}" for entry in report.gone]
    missing = [f"Not judged of {machine.name}: {fact}" for machine in report.machines for fact in machine.missing]
    troubles = [f"{trouble.about} could not be read: {trouble.message}" for trouble in report.troubles]
    shown = [Table(COLUMNS, tuple(map(_row, report.open)), (report.summary,))]
    if report.accepted:
        shown.append(Table((*COLUMNS, "Accepted"), tuple((*_row(entry), entry.accepted) for entry in report.accepted)))
    shown[-1] = Table(shown[-1].columns, shown[-1].rows, (*shown[-1].notes, *gone, *missing, *troubles))
    return "".join(table.to_html() for table in shown)


def _row(entry: Entry) -> tuple[str | None, ...]:
    severity = f"{entry.severity}, new" if entry.new else entry.severity
    return (severity, entry.machine, entry.service, entry.rule, entry.cause, entry.remedy, entry.source)
