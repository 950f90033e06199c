"""A shell at a WSMan endpoint that speaks PowerShell remoting: create, command, receive, signal, delete.

The envelopes are pypsrp's; what they carry is [MS-PSRP] over [MS-WSMV].
"""

from __future__ import annotations

import base64
import http.client
import uuid
from typing import Any, Final
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

from pypsrp.exceptions import WinRMError
from pypsrp.shell import SignalCode
from pypsrp.wsman import NAMESPACES, OptionSet, SelectorSet, WSMan, WSManAction

from hvintegration.clock import Deadline
from hvintegration.errors import BusyError, ConnectError, ProtocolError
from hvintegration.transports.library_logs import watch_libraries
from hvintegration.transports.remoting.xml_guard import RefusedError, XmlGuard
from hvintegration.transports.winrm.exchange import HttpAnswer
from hvintegration.transports.winrm.host_record import HostRecord
from hvintegration.transports.winrm.http import WSManHttp
from hvintegration.transports.winrm.statuses import named_status, refused_status
from hvintegration.transports.winrm.target import WSManTarget
from hvintegration.transports.winrm.wsman_faults import FaultKind, WSManFault, read_fault, too_long

__all__ = ["Shell"]

watch_libraries()

LARGE_ENVELOPE: Final = 500 * 1024
"""Bytes of an envelope, as Windows Server 2012 and later allow unless somebody lowered MaxEnvelopeSizekb."""

SMALL_ENVELOPE: Final = 150 * 1024
"""Bytes of an envelope that any host may answer with."""

SEAL: Final = 4 * 1024
"""Bytes that encryption adds to an envelope at most."""

IDLE_SECONDS: Final = 15 * 60
"""A shell that is not used for so long is ended by the host, whatever became of this side."""

_LONGEST_WAIT: Final = 20
_LEAST_TIMEOUT: Final = 20
_PROTOCOL_VERSION: Final = "2.3"
_RSP: Final = NAMESPACES["rsp"]


