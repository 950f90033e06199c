"""What runs scripts on this machine: a PowerShell that stays warm between calls, or a shell for each of them."""

from __future__ import annotations

import os
import shlex
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import ConfigurationError, ConnectError, ConnectionLostError, Hint
from hvintegration.processes import finalize
from hvintegration.scripts import Language, loader_arguments
from hvintegration.transports.base import Step
from hvintegration.transports.kept_connection import KeptConnection, KeptTransport, ScriptConnection

if TYPE_CHECKING:
    from hvintegration.transports.local.child_process import ChildProcess
    from hvintegration.transports.remoting.one_call import OneCall
    from hvintegration.transports.remoting.out_of_process import Client

__all__ = ["Local"]

_ARGUMENTS: Final = ("-NoLogo", "-NoProfile", "-s")


class Local(KeptTransport):
    """What runs scripts on this machine. Its address is ``local:``, or ``local:PATH`` for a certain PowerShell.

    One child process of PowerShell serves all calls. It is started by the first call and ended by :meth:`close`, by
    any failure, and at the latest when this process ends. Without a program there is one on Windows only: elsewhere
    scripts of POSIX sh are run, which is what Linux guests are asked with, by ``/bin/sh``, each in a process of its
    own. Either inherits the environment.

    Args:
        program: Path of the PowerShell to start, or the beginning of its argument list; ``-NoLogo -NoProfile -s`` is
            added. None is Windows PowerShell, by its full path; on other systems it is no PowerShell but ``/bin/sh``,
            and a call that needs PowerShell raises ConfigurationError.

    Raises:
        ConfigurationError: The program can be none.

    >>> Local("/opt/microsoft/powershell/7/pwsh")
    Local('/opt/microsoft/powershell/7/pwsh')
    """

    def __init__(self, program: str | os.PathLike[str] | Sequence[str] | None = None) -> None:
        self._program = program
        self._command = _command(program)
        self._kept = KeptConnection(self._connection, address=str(self), fences_at_once=True)

    def _connection(self) -> ScriptConnection:
        if self._command is None:
            return _ShellConnection(str(self))
        return _LocalConnection(self._command, str(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self._program is None else repr(self._program)})"

    def __str__(self) -> str:
        return "local:" if self._program is None or self._command is None else f"local:{self._command[0]}"

    @property
    def requests(self) -> int:
        """Packets to PowerShell, or messages to shells, sent so far."""
        return self._kept.requests

    def steps(self) -> tuple[Step, ...]:
        """The program is there, and PowerShell starts; see :class:`~hvintegration.transports.base.Checkable`."""
        return (("program", self._find), ("PowerShell", self._start))

    def close(self) -> None:
        """End the process."""
        self._kept.close()

    def _find(self, _deadline: Deadline) -> str:
        import shutil

        if self._command is None:
            raise _no_powershell()
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

    def fence(self, deadline: Deadline) -> bool:
        return self._process.kill(deadline)


class _ShellConnection:
    """Shells of this system, one for each call."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._process: ChildProcess | None = None
        self._call: OneCall | None = None
        self._requests = 0
        self._last_resort: weakref.finalize[..., object] | None = None

    @property
    def requests(self) -> int:
        return self._requests + (0 if self._call is None else self._call.requests)

    @property
    def sent(self) -> bool:
        return self._call is not None and self._call.sent

    def open(self, deadline: Deadline) -> None:
        """Nothing: each call starts its own."""

    def prepare(self, call: Call, deadline: Deadline) -> None:
        from hvintegration.transports.local.child_process import ChildProcess
        from hvintegration.transports.remoting.one_call import OneCall

        self.close()
        if call.script.language is not Language.SH:
            raise _no_powershell()
        self._process = ChildProcess((_SHELL, *shlex.split(loader_arguments())), self._address)
        self._last_resort = finalize(self, self._process.kill)
        self._call = OneCall(self._process, self._address, Language.SH)
        self._process.start()
        self._call.open(deadline)

    def call(self, call: Call, deadline: Deadline) -> str:
        assert self._call is not None
        answer = self._call.call(call, deadline)
        self.close()
        return answer

    def close(self) -> None:
        if self._process is not None:
            self._process.end()
        self._let_go()

    def break_off(self) -> None:
        process = self._process
        if process is not None:
            process.kill()

    def fence(self, deadline: Deadline) -> bool:
        return self._let_go(deadline)

    def _let_go(self, deadline: Deadline | None = None) -> bool:
        """End what there is of the last call; whether that succeeded."""
        process, self._process = self._process, None
        call, self._call = self._call, None
        last_resort, self._last_resort = self._last_resort, None
        if call is not None:
            self._requests += call.requests
        gone = process is None or process.kill(deadline)
        if last_resort is not None:
            last_resort.detach()
        return gone


_SHELL: Final = "/bin/sh"


def _command(program: str | os.PathLike[str] | Sequence[str] | None) -> tuple[str, ...] | None:
    """What starts PowerShell; None if there is none."""
    if program is None:
        powershell = _windows_powershell()
        return None if powershell is None else (powershell, *_ARGUMENTS)
    arguments = (os.fspath(program),) if isinstance(program, str | os.PathLike) else tuple(program)
    if not arguments or not all(arguments) or any("\0" in argument for argument in arguments):
        raise ConfigurationError(f"Invalid program {program!r}: it is neither a path nor a list that begins with one.")
    return (*arguments, *_ARGUMENTS)


def _no_powershell() -> ConfigurationError:
    return ConfigurationError(
        "local: needs a program on this system.",
        hint=Hint.of("Name a PowerShell: local:/usr/bin/pwsh{}.", Hint(" or Local('/usr/bin/pwsh')", "")),
    )


def _windows_powershell() -> str | None:
    """Its full path, from the system and not from the environment, which others can set; None on other systems."""
    if sys.platform != "win32":
        return None
    import ctypes

    buffer = ctypes.create_unicode_buffer(260)
    ctypes.windll.kernel32.GetSystemDirectoryW(buffer, len(buffer))
    return str(Path(buffer.value, "WindowsPowerShell", "v1.0", "powershell.exe"))
