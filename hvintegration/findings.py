"""What is wrong with integration services, why, and what to do: frozen values, judged from facts of both ends."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import date, datetime
from typing import ClassVar, Final

import attrs

from hvintegration.display import Cell, Table
from hvintegration.guest_models import GuestInventory
from hvintegration.models import VMInventory
from hvintegration.reports.content import Entry, Machine, Report, Trouble
from hvintegration.service_kind import ServiceKind
from hvintegration.values import Failure, Rows, Value

__all__ = ["Acceptance", "Audit", "Diagnosis", "End", "Finding", "Fix", "Severity"]


class Severity(enum.StrEnum):
    """How bad it is.

    Members:
        ERROR: Something that is wanted does not work.
        WARNING: It works, and will not, or not as people expect.
        NOTE: Good to know; nothing need be done.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class End(enum.StrEnum):
    """Where something is done."""

    HOST = "host"
    GUEST = "guest"


@attrs.frozen(kw_only=True)
class Fix(Value):
    """What this package can do about a finding. Nothing happens until it is applied.

    Attributes:
        end: Where it is done.
        vm_id: GUID of the virtual machine, lower case without braces.
        kind: Which service.
        action: ``enable`` or ``disable`` on the host; ``start``, ``stop``, ``restart``, ``automatic``, ``manual`` or
            ``install`` in the guest.
        cost: What it costs meanwhile, in a sentence.
        undo: What undoes it: an action at the same end; None if nothing does.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Where", "Service", "Action", "Costs", "Undone by")

    end: End
    vm_id: str
    kind: ServiceKind
    action: str
    cost: str
    undo: str | None

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (self.end.value, self.kind.label, self.action, self.cost, self.undo)


@attrs.frozen(kw_only=True)
class Acceptance(Value):
    """That somebody knows of a finding and lives with it.

    Attributes:
        finding: Id of the finding.
        vm_id: GUID of the virtual machine, lower case without braces.
        kind: Which service; None for any.
        reason: Why, in somebody's words.
        until: The last day on which it holds.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Finding", "VM", "Service", "Reason", "Until")

    finding: str
    vm_id: str
    kind: ServiceKind | None = None
    reason: str
    until: date

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        kind = None if self.kind is None else self.kind.label
        return (self.finding, self.vm_id, kind, self.reason, self.until.isoformat())


@attrs.frozen(kw_only=True)
class Finding(Value):
    """Something that is wrong or good to know, by one of the rules.

    Attributes:
        id: Which rule: a stable name such as ``guest-service-not-running``.
        severity: How bad it is.
        vm_id: GUID of the virtual machine, lower case without braces; None where only a guest that does not know its
            own was asked.
        vm_name: Its name, likewise.
        kind: Which service it is about; None if it is not about one.
        evidence: The facts that it was judged from, in sentences.
        cause: What that means.
        remedy: What to do.
        source: Where that is documented.
        fix: What this package can do about it; None where it can do nothing.
        acceptance: That somebody accepted it; None if nobody did.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Severity", "VM", "Service", "Finding", "Cause", "What to do")

    id: str
    severity: Severity
    vm_id: str | None
    vm_name: str | None
    kind: ServiceKind | None
    evidence: tuple[str, ...]
    cause: str
    remedy: str
    source: str
    fix: Fix | None = None
    acceptance: Acceptance | None = None

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        kind = None if self.kind is None else self.kind.label
        return (self.severity.value, self.vm_name or self.vm_id, kind, self.id, self.cause, self.remedy)

    def to_text(self) -> str:
        """It in some lines of plain text."""
        from hvintegration.reports.text import entry_as_text

        return entry_as_text(_entry_of(self, NOWHERE))

    def __str__(self) -> str:
        return self.to_text()


@attrs.frozen
class _Reported(Value):
    """What reports are made of: each format of all that there is to say."""

    def to_text(self) -> str:
        """A report for terminals, logs and mail; no text in it can steer a terminal."""
        from hvintegration.reports.text import report_as_text

        return report_as_text(self._report())

    def to_markdown(self) -> str:
        """A report for the summaries, comments and wikis of GitHub, GitLab and the like; no text in it is markup."""
        from hvintegration.reports.markdown import report_as_markdown

        return report_as_markdown(self._report())

    def to_junit(self) -> str:
        """A report in JUnit's XML for continuous integration.

        Each virtual machine is a suite. An error or a warning is a test that failed; what was accepted is skipped; a
        note, and a service without findings, passed.
        """
        from hvintegration.reports.junit import report_as_junit

        return report_as_junit(self._report())

    def to_html(self) -> str:
        """A report as a page that needs no net and no other file, with sorting and filters; no text in it is code.

        Write it to a file as UTF-8.
        """
        from hvintegration.reports.page import report_as_page

        return report_as_page(self._report())

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        from hvintegration.reports.notebook import report_as_tables

        return report_as_tables(self._report())

    def _report(self) -> Report:
        raise NotImplementedError


NOWHERE: Final = "the guest"
"""What a guest is called that does not know which virtual machine it is."""


@attrs.frozen(kw_only=True)
class Diagnosis(_Reported):
    """What is wrong with the integration services of one virtual machine.

    Attributes:
        vm_id: GUID of the virtual machine, lower case without braces; None as in :class:`Finding`.
        vm_name: Its name, likewise.
        findings: Sorted by severity, then service.
        missing: Facts that rules would have needed and that were not there, in sentences.
        host: What the host said; None if it was not asked.
        guest: What the guest said; None if it was not asked.
        read_at: When it was judged, in UTC.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("VM", "Errors", "Warnings", "Notes", "Facts missing")

    vm_id: str | None
    vm_name: str | None
    findings: Rows[Finding]
    missing: tuple[str, ...]
    host: VMInventory | None
    guest: GuestInventory | None
    read_at: datetime = attrs.field(eq=False)

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        counts = (sum(finding.severity is severity for finding in self.findings) for severity in Severity)
        return (self.vm_name or self.vm_id, *counts, len(self.missing))

    def table(self) -> Table:
        """One row per finding; what was missing are notes below it."""
        table = self.findings.table()
        return attrs.evolve(table, notes=(*table.notes, *self.missing))

    def _report(self) -> Report:
        machine = _machine_of(self)
        return Report(title=f"Diagnosis of {machine.name}", read_at=self.read_at, machines=(machine,))


