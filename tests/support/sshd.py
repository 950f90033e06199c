"""A real OpenSSH server on a port of this machine, with keys of its own."""

from __future__ import annotations

import base64
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from hvintegration import SSH
from hvintegration.simulator import demo_world
from hvintegration.transports.ssh.host_keys import fingerprint

KEYS: Final = (("host", "ed25519"), ("host_rsa", "rsa"), ("user", "ed25519"))
START: Final = 10.0
"""Seconds that a server may take to start."""

QUICK_START: Final = {
    "DOTNET_EnableDiagnostics": "0",
    "DOTNET_gcConcurrent": "0",
    "DOTNET_TC_CallCountingDelayMs": "FFFFFF",
    "POWERSHELL_TELEMETRY_OPTOUT": "1",
}
"""Environment variables with which a PowerShell takes half of a processor's time, if it does not live for long.

It is not debugged, collects its garbage in the foreground, and never compiles a second time what it calls often.
"""


def missing() -> str | None:
    """Why no server can be started here, or None."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "sshd is started by root only"
    for program in ("ssh-keygen", "sshd"):
        if find(program) is None:
            return f"there is no {program}"
    return None


def find(program: str) -> str | None:
    """Where *program* is."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def make_keys(folder: Path) -> None:
    """Put the keys of the server and of a user into *folder*."""
    for name, kind in KEYS:
        make_key(folder / name, kind)


def make_key(file: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    """Make a key, and its public half beside it."""
    program = find("ssh-keygen")
    assert program is not None
    size = ["-b", "2048"] if kind == "rsa" else []  # The usual one takes a second to make.
    subprocess.run([program, "-q", "-t", kind, *size, "-N", passphrase, "-C", "", "-f", str(file)], check=True)


@attrs.frozen
class Sshd:
    """A running server."""

    port: int
    known_hosts: Path
    key_file: Path
    world: Path
    folder: Path
    host_key: str

    def ssh(self, **options: object) -> SSH:
        """A way to it."""
        defaults = {
            "port": self.port,
            "username": getpass.getuser(),
            "known_hosts": self.known_hosts,
            "key_files": self.key_file,
        }
        return SSH("127.0.0.1", **(defaults | options))  # type: ignore[arg-type]

    def engines(self) -> int:
        """How many PowerShells of this server run."""
        found = 0
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                mine = f"HYPERV_WORLD={self.world}".encode() in environment.read_bytes()
                found += mine and environment.with_name("comm").read_text().strip() == "pwsh"
        return found


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Servers:
    """Starts servers, with the keys in *keys*, each in a folder that *make_folder* makes."""

    def __init__(self, keys: Path, make_folder: Callable[[], Path]) -> None:
        self._keys = keys
        self._make_folder = make_folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *lines: str) -> Sshd:
        """A server with more *lines* of configuration, which count before the usual ones."""
        folder, keys = self._make_folder(), self._keys
        world = folder / "world.json"
        demo_world().save(world)
        environment = {"HYPERV_WORLD": world, **QUICK_START}
        port = free_port()
        Path("/run/sshd").mkdir(exist_ok=True)
        (folder / "sshd_config").write_text(
            "\n".join(
                [
                    *lines,
                    f"Port {port}",
                    "ListenAddress 127.0.0.1",
                    f"HostKey {keys / 'host'}",
                    f"HostKey {keys / 'host_rsa'}",
                    f"AuthorizedKeysFile {keys / 'user.pub'}",
                    " ".join(["SetEnv", *(f"{name}={value}" for name, value in environment.items())]),
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
        program = find("sshd")
        assert program is not None
        self._running.append(subprocess.Popen([program, "-D", "-f", str(folder / "sshd_config"), "-E", str(log)]))
        give_up = time.monotonic() + START
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < give_up, f"sshd did not start: {log.read_text()}"
                time.sleep(0.02)
        pin = fingerprint(base64.b64decode(key))
        return Sshd(port, folder / "known_hosts", keys / "user", world, folder, pin)

    def stop(self) -> None:
        """Stop them all."""
        for process in self._running:
            process.terminate()
            process.wait(10)
