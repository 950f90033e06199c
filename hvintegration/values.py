"""What all values of the package share: they are frozen, can be compared, pickled, shown and made plain data.

Two values are equal when they say the same; when they were read (``read_at``) does not count.
"""

from __future__ import annotations

import enum
import functools
import math
import reprlib
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, Protocol, Self, TypeAlias, TypeVar, cast, overload

import attrs

from hvintegration.display import Cell, Table
from hvintegration.errors import DecodeError, Hint
from hvintegration.plain import SCHEMA_VERSION, Plain

if TYPE_CHECKING:
    import pandas

__all__ = ["NOT_KNOWN", "Failure", "Record", "Rows", "Value", "plain"]

NOT_KNOWN: Final = "unknown"
"""What people are shown in place of what the host gave no value for."""


class Record(Protocol):
    """What :class:`Rows` can hold."""

    table_columns: ClassVar[tuple[str, ...]]

    def to_dict(self) -> dict[str, Plain]:
        """The value as plain data."""
        ...

    def table_row(self) -> tuple[Cell, ...]:
        """One cell for each of ``table_columns``."""
        ...


def plain(value: object) -> Plain:
    """*value* as plain data: enumerations as texts, times as ISO 8601, values as dictionaries without ``schema``."""
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Hint):
        return str(value)
    if isinstance(value, Rows | tuple):
        return [plain(item) for item in cast("Sequence[object]", value)]
    if isinstance(value, Value):
        return {name: item for name, item in value.to_dict().items() if name != "schema"}
    assert value is None or isinstance(value, str | int | float | bool), type(value)
    return value


@attrs.frozen
class Value:
    """What all values share; subclasses are attrs classes."""

    _derived: ClassVar[tuple[str, ...]] = ()
    """Properties that belong into ``to_dict()``."""

    _always_there: ClassVar[frozenset[str]] = frozenset()
    """Attributes that are None only where the host gave no value; people are shown that it is not known."""

    def _fields(self) -> dict[str, object]:
        names = [field.name for field in attrs.fields(type(self))]
        return {name: getattr(self, name) for name in (*names, *self._derived)}

    def to_dict(self) -> dict[str, Plain]:
        """The value as plain data for JSON: ``schema`` (a version number), then every attribute.

        Enumerations are texts, times ISO 8601 in UTC.
        """
        return {"schema": SCHEMA_VERSION} | {name: plain(item) for name, item in self._fields().items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """The value that :meth:`to_dict` made *data* of, also after JSON; and any that lies within such data.

        Keys that this version does not know are passed over, as are those that follow from others, such as ``health``.

        Args:
            data: What ``to_dict()`` answered, or a parser made of its JSON.

        Raises:
            DecodeError: It is no such value, or one of another version; ``path`` says where.
        """
        _refuse_another_version(data)
        value: Self = _reader_of(cls)(data, "$")
        return value

    def table(self) -> Table:
        """Attribute and value, one row each."""
        return Table(
            ("Attribute", "Value"),
            tuple((name, self._shown(name, plain(item))) for name, item in self._fields().items()),
        )

    def _shown(self, name: str, value: Plain) -> Cell:
        """What a table shows for the attribute *name*, whose value is *value* there."""
        return NOT_KNOWN if value is None and name in self._always_there else _cell(value)

    def __str__(self) -> str:
        return self.table().to_text()

    def _repr_html_(self) -> str:
        return self.table().to_html()

    def _repr_pretty_(self, printer: _Printer, cycle: bool) -> None:  # noqa: FBT001 - IPython's protocol
        del cycle
        printer.text(str(self))


class _Printer(Protocol):
    """What IPython hands to ``_repr_pretty_``, which stands in where HTML cannot be shown."""

    def text(self, text: str, /) -> None: ...


def _cell(value: Plain) -> Cell:
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_cell(item)}" for key, item in value.items())
    return ", ".join(str(_cell(item)) for item in value)


# -- from plain data -------------------------------------------------------------------------------------------------

