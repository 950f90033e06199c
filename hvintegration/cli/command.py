"""The command ``hvintegration``, which is also ``python -m hvintegration``.

Results go to standard output, what went wrong goes to standard error. Where standard output is a terminal, tables are
drawn with rich, in colour; there, and only there, the extra is needed: ``pip install 'hvintegration[cli]'``. Piped
tables, ``--format json`` and ``--format csv`` work without it, and so does a terminal that is dumb (``TERM=dumb``).
``NO_COLOR`` is respected. Other people's text, such as the name of a virtual machine, cannot steer the terminal.

The exit statuses are explained at the end of ``--help``.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import importlib.metadata
import json
import math
import os
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

import attrs

from hvintegration.addresses import transport_for
from hvintegration.cli.demo import demonstrate
from hvintegration.cli.screen import OutputLostError, RichMissingError, Screen, complain, hint, progress, write
from hvintegration.clock import MOST_SECONDS, Deadline
from hvintegration.credential import Credential
from hvintegration.display import Table, clean
from hvintegration.errors import (
    ConfigurationError,
    HvError,
    OutcomeUnknownError,
    RemoteError,
    UnknownServiceError,
    for_command,
)
from hvintegration.host import Host
from hvintegration.models import ChangeOutcome, ServiceChange, ServiceState, VMInfo
from hvintegration.plain import SCHEMA_VERSION, Plain
from hvintegration.scripts.jea import CONFIGURATION, REGISTRATION, endpoint_files
from hvintegration.service_kind import ServiceKind
from hvintegration.session import DEFAULT_TIMEOUT, INTERRUPTED_CHANGE
from hvintegration.transports.base import Transport, clock_of
from hvintegration.transports.recording.recorder import Recorder
from hvintegration.values import Failure, Record, Rows

__all__ = ["main"]

DONE: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
PARTLY_FAILED: Final = 3
OUTCOME_UNKNOWN: Final = 4
CHANGED_NOT_TOLD: Final = 5
INTERRUPTED: Final = 130

PASSWORD_VARIABLE: Final = "HVINTEGRATION_PASSWORD"  # noqa: S105 - where it is, not what it is

EPILOG: Final = """\
addresses:
  winrm://HOST a remote host over WinRM; winrms://HOST over TLS; :PORT may follow
  ssh://HOST   a remote host over SSH; USER@HOST and :PORT are possible
  local:       this machine; local:PATH with a certain PowerShell
  sim:         a simulated host; sim:FILE with a world of your own
  replay:FILE  a recording, made with --record

exit status:
  0    all went well
  1    an error; nothing was done, or nothing of what was asked for succeeded
  2    the command line is wrong: an unknown option, address or service
  3    some of several things failed; the rest was done and shown
  4    a change was sent, its answer was lost, and it is unknown whether it was made
  5    changes were made, but standard output or the recording did not take what came of them
  130  interrupted with Ctrl-C

'hvintegration demo' shows it all without a host.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status.

    Args:
        argv: The arguments, without the program's name; those of this process if None.

    Raises:
        SystemExit: The command line asks for help or is wrong.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # Notebooks and tests put other things in their place.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = _Options()
    try:
        return _run(argv, options)
    except OutputLostError as lost:
        if lost.reason is None and not options.changed:
            return DONE
        done = "The changes were made, but the" if options.changed else "The"
        complain(f"error: {done} output cannot be written: {lost.reason or 'nobody reads it'}.")
        return CHANGED_NOT_TOLD if options.changed else FAILED


def _run(argv: Sequence[str] | None, options: _Options) -> int:
    try:
        _parse(argv, options)
        status = options.run(options)
        write("")
    except SystemExit:
        write("")
        raise
    except HvError as error:
        complain(f"error: {error}")
        hint(error)
        if options.format == "json" and not options.shown:
            _write_document(None, (error,))
        if options.changed:
            return CHANGED_NOT_TOLD
        return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), FAILED)
    except RichMissingError:
        complain("error: Tables on a terminal need the extra: pip install 'hvintegration[cli]'")
        return FAILED
    except KeyboardInterrupt as interruption:
        # Python adds notes of its own where Ctrl-C strikes in the making of a class.
        ours = [note for note in getattr(interruption, "__notes__", ()) if note.startswith(INTERRUPTED_CHANGE)]
        complain(" ".join(["interrupted.", *ours]))
        return INTERRUPTED
    return status


_STATUSES: Final = {OutcomeUnknownError: OUTCOME_UNKNOWN, ConfigurationError: MISUSED, UnknownServiceError: MISUSED}


