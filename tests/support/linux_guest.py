"""Real Linux guests for tests: a machine on this machine that looks like a guest on Hyper-V."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import paramiko

from hvintegration import SSH

__all__ = [
    "HOSTILE",
    "KINDS",
    "SYSTEMCTL_CRASH",
    "SYSTEMCTL_START",
    "TOOL",
    "LinuxGuest",
    "end_guests",
    "name_folder",
    "start_guest",
    "why_none",
]

KINDS = ("systemd", "sysvinit", "openrc", "none")
"""The init systems of guests; the last has busybox alone, and none."""

HOSTILE = () if os.environ.get("HVINTEGRATION_LINUX_GUESTS") == "honest" else ("--rough", "noisy,lying")
"""Options of the guests that tests share: logins print, and ``ps``, ``pidof`` and ``lsmod`` lie."""

TOOL = "HVINTEGRATION_LINUX_GUEST"
"""The environment variable that names the program that starts them."""

SYSTEMCTL_CRASH = "systemctl kill --signal=SEGV {0}; while systemctl -q is-active {0}; do sleep 0.1; done"
"""The command after which a unit that ran has crashed."""

SYSTEMCTL_START = "systemctl reset-failed {0}; systemctl start {0}"
"""The command that starts a unit however often that was done: a few times in ten seconds systemd does it by itself."""

RUN = "LINUX_GUEST_RUN"
"""The one that names the folder where they live."""

OLDEST_KERNEL = (5, 19)
SECONDS_TO_START = 280
"""Root file systems are built before a kind is started for the first time."""

SECONDS_FOR_A_TURN = 30

_MARK = "=of the command="


@attrs.frozen
class LinuxGuest:
    """A running guest.

    Attributes:
        tool: The program that started it.
        name: Its name.
        address: Its IP address.
        key_file: The key that all its users take: root; admin, who may use sudo; plain, who may not.
        known_hosts: File with its host key.
    """

    tool: str
    name: str
    address: str
    key_file: Path
    known_hosts: Path
    _connections: dict[str, paramiko.SSHClient] = attrs.field(factory=dict, init=False, eq=False)

    def ssh(self, user: str = "root") -> SSH:
        """A way into it."""
        return SSH(self.address, username=user, key_files=[str(self.key_file)], known_hosts=str(self.known_hosts))

    def shell(self, command: str, *, user: str = "root", check: bool = True) -> str:
        """What *command* prints in there; what logins print before it is left out."""
        _, out, err = self._connection(user).exec_command(f"echo '{_MARK}'; {command}", timeout=60)
        printed = out.read().decode(errors="replace")
        status = out.channel.recv_exit_status()
        if status and check:
            raise subprocess.CalledProcessError(status, command, printed, err.read().decode(errors="replace"))
        return printed.partition(f"{_MARK}\n")[2]

    def host(self, *arguments: str) -> str:
        """Have its host do something, such as ``withdraw kvp``."""
        return _run(self.tool, "host", self.name, *arguments)

    def stop(self) -> None:
        """End it; nothing is left."""
        for connection in self._connections.values():
            connection.close()
        _run(self.tool, "stop", self.name)

    def _connection(self, user: str) -> paramiko.SSHClient:
        if user not in self._connections:
            client = paramiko.SSHClient()
            client.load_host_keys(str(self.known_hosts))
            client.connect(
                self.address, username=user, key_filename=str(self.key_file), allow_agent=False, look_for_keys=False
            )
            self._connections[user] = client
        return self._connections[user]


def name_folder() -> None:
    """Name a folder for the guests of this run, for all processes of it; nothing is made yet."""
    os.environ[RUN] = str(Path(os.environ.get(RUN) or tempfile.gettempdir(), f"hv-{os.getpid()}"))


def end_guests(tool: str) -> None:
    """End what is left of this run, also where a process of the tests was ended itself."""
    if Path(os.environ[RUN]).exists():
        _run(tool, "stop", "--all")
        shutil.rmtree(os.environ[RUN])


def why_none(tool: str, init: str) -> str | None:
    """Why there can be no guest with this init system here; its root file system is built if it is not there yet."""
    if tuple(int(number) for number in platform.release().split(".")[:2]) < OLDEST_KERNEL:
        return f"Linux {platform.release()} is too old"
    try:
        _run(tool, "build", init)
    except OSError as error:
        return str(error)
    except subprocess.CalledProcessError as error:
        return str(error.stderr.strip()[-200:])
    except subprocess.TimeoutExpired:
        return f"its file system could not be built in {SECONDS_TO_START} seconds"
    return None


def start_guest(tool: str, name: str, *options: str) -> LinuxGuest:
    """Start one."""
    # Each takes the first address that is free: two that start at once would take the same.
    with _turn():
        facts = json.loads(_run(tool, "start", name, *options, "--json"))
    return LinuxGuest(tool, name, facts["address"], Path(facts["key"]), Path(facts["known_hosts"]))


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """One at a time, of all processes on this machine; who waits for long goes on."""
    import fcntl  # late, for Windows has none

    with Path(tempfile.gettempdir(), "linux-guest-start.lock").open("w") as turn:
        give_up = time.monotonic() + SECONDS_FOR_A_TURN
        while time.monotonic() < give_up:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.05)
        yield


def _run(tool: str, *arguments: str) -> str:
    done = subprocess.run(
        [tool, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=SECONDS_TO_START,
        check=True,
    )
    return done.stdout
