"""Values become plain data and come back, through JSON as well; what is none of it is refused, with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvintegration.errors import DecodeError
from hvintegration.values import Value
from tests.property.conftest import EXAMPLES
from tests.support.any_values import VALUES, any_value

JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)


@pytest.mark.parametrize("cls", VALUES)
@settings(max_examples=max(5, EXAMPLES // 6))
@given(st.data())
def test_a_value_comes_back_from_plain_data_and_from_json(cls: type[Value], data: st.DataObject) -> None:
    value = data.draw(any_value(cls))

    assert cls.from_dict(value.to_dict()) == value
    again = cls.from_dict(json.loads(json.dumps(value.to_dict())))
    assert again == value
    assert again.to_dict() == value.to_dict()


@pytest.mark.parametrize("cls", VALUES)
@settings(max_examples=max(5, EXAMPLES // 6))
@given(st.data())
def test_what_is_no_value_is_refused_with_its_place(cls: type[Value], data: st.DataObject) -> None:
    document: dict[str, Any] = json.loads(json.dumps(data.draw(any_value(cls)).to_dict()))
    place: Any = document
    while isinstance(place, dict | list) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if data.draw(st.booleans()) or not isinstance(place[key], dict | list):
            place[key] = data.draw(JUNK)
            break
        place = place[key]

    value, wrong = read(cls, document)

    if wrong is None:
        assert value is not None
        assert cls.from_dict(value.to_dict()) == value
    else:
        assert wrong.path.startswith("$")
        assert str(wrong).isprintable()


def read(cls: type[Value], document: dict[str, Any]) -> tuple[Value | None, DecodeError | None]:
    try:
        return cls.from_dict(document), None
    except DecodeError as wrong:
        return None, wrong
