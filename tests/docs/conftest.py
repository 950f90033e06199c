"""Runs the documentation: every block of code in README.md and docs/, in order, one test for each document.

How a block is run follows from its language:

- ``pycon``: typed at a Python prompt; what is shown there is compared.
- ``python``: executed, and must not print anything.
- ``console``: the lines after ``$`` are given to a shell in which ``hvintegration`` and ``python`` are those under
  test; what they write is compared. ``$?`` works. By day, what needs no shell runs in this process.
- ``json``: must be JSON.
- ``powershell`` and ``bat``: cannot run here, and must therefore be skipped, with a reason:
  ``<!-- skip: next "needs Windows" -->`` before the block.
- ``text`` is no code.

Tables between ``<!-- generated: NAME -->`` and ``<!-- end of generated -->`` are compared with the code.

``<!-- file: NAME -->`` before a block writes it into the folder that the document is run in. Three dots in what is
shown stand for anything.

With ``HVINTEGRATION_REFRESH_DOCS=1`` what is shown is written into the documents instead of compared.
"""

from __future__ import annotations

import code
import contextlib
import doctest
import functools
import importlib.util
import inspect
import io
import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final
from unittest import SkipTest

import attrs
import pytest
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

import hvintegration as hv
from hvintegration.linux_distributions import DAEMON_KINDS, DISTRIBUTIONS, Distribution, PackagedDaemon
from hvintegration.service_kind import HOST_MANAGED
from hvintegration.system_names import VERSION_SOURCES, VERSIONS
from hvintegration.update_tables import (
    AFTER_SETUP,
    BUILT_IN,
    CABINETS,
    HOSTS,
    SUPPORT_SOURCE,
    TABLE_SOURCES,
    Entry,
)
from tests.support.ailments import AILMENTS, diagnosed
from tests.support.amounts import THOROUGH
from tests.support.command import run

ROOT: Final = Path(__file__).resolve().parents[2]
INDENT: Final = "·\u00a0"
REFRESH: Final = "HVINTEGRATION_REFRESH_DOCS" in os.environ

_compare = doctest.OutputChecker().check_output


class Prompt(code.InteractiveInterpreter):
    """A Python prompt; all that it shows, errors with their notes included, goes to one stream."""

    def __init__(self, names: dict[str, object]) -> None:
        super().__init__(names)
        self.shown = io.StringIO()

    def type(self, statement: str) -> str:
        """What is shown after *statement*."""
        seen = self.shown.tell()
        displayhook, sys.displayhook = sys.displayhook, sys.__displayhook__
        try:
            with contextlib.redirect_stdout(self.shown):
                if self.runsource(statement + "\n\n", "<documentation>"):
                    self.shown.write("the statement is not complete\n")
        finally:
            sys.displayhook = displayhook
        self.shown.seek(seen)
        return self.shown.read().rstrip()

    def showtraceback(self) -> None:
        error = sys.exception()
        assert error is not None
        lines = "".join(traceback.format_exception_only(error))
        self.shown.write(f"Traceback (most recent call last):\n  ...\n{lines}")

    def showsyntaxerror(self, filename: str | None = None, **_: object) -> None:
        self.showtraceback()


