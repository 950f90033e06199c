"""A TCP proxy on this machine that makes a network misbehave.

with FaultProxy("127.0.0.1", 5985) as proxy:
    ...                                                 # connect to proxy.host, proxy.port
    proxy.delay = 0.04                                  # 80 ms there and back, from now on
    proxy.strike("reset", after_bytes_down=1000)        # once
    proxy.strike("freeze")                              # now, all open connections
    proxy.mode = "refuse"                               # new connections
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Coroutine
from typing import Any, Final, Literal, TypeAlias, TypeVar

import attrs

from tests.support.closing import Closing

T = TypeVar("T")

Mode: TypeAlias = Literal[
    "pass",
    "refuse",  # nobody listens
    "reset",  # a new connection is reset at once
    "swallow",  # a new connection is accepted and read, and nothing comes of it
]
Kind: TypeAlias = Literal[
    "reset",  # both ends are reset
    "close",  # both ends are closed in good order: what was handed on before arrives
    "freeze",  # nothing moves any more, not even an end: a half-open connection
    "freeze-up",  # nothing moves from the client to the target
    "freeze-down",  # nothing moves from the target to the client
]
Way: TypeAlias = Literal["up", "down"]

_Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CHUNK: Final = 64 * 1024
MOST_CHUNKS: Final = 256
_RESET: Final = struct.pack("ii", 1, 0)


@attrs.define(eq=False)
class Strike:
    """A fault that strikes once.

    Attributes:
        kind: What happens.
        left: Bytes that are handed on until then, in the directions that count.
        struck: Set once it has happened.
    """

    kind: Kind
    left: dict[Way, int]
    struck: threading.Event = attrs.field(factory=threading.Event)


@attrs.define(eq=False)
class _Direction:
    way: Way
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    moving: asyncio.Event = attrs.field(factory=asyncio.Event)
    queue: asyncio.Queue[tuple[float, bytes]] = attrs.field(factory=lambda: asyncio.Queue(MOST_CHUNKS))


@attrs.define(eq=False)
class _Link:
    """A client's connection and the one behind it."""

    task: asyncio.Task[None]
    up: _Direction
    down: _Direction

    def suffer(self, kind: Kind) -> None:
        if kind != "freeze-down":
            self.up.moving.clear()
        if kind != "freeze-up":
            self.down.moving.clear()
        if kind == "reset":
            _reset(self.up.writer)
            _reset(self.down.writer)
        if kind in {"reset", "close"}:
            self.task.cancel()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


