"""A report as one page of HTML that needs nothing else: no net, no other file.

Other people's texts are content of elements and nothing else. The page's policy allows one style and one script, by
their digests, and nothing from elsewhere; both are constants. Without script it shows all of it, without filters.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Final

from hvintegration.display import escaped
from hvintegration.reports.content import SEVERITIES, Entry, Machine, Report, counted, counts, is_link, plural

__all__ = ["report_as_page"]


def report_as_page(report: Report) -> str:
    """All of it, as a document."""
    style, script = _file("page.css"), _file("page.js")
    policy = f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'"
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}; form-action \'none\'">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{escaped(report.title)}</title>",
            f"<style>{style}</style>",
            f"<script>{script}</script>",
            "</head>",
            "<body>",
            *_header(report),
            "<main>",
            *_findings(report),
            *_machines(report),
            *_rest(report),
            "</main>",
            "<footer>Made by hvintegration.</footer>",
            "</body>",
            "</html>",
            "",
        )
    )


@functools.cache
def _file(name: str) -> str:
    import importlib.resources  # late: `import hvintegration` is to be light

    return (importlib.resources.files("hvintegration.reports") / name).read_text("ascii")


def _digest(text: str) -> str:
    import base64  # late, likewise
    import hashlib

    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _header(report: Report) -> Iterator[str]:
    tiles = [(count, severity, plural(count, severity)) for severity, count in counts(report.open).items()]
    new = sum(entry.new for entry in report.open)
    machines = len(report.machines)
    further = (
        (new, "new", "new"),
        (len(report.gone), "", "gone"),
        (len(report.accepted), "", "accepted"),
        (len(report.troubles), "error", "not read"),
    )
    tiles += [tile for tile in further if tile[0]]
    tiles.append((machines, "", plural(machines, "virtual machine")))
    yield f"<header>\n<h1>{_text(report.title)}</h1>"
    yield f'<p class="soft">Judged <time datetime="{report.read_at:%Y-%m-%dT%H:%MZ}">{report.time}</time></p>'
    yield '<ul class="tiles">'
    for count, kind, label in tiles:
        yield f'<li class="{kind if count else "none"}"><b>{count:,}</b>{label}</li>'
    yield "</ul>\n</header>"


COLUMNS: Final = {"severity": "Severity", "vm": "VM", "service": "Service", "finding": "Finding"}


def _findings(report: Report) -> Iterator[str]:
    entries = (*report.open, *report.accepted)
    yield '<section aria-labelledby="findings">\n<h2 id="findings">Findings</h2>'
    if not entries:
        yield '<p class="all-well">Nothing was found.</p>\n</section>'
        return
    yield _form()
    heads = "".join(f'<th scope="col" class="{key}" data-key="{key}">{title}</th>' for key, title in COLUMNS.items())
    yield '<div class="frame">\n<table class="findings" tabindex="-1" aria-labelledby="findings">'
    yield from (f"<thead><tr>{heads}</tr></thead>", "<tbody>", *map(_row, entries), "</tbody>", "</table>", "</div>")
    yield '<button class="more" type="button" hidden></button>\n</section>'


def _form() -> str:
    boxes = (
        f'<label><input type="checkbox" name="{severity}" checked>{severity.capitalize()}s</label>'
        for severity in SEVERITIES
    )
    states = (f'<option value="{state}">{state.capitalize()}</option>' for state in ("open", "new", "accepted", "all"))
    every = '<option value="">All</option>'
    return "\n".join(
        (
            '<form hidden aria-label="Filter findings">',
            '<div class="text"><label for="text">Text</label>',
            '<input type="search" id="text" name="text" autocomplete="off"></div>',
            f"<fieldset><legend>Severity</legend><div>{''.join(boxes)}</div></fieldset>",
            f'<div><label for="vm">VM</label><select id="vm" name="vm">{every}</select></div>',
            f'<div><label for="service">Service</label><select id="service" name="service">{every}</select></div>',
            f'<div><label for="state">State</label><select id="state" name="state">{"".join(states)}</select></div>',
            '<button type="reset">Reset</button>',
            '<p role="status" class="soft"></p>',
            "</form>",
        )
    )


def _row(entry: Entry) -> str:
    machine_id = f"<small>{escaped(entry.machine_id)}</small>" if entry.machine_id else ""
    new = ' <span class="badge new">new</span>' if entry.new else ""
    accepted = '<br><span class="badge accepted">accepted</span>' if entry.accepted is not None else ""
    severity = entry.severity if entry.severity in SEVERITIES else "note"
    return (
        f'<tr><td class="severity"><span class="badge {severity}">{severity}</span>{accepted}</td>'
        f'<td class="vm">{_text(entry.machine)}{machine_id}</td>'
        f'<td class="service">{_text(entry.service or "")}</td>'
        f'<td class="finding"><span class="title">{_text(_title(entry.rule))}</span>{new}'
        f"<small><code>{escaped(entry.rule)}</code></small>"
        f"<p>{_text(entry.cause)}</p>"
        f'<p class="remedy"><span>What to do:</span> {_text(entry.remedy)}</p>{_details(entry)}</td></tr>'
    )


def _title(rule: str) -> str:
    words = rule.replace("-", " ")
    return words[:1].upper() + words[1:]


def _details(entry: Entry) -> str:
    said = (f"<dt>{label}</dt><dd>{_linked(text)}</dd>" for label, text in entry.details if text != entry.remedy)
    return f"<details><summary>Evidence and source</summary><dl>{''.join(said)}</dl></details>"


def _linked(text: str) -> str:
    return f'<a href="{escaped(text)}" rel="noreferrer">{escaped(text)}</a>' if is_link(text) else _text(text)


def _text(text: str) -> str:
    """Others' text: it has a direction of its own, so that it cannot turn round what stands beside it."""
    return f"<bdi>{escaped(text)}</bdi>"


