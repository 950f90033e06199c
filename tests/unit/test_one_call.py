"""What a started interpreter writes is read up to limits."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import pytest

from hvintegration.calls.call import Call
from hvintegration.calls.limits import MAX_LENGTH
from hvintegration.clock import Deadline
from hvintegration.errors import CommandFailedError, ProtocolError, TransportError
from hvintegration.scripts import GET_HOST, Language
from hvintegration.transports.remoting import one_call
from hvintegration.transports.remoting.line_streams import LineStreams
from hvintegration.transports.remoting.one_call import OneCall
from tests.support.time_limit import within

READY = b"<hvintegration process=7 started=12>\n"


class Endless:
    """A beginning, and then the same again and again."""

    def __init__(self, beginning: bytes, then: bytes) -> None:
        self._beginning = io.BytesIO(beginning)
        self._then = then

    def read(self, size: int, /) -> bytes:
        return self._beginning.read(size) or self._then

    def close(self) -> None:
        pass


@contextlib.contextmanager
def writing(beginning: bytes, then: bytes = b"") -> Iterator[OneCall]:
    streams = LineStreams("local:x")
    streams.attach(io.BytesIO(), Endless(beginning, then), io.BytesIO())
    try:
        yield OneCall(streams, "local:x", Language.POWERSHELL)
    finally:
        streams.abandon()


def answer(written: bytes, then: bytes = b"") -> str:
    with writing(READY + written, then) as interpreter:
        interpreter.open(Deadline(60))
        assert interpreter.process == (7, "12")
        return interpreter.call(Call(GET_HOST, {}), Deadline(240))


def test_line_breaks_mean_nothing() -> None:
    assert answer(b"x\n<hvintegration answer>\n\r\n{\r\n\n}\n<hvintegration end>\n") == "{}"


@pytest.mark.parametrize(("line", "most"), [(b"\n", 1_000_000), (b"x" * 1000 + b"\n", MAX_LENGTH)])
def test_lines_without_end_are_too_many_bytes(monkeypatch: pytest.MonkeyPatch, line: bytes, most: int) -> None:
    monkeypatch.setattr(one_call, "MAX_LENGTH", most)
    with within(240), pytest.raises(ProtocolError, match=f"sent more than {most} bytes"):
        answer(b"<hvintegration answer>\n", line * 10_000)


def test_a_process_of_5000_digits_is_none() -> None:
    started = b"<hvintegration process=%b started=>\n" % (b"9" * 5000)
    with writing(started) as interpreter, pytest.raises(TransportError):
        interpreter.open(Deadline(60))


def test_an_error_is_the_hosts() -> None:
    said = b'{"id": "X", "category": "Y", "message": "Nein."}'
    with pytest.raises(CommandFailedError, match="Nein") as refused:
        answer(b"<hvintegration error>\n" + said + b"\n<hvintegration end>\n")
    assert refused.value.error_id == "X"


@pytest.mark.parametrize(
    "record", [b"[" * 100_000, b"[" + b"[],\n" * 300_000 + b"0]", b'{"id": 1}', b"[]", b"x"], ids=lambda text: text[:9]
)
def test_an_error_of_another_shape_is_broken(record: bytes) -> None:
    with pytest.raises(ProtocolError, match="sent a broken error"):
        answer(b"<hvintegration error>\n" + record + b"\n<hvintegration end>\n")
