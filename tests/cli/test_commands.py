"""What every command answers, in this process."""

from __future__ import annotations

import io
import os
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvintegration import Credential, Local, Recorder, ServiceKind, Simulator, VirtualClock, World, __main__
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import HvError
from hvintegration.scripts.jea import endpoint_files
from hvintegration.service_kind import HOST_MANAGED
from hvintegration.simulator import Fault, Machine, ServiceSetting, demo_world
from hvintegration.testing import HOSTILE_NAMES, machine_id
from tests.support.command import Command, Run, Terminal, run
from tests.support.ssh_server import SSHServer

COMMANDS = ["host", "check", "vms", "services", "enable", "disable", "wait", "guest"]
COMMANDS += ["diagnose", "apply", "audit", "advise", "kinds", "jea", "demo"]
HOSTILE = [*HOSTILE_NAMES, "=cmd()", "\x1b]0;owned\x07", "two\nlines", "bell\x07", "[red]markup[/red]"]


@pytest.fixture
def world_file(tmp_path: Path) -> Path:
    return tmp_path / "world.json"


@pytest.fixture
def on(world: World, world_file: Path) -> Command:
    """Runs the command on *world* as it is then."""

    def run_on(*arguments: str) -> Run:
        if not world_file.exists():
            world.save(world_file)
        return run("--host", f"sim:{world_file}", *arguments)

    return run_on


def journal(world_file: Path) -> list[str]:
    return World.load(world_file).journal


# -- hosts --------------------------------------------------------------------------------------------------------


def test_a_user_and_options_reach_the_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HVINTEGRATION_PASSWORD", "Hidden-1")
    made: list[object] = []

    def note(address: str, **arguments: object) -> Simulator:
        made.append((address, arguments))
        return Simulator(demo_world())

    monkeypatch.setattr("hvintegration.cli.ways.transport_for", note)

    shown = run(
        *("--host", "winrm://hv01", "--option", "auth=ntlm", "vms", "--user", "CORP\\admin"),
        *("--option", "configuration-name=HvIntegration"),
    )

    credential = Credential("CORP\\admin", "Hidden-1")
    options = {"auth": "ntlm", "configuration_name": "HvIntegration"}
    assert shown.status == 0
    assert made == [("winrm://hv01", {"credential": credential, "options": options})]


def test_without_a_password_and_a_terminal_there_is_no_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HVINTEGRATION_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    shown = run("--host", "winrm://hv01", "--user", "admin", "vms")

    assert (shown.status, shown.out) == (2, "")
    assert "HVINTEGRATION_PASSWORD" in shown.err


def test_what_opens_a_key_is_no_option_since_others_can_see_command_lines() -> None:
    shown = run("--host", "ssh://hv01", "--option", "passphrase=Secret-1", "vms")

    assert (shown.status, shown.out) == (2, "")
    assert "has no option 'passphrase'" in shown.err
    assert "Secret-1" not in shown.err


def test_an_empty_password_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HVINTEGRATION_PASSWORD", "")

    shown = run("--host", "winrm://127.0.0.1:1", "--user", "admin", "vms")

    assert (shown.status, shown.out) == (2, "")
    assert "There is no password for admin." in shown.err


@pytest.mark.skipif(sys.platform == "win32", reason="variables of Windows are text")
def test_a_password_in_another_encoding_is_refused_and_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HVINTEGRATION_PASSWORD", os.fsdecode("Hidden-ü".encode("latin-1")))

    shown = run("--host", "winrm://127.0.0.1:1", "--user", "admin", "vms")

    assert (shown.status, shown.out) == (2, "")
    assert "Invalid password: it has half a character" in shown.err
    assert "Hidden" not in shown.err


def test_ctrl_c_while_the_command_is_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "hvintegration.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "hvintegration.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupting, *sys.meta_path])

    assert __main__.run() == 130


@pytest.mark.parametrize("why", [EOFError(), UnicodeDecodeError("utf-8", b"Hidden-\xff\n", 7, 8, "invalid start byte")])
def test_no_answer_to_the_question_for_the_password(monkeypatch: pytest.MonkeyPatch, why: Exception) -> None:
    def give_up(_: str) -> str:
        raise why

    monkeypatch.delenv("HVINTEGRATION_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", give_up)

    shown = run("--host", "winrm://hv01", "--user", "admin", "vms")

    assert (shown.status, shown.out) == (2, "")
    assert "There is no password for admin." in shown.err


