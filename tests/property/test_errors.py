from __future__ import annotations

import copy
import inspect
import json
import pickle
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvintegration import errors
from hvintegration.errors import EXCERPT_LENGTH, DecodeError, Hint, HvError, excerpt, for_command

texts = st.text(st.characters(codec=None), max_size=40)
facts = st.one_of(st.none(), texts, st.integers(), st.tuples(texts, st.booleans()))

BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "str": texts,
    "str | None": st.one_of(st.none(), texts),
    "bool": st.booleans(),
    "float": st.floats(allow_nan=False),
    "tuple[str, ...]": st.lists(texts, max_size=3).map(tuple),
    "tuple[object, ...]": st.lists(facts, max_size=3).map(tuple),
    "object": facts,
}
CLASSES = [cls for cls in map(errors.__dict__.__getitem__, errors.__all__) if issubclass(cls, HvError)]


def arguments_of(cls: type[HvError]) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments as the annotations of the class have them."""
    parameters = inspect.signature(cls).parameters.values()
    return st.fixed_dictionaries({parameter.name: BY_TYPE[parameter.annotation] for parameter in parameters})


AGAIN: Final[tuple[Callable[[HvError], HvError], ...]] = (
    lambda error: pickle.loads(pickle.dumps(error)),  # noqa: S301  # its own pickle
    copy.copy,
    copy.deepcopy,
)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_an_error_comes_back_from_a_pickle_and_from_copies_as_it_was(cls: type[HvError], data: st.DataObject) -> None:
    error = cls(**data.draw(arguments_of(cls)))
    for again in AGAIN:
        back = again(error)
        assert (type(back), back.args, vars(back), str(back)) == (cls, error.args, vars(error), str(error))


storable = st.text(max_size=40)
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False), storable),
    lambda items: st.one_of(st.lists(items, max_size=3), st.dictionaries(storable, items, max_size=3)),
    max_leaves=10,
)
hints = st.one_of(st.none(), storable, st.builds(Hint, storable, storable))
STORABLE: dict[str, st.SearchStrategy[Any]] = BY_TYPE | {
    "str": storable,
    "str | None": hints,
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "tuple[str, ...]": st.lists(storable, max_size=3).map(tuple),
    "tuple[object, ...]": st.lists(plain, max_size=3).map(tuple),
    "object": plain,
}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_an_error_comes_back_from_json_as_it_was(cls: type[HvError], data: st.DataObject) -> None:
    parameters = inspect.signature(cls).parameters.values()
    error = cls(**{parameter.name: data.draw(STORABLE[parameter.annotation]) for parameter in parameters})

    back = HvError.from_dict(json.loads(json.dumps(error.to_dict())))

    assert (type(back), back.args, str(back), back.retryable) == (cls, error.args, str(error), error.retryable)
    assert back.to_dict() == error.to_dict()
    values = {"known", "last"}  # These come back as plain data.
    assert without(vars(back), values) == without(vars(error), values)
    assert for_command(back.hint or "") == for_command(error.hint or "")


def without(attributes: dict[str, object], names: set[str]) -> dict[str, object]:
    return {name: value for name, value in attributes.items() if name not in names}


@given(plain)
def test_whatever_is_taken_for_an_error_is_one_or_refused(data: object) -> None:
    whole = errors.WaitTimeoutError("Late.", wanted="ok", last=None).to_dict()
    for key in whole:
        try:
            error = HvError.from_dict(whole | {key: data})
        except DecodeError:
            continue
        json.dumps(error.to_dict())


@given(st.one_of(texts, st.text(min_size=EXCERPT_LENGTH - 2)))
def test_an_excerpt_is_bounded_and_printable(text: str) -> None:
    line = excerpt(text)
    assert (line.isprintable(), len(line) <= EXCERPT_LENGTH) == (True, True)


@given(texts)
def test_an_excerpt_of_printable_text_is_the_text(text: str) -> None:
    printable = "".join(filter(str.isprintable, text))
    assert excerpt(printable) == printable
