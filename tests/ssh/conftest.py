"""A real OpenSSH server, on a port of this machine, for tests of SSH."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from hvintegration import SSH
from hvintegration.simulator import demo_world


@attrs.frozen
class Sshd:
    """A running server."""

    port: int
    known_hosts: Path
    key_file: Path
    world: Path
    folder: Path

    def ssh(self, **options: object) -> SSH:
        defaults = {
            "port": self.port,
            "username": getpass.getuser(),
            "known_hosts": self.known_hosts,
            "key_files": self.key_file,
        }
        return SSH("127.0.0.1", **(defaults | options))  # type: ignore[arg-type]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the server's keys and a user's."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("there is no ssh-keygen")
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in (("host", "ed25519"), ("host_rsa", "rsa"), ("user", "ed25519")):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / name)],  # noqa: S607 - on the search path
            check=True,
        )
    return folder


@pytest.fixture(scope="session")
def start_sshd(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Sshd]]:
    """Starts servers with more lines of configuration."""
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("there is no sshd")
    running: list[subprocess.Popen[bytes]] = []
    Path("/run/sshd").mkdir(exist_ok=True)

    def start(*lines: str) -> Sshd:
        folder = tmp_path_factory.mktemp("sshd")
        world = folder / "world.json"
        demo_world().save(world)
        port = free_port()
        (folder / "sshd_config").write_text(
            "\n".join(
                [
                    *lines,
                    f"Port {port}",
                    "ListenAddress 127.0.0.1",
                    f"HostKey {keys / 'host'}",
                    f"HostKey {keys / 'host_rsa'}",
                    f"AuthorizedKeysFile {keys / 'user.pub'}",
                    f"SetEnv HYPERV_WORLD={world}",
                    "StrictModes no",
                    "PermitRootLogin yes",
                    "UsePAM no",
                    "PasswordAuthentication no",
                    "PidFile none",
                    "MaxStartups 100",
                ]
            )
        )
        kind, key = (keys / "host.pub").read_text().split()[:2]
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
        log = folder / "log"
        running.append(subprocess.Popen([program, "-D", "-f", str(folder / "sshd_config"), "-E", str(log)]))
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.02)
        else:
            pytest.fail(f"sshd did not start: {log.read_text()}")
        return Sshd(port, folder / "known_hosts", keys / "user", world, folder)

    yield start
    for process in running:
        process.terminate()
        process.wait(10)
