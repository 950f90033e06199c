"""What ``hvintegration guest`` answers, through a host and directly, in this process."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from hvintegration import Credential, Local, ServiceKind, Simulator, World
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.simulator import Fault, demo_world
from hvintegration.testing import HOSTILE_NAMES
from tests.support.command import Command, Run, Terminal, run

PASSWORD = "Guest-Passw0rd"
ACTIONS = ["info", "services", "diagnose", "start", "stop", "restart", "startup"]


@pytest.fixture
def world_file(tmp_path: Path) -> Path:
    return tmp_path / "world.json"


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HVINTEGRATION_GUEST_PASSWORD", PASSWORD)
    monkeypatch.delenv("HVINTEGRATION_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.fixture(params=["through", "directly"])
def on(request: pytest.FixtureRequest, world: World, world_file: Path) -> Command:
    """Runs the command on the guest ``demovm`` of *world*, through its host or directly."""
    if request.param == "through":
        which = ["--vm", "demovm", "--guest-user", "Administrator"]
    else:
        which = ["--option", "guest=demovm"]

    def run_on(*arguments: str) -> Run:
        if not world_file.exists():
            world.save(world_file)
        return run("guest", "--host", f"sim:{world_file}", *which, *arguments)

    return run_on


def journal(world_file: Path) -> list[str]:
    return World.load(world_file).journal


# -- looking ------------------------------------------------------------------------------------------------------


def test_info_in_all_formats(on: Command) -> None:
    shown, data, rows = on("info"), on("info", "--format", "json").json, on("info", "--format", "csv").csv

    assert (shown.status, shown.err) == (0, "")
    assert ["family", "windows"] in [line.split() for line in shown.out.splitlines()]
    assert (data["schema"], data["errors"]) == (1, [])
    assert (data["result"]["name"], data["result"]["vm_name"]) == ("demovm", "demovm")
    assert {"Attribute": "vm_id", "Value": data["result"]["vm_id"]} in rows


def test_services_in_all_formats(on: Command) -> None:
    shown, data, rows = on("services"), on("services", "--format", "json").json, on("services", "--format", "csv").csv

    assert (shown.status, shown.err) == (0, "")
    assert len(shown.out.splitlines()) == 2 + len(ServiceKind)
    assert [state["kind"] for state in data["result"]] == [kind.key for kind in ServiceKind]
    assert [(row["Service"], row["Name"]) for row in rows] == [(k.label, k.windows_service) for k in ServiceKind]
    assert (rows[0]["Running"], rows[0]["Health"]) == ("false", "not_running")
    assert (rows[1]["Running"], rows[1]["Health"]) == ("true", "ok")


# -- changing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["vss", "VSS", "vmicvss", "{5CED1297-4598-4915-A5FC-AD21BB4D02A4}"])
def test_stop_and_start(on: Command, world_file: Path, service: str) -> None:
    stopped = on("stop", service)
    again = on("stop", service, "--format", "json")
    started = on("start", service, "--format", "json")

    assert (stopped.status, stopped.err) == (0, "")
    assert stopped.out.splitlines()[2].split() == ["VSS", "stop", "changed", "not_running"]
    assert [change["outcome"] for change in again.json["result"]] == ["unchanged"]
    assert [change["state"]["running"] for change in started.json["result"]] == [True]
    assert journal(world_file) == ["guest-stop demovm vmicvss", "guest-start demovm vmicvss"]


def test_several_services_at_once(on: Command, world_file: Path) -> None:
    done = on("stop", "vss, Key-Value Pair Exchange", "--format", "csv")

    assert [(row["Service"], row["Wanted"], row["Outcome"]) for row in done.csv] == [
        ("VSS", "stop", "changed"),
        ("Key-Value Pair Exchange", "stop", "changed"),
    ]
    assert journal(world_file) == ["guest-stop demovm vmicvss", "guest-stop demovm vmickvpexchange"]


def test_a_dry_run_changes_nothing_and_needs_no_yes(on: Command, world_file: Path) -> None:
    done = on("stop", "shutdown,gsi", "--dry-run", "--format", "json")

    assert (done.status, done.err) == (0, "")
    assert [change["outcome"] for change in done.json["result"]] == ["would_change", "unchanged"]
    assert journal(world_file) == []


def test_restart_answers_with_the_state(on: Command, world_file: Path) -> None:
    shown = on("restart", "kvp")
    data = on("restart", "kvp", "--format", "json").json

    assert (shown.status, shown.err) == (0, "")
    assert shown.out.splitlines()[2].startswith("Key-Value Pair Exchange  vmickvpexchange  yes        yes")
    assert (data["result"]["kind"], data["result"]["running"]) == ("kvp", True)
    assert journal(world_file) == ["guest-stop demovm vmickvpexchange", "guest-start demovm vmickvpexchange"] * 2


def test_startup_answers_with_the_state(on: Command, world_file: Path) -> None:
    disabled = on("startup", "vss", "disabled")
    manual = on("startup", "vss", "manual", "--format", "json")

    assert (disabled.status, disabled.err, manual.status) == (0, "", 0)
    assert disabled.out.splitlines()[2].split()[:5] == ["VSS", "vmicvss", "yes", "yes", "disabled"]
    assert manual.json["result"]["startup"] == "manual"
    assert len(journal(world_file)) == 2


# -- what has to be confirmed -------------------------------------------------------------------------------------

LOSSES = [("stop", "shutdown"), ("stop", "vss,time_sync"), ("startup", "time_sync", "disabled")]


@pytest.mark.parametrize("arguments", LOSSES)
def test_what_limits_a_guest_severely_needs_a_yes(on: Command, world_file: Path, arguments: tuple[str, ...]) -> None:
    refused = on(*arguments)
    before = list(journal(world_file))
    done = on(*arguments, "--yes")

    assert (refused.status, refused.out) == (2, "")
    assert " needs to be confirmed. The " in refused.err
    assert refused.err.endswith("\nhint: If that is meant, answer yes, or give --yes.\n")
    assert before == []
    assert (done.status, done.err) == (0, "")
    assert journal(world_file) != []


@pytest.mark.parametrize("answer", ["y\n", "Yes\n", "n\n", "\n", "", "yess"])
@pytest.mark.parametrize("arguments", LOSSES)
def test_on_a_terminal_it_is_asked_for(
    on: Command,
    world_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    answer: str,
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))

    done = on(*arguments)

    agreed = answer.strip() in {"y", "Yes"}
    assert done.status == (0 if agreed else 2)
    assert done.err.startswith(("Shutdown: The host cannot shut", "Time Synchronization: The clock"))
    assert f"{'Stop' if arguments[0] == 'stop' else 'Disable'} it? [y/N] " in done.err
    assert (journal(world_file) != []) is agreed


def test_bytes_that_are_no_text_are_no_yes(on: Command, world_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Garbled(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Garbled(io.BytesIO(b"y\xff\n"), encoding="utf-8"))

    assert on("stop", "shutdown").status == 2
    assert journal(world_file) == []


def test_nobody_can_be_asked_without_standard_input(
    on: Command, world_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert on("stop", "shutdown").status == 2
    assert journal(world_file) == []

    monkeypatch.delenv("HVINTEGRATION_GUEST_PASSWORD")
    asked = run("guest", "--host", "sim:", "--vm", "demovm", "--guest-user", "Administrator", "info")
    assert (asked.status, asked.out) == (2, "")
    assert "There is no password for Administrator." in asked.err


def test_it_is_asked_for_before_any_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr("hvintegration.cli.ways.guest_transport_for", lambda address, **_: made.append(address))

    assert run("guest", "--host", "sim:", "stop", "shutdown").status == 2
    assert made == []


# -- what fails ---------------------------------------------------------------------------------------------------


def test_one_that_is_disabled_cannot_be_started_and_how_it_can(on: Command, world: World, world_file: Path) -> None:
    service = world.machine("demovm").guest_service(ServiceKind.VSS)
    assert service is not None
    service.status, service.start_type = "Stopped", "Disabled"

    started = on("start", "vss,heartbeat", "--format", "json")
    restarted = on("restart", "vss")

    assert (started.status, restarted.status) == (3, 1)
    for done in (started, restarted):
        assert "cannot start VSS: it is disabled in the guest." in done.err
        assert "Allow it first: 'hvintegration guest startup SERVICE manual'." in done.err
    assert [change["outcome"] for change in started.json["result"]] == ["failed", "unchanged"]
    assert [error["message"] for error in started.json["errors"]] == ["It is disabled in the guest."]
    assert journal(world_file) == []


def test_one_that_the_host_does_not_offer_stops_again_and_where_its_switch_is(on: Command) -> None:
    done = on("start", "gsi")

    assert done.status == 1
    assert done.out.splitlines()[2].split()[-3:] == ["start", "failed", "not_running"]
    assert "It was started, and stopped again by itself" in done.err
    assert "Enable it on the host: 'hvintegration enable \"Guest Service Interface\" VM'." in done.err


def test_one_that_is_not_installed(on: Command, world: World, world_file: Path) -> None:
    machine = world.machine("demovm")
    assert machine.guest_services is not None
    machine.guest_services = [service for service in machine.guest_services if service.name != "vmicrdv"]

    listed = on("services", "--format", "json")
    done = on("start", "vmicrdv")

    assert listed.status == 0
    assert [state["installed"] for state in listed.json["result"]].count(False) == 1
    assert done.status == 1
    assert "has no Remote Desktop Virtualization: it is not installed." in done.err
    assert journal(world_file) == []


def test_one_that_cannot_be_started_is_a_partial_failure(on: Command, world: World, world_file: Path) -> None:
    for kind in (ServiceKind.VSS, ServiceKind.KVP):
        service = world.machine("demovm").guest_service(kind)
        assert service is not None
        service.status = "Stopped"
    world.faults = [Fault(cmdlet="Start-Service", machine="demovm", message="Nein.", times=1)]

    done = on("start", "vss,kvp", "--format", "json")

    assert done.status == 3
    assert [change["outcome"] for change in done.json["result"]] == ["failed", "changed"]
    assert "failed to start VSS: Nein." in done.err
    assert [error["message"] for error in done.json["errors"]] == ["Nein."]
    assert journal(world_file) == ["guest-start demovm vmickvpexchange"]


def test_what_cannot_be_listed_is_an_error(on: Command, world: World) -> None:
    world.faults = [Fault(cmdlet="Get-Service", machine="demovm", message="Nein.")]

    done = on("services", "--format", "json")

    assert done.status == 1
    assert done.json["result"] is None
    assert "Nein." in done.err
    assert "The host" not in done.err


def test_what_the_connection_runs_on_is_not_stopped_over_it(world_file: Path) -> None:
    demo_world().save(world_file)
    through = ["guest", "--host", f"sim:{world_file}", "--vm", "demovm", "--guest-user", "Administrator"]

    for action in ("stop", "restart"):
        done = run(*through, action, "vmicvmsession")
        assert (done.status, done.out) == (2, "")
        assert "is what the connection with this guest runs on" in done.err
    assert journal(world_file) == []


@pytest.mark.parametrize(
    ("name", "user", "said"),
    [
        ("demovm", "nobody", ["does not let nobody in", "Give user and password of an account of the guest"]),
        ("web", "root", ["cannot be reached", "A Linux guest is reached over SSH."]),
        ("spare", "Administrator", ["cannot be reached", "Start the virtual machine first."]),
        ("nosuch", "Administrator", ["has no virtual machine named 'nosuch'", "'hvintegration vms' lists all"]),
    ],
)
@pytest.mark.parametrize("action", [["services"], ["stop", "vss"]])
def test_guests_that_cannot_be_reached(
    world_file: Path, name: str, user: str, said: list[str], action: list[str]
) -> None:
    demo_world().save(world_file)

    done = run("guest", "--host", f"sim:{world_file}", "--vm", name, "--guest-user", user, *action)

    assert (done.status, done.out) == (1, "")
    assert all(part in done.err for part in said)
    assert journal(world_file) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required: ACTION"),
        (["frobnicate"], "invalid choice"),
        (["services", "demovm"], "unrecognized arguments: demovm"),
        (["services", "--yes"], "unrecognized arguments: --yes"),
        (["restart", "vss", "--dry-run"], "unrecognized arguments: --dry-run"),
        (["start"], "the following arguments are required: SERVICE"),
        (["stop", "vss", "kvp"], "unrecognized arguments: kvp"),
        (["startup", "vss"], "the following arguments are required: startup"),
        (["startup", "vss", "often"], "invalid choice: 'often'"),
        (["restart", "vss,kvp"], "No integration service is known as 'vss,kvp'"),
        (["start", "Hartbeat"], "No integration service is known as 'Hartbeat'. Did you mean 'Heartbeat'?"),
        (["--vm", "demovm", "info"], "--vm needs --guest-user, a user of the guest"),
        (["--vm", "demovm", "--guest-user", "", "info"], "--vm needs --guest-user, a user of the guest"),
        (["--vm", "", "--guest-user", "Administrator", "info"], "cannot be the name or id"),
        (["--user", "a", "--guest-user", "b", "info"], "give one of --user and --guest-user"),
    ],
)
def test_misuse(arguments: list[str], says: str) -> None:
    done = run("guest", "--host", "sim:", *arguments)

    assert (done.status, done.out) == (2, "")
    assert says in done.err
    assert "Traceback" not in done.err


# -- who asks -----------------------------------------------------------------------------------------------------


class _Noting(Simulator):
    """A simulator that notes who asks in the guest."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.secrets: list[dict[str, Credential]] = []

    def call(self, call: Call, deadline: Deadline, /) -> str:
        self.secrets.append(dict(call.secrets))
        return super().call(call, deadline)


