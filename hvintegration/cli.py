"""The command ``hvintegration``, which is also ``python -m hvintegration``.

Results go to standard output, what went wrong goes to standard error. Where standard output is a terminal, tables are
drawn with rich, in colour; there, and only there, the extra is needed: ``pip install 'hvintegration[cli]'``. Piped
tables, ``--format json`` and ``--format csv`` work without it, and so does a terminal that is dumb (``TERM=dumb``).
``NO_COLOR`` is respected. Other people's text, such as the name of a virtual machine, cannot steer the terminal.

The exit statuses are explained at the end of ``--help``.
"""

from __future__ import annotations

import argparse
import code
import contextlib
import errno
import importlib.metadata
import json
import math
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Final, NoReturn, TextIO, TypeAlias

import attrs

from hvintegration.clock import Deadline, SystemClock
from hvintegration.display import Table, clean
from hvintegration.errors import (
    ConfigurationError,
    HvError,
    OutcomeUnknownError,
    RemoteError,
    UnknownServiceError,
    VMNotFoundError,
)
from hvintegration.host import Host, connect
from hvintegration.models import (
    SCHEMA_VERSION,
    ChangeOutcome,
    Failure,
    HostInfo,
    Inventory,
    Plain,
    Record,
    Rows,
    ServiceChange,
    ServiceState,
    VMInfo,
)
from hvintegration.service_kind import ServiceKind
from hvintegration.session import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    import rich.console
    import rich.table

__all__ = ["main"]

DONE: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
PARTLY_FAILED: Final = 3
OUTCOME_UNKNOWN: Final = 4
INTERRUPTED: Final = 130

EPILOG: Final = """\
addresses:
  local:       this machine; local:PATH with a certain PowerShell
  sim:         a simulated host; sim:FILE with a world of your own

exit status:
  0    all went well
  1    an error; nothing was done, or nothing of what was asked for succeeded
  2    the command line is wrong: an unknown option, address or service
  3    some of several things failed; the rest was done and shown
  4    a change was sent, its answer was lost, and it is unknown whether it was made
  130  interrupted with Ctrl-C

'hvintegration demo' shows it all without a host.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status.

    Args:
        argv: The arguments, without the program's name; those of this process if None.

    Raises:
        SystemExit: The command line asks for help or is wrong; or the output cannot be written.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # Notebooks and tests put other things in their place.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        options = _parse(argv)
        return options.run(options)
    except HvError as error:
        _complain(f"error: {error}")
        _hint(error)
        return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), FAILED)
    except _RichMissingError:
        _complain("error: Tables on a terminal need the extra: pip install 'hvintegration[cli]'")
        return FAILED
    except KeyboardInterrupt as interruption:
        _complain(" ".join(["interrupted.", *getattr(interruption, "__notes__", ())]))
        return INTERRUPTED
    finally:
        _write("")


_STATUSES: Final = {OutcomeUnknownError: OUTCOME_UNKNOWN, ConfigurationError: MISUSED, UnknownServiceError: MISUSED}


# -- the command line ---------------------------------------------------------------------------------------------


class _Options(argparse.Namespace):
    """What the command line says, and what holds where it says nothing."""

    host: str = "local:"
    timeout: float = DEFAULT_TIMEOUT
    format: str = "table"
    run: Callable[[_Options], int]
    services: list[ServiceKind]
    vm: str
    vms: list[str]
    all: bool
    enable: bool
    dry_run: bool
    deadline: Deadline

    def left(self) -> float:
        """Seconds left of those that the command may take, never quite none."""
        return max(self.deadline.left(), 0.001)


def _parse(argv: Sequence[str] | None) -> _Options:
    parser = _parser()
    options, others = parser.parse_known_args(argv, _Options())
    if others and (not hasattr(options, "vms") or any(other.startswith("-") for other in others)):
        parser.error(f"unrecognized arguments: {' '.join(map(clean, others))}")
    if others:  # argparse leaves over the names that follow an option that follows a name.
        options.vms += others
    if hasattr(options, "all") and options.all is bool(options.vms):
        parser.error("give the names of virtual machines, or --all for every one")
    options.deadline = Deadline(options.timeout, SystemClock())
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "hvintegration",
        description="List and switch the integration services of Hyper-V virtual machines.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common_options()],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[_Options], int], summary: str, detail: str = "") -> argparse.ArgumentParser:
        description = f"{summary[0].upper()}{summary[1:]}. {detail}"
        added = commands.add_parser(
            name, parents=[_common_options()], help=summary, description=description, allow_abbrev=False
        )
        added.set_defaults(run=run)
        return added

    command("host", _asking(_host), "show the host itself")
    command("vms", _asking(_vms), "list the virtual machines")
    listing = command("services", _asking(_services), "list integration services")
    listing.add_argument("vms", nargs="*", metavar="VM", help="name or id; every virtual machine if none is given")
    for verb, enable in (("enable", True), ("disable", False)):
        switching = command(verb, _asking(_switch), f"{verb} integration services", "Only what differs is touched.")
        switching.set_defaults(enable=enable)
        switching.add_argument(
            "services", type=_service_kinds, metavar="SERVICE", help=f"{SERVICE}; several with commas between them"
        )
        switching.add_argument("vms", nargs="*", metavar="VM", help="name or id")
        switching.add_argument("--all", action="store_true", help="every virtual machine of the host")
        switching.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    waiting = command("wait", _asking(_wait), "wait until an integration service is ok", "--timeout ends it.")
    waiting.add_argument("services", type=_service_kind, metavar="SERVICE", help=SERVICE)
    waiting.add_argument("vm", metavar="VM", help="name or id")
    command("kinds", _kinds, "list the integration services that there are", "No host is asked.")
    command("demo", _demo, "show it all on a simulated host", "What is shown is what happens.")
    return parser


SERVICE: Final = "key, English or local name, component id, Windows service or Linux daemon"


def _common_options() -> argparse.ArgumentParser:
    """What can be said before the command and after it. Defaults are in ``_Options``."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--host", metavar="ADDRESS", help="the Hyper-V host (default: local:)")
    common.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help=f"that it may take in all (default: {DEFAULT_TIMEOUT:g})"
    )
    common.add_argument("--format", choices=("table", *_WRITERS), help="of what is shown (default: table)")
    return common


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        try:
            version = importlib.metadata.version("hvintegration")
        except importlib.metadata.PackageNotFoundError:
            version = "(not installed)"
        _write(f"{parser.prog} {version}\n")
        parser.exit()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above zero")
    return seconds