# -- the command line ---------------------------------------------------------------------------------------------


class _Options(argparse.Namespace):
    """What the command line says, and what holds where it says nothing."""

    host: str = "local:"
    timeout: float = DEFAULT_TIMEOUT
    format: str = "table"
    run: Callable[[_Options], int]
    services: Sequence[str] = ()
    kinds: Sequence[ServiceKind]
    vm: str
    vms: list[str]
    folder: Path
    all: bool
    enable: bool
    dry_run: bool
    deadline: Deadline
    user: str | None = None
    option: Sequence[tuple[str, str]] = ()
    record: str | None = None
    address: str | None = None
    shown: bool = False
    changed: bool = False


def _parse(argv: Sequence[str] | None, options: _Options) -> None:
    """Read the command line into *options*.

    Raises:
        UnknownServiceError: It names a service that there is not.
        SystemExit: It is wrong otherwise, or asks for help.
    """
    parser = _parser()
    _, others = parser.parse_known_args(argv, options)
    if others and (not hasattr(options, "vms") or any(other.startswith("-") for other in others)):
        parser.error(f"unrecognized arguments: {' '.join(map(clean, others))}")
    if others:  # argparse leaves over the names that follow an option that follows a name.
        options.vms += others
    if hasattr(options, "all") and options.all is bool(options.vms):
        parser.error("give the names of virtual machines, or --all for every one")
    if options.address is not None:
        if options.host not in {_Options.host, options.address}:
            parser.error("give the address once")
        options.host = options.address
    options.kinds = [ServiceKind.find(name) for name in options.services]


def _parser() -> argparse.ArgumentParser:
    collected: list[tuple[str, str]] = []
    parser = argparse.ArgumentParser(
        "hvintegration",
        description="List and switch the integration services of Hyper-V virtual machines.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common_options(collected)],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[_Options], int], summary: str, detail: str = "") -> argparse.ArgumentParser:
        description = f"{summary[0].upper()}{summary[1:]}. {detail}"
        added = commands.add_parser(
            name, parents=[_common_options(collected)], help=summary, description=description, allow_abbrev=False
        )
        added.set_defaults(run=run)
        return added

    command("host", _asking(_host), "show the host itself")
    checking = command("check", _check, "find out step by step what keeps a host from answering", "Changes nothing.")
    checking.add_argument("address", nargs="?", metavar="ADDRESS", help="the Hyper-V host, as --host takes it")
    command("vms", _asking(_vms), "list the virtual machines")
    listing = command("services", _asking(_services), "list integration services")
    listing.add_argument("vms", nargs="*", metavar="VM", help="name or id; every virtual machine if none is given")
    for verb, enable in (("enable", True), ("disable", False)):
        switching = command(verb, _asking(_switch), f"{verb} integration services", "Only what differs is touched.")
        switching.set_defaults(enable=enable)
        switching.add_argument(
            "services",
            type=lambda text: text.split(","),
            metavar="SERVICE",
            help=f"{SERVICE}; several with commas between them",
        )
        switching.add_argument("vms", nargs="*", metavar="VM", help="name or id")
        switching.add_argument("--all", action="store_true", help="every virtual machine of the host")
        switching.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    waiting = command("wait", _asking(_wait), "wait until an integration service is ok", "--timeout ends it.")
    waiting.add_argument("services", nargs=1, metavar="SERVICE", help=SERVICE)
    waiting.add_argument("vm", metavar="VM", help="name or id")
    command("kinds", _kinds, "list the integration services that there are", "No host is asked.")
    writing = command(
        "jea",
        _jea,
        "write a restricted endpoint (JEA) to be registered on a host",
        "Two roles, one to read and one to switch, and the script that registers them. No host is asked.",
    )
    writing.add_argument("folder", type=Path, metavar="FOLDER", help="where to write it; made if it is not there")
    command("demo", _demo, "show it all on a simulated host", "What is shown is what happens.")
    return parser


SERVICE: Final = "key, English or local name, component id, Windows service or Linux daemon"


def _common_options(collected: list[tuple[str, str]]) -> argparse.ArgumentParser:
    """What can be said before the command and after it. Defaults are in ``_Options``.

    Each ``--option`` is added to *collected*: argparse would forget those before the command.
    """

    def option(text: str) -> list[tuple[str, str]]:
        collected.append(_option(text))
        return collected

    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--host", metavar="ADDRESS", help="the Hyper-V host (default: local:)")
    common.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help=f"how long all of it may take (default: {DEFAULT_TIMEOUT:g})",
    )
    common.add_argument(
        "--user",
        metavar="USER",
        help=f"who asks, if not you; the password is that of the variable {PASSWORD_VARIABLE}, or is asked for",
    )
    common.add_argument(
        "--option",
        type=option,
        metavar="NAME=VALUE",
        help="an argument of WinRM or SSH, such as configuration_name=HvIntegration; may be repeated",
    )
    common.add_argument(
        "--record", metavar="FILE", help="write what is asked and answered to a new file, texts of others masked"
    )
    common.add_argument("--format", choices=("table", *_WRITERS), help="of what is shown (default: table)")
    return common


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        try:
            version = importlib.metadata.version("hvintegration")
        except importlib.metadata.PackageNotFoundError:
            version = "(not installed)"
        write(f"{parser.prog} {version}\n")
        parser.exit()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"invalid time {text!r}: it is not a number of seconds above zero and up to {MOST_SECONDS}"
        )
    return seconds


