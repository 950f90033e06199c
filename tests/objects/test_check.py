"""host.check(): which step failed, what to do, and what was not tried."""

from __future__ import annotations

import json
import pickle
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import hvintegration as hv
from hvintegration import CheckOutcome, errors
from hvintegration.calls.call import Call
from hvintegration.calls.refusals import Refusal, remote_error
from hvintegration.clock import Deadline
from hvintegration.errors import ConfigurationError, HvError, TransportTimeoutError
from hvintegration.operations.refusals import hyperv_error
from hvintegration.simulator import Fault, Machine
from hvintegration.testing import machine_id

HOST_STEPS = ["answer", "module", "rights", "language mode", "virtual machines", "services"]
OK, FAILED, SKIPPED = CheckOutcome.OK, CheckOutcome.FAILED, CheckOutcome.SKIPPED


class Stepping:
    """A transport with steps, in front of a simulated host; a call may fail."""

    def __init__(self, clock: hv.VirtualClock, *steps: HvError | str | float, failure: HvError | None = None) -> None:
        self.clock = clock
        self.given: list[float] = []
        self._outcomes = steps
        self._failure = failure
        self._inner = hv.Simulator(hv.simulator.demo_world(), clock=clock)

    def __str__(self) -> str:
        return "stepping:"

    def steps(self) -> Sequence[tuple[str, Callable[[Deadline], str]]]:
        return [(f"step {number}", self._step(outcome)) for number, outcome in enumerate(self._outcomes, 1)]

    def _step(self, outcome: HvError | str | float) -> Callable[[Deadline], str]:
        def look(deadline: Deadline) -> str:
            self.given.append(deadline.left())
            if isinstance(outcome, HvError):
                raise outcome
            if isinstance(outcome, str):
                return outcome
            self.clock.sleep(outcome)
            return "slept"

        return look

    def call(self, call: Call, deadline: Deadline, /) -> str:
        if self._failure is not None:
            raise self._failure
        return self._inner.call(call, deadline)

    def close(self) -> None:
        pass


@pytest.fixture
def clock() -> hv.VirtualClock:
    return hv.VirtualClock()


def outcomes(check: hv.HostCheck) -> list[CheckOutcome]:
    return [step.outcome for step in check.steps]


def test_a_host_that_answers_is_ok(clock: hv.VirtualClock) -> None:
    host = hv.Host(hv.Simulator(hv.simulator.demo_world(), clock=clock))

    check = host.check()

    assert [step.name for step in check.steps] == HOST_STEPS
    assert outcomes(check) == [OK] * 6
    assert [step.detail for step in check.steps] == [
        "HV01, PowerShell 7.6.9 (Core)",
        "Hyper-V 2.0.0.0",
        "This user may manage Hyper-V.",
        "FullLanguage",
        "5 can be seen",
        "demovm has 6",
    ]
    assert check.ok
    assert check.failed is None
    assert (check.address, check.read_at) == ("sim:", clock.now())
    assert host.session.stats.round_trips == 3


def test_it_is_a_value_like_the_others(clock: hv.VirtualClock) -> None:
    host = hv.Host(hv.Simulator(hv.simulator.demo_world(), clock=clock))
    check = host.check()
    clock.sleep(5)

    assert host.check() == check
    assert pickle.loads(pickle.dumps(check)) == check  # noqa: S301
    plain = check.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert (plain["schema"], plain["address"], plain["ok"]) == (1, "sim:", True)
    assert plain["steps"][0] == {  # type: ignore[index]
        "name": "answer",
        "outcome": "ok",
        "detail": "HV01, PowerShell 7.6.9 (Core)",
        "hint": None,
        "seconds": 0.0,
    }
    assert str(check).splitlines()[2].split() == ["answer", "ok", "0.0", "HV01,", "PowerShell", "7.6.9", "(Core)"]
    assert check._repr_html_().startswith("<table ")


def test_the_steps_of_the_transport_come_first(clock: hv.VirtualClock) -> None:
    transport = Stepping(clock, "192.0.2.1", "open", 2.0)

    check = hv.Host(transport).check(timeout=10)

    assert isinstance(transport, hv.Checkable)
    assert [step.name for step in check.steps] == ["step 1", "step 2", "step 3", *HOST_STEPS]
    assert [step.detail for step in check.steps[:3]] == ["192.0.2.1", "open", "slept"]
    assert [step.seconds for step in check.steps[:3]] == [0, 0, 2]
    assert transport.given == [10, 10, 10]
    assert check.ok


def test_after_a_step_that_failed_nothing_is_tried(clock: hv.VirtualClock) -> None:
    refused = errors.AuthenticationError("Wrong password.", address="stepping:", hint="Give another one.")
    host = hv.Host(Stepping(clock, "open", refused, "never"))

    check = host.check()

    assert outcomes(check) == [OK, FAILED] + [SKIPPED] * 7
    assert not check.ok
    assert check.failed is check.steps[1]
    assert (check.steps[1].detail, check.steps[1].hint) == ("Wrong password.", "Give another one.")
    assert check.steps[2].detail == "It needs the step 'step 2'."
    assert host.session.stats.round_trips == 0