def test_typing_a_password_takes_no_time_from_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock()
    given: list[float] = []

    class Noting(Simulator):
        def call(self, call: Call, deadline: Deadline, /) -> str:
            given.append(deadline.left())
            return super().call(call, deadline)

    def type_slowly(_: str) -> str:
        clock.sleep(300)
        return "Hidden-1"

    monkeypatch.delenv("HVINTEGRATION_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", type_slowly)
    monkeypatch.setattr("hvintegration.cli.ways.transport_for", lambda *_, **__: Noting(demo_world(), clock=clock))

    shown = run("--host", "winrm://hv01", "--user", "admin", "--timeout", "60", "host")

    assert (shown.status, shown.err) == (0, "")
    assert given == [60, 60]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "winrm://hv01", "--option", "verify=no"), "no option 'verify'"),
        (("--host", "sim:", "--option", "auth=ntlm"), "no option 'auth'"),
        (("--host", "winrm://hv01", "--option", "auth"), "invalid option 'auth': it is not NAME=VALUE"),
        (("--host", "winrm://hv01", "--option", "auth=magic"), "Invalid authentication 'magic': it is not among those"),
        (("--host", "winrm://admin:Hidden-1@hv01"), "must not contain a password"),
        (("--host", "winrm://admin:Hidden-1@[hv01"), "must not contain a password"),
        (("--host", "winrm:hv01"), "Invalid address of a host 'hv01': it does not begin with //."),
        (("--host", "winrm://hv01/wsman?x"), "Invalid address of a host '//hv01/wsman?x': something follows the host."),
    ],
)
def test_what_a_host_cannot_be_is_refused(arguments: tuple[str, ...], said: str) -> None:
    shown = run(*arguments, "vms")

    assert (shown.status, shown.out) == (2, "")
    assert said in shown.err
    assert "Hidden" not in shown.err


# -- looking ------------------------------------------------------------------------------------------------------


def test_host_in_all_formats(on: Command) -> None:
    shown = on("host")
    data = on("host", "--format", "json").json
    rows = on("host", "--format", "csv").csv

    assert (shown.status, shown.err) == (0, "")
    assert ["language", "de-DE"] in [line.split() for line in shown.out.splitlines()]
    assert (data["schema"], data["errors"]) == (1, [])
    assert (data["result"]["name"], data["result"]["os_build"]) == ("HV01", "20348")
    assert {"Attribute": "name", "Value": "HV01"} in rows


def test_vms_in_all_formats(on: Command) -> None:
    shown = on("vms")
    data = on("vms", "--format", "json").json
    rows = on("vms", "--format", "csv").csv

    names = ["demovm", "backup", "web", "legacy", "spare"]
    assert (shown.status, shown.err) == (0, "")
    assert [line.split()[0] for line in shown.out.splitlines()[2:]] == names
    assert [vm["name"] for vm in data["result"]] == names
    assert data["result"][0]["addresses"] == ["192.0.2.5"]
    assert [row["VM"] for row in rows] == names
    assert rows[4]["State"] == "Off"


def test_services_of_all_in_all_formats(on: Command) -> None:
    shown = on("services")
    data = on("services", "--format", "json").json
    rows = on("services", "--format", "csv").csv

    assert (shown.status, shown.err) == (0, "")
    assert len(shown.out.splitlines()) == 2 + 30
    assert len(data["result"]) == len(rows) == 30
    assert {state["kind"] for state in data["result"]} == {kind.key for kind in HOST_MANAGED}
    assert rows[1]["Name on the host"] == "Takt"


def test_services_of_some_by_name_and_id_in_the_order_asked_for(on: Command) -> None:
    done = on("services", "web", machine_id(1).upper(), "--format", "json")

    assert done.status == 0
    assert [state["vm_name"] for state in done.json["result"]] == ["web"] * 6 + ["demovm"] * 6


def test_json_is_ascii(on: Command) -> None:
    done = on("services", "demovm", "--format", "json")

    assert done.out.isascii()
    assert done.json["result"][2]["name"] == "Austausch von Schlüsselwertepaaren"


def test_a_host_without_virtual_machines(on: Command, world: World) -> None:
    world.machines.clear()

    assert on("vms", "--format", "json").json == {"schema": 1, "result": [], "errors": []}
    assert on("services").status == 0
    assert on("enable", "vss", "--all").status == 0


