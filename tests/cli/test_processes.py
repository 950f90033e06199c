"""The command as a process of its own: terminals, pipes, signals."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

import hvintegration
from hvintegration import World
from hvintegration.cli import main
from hvintegration.simulator import Fault

COMMAND = [sys.executable, "-m", "hvintegration"]
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals, signals and /dev/full")


def environment(**settings: str) -> dict[str, str]:
    """That of this process, with a usual terminal, and with the package that this process has imported."""
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    folder = str(Path(hvintegration.__file__).parents[1])
    return kept | {"PYTHONPATH": folder, "PYTHONUTF8": "1", "TERM": "xterm-256color"} | settings


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**settings),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def on_terminal(
    *arguments: str, columns: int = 100, stderr_too: bool = False, settings: dict[str, str] | None = None
) -> tuple[int, str]:
    """Exit status and what the command writes to a terminal."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(**(settings or {})),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs if stderr_too else subprocess.DEVNULL,
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 65536):
                written += chunk
        except OSError:  # Linux says so where others say nothing: the other end is closed.
            pass
        os.close(ours)
    return process.returncode, written.decode().replace("\r\n", "\n")


class Terminal(io.StringIO):
    """What only says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def run_on_terminal(*arguments: str) -> tuple[int, str, str]:
    """Exit status and what is written, in this process, where both outputs say that they are terminals."""
    out, err = Terminal(), Terminal()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    return status, out.getvalue(), err.getvalue()


# -- piped --------------------------------------------------------------------------------------------------------


def test_a_pipe_gets_plain_text() -> None:
    done = run("--host", "sim:", "services", "backup", FORCE_COLOR="1")

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "Austausch von Schlüsselwertepaaren" in done.stdout


def test_changes_stay(world_file: Path) -> None:
    host = ["--host", f"sim:{world_file}"]

    assert run(*host, "disable", "vss", "demovm").returncode == 0

    states = json.loads(run(*host, "services", "demovm", "--format", "json").stdout)["result"]
    assert [state["kind"] for state in states if not state["enabled"]] == ["guest_service_interface", "vss"]
    assert len(list(csv.reader(io.StringIO(run(*host, "services", "--format", "csv").stdout)))) == 31


def test_the_exit_status_is_that_of_the_process(world_file: Path) -> None:
    assert run("--host", f"sim:{world_file}", "services", "demovm", "nosuch").returncode == 3
    assert run("--host", f"sim:{world_file}", "services", "nosuch").returncode == 1
    assert run("--host", "nowhere:", "vms").returncode == 2


def test_text_that_the_encoding_lacks(world_file: Path) -> None:
    for form in ("table", "csv", "json"):
        done = run(
            "--host", f"sim:{world_file}", "services", "--format", form, PYTHONUTF8="0", PYTHONIOENCODING="ascii"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert r"Schl\xfcsselwertepaaren" in done.stdout or r"Schl\u00fcsselwertepaaren" in done.stdout


@posix
@pytest.mark.parametrize("arguments", [["kinds"], ["demo"], ["--help"], ["kinds", "--format", "json"]])
def test_a_reader_that_goes_away(arguments: list[str]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)

    done = subprocess.run(
        [*COMMAND, *arguments], env=environment(), stdout=theirs, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(theirs)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "kinds"], env=environment(), stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )

    assert done.returncode == 1
    assert done.stderr.startswith(b"hvintegration: error: The output cannot be written: ")
    assert b"Traceback" not in done.stderr


NOT_TOLD = b"hvintegration: error: The changes were made, but the output cannot be written: "


def nobody_reads() -> int:
    ours, theirs = os.pipe()
    os.close(ours)
    return theirs


@posix
@pytest.mark.parametrize("form", ["table", "json", "csv"])
@pytest.mark.parametrize(
    ("taker", "reason"),
    [
        pytest.param(lambda: os.open("/dev/full", os.O_WRONLY), b"No space left on device.", id="full"),
        pytest.param(nobody_reads, b"nobody reads it.", id="nobody"),
    ],
)
def test_a_change_that_was_made_and_cannot_be_shown(
    world_file: Path, form: str, taker: Callable[[], int], reason: bytes
) -> None:
    arguments = ["--host", f"sim:{world_file}", "disable", "vss", "demovm", "--format", form]
    output = taker()
    done = subprocess.run(
        [*COMMAND, *arguments], env=environment(), stdout=output, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(output)
    assert (done.returncode, done.stderr.strip()) == (5, NOT_TOLD + reason)
    assert World.load(world_file).journal == ["disable demovm vss"]


def in_sh(setting: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the command does in a shell, with *setting* before it."""
    line = f"{setting} exec {shlex.join([*COMMAND, *arguments])}"
    return subprocess.run(
        ["/bin/sh", "-c", line], env=environment(), capture_output=True, encoding="utf-8", timeout=60, check=False
    )


