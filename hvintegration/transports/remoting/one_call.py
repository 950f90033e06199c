"""One call to an interpreter without remoting: script, document and secrets go in at its standard input.

What runs there is constant: ``scripts/powershell/bootstrap.ps1`` or ``scripts/sh/loader.sh``. It first says which
process it is, and only then gets the script: until then nothing can have run. It reads everything before it runs
anything, and no interpreter ever reads the document as code.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from hvintegration.calls.call import Call
from hvintegration.calls.decoding import as_object, text
from hvintegration.calls.limits import MAX_LENGTH, ExcessError, Work, parse_json
from hvintegration.calls.refusals import Refusal, remote_error
from hvintegration.clock import Deadline
from hvintegration.errors import (
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    DecodeError,
    Hint,
    ProtocolError,
    argument,
)
from hvintegration.scripts import Language, Script
from hvintegration.transports.remoting.line_streams import LineStreams
from hvintegration.transports.remoting.out_of_process import LINE_OVERHEAD

__all__ = ["OneCall", "RemoteProcess"]

RemoteProcess = tuple[int, str]
"""A process of the host: its id, and when it started, so that another one of the same id is not taken for it."""

_READY: Final = re.compile(rb"<hvintegration process=(\d{1,10}) started=(\d{0,20})>")
_BEGIN: Final = re.compile(rb"<hvintegration (answer|error)>(.*)", re.DOTALL)
_END: Final = b"<hvintegration end>"


class OneCall:
    """A started interpreter that is good for one call.

    Args:
        streams: The lines to it and from it.
        address: Where it is.
        language: What it runs.
    """

    def __init__(self, streams: LineStreams, address: str, language: Language) -> None:
        self._streams = streams
        self._address = address
        self._language = language
        self._received = 0
        self.requests = 0
        """Messages sent."""
        self.sent = False
        """Whether the script was sent."""
        self.process: RemoteProcess | None = None
        """What runs the call, once that is known."""

    def open(self, deadline: Deadline) -> None:
        """Wait until it is ready.

        Raises:
            ConnectError: It is no such interpreter.
            TransportError: It was not ready in time.
        """
        self.requests += 1
        try:
            while (ready := _READY.search(self._line(deadline))) is None:
                pass
        except ConnectionLostError as error:
            raise ConnectError(
                f"{self._language} did not start: {error}",
                address=self._address,
                host_message=error.host_message,
                hint=_HINTS[self._language],
            ) from None
        if ready[2]:
            self.process = (int(ready[1]), ready[2].decode())

    def call(self, call: Call, deadline: Deadline) -> str:
        """The document that the script writes.

        Raises:
            ConfigurationError: A secret cannot be handed over in that language.
            TransportError: There is no answer.
            RemoteError: The script was refused, or failed without writing a document.
        """
        self._write(_PAYLOADS[self._language](call), deadline)
        self._streams.finish()
        while (begin := _BEGIN.search(self._line(deadline))) is None:
            pass
        kind, piece, written = begin[1], begin[2], bytearray()
        while _END not in piece:
            written += piece.strip(b"\r\n")  # They mean nothing: JSON has none, and who carries lines may put in more.
            piece = self._line(deadline)
        written += piece.strip(b"\r\n").partition(_END)[0]
        document = written.decode("utf-8", "replace")
        if kind == b"error":
            self._refuse(document, call.script, deadline)
        return document

    def _write(self, payload: bytes, deadline: Deadline) -> None:
        self.requests += 1
        self.sent = True
        self._streams.write(payload, deadline)

    def _line(self, deadline: Deadline) -> bytes:
        line = self._streams.read_line(deadline)
        self._received += len(line) + LINE_OVERHEAD
        if self._received > MAX_LENGTH:
            raise ProtocolError(f"{self._address} sent more than {MAX_LENGTH} bytes.", address=self._address)
        return line

    def _refuse(self, record: str, script: Script, deadline: Deadline) -> NoReturn:
        try:
            fields = as_object(parse_json(record, Work(deadline, self._address)), "$")
            error_id, category, message = (text(fields, name, "$") for name in ("id", "category", "message"))
        except (ExcessError, DecodeError, ValueError, RecursionError):
            raise ProtocolError(
                f"{self._address} sent a broken error.", address=self._address, received=record[:400]
            ) from None
        refusal = Refusal(
            address=self._address, error_id=error_id, category=category, message=message, doing=f"run {script.name}"
        )
        raise remote_error(refusal)


def _for_powershell(call: Call) -> bytes:
    # A colon in front keeps PowerShell's JSON parser from taking a password such as 2026-01-01T00:00:00Z for a date.
    secrets = {
        name: {"username": f":{secret.username}", "password": f":{secret.password}"}
        for name, secret in call.secrets.items()
    }
    return "\n".join([call.script.text, call.text, json.dumps(secrets), "#end\n"]).encode("ascii")


def _for_sh(call: Call) -> bytes:
    for name, secret in call.secrets.items():
        if "\n" in secret.password:
            raise ConfigurationError(f"Invalid secret {name!r}: its password has a line break, which no shell takes.")
    secrets = [f":{said}" for secret in call.secrets.values() for said in (secret.username, secret.password)]
    return "\n".join([call.script.text, "#document", call.text, *secrets, "#end\n"]).encode("utf-8")


_PAYLOADS: Final = {Language.POWERSHELL: _for_powershell, Language.SH: _for_sh}
"""What is written to an interpreter of each language."""

_HINTS: Final = {
    Language.POWERSHELL: Hint.of("Name the host's PowerShell with {}, as its shell takes it.", argument("program")),
    Language.SH: "Is it a system with a POSIX shell, sh?",
}
