"""What of a conversation is not written: secrets, other people's texts, and who this user is."""

from __future__ import annotations

import functools
import json
import re
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NoReturn
from xml.sax.saxutils import escape

from hvintegration.calls.decoding import Json, JsonObject, is_list, is_object, object_field
from hvintegration.calls.limits import Work
from hvintegration.errors import HvError, excerpt

__all__ = ["Masking", "no_constant"]

SECRET: Final = "***"  # noqa: S105  # what is written in place of one

LONGEST_TEXT: Final = 1_000_000
"""Characters of a text that is looked through for secrets; of a longer one nothing is written."""

_SHORT: Final = 1_000
"""Characters of which so many texts are looked through in no time."""

_UNHURRIED: Final = Work()

_KEPT: Final = frozenset(
    {
        *("id", "vm_id", "component_id", "name", "state", "heartbeat", "primary", "secondary", "category"),
        *("target", "target_object"),
        *("version", "integration_services_version", "os_caption", "os_version", "os_build", "language"),
        *("checkpoint_type", "intrinsic_items"),
        *("module_version", "powershell_version", "powershell_edition", "language_mode"),
        *("address", "error_id", "needs", "action", "current", "expected", "offered", "candidates"),
        *("caption", "host_name", "reason", "requires", "start_type", "vm_name"),
    }
)
"""Keys whose texts are written as they are: what replaying and understanding need. Those of any other are not."""

_QUOTES: Final = {'"': "&quot;", "'": "&apos;"}
"""What becomes of quotes in XML, where they are escaped."""

_DOCUMENTS: Final = frozenset({"answer", "document"})
"""Keys whose texts are documents themselves: what a host passes on to a guest, and what comes back."""

_USER: Final = re.compile(r"""(?<=://)[^/@\s]+(?=@)|(?<=\bthe user )(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
"""Who asks, in an address and in an error of SSH's."""


class Masking:
    """What becomes of texts before they are written. Masking what is masked changes nothing.

    Args:
        secrets: Texts to be replaced.
        keep_texts: Whether to keep other people's texts otherwise.
        address: The address that is spoken with, for the user in it.
    """

    def __init__(self, secrets: Iterable[str] = (), *, keep_texts: bool = False, address: str = "") -> None:
        spellings = [spelling for secret in secrets for spelling in (secret, secret.lower(), secret.upper())]
        escaped = [json.dumps(spelling, ensure_ascii=plain)[1:-1] for spelling in spellings for plain in (True, False)]
        escaped += [escape(spelling, quotes) for spelling in spellings for quotes in ({}, _QUOTES)]
        longest_first = sorted({*spellings, *escaped}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if spellings else None
        self._keep_texts = keep_texts
        self._authority_of_user = f"//{address.partition('//')[2].rpartition('@')[0]}@"
        try:
            self._home = str(Path.home())
        except RuntimeError:  # There is none, as in some containers.
            self._home = ""

    def document(self, document: str, work: Work = _UNHURRIED) -> Json:
        """What *document* says, masked; its shape if it is no JSON.

        Raises:
            TransportTimeoutError: There is no time left for *work*.
        """
        try:
            return self.value(_parsed(document), work=work)
        except (ValueError, RecursionError):
            return self._hidden(document)

    def value(self, value: object, key: str = "", work: Work = _UNHURRIED) -> Json:
        """*value*, the texts in it masked; *key* is where it was found.

        Raises:
            TransportTimeoutError: There is no time left for *work*.
        """
        work.step()
        if isinstance(value, str):
            if len(value) > _SHORT:
                work.look()
            if key in _DOCUMENTS:
                return self._within(value, work)
            return self._shown(value) if key in _KEPT else self._hidden(value)
        if is_object(value):
            return {
                name if _OUR_KEY.fullmatch(name) else self._shown(name): self.value(item, name, work)
                for name, item in value.items()
            }
        if is_list(value):
            return [self.value(item, key, work) for item in value]
        return value

    def _within(self, document: str, work: Work) -> str:
        """A document in a text, masked; its shape if it is none."""
        if len(document) > LONGEST_TEXT:
            return self._hidden(document)
        try:
            found = _parsed(document)
            return json.dumps(self.value(found, work=work)) if is_object(found) else self._hidden(document)
        except (ValueError, RecursionError):
            return self._hidden(document)

    def sentence(self, sentence: str) -> str:
        """A sentence or address of the package's, without secrets, the user and the place of this user's files."""
        anywhere = sentence.replace(self._home, "~") if len(self._home) > 1 else sentence
        return self._shown(_USER.sub(SECRET, anywhere.replace(self._authority_of_user, f"//{SECRET}@")))

    def error(self, error: BaseException) -> JsonObject:
        """*error* as plain data, masked; of one that is not the package's only the class."""
        if not isinstance(error, HvError):
            return {"class": type(error).__name__}
        written: JsonObject = error.to_dict()
        facts = object_field(written, "facts", "$")
        message = str(error)
        for fact, value in facts.items():
            if isinstance(value, str) and fact not in _KEPT and (said := excerpt(value)):
                message = message.replace(said, self._hidden(said))
        masked = {
            fact: self.sentence(value) if isinstance(value, str) and fact in _KEPT else self.value(value, fact)
            for fact, value in facts.items()
        }
        hints = {key: self.sentence(hint) for key in ("hint", "command_hint") if (hint := written[key]) is not None}
        return written | hints | {"message": self.sentence(message), "facts": masked}

    def _shown(self, said: str) -> str:
        if len(said) > LONGEST_TEXT:
            return SECRET
        return self._secrets.sub(SECRET, said) if self._secrets is not None else said

    def _hidden(self, said: str) -> str:
        return self._shown(said if self._keep_texts or len(said) > LONGEST_TEXT else said.translate(_SHAPES))


_OUR_KEY: Final = re.compile("[a-z_]+")


class _Shapes(dict[int, str]):
    """What is written for each character, by its number."""

    def __missing__(self, number: int) -> str:
        return _shape(number)


@functools.lru_cache(maxsize=4096)
def _shape(number: int) -> str:
    character = chr(number)
    kind = unicodedata.category(character)[0]
    if kind == "N":
        return "0"
    return "x" if kind in "LM" or not (character.isascii() or kind in "PZC") else character


_SHAPES: Final = _Shapes()


def _parsed(document: str) -> Json:
    return json.loads(document, parse_constant=no_constant, parse_float=_finite)


def _finite(number: str) -> float:
    return max(-sys.float_info.max, min(float(number), sys.float_info.max))


def no_constant(name: str) -> NoReturn:
    """Refuses what Python takes for JSON and others do not: NaN and Infinity."""
    raise ValueError(name)
