from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvintegration import errors
from hvintegration.errors import EXCERPT_LENGTH, HvError, excerpt

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


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
    "again",
    [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy],  # noqa: S301  # its own pickle
    ids=["pickle", "copy", "deepcopy"],
)
@given(data=st.data())
def test_an_error_comes_back_as_it_was(
    cls: type[HvError], again: Callable[[HvError], HvError], data: st.DataObject
) -> None:
    error = cls(**data.draw(arguments_of(cls)))
    back = again(error)
    assert (type(back), back.args, vars(back), str(back)) == (cls, error.args, vars(error), str(error))


@given(st.one_of(texts, st.text(min_size=EXCERPT_LENGTH - 2)))
def test_an_excerpt_is_bounded_and_printable(text: str) -> None:
    line = excerpt(text)
    assert (line.isprintable(), len(line) <= EXCERPT_LENGTH) == (True, True)


@given(texts)
def test_an_excerpt_of_printable_text_is_the_text(text: str) -> None:
    printable = "".join(filter(str.isprintable, text))
    assert excerpt(printable) == printable
