"""psrpcore's server half over the simulator: a PowerShell that knows the shipped scripts and nothing else.

Bytes in, bytes out, no I/O: whoever carries them (a child process, an SSH channel, WSMan) is elsewhere.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import uuid
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, Final

import attrs
import psrpcore
import psrpcore.types

from hvintegration import Simulator, World
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline, SystemClock
from hvintegration.scripts import SCRIPTS, SH_SCRIPTS, Script
from hvintegration.transports.library_logs import without_library_logs

POOL: Final = uuid.UUID(int=0)
"""Stands for the runspace pool where a pipeline's id may stand."""

FUNCTIONS: Final = frozenset(script.function for script in SCRIPTS)
"""What a restricted endpoint with the package's role has."""

PIECE_LENGTH: Final = 32 * 1024
_PACKET: Final = re.compile(r"<(\w+) (?:Stream='\w+' )?PSGuid='([^']+)' ?(?:/>|>(.*)</\w+>)")

_types: Any = psrpcore.types
"""psrpcore builds these classes in a decorator, which hides their types."""


class StoppedError(Exception):
    """The pipeline was stopped while its script waited for something."""


class RefusedError(Exception):
    """The pipeline is not run.

    Attributes:
        record: The error record that it fails with.
    """

    def __init__(self, error_id: str, message: str, target: str) -> None:
        super().__init__(message)
        self.record = _types.ErrorRecord(
            Exception=_types.NETException(Message=message),
            CategoryInfo=_types.ErrorCategoryInfo(Category=_types.ErrorCategory.InvalidOperation),
            FullyQualifiedErrorId=error_id,
            TargetObject=target,
        )


_stopped_here = threading.local()


class _StoppableClock(SystemClock):
    """Sleeps no longer than the pipeline of this thread runs."""

    def sleep(self, seconds: float) -> None:
        if _stopped_here.event.wait(seconds):
            raise StoppedError


def simulated(world: World | str | Path, guest: str | None = None) -> Simulator:
    """A simulated host for :class:`PowerShellServer`, or a guest, whose delays end when a pipeline is stopped."""
    return Simulator(world, clock=_StoppableClock(), guest=guest)


@attrs.define(eq=False)
class Pipeline:
    """One pipeline, and what it was asked once that is known."""

    server_pipeline: psrpcore.ServerPipeline
    stopped: threading.Event = attrs.field(factory=threading.Event)
    command: str = ""
    is_script: bool = False
    document: str = ""

    @property
    def id(self) -> uuid.UUID:
        return self.server_pipeline.pipeline_id