def test_kinds_need_no_host() -> None:
    shown = run("kinds")
    data = run("--format", "json", "kinds").json
    rows = run("kinds", "--format", "csv").csv

    assert (shown.status, shown.err) == (0, "")
    assert [entry["key"] for entry in data["result"]] == [kind.key for kind in ServiceKind]
    assert [row["Windows service"] for row in rows] == [kind.windows_service for kind in ServiceKind]
    assert [row["Component id"] for row in rows] == [kind.component_id or "" for kind in ServiceKind]
    assert all(kind.label in shown.out for kind in ServiceKind)


def test_wait_answers_with_the_state(on: Command) -> None:
    shown = on("wait", "Heartbeat", "demovm")
    data = on("wait", "vmicheartbeat", "demovm", "--format", "json").json

    assert (shown.status, shown.err) == (0, "")
    assert len(shown.out.splitlines()) == 3
    assert (data["result"]["kind"], data["result"]["health"]) == ("heartbeat", "ok")


# -- checking and recording ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["check", "sim:"], ["--host", "sim:", "check"], ["check", "--host", "sim:"]])
def test_check_in_all_formats(arguments: list[str]) -> None:
    shown = run(*arguments)
    data = run(*arguments, "--format", "json").json
    rows = run(*arguments, "--format", "csv").csv

    assert (shown.status, shown.err) == (0, "")
    assert "What to do" not in shown.out
    assert [line.split()[0] for line in shown.out.splitlines()[2:4]] == ["answer", "module"]
    assert (data["result"]["ok"], data["result"]["address"], data["errors"]) == (True, "sim:", [])
    assert [row["Outcome"] for row in rows] == ["ok"] * 6


def test_check_of_a_host_that_refuses(on: Command, world: World) -> None:
    world.access = "denied"

    shown = on("check")
    data = on("check", "--format", "json")

    assert (shown.status, data.status) == (1, 1)
    assert [line.split()[1] for line in shown.out.splitlines()[2:5]] == ["ok", "ok", "failed"]
    assert shown.err.startswith("hvintegration: rights failed: ")
    assert "S-1-5-32-578" in shown.err
    assert data.json["result"]["ok"] is False


def test_check_needs_no_host_that_answers() -> None:
    done = run("check", "local:/no such/pwsh")

    assert done.status == 1
    assert "program" in done.out
    assert "skipped" in done.out
    assert "hvintegration: program failed: There is no program /no such/pwsh" in done.err


def test_a_check_that_gets_nowhere_is_recorded(tmp_path: Path) -> None:
    file = tmp_path / "bug.jsonl"

    shown = run("check", "local:/nosuch/pwsh", "--record", str(file))
    replayed = run("check", f"replay:{file}")

    assert shown.status == replayed.status == 1
    assert "There is no program /nosuch/pwsh" in shown.err
    assert replayed.err == shown.err
    assert [line.split()[:2] for line in replayed.out.splitlines()[2:4]] == [
        ["program", "failed"],
        ["answer", "skipped"],
    ]


def test_what_is_recorded_is_replayed(on: Command, tmp_path: Path) -> None:
    file = str(tmp_path / "bug.jsonl")
    recorded = on("disable", "vss", "demovm", "--record", file)
    replayed = run("--host", f"replay:{file}", "disable", "vss", "demovm")

    assert (recorded.status, recorded.err) == (0, "")
    assert replayed == recorded
    again = on("vms", "--record", file)
    assert (again.status, again.out) == (2, "")
    assert "exists already" in again.err


