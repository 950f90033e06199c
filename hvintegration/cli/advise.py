"""The command ``advise``: how the integration services of a guest are kept current."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Generator

import attrs

from hvintegration.cli.both_ends import ask_vm
from hvintegration.cli.options import Options
from hvintegration.cli.results import DONE, Result, file_text, output_file, shower
from hvintegration.cli.screen import write
from hvintegration.display import Table
from hvintegration.errors import ConfigurationError, for_command
from hvintegration.guest import Guest
from hvintegration.host import Host
from hvintegration.scripts.offline_update import OFFLINE_UPDATE, offline_update_script
from hvintegration.update_tables import UpdateGeneration
from hvintegration.updates import UpdateAdvice, update_advice
from hvintegration.vm import VM

__all__ = ["advise", "take_arguments"]


def take_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("advised", nargs="?", metavar="VM", help="name or id; its host is asked what it is")
    parser.add_argument("--host-os", metavar="NAME", help="the host's system, without a VM: a name, caption or version")
    parser.add_argument("--guest-os", metavar="NAME", help="the guest's system, likewise; of a VM instead of asking it")
    parser.add_argument(
        "--generation",
        choices=[str(generation) for generation in UpdateGeneration],
        default=str(UpdateGeneration.CURRENT),
        help="which of the two published tables counts (default: current)",
    )
    parser.add_argument(
        "--offline-script",
        action="store_true",
        help="show a PowerShell script that updates a guest that is off, with what to heed; it is not run",
    )


def advise(options: Options) -> int:
    """``advise``.

    Raises:
        ConfigurationError: What is given does not say which host and which guest are meant, or says it twice.
    """
    if options.offline_script:
        return _show_script(options)
    if options.advised is not None:
        return _of_machine(options.advised, options)
    if options.host_os is None or options.guest_os is None or _asks_inside(options):
        raise ConfigurationError(
            "It is not said which host and which guest are meant.",
            hint="Give --host-os and --guest-os, or the name of a virtual machine.",
        )
    advice = update_advice(host_os=options.host_os, guest_os=options.guest_os, generation=options.generation)
    with _shower(options) as show:
        return show(_result(advice))


def _of_machine(name: str, options: Options) -> int:
    if options.host_os is not None:
        raise ConfigurationError("The host of a virtual machine says itself what it is.", hint="Leave --host-os out.")
    if options.guest_os is not None and _asks_inside(options):
        raise ConfigurationError("Both --guest-os and a way into the guest are given.", hint="Give one of them.")

    def ask(_host: Host, vm: VM, guest: Guest | None) -> Result:
        advice = vm.update_advice(
            guest, guest_os=options.guest_os, generation=options.generation, timeout=options.deadline
        )
        return _result(advice)

    with _shower(options) as show:
        return ask_vm(options, name, ask, show)


def _asks_inside(options: Options) -> bool:
    return options.guest is not None or options.inside is not None


def _result(advice: UpdateAdvice) -> Result:
    table = advice.table()
    rows = tuple(tuple(for_command(cell) if isinstance(cell, str) else cell for cell in row) for row in table.rows)
    return Result(attrs.evolve(table, rows=rows), advice.to_dict())


def _show_script(options: Options) -> int:
    text = offline_update_script()
    if options.format != "table":
        with _shower(options) as show:
            return show(Result(Table(("Script",), ((text,),)), {"file": OFFLINE_UPDATE, "script": text}))
    if options.output is None:
        write(text)
        return DONE
    with output_file(options.output) as file:
        file.write(text)
    return DONE


@contextlib.contextmanager
def _shower(options: Options) -> Generator[Callable[[Result], int]]:
    """What shows a result in the format and the place that the command line names; its exit status.

    Raises:
        ConfigurationError: The file cannot be written.
        RichMissingError: The format needs rich here.
    """
    if options.output is None:
        yield shower(options)
        return

    def into_file(result: Result) -> int:
        file.write(file_text(result, options.format))
        return DONE

    with output_file(options.output) as file:
        yield into_file
