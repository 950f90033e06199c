"""PowerShell remoting without I/O: psrpcore's state machine, guarded, asked one script at a time.

Whoever carries the bytes (a child process, an SSH channel, WSMan) sends what :meth:`RunspacePool.outgoing` gives and
hands what comes back to :meth:`RunspacePool.receive`.
"""

from __future__ import annotations

import struct
import uuid
from typing import Any, Final

import psrpcore
import psrpcore.types

from hvintegration.calls.call import Call
from hvintegration.calls.limits import MAX_LENGTH
from hvintegration.calls.refusals import Refusal, is_refusal_of_scripts, remote_error
from hvintegration.credential import Credential
from hvintegration.errors import (
    ConfigurationError,
    ConnectionLostError,
    HvError,
    ProtocolError,
    RemoteError,
    UnsupportedError,
)
from hvintegration.scripts import Language, Script
from hvintegration.transports.library_logs import watch_libraries, without_library_logs
from hvintegration.transports.remoting.xml_guard import RefusedError, XmlGuard

watch_libraries()

__all__ = ["RunspacePool"]

PIECE_LENGTH: Final = 32 * 1024
_BEGINNING: Final = (
    "See what sessions begin with there: the endpoint's session configuration names scripts and modules, one of which"
    " may fail."
)
_FRAGMENT_HEADER: Final = struct.Struct(">QQBI")
_MESSAGE_HEADER_LENGTH: Final = 40


_events: Any = psrpcore
"""The decorator that registers psrpcore's event classes hides their types."""


class _MessageGuard:
    """Looks at one message as it arrives."""

    def __init__(self) -> None:
        self._header_left = _MESSAGE_HEADER_LENGTH
        self._xml = XmlGuard()

    def feed(self, data: bytes) -> None:
        header, data = data[: self._header_left], data[self._header_left :]
        self._header_left -= len(header)
        if data:
            self._xml.feed(data)


class _Guard:
    """Looks at everything that arrives before it is deserialized."""

    def __init__(self) -> None:
        self._messages: dict[int, _MessageGuard] = {}

    def feed(self, payload: bytes) -> None:
        while payload:
            if len(payload) < _FRAGMENT_HEADER.size:
                raise RefusedError("ends within a fragment")
            object_id, fragment_id, flags, length = _FRAGMENT_HEADER.unpack_from(payload)
            data = payload[_FRAGMENT_HEADER.size : _FRAGMENT_HEADER.size + length]
            payload = payload[_FRAGMENT_HEADER.size + length :]
            if len(data) < length:
                raise RefusedError("ends within a fragment")
            if fragment_id == 0:
                self._messages[object_id] = _MessageGuard()
            if object_id not in self._messages:
                raise RefusedError("lacks the beginning of a message")
            self._messages[object_id].feed(data)
            if flags & 0x2:
                del self._messages[object_id]