def test_a_refusal_is_recorded_too(on: Command, world: World, tmp_path: Path) -> None:
    world.access = "denied"
    file = str(tmp_path / "bug.jsonl")

    recorded = on("vms", "--record", file)
    replayed = run("--host", f"replay:{file}", "vms")

    assert recorded.status == replayed.status == 1
    assert "S-1-5-32-578" in replayed.err


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_recording_that_breaks_loses_no_result(
    on: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    file = tmp_path / "bug.jsonl"
    original = Recorder.call

    def call(recorder: Recorder, *arguments: Any, **options: Any) -> str:  # noqa: ANN401
        file.unlink(missing_ok=True)
        return original(recorder, *arguments, **options)

    monkeypatch.setattr(Recorder, "call", call)

    done = on("vms", "--record", str(file), "--format", form)

    assert done.status == 1
    assert (len(done.json["result"]) if form == "json" else len(done.out.splitlines()) - 2) == 5
    assert "hvintegration: error: The recording" in done.err
    assert "ends after call 0" in done.err


# -- switching ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["gsi", "Guest Service Interface", "Gastdienstschnittstelle", "vmicguestinterface"])
def test_enable_and_disable(on: Command, world_file: Path, service: str) -> None:
    enabled = on("enable", service, "demovm", "backup", "--format", "json")
    again = on("enable", service, "demovm", "--format", "json")
    disabled = on("disable", service, "demovm", "--format", "json")

    assert [change["outcome"] for change in enabled.json["result"]] == ["changed", "changed"]
    assert [change["outcome"] for change in again.json["result"]] == ["unchanged"]
    assert [change["state"]["enabled"] for change in disabled.json["result"]] == [False]
    assert (enabled.status, again.status, disabled.status) == (0, 0, 0)
    key = "guest_service_interface"
    assert journal(world_file) == [f"enable demovm {key}", f"enable backup {key}", f"disable demovm {key}"]


def test_several_services_at_once(on: Command, world_file: Path) -> None:
    done = on("disable", "vss, Time Synchronization", "demovm", "--format", "csv")

    assert [(row["Service"], row["Outcome"]) for row in done.csv] == [
        ("VSS", "changed"),
        ("Time Synchronization", "changed"),
    ]
    assert journal(world_file) == ["disable demovm vss", "disable demovm time_sync"]


def test_all(on: Command, world_file: Path) -> None:
    done = on("disable", "vss", "--all")

    assert done.status == 0
    assert len(journal(world_file)) == 5


def test_a_dry_run_changes_nothing(on: Command, world_file: Path) -> None:
    done = on("disable", "vss,gsi", "--all", "--dry-run", "--format", "json")

    assert done.status == 0
    assert {change["outcome"] for change in done.json["result"]} == {"would_change", "unchanged"}
    assert journal(world_file) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format", "json", "disable", "vss", "demovm", "backup", "--dry-run"],
        ["disable", "--format", "json", "--dry-run", "vss", "demovm", "backup"],
        ["disable", "vss", "--dry-run", "demovm", "--format", "json", "backup"],
        ["disable", "vss", "demovm", "--dry-run", "backup", "--format=json"],
        ["--format", "csv", "disable", "vss", "demovm", "backup", "--dry-run", "--format", "json"],
    ],
)
def test_options_may_stand_anywhere(on: Command, arguments: list[str]) -> None:
    assert [change["vm_name"] for change in on(*arguments).json["result"]] == ["demovm", "backup"]


# -- writing a restricted endpoint --------------------------------------------------------------------------------


