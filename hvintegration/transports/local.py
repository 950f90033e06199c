"""PowerShell on this machine, as a child process that stays warm between calls."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from hvintegration.clock import Deadline, SystemClock
from hvintegration.errors import (
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    HvError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
    excerpt,
)
from hvintegration.powershell import Script

if TYPE_CHECKING:
    from hvintegration.transports.out_of_process import Client

__all__ = ["Local"]

_ARGUMENTS: Final = ("-NoLogo", "-NoProfile", "-s")
_CHUNK: Final = 64 * 1024
_LINES_AHEAD: Final = 64
_SLICE: Final = 0.5  # Seconds of one wait: on Windows, Ctrl-C is noticed between waits only.
_SECONDS_TO_END: Final = 0.4
_SECONDS_TO_DIE: Final = 5.0
_COMPLAINT_LENGTH: Final = 4096


class Local:
    """PowerShell on this machine. Its address is ``local:``, or ``local:PATH`` for a certain program.

    One child process serves all calls. It is started by the first call and ended by :meth:`close`, by any failure,
    and at the latest when this process ends. It inherits the environment.

    Args:
        program: Path of the PowerShell to start, or the beginning of its argument list; ``-NoLogo -NoProfile -s`` is
            added. None is Windows PowerShell, by its full path, and possible on Windows only.

    Raises:
        ConfigurationError: No program is given and this is not Windows.

    >>> Local("/opt/microsoft/powershell/7/pwsh")
    Local('/opt/microsoft/powershell/7/pwsh')
    """

    def __init__(self, program: str | os.PathLike[str] | Sequence[str] | None = None) -> None:
        self._command = _command(program)
        self._named = program is not None
        self._requests = 0
        self._connection: _Connection | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._command)) if self._named else ''})"

    def __str__(self) -> str:
        return f"local:{self._command[0]}" if self._named else "local:"

    @property
    def requests(self) -> int:
        """Packets sent over all connections so far."""
        return self._requests + (self._connection.client.requests if self._connection is not None else 0)

    def call(self, script: Script, document: str, /, *, timeout: float) -> str:
        """Run *script* on *document*; see :class:`~hvintegration.transports.base.Transport`."""
        deadline = Deadline(timeout, SystemClock())
        try:
            if self._connection is None:
                self._connection = _Connection(self._command, str(self))
                self._connection.open(deadline)
            return self._connection.client.call(script, document, deadline)
        except TransportError as error:
            error.fenced = self._discard()
            raise
        except HvError:
            raise
        except BaseException:
            self._discard()
            raise

    def close(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.process.end()
            self._discard()

    def _discard(self) -> bool:
        """Kill the process; whether it is certainly dead."""
        if self._connection is None:
            return True
        # Forgotten first: interrupted in what follows, the process is killed when the connection is collected.
        connection, self._connection = self._connection, None
        self._requests += connection.client.requests
        return connection.process.kill()


class _Connection:
    """A running PowerShell and the conversation with it."""

    client: Client

    def __init__(self, command: Sequence[str], address: str) -> None:
        from hvintegration.transports.out_of_process import Client

        self.process = _Process(command, address)
        self.client = Client(self.process, address)
        weakref.finalize(self, self.process.kill)

    def open(self, deadline: Deadline) -> None:
        self.process.start()
        try:
            self.client.open(deadline)
        except ConnectionLostError as error:
            raise ConnectError(
                f"PowerShell did not start: {error}", address=error.address, hint="Is it a PowerShell?"
            ) from error
        except TransportError as error:
            error.may_have_run = False
            raise


class _Process:
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
        written = threading.Event()
        self._unsent.put((line, written))
        while not written.wait(min(deadline.left(), _SLICE)):
            if not deadline.left():
                raise self._too_late(deadline)

    def read_line(self, deadline: Deadline) -> bytes:
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
        from hvintegration.transports.out_of_process import MAX_LINE

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


def _command(program: str | os.PathLike[str] | Sequence[str] | None) -> tuple[str, ...]:
    if program is None:
        return (_windows_powershell(), *_ARGUMENTS)
    arguments = (os.fspath(program),) if isinstance(program, str | os.PathLike) else tuple(program)
    if not arguments or not all(arguments) or any("\0" in argument for argument in arguments):
        raise ConfigurationError("A program is a path or a list that begins with one.")
    return (*arguments, *_ARGUMENTS)


def _windows_powershell() -> str:
    """Its full path, from the system and not from the environment, which others can set."""
    if sys.platform != "win32":
        raise ConfigurationError(
            "local: needs a program on this system.",
            hint="Name a PowerShell: local:/usr/bin/pwsh or Local('/usr/bin/pwsh').",
        )
    import ctypes

    buffer = ctypes.create_unicode_buffer(260)
    ctypes.windll.kernel32.GetSystemDirectoryW(buffer, len(buffer))
    return str(Path(buffer.value, "WindowsPowerShell", "v1.0", "powershell.exe"))
