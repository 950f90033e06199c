"""The other shell of WinRM, cmd, which starts a process for each command: what pywinrm talks to.

HTTP, authentication, sealing and latency are those of the server that the tests use.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import uuid
from pathlib import Path
from typing import Final

import attrs

from tests.support.psrp_server import simulated
from tests.support.wsman_server import WSManServer
from tests.support.wsman_shells import ENVELOPE_OVERHEAD, SHELL, Envelope, FaultError, Shells

_COMMAND: Final = re.compile("powershell -encodedcommand ([A-Za-z0-9+/=]+)")


@attrs.define
class _Command:
    """A running PowerShell, and how much of its output was received."""

    process: subprocess.Popen[bytes]
    output: bytes | None = None
    received: int = 0

    def next(self, most_bytes: int) -> tuple[bytes, bool]:
        """At most so many bytes of its output, and whether that is all. Waits for its end."""
        if self.output is None:
            self.output, _ = self.process.communicate()
        piece = self.output[self.received : self.received + most_bytes]
        self.received += len(piece)
        return piece, self.received == len(self.output)


class CommandShells(Shells):
    """Answers envelopes.

    Args:
        engine: The PowerShell that stands for ``powershell``.
        world: What its stand-in Hyper-V module answers from.
    """

    def __init__(self, engine: str, world: Path) -> None:
        super().__init__(simulated(world), {})
        self._engine = engine
        self._environment = os.environ | {"HYPERV_WORLD": str(world)}
        self._commands: dict[str, _Command] = {}

    def answer(self, asked: Envelope) -> tuple[int, str]:
        self.counts[asked.action] += 1
        try:
            body = self._body(asked)
        except FaultError as fault:
            return 500, fault.answer(asked)
        return 200, asked.answer(f"{SHELL}/{asked.action}Response", body)

    def _body(self, asked: Envelope) -> str:
        match asked.action:
            case "Create":
                return (
                    f"<x:ResourceCreated><a:ReferenceParameters><w:SelectorSet>"
                    f'<w:Selector Name="ShellId">{str(uuid.uuid4()).upper()}</w:Selector>'
                    f"</w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>"
                )
            case "Command":
                return f"<rsp:CommandResponse><rsp:CommandId>{self._begin(asked)}</rsp:CommandId></rsp:CommandResponse>"
            case "Receive":
                return f"<rsp:ReceiveResponse>{self._output(asked)}</rsp:ReceiveResponse>"
            case "Signal":
                self._end(self._id(asked, "rsp:Signal"))
                return "<rsp:SignalResponse/>"
            case "Delete":
                return ""
            case _:
                raise FaultError(2150858753, "The action is not supported.", subcode="a:ActionNotSupported")

    def _id(self, asked: Envelope, path: str) -> str:
        element = asked.find(path)
        assert element is not None
        return element.get("CommandId", "")

    def _begin(self, asked: Envelope) -> str:
        line = asked.find("rsp:CommandLine/rsp:Command")
        command = _COMMAND.fullmatch("" if line is None else line.text or "")
        if command is None:
            raise FaultError(87, "It runs nothing but powershell -encodedcommand.", subcode="w:InvalidParameter")
        command_id = str(uuid.uuid4()).upper()
        process = subprocess.Popen(
            [self._engine, "-EncodedCommand", command[1]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=self._environment,
        )
        self._commands[command_id] = _Command(process)
        return command_id

    def _output(self, asked: Envelope) -> str:
        """All output that fits, and in the last answer that it is over. WinRM itself may take some answers more."""
        command_id = self._id(asked, "rsp:Receive/rsp:DesiredStream")
        command = self._commands[command_id]
        output, is_over = command.next((asked.most_bytes - ENVELOPE_OVERHEAD) * 3 // 4)
        about = f'CommandId="{command_id}"'
        stream = f'<rsp:Stream Name="stdout" {about}>{base64.b64encode(output).decode()}</rsp:Stream>'
        if not is_over:
            return f'{stream}<rsp:CommandState {about} State="{SHELL}/CommandState/Running"/>'
        return (
            f'{stream}<rsp:CommandState {about} State="{SHELL}/CommandState/Done">'
            f"<rsp:ExitCode>{command.process.returncode}</rsp:ExitCode></rsp:CommandState>"
        )

    def _end(self, command_id: str) -> None:
        command = self._commands.pop(command_id)
        if command.output is None:
            command.process.kill()
            command.process.communicate()

    def close(self) -> None:
        for command_id in list(self._commands):
            self._end(command_id)


class WinRSServer(WSManServer):
    """A WinRM service that runs each command in a PowerShell of its own. HTTP, NTLM, sealed messages."""

    def __init__(self, engine: str, world: Path, *, latency_ms: float) -> None:
        super().__init__(world)
        self.shells = CommandShells(engine, world)
        self.latency_ms = latency_ms
