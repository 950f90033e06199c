"""What ``hvintegration diagnose`` and ``hvintegration audit`` answer, in this process."""

from __future__ import annotations

import errno
import io
import json
import os
import xml.etree.ElementTree as ET  # of our own documents
from pathlib import Path
from typing import Any

import pytest

from hvintegration import Audit, World
from hvintegration.display import clean
from hvintegration.simulator import Fault, Machine
from hvintegration.testing import HOSTILE_NAMES, machine_id
from tests.support.command import Command, Run, Terminal, run

FORMATS = ("text", "markdown", "junit", "html", "table", "json", "csv")
BACKUP = "3f1b1a52-0000-4000-8000-000000000002"
INSIDE = ("--guest-user", "Administrator")


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HVINTEGRATION_GUEST_PASSWORD", "Guest-Passw0rd")
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.fixture
def on(world: World, world_file: Path) -> Command:
    """Runs the command on *world* as it is then."""

    def run_on(*arguments: str) -> Run:
        world.save(world_file)
        return run("--host", f"sim:{world_file}", *arguments)

    return run_on


def silence(world: World, *others: str) -> None:
    """Leave nothing in *world* that is wrong but VSS of ``backup``, and what is wrong with *others*."""
    world.machines[:] = [machine for machine in world.machines if machine.name in {"backup", "demovm", *others}]


# -- what is found -------------------------------------------------------------------------------------------------


def test_a_host_alone_can_be_asked(on: Command) -> None:
    shown = on("diagnose", "backup")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith("Diagnosis of backup, ")
    assert "WARNING  backup  VSS  backup-silent" in shown.out
    assert "What the guest says: it was not asked." in shown.out


def test_a_guest_is_asked_through_its_host(on: Command) -> None:
    shown = on("diagnose", "backup", *INSIDE)
    assert shown.status == 6
    assert "ERROR  backup  VSS  guest-service-not-running" in shown.out


@pytest.mark.parametrize("name", ["WEB", "3f1b1a52-0000-4000-8000-000000000003"])
def test_a_machine_whose_guest_has_an_address_is_named_as_everywhere(name: str, on: Command, world_file: Path) -> None:
    shown = on("audit", "--guest", f"{name}=sim:{world_file}", "--guest-option", "guest=web")
    assert "In the guest, hv_vss_daemon is not running" in shown.out


def test_a_guest_of_no_machine_is_an_error(on: Command, world_file: Path) -> None:
    done = on("audit", "--guest", f"wbe=sim:{world_file}", "--guest-option", "guest=web")
    assert (done.status, done.out) == (1, "")
    assert "no virtual machine named 'wbe'" in done.err