def test_jea_in_all_formats(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "endpoint"
    files = [str(folder / name) for name in endpoint_files()]

    shown = run("jea", str(folder))
    data = run("jea", str(folder), "--format", "json").json
    rows = run("jea", str(folder), "--format", "csv").csv

    assert (shown.status, shown.err) == (0, "")
    assert [line.split()[0] for line in shown.out.splitlines()[2:7]] == files
    assert (
        "    .\\Register-HvIntegrationEndpoint.ps1 -Readers 'DOMAIN\\GROUP' -Operators 'DOMAIN\\GROUP'"
        " -GuestOperators 'DOMAIN\\GROUP'\n" in shown.out
    )
    assert [row["File"] for row in rows] == data["result"]["files"] == files
    assert data["result"]["configuration_name"] == "HvIntegration"
    assert data["result"]["register"] in shown.out


def test_jea_writes_the_files_and_nothing_else(tmp_path: Path) -> None:
    assert run("jea", str(tmp_path)).status == run("jea", str(tmp_path)).status == 0

    written = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*") if path.is_file()}
    assert {name: path.read_bytes().decode("ascii") for name, path in written.items()} == endpoint_files()


def test_jea_overwrites_nothing_that_is_something_else(tmp_path: Path) -> None:
    other = tmp_path / list(endpoint_files())[-1]
    other.write_text("mine")

    done = run("jea", str(tmp_path))

    assert (done.status, done.out) == (2, "")
    assert "is there already, with other content.\nhint: Write into an empty folder.\n" in done.err
    assert [path.read_text() for path in tmp_path.rglob("*")] == ["mine"]


def test_jea_says_where_it_cannot_write(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")

    done = run("jea", str(file))

    assert (done.status, done.out) == (2, "")
    assert f"{file} cannot be written: " in done.err


# -- what fails ---------------------------------------------------------------------------------------------------


def test_one_that_cannot_be_read_is_a_partial_failure(on: Command, world: World) -> None:
    world.faults = [Fault(machine="backup", cmdlet="Get-VMIntegrationService", message="Fehler.")]

    for command in ("vms", "services"):
        done = on(command, "--format", "json")
        assert done.status == 3
        assert done.err == "hvintegration: backup could not be read: Fehler.\n"
        assert [error["vm_name"] for error in done.json["errors"]] == ["backup"]
        assert "backup" not in [entry.get("vm_name", entry.get("name")) for entry in done.json["result"]]


def test_only_failures_are_a_failure(on: Command, world: World) -> None:
    world.faults = [Fault(cmdlet="Get-VMIntegrationService")]

    done = on("services", "--format", "json")

    assert (done.status, done.json["result"], len(done.json["errors"])) == (1, [], 5)


def test_one_that_cannot_be_changed_is_a_partial_failure(on: Command, world: World, world_file: Path) -> None:
    world.faults = [Fault(machine="backup", cmdlet="Disable-VMIntegrationService", message="Fehler.")]

    done = on("disable", "vss", "demovm", "backup")
    data = on("disable", "shutdown", "demovm", "backup", "--format", "json")

    assert (done.status, data.status) == (3, 3)
    assert done.err == "hvintegration: VSS of backup was not disabled: Fehler.\n"
    assert [line.split() for line in done.out.splitlines()[2:]] == [
        ["demovm", "VSS", "disabled", "changed", "disabled"],
        ["backup", "VSS", "disabled", "failed", "problem"],
    ]
    assert [error["message"] for error in data.json["errors"]] == ["Fehler."]
    assert journal(world_file) == ["disable demovm vss", "disable demovm shutdown"]


def test_all_that_cannot_be_changed_is_a_failure(on: Command, world: World, world_file: Path) -> None:
    world.faults = [Fault(cmdlet="Disable-VMIntegrationService", message="Fehler.")]

    done = on("disable", "vss", "--all")

    assert done.status == 1
    assert done.err.count("was not disabled: Fehler.") == 5
    assert journal(world_file) == []


def test_all_but_those_that_cannot_be_listed(on: Command, world: World) -> None:
    world.faults = [Fault(machine="backup", cmdlet="Get-VM", message="Fehler.")]

    done = on("disable", "vss", "--all", "--format", "json")

    assert done.status == 3
    assert len(done.json["result"]) == 4
    assert [error["message"] for error in done.json["errors"]] == ["Fehler."]
    assert "could not be read: Fehler." in done.err


def test_access_denied(on: Command, world: World) -> None:
    world.access = "denied"

    done = on("vms", "--format", "csv")

    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("hvintegration: error: sim:")
    assert "does not let this user" in done.err
    assert "\nhint: Use an elevated session" in done.err


def test_an_error_that_ends_the_command_is_its_json(on: Command, world: World) -> None:
    world.access = "denied"

    table, done = on("vms"), on("vms", "--format", "json")

    assert (done.status, done.err) == (table.status, table.err) == (1, table.err)
    (error,) = done.json["errors"]
    assert done.json == {"schema": 1, "result": None, "errors": [error]}
    assert error["class"] == "PermissionDeniedError"
    assert error["facts"]["error_id"].startswith("AccessDenied")
    again = HvError.from_dict(error)
    assert f"hvintegration: error: {again}\nhint: {again.hint}\n" == done.err


@pytest.mark.parametrize(
    ("arguments", "status", "name"),
    [
        (["--host", "sim:", "vms", "--option", "a=b"], 2, "ConfigurationError"),
        (["--host", "nowhere:", "enable", "vss,Hartbeat", "demovm"], 2, "UnknownServiceError"),
        (["--host", "sim:", "wait", "Hartbeat", "demovm"], 2, "UnknownServiceError"),
        (["--host", "sim:", "services", "nosuch"], 1, "VMNotFoundError"),
        (["--host", "local:/nosuch/pwsh", "host"], 1, "ConnectError"),
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_so_is_any_other(arguments: list[str], status: int, name: str, *, first: bool) -> None:
    form = ["--format", "json"]
    done = run(*form, *arguments) if first else run(*arguments, *form)

    assert (done.status, done.json["result"]) == (status, None)
    assert [error["class"] for error in done.json["errors"]] == [name]
    assert done.err.startswith(f"hvintegration: error: {done.json['errors'][0]['message']}")


def test_a_command_line_that_is_wrong_has_no_json() -> None:
    assert run("--format", "json", "vms", "--timeout", "0").out == ""


@pytest.mark.parametrize("command", ["enable", "disable", "wait"])
def test_an_unknown_service(on: Command, world_file: Path, command: str) -> None:
    done = on(command, "Hartbeat", "demovm")

    assert (done.status, done.out) == (2, "")
    assert "No integration service is known as 'Hartbeat'. Did you mean 'Heartbeat'?" in done.err
    assert "\nhint: Use a key" in done.err
    assert journal(world_file) == []


def test_an_unknown_service_is_noticed_before_any_host_is_asked() -> None:
    assert "Hartbeat" in run("--host", "nowhere:", "enable", "vss,Hartbeat", "demovm").err


def test_a_service_that_the_host_does_not_switch(on: Command) -> None:
    done = on("enable", "vmicrdv", "demovm")

    assert done.status == 2
    assert "has no switch on the host" in done.err


@pytest.mark.parametrize("arguments", [["services"], ["enable", "vss"], ["wait", "vss"]])
def test_an_unknown_virtual_machine(on: Command, world_file: Path, arguments: list[str]) -> None:
    done = on(*arguments, "demo*")

    assert (done.status, done.out) == (1, "")
    assert "has no virtual machine named 'demo*'" in done.err
    assert done.err.endswith("hint: 'hvintegration vms' lists all that this user may see.\n")
    assert journal(world_file) == []


def test_an_unknown_virtual_machine_among_others(on: Command, world_file: Path) -> None:
    shown = on("services", "demovm", "nosuch", "web", "--format", "json")
    changed = on("disable", "vss", "demovm", "nosuch")

    assert shown.status == 3
    assert [state["vm_name"] for state in shown.json["result"]] == ["demovm"] * 6 + ["web"] * 6
    assert [error["vm_name"] for error in shown.json["errors"]] == ["nosuch"]
    assert shown.err.startswith("hvintegration: nosuch could not be read: ")
    assert changed.status == 1
    assert journal(world_file) == []


def test_none_of_several_virtual_machines(on: Command) -> None:
    done = on("services", "no", "nosuch", "--format", "json")

    assert (done.status, done.json["result"], len(done.json["errors"])) == (1, [], 2)


def test_an_ambiguous_virtual_machine(on: Command, world: World, world_file: Path) -> None:
    world.machines[1].name = "demovm"

    for arguments in (["services"], ["disable", "vss"], ["wait", "vss"]):
        done = on(*arguments, "demovm")
        assert (done.status, done.out) == (1, "")
        assert "2 virtual machines named 'demovm'" in done.err
        assert f"hint: Use an id instead of the name: {machine_id(1)}, {machine_id(2)}" in done.err
    assert journal(world_file) == []
    assert on("disable", "vss", machine_id(2)).status == 0
    assert on("services", "demovm", "web").status == 3


def test_waiting_in_vain(on: Command) -> None:
    off = on("wait", "heartbeat", "spare")
    problem = on("wait", "vss", "backup", "--timeout", "0.2")

    assert (off.status, off.out, problem.status, problem.out) == (1, "", 1, "")
    assert "cannot become ok: the virtual machine is Off.\nhint: Start the virtual machine first." in off.err
    assert "did not become ok in time; it was problem (LostCommunication)" in problem.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a user who is logged on")
def test_a_hint_is_about_the_command() -> None:
    shown = run("--host", "winrm://hv01", "--option", "auth=ntlm", "vms")

    assert (shown.status, shown.out) == (2, "")
    assert shown.err.endswith("\nhint: Pass --user USER.\n")


@pytest.mark.parametrize("replayed", [False, True], ids=["now", "replayed"])
def test_so_is_that_of_a_check(tmp_path: Path, *, replayed: bool) -> None:
    known_hosts, file = tmp_path / "known_hosts", str(tmp_path / "bug.jsonl")
    known_hosts.touch()
    with SSHServer(demo_world()) as server:
        options = ["--option", f"known_hosts={known_hosts}", "--format", "csv", "--record", file]
        shown = run("check", f"ssh://admin@127.0.0.1:{server.port}", *options)
    if replayed:
        shown = run("check", f"replay:{file}", "--format", "csv")

    assert shown.status == 1
    assert shown.err.startswith("hvintegration: host key failed: ")
    assert "pass --option host_key=SHA256:" in shown.err
    assert "pass --option host_key=SHA256:" in next(
        row["What to do"] for row in shown.csv if row["Outcome"] == "failed"
    )


def test_an_interruption_says_what_became_of_a_change_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        interruption = KeyboardInterrupt()
        interruption.add_note("Error calling __set_name__ on '_proto_member' instance 'DarkGray' in 'ConsoleColor'")
        raise interruption

    monkeypatch.setattr("hvintegration.cli.ways.transport_for", interrupt)

    assert run("--host", "sim:", "vms") == Run(130, "", "hvintegration: interrupted.\n")


def test_too_slow(on: Command, world: World) -> None:
    world.machines[0].delay_ms = 5000

    done = on("services", "demovm", "--timeout", "0.2")

    assert (done.status, done.out) == (1, "")
    assert done.err.endswith(" within 0.2 seconds.\n")


def test_an_outcome_that_is_unknown(on: Command, world: World) -> None:
    world.machines[0].delay_ms = 300
    world.faults = [Fault(action="delay", cmdlet="Disable-VMIntegrationService", seconds=10)]

    done = on("disable", "vss", "demovm", "--timeout", "0.8")

    assert (done.status, done.out) == (4, "")
    assert "It is unknown whether" in done.err
    assert "disable VSS of demovm" in done.err
    assert "\nhint: Read the state" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["frobnicate"], "invalid choice"),
        (["vms", "--nosuch"], "unrecognized arguments: --nosuch"),
        (["services", "demovm", "--nosuch"], "unrecognized arguments: --nosuch"),
        (["enable", "vss", "demovm", "--dry"], "unrecognized arguments: --dry"),
        (["vms", "demovm"], "unrecognized arguments: demovm"),
        (["jea"], "the following arguments are required: FOLDER"),
        (["jea", "a", "b"], "unrecognized arguments: b"),
        (["wait", "vss"], "the following arguments are required: VM"),
        (["wait", "vss", "demovm", "web"], "unrecognized arguments: web"),
        (["enable"], "the following arguments are required: SERVICE"),
        (["enable", "vss"], "give the names of virtual machines, or --all"),
        (["enable", "vss", "demovm", "--all"], "give the names of virtual machines, or --all"),
        (["enable", "vss", "--all", "demovm"], "give the names of virtual machines, or --all"),
        (["vms", "--format", "yaml"], "invalid choice: 'yaml'"),
        (["vms", "--timeout", "0"], "invalid time '0': it is not a number of seconds above zero"),
        (["vms", "--timeout", "-1"], "invalid time '-1': it is not a number of seconds above zero"),
        (["vms", "--timeout", "nan"], "invalid time 'nan': it is not a number of seconds above zero"),
        (["vms", "--timeout", "soon"], "invalid time 'soon': it is not a number of seconds above zero"),
        *(
            (["vms", "--timeout", time], f"invalid time '{time}': it is not a number of seconds above zero and up to")
            for time in ("1e10", "1e300", "inf")
        ),
        (["--host", "nowhere", "vms"], "Invalid address 'nowhere': it begins with no known scheme."),
        (["--host", "sim:/nosuch/world.json", "vms"], "cannot be read"),
        (["--host", "sim:", "services", ""], "cannot be the name or id"),
        (["--host", "sim:", "check", "sim:other"], "give the address once"),
        (["vms", "--host", "sim:", "--record", "/nosuch/folder/bug"], "cannot be written"),
        (["vms", "--host", "replay:/nosuch"], "cannot be read"),
    ],
)
def test_misuse(arguments: list[str], says: str) -> None:
    done = run(*arguments)

    assert (done.status, done.out) == (2, "")
    assert f"hvintegration: error: {says}" in done.err or says in done.err
    assert "Traceback" not in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a PowerShell of its own")
def test_this_machine_is_asked_by_default() -> None:
    done = run("vms")

    assert done.status == 2
    assert done.err.startswith("hvintegration: error: local: needs a program")
    assert "\nhint: Name a PowerShell" in done.err


# -- other people's text ------------------------------------------------------------------------------------------


def harmless(text: str) -> bool:
    return all(character == "\n" or unicodedata.category(character) != "Cc" for character in text)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names(on: Command, world: World, world_file: Path, name: str) -> None:
    world.machines = [Machine(id=machine_id(1), name=name), Machine(id=machine_id(2), name="w")]
    world.faults = [Fault(machine=name, cmdlet="Enable-VMIntegrationService", message=f"Nein: {name}")]

    listed = on("services", "--", name)
    data = on("services", "--format", "json", machine_id(1))
    failed = on("enable", "gsi", machine_id(1))

    assert (listed.status, data.status, failed.status) == (0, 0, 1)
    assert len(listed.out.splitlines()) == 8
    assert harmless(listed.out + failed.out + failed.err)
    assert len(failed.err.splitlines()) == 1
    assert data.out.isascii()
    assert data.json["result"][0]["vm_name"] == name
    assert journal(world_file) == []


@pytest.mark.parametrize("name", ["=cmd()", "+1", "@SUM(A1)", "-2+3"])
def test_csv_holds_no_formulas(on: Command, world: World, name: str) -> None:
    world.machines[0].name = name

    assert on("vms", "--format", "csv").csv[0]["VM"] == f"'{name}"


@settings(deadline=None, max_examples=40)
@given(name=st.text(min_size=1).filter(lambda name: "\0" not in name), text=st.text())
def test_whatever_a_name_is(tmp_path_factory: pytest.TempPathFactory, name: str, text: str) -> None:
    path = tmp_path_factory.mktemp("cli") / "world.json"
    odd = ServiceSetting(primary="Error", primary_text=text)
    World(machines=[Machine(id=machine_id(1), name=name, services={"vss": odd})]).save(path)

    shown = run("--host", f"sim:{path}", "services")
    data = run("--host", f"sim:{path}", "services", "--format", "json")

    assert (shown.status, shown.err, len(shown.out.splitlines())) == (0, "", 8)
    assert harmless(shown.out)
    assert (data.json["result"][5]["vm_name"], data.json["result"][5]["primary_text"]) == (name, text)


# -- help, and the demonstration ----------------------------------------------------------------------------------


def test_help_lists_commands_and_exit_statuses() -> None:
    done = run("--help")

    assert (done.status, done.err) == (0, "")
    assert all(f"    {command} " in done.out for command in COMMANDS)
    assert all(f"\n  {status} " in done.out for status in (0, 1, 2, 3, 4, 130))
    assert max(map(len, done.out.splitlines())) <= 100


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command: str) -> None:
    done = run(command, "--help")

    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"usage: hvintegration {command} ")
    assert "--format" in done.out


