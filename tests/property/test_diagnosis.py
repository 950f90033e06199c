"""Whatever facts there are, rules judge them and raise nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hvintegration import HostInfo, Severity, VMInventory, diagnose
from hvintegration.guest_models import GuestInventory
from tests.support.any_values import any_value


@given(any_value(VMInventory) | st.none(), any_value(GuestInventory), any_value(HostInfo) | st.none())
def test_rules_never_raise_and_show_nothing_that_is_no_text(
    host: VMInventory | None, guest: GuestInventory, host_info: HostInfo | None
) -> None:
    diagnosis = diagnose(host, guest, host_info=host_info)
    assert all(finding.severity in Severity for finding in diagnosis.findings)
    assert all(sentence.isprintable() for finding in diagnosis.findings for sentence in finding.evidence)
    assert len(set(diagnosis.missing)) == len(diagnosis.missing)
    assert str(diagnosis)
