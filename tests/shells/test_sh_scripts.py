"""The scripts for POSIX shells, in every such shell that is installed."""

from __future__ import annotations

import importlib.resources
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hvintegration import scripts
from hvintegration.scripts import SH_SCRIPTS, loader_arguments
from tests.support.amounts import night_unless
from tests.support.endpoints import wait_until

FOLDER = importlib.resources.files(scripts) / "sh"
NAMES = tuple(script.name for script in SH_SCRIPTS)

SHELLS = ("dash", "busybox sh", "bash", "bash --posix", "mksh", "ksh")
LOGIN_SHELLS = (*SHELLS, "zsh", "fish", "tcsh")
SHELLS_BY_DAY = ("dash", "busybox sh")

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX shell"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look for processes"),
]


def installed(shells: tuple[str, ...], by_day: tuple[str, ...] = LOGIN_SHELLS) -> list[Any]:
    programs = {shell: shell.partition(" ")[0] for shell in shells}
    return [
        pytest.param(
            shell,
            marks=[
                pytest.mark.skipif(shutil.which(program) is None, reason=f"the shell {program} is missing"),
                *night_unless(shell in by_day),
            ],
        )
        for shell, program in programs.items()
    ]


every_shell = pytest.mark.parametrize("shell", installed(SHELLS, SHELLS_BY_DAY))
every_login_shell = pytest.mark.parametrize("login_shell", installed(LOGIN_SHELLS))

needs_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
needs_unshare = pytest.mark.skipif(shutil.which("unshare") is None, reason="the program unshare is missing")


def framed(body: str) -> str:
    return (FOLDER / "frame.sh").read_text("ascii").replace("#BODY", body)


def text_of(name: str) -> str:
    (text,) = (script.text for script in SH_SCRIPTS if script.name == name)
    return text


def command(shell: str) -> list[str]:
    return [*shell.split(), *shlex.split(loader_arguments())]


def request(script: str, *arguments: str) -> bytes:
    return "\n".join([script, "#document", *arguments, "#end", ""]).encode()


class Options(TypedDict, total=False):
    cwd: Path
    env: dict[str, str]
    process_group: int
    user: int


def run(argv: list[str], data: bytes, **options: Unpack[Options]) -> bytes:
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        argv, input=data, capture_output=True, check=False, timeout=60, **options
    )
    return done.stdout


def said(output: bytes) -> tuple[str, str] | None:
    """What stands between the marks, and its kind."""
    lines = output.decode(errors="replace").splitlines()
    assert lines[0].startswith("<hvintegration process=")
    if len(lines) == 1:
        return None
    assert (lines[1][:15], lines[1][-1:], lines[-1]) == ("<hvintegration ", ">", "<hvintegration end>")
    return lines[1][15:-1], "\n".join(lines[2:-1])


def call(shell: str, script: str, *arguments: str, **options: Unpack[Options]) -> tuple[str, str] | None:
    return said(run(command(shell), request(script, *arguments), **options))


def answer(shell: str, script: str, *arguments: str, **options: Unpack[Options]) -> dict[str, Any]:
    kind, text = call(shell, script, *arguments, **options) or ("nothing", "")
    assert kind == "answer"
    document: dict[str, Any] = json.loads(text)
    assert document["schema"] == 1
    return document


def result(shell: str, script: str, *arguments: str, **options: Unpack[Options]) -> object:
    document = answer(shell, script, *arguments, **options)
    assert document["errors"] == []
    return document["result"]


def stat(process_id: int | str) -> list[str]:
    """The fields of a process from the third on: state, parent, group, ..."""
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(") ")[2].split()