def test_a_recorder_has_the_steps_of_what_it_records(clock: hv.VirtualClock, tmp_path: Path) -> None:
    recorder = hv.Recorder(Stepping(clock, "open"), tmp_path / "bug.jsonl")

    assert [step.name for step in hv.Host(recorder).check().steps] == ["step 1", *HOST_STEPS]


def test_a_replay_has_the_steps_that_were_taken(clock: hv.VirtualClock, tmp_path: Path) -> None:
    refused = errors.AuthenticationError("Wrong password.", address="stepping:", hint="Give another one.")
    recorder = hv.Recorder(Stepping(clock, "open", 2.0, refused, "never"), tmp_path / "bug.jsonl")
    host = hv.Host(recorder)
    checks = [host.check(), host.check()]

    replay = hv.Host(hv.Replay(tmp_path / "bug.jsonl"))
    again = [replay.check(), replay.check()]

    assert isinstance(hv.Replay(tmp_path / "bug.jsonl"), hv.Checkable)
    for then, now in zip(checks, again, strict=True):
        assert [step.name for step in now.steps] == ["step 1", "step 2", "step 3", *HOST_STEPS]
        assert outcomes(now) == [OK, OK, FAILED] + [SKIPPED] * 6
        assert now.failed is not None
        assert then.failed is not None
        assert (now.failed.detail, now.failed.hint) == (then.failed.detail, then.failed.hint)
        assert [step.seconds for step in now.steps[:3]] == [0, 2, 0]


def test_a_replay_of_a_host_that_answers_has_them_too(clock: hv.VirtualClock, tmp_path: Path) -> None:
    with hv.Host(hv.Recorder(Stepping(clock, "open"), tmp_path / "bug.jsonl")) as host:
        host.info()
        assert host.check().ok

    replay = hv.Host(hv.Replay(tmp_path / "bug.jsonl"))
    assert [step.name for step in hv.Host(hv.Replay(tmp_path / "bug.jsonl")).check().steps] == HOST_STEPS
    replay.info()
    check = replay.check()
    assert check.ok
    assert [step.name for step in check.steps] == ["step 1", *HOST_STEPS]
    assert check.steps[0].detail == "xxxx"


@pytest.mark.parametrize(
    ("error_id", "category", "step", "hint"),
    [
        ("AccessDenied,X", "PermissionDenied", "rights", "S-1-5-32-580"),
        ("ObjectNotFound,X", "ObjectNotFound", "rights", "Virtual Machine Management service"),
        ("OperationFailed,X", "NotSpecified", "rights", None),
        ("CommandNotFoundException", "ObjectNotFound", "module", "Hyper-V-PowerShell"),
        ("ScriptsNotAllowed", "", "answer", None),
    ],
)
def test_a_refusal_is_of_the_step_that_it_is_about(
    clock: hv.VirtualClock, error_id: str, category: str, step: str, hint: str | None
) -> None:
    refusal = hyperv_error(
        Refusal(address="hv01", error_id=error_id, category=category, message="Nein.", doing="read the host")
    )

    check = hv.Host(Stepping(clock, failure=refusal)).check()

    assert check.failed is not None
    assert (check.failed.name, check.failed.detail) == (step, str(refusal))
    assert hint in (check.failed.hint or "") if hint is not None else check.failed.hint is None
    index = HOST_STEPS.index(step)
    assert outcomes(check) == [OK] * index + [FAILED] + [SKIPPED] * (5 - index)


def test_a_command_that_is_missing_before_the_script_runs_is_not_the_module(clock: hv.VirtualClock) -> None:
    refusal = Refusal(
        address="hv01", error_id="CommandNotFoundException", category="", message="Nein.", doing="run get_host"
    )

    check = hv.Host(Stepping(clock, failure=remote_error(refusal))).check()

    assert check.failed is not None
    assert (check.failed.name, check.failed.detail) == ("answer", "hv01 cannot run get_host: Nein.")
    assert outcomes(check) == [FAILED] + [SKIPPED] * 5


def test_no_answer_is_the_first_step(clock: hv.VirtualClock) -> None:
    lost = errors.ConnectionLostError("Gone.", address="stepping:", may_have_run=True)
    host = hv.Host(Stepping(clock, failure=lost))

    check = host.check()

    assert outcomes(check) == [FAILED] + [SKIPPED] * 5
    assert host.session.stats.repeats == 2


def test_rights_are_told_from_the_host_s_refusal() -> None:
    world = hv.simulator.demo_world()
    world.access = "denied"

    check = hv.Host(hv.Simulator(world)).check()

    assert check.failed is not None
    assert check.failed.name == "rights"
    assert "S-1-5-32-578" in str(check.failed.hint)


def test_a_host_without_virtual_machines_is_ok() -> None:
    check = hv.Host(hv.Simulator(hv.World())).check()

    assert check.ok
    assert outcomes(check) == [OK] * 5 + [SKIPPED]
    assert [step.detail for step in check.steps[4:]] == [
        "0 can be seen",
        "There is no virtual machine whose services could be read.",
    ]