def test_sudo_in_the_guest_gets_its_password(
    on: Command, world: World, world_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linux = world.machine("web").linux
    linux.rights, linux.sudo_password = "sudo with a password", "correct horse"
    monkeypatch.setenv("HVINTEGRATION_SUDO_PASSWORD", "correct horse")
    guest = ("--guest", f"sim:{world_file}", "--guest-option", "guest=web")
    whole = (*guest[2:], "--guest", f"web=sim:{world_file}")

    assert "rights-missing-in-guest" in on("diagnose", "web", *guest).out
    assert "rights-missing-in-guest" not in on("diagnose", "web", *guest, "--sudo").out
    assert "rights-missing-in-guest" in on("audit", *whole).out
    assert "rights-missing-in-guest" not in on("audit", *whole, "--sudo").out
    assert on("apply", "web", "guest-service-not-running", *guest).status != 0
    assert on("apply", "web", "guest-service-not-running", *guest, "--sudo").status == 0


def test_a_guest_is_asked_by_an_address_of_its_own(on: Command, world_file: Path) -> None:
    guest = ("--guest", f"sim:{world_file}", "--guest-option", "guest=web")
    shown = on("diagnose", "web", *guest)
    assert "In the guest, hv_vss_daemon is not running" in shown.out
    assert on("audit", "--guest", f"web=sim:{world_file}", *guest[2:]).out.count("In the guest, hv_") == 1


def test_a_guest_alone_can_be_asked(on: Command) -> None:
    shown = on("guest", "diagnose", "--option", "guest=web")
    assert shown.status == 6
    assert shown.out.startswith("Diagnosis of web, ")
    assert "ERROR  web  VSS  guest-service-not-running" in shown.out
    assert on("guest", "diagnose", "--vm", "demovm", *INSIDE, "--format", "junit").out.startswith("<?xml")


def test_guests_of_an_audit_that_cannot_be_asked_are_named(on: Command) -> None:
    shown = on("audit", *INSIDE, "--format", "json")
    audit = Audit.from_dict(shown.json["result"])
    assert {diagnosis.vm_name for diagnosis in audit.diagnoses if diagnosis.guest} == {"demovm", "backup", "legacy"}
    assert [error.vm_name for error in audit.errors] == ["web"]
    assert shown.json["errors"][0]["vm_name"] == "web"
    assert "web could not be read: " in shown.err


def test_the_address_can_follow_audit(world: World, world_file: Path) -> None:
    world.save(world_file)
    assert run("audit", f"sim:{world_file}").out.startswith(f"Audit of sim:{world_file}, ")


# -- formats -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("command", [("diagnose", "backup"), ("audit",)], ids=" ".join)
def test_every_format_says_what_was_found(on: Command, command: tuple[str, ...], form: str) -> None:
    shown = on(*command, *INSIDE[: 2 * (command[0] == "diagnose")], "--format", form)
    assert "backup" in shown.out
    assert ("guest-service-not-running" if command[0] == "diagnose" else "backup-silent") in shown.out


@pytest.mark.parametrize("form", FORMATS)
def test_names_are_text_in_every_format(world: World, on: Command, form: str) -> None:
    world.machines[:] = [Machine(id=machine_id(number), name=name) for number, name in enumerate(HOSTILE_NAMES, 1)]
    shown = on("audit", "--format", form)
    assert shown.status == 0
    assert form == "csv" or "\x1b" not in shown.out  # A file of CSV has all texts as they are.
    if form == "json":
        assert {each.vm_name for each in Audit.from_dict(shown.json["result"]).diagnoses} == set(HOSTILE_NAMES)
    elif form == "junit":
        names = {suite.get("name") for suite in ET.fromstring(shown.out.encode())}
        assert names == set(map(clean, HOSTILE_NAMES))
    elif form == "html":
        assert "<script>alert" not in shown.out


def test_formats_of_reports_are_for_what_is_found_only(on: Command) -> None:
    for arguments in (("vms", "--format", "html"), ("--format", "junit", "vms")):
        shown = on(*arguments)
        assert (shown.status, shown.out) == (2, "")
        assert "choose from" in shown.err
    assert on("--format", "junit", "audit").out.startswith("<?xml")


def test_on_a_terminal_the_report_is_as_wide_as_that(on: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("tests.support.command.io.StringIO", lambda: terminal)
    on("diagnose", "backup")
    said = terminal.getvalue()
    assert "\x1b[1;33mWARNING  backup  VSS  backup-silent" in said
    assert max(map(len, said.splitlines())) <= 80


# -- exit statuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((), 0),
        (("--fail-on", "error"), 0),
        (("--fail-on", "warning"), 6),
        (("--fail-on", "note"), 6),
        (("--fail-on", "never"), 2),
    ],
)
def test_the_status_says_how_bad_it_is(on: Command, arguments: tuple[str, ...], status: int) -> None:
    assert on("audit", *arguments).status == status
    assert on("diagnose", "backup", *arguments).status == status


def test_what_could_not_be_read_is_told_from_what_was_found(world: World, on: Command) -> None:
    world.faults = [Fault(cmdlet="Get-VMIntegrationService", machine="web")]
    assert on("audit").status == 3
    assert on("audit", "--fail-on", "warning").status == 6
    world.access = "denied"
    assert on("audit").status == 1


