"""What runs scripts behind an SSH connection: a PowerShell, in whichever of three ways the host has one, or a shell."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from typing import Final, Protocol

import paramiko

from hvintegration.calls.call import Call
from hvintegration.calls.limits import ExcessError, Work, parse_json
from hvintegration.calls.refusals import is_refusal_of_scripts
from hvintegration.clock import Deadline
from hvintegration.errors import (
    ConnectError,
    ConnectionLostError,
    HvError,
    TransportError,
    TransportTimeoutError,
    UnsupportedError,
)
from hvintegration.scripts import GET_PROCESS, Language, bootstrap_arguments, loader_arguments
from hvintegration.transports.remoting.line_streams import LineStreams
from hvintegration.transports.remoting.one_call import OneCall, RemoteProcess
from hvintegration.transports.remoting.out_of_process import Client
from hvintegration.transports.ssh.client import ChannelRefusedError, SshClient

__all__ = ["Interpreter", "find_interpreter", "stop_process"]

WINDOWS_POWERSHELL: Final = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"
"""By its full path: no search path of the host decides what runs. cmd and PowerShell take it as it is; POSIX shells, as
Git's and Cygwin's, take it in single quotes only."""

_SECONDS_TO_END: Final = 0.4


class Interpreter(Protocol):
    """What runs scripts of one language, one at a time."""

    process: RemoteProcess | None

    def __str__(self) -> str:
        """How it is reached."""
        ...

    @property
    def language(self) -> Language:
        """What it runs."""
        ...

    @property
    def requests(self) -> int:
        """Messages of its protocol sent so far."""
        ...

    @property
    def complaint(self) -> str:
        """The last that came on its standard error, cut short, or an empty text."""
        ...

    def open(self, deadline: Deadline) -> None:
        """Make it ready for calls.

        Raises:
            _AbsentError: It cannot be reached in this way.
            TransportError: It was not ready in time.
            RemoteError: It is there, and opens no session.
        """
        ...

    @property
    def sent(self) -> bool:
        """Whether the script of the last call was sent."""
        ...

    def prepare(self, call: Call, deadline: Deadline, /) -> None:
        """Make it ready for *call*, which is not sent yet.

        Raises:
            TransportError: It was not ready in time.
        """
        ...

    def call(self, call: Call, deadline: Deadline) -> str:
        """The document that the script writes; see :class:`.kept_connection.ScriptConnection`."""
        ...

    def close(self) -> None:
        """End it in good order, within a moment."""
        ...

    def abandon(self) -> None:
        """Let go of it at once, here."""
        ...

    def again(self, client: SshClient) -> Interpreter:
        """Another one, reached in the same way over *client*; not open yet."""
        ...


class _AbsentError(Exception):
    """There is no PowerShell to be had in this way."""


def find_interpreter(
    language: Language, client: SshClient, program: str | None, address: str, deadline: Deadline
) -> Interpreter:
    """An open interpreter of the machine: a shell, or a PowerShell in the first of the three ways that it offers.

    Args:
        language: What it is to run.
        client: The connection.
        program: The PowerShell to start, instead of the usual ones.
        address: For errors.
        deadline: When it must be open.

    Raises:
        ConnectError: It offers none.
        TransportError: There was no time left, or the connection is lost.
        RemoteError: It has one that opens no session.
    """
    refusal: ConnectError | None = None
    complaint = ""
    for way in _ways(language, client, program, address):
        try:
            return _opened(way, deadline)
        except _AbsentError:
            pass
        except ConnectError as error:
            refusal = refusal or error
        except TransportTimeoutError:
            if way.complaint or not complaint:
                raise
            # One that waits in silence for what never comes, where the one before it has complained.
            raise TransportTimeoutError(address=address, after=deadline.given, host_message=complaint) from None
        complaint = way.complaint or complaint
    assert refusal is not None
    raise refusal


def _ways(language: Language, client: SshClient, program: str | None, address: str) -> Sequence[Interpreter]:
    """What is tried, in order. Those without remoting, which come last, say why if there is none."""
    if language is Language.SH:
        return (_OneByOne(client, language, f"sh {loader_arguments()}", address),)
    programs = (WINDOWS_POWERSHELL, f"'{WINDOWS_POWERSHELL}'") if program is None else (program,)
    return (
        _Remoting(client, None, address),
        _Remoting(client, f"{program or 'pwsh'} -sshs -NoLogo -NoProfile", address),
        *(_OneByOne(client, language, f"{started} {bootstrap_arguments()}", address) for started in programs),
    )


_NO_SUCH_ANSWER: Final = (ExcessError, ValueError, RecursionError, TypeError, KeyError)
"""What comes of looking for something in an answer that has another shape."""


def _opened(interpreter: Interpreter, deadline: Deadline) -> Interpreter:
    try:
        interpreter.open(deadline)
    except BaseException:
        interpreter.abandon()
        raise
    return interpreter


def stop_process(hung: Interpreter, client: SshClient, deadline: Deadline) -> bool:
    """End the process of *hung* by another of its kind, over *client*; whether it certainly does not run any more."""
    assert hung.process is not None
    process_id, started = hung.process
    fencer = hung.again(client)
    call = Call(hung.language.stop_process, {"process_id": process_id, "started": started})
    try:
        fencer.open(deadline)
        fencer.prepare(call, deadline)
        answer = parse_json(fencer.call(call, deadline), Work(deadline))
        return bool(answer["result"]["gone"])
    except (HvError, _AbsentError, *_NO_SUCH_ANSWER):
        return False
    finally:
        fencer.close()


class _Remoting:
    """PowerShell remoting, through the subsystem or a started program."""

    language = Language.POWERSHELL

    def __init__(self, client: SshClient, command: str | None, address: str, *, learns_process: bool = True) -> None:
        self._client = client
        self._command = command
        self._address = address
        self._learns_process = learns_process
        self._streams = _ChannelStreams(client, address)
        self._remoting = Client(self._streams, address)
        self.process: RemoteProcess | None = None

    def __str__(self) -> str:
        return "remoting, subsystem powershell" if self._command is None else f"remoting, {self._command}"

    @property
    def requests(self) -> int:
        return self._remoting.requests

    @property
    def complaint(self) -> str:
        return self._streams.complaint

    def open(self, deadline: Deadline) -> None:
        try:
            self._streams.start(self._command, deadline)
            self._remoting.open(deadline)
            if self._learns_process:
                self.process = self._learn_process(deadline)
        except ChannelRefusedError as error:
            raise _AbsentError from error
        except ConnectionLostError as error:
            if self._client.alive and not self._remoting.opened:
                raise _AbsentError from error
            raise

    def _learn_process(self, deadline: Deadline) -> RemoteProcess | None:
        for _ in range(2):
            try:
                result = parse_json(self.call(Call(GET_PROCESS, {}), deadline), Work(deadline, self._address))["result"]
                return int(result["process_id"]), str(int(result["started"]))
            except UnsupportedError as error:
                if not is_refusal_of_scripts(error.error_id):
                    return None
            except (HvError, *_NO_SUCH_ANSWER) as error:
                if isinstance(error, TransportError):
                    raise
                return None
        return None

    @property
    def sent(self) -> bool:
        return self._remoting.sent

    def prepare(self, call: Call, deadline: Deadline) -> None:
        self._remoting.prepare(call, deadline)

    def call(self, call: Call, deadline: Deadline) -> str:
        return self._remoting.call(call, deadline)

    def close(self) -> None:
        self._streams.end()

    def abandon(self) -> None:
        self._streams.abandon()

    def again(self, client: SshClient) -> Interpreter:
        return _Remoting(client, self._command, self._address, learns_process=False)


class _OneByOne:
    """A process for each call, started ahead when this is opened."""

    def __init__(self, client: SshClient, language: Language, command: str, address: str) -> None:
        self._client = client
        self.language = language
        self._command = command
        self._address = address
        self._streams: _ChannelStreams | None = None
        self._ready: OneCall | None = None
        self._requests = 0
        self._called: OneCall | None = None
        self.process: RemoteProcess | None = None

    def __str__(self) -> str:
        return f"a process for each call, {self._command.partition(' -')[0]}"

    @property
    def requests(self) -> int:
        return self._requests

    @property
    def complaint(self) -> str:
        return "" if self._streams is None else self._streams.complaint

    def open(self, deadline: Deadline) -> None:
        self._streams = _ChannelStreams(self._client, self._address)
        call = OneCall(self._streams, self._address, self.language)
        try:
            self._streams.start(self._command, deadline)
        except ChannelRefusedError as error:
            raise ConnectError(f"{self._address} runs no programs: {error}", address=self._address) from None
        try:
            call.open(deadline)
        except ConnectError:
            if self._client.alive:
                raise
            raise ConnectionLostError(
                f"The connection with {self._address} was lost while {self.language} started.", address=self._address
            ) from None
        self._requests += call.requests
        self._ready, self.process = call, call.process

    @property
    def sent(self) -> bool:
        return self._called is not None and self._called.sent

    def prepare(self, _call: Call, deadline: Deadline) -> None:
        self._called = None
        if self._ready is None:
            self.open(deadline)

    def call(self, call: Call, deadline: Deadline) -> str:
        assert self._ready is not None
        self._called, self._ready = self._ready, None
        try:
            answer = self._called.call(call, deadline)
        finally:
            if self._called.sent:
                self._requests += 1
            else:
                self._ready = self._called  # It still waits for a call.
        self.close()
        return answer

    def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.end()

    def abandon(self) -> None:
        if self._streams is not None:
            self._streams.abandon()

    def again(self, client: SshClient) -> Interpreter:
        return _OneByOne(client, self.language, self._command, self._address)


class _ChannelStreams(LineStreams):
    """The lines to and from a program behind a channel."""

    def __init__(self, client: SshClient, address: str) -> None:
        super().__init__(address)
        self._client = client
        self._channel: paramiko.Channel | None = None

    def start(self, command: str | None, deadline: Deadline) -> None:
        """Start *command*, or the subsystem if None.

        Raises:
            ChannelRefusedError: The server does not start it.
            TransportError: There was no time left, or the connection is lost.
        """
        self._channel = channel = self._client.start(command, deadline)
        self.attach(_Input(channel), _Output(channel), _Complaints(channel))

    def end(self) -> None:
        """Close its input, and the channel once its output has ended, or after a moment."""
        self.finish()
        if self._channel is not None:
            self.wait_for_end(_SECONDS_TO_END)
            self.abandon()


class _Output:
    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def read(self, size: int, /) -> bytes:
        return self._channel.recv(size)

    def close(self) -> None:
        with _as_os_error():
            self._channel.close()


class _Complaints(_Output):
    def read(self, size: int, /) -> bytes:
        return self._channel.recv_stderr(size)

    def close(self) -> None:
        pass


class _Input:
    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def write(self, data: memoryview, /) -> int:
        with _as_os_error():
            return self._channel.send(bytes(data[:_PIECE]))

    def close(self) -> None:
        with _as_os_error():
            self._channel.shutdown_write()


_PIECE: Final = 32 * 1024


@contextlib.contextmanager
def _as_os_error() -> Generator[None, None, None]:
    try:
        yield
    except (EOFError, paramiko.SSHException) as error:
        raise OSError(str(error)) from error
