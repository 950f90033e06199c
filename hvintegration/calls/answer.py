"""What is answered, and how the text of an answer becomes an :class:`Answer`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import attrs

from hvintegration.calls.decoding import (
    Json,
    JsonObject,
    as_object,
    decode_list,
    field,
    list_field,
    optional_text,
    shown,
    text,
)
from hvintegration.calls.limits import ExcessError, Work, parse_json
from hvintegration.clock import Deadline
from hvintegration.errors import DecodeError, ProtocolError

__all__ = ["Answer", "ErrorEntry", "parse_answer"]

ANSWER_SCHEMA: Final = 1


@attrs.frozen
class ErrorEntry:
    """One entry of an answer's error list.

    Attributes:
        id: PowerShell's FullyQualifiedErrorId.
        category: PowerShell's error category.
        message: The host's sentence.
        target: What it is about, as the script says it, or None for the whole question.
        target_object: PowerShell's TargetObject: what it is about, as the machine says it, or None if it says nothing.
    """

    id: str
    category: str
    message: str
    target: str | None
    target_object: str | None = None


@attrs.frozen
class Answer:
    """What came of a call.

    Attributes:
        result: The script's result; None if it failed as a whole.
        errors: What failed, as a whole or in part.
        address: Who answered.
        received_at: When, in UTC.
        step: To be called for each thing that is read out of it; raises TransportTimeoutError once the time is up.
    """

    result: JsonObject | None
    errors: tuple[ErrorEntry, ...]
    address: str
    received_at: datetime
    step: Callable[[], None] = attrs.field(default=Work().step, eq=False, repr=False)


def parse_answer(document: str, *, address: str, received_at: datetime, deadline: Deadline | None = None) -> Answer:
    """The answer that *document* holds.

    Args:
        document: What came.
        address: Where from.
        received_at: When.
        deadline: When reading it must be over; never, if None.

    Raises:
        ProtocolError: It is not JSON, or longer or deeper or of more parts than an answer may be.
        DecodeError: It is JSON, but not an answer of the known schema.
        TransportTimeoutError: There is no time left to read it.
    """
    work = Work(deadline, address, fenced=True)
    envelope: Json = None
    why = ""
    try:
        envelope = parse_json(document, work)
    except ExcessError as excess:
        why = str(excess)
    except (ValueError, RecursionError):
        why = "is not JSON"
    if why:  # Not raised above: json's own error has all of the document.
        raise ProtocolError(f"The answer of {address} {why}.", address=address, fenced=True, received=document[:400])
    try:
        result, errors = _opened(envelope, work)
    except DecodeError as error:
        error.address = address
        raise
    return Answer(result, errors, address, received_at, work.step)


def _opened(envelope: Json, work: Work) -> tuple[JsonObject | None, tuple[ErrorEntry, ...]]:
    fields = as_object(envelope, "$")
    schema = field(fields, "schema", "$")
    if type(schema) is not int or schema != ANSWER_SCHEMA:
        raise DecodeError(path="$.schema", expected=str(ANSWER_SCHEMA), found=shown(schema))
    result = field(fields, "result", "$")
    errors = decode_list(list_field(fields, "errors", "$"), "$.errors", _error_entry, work.step)
    return None if result is None else as_object(result, "$.result"), errors


def _error_entry(entry: JsonObject, path: str) -> ErrorEntry:
    return ErrorEntry(
        id=text(entry, "id", path),
        category=text(entry, "category", path),
        message=text(entry, "message", path),
        target=optional_text(entry, "target", path),
        target_object=optional_text(entry, "target_object", path),
    )
