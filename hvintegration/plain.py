"""Plain data: what ``to_dict()`` answers, ready for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

__all__ = ["SCHEMA_VERSION", "Plain"]

SCHEMA_VERSION = 1
"""Version of what ``to_dict()`` answers. It grows when a key changes its meaning or goes; new keys do not count."""

Plain: TypeAlias = "str | int | float | bool | Sequence[Plain] | dict[str, Plain] | None"
