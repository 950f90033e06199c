"""A table as plain text, HTML, CSV or a rich table.

Cells may hold anybody's text: a virtual machine's name, its notes, a status. Whatever shows them is escaped or cleaned
here, so that no text can add markup, move a cursor or become a formula. This module knows nothing of Hyper-V.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

if TYPE_CHECKING:
    import rich.table

__all__ = ["Cell", "Table", "clean", "escaped"]

Cell: TypeAlias = str | bool | int | float | None

_BIDIRECTIONAL_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def clean(text: str) -> str:
    """*text* without what a terminal would obey: control characters, reversals of direction, lone surrogates.

    Line breaks and tabs become spaces.
    """
    if text.isprintable() and text.isascii():
        return text
    return "".join(map(_clean_character, text))


def _clean_character(character: str) -> str:
    if character in "\t\n\r\v\f\x85\u2028\u2029":
        return " "
    if character in _BIDIRECTIONAL_CONTROLS or unicodedata.category(character) in {"Cc", "Cs"}:
        return ""
    return character


def escaped(text: str) -> str:
    """*text*, cleaned, as the content of an element of HTML or XML, or as the value of an attribute in quotes."""
    import html  # late, as csv: `import hvintegration` is to be light

    return html.escape(clean(text))


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if cell is True:
        return "yes"
    if cell is False:
        return "no"
    return clean(str(cell))


def _width(text: str) -> int:
    """The number of terminal columns that *text* takes."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.category(character) in {"Mn", "Me", "Cf"}
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def _defused(cell: Cell) -> str | int | float:
    """*cell* for a spreadsheet: text that it would take for a formula starts with an apostrophe."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return "'" + cell if cell.startswith(_FORMULA_STARTS) else cell
    return str(cell).lower() if isinstance(cell, bool) else cell


@attrs.frozen
class Table:
    """Rows of cells under column titles.

    Attributes:
        columns: The titles.
        rows: The cells; each row has one for each title.
        notes: Sentences shown below the table.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Aligned columns under underlined titles, as PowerShell shows tables."""
        lines = [tuple(map(clean, self.columns)), *(tuple(map(_shown, row)) for row in self.rows)]
        widths = [max(_width(line[index]) for line in lines) for index in range(len(self.columns))]
        lines.insert(1, tuple("-" * width for width in widths))
        text = [_aligned(line, widths) for line in lines]
        return "\n".join([*text, *map(clean, self.notes)])

    def to_html(self) -> str:
        """A plain ``<table>`` in which every cell is escaped; notes follow it as paragraphs.

        None of it is taken for mathematics, as notebooks take what is between dollar signs.
        """
        head = _html_row("th", self.columns)
        body = "".join(_html_row("td", map(_shown, row)) for row in self.rows)
        notes = "".join(f"<p {_LITERAL}>{escaped(note)}</p>" for note in self.notes)
        return f"<table {_LITERAL}><thead>{head}</thead><tbody>{body}</tbody></table>{notes}"

    def to_csv(self) -> str:
        """Comma-separated values with a title line; formulas are defused, all other text is kept as it is."""
        import csv

        target = io.StringIO()
        writer = csv.writer(target, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(self.columns)
        writer.writerows([_defused(cell) for cell in row] for row in self.rows)
        return target.getvalue()

    def to_rich(self) -> rich.table.Table:
        """A table of the rich library. Needs the extra ``cli``."""
        import rich.box
        import rich.table
        import rich.text

        table = rich.table.Table(
            box=rich.box.SIMPLE_HEAD,
            caption=rich.text.Text("\n".join(map(clean, self.notes))) if self.notes else None,
            caption_justify="left",
        )
        for column in self.columns:
            table.add_column(rich.text.Text(clean(column)))
        for row in self.rows:
            table.add_row(*(rich.text.Text(_shown(cell), style=_STYLES.get(cell, "")) for cell in row))
        return table


_LITERAL: Final = 'class="tex2jax_ignore mathjax_ignore"'
"""Keeps MathJax off: version 2, as nbconvert has it, goes by the first class; from version 3 on, as JupyterLab has it,
by the second. Otherwise a machine's name could be a link, or be nothing at all."""

_STYLES: dict[Cell, str] = {
    "ok": "green",
    "problem": "bold red",
    "failed": "bold red",
    "changed": "green",
    "confirmed": "green",
    "would_change": "cyan",
    "skipped": "dim",
}


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def _html_row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escaped(cell)}</{tag}>" for cell in cells) + "</tr>"
