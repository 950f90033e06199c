"""The longest step of reading what the limits let through: by that much a call may be late."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from xml.etree import ElementTree

import psrpcore
import pytest

from hvintegration.calls.limits import (
    MAX_CONTAINERS,
    MAX_DIGITS,
    MAX_FIELDS,
    MAX_ITEMS,
    MAX_LENGTH,
    MAX_MARKED_TEXTS,
    ExcessError,
    Work,
    parse_json,
)
from hvintegration.clock import Deadline
from hvintegration.transports.remoting.messages import MAX_CHILDREN, MAX_ELEMENTS, MAX_RECORD, Messages
from hvintegration.transports.remoting.xml_guard import MAX_ELEMENTS as MAX_ELEMENTS_OF_AN_ENVELOPE
from hvintegration.transports.remoting.xml_guard import MAX_TAG, XmlGuard

BEST_OF = 3


class Watched(Deadline):
    """A deadline that never comes, and notes the longest time between two questions for it."""

    def __init__(self) -> None:
        super().__init__(60)
        self.longest = 0.0
        self._before = time.thread_time()

    def left(self) -> float:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._before)
        self._before = now
        return 60


def listed(items: str, times: int) -> str:
    return f"[{','.join([items] * times)}]"


DOCUMENTS: dict[str, Callable[[], str]] = {
    "backslashes": lambda: '["' + "\\\\" * (MAX_LENGTH // 2 - 2) + '"]',
    "quotes in a text": lambda: '["' + '\\"' * (MAX_LENGTH // 2 - 2) + '"]',
    "line breaks": lambda: '["' + "\\n" * (MAX_LENGTH // 2 - 2) + '"]',
    "wide characters": lambda: '["' + "\U0001f600" * (MAX_LENGTH - 4) + '"]',
    "empty texts": lambda: '""' * (MAX_LENGTH // 2),
    "marked texts": lambda: listed('",[{:"', MAX_MARKED_TEXTS),
    "closing brackets": lambda: "]" * MAX_LENGTH,
    "lists": lambda: listed("[]", MAX_CONTAINERS - 1),
    "nested lists": lambda: listed("[" * 30 + "]" * 30, (MAX_CONTAINERS - 1) // 30),
    "fields": lambda: "{" + ",".join(f'"{number:030x}":""' for number in range(MAX_FIELDS)) + "}",
    "texts": lambda: "[" + ",".join(f'"{number:020x}"' for number in range(MAX_ITEMS)) + "]",
    "numbers": lambda: "[" + ",".join(["1." + "9" * 20] * MAX_ITEMS) + "]",
    "long numbers": lambda: listed("9" * MAX_DIGITS, MAX_LENGTH // (MAX_DIGITS + 1) - 1),
    "blanks": lambda: "[" + " " * (MAX_LENGTH - 2) + "]",
}


def longest_step(read: Callable[[Watched], object]) -> float:
    best = float("inf")
    for _ in range(BEST_OF):
        watched = Watched()
        read(watched)
        watched.left()
        best = min(best, watched.longest)
    return best


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents(name: str) -> None:
    document = DOCUMENTS[name]()

    def read(deadline: Deadline) -> None:
        with contextlib.suppress(ExcessError, ValueError):
            parse_json(document, Work(deadline))

    print(f"\n  JSON, {name:<24}{longest_step(read):8.3f} s   (limit 0.5)")


HEADER = (1).to_bytes(4, "little") + (0x00041005).to_bytes(4, "little") + bytes(32)
MEMBERS = "".join(f"<Nil N='{number}'/>" for number in range(MAX_CHILDREN))
DATE = "<DT>2026-01-01T00:00:00.1234567+01:00</DT>"
RECORDS = {
    "properties": "<L>" + f"<Obj><MS>{MEMBERS}</MS></Obj>" * (MAX_ELEMENTS // (MAX_CHILDREN + 2)) + "</L>",
    "dates": "<L>" + f"<Obj><LST>{DATE * MAX_CHILDREN}</LST></Obj>" * (MAX_ELEMENTS // (MAX_CHILDREN + 2)) + "</L>",
    "escapes": f"<S>{'_x0041_' * (MAX_RECORD // 7 - 10)}</S>",
    "objects": "<L>" + ("<Obj><LST>" + "<Obj/>" * 400 + "</LST></Obj>") * 4 + "</L>",
}


@pytest.mark.parametrize("name", RECORDS)
def test_records(name: str) -> None:
    """What psrpcore takes for the largest record of an error."""
    content = HEADER + RECORDS[name].replace("<L>", "<Obj><LST>").replace("</L>", "</LST></Obj>").encode()
    fragment = bytes(16) + b"\3" + len(content).to_bytes(4, "big") + content

    def read(deadline: Deadline) -> None:
        (record,) = Messages().take(fragment, Work(deadline))
        assert isinstance(record, bytes)
        client = psrpcore.ClientRunspacePool()
        client.receive_data(psrpcore.PSRPPayload(record, psrpcore.StreamType.default, None))
        client.next_event()

    print(f"\n  psrpcore, {name:<20}{longest_step(read):8.3f} s   (limit 0.5)")


def test_envelopes() -> None:
    """What ElementTree takes for the most elements under the longest prefix."""
    long = "u" * (MAX_TAG - 100)
    elements = "".join(f"<p:e{number}/>" for number in range(MAX_ELEMENTS_OF_AN_ENVELOPE - 2))
    envelope = f"<p:a xmlns:p='{long}'>{elements}{'x' * 8_000_000}</p:a>".encode()

    def read(deadline: Deadline) -> None:
        XmlGuard().feed(envelope, Work(deadline).look)
        ElementTree.fromstring(envelope)

    print(f"\n  ElementTree, an envelope         {longest_step(read):8.3f} s   (limit 0.5)")
