"""A thread that does what may block, so that nobody waits for it longer than they want to."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from hvintegration.clock import Deadline
from hvintegration.transports.one_time_event import OneTimeEvent

__all__ = ["Job", "Late", "Worker"]

T = TypeVar("T")


class Late(Exception):  # noqa: N818 - an event, which callers make an error of
    """The work was not done in time."""


class Job(Generic[T]):
    """Work that a thread does or will do."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._value: T | None = None
        self._error: BaseException | None = None
        self._done = OneTimeEvent()

    def do(self) -> None:
        """Do it."""
        try:
            self._value = self._work()
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
            self._error = error
        self._done.happen()

    def give_up(self, error: BaseException) -> None:
        """Let whoever waits for it get *error* now, unless it is done."""
        if not self._done.happened:
            self._error = error
            self._done.happen()

    def wait(self, deadline: Deadline) -> None:
        """Return when it is done.

        Raises:
            Late: The deadline came first.
        """
        if not self._done.wait(deadline):
            raise Late

    def result(self, deadline: Deadline) -> T:
        """What it returns or raises, once it is done.

        Raises:
            Late: The deadline came first.
        """
        self.wait(deadline)
        if self._error is not None:
            # Without this frame's variable, the error would keep itself alive through its traceback.
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        return self._value  # type: ignore[return-value]


class Worker:
    """One thread, which does jobs in turn. It starts with the first job and ends after :meth:`stop`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Job[object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._waited_for: Job[Any] | None = None

    def do(self, work: Callable[[], T], deadline: Deadline) -> T:
        """What *work* returns or raises, done by the thread.

        Raises:
            Late: The deadline came first. The work may still be going on.
        """
        job = self.later(work)
        self._waited_for = job
        try:
            return job.result(deadline)
        finally:
            self._waited_for = None  # It holds what was asked and answered.

    def break_off(self, error: BaseException) -> None:
        """Let whoever waits for :meth:`do` get *error* now. The work may still be going on. May come at any time."""
        job = self._waited_for
        if job is not None:
            job.give_up(error)

    def later(self, work: Callable[[], T]) -> Job[T]:
        """Have *work* done after what is to be done already, and do not wait for it."""
        job = Job(work)
        self._jobs.put(job)  # type: ignore[arg-type]
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=_work, args=(self._jobs,), name=self._name, daemon=True)
            self._thread.start()
        return job

    def stop(self) -> None:
        """Let the thread end after what is to be done already."""
        self._stopped = True
        self._jobs.put(None)


def _work(jobs: queue.SimpleQueue[Job[object] | None]) -> None:
    while (job := jobs.get()) is not None:
        job.do()
        del job