def _service_kinds(text: str) -> list[ServiceKind]:
    return list(map(ServiceKind.find, text.split(",")))


def _service_kind(text: str) -> list[ServiceKind]:
    return [ServiceKind.find(text)]


# -- the commands -------------------------------------------------------------------------------------------------


@attrs.frozen
class _Result:
    """What a command found or did.

    Attributes:
        table: For people and CSV.
        data: For JSON.
        errors: What failed while the rest did not, for JSON.
        complaints: The same in sentences, for standard error.
        status: Exit status.
    """

    table: Table
    data: Plain
    errors: tuple[Failure, ...] = ()
    complaints: tuple[str, ...] = ()
    status: int = DONE


Question: TypeAlias = Callable[[Host, _Options], _Result]


def _asking(question: Question) -> Callable[[_Options], int]:
    """A command that asks a host one question and shows what came of it."""

    def run(options: _Options) -> int:
        show = _shower(options.format)
        with _progress(f"Asking {options.host} ..."), connect(options.host, timeout=options.left()) as host:
            result = question(host, options)
        return show(result)

    return run


def _host(host: Host, options: _Options) -> _Result:
    info = host.info(timeout=options.left())
    return _Result(info.table(), info.to_dict())


def _vms(host: Host, options: _Options) -> _Result:
    inventory = host.inventory(timeout=options.left())
    return _listed(VMInfo, [vm.info for vm in inventory.vms], inventory.errors)


def _services(host: Host, options: _Options) -> _Result:
    if not options.vms:
        inventory = host.inventory(timeout=options.left())
        return _listed(ServiceState, inventory.services, inventory.errors)
    states: list[ServiceState] = []
    failures: list[Failure] = []
    for name in options.vms:
        try:
            states += host.vms.get(name, timeout=options.left()).services.list(timeout=options.left())
        except RemoteError as error:
            if len(options.vms) == 1:
                raise
            failures.append(_failure(error, name))
    return _listed(ServiceState, states, failures)


def _switch(host: Host, options: _Options) -> _Result:
    vms = host.vms.list(timeout=options.left()) if options.all else options.vms
    changes = host.set_services(
        [(vm, kind, options.enable) for vm in vms for kind in options.services],
        dry_run=options.dry_run,
        timeout=options.left(),
    )
    unlisted = vms.errors if isinstance(vms, Rows) else ()
    failed = sum(change.outcome is ChangeOutcome.FAILED for change in changes)
    troubled = [(change, change.error) for change in changes if change.error is not None]
    return _Result(
        changes.table(),
        changes.to_dicts(),
        errors=(*unlisted, *(error for _, error in troubled)),
        complaints=(
            *Rows(ServiceChange, (), unlisted).table().notes,
            *(_complaint(change, error) for change, error in troubled),
        ),
        status=_status(len(changes) - failed, failed + len(unlisted)),
    )


