"""Recordings: what is written, what is not, and what is answered from them."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import stat
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hvintegration as hv
from hvintegration import errors
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import ConfigurationError, HvError
from hvintegration.scripts import GET_HOST, GET_VMS
from hvintegration.simulator import Fault, Machine, ServiceSetting, demo_world
from hvintegration.testing import machine_id
from hvintegration.transports.base import Step
from tests.support.time_limit import GRACE, within


class Scripted:
    """A transport that answers or raises what it is given."""

    requests = 7

    def __init__(self, *outcomes: str | BaseException, address: str = "ssh://admin@hv01") -> None:
        self._outcomes = list(outcomes)
        self._address = address
        self.closed = False

    def __str__(self) -> str:
        return self._address

    def call(self, call: Call, deadline: Deadline, /) -> str:
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bug.jsonl"


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("ascii").splitlines()]


def recorded(file: Path, *outcomes: str | BaseException, **options: Any) -> hv.Recorder:  # noqa: ANN401
    recorder = hv.Recorder(Scripted(*outcomes), file, **options)
    for outcome in outcomes:
        try:
            recorder.call(Call(GET_HOST, {}), Deadline(5))
        except BaseException as error:  # noqa: BLE001
            assert error is outcome  # noqa: PT017
    return recorder


def answer(**result: object) -> str:
    return json.dumps({"schema": 1, "result": result, "errors": []})


# -- what is written ----------------------------------------------------------------------------------------------


def test_steps_are_written_like_calls(file: Path) -> None:
    class Stepping(Scripted):
        def steps(self) -> list[Step]:
            def fail(_deadline: Deadline) -> str:
                raise errors.PermissionDeniedError(
                    "hv01 does not let you: Nein.", address="ssh://admin@hv01", error_id="5", host_message="Nein."
                )

            return [("authentication", lambda _: "ntlm as CORP\\jane"), ("PowerShell", fail)]

    (_, look), (_, fail) = hv.Recorder(Stepping(), file).steps()

    assert look(Deadline(5, hv.VirtualClock())) == "ntlm as CORP\\jane"
    with pytest.raises(errors.PermissionDeniedError):
        fail(Deadline(4, hv.VirtualClock()))

    _, first, second = lines_of(file)
    assert 0 <= first.pop("seconds") < 5
    assert first == {"step": "authentication", "timeout": 5, "detail": "xxxx xx xxxx\\xxxx"}
    assert (second["step"], second["timeout"], second["error"]["class"]) == ("PowerShell", 4, "PermissionDeniedError")
    assert second["error"]["message"] == "hv01 does not let you: xxxx."
    assert "jane" not in file.read_text()


def test_it_hands_on_what_it_records(file: Path) -> None:
    inner = Scripted(answer(name="HV01"))
    recorder = hv.Recorder(inner, file)

    assert isinstance(recorder, hv.Transport)
    assert recorder.call(Call(GET_HOST, {}), Deadline(5)) == answer(name="HV01")
    assert (str(recorder), recorder.requests, recorder.steps()) == ("ssh://admin@hv01", 7, ())
    assert recorder.failure is None
    assert repr(recorder) == "<Recorder ssh://admin@hv01 in bug.jsonl>"
    recorder.close()
    assert inner.closed


def test_the_clock_and_the_steps_are_those_of_the_other_transport(tmp_path: Path) -> None:
    clock = hv.VirtualClock()
    local = hv.Local("/nosuch")

    assert hv.Recorder(hv.Simulator(hv.World(), clock=clock), tmp_path / "a").clock is clock
    assert [name for name, _ in hv.Recorder(local, tmp_path / "b").steps()] == [name for name, _ in local.steps()]


def test_a_recording_says_what_made_it_and_what_was_asked(file: Path) -> None:
    recorded(file, answer(name="HV01"))

    header, call = lines_of(file)
    assert (header["format"], header["version"], header["package"]) == ("hvintegration recording", 2, hv.__version__)
    assert header["address"] == "ssh://***@hv01"
    assert (call["script"], call["document"], call["timeout"]) == ("get_host", {}, 5)
    assert 0 <= call["seconds"] < 5
    assert call["answer"]["result"] == {"name": "HV01"}


def test_each_call_is_in_the_file_when_it_returns(file: Path) -> None:
    host = hv.Host(hv.Recorder(hv.Simulator(hv.World()), file))

    for calls in (1, 2, 3):
        host.info()
        assert len(lines_of(file)) == 1 + calls


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes of files")
def test_nobody_else_may_read_it(file: Path) -> None:
    hv.Recorder(Scripted(), file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_texts_of_others_are_written_as_their_shape(file: Path) -> None:
    world = hv.World(
        machines=[
            Machine(id=machine_id(1), name="vm", notes="Büro 12, Tel. +49-30", addresses=["192.0.2.5", "fe80::1"])
        ]
    )
    world.faults = [Fault(cmdlet="Get-VMIntegrationService", id="OperationFailed", message="Kaputt: Anna")]
    host = hv.Host(hv.Recorder(hv.Simulator(world), file))

    host.inventory()

    (vm,) = lines_of(file)[1]["answer"]["result"]["vms"]
    (error,) = lines_of(file)[1]["answer"]["errors"]
    assert (vm["name"], vm["state"]) == ("vm", "Running")
    assert vm["info"]["notes"] == "xxxx 00, xxx. +00-00"
    assert vm["info"]["addresses"] == ["000.0.0.0", "xx00::0"]
    assert vm["info"]["status"] == "xxxxxxxxx xxxxxxxx"
    assert (error["message"], error["target"]) == ("xxxxxx: xxxx", machine_id(1))


@pytest.mark.parametrize("kept", [False, True], ids=["masked", "as it is"])
def test_a_document_within_a_document_is_masked_as_one_and_answers_again(file: Path, *, kept: bool) -> None:
    """What a host passes on to a guest, and what comes back."""
    service = {
        "name": "vmicvss",
        "state": "Running",
        "start_type": "Manual",
        "account": "CORP\\anne",
        "path": "C:\\Geheim",
    }
    result = {"vm_id": None, "version": None, "info": None, "services": [service]}
    guest = json.dumps({"schema": 1, "result": result, "errors": []})
    told = json.dumps({"schema": 1, "result": {"opened": False, "reason": None, "answer": guest}, "errors": []})
    credential = hv.Credential("anne-mark", "Pa55-mark-Wort!")

    def ask(transport: hv.Transport) -> list[object]:
        rows = hv.Host(transport).vm(machine_id(1)).guest(credential=credential).services.list()
        return [(row.kind, row.installed, row.status, row.startup) for row in rows]

    recorded = ask(hv.Recorder(Scripted(told), file, keep_texts=kept))
    written = file.read_text()
    assert [secret in written for secret in ("Pa55", "anne-mark", "Geheim", "CORP")] == [False, False, kept, kept]
    assert ask(hv.Replay(file)) == recorded


def test_what_a_guest_told_its_host_answers_again_but_not_what_is_secret(file: Path) -> None:
    world = demo_world()
    told: dict[str, str | None] = {
        "OSName": 'Windows 8 of "R&D"',
        "OSVersion": "6.2.9200",
        "FullyQualifiedDomainName": "Geheim",
    }
    world.machine("demovm").intrinsic = told

    def ask(transport: hv.Transport) -> hv.UpdateAdvice:
        return hv.Host(transport).vms["demovm"].update_advice()

    recorded = ask(hv.Recorder(hv.Simulator(world), file, secrets=['of "R&D"']))
    assert recorded.guest_os == ("Windows 8",)
    assert ask(hv.Replay(file)) == recorded
    assert [text in file.read_text() for text in ("Geheim", "R&", "Windows 8 ***")] == [False, False, True]


@pytest.mark.parametrize("nested", ["Geheim", '"Geheim"', '["Geheim"', "[" * 100_000, "NaN", ""])
def test_what_is_no_document_within_a_document_is_written_as_its_shape(file: Path, nested: str) -> None:
    told = json.dumps({"schema": 1, "result": {"answer": nested}, "errors": []})
    hv.Recorder(Scripted(told), file).call(Call(GET_HOST, {"document": nested}), Deadline(5))
    assert "Geheim" not in file.read_text()


def test_a_text_under_a_key_that_nobody_knows_is_not_written(file: Path) -> None:
    recorded(file, answer(kvp={"Password": "hunter2", "deep": [["secret"]]}, 名="x"))

    assert lines_of(file)[1]["answer"]["result"]["kvp"] == {"Password": "xxxxxx0", "deep": [["xxxxxx"]]}


def test_an_answer_that_cannot_be_read_in_time_is_written_as_the_time_out_that_it_is(file: Path) -> None:
    late = answer(name="hv01")
    recorder = hv.Recorder(Scripted(late), file)

    assert recorder.call(Call(GET_HOST, {}), Deadline(0)) == late
    assert lines_of(file)[1]["error"]["class"] == "TransportTimeoutError"


@pytest.mark.parametrize(
    "notes",
    [
        pytest.param("a, b" * 7_000_000, id="one long text"),
        pytest.param(["\N{SNOWMAN}" * 500_000] * 50, id="long texts"),
        pytest.param(["\N{SNOWMAN}" * 500] * 20_000, id="many texts"),
        pytest.param([[]] * 110_000, id="many lists"),
    ],
)
def test_writing_an_answer_down_takes_no_longer_than_the_time(notes: object, file: Path) -> None:
    large = json.dumps({"schema": 1, "result": {"notes": notes}, "errors": []}, ensure_ascii=False)
    recorder = hv.Recorder(Scripted(large), file, secrets=("hv01", "demovm"))

    with within(0.3 + GRACE):
        assert recorder.call(Call(GET_HOST, {}), Deadline(0.3)) == large


def test_of_a_very_long_text_nothing_is_written(file: Path) -> None:
    recorded(file, answer(notes="x" * 1_000_001, name="y" * 1_000_001), keep_texts=True)

    assert lines_of(file)[1]["answer"]["result"] == {"notes": "***", "name": "***"}


def test_texts_are_kept_on_request_but_secrets_are_not(file: Path) -> None:
    recorded(file, answer(notes="Ask Bob at HV01", name="hv01"), keep_texts=True, secrets=["hv01"])

    assert lines_of(file)[1]["answer"]["result"] == {"notes": "Ask Bob at ***", "name": "***"}
    assert lines_of(file)[0]["address"] == "ssh://***@***"


@pytest.mark.parametrize("secret", ["Größe 7", 'quo"te', "back\\slash", "new\nline", "a.c", "\U0001f600!"])
def test_a_secret_is_replaced_however_it_is_written(file: Path, secret: str) -> None:
    spellings = [secret, secret.upper(), secret.lower(), json.dumps(secret), json.dumps(secret, ensure_ascii=False)]
    failure = errors.ConnectionLostError(f"Lost {secret}.", address=f"x:{secret}", may_have_run=True)
    known = [answer(name=f"<{spelling}>", notes=spelling, **{secret: 1}) for spelling in spellings]
    file.with_name("other").touch()

    recorded(file, *known, failure, f"no JSON: {secret}", secrets=(secret,), keep_texts=True)

    text = file.read_text("ascii")
    for line in text.splitlines():
        for spelling in (secret, secret.upper(), secret.lower(), json.dumps(secret)[1:-1]):
            assert spelling not in json.dumps(json.loads(line), ensure_ascii=False)
            assert spelling not in line
    assert "<***>" in text


def test_a_secret_that_looks_like_a_mask_is_not_written_either(file: Path) -> None:
    recorded(file, answer(notes="0000"), secrets=["0000"])

    assert lines_of(file)[1]["answer"]["result"]["notes"] == "***"


@pytest.mark.parametrize("secrets", [[""], ["ok", ""]])
def test_an_empty_secret_is_refused(file: Path, secrets: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"^Invalid secret '': it is empty.$"):
        hv.Recorder(Scripted(), file, secrets=secrets)
    assert not file.exists()


def test_one_secret_needs_no_list(file: Path) -> None:
    recorded(file, answer(name="abc cab"), secrets="abc")

    assert lines_of(file)[1]["answer"]["result"]["name"] == "*** cab"


@pytest.mark.parametrize("user", ["jane", "CORP\\jane", "o'jane", "mary jane", "x@jane", "o'\"jane", "x/jane"])
def test_who_asks_is_in_no_part_of_an_error(file: Path, user: str) -> None:
    key = Path("~/.ssh/id_ed25519").expanduser()
    refusal = errors.AuthenticationError(
        f"hv01 does not accept the user {user!r} with the key {key}.", address=f"ssh://{user}@hv01"
    )
    recorder = hv.Recorder(Scripted(refusal, address=f"ssh://{user}@hv01"), file)

    with pytest.raises(errors.AuthenticationError):
        recorder.call(Call(GET_HOST, {}), Deadline(5))

    assert lines_of(file)[0]["address"] == "ssh://***@hv01"
    error = lines_of(file)[1]["error"]
    assert error["message"] == f"hv01 does not accept the user *** with the key {Path('~', '.ssh', 'id_ed25519')}."
    assert error["facts"]["address"] == "ssh://***@hv01"
    assert "jane" not in file.read_text()


def test_a_host_s_message_is_in_no_part_of_an_error(file: Path) -> None:
    refusal = errors.PermissionDeniedError(
        "hv01 does not let this user read: Anna darf nicht.", address="hv01", host_message="Anna darf nicht."
    )
    garbled = errors.ProtocolError("No CLIXML.", address="hv01", received="<Anna>")

    recorded(file, refusal, garbled)

    assert "Anna" not in file.read_text()
    assert lines_of(file)[1]["error"]["message"] == "hv01 does not let this user read: xxxx xxxx xxxxx."


def test_a_hint_is_masked_in_both_forms(file: Path) -> None:
    key = Path("~/.ssh/id").expanduser()
    hint = errors.Hint(f"hv01: pass key={key}.", f"hv01: pass --option key={key}.")
    recorded(file, errors.ConnectError("No.", address="ssh://jane@hv01", hint=hint), secrets=["hv01"])

    error = lines_of(file)[1]["error"]
    masked = Path("~", ".ssh", "id")
    assert (error["hint"], error["command_hint"]) == (f"***: pass key={masked}.", f"***: pass --option key={masked}.")


# -- files --------------------------------------------------------------------------------------------------------


def test_a_recording_is_never_written_over(file: Path) -> None:
    file.write_text("mine")

    with pytest.raises(ConfigurationError, match="exists already"):
        hv.Recorder(Scripted(), file)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("name", ["nosuch/bug.jsonl", "nul\0"])
def test_a_file_that_cannot_be_made_is_said_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        hv.Recorder(Scripted(), tmp_path / name)


def test_a_recording_that_breaks_loses_no_answer(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = hv.Recorder(Scripted(*[answer(name=name) for name in "abc"]), file)
    recorder.call(Call(GET_HOST, {}), Deadline(5))
    file.rename(file.with_name("gone"))

    answers = [recorder.call(Call(GET_HOST, {}), Deadline(5)) for _ in "bc"]

    assert answers == [answer(name="b"), answer(name="c")]
    assert isinstance(recorder.failure, HvError)
    assert "ends after call 1: No such file" in str(recorder.failure)
    assert [record.message for record in caplog.records] == [str(recorder.failure)]
    assert not file.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = hv.Recorder(Scripted(answer(name="a")), file)
    monkeypatch.setattr(recorder, "_path", Path("/dev/full"))

    assert recorder.call(Call(GET_HOST, {}), Deadline(5)) == answer(name="a")
    assert "No space left on device" in str(recorder.failure)


def test_a_change_of_folder_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorder = hv.Recorder(hv.Simulator(hv.World()), "bug.jsonl")
    monkeypatch.chdir("/")

    hv.Host(recorder).info()

    assert len(lines_of(tmp_path / "bug.jsonl")) == 2


# -- replaying ----------------------------------------------------------------------------------------------------


def converse(host: hv.Host) -> list[object]:
    info = host.info()
    vm = host.vms["demovm"]
    service = vm.services["gsi"]
    values: list[object] = [info, vm.id, service.enable(), service.wait_until_ok(), host.inventory()]
    with pytest.raises(errors.VMNotFoundError):
        host.vms["nobody"]
    return [*values, host.set_services([(vm, "vss", False), ("web", "kvp", False)], dry_run=True)]


def test_a_conversation_comes_back_as_it_was_and_takes_no_time(file: Path) -> None:
    clock = hv.VirtualClock()
    simulator = hv.Simulator(hv.simulator.demo_world(), clock=clock, settle=8)
    then = converse(hv.Host(hv.Recorder(simulator, file, keep_texts=True)))
    replay = hv.Replay(file)

    now = converse(hv.Host(replay))

    assert now == then
    assert replay.clock.monotonic() == clock.monotonic() >= 8
    assert replay.clock.now() == clock.now()
    assert (replay.remaining, str(replay)) == (0, f"replay:{file}")
    assert repr(replay) == f"<Replay bug.jsonl, 0 of {len(lines_of(file)) - 1} calls to come>"


def test_it_is_reached_by_its_address(file: Path) -> None:
    with hv.Host(hv.Recorder(hv.transport_for("sim:"), file)) as host:
        host.info()
        host.vms["demovm"]

    with hv.connect(f"replay:{file}") as again:
        assert again.vms["demovm"].name == "demovm"
        assert again.address == f"replay:{file}"
    with pytest.raises(ConfigurationError, match="takes no credential"):
        hv.connect(f"replay:{file}", credential=hv.Credential("a", "b"))


FAILURES: list[HvError] = [
    errors.ConfigurationError("No.", hint="Do."),
    errors.ConnectError("No connection.", address="hv01"),
    errors.AuthenticationError("Who?", address="hv01", hint="Say who."),
    errors.UntrustedHostError("Not the one.", address="hv01", expected=None, offered="SHA256:abc"),
    errors.BusyError("Later.", address="hv01"),
    errors.TransportTimeoutError(address="hv01", after=2.5, may_have_run=True),
    errors.ConnectionLostError("Gone.", address="hv01", may_have_run=False, fenced=True),
    errors.ProtocolError("What?", address="hv01", received="<>"),
    errors.PermissionDeniedError("No.", address="hv01", error_id="AccessDenied", category="PermissionDenied"),
    errors.UnsupportedError("No module.", address="hv01", needs="a module"),
    errors.InvalidStateError("Not now.", address="hv01", action="go", error_id="InvalidState"),
    errors.VMNotFoundError("None.", address="hv01"),
    errors.AmbiguousError("Two.", address="hv01", candidates=("a", "b")),
    errors.ConnectError("No.", address="hv01", hint=errors.Hint("Pass a=1.", "Pass --option a=1.")),
    errors.CommandFailedError("No.", address="hv01"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_an_error_is_raised_again(file: Path, failure: HvError) -> None:
    recorded(file, failure)

    with pytest.raises(type(failure)) as again:
        hv.Replay(file).call(Call(GET_HOST, {}), Deadline(5))

    assert type(again.value) is type(failure)
    assert (str(again.value), vars(again.value)) == (str(failure), vars(failure))
    assert again.value.retryable is failure.retryable
    assert errors.for_command(again.value.hint or "") == errors.for_command(failure.hint or "")
    assert str(pickle.loads(pickle.dumps(again.value))) == str(failure)  # noqa: S301


def test_an_error_of_another_class_is_the_nearest_known_one(file: Path) -> None:
    class Own(errors.ConnectionLostError):
        pass

    recorded(file, Own("Gone.", address="x", may_have_run=True))

    with pytest.raises(errors.ConnectionLostError) as again:
        hv.Replay(file).call(Call(GET_HOST, {}), Deadline(5))
    assert type(again.value) is errors.ConnectionLostError


def test_ctrl_c_and_bugs_are_recorded_without_what_they_say(file: Path) -> None:
    recorded(file, KeyboardInterrupt("hunter2"), OSError("hunter2"), answer(name="HV01"))
    replay = hv.Replay(file)

    assert "hunter2" not in file.read_text()
    with pytest.raises(KeyboardInterrupt):
        replay.call(Call(GET_HOST, {}), Deadline(5))
    with pytest.raises(RuntimeError, match="OSError"):
        replay.call(Call(GET_HOST, {}), Deadline(5))
    assert json.loads(replay.call(Call(GET_HOST, {}), Deadline(5)))["result"] == {"name": "HV01"}


@pytest.mark.parametrize("nonsense", ["", "<html>Bob</html>", "[" * 100, '{"a": NaN}', "1" * 5000])
def test_an_answer_that_cannot_be_read_is_as_unreadable_again(file: Path, nonsense: str) -> None:
    with pytest.raises(errors.ProtocolError) as then:
        hv.Host(hv.Recorder(Scripted(nonsense), file)).info()

    with pytest.raises(errors.ProtocolError) as again:
        hv.Host(hv.Replay(file)).info()

    assert "Bob" not in file.read_text()
    assert again.value.fenced is then.value.fenced
    assert str(again.value) == str(then.value).replace("ssh://admin@", "ssh://***@")


@pytest.mark.parametrize("odd", ["[]", '{"schema": 2}', '{"schema": 1, "result": {"name": 1e999}, "errors": []}'])
def test_an_answer_of_another_shape_has_it_again(file: Path, odd: str) -> None:
    with pytest.raises(errors.DecodeError) as then:
        hv.Host(hv.Recorder(Scripted(odd), file)).info()
    with pytest.raises(errors.DecodeError) as again:
        hv.Host(hv.Replay(file)).info()

    assert again.value.path == then.value.path


def test_what_is_asked_otherwise_is_refused_and_can_be_asked_right(file: Path) -> None:
    document = {"vm_id": None, "name": ":a", "flags": [1, {"deep": "text"}]}
    recorder = hv.Recorder(Scripted(answer(vms=[])), file)
    recorder.call(Call(GET_VMS, document), Deadline(5))
    replay = hv.Replay(file)

    for script, asked, says in (
        (GET_HOST, document, "Call 1 of .* get_vms was asked for, and now get_host is"),
        (GET_VMS, document | {"name": ":b"}, r'":a" at \$.name, and now has ":b"'),
        (GET_VMS, document | {"flags": "no list"}, r"and now has \"xx xxxx\""),
        (GET_VMS, document | {"more": 1}, r"null at \$.more, and now has 1"),
        (GET_VMS, document | {"flags": [True, {"deep": "text"}]}, r"1 at \$.flags\[0\], and now has true"),
        (GET_VMS, document | {"flags": []}, r"1 at \$.flags\[0\], and now has null"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            replay.call(Call(script, asked), Deadline(5))
    # What is masked in the file is masked before it is compared.
    replay.call(Call(GET_VMS, document | {"flags": [1, {"deep": "even"}]}), Deadline(5))
    with pytest.raises(ConfigurationError, match="ends after 1 calls; call 2, get_host, is not in it"):
        replay.call(Call(GET_HOST, {}), Deadline(5))


def test_masked_names_are_asked_for_masked(file: Path) -> None:
    host = hv.Host(hv.Recorder(hv.Simulator(hv.simulator.demo_world()), file, secrets=["demovm"]))
    host.vms["demovm"].info()

    vm = hv.Host(hv.Replay(file)).vms["***"]

    assert vm.info().name == "***"


def broken(change: Callable[[list[str]], object], file: Path) -> None:
    recorded(file, answer(name="HV01"), FAILURES[1])
    lines = file.read_text().splitlines(keepends=True)
    change(lines)
    file.write_text("".join(lines), newline="")


def put(line: int, path: str, value: object) -> Callable[[list[str]], object]:
    def change(lines: list[str]) -> None:
        document = json.loads(lines[line - 1])
        *way, last = path.split(".")
        place = document
        for key in way:
            place = place[key]
        place.pop(last, None) if value is None else place.update({last: value})
        lines[line - 1] = json.dumps(document) + "\n"

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (list.clear, "line 1: it is empty"),
        (lambda lines: lines.append('{"script": "get_'), "line 4: it is cut short"),
        (lambda lines: lines.insert(1, "\n"), "line 2: it is not JSON"),
        (lambda lines: lines.insert(1, "[]\n"), "line 2: .* an object belongs"),
        (lambda lines: lines.insert(2, "[" * 10_000 + "\n"), "line 3: it has more than 34 levels"),
        (lambda lines: lines.insert(2, '{"seconds": NaN}\n'), "line 3: it is not JSON"),
        (lambda lines: lines.pop(0), r"line 1: .* at \$.format, where 'hvintegration recording' belongs"),
        (put(1, "version", 1), r"line 1: it has 1 at \$.version, where 2 belongs"),
        (put(1, "version", "2"), r"line 1: it has '2' at \$.version"),
        (put(1, "recorded_at", "yesterday"), r"line 1: .* a time with its zone"),
        (put(1, "recorded_at", "9999-12-31T00:00:00+00:00"), r"line 1: .* a time with its zone"),
        (put(2, "script", 3), r"line 2: it has 3 at \$.script"),
        (put(2, "step", 3), r"line 2: .* at \$.detail"),
        (lambda lines: lines.append('{"step": 3, "seconds": 0, "detail": ""}\n'), r"line 4: it has 3 at \$.step"),
        (lambda lines: lines.append('{"step": "port", "detail": ""}\n'), r"line 4: .* at \$.seconds"),
        (put(2, "document", None), r"line 2: .* at \$.document"),
        (put(2, "answer", None), r"line 2: .* at \$.answer"),
        (put(2, "seconds", -1), r"line 2: .* at \$.seconds"),
        (put(2, "seconds", 1e300), r"line 2: .* at \$.seconds"),
        (put(2, "seconds", "1"), r"line 2: .* at \$.seconds"),
        (put(3, "error", []), r"line 3: .* at \$.error"),
        (put(3, "error.class", 3), r"line 3: .* at \$.error.class"),
        (put(3, "error.class", "NewError"), r"line 3: it has 'NewError' at \$.error.class"),
        (put(3, "error", {"class": 3}), r"line 3: it has 3 at \$.error.class"),
        (put(3, "error", {"class": "HvError", "more": 1}), r"line 3: it has None at \$.error.schema"),
        (put(3, "error.facts", None), r"line 3: .* at \$.error.facts"),
        (put(3, "error.facts.fenced", "yes"), r"line 3: it has 'yes' at \$.error.facts.fenced"),
        (put(3, "error.facts.address", None), r"line 3: it has None at \$.error.facts.address"),
    ],
)
def test_a_broken_recording_is_refused_with_the_line(
    file: Path, change: Callable[[list[str]], object], says: str
) -> None:
    broken(change, file)

    with pytest.raises(ConfigurationError, match=f"^Invalid recording '.*bug.jsonl': {says}"):
        hv.Replay(file)


def test_what_is_no_recording_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\x00\n")
    (tmp_path / "large").write_text("x" * 101)
    monkeypatch.setattr("hvintegration.transports.recording.replay.MOST_CHARACTERS", 100)

    for name, says in (
        ("binary", "Invalid recording '.*binary': it is not text."),
        ("nosuch", "No such file"),
        ("large", "large cannot be read: it is longer than 100 characters."),
        ("\0", "cannot"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            hv.connect(f"replay:{tmp_path / name}")


def test_a_recording_may_be_edited_with_an_editor_of_windows(file: Path) -> None:
    recorded(file, answer(name="HV01"))
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"HV01", b"HOST").replace(b"\n", b"\r\n"))

    assert json.loads(hv.Replay(file).call(Call(GET_HOST, {}), Deadline(5)))["result"]["name"] == "HOST"


def test_no_link_is_followed(tmp_path: Path, file: Path) -> None:
    (tmp_path / "target").touch()
    if not hasattr(os, "O_NOFOLLOW"):
        pytest.skip("this system has no O_NOFOLLOW")
    recorder = hv.Recorder(Scripted(answer()), file)
    file.unlink()
    file.symlink_to(tmp_path / "target")

    recorder.call(Call(GET_HOST, {}), Deadline(5))

    assert recorder.failure is not None
    assert (tmp_path / "target").read_bytes() == b""


HOSTILE = "\x1b]0;owned\x07\x9b2J\r\n\u202e\u2028\ud800\0"


def poisoned(value: object) -> Iterator[object]:
    """*value* again and again, each time with one text in it, or one key, that a terminal would obey."""
    if isinstance(value, str):
        yield f"{value}{HOSTILE}"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield {name: item for name, item in value.items() if name != key} | {f"{key}{HOSTILE}": item}
            yield from (value | {key: bad} for bad in poisoned(item))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from ([*value[:index], bad, *value[index + 1 :]] for bad in poisoned(item))
    else:
        yield HOSTILE
        yield {HOSTILE: value}


def shown_of(error: BaseException) -> Iterator[str]:
    yield from (str(error), repr(error), *getattr(error, "__notes__", ()))
    yield "".join(traceback.format_exception_only(error))
    if isinstance(error, HvError):
        yield errors.for_command(error.hint or "")
        yield from (str(getattr(error, fact)) for fact in ("excerpt", "found") if hasattr(error, fact))


def service(host: hv.Host) -> hv.IntegrationService:
    return host.vms["demovm"].services["vss"]


def conversation(file: Path) -> list[str]:
    """All that is shown of a conversation by texts, reprs and errors."""
    shown: list[str] = []

    def show(ask: Callable[[], object]) -> None:
        try:
            value = ask()
        except (HvError, RuntimeError) as error:
            shown.extend(shown_of(error))
        else:
            shown.extend((str(value), repr(value)))

    try:
        host = hv.Host(hv.Replay(file))
    except ConfigurationError as error:
        return list(shown_of(error))
    show(host.check)
    show(host.inventory)
    show(lambda: service(host).state())
    show(lambda: service(host).enable())
    show(host.info)
    show(host.info)
    return shown


@pytest.fixture
def told(file: Path) -> list[dict[str, Any]]:
    """The lines of a recording with answers, failures, errors and steps in it."""
    settings = {"vss": ServiceSetting(), "heartbeat": ServiceSetting(primary="Ok")}
    world = hv.World(machines=[Machine(id=machine_id(1), name="demovm", services=settings)])
    world.faults = [Fault(cmdlet="Get-VMIntegrationService", id="OperationFailed", message="Nein.", times=1)]

    class Odd(Scripted):
        def __init__(self) -> None:
            super().__init__()
            self.inner = hv.Simulator(world)
            self.calls = 0

        def steps(self) -> list[Step]:
            return [("port", lambda _: "5985")]

        def call(self, call: Call, deadline: Deadline, /) -> str:
            self.calls += 1
            if self.calls == 6:
                raise errors.ProtocolError("What hv01 sent is odd.", address="hv01", received="<odd>", hint="Look.")
            if self.calls == 7:
                raise OSError
            return self.inner.call(call, deadline)

    host = hv.Host(hv.Recorder(Odd(), file.with_name("more.jsonl")))
    for ask in (
        host.check,
        host.inventory,
        lambda: service(host).state(),
        lambda: service(host).enable(),
        host.info,
        host.info,
        host.info,
    ):
        with contextlib.suppress(HvError, OSError):
            ask()
    return lines_of(file.with_name("more.jsonl"))


def test_no_text_of_a_recording_reaches_a_terminal_as_more_than_a_text(told: list[dict[str, Any]], file: Path) -> None:
    assert len(told) > 8
    assert {"step", "answer", "error"} <= {key for line in told for key in line}
    for number, line in enumerate(told):
        for bad in poisoned(line):
            lines = [*told[:number], bad, *told[number + 1 :]]
            file.write_text("".join(f"{json.dumps(entry)}\n" for entry in lines), "ascii")

            shown = conversation(file)

            assert shown
            for text in shown:
                obeyed = [c for c in text if not c.isprintable() and c != "\n"]
                assert obeyed == [], (bad, text)
