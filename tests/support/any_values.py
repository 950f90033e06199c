"""Strategies of Hypothesis for the package's values, made from the types of their attributes."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import attrs
from hypothesis import strategies as st

from hvintegration import findings, guest_models, models
from hvintegration.values import Rows, Value

__all__ = ["VALUES", "any_value"]

_LOADED = (findings, guest_models, models)
"""Their classes are found once they are loaded."""

_WORDS: tuple[str, ...] = (
    *("Ok", "NoContact", "LostCommunication", "Degraded", "NonRecoverableError", "CommunicationFailed"),
    *("Running", "Off", "RunningCritical", "OkApplicationsUnknown", "OkApplicationsCritical", "ProductionOnly"),
    *("10.0.20348", "10.0.14393.x", "10.0.", "6.2.9200", "6.12.9-amd64", "6.x", "failed (failed, signal)"),
    *("/usr/sbin/hv_fcopy_daemon", "VMICTimeProvider", "chronyd", "PermissionDenied"),
)
"""Texts that mean something to a rule, or nearly."""

_PLAIN: dict[object, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8) | st.sampled_from(_WORDS),
    int: st.integers(-(2**63) + 1, 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    date: st.dates(),
    datetime: st.datetimes(timezones=st.just(UTC)),
}


def _subclasses(cls: type[Value]) -> Iterator[type[Value]]:
    for below in cls.__subclasses__():
        yield below
        yield from _subclasses(below)


VALUES: tuple[type[Value], ...] = tuple(sorted(set(_subclasses(Value)), key=lambda cls: cls.__name__))
"""Each class of values that users meet."""


def any_value(cls: type[Value]) -> st.SearchStrategy[Any]:
    """Values of *cls*, whatever they say."""
    kinds = typing.get_type_hints(cls)
    return st.builds(cls, **{field.name: _any(kinds[field.name]) for field in attrs.fields(cls)})


def _any(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - whatever an attribute is annotated with
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return st.none() | st.one_of([_any(argument) for argument in arguments if argument is not types.NoneType])
    if origin is Rows:
        items = st.lists(any_value(arguments[0]), max_size=2)
        return items.map(lambda found: Rows(arguments[0], found))
    if origin is tuple:
        return st.lists(_any(arguments[0]), max_size=2).map(tuple)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    return _PLAIN[kind] if kind in _PLAIN else any_value(kind)