class Documentation:
    """Runs one document, and keeps what it showed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._prompts: dict[Document, Prompt] = {}
        self._fresh: list[tuple[int, int, str]] = []
        blocks = [
            CodeBlockParser("python", PythonEvaluator()),
            CodeBlockParser("pycon", self._pycon),
            CodeBlockParser("console", self._console),
            CodeBlockParser("json", self._json),
            CodeBlockParser("powershell", self._never),
            CodeBlockParser("bat", self._never),
        ]
        self._sybil = Sybil([SkipParser(), self._files, self._tables, *blocks], path=str(ROOT), patterns=[])

    def run(self, path: Path) -> list[str]:
        """Run it; why which blocks were skipped."""
        skipped: list[str] = []
        document = self._sybil.parse(path)
        document.namespace |= {"installed": _is_installed, "windows": sys.platform == "win32"}
        for example in document.examples():
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                try:
                    example.evaluate()
                except SkipTest as skip:
                    skipped.append(str(skip))
            assert not printed.getvalue(), f"{path}:{example.line} prints {printed.getvalue()!r}"
        if self._fresh:
            text = document.text
            for start, end, fresh in sorted(self._fresh, reverse=True):
                text = text[:start] + fresh + text[end:]
            path.write_text(text, "utf-8")
        return skipped

    def _shows(self, example: Example, steps: Iterable[tuple[str, str, str]]) -> None:
        """Compare what was typed, what the document shows after it, and what is shown; or write that down."""
        fresh: list[str] = []
        for typed, expected, shown in steps:
            blank = "\n" * (len(expected) - len(expected.rstrip("\n")))
            same = _compare(_matched(expected), _matched(shown), doctest.ELLIPSIS)
            if not same and not REFRESH:
                raise AssertionError(
                    f"{example.path}:{example.line}\n{typed}\n--- should show\n{expected.rstrip()}\n--- shows\n{shown}"
                )
            fresh.append("\n".join(filter(None, [typed, expected.rstrip() if same else shown])) + "\n" + blank[1:])
        source = example.parsed
        start = example.region.start + source.offset
        if (after := "".join(fresh).rstrip("\n") + "\n") != source:
            self._fresh.append((start, start + len(source), after))

    def _pycon(self, example: Example) -> None:
        prompt = self._prompts.setdefault(example.document, Prompt(example.namespace))
        steps = _typed(example.parsed, ">>> ", "... ")
        self._shows(example, [(typed, shown, prompt.type(_unprompted(typed))) for typed, shown in steps])

    def _console(self, example: Example) -> None:
        shell = shutil.which("sh")
        if shell is None:
            raise SkipTest("needs a POSIX shell")
        steps = _typed(example.parsed, "$ ", "> ")
        typed = [_unprompted(typed) for typed, _ in steps]
        in_a_shell = THOROUGH or not all(map(_is_plain, typed))
        shown = self._in_a_shell(shell, typed) if in_a_shell else list(self._in_this_process(typed))
        self._shows(example, [(*step, output) for step, output in zip(steps, shown, strict=True)])

    def _in_this_process(self, typed: Iterable[str]) -> Iterator[str]:
        """What plain lines show, without a shell and a Python for each."""
        status = 0
        with contextlib.chdir(self.folder), pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "100")
            for line in typed:
                match shlex.split(line):
                    case ["hvintegration", *arguments]:
                        ran = run(*arguments, together=True)
                        status = ran.status
                        yield ran.out.strip("\n")
                    case ["export", assignment]:
                        patch.setenv(*assignment.split("=", 1))
                        yield ""
                    case _:
                        yield str(status)

    def _in_a_shell(self, shell: str, typed: Sequence[str]) -> list[str]:
        mark = "--- end of a command ---"
        script = [
            f'python() {{ "{sys.executable}" "$@"; }}',
            f'hvintegration() {{ "{sys.executable}" -m hvintegration "$@"; }}',
            "exec 2>&1",
            *(f"{line}\nstatus=$?; echo '{mark}'; (exit $status)" for line in typed),
        ]
        package = str(Path(hv.__file__).parents[1])
        environment = {
            "PYTHONUTF8": "1",
            "COLUMNS": "100",
            "PYTHONPATH": package,
            "PYTEST_ADDOPTS": "-p no:randomly -p no:xdist",
        }
        done = subprocess.run(
            [shell, "-c", "\n".join(script)],
            cwd=self.folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        shown = [part.strip("\n") for part in done.stdout.split(mark)][: len(typed)]
        assert len(shown) == len(typed), done.stdout
        return shown

    def _json(self, example: Example) -> None:
        json.loads(example.parsed)

    def _never(self, example: Example) -> None:
        raise AssertionError(f"{example.path}:{example.line} cannot run here: skip it, with a reason")

    def _files(self, document: Document) -> Iterable[Region]:
        for match in re.finditer(
            r"^<!-- file: (\S+) -->\n+```\w+\n(.*?)^```$", document.text, re.MULTILINE | re.DOTALL
        ):
            end = document.text.index("-->", match.start()) + 3
            yield Region(match.start(), end, (match[1], match[2]), self._write)

    def _tables(self, document: Document) -> Iterable[Region]:
        pattern = r"^<!-- generated: (\w+) -->\n(.*?)^<!-- end of generated -->$"
        for match in re.finditer(pattern, document.text, re.MULTILINE | re.DOTALL):
            yield Region(match.start(2), match.end(2), (match[1], match[2]), self._compare_table)

    def _compare_table(self, example: Example) -> None:
        name, expected = example.parsed
        table = f"\n{TABLES[name]()}\n\n"
        if table != expected and REFRESH:
            self._fresh.append((example.region.start, example.region.end, table))
        else:
            assert table == expected, f"{example.path}:{example.line}"

    def _write(self, example: Example) -> None:
        name, text = example.parsed
        (self.folder / name).write_text(text, "utf-8")


# -- tables that are made from the code -----------------------------------------------------------------------------


def _table(titles: str, rows: Iterable[Sequence[object]]) -> str:
    columns = titles.split(" | ")
    lines = [columns, ["---"] * len(columns), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return (", ".join(map(str, cell)) if isinstance(cell, tuple) else str(cell or "")) or "–"


def _codes(*names: str | None) -> tuple[str, ...]:
    return tuple(f"`{name}`" for name in names if name) or ("–",)


def _attributes(cls: type) -> dict[str, str]:
    """What the docstring says of each attribute, on one line in Markdown."""
    text = inspect.getdoc(cls) or ""
    section = re.search(r"^Attributes:\n((?:^ .*\n?|^\n)*)", text, re.MULTILINE)
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section[1] if section else "", re.MULTILINE)
    return {name: _markdown(meaning) for name, meaning in found}


def _markdown(docstring: str) -> str:
    plain = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", " ".join(docstring.split()))
    return plain.replace("``", "`").replace("|", "\\|")


def _to_dict_table(cls: type[attrs.AttrsInstance]) -> str:
    said = _attributes(cls)
    rows = [(f"`{field.name}`", _json_type(str(field.type)), said.get(field.name, "")) for field in attrs.fields(cls)]
    if cls in {hv.ServiceState, hv.GuestServiceState}:
        rows.append(("`health`", "text", "What it means: a value of `Health`."))
    if cls is hv.HostCheck:
        rows.append(("`ok`", "boolean", "Whether no step failed."))
    return _table("key | type | meaning", rows)


def _json_type(annotation: str) -> str:
    base, _, optional = annotation.partition(" | ")
    rows = re.fullmatch(r"Rows\[(\w+)\]", base)
    plain = {"str": "text", "bool": "boolean", "int": "whole number", "datetime": "text: ISO 8601, UTC"}
    plain |= {"tuple[str, ...]": "list of texts", "ServiceKind": "text: a key", "ChangeOutcome": "text"}
    plain |= {"UpdateMechanism": "text", "UpdateGeneration": "text"}
    plain |= {"float": "number", "CheckOutcome": "text", "GuestFamily": "text", "Startup": "text"}
    plain |= {"Severity": "text", "End": "text", "date": "text: ISO 8601"}
    named = f"list of `{rows[1]}`" if rows else plain.get(base, f"`{base}`")
    return f"{named}, or null" if optional else named


def _world_table(cls: type[attrs.AttrsInstance]) -> str:
    said = _attributes(cls) | _WORLD_KEYS.get(cls.__name__, {})
    return _table(
        "key | default | meaning",
        [
            (f"`{field.name}`", _default(field), said.get(field.name, ""))
            for field in attrs.fields(cls)
            if field.name != "extra"
        ],
    )


def _default(field: attrs.Attribute[object]) -> str:
    if field.default is attrs.NOTHING:
        return "required"
    if str(field.type) in {"OperatingSystem", "LinuxSystem"} or "\n" in str(field.default):
        return "see below"
    factory = getattr(field.default, "factory", None)
    return f"`{json.dumps(field.default if factory is None else factory())}`"


_WORLD_KEYS: Final = {
    "World": {"os": "Its operating system; see below."},
    "OperatingSystem": {
        "caption": "Its name, as the host shows it.",
        "version": "Such as `10.0.20348`.",
        "build": "Such as `20348`.",
        "domain_role": "As in `Win32_ComputerSystem`; for the engine only.",
    },
    "Machine": {
        "generation": "1 or 2.",
        "version": "Configuration version.",
        "notes": "Free text.",
        "is_clustered": "Whether it is a clustered role.",
    },
    "GuestService": {
        "name": "Such as `vmicheartbeat`.",
        "display_name": "What the guest shows.",
        "status": "Member name of `ServiceControllerStatus`, such as `Running`, `Stopped` or `StartPending`.",
        "start_type": "`Manual`, `Automatic` or `Disabled`; one that is disabled is not started by the host.",
    },
}


def _errors_table() -> str:
    builtin = (ValueError, KeyError, TimeoutError)
    rows: list[tuple[object, ...]] = []

    def add(cls: type[hv.errors.HvError], depth: int) -> None:
        also = _codes(*(other.__name__ for other in builtin if other in cls.__mro__))
        meaning = _markdown((inspect.getdoc(cls) or "").split("\n\n")[0])
        facts = _codes(*cls.__annotations__) if depth else _codes()
        rows.append((f"{INDENT * depth}`{cls.__name__}`", also, cls.retryable, facts, meaning))
        for below in cls.__subclasses__():
            if below.__module__ == cls.__module__:
                add(below, depth + 1)

    add(hv.errors.HvError, 0)
    return _table("exception | also a | retryable | facts | meaning", rows)


def _language(language: str) -> str:
    rows = [(kind.label, kind.names(language)) for kind in HOST_MANAGED]
    return _table(f"English | {language}", [row for row in rows if row[1]])


def _rules() -> str:
    parts: list[str] = []
    for rule in hv.RULES:
        ailment = next(ailment for ailment in AILMENTS if ailment.rule == rule.id)
        finding = next(found for found in diagnosed(ailment, ill=True).findings if found.id == rule.id)
        fix = finding.fix
        done = "" if fix is None else f" `vm.apply(finding.fix)` can do this in the {fix.end}: {fix.action}."
        parts += [
            f"### {rule.title}",
            f"`{rule.id}`: {rule.severity}, judged from {rule.needs}.",
            "\n".join(f"- {sentence}" for sentence in finding.evidence),
            f"**Cause.** {finding.cause}",
            f"**What to do.** {finding.remedy}{done}".replace(" in the host", " on the host"),
            f"Source: {rule.source}.",
        ]
    return "\n\n".join(parts)


UNKNOWN: Final = "unknown"


def _known(names: tuple[str, ...] | None) -> object:
    return UNKNOWN if names is None else _codes(*names)


def _command(arguments: tuple[str, ...] | None) -> str:
    return f"`{shlex.join(arguments)}`" if arguments else "–"


def _packages(distribution: Distribution, daemon: PackagedDaemon) -> object:
    if daemon.packaged is False:
        return "there is none"
    if daemon.packages is None and distribution.advice:
        return "see below"
    return "part of the system" if daemon.packages == () else _known(daemon.packages)


def _distribution_rows(kind: hv.ServiceKind) -> Iterator[Sequence[object]]:
    for row in DISTRIBUTIONS:
        daemon = row.daemon(kind)
        assert daemon is not None
        names = (daemon.units, daemon.scripts, daemon.programs, daemon.processes)
        yield (row.name, _packages(row, daemon), *map(_known, names))


def _distribution_commands() -> str:
    managers = {row.manager.name: row.manager for row in DISTRIBUTIONS if row.manager and row.manager.install}
    return _table(
        "package manager | installs | says what is installed | says what could be",
        [
            (
                *_codes(manager.name),
                _command(manager.install_command(("PACKAGE",))),
                _command(manager.installed_command("PACKAGE")),
                _command(manager.available_command("PACKAGE")),
            )
            for manager in managers.values()
        ],
    )


def _update_entry(entry: Entry) -> str:
    needs = ", with Data Exchange" if entry.needs_data_exchange else ""
    return f"{entry.mechanism.value.replace('_', ' ')}{needs}"


def _update_rows() -> Iterable[Sequence[object]]:
    for hosts in HOSTS:
        for row in hosts.rows:
            packs = " or ".join(f"SP{number}" for number in row.service_packs)
            guest = f"{row.guest} ({packs})" if packs else row.guest
            yield hosts.title, guest, _update_entry(row.current), _update_entry(row.of_2015), row.current.note


TABLES: Final[dict[str, Callable[[], str]]] = (
    {
        "distributions": lambda: _table(
            "distribution | `ID` | a machine was seen | package manager | folder of the helper scripts",
            [
                (row.name, _codes(*row.ids), row.seen, row.manager and row.manager.name, *_codes(row.helper_folder))
                for row in DISTRIBUTIONS
            ],
        ),
        "distribution_commands": _distribution_commands,
        "distribution_advice": lambda: _table(
            "distribution | what to do", [(row.name, row.advice) for row in DISTRIBUTIONS if row.advice]
        ),
        "distribution_sources": lambda: _table(
            "distribution | sources", [(row.name, "; ".join(row.source).replace("*", "\\*")) for row in DISTRIBUTIONS]
        ),
        "update_tables": lambda: _table("host | guest | now | 2015 | what the page says now", _update_rows()),
        "update_cabinets": lambda: _table("guest | file", [(guest, *_codes(file)) for guest, file in CABINETS.items()]),
        "update_built_in": lambda: _table(
            "guest | not supported on | what is said", [(row.guest, row.unsupported, row.note) for row in BUILT_IN]
        ),
        "update_after_setup": lambda: _table("guest | what is said", AFTER_SETUP.items()),
        "update_versions": lambda: _table(
            "version | systems",
            [(*_codes(version), tuple(system.name for system in systems)) for version, systems in VERSIONS.items()],
        ),
        "update_sources": lambda: _table(
            "of what | source",
            [
                *((f"generation {generation.value}", source) for generation, source in TABLE_SOURCES.items()),
                ("supported guests", SUPPORT_SOURCE),
                *((row.guest, row.source) for row in BUILT_IN if row.source != SUPPORT_SOURCE),
                *((f"version numbers: {about}", source) for about, source in VERSION_SOURCES.items()),
            ],
        ),
        "services_on_the_host": lambda: _table(
            "key | English name | Hyper-V Manager | on by default | component id",
            [
                (*_codes(k.key), k.label, k.manager_labels, k.enabled_by_default, *_codes(k.component_id))
                for k in HOST_MANAGED
            ],
        ),
        "services_in_windows": lambda: _table(
            "key | service | display name",
            [(*_codes(k.key), *_codes(k.windows_service), k.windows_display_name) for k in hv.ServiceKind],
        ),
        "services_in_linux": lambda: _table(
            "key | kernel module | daemon | device",
            [
                (*_codes(k.key), _codes(*k.linux_modules), _codes(*k.linux_daemons), _codes(*k.linux_devices))
                for k in hv.ServiceKind
                if k.linux_modules
            ],
        ),
        "services_impact": lambda: _table(
            "key | added in | impact | while it is off",
            [(*_codes(k.key), k.added_in, k.impact.value, k.when_disabled) for k in hv.ServiceKind],
        ),
        "services_wmi": lambda: _table(
            "key | class | setting class",
            [(*_codes(k.key), *_codes(k.wmi_class), *_codes(k.wmi_setting_class)) for k in hv.ServiceKind],
        ),
        "services_vmbus": lambda: _table(
            "key | message type | VMBus class id | VMBus device id",
            [
                (*_codes(k.key), k.message_type, *_codes(k.vmbus_class_id), *_codes(k.vmbus_device_id))
                for k in hv.ServiceKind
            ],
        ),
        "names_de": lambda: _language("de"),
        "names_fr": lambda: _language("fr"),
        "errors": _errors_table,
        "rules": _rules,
    }
    | {
        f"to_dict_{cls.__name__}": functools.partial(_to_dict_table, cls)
        for cls in (
            *(hv.HostInfo, hv.VMInfo, hv.ServiceState, hv.ServiceChange, hv.Failure, hv.VMInventory, hv.Inventory),
            *(hv.HostCheck, hv.CheckStep),
            *(hv.GuestInfo, hv.GuestServiceState, hv.GuestChange, hv.GuestInventory),
            *(hv.Finding, hv.Fix, hv.Acceptance, hv.Diagnosis, hv.Audit, hv.AuditChanges),
            *(hv.UpdateAdvice, hv.GuestPackage),
        )
    }
    | {
        f"distributions_{kind.key}": functools.partial(
            lambda kind: _table(
                "distribution | packages | units | scripts | programs | process", list(_distribution_rows(kind))
            ),
            kind,
        )
        for kind in DAEMON_KINDS
    }
    | {
        f"world_{cls.__name__}": functools.partial(_world_table, cls)
        for cls in (
            hv.World,
            hv.simulator.OperatingSystem,
            hv.simulator.Machine,
            hv.simulator.ServiceSetting,
            hv.simulator.GuestService,
            hv.simulator.LinuxSystem,
            hv.simulator.LinuxProcess,
            hv.simulator.Fault,
        )
    }
)


# -- what a test takes ----------------------------------------------------------------------------------------------


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _typed(source: str, first: str, more: str) -> list[tuple[str, str]]:
    """What is typed and what is shown after it."""
    steps: list[tuple[list[str], list[str]]] = []
    for line in source.splitlines():
        if line.startswith(first):
            steps.append(([line], []))
        elif not steps:
            raise AssertionError(f"{line!r} comes before anything is typed")
        elif (line.startswith(more) or line == more.rstrip()) and not steps[-1][1]:
            steps[-1][0].append(line)
        else:
            steps[-1][1].append(line)
    return [("\n".join(typed), "\n".join(shown) + ("\n" if shown else "")) for typed, shown in steps]


def _is_plain(line: str) -> bool:
    """Whether a line of a shell is the command or the like, and has nothing that a shell would do something with."""
    return line == "echo $?" or re.fullmatch(r"(hvintegration|export) [^|<>&;$`*?(){}~#\\\n]*", line) is not None


def _unprompted(typed: str) -> str:
    lines = [re.sub(r"^(>>>|\.\.\.|\$|>)( |$)", "", line) for line in typed.splitlines()]
    return "\n".join(lines)


def _matched(text: str) -> str:
    lines = [line.rstrip() for line in text.rstrip().splitlines()]
    return "\n".join("..." if line.strip() == "..." else line for line in lines) + "\n"


@pytest.fixture
def run_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], list[str]]]:
    """Runs a document in a folder of its own, and answers the reasons of what it skipped."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    log = logging.getLogger("hvintegration")
    level = log.level
    yield Documentation(tmp_path).run
    log.setLevel(level)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