def _complaint(change: ServiceChange, error: Failure) -> str:
    done = "was not" if change.outcome is ChangeOutcome.FAILED else "is"
    wanted = "enabled" if change.enable else "disabled"
    return f"{change.kind.label} of {change.vm_name or change.vm_id} {done} {wanted}: {error.message or error.error_id}"


def _wait(host: Host, options: _Options) -> _Result:
    vm = host.vms.get(options.vm, timeout=options.left())
    state = vm.services[options.services[0]].wait_until_ok(timeout=options.left())
    return _Result(Rows(ServiceState, [state]).table(), state.to_dict())


def _kinds(options: _Options) -> int:
    columns = ("Service", "Hyper-V Manager", "Windows service", "Linux daemons", "Impact", "Component id")
    rows = tuple(
        (
            kind.label,
            ", ".join(kind.manager_labels),
            kind.windows_service,
            ", ".join(kind.linux_daemons),
            kind.impact.value,
            kind.component_id,
        )
        for kind in ServiceKind
    )
    data: list[Plain] = [
        {
            "key": kind.key,
            "label": kind.label,
            "manager_labels": kind.manager_labels,
            "component_id": kind.component_id,
            "managed_by_host": kind.managed_by_host,
            "enabled_by_default": kind.enabled_by_default,
            "windows_service": kind.windows_service,
            "linux_daemons": kind.linux_daemons,
            "impact": kind.impact.value,
            "when_disabled": kind.when_disabled,
        }
        for kind in ServiceKind
    ]
    return _shower(options.format)(_Result(Table(columns, rows), data))


def _listed(of: type[Record], items: Sequence[Record], errors: Sequence[Failure]) -> _Result:
    rows = Rows(of, items, errors)
    table = rows.table()
    return _Result(table, rows.to_dicts(), rows.errors, table.notes, _status(len(rows), len(errors)))


def _failure(error: RemoteError, name: str) -> Failure:
    return Failure(
        host=error.host,
        vm_id=None,
        vm_name=name,
        target=None,
        error_id=error.error_id,
        category=error.category,
        message=str(error),
    )


def _status(succeeded: int, failed: int) -> int:
    if not failed:
        return DONE
    return PARTLY_FAILED if succeeded else FAILED


# -- what is shown ------------------------------------------------------------------------------------------------


def _shower(form: str) -> Callable[[_Result], int]:
    """What shows a result in that format, and answers its exit status.

    Raises:
        _RichMissingError: The format needs rich here. It is raised before any machine is asked.
    """
    write = _WRITERS.get(form) or _table_writer()

    def show(result: _Result) -> int:
        write(result)
        for complaint in result.complaints:
            _complain(complaint)
        return result.status

    return show


def _write_json(result: _Result) -> None:
    errors = [error.to_dict() for error in result.errors]
    document = {"schema": SCHEMA_VERSION, "result": result.data, "errors": errors}
    _write(json.dumps(document, indent=2) + "\n")


def _write_csv(result: _Result) -> None:
    table = result.table
    if sys.stdout.isatty():
        rows = (tuple(clean(cell) if isinstance(cell, str) else cell for cell in row) for row in table.rows)
        table = attrs.evolve(table, rows=tuple(rows))
    _write(table.to_csv())


_WRITERS: Final = {"json": _write_json, "csv": _write_csv}


def _table_writer() -> Callable[[_Result], None]:
    screen = _Screen()

    def write(result: _Result) -> None:
        # What went wrong is on standard error, in full sentences.
        columns = tuple(title for title in result.table.columns if title != "Error")
        screen.table(Table(columns, tuple(row[: len(columns)] for row in result.table.rows)))

    return write


class _Screen:
    """Standard output: a terminal, drawn on with rich, or a file of plain text."""

    def __init__(self) -> None:
        self._console = _console(sys.stdout)

    def line(self, text: str = "", style: str = "") -> None:
        """A line of text in a style of rich's."""
        if self._console is None:
            _write(clean(text) + "\n")
        else:
            self._console.print(clean(text), style=style)

    def table(self, table: Table) -> None:
        """A table. On a terminal words stay whole: if it is too narrow, the columns on the right are left out."""
        if self._console is None:
            _write(table.to_text() + "\n")
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


class _RichMissingError(Exception):
    """A terminal is to be drawn on, and rich is not installed."""


def _console(stream: TextIO) -> rich.console.Console | None:
    """A console of rich's if *stream* is a terminal, otherwise None."""
    if not stream.isatty() or os.environ.get("TERM") in {"dumb", "unknown"}:
        return None
    try:
        import rich.console
    except ImportError as error:
        raise _RichMissingError from error
    colour = not os.environ.get("NO_COLOR")
    return rich.console.Console(file=stream, color_system="auto" if colour else None, markup=False, highlight=False)


