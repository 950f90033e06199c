"""Lines to and from a PowerShell, with threads at its streams, so that no wait can outlast a deadline."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Final, Protocol

from hvintegration.clock import Deadline
from hvintegration.errors import ConnectionLostError, ProtocolError, TransportError, TransportTimeoutError, excerpt
from hvintegration.transports.out_of_process import MAX_LINE

__all__ = ["LineStreams", "Sink", "Source"]

_CHUNK: Final = 64 * 1024
_LINES_AHEAD: Final = 64
_SLICE: Final = 0.5  # Seconds of one wait: on Windows, Ctrl-C is noticed between waits only.
_COMPLAINT_LENGTH: Final = 4096


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
    """A PowerShell's three streams; see :class:`~hvintegration.transports.out_of_process.Streams`.

    Both of its outputs are read all the time. Of its complaints the end is kept.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._lines: queue.Queue[bytes | TransportError] = queue.Queue(_LINES_AHEAD)
        self._unsent: queue.SimpleQueue[tuple[bytes, threading.Event] | None] = queue.SimpleQueue()
        self._complaints = b""
        self._over = threading.Event()
        self._ended = threading.Event()

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
        """Send *line*; see :class:`~hvintegration.transports.out_of_process.Streams`."""
        written = threading.Event()
        self._unsent.put((line, written))
        while not written.wait(min(deadline.left(), _SLICE)):
            if not deadline.left():
                raise self._too_late(deadline)

    def read_line(self, deadline: Deadline) -> bytes:
        """The next line; see :class:`~hvintegration.transports.out_of_process.Streams`."""
        while True:
            try:
                line = self._lines.get(timeout=min(deadline.left(), _SLICE))
            except queue.Empty:
                if not deadline.left():
                    raise self._too_late(deadline) from None
            else:
                if isinstance(line, TransportError):
                    raise line
                return line

    def finish(self) -> None:
        """Say that nothing more will be sent, which ends a healthy PowerShell."""
        self._unsent.put(None)

    def wait_for_end(self, seconds: float) -> None:
        """Wait until its output has ended, but not for long."""
        self._ended.wait(seconds)

    def abandon(self) -> None:
        """Deliver nothing more."""
        self._over.set()
        self._unsent.put(None)

    def _too_late(self, deadline: Deadline) -> TransportTimeoutError:
        return TransportTimeoutError(
            f"PowerShell ({self._address}) did not answer within {deadline.total:.3g} seconds.",
            address=self._address,
            after=deadline.total,
            may_have_run=True,
        )

    # -- the threads ----------------------------------------------------------------------------------------------

    def _read(self, output: Source) -> None:
        try:
            self._deliver(self._read_lines(output))
        finally:
            self._ended.set()

    def _read_lines(self, output: Source) -> TransportError:
        """Deliver all lines; why there are no more."""
        rest = b""
        with contextlib.suppress(OSError), contextlib.closing(output):
            while not self._over.is_set() and (chunk := output.read(_CHUNK)):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._deliver(line)
                if len(rest) > MAX_LINE:
                    return ProtocolError(
                        f"PowerShell ({self._address}) wrote a line of more than {MAX_LINE} bytes.",
                        address=self._address,
                        received=rest[:400].decode("ascii", "replace"),
                    )
        complaint = excerpt(self._complaints.decode("utf-8", "replace").strip() or rest.decode("utf-8", "replace"))
        return ConnectionLostError(
            f"PowerShell ({self._address}) ended{': ' + complaint if complaint else '.'}",
            address=self._address,
            may_have_run=True,
        )

    def _deliver(self, item: bytes | TransportError) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self._lines.put(item, timeout=0.2)
                return

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
                written.set()

    def _listen(self, complaints: Source) -> None:
        with contextlib.suppress(OSError), contextlib.closing(complaints):
            while chunk := complaints.read(_CHUNK):
                self._complaints = (self._complaints + chunk)[-_COMPLAINT_LENGTH:]
