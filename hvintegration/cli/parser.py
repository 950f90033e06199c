"""The command line: which commands there are, and what each takes."""

from __future__ import annotations

import argparse
import importlib.metadata
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from hvintegration.cli import advise, findings, guests, hosts, offline
from hvintegration.cli.options import REPORT_FORMATS, TABLE_FORMATS, Options
from hvintegration.cli.screen import write
from hvintegration.cli.ways import GUEST_PASSWORD_VARIABLE, PASSWORD_VARIABLE, SUDO_PASSWORD_VARIABLE
from hvintegration.clock import MOST_SECONDS
from hvintegration.display import clean
from hvintegration.findings import Severity
from hvintegration.service_kind import ServiceKind
from hvintegration.session import DEFAULT_TIMEOUT

__all__ = ["parse"]

_Adding: TypeAlias = Callable[..., argparse.ArgumentParser]
"""What adds a command to a parser: ``add_parser`` of its subparsers."""

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
  6    diagnose or audit found something that is as bad as --fail-on says
  130  interrupted with Ctrl-C

'hvintegration demo' shows it all without a host.
"""


def parse(argv: Sequence[str] | None, options: Options, demonstration: Callable[[Options], int]) -> None:
    """Read the command line into *options*.

    Args:
        argv: The arguments; those of this process if None.
        options: Where to write what they say.
        demonstration: The command ``demo``, which runs other commands.

    Raises:
        UnknownServiceError: It names a service that there is not.
        SystemExit: It is wrong otherwise, or asks for help.
    """
    parser = _parser(demonstration)
    _, others = parser.parse_known_args(argv, options)
    if others and (not hasattr(options, "vms") or any(other.startswith("-") for other in others)):
        parser.error(f"unrecognized arguments: {' '.join(map(clean, others))}")
    if others:  # argparse leaves over the names that follow an option that follows a name.
        options.vms += others
    if hasattr(options, "all") and options.all is bool(options.vms):
        parser.error("give the names of virtual machines, or --all for every one")
    if options.address is not None:
        if options.host not in {Options.host, options.address}:
            parser.error("give the address once")
        options.host = options.address
    if options.guest_vm is not None and not options.guest_user:
        parser.error("--vm needs --guest-user, a user of the guest")
    if options.guest_vm is None and options.guest_user is not None and options.user is not None:
        parser.error("without --vm, --host is the guest: give one of --user and --guest-user")
    if options.saved is not None and (options.accept is not None or options.guests or options.inside is not None):
        parser.error("--from asks nobody and judges nothing: give it without --accept and guests")
    options.format = options.format or options.formats[0]
    if options.format not in options.formats:
        parser.error(f"this command has no format {options.format}: choose from {', '.join(options.formats)}")
    options.kinds = [ServiceKind.find(name) for name in options.services]


def _parser(demonstration: Callable[[Options], int]) -> argparse.ArgumentParser:
    collected: list[tuple[str, str]] = []
    parser = argparse.ArgumentParser(
        "hvintegration",
        description="List and switch the integration services of Hyper-V virtual machines.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common_options(collected, dict.fromkeys((*TABLE_FORMATS, *REPORT_FORMATS)))],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    command = _adding_to(commands.add_parser, collected)
    command("host", hosts.asking(hosts.show_host), "show the host itself")
    checking = command(
        "check", hosts.check, "find out step by step what keeps a host from answering", "Changes nothing."
    )
    checking.add_argument("address", nargs="?", metavar="ADDRESS", help="the Hyper-V host, as --host takes it")
    command("vms", hosts.asking(hosts.show_vms), "list the virtual machines")
    listing = command("services", hosts.asking(hosts.show_services), "list integration services")
    listing.add_argument("vms", nargs="*", metavar="VM", help="name or id; every virtual machine if none is given")
    for verb, enable in (("enable", True), ("disable", False)):
        switching = command(
            verb, hosts.asking(hosts.switch), f"{verb} integration services", "Only what differs is touched."
        )
        switching.set_defaults(enable=enable)
        _take_services(switching)
        switching.add_argument("vms", nargs="*", metavar="VM", help="name or id")
        switching.add_argument("--all", action="store_true", help="every virtual machine of the host")
    waiting = command("wait", hosts.asking(hosts.wait), "wait until an integration service is ok", "--timeout ends it.")
    _take_service(waiting)
    waiting.add_argument("vm", metavar="VM", help="name or id")
    _add_guest(commands.add_parser, collected)
    _add_findings(command)
    advising = command(
        "advise",
        advise.advise,
        "say how the integration services of a guest are kept current",
        "Of a VM, or of systems that are named: then no host is asked. Changes nothing.",
    )
    advise.take_arguments(advising)
    _take_output(advising)
    _take_way_in(advising)
    command("kinds", offline.kinds, "list the integration services that there are", "No host is asked.")
    writing = command(
        "jea",
        offline.jea,
        "write a restricted endpoint (JEA) to be registered on a host",
        "Three roles (readers, operators, operators of guests), and the script that registers them. No host is asked.",
    )
    writing.add_argument("folder", type=Path, metavar="FOLDER", help="where to write it; made if it is not there")
    command("demo", demonstration, "show it all on a simulated host", "What is shown is what happens.")
    return parser


def _add_findings(command: _Adding) -> None:
    """The commands that say what is wrong, why, and what to do."""
    diagnosing = command(
        "diagnose",
        findings.diagnose,
        "say what is wrong with the integration services of a virtual machine, why, and what to do",
        "From its host alone, or from inside as well: with --guest by an address, with --guest-user through its host.",
        REPORT_FORMATS,
    )
    diagnosing.add_argument("vm", metavar="VM", help="name or id")
    _take_report(diagnosing)
    _take_way_in(diagnosing)
    applying = command(
        "apply",
        findings.apply,
        "do what a finding of diagnose offers",
        "It is diagnosed again first, and nothing is done unless the finding is still there.",
    )
    applying.add_argument("vm", metavar="VM", help="name or id")
    applying.add_argument("finding", metavar="FINDING", help="id of the finding, such as guest-service-not-running")
    applying.add_argument(
        "services",
        nargs="?",
        default=[],
        type=lambda text: [text],
        metavar="SERVICE",
        help=f"where several have it: {SERVICE}",
    )
    _take_way_in(applying)
    _take_yes(applying)
    auditing = command(
        "audit",
        findings.audit,
        "say what is wrong with those of every virtual machine of a host",
        "From the host alone, or from inside as well: with --guest by an address, with --guest-user through the host.",
        REPORT_FORMATS,
    )
    auditing.add_argument("address", nargs="?", metavar="ADDRESS", help="the Hyper-V host, as --host takes it")
    _take_report(auditing)
    _take_insider(auditing)
    auditing.add_argument(
        "--guest",
        dest="guests",
        type=_guest,
        action="append",
        default=[],
        metavar="VM=ADDRESS",
        help="the guest of a virtual machine by its own address; may be repeated",
    )
    auditing.add_argument(
        "--since", type=Path, metavar="FILE", help="an earlier audit, as --format json wrote it: marks what is new"
    )
    auditing.add_argument(
        "--from",
        dest="saved",
        type=Path,
        metavar="FILE",
        help="show an earlier audit, as --format json wrote it; no host is asked",
    )


def _take_way_in(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--guest", metavar="ADDRESS", help="the guest, such as ssh://root@web, by its own address")
    _take_insider(parser)


def _take_insider(parser: argparse.ArgumentParser) -> None:
    """Who asks in guests, and how those are reached that have addresses."""
    parser.add_argument(
        "--guest-user",
        dest="inside",
        metavar="USER",
        help=f"who asks inside, through the host; the password is that of {GUEST_PASSWORD_VARIABLE}, or is asked for",
    )
    parser.add_argument(
        "--guest-option",
        type=_option,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="as --option, of the transport of --guest; may be repeated",
    )
    _take_sudo(parser)


def _take_report(parser: argparse.ArgumentParser) -> None:
    """What the commands take that find things."""
    parser.add_argument("--accept", type=Path, metavar="FILE", help="what somebody lives with: acceptances in JSON")
    parser.add_argument(
        "--fail-on",
        type=Severity,
        choices=list(Severity),
        default=Severity.ERROR,
        help="what ends with status 6: an error (default), also a warning, or also a note",
    )
    _take_output(parser)


def _take_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it to a file, which is replaced as a whole")


def _add_guest(adding: _Adding, collected: list[tuple[str, str]]) -> None:
    """The command ``guest``, whose actions are commands of their own."""
    about = "look at a guest, Windows or Linux, and start and stop its integration services"
    detail = "With --vm a Windows guest, by PowerShell Direct through its host; without, --host is the guest itself."
    guest = _added(adding, "guest", about, detail, _common_options(collected), _guest_options())
    actions = guest.add_subparsers(title="actions", metavar="ACTION", required=True)

    action = _adding_to(actions.add_parser, collected, _guest_options)
    action("info", guests.show_info, "show the guest itself")
    action("services", guests.show_services, "list its integration services")
    summary = "say what is wrong with its integration services, as far as it can tell alone"
    _take_report(action("diagnose", findings.diagnose_guest, summary, formats=REPORT_FORMATS))
    _take_services(action("start", guests.start, "start integration services", "Only what differs is touched."))
    stopping = action(
        "stop",
        guests.stop,
        "stop integration services",
        "Only what differs is touched. In Windows, Hyper-V starts again what is enabled on the host.",
    )
    _take_services(stopping)
    _take_yes(stopping)
    _take_service(action("restart", guests.restart, "stop an integration service and start it"))
    installing = action(
        "install",
        guests.install,
        "install the daemon of a service in a Linux guest",
        "The guest's package manager goes on when --timeout is up; asking again waits for it.",
    )
    _take_service(installing)
    installing.add_argument("--dry-run", action="store_true", help="show the command, and run nothing")
    setting = action("startup", guests.set_startup, "set how an integration service comes to run")
    _take_service(setting)
    setting.add_argument("startup", choices=("automatic", "manual", "disabled"), help="nobody starts a disabled one")
    _take_yes(setting)


SERVICE: Final = "key, English or local name, component id, Windows service or Linux daemon"


def _adding_to(
    adding: _Adding, collected: list[tuple[str, str]], *more: Callable[[], argparse.ArgumentParser]
) -> _Adding:
    """What adds a command that is run: with the options of all, and those that *more* make."""

    def add(
        name: str,
        run: Callable[[Options], int],
        summary: str,
        detail: str = "",
        formats: Sequence[str] = TABLE_FORMATS,
    ) -> argparse.ArgumentParser:
        options = (_common_options(collected, formats), *(make() for make in more))
        added = _added(adding, name, summary, detail, *options)
        added.set_defaults(run=run, formats=formats)
        return added

    return add


def _added(
    adding: _Adding, name: str, summary: str, detail: str, *options: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    description = f"{summary[0].upper()}{summary[1:]}. {detail}"
    return adding(name, parents=options, help=summary, description=description, allow_abbrev=False)


def _take_service(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs=1, metavar="SERVICE", help=SERVICE)


def _take_services(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "services",
        type=lambda text: text.split(","),
        metavar="SERVICE",
        help=f"{SERVICE}; several with commas between them",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def _take_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask, also where a guest is severely limited without")


def _guest_options() -> argparse.ArgumentParser:
    """Which guest, and who asks in it."""
    guest = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    guest.add_argument(
        "--vm",
        dest="guest_vm",
        metavar="NAME",
        help="name or id of a Windows guest: through its host, by PowerShell Direct",
    )
    guest.add_argument(
        "--guest-user",
        metavar="USER",
        help=f"who asks in the guest; the password is that of the variable {GUEST_PASSWORD_VARIABLE}, or is asked for",
    )
    _take_sudo(guest)
    return guest


def _take_sudo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sudo",
        action="store_true",
        help="sudo in the Linux guest asks for a password; it is that of the variable "
        f"{SUDO_PASSWORD_VARIABLE}, or is asked for",
    )


def _common_options(
    collected: list[tuple[str, str]], formats: Iterable[str] = TABLE_FORMATS
) -> argparse.ArgumentParser:
    """What can be said before the command and after it. Defaults are in ``Options``.

    Args:
        collected: Each ``--option`` is added to it: argparse would forget those before the command.
        formats: What can be chosen of.
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
    choices = tuple(formats)
    common.add_argument("--format", choices=choices, help=f"of what is shown (default: {choices[0]})")
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


def _guest(text: str) -> tuple[str, str]:
    vm, separator, address = text.rpartition("=")
    if not separator or not vm:
        raise argparse.ArgumentTypeError(f"invalid guest {text!r}: it is not VM=ADDRESS")
    return vm, address


def _option(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"invalid option {text!r}: it is not NAME=VALUE")
    return name.replace("-", "_"), value
