"""Whether a text shows anywhere in what errors and logs tell."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TESTS: Final = str(Path(__file__).parents[1])


def told(error: BaseException) -> Iterator[str]:
    """All that can be read of an error: texts, a pickle, tracebacks with locals, and likewise of what is behind it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield str(current)
        yield repr(current)
        yield repr(vars(current))
        shown = traceback.TracebackException.from_exception(current, capture_locals=True, compact=True)
        # The tests know the secrets.
        shown.stack[:] = [frame for frame in shown.stack if not frame.filename.startswith(_TESTS)]
        yield from shown.format(chain=False)
        waiting += [current.__cause__, current.__context__]
    yield pickle.dumps(error).decode("latin1")
