"""Proving who one is to a real OpenSSH server: the agent, and keys with a passphrase."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from hvintegration import SSH
from hvintegration.clock import Deadline
from hvintegration.errors import AuthenticationError, for_command
from tests.support import sshd
from tests.support.endpoints import wait_until

PASSPHRASE = "Passphrase-mark-1"


@attrs.frozen
class Locked:
    """A server that accepts one key, which needs a passphrase."""

    server: sshd.Sshd
    key_file: Path


@pytest.fixture(scope="module", params=["ed25519", "ecdsa", "rsa"])
def locked(
    request: pytest.FixtureRequest, start_sshd: Callable[..., sshd.Sshd], tmp_path_factory: pytest.TempPathFactory
) -> Locked:
    key_file = tmp_path_factory.mktemp("locked") / "key"
    sshd.make_key(key_file, request.param, PASSPHRASE)
    return Locked(start_sshd(f"AuthorizedKeysFile {key_file}.pub"), key_file)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The socket of an agent, which has no keys yet. This user has no keys either."""
    program = sshd.find("ssh-agent")
    if program is None or sshd.find("ssh-add") is None:
        pytest.skip("there is no ssh-agent")
    place = tmp_path / "agent"
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    process = subprocess.Popen([program, "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    assert wait_until(place.exists)
    yield place
    process.terminate()
    process.wait(10)


def add_to_agent(key_file: Path, folder: Path) -> None:
    """Let the agent have a key, with ``ssh-add``, which asks a program for the passphrase."""
    asked = folder / "askpass"
    asked.write_text(f"#!/bin/sh\necho '{PASSPHRASE}'\n")
    asked.chmod(0o700)
    program = sshd.find("ssh-add")
    assert program is not None
    ask = {"SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
    subprocess.run([program, "-q", str(key_file)], env=os.environ | ask, check=True, stdin=subprocess.DEVNULL)


def log_in(ssh: SSH) -> str:
    """With what that succeeded."""
    found = ""
    for name, step in ssh.steps():
        found = step(Deadline(10))
        if name == "authentication":
            break
    ssh.close()
    return found


def test_a_key_of_the_agent_is_used(locked: Locked, agent: Path, tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError, match="without anything to prove it"):
        log_in(locked.server.ssh(key_files=None))
    add_to_agent(locked.key_file, tmp_path)

    assert log_in(locked.server.ssh(key_files=None)).endswith("a key of the agent")
    with pytest.raises(AuthenticationError):
        log_in(locked.server.ssh(key_files=None, use_agent=False))


# paramiko leaves a socket that it cannot connect to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_socket_without_an_agent_does_not_matter(
    locked: Locked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "absent"))

    with pytest.raises(AuthenticationError, match="without anything to prove it"):
        log_in(locked.server.ssh(key_files=None))


def test_a_key_opens_with_its_passphrase(locked: Locked) -> None:
    assert log_in(locked.server.ssh(key_files=locked.key_file, passphrase=PASSPHRASE)).endswith(str(locked.key_file))


@pytest.mark.parametrize(
    ("passphrase", "problem"), [(None, "needs a passphrase"), ("wr0ng", "does not open with this passphrase")]
)
def test_a_wrong_passphrase_is_said_to_be_wrong_and_not_told(
    locked: Locked, passphrase: str | None, problem: str
) -> None:
    with pytest.raises(AuthenticationError, match=problem) as refused:
        log_in(locked.server.ssh(key_files=locked.key_file, passphrase=passphrase))

    assert "wr0ng" not in f"{refused.value} {refused.value!r} {refused.value.__context__!r}"
    assert refused.value.hint == "Pass passphrase=..., or load the key into an agent."
    assert for_command(refused.value.hint) == "Load the key into an agent."