@contextlib.contextmanager
def _progress(doing: str) -> Generator[None]:
    """Shows on standard error that something is going on, if that is a terminal."""
    with contextlib.suppress(_RichMissingError):
        if (console := _console(sys.stderr)) is not None:
            import rich.text

            with console.status(rich.text.Text(clean(doing))):
                yield
            return
    yield


def _complain(sentence: str) -> None:
    sys.stderr.write(f"hvintegration: {clean(sentence)}\n")


def _hint(error: HvError) -> None:
    hint = "'hvintegration vms' lists all that this user may see." if isinstance(error, VMNotFoundError) else error.hint
    if hint:
        sys.stderr.write(f"hint: {clean(hint)}\n")


def _write(text: str) -> None:
    """Write to standard output, now. Whoever reads it may stop doing so: then the rest goes nowhere."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno not in {errno.EPIPE, errno.EINVAL}:  # Windows says EINVAL of a broken pipe.
            raise SystemExit(f"hvintegration: error: The output cannot be written: {error.strerror}") from None


# -- the demonstration --------------------------------------------------------------------------------------------

DEMO: Final = """\
# A German host with five virtual machines. It is simulated, and waiting takes no time.
import hvintegration as hv
clock = hv.VirtualClock()
host = hv.Host(hv.Simulator(hv.simulator.demo_world(), clock=clock, settle=8))
host.info()

# Every virtual machine with its services, in one round trip.
host.inventory()
host.session.stats.round_trips

# The services of one. Its host names them in German; nothing depends on that.
vm = host.vms["demovm"]
vm.services.list()

# Switch one on by its English name; "Gastdienstschnittstelle" or "vmicguestinterface" would do.
service = vm.services["Guest Service Interface"]
service.enable()

# The guest needs a while. Waiting is a look now and then, until a deadline.
service.wait_until_ok(timeout=60)
clock.monotonic()

# Switched off, a service goes on reporting Ok. Its health says what is the case.
vm.services["vmicvss"].disable()

# What is wrong on this host, and what does that mean?
host.inventory().services.where(lambda state: state.health is hv.Health.PROBLEM)
host.vms["backup"].services["VSS"].state().notes

# Many changes in one round trip; with dry_run, what they would do.
changes = [(vm, "Guest Service Interface", True) for vm in host.vms.list()]
host.set_services(changes, dry_run=True)
host.set_services(changes)

# Errors say what to do. Names are never patterns.
vm.services["Hartbeat"]
host.vms["demo*"]
host.vms["spare"].services["Heartbeat"].wait_until_ok()

# The same as a command, for scripts; --format json is there too.
$ hvintegration --host sim: services legacy
$ hvintegration --host sim: disable "Time Synchronization" web spare --dry-run --format csv
$ hvintegration --host sim: enable heartbeat nosuch
"""
"""Lines of Python and, after a dollar sign, commands. Nothing of what they answer is written down anywhere."""


def _demo(_: _Options) -> int:
    screen = _Screen()
    python = _Demonstrator(screen)
    for line in DEMO.splitlines():
        if line.startswith("#"):
            screen.line(line, "italic green")
        elif line.startswith("$"):
            screen.line(line, "bold cyan")
            with contextlib.redirect_stderr(sys.stdout):
                status = main(shlex.split(line)[2:])
            screen.line(f"(exit status {status})", "dim")
        elif line:
            screen.line(f">>> {line}", "bold cyan")
            python.run(line)
        else:
            screen.line()
    return DONE


class _Demonstrator(code.InteractiveInterpreter):
    """Runs lines of Python and shows what they answer, as a notebook would."""

    def __init__(self, screen: _Screen) -> None:
        super().__init__()
        self._screen = screen

    def run(self, line: str) -> None:
        """Run a line."""
        before, sys.displayhook = sys.displayhook, self._show
        try:
            self.runsource(line)
        finally:
            sys.displayhook = before

    def showtraceback(self) -> None:
        """Show an error of the package as Python does; any other is none of the demonstration's."""
        error = sys.exception()
        assert error is not None
        if not isinstance(error, HvError):
            raise error
        for line in "".join(traceback.format_exception_only(error)).splitlines():
            self._screen.line(line, "red")

    def _show(self, value: object) -> None:
        if isinstance(value, ServiceState):
            value = Rows(ServiceState, [value])
        if isinstance(value, HostInfo | Inventory | Rows):
            self._screen.table(value.table())
        elif value is not None:
            self._screen.line(repr(value))
