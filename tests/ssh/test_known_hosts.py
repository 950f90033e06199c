"""What is trusted by a known_hosts file, compared with OpenSSH: each case of the table, at a real server."""

from __future__ import annotations

import base64
import getpass
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from hvintegration import SSH
from hvintegration.clock import Deadline
from hvintegration.errors import UntrustedHostError
from tests.support.amounts import some_by_day
from tests.support.known_hosts_cases import CASES, Case, Server, trusts

if TYPE_CHECKING:
    from tests.support.sshd import Sshd

CONNECTED: Final = [case for case in CASES if case.alias is None and (case.host != "127.0.0.1" or "port" in case.title)]
"""Cases in which the name counts that the connection is made to."""

ASKED_BY_DAY: Final = CASES[::8]
"""What OpenSSH says of them changes with OpenSSH only; what we say of all of them is tested without it."""


@pytest.fixture(scope="module")
def server(start_sshd: Callable[..., Sshd]) -> Sshd:
    """A server with keys of both kinds."""
    return start_sshd()


@pytest.fixture(scope="module")
def known(server: Sshd, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """What is known of it, with a certificate of its key."""
    folder = tmp_path_factory.mktemp("certificate")
    shutil.copy(keys / "host.pub", folder)
    program = shutil.which("ssh-keygen")
    assert program is not None
    subprocess.run([program, "-q", "-s", keys / "user", "-I", "x", "-h", folder / "host.pub"], check=True)

    def key(file: Path) -> bytes:
        return base64.b64decode(file.read_text().split()[1])

    return Server(
        "127.0.0.1", server.port, key(keys / "host.pub"), key(keys / "host_rsa.pub"), key(folder / "host-cert.pub")
    )


def openssh_trusts(case: Case, server: Sshd, file: Path) -> bool:
    """Whether ssh trusts the server by *file*."""
    program = shutil.which("ssh")
    if program is None:
        pytest.skip("there is no ssh")
    options = {
        "UserKnownHostsFile": file,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "ConnectTimeout": "20",
        **({"HostKeyAlias": case.alias} if case.alias else {}),
    }
    done = subprocess.run(
        [
            *(program, "-F", "/dev/null", "-p", str(server.port), "-i", str(server.key_file), "-l", getpass.getuser()),
            *(f"-o{name}={value}" for name, value in options.items()),
            *(case.host, "true"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        assert "Host key verification failed." in done.stderr
    return not done.returncode


def resolve(host: str) -> None:
    """Skip the test if *host* has no address here."""
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        pytest.skip(f"this system does not know {host}")


@pytest.mark.parametrize("case", some_by_day(CASES, ASKED_BY_DAY), ids=lambda case: case.title)
def test_a_key_is_trusted_as_by_openssh(case: Case, server: Sshd, known: Server, tmp_path: Path) -> None:
    resolve(case.host)
    file = tmp_path / "known_hosts"
    by_us = trusts(case, attrs.evolve(known, host=case.host), file)

    by_openssh = openssh_trusts(case, server, file)

    assert (by_openssh, by_us) == (case.trusted, case.trusted_by_us)


@pytest.mark.parametrize("case", CONNECTED, ids=lambda case: case.title)
def test_a_connection_is_made_as_the_table_says(case: Case, server: Sshd, known: Server, tmp_path: Path) -> None:
    resolve(case.host)
    file = tmp_path / "known_hosts"
    file.write_bytes(case.content(attrs.evolve(known, host=case.host)))
    ssh = SSH(case.host, port=server.port, username="nobody", known_hosts=file)
    steps = dict(ssh.steps())
    deadline = Deadline(20)
    steps["name"](deadline)
    steps["port"](deadline)
    try:
        steps["host key"](deadline)
    except UntrustedHostError:
        trusted = False
    else:
        trusted = True
    finally:
        ssh.close()

    assert trusted is case.trusted_by_us
