"""Scripts of POSIX sh, over OpenSSH, in each shell that may be behind ``sh``."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from hvintegration import SSH, Host, Local
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import CommandFailedError, ConfigurationError, ConnectError, TransportTimeoutError
from hvintegration.scripts import SH_GET_GUEST, Effect, Language
from tests.support.amounts import some_by_day
from tests.support.endpoints import wait_until
from tests.support.other_script import OtherScript
from tests.support.sshd import Sshd
from tests.support.time_limit import GRACE, within

SHELLS: Final = ("dash", "bash", "busybox")
SHELLS_BY_DAY: Final = ("bash", "busybox")


@pytest.fixture(scope="module", params=some_by_day(SHELLS, SHELLS_BY_DAY))
def server(
    request: pytest.FixtureRequest, start_sshd: Callable[..., Sshd], tmp_path_factory: pytest.TempPathFactory
) -> Sshd:
    """A server on which that shell is ``sh``."""
    shell = shutil.which(str(request.param))
    if shell is None:
        pytest.skip(f"the shell {request.param} is missing")
    folder = tmp_path_factory.mktemp("shell")
    (folder / "sh").symlink_to(shell)
    return start_sshd(f"SetEnv PATH={folder}:/usr/bin:/bin MARK={folder}")


@pytest.fixture
def ssh(server: Sshd) -> Iterator[SSH]:
    with contextlib.closing(server.ssh()) as ssh:
        yield ssh


def other(text: str, effect: Effect = Effect.READ) -> OtherScript:
    return OtherScript("other", effect, Language.SH, text=text)


def processes(mark: str) -> list[str]:
    """Programs that run with that in their arguments."""
    found = []
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = arguments.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if mark in text and "pytest" not in text:
                found.append(text)
    return found


def test_a_script_reads_the_system(ssh: SSH) -> None:
    for _ in range(2):
        answer = json.loads(ssh.call(Call(SH_GET_GUEST, {}), Deadline(30)))

        assert answer["errors"] == []
        assert answer["result"]["kernel"] == "Linux"
        assert answer["result"]["kernel_release"] == platform.release()
        assert answer["result"]["name"] == platform.node()
        assert answer["result"]["user_id"] == 0


@pytest.mark.parametrize(
    "text", ["$(touch PWNED)", "`touch PWNED`", "'; touch PWNED; '", "#end", "ä\n#end\ntouch PWNED"]
)
def test_the_document_is_data(ssh: SSH, tmp_path: Path, text: str) -> None:
    script = other('printf %s "$1"')

    answer = ssh.call(Call(script, {"text": text.replace("PWNED", str(tmp_path / "pwned"))}), Deadline(30))

    assert json.loads(answer)["text"].replace(str(tmp_path / "pwned"), "PWNED") == text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["echo '{}'; exit 3", "if", "exit 1"])
def test_a_script_that_fails_is_an_error_and_the_next_one_runs(ssh: SSH, text: str) -> None:
    with pytest.raises(CommandFailedError, match="exit status") as failed:
        ssh.call(Call(other(text), {}), Deadline(30))

    assert failed.value.error_id == "ScriptFailed"
    assert json.loads(ssh.call(Call(SH_GET_GUEST, {}), Deadline(30)))["errors"] == []


@pytest.mark.parametrize("effect", list(Effect))
def test_what_hangs_is_ended_with_its_children(ssh: SSH, effect: Effect, tmp_path: Path) -> None:
    mark = f"{tmp_path}/hung"
    script = other(f"cat {mark}-fifo; echo '{{}}'", effect)
    os.mkfifo(f"{mark}-fifo")

    with within(6 + GRACE), pytest.raises(TransportTimeoutError) as late:
        ssh.call(Call(script, {}), Deadline(6))

    assert late.value.may_have_run
    if effect is Effect.WRITE:
        assert late.value.fenced
        assert processes(mark) == []
    assert wait_until(lambda: processes(mark) == [])
    assert json.loads(ssh.call(Call(SH_GET_GUEST, {}), Deadline(30)))["errors"] == []


def test_a_server_without_a_shell_is_said_to_have_none(start_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    with (
        contextlib.closing(start_sshd(f"SetEnv PATH={tmp_path}").ssh()) as ssh,
        pytest.raises(ConnectError, match="POSIX sh did not start") as absent,
    ):
        ssh.call(Call(SH_GET_GUEST, {}), Deadline(30))
    assert not absent.value.may_have_run


@pytest.mark.engine
def test_both_languages_share_a_connection(start_sshd: Callable[..., Sshd], engine: str) -> None:
    with contextlib.closing(start_sshd(f"Subsystem powershell {engine} -sshs -NoLogo -NoProfile").ssh()) as ssh:
        host = Host(ssh)

        assert host.info().name == "HV01"
        assert json.loads(ssh.call(Call(SH_GET_GUEST, {}), Deadline(30)))["errors"] == []
        assert host.info().name == "HV01"


@pytest.mark.engine
def test_a_powershell_takes_no_shell_script(engine: str) -> None:
    with contextlib.closing(Local(engine)) as local:
        with pytest.raises(ConfigurationError, match="runs PowerShell, not POSIX sh"):
            local.call(Call(SH_GET_GUEST, {}), Deadline(30))
        requests = local.requests
        with pytest.raises(ConfigurationError, match="runs PowerShell, not POSIX sh"):
            local.call(Call(SH_GET_GUEST, {}), Deadline(30))
        assert local.requests == requests
