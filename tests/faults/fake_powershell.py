"""A PowerShell that misbehaves on purpose, speaking psrpcore's half of the server over standard streams.

    python fake_powershell.py BEHAVIOUR WORLD [ONCE]

It answers from the world file as the simulator does, but for BEHAVIOUR. With a third argument it misbehaves only in the
first process that finds that file absent.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import itertools
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NoReturn

WORLD = sys.argv[2]
ONCE = Path(sys.argv[3]) if len(sys.argv) > 3 and not sys.argv[3].startswith("-") else None


def out(text: str) -> None:
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def hang() -> NoReturn:
    while True:
        time.sleep(60)


def _banner() -> None:
    out("\ufeffWindows PowerShell\r\nCopyright\r\n\r\n")


def _flood_stderr() -> None:
    for _ in range(1000):
        sys.stderr.write("x" * 100_000 + "\n")


def _endless_line() -> None:
    while True:
        out("x" * 65536)


def _deaf() -> None:
    sys.stdin.close()
    hang()


STARTS: dict[str, Callable[[], None]] = {
    "exit": lambda: sys.exit(1),
    "complain": lambda: sys.exit("Der Start ist\x1b[31m fehlgeschlagen."),
    "silent": hang,
    "endless-line": _endless_line,
    "banner": _banner,
    "flood-stderr": _flood_stderr,
    "deaf": _deaf,
}


def behaviour() -> str:
    """What this process does: what was asked for, or nothing special if that was for the first process only."""
    if ONCE is None:
        return sys.argv[1]
    if ONCE.exists():
        return "none"
    ONCE.touch()
    return sys.argv[1]


BEHAVIOUR = behaviour()

if __name__ == "__main__":
    STARTS.get(BEHAVIOUR, lambda: None)()  # What never gets further does not need what is imported below.

gc.disable()  # What is started a hundred times need not look for garbage among what it has just imported.

# What pytest does for test modules: this folder is importable as a package, without anything on sys.path.
sys.modules["tests"] = ModuleType("tests")
sys.modules["tests"].__path__ = [str(Path(__file__).resolve().parents[1])]

from hvintegration.scripts import GET_PROCESS, STOP_PROCESS  # noqa: E402
from tests.support.psrp_server import Pipeline, PowerShellServer, StreamServer, simulated  # noqa: E402


def misbehaves(*names: str) -> bool:
    return BEHAVIOUR in names


def stop(document: str) -> dict[str, object]:
    with contextlib.suppress(ProcessLookupError):
        os.kill(json.loads(document)["process_id"], signal.SIGKILL)
    return {"gone": True}


PROCESSES: dict[str, Callable[[str], dict[str, object]]] = {
    GET_PROCESS.text: lambda _: {"process_id": os.getpid(), "started": "0"},
    STOP_PROCESS.text: stop,
}
"""What is true of this process, whatever it is told to do otherwise."""


PIPELINE_OUTPUT = 0x00041004
ERROR_RECORD = 0x00041005
DEBUG_RECORD = 0x00041007
PIPELINE_HOST_CALL = 0x00041100


class Server(StreamServer):
    def begin(self, pipeline_id: uuid.UUID) -> None:
        if misbehaves("hang-at-command"):
            hang()
        if misbehaves("die-at-command"):
            os._exit(3)
        super().begin(pipeline_id)

    def data(self, target: uuid.UUID, payload: bytes) -> None:
        super().data(target, payload)
        if misbehaves("foreign-lines"):
            out("Loading personal and system profiles took 1337ms.\n\n<html>\n")

    def run(self, pipeline: Pipeline) -> None:
        self.flush()
        if pipeline.command in PROCESSES:
            result = PROCESSES[pipeline.command](pipeline.document)
            self.server.finish(pipeline, [json.dumps({"schema": 1, "result": result, "errors": []})])
            return
        if misbehaves("hang-before-running"):
            hang()
        if misbehaves("die-before-running"):
            os._exit(3)
        answer = self.server.call(pipeline)
        if misbehaves("hang-after-running"):
            hang()
        if misbehaves("die-after-running"):
            os._exit(3)
        ANSWERS.get(BEHAVIOUR, Server.answer)(self, answer, pipeline)

    def answer(self, answer: str, pipeline: Pipeline) -> None:
        self.server.finish(pipeline, [answer])

    def noisy(self, answer: str, pipeline: Pipeline) -> None:
        pipeline.server_pipeline.write_warning("Achtung")
        pipeline.server_pipeline.write_verbose("viel" * 10_000)
        pipeline.server_pipeline.write_progress("Lesen", 1, "läuft")
        self.server.finish(pipeline, [answer])

    def half(self, answer: str, pipeline: Pipeline) -> None:
        """Send the answer but for its end."""
        pipeline.server_pipeline.write_output(answer * 20)
        piece = self.server.outgoing(1000)
        assert piece is not None
        self.data(*piece)

    def packet(self, target: uuid.UUID, payload: bytes) -> None:
        """Send *payload*, of any length."""
        out(f"<Data Stream='Default' PSGuid='{target}'>{base64.b64encode(payload).decode()}</Data>\n")

    def large(self, pipeline: Pipeline, content: bytes, *, kind: int = PIPELINE_OUTPUT) -> None:
        """Send a message of any length."""
        message = self.header(pipeline, kind) + content
        pieces = [message[offset : offset + 500_000] for offset in range(0, len(message), 500_000)]
        for number, piece in enumerate(pieces):
            self.packet(pipeline.id, self.fragment(number, piece, last=number == len(pieces) - 1))

    def message(self, pipeline: Pipeline, xml: bytes, *, fragment: Callable[[bytes], bytes] | None = None) -> None:
        """Send a pipeline output of any content, in one fragment."""
        packed = self.fragment(0, self.header(pipeline) + xml, last=True)
        self.data(pipeline.id, fragment(packed) if fragment is not None else packed)

    def header(self, pipeline: Pipeline, kind: int = PIPELINE_OUTPUT) -> bytes:
        return (1).to_bytes(4, "little") + kind.to_bytes(4, "little") + bytes(16) + pipeline.id.bytes_le

    def fragment(self, number: int, body: bytes, *, last: bool = False, message: int = 99) -> bytes:
        flags = bytes([(number == 0) | last << 1])
        return message.to_bytes(8, "big") + number.to_bytes(8, "big") + flags + len(body).to_bytes(4, "big") + body


def _huge(server: Server, _answer: str, pipeline: Pipeline) -> None:
    server.data(pipeline.id, server.fragment(0, server.header(pipeline) + b"<S>"))
    for number in range(1, 100_000_000 // 32_000):
        server.data(pipeline.id, server.fragment(number, b"x" * 32_000))
    server.data(pipeline.id, server.fragment(100_000_000 // 32_000, b"</S>", last=True))


def _die(server: Server, answer: str, pipeline: Pipeline) -> None:
    server.half(answer, pipeline)
    os._exit(3)


def _hang(server: Server, answer: str, pipeline: Pipeline) -> None:
    server.half(answer, pipeline)
    hang()


def _still_running(server: Server, _answer: str, pipeline: Pipeline) -> None:
    while True:
        out(f"<DataAck PSGuid='{pipeline.id}' />\n")
        time.sleep(0.01)


def _flood(_server: Server, _answer: str, _pipeline: Pipeline) -> None:
    while True:
        out("x" * 1000 + "\n")


def _begun_messages(server: Server, _answer: str, pipeline: Pipeline) -> None:
    for number in itertools.count():
        beginnings = (server.fragment(0, b"", message=1000 + 3000 * number + index) for index in range(3000))
        server.packet(pipeline.id, b"".join(beginnings))


def _empty_fragments(server: Server, _answer: str, pipeline: Pipeline) -> None:
    server.packet(pipeline.id, server.fragment(0, server.header(pipeline) + b"<S>"))
    for first in itertools.count(1, 30_000):
        server.packet(pipeline.id, b"".join(server.fragment(first + index, b"") for index in range(30_000)))


def _small_records(server: Server, _answer: str, pipeline: Pipeline) -> None:
    record = server.header(pipeline, ERROR_RECORD) + b"<S>x</S>"
    while True:
        server.packet(pipeline.id, server.fragment(0, record, last=True) * 5000)


def _host_calls(server: Server, answer: str, pipeline: Pipeline) -> None:
    for number in range(2000):
        call = f'<Obj RefId="0"><MS><I64 N="ci">{number}</I64><S N="x">{"x" * 1000}</S></MS></Obj>'.encode()
        server.packet(pipeline.id, server.fragment(0, server.header(pipeline, PIPELINE_HOST_CALL) + call, last=True))
    server.answer(answer, pipeline)


def _unreadable_record(server: Server, answer: str, pipeline: Pipeline) -> None:
    """A record as PowerShell 2.0 writes it, which psrpcore does not expect: a text instead of an object."""
    record = server.header(pipeline, DEBUG_RECORD) + b"<S>Es beginnt.</S>"
    server.packet(pipeline.id, server.fragment(0, record, last=True))
    server.packet(pipeline.id, server.fragment(0, server.header(pipeline, 0x00041999) + b"\0\1", last=True))
    server.answer(answer, pipeline)


def _errors(errors: Callable[[], str]) -> Callable[[Server, str, Pipeline], None]:
    def answer(server: Server, _answer: str, pipeline: Pipeline) -> None:
        server.large(pipeline, f'<S>{{"schema":1,"result":null,"errors":[{errors()}]}}</S>'.encode())
        server.server.finish(pipeline, [])

    return answer


def _record(xml: Callable[[], bytes], *, kind: int = ERROR_RECORD) -> Callable[[Server, str, Pipeline], None]:
    return lambda server, _, pipeline: server.large(pipeline, xml(), kind=kind)


def _foreign_packets(server: Server, _answer: str, _pipeline: Pipeline) -> None:
    while True:
        server.packet(uuid.UUID(int=5), b"x" * 30_000)


def _empty_lines(_server: Server, _answer: str, _pipeline: Pipeline) -> None:
    while True:
        out("\n" * 50_000)


HOSTILE: dict[str, Callable[[Server, str, Pipeline], None]] = {
    "begun-messages": _begun_messages,
    "empty-fragments": _empty_fragments,
    "small-records": _small_records,
    "foreign-packets": _foreign_packets,
    "empty-lines": _empty_lines,
    "empty-lists": _errors(lambda: "[]," * 3_000_000 + "[]"),
    "nested-lists": _errors(lambda: ("[" * 29 + "]" * 29 + ",") * 300_000 + "[]"),
    "closing-brackets": _errors(lambda: "]" * 20_000_000),
    "many-fields": _errors(lambda: "{" + '"x":0,' * 2_000_000 + '"x":0}'),
    "many-numbers": _errors(lambda: "1.5," * 5_000_000 + "1"),
    "long-numbers": _errors(lambda: ("9" * 4000 + ",") * 5000 + "1"),
    "many-quotes": _errors(lambda: '",' * 5_000_000),
    "elements": _record(lambda: b"<Obj RefId='0'><LST>" + b"<Nil/>" * 50_000 + b"</LST></Obj>"),
    "properties": _record(lambda: b"<Obj RefId='0'><MS>" + b"<Nil N='x'/>" * 1_500 + b"</MS></Obj>"),
    "attributes": _record(lambda: b"<S>" + b"<S a='' b='' c='' d='' e='' f=''/>" * 1_900 + b"</S>"),
    "long-tag": _record(lambda: b"<S " + b" ".join(b"a%d=''" % number for number in range(40_000)) + b"/>"),
    "long-text-tag": _record(lambda: b"<S>x<" + b"a" * 20_000_000, kind=PIPELINE_OUTPUT),
    "large-record": _record(lambda: b"<S>" + b"_x0041_" * 1_000_000 + b"</S>"),
}
"""What would take minutes or gigabytes."""

ANSWERS: dict[str, Callable[[Server, str, Pipeline], None]] = {
    "broken-json": lambda server, answer, pipeline: server.server.finish(pipeline, [answer[:-10]]),
    "deep-json": lambda server, _, pipeline: server.server.finish(
        pipeline, ['{"schema":1,"errors":' + "[" * 1000 + "]" * 1000 + "}"]
    ),
    "huge": _huge,
    "other-schema": lambda server, _, pipeline: server.server.finish(
        pipeline, ['{"schema":2,"result":null,"errors":[]}']
    ),
    "two-objects": lambda server, answer, pipeline: server.server.finish(pipeline, [answer, answer]),
    "no-object": lambda server, _, pipeline: server.server.finish(pipeline, []),
    "number": lambda server, _, pipeline: server.server.finish(pipeline, [42]),
    "noisy": Server.noisy,
    "die-within-answer": _die,
    "hang-within-answer": _hang,
    "still-running": _still_running,
    "flood": _flood,
    "deep-clixml": lambda server, _, pipeline: server.message(
        pipeline, b"<Obj RefId='0'><LST>" * 5000 + b"</LST></Obj>" * 5000
    ),
    "doctype": lambda server, _, pipeline: server.message(
        pipeline, b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><S>&b;</S>'
    ),
    "broken-xml": lambda server, _, pipeline: server.message(pipeline, b"<S>a</Obj>"),
    "broken-fragment": lambda server, _, pipeline: server.message(pipeline, b"<S>a</S>", fragment=lambda it: it[:-3]),
    "headless-fragment": lambda server, _, pipeline: server.message(
        pipeline, b"<S>a</S>", fragment=lambda it: it[:8] + (7).to_bytes(8, "big") + it[16:]
    ),
    "broken-base64": lambda _, __, pipeline: out(f"<Data Stream='Default' PSGuid='{pipeline.id}'>%%%</Data>\n"),
    "broken-packet": lambda _, __, ___: out("<Data Stream='Default'>AAAA</Data>\n"),
    "host-calls": _host_calls,
    "unreadable-record": _unreadable_record,
    **HOSTILE,
}


if __name__ == "__main__":
    Server(PowerShellServer(simulated(WORLD)), out).serve(sys.stdin)
