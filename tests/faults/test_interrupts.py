"""Ctrl-C at any moment of a read and of a write, and the next call after it.

``HVINTEGRATION_INTERRUPTIONS`` says how many for the simulator instead of 200, which takes the least time; the others
get a share of them.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import pytest

from hvintegration import Host, Local, Simulator, World
from hvintegration.clock import Deadline, SystemClock
from hvintegration.simulator import Fault, demo_world
from hvintegration.simulator.store import FileStore
from hvintegration.transports.remoting.line_streams import LineStreams
from tests.support.endpoints import SSHEndpoint, wait_until
from tests.support.time_limit import GRACE, within

if TYPE_CHECKING:
    from tests.support.ssh_server import Way


@pytest.fixture(autouse=True)
def without_handlers_of_logs() -> Iterator[None]:
    """A Ctrl-C within Python's logging can leave a handler locked, and pytest's handlers serve all tests."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


TIMES: Final = int(os.environ.get("HVINTEGRATION_INTERRUPTIONS", "200"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX interval timers")


def interrupt_after(seconds: float, action: Callable[[], object]) -> KeyboardInterrupt | None:
    """Do *action*, with a KeyboardInterrupt in the main thread, as Ctrl-C raises it, after *seconds*.

    The same timer limits the time of a test, so here it sees to it that nothing hangs.
    """
    strikes = itertools.chain([KeyboardInterrupt()], itertools.repeat(AssertionError("it goes on after Ctrl-C")))

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise next(strikes)

    def ignore(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:  # Python drops one that strikes in a callback of its own.
            hook(unraisable)

    before = signal.signal(signal.SIGALRM, interrupt)
    hook, sys.unraisablehook = sys.unraisablehook, ignore
    left = 0.0
    tracing = sys.gettrace()
    sys.settrace(None)  # An interrupt within the measuring of coverage would leave its lock locked.
    try:
        left, _ = signal.setitimer(signal.ITIMER_REAL, seconds, 30)
        action()
        time.sleep(seconds + 0.01)
    except KeyboardInterrupt as interruption:
        return interruption
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = hook
        sys.settrace(tracing)
    return None


def in_another_thread(question: Callable[[], object]) -> object:
    """The answer as another thread gets it, which a turn that was not given back would keep waiting."""
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(question()), daemon=True)
    thread.start()
    thread.join(30)
    assert answers, "the other thread got no answer"
    return answers[0]


Interruption = Callable[[Callable[[], object]], object]
"""Does what it is given, with a KeyboardInterrupt at a certain moment of it."""


def at_random(times: int, longest: float, *, seed: int) -> Iterator[Interruption]:
    """Interruptions after up to *longest* seconds."""
    moments = random.Random(seed)
    for _ in range(times):
        yield functools.partial(interrupt_after, moments.uniform(0, longest))


def after_each_call(*files: str) -> Iterator[Interruption]:
    """An interruption after each call that these source files make or answer, which is where signals are delivered."""
    for number in itertools.count(1):
        left = number

        def strike(frame: FrameType, event: str, _argument: object) -> None:
            nonlocal left
            if event in {"return", "c_return"} and frame.f_code.co_filename.endswith(files):
                left -= 1
                if not left:
                    raise KeyboardInterrupt

        def interrupt(action: Callable[[], object], strike: Callable[..., None] = strike) -> None:
            sys.setprofile(strike)
            try:
                action()
            except KeyboardInterrupt:
                pass
            finally:
                sys.setprofile(None)

        yield interrupt
        if left > 0:
            assert number > 10
            return


def flip_interrupted(host: Host, world: Callable[[], World], interruptions: Iterable[Interruption]) -> None:
    """Switch a service again and again, each time interrupted at another moment, and look at what became of it."""
    vm = host.vms["demovm"]
    service = vm.services["heartbeat"]
    for interrupt in interruptions:
        before = service.state().enabled
        changes = len(world().journal)
        interrupt(service.disable if before else service.enable)
        after = in_another_thread(service.state)
        made = world().journal[changes:]
        assert len(made) <= 1
        assert after == service.state()
        assert service.state().enabled is (before if not made else not before)


def test_the_simulator_survives_ctrl_c_at_any_moment() -> None:
    world = demo_world()
    host = Host(Simulator(world))

    flip_interrupted(host, lambda: world, at_random(TIMES, 0.002, seed=1))


def test_a_session_survives_ctrl_c_after_each_of_its_calls() -> None:
    world = demo_world()
    host = Host(Simulator(world))

    flip_interrupted(
        host, lambda: world, after_each_call("session.py", "simulator/store.py", "contextlib.py", "threading.py")
    )


def test_lines_survive_ctrl_c_after_each_call() -> None:
    for interrupt in after_each_call("line_streams.py", "one_time_event.py", "threading.py", "queue.py"):
        there, here = os.pipe()
        silent, never = os.pipe()
        lines = LineStreams("echo")
        lines.attach(os.fdopen(here, "wb", 0), os.fdopen(there, "rb", 0), os.fdopen(silent, "rb", 0))
        deadline = Deadline(10, SystemClock())

        def talk(lines: LineStreams = lines, deadline: Deadline = deadline) -> None:
            lines.write(b"to and fro\n", deadline)
            assert lines.read_line(deadline) == b"to and fro"

        interrupt(talk)
        lines.abandon()
        os.close(never)
        assert wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("echo")])


