"""Real Linux guests for tests: a machine on this machine that looks like a guest on Hyper-V."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import attrs

from hvintegration import SSH

__all__ = ["KINDS", "TOOL", "LinuxGuest", "start_guest"]

KINDS = ("systemd", "sysvinit", "openrc", "none")
"""The init systems of guests; the last has busybox alone, and none."""

TOOL = "HVINTEGRATION_LINUX_GUEST"
"""The environment variable that names the program that starts them."""

SECONDS_TO_START = 600
"""The first start of a kind builds its root file system."""


@attrs.frozen
class LinuxGuest:
    """A running guest.

    Attributes:
        tool: The program that started it.
        run: The folder where it lives.
        name: Its name.
        address: Its IP address.
        key_file: The key that all its users take: root; admin, who may use sudo; plain, who may not.
        known_hosts: File with its host key.
    """

    tool: str
    run: Path
    name: str
    address: str
    key_file: Path
    known_hosts: Path

    def ssh(self, user: str = "root") -> SSH:
        """A way into it."""
        return SSH(self.address, username=user, key_files=[str(self.key_file)], known_hosts=str(self.known_hosts))

    def shell(self, command: str, *, user: str = "root", check: bool = True) -> str:
        """What *command* prints in there."""
        return self._run("shell", "--user", user, self.name, command, check=check)

    def host(self, *arguments: str) -> str:
        """Have its host do something, such as ``withdraw kvp``."""
        return self._run("host", self.name, *arguments)

    def stop(self) -> None:
        """End it; nothing is left."""
        self._run("stop", self.name)

    def _run(self, *arguments: str, check: bool = True) -> str:
        return _run(self.tool, self.run, *arguments, check=check)


def start_guest(tool: str, run: Path, name: str, *options: str) -> LinuxGuest:
    """Start one.

    Raises:
        CalledProcessError: It cannot be started here; its ``stderr`` says why.
    """
    import fcntl  # late, for Windows has none

    # Each takes the first address that is free: two that start at once would take the same.
    with Path(tempfile.gettempdir(), "linux-guest-start.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        facts = json.loads(_run(tool, run, "start", name, *options, "--json"))
    return LinuxGuest(tool, run, name, facts["address"], Path(facts["key"]), Path(facts["known_hosts"]))


def _run(tool: str, run: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        [tool, *arguments],
        env={**os.environ, "LINUX_GUEST_RUN": str(run)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=SECONDS_TO_START,
        check=check,
    )
    return done.stdout
