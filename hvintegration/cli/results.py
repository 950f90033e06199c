"""What a command found or did: shown in the format that is asked for, and its exit status."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Final, TextIO, TypeVar

import attrs

from hvintegration.cli.options import Options
from hvintegration.cli.screen import OutputLostError, Screen, complain, write
from hvintegration.display import Table, clean
from hvintegration.errors import ConfigurationError, HvError
from hvintegration.files import reason, replaced
from hvintegration.guest_models import GuestChange
from hvintegration.models import ChangeOutcome, ServiceChange
from hvintegration.plain import SCHEMA_VERSION, Plain
from hvintegration.values import Failure, Record, Rows

__all__ = [
    "CHANGED_NOT_TOLD",
    "DONE",
    "FAILED",
    "FOUND",
    "INTERRUPTED",
    "MISUSED",
    "OUTCOME_UNKNOWN",
    "PARTLY_FAILED",
    "Result",
    "file_text",
    "listed",
    "made",
    "output_file",
    "shower",
    "status",
    "write_document",
]

DONE: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
PARTLY_FAILED: Final = 3
OUTCOME_UNKNOWN: Final = 4
CHANGED_NOT_TOLD: Final = 5
FOUND: Final = 6
INTERRUPTED: Final = 130


@attrs.frozen
class Result:
    """What a command found or did.

    Attributes:
        table: For people and CSV.
        data: For JSON.
        errors: What failed while the rest did not, for JSON.
        complaints: The same in sentences, for standard error.
        status: Exit status.
        advice: What to do next, for people; shown below the table.
        changed: Whether anything was changed.
    """

    table: Table
    data: Plain
    errors: tuple[Failure, ...] = ()
    complaints: tuple[str, ...] = ()
    status: int = DONE
    advice: tuple[str, ...] = ()
    changed: bool = False


def listed(of: type[Record], items: Sequence[Record], errors: Sequence[Failure]) -> Result:
    """Rows, and what could not be read."""
    rows = Rows(of, items, errors)
    table = rows.table()
    return Result(table, rows.to_dicts(), rows.errors, table.notes, status(len(rows), len(errors)))


Change = TypeVar("Change", bound=ServiceChange | GuestChange)


def made(
    changes: Rows[Change], complaint: Callable[[Change, Failure], str], unlisted: Sequence[Failure] = ()
) -> Result:
    """What became of changes.

    Args:
        changes: All of them.
        complaint: What is the matter with one that has an error, in a sentence.
        unlisted: What they could not be made of, since it could not be listed.
    """
    failed = sum(change.outcome is ChangeOutcome.FAILED for change in changes)
    troubled = [(change, change.error) for change in changes if change.error is not None]
    return Result(
        changes.table(),
        changes.to_dicts(),
        errors=(*unlisted, *(error for _, error in troubled)),
        complaints=(
            *Rows(Failure, (), unlisted).table().notes,
            *(complaint(change, error) for change, error in troubled),
        ),
        status=status(len(changes) - failed, failed + len(unlisted)),
        changed=any(change.outcome in {ChangeOutcome.CHANGED, ChangeOutcome.CONFIRMED} for change in changes),
    )


def status(succeeded: int, failed: int) -> int:
    """The exit status where so many of several things succeeded and failed."""
    if not failed:
        return DONE
    return PARTLY_FAILED if succeeded else FAILED


def shower(options: Options) -> Callable[[Result], int]:
    """What shows a result in the format that is asked for, and answers its exit status.

    Raises:
        RichMissingError: The format needs rich here. It is raised before any machine is asked.
    """
    show_result = _WRITERS.get(options.format) or _table_writer()

    def show(result: Result) -> int:
        options.shown = True
        options.changed = result.changed
        try:
            show_result(result)
        except OutputLostError as lost:
            if result.changed or lost.reason is not None:
                raise
        for complaint in result.complaints:
            complain(complaint)
        return result.status

    return show


@contextlib.contextmanager
def output_file(path: Path) -> Generator[TextIO]:
    """The file that ``--output`` names, which takes its place at the end of the block.

    Raises:
        ConfigurationError: It cannot be written. Where that shows at once, it is raised before any machine is asked.
    """
    try:
        with replaced(path) as file:
            yield file
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {reason(error)}.") from error


def file_text(result: Result, form: str) -> str:
    """A result in one of the formats of tables, as a file has it."""
    match form:
        case "json":
            return document(result.data, result.errors)
        case "csv":
            return result.table.to_csv()
        case _:
            return result.table.to_text() + "\n"


def _write_json(result: Result) -> None:
    write_document(result.data, result.errors)


def write_document(result: Plain, errors: Sequence[Failure | HvError]) -> None:
    """Write the document of ``--format json``."""
    write(document(result, errors))


def document(result: Plain, errors: Sequence[Failure | HvError]) -> str:
    """The document of ``--format json``."""
    said = {"schema": SCHEMA_VERSION, "result": result, "errors": [error.to_dict() for error in errors]}
    return json.dumps(said, indent=2) + "\n"


def _write_csv(result: Result) -> None:
    table = result.table
    if sys.stdout.isatty():
        rows = (tuple(clean(cell) if isinstance(cell, str) else cell for cell in row) for row in table.rows)
        table = attrs.evolve(table, rows=tuple(rows))
    write(table.to_csv())


_WRITERS: Final = {"json": _write_json, "csv": _write_csv}


def _table_writer() -> Callable[[Result], None]:
    screen = Screen()

    def write(result: Result) -> None:
        # What went wrong is on standard error, in full sentences.
        columns = tuple(title for title in result.table.columns if title not in {"Error", "What to do"})
        screen.table(Table(columns, tuple(row[: len(columns)] for row in result.table.rows)))
        for line in ("", *result.advice) if result.advice else ():
            screen.line(line)

    return write
