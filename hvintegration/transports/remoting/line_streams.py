"""Lines to and from an interpreter, with threads at its streams, so that no wait can outlast a deadline."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Final, Protocol

from hvintegration.clock import Deadline
from hvintegration.errors import ConnectionLostError, ProtocolError, TransportError, TransportTimeoutError, excerpt
from hvintegration.processes import forget_after_fork
from hvintegration.transports.one_time_event import OneTimeEvent, get_in_time
from hvintegration.transports.remoting.out_of_process import MAX_LINE

__all__ = ["LineStreams", "Sink", "Source"]

_CHUNK: Final = 64 * 1024
_LINES_AHEAD: Final = 64
_COMPLAINT_LENGTH: Final = 4096
_SECONDS_TO_HEAR_WHY: Final = 1.0
"""How long to read on why it ended. Complaints have a stream of their own, which another program may hold open."""


class Source(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Up to *size* bytes as soon as there are any; none at the end.

        Raises:
            OSError: It is broken.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: memoryview, /) -> int:
        """Write some of *data*; how much.

        Raises:
            OSError: It is broken.
        """
        ...

    def close(self) -> None:
        """Say that nothing more comes."""
        ...


class LineStreams:
    """An interpreter's three streams; see :class:`~hvintegration.transports.remoting.out_of_process.Streams`.

    Both of its outputs are read all the time. Of its complaints the end is kept.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._lines: queue.SimpleQueue[bytes | TransportError] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()  # As many as there may be lines more.
        for _ in range(_LINES_AHEAD):
            self._room.put(None)
        self._unsent: queue.SimpleQueue[tuple[bytes, OneTimeEvent] | None] = queue.SimpleQueue()
        self._complaints = b""
        self._heard = OneTimeEvent()
        self._over = False
        self._ended = OneTimeEvent()
        forget_after_fork(self, lambda streams: streams.forget())

    def attach(self, target: Sink, output: Source, complaints: Source) -> None:
        """Begin to read and write."""
        for name, work in (
            ("write", lambda: self._write(target)),
            ("read", lambda: self._read(output)),
            ("listen", lambda: self._listen(complaints)),
        ):
            threading.Thread(target=work, name=f"{self._address} {name}", daemon=True).start()

    # -- for the client -------------------------------------------------------------------------------------------

    def write(self, line: bytes, deadline: Deadline) -> None:
        """Send *line*; see :class:`~hvintegration.transports.remoting.out_of_process.Streams`."""
        written = OneTimeEvent()
        self._unsent.put((line, written))
        if self._over:  # Asked after it is queued: from here on, nobody may take it from there.
            raise self._given_up()
        if not written.wait(deadline):
            raise self._too_late(deadline)

    def read_line(self, deadline: Deadline) -> bytes:
        """The next line; see :class:`~hvintegration.transports.remoting.out_of_process.Streams`."""
        try:
            line = get_in_time(self._lines, deadline)
        except queue.Empty:
            raise self._too_late(deadline) from None
        self._room.put(None)
        if not deadline.left():  # Asked though there was a line: they may come without end.
            raise self._too_late(deadline)
        if isinstance(line, TransportError):
            raise line
        return line

    @property
    def complaint(self) -> str:
        """The last line that came as a complaint so far, as far as it fits into an error; empty if none came."""
        *_, last = ["", *self._complained().splitlines()]
        return excerpt(last)

    def finish(self) -> None:
        """Say that nothing more will be sent, which ends a healthy interpreter."""
        self._unsent.put(None)

    def wait_for_end(self, seconds: float) -> None:
        """Wait until its output has ended, but not for long."""
        self._ended.wait(Deadline(seconds))

    def abandon(self) -> None:
        """Deliver nothing more."""
        self._over = True
        self._unsent.put(None)
        self._room.put(None)

    def forget(self) -> None:
        """In a forked process, which has none of the threads: deliver nothing more, and let nobody wait for it."""
        self._over = True
        self._lines.put(self._given_up())

    def _given_up(self) -> ConnectionLostError:
        return ConnectionLostError(f"The interpreter at {self._address} was given up.", address=self._address)

    def _too_late(self, deadline: Deadline) -> TransportTimeoutError:
        return TransportTimeoutError(address=self._address, after=deadline.given, host_message=self.complaint)

    def _complained(self) -> str:
        return self._complaints.decode("utf-8", "replace").strip()

    # -- the threads ----------------------------------------------------------------------------------------------

    def _read(self, output: Source) -> None:
        try:
            self._deliver(self._read_lines(output))
        finally:
            self._ended.happen()

    def _read_lines(self, output: Source) -> TransportError:
        """Deliver all lines; why there are no more."""
        rest = bytearray()
        with contextlib.suppress(OSError), contextlib.closing(output):
            with contextlib.suppress(OSError):
                while not self._over and (chunk := output.read(_CHUNK)):
                    first, *lines = chunk.split(b"\n")
                    rest += first
                    for line in lines:
                        self._deliver(bytes(rest))
                        rest = bytearray(line)
                    if len(rest) > MAX_LINE:
                        return ProtocolError(
                            f"The interpreter at {self._address} wrote a line of more than {MAX_LINE} bytes.",
                            address=self._address,
                            received=rest[:400].decode("ascii", "replace"),
                        )
            if not self._over:  # Before it is closed: a channel ends for both of its outputs then.
                self._heard.wait(Deadline(_SECONDS_TO_HEAR_WHY))
        complaint = self._complained() or rest[:_COMPLAINT_LENGTH].decode("utf-8", "replace")
        return ConnectionLostError(
            f"The interpreter at {self._address} ended{': ' + excerpt(complaint) if complaint else '.'}",
            address=self._address,
            host_message=complaint,
        )

    def _deliver(self, item: bytes | TransportError) -> None:
        if not self._over:
            self._room.get()
        self._lines.put(item)

    def _write(self, target: Sink) -> None:
        # A broken pipe is no news to the writer: what counts is what the reader then finds.
        broken = False
        with contextlib.suppress(OSError), contextlib.closing(target):
            while (item := self._unsent.get()) is not None:
                line, written = item
                try:
                    view = memoryview(line)
                    while view and not broken:
                        view = view[target.write(view) :]
                except OSError:
                    broken = True
                written.happen()

    def _listen(self, complaints: Source) -> None:
        try:
            with contextlib.suppress(OSError), contextlib.closing(complaints):
                while chunk := complaints.read(_CHUNK):
                    self._complaints = (self._complaints + chunk)[-_COMPLAINT_LENGTH:]
        finally:
            self._heard.happen()
