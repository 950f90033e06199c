"""How scripts for Linux guests become root, with programs that play sudo, in every POSIX shell that is installed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.shells.test_sh_scripts import answer, every_shell, framed, text_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX shell")

PASSWORD = "correct horse"
ASKS = "sudo: a password is required"

SUDO = """#!/bin/sh
# Takes the password of the file 'password', of what the file 'refusal' does not say otherwise.
folder=${0%/*}
{ echo "$*"; tr '\\0' '\\n' < /proc/$$/cmdline; env; } >> "$folder/log"
[ ! -e "$folder/lecture" ] || cat "$folder/lecture" >&2
[ ! -e "$folder/every" ] || { cat "$folder/every" >&2; exit 1; }
case $1 in
    -n)
        shift
        [ "$1" != -- ] || shift
        [ ! -e "$folder/free" ] || [ "$1" != "$(cat "$folder/free")" ] || exec "$@"
        echo 'sudo: unable to resolve host web1: Name or service not known' >&2
        echo 'sudo: a password is required' >&2
        exit 1
        ;;
    -S) shift 3 ;;
esac
echo tried >> "$folder/tries"
IFS= read -r given || { echo 'sudo: no password was provided' >&2; exit 1; }
if [ "$given" != "$(cat "$folder/password")" ]; then
    IFS= read -r given || { echo 'Sorry, try again.' >&2; echo 'sudo: 1 incorrect password attempt' >&2; exit 1; }
    echo tried >> "$folder/tries"
    exit 1
fi
[ ! -e "$folder/refusal" ] || { cat "$folder/refusal" >&2; exit 1; }
case $1 in
    -v) ;;
    --) shift; exec "$@" ;;
    *) exit 2 ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder for the front of PATH, in which this user is not root, and sudo asks for a password."""
    for name, text in {"sudo": SUDO, "id": "#!/bin/sh\necho 1000\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "password").write_text(PASSWORD)
    return tmp_path


def run(shell: str, machine: Path, body: str, password: str | None = PASSWORD) -> dict[str, Any]:
    """What a script says that becomes root, given a password for sudo."""
    rights = text_of("get_guest").partition("#BODY")[0]
    start, end = (
        rights.index("# How this user becomes root."),
        rights.index("# What the scripts for Linux guests share"),
    )
    arguments = () if password is None else (":", f":{password}")
    script = framed(f"{rights[start:end]}\n{body}")
    environment = {"PATH": f"{machine}:{os.environ['PATH']}", "SHELLOPTS": "allexport"}
    return answer(shell, script, "{}", *arguments, env=environment)


RIGHTS = 'result=$(json_text "$rights")'
AS_ROOT = 'said=$(with_rights sh -c "echo \\"\\$1\\"; cat; env" sh "a  b"); result=$(json_text "$said")'


@every_shell
@pytest.mark.parametrize(
    "password",
    [PASSWORD, "\\", "a\\nb", "%s", "-n", "$(exit)`exit`", "'\"", "  spaces  ", "#end x", "\u00e9\U0001f642", "\x01\t"],
)
def test_with_its_password_sudo_makes_this_user_root_and_nothing_shows_the_password(
    shell: str, password: str, machine: Path
) -> None:
    (machine / "password").write_text(password)
    assert run(shell, machine, RIGHTS, password) == {"schema": 1, "result": "sudo", "errors": []}
    said = run(shell, machine, AS_ROOT, password)
    assert said["errors"] == []
    first, *environment = said["result"].splitlines()
    assert (first, [line for line in environment if "=" not in line]) == ("a  b", [])
    if len(password) > 4:
        shown = (machine / "log").read_text()
        assert (password in shown, password in said["result"]) == (False, False)


@every_shell
def test_where_no_password_is_asked_for_no_command_gets_it(shell: str, machine: Path) -> None:
    (machine / "free").write_text("sh")
    assert PASSWORD not in run(shell, machine, AS_ROOT)["result"]
    (machine / "free").write_text("true")
    assert run(shell, machine, RIGHTS)["result"] == "sudo"
    assert not (machine / "tries").exists() or (machine / "tries").read_text() == "tried\n"


@every_shell
def test_a_wrong_password_is_tried_once_and_told(shell: str, machine: Path) -> None:
    said = run(shell, machine, RIGHTS, "wrong")
    assert (said["result"], [error["id"] for error in said["errors"]]) == ("sudo with a password", ["SudoRefused"])
    assert "incorrect password" in said["errors"][0]["message"]
    assert "wrong" not in json.dumps(said)
    assert (machine / "tries").read_text() == "tried\n"


@every_shell
@pytest.mark.parametrize(
    ("file", "text", "rights"),
    [
        ("lecture", "We trust you have received the usual lecture.\nsudo: must you?\n", "sudo"),
        ("every", "sudo: sorry, you must have a tty to run sudo\n", "sudo on a terminal"),
        ("refusal", "Sorry, user admin may not run sudo on web1.\n", "none"),
        ("refusal", "admin is not in the sudoers file.\n", "none"),
    ],
)
def test_what_sudo_says_is_understood(shell: str, file: str, text: str, rights: str, machine: Path) -> None:
    (machine / file).write_text(text)
    assert run(shell, machine, RIGHTS) == {"schema": 1, "result": rights, "errors": []}


@every_shell
def test_without_a_password_none_is_tried(shell: str, machine: Path) -> None:
    assert run(shell, machine, RIGHTS, None)["result"] == "sudo with a password"
    assert not (machine / "tries").exists()


@every_shell
@pytest.mark.parametrize(
    ("status", "text", "refused"),
    [
        (1, ASKS, True),
        (1, "Sorry, user admin is not allowed to execute '/bin/x' as root on web1.", True),
        (1, "sudo: unable to resolve host web1: Name or service not known\nJob failed.", False),
        (1, f"sudo: unable to resolve host web1: Name or service not known\n{ASKS}", True),
        (1, "Job failed.", False),
        (0, "sudo: unable to resolve host web1", False),
        (3, ASKS, False),
    ],
)
def test_a_refusal_is_told_from_a_command_that_failed(
    shell: str, status: int, text: str, refused: object, machine: Path
) -> None:
    body = f'if is_refusal {status} "$(cat text)"; then result=true; else result=false; fi'
    (machine / "text").write_text(text)
    assert run(shell, machine, f'cd "{machine}"\n{body}')["result"] is refused
