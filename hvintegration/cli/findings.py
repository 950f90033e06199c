"""The commands that say what is wrong, why, and what to do."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast

from hvintegration.calls.limits import MAX_DEPTH, is_deeper_than
from hvintegration.cli.both_ends import ask_vm, guest_of
from hvintegration.cli.guests import ask_guest
from hvintegration.cli.options import Options
from hvintegration.cli.results import DONE, FOUND, PARTLY_FAILED, Result, file_text, made, output_file, shower
from hvintegration.cli.screen import Screen, complain, progress, write
from hvintegration.cli.ways import GUEST_PASSWORD_VARIABLE, credential_of, sudo_password_of, way
from hvintegration.display import clean
from hvintegration.errors import ConfigurationError, DecodeError
from hvintegration.files import read_text, reason
from hvintegration.findings import Acceptance, Audit, AuditChanges, Diagnosis, Finding, Fix, Severity
from hvintegration.guest import Guest
from hvintegration.guest_models import GuestChange
from hvintegration.host import Host
from hvintegration.models import ServiceChange
from hvintegration.values import Failure, Rows
from hvintegration.vm import VM

__all__ = ["apply", "audit", "diagnose", "diagnose_guest"]

MOST_CHARACTERS: Final = 64 * 1024 * 1024
"""Length that a file of an earlier audit may have; that of 500 virtual machines with their guests is some 6,000,000."""

_Found: TypeAlias = Diagnosis | Audit | AuditChanges


def diagnose(options: Options) -> int:
    """``diagnose``."""
    accepted = _acceptances(options)
    with _shower(options) as show:

        def ask(host: Host, vm: VM, guest: Guest | None) -> Diagnosis:
            info = host.info(timeout=options.deadline)
            return vm.diagnose(guest, host_info=info, accepted=accepted, timeout=options.deadline)

        return ask_vm(options, options.vm, ask, show)


def diagnose_guest(options: Options) -> int:
    """``guest diagnose``."""
    accepted = _acceptances(options)
    with _shower(options) as show:

        def ask(guest: Guest) -> Diagnosis:
            return guest.diagnose(accepted=accepted, timeout=options.deadline)

        return ask_guest(options, ask, show)


def apply(options: Options) -> int:
    """``apply``."""

    def ask(host: Host, vm: VM, guest: Guest | None) -> Result:
        info = host.info(timeout=options.deadline)
        found = vm.diagnose(guest, host_info=info, timeout=options.deadline).findings
        fix = _fix_of(found, options)
        change = vm.apply(fix, guest=guest, confirm=options.yes, timeout=options.deadline)
        if isinstance(change, GuestChange):
            return made(Rows(GuestChange, [change]), _complaint)
        return made(Rows(ServiceChange, [change]), _complaint)

    return ask_vm(options, options.vm, ask, shower(options))


def _complaint(change: ServiceChange | GuestChange, error: Failure) -> str:
    return f"{change.kind.label} is not as it should be: {error.message or error.error_id}"


def _fix_of(found: Rows[Finding], options: Options) -> Fix:
    """What the finding that the command line names offers.

    Raises:
        ConfigurationError: There is no such finding, or several, or it offers nothing.
    """
    named = [each for each in found if each.id == options.finding]
    fitting = [each for each in named if each.kind in options.kinds or not options.kinds]
    if not fitting:
        ids = ", ".join(dict.fromkeys(each.id for each in found if each.fix is not None))
        raise ConfigurationError(
            f"{options.finding} was not found of {options.vm}. Nothing was changed.",
            hint=f"Findings that offer something: {ids}." if ids else None,
        )
    if len(fitting) > 1:
        kinds = ", ".join(each.kind.key for each in fitting if each.kind is not None)
        raise ConfigurationError(
            f"{options.finding} was found of several services of {options.vm}. Nothing was changed.",
            hint=f"Name one of them after it: {kinds}.",
        )
    if fitting[0].fix is None:
        raise ConfigurationError(
            f"{options.finding} offers nothing that could be done from here. Nothing was changed.",
            hint=fitting[0].remedy,
        )
    return fitting[0].fix


def audit(options: Options) -> int:
    """``audit``."""
    earlier = None if options.since is None else _earlier(options.since)
    if options.saved is not None:
        with _shower(options) as show:
            return show(_compared(_earlier(options.saved), earlier))
    accepted = _acceptances(options)
    with _shower(options) as show:
        who = credential_of(options.user)
        inside = credential_of(options.inside, GUEST_PASSWORD_VARIABLE)
        sudo = sudo_password_of(options)
        addresses: dict[str, str] = {}

        def inside_of(vm: VM) -> Guest | None:
            return guest_of(vm, addresses.get(vm.id), inside, sudo, options)

        with way(options, who) as transport:
            with progress(f"Asking {options.host} ..."), Host(transport) as host:
                host.info(timeout=options.deadline)
                for name, address in options.guests:
                    addresses[host.vms.get(name, timeout=options.deadline).id] = address
                guests = inside_of if addresses or inside is not None else None
                found = host.audit(guests, accepted=accepted, timeout=options.deadline)
            return show(_compared(found, earlier))


def _compared(found: Audit, earlier: Audit | None) -> Audit | AuditChanges:
    return found if earlier is None else found.since(earlier)


# -- files -----------------------------------------------------------------------------------------------------------


def _acceptances(options: Options) -> list[Acceptance]:
    if options.accept is None:
        return []
    read = _json(options.accept)
    if not isinstance(read, list):
        raise ConfigurationError(f"{options.accept} is no list of acceptances.")
    return [_value(Acceptance, item, options.accept) for item in cast("list[object]", read)]


def _earlier(path: Path) -> Audit:
    """An audit as the command writes it, or one that was compared, or ``to_dict()``."""
    return _value(Audit, _within(_within(_json(path), "result"), "audit"), path)


def _within(read: object, key: str) -> object:
    if not isinstance(read, dict):
        return read
    record = cast("dict[str, object]", read)
    return record.get(key, record)


def _json(path: Path) -> object:
    try:
        text = read_text(path, MOST_CHARACTERS)
        if is_deeper_than(text, MAX_DEPTH):
            raise ConfigurationError(f"{path} is nested deeper than {MAX_DEPTH} levels.")
        return cast("object", json.loads(text))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {reason(error)}.") from error


T = TypeVar("T", Acceptance, Audit)


def _value(of: type[T], data: object, path: Path) -> T:
    try:
        return of.from_dict(cast("Mapping[str, Any]", data))
    except DecodeError as error:
        raise ConfigurationError(f"{path} is not as it should be: {error}", hint=error.hint) from error


# -- showing ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _shower(options: Options) -> Generator[Callable[[_Found], int]]:
    """What shows what was found, in the format and the place that the command line names; its exit status.

    Raises:
        ConfigurationError: The file cannot be written. It is raised before any machine is asked.
        RichMissingError: The format needs rich here, likewise.
    """
    if options.output is None:
        yield _on_standard_output(options)
        return
    shown: list[_Found] = []

    def into_file(found: _Found) -> int:
        file.write(_text(found, options))
        shown.append(found)
        return _status(found, options)

    with output_file(options.output) as file:
        yield into_file
    for found in shown:
        write(f"{clean(found.summary)}\n")
        _complain(found)


def _on_standard_output(options: Options) -> Callable[[_Found], int]:
    if options.format in {"table", "json", "csv"}:
        show = shower(options)
        return lambda found: show(_result(found, options))
    if options.format == "text" and sys.stdout is not None and sys.stdout.isatty():
        screen = Screen()
        return lambda found: _on_screen(screen, found, options)

    def written(found: _Found) -> int:
        write(_text(found, options))
        _complain(found, unless=options.format == "text")
        return _status(found, options)

    return written


STYLES: Final = {"ERROR": "bold red", "WARNING": "bold yellow", "NOTE": "bold cyan"}


def _on_screen(screen: Screen, found: _Found, options: Options) -> int:
    for line in found.to_text(width=min(100, shutil.get_terminal_size().columns)).splitlines():
        screen.line(line, STYLES.get(line.partition("  ")[0], ""))
    return _status(found, options)


def _text(found: _Found, options: Options) -> str:
    """*found* in the format that is asked for, as a file has it."""
    writers: dict[str, Callable[[], str]] = {
        "text": lambda: found.to_text() + "\n",
        "markdown": found.to_markdown,
        "junit": found.to_junit,
        "html": found.to_html,
    }
    write_report = writers.get(options.format)
    return file_text(_result(found, options), options.format) if write_report is None else write_report()


def _result(found: _Found, options: Options) -> Result:
    troubles = _troubles(found)
    notes = Rows(Failure, (), troubles).table().notes
    return Result(found.table(), found.to_dict(), troubles, notes, _status(found, options))


def _complain(found: _Found, *, unless: bool = False) -> None:
    """Say on standard error what could not be read, unless the report has said so there."""
    for note in () if unless else Rows(Failure, (), _troubles(found)).table().notes:
        complain(note)


def _troubles(found: _Found) -> tuple[Failure, ...]:
    audited = found.audit if isinstance(found, AuditChanges) else found
    return tuple(audited.errors) if isinstance(audited, Audit) else ()


def _status(found: _Found, options: Options) -> int:
    audited = found.audit if isinstance(found, AuditChanges) else found
    if any(_is_as_bad(finding, options.fail_on) for finding in audited.findings):
        return FOUND
    return PARTLY_FAILED if _troubles(found) else DONE


def _is_as_bad(finding: Finding, as_: Severity) -> bool:
    return finding.acceptance is None and finding.severity.rank <= as_.rank