@posix
@pytest.mark.parametrize(
    ("verb", "status"),
    [(["vms"], 1), (["disable", "vss", "demovm"], 5), (["disable", "vss", "demovm", "--dry-run"], 1)],
)
def test_a_standard_output_that_is_closed(world_file: Path, verb: list[str], status: int) -> None:
    done = in_sh("exec >&-;", "--host", f"sim:{world_file}", *verb)
    assert (done.returncode, done.stderr.endswith("output cannot be written: it is closed.\n")) == (status, True)


@posix
def test_a_standard_error_that_is_closed_changes_no_status(world_file: Path) -> None:
    done = in_sh("exec 2>&-;", "--host", f"sim:{world_file}", "disable", "vss", "nosuch")
    assert (done.returncode, done.stdout) == (1, "")


@posix
def test_a_change_that_was_made_and_cannot_be_recorded(tmp_path: Path) -> None:
    recording = ["--record", str(tmp_path / "bug")]
    done = in_sh("ulimit -f 2;", "--host", "sim:", *recording, "disable", "vss", "demovm")
    assert (done.returncode, "ends after call 1: File too large" in done.stderr) == (5, True), done.stderr
    assert "disabled  changed" in done.stdout


# -- Ctrl-C -------------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("arguments", [["services"], ["disable", "vss", "demovm", "--format", "json"]])
def test_interrupted(world_file: Path, arguments: list[str]) -> None:
    world = World.load(world_file)
    world.faults = [Fault(action="delay", cmdlet="Get-VMIntegrationService", seconds=50, times=1)]
    world.save(world_file)

    # A program that was started in the background finds SIGINT ignored, and so do its children.
    listening = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    command = [sys.executable, "-c", f"{listening} from hvintegration.cli import main; sys.exit(main())"]
    with subprocess.Popen(
        [*command, "--host", f"sim:{world_file}", *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        while process.poll() is None and World.load(world_file).faults[0].times:
            time.sleep(0.05)  # The fault is counted when it strikes: from then on the command hangs.
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out) == (130, b"")
    assert err.startswith(b"hvintegration: interrupted.")
    assert err.count(b"\n") == 1
    assert (b"may have been made" in err) == (arguments[0] == "disable")
    assert World.load(world_file).journal == []


# -- terminals ----------------------------------------------------------------------------------------------------


@posix
class TestTerminal:
    @pytest.fixture(autouse=True)
    def _rich(self) -> None:
        pytest.importorskip("rich")

    def test_colour(self) -> None:
        status, shown = on_terminal("--host", "sim:", "services", "backup")

        assert status == 0
        assert re.search(r"\x1b\[1;31mproblem", shown)
        assert re.search(r"\x1b\[32mok", shown)
        assert "───" in shown

    @pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
    def test_no_colour(self, name: str, value: str) -> None:
        status, shown = on_terminal("--host", "sim:", "services", "backup", settings={name: value})

        assert status == 0
        assert "\x1b" not in shown
        assert "LostCommunication" in shown

    def test_progress_is_shown_and_wiped_away(self) -> None:
        _, shown = on_terminal("--host", "sim:", "services", "backup", stderr_too=True)

        assert "Asking sim: ..." in shown
        assert shown.index("Asking") < shown.index("\x1b[2K") < shown.index("Health")

    @pytest.mark.parametrize("columns", [20, 40, 60, 80, 100, 130, 200])
    @pytest.mark.parametrize(("command", "needs"), [("services", 105), ("vms", 109), ("kinds", 113), ("host", 0)])
    def test_lines_fit(self, monkeypatch: pytest.MonkeyPatch, columns: int, command: str, needs: int) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        status, out, _ = run_on_terminal("--host", "sim:", command)

        shown = ESCAPE.sub("", out)
        assert status == 0
        assert max(map(len, shown.splitlines())) <= columns
        assert ("Too narrow for:" in shown) == (columns < needs)

    def test_nothing_is_left_out_where_there_is_room(self) -> None:
        _, shown = on_terminal("--host", "sim:", "services", columns=200)

        assert "Austausch von Schlüsselwertepaaren" in shown
        assert "Name on the host" in shown

    @pytest.mark.parametrize("form", ["table", "csv", "json"])
    def test_hostile_names_do_not_steer_it(self, world_file: Path, form: str) -> None:
        world = World.load(world_file)
        world.machines[0].name = "\x1b[2J\x1b]0;owned\x07two\nlines\x9b31m\u202e[red]"
        world.save(world_file)

        status, shown = on_terminal("--host", f"sim:{world_file}", "vms", "--format", form, columns=200)

        rest = ESCAPE.sub("", shown).replace("\n", "")
        assert status == 0
        assert "[2J" in rest
        assert "\x1b[2J" not in shown
        assert not [character for character in rest if unicodedata.category(character) == "Cc"]
        assert "\u202e" not in rest
        assert form == "json" or len(shown.splitlines()) == (7 if form == "table" else 6)

    def test_the_demonstration(self) -> None:
        status, shown = on_terminal("demo", columns=100)

        plain = ESCAPE.sub("", shown)
        assert status == 0
        assert shown != plain
        assert max(map(len, plain.splitlines())) <= 100
        assert "Too narrow" not in plain

    def test_an_error_is_plain(self) -> None:
        status, shown = on_terminal("--host", "sim:", "wait", "heartbeat", "spare", stderr_too=True)

        assert status == 1
        assert "hvintegration: error: Heartbeat of spare cannot become ok" in shown


# -- without rich -------------------------------------------------------------------------------------------------


@pytest.fixture
def _without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.usefixtures("_without_rich")
class TestWithoutRich:
    @pytest.mark.parametrize("arguments", [["disable", "vss", "demovm"], ["kinds"], ["demo"]])
    def test_a_table_on_a_terminal_needs_the_extra(self, world_file: Path, arguments: list[str]) -> None:
        message = "hvintegration: error: Tables on a terminal need the extra: pip install 'hvintegration[cli]'\n"

        assert run_on_terminal("--host", f"sim:{world_file}", *arguments) == (1, "", message)
        assert World.load(world_file).journal == []

    @pytest.mark.parametrize("form", ["json", "csv"])
    def test_other_formats_do_not(self, form: str) -> None:
        status, out, err = run_on_terminal("--host", "sim:", "vms", "--format", form)

        assert (status, err) == (0, "")
        assert "demovm" in out

    def test_a_dumb_terminal_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "dumb")

        status, out, err = run_on_terminal("--host", "sim:", "vms")

        assert (status, err) == (0, "")
        assert "demovm" in out


def test_rich_is_not_imported_for_a_pipe() -> None:
    script = (
        "import sys; from hvintegration.cli import main; main(['--host', 'sim:', 'vms']);"
        "sys.exit(any(name.startswith('rich') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
