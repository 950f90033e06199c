"""Looks at XML before a library reads it: no document type, so no entities, and no deep nesting."""

from __future__ import annotations

import xml.parsers.expat
from typing import Final

__all__ = ["RefusedError", "XmlGuard"]

MAX_DEPTH: Final = 64


class RefusedError(Exception):
    """What came is not let through; ``str()`` says why."""


class XmlGuard:
    """Takes in one document, in pieces."""

    def __init__(self) -> None:
        self._depth = 0
        self._parser = xml.parsers.expat.ParserCreate()
        self._parser.StartElementHandler = self._enter
        self._parser.EndElementHandler = self._leave
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def feed(self, data: bytes) -> None:
        """Look at the next piece.

        Raises:
            RefusedError: It has a document type, or nests too deep.
            xml.parsers.expat.ExpatError: It is not XML.
        """
        self._parser.Parse(data)

    def _enter(self, _name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RefusedError(f"nests more than {MAX_DEPTH} levels")

    def _leave(self, _name: str) -> None:
        self._depth -= 1

    def _refuse_doctype(self, *_: object) -> None:
        raise RefusedError("has a document type")
