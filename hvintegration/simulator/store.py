"""Where a simulated host's world is: in memory, or in a file that several processes share.

A file is read once and written once for a call. Nobody else changes it from a call's first change to its end, under a
lock on ``FILE.lock``; while time passes within the call, others may, and they see what it has changed so far.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from io import FileIO
from os import PathLike
from pathlib import Path
from typing import Final, Protocol, TypeVar

from hvintegration.errors import ConfigurationError
from hvintegration.files import reason
from hvintegration.processes import Lock, forget_after_fork
from hvintegration.simulator.world import World

__all__ = ["FileStore", "MemoryStore", "Store", "WorldAccess"]

T = TypeVar("T")

_PAUSE: Final = 0.005
"""Seconds until it is looked again whether another process has let go of the file."""

_Version = tuple[int, int, int]


class WorldAccess(Protocol):
    """The world, as one call sees it."""

    def read(self) -> World:
        """The world as it is now, to be looked at only."""
        ...

    def change(self, work: Callable[[World], T], /) -> T:
        """Do *work* on the world, which nobody else changes meanwhile; what it returns."""
        ...

    def let_others(self) -> None:
        """Let others see what was changed, and make their changes: time is going to pass."""
        ...


class Store(Protocol):
    """Where a world is."""

    def read(self) -> World:
        """The world as it is now, to be looked at only."""
        ...

    def access(self, go_on: Callable[[], object], /) -> AbstractContextManager[WorldAccess]:
        """The world for one call. *go_on* raises when it is not to be waited for any longer."""
        ...


class MemoryStore:
    """A world that only this process knows."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._turn = Lock()

    def __str__(self) -> str:
        return ""

    def read(self) -> World:
        """The world as it is now."""
        return self._world

    def change(self, work: Callable[[World], T], /) -> T:
        """Do *work* on the world, which nobody else changes meanwhile; what it returns."""
        with self._turn.lock:
            return work(self._world)

    def let_others(self) -> None:
        """They may at any time."""

    @contextmanager
    def access(self, _go_on: Callable[[], object], /) -> Generator[WorldAccess]:
        """The world for one call: this."""
        yield self


class FileStore:
    """A world in a file, shared with other processes."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._known: tuple[_Version, World] | None = None

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> World:
        """The world as it is now, to be looked at only.

        Raises:
            ConfigurationError: The file holds no world any more.
        """
        found = self.version()
        known = self._known
        if known is None or known[0] != found:
            self._known = known = (found, World.load(self.path))
        return known[1]

    def version(self) -> _Version:
        """What changes when the file is replaced."""
        try:
            status = self.path.stat()
        except OSError:
            return (0, 0, 0)
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def remember(self, world: World) -> None:
        """Take *world*, which is not going to be changed, for what is in the file now."""
        self._known = (self.version(), world)

    def change(self, work: Callable[[World], T]) -> T:
        """Do *work* on the world, which nobody else changes meanwhile, and write it back; what *work* returns.

        Raises:
            ConfigurationError: The file holds no world any more, or cannot be written.
        """
        access = _FileAccess(self, lambda: None)
        try:
            result = access.change(work)
        except BaseException:
            access.forget()
            raise
        access.let_others()
        return result

    @contextmanager
    def access(self, go_on: Callable[[], object], /) -> Generator[WorldAccess]:
        """The world for one call, which is written back at its end."""
        access = _FileAccess(self, go_on)
        try:
            yield access
        finally:
            access.let_others()


class _FileAccess:
    """The world in a file, for one call."""

    def __init__(self, store: FileStore, go_on: Callable[[], object]) -> None:
        self._store = store
        self._go_on = go_on
        self._turn: FileIO | None = None
        self._changed: World | None = None
        forget_after_fork(self, _FileAccess._forget)

    def read(self) -> World:
        return self._changed or self._store.read()

    def change(self, work: Callable[[World], T], /) -> T:
        if self._changed is None:
            self._turn = self._take_turn()
            self._changed = World.load(self._store.path)
        return work(self._changed)

    def forget(self) -> None:
        """Leave the file as it is."""
        self._changed = None
        self.let_others()

    def let_others(self) -> None:
        world, self._changed = self._changed, None
        turn, self._turn = self._turn, None
        if turn is None:
            return
        with turn:  # The lock ends with it.
            if world is not None:
                world.save(self._store.path)
                self._store.remember(world)

    def _forget(self) -> None:
        """The turn is the parent's, who has not ended it before every descriptor is closed."""
        turn, self._turn, self._changed = self._turn, None, None
        if turn is not None:
            with suppress(OSError):
                turn.close()

    def _take_turn(self) -> FileIO:
        path = self._store.path.with_name(f"{self._store.path.name}.lock")
        try:
            turn = path.open("a+b", buffering=0)
        except OSError as error:
            raise ConfigurationError(f"The lock {path} cannot be opened: {reason(error)}.") from error
        try:
            while not _lock(turn.fileno()):
                self._go_on()
                time.sleep(_PAUSE)
        except BaseException:
            turn.close()
            raise
        return turn


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