_Reader: TypeAlias = Callable[[object, str], Any]
"""Makes a value of plain data that stands at a path."""


def _misplaced(found: object, path: str, expected: str) -> NoReturn:
    hint = "It is read from what to_dict() of the same class and version wrote."
    # A whole number of thousands of digits has no text.
    shown = "a number that is too large" if type(found) is int and not _is_whole(found) else reprlib.repr(found)
    raise DecodeError(path=path, expected=expected, found=shown, hint=hint)


def _refuse_another_version(data: object) -> None:
    record: Mapping[str, object] = cast("Mapping[str, object]", data) if isinstance(data, Mapping) else {}
    version = record.get("schema", SCHEMA_VERSION)
    if type(version) is not int or version != SCHEMA_VERSION:
        _misplaced(version, "$.schema", f"{SCHEMA_VERSION}, the version that this package reads,")


_KNOWN_READERS: Final[dict[type[Any], _Reader]] = {}


def _reader_of(cls: type[Any]) -> _Reader:
    """What makes values of *cls*, which is one of ours; made once."""
    if cls not in _KNOWN_READERS:
        _KNOWN_READERS[cls] = _reader_of_fields(cls)
    return _KNOWN_READERS[cls]


def _reader_of_fields(cls: type[Any]) -> _Reader:
    """What makes values of *cls* by the types of their attributes."""
    kinds = typing.get_type_hints(cls)
    fields = [(field.name, _reader(kinds[field.name]), field.default is attrs.NOTHING) for field in attrs.fields(cls)]

    def read(data: object, path: str) -> object:
        if not isinstance(data, Mapping):
            _misplaced(data, path, f"a {cls.__name__}")
        record = cast("Mapping[str, object]", data)
        missing = [name for name, _, needed in fields if needed and name not in record]
        if missing:
            _misplaced(None, f"{path}.{missing[0]}", "a value")
        return cls(**{name: reader(record[name], f"{path}.{name}") for name, reader, _ in fields if name in record})

    return read


def _reader(kind: Any) -> _Reader:  # noqa: ANN401 - whatever an attribute is annotated with
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        some = _reader(inner)
        return lambda data, path: None if data is None else some(data, path)
    if origin is Rows:
        items = _items(_reader_of(arguments[0]))
        return lambda data, path: Rows(arguments[0], items(data, path))
    if origin is tuple:
        return _items(_reader(arguments[0]))
    if issubclass(kind, enum.Enum):
        return functools.partial(_member, kind)
    if issubclass(kind, Value):
        return _reader_of(kind)
    return _READERS[kind]


def _items(read: _Reader) -> _Reader:
    def items(data: object, path: str) -> tuple[Any, ...]:
        if not isinstance(data, list | tuple):
            _misplaced(data, path, "a list")
        return tuple(read(item, f"{path}[{index}]") for index, item in enumerate(cast("Sequence[object]", data)))

    return items


def _member(kind: type[enum.Enum], data: object, path: str) -> enum.Enum:
    members = {str(member.value): member for member in kind}
    if type(data) is not str or data not in members:
        _misplaced(data, path, f"one of {', '.join(members)}")
    return members[data]


def _exactly(expected: str, kind: type) -> _Reader:
    def read(data: object, path: str) -> object:
        if type(data) is not kind:
            _misplaced(data, path, expected)
        return data

    return read


_MOST: Final = 2**63
"""Whole numbers are below it, and so are what they are below zero; those of JSON can have any length."""


def _is_whole(data: object) -> bool:
    return type(data) is int and -_MOST < data < _MOST


def _whole(data: object, path: str) -> object:
    return data if _is_whole(data) else _misplaced(data, path, "a whole number")


def _number(data: object, path: str) -> object:
    fits = _is_whole(data) or (type(data) is float and math.isfinite(data))
    return data if fits else _misplaced(data, path, "a number")


def _date(data: object, path: str) -> date:
    try:
        return date.fromisoformat(data if type(data) is str else "")
    except ValueError:
        _misplaced(data, path, "a date in ISO 8601")


