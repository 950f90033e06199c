"""The commands that ask a host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from hvintegration.cli.options import Options
from hvintegration.cli.results import DONE, FAILED, Result, listed, made, shower
from hvintegration.cli.screen import progress
from hvintegration.cli.ways import credential_of, way
from hvintegration.errors import RemoteError, for_command
from hvintegration.host import Host
from hvintegration.models import ChangeOutcome, ServiceChange, ServiceState, VMInfo
from hvintegration.values import Failure, Rows

__all__ = ["asking", "check", "show_host", "show_services", "show_vms", "switch", "wait"]

_Question: TypeAlias = Callable[[Host, Options], Result]


def asking(question: _Question) -> Callable[[Options], int]:
    """A command that asks a host one question and shows what came of it."""

    def run(options: Options) -> int:
        show = shower(options)
        with way(options, credential_of(options.user)) as transport:
            with progress(f"Asking {options.host} ..."), Host(transport) as host:
                host.info(timeout=options.deadline)
                result = question(host, options)
            return show(result)

    return run


def check(options: Options) -> int:
    """``check``."""
    show = shower(options)
    with way(options, credential_of(options.user)) as transport:
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
        return show(Result(table, found.to_dict(), complaints=said, status=DONE if found.ok else FAILED))


def show_host(host: Host, options: Options) -> Result:
    """``host``."""
    info = host.info(timeout=options.deadline)
    return Result(info.table(), info.to_dict())


def show_vms(host: Host, options: Options) -> Result:
    """``vms``."""
    inventory = host.inventory(timeout=options.deadline)
    return listed(VMInfo, [vm.info for vm in inventory.vms], inventory.errors)


def show_services(host: Host, options: Options) -> Result:
    """``services``."""
    if not options.vms:
        inventory = host.inventory(timeout=options.deadline)
        return listed(ServiceState, inventory.services, inventory.errors)
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
    return listed(ServiceState, states, failures)


def switch(host: Host, options: Options) -> Result:
    """``enable`` and ``disable``."""
    vms = host.vms.list(timeout=options.deadline) if options.all else options.vms
    changes = host.set_services(
        [(vm, kind, options.enable) for vm in vms for kind in options.kinds],
        dry_run=options.dry_run,
        timeout=options.deadline,
    )
    unlisted = vms.errors if isinstance(vms, Rows) else ()
    return made(changes, _complaint, unlisted)


def _complaint(change: ServiceChange, error: Failure) -> str:
    done = "was not" if change.outcome is ChangeOutcome.FAILED else "is"
    wanted = "enabled" if change.enable else "disabled"
    return f"{change.kind.label} of {change.vm_name or change.vm_id} {done} {wanted}: {error.message or error.error_id}"


def wait(host: Host, options: Options) -> Result:
    """``wait``."""
    vm = host.vms.get(options.vm, timeout=options.deadline)
    state = vm.services[options.kinds[0]].wait_until_ok(timeout=options.deadline)
    return Result(Rows(ServiceState, [state]).table(), state.to_dict())


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
