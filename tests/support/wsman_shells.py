"""The shell part of WS-Management over simulated hosts: envelope in, envelope out, no HTTP.

Codes and forms of faults are those of WinRM, as far as they are known from recordings.
"""

from __future__ import annotations

import base64
import re
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Collection, Mapping
from typing import Final, Literal, TypeAlias
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import attrs

from hvintegration import Simulator
from hvintegration.errors import ConnectionLostError

from .psrp_server import POOL, Pipeline, PowerShellServer, RefusedError, StoppedError

NAMESPACES: Final = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
}
SHELL: Final = NAMESPACES["rsp"]
RESOURCE: Final = "http://schemas.microsoft.com/powershell/"
DEFAULT_CONFIGURATION: Final = "Microsoft.PowerShell"
MOST_ENVELOPE_BYTES: Final = 500 * 1024
ENVELOPE_OVERHEAD: Final = 2048
_FAULT_ACTION: Final = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
_DURATION: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")


def _creation(asked: Envelope) -> bytes:
    """What is in ``creationXml``, read as PowerShell reads it: by itself, without what the envelope declares."""
    match = re.search(rb"<(\w+:)?creationXml.*</(\w+:)?creationXml>", asked.text, re.DOTALL)
    assert match is not None
    alone = ET.fromstring(match[0])
    assert alone.tag == "{http://schemas.microsoft.com/powershell}creationXml"
    return base64.b64decode(alone.text or "")