def test_version() -> None:
    done = run("--version")

    assert done.status == 0
    assert done.out.startswith("hvintegration ")


def test_the_demonstration_shows_what_it_promises() -> None:
    done = run("demo")

    assert (done.status, done.err) == (0, "")
    for fact in (
        "de-DE",
        "Gastdienstschnittstelle",
        "Austausch von Schlüsselwertepaaren",
        "demovm  Guest Service Interface  yes      problem  NoContact",
        "demovm  Guest Service Interface  yes      ok      Ok",
        "demovm  VSS      no       disabled  Ok",
        "backup  VSS      yes      problem  LostCommunication",
        "would_change",
        "unchanged",
        "UnknownServiceError: No integration service is known as 'Hartbeat'. Did you mean 'Heartbeat'?",
        "VMNotFoundError: sim: has no virtual machine named 'demo*'",
        "VSS                            vmicvss             yes        no       manual   not_running",
        "ERROR  backup  VSS  guest-service-not-running",
        "Fix:        Start VSS in the guest (to undo it: stop it).",
        "<ChangeOutcome.CHANGED: 'changed'>",
        "backup  VSS      yes      ok      Ok",
        "InvalidStateError: Heartbeat of spare cannot become ok: the virtual machine is Off.",
        "(exit status 0)",
        "(exit status 1)",
    ):
        assert fact in done.out
    assert "Traceback" not in done.out


def test_the_demonstration_is_the_same_each_time() -> None:
    assert run("demo") == run("demo")


def test_the_demonstration_leaves_python_as_it_was() -> None:
    before = sys.displayhook

    run("demo")

    assert sys.displayhook is before


@pytest.mark.engine
def test_a_real_powershell(engine: str, on: Command, world_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERV_WORLD", str(world_file))
    simulated = on("services", "--format", "csv")

    asked = run("--host", str(Local(engine)), "services", "--format", "csv")
    done = run("--host", str(Local(engine)), "enable", "gsi", "demovm")

    assert asked == simulated
    assert done.status == 0
    assert journal(world_file) == ["enable demovm guest_service_interface"]
