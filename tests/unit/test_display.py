from __future__ import annotations

import csv
import io
import unicodedata
from html.parser import HTMLParser

import pytest

from hvintegration.display import Cell, Table, clean

SCRIPT = "<script>alert('x')</script>"
HOSTILE = {
    "escape sequence": "\x1b[31mred\x1b[0m",
    "window title": "\x1b]0;owned\x07",
    "c1 control": "\x9b31mred",
    "newline": "two\nlines",
    "carriage return": "over\rwritten",
    "tab": "a\tb",
    "backspace": "a\b\bb",
    "null": "a\0b",
    "delete": "a\x7fb",
    "bidi override": "evil\u202eexe.txt",
    "bidi isolate": "\u2066a\u2069",
    "lone surrogate": "half \ud800 a pair",
    "line separator": "a\u2028b\u2029c",
    "script": SCRIPT,
    "attribute": "\" onmouseover='x'",
    "entity": "&lt;b&gt;",
    "formula": "=cmd|' /C calc'!A0",
}
CLEANED = {
    "escape sequence": "[31mred[0m",
    "window title": "]0;owned",
    "c1 control": "31mred",
    "newline": "two lines",
    "carriage return": "over written",
    "tab": "a b",
    "backspace": "ab",
    "null": "ab",
    "delete": "ab",
    "bidi override": "evilexe.txt",
    "bidi isolate": "a",
    "lone surrogate": "half  a pair",
    "line separator": "a b c",
    "script": SCRIPT,
    "attribute": "\" onmouseover='x'",
    "entity": "&lt;b&gt;",
    "formula": "=cmd|' /C calc'!A0",
}

every_hostile_text = pytest.mark.parametrize(
    ("text", "cleaned"), [pytest.param(HOSTILE[name], CLEANED[name], id=name) for name in HOSTILE]
)