def seconds_of(duration: str) -> float:
    """Seconds of an XML duration such as ``PT60.000S``."""
    match = _DURATION.fullmatch(duration)
    assert match is not None, duration
    days, hours, minutes, seconds = (float(group or 0) for group in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


@attrs.frozen
class Envelope:
    """What a client asks."""

    text: bytes
    header: ET.Element
    body: ET.Element

    @classmethod
    def parse(cls, text: bytes) -> Envelope:
        root = ET.fromstring(text)
        header, body = root.find("s:Header", NAMESPACES), root.find("s:Body", NAMESPACES)
        assert header is not None
        assert body is not None
        return cls(text, header, body)

    def _text(self, path: str, default: str = "") -> str:
        return self.header.findtext(path, default, NAMESPACES).strip()

    @property
    def action(self) -> str:
        """``Create``, ``Command``, ``Send``, ``Receive``, ``Signal``, ``Delete`` or what else there is."""
        return self._text("a:Action").rpartition("/")[2]

    @property
    def message_id(self) -> str:
        return self._text("a:MessageID")

    @property
    def resource(self) -> str:
        return self._text("w:ResourceURI")

    @property
    def shell_id(self) -> str:
        return self._text("w:SelectorSet/w:Selector").upper()

    @property
    def command_id(self) -> str | None:
        """Which command is to be received from; None for the shell itself, and for other actions."""
        stream = self.find("rsp:Receive/rsp:DesiredStream")
        return None if stream is None else stream.get("CommandId")

    @property
    def session_id(self) -> str:
        return self._text("p:SessionId")

    @property
    def timeout(self) -> float:
        return seconds_of(self._text("w:OperationTimeout", "PT60S"))

    @property
    def most_bytes(self) -> int:
        return min(int(self._text("w:MaxEnvelopeSize", "153600")), MOST_ENVELOPE_BYTES)

    def find(self, path: str) -> ET.Element | None:
        return self.body.find(path, NAMESPACES)

    def answer(self, action: str, body: str) -> str:
        """The envelope that answers this one."""
        spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
        return (
            f'<s:Envelope xml:lang="en-US" {spaces}><s:Header><a:Action>{action}</a:Action>'
            f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
            f"<a:To>{NAMESPACES['a']}/role/anonymous</a:To>"
            f"<a:RelatesTo>{escape(self.message_id)}</a:RelatesTo></s:Header>"
            f"<s:Body>{body}</s:Body></s:Envelope>"
        )


Form: TypeAlias = Literal[
    "wsman",  # a WSManFault in the detail
    "wmi",  # an MSFT_WmiError there, and no RelatesTo
    "bare",  # no detail
]

SENDER: Final = "s:Sender"
RECEIVER: Final = "s:Receiver"
TIMED_OUT: Final = 2150858793
UNEXPECTED_SELECTORS: Final = 2150858843
TOO_MANY_SHELLS: Final = 2150859173
TOO_MANY_OPERATIONS: Final = 2150859174
TOO_MANY_COMMANDS: Final = 2150859241

KNOWN_FAULTS: Final[Mapping[int, tuple[str, str, str]]] = {
    2: (RECEIVER, "w:InternalError", "The file for the host process was not found."),
    5: (SENDER, "w:AccessDenied", "Access is denied."),
    995: (RECEIVER, "w:InternalError", "The operation was aborted."),
    1018: (RECEIVER, "w:InternalError", "The host process could not be launched."),
    1726: (RECEIVER, "w:InternalError", "The remote procedure call failed."),
    2147942405: (RECEIVER, "w:InternalError", "Access is denied."),
    2147943418: (RECEIVER, "w:InternalError", "The registry key is about to be deleted."),
    2150858811: (SENDER, "a:DestinationUnreachable", "There is no such session configuration."),
    TIMED_OUT: (RECEIVER, "w:TimedOut", "It cannot be completed within the time specified in OperationTimeout."),
    UNEXPECTED_SELECTORS: (SENDER, "w:InvalidSelectors", "The selectors fit nothing that is there."),
    TOO_MANY_SHELLS: (SENDER, "w:QuotaLimit", "The user has as many concurrent shells as are allowed."),
    TOO_MANY_OPERATIONS: (SENDER, "w:QuotaLimit", "The user has as many concurrent operations as are allowed."),
    TOO_MANY_COMMANDS: (SENDER, "w:QuotaLimit", "There are as many commands per shell as are allowed."),
    2150859180: (SENDER, "w:AccessDenied", "Remote shells are not allowed."),
    2152992672: (RECEIVER, "w:InternalError", "PowerShell's plugin failed."),
}
"""What goes along with a number, as recorded: SOAP's role and subcode; the sentences are our own."""

BY_OPERATIONS: Final = frozenset({TOO_MANY_OPERATIONS, TOO_MANY_COMMANDS})
"""What has the subcode InternalError in the form of WMI."""


class FaultError(Exception):
    """The request is answered with a fault.

    Attributes:
        code: WinRM's number for it.
        form: How the detail says it.
        role: Whose fault it is, to SOAP.
        subcode: A qualified name such as ``w:TimedOut``.
    """

    def __init__(
        self, code: int, reason: str | None = None, *, form: Form = "wsman", subcode: str | None = None
    ) -> None:
        unknown = (RECEIVER, "w:InternalError", "Something else.")
        self.role, known_subcode, sentence = KNOWN_FAULTS.get(code, unknown)
        if form == "wmi" and code in BY_OPERATIONS:
            self.role, known_subcode, _ = unknown
        super().__init__(sentence if reason is None else reason)
        self.code = code
        self.form = form
        self.subcode = subcode or known_subcode

    def answer(self, asked: Envelope) -> str:
        """The envelope that answers *asked*."""
        reason = escape(str(self))
        body = (
            f"<s:Fault><s:Code><s:Value>{self.role}</s:Value><s:Subcode><s:Value>{self.subcode}</s:Value></s:Subcode>"
            f'</s:Code><s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason>{self._detail(reason)}</s:Fault>'
        )
        text = asked.answer(_FAULT_ACTION, body)
        return re.sub("<a:RelatesTo>.*</a:RelatesTo>", "", text) if self.form == "wmi" else text

    def _detail(self, reason: str) -> str:
        match self.form:
            case "wsman":
                return (
                    '<s:Detail><f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" '
                    f'Code="{self.code}" Machine="localhost"><f:Message>{reason}</f:Message></f:WSManFault></s:Detail>'
                )
            case "wmi":
                return (
                    '<s:Detail><p:MSFT_WmiError b:IsCIM_Error="true" '
                    'xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd" '
                    'xmlns:p="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError">'
                    f"<p:CIMStatusCode>27</p:CIMStatusCode><p:Message>{reason}</p:Message>"
                    f"<p:MessageID>HRESULT 0x{self.code:x}</p:MessageID><p:error_Category>30</p:error_Category>"
                    f"<p:error_Code>{self.code}</p:error_Code><p:error_Type>HRESULT</p:error_Type>"
                    "</p:MSFT_WmiError></s:Detail>"
                )
            case "bare":
                return ""


class Shell:
    """One runspace pool, and what waits to be received."""

    def __init__(self, server: PowerShellServer, idle_seconds: float) -> None:
        self.idle_seconds = idle_seconds
        self.waiting: dict[uuid.UUID, deque[bytes]] = {POOL: deque()}
        self.busy = 0
        self.last_used = time.monotonic()
        self._server = server
        self._changed = threading.Condition()
        self.closed = False
        self._runs: dict[uuid.UUID, threading.Thread] = {}

    @property
    def commands(self) -> int:
        """Commands not yet signalled to end."""
        return len(self.waiting) - 1

    @property
    def running(self) -> int:
        """Scripts that run now."""
        return sum(thread.is_alive() for thread in list(self._runs.values()))

    def begin(self, command: uuid.UUID) -> None:
        with self._changed:
            self.waiting[command] = deque()
            self._server.begin(command)

    def send(self, data: bytes) -> None:
        """Take data in, and run what it asks to be run."""
        with self._changed:
            for pipeline in self._server.receive(data):
                run = threading.Thread(target=self._run, args=(pipeline,), name="wsman pipeline", daemon=True)
                self._runs[pipeline.id] = run
                run.start()
            self._collect()

    def _run(self, pipeline: Pipeline) -> None:
        answer: str | RefusedError | None
        try:
            answer = self._server.call(pipeline)
        except RefusedError as refusal:
            answer = refusal
        except StoppedError:
            return
        except ConnectionLostError:
            with self._changed:
                self.closed = True
                self._changed.notify_all()
            return
        with self._changed:
            if isinstance(answer, RefusedError):
                self._server.fail(pipeline, answer)
            else:
                self._server.finish(pipeline, [answer])
            self._collect()

    def _collect(self) -> None:
        while (piece := self._server.outgoing()) is not None:
            target, data = piece
            if target in self.waiting:
                self.waiting[target].append(data)
        self._changed.notify_all()

    def settle(self) -> None:
        """Wait until no script runs any more."""
        for run in list(self._runs.values()):
            run.join()

    def receive(self, target: uuid.UUID, seconds: float, most_bytes: int) -> tuple[list[bytes], bool]:
        """What waits for *target*, and whether that is all there will be.

        Raises:
            FaultError: There was nothing within *seconds*, or the shell was closed.
        """
        with self._changed:
            if target not in self.waiting:
                raise FaultError(UNEXPECTED_SELECTORS)
            self._changed.wait_for(lambda: self.closed or self._is_ready(target), seconds)
            waiting = self.waiting.get(target)
            if self.closed or waiting is None:
                raise FaultError(995)
            if not self._is_ready(target):
                raise FaultError(TIMED_OUT)
            pieces: list[bytes] = []
            while waiting and (not pieces or sum(map(len, pieces)) + len(waiting[0]) <= most_bytes):
                pieces.append(waiting.popleft())
            return pieces, not waiting and self._is_over(target)

    def _is_ready(self, target: uuid.UUID) -> bool:
        return bool(self.waiting.get(target)) or target not in self.waiting or self._is_over(target)

    def _is_over(self, target: uuid.UUID) -> bool:
        return target in self.waiting and self._server.is_over(target)

    def stop(self, command: uuid.UUID) -> None:
        """Interrupt a command; when this returns, it does not run any more."""
        with self._changed:
            self._server.stop(command)
            self._collect()
        run = self._runs.get(command)
        if run is not None:
            run.join()

    def end(self, command: uuid.UUID) -> None:
        """Forget a command; when this returns, it does not run any more."""
        with self._changed:
            self.waiting.pop(command, None)
            self._server.end(command)
            self._collect()
        run = self._runs.pop(command, None)
        if run is not None:
            run.join()

    def close(self) -> None:
        """End everything; when this returns, nothing runs any more."""
        with self._changed:
            self.closed = True
            self._server.close()
            self._collect()
        self.settle()


class Shells:
    """Answers envelopes.

    Args:
        simulator: The host.
        configurations: Names of session configurations and the functions that each has; None for one that runs scripts.

    Attributes:
        max_shells: Quota.
        max_commands: Quota for each shell, of commands not yet signalled to end.
        quota_form: How a full quota is told.
        idle_seconds: When an unused shell vanishes, whatever the client asked for; None for what the client asked for.
        counts: Requests, by their action.
    """

    def __init__(self, simulator: Simulator, configurations: Mapping[str, Collection[str] | None]) -> None:
        self.max_shells: int | None = None
        self.max_commands: int | None = None
        self.quota_form: Form = "wsman"
        self.idle_seconds: float | None = None
        self.counts: Counter[str] = Counter()
        self._simulator = simulator
        self._configurations = configurations
        self._shells: dict[str, Shell] = {}
        self._lock = threading.Lock()

    def all(self) -> list[Shell]:
        """The shells that there are."""
        with self._lock:
            ended = [shell_id for shell_id, shell in self._shells.items() if shell.closed or self._is_idle(shell)]
            gone = [self._shells.pop(shell_id) for shell_id in ended]
            left = list(self._shells.values())
        for shell in gone:
            shell.close()
        return left

    def _is_idle(self, shell: Shell) -> bool:
        limit = shell.idle_seconds if self.idle_seconds is None else self.idle_seconds
        return not shell.busy and time.monotonic() - shell.last_used > limit

    def vanish(self, shell_id: str) -> None:
        """End a shell as if its process had died."""
        with self._lock:
            shell = self._shells.pop(shell_id, None)
        if shell is not None:
            shell.close()

    def close(self) -> None:
        for shell_id in list(self._shells):
            self.vanish(shell_id)

    def settle(self, shell_id: str) -> None:
        """Wait until no script runs any more in a shell."""
        shell = self._shells.get(shell_id)
        if shell is not None:
            shell.settle()

    def answer(self, asked: Envelope) -> tuple[int, str]:
        """HTTP's status and the envelope that answers *asked*."""
        self.counts[asked.action] += 1
        self.all()
        try:
            if asked.action == "Create":
                return 200, self._create(asked)
            shell = self._known(asked.shell_id)
            shell.busy += 1
            try:
                return 200, self._answer(asked, shell)
            finally:
                shell.busy -= 1
                shell.last_used = time.monotonic()
        except FaultError as fault:
            return 500, fault.answer(asked)

    def _known(self, shell_id: str) -> Shell:
        shell = self._shells.get(shell_id)
        if shell is None:
            raise FaultError(UNEXPECTED_SELECTORS)
        return shell

    def _answer(self, asked: Envelope, shell: Shell) -> str:
        match asked.action:
            case "Command":
                return self._command(asked, shell)
            case "Send":
                return self._send(asked, shell)
            case "Receive":
                return self._receive(asked, shell)
            case "Signal":
                return self._signal(asked, shell)
            case "Delete":
                self.vanish(asked.shell_id)
                return asked.answer(f"{NAMESPACES['x']}/DeleteResponse", "")
            case _:
                raise FaultError(2150858753, "The action is not supported.", subcode="a:ActionNotSupported")

    def _create(self, asked: Envelope) -> str:
        configuration = asked.resource.removeprefix(RESOURCE)
        if configuration not in self._configurations:
            raise FaultError(2150858811)
        element = asked.find("rsp:Shell")
        assert element is not None
        shell_id = (element.get("ShellId") or str(uuid.uuid4())).upper()
        idle_seconds = seconds_of(element.findtext("rsp:IdleTimeOut", "PT7200S", NAMESPACES))
        server = PowerShellServer(self._simulator, functions=self._configurations[configuration])
        shell = Shell(server, idle_seconds)
        with self._lock:
            if self.max_shells is not None and len(self._shells) >= self.max_shells:
                raise FaultError(TOO_MANY_SHELLS, form=self.quota_form)
            self._shells[shell_id] = shell
        shell.send(_creation(asked))
        return asked.answer(
            f"{NAMESPACES['x']}/CreateResponse",
            f"<x:ResourceCreated><a:Address>http://localhost/wsman</a:Address><a:ReferenceParameters>"
            f"<w:ResourceURI>{escape(asked.resource)}</w:ResourceURI>"
            f'<w:SelectorSet><w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet>'
            f"</a:ReferenceParameters></x:ResourceCreated>"
            f"<rsp:Shell><rsp:ShellId>{shell_id}</rsp:ShellId><rsp:ResourceUri>{escape(asked.resource)}"
            f"</rsp:ResourceUri><rsp:Owner>user</rsp:Owner><rsp:ClientIP>127.0.0.1</rsp:ClientIP>"
            f"<rsp:IdleTimeOut>PT{idle_seconds:.3f}S</rsp:IdleTimeOut><rsp:InputStreams>stdin pr</rsp:InputStreams>"
            f"<rsp:OutputStreams>stdout</rsp:OutputStreams><rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime>"
            f"<rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity></rsp:Shell>",
        )

    def _command(self, asked: Envelope, shell: Shell) -> str:
        line = asked.find("rsp:CommandLine")
        assert line is not None
        if self.max_commands is not None and shell.commands >= self.max_commands:
            raise FaultError(TOO_MANY_COMMANDS, form=self.quota_form)
        command = uuid.UUID(line.get("CommandId") or str(uuid.uuid4()))
        shell.begin(command)
        arguments = "".join(argument.text or "" for argument in line.iterfind("rsp:Arguments", NAMESPACES))
        shell.send(base64.b64decode(arguments))
        return asked.answer(
            f"{SHELL}/CommandResponse",
            f"<rsp:CommandResponse><rsp:CommandId>{str(command).upper()}</rsp:CommandId></rsp:CommandResponse>",
        )

    def _send(self, asked: Envelope, shell: Shell) -> str:
        for stream in asked.body.iterfind("rsp:Send/rsp:Stream", NAMESPACES):
            if _command_of(stream) not in shell.waiting:
                raise FaultError(UNEXPECTED_SELECTORS)
            shell.send(base64.b64decode(stream.text or ""))
        return asked.answer(f"{SHELL}/SendResponse", "<rsp:SendResponse/>")

    def _receive(self, asked: Envelope, shell: Shell) -> str:
        stream = asked.find("rsp:Receive/rsp:DesiredStream")
        assert stream is not None
        command = _command_of(stream)
        pieces, is_over = shell.receive(command, asked.timeout, (asked.most_bytes - ENVELOPE_OVERHEAD) * 3 // 4)
        about = "" if command == POOL else f' CommandId="{str(command).upper()}"'
        streams = "".join(
            f'<rsp:Stream Name="stdout"{about}>{base64.b64encode(piece).decode()}</rsp:Stream>' for piece in pieces
        )
        state = ""
        if command != POOL and is_over:
            state = (
                f'<rsp:CommandState{about} State="{SHELL}/CommandState/Done"><rsp:ExitCode>0</rsp:ExitCode>'
                "</rsp:CommandState>"
            )
        elif command != POOL:
            state = f'<rsp:CommandState{about} State="{SHELL}/CommandState/Running"/>'
        return asked.answer(f"{SHELL}/ReceiveResponse", f"<rsp:ReceiveResponse>{streams}{state}</rsp:ReceiveResponse>")

    def _signal(self, asked: Envelope, shell: Shell) -> str:
        signal = asked.find("rsp:Signal")
        assert signal is not None
        ends = signal.findtext("rsp:Code", "", NAMESPACES).lower().endswith("/terminate")
        (shell.end if ends else shell.stop)(_command_of(signal))
        return asked.answer(f"{SHELL}/SignalResponse", "<rsp:SignalResponse/>")


def _command_of(element: ET.Element) -> uuid.UUID:
    return uuid.UUID(element.get("CommandId", str(POOL)))
