"""The facts of a guest where the machine is not as usual, in every POSIX shell that is installed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hvintegration.operations.linux_facts import looked_for
from tests.shells.test_sh_scripts import (
    FOLDER,
    answer,
    call,
    command,
    every_shell,
    framed,
    needs_root,
    needs_unshare,
    request,
    result,
    run,
    said,
    text_of,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX shell")

LIBRARY = "linux_facts"


def programs(folder: Path, **texts: str) -> dict[str, str]:
    """An environment in which these programs are found first."""
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def inside(shell: str, setting: str, *, user: str = "") -> dict[str, Any]:
    """The facts of a machine of its own, that *setting* has made of this one."""
    become = f"setpriv --reuid {user} --regid {user} --clear-groups " if user else ""
    argv = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        f'{setting} && {become}"$@"; exit',
        "sh",
    ]
    output = run([*argv, *command(shell)], request(text_of("get_guest"), json.dumps(looked_for())))
    kind, text = said(output) or ("nothing", "")
    assert kind == "answer", output
    found: dict[str, Any] = json.loads(text)["result"]
    return found


HIDDEN = "mount -t proc -o hidepid=2 none /proc"
READ_ONLY = "mount -t proc none /proc && mount -t tmpfs -o ro none /tmp && mount -o remount,bind,ro /"
NO_SPACE = "mount -t proc none /proc && mount -t tmpfs -o size=4k none /tmp && ! head -c 9999 /dev/zero > /tmp/full"


@every_shell
@needs_root
@needs_unshare
def test_where_users_see_no_processes_of_others_nothing_is_said_of_them(shell: str) -> None:
    assert inside(shell, HIDDEN, user="65534")["processes"] is None
    assert inside(shell, HIDDEN)["processes"] == []


@every_shell
@needs_root
@needs_unshare
@pytest.mark.parametrize("setting", [READ_ONLY, NO_SPACE], ids=["read-only", "no space"])
def test_nothing_is_written_anywhere(shell: str, setting: str) -> None:
    found = inside(shell, setting)
    assert (found["kernel"], found["processes"], found["name"]) == ("Linux", [], os.uname().nodename)


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir(), key=str), ids=lambda path: path.name)
def test_no_script_has_a_here_document(path: Path) -> None:
    """Some shells write it into a file."""
    assert "<<" not in path.read_text("ascii")


@pytest.fixture
def folder_of_all() -> Iterator[Path]:
    """A folder that everybody may look into; those of tests are their owner's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@every_shell
@needs_root
def test_what_lies_in_a_folder_that_cannot_be_looked_into_may_be_there(shell: str, folder_of_all: Path) -> None:
    closed, opened = folder_of_all / "closed", folder_of_all / "opened"
    for folder in (closed, opened):
        folder.mkdir()
        shutil.copy("/bin/true", folder / "program")
    closed.chmod(0o700)
    paths = [f"{folder}/{name}" for folder in (closed, opened) for name in ("program", "absent", "a/b")]
    document = json.dumps({"programs": " ".join(paths)})
    seen: Any = answer(shell, text_of("get_guest"), document, user=65534)["result"]
    assert seen["programs"] == [*(f"?{path}" for path in paths[:3]), paths[3]]
    of_root: Any = answer(shell, text_of("get_guest"), document)["result"]
    assert of_root["programs"] == [paths[0], paths[3]]


SHOWN = "Id=a.service\nActiveState=failed\nInvocationID=1\n\nId=b.service\nActiveState=active\n\n"
SHOWN += "ActiveState=failed\nInvocationID=\nId=c.service"


@every_shell
@pytest.mark.parametrize(
    ("journal", "words"),
    [
        ("echo one; echo two", "one\ntwo"),
        ('echo \'<hvintegration end>","x":"\'', '<hvintegration end>","x":"'),
        ("head -c 3000 /dev/zero | tr '\\0' x", "x" * 1000),
        ("exit 1", ""),
    ],
)
def test_last_words_are_of_what_failed_and_have_an_end(shell: str, journal: str, words: str, tmp_path: Path) -> None:
    script = framed(
        f"{(FOLDER / f'{LIBRARY}.sh').read_text('ascii')}\n"
        "user_id=$(document_number user_id); shown=$2; result=$(list last_words)"
    )
    # A line of arguments each, so the breaks of the text come as another sign.
    script = script.replace("shown=$2", "shown=$(printf %s \"$2\" | tr @ '\\n')")
    environment = programs(tmp_path / "bin", journalctl=journal)
    for user, expected in (
        (0, [f"a.service\n{words}", "c.service\n"]),
        (1000, [f"a.service\n{words}"] if words else []),
    ):
        arguments = (json.dumps({"user_id": user}), SHOWN.replace("\n", "@"))
        assert result(shell, script, *arguments, env=environment) == expected


RAN = """\
ExecMainStartTimestamp=Fri 2026-11-27 21:03:37 CET
ExecMainPID=810
ExecMainExitTimestamp=Fri 2026-11-27 21:04:02 CET
"""