# -- acceptances ---------------------------------------------------------------------------------------------------


def accept(folder: Path, **changes: object) -> str:
    """A file that accepts the silence of VSS in ``backup``."""
    said = {"finding": "backup-silent", "vm_id": BACKUP, "reason": "An agent does it.", "until": "2999-12-31"}
    file = folder / "accepted.json"
    file.write_text(json.dumps([said | changes]), "utf-8")
    return str(file)


def test_what_is_accepted_is_shown_apart_and_fails_nothing(world: World, on: Command, tmp_path: Path) -> None:
    silence(world)
    assert on("audit", "--fail-on", "warning").status == 6
    shown = on("audit", "--fail-on", "warning", "--accept", accept(tmp_path))
    assert shown.status == 0
    assert "until 2999-12-31: An agent does it." in shown.out.partition("\nAccepted\n")[2]


@pytest.mark.parametrize(
    "changes", [{"until": "2020-01-01"}, {"vm_id": machine_id(9)}, {"finding": "other"}, {"kind": "kvp"}]
)
def test_an_acceptance_is_for_what_it_names_and_as_long_as_it_says(
    world: World, on: Command, tmp_path: Path, changes: dict[str, object]
) -> None:
    silence(world)
    assert on("audit", "--fail-on", "warning", "--accept", accept(tmp_path, **changes)).status == 6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "cannot be read: "),
        ("{}", "is no list of acceptances"),
        ('[{"finding": "x"}]', "$.vm_id"),
        ("[3]", "is not as it should be"),
        ('[{"finding": "x", "vm_id": "y", "reason": "z", "until": "soon"}]', "$.until"),
        ("[" * 100_000, "deeper than"),
        ("\udcff", "cannot be read: "),
    ],
)
def test_a_file_that_is_no_use_is_named(on: Command, tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "some.json"
    if content is not None:
        file.write_bytes(content.encode("utf-8", "surrogateescape"))
    shown = on("audit", "--accept", str(file))
    assert shown.status == 2
    assert shown.out == ""
    assert f"{file} " in shown.err
    assert said in shown.err


# -- earlier audits ------------------------------------------------------------------------------------------------


def test_what_is_new_since_an_earlier_audit_is_marked(world: World, on: Command, tmp_path: Path) -> None:
    before = tmp_path / "before.json"
    before.write_text(on("audit", "--format", "json").out, "utf-8")
    world.machine("demovm").services["heartbeat"].primary = "NoContact"
    world.machine("backup").services["vss"].primary = "Ok"

    shown = on("audit", "--since", str(before))
    assert shown.out.count("(new)") == 1
    assert "Gone since the last time\n" in shown.out

    after = tmp_path / "after.json"
    after.write_text(on("audit", "--since", str(before), "--format", "json").out, "utf-8")
    assert "(new)" not in on("audit", "--since", str(after)).out


def test_an_audit_can_be_shown_again_without_its_host(on: Command, world_file: Path, tmp_path: Path) -> None:
    saved = tmp_path / "audit.json"
    first = on("audit", *INSIDE, "--format", "json")
    saved.write_text(first.out, "utf-8")
    world_file.unlink()

    again = run("audit", "--from", str(saved), "--format", "json")
    assert (again.status, again.out) == (6, first.out)
    assert run("audit", "--from", str(saved), "--format", "junit").out.startswith("<?xml")
    assert "(new)" not in run("audit", "--from", str(saved), "--since", str(saved)).out


def test_what_is_shown_again_is_not_judged_again(tmp_path: Path) -> None:
    for arguments in (("--accept", "x"), INSIDE, ("--guest", "web=sim:")):
        shown = run("audit", "--from", str(tmp_path / "x"), *arguments)
        assert shown.status == 2
        assert "--from asks nobody" in shown.err


def test_audits_of_other_hosts_are_not_compared(on: Command, tmp_path: Path) -> None:
    before = tmp_path / "before.json"
    before.write_text(run("audit", "sim:", "--format", "json").out, "utf-8")
    shown = on("audit", "--since", str(before))
    assert shown.status == 2
    assert "the earlier one of sim:" in shown.err


# -- doing something about it ----------------------------------------------------------------------------------------


def test_what_a_finding_offers_is_done_in_the_guest(on: Command, world_file: Path) -> None:
    shown = on("apply", "backup", "guest-service-not-running", *INSIDE, "--format", "json")
    assert shown.status == 0
    assert [change["outcome"] for change in shown.json["result"]] == ["changed"]
    again = run("--host", f"sim:{world_file}", "diagnose", "backup", *INSIDE)
    assert "guest-service-not-running" not in again.out


def test_what_a_finding_offers_is_done_on_the_host(on: Command, world_file: Path) -> None:
    assert on("apply", "demovm", "file-copy-off").status == 0
    assert World.load(world_file).journal == ["enable demovm guest_service_interface"]


def test_of_several_findings_of_an_id_one_is_meant(world: World, on: Command, world_file: Path) -> None:
    for name in ("vmickvpexchange", "vmicvss"):
        service = next(each for each in world.machine("backup").guest_services if each.name == name)
        service.status = "Stopped"
    shown = on("apply", "backup", "guest-service-not-running", *INSIDE)
    assert (shown.status, World.load(world_file).journal) == (2, [])
    assert "Name one of them after it: kvp, vss." in shown.err
    assert on("apply", "backup", "guest-service-not-running", "vmicvss", *INSIDE).status == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense",), "Findings that offer something: file-copy-off."),
        (("file-copy-off", "vss"), "was not found of backup"),
        (("backup-silent",), "See to it that the service"),
        (("guest-service-not-running",), "was not found of backup"),  # The guest was not asked.
    ],
)
def test_what_no_finding_offers_is_refused(
    on: Command, world_file: Path, arguments: tuple[str, ...], said: str
) -> None:
    shown = on("apply", "backup", *arguments)
    assert (shown.status, World.load(world_file).journal) == (2, [])
    assert said in shown.err


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_gets_what_standard_output_would(on: Command, tmp_path: Path, form: str) -> None:
    file = tmp_path / "audit"
    shown = on("audit", "--format", form, "--output", str(file))
    assert shown.out == "0 errors, 2 warnings, 11 notes in 5 virtual machines.\n"
    written = file.read_text("utf-8")
    assert "backup-silent" in written
    if form == "json":
        assert len(Audit.from_dict(json.loads(written)["result"]).findings) == 13
    assert [path.name for path in tmp_path.glob("audit*")] == ["audit"]


