"""Lines are read ahead, but not without end."""

from __future__ import annotations

import io
import threading

from hvintegration.clock import Deadline
from hvintegration.transports.remoting.line_streams import LineStreams
from tests.support.endpoints import wait_until

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