def _option(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"invalid option {text!r}: it is not NAME=VALUE")
    return name.replace("-", "_"), value


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
        advice: What to do next, for people; shown below the table.
    """

    table: Table
    data: Plain
    errors: tuple[Failure, ...] = ()
    complaints: tuple[str, ...] = ()
    status: int = DONE
    advice: tuple[str, ...] = ()
    changed: bool = False


Question: TypeAlias = Callable[[Host, _Options], _Result]


def _asking(question: Question) -> Callable[[_Options], int]:
    """A command that asks a host one question and shows what came of it."""

    def run(options: _Options) -> int:
        show = _shower(options)
        with _way(options) as transport:
            with progress(f"Asking {options.host} ..."), Host(transport) as host:
                host.info(timeout=options.deadline)
                result = question(host, options)
            return show(result)

    return run


def _check(options: _Options) -> int:
    show = _shower(options)
    with _way(options) as transport:
        with progress(f"Checking {options.host} ..."), Host(transport) as host:
            found = host.check(timeout=options.deadline)
        failed = found.failed
        said: tuple[str, ...] = ()
        if failed is not None:
            detail = failed.detail if failed.detail.endswith(".") else f"{failed.detail}."
            said = (f"{failed.name} failed: {detail} {for_command(failed.hint or '')}".rstrip(),)
        table = found.table()
        rows = tuple(tuple(for_command(cell) if isinstance(cell, str) else cell for cell in row) for row in table.rows)
        table = attrs.evolve(table, rows=rows)
        return show(_Result(table, found.to_dict(), complaints=said, status=DONE if found.ok else FAILED))


@contextlib.contextmanager
def _way(options: _Options) -> Generator[Transport]:
    """The way to the host that the command line names, recorded if it says so. The command's time begins here.

    Raises:
        ConfigurationError: The address is invalid, or the recording cannot be begun.
        HvError: At the end: not all of it could be recorded.
    """
    transport = transport_for(options.host, credential=_credential(options.user), options=dict(options.option))
    options.deadline = Deadline(options.timeout, clock_of(transport))  # Not before: typing a password takes its time.
    if options.record is None:
        yield transport
        return
    recorder = Recorder(transport, options.record)
    yield recorder
    if recorder.failure is not None:
        raise recorder.failure


def _credential(user: str | None) -> Credential | None:
    """Who asks.

    Raises:
        ConfigurationError: There is no password: the variable is empty, or none is set, and there is no terminal to
            ask at or no answer in text; or nothing carries it.
    """
    if user is None:
        return None
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and sys.stdin.isatty():
        with contextlib.suppress(EOFError, UnicodeDecodeError):  # Ctrl-D, or bytes that are no text.
            password = getpass.getpass(f"Password of {clean(user)}: ")
    if not password:
        raise ConfigurationError(f"There is no password for {user}.", hint=f"Set the variable {PASSWORD_VARIABLE}.")
    return Credential(user, password)


def _host(host: Host, options: _Options) -> _Result:
    info = host.info(timeout=options.deadline)
    return _Result(info.table(), info.to_dict())


def _vms(host: Host, options: _Options) -> _Result:
    inventory = host.inventory(timeout=options.deadline)
    return _listed(VMInfo, [vm.info for vm in inventory.vms], inventory.errors)


def _services(host: Host, options: _Options) -> _Result:
    if not options.vms:
        inventory = host.inventory(timeout=options.deadline)
        return _listed(ServiceState, inventory.services, inventory.errors)
    states: list[ServiceState] = []
    failures: list[Failure] = []
    for name in options.vms:
        try:
            found = host.vms.get(name, timeout=options.deadline).services.list(timeout=options.deadline)
            states += found
            failures += found.errors
        except RemoteError as error:
            if len(options.vms) == 1:
                raise
            failures.append(_failure(error, name))
    return _listed(ServiceState, states, failures)


def _switch(host: Host, options: _Options) -> _Result:
    vms = host.vms.list(timeout=options.deadline) if options.all else options.vms
    changes = host.set_services(
        [(vm, kind, options.enable) for vm in vms for kind in options.kinds],
        dry_run=options.dry_run,
        timeout=options.deadline,
    )
    unlisted = vms.errors if isinstance(vms, Rows) else ()
    failed = sum(change.outcome is ChangeOutcome.FAILED for change in changes)
    changed = any(change.outcome in {ChangeOutcome.CHANGED, ChangeOutcome.CONFIRMED} for change in changes)
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
        changed=changed,
    )


def _complaint(change: ServiceChange, error: Failure) -> str:
    done = "was not" if change.outcome is ChangeOutcome.FAILED else "is"
    wanted = "enabled" if change.enable else "disabled"
    return f"{change.kind.label} of {change.vm_name or change.vm_id} {done} {wanted}: {error.message or error.error_id}"


def _wait(host: Host, options: _Options) -> _Result:
    vm = host.vms.get(options.vm, timeout=options.deadline)
    state = vm.services[options.kinds[0]].wait_until_ok(timeout=options.deadline)
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
    return _shower(options)(_Result(Table(columns, rows), data))


def _jea(options: _Options) -> int:
    files = {options.folder / name: text.encode("ascii") for name, text in endpoint_files().items()}
    show = _shower(options)
    try:
        for path, content in files.items():
            if path.exists() and path.read_bytes() != content:
                raise ConfigurationError(
                    f"{path} is there already, with other content.", hint="Write into an empty folder."
                )
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"{options.folder} cannot be written: {error.strerror}.") from error
    command = f".\\{REGISTRATION} -Readers 'DOMAIN\\GROUP' -Operators 'DOMAIN\\GROUP'"
    return show(
        _Result(
            Table(("File",), tuple((str(path),) for path in files)),
            {
                "files": [str(path) for path in files],
                "configuration_name": CONFIGURATION,
                "register": command,
            },
            advice=(
                "Copy the folder to the Hyper-V host. There, in a PowerShell that runs as administrator:",
                f"    {command}",
                f"Then connect to the configuration {CONFIGURATION}. Groups can be given by name or SID.",
            ),
        )
    )


def _demo(_: _Options) -> int:
    demonstrate(main)
    return DONE


def _listed(of: type[Record], items: Sequence[Record], errors: Sequence[Failure]) -> _Result:
    rows = Rows(of, items, errors)
    table = rows.table()
    return _Result(table, rows.to_dicts(), rows.errors, table.notes, _status(len(rows), len(errors)))


def _failure(error: RemoteError, name: str) -> Failure:
    return Failure(
        address=error.address,
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


def _shower(options: _Options) -> Callable[[_Result], int]:
    """What shows a result in the format that is asked for, and answers its exit status.

    Raises:
        RichMissingError: The format needs rich here. It is raised before any machine is asked.
    """
    show_result = _WRITERS.get(options.format) or _table_writer()

    def show(result: _Result) -> int:
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


def _write_json(result: _Result) -> None:
    _write_document(result.data, result.errors)


def _write_document(result: Plain, errors: Sequence[Failure | HvError]) -> None:
    document = {"schema": SCHEMA_VERSION, "result": result, "errors": [error.to_dict() for error in errors]}
    write(json.dumps(document, indent=2) + "\n")


def _write_csv(result: _Result) -> None:
    table = result.table
    if sys.stdout.isatty():
        rows = (tuple(clean(cell) if isinstance(cell, str) else cell for cell in row) for row in table.rows)
        table = attrs.evolve(table, rows=tuple(rows))
    write(table.to_csv())


_WRITERS: Final = {"json": _write_json, "csv": _write_csv}


def _table_writer() -> Callable[[_Result], None]:
    screen = Screen()

    def write(result: _Result) -> None:
        # What went wrong is on standard error, in full sentences.
        columns = tuple(title for title in result.table.columns if title not in {"Error", "What to do"})
        screen.table(Table(columns, tuple(row[: len(columns)] for row in result.table.rows)))
        for line in ("", *result.advice) if result.advice else ():
            screen.line(line)

    return write
