"""A second kind of change, invented: lamps with a brightness from 0 to 3, one in each room."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import Json, JsonObject, as_object, integer, list_field
from hvintegration.calls.operation import Operation
from hvintegration.calls.refusals import remote_error, result_of, short_id
from hvintegration.errors import DecodeError
from hvintegration.operations.settling import Loss, make_changes
from hvintegration.scripts import Effect, Script
from hvintegration.values import Failure

SET_LAMPS = Script("set_lamps", Effect.WRITE)


@attrs.frozen
class Dim:
    """A lamp's brightness, as it shall be."""

    room: str
    brightness: int

    def __str__(self) -> str:
        return f"brightness {self.brightness} in the {self.room}"


class Told(enum.Enum):
    MADE = "made"
    SO_BEFORE = "so before"
    WOULD_BE_MADE = "would be made"
    CONFIRMED = "confirmed"
    FAILED = "failed"


@attrs.frozen
class Dimmed:
    """What became of it, how bright it is, and the error id or the loss that says why not."""

    dim: Dim
    told: Told
    brightness: int | None = None
    why: str = ""


def set_lamps(dims: Sequence[Dim], *, dry_run: bool) -> Operation[tuple[Dimmed, ...]]:
    return make_changes(Dimming(), dims, dry_run=dry_run)


def document(dims: Sequence[Dim], *, dry_run: bool) -> JsonObject:
    return {"dry_run": dry_run, "lamps": [{"room": dim.room, "brightness": dim.brightness} for dim in dims]}


class Dimming:
    """A `KindOfChange`."""

    def ask(self, changes: Sequence[Dim], *, dry_run: bool) -> Operation[dict[Dim, Dimmed]]:
        answer = yield Call(SET_LAMPS, document(changes, dry_run=dry_run), dry_run=dry_run)
        assert isinstance(answer, Answer)
        try:
            lamps = list_field(result_of(answer, "set lamps", remote_error), "lamps", "$.result")
        except DecodeError as error:
            error.address = answer.address
            raise
        errors = {entry.target: entry.id for entry in answer.errors}
        return {
            dim: _dimmed(dim, lamp, errors.get(dim.room, ""), dry_run=dry_run)
            for dim, lamp in zip(changes, lamps, strict=True)
        }

    def is_busy(self, result: Dimmed) -> bool:
        return short_id(result.why) == "InvalidState"

    def goes_on(self, seen: Dimmed) -> bool:
        del seen
        return False

    def doubt(self, result: Dimmed) -> Failure | None:
        del result
        return None

    def is_made(self, seen: Dimmed) -> bool | None:
        if seen.brightness is not None:
            return seen.brightness == seen.dim.brightness
        return False if short_id(seen.why) == "ObjectNotFound" else None

    def confirmed(self, seen: Dimmed) -> Dimmed:
        return attrs.evolve(seen, told=Told.CONFIRMED)

    def not_made(self, change: Dim, lost: Loss, seen: Dimmed | None) -> Dimmed:
        why = seen.why if seen is not None else ""
        return Dimmed(change, Told.FAILED, None if seen is None else seen.brightness, why or str(lost))


def _dimmed(dim: Dim, lamp: Json, error_id: str, *, dry_run: bool) -> Dimmed:
    """A lamp of which the answer says nothing could not be read."""
    if lamp is None:
        return Dimmed(dim, Told.FAILED, why=error_id)
    fields = as_object(lamp, "$.result.lamps[]")
    before, after = (integer(fields, name, "$.result.lamps[]") for name in ("before", "after"))
    if after == dim.brightness:
        return Dimmed(dim, Told.SO_BEFORE if before == after else Told.MADE, after)
    return Dimmed(dim, Told.WOULD_BE_MADE if dry_run and not error_id else Told.FAILED, after, error_id)