@every_shell
@pytest.mark.parametrize(
    ("ran", "words"),
    [
        (RAN, "--since 2026-11-27 21:03:37 --until 2026-11-27 21:04:59 _PID=810"),
        (RAN.replace("=810", "=0"), ""),
        (RAN.replace("=810", "="), ""),
        (RAN.replace("=Fri 2026-11-27 21:04:02 CET", "="), ""),
        (RAN.replace("=Fri 2026-11-27 21:03:37 CET", "=n/a"), ""),
        ("", ""),
    ],
)
def test_of_what_ended_at_once_the_journal_knows_the_process_only(
    shell: str, ran: str, words: str, tmp_path: Path
) -> None:
    script = framed(
        f'{(FOLDER / f"{LIBRARY}.sh").read_text("ascii")}\nresult=$(json_string "$(words a.service 1 env A=1)")'
    )
    journal = 'case $* in *_SYSTEMD_INVOCATION_ID=1) ;; *) shift 6; [ $A = 1 ] && echo "$*" ;; esac'
    environment = programs(tmp_path / "bin", journalctl=journal, systemctl=f"cat <<'END'\n{ran}END")
    assert result(shell, script, env=environment) == words


# -- FreeBSD -------------------------------------------------------------------------------------------------------

FREEBSD = {
    "uname": "case $1 in -s) echo FreeBSD ;; -r) echo 13.2-RELEASE ;; -m) echo amd64 ;; -n) echo bsd ;; esac",
    "ps": 'cat "${0%/*}/processes"',
    "devinfo": "printf 'nexus0\\n  vmbus0\\n    hvkvp0\\n    hvtimesync0\\n    hvshutdown0\\n    unknown\\n'",
    "kenv": "case $2 in *.maker) echo Microsoft Corporation ;; *.product) echo Virtual Machine ;; esac",
    "sysctl": "case $2 in kern.vm_guest) echo hv ;; kern.boottime) echo '{ sec = 1000, usec = 5 } Thu Jan  1' ;; esac",
    "date": "echo 5711",
}
PROCESSES = """\
    1 ILs      0     0 init
  700 Is       0     0 hv_kvp_daemon
  701 Is    1001     0 hv_vss_daemon
  702 I        0     3 hv_vss_daemon
  703 Z        0     0 hv_vss_daemon
  704 S        0     0 hv_vss_daemon x
  705 Ss     123     0 ntpd
"""


@every_shell
def test_freebsd_is_asked_with_its_own_programs(shell: str, tmp_path: Path) -> None:
    environment = programs(tmp_path / "bin", **FREEBSD)
    (tmp_path / "bin" / "processes").write_text(PROCESSES)
    found: Any = result(shell, text_of("get_guest"), json.dumps(looked_for()), env=environment)
    assert (found["kernel"], found["kernel_release"], found["name"]) == ("FreeBSD", "13.2-RELEASE", "bsd")
    assert (found["init"], found["hypervisor"], found["uptime"]) == ("rc", "hv", 4711)
    assert (found["vendor"], found["product"]) == ("Microsoft Corporation", "Virtual Machine")
    assert found["bus"] == ["vmbus0", "hvkvp0", "hvtimesync0", "hvshutdown0"]
    assert found["processes"] == [
        "700 I 0 hv_kvp_daemon ",
        "701 I 1001 hv_vss_daemon ",
        "703 Z 0 hv_vss_daemon ",
        "705 S 123 ntpd ",
    ]


@every_shell
def test_of_a_freebsd_whose_programs_say_nothing_nothing_is_known(shell: str, tmp_path: Path) -> None:
    silent = dict.fromkeys(FREEBSD, "exit 1") | {"uname": FREEBSD["uname"]}
    found: Any = result(shell, text_of("get_guest"), json.dumps(looked_for()), env=programs(tmp_path / "bin", **silent))
    names = ("processes", "bus", "uptime", "hypervisor", "vendor", "product")
    assert {name: found[name] for name in names} == dict.fromkeys(names)


@every_shell
def test_who_sees_no_process_of_root_on_freebsd_is_told_nothing_of_processes(shell: str, tmp_path: Path) -> None:
    environment = programs(tmp_path / "bin", **FREEBSD)
    (tmp_path / "bin" / "processes").write_text("  900 S     1001     0 sh\n")
    found: Any = result(shell, text_of("get_guest"), json.dumps(looked_for()), env=environment)
    assert found["processes"] is None


# -- costs ---------------------------------------------------------------------------------------------------------


def test_all_facts_take_few_programs(tmp_path: Path) -> None:
    """Each takes some milliseconds; the rest is the shell's own."""
    names = ("uname", "id", "dd", "ls", "od", "awk", "grep", "readlink", "dpkg-query", "apt-cache", "systemctl", "sudo")
    paths = {name: shutil.which(name) for name in names}
    texts = {
        name: f'echo {name} >> "${{0%/*}}/log"; exec {path} "$@"' for name, path in paths.items() if path is not None
    }
    environment = programs(tmp_path / "bin", **texts)
    kind, _ = call("sh", text_of("get_guest"), json.dumps(looked_for()), env=environment) or ("nothing", "")
    assert kind == "answer"
    ran = (tmp_path / "bin" / "log").read_text().split()
    assert "apt-cache" not in ran
    assert len(ran) <= 20
