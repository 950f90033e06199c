"""Looks at XML before a library reads it: nothing that grows, nests deep or has many parts."""

from __future__ import annotations

import xml.parsers.expat
from collections.abc import Callable
from typing import Final

__all__ = ["RefusedError", "XmlGuard", "XmlReader"]

MAX_DEPTH: Final = 64

MAX_ELEMENTS: Final = 4_000
"""Elements of a document: an envelope of 500 KiB has fewer, whatever it carries."""

ATTRIBUTES_PER_ELEMENT: Final = 4
"""How many there may be on average, declarations of namespaces included."""

MAX_TAG: Final = 4096
"""Bytes of a tag or a reference. A library that expands prefixes may keep that much for each element."""

_PIECE_LENGTH: Final = 4096


class RefusedError(Exception):
    """What came is not let through; ``str()`` says why."""


def _go_on() -> None:
    pass


def _refuse_document_type(*_: object) -> None:
    raise RefusedError("has a document type")


class XmlReader:
    """Takes in one document, piece by piece, and refuses what no message has.

    Attributes:
        expat: The parser, for handlers of one's own.
    """

    def __init__(self) -> None:
        self._fed = 0
        self.expat = xml.parsers.expat.ParserCreate()
        self.expat.StartDoctypeDeclHandler = _refuse_document_type

    def feed(self, data: bytes, look: Callable[[], None] = _go_on) -> None:
        """Look at the next part. *look* is called now and then; what it raises ends the reading.

        Raises:
            RefusedError: It has what is not let through.
            xml.parsers.expat.ExpatError: It is not XML.
        """
        for offset in range(0, len(data), _PIECE_LENGTH):
            piece = data[offset : offset + _PIECE_LENGTH]
            self.expat.Parse(piece)
            self._fed += len(piece)
            # What is not complete is kept, and looked at again with the next piece.
            if self._fed - self.expat.CurrentByteIndex > MAX_TAG:
                raise RefusedError(f"has a tag of more than {MAX_TAG} bytes")
            look()

    def close(self) -> None:
        """Nothing more comes.

        Raises:
            xml.parsers.expat.ExpatError: It is not complete.
        """
        self.expat.Parse(b"", True)  # noqa: FBT003 - it takes no keywords


class XmlGuard(XmlReader):
    """Looks at one document before a library reads it.

    Args:
        elements: How many it may have, and four times as many attributes.
        children: How many an element may have.
    """

    def __init__(self, *, elements: int = MAX_ELEMENTS, children: int = MAX_ELEMENTS) -> None:
        super().__init__()
        self._elements_left = elements
        self._attributes_left = ATTRIBUTES_PER_ELEMENT * elements
        self._most_children = children
        self._children = [0]
        self.expat.StartElementHandler = self._enter
        self.expat.EndElementHandler = self._leave

    def _enter(self, _name: str, attributes: dict[str, str]) -> None:
        self._elements_left -= 1
        self._attributes_left -= len(attributes)
        self._children[-1] += 1
        if len(self._children) > MAX_DEPTH:
            raise RefusedError(f"nests more than {MAX_DEPTH} levels")
        if self._elements_left < 0 or self._attributes_left < 0 or self._children[-1] > self._most_children:
            raise RefusedError("has too many elements or attributes")
        self._children.append(0)

    def _leave(self, _name: str) -> None:
        self._children.pop()
