"""PowerShell on this machine, as a child process that stays warm between calls."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import ConfigurationError, ConnectError, ConnectionLostError, Hint
from hvintegration.processes import finalize
from hvintegration.transports.base import Step
from hvintegration.transports.kept_connection import KeptConnection, KeptTransport

if TYPE_CHECKING:
    from hvintegration.transports.remoting.out_of_process import Client

__all__ = ["Local"]

_ARGUMENTS: Final = ("-NoLogo", "-NoProfile", "-s")


class Local(KeptTransport):
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
        self._program = program
        self._command = _command(program)
        self._kept = KeptConnection(
            lambda: _LocalConnection(self._command, str(self)), address=str(self), fences_at_once=True
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self._program is None else repr(self._program)})"

    def __str__(self) -> str:
        return "local:" if self._program is None else f"local:{self._command[0]}"

    @property
    def requests(self) -> int:
        """Packets sent over all connections so far."""
        return self._kept.requests

    def steps(self) -> tuple[Step, ...]:
        """The program is there, and PowerShell starts; see :class:`~hvintegration.transports.base.Checkable`."""
        return (("program", self._find), ("PowerShell", self._start))

    def close(self) -> None:
        """End the process."""
        self._kept.close()

    def _find(self, _deadline: Deadline) -> str:
        import shutil

        found = shutil.which(self._command[0])
        if found is None:
            raise ConnectError(
                f"There is no program {self._command[0]}, or this user may not start it.",
                address=str(self),
                hint="Check the path of the PowerShell in the address.",
            )
        return found

    def _start(self, deadline: Deadline) -> str:
        self._kept.open(deadline)
        return "It runs."


class _LocalConnection:
    """A running PowerShell and the conversation with it."""

    _client: Client

    def __init__(self, command: Sequence[str], address: str) -> None:
        from hvintegration.transports.local.child_process import ChildProcess
        from hvintegration.transports.remoting.out_of_process import Client

        self._process = ChildProcess(command, address)
        self._client = Client(self._process, address)
        finalize(self, self._process.kill)

    @property
    def requests(self) -> int:
        return self._client.requests

    def open(self, deadline: Deadline) -> None:
        self._process.start()
        try:
            self._client.open(deadline)
        except ConnectionLostError as error:
            raise ConnectError(
                f"PowerShell did not start: {error}",
                address=error.address,
                host_message=error.host_message,
                hint="Is it a PowerShell?",
            ) from error

    @property
    def sent(self) -> bool:
        return self._client.sent

    def prepare(self, call: Call, deadline: Deadline) -> None:
        self._client.prepare(call, deadline)

    def call(self, call: Call, deadline: Deadline) -> str:
        return self._client.call(call, deadline)

    def close(self) -> None:
        self._process.end()
        self._process.kill()

    def break_off(self) -> None:
        self._process.kill()

    def fence(self, _deadline: Deadline) -> bool:
        return self._process.kill()


def _command(program: str | os.PathLike[str] | Sequence[str] | None) -> tuple[str, ...]:
    if program is None:
        return (_windows_powershell(), *_ARGUMENTS)
    arguments = (os.fspath(program),) if isinstance(program, str | os.PathLike) else tuple(program)
    if not arguments or not all(arguments) or any("\0" in argument for argument in arguments):
        raise ConfigurationError(f"Invalid program {program!r}: it is neither a path nor a list that begins with one.")
    return (*arguments, *_ARGUMENTS)


def _windows_powershell() -> str:
    """Its full path, from the system and not from the environment, which others can set."""
    if sys.platform != "win32":
        raise ConfigurationError(
            "local: needs a program on this system.",
            hint=Hint.of("Name a PowerShell: local:/usr/bin/pwsh{}.", Hint(" or Local('/usr/bin/pwsh')", "")),
        )
    import ctypes

    buffer = ctypes.create_unicode_buffer(260)
    ctypes.windll.kernel32.GetSystemDirectoryW(buffer, len(buffer))
    return str(Path(buffer.value, "WindowsPowerShell", "v1.0", "powershell.exe"))
