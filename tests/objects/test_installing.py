"""Installing the daemon of a service in a Linux guest: in the simulator, and step by step."""

from __future__ import annotations

from typing import Any

import pytest

import hvintegration as hv
from hvintegration.errors import (
    CommandFailedError,
    PermissionDeniedError,
    UnknownServiceError,
    UnsupportedError,
)
from hvintegration.guest import Guest
from hvintegration.models import ChangeOutcome
from hvintegration.simulator import Fault, LinuxSystem, World, demo_world

DEBIAN_13 = 'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'


def demo(**facts: Any) -> World:  # noqa: ANN401 - LinuxSystem checks them
    """A world whose Linux guest, ``web``, has no daemons."""
    world = demo_world()
    world.machine("web").linux = LinuxSystem(programs=[], **facts)
    world.machine("web").daemons = []
    return world


def guest_of(world: World, name: str = "web", **options: Any) -> Guest:  # noqa: ANN401 - Guest checks them
    return Guest(hv.Simulator(world, guest=name, clock=hv.VirtualClock()), **options)


@pytest.mark.parametrize("init", ["systemd", "openrc", "sysvinit", ""])
def test_it_is_installed_and_runs_and_asking_again_changes_nothing(init: str) -> None:
    world = demo(init=init)
    guest = guest_of(world)
    made = guest.install("kvp")
    assert (made.action, made.outcome, made.before, made.error) == ("install", "changed", "not installed", None)
    assert made.state is not None
    assert (made.state.installed, made.state.running) == (True, True)
    assert (made.command or "").endswith("install hyperv-daemons")
    journal = [*world.journal]
    again = guest.install("hv_kvp_daemon")
    assert (again.outcome, again.command, world.journal) == (ChangeOutcome.UNCHANGED, None, journal)


def test_a_dry_run_tells_the_command_and_runs_nothing() -> None:
    world = demo()
    would = guest_of(world).install("kvp", dry_run=True)
    assert would.outcome is ChangeOutcome.WOULD_CHANGE
    assert (would.command or "").startswith("env DEBIAN_FRONTEND=noninteractive apt-get --yes")
    assert world.journal == []


def test_a_package_manager_that_fails_says_its_last_words() -> None:
    world = demo()
    world.faults = [Fault(cmdlet="apt-get", message="E: Unable to locate package hyperv-daemons")]
    with pytest.raises(CommandFailedError, match=r"status 100.*Unable to locate package") as failed:
        guest_of(world).install("kvp")
    assert "/run/hvintegration/log" in (failed.value.hint or "")
    assert guest_of(world).services["kvp"].state().installed is False


def test_one_that_ends_well_with_nothing_running_is_followed_by_a_start() -> None:
    world = demo()
    world.faults = [Fault(cmdlet="udevadm")]
    made = guest_of(world).install("kvp")
    assert made.state is not None
    assert made.state.running
    assert world.journal == ["guest-install web hyperv-daemons", "guest-start web hv_kvp_daemon"]


def test_what_is_there_already_and_does_not_run_is_started() -> None:
    world = demo_world()
    world.machine("web").daemons.remove("hv_kvp_daemon")
    guest = guest_of(world)
    would = guest.install("kvp", dry_run=True)
    assert (would.outcome, would.before, world.journal) == (ChangeOutcome.WOULD_CHANGE, "installed", [])
    made = guest.install("kvp")
    assert (made.outcome, made.before, made.command) == (ChangeOutcome.CHANGED, "installed", None)
    assert world.journal == ["guest-start web hv_kvp_daemon"]
    world.machine("web").linux.failing["hv_vss_daemon"] = "no such device"
    with pytest.raises(hv.errors.InvalidStateError, match="no such device") as failed:
        guest.install("vss")
    assert failed.value.__notes__ == ["VSS was installed before."]


def test_what_is_installed_and_does_not_start_is_told_as_that() -> None:
    world = demo(failing={"hv_kvp_daemon": "open /dev/vmbus/hv_kvp failed"})
    with pytest.raises(hv.errors.InvalidStateError, match="hv_kvp failed") as failed:
        guest_of(world).install("kvp")
    assert "Key-Value Pair Exchange was installed." in failed.value.__notes__


def test_what_the_host_does_not_offer_is_installed_and_does_not_run() -> None:
    made = guest_of(demo()).install("Guest Service Interface")
    assert made.state is not None
    assert (made.outcome, made.state.installed, made.state.running) == (ChangeOutcome.CHANGED, True, False)


@pytest.mark.parametrize(
    ("os_release", "service", "says"),
    [
        (DEBIAN_13, "Guest Service Interface", "has no package of it"),
        ("ID=nixos\n", "kvp", r"virtualisation\.hypervGuest\.enable"),
        ("ID=amzn\nVERSION_ID=2023\n", "kvp", "is not known"),
        ("ID=unheard\nPRETTY_NAME=Unheard\n", "kvp", "which package of Unheard has it is not known"),
        ("", "kvp", "which package of this distribution has it is not known"),
    ],
)
def test_where_no_package_is_known_nothing_is_run(os_release: str, service: str, says: str) -> None:
    world = demo(os_release=os_release)
    with pytest.raises(UnsupportedError, match=says):
        guest_of(world).install(service)
    assert world.journal == []


@pytest.mark.parametrize("service", ["heartbeat", "timesync", "PowerShell Direct"])
def test_what_no_daemon_serves_is_not_installed(service: str) -> None:
    with pytest.raises(UnsupportedError):
        guest_of(demo()).install(service)


def test_windows_and_unknown_services_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="Windows and its updates"):
        guest_of(demo_world(), "backup").install("vss")
    with pytest.raises(UnknownServiceError):
        guest_of(demo()).install("unheard")


def test_who_may_not_is_told_the_command_and_may_with_a_password() -> None:
    world = demo(rights="sudo with a password", sudo_password="correct horse")
    with pytest.raises(PermissionDeniedError) as refused:
        guest_of(world).install("kvp")
    assert "As root, run: env DEBIAN_FRONTEND" in (refused.value.hint or "")
    assert world.journal == []
    assert guest_of(world, sudo_password="correct horse").install("kvp").outcome is ChangeOutcome.CHANGED
