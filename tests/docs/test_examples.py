"""The scripts in examples/ do what they say, on a simulated host."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hvintegration as hv
from hvintegration.simulator import Fault, World

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    package = str(Path(hv.__file__).parents[1])
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        env=os.environ | {"PYTHONUTF8": "1", "PYTHONPATH": package},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def with_faults(path: Path, *faults: Fault) -> None:
    world = World.load(path)
    world.faults = list(faults)
    world.save(path)


def test_every_example_is_tested() -> None:
    text = Path(__file__).read_text("utf-8")

    assert all(f'"{path.name}"' in text for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize(
    "name", ["enable_guest_services.py", "export_inventory.py", "repair_guest.py", "report_problems.py"]
)
def test_without_arguments_it_says_how_to_use_it(name: str) -> None:
    done = run(name)

    assert done.returncode == 1
    assert f"python {name} ADDRESS" in done.stderr


class TestEnableGuestServices:
    def test_it_enables_and_says_that_it_works(self, world_file: Path) -> None:
        done = run("enable_guest_services.py", f"sim:{world_file}", "demovm")

        assert (
            done.stdout == "demovm: Gastdienstschnittstelle is enabled; its health is ok.\nCopy-VMFile can be used.\n"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert World.load(world_file).journal == ["enable demovm guest_service_interface"]

    def test_of_what_is_off_it_says_when_it_will_work(self, world_file: Path) -> None:
        done = run("enable_guest_services.py", f"sim:{world_file}", "spare")

        assert done.returncode == 3
        assert "spare is Off." in done.stdout

    def test_an_unknown_name_is_an_error_with_a_hint(self, world_file: Path) -> None:
        done = run("enable_guest_services.py", f"sim:{world_file}", "nosuch")

        assert done.returncode == 1
        assert "no virtual machine named 'nosuch'" in done.stderr


class TestReportProblems:
    def test_it_lists_problems_with_their_meaning(self, world_file: Path) -> None:
        done = run("report_problems.py", f"sim:{world_file}")

        assert done.stdout.splitlines()[1:] == [
            "  backup: VSS: The guest's service answered before and no longer does.",
            "  web: VSS: The guest's service is not installed, not running, or has not answered yet.",
        ]
        assert done.stdout.splitlines()[0].endswith("5 virtual machines, 2 problems")
        assert done.returncode == 3

    def test_a_healthy_host_is_status_0_and_one_that_cannot_be_asked_is_1(self, tmp_path: Path) -> None:
        World().save(tmp_path / "empty.json")
        World(access="denied").save(tmp_path / "denied.json")

        assert run("report_problems.py", f"sim:{tmp_path / 'empty.json'}").returncode == 0
        both = run("report_problems.py", f"sim:{tmp_path / 'empty.json'}", f"sim:{tmp_path / 'denied.json'}")
        assert both.returncode == 1
        assert "0 virtual machines, 0 problems" in both.stdout
        assert "could not be asked" in both.stdout

    def test_what_could_not_be_read_is_said(self, world_file: Path) -> None:
        with_faults(world_file, Fault(cmdlet="Get-VMIntegrationService", machine="demovm"))

        assert (
            "  demovm: could not be read: The operation failed."
            in run("report_problems.py", f"sim:{world_file}").stdout
        )


class TestNightlyCompliance:
    @pytest.fixture
    def policy(self, tmp_path: Path) -> Path:
        path = tmp_path / "policy.json"
        wanted = {"services": {"VSS": True, "time_sync": True}, "exceptions": {"legacy": {"time_sync": False}}}
        path.write_text(json.dumps(wanted), "utf-8")
        return path

    def test_a_deviation_is_reported_and_not_touched(self, world_file: Path, policy: Path) -> None:
        done = run("nightly_compliance.py", f"sim:{world_file}", policy)

        assert done.returncode == 3
        assert "legacy  Time Synchronization  disabled  would_change" in done.stdout
        assert done.stdout.endswith("10 settings of 5 virtual machines checked, 1 deviate.\n")
        assert World.load(world_file).journal == []

    def test_repaired_once_it_complies(self, world_file: Path, policy: Path) -> None:
        repaired = run("nightly_compliance.py", f"sim:{world_file}", policy, "--repair")
        again = run("nightly_compliance.py", f"sim:{world_file}", policy)

        assert (repaired.returncode, again.returncode) == (0, 0)
        assert again.stdout == "10 settings of 5 virtual machines checked, 0 deviate.\n"
        assert World.load(world_file).journal == ["disable legacy time_sync"]

    def test_what_cannot_be_repaired_deviates(self, world_file: Path, policy: Path) -> None:
        with_faults(world_file, Fault(cmdlet="Disable-VMIntegrationService"))

        done = run("nightly_compliance.py", f"sim:{world_file}", policy, "--repair")

        assert done.returncode == 3
        assert "The operation failed." in done.stdout


class TestExportInventory:
    def test_it_writes_everything(self, world_file: Path, tmp_path: Path) -> None:
        done = run("export_inventory.py", f"sim:{world_file}", tmp_path / "out")

        assert (done.returncode, done.stdout) == (0, "5 virtual machines, 30 services, 0 errors\n")
        document = json.loads((tmp_path / "out" / "inventory.json").read_text("utf-8"))
        assert document["host"]["language"] == "de-DE"
        assert document["inventory"]["vms"][0]["info"]["name"] == "demovm"
        with (tmp_path / "out" / "services.csv").open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 30
        assert rows[1]["Name on the host"] == "Takt"

    def test_what_could_not_be_read_is_in_it(self, world_file: Path, tmp_path: Path) -> None:
        with_faults(world_file, Fault(cmdlet="Get-VMIntegrationService", machine="web"))

        assert run("export_inventory.py", f"sim:{world_file}", tmp_path).returncode == 3
        document = json.loads((tmp_path / "inventory.json").read_text("utf-8"))
        assert [error["vm_name"] for error in document["inventory"]["errors"]] == ["web"]


class TestRepairGuest:
    @pytest.fixture(autouse=True)
    def password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HVINTEGRATION_GUEST_PASSWORD", "Guest-Passw0rd")

    def test_it_starts_what_should_run_and_only_once(self, world_file: Path) -> None:
        repaired = run("repair_guest.py", f"sim:{world_file}", "backup", "Administrator")
        again = run("repair_guest.py", f"sim:{world_file}", "backup", "Administrator")

        assert repaired.stdout == "backup: 5 services offered, 1 do not run\n  VSS: changed\n"
        assert (repaired.returncode, repaired.stderr) == (0, "")
        assert (again.returncode, again.stdout) == (0, "backup: 5 services offered, 0 do not run\n")
        assert World.load(world_file).journal == ["guest-start backup vmicvss"]

    def test_one_that_is_disabled_is_allowed_again_first(self, world_file: Path) -> None:
        world = World.load(world_file)
        service = world.machine("backup").guest_service(hv.ServiceKind.VSS)
        assert service is not None
        service.start_type = "Disabled"
        world.save(world_file)

        done = run("repair_guest.py", f"sim:{world_file}", "backup", "Administrator")

        assert done.returncode == 0
        assert "  VSS: it was disabled, and may be started again\n  VSS: changed\n" in done.stdout

    def test_one_that_is_not_installed_is_said_to_be_missing(self, world_file: Path) -> None:
        world = World.load(world_file)
        machine = world.machine("backup")
        assert machine.guest_services is not None
        machine.guest_services = [service for service in machine.guest_services if service.name != "vmicvss"]
        world.save(world_file)

        done = run("repair_guest.py", f"sim:{world_file}", "backup", "Administrator")

        assert done.returncode == 3
        assert "  vmicvss: it is not installed\n" in done.stdout

    @pytest.mark.parametrize(
        ("name", "says"), [("spare", "Start the virtual machine first."), ("web", "A Linux guest is reached over SSH.")]
    )
    def test_a_guest_that_cannot_be_reached_is_an_error_with_a_hint(
        self, world_file: Path, name: str, says: str
    ) -> None:
        done = run("repair_guest.py", f"sim:{world_file}", name, "Administrator")

        assert (done.returncode, done.stdout) == (1, "")
        assert says in done.stderr