@pytest.mark.parametrize(
    ("arguments", "at", "inside"),
    [
        (["--vm", "demovm", "--guest-user", "Administrator"], None, Credential("Administrator", PASSWORD)),
        (
            ["--vm", "demovm", "--guest-user", "Administrator", "--user", "CORP\\admin"],
            Credential("CORP\\admin", "Host-Secret"),
            Credential("Administrator", PASSWORD),
        ),
        (["--guest-user", "Administrator"], Credential("Administrator", PASSWORD), None),
        (["--user", "Administrator"], Credential("Administrator", "Host-Secret"), None),
        ([], None, None),
    ],
)
def test_who_asks_where(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], at: Credential | None, inside: Credential | None
) -> None:
    made: list[Any] = []
    host = _Noting(demo_world()) if "--vm" in arguments else Simulator(demo_world(), guest="demovm")
    monkeypatch.setenv("HVINTEGRATION_PASSWORD", "Host-Secret")

    def note(*_: object, credential: Credential | None, **__: object) -> Simulator:
        made.append(credential)
        return host

    name = "transport_for" if "--vm" in arguments else "guest_transport_for"
    monkeypatch.setattr(f"hvintegration.cli.ways.{name}", note)

    done = run("guest", "--host", "winrm://hv01", *arguments, "services", "--option", "auth=ntlm")

    assert (done.status, done.err) == (0, "")
    assert made == [at]
    if isinstance(host, _Noting):
        assert host.secrets[-1] == {"Guest": inside}


