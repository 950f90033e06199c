"""What a guest has told its host over Data Exchange."""

from __future__ import annotations

import xml.parsers.expat
from typing import Final

import attrs

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import optional_texts
from hvintegration.calls.operation import Operation
from hvintegration.calls.refusals import Refusal
from hvintegration.operations.refusals import hyperv_error, result_of
from hvintegration.scripts import GET_GUEST_SYSTEM

__all__ = ["ToldSystem", "read_told_system"]

_LONGEST_ITEM: Final = 16_384


@attrs.frozen(kw_only=True)
class ToldSystem:
    """The system of a guest, as it has told its host. What it has not told, or not in a form that is known, is None.

    Attributes:
        name: Such as ``Windows Server 2012 R2 Standard`` or ``Debian GNU/Linux``.
        version: Such as ``6.3.9600``; of Linux that of its kernel.
        major: The first part of it; of Linux the version of the distribution.
        build: Such as ``9600``; of Linux the release of its kernel.
    """

    name: str | None = None
    version: str | None = None
    major: str | None = None
    build: str | None = None


def read_told_system(vm_id: str) -> Operation[ToldSystem]:
    """The system of a virtual machine's guest, as the host was told: one round trip."""
    answer = yield Call(GET_GUEST_SYSTEM, {"vm_id": vm_id})
    assert isinstance(answer, Answer)
    doing = "read what the guest tells over Data Exchange"
    for entry in answer.errors:
        raise hyperv_error(Refusal.of(entry, address=answer.address, doing=doing, target=vm_id))
    items = optional_texts(result_of(answer, doing), "intrinsic_items", "$.result") or ()
    told = dict(filter(None, map(_name_and_data, items)))
    return ToldSystem(
        name=told.get("OSName"),
        version=told.get("OSVersion"),
        major=told.get("OSMajorVersion"),
        build=told.get("OSBuildNumber"),
    )


def _name_and_data(item: str) -> tuple[str, str] | None:
    """The name and the value of an item; None if it is not such XML, or has no value."""
    if len(item) > _LONGEST_ITEM:
        return None
    reader = _ItemReader()
    try:
        reader.parser.Parse(item, True)  # noqa: FBT003 - expat takes nothing by name
    except (xml.parsers.expat.ExpatError, UnicodeEncodeError, _RefusedError):
        return None
    name, data = (reader.values.get(key) for key in ("Name", "Data"))
    return None if name is None or data is None else (name, data)


class _RefusedError(Exception):
    """It has a document type."""


class _ItemReader:
    """Takes in the XML of one ``Msvm_KvpExchangeDataItem``: the value of each of its properties."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.parser = xml.parsers.expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data
        self._property: str | None = None
        self._text: list[str] | None = None

    def _refuse(self, *_: object) -> None:
        raise _RefusedError

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "PROPERTY":
            self._property = attributes.get("NAME")
        elif tag == "VALUE" and self._property is not None:
            self._text = []

    def _data(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        if tag == "VALUE" and self._property is not None and self._text is not None:
            self.values[self._property] = "".join(self._text)
            self._text = None
