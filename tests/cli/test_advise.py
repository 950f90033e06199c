"""The command ``advise``."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvintegration.scripts.offline_update import OFFLINE_UPDATE, offline_update_script
from hvintegration.simulator import Fault, demo_world
from tests.support.command import run


def cells(out: str) -> dict[str, str]:
    return {line.split()[0]: line for line in out.splitlines() if line[:1].strip()}


def test_systems_that_are_named_are_looked_up_without_a_host() -> None:
    done = run("advise", "--host", "local:/nosuch/pwsh", "--host-os", "Windows 10", "--guest-os", "Windows 8")

    assert (done.status, done.err) == (0, "")
    assert cells(done.out)["mechanism"].split() == ["mechanism", "windows_update"]
    assert "KB3071740" in cells(done.out)["fallback"]


def test_json_and_csv_and_the_other_generation() -> None:
    named = ("advise", "--host-os", "6.3", "--guest-os", "Windows 8.1")
    now = run(*named, "--format", "json").json["result"]
    before = run(*named, "--generation", "2015", "--format", "json").json["result"]

    assert (now["mechanism"], before["mechanism"]) == ("integration_services_disk", "windows_update")
    assert (now["generation"], before["generation"]) == ("current", "2015")
    assert now["differs"] == "The documentation of 2015 said: Windows Update."
    rows = {row["Attribute"]: row["Value"] for row in run(*named, "--format", "csv").csv}
    assert rows["host_os"] == "Windows 8.1 or Windows Server 2012 R2"


def test_what_to_do_is_said_for_the_command() -> None:
    done = run("advise", "--host-os", "Windows Server 2012", "--guest-os", "Windows 7")
    assert "hvintegration advise --offline-script is a script for that" in done.out
    unknown = run("advise", "--host-os", "Windows Server 2022", "--guest-os", "17763")
    assert unknown.status == 0
    assert "Say with --guest-os NAME whether it is Windows 10" in unknown.out


def test_of_a_machine_the_host_is_asked() -> None:
    done = run("--host", "sim:", "advise", "web", "--guest-os", "Debian 12", "--format", "json")
    assert (done.status, done.json["result"]["host_os"]) == (0, ["Windows Server 2022"])
    assert done.json["result"]["packages"] == [{"name": "hyperv-daemons", "installed": None, "available": None}]
    unnamed = run("--host", "sim:", "advise", "web")
    assert (
        "Pass the guest with --guest ADDRESS or --guest-user USER, or name its system with --guest-os NAME."
        in unnamed.out
    )


@pytest.mark.parametrize("who", [(), ("--user", "CORP\\admin")])
def test_of_a_machine_the_guest_is_asked(who: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HVINTEGRATION_GUEST_PASSWORD", "Guest-Passw0rd")
    monkeypatch.setenv("HVINTEGRATION_PASSWORD", "x")
    done = run("--host", "sim:", "advise", "backup", "--guest-user", "Administrator", "--format", "json", *who)
    if who:  # The simulator takes no user; what is refused is that, not the two users.
        assert (done.status, "credential" in done.err) == (2, True)
    else:
        assert (done.status, done.json["result"]["mechanism"]) == (0, "built_in")


def test_a_linux_guest_is_asked_by_an_address_of_its_own(tmp_path: Path) -> None:
    world = demo_world()
    world.machine("web").linux.programs, world.machine("web").daemons = [], []
    world.save(tmp_path / "world.json")
    address = f"sim:{tmp_path}/world.json"

    advice = ("--host", address, "advise", "web", "--guest", address, "--guest-option", "guest=web")
    shown = run(*advice, "--format", "json").json["result"]
    assert shown["packages"] == [{"name": "hyperv-daemons", "installed": "6.1.176-1", "available": "6.1.176-1"}]
    assert "Or have what is missing installed: hvintegration guest --host ADDRESS install kvp." in run(*advice).out
    assert run("guest", "--host", address, "--option", "guest=web", "install", "kvp").status == 0
    assert "have what is missing" not in run(*advice).out


def test_a_host_that_fails_is_an_error(tmp_path: Path) -> None:
    world = demo_world()
    world.faults = [Fault(cmdlet="Get-VM", machine="web")]
    world.save(tmp_path / "world.json")
    done = run("--host", f"sim:{tmp_path}/world.json", "advise", "web", "--guest-os", "Debian 12")
    assert (done.status, done.out) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "not said which host and which guest"),
        (("--host-os", "Windows 10"), "not said which host and which guest"),
        (("--guest-os", "Windows 10"), "not said which host and which guest"),
        (("--host-os", "Windows 10", "--guest-os", "Windows 8", "--guest-user", "u"), "not said which host"),
        (("--host-os", "Windows 10", "--guest-os", "Windows 8", "--guest", "sim:"), "not said which host"),
        (("--host-os", "", "--guest-os", "Windows 8"), "host_os is no name of a system"),
        (("web", "--host-os", "Windows 10"), "Leave --host-os out"),
        (("web", "--guest-os", "Windows 10", "--guest-user", "u"), "Both --guest-os and a way into the guest"),
        (("web", "--guest-os", "Windows 10", "--guest", "sim:"), "Both --guest-os and a way into the guest"),
        (("web", "another"), "unrecognized arguments: another"),
        (("--generation", "2016"), "invalid choice"),
    ],
)
def test_misuse_has_an_exit_status_of_its_own(arguments: tuple[str, ...], said: str) -> None:
    done = run("--host", "sim:", "advise", *arguments)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


def test_the_script_is_shown_as_it_is() -> None:
    done = run("advise", "--offline-script")
    assert (done.status, done.out, done.err) == (0, offline_update_script(), "")
    data = run("advise", "--offline-script", "--format", "json").json["result"]
    assert data == {"file": OFFLINE_UPDATE, "script": offline_update_script()}


@pytest.mark.parametrize(
    "arguments",
    [
        ("advise", "--host-os", "Windows 10", "--guest-os", "Windows 8"),
        ("advise", "--host-os", "Windows 10", "--guest-os", "Windows 8", "--format", "json"),
        ("advise", "--host-os", "Windows 10", "--guest-os", "Windows 8", "--format", "csv"),
        ("--host", "sim:", "advise", "web", "--format", "json"),
        ("advise", "--offline-script"),
        ("advise", "--offline-script", "--format", "json"),
    ],
)
def test_a_file_gets_what_would_be_shown(arguments: tuple[str, ...], tmp_path: Path) -> None:
    shown = run(*arguments).out
    done = run(*arguments, "--output", str(tmp_path / "advice"))
    assert (done.status, done.out, done.err) == (0, "", "")
    assert (tmp_path / "advice").read_text("utf-8").splitlines() == shown.splitlines()


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    done = run("--host", "sim:", "advise", "web", "--output", str(tmp_path))
    assert (done.status, done.out) == (2, "")
    assert f"{tmp_path} cannot be written" in done.err
