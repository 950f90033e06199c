from __future__ import annotations

import csv
import io
import unicodedata
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from hvintegration.display import Cell, Table, clean

anything = st.text(st.characters(codec=None), max_size=30)
nasty = st.text(st.sampled_from("=+-@\t\r\n\0\x1b\"',;<>&[]/ab \u202e\u2028\ud800日e\u0301"), max_size=12)
texts = st.one_of(anything, nasty)
cells = st.one_of(texts, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    width = draw(st.integers(1, 4))
    row = st.lists(cells, min_size=width, max_size=width).map(tuple)
    return Table(
        tuple(draw(st.lists(texts, min_size=width, max_size=width))),
        tuple(draw(st.lists(row, max_size=4))),
        tuple(draw(st.lists(texts, max_size=2))),
    )


def is_obeyed(character: str) -> bool:
    """Whether a terminal would do something else than show it."""
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(character) in {
        *("LRE", "RLE", "LRO", "RLO", "PDF"),
        *("LRI", "RLI", "FSI", "PDI"),
    }


def shown(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return "" if cell is None else clean(str(cell))


class Reader(HTMLParser):
    """What a browser would see: the elements, and the text of each cell and note."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert attrs == ([("class", "tex2jax_ignore mathjax_ignore")] if tag in {"table", "p"} else [])
        self.elements.append(tag)
        if tag in {"th", "td", "p"}:
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        self.texts[-1] += data

    def handle_comment(self, data: str) -> None:
        self.elements.append("!--")

    def handle_decl(self, decl: str) -> None:
        self.elements.append("!")

    def handle_pi(self, data: str) -> None:
        self.elements.append("?")


@given(texts)
def test_clean_text_has_no_control_characters(text: str) -> None:
    assert [character for character in clean(text) if is_obeyed(character)] == []


@given(texts)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(texts)
def test_cleaning_keeps_everything_else_in_order(text: str) -> None:
    kept = [character for character in text if not is_obeyed(character) and character not in "\u061c\u200e\u200f"]
    left = iter(clean(text))
    assert [character for character in kept if character not in left] == []


@given(tables())
def test_text_has_one_line_for_each_row_and_nothing_that_a_terminal_obeys(table: Table) -> None:
    lines = table.to_text().split("\n")
    assert len(lines) == 2 + len(table.rows) + len(table.notes)
    assert [character for line in lines for character in line if is_obeyed(character)] == []


@given(tables())
def test_html_has_the_elements_of_a_table_and_the_text_of_its_cells(table: Table) -> None:
    reader = Reader()
    reader.feed(table.to_html())
    reader.close()
    row = ["tr", *["td"] * len(table.columns)]
    assert reader.elements == [
        "table",
        "thead",
        "tr",
        *["th"] * len(table.columns),
        "tbody",
        *row * len(table.rows),
        *["p"] * len(table.notes),
    ]
    assert reader.texts == [
        *map(clean, table.columns),
        *(shown(cell) for cells in table.rows for cell in cells),
        *map(clean, table.notes),
    ]


def written(cell: Cell) -> str:
    if isinstance(cell, str):
        return f"'{cell}" if cell[:1] in {*"=+-@\t\r\n"} and cell else cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "" if cell is None else str(cell)


@given(tables())
def test_csv_has_one_cell_for_each_cell_and_no_formulas(table: Table) -> None:
    constant = Table(tuple(f"c{index}" for index in range(len(table.columns))), table.rows)
    read = list(csv.reader(io.StringIO(constant.to_csv(), newline="")))
    assert read == [[*constant.columns], *([written(cell) for cell in row] for row in table.rows)]


@given(tables())
def test_outside_quotes_csv_has_no_line_break_but_those_between_rows(table: Table) -> None:
    """A spreadsheet takes a bare carriage return for the end of a row, and what follows for a formula."""
    constant = Table(tuple(f"c{index}" for index in range(len(table.columns))), table.rows)
    outside = "".join(constant.to_csv().split('"')[::2]).replace("\r\n", "\n")
    assert (outside.count("\n"), outside.count("\r")) == (1 + len(table.rows), 0)
