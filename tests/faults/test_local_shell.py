"""Scripts of POSIX sh on this machine: what hangs, is interrupted, forked, closed or fails, and what is left of it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from hvintegration import Credential, Local, Recorder, Replay
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import (
    CommandFailedError,
    ConfigurationError,
    ConnectionLostError,
    TransportTimeoutError,
)
from hvintegration.scripts import GET_HOST, SH_GET_GUEST, Effect, Language
from hvintegration.transports.local.child_process import ChildProcess
from tests.faults.test_interrupts import at_random, interrupt_after
from tests.support.endpoints import wait_until
from tests.support.leftovers import nothing_left
from tests.support.other_script import OtherScript
from tests.support.secrecy import PASSWORD, USERNAME, Records, assert_clean_error
from tests.support.time_limit import GRACE, within

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX shell"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look for processes"),
]

TIMES: Final = int(os.environ.get("HVINTEGRATION_INTERRUPTIONS", "200")) // 10


@pytest.fixture
def local() -> Iterator[Local]:
    with contextlib.closing(Local()) as local:
        yield local


def other(text: str, effect: Effect = Effect.READ, *, secrets: tuple[str, ...] = ()) -> OtherScript:
    return OtherScript("other", effect, Language.SH, secrets, text=text)


def system_of(local: Local) -> str:
    return str(json.loads(local.call(Call(other("""printf '"%s"' "$(uname -n)\""""), {}), Deadline(30))))


def processes(mark: object) -> list[str]:
    """Programs that run with that in their arguments."""
    found = []
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = arguments.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(mark) in text and str(os.getpid()) not in arguments.parts:
                found.append(text)
    return found


def hanging(tmp_path: Path, effect: Effect = Effect.READ) -> OtherScript:
    """A script that waits for a program, which waits for what never comes."""
    fifo = tmp_path / "hung"
    if not fifo.exists():
        os.mkfifo(fifo)
    return other(f"cat {fifo}; echo '{{}}'", effect)


def test_each_call_has_a_shell_of_its_own_and_leaves_nothing(local: Local) -> None:
    system_of(local)
    with nothing_left():
        for _ in range(3):
            assert system_of(local) == platform.node()

    assert local.requests == 8


def test_no_powershell_is_needed_until_a_script_asks_for_one(local: Local) -> None:
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="needs a program"):
            local.call(Call(GET_HOST, {}), Deadline(30))
    assert local.requests == 0
    assert system_of(local) == platform.node()


@pytest.mark.parametrize(
    "text", ["$(touch PWNED)", "`touch PWNED`", "'; touch PWNED; '", "#end", "ä\n#end\ntouch PWNED"]
)
def test_the_document_is_data(local: Local, tmp_path: Path, text: str) -> None:
    document = {"text": text.replace("PWNED", str(tmp_path / "pwned"))}

    assert json.loads(local.call(Call(other('printf %s "$1"'), document), Deadline(30))) == document
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["echo '{}'; exit 3", "if", "exit 1"])
def test_a_script_that_fails_is_an_error_and_the_next_one_runs(local: Local, text: str) -> None:
    with pytest.raises(CommandFailedError, match="exit status") as failed:
        local.call(Call(other(text), {}), Deadline(30))

    assert failed.value.error_id == "ScriptFailed"
    assert system_of(local) == platform.node()


@pytest.mark.parametrize("effect", list(Effect))
def test_what_hangs_is_ended_with_what_it_started(local: Local, tmp_path: Path, effect: Effect) -> None:
    with within(6 + GRACE), pytest.raises(TransportTimeoutError) as late:
        local.call(Call(hanging(tmp_path, effect), {}), Deadline(6))

    assert (late.value.may_have_run, late.value.fenced) == (True, True)
    assert processes(tmp_path) == []
    assert system_of(local) == platform.node()


def test_what_takes_a_moment_to_die_is_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    large = f"large = b'x' * 400_000_000; open({str(fifo)!r}, 'w').close(); input()"
    process = ChildProcess(["/bin/sh", "-c", f'"{sys.executable}" -c "{large}"; exit'], "local:")
    process.start()
    fifo.read_text()

    assert process.kill()
    assert processes(fifo) == []


def test_a_shell_that_ends_takes_along_what_it_started(local: Local, tmp_path: Path) -> None:
    hanging(tmp_path)
    script = other(f"cat {tmp_path}/hung & kill -9 $$; wait", Effect.WRITE)

    with pytest.raises(ConnectionLostError) as lost:
        local.call(Call(script, {}), Deadline(30))

    assert (lost.value.may_have_run, lost.value.fenced) == (True, True)
    assert processes(tmp_path) == []


def test_what_has_left_its_group_goes_on(local: Local, tmp_path: Path) -> None:
    if shutil.which("setsid") is None:
        pytest.skip("the program setsid is missing")
    fifo = tmp_path / "daemon"
    os.mkfifo(fifo)
    local.call(Call(other(f"setsid cat {fifo} > /dev/null 2>&1 & echo '{{}}'"), {}), Deadline(30))
    local.close()

    assert wait_until(lambda: len(processes(fifo)) == 1)
    fifo.write_text("")
    assert wait_until(lambda: processes(fifo) == [])


