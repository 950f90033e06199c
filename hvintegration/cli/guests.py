"""The commands that ask a guest, through its host or by an address of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import TypeVar

from hvintegration.cli.options import Options
from hvintegration.cli.results import Result, listed, made, shower
from hvintegration.cli.screen import agrees, progress
from hvintegration.cli.ways import GUEST_PASSWORD_VARIABLE, credential_of, sudo_password_of, way
from hvintegration.credential import Credential
from hvintegration.errors import HvError, for_command
from hvintegration.guest import Guest
from hvintegration.guest_models import GuestChange, GuestServiceState
from hvintegration.host import Host
from hvintegration.models import ChangeOutcome
from hvintegration.operations.guests import GuestAction, confirmation_for, error_of
from hvintegration.transports.base import Transport
from hvintegration.values import Rows

__all__ = ["ask_guest", "install", "restart", "set_startup", "show_info", "show_services", "start", "stop"]


def show_info(options: Options) -> int:
    """``guest info``."""

    def ask(guest: Guest) -> Result:
        info = guest.info(timeout=options.deadline)
        return Result(info.table(), info.to_dict())

    return _ask(options, ask)


def show_services(options: Options) -> int:
    """``guest services``."""

    def ask(guest: Guest) -> Result:
        states = guest.services.list(timeout=options.deadline)
        return listed(GuestServiceState, states, states.errors)

    return _ask(options, ask)


def start(options: Options) -> int:
    """``guest start``."""
    return _switch(options, run=True)


def stop(options: Options) -> int:
    """``guest stop``."""
    if not options.dry_run:
        _agree(options, GuestAction.STOP, "Stop it?")
    return _switch(options, run=False)


def restart(options: Options) -> int:
    """``guest restart``."""

    def ask(guest: Guest) -> Result:
        return _changed(guest.services[options.kinds[0]].restart(timeout=options.deadline))

    return _ask(options, ask)


def install(options: Options) -> int:
    """``guest install``."""

    def ask(guest: Guest) -> Result:
        change = guest.install(options.kinds[0], dry_run=options.dry_run, timeout=options.deadline)
        return Result(
            Rows(GuestChange, [change]).table(),
            change.to_dict(),
            advice=() if change.command is None else (f"As root: {change.command}",),
            changed=change.outcome is ChangeOutcome.CHANGED,
        )

    return _ask(options, ask)


def set_startup(options: Options) -> int:
    """``guest startup``."""
    _agree(options, GuestAction(options.startup), "Disable it?")

    def ask(guest: Guest) -> Result:
        service = guest.services[options.kinds[0]]
        return _changed(service.set_startup(options.startup, confirm=True, timeout=options.deadline))

    return _ask(options, ask)


def _switch(options: Options, *, run: bool) -> int:
    def ask(guest: Guest) -> Result:
        wanted = dict.fromkeys(options.kinds, run)
        changes = guest.set_services(wanted, dry_run=options.dry_run, confirm=True, timeout=options.deadline)
        return made(changes, lambda change, _: _complaint(error_of(change, guest.family)))

    return _ask(options, ask)


def _complaint(error: HvError) -> str:
    return f"{error} {for_command(error.hint or '')}".rstrip()


def _changed(state: GuestServiceState) -> Result:
    return Result(Rows(GuestServiceState, [state]).table(), state.to_dict(), changed=True)


def _agree(options: Options, action: GuestAction, question: str) -> None:
    """Have somebody agree to what a guest is severely limited without, unless the command line does.

    Raises:
        ConfigurationError: Nobody agrees. Nothing was sent.
    """
    for kind in options.kinds:
        refusal = confirmation_for(kind, action)
        if refusal is not None and not options.yes and not agrees(f"{kind.label}: {kind.when_disabled} {question}"):
            raise refusal


def _ask(options: Options, question: Callable[[Guest], Result]) -> int:
    return ask_guest(options, question, shower(options))


T = TypeVar("T")


def ask_guest(options: Options, question: Callable[[Guest], T], show: Callable[[T], int]) -> int:
    """Ask a guest a question and show what came of it; the exit status."""
    who = credential_of(options.user)
    inside = credential_of(options.guest_user, GUEST_PASSWORD_VARIABLE)
    sudo = sudo_password_of(options)
    is_guest = options.guest_vm is None
    with way(options, (who or inside) if is_guest else who, is_guest=is_guest) as transport:
        with progress(f"Asking {options.host} ..."), _reached(options, transport, inside, sudo) as guest:
            result = question(guest)
        return show(result)


@contextlib.contextmanager
def _reached(options: Options, transport: Transport, inside: Credential | None, sudo: str | None) -> Generator[Guest]:
    """The guest, once what it is reached through has answered."""
    if options.guest_vm is None:
        with Guest(transport, sudo_password=sudo) as guest:
            guest.info(timeout=options.deadline)
            yield guest
        return
    with Host(transport) as host:
        host.info(timeout=options.deadline)
        vm = host.vms.get(options.guest_vm, timeout=options.deadline)
        with vm.guest(credential=inside, sudo_password=sudo) as guest:
            yield guest
