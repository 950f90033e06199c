"""What psrpcore says, and what is said in its stead, are the same."""

from __future__ import annotations

import uuid
from typing import Any

import psrpcore
import psrpcore.types
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hvintegration import VirtualClock
from hvintegration.calls.call import Call
from hvintegration.calls.limits import Work
from hvintegration.clock import Deadline
from hvintegration.scripts import GET_HOST, SCRIPTS, Language, Script
from hvintegration.transports.remoting.create_pipeline import CreatePipeline
from hvintegration.transports.remoting.messages import FRAGMENT_HEADER, Messages
from hvintegration.transports.remoting.psrp import RunspacePool

escapes = st.sampled_from(["_x000A_", "_X000a_", "_x", "_x005F_", "_xD83D_", "_xDE00_", "<", "&", ">", '"', "'", "]]>"])
anything = st.lists(st.one_of(st.text(st.characters(codec=None)), escapes), min_size=1).map("".join).filter(bool)
"""All of Unicode, halves of surrogate pairs included, and what looks like an escape."""

readable = st.lists(st.one_of(st.text(), escapes)).map("".join).filter(lambda text: "\ufffe" not in text)


def converse(near: Any, far: Any) -> None:  # noqa: ANN401 - psrpcore hides its types
    """Hand over what each has to say until both are silent."""
    said = True
    while said:
        said = False
        for speaker, listener in ((near, far), (far, near)):
            while (payload := speaker.data_to_send()) is not None:
                said = True
                listener.receive_data(payload)
                while listener.next_event() is not None:
                    pass


def opened() -> Any:  # noqa: ANN401 - as above
    client = psrpcore.ClientRunspacePool()
    client.open()
    converse(client, psrpcore.ServerRunspacePool())
    assert client.state is psrpcore.types.RunspacePoolState.Opened
    return client


CLIENT = opened()


@given(anything, st.uuids(), st.sampled_from([script for script in SCRIPTS if script.language is Language.POWERSHELL]))
@example("\ud800_x0041_\udfff<&>\"'\r\n\t\x00\x7f\x9f\U0010ffff\uda00", uuid.UUID(int=1), GET_HOST)
@pytest.mark.parametrize("runs", ["script", "function"])
def test_the_beginning_of_a_pipeline_is_what_psrpcore_builds(
    runs: str,
    document: str,
    pipeline_id: uuid.UUID,
    script: Script,
) -> None:
    def new(**options: Any) -> Any:  # noqa: ANN401 - as above
        pipeline: Any = psrpcore.ClientPowerShell(CLIENT, **options)
        return pipeline.add_command(script.function) if runs == "function" else pipeline.add_script(script.text)

    theirs = new(pipeline_id=pipeline_id)
    theirs.add_parameter("Document", document)
    theirs.start()
    sent = CLIENT.data_to_send()

    assert CreatePipeline(CLIENT, new(), "Document").message(pipeline_id, document) == sent.data[FRAGMENT_HEADER.size :]


@given(st.lists(st.integers(22, 5000), min_size=1), st.text(max_size=3000))
def test_a_beginning_arrives_in_pieces_of_any_length(lengths: list[int], text: str) -> None:
    pool, server = RunspacePool("hv01"), psrpcore.ServerRunspacePool()
    deadline = Deadline(60, VirtualClock())
    while (piece := pool.outgoing()) is not None:
        server.receive_data(psrpcore.PSRPPayload(piece, psrpcore.StreamType.default, None))
        while server.next_event() is not None:
            pass
        while (payload := server.data_to_send()) is not None:
            pool.receive(payload.data, deadline)
    assert pool.opened
    for _ in range(2):
        call = Call(GET_HOST, {"text": text})
        pipeline_id = pool.start(call)
        pipeline = psrpcore.ServerPipeline(server, pipeline_id)
        events: list[Any] = []
        for number in range(100_000):
            length = lengths[number % len(lengths)]
            piece = pool.outgoing(length)
            if piece is None:
                break
            assert len(piece) <= length
            server.receive_data(psrpcore.PSRPPayload(piece, psrpcore.StreamType.default, None))
            while (event := server.next_event()) is not None:
                events.append(event)
        (begun,) = events
        assert begun.pipeline_id == pipeline_id
        (command,) = begun.pipeline.commands
        assert (command.command_text, command.is_script) == (GET_HOST.text, True)
        assert command.parameters == [("Document", call.text)]
        pipeline.start()
        pipeline.complete()
        pipeline.close()


@given(readable, st.integers(22, 200))
@example("_x0041_ \U0001f600 \r\n\x00 ]]>&amp;", 22)
def test_a_text_is_read_as_psrpcore_writes_it(text: str, length: int) -> None:
    server = psrpcore.ServerRunspacePool()
    psrpcore.ServerPipeline(server, uuid.UUID(int=1)).prepare_message(
        psrpcore.types.PSString(text), message_type=psrpcore.types.PSRPMessageType.PipelineOutput
    )
    taker = Messages()
    came: list[str | bytes] = []
    while (payload := server.data_to_send(length)) is not None:
        came += taker.take(payload.data, Work())
    if text:
        assert came == [text]
    else:  # Written as an element without an end, it is psrpcore's to read.
        assert isinstance(came[0], bytes)
