"""Keeps what the libraries below log of our messages out of the logs, for they log whole messages and tokens.

Loggers, levels and handlers stay as the user has set them up, and so does what the same libraries log for others: only
records made while a thread works for this package are dropped, and only those below a warning.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

__all__ = ["without_library_logs"]

_LIBRARIES: Final = frozenset({"psrpcore", "pypsrp", "spnego"})

_at_work: contextvars.ContextVar[bool] = contextvars.ContextVar("hvintegration_at_work", default=False)


def _is_for_others(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not _at_work.get()


@contextmanager
def without_library_logs() -> Generator[None, None, None]:
    """While this is entered, the libraries log nothing below a warning."""
    token = _at_work.set(True)
    try:
        yield
    finally:
        _at_work.reset(token)


def watch_libraries() -> None:
    """Put the filter in front of each logger that these libraries have by now. Doing it again is harmless."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.partition(".")[0] in _LIBRARIES and isinstance(logger, logging.Logger):
            logger.addFilter(_is_for_others)
