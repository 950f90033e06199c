"""What ``hvintegration guest`` answers of a Linux guest, in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hvintegration import World
from hvintegration.simulator.world import Machine
from tests.support.command import Command, Run, run


@pytest.fixture
def on(world_file: Path) -> Command:
    """Runs the command on the Linux guest of a world."""

    def run_on(*arguments: str) -> Run:
        return run("guest", "--host", f"sim:{world_file}", "--option", "guest=web", *arguments)

    return run_on


@pytest.fixture
def change(world_file: Path) -> Callable[[Callable[[Machine], None]], None]:
    """Changes that guest."""

    def change_it(make: Callable[[Machine], None]) -> None:
        world = World.load(world_file)
        make(next(machine for machine in world.machines if machine.name == "web"))
        world.save(world_file)

    return change_it


def state_of(on: Command, service: str) -> dict[str, object]:
    found = json.loads(on("services", "--format", "json").out)["result"]
    (state,) = [state for state in found if state["kind"] == service]
    return dict(state)


def test_it_says_what_it_is(on: Command) -> None:
    info = json.loads(on("info", "--format", "json").out)["result"]

    assert (info["family"], info["caption"]) == ("linux", "Debian GNU/Linux 12 (bookworm)")


def test_it_lists_the_six_services_that_linux_has(on: Command) -> None:
    done = on("services", "--format", "csv")

    assert done.status == 0
    assert [line.split(",")[1] for line in done.out.splitlines()[1:]] == [
        '"hv_fcopy_daemon"',
        '"hv_utils"',
        '"hv_kvp_daemon"',
        '"hv_utils"',
        '"hv_utils"',
        '"hv_vss_daemon"',
    ]


@pytest.mark.parametrize("name", ["kvp", "hv_kvp_daemon", "hypervkvpd", "Key-Value Pair Exchange"])
def test_one_is_stopped_and_started_by_any_of_its_names(on: Command, name: str) -> None:
    assert on("stop", name).status == 0
    assert state_of(on, "kvp")["running"] is False
    assert on("start", name).status == 0
    assert state_of(on, "kvp")["running"] is True


def test_one_is_restarted(on: Command) -> None:
    before = state_of(on, "kvp")["pid"]

    assert on("restart", "kvp").status == 0

    after = state_of(on, "kvp")
    assert after["running"] is True
    assert after["pid"] != before


def test_its_startup_is_set_and_the_way_back_is_a_command(on: Command) -> None:
    assert on("startup", "kvp", "disabled").status == 0
    assert on("stop", "kvp").status == 0

    refused = on("start", "kvp")

    assert refused.status == 1
    assert "its unit is masked" in refused.err
    assert "'hvintegration guest startup SERVICE manual'" in refused.err
    assert "set_startup" not in refused.err
    assert on("startup", "kvp", "manual").status == 0
    assert on("start", "kvp").status == 0


@pytest.mark.parametrize(
    ("arguments", "says", "advice"),
    [
        (["stop", "heartbeat"], "part of the kernel's driver", "'hvintegration disable \"Heartbeat\" VM'"),
        (["start", "timesync"], "part of the kernel's driver", "'hvintegration enable \"Time Synchronization\" VM'"),
        (
            ["startup", "heartbeat", "disabled"],
            "part of the kernel's driver",
            "'hvintegration disable \"Heartbeat\" VM'",
        ),
        (["restart", "heartbeat"], "part of the kernel's driver", "'hvintegration disable \"Heartbeat\" VM'"),
        (["stop", "shutdown", "--yes"], "part of the kernel's driver", "'hvintegration disable \"Shutdown\" VM'"),
        (["start", "vmicrdv"], "in Windows guests only", ""),
        (["stop", "vmicvmsession"], "in Windows guests only", ""),
    ],
)
def test_what_has_no_switch_in_there_is_refused_with_a_command_to_type(
    on: Command, arguments: list[str], says: str, advice: str
) -> None:
    done = on(*arguments)

    assert (done.status, done.out) == (1, "")
    assert says in done.err
    assert advice in done.err
    assert "vm.services" not in done.err


def test_what_the_host_does_not_offer_is_enabled_by_a_command(on: Command) -> None:
    done = on("start", "gsi")

    assert done.status == 1
    assert "the host does not offer it" in done.err
    assert "'hvintegration enable \"Guest Service Interface\" VM'" in done.err


def test_without_rights_the_command_for_root_is_named(
    on: Command, change: Callable[[Callable[[Machine], None]], None]
) -> None:
    change(lambda machine: setattr(machine.linux, "rights", "none"))

    for arguments in (["stop", "kvp"], ["restart", "kvp"], ["startup", "kvp", "disabled"]):
        done = on(*arguments)

        assert done.status == 1
        assert "does not let this user" in done.err
        assert "As root, run: systemctl " in done.err
    assert state_of(on, "kvp")["running"] is True


def test_what_is_not_installed_comes_with_the_command_that_installs_it(
    on: Command, change: Callable[[Callable[[Machine], None]], None]
) -> None:
    def remove(machine: Machine) -> None:
        machine.linux.programs, machine.daemons = [], []

    change(remove)

    done = on("start", "kvp")

    assert done.status == 1
    assert "install hyperv-daemons" in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="is about Linux")
def test_inside_a_guest_it_is_asked_by_its_shell() -> None:
    """This machine is asked, and nothing in it is changed."""
    info = json.loads(run("guest", "--host", "local:", "info", "--format", "json").out)["result"]
    done = run("guest", "--host", "local:", "services", "--format", "csv")

    assert (info["address"], info["family"]) == ("local:", "linux")
    assert done.status == 0
    assert len(done.out.splitlines()) == 7


@pytest.mark.skipif(sys.platform != "linux", reason="is about Linux")
@pytest.mark.skipif(Path("/sys/bus/vmbus").exists(), reason="this machine is a guest of Hyper-V")
def test_a_machine_that_is_no_guest_has_neither_a_driver_nor_anything_offered() -> None:
    found = json.loads(run("guest", "--host", "local:", "services", "--format", "json").out)["result"]

    driver = [state for state in found if state["name"] == "hv_utils"]
    assert [(state["installed"], state["running"], state["health"]) for state in driver] == [
        (False, False, "disabled")
    ] * 3
    assert {state["offered"] for state in found} <= {None, False}


def test_the_password_that_sudo_asks_for_is_that_of_a_variable(
    on: Command, change: Callable[[Callable[[Machine], None]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(machine: Machine) -> None:
        machine.linux.rights, machine.linux.sudo_password = "sudo with a password", "correct horse"

    change(ask)
    assert on("stop", "kvp").status == 1
    monkeypatch.setenv("HVINTEGRATION_SUDO_PASSWORD", "correct horse")
    assert on("stop", "--sudo", "kvp").status == 0
    assert state_of(on, "kvp")["running"] is False
    monkeypatch.setenv("HVINTEGRATION_SUDO_PASSWORD", "wrong")
    refused = on("start", "--sudo", "kvp")
    assert refused.status == 1
    assert "does not take the password" in refused.err
    assert "--sudo" in refused.err
    monkeypatch.delenv("HVINTEGRATION_SUDO_PASSWORD")
    absent = on("start", "--sudo", "kvp")
    assert "Set the variable HVINTEGRATION_SUDO_PASSWORD" in absent.err


def test_install_says_what_root_ran_and_that_nothing_was_left_to_do(
    on: Command, change: Callable[[Callable[[Machine], None]], None]
) -> None:
    def without(machine: Machine) -> None:
        machine.linux.programs[:] = []
        machine.daemons[:] = []

    change(without)
    would = on("install", "kvp", "--dry-run")
    assert (would.status, "would_change" in would.out) == (0, True)
    assert "As root: env DEBIAN_FRONTEND=noninteractive apt-get" in would.out + would.err
    assert state_of(on, "kvp")["installed"] is False
    done = json.loads(on("install", "kvp", "--format", "json").out)["result"]
    assert (done["action"], done["outcome"], done["state"]["running"]) == ("install", "changed", True)
    again = on("install", "kvp")
    assert (again.status, "unchanged" in again.out, "As root" in again.out + again.err) == (0, True, False)