def test_the_password_is_asked_for_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def type_it(question: str) -> str:
        asked.append(question)
        return PASSWORD

    monkeypatch.delenv("HVINTEGRATION_GUEST_PASSWORD")
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", type_it)

    done = run("guest", "--host", "sim:", "--vm", "demovm", "--guest-user", "Administrator", "services")

    assert (done.status, done.err) == (0, "")
    assert asked == ["Password of Administrator: "]


@pytest.mark.parametrize("given", [None, ""])
def test_without_a_password_and_a_terminal_there_is_no_asking(
    monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    monkeypatch.delenv("HVINTEGRATION_GUEST_PASSWORD")
    if given is not None:
        monkeypatch.setenv("HVINTEGRATION_GUEST_PASSWORD", given)

    done = run("guest", "--host", "sim:", "--vm", "demovm", "--guest-user", "Administrator", "services")

    assert (done.status, done.out) == (2, "")
    assert "There is no password for Administrator.\nhint: Set the variable HVINTEGRATION_GUEST_PASSWORD." in done.err


@pytest.mark.parametrize(
    "arguments",
    [["services"], ["info", "--format", "json"], ["stop", "vss"], ["start", "gsi"], ["services", "--vm", "web"]],
)
def test_no_output_and_no_recording_has_the_password(
    world_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    secret = "Xq7-Hidden-1"
    monkeypatch.setenv("HVINTEGRATION_GUEST_PASSWORD", secret)
    world = demo_world()
    world.machine("demovm").password = secret
    world.save(world_file)
    recording = tmp_path / "bug.jsonl"
    through = ["guest", "--host", f"sim:{world_file}", "--vm", "demovm", "--guest-user", "Administrator"]

    good = run(*through, *arguments, "--record", str(recording))
    monkeypatch.setenv("HVINTEGRATION_GUEST_PASSWORD", f"{secret}-wrong")
    wrong = run(*through, *arguments)

    assert wrong.status == 1
    for text in (good.out, good.err, wrong.out, wrong.err, recording.read_text("utf-8")):
        assert secret not in text


def test_what_is_recorded_is_replayed(world_file: Path, tmp_path: Path) -> None:
    demo_world().save(world_file)
    recording = str(tmp_path / "bug.jsonl")
    asking = ["--vm", "demovm", "--guest-user", "Administrator", "stop", "vss"]

    recorded = run("guest", "--host", f"sim:{world_file}", *asking, "--record", recording)
    replayed = run("guest", "--host", f"replay:{recording}", *asking)

    assert (recorded.status, recorded.err) == (0, "")
    assert replayed == recorded


# -- the rest -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "\x1b]0;owned\x07", "two\nlines", "[red]markup[/red]"], ids=ascii)
def test_hostile_names(on: Command, world: World, name: str) -> None:
    machine = world.machine("demovm")
    assert machine.guest_services is not None
    machine.guest_services[0].display_name = name
    world.computer = name

    shown, info, data = on("services"), on("info"), on("services", "--format", "json")

    assert (shown.status, info.status) == (0, 0)
    assert len(shown.out.splitlines()) == 2 + len(ServiceKind)
    assert not set("\x1b\x07\r") & set(shown.out + info.out)
    assert data.json["result"][0]["display_name"] == name


@pytest.mark.parametrize("action", ACTIONS)
def test_help_of_each_action(action: str) -> None:
    done = run("guest", action, "--help")

    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"usage: hvintegration guest {action} ")
    assert all(option in done.out for option in ("--host", "--vm", "--guest-user", "--format"))


@pytest.mark.engine
@pytest.mark.parametrize("way", ["through", "directly"])
def test_a_real_powershell(engine: str, world_file: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    demo_world().save(world_file)
    monkeypatch.setenv("HYPERV_WORLD", str(world_file))
    which = ["--vm", "demovm", "--guest-user", "Administrator"]
    if way == "directly":
        monkeypatch.setenv("HYPERV_GUEST", "demovm")
        which = []

    asked = run("guest", "--host", str(Local(engine)), *which, "services", "--format", "csv")
    stopped = run("guest", "--host", str(Local(engine)), *which, "stop", "vss,kvp", "--format", "csv")

    assert (asked.status, asked.err) == (0, "")
    assert [row["Service"] for row in asked.csv] == [kind.label for kind in ServiceKind]
    assert (stopped.status, stopped.err) == (0, "")
    assert [row["Outcome"] for row in stopped.csv] == ["changed", "changed"]
    assert journal(world_file) == ["guest-stop demovm vmicvss", "guest-stop demovm vmickvpexchange"]
