"""PowerShell remoting without I/O: psrpcore's state machine, guarded, asked one script at a time.

Whoever carries the bytes (a child process, an SSH channel, WSMan) sends what :meth:`RunspacePool.outgoing` gives and
hands what comes back to :meth:`RunspacePool.receive`.
"""

from __future__ import annotations

import itertools
import uuid
from typing import Any, Final

import attrs
import psrpcore
import psrpcore.types

from hvintegration.calls.call import Call
from hvintegration.calls.limits import Work
from hvintegration.calls.refusals import Refusal, is_refusal_of_scripts, remote_error
from hvintegration.clock import Deadline
from hvintegration.credential import Credential
from hvintegration.errors import (
    ConfigurationError,
    ConnectionLostError,
    HvError,
    ProtocolError,
    RemoteError,
    TransportTimeoutError,
    UnsupportedError,
)
from hvintegration.scripts import Language, Script
from hvintegration.transports.library_logs import watch_libraries, without_library_logs
from hvintegration.transports.remoting.create_pipeline import CreatePipeline
from hvintegration.transports.remoting.messages import FRAGMENT_HEADER, LAST, MESSAGE_HEADER_LENGTH, START, Messages
from hvintegration.transports.remoting.xml_guard import RefusedError

watch_libraries()

__all__ = ["RunspacePool"]

PIECE_LENGTH: Final = 32 * 1024
_DOCUMENT: Final = "Document"
_BEGINNING: Final = (
    "See what sessions begin with there: the endpoint's session configuration names scripts and modules, one of which"
    " may fail."
)

_events: Any = psrpcore
"""The decorator that registers psrpcore's event classes hides their types."""

_FIRST_OBJECT_ID: Final = 1 << 32
"""Of the messages that psrpcore does not send itself; it counts from one."""

_MOST_SHOWN: Final = 5
"""Outputs that are kept where one belongs."""


@attrs.define(eq=False)
class _Pipeline:
    """What psrpcore keeps the state of a pipeline in that it did not begin itself."""

    pipeline_id: uuid.UUID
    state: psrpcore.types.PSInvocationState = psrpcore.types.PSInvocationState.Running


@attrs.define(eq=False)
class _Unsent:
    """A message that is on its way, in fragments."""

    object_id: int
    message: bytes
    offset: int = 0
    fragments: int = 0

    def next(self, length: int) -> bytes:
        """The next fragment, of at most *length* bytes."""
        data = self.message[self.offset : self.offset + length - FRAGMENT_HEADER.size]
        self.offset += len(data)
        flags = (START if not self.fragments else 0) | (LAST if self.is_sent else 0)
        header = FRAGMENT_HEADER.pack(self.object_id, self.fragments, flags, len(data))
        self.fragments += 1
        return header + data

    @property
    def is_sent(self) -> bool:
        """Whether nothing of it is left."""
        return self.offset == len(self.message)


