"""Work that nothing bounds in time, done where nobody has to wait for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from hvintegration.clock import Deadline
from hvintegration.errors import TransportTimeoutError

__all__ = ["wait_for"]

T = TypeVar("T")

_SLICE: Final = 0.5  # Seconds of one wait: on Windows, Ctrl-C is noticed between waits only.


def wait_for(work: Callable[[], T], deadline: Deadline, *, doing: str, address: str) -> T:
    """What *work* returns, done in a thread of its own, which is left alone when the time is up.

    Raises:
        TransportTimeoutError: The time was up.
        Exception: Whatever *work* raises.
    """
    outcomes: queue.SimpleQueue[Callable[[], T]] = queue.SimpleQueue()

    def do() -> None:
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001 - raised again, by the thread that waits
            failure = error
            outcomes.put(lambda: _raise(failure))
        else:
            outcomes.put(lambda: value)

    threading.Thread(target=do, name=f"{address} {doing}", daemon=True).start()
    while True:
        try:
            outcome = outcomes.get(timeout=min(deadline.left(), _SLICE))
        except queue.Empty:
            if not deadline.left():
                raise TransportTimeoutError(
                    f"{address}: there was no time left to {doing}, after {deadline.total:.3g} seconds.",
                    address=address,
                    after=deadline.total,
                    may_have_run=False,
                    fenced=True,
                ) from None
        else:
            return outcome()


def _raise(error: BaseException) -> T:  # type: ignore[type-var]
    raise error
