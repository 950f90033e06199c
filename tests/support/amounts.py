"""How much is tested by day, and how much at night, by ``nox -s soak``."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from typing import Any, Final, TypeVar

import pytest

__all__ = ["THOROUGH", "at_night", "night_unless", "some_by_day"]

THOROUGH: Final = bool(os.environ.get("HVINTEGRATION_THOROUGH"))
"""Whether all is tested, as at night, and not only what differs from all else."""

at_night = pytest.mark.at_night
"""For tests of what others test as well, on another way or in another number."""

T = TypeVar("T")


def night_unless(by_day: bool) -> list[pytest.MarkDecorator]:  # noqa: FBT001 - its name says which
    """The marks of one parameter."""
    return [] if by_day else [at_night]


def some_by_day(every: Iterable[T], by_day: Container[T]) -> list[Any]:
    """Parameters, or tuples of them: *every* one at night, and those *by_day* at any time."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else [value]), marks=night_unless(value in by_day))
        for value in every
    ]
