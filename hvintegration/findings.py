"""What is wrong with integration services, why, and what to do: frozen values, judged from facts of both ends."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from typing import ClassVar, Final, TypeAlias

import attrs

from hvintegration.display import Cell, Table
from hvintegration.errors import ConfigurationError, excerpt
from hvintegration.guest_models import GuestInventory
from hvintegration.models import VMInventory
from hvintegration.reports.content import Entry, Machine, Report, Trouble
from hvintegration.service_kind import ServiceKind
from hvintegration.values import Failure, Rows, Value

__all__ = ["Acceptance", "Audit", "AuditChanges", "Diagnosis", "End", "Finding", "Fix", "Severity"]


FindingKey: TypeAlias = "tuple[str, str | None, ServiceKind | None]"


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

    @property
    def rank(self) -> int:
        """Place in this order; 0 is the worst."""
        return list(Severity).index(self)


class End(enum.StrEnum):
    """Where something is done."""

    HOST = "host"
    GUEST = "guest"


@attrs.frozen(kw_only=True)
class Fix(Value):
    """What this package can do about a finding. Nothing happens until it is applied.

    Attributes:
        end: Where it is done.
        vm_id: GUID of the virtual machine, lower case without braces; None as in :class:`Finding`.
        kind: Which service.
        action: ``enable`` or ``disable`` on the host; ``start``, ``stop``, ``restart``, ``automatic``, ``manual``,
            ``disabled`` or ``install`` in the guest.
        cost: What it costs meanwhile, in a sentence.
        undo: What undoes it: an action at the same end; None if nothing does.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Where", "Service", "Action", "Costs", "Undone by")

    end: End
    vm_id: str | None
    kind: ServiceKind
    action: str
    cost: str
    undo: str | None

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (self.end.value, self.kind.label, self.action, self.cost, self.undo)


def _without_braces(vm_id: str) -> str:
    return vm_id.strip("{}").lower()


