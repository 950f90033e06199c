"""A virtual machine and what runs in it, as the command line names them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

from hvintegration.addresses import guest_transport_for
from hvintegration.cli.options import Options
from hvintegration.cli.screen import progress
from hvintegration.cli.ways import GUEST_PASSWORD_VARIABLE, credential_of, sudo_password_of, way
from hvintegration.credential import Credential
from hvintegration.guest import Guest
from hvintegration.host import Host
from hvintegration.vm import VM

__all__ = ["ask_vm", "guest_of"]

T = TypeVar("T")


def ask_vm(
    options: Options, name: str, question: Callable[[Host, VM, Guest | None], T], show: Callable[[T], int]
) -> int:
    """Ask a virtual machine, and what runs in it if the command line says how; show what came of it.

    Args:
        options: The command line.
        name: Name or id of the virtual machine.
        question: What is asked of its host, of it, and of what runs in it; None if that is not to be asked.
        show: What shows what came of it, and answers with the exit status.
    """
    who = credential_of(options.user)
    inside = credential_of(options.inside, GUEST_PASSWORD_VARIABLE)
    sudo = sudo_password_of(options)
    with way(options, who) as transport:
        with progress(f"Asking {options.host} ..."), Host(transport) as host:
            vm = host.vms.get(name, timeout=options.deadline)
            with guest_of(vm, options.guest, inside, sudo, options) or contextlib.nullcontext() as guest:
                result = question(host, vm, guest)
        return show(result)


def guest_of(
    vm: VM, address: str | None, inside: Credential | None, sudo: str | None, options: Options
) -> Guest | None:
    """What runs in *vm*: by an address of its own, else through its host; None if the command line says neither."""
    if address is not None:
        transport = guest_transport_for(address, credential=None, options=dict(options.guest_option))
        return Guest(transport, sudo_password=sudo)
    return None if inside is None else vm.guest(credential=inside)