class Tags(HTMLParser):
    """The tags and texts of an HTML document."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def tags_of(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    tags.close()
    return tags


def csv_rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def rich_text(table: Table, width: int = 100) -> str:
    console = pytest.importorskip("rich.console").Console(
        file=io.StringIO(), width=width, color_system=None, legacy_windows=False
    )
    console.print(table.to_rich())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def columns_wide(text: str) -> int:
    """Terminal columns, by the standard's tables."""
    return sum(
        0
        if unicodedata.category(character) in {"Mn", "Me"}
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


# -- clean ---------------------------------------------------------------------------------------------------------


@every_hostile_text
def test_cleaned_text_has_nothing_that_a_terminal_obeys(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize("text", ["", "demovm", "Gäste-VM", "日本語", "עברית", "🖥️ lab", "Arre\u0302t"])
def test_ordinary_text_is_kept(text: str) -> None:
    assert clean(text) == text


# -- plain text ----------------------------------------------------------------------------------------------------


def test_text_is_aligned_under_underlined_titles() -> None:
    table = Table(("VM", "Enabled", "Count"), (("demovm", True, 3), ("b", False, None)), ("One note.", "Another."))
    assert table.to_text().splitlines() == [
        "VM      Enabled  Count",
        "------  -------  -----",
        "demovm  yes      3",
        "b       no",
        "One note.",
        "Another.",
    ]


def test_an_empty_table_shows_its_titles() -> None:
    assert Table(("VM", "Service"), ()).to_text() == "VM  Service\n--  -------"


@every_hostile_text
def test_text_stays_on_its_line_and_harmless(text: str, cleaned: str) -> None:
    lines = Table(("", "x"), ((text, "end"),), (text,)).to_text().split("\n")
    assert lines[2:] == [f"{cleaned}  end", cleaned]


@every_hostile_text
def test_titles_are_cleaned_as_well(text: str, cleaned: str) -> None:
    assert Table((text, "x"), ()).to_text().split("\n")[0] == f"{cleaned}  x"


@pytest.mark.parametrize(
    "name",
    ["demovm", "テスト機", "来宾服务接口", "ｆｕｌｌ", "ﾊﾝｶｸ", "Arre\u0302t", "🖥 lab", "हिन्दी", "กำลัง"],
    ids=["latin", "kana", "han", "full width", "half width", "combining", "emoji", "devanagari", "thai"],
)
def test_wide_and_narrow_characters_keep_the_alignment(name: str) -> None:
    lines = Table(("VM", "State"), ((name, "Running"), ("a longer name", "Off"))).to_text().split("\n")
    starts = {columns_wide(line[: line.index(word)]) for line, word in zip(lines[2:], ("Running", "Off"), strict=True)}
    assert starts == {len("a longer name") + 2}


# -- HTML ----------------------------------------------------------------------------------------------------------


def test_html_is_a_plain_table_with_notes() -> None:
    assert Table(("VM", "On"), (("a & b", True),), ("<note>",)).to_html() == (
        '<table class="tex2jax_ignore mathjax_ignore"><thead><tr><th>VM</th><th>On</th></tr></thead>'
        "<tbody><tr><td>a &amp; b</td><td>yes</td></tr></tbody></table>"
        '<p class="tex2jax_ignore mathjax_ignore">&lt;note&gt;</p>'
    )


@every_hostile_text
def test_html_shows_the_text_and_nothing_else(text: str, cleaned: str) -> None:
    found = tags_of(Table((text,), ((text,),), (text,)).to_html())
    assert (found.tags, found.attributes, found.texts) == (
        ["table", "thead", "tr", "th", "tbody", "tr", "td", "p"],
        [("class", "tex2jax_ignore mathjax_ignore")] * 2,
        [cleaned, cleaned, cleaned],
    )


# -- CSV -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("a=b", "a=b"),
        ('comma, quote " and\nline', 'comma, quote " and\nline'),
        ("line\r\nbreak", "line\r\nbreak"),
        ("line\rbreak", "line\rbreak"),
        ("line\r=cmd|' /C calc'!A0", "line\r=cmd|' /C calc'!A0"),
        (-1, "-1"),
        (-1.5, "-1.5"),
        (True, "true"),
        (None, ""),
    ],
    ids=repr,
)
def test_csv_defuses_formulas_and_keeps_the_rest_in_one_cell(cell: Cell, written: str) -> None:
    assert csv_rows(Table(("first", "VM", "last"), (("a", cell, "z"),)).to_csv()) == [
        ["first", "VM", "last"],
        ["a", written, "z"],
    ]


@pytest.mark.parametrize("break_", ["\r", "\n", "\r\n"], ids=repr)
def test_a_line_break_in_a_cell_is_quoted(break_: str) -> None:
    """Unquoted, it would begin a row, whose first cell could be a formula."""
    assert f'"a{break_}=1+1"' in Table(("VM",), ((f"a{break_}=1+1",),)).to_csv()


def test_an_empty_table_is_a_title_line() -> None:
    assert csv_rows(Table(("VM", "Service"), ()).to_csv()) == [["VM", "Service"]]


# -- rich ----------------------------------------------------------------------------------------------------------


def test_rich_shows_cells_and_notes() -> None:
    lines = rich_text(Table(("VM", "Health"), (("demovm", "ok"),), ("A note.",))).split("\n")
    assert [line.split() for line in lines if line.strip(" ─╶╴")] == [
        ["VM", "Health"],
        ["demovm", "ok"],
        ["A", "note."],
    ]


@pytest.mark.parametrize("text", ["[bold]loud[/bold]", "[link=http://x]y[/link]", "[/unopened]", ":smile:"])
@pytest.mark.parametrize("where", ["title", "cell", "note"])
def test_rich_does_not_take_text_for_markup(text: str, where: str) -> None:
    table = Table(
        (text if where == "title" else "VM",),
        ((text if where == "cell" else "demovm",),),
        (text,) if where == "note" else (),
    )
    assert text in "".join(rich_text(table).split())


@every_hostile_text
def test_rich_shows_cleaned_text(text: str, cleaned: str) -> None:
    assert cleaned in rich_text(Table(("VM",), ((text,),)))


def test_rich_shows_an_empty_table() -> None:
    assert rich_text(Table(("VM", "Service"), ())).split()[:2] == ["VM", "Service"]
