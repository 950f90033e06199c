"""Plain JSON to typed values. Every complaint says where, what belongs there and what is there."""

from __future__ import annotations

import itertools
import operator
import reprlib
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeAlias, TypeGuard, TypeVar, cast

from hvintegration.errors import DecodeError

__all__ = [
    "Json",
    "JsonObject",
    "OptionalFields",
    "as_object",
    "decode_list",
    "field",
    "flag",
    "integer",
    "is_list",
    "is_object",
    "list_field",
    "object_field",
    "optional_flag",
    "optional_integer",
    "optional_text",
    "optional_texts",
    "shown",
    "text",
    "texts",
]

T = TypeVar("T")

Json: TypeAlias = Any
"""Parsed JSON of which nothing is known yet."""

JsonObject: TypeAlias = dict[str, Any]


class _Short(reprlib.Repr):
    """As ``repr``, but of a large value it looks at the beginning only."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = 8
        self.maxstring = self.maxlong = self.maxother = 1000

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """The first fields; the method that is replaced sorts all of them."""
        if level <= 0:
            return "{...}"
        first = itertools.islice(x.items(), self.maxdict)
        fields = [f"{self.repr1(key, level - 1)}: {self.repr1(value, level - 1)}" for key, value in first]
        return f"{{{', '.join([*fields, '...'] if len(x) > self.maxdict else fields)}}}"


_SHORT: Final = _Short()


def shown(value: Json) -> str:
    """What to show of *value* in an error: of a long one its beginning."""
    return _SHORT.repr(value)


def _wrong(path: str, expected: str, found: object) -> NoReturn:
    raise DecodeError(path=path, expected=expected, found=shown(found))


def field(record: JsonObject, name: str, path: str) -> Json:
    """The field, which must be there."""
    try:
        return record[name]
    except KeyError:
        _wrong(f"{path}.{name}", "a value", None)


def text(record: JsonObject, name: str, path: str) -> str:
    """A text field."""
    value = record.get(name)
    if type(value) is not str:
        _wrong(f"{path}.{name}", "a text", value)
    return value


def optional_text(record: JsonObject, name: str, path: str) -> str | None:
    """A text field that may be null."""
    value = record.get(name)
    if value is not None and type(value) is not str:
        _wrong(f"{path}.{name}", "a text or null", value)
    return value


def flag(record: JsonObject, name: str, path: str) -> bool:
    """A field that is true or false."""
    value = record.get(name)
    if value is not True and value is not False:
        _wrong(f"{path}.{name}", "true or false", value)
    return value


def optional_flag(record: JsonObject, name: str, path: str) -> bool | None:
    """A field that is true, false or null."""
    value = record.get(name)
    if value is not None and value is not True and value is not False:
        _wrong(f"{path}.{name}", "true, false or null", value)
    return value


def integer(record: JsonObject, name: str, path: str) -> int:
    """A field that is a whole number."""
    value = record.get(name)
    if type(value) is not int:
        _wrong(f"{path}.{name}", "a whole number", value)
    return value


def optional_integer(record: JsonObject, name: str, path: str) -> int | None:
    """A field that is a whole number or null."""
    value = record.get(name)
    if value is not None and type(value) is not int:
        _wrong(f"{path}.{name}", "a whole number or null", value)
    return value


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Whether it is an object."""
    return type(value) is dict


def is_list(value: object) -> TypeGuard[list[Json]]:
    """Whether it is a list."""
    return type(value) is list


def as_object(value: Json, path: str) -> JsonObject:
    """A value that is an object."""
    if type(value) is not dict:
        _wrong(path, "an object", value)
    return cast("JsonObject", value)


def list_field(record: JsonObject, name: str, path: str) -> list[Json]:
    """A field that is a list."""
    value: list[Json] | None = record.get(name)
    if type(value) is not list:
        _wrong(f"{path}.{name}", "a list", value)
    return value


def object_field(record: JsonObject, name: str, path: str) -> JsonObject:
    """A field that is an object."""
    return as_object(record.get(name), f"{path}.{name}")


def texts(record: JsonObject, name: str, path: str) -> tuple[str, ...]:
    """A field that is a list of texts."""
    values = list_field(record, name, path)
    for index, value in enumerate(values):
        if type(value) is not str:
            _wrong(f"{path}.{name}[{index}]", "a text", value)
    return tuple(values)


def optional_texts(record: JsonObject, name: str, path: str) -> tuple[str, ...] | None:
    """A field that is a list of texts or null."""
    return None if record.get(name) is None else texts(record, name, path)


class OptionalFields:
    """Reads several fields in one go, each of its type or null.

    Args:
        types: The type of each, by its name.
    """

    def __init__(self, **types: type[str | int | bool]) -> None:
        self._types = types
        self._values: Callable[[JsonObject], tuple[Any, ...]] = operator.itemgetter(*types)
        self._good = frozenset(itertools.product(*((kind, type(None)) for kind in types.values())))

    def read(self, record: JsonObject, path: str) -> tuple[Any, ...]:
        """Their values, in order; None for those that are not there."""
        try:
            values = self._values(record)
        except KeyError:
            values = tuple(map(record.get, self._types))
        if tuple(map(type, values)) not in self._good:
            for (name, kind), value in zip(self._types.items(), values, strict=True):
                if value is not None and type(value) is not kind:
                    _wrong(f"{path}.{name}", _OR_NULL[kind], value)
        return values


_OR_NULL: Final = {str: "a text or null", int: "a whole number or null", bool: "true, false or null"}


def decode_list(
    items: list[Json], path: str, decode: Callable[[JsonObject, str], T], step: Callable[[], None]
) -> tuple[T, ...]:
    """Each item, which must be an object, through *decode*, which is given the item and its path.

    *step* is called after each.
    """
    decoded: list[T] = []
    for index, item in enumerate(items):
        place = f"{path}[{index}]"
        decoded.append(decode(as_object(item, place), place))
        step()
    return tuple(decoded)