AS_NOBODY: Final = """
import os, sys
from hvintegration.clock import Deadline
from hvintegration.transports.local.child_process import ChildProcess
(fifo,) = sys.argv[1:]
become = "exec setpriv --reuid 65534 --clear-groups sh -c 'echo ready; exec cat'"
process = ChildProcess(["/bin/sh", "-c", f"cat {fifo} & {become}"], "local:")
process.start()
process.read_line(Deadline(20))
os.setresuid(65534, 65534, 0)
print(process.kill(Deadline(0.5)), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
@pytest.mark.usefixtures("unmeasured")  # Nobody may not write where that is kept.
def test_what_runs_as_somebody_else_is_not_taken_for_ended(tmp_path: Path) -> None:
    """As sudo does: who began it may not end it."""
    if shutil.which("setpriv") is None:
        pytest.skip("the program setpriv is missing")
    fifo = tmp_path / "roots"
    os.mkfifo(fifo)

    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(fifo)], capture_output=True, text=True, timeout=60, check=False
    )
    left = processes(fifo)
    fifo.write_text("")

    assert (done.stdout.split(), done.stderr) == (["False"], "")
    assert left != []


@pytest.mark.parametrize("effect", list(Effect))
def test_ctrl_c_ends_a_hanging_call_at_once(local: Local, tmp_path: Path, effect: Effect) -> None:
    call = Call(hanging(tmp_path, effect), {})

    with within(1 + GRACE):
        assert interrupt_after(0.5, lambda: local.call(call, Deadline(30))) is not None

    assert processes(tmp_path) == []
    assert system_of(local) == platform.node()


def test_it_survives_ctrl_c_at_any_moment(local: Local) -> None:
    for interrupt in at_random(TIMES, 0.05, seed=6):
        interrupt(lambda: system_of(local))
        assert system_of(local) == platform.node()


def test_ctrl_c_while_a_program_starts_leaves_no_process(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """It strikes as soon as there is one, and nobody knows it yet. That none is left is checked of each test here."""
    start = subprocess.Popen.__init__

    def strike(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as it is called
        start(*arguments, **options)
        signal.raise_signal(signal.SIGALRM)
        time.sleep(0.2)

    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", strike)
        assert interrupt_after(20, lambda: system_of(local)) is not None

    assert system_of(local) == platform.node()


def test_closing_breaks_a_call_off(tmp_path: Path) -> None:
    local = Local()
    lost: list[BaseException] = []

    def ask() -> None:
        try:
            local.call(Call(hanging(tmp_path), {}), Deadline(60))
        except ConnectionLostError as error:
            lost.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert wait_until(lambda: processes(tmp_path) != [])
    local._kept._close()  # noqa: SLF001 - close() gives a call ten seconds first
    thread.join(10)

    assert [str(error) for error in lost] == ["The connection with local: was closed."]
    assert processes(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_leaves_its_parents_call_alone(local: Local, tmp_path: Path) -> None:
    fifo = tmp_path / "hung"
    script = hanging(tmp_path)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(local.call(Call(script, {}), Deadline(30))))
    thread.start()
    assert wait_until(lambda: processes(tmp_path) != [])

    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            local.close()
            status = 0 if system_of(local) == platform.node() else 2
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert processes(tmp_path) != []
    fifo.write_text("")
    thread.join(30)

    assert answers == ["{}"]
    assert system_of(local) == platform.node()


def test_secrets_go_where_nobody_sees_them(local: Local, tmp_path: Path, records: Records) -> None:
    seen = 'case $(cat /proc/$$/cmdline /proc/$$/environ | tr "\\000" " ") in *"${3#:}"*) seen=1 ;; esac'
    call = Call(
        other(f'{seen}; printf "[%s,%s]" "${{#3}}" "${{seen:-0}}"', secrets=("root",)),
        {},
        secrets={"root": Credential(USERNAME, PASSWORD)},
    )

    assert json.loads(local.call(call, Deadline(30))) == [len(PASSWORD) + 1, 0]
    with pytest.raises(TransportTimeoutError) as late:
        local.call(
            Call(hanging_with_secret(tmp_path), {}, secrets={"root": Credential(USERNAME, PASSWORD)}), Deadline(1)
        )
    assert_clean_error(late.value)
    del records


def hanging_with_secret(tmp_path: Path) -> OtherScript:
    return other(hanging(tmp_path).text, secrets=("root",))


def test_a_secret_that_no_shell_takes_is_refused_before_anything_is_sent(local: Local) -> None:
    call = Call(other("echo '{}'", secrets=("root",)), {}, secrets={"root": Credential("root", "two\nlines")})

    with pytest.raises(ConfigurationError, match="line break"):
        local.call(call, Deadline(30))

    assert system_of(local) == platform.node()


def test_a_conversation_is_recorded_and_played_back(local: Local, tmp_path: Path) -> None:
    recorder = Recorder(local, tmp_path / "asked")
    answer = recorder.call(Call(SH_GET_GUEST, {}), Deadline(30))
    recorder.close()

    assert (
        json.loads(Replay(tmp_path / "asked").call(Call(SH_GET_GUEST, {}), Deadline(30))).keys()
        == json.loads(answer).keys()
    )


def test_time_that_is_up_before_it_begins_runs_nothing(local: Local, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with pytest.raises(TransportTimeoutError) as late:
        local.call(Call(other(f": > {mark}; echo '{{}}'", Effect.WRITE), {}), Deadline(0))

    assert not late.value.may_have_run
    time.sleep(0.2)
    assert not mark.exists()
