"""What may be told to nobody, and whether it shows in what errors and logs tell."""

from __future__ import annotations

import base64
import contextlib
import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hvintegration import World
from hvintegration.scripts import SCRIPTS
from hvintegration.simulator import demo_world

__all__ = [
    "ADDRESS",
    "NOTES",
    "PASSPHRASE",
    "PASSWORD",
    "USERNAME",
    "Records",
    "assert_clean",
    "assert_clean_error",
    "encodings",
    "everything_logged",
    "marked_world",
    "told",
]

USERNAME: Final = "anne-mark"
PASSWORD: Final = "Pa55-mark-Wort!"
PASSPHRASE: Final = "Pa55-mark-phrase!"
NOTES: Final = "notes-mark-7131"
ADDRESS: Final = "203.0.113.77"

_TESTS: Final = str(Path(__file__).parents[1])


def encodings(text: str) -> set[str]:
    """Ways in which *text* may show up."""
    utf16 = text.encode("utf-16-le")
    found = {text, text.encode().hex(), utf16.hex(), base64.b64encode(utf16).decode(), repr(utf16)[2:-1]}
    # Within other data encoded together with it, it begins at any of three offsets.
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + text.encode()).decode()
        found.add(encoded[4 if offset else 0 : -4])
    return found


SECRETS: Final = {
    *encodings(PASSWORD),
    *encodings(PASSPHRASE),
    base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode(),
    "TlRMTVNT",  # How each NTLM token begins, in base64.
    "NTLMSSP",
    "Authorization",
    *encodings(NOTES),
    *encodings(ADDRESS),
    *(line for script in SCRIPTS for line in script.text.splitlines() if len(line) > 30),
}


def marked_world() -> World:
    """The demonstration's world, with data of a guest that would be recognized."""
    found = demo_world()
    found.machine("demovm").notes = NOTES
    found.machine("demovm").addresses = [ADDRESS]
    return found


class Records(logging.Handler):
    """Keeps everything that is logged."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.texts: list[str] = []
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name)
        self.texts.append(f"{self.format(record)} {record.__dict__}")


@contextlib.contextmanager
def everything_logged() -> Iterator[Records]:
    """What anything logs meanwhile, with every logger at DEBUG."""
    records, root = Records(), logging.getLogger()
    level = root.level
    root.addHandler(records)
    root.setLevel(logging.DEBUG)
    yield records
    root.removeHandler(records)
    root.setLevel(level)


def assert_clean(text: str, where: str) -> None:
    """Fail if a secret is in *text*."""
    for secret in SECRETS:
        assert secret not in text, f"{secret!r} is in {where}"


def assert_clean_error(error: BaseException) -> None:
    """Fail if a secret can be read of an error."""
    for text in told(error):
        assert_clean(text, f"what {type(error).__name__} tells")


def told(error: BaseException) -> Iterator[str]:
    """All that can be read of an error: texts, a pickle, tracebacks with locals, and likewise of what is behind it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield f"{current} {current!r} {current.args!r} {vars(current)!r}"
        shown = traceback.TracebackException.from_exception(current, capture_locals=True, compact=True)
        # The tests know the secrets.
        shown.stack[:] = [frame for frame in shown.stack if not frame.filename.startswith(_TESTS)]
        yield "".join(shown.format(chain=False))
        waiting += [current.__cause__, current.__context__]
    yield pickle.dumps(error).decode("latin1")
