"""A child process whose pipes are read and written by threads, so that no wait can outlast a deadline."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Final

from hvintegration.clock import Deadline
from hvintegration.errors import (
    ConnectError,
    ConnectionLostError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
    excerpt,
)
from hvintegration.transports.out_of_process import MAX_LINE

__all__ = ["ChildProcess"]

_CHUNK: Final = 64 * 1024
_LINES_AHEAD: Final = 64
_SLICE: Final = 0.5  # Seconds of one wait: on Windows, Ctrl-C is noticed between waits only.
_SECONDS_TO_END: Final = 0.4
_SECONDS_TO_DIE: Final = 5.0
_COMPLAINT_LENGTH: Final = 4096


class ChildProcess:
    """A child process with three threads at its pipes, so that no read or write can outlast a deadline."""

    def __init__(self, command: Sequence[str], address: str) -> None:
        self._command = command
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes | TransportError] = queue.Queue(_LINES_AHEAD)
        self._unsent: queue.SimpleQueue[tuple[bytes, threading.Event] | None] = queue.SimpleQueue()
        self._complaints = b""
        self._over = threading.Event()

    def start(self) -> None:
        """Start it.

        Raises:
            ConnectError: It could not be started.
        """
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
        for work, pipe in ((self._write, process.stdin), (self._read, process.stdout), (self._listen, process.stderr)):
            threading.Thread(target=work, args=(pipe,), name=f"{self._address} {work.__name__}", daemon=True).start()

    # -- for the client -------------------------------------------------------------------------------------------

    def write(self, line: bytes, deadline: Deadline) -> None:
        """Send *line*; see :class:`~hvintegration.transports.out_of_process.Streams`."""
        written = threading.Event()
        self._unsent.put((line, written))
        while not written.wait(min(deadline.left(), _SLICE)):
            if not deadline.left():
                raise self._too_late(deadline)

    def read_line(self, deadline: Deadline) -> bytes:
        """The next line; see :class:`~hvintegration.transports.out_of_process.Streams`."""
        while True:
            try:
                line = self._lines.get(timeout=min(deadline.left(), _SLICE))
            except queue.Empty:
                if not deadline.left():
                    raise self._too_late(deadline) from None
            else:
                if isinstance(line, TransportError):
                    raise line
                return line

    def end(self) -> None:
        """Close its input, which ends a healthy PowerShell, and wait a moment for it."""
        self._unsent.put(None)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_SECONDS_TO_END)

    def kill(self) -> bool:
        """End it for certain, with all that it started; whether that succeeded."""
        self._over.set()
        self._unsent.put(None)
        return self._process is None or _kill(self._process)

    def _too_late(self, deadline: Deadline) -> TransportTimeoutError:
        return TransportTimeoutError(
            f"PowerShell ({self._address}) did not answer within {deadline.total:.3g} seconds.",
            address=self._address,
            after=deadline.total,
            may_have_run=True,
        )

    # -- the threads ----------------------------------------------------------------------------------------------

    def _read(self, output: IO[bytes]) -> None:
        rest = b""
        with output, contextlib.suppress(OSError):
            while chunk := output.read(_CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._deliver(line)
                if len(rest) > MAX_LINE:
                    self._deliver(
                        ProtocolError(
                            f"PowerShell ({self._address}) wrote a line of more than {MAX_LINE} bytes.",
                            address=self._address,
                            received=rest[:400].decode("ascii", "replace"),
                        )
                    )
                    return
        complaint = excerpt(self._complaints.decode("utf-8", "replace").strip() or rest.decode("utf-8", "replace"))
        self._deliver(
            ConnectionLostError(
                f"PowerShell ({self._address}) ended{': ' + complaint if complaint else '.'}",
                address=self._address,
                may_have_run=True,
            )
        )

    def _deliver(self, item: bytes | TransportError) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self._lines.put(item, timeout=0.2)
                return

    def _write(self, target: IO[bytes]) -> None:
        # A broken pipe is no news to the writer: what counts is what the reader then finds.
        broken = False
        with contextlib.suppress(OSError), target:
            while (item := self._unsent.get()) is not None:
                line, written = item
                try:
                    view = memoryview(line)
                    while view and not broken:
                        view = view[target.write(view) :]
                except OSError:
                    broken = True
                written.set()

    def _listen(self, complaints: IO[bytes]) -> None:
        with complaints, contextlib.suppress(OSError):
            while chunk := complaints.read(_CHUNK):
                self._complaints = (self._complaints + chunk)[-_COMPLAINT_LENGTH:]


# In a group of its own: Ctrl-C is for this process, which then decides about the child.
if sys.platform == "win32":
    _CREATION_FLAGS: Final = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    _NEW_SESSION: Final = False
else:
    _CREATION_FLAGS: Final = 0
    _NEW_SESSION: Final = True


def _kill(process: subprocess.Popen[bytes]) -> bool:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(_SECONDS_TO_DIE)
    except subprocess.TimeoutExpired:
        return False
    return True
