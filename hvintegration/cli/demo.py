"""The demonstration: lines of Python and commands, really run on a simulated host, with what they answer."""

from __future__ import annotations

import code
import contextlib
import shlex
import sys
import traceback
from collections.abc import Callable
from typing import Final

from hvintegration.cli.screen import Screen
from hvintegration.errors import HvError
from hvintegration.guest_models import GuestServiceState
from hvintegration.models import HostInfo, Inventory, ServiceState
from hvintegration.values import Rows

__all__ = ["demonstrate"]

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

# Inside a Windows guest, through its host: no network of the guest's is needed.
guest = host.vms["backup"].guest(credential=hv.Credential("Administrator", "Guest-Passw0rd"))
guest.services.list()

# Both ends together say why, and what to do; much of it can be done from here.
diagnosis = host.vms["backup"].diagnose(guest)
print(diagnosis.findings[0])
host.vms["backup"].apply(diagnosis.findings[0].fix, guest=guest).outcome
host.vms["backup"].services["VSS"].wait_until_ok(timeout=60)

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
$ hvintegration --host sim: guest services
"""
"""Lines of Python and, after a dollar sign, commands. Nothing of what they answer is written down anywhere."""


def demonstrate(command: Callable[[list[str]], int]) -> None:
    """Run it.

    Args:
        command: Runs the command ``hvintegration`` with arguments; its exit status.

    Raises:
        RichMissingError: Standard output is a terminal, and rich is not installed.
    """
    screen = Screen()
    python = _Demonstrator(screen)
    for line in DEMO.splitlines():
        if line.startswith("#"):
            screen.line(line, "italic green")
        elif line.startswith("$"):
            screen.line(line, "bold cyan")
            with contextlib.redirect_stderr(sys.stdout):
                status = command(shlex.split(line)[2:])
            screen.line(f"(exit status {status})", "dim")
        elif line:
            screen.line(f">>> {line}", "bold cyan")
            python.run(line)
        else:
            screen.line()


class _Demonstrator(code.InteractiveInterpreter):
    """Runs lines of Python and shows what they answer, as a notebook would."""

    def __init__(self, screen: Screen) -> None:
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
        if isinstance(value, ServiceState | GuestServiceState):
            value = Rows(type(value), [value])
        if isinstance(value, HostInfo | Inventory | Rows):
            self._screen.table(value.table())
        elif value is not None:
            self._screen.line(repr(value))
