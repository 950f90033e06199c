"""What breaks in a real Linux guest is found there, and mended by what the findings offer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hvintegration import Finding, Guest, ServiceKind, Severity
from tests.support.linux_guest import SYSTEMCTL_CRASH, SYSTEMCTL_START, LinuxGuest

SYSTEMD = pytest.mark.parametrize("linux_guest", ["systemd"], indirect=True)
UNIT = "hv-vss-daemon.service"


@pytest.fixture
def guest(linux_guest: LinuxGuest) -> Iterator[Guest]:
    with Guest(linux_guest.ssh()) as guest:
        yield guest
    linux_guest.shell(f"systemctl unmask {UNIT}; pkill -x hv_vss_daemon; {SYSTEMCTL_START.format(UNIT)}", check=False)


def about_vss(guest: Guest) -> list[Finding]:
    """What is found about VSS."""
    found = guest.diagnose().findings
    return [finding for finding in found if finding.kind is ServiceKind.VSS and finding.severity is not Severity.NOTE]


BROKEN = {
    "guest-service-crashed": SYSTEMCTL_CRASH.format(UNIT),
    "guest-service-disabled": f"systemctl mask --now {UNIT}",
    "daemon-by-hand": f"systemctl stop {UNIT}; hv_vss_daemon; until pidof hv_vss_daemon; do sleep 0.1; done",
}


@SYSTEMD
@pytest.mark.parametrize("rule", BROKEN)
def test_what_is_broken_is_found_and_mended(linux_guest: LinuxGuest, guest: Guest, rule: str) -> None:
    assert about_vss(guest) == []
    linux_guest.shell(BROKEN[rule])
    (finding,) = about_vss(guest)
    assert finding.id == rule

    mended: list[str] = []
    while found := about_vss(guest):
        fix = found[0].fix
        assert fix is not None
        assert found[0].id not in mended
        mended.append(found[0].id)
        guest.apply(fix)

    assert mended[0] == rule
    assert linux_guest.shell(f"systemctl is-active {UNIT}").strip() == "active"
