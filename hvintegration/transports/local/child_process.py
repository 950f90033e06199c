"""A child process whose pipes are read and written by threads, so that no wait can outlast a deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hvintegration.clock import MOST_SECONDS, Deadline
from hvintegration.errors import ConnectError
from hvintegration.processes import disown
from hvintegration.transports.remoting.line_streams import LineStreams
from hvintegration.transports.worker import Job

__all__ = ["ChildProcess"]

_SECONDS_TO_END: Final = 0.4
_SECONDS_TO_DIE: Final = 5.0
_SECONDS_TO_BE_GONE: Final = 0.3
_PAUSE: Final = 0.02


class ChildProcess(LineStreams):
    """A child process and the lines to and from it."""

    def __init__(self, command: Sequence[str], address: str) -> None:
        super().__init__(address)
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a thread: Ctrl-C, which strikes the main one, would leave a process that nobody knows.

        Raises:
            ConnectError: It could not be started.
        """
        starting = Job(self._start)
        threading.Thread(target=starting.do, name=f"{self._address} starts", daemon=True).start()
        starting.result(Deadline(MOST_SECONDS))

    def _start(self) -> None:
        try:
            self._process = process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                creationflags=_CREATION_FLAGS,
                start_new_session=_NEW_SESSION,
            )
        except (OSError, ValueError) as error:
            raise ConnectError(
                f"{self._command[0]} could not be started: {error}",
                address=self._address,
                hint="Check the path of the program.",
            ) from error
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.attach(process.stdin, process.stdout, process.stderr)
        if self._over:  # Asked after the process is known: whoever gives it up kills what is known.
            self.kill()

    def end(self) -> None:
        """Close its input, which ends a healthy PowerShell, and wait a moment for it."""
        self.finish()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_SECONDS_TO_END)

    def forget(self) -> None:
        """In a forked process: close the pipes, and leave the process to the one that has started it."""
        super().forget()
        process, self._process = self._process, None
        if process is not None:
            disown(process)

    def kill(self, deadline: Deadline | None = None) -> bool:
        """End it for certain, with all that it started; whether that succeeded.

        Args:
            deadline: How long to wait for what it started as another user, such as by sudo, which only ends by
                itself; if None, or if it has passed, the 0.3 seconds that what was killed may take to be gone.
        """
        self.abandon()
        return self._process is None or _kill(self._process, deadline)


# In a group of its own: Ctrl-C is for this process, which then decides about the child.
if sys.platform == "win32":
    _CREATION_FLAGS: Final = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    _NEW_SESSION: Final = False
else:
    _CREATION_FLAGS: Final = 0
    _NEW_SESSION: Final = True


def _kill(process: subprocess.Popen[bytes], deadline: Deadline | None) -> bool:
    ended = process.returncode is not None  # Then its number may be another's by now.
    if not ended:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(_SECONDS_TO_DIE)
    except subprocess.TimeoutExpired:
        return False
    killed = Deadline(_SECONDS_TO_BE_GONE)  # Its memory is given back first.
    while not ended and _runs_on(process.pid):
        if not killed.left() and (deadline is None or not deadline.left()):
            return False
        time.sleep(_PAUSE)
    return True


def _runs_on(group: int) -> bool:
    """Whether somebody else's process is in that group, all of ours in it being killed."""
    if sys.platform == "win32":
        return False
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return any(_is_of(group, path) for path in Path("/proc").glob("[0-9]*/stat"))


def _is_of(group: int, path: Path) -> bool:
    try:
        # The name of a program may hold spaces and brackets.
        state, _parent, its_group, *_ = path.read_bytes().rpartition(b") ")[2].split()
    except (OSError, ValueError):
        return False
    return int(its_group) == group and state not in {b"Z", b"X"}
