"""What belongs to one process: it is not handed to another one, and a process that is forked forgets it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    import subprocess

__all__ = ["Lock", "OfThisProcess", "disown", "finalize", "forget_after_fork"]

T = TypeVar("T")


class OfThisProcess:
    """Something that cannot be pickled or copied, for it stands on connections of this process."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be pickled or copied, for it stands on connections of this process: make the host anew"
            " where it is needed, such as from its address."
        )


def forget_after_fork(thing: T, forget: Callable[[T], None]) -> None:
    """Have *forget* called with *thing* in each process that is forked while *thing* is there, before all else there.

    It finds what the parent's threads have left in the middle: their locks stay taken, and what they wait for never
    comes. So it must wait for nothing, and must not raise. What it lets go of is still the parent's: it may close
    descriptors, and must neither write to them, nor shut them, nor end a process.
    """
    _known[thing] = forget


_known: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()


def _forget_all() -> None:
    # A list: nothing is collected before all of it is forgotten.
    for thing, forget in list(_known.items()):
        forget(thing)


if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(after_in_child=_forget_all)


def finalize(thing: object, end: Callable[..., object], *arguments: object) -> weakref.finalize[..., object]:
    """Have *end* called with *arguments* once *thing* is collected, or this process ends; in none forked from it."""
    return weakref.finalize(thing, _end_here, os.getpid(), end, *arguments)


def _end_here(process: int, end: Callable[..., object], *arguments: object) -> None:
    if os.getpid() == process:
        end(*arguments)


def disown(process: subprocess.Popen[bytes]) -> None:
    """Let go of a program that the parent of this process has started, and goes on with."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.returncode = 0  # Or it would be waited for, and complained of, when it is collected.


class Lock:
    """Has a lock that no forked process finds taken: ``with it.lock: ...``. Its thread may take it again.

    Attributes:
        lock: The one of this process.
    """

    lock: threading.RLock

    def __init__(self) -> None:
        self._renew()
        forget_after_fork(self, Lock._renew)

    def _renew(self) -> None:
        self.lock = threading.RLock()
