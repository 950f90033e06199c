"""Objects of attrs classes from parsed JSON, by the types of their attributes."""

from __future__ import annotations

import functools
import math
import types
import typing
from collections.abc import Callable
from typing import Any, Final, NoReturn, cast

import attrs

from hvintegration.errors import excerpt

__all__ = ["MisplacedError", "typed"]

MOST: Final = 2**31 - 1
"""The largest number. None is negative."""


class MisplacedError(Exception):
    """Something does not belong where it is; the message begins with where."""


def typed(kind: Any, value: object, path: str) -> Any:  # noqa: ANN401 - of the type that *kind* is
    """*value* as a *kind*: an attrs class, a list or dictionary of kinds, a kind or None, a scalar, or anything.

    What a class has no attribute for goes into its attribute ``extra``, or nowhere if it has none.

    Raises:
        MisplacedError: It is none.
    """
    if kind in _SCALARS:
        expected, is_one = _SCALARS[kind]
        if not is_one(value):
            _refuse(path, value, expected)
        return value
    if kind is Any:
        return value
    if attrs.has(kind):
        return _made(kind, _object(value, path), path)
    if isinstance(kind, types.UnionType):
        return None if value is None else typed(typing.get_args(kind)[0], value, path)
    *_, item = typing.get_args(kind)
    if typing.get_origin(kind) is dict:
        return {key: typed(item, inner, f"{path}.{key}") for key, inner in _object(value, path).items()}
    if not isinstance(value, list):
        _refuse(path, value, "a list")
    return [typed(item, inner, f"{path}[{index}]") for index, inner in enumerate(cast("list[object]", value))]


def _made(cls: type[attrs.AttrsInstance], data: dict[str, object], path: str) -> attrs.AttrsInstance:
    values: dict[str, Any] = {}
    extra: dict[str, object] = {}
    kinds = _kinds(cls)
    for key, value in data.items():
        if key in kinds and key != "extra":
            values[key] = typed(kinds[key], value, f"{path}.{key}")
        else:
            _check_numbers(value, f"{path}.{key}")
            extra[key] = value
    if "extra" in kinds:
        values["extra"] = extra
    for attribute in attrs.fields(cls):
        if attribute.default is attrs.NOTHING and attribute.name not in values:
            raise MisplacedError(f"{path}.{attribute.name} is missing.")
    return cls(**values)


@functools.cache
def _kinds(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _object(value: object, path: str) -> dict[str, object]:
    if not isinstance(value, dict):
        _refuse(path, value, "an object")
    return cast("dict[str, object]", value)


def _check_numbers(value: object, path: str) -> None:
    """No number in it may be one that JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        _refuse(path, value, "a number of JSON")
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            _check_numbers(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[object]", value)):
            _check_numbers(inner, f"{path}[{index}]")


def _is_number(value: object) -> bool:
    return type(value) in {int, float} and 0 <= cast("float", value) <= MOST


_SCALARS: Final[dict[object, tuple[str, Callable[[object], bool]]]] = {
    str: ("a text", lambda value: type(value) is str),
    bool: ("true or false", lambda value: type(value) is bool),
    int: (f"a whole number up to {MOST}", lambda value: type(value) is int and _is_number(value)),
    float: (f"a number up to {MOST}", _is_number),
}


def _refuse(path: str, value: object, expected: str) -> NoReturn:
    found = "null" if value is None else excerpt(repr(value))
    raise MisplacedError(f"{path} is {found}, where {expected} belongs.")