def test_a_file_stays_as_it_was_where_nothing_was_found_out(on: Command, world: World, tmp_path: Path) -> None:
    file = tmp_path / "audit.html"
    file.write_text("before", "utf-8")
    world.access = "denied"
    assert on("audit", "--format", "html", "--output", str(file)).status == 1
    assert file.read_text("utf-8") == "before"
    assert [path.name for path in tmp_path.glob("audit*")] == ["audit.html"]


def test_a_link_to_a_file_stays_a_link(on: Command, tmp_path: Path) -> None:
    file, link = tmp_path / "real.html", tmp_path / "link.html"
    link.symlink_to(file)
    on("audit", "--format", "html", "--output", str(link))
    assert link.is_symlink()
    assert file.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_what_cannot_be_written_is_said_before_any_host_is_asked(on: Command, world: World, tmp_path: Path) -> None:
    world.access = "denied"
    for file in (tmp_path, tmp_path / "none" / "x", Path(os.devnull)):
        shown = on("audit", "--output", str(file))
        assert shown.status == 2
        assert f"{file} cannot be written: " in shown.err


def test_a_disk_that_is_full_leaves_nothing_behind(
    on: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> Any:  # noqa: ANN401 - it never answers
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    shown = on("audit", "--output", str(tmp_path / "audit"))
    assert shown.status == 2
    assert "audit cannot be written: No space left on device" in shown.err
    assert list(tmp_path.glob("audit*")) == []