@attrs.frozen(kw_only=True)
class Acceptance(Value):
    """That somebody knows of a finding and lives with it.

    Attributes:
        finding: Id of the finding.
        vm_id: GUID of the virtual machine; given in any case, with or without braces.
        kind: Which service; None for any.
        reason: Why, in somebody's words.
        until: The last day on which it holds, in UTC.

    Raises:
        ConfigurationError: ``until`` is no day.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Finding", "VM", "Service", "Reason", "Until")

    finding: str
    vm_id: str = attrs.field(converter=_without_braces)
    kind: ServiceKind | None = None
    reason: str
    until: date

    def __attrs_post_init__(self) -> None:
        if type(self.until) is not date:
            raise ConfigurationError(
                f"Invalid until {excerpt(repr(self.until))}: it is no day.", hint="It is a datetime.date."
            )

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

    @property
    def key(self) -> FindingKey:
        """Two findings of the same key are the same one at different times."""
        return self.id, self.vm_id, self.kind

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        kind = None if self.kind is None else self.kind.label
        return (self.severity.value, self.vm_name or self.vm_id, kind, self.id, self.cause, self.remedy)

    def to_text(self) -> str:
        """It in some lines of plain text."""
        from hvintegration.reports.text import entry_as_text

        return entry_as_text(_entry_of(self, self.vm_id or NOWHERE))

    def __str__(self) -> str:
        return self.to_text()


@attrs.frozen
class _Reported(Value):
    """What reports are made of: each format of all that there is to say."""

    @property
    def summary(self) -> str:
        """How much was found, in a sentence."""
        return self._report().summary

    def to_text(self, *, width: int = 100) -> str:
        """A report for terminals, logs and mail; no text in it can steer a terminal.

        Args:
            width: Columns that lines take; longer words stay whole.
        """
        from hvintegration.reports.text import report_as_text

        return report_as_text(self._report(), width)

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

    ``print()`` and notebooks show a report of it; ``to_text()``, ``to_markdown()``, ``to_junit()`` and ``to_html()``
    make them.

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
    """Findings that were accepted do not count."""

    vm_id: str | None
    vm_name: str | None
    findings: Rows[Finding]
    missing: tuple[str, ...]
    host: VMInventory | None
    guest: GuestInventory | None
    read_at: datetime = attrs.field(eq=False)

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        counts = (sum(one.severity is severity for one in self.findings if not one.acceptance) for severity in Severity)
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

    It has the same reports as a :class:`Diagnosis`.

    Attributes:
        address: The host.
        diagnoses: One for each virtual machine that could be read, the worst first.
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
        found = sorted(self._all(), key=lambda finding: (finding.severity.rank, finding.vm_name or ""))
        return Rows(Finding, found, self.errors)

    def since(self, earlier: Audit) -> AuditChanges:
        """What is new since an earlier audit of the same host, and what is gone. No round trip.

        New is what was not found then, or was accepted and is not any more. What is accepted now is not new. Gone is
        only what was looked for again: of a virtual machine that could not be read, or whose guest was asked then and
        is not now, nothing is said to be gone.

        Args:
            earlier: The audit before; perhaps read from JSON.

        Raises:
            ConfigurationError: It is of another host.
        """
        if earlier.address != self.address:
            raise ConfigurationError(f"The audit is of {self.address}, and the earlier one of {earlier.address}.")
        before = {finding.key for finding in earlier._all() if finding.acceptance is None}
        now = {finding.key for finding in self._all()}
        asked = {diagnosis.vm_id: diagnosis.guest is not None for diagnosis in self.diagnoses}
        looked_for = {
            diagnosis.vm_id
            for diagnosis in earlier.diagnoses
            if diagnosis.vm_id in asked and (asked[diagnosis.vm_id] or diagnosis.guest is None)
        }
        return AuditChanges(
            audit=self,
            new=self.findings.where(lambda finding: finding.acceptance is None and finding.key not in before),
            gone=earlier.findings.where(lambda finding: finding.vm_id in looked_for and finding.key not in now),
        )

    def _all(self) -> Iterator[Finding]:
        for diagnosis in self.diagnoses:
            yield from diagnosis.findings

    def table(self) -> Table:
        """One row per finding; errors are notes below it."""
        return self.findings.table()

    def _report(self) -> Report:
        return _report_of(self, frozenset())


@attrs.frozen(kw_only=True)
class AuditChanges(_Reported):
    """What has changed from one audit to the next. As a report it is that of the later audit, with what is new marked.

    Attributes:
        audit: The later one.
        new: Findings that were not there before, or were accepted until now.
        gone: Findings that were there, and are not any more.
    """

    audit: Audit
    new: Rows[Finding]
    gone: Rows[Finding]

    def table(self) -> Table:
        """One row per finding that is new; how many are gone is a note below it."""
        table = self.new.table()
        return attrs.evolve(table, notes=(*table.notes, f"Findings that are gone: {len(self.gone)}."))

    def _report(self) -> Report:
        new = {finding.key for finding in self.new}
        report = _report_of(self.audit, new)
        return attrs.evolve(report, gone=tuple(_entry_of(finding, finding.vm_id or NOWHERE) for finding in self.gone))


# -- what reports say ------------------------------------------------------------------------------------------------


def _report_of(audit: Audit, new: AbstractSet[FindingKey]) -> Report:
    return Report(
        title=f"Audit of {audit.address}",
        read_at=audit.read_at,
        machines=tuple(_machine_of(diagnosis, new) for diagnosis in audit.diagnoses),
        troubles=tuple(
            Trouble(
                about=failure.vm_name or failure.vm_id or failure.target or failure.address,
                message=failure.message or failure.error_id,
            )
            for failure in audit.errors
        ),
    )


def _machine_of(diagnosis: Diagnosis, new: AbstractSet[FindingKey] = frozenset()) -> Machine:
    host, guest = diagnosis.host, diagnosis.guest
    states = [*(host.services if host is not None else ()), *(guest.services if guest is not None else ())]
    name = diagnosis.vm_name or (guest.info.name if guest is not None else None) or diagnosis.vm_id or NOWHERE
    return Machine(
        name=name,
        id=diagnosis.vm_id,
        entries=tuple(_entry_of(finding, name, new=finding.key in new) for finding in diagnosis.findings),
        missing=diagnosis.missing,
        judged=tuple(dict.fromkeys(state.kind.label for state in states if state.kind is not None)),
    )


def _entry_of(finding: Finding, where: str, *, new: bool = False) -> Entry:
    fix, acceptance = finding.fix, finding.acceptance
    return Entry(
        severity=finding.severity.value,
        machine=finding.vm_name or where,
        machine_id=finding.vm_id,
        service=None if finding.kind is None else finding.kind.label,
        rule=finding.id,
        evidence=finding.evidence,
        cause=finding.cause,
        remedy=finding.remedy,
        source=finding.source,
        fix=None if fix is None else _sentence_of(fix),
        costs=None if fix is None else fix.cost,
        accepted=None if acceptance is None else f"until {acceptance.until.isoformat()}: {acceptance.reason}",
        new=new,
    )


def _sentence_of(fix: Fix) -> str:
    place = "on the host" if fix.end is End.HOST else "in the guest"
    done = f"{_doing(fix.action, fix.kind.label)} {place}"
    undone = f"to undo it: {_doing(fix.undo, 'it')}" if fix.undo is not None else "it cannot be undone"
    return f"{done[0].upper()}{done[1:]} ({undone})."


_STARTUPS: Final = frozenset({"automatic", "manual", "disabled"})


def _doing(action: str, what: str) -> str:
    return f"set the startup of {what} to {action}" if action in _STARTUPS else f"{action} {what}"
