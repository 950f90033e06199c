"""How much an answer may be, looked at before anything parses it, and how long work on it may last.

What lies within these limits takes no single step of more than 0.4 seconds; ``tests/benchmarks/bench_limits.py`` has
what each takes. Between steps the caller's deadline is looked at, so a call ends half a second after it at the latest.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

from hvintegration.clock import Deadline
from hvintegration.errors import TransportTimeoutError

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "ExcessError", "Work", "is_deeper_than", "parse_json"]

N = TypeVar("N", int, float)

MAX_LENGTH: Final = 32 * 1024 * 1024
"""Characters that an answer may have, and bytes that may arrive for it: twice what 10,000 virtual machines need."""

MAX_DEPTH: Final = 32
"""Levels that an answer may have; the scripts write at most ten."""

MAX_CONTAINERS: Final = 120_000
"""Lists and objects that an answer may have; each may become one of ours. 10,000 virtual machines need 100,000."""

MAX_FIELDS: Final = 650_000
"""Fields that its objects may have together; 10,000 virtual machines need 620,000."""

MAX_ITEMS: Final = 1_000_000
"""Commas between them and between items of lists; 10,000 virtual machines need 540,000."""

MAX_MARKED_TEXTS: Final = 400_000
"""Texts with a comma, a colon or a bracket in them; 10,000 virtual machines with ten addresses each need 170,000."""

MAX_DIGITS: Final = 1_000
"""Characters of a number: turning digits into a number takes time in proportion to their square."""

_FEW_ESCAPES: Final = 500_000
"""So many are taken out faster one by one; of more, each would cost too much."""

_STEPS_BETWEEN_LOOKS: Final = 256
_ALL_BUT_STRUCTURE: Final = bytes(set(range(256)) - set(b'",:[]{}'))
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class ExcessError(Exception):
    """A document is more than it may be; ``str()`` says what it has or is."""


class Work:
    """Work on what has arrived: it ends when the caller's time is over.

    Args:
        deadline: When that is; None where nobody waits.
        address: Where it came from.
        fenced: Whether nothing that was asked for runs any more over there.
    """

    __slots__ = ("_address", "_deadline", "_fenced", "_steps")

    def __init__(self, deadline: Deadline | None = None, address: str = "", *, fenced: bool = False) -> None:
        self._deadline = deadline
        self._address = address
        self._fenced = fenced
        self._steps = 0

    def look(self) -> None:
        """Go on.

        Raises:
            TransportTimeoutError: There is no time left.
        """
        if self._deadline is not None and not self._deadline.left():
            raise TransportTimeoutError(
                address=self._address,
                after=self._deadline.given,
                fenced=self._fenced,
                hint="It came, but reading it would take longer.",
            )

    def step(self) -> None:
        """Note that a small piece of it is done, and look once in a while."""
        self._steps += 1
        if not self._steps % _STEPS_BETWEEN_LOOKS:
            self.look()


def parse_json(document: str, work: Work) -> Any:  # noqa: ANN401 - parsed JSON of which nothing is known yet
    """What *document* says.

    Raises:
        ExcessError: It is longer or deeper or has more parts than a document may have.
        ValueError: It is not JSON.
        RecursionError: Neither.
        TransportTimeoutError: The time was up.
    """
    if len(document) > MAX_LENGTH:
        raise ExcessError(f"is longer than {MAX_LENGTH} characters")
    structure = _structure(document, work)
    if _depth(structure) > MAX_DEPTH:
        raise ExcessError(f"has more than {MAX_DEPTH} levels")
    for marks, limit, name in (
        (b"[{", MAX_CONTAINERS, "lists and objects"),
        (b":", MAX_FIELDS, "fields"),
        (b",", MAX_ITEMS, "items"),
    ):
        if sum(structure.count(mark) for mark in marks) > limit:
            raise ExcessError(f"has more than {limit} {name}")
    return json.loads(
        document, parse_constant=_no_constant, parse_int=_number(int, work), parse_float=_number(float, work)
    )


def is_deeper_than(document: str, levels: int) -> bool:
    """Whether brackets outside of strings nest deeper, found without a parser, or may do so."""
    try:
        return _depth(_structure(document, Work())) > levels
    except ExcessError:
        return True


def _structure(document: str, work: Work) -> bytes:
    """All commas, colons and brackets outside of strings.

    Exact up to the first place at which it is not JSON; a parser comes no further.

    Raises:
        ExcessError: Too many strings have such marks in them.
    """
    structure = document.encode("ascii", "replace")
    work.look()
    if structure.count(b"\\") <= _FEW_ESCAPES:
        structure = re.sub(rb'\\[\\"]', b"", structure)
    else:
        structure = structure.replace(b"\\\\", b"")
        work.look()
        structure = structure.replace(b'\\"', b"")
    work.look()
    structure = structure.translate(None, _ALL_BUT_STRUCTURE)
    work.look()
    structure = structure.replace(b'""', b"")
    if structure.count(b'"') > 2 * MAX_MARKED_TEXTS:
        raise ExcessError(f"has more than {MAX_MARKED_TEXTS} texts with commas, colons or brackets")
    work.look()
    return re.sub(rb'"[^"]*"', b"", structure)


def _depth(structure: bytes) -> int:
    """Levels of the brackets, as far as there may be any."""
    brackets = structure.translate(None, _ALL_BUT_BRACKETS)[: 2 * MAX_CONTAINERS]
    return max(itertools.accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _number(convert: Callable[[str], N], work: Work) -> Callable[[str], N]:
    def number(digits: str) -> N:
        work.step()
        if len(digits) > MAX_DIGITS:
            raise ValueError(digits[:MAX_DIGITS])
        return convert(digits)

    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
