"""Drives an operation by hand with a scripted list of replies, and records what it yielded."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

from hvintegration.calls.answer import Answer, parse_answer
from hvintegration.calls.call import Call
from hvintegration.calls.operation import DeadlineReached, SessionClosed, Sleep
from hvintegration.errors import HvError

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

HOST = "hv01"
READ_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Reply: TypeAlias = Answer | HvError | DeadlineReached | SessionClosed | None
"""What comes of one step: an answer to a call, None after a sleep, or an exception."""


@attrs.frozen
class Outcome(Generic[T]):
    """How an operation ended, and what it yielded until then."""

    yielded: tuple[Call | Sleep, ...]
    _result: tuple[T, ...]
    _error: HvError | DeadlineReached | SessionClosed | None

    @property
    def value(self) -> T:
        """What the operation returned; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result[0]

    def error(self, kind: type[E]) -> E:
        """What the operation raised, which must be of exactly that class."""
        assert self._error is not None, f"no error, but {self._result[0]!r}"
        if type(self._error) is not kind:
            raise self._error
        return self._error

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(step for step in self.yielded if isinstance(step, Call))

    @property
    def pauses(self) -> tuple[float, ...]:
        return tuple(step.seconds for step in self.yielded if isinstance(step, Sleep))


def drive(operation: Generator[Call | Sleep, Answer | None, T], replies: Iterable[Reply] = ()) -> Outcome[T]:
    """Give *operation* one reply for each step it yields. Too few or too many replies fail the test."""
    left = list(replies)
    yielded: list[Call | Sleep] = []
    result: tuple[T, ...] = ()
    problem: HvError | DeadlineReached | SessionClosed | None = None
    try:
        step = next(operation)
        while True:
            yielded.append(step)
            assert left, f"no reply is left for {step!r}"
            reply = left.pop(0)
            step = operation.throw(reply) if isinstance(reply, Exception) else operation.send(reply)
    except StopIteration as end:
        result = (end.value,)
    except (HvError, DeadlineReached, SessionClosed) as error:
        problem = error
    assert left == [], "the operation ended before all replies were used"
    return Outcome(tuple(yielded), result, problem)


# -- what hosts answer ---------------------------------------------------------------------------------------------


def answer(result: object, *errors: dict[str, Any]) -> Answer:
    """An answer, sent through its JSON text as a session would."""
    document = json.dumps({"schema": 1, "result": result, "errors": errors})
    return parse_answer(document, address=HOST, received_at=READ_AT)


def problem(error_id: str, target: str | None = None, *, category: str = "", message: str = "") -> dict[str, Any]:
    """An entry of an answer's error list; the host names the same target as the script."""
    return {"id": error_id, "category": category, "message": message, "target": target, "target_object": target}


def service_json(vm_id: str, component_id: str, **changes: object) -> dict[str, Any]:
    """An integration service that is enabled and Ok, but for *changes*."""
    plain: dict[str, Any] = {
        "id": f"Microsoft:{vm_id.upper()}\\{component_id.upper()}",
        "name": "Name on the host",
        "enabled": True,
        "primary": "Ok",
        "primary_text": "OK",
        "secondary": None,
        "secondary_text": None,
    }
    return plain | changes


def info_json(**changes: object) -> dict[str, Any]:
    """Details of a running virtual machine, but for *changes*."""
    plain: dict[str, Any] = {
        "status": "Operating normally",
        "heartbeat": "OkApplicationsHealthy",
        "generation": 2,
        "version": "10.0",
        "uptime_seconds": 3600,
        "notes": "",
        "addresses": ["192.0.2.10"],
        "clustered": False,
        "integration_services_version": "0.0",
        "checkpoint_type": "Production",
    }
    return plain | changes


def vm_json(
    vm_id: str,
    name: str = "demovm",
    state: str = "Running",
    *,
    info: object = None,
    services: Sequence[object] | None = None,
) -> dict[str, Any]:
    """A virtual machine."""
    return {"id": vm_id, "name": name, "state": state, "info": info, "services": services}
