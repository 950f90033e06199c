"""From facts to findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import attrs

from hvintegration.diagnosis.facts import Facts, InapplicableError, LackError
from hvintegration.diagnosis.rule import Rule, Seen
from hvintegration.diagnosis.table import FIRST, RULES
from hvintegration.errors import ConfigurationError, excerpt, one_line
from hvintegration.findings import Acceptance, Diagnosis, End, Finding
from hvintegration.guest_models import GuestChange, GuestFamily, GuestInventory
from hvintegration.models import HostInfo, ServiceChange, VMInventory
from hvintegration.service_kind import ServiceKind
from hvintegration.values import Failure, Rows

__all__ = ["diagnose", "refuse_others"]


def diagnose(
    host: VMInventory | None = None,
    guest: GuestInventory | None = None,
    *,
    host_info: HostInfo | None = None,
    host_errors: Iterable[Failure] = (),
    changes: Iterable[ServiceChange | GuestChange] = (),
    accepted: Iterable[Acceptance] = (),
    at: datetime | None = None,
) -> Diagnosis:
    """What is wrong with the integration services of a virtual machine, as far as the given facts say. Asks nobody.

    A rule that lacks a fact says nothing; ``missing`` says which facts were lacked. Where the guest is not the virtual
    machine, or runs elsewhere than on Hyper-V, one finding says so and nothing else is judged.

    Args:
        host: What the host says: an item of ``host.inventory().vms``, perhaps read from JSON.
        guest: What the guest says: ``guest.inventory()``.
        host_info: The host itself, ``host.info()``, whose version is compared with the guest's.
        host_errors: What the host said in place of facts, such as ``host.inventory().errors``.
        changes: What was changed before, as ``apply`` and ``set_services`` answer it: a service may need a while then.
        accepted: Findings that somebody lives with.
        at: When it is judged, which decides what acceptances hold; now if None.

    Raises:
        ConfigurationError: There is neither a host's side nor a guest's, or a change or an acceptance is none.
    """
    if host is None and guest is None:
        raise ConfigurationError("There is nothing to judge: neither what a host nor what a guest says is given.")
    at = datetime.now(UTC) if at is None else at
    changes, accepted = tuple(changes), tuple(accepted)
    refuse_others(changes, accepted)
    facts = Facts(machine=host, inside=guest, host=host_info, changes=changes, host_errors=tuple(host_errors))
    vm_id = host.id if host is not None else guest.info.vm_id if guest is not None else None
    vm_name = host.name if host is not None else guest.info.vm_name if guest is not None else None
    seen, missing = _judged(facts)
    holding = [acceptance for acceptance in accepted if at.date() <= acceptance.until]
    findings = [_finding(judged, vm_id, vm_name, holding) for judged in seen]
    return Diagnosis(
        vm_id=vm_id,
        vm_name=vm_name,
        findings=Rows(Finding, sorted(findings, key=_order)),
        missing=missing,
        host=host,
        guest=guest,
        read_at=at,
    )


def refuse_others(changes: Iterable[object], accepted: Iterable[object]) -> None:
    """Raise ConfigurationError where what a caller gives as changes or acceptances is something else."""
    for what, values, of in (
        ("change", changes, (ServiceChange, GuestChange)),
        ("acceptance", accepted, (Acceptance,)),
    ):
        for value in values:
            if not isinstance(value, of):
                raise ConfigurationError(f"Invalid {what} {excerpt(repr(value))}.")


_Judged = tuple[Rule, ServiceKind | None, Seen]

_KINDS: Final = [None, *ServiceKind]


def _order(finding: Finding) -> tuple[int, int]:
    return finding.severity.rank, _KINDS.index(finding.kind)


def _judged(facts: Facts) -> tuple[list[_Judged], tuple[str, ...]]:
    missing: dict[str, None] = {}
    for rule in FIRST:
        alone = list(_apply(rule, facts, missing))
        if alone:
            return alone, ()
    if facts.inside is not None and facts.inside.info.vm_id is None:
        missing["Which virtual machine the guest is: Data Exchange has not told it."] = None
    others = [rule for rule in RULES if rule not in FIRST]
    return [judged for rule in others for judged in _apply(rule, facts, missing)], tuple(missing)


def _apply(rule: Rule, facts: Facts, missing: dict[str, None]) -> Iterator[_Judged]:
    """What a rule has to say; which facts it lacks is added to *missing*."""
    for kind in rule.kinds:
        try:
            seen = rule.look(facts, kind)
        except LackError as lack:
            missing[str(lack)] = None
        except InapplicableError:
            continue
        else:
            if seen is not None:
                yield rule, kind, seen if _may(seen, facts) else attrs.evolve(seen, act=None)


def _may(seen: Seen, facts: Facts) -> bool:
    """Whether this package, and the user who asks, may do what would help, as far as is known."""
    if seen.act is None or seen.act.end is not End.GUEST or facts.inside is None:
        return True
    guest = facts.inside.info
    return guest.family is not GuestFamily.FREEBSD and guest.administrator is not False


def _finding(judged: _Judged, vm_id: str | None, vm_name: str | None, accepted: Sequence[Acceptance]) -> Finding:
    rule, kind, seen = judged
    fitting = (
        acceptance
        for acceptance in accepted
        if acceptance.finding == rule.id and acceptance.vm_id == vm_id and acceptance.kind in {None, kind}
    )
    return Finding(
        id=rule.id,
        severity=rule.severity,
        vm_id=vm_id,
        vm_name=vm_name,
        kind=kind,
        evidence=tuple(map(one_line, seen.evidence)),
        cause=rule.say(rule.cause, kind),
        remedy=rule.say(rule.remedy, kind),
        source=rule.source,
        fix=None if seen.act is None else seen.act.of(vm_id),
        acceptance=next(fitting, None),
    )