def test_what_cannot_be_read_is_counted_and_failing_services_are_a_step() -> None:
    world = hv.World(machines=[Machine(id=machine_id(n), name=f"vm{n}") for n in (1, 2)])
    world.faults = [Fault(cmdlet="Get-VM", machine="vm2"), Fault(cmdlet="Get-VMIntegrationService", message="Kaputt.")]

    check = hv.Host(hv.Simulator(world)).check()

    assert check.steps[4].detail == "1 can be seen, 1 cannot be read"
    assert check.failed is check.steps[5]
    assert "Kaputt." in check.steps[5].detail


def test_it_ends_in_time(clock: hv.VirtualClock) -> None:
    transport = Stepping(clock, 6.0, 6.0, "never")

    check = hv.Host(transport).check(timeout=10)

    assert transport.given == [10, 4]
    assert outcomes(check) == [OK, OK, FAILED] + [SKIPPED] * 6
    assert (check.steps[2].detail, check.steps[2].hint) == ("The 10 seconds were over.", "Give the check more time.")


def test_a_host_that_falls_silent_has_failed(clock: hv.VirtualClock) -> None:
    world = hv.simulator.demo_world()
    world.faults = [Fault(cmdlet="Get-VM", action="delay", seconds=600)]

    check = hv.Host(hv.Simulator(world, clock=clock)).check(timeout=10)

    assert check.failed is not None
    assert check.failed.name == "virtual machines"
    assert clock.monotonic() <= 10


def test_a_closed_host_is_no_finding(clock: hv.VirtualClock) -> None:
    host = hv.Host(hv.Simulator(hv.World(), clock=clock))
    host.close()

    with pytest.raises(ConfigurationError, match="closed"):
        host.check()
    with pytest.raises(ConfigurationError, match="timeout"):
        hv.Host(hv.Simulator(hv.World())).check(timeout=0)


def test_ctrl_c_is_no_finding(clock: hv.VirtualClock) -> None:
    class Interrupted(Stepping):
        def steps(self) -> Sequence[tuple[str, Callable[[Deadline], str]]]:
            def look(_deadline: Deadline) -> str:
                raise KeyboardInterrupt

            return [("port", look)]

    host = hv.Host(Interrupted(clock))

    with pytest.raises(KeyboardInterrupt):
        host.check()
    assert host.info().name == "HV01"


def test_steps_take_turns_with_the_verbs_of_other_threads() -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Stepping):
        def steps(self) -> Sequence[tuple[str, Callable[[Deadline], str]]]:
            def look(_deadline: Deadline) -> str:
                inside.set()
                go_on.wait(30)
                return ""

            return [("port", look)]

    class RealTime(Slow):
        clock = hv.SystemClock()  # type: ignore[assignment]

        def __init__(self) -> None:
            self._inner = hv.Simulator(hv.World())
            self._failure = None

    host = hv.Host(RealTime())
    checks: list[hv.HostCheck] = []
    thread = threading.Thread(target=lambda: checks.append(host.check()))
    thread.start()
    inside.wait(30)

    with pytest.raises(TransportTimeoutError):
        host.info(timeout=0.05)
    with pytest.raises(TransportTimeoutError):
        host.check(timeout=0.05)
    go_on.set()
    thread.join()

    assert [check.ok for check in checks] == [True]


# -- Local --------------------------------------------------------------------------------------------------------


def test_a_program_that_is_missing() -> None:
    check = hv.Host(hv.Local("/no such/pwsh")).check()

    assert [step.name for step in check.steps[:2]] == ["program", "PowerShell"]
    assert check.failed is check.steps[0]
    assert "/no such/pwsh" in check.steps[0].detail
    assert "path" in str(check.steps[0].hint)


def test_a_program_that_is_no_powershell() -> None:
    check = hv.Host(hv.Local([sys.executable, "-c", "pass"])).check()

    assert check.failed is check.steps[1]
    assert check.steps[0].detail == sys.executable
    assert check.steps[1].hint == "Is it a PowerShell?"


@pytest.mark.engine
def test_a_real_powershell(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hv.simulator.demo_world().save(tmp_path / "world.json")
    monkeypatch.setenv("HYPERV_WORLD", str(tmp_path / "world.json"))

    with hv.Host(hv.Local(engine)) as host:
        check = host.check()
        requests = host.session.stats.requests
        host.info()

    assert check.ok, check
    assert [step.name for step in check.steps] == ["program", "PowerShell", *HOST_STEPS]
    assert check.steps[1].seconds > check.steps[3].seconds
    assert requests is not None


@pytest.mark.engine
def test_a_real_powershell_whose_user_may_not(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hv.World(access="denied").save(tmp_path / "world.json")
    monkeypatch.setenv("HYPERV_WORLD", str(tmp_path / "world.json"))

    with hv.Host(hv.Local(engine)) as host:
        check = host.check()

    assert check.failed is not None
    assert (check.failed.name, check.steps[2].outcome) == ("rights", OK)
    assert "S-1-5-32-578" in str(check.failed.hint)
