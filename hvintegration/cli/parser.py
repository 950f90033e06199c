"""The command line: which commands there are, and what each takes."""

from __future__ import annotations

import argparse
import importlib.metadata
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from hvintegration.cli import guests, hosts, offline
from hvintegration.cli.options import Options
from hvintegration.cli.results import FORMATS
from hvintegration.cli.screen import write
from hvintegration.cli.ways import GUEST_PASSWORD_VARIABLE, PASSWORD_VARIABLE, SUDO_PASSWORD_VARIABLE
from hvintegration.clock import MOST_SECONDS
from hvintegration.display import clean
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
    options.kinds = [ServiceKind.find(name) for name in options.services]


def _parser(demonstration: Callable[[Options], int]) -> argparse.ArgumentParser:
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

    def command(name: str, run: Callable[[Options], int], summary: str, detail: str = "") -> argparse.ArgumentParser:
        added = _added(commands.add_parser, name, summary, detail, _common_options(collected))
        added.set_defaults(run=run)
        return added

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


def _add_guest(adding: _Adding, collected: list[tuple[str, str]]) -> None:
    """The command ``guest``, whose actions are commands of their own."""
    about = "look at a guest, Windows or Linux, and start and stop its integration services"
    detail = "With --vm a Windows guest, by PowerShell Direct through its host; without, --host is the guest itself."
    guest = _added(adding, "guest", about, detail, _common_options(collected), _guest_options())
    actions = guest.add_subparsers(title="actions", metavar="ACTION", required=True)

    def action(name: str, run: Callable[[Options], int], summary: str, detail: str = "") -> argparse.ArgumentParser:
        added = _added(actions.add_parser, name, summary, detail, _common_options(collected), _guest_options())
        added.set_defaults(run=run)
        return added

    action("info", guests.show_info, "show the guest itself")
    action("services", guests.show_services, "list its integration services")
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
    guest.add_argument(
        "--sudo",
        action="store_true",
        help="sudo in the Linux guest asks for a password; it is that of the variable "
        f"{SUDO_PASSWORD_VARIABLE}, or is asked for",
    )
    return guest


def _common_options(collected: list[tuple[str, str]]) -> argparse.ArgumentParser:
    """What can be said before the command and after it. Defaults are in ``Options``.

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
    common.add_argument("--format", choices=FORMATS, help="of what is shown (default: table)")
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