class RunspacePool:
    """A runspace pool over there, and at most one running pipeline in it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._pool: Any = psrpcore.ClientRunspacePool()
        self._messages = Messages()
        self._pipeline: Any = None
        self._beginnings: dict[str, CreatePipeline] = {}
        self._object_ids = itertools.count(_FIRST_OBJECT_ID)
        self._unsent: _Unsent | None = None
        self._outputs: list[object] = []
        self._written = 0
        self._record: psrpcore.types.ErrorRecord | None = None
        self._reason: psrpcore.types.ErrorRecord | None = None
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
        self._messages.expect_answer()
        self._outputs = []
        self._written = 0
        self._record = self._reason = None
        self._script = script
        with without_library_logs():
            if call.secrets:
                self._pipeline = self._new_pipeline(script)
                self._pipeline.add_parameter(_DOCUMENT, call.text)
                for name, secret in call.secrets.items():
                    self._pipeline.add_parameter(name, _credential(secret))
                self._pipeline.start()
                # What is queued is encrypted; from here on nothing keeps secrets in the clear.
                self._pipeline.metadata.commands.clear()
            else:
                self._begin(script, call.text)
        pipeline_id: uuid.UUID = self._pipeline.pipeline_id
        return pipeline_id

    def _new_pipeline(self, script: Script) -> Any:  # noqa: ANN401 - see _events
        new: Any = psrpcore.ClientPowerShell
        pipeline = new(self._pool)
        return pipeline.add_command(script.function) if self._by_name else pipeline.add_script(script.text)

    def _begin(self, script: Script, document: str) -> None:
        """Queue what psrpcore would, without its building all of it for each call."""
        key = script.function if self._by_name else script.text
        if key not in self._beginnings:
            pipeline = self._new_pipeline(script)
            pipeline.close()
            self._beginnings[key] = CreatePipeline(self._pool, pipeline, _DOCUMENT)
        self._pipeline = _Pipeline(uuid.uuid4())
        self._pool.pipeline_table[self._pipeline.pipeline_id] = self._pipeline
        message = self._beginnings[key].message(self._pipeline.pipeline_id, document)
        self._unsent = _Unsent(next(self._object_ids), message)

    def outgoing(self, length: int = PIECE_LENGTH) -> bytes | None:
        """The next piece to be sent, of at most *length* bytes, or None."""
        if self._unsent is not None:
            piece = self._unsent.next(length)
            if self._unsent.is_sent:
                self._unsent = None
            return piece
        with without_library_logs():
            payload: psrpcore.PSRPPayload | None = self._pool.data_to_send(length)
        return None if payload is None else payload.data

    def receive(self, payload: bytes, deadline: Deadline) -> None:
        """Take in what arrived.

        Raises:
            ProtocolError: It is not PowerShell remoting, or more or deeper than an answer may be.
            RemoteError: The runspace pool did not open, and its end says why.
            ConnectionLostError: It ended otherwise.
            TransportTimeoutError: The time was up before it was read.
        """
        try:
            with without_library_logs():
                for came in self._messages.take(payload, Work(deadline, self._address)):
                    if isinstance(came, str):
                        self._note_output(came)
                        continue
                    self._pool.receive_data(psrpcore.PSRPPayload(came, psrpcore.StreamType.default, None))
                    while (event := self._pool.next_event()) is not None:
                        self._take(event)
        except (ConnectionLostError, RemoteError, TransportTimeoutError):
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, RefusedError) else "is not PowerShell remoting"
            raise ProtocolError(
                f"What {self._address} sent {reason}.",
                address=self._address,
                received=payload[FRAGMENT_HEADER.size + MESSAGE_HEADER_LENGTH :][:400].decode("utf-8", "replace"),
            ) from error

    def count(self, length: int) -> None:
        """Count what arrived besides towards the limit of one call.

        Raises:
            ProtocolError: It is more than an answer may have.
        """
        try:
            self._messages.count(length)
        except RefusedError as error:
            raise ProtocolError(f"What {self._address} sent {error}.", address=self._address) from None

    def _note_output(self, output: object) -> None:
        self._written += 1
        if self._written <= _MOST_SHOWN:
            self._outputs.append(output)

    def _take(self, event: Any) -> None:  # noqa: ANN401 - see _events
        if isinstance(event, _events.PipelineOutputEvent):
            self._note_output(event.data)
        elif isinstance(event, _events.ErrorRecordEvent):
            self._record = event.record if self._record is None else self._record
        elif isinstance(event, _events.EncryptedSessionKeyEvent):
            self.has_key = True
        elif isinstance(event, _events.PipelineStateEvent):
            self._reason = self._reason if event.reason is None else event.reason
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
        self._pool.pipeline_table.pop(self._pipeline.pipeline_id, None)
        self._pipeline = None
        outputs, self._outputs = self._outputs, []
        if self._written == 1 and isinstance(outputs[0], str):
            return str(outputs[0])
        if stopped:
            raise ConnectionLostError(
                f"The script was stopped on {self._address} before it had answered.", address=self._address
            )
        record = self._reason or self._record
        if not outputs and record is not None:
            raise self._refusal(record)
        raise ProtocolError(
            f"{self._address} wrote {self._written} objects where one document belongs.",
            address=self._address,
            received=" ".join(str(output)[:400] for output in outputs),
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
