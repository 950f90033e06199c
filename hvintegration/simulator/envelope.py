"""What all scripts write around their result: ``{"schema": 1, "result": ..., "errors": [...]}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from hvintegration.simulator.faults import CmdletError

__all__ = ["Failures", "Request", "Result", "enveloped", "failure"]

Request: TypeAlias = Mapping[str, Any]
Result: TypeAlias = dict[str, Any]
Failures: TypeAlias = list[dict[str, Any]]


def enveloped(function: Callable[[Failures], Result]) -> dict[str, Any]:
    """What a script writes whose work is *function*, which adds to the failures that it is given."""
    failures: Failures = []
    try:
        result: Result | None = function(failures)
    except CmdletError as error:
        result = None
        failures.append(failure(error, None))
    return {"schema": 1, "result": result, "errors": failures}


def failure(error: CmdletError, target: str | None) -> dict[str, Any]:
    """How an error is told."""
    return {
        "id": error.error_id,
        "category": error.category,
        "message": error.message,
        "target": target,
        "target_object": error.target,
    }