def test_powershell_survives_ctrl_c_at_any_moment(misbehaving: Callable[..., Host], world_file: Path) -> None:
    host = misbehaving("none")

    flip_interrupted(host, lambda: World.load(world_file), at_random(TIMES // 20, 0.02, seed=2))


@pytest.mark.engine
def test_the_engine_survives_ctrl_c_at_any_moment(
    engine: str, world_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERV_WORLD", str(world_file))

    with Host(Local(engine)) as host:
        flip_interrupted(host, lambda: World.load(world_file), at_random(TIMES // 33, 0.06, seed=3))


@pytest.mark.engine
@pytest.mark.parametrize("verb", ["read", "write"])
def test_ctrl_c_ends_a_silent_call_at_once(
    engine: str, world_file: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setenv("HYPERV_WORLD", str(world_file))
    with Host(Local(engine)) as host:
        service = host.vms["demovm"].services["vss"]
        FileStore(world_file).change(
            lambda world: setattr(world, "faults", [Fault(action="delay", seconds=600, machine="demovm", times=1)])
        )

        with within(1 + GRACE):
            interruption = interrupt_after(0.5, service.state if verb == "read" else service.disable)

        notes = getattr(interruption, "__notes__", [])
        assert ["may have been made" in note for note in notes] == ([] if verb == "read" else [True])
        assert service.state().enabled is True
        assert World.load(world_file).journal == []


def test_ssh_survives_ctrl_c_at_any_moment() -> None:
    with SSHEndpoint() as endpoint, endpoint.host() as host:
        flip_interrupted(host, lambda: endpoint.world, at_random(TIMES // 7, 0.04, seed=4))
        host.close()
        assert wait_until(lambda: endpoint.left() == {}), endpoint.left()


def test_a_check_over_ssh_survives_ctrl_c_at_any_moment() -> None:
    with SSHEndpoint() as endpoint, contextlib.closing(endpoint.transport()) as ssh:
        host = Host(ssh)
        for interrupt in at_random(TIMES // 10, 0.06, seed=5):
            interrupt(host.check)
            assert host.info().name == "HV01"
            ssh.close()
            assert wait_until(lambda: endpoint.left() == {}), endpoint.left()


@pytest.mark.parametrize("way", ["subsystem", "process"])
@pytest.mark.parametrize("verb", ["read", "write"])
def test_ctrl_c_ends_a_silent_call_over_ssh_at_once(verb: str, way: Way) -> None:
    with SSHEndpoint(way) as endpoint, endpoint.host() as host:
        service = host.vms["demovm"].services["vss"]
        service.state()
        endpoint.server.misbehave("silent", at="command")

        with within(1 + GRACE):
            interruption = interrupt_after(0.5, service.state if verb == "read" else service.disable)

        assert interruption is not None
        notes = getattr(interruption, "__notes__", [])
        assert ["may have been made" in note for note in notes] == ([] if verb == "read" else [True])
        assert service.state().enabled is True
        assert endpoint.journal() == []
        host.close()
        assert wait_until(lambda: endpoint.left() == {}), endpoint.left()


def test_one_thread_waiting_does_not_keep_the_turn(misbehaving: Callable[..., Host], world_file: Path) -> None:
    host = misbehaving("none")
    FileStore(world_file).change(lambda world: setattr(world.machine("spare"), "state", "Running"))
    waiting = threading.Thread(target=lambda: host.vms["spare"].services["vss"].wait_until_ok(timeout=3), daemon=True)
    errors: list[object] = []
    threading.excepthook, before = (lambda failed: errors.append(failed.exc_type)), threading.excepthook
    try:
        waiting.start()
        for _ in range(20):
            assert len(host.inventory(timeout=2).vms) == 5
        waiting.join()
    finally:
        threading.excepthook = before
    assert [getattr(error, "__name__", "") for error in errors] == ["WaitTimeoutError"]
