"""Diagnoses and audits with findings of each kind, whatever the texts in them are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final

from hvintegration.findings import Acceptance, Audit, Diagnosis, End, Finding, Fix, Severity
from hvintegration.service_kind import ServiceKind
from hvintegration.testing import HOSTILE_NAMES, machine_id
from hvintegration.values import Failure, Rows

__all__ = ["AT", "HOSTILE", "SOURCE", "audit_of", "diagnosis_of", "failure", "finding", "hostile_audit", "sample_audit"]

AT: Final = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
SOURCE: Final = "https://learn.microsoft.com/virtualization/hyper-v-on-windows"
HOSTILE: Final = (
    *HOSTILE_NAMES,
    "</script></style></title><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)' \"x",
    "]]><!--",
    "&lt;b&gt; & <b>",
    "[link](https://elsewhere.example) ![image](https://elsewhere.example/x.png)",
    "<https://elsewhere.example> https://elsewhere.example www.elsewhere.example",
    "# heading",
    "1. item",
    "- item",
    "| cell | `code` ``` **bold** _em_ ~~gone~~ $x^2$",
    "@everybody #1 somebody@elsewhere.example",
    "\x00\x07\x1b]0;owned\x07\u2066turned\u2069\ufffe\uffff\ud800",
    "\u200b",
    "שלום",
)
"""What somebody may call a virtual machine, or have a daemon say, who wants to do something with a report."""


def finding(
    number: int,
    severity: str = "error",
    *,
    vm: str = "backup",
    kind: ServiceKind | None = ServiceKind.VSS,
    rule: str = "guest-service-not-running",
    text: str = "",
    accepted: bool = False,
) -> Finding:
    """A finding about the virtual machine of this number; *text* is in each of its sentences."""
    vm_id = machine_id(number)
    fix = Fix(end=End.GUEST, vm_id=vm_id, kind=ServiceKind.VSS, action="start", cost="Nothing.", undo="stop")
    until = date(2026, 6, 30)
    acceptance = Acceptance(finding=rule, vm_id=vm_id, reason=f"An agent does backups. {text}".strip(), until=until)
    return Finding(
        id=rule,
        severity=Severity(severity),
        vm_id=vm_id,
        vm_name=vm,
        kind=kind,
        evidence=(
            f"On the host it is enabled and reports LostCommunication. {text}".strip(),
            f"In the guest it is stopped. {text}".strip(),
        ),
        cause=f"The guest's service does not run. {text}".strip(),
        remedy=f"Start it. {text}".strip(),
        source=SOURCE,
        fix=None if kind is None else fix,
        acceptance=acceptance if accepted else None,
    )


def diagnosis_of(number: int, vm: str, findings: Sequence[Finding] = (), missing: tuple[str, ...] = ()) -> Diagnosis:
    """The diagnosis of a virtual machine, whatever was asked."""
    found = Rows(Finding, findings)
    return Diagnosis(
        vm_id=machine_id(number), vm_name=vm, findings=found, missing=missing, host=None, guest=None, read_at=AT
    )


def failure(vm: str, message: str = "The operation failed.") -> Failure:
    """That a virtual machine could not be read."""
    return Failure(
        address="sim:", vm_id=None, vm_name=vm, target=None, error_id="OperationFailed", category="", message=message
    )


def audit_of(diagnoses: Sequence[Diagnosis], errors: Sequence[Failure] = ()) -> Audit:
    """An audit of these."""
    return Audit(address="sim:", diagnoses=Rows(Diagnosis, diagnoses), errors=Rows(Failure, errors), read_at=AT)


def sample_audit() -> Audit:
    """One with a finding of each severity, one accepted, facts missing, and a machine that could not be read."""
    two_sources = finding(2, "note", kind=ServiceKind.TIME_SYNC, rule="two-time-sources")
    readable = finding(3, "warning", vm="web", kind=ServiceKind.KVP, rule="pools-readable")
    is_off = finding(4, "note", vm="spare", kind=None, rule="off")
    return audit_of(
        [
            diagnosis_of(1, "demovm", missing=("The guest was not asked.",)),
            diagnosis_of(2, "backup", [finding(2), two_sources]),
            diagnosis_of(3, "web", [readable, finding(3, vm="web", accepted=True)]),
            diagnosis_of(4, "spare", [is_off]),
        ],
        [failure("legacy")],
    )


def hostile_audit(names: Sequence[str] = HOSTILE) -> Audit:
    """One in which each of *names* is that of a machine with two findings, one accepted, and in every sentence."""
    return audit_of(
        [
            diagnosis_of(
                number,
                name,
                [
                    finding(number, vm=name, text=name),
                    finding(number, "note", vm=name, rule=name, text=name, accepted=True),
                ],
                (name,),
            )
            for number, name in enumerate(names, 1)
        ],
        [failure(name, name) for name in names],
    )