def _time(data: object, path: str) -> datetime:
    try:
        found = datetime.fromisoformat(data if type(data) is str else "")
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        _misplaced(data, path, "a time in ISO 8601 with its zone")
    return found


_READERS: Final[dict[type, _Reader]] = {
    str: _exactly("a text", str),
    int: _whole,
    float: _number,
    bool: _exactly("true or false", bool),
    date: _date,
    datetime: _time,
}


@attrs.frozen(kw_only=True)
class Failure(Value):
    """What went wrong with one of several things, while the others went on.

    Attributes:
        address: Who said so.
        vm_id: GUID of the virtual machine (lower case, no braces), or None if it is not about a known one.
        vm_name: Its name, or None if it is not known.
        target: What it is about, as the host names it (PowerShell's TargetObject), or None.
        error_id: PowerShell's FullyQualifiedErrorId, or empty where the package itself drew the conclusion.
        category: PowerShell's error category, or empty likewise.
        message: The host's sentence in the host's language, or the package's.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("VM", "Error id", "Category", "Message")

    address: str
    vm_id: str | None
    vm_name: str | None
    target: str | None
    error_id: str
    category: str
    message: str

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (self.vm_name or self.vm_id or self.target, self.error_id, self.category, self.message)


T = TypeVar("T", bound=Record)
T_co = TypeVar("T_co", bound=Record, covariant=True)


class Rows(Sequence[T_co]):
    """An immutable sequence that shows itself as a table, in a notebook and with ``print()``."""

    __slots__ = ("_errors", "_items", "_of")

    def __init__(self, of: type[T_co], items: Sequence[T_co] = (), errors: Sequence[Failure] = ()) -> None:
        self._of = of
        self._items = tuple(items)
        self._errors = tuple(errors)

    @property
    def errors(self) -> tuple[Failure, ...]:
        """What could not be read while the rest could; empty if all went well."""
        return self._errors

    @overload
    def __getitem__(self, index: int) -> T_co: ...
    @overload
    def __getitem__(self, index: slice) -> Rows[T_co]: ...
    def __getitem__(self, index: int | slice) -> T_co | Rows[T_co]:
        if isinstance(index, slice):
            return Rows(self._of, self._items[index], self.errors)
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T_co]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rows):
            return NotImplemented
        return (self._items, self.errors) == (cast("Rows[Record]", other)._items, other.errors)

    def __hash__(self) -> int:
        return hash((self._items, self.errors))

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Rows, (self._of, self._items, self.errors)

    def __repr__(self) -> str:
        return f"<Rows of {len(self)} {self._of.__name__}>"

    def __str__(self) -> str:
        return self.table().to_text()

    def where(self, condition: Callable[[T_co], bool]) -> Rows[T_co]:
        """The rows for which *condition* is true. No round trip."""
        return Rows(self._of, [item for item in self._items if condition(item)], self.errors)

    def table(self) -> Table:
        """The rows as a table; errors are notes below it."""
        notes = tuple(
            f"{failure.vm_name or failure.vm_id or failure.target or failure.address} could not be read: "
            f"{failure.message or failure.error_id}"
            for failure in self.errors
        )
        return Table(self._of.table_columns, tuple(item.table_row() for item in self._items), notes)

    def to_dicts(self) -> list[dict[str, Plain]]:
        """One dictionary of plain data per row, for JSON."""
        return [item.to_dict() for item in self._items]

    def to_pandas(self) -> pandas.DataFrame:
        """One row of a DataFrame per row; needs the extra ``pandas``.

        Raises:
            ImportError: pandas is not installed; the message names the extra.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_pandas() needs pandas: pip install 'hvintegration[pandas]'") from error
        return pandas.json_normalize(self.to_dicts())

    def _repr_html_(self) -> str:
        return self.table().to_html()

    def _repr_pretty_(self, printer: _Printer, cycle: bool) -> None:  # noqa: FBT001 - IPython's protocol
        del cycle
        printer.text(str(self))