@attrs.frozen(kw_only=True)
class Audit(_Reported):
    """What is wrong with the integration services of a host's virtual machines.

    Attributes:
        address: The host.
        diagnoses: One for each virtual machine that could be read.
        errors: One entry for each machine or guest that could not.
        read_at: When it was finished, in UTC.
    """

    address: str
    diagnoses: Rows[Diagnosis]
    errors: Rows[Failure]
    read_at: datetime = attrs.field(eq=False)

    @property
    def findings(self) -> Rows[Finding]:
        """Those of all virtual machines, sorted by severity, then machine; its ``errors`` are those of the audit."""
        order = list(Severity)
        found = sorted(self._all(), key=lambda finding: (order.index(finding.severity), finding.vm_name or ""))
        return Rows(Finding, found, self.errors)

    def _all(self) -> Iterator[Finding]:
        for diagnosis in self.diagnoses:
            yield from diagnosis.findings

    def table(self) -> Table:
        """One row per finding; errors are notes below it."""
        return self.findings.table()

    def _report(self) -> Report:
        return Report(
            title=f"Audit of {self.address}",
            read_at=self.read_at,
            machines=tuple(map(_machine_of, self.diagnoses)),
            troubles=tuple(
                Trouble(
                    about=failure.vm_name or failure.vm_id or failure.target or failure.address,
                    message=failure.message or failure.error_id,
                )
                for failure in self.errors
            ),
        )


# -- what reports say ------------------------------------------------------------------------------------------------


def _machine_of(diagnosis: Diagnosis) -> Machine:
    host, guest = diagnosis.host, diagnosis.guest
    states = [*(host.services if host is not None else ()), *(guest.services if guest is not None else ())]
    name = diagnosis.vm_name or diagnosis.vm_id or (guest.info.name if guest is not None else None) or NOWHERE
    return Machine(
        name=name,
        id=diagnosis.vm_id,
        entries=tuple(_entry_of(finding, name) for finding in diagnosis.findings),
        missing=diagnosis.missing,
        judged=tuple(dict.fromkeys(state.kind.label for state in states if state.kind is not None)),
    )


def _entry_of(finding: Finding, where: str) -> Entry:
    fix, acceptance = finding.fix, finding.acceptance
    return Entry(
        severity=finding.severity.value,
        machine=finding.vm_name or finding.vm_id or where,
        machine_id=finding.vm_id,
        service=None if finding.kind is None else finding.kind.label,
        rule=finding.id,
        evidence=finding.evidence,
        cause=finding.cause,
        remedy=finding.remedy,
        source=finding.source,
        fix=None if fix is None else _sentences_of(fix),
        accepted=None if acceptance is None else f"until {acceptance.until.isoformat()}: {acceptance.reason}",
    )


def _sentences_of(fix: Fix) -> str:
    place = "on the host" if fix.end is End.HOST else "in the guest"
    undone = f"undone by {fix.undo}" if fix.undo is not None else "cannot be undone"
    return f"{fix.action.capitalize()} {fix.kind.label} {place} ({undone}). {fix.cost}"
