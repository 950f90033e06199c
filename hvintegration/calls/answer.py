"""What is answered, and how the text of an answer becomes an :class:`Answer`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final, NoReturn

import attrs

from hvintegration.calls.decoding import (
    Json,
    JsonObject,
    as_object,
    decode_list,
    field,
    list_field,
    optional_text,
    text,
)
from hvintegration.calls.limits import MAX_DEPTH, MAX_LENGTH, is_deeper_than
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
    """

    result: JsonObject | None
    errors: tuple[ErrorEntry, ...]
    address: str
    received_at: datetime


def parse_answer(document: str, *, address: str, received_at: datetime) -> Answer:
    """The answer that *document* holds.

    Raises:
        ProtocolError: It is not JSON, or longer or deeper than an answer may be.
        DecodeError: It is JSON, but not an answer of the known schema.
    """
    if len(document) > MAX_LENGTH:
        _refuse(f"is longer than {MAX_LENGTH} characters", document, address)
    if is_deeper_than(document, MAX_DEPTH):
        _refuse(f"has more than {MAX_DEPTH} levels", document, address)
    envelope: Json = None
    broken = False
    try:
        envelope = json.loads(document, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        broken = True
    if broken:  # Not raised above: json's own error has all of the document.
        _refuse("is not JSON", document, address)
    try:
        result, errors = _opened(envelope)
    except DecodeError as error:
        error.address = address
        raise
    return Answer(result, errors, address, received_at)


def _opened(envelope: Json) -> tuple[JsonObject | None, tuple[ErrorEntry, ...]]:
    fields = as_object(envelope, "$")
    schema = field(fields, "schema", "$")
    if type(schema) is not int or schema != ANSWER_SCHEMA:
        raise DecodeError(path="$.schema", expected=str(ANSWER_SCHEMA), found=repr(schema))
    result = field(fields, "result", "$")
    errors = decode_list(list_field(fields, "errors", "$"), "$.errors", _error_entry)
    return None if result is None else as_object(result, "$.result"), errors


def _error_entry(entry: JsonObject, path: str) -> ErrorEntry:
    return ErrorEntry(
        id=text(entry, "id", path),
        category=text(entry, "category", path),
        message=text(entry, "message", path),
        target=optional_text(entry, "target", path),
        target_object=optional_text(entry, "target_object", path),
    )


def _refuse(why: str, document: str, address: str) -> NoReturn:
    raise ProtocolError(f"The answer of {address} {why}.", address=address, fenced=True, received=document[:400])


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
