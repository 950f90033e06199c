"""How much an answer may be, looked at before anything parses it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "is_deeper_than"]

MAX_LENGTH: Final = 64 * 1024 * 1024
"""Characters that an answer may have: some forty times what 10,000 virtual machines need."""

MAX_DEPTH: Final = 32
"""Levels that an answer may have; the scripts write at most ten."""

_ALL_BUT_STRUCTURE: Final = bytes(set(range(256)) - set(b'"[]{}'))


def is_deeper_than(document: str, levels: int) -> bool:
    """Whether brackets nest deeper, found without a parser: strings are taken out, then one level at a time.

    What does not go away does not close, and is refused as deep only if it is long.
    """
    structure = document.encode("utf-8", "replace").replace(b"\\\\", b"").replace(b'\\"', b"")
    structure = structure.translate(None, _ALL_BUT_STRUCTURE).replace(b'""', b"")
    structure = re.sub(rb'"[^"]*"', b"", structure)
    for _ in range(levels):
        inner = re.sub(rb"\{\}|\[\]", b"", structure)
        if inner == structure:
            return len(structure) > levels
        structure = inner
    return bool(structure)
