from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hvintegration.calls import decoding
from hvintegration.calls.limits import Work
from hvintegration.errors import DecodeError

MISSING = object()
Read = Callable[[dict[str, Any], str, str], object]

CASES: list[tuple[Read, str, list[object], list[object]]] = [
    (decoding.text, "a text", ["", "x"], [None, MISSING, 1, True, ["x"], {}]),
    (decoding.optional_text, "a text or null", ["", "x", None], [1, False, ["x"], {}]),
    (decoding.flag, "true or false", [True, False], [None, MISSING, 0, 1, "true", []]),
    (decoding.integer, "a whole number", [0, -1, 2**70], [None, MISSING, True, 1.0, "1", []]),
    (decoding.list_field, "a list", [[], [1, "x"]], [None, MISSING, {}, "x", 1]),
    (decoding.object_field, "an object", [{}, {"a": 1}], [None, MISSING, [], "x", 1]),
]


def name_of(read: Read) -> str:
    return getattr(read, "__name__", "?")


@pytest.mark.parametrize(
    ("read", "value"),
    [pytest.param(read, value, id=f"{name_of(read)} {value!r}") for read, _, good, _ in CASES for value in good],
)
def test_a_field_that_fits_is_answered_as_it_is(read: Read, value: object) -> None:
    assert read({"name": value, "other": 1}, "name", "$.x") == value


@pytest.mark.parametrize(
    ("read", "expected", "value"),
    [
        pytest.param(read, expected, value, id=f"{name_of(read)} {'missing' if value is MISSING else repr(value)}")
        for read, expected, _, bad in CASES
        for value in bad
    ],
)
def test_a_field_that_does_not_fit_is_refused_with_path_expectation_and_find(
    read: Read, expected: str, value: object
) -> None:
    record = {} if value is MISSING else {"name": value}
    with pytest.raises(DecodeError) as refused:
        read(record, "name", "$.x[3]")
    found = "None" if value is MISSING else repr(value)
    assert (refused.value.path, refused.value.expected, refused.value.found) == ("$.x[3].name", expected, found)


@pytest.mark.parametrize("read", [decoding.optional_text], ids=name_of)
def test_a_field_that_may_be_null_may_be_missing(read: Read) -> None:
    assert read({}, "name", "$") is None


@pytest.mark.parametrize("value", [None, 0, "", [], {}], ids=repr)
def test_any_value_is_a_value(value: object) -> None:
    assert decoding.field({"name": value}, "name", "$") == value


def test_a_missing_value_is_refused() -> None:
    with pytest.raises(DecodeError) as refused:
        decoding.field({}, "name", "$")
    assert (refused.value.path, refused.value.expected) == ("$.name", "a value")


def test_texts_are_a_tuple_of_texts() -> None:
    assert decoding.texts({"name": ["a", ""]}, "name", "$") == ("a", "")


@pytest.mark.parametrize(
    ("value", "path"), [("ab", "$.name"), (None, "$.name"), (["a", 1], "$.name[1]"), ([None], "$.name[0]")]
)
def test_texts_that_are_none_are_refused_with_their_index(value: object, path: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decoding.texts({"name": value}, "name", "$")
    assert refused.value.path == path


def test_a_list_is_decoded_item_by_item_with_paths() -> None:
    decoded = decoding.decode_list([{"a": 1}, {"a": 2}], "$.vms", lambda item, path: (item["a"], path), Work().step)
    assert decoded == ((1, "$.vms[0]"), (2, "$.vms[1]"))


@pytest.mark.parametrize("item", [None, [], "x", 1])
def test_an_item_that_is_no_object_is_refused_with_its_index(item: object) -> None:
    with pytest.raises(DecodeError) as refused:
        decoding.decode_list([{}, item], "$.vms", lambda _, path: path, Work().step)
    assert (refused.value.path, refused.value.expected) == ("$.vms[1]", "an object")