def _machines(report: Report) -> Iterator[str]:
    if not report.machines:
        return
    yield '<section aria-labelledby="machines">\n<h2 id="machines">Virtual machines</h2>'
    heads = "".join(
        f'<th scope="col" class="number">{title}</th>' for title in ("Errors", "Warnings", "Notes", "Accepted")
    )
    yield '<div class="frame">\n<table class="machines" aria-labelledby="machines">'
    yield f'<thead><tr><th scope="col">VM</th>{heads}<th scope="col">Not judged</th></tr></thead>'
    yield from ("<tbody>", *map(_machine, report.machines), "</tbody>", "</table>", "</div>", "</section>")


def _machine(machine: Machine) -> str:
    numbers = (*counts(machine.open).values(), len(machine.accepted))
    cells = "".join(f'<td class="number{"" if number else " zero"}">{number}</td>' for number in numbers)
    missing = _listed(machine.missing)
    if missing:
        missing = f"<details><summary>{counted(len(machine.missing), 'fact')} missing</summary>{missing}</details>"
    machine_id = f"<small>{escaped(machine.id)}</small>" if machine.id else ""
    return f'<tr><th scope="row">{_text(machine.name)}{machine_id}</th>{cells}<td>{missing}</td></tr>'


def _rest(report: Report) -> Iterator[str]:
    """Sections that are there only if there is something to say."""
    troubles = tuple(f"{trouble.about}: {trouble.message}" for trouble in report.troubles)
    gone = tuple(entry.line for entry in report.gone)
    for key, title, texts in (("gone", "Gone since the last time", gone), ("troubles", "Could not be read", troubles)):
        if texts:
            yield f'<section aria-labelledby="{key}">\n<h2 id="{key}">{title}</h2>\n{_listed(texts)}\n</section>'


def _listed(texts: Iterable[str]) -> str:
    items = "".join(f"<li>{_text(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""
