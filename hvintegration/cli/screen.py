"""The terminal: tables and lines with rich where there is one, plain text elsewhere, complaints to standard error."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Final, TextIO

import attrs

from hvintegration.display import Table, clean
from hvintegration.errors import HvError, for_command

if TYPE_CHECKING:
    import rich.console
    import rich.table

__all__ = [
    "OutputLostError",
    "RichMissingError",
    "Screen",
    "agrees",
    "complain",
    "hint",
    "progress",
    "somebody_types",
    "write",
]


class Screen:
    """Standard output: a terminal, drawn on with rich, or a file of plain text."""

    def __init__(self) -> None:
        self._console = _console(sys.stdout)

    def line(self, text: str = "", style: str = "") -> None:
        """A line of text in a style of rich's."""
        if self._console is None:
            write(clean(text) + "\n")
        else:
            self._console.print(clean(text), style=style)

    def table(self, table: Table) -> None:
        """A table. On a terminal words stay whole: if it is too narrow, the columns on the right are left out."""
        if self._console is None:
            write(table.to_text() + "\n")
            return
        fitted = _fitted(self._console, table)
        self._console.print(fitted)
        if left_out := table.columns[len(fitted.columns) :]:
            self.line(f"Too narrow for: {', '.join(left_out)}", "dim")


GAP: Final = 2
LONG_WORD: Final = 40
"""Words longer than this, or than half of the terminal, are broken after all."""


def _fitted(console: rich.console.Console, table: Table) -> rich.table.Table:
    import rich.measure

    drawn = table.to_rich()
    needs = [
        rich.measure.measure_renderables(console, console.options, [column.header, *column.cells])
        for column in drawn.columns
    ]
    longest = min(LONG_WORD, max(1, (console.width - GAP) // 2))
    least = [min(need.minimum, longest) + GAP for need in needs]
    count = len(needs)
    while count > 1 and sum(least[:count]) - GAP > console.width:
        count -= 1
    drawn = attrs.evolve(table, columns=table.columns[:count], rows=tuple(row[:count] for row in table.rows)).to_rich()
    drawn.show_edge = drawn.pad_edge = False
    drawn.padding = (0, GAP - 1, 0, 0)
    spare = max(0, console.width + GAP - sum(least[:count]))
    for index in sorted(range(count), key=lambda index: needs[index].maximum):
        more = min(needs[index].maximum + GAP - least[index], spare)
        drawn.columns[index].width = least[index] - GAP + more
        drawn.columns[index].overflow = "fold"
        spare -= more
    return drawn


class OutputLostError(Exception):
    """Standard output takes no more.

    Attributes:
        reason: Why; None if whoever read it stopped doing so.
    """

    def __init__(self, reason: str | None) -> None:
        super().__init__(reason)
        self.reason = reason


class RichMissingError(Exception):
    """A terminal is to be drawn on, and rich is not installed."""


def _console(stream: TextIO | None) -> rich.console.Console | None:
    """A console of rich's if *stream* is a terminal, otherwise None; Python has none where it was started without."""
    if stream is None or not stream.isatty() or os.environ.get("TERM") in {"dumb", "unknown"}:
        return None
    try:
        import rich.console
    except ImportError as error:
        raise RichMissingError from error
    colour = not os.environ.get("NO_COLOR")
    return rich.console.Console(file=stream, color_system="auto" if colour else None, markup=False, highlight=False)


@contextlib.contextmanager
def progress(doing: str) -> Generator[None]:
    """Shows on standard error that something is going on, if that is a terminal."""
    with contextlib.suppress(RichMissingError):
        if (console := _console(sys.stderr)) is not None:
            import rich.text

            with console.status(rich.text.Text(clean(doing))):
                yield
            return
    yield


def somebody_types() -> bool:
    """Whether there is a terminal to ask at; Python has no standard input where it was started without."""
    return sys.stdin is not None and sys.stdin.isatty()


def agrees(question: str) -> bool:
    """Whether somebody at the terminal says yes to *question*; False where nobody can be asked."""
    if not somebody_types():
        return False
    _write_error(f"{clean(question)} [y/N] ")
    try:
        answer = sys.stdin.readline()
    except UnicodeDecodeError:  # Bytes that are no text.
        return False
    return answer.strip().lower() in {"y", "yes"}


def complain(sentence: str) -> None:
    """A line on standard error."""
    _write_error(f"hvintegration: {clean(sentence)}\n")


def hint(error: HvError) -> None:
    """What to do about *error*, on standard error, if it says so."""
    if error.hint:
        _write_error(f"hint: {clean(for_command(error.hint))}\n")


def _write_error(line: str) -> None:
    with contextlib.suppress(OSError, AttributeError):  # There is nowhere else to say it.
        sys.stderr.write(line)
        sys.stderr.flush()


def write(text: str) -> None:
    """Write to standard output, now.

    Raises:
        OutputLostError: It takes no more; whatever else is written goes nowhere.
    """
    if sys.stdout is None:  # Python was started without.
        raise OutputLostError("it is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        nobody_reads = error.errno in {errno.EPIPE, errno.EINVAL}  # Windows says EINVAL of a broken pipe.
        raise OutputLostError(None if nobody_reads else error.strerror) from None
