"""What must not be left behind."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0


def set_apart() -> None:
    """Look at nothing again that is there already: it takes tenths of a second, where a test leaves little."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def nothing_left(seconds: float = 5) -> Iterator[None]:
    """Check that what goes on inside leaves neither threads nor descriptors, *seconds* after its end at most."""
    set_apart()
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    give_up = time.monotonic() + seconds
    while True:
        gc.collect()
        left = [thread.name for thread in threading.enumerate() if thread not in threads]
        more = _descriptors() - descriptors
        if not left and more <= 0:
            return
        assert time.monotonic() < give_up, (left, more)
        time.sleep(0.02)
