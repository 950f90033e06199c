"""Lines are read ahead, but not without end."""

from __future__ import annotations

import io
import threading
import time

import pytest

from hvintegration.clock import Deadline
from hvintegration.errors import ConnectionLostError, TransportTimeoutError
from hvintegration.transports.remoting.line_streams import LineStreams
from tests.support.endpoints import wait_until
from tests.support.time_limit import GRACE, within

AHEAD = 64


class Endless:
    """A line for each time it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, _size: int, /) -> bytes:
        self.asked += 1
        return b"%d\n" % self.asked

    def close(self) -> None:
        pass


class Ended:
    """Nothing, and it is known when that has been noticed."""

    def __init__(self) -> None:
        self.noticed = threading.Event()

    def read(self, _size: int, /) -> bytes:
        self.noticed.set()
        return b""

    def close(self) -> None:
        pass


class Complaints:
    """A reason that comes a moment after the output has ended; and then nothing, or never an end."""

    def __init__(self, output: Ended, *, has_end: bool) -> None:
        self._output = output
        self._pieces = [b"The licence", b" has expired.\n"]
        self.ends = threading.Event()
        if has_end:
            self.ends.set()

    def read(self, _size: int, /) -> bytes:
        self._output.noticed.wait()
        if self._pieces:
            time.sleep(0.05)
            return self._pieces.pop(0)
        self.ends.wait()
        return b""

    def close(self) -> None:
        pass


@pytest.mark.parametrize("has_end", [True, False])
def test_why_it_ended_is_told_though_it_comes_after_the_end(*, has_end: bool) -> None:
    output = Ended()
    complaints = Complaints(output, has_end=has_end)
    lines = LineStreams("late")
    lines.attach(io.BytesIO(), output, complaints)

    with within(2 + GRACE), pytest.raises(ConnectionLostError) as lost:
        lines.read_line(Deadline(30))

    assert str(lost.value) == "The interpreter at late ended: The licence has expired."
    complaints.ends.set()


def test_a_flood_is_read_as_far_ahead_as_it_is_taken_and_ends_when_it_is_given_up() -> None:
    source = Endless()
    lines = LineStreams("flood")
    lines.attach(io.BytesIO(), source, io.BytesIO())
    assert wait_until(lambda: source.asked == AHEAD + 1)

    taken = [lines.read_line(Deadline(5)) for _ in range(10)]

    assert taken == [b"%d" % number for number in range(1, 11)]
    assert wait_until(lambda: source.asked == AHEAD + 11)
    lines.abandon()
    assert wait_until(lambda: not any(thread.name.startswith("flood") for thread in threading.enumerate()))
    assert source.asked == AHEAD + 11


class Pieces:
    """Output in pieces of a certain length."""

    def __init__(self, output: bytes, length: int) -> None:
        self._output = io.BytesIO(output)
        self._length = length

    def read(self, _size: int, /) -> bytes:
        return self._output.read(self._length)

    def close(self) -> None:
        pass


def reading(output: bytes, length: int) -> LineStreams:
    streams = LineStreams("local:x")
    streams.attach(io.BytesIO(), Pieces(output, length), io.BytesIO())
    return streams


@pytest.mark.parametrize("length", [1, 2, 3, 5, 100])
def test_lines_are_the_same_however_they_come(length: int) -> None:
    streams = reading(b"one\n\n\ntwo\nthree", length)
    assert [streams.read_line(Deadline(10)) for _ in range(4)] == [b"one", b"", b"", b"two"]
    with pytest.raises(ConnectionLostError, match="ended: three"):
        streams.read_line(Deadline(10))


def test_a_long_line_in_small_pieces_takes_no_longer_for_what_came_before() -> None:
    line = b"x" * 1_000_000
    with within(5):
        assert reading(line + b"\n", 16).read_line(Deadline(60)) == line


def test_lines_without_end_end_with_the_time() -> None:
    streams = reading(b"x\n" * 1000, 2)
    assert streams.read_line(Deadline(10)) == b"x"
    with pytest.raises(TransportTimeoutError):
        streams.read_line(Deadline(0))