class FaultProxy(Closing):
    """The proxy, in one thread of its own.

    Args:
        target_host: Where each connection is taken to.
        target_port: To which port.

    Attributes:
        port: Where it listens.
        delay: Seconds that all bytes are under way, in each direction. It limits no throughput.
        drip: Bytes handed on at once in each direction of a connection, and the seconds between; None for no limit.
        connections: Connections accepted so far.
        bytes_up: Bytes handed on from clients to the target.
        bytes_down: Bytes handed on from the target to clients.
    """

    host: Final = "127.0.0.1"

    def __init__(self, target_host: str, target_port: int) -> None:
        self.port = 0
        self.delay = 0.0
        self.drip: tuple[int, float] | None = None
        self.connections = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self._target = (target_host, target_port)
        self._mode: Mode = "pass"
        self._strikes: list[Strike] = []
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener: socket.socket | None = None
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._thread.start()
        self._do(self._switch("pass"))

    @property
    def open_connections(self) -> int:
        """Connections that are being handed on now."""
        return len(self._links)

    @property
    def mode(self) -> Mode:
        """What becomes of new connections."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._do(self._switch(mode))

    def strike(self, kind: Kind, *, after_bytes_up: int | None = None, after_bytes_down: int | None = None) -> Strike:
        """Plan a fault that strikes once.

        Args:
            kind: What happens.
            after_bytes_up: How many bytes are still handed on from clients to the target, from now on and on all
                connections together. The connection of the last one is struck, right behind it; with 0, the one
                whose byte would have been the first.
            after_bytes_down: Likewise, from the target to clients; whichever comes first. With neither, all open
                connections are struck before this returns.
        """
        left: dict[Way, int] = {}
        if after_bytes_up is not None:
            left["up"] = after_bytes_up
        if after_bytes_down is not None:
            left["down"] = after_bytes_down
        strike = Strike(kind, left)
        self._do(self._plan(strike))
        return strike

    def wait_until_quiet(self) -> None:
        """Return once nothing has been handed on for a tenth of a second."""
        seen = -1
        while (handed_on := self.bytes_up + self.bytes_down) != seen:
            seen = handed_on
            time.sleep(0.1)

    def call_off(self) -> None:
        """Forget all faults that have not struck yet."""
        self._do(self._call_off())

    def thaw(self) -> None:
        """Let what is frozen move again."""
        self._do(self._thaw())

    def close(self) -> None:
        """Reset everything that is open."""
        if not self._loop.is_closed():
            self._do(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    # -- in the proxy's own thread ---------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _switch(self, mode: Mode) -> None:
        self._mode = mode
        if mode == "refuse" and self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        elif mode != "refuse" and self._listener is None:
            self._listener = socket.create_server((self.host, self.port), backlog=128)
            self._listener.setblocking(False)  # noqa: FBT003 - it has no other name
            self.port = self._listener.getsockname()[1]
            # Not asyncio.start_server: closing that one loses connections that it is just accepting.
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            client = listener.accept()[0]
            # asyncio does so for sockets that it made itself: nothing is kept back until more comes.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._serve(client))
            self._tasks.add(task)
            self.connections += 1

    async def _plan(self, strike: Strike) -> None:
        if strike.left:
            self._strikes.append(strike)
            return
        for link in list(self._links):
            link.suffer(strike.kind)
        strike.struck.set()

    async def _call_off(self) -> None:
        self._strikes.clear()

    async def _thaw(self) -> None:
        for link in self._links:
            link.up.moving.set()
            link.down.moving.set()

    async def _end(self) -> None:
        await self._switch("refuse")
        this = asyncio.current_task()
        await asyncio.sleep(0)  # What has not begun cannot be cancelled in good order.
        while others := [task for task in asyncio.all_tasks() if task is not this]:
            for writer in list(self._writers):
                _reset(writer)
            for task in list(self._tasks):
                task.cancel()
            await asyncio.wait(others, timeout=0.01)

    async def _serve(self, client: socket.socket) -> None:
        task = asyncio.current_task()
        assert task is not None
        writers: list[asyncio.StreamWriter] = []
        try:
            reader, writer = await self._keep(writers, asyncio.open_connection(sock=client))
            if self._mode == "pass":
                far_reader, far_writer = await self._keep(writers, asyncio.open_connection(*self._target))
                link = _Link(task, _Direction("up", reader, far_writer), _Direction("down", far_reader, writer))
                await self._hand_on(link)
            else:
                if self._mode == "reset":
                    _reset(writer)
                while await reader.read(CHUNK):
                    pass
        except OSError:
            for end in writers:
                _reset(end)
        except asyncio.CancelledError:
            pass  # This task ends anyhow.
        finally:
            for end in writers:
                end.close()
            for end in writers:
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await end.wait_closed()
            self._writers.difference_update(writers)
            self._tasks.discard(task)

    async def _keep(self, writers: list[asyncio.StreamWriter], opening: Coroutine[Any, Any, _Ends]) -> _Ends:
        reader, writer = await opening
        writers.append(writer)
        self._writers.add(writer)
        return reader, writer

    async def _hand_on(self, link: _Link) -> None:
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as group:
                for direction in (link.up, link.down):
                    direction.moving.set()
                    # Nothing waits in between, so that what is handed on is what has arrived.
                    direction.writer.transport.set_write_buffer_limits(0)
                    group.create_task(self._take(direction))
                    group.create_task(self._give(link, direction))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        finally:
            self._links.discard(link)

    async def _take(self, direction: _Direction) -> None:
        chunk = b"-"
        while chunk:
            chunk = await direction.reader.read(CHUNK)
            await direction.queue.put((self._loop.time() + self.delay, chunk))

    async def _give(self, link: _Link, direction: _Direction) -> None:
        while True:
            due, chunk = await direction.queue.get()
            if (left := due - self._loop.time()) > 0:
                await asyncio.sleep(left)
            if not chunk:
                await direction.moving.wait()
                direction.writer.write_eof()
                return
            while chunk:
                await direction.moving.wait()
                size = self._allowed(direction.way, len(chunk))
                self._count(direction.way, size)
                direction.writer.write(chunk[:size])
                await direction.writer.drain()
                chunk = chunk[size:]
                self._strike_where_due(link, direction.way)
                if self.drip is not None:
                    await asyncio.sleep(self.drip[1])

    def _allowed(self, way: Way, size: int) -> int:
        limits = [strike.left[way] for strike in self._strikes if way in strike.left]
        return min([size, *limits] if self.drip is None else [size, self.drip[0], *limits])

    def _count(self, way: Way, size: int) -> None:
        if way == "up":
            self.bytes_up += size
        else:
            self.bytes_down += size
        for strike in self._strikes:
            if way in strike.left:
                strike.left[way] -= size

    def _strike_where_due(self, link: _Link, way: Way) -> None:
        for strike in list(self._strikes):
            if strike.left.get(way) == 0:
                self._strikes.remove(strike)
                link.suffer(strike.kind)
                strike.struck.set()
