"""Each rule applies in its world and not in one that differs in a single fact; and what a diagnosis is beyond that."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest

from hvintegration import (
    RULES,
    Acceptance,
    ChangeOutcome,
    Diagnosis,
    Finding,
    Guest,
    Host,
    Rule,
    ServiceKind,
    Severity,
    Simulator,
    VirtualClock,
    diagnose,
)
from hvintegration.errors import ConfigurationError
from hvintegration.testing import machine_id
from tests.support.ailments import (
    AILMENTS,
    BOTH,
    GUEST,
    HOST,
    VM,
    Ailment,
    both,
    diagnosed,
    linux,
    no_daemon,
    on,
    system,
    without_service,
    world_of,
)

LAST = datetime.max.replace(tzinfo=UTC)
BY_RULE = pytest.mark.parametrize("ailment", AILMENTS, ids=lambda ailment: ailment.rule)


def found(diagnosis: Diagnosis) -> set[str]:
    return {finding.id for finding in diagnosis.findings}


def ailment_of(rule: str) -> Ailment:
    return next(ailment for ailment in AILMENTS if ailment.rule == rule)


def test_each_rule_has_a_pair_of_worlds_and_a_name_of_its_own() -> None:
    assert sorted(ailment.rule for ailment in AILMENTS) == sorted(rule.id for rule in RULES)
    assert len({rule.id for rule in RULES}) == len(RULES)


@BY_RULE
def test_a_rule_applies_where_one_fact_is_so_and_not_where_it_is_not(ailment: Ailment) -> None:
    assert ailment.rule in found(diagnosed(ailment, ill=True))
    assert ailment.rule not in found(diagnosed(ailment, ill=False))


@BY_RULE
def test_a_finding_says_what_it_saw_and_what_to_do(ailment: Ailment) -> None:
    diagnosis = diagnosed(ailment, ill=True)
    for finding in diagnosis.findings:
        for sentence in (*finding.evidence, finding.cause, finding.remedy):
            assert sentence
            assert sentence[0].isupper()
            assert sentence.endswith(".")
            assert "{" not in sentence
        assert finding.source
        assert finding.vm_id == diagnosis.vm_id
    assert [f.severity for f in diagnosis.findings] == sorted(
        (f.severity for f in diagnosis.findings), key=list(Severity).index
    )


@BY_RULE
def test_facts_that_went_through_json_are_judged_equal(ailment: Ailment) -> None:
    diagnosis = diagnosed(ailment, ill=True)
    again = Diagnosis.from_dict(json.loads(json.dumps(diagnosis.to_dict())))
    assert again == diagnosis
    if ailment.switched is None:
        plain = diagnose(diagnosis.host, diagnosis.guest)
        assert diagnose(again.host, again.guest) == plain


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_what_a_rule_says_can_be_shown_without_a_service(rule: Rule) -> None:
    for kind in rule.kinds:
        assert rule.say(rule.cause, kind)
        assert rule.say(rule.remedy, kind)


# -- one cause -------------------------------------------------------------------------------------------------------


def errors(diagnosis: Diagnosis) -> list[tuple[str, ServiceKind | None]]:
    """What is worse than good to know."""
    return [(finding.id, finding.kind) for finding in diagnosis.findings if finding.severity is not Severity.NOTE]


@pytest.mark.parametrize("rule", ["driver-missing", "guest-does-not-answer", "guest-not-on-hyperv"])
def test_what_has_one_cause_is_one_finding(rule: str) -> None:
    ailment = attrs.evolve(ailment_of(rule), ends=HOST if rule == "guest-does-not-answer" else BOTH)
    assert errors(diagnosed(ailment, ill=True)) == [(rule, None)]


@pytest.mark.parametrize("rule", ["shutdown-off", "data-exchange-off", "time-sync-off", "heartbeat-off", "backup-off"])
def test_a_switch_that_is_off_is_one_finding_whatever_runs_inside(rule: str) -> None:
    (finding,) = (
        one
        for one in diagnosed(attrs.evolve(ailment_of(rule), ends=BOTH), ill=True).findings
        if one.severity is not Severity.NOTE
    )
    assert finding.id == rule
    assert any(sentence.endswith("is running.") for sentence in finding.evidence)


def test_a_service_that_does_not_run_is_one_finding_and_offers_nothing_against_it() -> None:
    whole = diagnosed(ailment_of("guest-service-not-running"), ill=True)
    (finding,) = (finding for finding in whole.findings if finding.kind is ServiceKind.VSS)
    assert finding.fix is not None
    assert finding.fix.action == "start"


@pytest.mark.parametrize(("version", "rule"), [("6.1.7601", "not-packaged"), ("6.3.9600", "not-installed")])
def test_what_an_old_windows_cannot_have_is_not_to_be_installed(version: str, rule: str) -> None:
    copying = ServiceKind.GUEST_SERVICE_INTERFACE
    ailment = Ailment("", both(system(version=version), without_service(copying), on(copying)))
    assert [name.endswith(rule) for name, kind in errors(diagnosed(ailment, ill=True)) if kind is copying] == [True]


def test_what_is_perhaps_not_installed_is_not_offered_to_be_started() -> None:
    unknown = linux(os_release="ID=unheard-of", programs=[])
    ailment = Ailment("", unknown, no_daemon("hv_kvp_daemon", "hv_vss_daemon"), "linux")
    found = [one for one in diagnosed(ailment, ill=True).findings if one.id == "guest-service-not-running"]
    assert [one.fix for one in found] == [None, None]


@pytest.mark.parametrize("init", ["", "openrc", "sysvinit", "systemd"])
def test_a_healthy_linux_guest_is_healthy(init: str) -> None:
    diagnosis = diagnosed(Ailment("", linux(init=init), guest="linux"), ill=True)
    assert errors(diagnosis) == []
    assert diagnosis.missing == ()


def test_what_is_missing_is_said_once_for_all_daemons() -> None:
    hidden = diagnosed(Ailment("", linux(hidepid=True, rights="none"), guest="linux"), ill=True)
    assert hidden.missing == (
        "What sets the clock of the guest: it gave no value.",
        "Whether daemons were started by hand: the guest gave no value.",
    )


@pytest.mark.parametrize("rule", ["guest-service-disabled", "guest-service-crashed", "daemon-by-hand"])
def test_what_this_user_may_not_do_is_not_offered(rule: str) -> None:
    ailment = ailment_of(rule)
    if ailment.guest == "windows":
        ailment = Ailment(rule, linux(startup={"hv-vss-daemon.service": "masked"}), no_daemon("hv_vss_daemon"), "linux")
    may_not = attrs.evolve(ailment, before=both(ailment.before, linux(rights="none")))
    for one, offered in ((ailment, True), (may_not, False)):
        (finding,) = (finding for finding in diagnosed(one, ill=True).findings if finding.id == rule)
        assert (finding.fix is not None) == offered


@BY_RULE
def test_what_is_offered_helps_and_can_be_undone(ailment: Ailment) -> None:
    world = world_of(ailment, ill=True)
    clock = VirtualClock()
    vm = Host(Simulator(world, clock=clock)).vm(machine_id(1))
    guest = Guest(Simulator(world, guest=VM, clock=clock))

    def find(*changes: Any) -> list[Finding]:  # noqa: ANN401 - of either end
        if ailment.ends == GUEST:
            found = guest.diagnose(changes=changes).findings
        else:
            found = vm.diagnose(guest if ailment.ends == BOTH else None, changes=changes).findings
        return [finding for finding in found if finding.id == ailment.rule]

    offered = [finding.fix for finding in find() if finding.fix is not None]
    for fix in offered:
        made = vm.apply(fix, guest=guest)
        assert made.outcome is ChangeOutcome.CHANGED
        assert fix.kind not in {finding.kind for finding in find(made)}
        if fix.undo is not None:
            undone = vm.apply(attrs.evolve(fix, action=fix.undo), guest=guest, confirm=True)
            assert undone.outcome is ChangeOutcome.CHANGED


# -- one end ---------------------------------------------------------------------------------------------------------


def test_with_one_end_the_other_is_missing_and_nothing_is_said_of_it() -> None:
    whole = diagnosed(ailment_of("guest-service-not-running"), ill=True)
    host, guest = diagnose(whole.host), diagnose(None, whole.guest)
    assert found(host) == {"lost-communication", "backup-silent", "disabled-yet-ok", "file-copy-off"} & found(host)
    assert "What the guest says: it was not asked." in host.missing
    assert "What the host says: it was not asked." in guest.missing
    assert len(host.missing) == len(set(host.missing))
    assert (host.vm_id, guest.vm_id) == (whole.vm_id, whole.vm_id)
    assert whole.missing == tuple(dict.fromkeys(whole.missing))


def test_without_any_end_there_is_nothing_to_judge() -> None:
    with pytest.raises(ConfigurationError, match="nothing to judge"):
        diagnose()


def test_of_another_machine_nothing_else_is_judged() -> None:
    diagnosis = diagnosed(ailment_of("guest-is-another-machine"), ill=True)
    assert found(diagnosis) == {"guest-is-another-machine"}
    assert diagnosis.missing == ()


def test_what_the_guest_explains_is_not_said_twice() -> None:
    diagnosis = diagnosed(ailment_of("guest-service-not-running"), ill=True)
    assert diagnosis.host is not None
    assert any(state.primary == "LostCommunication" for state in diagnosis.host.services)
    assert not found(diagnosis) & {"lost-communication", "backup-silent"}


def test_a_change_at_the_end_of_time_is_not_a_short_while_ago() -> None:
    ailment = ailment_of("no-contact-after-a-change")
    host = Host(Simulator(world_of(ailment, ill=True), clock=VirtualClock()))
    (change,) = host.set_services([(VM, ServiceKind.VSS, False)])
    assert change.state is not None
    late = attrs.evolve(change, enable=True, kind=ServiceKind.KVP, state=attrs.evolve(change.state, read_at=LAST))
    judged = diagnose(host.inventory().vms[0], changes=[late])
    assert "no-contact-after-a-change" not in found(judged)


# -- accepting -------------------------------------------------------------------------------------------------------


def acceptance(diagnosis: Diagnosis, kind: ServiceKind | None, until: date) -> Acceptance:
    assert diagnosis.vm_id is not None
    return Acceptance(finding="backup-off", vm_id=diagnosis.vm_id, kind=kind, reason="It is a toy.", until=until)


@pytest.mark.parametrize(
    ("kind", "day", "holds"),
    [(None, 9, True), (ServiceKind.VSS, 10, True), (ServiceKind.KVP, 9, False), (None, 11, False)],
)
def test_a_finding_is_accepted_until_a_day(kind: ServiceKind | None, day: int, *, holds: bool) -> None:
    diagnosis = diagnosed(ailment_of("backup-off"), ill=True)
    accepted = acceptance(diagnosis, kind, date(2026, 5, 10))
    at = datetime(2026, 5, day, 23, 59, tzinfo=UTC)
    judged = diagnose(diagnosis.host, accepted=[accepted], at=at)
    (finding,) = (finding for finding in judged.findings if finding.id == "backup-off")
    assert finding.acceptance == (accepted if holds else None)
    assert judged.table_row()[2] == (0 if holds else 1)
