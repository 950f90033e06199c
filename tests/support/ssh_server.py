"""An SSH server on this machine that can be told to misbehave, with PowerShells behind it: the simulator, or programs.

The shell of a simulated Linux guest counts as one of them.

with SSHServer(world) as server:                        # connect to server.host, server.port
    server.misbehave("silent", at="answer")
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NoReturn, TypeAlias

import attrs
import paramiko
import psrpcore
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)
from paramiko.server import InteractiveQuery

from hvintegration import World
from hvintegration.errors import ConnectionLostError
from hvintegration.scripts import GET_PROCESS, SH_STOP_PROCESS, STOP_PROCESS
from hvintegration.transports.ssh.host_keys import fingerprint
from tests.support.closing import Closing
from tests.support.psrp_server import Pipeline, PowerShellServer, StoppedError, StreamServer, simulated

Stage: TypeAlias = Literal[
    "connection",  # before the first byte is sent
    "authentication",
    "channel",
    "start",  # of the subsystem or a program
    "powershell",  # which is started, and has said nothing yet
    "command",  # which has arrived, and has not run
    "answer",  # of a command that has run
]
Kind: TypeAlias = Literal[
    "silent",  # nothing comes, for ever
    "refuse",
    "page",  # bytes of another protocol
    "new-key",  # another host key, this once
    "change",  # a new password is demanded
    "end",  # PowerShell, or the connection, ends in good order, without an answer
    "reset",  # the connection is lost
    "complaints",  # many megabytes of error output, and then what is right
    "chatter",  # lines that are no packets, and then what is right
    "endless-line",
    "garbage",  # a packet whose contents are none
    "cut",  # half of the answer, and the connection is lost
]
Way: TypeAlias = Literal["subsystem", "program", "process"]

MEGABYTES_OF_COMPLAINTS: Final = 100
PIECE: Final = 1_000_000
_READY: Final = "<hvintegration process={0} started=1>\n"
_ANSWER: Final = "<hvintegration answer>\n{0}\n<hvintegration end>\n"
SSH_MSG_USERAUTH_PASSWD_CHANGEREQ: Final = 60
_BROKEN: Final = (OSError, EOFError, paramiko.SSHException)


@attrs.define
class Fault:
    """A fault that is still to come, so often; for ever if None."""

    kind: Kind
    at: Stage
    times: int | None


class _EndedError(Exception):
    """PowerShell does not run any more."""


class _PowerShell(StreamServer):
    """A PowerShell behind a channel, and what can be told of its process. It outlives the channel while a script runs.

    A write that is being made when it is stopped is made: stopping waits for that.
    """

    def __init__(self, server: SSHServer, channel: paramiko.Channel, number: int, *, one_call: bool) -> None:
        super().__init__(PowerShellServer(simulated(server.world, server.guest)), self._say)
        self.number = number
        self.running = False
        self._ssh = server
        self._channel = channel
        self._one_call = one_call
        self._killed = threading.Event()
        self._pipeline: Pipeline | None = None
        self._thread = threading.Thread(target=self._live, name=f"PowerShell {number}", daemon=True)
        self._cuts = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> bool:
        """End it; whether that is done."""
        self._killed.set()
        pipeline = self._pipeline
        if pipeline is not None:
            pipeline.stopped.set()
        with contextlib.suppress(*_BROKEN):
            self._channel.close()
        self._thread.join(3)
        return not self._thread.is_alive()

    def _live(self) -> None:
        try:
            with contextlib.suppress(_EndedError, ConnectionLostError, *_BROKEN):  # The world says that it dies.
                self._misbehave("powershell")
                if self._one_call:
                    self._serve_one_call()
                else:
                    self.serve(self._lines())
        finally:
            with contextlib.suppress(*_BROKEN):
                self._channel.close()
            self._ssh.forget(self)

    def _lines(self) -> Iterator[str]:
        rest = b""
        while not self._killed.is_set() and (chunk := self._channel.recv(65536)):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode() for line in lines)

    def _serve_one_call(self) -> None:
        self._say(_READY.format(self.number))
        lines: list[str] = []
        for line in self._lines():
            lines.append(line)
            if line == "#end":
                break
        else:
            return
        if "#document" in lines:  # of a shell, which is sent it between two marks
            end = lines.index("#document")
            text, document = "\n".join(lines[:end]), lines[end + 1]
        else:
            text, document = "\n".join(lines[:-3]), lines[-3]
        pool = psrpcore.ServerRunspacePool()
        pipeline = Pipeline(
            psrpcore.ServerPipeline(pool, uuid.uuid4()), command=text, is_script=True, document=document
        )
        with contextlib.suppress(StoppedError):
            # As the real one, which writes lines of 16,000 characters.
            self._say(_ANSWER.format(re.sub(".{16000}", "\\g<0>\n", self._answer(pipeline))))

    def run(self, pipeline: Pipeline) -> None:
        self.flush()
        try:
            self.server.finish(pipeline, [self._answer(pipeline)])
        except StoppedError:
            if self._killed.is_set():
                raise _EndedError from None

    def _answer(self, pipeline: Pipeline) -> str:
        if pipeline.command in {GET_PROCESS.text, STOP_PROCESS.text, SH_STOP_PROCESS.text}:
            return self._of_processes(pipeline.command, pipeline.document)
        self._pipeline = pipeline
        self.running = True
        try:
            self._misbehave("command", pipeline)
            if self._killed.is_set():
                raise _EndedError
            answer = self._ssh.twist(self.server.call(pipeline))
            self._misbehave("answer", pipeline)
            return answer
        finally:
            self.running = False
            self._pipeline = None

    def _of_processes(self, command: str, document: str) -> str:
        if command == GET_PROCESS.text:
            result: dict[str, object] = {"process_id": self.number, "started": "1"}
        else:
            result = {"gone": self._ssh.stop(json.loads(document)["process_id"])}
        return json.dumps({"schema": 1, "result": result, "errors": []})

    def _say(self, text: str) -> None:
        data = text.encode()
        if self._cuts and len(data) > 200:
            self._channel.sendall(data[: len(data) // 2])
            self._lose_connection()
        for start in range(0, len(data), PIECE):  # paramiko copies what is left with each packet.
            self._channel.sendall(data[start : start + PIECE])

    def _misbehave(self, at: Stage, pipeline: Pipeline | None = None) -> None:
        fault = self._ssh.fault(at)
        match fault:
            case "silent":
                # At its start it notices that its input has ended; a script that hangs does not.
                while not self._killed.wait(0.05) and not (at == "powershell" and self._channel.closed):
                    pass
                raise _EndedError
            case "end":
                raise _EndedError
            case "reset":
                self._lose_connection()
            case "cut":
                self._cuts = True
            case _:
                self._say_besides(fault, pipeline)

    def _say_besides(self, fault: Kind | None, pipeline: Pipeline | None) -> None:
        match fault:
            case "complaints":
                for _ in range(MEGABYTES_OF_COMPLAINTS):
                    self._channel.sendall_stderr(b"x" * 999_999 + b"\n")
            case "chatter":
                self._say("\ufeffLoading personal profiles took 1337ms.\r\n\n<html>\n")
            case "endless-line":
                while not self._killed.is_set():
                    self._channel.sendall(b"x" * 65536)
            case "garbage":
                target = pipeline.id if pipeline is not None else ""
                self._say(f"<Data Stream='Default' PSGuid='{target}'>%%%</Data>\n")
            case _:
                pass

    def _lose_connection(self) -> NoReturn:
        transport = self._channel.get_transport()
        transport.sock.shutdown(socket.SHUT_RDWR)
        raise _EndedError


class _Program:
    """A process behind a channel, which it outlives if it does not mind the end of its input."""

    running = False

    def __init__(self, server: SSHServer, channel: paramiko.Channel, number: int) -> None:
        self.number = number
        self._ssh = server
        self._channel = channel
        self._process = subprocess.Popen(
            server.program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self._thread = threading.Thread(target=self._live, name=f"program {number}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> bool:
        """End it; whether that is done."""
        self._process.kill()
        self._thread.join(3)
        return not self._thread.is_alive()

    def _live(self) -> None:
        process, channel = self._process, self._channel
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        asked = threading.Thread(target=_copy, args=(channel.recv, process.stdin.write, process.stdin.close))
        answers = [
            threading.Thread(target=_copy, args=(process.stdout.read, channel.sendall, process.stdout.close)),
            threading.Thread(target=_copy, args=(process.stderr.read, channel.sendall_stderr, process.stderr.close)),
        ]
        for thread in (asked, *answers):
            thread.start()
        process.wait()
        for thread in answers:
            thread.join()
        with contextlib.suppress(*_BROKEN):
            channel.close()
        asked.join()
        self._ssh.forget(self)


def _copy(read: Callable[[int], bytes], write: Callable[[bytes], object], close: Callable[[], None]) -> None:
    with contextlib.suppress(*_BROKEN):
        while piece := read(65536):
            write(piece)
    close()


class SSHServer(Closing):
    """The server.

    Args:
        world: What the simulator answers from.
        username: Who may come in.
        password: With which password.
        ways: How PowerShell can be reached.
        questions: What is asked of whoever comes instead of the password, one after the other: each a title, an
            instruction and prompts. The first right answer is the password, and there is none to another question.
        guest: Name of the virtual machine inside whose guest the server stands; None for the host.
        program: What is started for each PowerShell instead of the simulator, with its arguments. It knows no faults
            but its own from ``start`` on.
    """

    host: Final = "127.0.0.1"

    def __init__(
        self,
        world: World | Path,
        *,
        username: str = "admin",
        password: str = "Loopback-1",
        ways: frozenset[Way] = frozenset({"subsystem"}),
        questions: Sequence[tuple[str, ...]] = (),
        guest: str | None = None,
        program: Sequence[str] = (),
    ) -> None:
        self.world = world
        self.guest = guest
        self.twist: Callable[[str], str] = lambda answer: answer
        """What becomes of an answer before it is sent."""
        self.questions = questions
        self.program = program
        self.username = username
        self.password = password
        self.ways = ways
        self.counts: Counter[str] = Counter()
        self._key = paramiko.ECDSAKey.generate()
        self._faults: list[Fault] = []
        self._powershells: dict[int, _PowerShell | _Program] = {}
        self._numbers = itertools.count(1000)
        self._transports: list[paramiko.Transport] = []
        self._silent: list[socket.socket] = []
        self._silence = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server((self.host, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="SSH server", daemon=True)
        self._thread.start()

    @property
    def fingerprint(self) -> str:
        """Of its host key."""
        return fingerprint(self._key.asbytes())

    @property
    def powershells(self) -> int:
        """How many run."""
        return len(self._powershells)

    @property
    def running_scripts(self) -> int:
        """How many PowerShells run a script."""
        return sum(powershell.running for powershell in list(self._powershells.values()))

    @property
    def connections(self) -> int:
        """How many are open, as far as is known here."""
        with self._lock:
            over = [transport for transport in self._transports if not transport.is_alive()]
            self._transports = [transport for transport in self._transports if transport not in over]
        for transport in over:
            _end(transport)
        return len(self._transports)

    def misbehave(self, kind: Kind, *, at: Stage, times: int | None = 1) -> None:
        """Plan a fault."""
        with self._lock:
            self._faults.append(Fault(kind, at, times))

    def behave(self) -> None:
        """Forget all faults that are still to come, and let what is silent go on, but for PowerShells."""
        with self._lock:
            self._faults.clear()
            self._silence.set()
            self._silence = threading.Event()

    def fault(self, at: Stage) -> Kind | None:
        """What is to go wrong now, if anything."""
        with self._lock:
            self.counts[at] += 1
            for fault in self._faults:
                if fault.at == at:
                    if fault.times is not None:
                        fault.times -= 1
                        if not fault.times:
                            self._faults.remove(fault)
                    return fault.kind
        return None

    def start(self, channel: paramiko.Channel, *, one_call: bool) -> None:
        """Let a PowerShell run behind *channel*."""
        channel.get_transport().accept(0)  # paramiko keeps for ever what nobody takes.
        with self._lock:
            number = next(self._numbers)
            powershell: _PowerShell | _Program
            if self.program:
                powershell = _Program(self, channel, number)
            else:
                powershell = _PowerShell(self, channel, number, one_call=one_call)
            self._powershells[number] = powershell
        powershell.start()

    def stop(self, number: int) -> bool:
        """End a PowerShell; whether it does not run any more."""
        powershell = self._powershells.get(number)
        return powershell is None or powershell.stop()

    def forget(self, powershell: _PowerShell | _Program) -> None:
        """Note that a PowerShell does not run any more."""
        with self._lock:
            self._powershells.pop(powershell.number, None)

    def wait(self) -> None:
        """Return when the server is to be silent no more."""
        self._silence.wait()

    def end_connections(self) -> None:
        """Lose all connections, and end what is behind them."""
        with self._lock:
            transports = list(self._transports)
        for transport in transports:
            _end(transport)
        for powershell in list(self._powershells.values()):
            powershell.stop()
        for accepted in self._silent:
            accepted.close()
        self._silent.clear()

    def close(self) -> None:
        """End everything."""
        self.behave()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.end_connections()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._greet(self._listener.accept()[0])

    def _greet(self, accepted: socket.socket) -> None:
        key = self._key
        match self.fault("connection"):
            case "silent":
                self._silent.append(accepted)
                return
            case "page":
                with accepted, contextlib.suppress(OSError):
                    accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n" * 300)
                return
            case "new-key":
                key = paramiko.ECDSAKey.generate()
            case _:
                pass
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = paramiko.Transport(accepted)
        transport.set_log_channel("hvintegration.paramiko")
        transport.add_server_key(key)
        with self._lock:  # None that is not started: it would look as if it had ended.
            self._transports.append(transport)
            transport.start_server(event=threading.Event(), server=_Manners(self, transport))


def _end(transport: paramiko.Transport) -> None:
    transport.close()
    transport.sock.close()
    transport.join(3)
    transport.packetizer.complete_handshake()  # Its timer is a thread that nothing else stops.


class _Manners(paramiko.ServerInterface):
    def __init__(self, server: SSHServer, transport: paramiko.Transport) -> None:
        self._server = server
        self._transport = transport
        self._questions = iter(server.questions)
        self._answers: list[str] = []

    def _refuses(self, at: Stage) -> bool:
        fault = self._server.fault(at)
        if fault == "silent":
            self._server.wait()
        elif fault == "end":
            self._transport.close()
        elif fault == "change":
            demand = paramiko.Message()
            demand.add_byte(bytes([SSH_MSG_USERAUTH_PASSWD_CHANGEREQ]))
            demand.add_string("Your password has expired.")
            demand.add_string("")
            self._transport._send_message(demand)  # type: ignore[attr-defined]  # noqa: SLF001 - paramiko has no other way
        return fault in {"refuse", "change"}

    def get_allowed_auths(self, username: str) -> str:
        return "keyboard-interactive" if self._server.questions else "password"

    def check_auth_interactive(self, username: str, submethods: str) -> int | InteractiveQuery:
        return self._next_question()

    def check_auth_interactive_response(self, responses: list[str]) -> int | InteractiveQuery:
        self._answers += responses
        return self._next_question()

    def _next_question(self) -> int | InteractiveQuery:
        for question in self._questions:
            return InteractiveQuery(*question)
        return AUTH_SUCCESSFUL if self._answers == [self._server.password] else AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        server = self._server
        known = (username, password) == (server.username, server.password) and not server.questions
        return AUTH_SUCCESSFUL if not self._refuses("authentication") and known else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED if self._refuses("channel") else OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        return name == "powershell" and self._start(channel, "subsystem")

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return self._start(channel, "program" if b"-sshs" in command else "process")

    def _start(self, channel: paramiko.Channel, way: Way) -> bool:
        if self._refuses("start") or way not in self._server.ways:
            return False
        # The answer to the request comes first; what is said sooner is for no program yet.
        threading.Timer(0.001, self._server.start, [channel], {"one_call": way == "process"}).start()
        return True
