"""What a report says, whatever its format: texts, some of them other people's. Each format cleans and escapes them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import attrs

from hvintegration.display import clean

__all__ = ["SEVERITIES", "Entry", "Machine", "Report", "Trouble", "counted", "counts", "is_link", "plural"]

SEVERITIES: Final = ("error", "warning", "note")
"""From the worst to what is only good to know."""

_LINK = re.compile(r"https://[A-Za-z0-9.-]+(/[A-Za-z0-9._~/?#=&%+-]*)?")


@attrs.frozen(kw_only=True)
class Entry:
    """Something that was found.

    Attributes:
        severity: One of ``SEVERITIES``.
        machine: Name of the virtual machine.
        machine_id: Its id; None if it is not known.
        service: Which service; None if it is not about one.
        rule: Which rule found it, such as ``guest-service-not-running``.
        evidence: The facts, in sentences.
        cause: What they mean.
        remedy: What to do.
        source: Where that is documented.
        fix: What can be done about it for the reader, in a sentence; None if nothing can.
        costs: What that costs meanwhile, in a sentence.
        accepted: Who lives with it why and until when, in a sentence; None if nobody does.
        new: Whether it was not there the last time.
    """

    severity: str
    machine: str
    machine_id: str | None
    service: str | None
    rule: str
    evidence: tuple[str, ...]
    cause: str
    remedy: str
    source: str
    fix: str | None = None
    costs: str | None = None
    accepted: str | None = None
    new: bool = False

    @property
    def line(self) -> str:
        """What it is in a line."""
        about = f"{self.machine}, {self.service}" if self.service else self.machine
        return f"{about}: {self.rule}"

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """What there is to say of it beside its cause, with what each is."""
        said = (
            *(("Evidence", sentence) for sentence in self.evidence),
            ("What to do", self.remedy),
            ("Fix", self.fix),
            ("It costs", self.costs),
            ("Source", self.source),
            ("Accepted", self.accepted),
        )
        return tuple((label, text) for label, text in said if text)


@attrs.frozen(kw_only=True)
class Machine:
    """A virtual machine that was judged.

    Attributes:
        name: Its name.
        id: Its id; None if it is not known.
        entries: What was found.
        missing: Facts that were not there, in sentences.
        judged: Names of its services that were looked at.
    """

    name: str
    id: str | None
    entries: tuple[Entry, ...]
    missing: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[Entry, ...]:
        """What nobody accepted, by severity."""
        return _sorted(entry for entry in self.entries if entry.accepted is None)

    @property
    def accepted(self) -> tuple[Entry, ...]:
        """What somebody accepted, by severity."""
        return _sorted(entry for entry in self.entries if entry.accepted is not None)


@attrs.frozen(kw_only=True)
class Trouble:
    """Something that could not be read.

    Attributes:
        about: What it is about, such as the name of a virtual machine.
        message: Why.
    """

    about: str
    message: str


@attrs.frozen(kw_only=True)
class Report:
    """What a report says.

    Attributes:
        title: What it is a report of.
        read_at: When it was judged, in UTC.
        machines: Those that were judged.
        troubles: What could not be read.
        gone: What was there the last time, and is not any more.
    """

    title: str
    read_at: datetime
    machines: tuple[Machine, ...]
    troubles: tuple[Trouble, ...] = ()
    gone: tuple[Entry, ...] = ()

    @property
    def open(self) -> tuple[Entry, ...]:
        """What nobody accepted, by severity."""
        return _sorted(entry for machine in self.machines for entry in machine.open)

    @property
    def accepted(self) -> tuple[Entry, ...]:
        """What somebody accepted, by severity."""
        return _sorted(entry for machine in self.machines for entry in machine.accepted)

    @property
    def time(self) -> str:
        """When it was judged, for people."""
        return f"{self.read_at:%Y-%m-%d %H:%M} UTC"

    @property
    def summary(self) -> str:
        """How much was found, in a sentence."""
        found = [counted(count, severity) for severity, count in counts(self.open).items()]
        said = f"{', '.join(found)} in {counted(len(self.machines), 'virtual machine')}"
        if new := sum(entry.new for entry in self.open):
            said += f"; {new} new"
        if self.gone:
            said += f"; {len(self.gone)} gone"
        if self.accepted:
            said += f"; {len(self.accepted)} accepted"
        if self.troubles:
            said += f"; {len(self.troubles)} could not be read"
        return f"{said}."


def _sorted(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: SEVERITIES.index(entry.severity)))


def counts(entries: Iterable[Entry]) -> dict[str, int]:
    """How many there are of each severity."""
    found = Counter(entry.severity for entry in entries)
    return {severity: found[severity] for severity in SEVERITIES}


def counted(count: int, noun: str) -> str:
    """Such as ``1 error`` or ``2 errors``."""
    return f"{count} {plural(count, noun)}"


def plural(count: int, noun: str) -> str:
    """The noun for so many of them."""
    return noun if count == 1 else f"{noun}s"


def is_link(text: str) -> bool:
    """Whether *text* is the address of a page and nothing else, and so can be a link that says where it leads."""
    return clean(text) == text and _LINK.fullmatch(text) is not None