def runs(process_id: int | str) -> bool:
    try:
        return stat(process_id)[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def started(process_id: int) -> str:
    return stat(process_id)[19]


def members(group: int) -> dict[int, bytes]:
    """The processes of a group that run, and their argument lists and environments."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, _, process_group, *_ = stat(entry.name)
                if int(process_group) == group and state not in "ZX":
                    found[int(entry.name)] = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


@contextmanager
def hanging(shell: str, folder: Path, *secrets: str) -> Iterator[tuple[subprocess.Popen[bytes], int, str]]:
    """A call, in a group of its own, whose script has begun to hang; and its process as it says it."""
    fifo = folder / "begun"
    os.mkfifo(fifo)
    with subprocess.Popen(command(shell), stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            first, second = process.stdout.readline().decode().strip("<>\n").split()[1:]
            script = 'sleep 1000 &\n: > "$2"\nsleep 1000\nsleep 1000'
            process.stdin.write(request(script, "{}", str(fifo), *secrets))
            process.stdin.close()
            fifo.read_bytes()
            yield process, int(first.removeprefix("process=")), second.removeprefix("started=")
        finally:
            if members(process.pid):
                os.killpg(process.pid, 9)


def eventually_empty(group: int) -> bool:
    end = time.monotonic() + 10
    while members(group):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_the_loader_means_the_same_to_every_login_shell() -> None:
    _, loader, _, failure, rest = loader_arguments().split("'")
    assert set(loader + failure) & set("\\!\r\n") == set()
    assert rest == ""
    assert loader_arguments().isascii()


def test_every_file_is_a_script_and_every_script_a_file() -> None:
    files = sorted(item.name for item in FOLDER.iterdir())
    libraries = {name for script in SH_SCRIPTS for name in script.libraries}
    assert libraries == {"detached", "rights", "linux_facts", "others"}
    assert files == sorted(f"{name}.sh" for name in ("frame", "loader", *libraries, *NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_the_text_is_plain_ascii_and_ends_nothing_early(name: str) -> None:
    text = text_of(name)
    assert (text.isascii(), "\r" in text, "#BODY" in text) == (True, False, False)
    assert {"#document", "#end"} & set(text.splitlines()) == set()


@every_shell
def test_it_says_which_process_runs_the_script(shell: str, tmp_path: Path) -> None:
    with hanging(shell, tmp_path) as (process, process_id, ticks):
        assert ticks == started(process_id)
        assert int(stat(process_id)[2]) == process.pid
        sleeping = [one for one in members(process.pid) if int(stat(one)[1]) == process_id]
        assert sleeping != []


@every_shell
def test_the_script_gets_its_arguments_and_an_empty_standard_input(shell: str) -> None:
    script = 'cat\nprintf "%s|" "$#" "$@"\nread -r line || echo end'
    assert call(shell, script, "{}", "two  words ", "", "\\n") == ("answer", "4|{}|two  words ||\\n|end")


HOSTILE = [
    "$(touch executed)",
    "`touch executed`",
    "'; touch executed; '",
    '"; touch executed; "',
    "\\",
    "#end #end",
    " #end",
    "#document",
    "-n",
    "%s%n",
    "*",
    "~",
    "${IFS}",
    "<hvintegration end>",
    "\x7f\x01\x88\x81\u00e9\U0001f642",
]


@every_shell
def test_arguments_are_data(shell: str, tmp_path: Path) -> None:
    script = framed('for one; do list=${list:+$list,}$(json_string "$one"); done; result="[$list]"')
    assert result(shell, script, *HOSTILE, cwd=tmp_path) == HOSTILE
    assert list(tmp_path.iterdir()) == []


@every_shell
def test_a_document_may_be_long(shell: str) -> None:
    document = json.dumps({"key": "$(exit)`exit`\\'\" " * 12000})
    assert len(document) > 200_000
    assert call(shell, 'echo "${#1}"', document, "x") == ("answer", str(len(document)))


@every_shell
def test_nothing_runs_unless_all_of_it_has_come(shell: str, tmp_path: Path) -> None:
    whole = request(': > "$2"', "{}", "ran")
    for length in range(len(whole)):
        assert said(run(command(shell), whole[:length], cwd=tmp_path)) is None
        assert list(tmp_path.iterdir()) == []
    run(command(shell), whole, cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ran"]


@every_shell
def test_what_comes_after_the_end_is_not_read(shell: str, tmp_path: Path) -> None:
    data = request("echo 1", "{}") + b"touch executed\n#document\n#end\n"
    assert said(run(command(shell), data, cwd=tmp_path)) == ("answer", "1")
    assert list(tmp_path.iterdir()) == []


@every_shell
@pytest.mark.parametrize("last", ["if )", "echo 'open", "exit 3", "false", "no-such-command"])
def test_a_script_that_fails_has_no_answer(shell: str, last: str) -> None:
    kind, text = call(shell, f"echo half\n{last}", "{}") or ("nothing", "")
    error = json.loads(text)
    assert (kind, error["id"], error["category"]) == ("error", "ScriptFailed", "NotSpecified")
    assert error["message"].removeprefix("exit status ").isdecimal()


@every_shell
def test_a_script_that_writes_nothing_has_no_answer(shell: str) -> None:
    assert call(shell, "exit 0", "{}") is None


@every_shell
@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=300).map(lambda data: data.replace(b"\0", b"")))
@example(data=bytes(range(1, 256)))
@example(data=b'\n\n\t\t\r\r\\\\""<<')
@example(data="]^-[!]\u00e9\u2028\U0001f642".encode() + b"\xff\xc3")
def test_a_json_string_is_the_text(shell: str, data: bytes) -> None:
    octal = "".join(f"\\{byte:03o}" for byte in data)
    output = run(command(shell), request(framed('result=$(json_string "$(printf "$2.")")'), "{}", octal))
    text = output.splitlines()[2]
    assert text.count(b"<") == 0
    assert json.loads(text.decode("latin-1"))["result"].encode("latin-1") == data + b"."


@every_shell
@pytest.mark.parametrize("piece", [b"a", b'"', b"\x02\xe9", b'a sentence of some length with a "word" in it\n'])
def test_a_long_text_is_written_in_time(shell: str, piece: bytes, tmp_path: Path) -> None:
    if shell == "mksh":
        pytest.skip("mksh has no printf of its own, and no program takes an argument of that length")
    data = (piece * 16384)[:16384]
    (tmp_path / "text").write_bytes(data)
    output = run(command(shell), request(framed('result=$(json_string "$(cat text; echo .)")'), "{}"), cwd=tmp_path)
    assert json.loads(output.splitlines()[2].decode("latin-1"))["result"].encode("latin-1") == data + b"."


@every_shell
def test_failures_are_entries_of_the_envelope(shell: str) -> None:
    body = """failure First PermissionDenied 'not "you"' web1\nfailure Second NotSpecified '' ''\nresult=7"""
    assert answer(shell, framed(body), "{}") == {
        "schema": 1,
        "result": 7,
        "errors": [
            {"id": "First", "category": "PermissionDenied", "message": 'not "you"', "target": "web1"},
            {"id": "Second", "category": "NotSpecified", "message": "", "target": None},
        ],
    }


@every_shell
@pytest.mark.parametrize(
    ("document", "number", "text"),
    [
        ({"n": 12, "t": "34"}, 12, "34"),
        ({"t": "", "n": 0}, 0, None),
        ({"n": "12", "t": 34}, None, None),
        ({"n": -1, "t": '3"4'}, None, None),
        ({"n": 1.5, "t": None}, None, None),
        ({"a": '"n": 5, "t": "6"', "b": "n"}, None, None),
        ({"a": "x:t", "b": ": ", "t": ": n"}, None, ": n"),
        ({"a": "n", "b": "t", "n": 7}, 7, None),
        ({"t": "$(exit)`exit`*"}, None, "$(exit)`exit`*"),
        ({}, None, None),
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["compact", "spaced"])
def test_flat_fields_are_read_from_the_document(
    shell: str, document: dict[str, Any], number: int | None, text: str | None, separators: tuple[str, str]
) -> None:
    script = framed('result="[$(json_number "$(document_number n)"),$(json_text "$(document_text t)")]"')
    assert result(shell, script, json.dumps(document, separators=separators)) == [number, text]


@every_shell
def test_the_users_environment_changes_nothing(shell: str, tmp_path: Path) -> None:
    start_up = tmp_path / "start_up"
    start_up.write_text("echo noise\nalias printf=false echo=false\n")
    environment = {
        "PATH": os.environ["PATH"],
        "IFS": "0123456789",
        "CDPATH": "/",
        "ENV": str(start_up),
        "LC_ALL": "C.UTF-8",
        "SHELLOPTS": "noglob",
    }
    assert answer(shell, text_of("get_guest"), "{}", env=environment)["result"]["kernel"] == "Linux"


@every_login_shell
def test_every_login_shell_starts_it(login_shell: str) -> None:
    data = request(text_of("get_guest"), "{}")
    kind, text = said(run([*login_shell.split(), "-c", f"sh {loader_arguments()}"], data)) or ("nothing", "")
    assert (kind, json.loads(text)["result"]["name"]) == ("answer", platform.node())


def stop(shell: str, process_id: int, ticks: str, **options: Unpack[Options]) -> object:
    document = json.dumps({"process_id": process_id, "started": ticks})
    return result(shell, text_of("stop_process"), document, **options)


@every_shell
def test_stopping_a_hanging_script_ends_its_children_too(shell: str, tmp_path: Path) -> None:
    with hanging(shell, tmp_path) as (process, process_id, ticks):
        assert len(members(process.pid)) >= 2
        assert stop(shell, process_id, ticks) == {"gone": True}
        assert eventually_empty(process.pid)
        assert process.wait() == -9
    assert stop(shell, process_id, ticks) == {"gone": True}


@every_shell
def test_another_process_of_the_same_id_is_left_alone(shell: str, tmp_path: Path) -> None:
    with hanging(shell, tmp_path) as (process, process_id, ticks):
        before = set(members(process.pid))
        assert stop(shell, process_id, f"{ticks}0") == {"gone": True}
        assert before <= set(members(process.pid))


@every_shell
def test_it_does_not_stop_its_own_group(shell: str, tmp_path: Path) -> None:
    with hanging(shell, tmp_path) as (process, process_id, ticks):
        assert stop(shell, process_id, ticks, process_group=process.pid) == {"gone": True}
        assert process_id not in members(process.pid)
        assert members(process.pid) != {}


@every_shell
def test_a_process_that_has_ended_is_gone_though_nobody_has_asked_for_its_status(shell: str) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert stat(process.pid)[0] == "Z"
        assert stop(shell, process.pid, started(process.pid)) == {"gone": True}


@every_shell
@needs_root
def test_a_process_of_somebody_else_is_not_gone(shell: str, tmp_path: Path) -> None:
    with hanging(shell, tmp_path) as (_, process_id, ticks):
        assert stop(shell, process_id, ticks, user=65534) == {"gone": False}


@every_shell
@needs_root
@needs_unshare
def test_without_proc_no_process_is_known_and_none_is_gone(shell: str, tmp_path: Path) -> None:
    with hanging(shell, tmp_path) as (process, process_id, ticks):
        hide = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
        document = json.dumps({"process_id": process_id, "started": ticks})
        output = run([*hide, *command(shell)], request(text_of("stop_process"), document))
        assert b" started=>" in output
        assert said(output) == ("answer", '{"schema":1,"result":{"gone":false},"errors":[]}')
        assert process_id in members(process.pid)


@every_shell
@pytest.mark.parametrize(
    "document",
    [
        {"process_id": 0, "started": "1"},
        {"process_id": -1, "started": "1"},
        {"process_id": 2},
        {"started": "1"},
        {"process_id": "2", "started": "1"},
        {},
    ],
)
def test_what_names_no_process_is_refused(shell: str, document: dict[str, Any]) -> None:
    said = answer(shell, text_of("stop_process"), json.dumps(document))
    assert (said["result"], [error["id"] for error in said["errors"]]) == ({"gone": False}, ["InvalidDocument"])


@every_shell
def test_secrets_are_in_no_argument_list_and_no_environment(shell: str, tmp_path: Path) -> None:
    with hanging(shell, tmp_path, "correct horse") as (process, _, _):
        seen = members(process.pid)
        assert len(seen) >= 2
        assert [one for one in seen.values() if b"correct horse" in one] == []


# -- Linux guests --------------------------------------------------------------------------------------------------

NAME = f"hv_{os.getpid():07}"
"""What the tests call their daemons: others may run beside them, and all processes can be seen."""
LOOKED_FOR = {"devices": "/dev/null /dev/absent", "programs": "/bin/sh /bin", "names": NAME, "units": "", "scripts": ""}


@contextmanager
def daemon(folder: Path, script: str = "input()", name: str = NAME) -> Iterator[int]:
    """A process with the name of a daemon, that runs a program of that name in *folder*; until the end."""
    program = folder / name
    program.symlink_to(sys.executable)
    rename = f"open('/proc/self/comm', 'w').write({name!r}); print('begun', flush=True); "
    argv = [sys.executable, "-c", rename + script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def facts(shell: str, **options: Unpack[Options]) -> dict[str, Any]:
    found = result(shell, text_of("get_guest"), json.dumps(LOOKED_FOR), **options)
    assert isinstance(found, dict)
    return found


@every_shell
def test_the_facts_of_a_guest_are_what_python_says_they_are(shell: str, tmp_path: Path) -> None:
    system = os.uname()
    with daemon(tmp_path) as pid:
        found = facts(shell)
    assert (found["kernel"], found["kernel_release"], found["machine"], found["name"]) == (
        system.sysname,
        system.release,
        system.machine,
        system.nodename,
    )
    assert (found["user_id"], found["devices"], found["programs"]) == (os.geteuid(), ["/dev/null"], ["/bin/sh"])
    program = os.path.realpath(sys.executable)
    assert f"{pid} S {os.geteuid()} {NAME} {program}" in found["processes"]
    release = next((path for path in map(Path, ("/etc/os-release", "/usr/lib/os-release")) if path.exists()), None)
    assert (found["os_release"] or "") == (release.read_text().rstrip("\n") if release is not None else "")
    assert isinstance(found["driver"], bool)


@every_shell
@pytest.mark.parametrize("name", ["{}\n1", "{} ", " {}", "{}x", "\n", "*", '"', "\\", "a b", "[!a]*", "{}\t"])
def test_no_other_name_passes_for_that_of_a_daemon(shell: str, name: str, tmp_path: Path) -> None:
    with daemon(tmp_path, name=name.format(NAME)) as pid:
        assert [line for line in facts(shell)["processes"] if line.startswith(f"{pid} ")] == []


@every_shell
def test_the_path_of_a_program_forges_no_other_process(shell: str, tmp_path: Path) -> None:
    folder = tmp_path / f'"],"x":["\n1 S 0 {NAME}'
    folder.mkdir()
    program = folder / NAME
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([program, "1000"]) as process:
        try:
            while (Path("/proc") / str(process.pid) / "comm").read_text().strip() != NAME:
                time.sleep(0.01)
            assert f"{process.pid} S {os.geteuid()} {NAME} {program}" in facts(shell)["processes"]
        finally:
            process.kill()


@every_shell
@pytest.mark.parametrize(
    "content",
    [b'ID="$(touch executed)`touch executed`"\ntouch executed\n', b"\xff\xfe<\x01\x1b[2J\n", b"", b"x" * 100_000],
)
def test_a_file_is_read_up_to_a_limit_and_not_executed(shell: str, content: bytes, tmp_path: Path) -> None:
    if shell == "mksh" and len(content) > 10_000:
        pytest.skip("mksh has no printf of its own, and no program takes an argument of that length")
    (tmp_path / "file").write_bytes(content)
    library = (FOLDER / "linux_facts.sh").read_text("ascii")
    script = framed(f'{library}\nresult=$(json_text "$(beginning file)")')
    output = run(command(shell), request(script, "{}"), cwd=tmp_path)
    read = json.loads(output.splitlines()[2].decode("latin-1"))["result"]
    assert (read or "").encode("latin-1") == content[:16385].rstrip(b"\n")
    assert not (tmp_path / "executed").exists()


def document_of(change: str, *, dry_run: bool, program: str = "/bin/false") -> str:
    executable = Path(sys.executable).resolve().name
    document = {"vm_id": None, "dry_run": dry_run, "changes": change} | LOOKED_FOR
    document |= {f"test_{key}": text for key, text in LOOKED_FOR.items()} | {"test_programs": program}
    return json.dumps(document | {"test_executables": executable})


def changing(shell: str, change: str, *, dry_run: bool, program: str = "/bin/false") -> dict[str, Any]:
    """What is answered once nothing else on this machine makes a change: other tests may run beside these."""
    until = time.monotonic() + 30
    while True:
        said = changing_now(shell, change, dry_run=dry_run, program=program)
        if time.monotonic() > until or all(error["id"] != "ChangeUnderWay" for error in said["errors"]):
            return said
        time.sleep(0.1)


def changing_now(shell: str, change: str, *, dry_run: bool, program: str) -> dict[str, Any]:
    return answer(shell, text_of("set_guest_services"), document_of(change, dry_run=dry_run, program=program))


@every_shell
@needs_root
@pytest.mark.xdist_group("changes")
def test_a_change_goes_on_where_its_caller_is_killed_and_nothing_is_begun_meanwhile(shell: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "end")
    os.mkfifo(tmp_path / "begun")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ncd '{tmp_path}'\necho x >> runs\n: > begun\nread -r _ < end\necho x >> ends\n")
    program.chmod(0o755)
    asked = request(
        text_of("set_guest_services"),
        document_of("test:start", dry_run=False, program=str(program)),
        *(":", ":correct horse"),
    )
    with subprocess.Popen(command(shell), stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0) as caller:
        assert caller.stdin is not None
        caller.stdin.write(asked)
        caller.stdin.close()
        try:
            (tmp_path / "begun").read_bytes()
            workers = [entry.parent for entry in Path("/proc").glob("[0-9]*/comm") if _is_changing(entry)]
            assert not any("correct horse" in _shown(worker) for worker in workers)
        finally:
            os.killpg(caller.pid, 9)
    try:
        for dry_run in (True, False):
            said = changing_now(shell, "test:start test:stop", dry_run=dry_run, program=str(program))
            assert [error["id"] for error in said["errors"]] == ["ChangeUnderWay"] * 2
            assert {error["message"] for error in said["errors"]} <= {worker.name for worker in workers}
            assert said["result"]["changes"] == [{"was": None, "begun": False}] * 2
    finally:
        (tmp_path / "end").write_text("\n")
    assert changing(shell, "test:start", dry_run=True, program=str(program))["errors"] == []
    assert ((tmp_path / "runs").read_text(), (tmp_path / "ends").read_text()) == ("x\n", "x\n")


@pytest.mark.parametrize("shell", installed(("dash", "busybox sh")))
@needs_root
@pytest.mark.xdist_group("changes")
def test_a_change_whose_program_prints_without_end_comes_to_an_end(shell: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/process\nexec yes\n")
    program.chmod(0o755)

    asked = request(
        text_of("set_guest_services"), document_of("test:start", dry_run=False, program=str(program)), ":", ":"
    )
    output = run(command(shell), asked)

    assert b"<hvintegration answer>" not in output
    process_id = (tmp_path / "process").read_text().strip()
    assert wait_until(lambda: not runs(process_id))


def _is_changing(file: Path) -> bool:
    try:
        return file.read_text() == "hv-changing\n"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _shown(process: Path) -> str:
    try:
        return ((process / "cmdline").read_bytes() + (process / "environ").read_bytes()).decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.xdist_group("changes")
@every_shell
@needs_root
def test_a_dry_run_says_what_runs_and_touches_nothing(shell: str, tmp_path: Path) -> None:
    with daemon(tmp_path) as pid:
        for change in ("test:stop", "test:start"):
            said = changing(shell, change, dry_run=True)
            assert (said["result"]["changes"], said["errors"]) == ([{"was": True, "begun": False}], [])
        assert stat(pid)[0] != "Z"
    said = changing(shell, "test:start test:stop", dry_run=True)
    assert said["result"]["changes"] == [{"was": False, "begun": False}] * 2


@pytest.mark.xdist_group("changes")
@every_shell
@needs_root
def test_a_daemon_is_stopped_by_a_signal(shell: str, tmp_path: Path) -> None:
    with daemon(tmp_path) as pid:
        said = changing(shell, "test:stop", dry_run=False)
        assert (said["result"]["changes"], said["errors"]) == ([{"was": True, "begun": True}], [])
        assert stat(pid)[0] == "Z"


@pytest.mark.xdist_group("changes")
@every_shell
@needs_root
@pytest.mark.parametrize(
    "script", ["import os; os.setuid(65534); input()", "import os; os.execv('/bin/sleep', ['sleep', '1000'])"]
)
def test_what_is_not_roots_or_another_program_is_no_daemon_and_left_alone(
    shell: str, script: str, tmp_path: Path
) -> None:
    if "execv" in script:
        script = script.replace("execv('/bin/sleep'", f"execv({str(tmp_path / f'{NAME}2')!r}")
        shutil.copy(shutil.which("sleep") or "", tmp_path / f"{NAME}2")
    with daemon(tmp_path, script) as pid:
        said = changing(shell, "test:stop", dry_run=False)
        assert said["result"]["changes"] == [{"was": False, "begun": False}]
        assert stat(pid)[0] != "Z"


@every_shell
@needs_root
@needs_unshare
def test_a_daemon_in_a_container_is_not_the_guests(shell: str, tmp_path: Path) -> None:
    inside = f"printf {NAME} > /proc/self/comm; echo begun; read -r _"
    unshare = shutil.which("unshare") or ""
    argv = [unshare, "--pid", "--fork", "--kill-child", "sh", "-c", inside]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert [Path(f"/proc/{child}/comm").read_text() for child in children] == [f"{NAME}\n"]
        try:
            assert [line for line in facts(shell, cwd=tmp_path)["processes"] if f" {NAME} " in line] == []
        finally:
            process.kill()


@pytest.mark.xdist_group("changes")
@every_shell
@needs_root
@needs_unshare
def test_without_proc_it_is_not_said_that_nothing_runs_and_nothing_is_begun(shell: str) -> None:
    hide = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    document = {"vm_id": None, "dry_run": False, "changes": "test:start"} | LOOKED_FOR
    output = run([*hide, *command(shell)], request(text_of("set_guest_services"), json.dumps(document)))
    kind, text = said(output) or ("nothing", "")
    found = json.loads(text)
    assert (kind, found["result"]["processes"]) == ("answer", None)
    assert found["result"]["changes"] == [{"was": None, "begun": False}]
    assert [error["id"] for error in found["errors"]] == ["ProcessesHidden"]


@pytest.mark.xdist_group("changes")
@every_shell
@pytest.mark.parametrize(
    "change", ["test:start", "test:stop", "test:automatic", "test:manual", "test:disabled", "*:*", "test", "-n:-e"]
)
def test_what_is_not_there_is_not_changed(shell: str, change: str) -> None:
    document = {"vm_id": None, "dry_run": False, "changes": change} | LOOKED_FOR | {"names": ""}
    found = answer(shell, text_of("set_guest_services"), json.dumps(document))
    assert [one["begun"] for one in found["result"]["changes"]] == [False]