class RunspacePool:
    """A runspace pool over there, and at most one running pipeline in it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._pool: Any = psrpcore.ClientRunspacePool()
        self._guard = _Guard()
        self._pipeline: Any = None
        self._received = 0
        self._outputs: list[object] = []
        self._records: list[psrpcore.types.ErrorRecord] = []
        self._script: Script | None = None
        self._by_name = False
        self._key_requested = False
        self._was_opened = False
        self.has_key = False
        """Whether there is a session key, which secrets are encrypted with."""
        with without_library_logs():
            self._pool.open()

    @property
    def pool_id(self) -> uuid.UUID:
        """The runspace pool's id."""
        pool_id: uuid.UUID = self._pool.runspace_pool_id
        return pool_id

    @property
    def opened(self) -> bool:
        """Whether the runspace pool is ready for scripts."""
        return self._pool.state is psrpcore.types.RunspacePoolState.Opened

    @property
    def finished(self) -> bool:
        """Whether the pipeline has ended, so that :meth:`result` can tell how."""
        assert self._pipeline is not None
        return self._pipeline.state in {
            psrpcore.types.PSInvocationState.Completed,
            psrpcore.types.PSInvocationState.Failed,
            psrpcore.types.PSInvocationState.Stopped,
        }

    def request_key(self) -> bool:
        """Queue the exchange of a session key, once; whether the key is still to come."""
        if not self._key_requested:
            self._key_requested = True
            with without_library_logs():
                self._pool.exchange_key()
        return not self.has_key

    def start(self, call: Call) -> uuid.UUID:
        """Queue a pipeline that runs the call's script. Its id. Secrets need a session key.

        Where a script was refused before, the pipeline calls the function of its name instead.

        Raises:
            ConfigurationError: It is no PowerShell.
        """
        script = call.script
        if script.language is not Language.POWERSHELL:
            raise ConfigurationError(f"{self._address} runs PowerShell, not {script.language}.")
        self._received = 0
        self._outputs = []
        self._records = []
        self._script = script
        with without_library_logs():
            self._pipeline = psrpcore.ClientPowerShell(self._pool)
            if self._by_name:
                self._pipeline.add_command(script.function)
            else:
                self._pipeline.add_script(script.text)
            self._pipeline.add_parameter("Document", call.text)
            for name, secret in call.secrets.items():
                self._pipeline.add_parameter(name, _credential(secret))
            self._pipeline.start()
            # What is queued is encrypted; from here on nothing keeps secrets in the clear.
            self._pipeline.metadata.commands.clear()
        pipeline_id: uuid.UUID = self._pipeline.pipeline_id
        return pipeline_id

    def outgoing(self, length: int = PIECE_LENGTH) -> bytes | None:
        """The next piece to be sent, of at most *length* bytes, or None."""
        with without_library_logs():
            payload: psrpcore.PSRPPayload | None = self._pool.data_to_send(length)
        return None if payload is None else payload.data

    def receive(self, payload: bytes) -> None:
        """Take in what arrived.

        Raises:
            ProtocolError: It is not PowerShell remoting, or more or deeper than an answer may be.
            RemoteError: The runspace pool did not open, and its end says why.
            ConnectionLostError: It ended otherwise.
        """
        self.count(len(payload))
        try:
            with without_library_logs():
                self._guard.feed(payload)
                self._pool.receive_data(psrpcore.PSRPPayload(payload, psrpcore.StreamType.default, None))
                while (event := self._pool.next_event()) is not None:
                    self._take(event)
        except (ConnectionLostError, RemoteError):
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, RefusedError) else "is not PowerShell remoting"
            raise ProtocolError(
                f"What {self._address} sent {reason}.",
                address=self._address,
                received=payload[_FRAGMENT_HEADER.size + _MESSAGE_HEADER_LENGTH :][:400].decode("utf-8", "replace"),
            ) from error

    def count(self, length: int) -> None:
        """Count what arrived towards the limit of one call.

        Raises:
            ProtocolError: It is more than an answer may have.
        """
        self._received += length
        if self._received > MAX_LENGTH:
            raise ProtocolError(f"{self._address} sent more than {MAX_LENGTH} bytes.", address=self._address)

    def _take(self, event: Any) -> None:  # noqa: ANN401 - see _events
        if isinstance(event, _events.PipelineOutputEvent):
            self._outputs.append(event.data)
        elif isinstance(event, _events.ErrorRecordEvent):
            self._records.append(event.record)
        elif isinstance(event, _events.EncryptedSessionKeyEvent):
            self.has_key = True
        elif isinstance(event, _events.PipelineStateEvent):
            if event.reason is not None:
                self._records.insert(0, event.reason)
        elif isinstance(event, _events.RunspacePoolStateEvent):
            self._was_opened = self._was_opened or self.opened
            if self._pool.state in {
                psrpcore.types.RunspacePoolState.Broken,
                psrpcore.types.RunspacePoolState.Closed,
            }:
                raise self._ended(event.reason)

    def _ended(self, record: psrpcore.types.ErrorRecord | None) -> HvError:
        """What it means that there is no runspace pool any more, for the reason in *record*."""
        address, refusal = self._address, self._refused(record, "open a session")
        if record is not None and not self._was_opened:
            return remote_error(refusal, hint=_BEGINNING)
        # Whatever ended it then, a script may have run meanwhile.
        return ConnectionLostError(
            f"PowerShell on {address} ended the session{refusal.said}", address=address, host_message=refusal.message
        )

    def result(self) -> str:
        """The document that the script wrote; the pipeline is let go of.

        Raises:
            RemoteError: The script was refused, or failed without writing one.
            ConnectionLostError: It was stopped over there. How far it had come is not known.
            ProtocolError: It wrote something else.
        """
        assert self._pipeline is not None
        stopped = self._pipeline.state is psrpcore.types.PSInvocationState.Stopped
        with without_library_logs():
            self._pipeline.close()
        self._pipeline = None
        outputs, self._outputs = self._outputs, []
        if len(outputs) == 1 and isinstance(outputs[0], str):
            return str(outputs[0])
        if stopped:
            raise ConnectionLostError(
                f"The script was stopped on {self._address} before it had answered.", address=self._address
            )
        if not outputs and self._records:
            raise self._refusal(self._records[0])
        raise ProtocolError(
            f"{self._address} wrote {len(outputs)} objects where one document belongs.",
            address=self._address,
            received=" ".join(str(output) for output in outputs[:5]),
        )

    def _refused(self, record: psrpcore.types.ErrorRecord | None, doing: str) -> Refusal:
        exception = getattr(record, "Exception", None)
        category = getattr(getattr(record, "CategoryInfo", None), "Category", None)
        return Refusal(
            address=self._address,
            error_id=str(getattr(record, "FullyQualifiedErrorId", "") or ""),
            category=str(getattr(category, "name", "") or ""),
            message=str(getattr(exception, "Message", "") or ""),
            doing=doing,
            target_object=target if isinstance(target := getattr(record, "TargetObject", None), str) else None,
        )

    def _refusal(self, record: psrpcore.types.ErrorRecord) -> RemoteError:
        assert self._script is not None
        error = remote_error(self._refused(record, f"run {self._script.name}"))
        if self._by_name and isinstance(error, UnsupportedError):
            return UnsupportedError(
                f"{self._address} runs no scripts at this endpoint, and has no function {self._script.function}.",
                address=error.address,
                needs=f"the role {self._script.role}, which `hvintegration jea` writes",
                error_id=error.error_id,
                category=error.category,
                host_message=error.host_message,
                hint=f"Ask the host's administrator for the role {self._script.role}. `hvintegration jea FOLDER` "
                "writes it; once it is registered, name its configuration, HvIntegration.",
            )
        self._by_name = self._by_name or is_refusal_of_scripts(error.error_id)
        return error


def _credential(secret: Credential) -> psrpcore.types.PSCredential:
    password = psrpcore.types.PSSecureString(secret.password)
    return psrpcore.types.PSCredential(UserName=secret.username, Password=password)
