"""A PowerShell that misbehaves on purpose, speaking psrpcore's half of the server over standard streams.

    python fake_powershell.py BEHAVIOUR WORLD [ONCE]

It answers from the world file as the simulator does, but for BEHAVIOUR. With a third argument it misbehaves only in the
first process that finds that file absent.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import psrpcore

from hvintegration import Simulator
from hvintegration.powershell import GET_PROCESS, SCRIPTS, STOP_PROCESS, Script

WORLD = sys.argv[2]
ONCE = Path(sys.argv[3]) if len(sys.argv) > 3 and not sys.argv[3].startswith("-") else None
POOL = uuid.UUID(int=0)
PACKET = re.compile(r"<(\w+) (?:Stream='\w+' )?PSGuid='([^']+)' ?(?:/>|>(.*)</\w+>)")


def misbehaves(*names: str) -> bool:
    return BEHAVIOUR in names


def out(text: str) -> None:
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def hang() -> NoReturn:
    while True:
        time.sleep(60)


def data(target: uuid.UUID, payload: bytes) -> None:
    out(f"<Data Stream='Default' PSGuid='{target}'>{base64.b64encode(payload).decode()}</Data>\n")


def stop(document: str) -> dict[str, object]:
    with contextlib.suppress(ProcessLookupError):
        os.kill(json.loads(document)["process_id"], signal.SIGKILL)
    return {"gone": True}


PROCESSES: dict[Script, Callable[[str], dict[str, object]]] = {
    GET_PROCESS: lambda _: {"process_id": os.getpid(), "started": "0"},
    STOP_PROCESS: stop,
}


class Server:
    def __init__(self) -> None:
        self.pool = psrpcore.ServerRunspacePool()
        self.pipeline: psrpcore.ServerPipeline | None = None

    def serve(self) -> None:
        for line in sys.stdin:
            match = PACKET.match(line)
            if match is None:
                continue
            kind, target = match[1], uuid.UUID(match[2])
            if kind == "Command":
                if misbehaves("hang-at-command"):
                    hang()
                if misbehaves("die-at-command"):
                    os._exit(3)
                self.pipeline = psrpcore.ServerPipeline(self.pool, target)
                out(f"<CommandAck PSGuid='{target}' />\n")
            elif kind == "Close":
                out(f"<CloseAck PSGuid='{target}' />\n")
            elif kind == "Data":
                self.pool.receive_data(
                    psrpcore.PSRPPayload(base64.b64decode(match[3]), psrpcore.StreamType.default, None)
                )
                out(f"<DataAck PSGuid='{target}' />\n")
                while (event := self.pool.next_event()) is not None:
                    if isinstance(event, psrpcore.CreatePipelineEvent):
                        self.run(event.pipeline.commands[0], target)
                self.flush(target)

    def flush(self, target: uuid.UUID) -> None:
        while (payload := self.pool.data_to_send(32768)) is not None:
            data(target, payload.data)
            if misbehaves("foreign-lines"):
                out("Loading personal and system profiles took 1337ms.\n\n<html>\n")

    def run(self, command: psrpcore.Command, target: uuid.UUID) -> None:
        assert self.pipeline is not None
        self.pipeline.start()
        text, document = command.command_text, str(command.parameters[0][1])
        (script,) = [script for script in SCRIPTS if script.text == text]
        if script in {GET_PROCESS, STOP_PROCESS}:
            self.answer(json.dumps({"schema": 1, "result": PROCESSES[script](document), "errors": []}), target)
            return
        if misbehaves("hang-before-running"):
            hang()
        if misbehaves("die-before-running"):
            os._exit(3)
        answer = Simulator(WORLD).call(script, document, timeout=60)
        if misbehaves("hang-after-running"):
            hang()
        if misbehaves("die-after-running"):
            os._exit(3)
        ANSWERS.get(BEHAVIOUR, Server.answer)(self, answer, target)

    def answer(self, answer: str, target: uuid.UUID) -> None:
        self.finish([answer], target)

    def finish(self, outputs: list[object], target: uuid.UUID) -> None:
        assert self.pipeline is not None
        for output in outputs:
            self.pipeline.write_output(output)
        self.pipeline.complete()
        self.pipeline.close()
        self.flush(target)

    def noisy(self, answer: str, target: uuid.UUID) -> None:
        assert self.pipeline is not None
        self.pipeline.write_warning("Achtung")
        self.pipeline.write_verbose("viel" * 10_000)
        self.pipeline.write_progress("Lesen", 1, "läuft")
        self.finish([answer], target)

    def half(self, answer: str, target: uuid.UUID) -> None:
        """Send the answer but for its end."""
        assert self.pipeline is not None
        self.pipeline.write_output(answer * 20)
        payload = self.pool.data_to_send(1000)
        assert payload is not None
        data(target, payload.data)

    def message(self, target: uuid.UUID, xml: bytes, *, fragment: Callable[[bytes], bytes] | None = None) -> None:
        """Send a pipeline output of any content, in one fragment."""
        packed = self.fragment(0, self.header(target) + xml, last=True)
        data(target, fragment(packed) if fragment is not None else packed)

    def header(self, target: uuid.UUID) -> bytes:
        pipeline_output = 0x00041004
        return (1).to_bytes(4, "little") + pipeline_output.to_bytes(4, "little") + bytes(16) + target.bytes_le

    def fragment(self, number: int, body: bytes, *, last: bool = False) -> bytes:
        flags = (number == 0) | last << 1
        return (
            (99).to_bytes(8, "big") + number.to_bytes(8, "big") + bytes([flags]) + len(body).to_bytes(4, "big") + body
        )


def _huge(server: Server, _answer: str, target: uuid.UUID) -> None:
    data(target, server.fragment(0, server.header(target) + b"<S>"))
    for number in range(1, 100_000_000 // 32_000):
        data(target, server.fragment(number, b"x" * 32_000))
    data(target, server.fragment(100_000_000 // 32_000, b"</S>", last=True))


def _die(server: Server, answer: str, target: uuid.UUID) -> None:
    server.half(answer, target)
    os._exit(3)


def _hang(server: Server, answer: str, target: uuid.UUID) -> None:
    server.half(answer, target)
    hang()


def _still_running(server: Server, _answer: str, target: uuid.UUID) -> None:
    while True:
        out(f"<DataAck PSGuid='{target}' />\n")
        time.sleep(0.01)


def _flood(_server: Server, _answer: str, _target: uuid.UUID) -> None:
    while True:
        out("x" * 1000 + "\n")


ANSWERS: dict[str, Callable[[Server, str, uuid.UUID], None]] = {
    "broken-json": lambda server, answer, target: server.finish([answer[:-10]], target),
    "deep-json": lambda server, _, target: server.finish(
        ['{"schema":1,"errors":' + "[" * 1000 + "]" * 1000 + "}"], target
    ),
    "huge": _huge,
    "other-schema": lambda server, _, target: server.finish(['{"schema":2,"result":null,"errors":[]}'], target),
    "two-objects": lambda server, answer, target: server.finish([answer, answer], target),
    "no-object": lambda server, _, target: server.finish([], target),
    "number": lambda server, _, target: server.finish([42], target),
    "noisy": Server.noisy,
    "die-within-answer": _die,
    "hang-within-answer": _hang,
    "still-running": _still_running,
    "flood": _flood,
    "deep-clixml": lambda server, _, target: server.message(
        target, b"<Obj RefId='0'><LST>" * 5000 + b"</LST></Obj>" * 5000
    ),
    "doctype": lambda server, _, target: server.message(
        target, b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><S>&b;</S>'
    ),
    "broken-xml": lambda server, _, target: server.message(target, b"<S>a</Obj>"),
    "broken-fragment": lambda server, _, target: server.message(target, b"<S>a</S>", fragment=lambda it: it[:-3]),
    "headless-fragment": lambda server, _, target: server.message(
        target, b"<S>a</S>", fragment=lambda it: it[:8] + (7).to_bytes(8, "big") + it[16:]
    ),
    "broken-base64": lambda _, __, target: out(f"<Data Stream='Default' PSGuid='{target}'>%%%</Data>\n"),
    "broken-packet": lambda _, __, target: out("<Data Stream='Default'>AAAA</Data>\n"),
}


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
    STARTS.get(BEHAVIOUR, lambda: None)()
    Server().serve()