class Shell:
    """One shell, known by its id, over one connection. For one thread at a time.

    Args:
        target: Where to.
        shell_id: Which shell.
        configuration_name: The session configuration that it is of.
        locale: The language that errors are asked in.
        session_id: What all connections of one client have in common.
        record: What is known of the host.
    """

    def __init__(
        self,
        target: WSManTarget,
        shell_id: uuid.UUID,
        configuration_name: str,
        locale: str,
        *,
        session_id: uuid.UUID,
        record: HostRecord,
    ) -> None:
        self._address = target.address
        self._seals = target.seals
        self._record = record
        self._resource = f"http://schemas.microsoft.com/powershell/{configuration_name}"
        self.http = WSManHttp(target, self._judged)
        # What it would send with is replaced: that logs whole messages, and neither deadlines nor limits hold there.
        wsman: Any = WSMan(target.host, ssl=True, auth="basic", locale=locale, max_envelope_size=record.longest - SEAL)
        wsman.max_envelope_size = SMALL_ENVELOPE
        wsman.session_id = str(session_id)
        wsman.transport = self.http
        self._wsman = wsman
        self._selectors: Any = SelectorSet()
        self._selectors.add_option("ShellId", str(shell_id).upper())
        self._shell_id = shell_id
        self.created = False
        """Whether it may be there: it was asked for."""

    @property
    def room(self) -> int:
        """Bytes that fit into one message to the host."""
        size: int = self._wsman.max_payload_size
        return size

    def create(self, creation: bytes, deadline: Deadline) -> None:
        """Create it; *creation* is the beginning of the conversation."""
        shell = ElementTree.Element(f"{{{_RSP}}}Shell", ShellId=str(self._shell_id).upper())
        ElementTree.SubElement(shell, f"{{{_RSP}}}InputStreams").text = "stdin pr"
        ElementTree.SubElement(shell, f"{{{_RSP}}}OutputStreams").text = "stdout"
        ElementTree.SubElement(shell, f"{{{_RSP}}}IdleTimeOut").text = f"PT{IDLE_SECONDS}S"
        # PowerShell parses this element by itself, so what it means must not stand on another one.
        begin = ElementTree.SubElement(shell, "creationXml", xmlns="http://schemas.microsoft.com/powershell")
        begin.text = base64.b64encode(creation).decode()
        options: Any = OptionSet()
        options.add_option("protocolversion", _PROTOCOL_VERSION, {"MustComply": "true"})
        self.http.about_to_send = self._note_created
        try:
            self._ask(WSManAction.CREATE, shell, deadline, options)
        except (ConnectError, BusyError):
            # Refused, so there is none to be ended: trying that with a wrong password would lock the user out.
            self.created = False
            raise
        except WSManFault as fault:
            self.created = fault.kind in {FaultKind.TIMED_OUT, FaultKind.PASSING}
            raise
        finally:
            self.http.about_to_send = None

    def _note_created(self) -> None:
        self.created = True
        self._record.knows_user = self._record.knows_user or self._seals

    def expect_large_envelopes(self) -> None:
        """Let answers come in large envelopes from now on."""
        self._wsman.max_envelope_size = LARGE_ENVELOPE

    def command(self, command_id: uuid.UUID, beginning: bytes, deadline: Deadline) -> None:
        """Begin a pipeline."""
        line = ElementTree.Element(f"{{{_RSP}}}CommandLine", CommandId=str(command_id).upper())
        ElementTree.SubElement(line, f"{{{_RSP}}}Command").text = ""
        ElementTree.SubElement(line, f"{{{_RSP}}}Arguments").text = base64.b64encode(beginning).decode()
        self._ask(WSManAction.COMMAND, line, deadline)

    def send(self, command_id: uuid.UUID | None, data: bytes, deadline: Deadline) -> None:
        """Send more of what a pipeline begins with, or something to the shell itself."""
        send = ElementTree.Element(f"{{{_RSP}}}Send")
        stream = ElementTree.SubElement(send, f"{{{_RSP}}}Stream", Name="stdin")
        if command_id is not None:
            stream.set("CommandId", str(command_id).upper())
        stream.text = base64.b64encode(data).decode()
        self._ask(WSManAction.SEND, send, deadline)

    def receive(self, command_id: uuid.UUID | None, deadline: Deadline) -> list[bytes]:
        """What the pipeline, or the shell itself, has to say by now; waits some seconds for it.

        Raises:
            ProtocolError: The answer is not what belongs there.
        """
        receive = ElementTree.Element(f"{{{_RSP}}}Receive")
        wanted = ElementTree.SubElement(receive, f"{{{_RSP}}}DesiredStream")
        wanted.text = "stdout"
        if command_id is not None:
            wanted.set("CommandId", str(command_id).upper())
        options: Any = OptionSet()
        options.add_option("WSMAN_CMDSHELL_OPTION_KEEPALIVE", "True")
        seconds = max(1, min(_LONGEST_WAIT, round(deadline.left())))
        answer = self._ask(WSManAction.RECEIVE, receive, deadline, options, seconds)
        try:
            return [
                base64.b64decode(stream.text or "", validate=True)
                for stream in answer.findall("s:Body/rsp:ReceiveResponse/rsp:Stream", NAMESPACES)
            ]
        except ValueError:
            raise ProtocolError(f"{self._address} sent broken data.", address=self._address) from None

    def terminate(self, command_id: uuid.UUID, deadline: Deadline) -> None:
        """Tell that a pipeline is done with."""
        signal = ElementTree.Element(f"{{{_RSP}}}Signal", CommandId=str(command_id).upper())
        ElementTree.SubElement(signal, f"{{{_RSP}}}Code").text = SignalCode.TERMINATE
        self._ask(WSManAction.SIGNAL, signal, deadline)

    def delete(self, deadline: Deadline) -> None:
        """End it, with all that runs in it."""
        self._ask(WSManAction.DELETE, None, deadline)

    def _ask(
        self,
        action: str,
        body: ElementTree.Element | None,
        deadline: Deadline,
        options: OptionSet | None = None,
        seconds: int | None = None,
    ) -> ElementTree.Element:
        """The answer, for which the host has *seconds*; if None, all the time that there is, and some at least."""
        self.http.until(deadline)
        seconds = seconds or max(_LEAST_TIMEOUT, int(deadline.left()))
        selectors = None if action == WSManAction.CREATE else self._selectors
        try:
            answer: ElementTree.Element = self._wsman.invoke(action, self._resource, body, options, selectors, seconds)
        except WinRMError:
            raise ProtocolError(
                f"{self._address} answered another question than was asked.", address=self._address
            ) from None
        return answer

    def _judged(self, answer: HttpAnswer) -> bytes:
        """The body of an answer, if it is a good one.

        Raises:
            WSManFault: It is a fault.
            TransportError: It is not WSMan at all.
        """
        if answer.status == http.client.REQUEST_ENTITY_TOO_LARGE:
            raise too_long()
        refusal = refused_status(self._address, answer)
        if refusal is not None:
            raise refusal
        try:
            XmlGuard().feed(answer.body)
            envelope = ElementTree.fromstring(answer.body)  # noqa: S314 - the guard has looked at it
        except (RefusedError, ExpatError, ElementTree.ParseError, ValueError) as error:
            what = str(error) if isinstance(error, RefusedError) else f"is not WSMan (HTTP status {answer.status})"
            raise named_status(self._address, answer) or ProtocolError(
                f"What {self._address} answered {what}.",
                address=self._address,
                received=answer.body[:400].decode("utf-8", "replace"),
            ) from None
        self._record.knows_user = True
        fault = envelope.find("s:Body/s:Fault", NAMESPACES)
        if fault is not None:
            raise read_fault(fault)
        relates_to = envelope.find("s:Header/wsa:RelatesTo", NAMESPACES)
        if answer.status != http.client.OK or relates_to is None or envelope.find("s:Body", NAMESPACES) is None:
            raise named_status(self._address, answer) or ProtocolError(
                f"{self._address} answered HTTP status {answer.status} with other XML than WSMan's.",
                address=self._address,
                received=answer.body[:400].decode("utf-8", "replace"),
            )
        return answer.body
