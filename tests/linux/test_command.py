"""``hvintegration guest`` on real Linux guests of each kind."""

from __future__ import annotations

import json

import pytest

from tests.support.command import Run, run
from tests.support.linux_guest import LinuxGuest


def on(linux_guest: LinuxGuest, user: str, *arguments: str) -> Run:
    way = ["--option", f"key_files={linux_guest.key_file}", "--option", f"known_hosts={linux_guest.known_hosts}"]
    return run("guest", "--host", f"ssh://{user}@{linux_guest.address}", *way, *arguments)


def pids(linux_guest: LinuxGuest) -> list[str]:
    return linux_guest.shell("/bin/pidof hv_vss_daemon", check=False).split()


@pytest.mark.parametrize(("linux_guest", "user"), [("systemd", "admin"), ("none", "root")], indirect=["linux_guest"])
def test_one_is_looked_at_stopped_started_and_restarted(linux_guest: LinuxGuest, user: str) -> None:
    assert on(linux_guest, user, "start", "vss").status == 0

    info = on(linux_guest, user, "info", "--format", "json")
    assert json.loads(info.out)["result"]["family"] == "linux"
    assert len(on(linux_guest, user, "services", "--format", "csv").out.splitlines()) == 7
    before = pids(linux_guest)
    assert len(before) == 1
    stopped = on(linux_guest, user, "stop", "vss")
    assert (stopped.status, pids(linux_guest)) == (0, [])
    started = on(linux_guest, user, "start", "vss")
    assert started.status == 0
    again = pids(linux_guest)
    assert len(again) == 1
    assert again != before
    assert on(linux_guest, user, "restart", "vss").status == 0
    assert len(pids(linux_guest)) == 1
    assert pids(linux_guest) != again


@pytest.mark.parametrize("linux_guest", ["openrc"], indirect=True)
def test_who_may_not_is_told_what_root_has_to_type(linux_guest: LinuxGuest) -> None:
    assert on(linux_guest, "root", "start", "vss").status == 0
    before = pids(linux_guest)

    refused = on(linux_guest, "plain", "stop", "vss")

    assert refused.status == 1
    assert "does not let this user stop VSS" in refused.err
    assert "As root, run: " in refused.err
    assert pids(linux_guest) == before