class PowerShellServer:
    """One runspace pool. Only :meth:`call` may be called in one thread while another thread calls something else.

    Args:
        simulator: The host; :func:`simulated` makes one.
        functions: None runs the text of any shipped script. Otherwise texts are refused, as by a restricted endpoint,
            and these functions can be called.
    """

    def __init__(self, simulator: Simulator, *, functions: Collection[str] | None = None) -> None:
        self._simulator = simulator
        self._functions = functions
        self._pool = psrpcore.ServerRunspacePool()
        self._pipelines: dict[uuid.UUID, Pipeline] = {}

    def begin(self, pipeline_id: uuid.UUID) -> None:
        """Let there be a pipeline, to which data may come."""
        self._pipelines[pipeline_id] = Pipeline(psrpcore.ServerPipeline(self._pool, pipeline_id))

    def receive(self, data: bytes) -> list[Pipeline]:
        """Take in what was sent to the pool or to a pipeline; the pipelines that are to run now."""
        to_run = []
        with without_library_logs():
            self._pool.receive_data(psrpcore.PSRPPayload(data, psrpcore.StreamType.default, None))
            while (event := self._pool.next_event()) is not None:
                if isinstance(event, psrpcore.CreatePipelineEvent):
                    pipeline = self._pipelines[event.pipeline_id]
                    command = event.pipeline.commands[0]
                    pipeline.command, pipeline.is_script = command.command_text, command.is_script
                    pipeline.document = str(command.parameters[0][1]) if command.parameters else ""
                    # Not start(), which says so: PowerShell reports how a pipeline ends, not that it runs.
                    pipeline.server_pipeline.state = _types.PSInvocationState.Running
                    to_run.append(pipeline)
        return to_run

    def call(self, pipeline: Pipeline) -> str:
        """What the host writes for what *pipeline* was asked. Takes as long as the script takes.

        Raises:
            RefusedError: It is not run.
            StoppedError: It was stopped meanwhile.
        """
        script = self._find(pipeline)
        _stopped_here.event = pipeline.stopped
        if pipeline.stopped.is_set():
            raise StoppedError
        try:
            return self._simulator.call(Call(script, json.loads(pipeline.document)), Deadline(3600))
        except (KeyError, ValueError) as error:
            raise RefusedError("InvalidDocument", repr(error), pipeline.document) from error

    def _find(self, pipeline: Pipeline) -> Script:
        if pipeline.is_script and self._functions is not None:
            raise RefusedError("ScriptsNotAllowed", "Scripts are not allowed here.", pipeline.command)
        for script in (*SCRIPTS, *SH_SCRIPTS):
            if pipeline.is_script and script.text == pipeline.command:
                return script
            if not pipeline.is_script and script.function == pipeline.command and script.function in self._known():
                return script
        raise RefusedError("CommandNotFoundException", "There is no such command.", pipeline.command)

    def _known(self) -> Collection[str]:
        return self._functions if self._functions is not None else ()

    def finish(self, pipeline: Pipeline, outputs: Iterable[object]) -> None:
        """Let *pipeline* write *outputs* and complete, unless it was stopped meanwhile."""
        if pipeline.stopped.is_set():
            return
        with without_library_logs():
            for output in outputs:
                pipeline.server_pipeline.write_output(output)
            pipeline.server_pipeline.complete()

    def fail(self, pipeline: Pipeline, refusal: RefusedError) -> None:
        """Let *pipeline* fail, unless it was stopped meanwhile."""
        if pipeline.stopped.is_set():
            return
        with without_library_logs():
            pipeline.server_pipeline.prepare_message(
                _types.PipelineState(
                    PipelineState=_types.PSInvocationState.Failed.value, ExceptionAsErrorRecord=refusal.record
                )
            )
            pipeline.server_pipeline.state = _types.PSInvocationState.Failed

    def run(self, pipeline: Pipeline) -> None:
        """:meth:`call`, and what follows of it."""
        try:
            self.finish(pipeline, [self.call(pipeline)])
        except RefusedError as refusal:
            self.fail(pipeline, refusal)
        except StoppedError:
            pass  # Whoever stopped it has said so.

    def stop(self, pipeline_id: uuid.UUID) -> None:
        """Let a pipeline end early, as Ctrl-C does, and say so."""
        pipeline = self._pipelines.get(pipeline_id)
        if pipeline is not None:
            pipeline.stopped.set()
            if pipeline.server_pipeline.state is _types.PSInvocationState.Running:
                with without_library_logs():
                    pipeline.server_pipeline.stop()

    def is_over(self, pipeline_id: uuid.UUID) -> bool:
        """Whether a pipeline has run and does not run any more."""
        pipeline = self._pipelines.get(pipeline_id)
        return pipeline is not None and pipeline.server_pipeline.state not in {
            _types.PSInvocationState.NotStarted,
            _types.PSInvocationState.Running,
        }

    def end(self, pipeline_id: uuid.UUID) -> None:
        """Forget a pipeline, whatever it does."""
        self.stop(pipeline_id)
        pipeline = self._pipelines.pop(pipeline_id, None)
        if pipeline is not None:
            pipeline.server_pipeline.close()

    def close(self) -> None:
        """End all pipelines."""
        for pipeline_id in list(self._pipelines):
            self.end(pipeline_id)

    def outgoing(self, length: int = PIECE_LENGTH) -> tuple[uuid.UUID, bytes] | None:
        """What is to be sent next, at most *length* bytes, and from whom: a pipeline's id or :data:`POOL`."""
        with without_library_logs():
            payload = self._pool.data_to_send(length)
        return None if payload is None else (payload.pipeline_id or POOL, payload.data)


class StreamServer:
    """Serves a runspace pool over a pair of streams, as ``pwsh -s`` and ``pwsh -sshs`` do: one packet per line.

    Args:
        server: The runspace pool.
        write: Sends text.
    """

    def __init__(self, server: PowerShellServer, write: Callable[[str], object]) -> None:
        self.server = server
        self.write = write

    def serve(self, lines: Iterable[str]) -> None:
        """Answer *lines* until they end."""
        for line in lines:
            self.take(line)
        self.server.close()

    def take(self, line: str) -> None:
        """Answer one line; anything that is no packet is ignored."""
        match = _PACKET.match(line)
        if match is None:
            return
        kind, target = match[1], uuid.UUID(match[2])
        if kind == "Command":
            self.begin(target)
        elif kind in {"Close", "Signal"}:
            if target != POOL:
                (self.server.end if kind == "Close" else self.server.stop)(target)
                self.flush()
            self.write(f"<{kind}Ack PSGuid='{target}' />\n")
        elif kind == "Data":
            to_run = self.server.receive(base64.b64decode(match[3]))
            self.write(f"<DataAck PSGuid='{target}' />\n")
            for pipeline in to_run:
                self.run(pipeline)
            self.flush()

    def begin(self, pipeline_id: uuid.UUID) -> None:
        self.server.begin(pipeline_id)
        self.write(f"<CommandAck PSGuid='{pipeline_id}' />\n")

    def run(self, pipeline: Pipeline) -> None:
        self.server.run(pipeline)

    def flush(self) -> None:
        """Send what is to be sent."""
        while (piece := self.server.outgoing()) is not None:
            self.data(*piece)

    def data(self, target: uuid.UUID, payload: bytes) -> None:
        self.write(f"<Data Stream='Default' PSGuid='{target}'>{base64.b64encode(payload).decode()}</Data>\n")
