"""One call to a PowerShell without remoting: script and document go in at its standard input, ASCII comes back.

What runs there is ``powershell/bootstrap.ps1``. It first says which process it is, and only then gets the script: until
then nothing can have run.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from hvintegration.calls.limits import MAX_LENGTH
from hvintegration.calls.refusals import Refusal, remote_error
from hvintegration.clock import Deadline
from hvintegration.errors import ConnectError, ConnectionLostError, ProtocolError, TransportError
from hvintegration.scripts import Script
from hvintegration.transports.remoting.line_streams import LineStreams

__all__ = ["BootstrapCall", "RemoteProcess"]

RemoteProcess = tuple[int, str]
"""A process of the host: its id, and when it started, so that another one of the same id is not taken for it."""

_READY: Final = re.compile(rb"<hvintegration process=(\d+) started=(\d*)>")
_BEGIN: Final = re.compile(rb"<hvintegration (answer|error)>(.*)", re.DOTALL)
_END: Final = b"<hvintegration end>"


class BootstrapCall:
    """A started PowerShell that is good for one call."""

    def __init__(self, streams: LineStreams, address: str) -> None:
        self._streams = streams
        self._address = address
        self._received = 0
        self.requests = 0
        """Messages sent."""
        self.process: RemoteProcess | None = None
        """What runs the call, once that is known."""

    def open(self, deadline: Deadline) -> None:
        """Wait until it is ready.

        Raises:
            ConnectError: It is no PowerShell.
            TransportError: It was not ready in time.
        """
        self.requests += 1
        try:
            while (ready := _READY.search(self._line(deadline))) is None:
                pass
        except ConnectionLostError as error:
            raise ConnectError(
                f"PowerShell did not start: {error}",
                address=self._address,
                hint="Name the host's PowerShell with program=..., as the host's shell would take it.",
            ) from None
        except TransportError as error:
            error.may_have_run = False
            raise
        if ready[2]:
            self.process = (int(ready[1]), ready[2].decode())

    def call(self, script: Script, document: str, deadline: Deadline) -> str:
        """The document that *script* writes for *document*.

        Raises:
            TransportError: There is no answer. It may have run.
            RemoteError: The script was refused, or failed without writing a document.
        """
        self.requests += 1
        self._streams.write(f"{script.text}\n{document}\n#end\n".encode("ascii"), deadline)
        self._streams.finish()
        while (begin := _BEGIN.search(self._line(deadline))) is None:
            pass
        kind, pieces = begin[1], [begin[2]]
        while _END not in pieces[-1]:
            pieces.append(self._line(deadline))
        # Line breaks mean nothing: JSON has none, and whoever carries the lines may put in more.
        text = b"".join(piece.strip(b"\r\n") for piece in pieces).partition(_END)[0]
        if kind == b"error":
            self._refuse(text, script)
        return text.decode("ascii", "replace")

    def _line(self, deadline: Deadline) -> bytes:
        line = self._streams.read_line(deadline)
        self._received += len(line)
        if self._received > MAX_LENGTH:
            raise ProtocolError(f"{self._address} sent more than {MAX_LENGTH} bytes.", address=self._address)
        return line

    def _refuse(self, text: bytes, script: Script) -> NoReturn:
        try:
            record = json.loads(text)
            error_id, category, message = (str(record[name]) for name in ("id", "category", "message"))
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ProtocolError(
                f"{self._address} sent a broken error.",
                address=self._address,
                received=text[:400].decode("ascii", "replace"),
            ) from None
        refusal = Refusal(
            address=self._address, error_id=error_id, category=category, message=message, doing=f"run {script.name}"
        )
        raise remote_error(refusal)
