"""Start the integration services that do not run in a Windows guest although the host offers them, through the host.

python repair_guest.py ADDRESS VM USER       such as  sim: backup Administrator

The password of USER, in the guest, is that of the environment variable HVINTEGRATION_GUEST_PASSWORD.
Exit status 0: all that the host offers runs; 1: an error; 3: something does not run and could not be started.
"""

from __future__ import annotations

import os
import sys

import hvintegration as hv


def repair(vm: hv.VM, guest: hv.Guest) -> int:
    """Start what should run; an exit status."""
    offered = {state.kind for state in vm.services.list() if state.enabled}
    inventory = guest.inventory()
    missing = [state for state in inventory.services if state.kind in offered and state.running is False]
    print(f"{inventory.info.name or guest.address}: {len(offered)} services offered, {len(missing)} do not run")
    wanted: dict[hv.ServiceKind, bool] = {}
    for state in missing:
        if state.kind is None or not state.installed:
            print(f"  {state.name}: it is not installed")
            continue
        if state.startup is hv.Startup.DISABLED:
            guest.services[state.kind].set_startup("manual")
            print(f"  {state.kind.label}: it was disabled, and may be started again")
        wanted[state.kind] = True
    changes = guest.set_services(wanted)
    for change in changes:
        print(f"  {change.kind.label}: {change.outcome}{f': {change.error.message}' if change.error else ''}")
    for failure in inventory.errors:
        print(f"  {failure.target or guest.address}: could not be read: {failure.message}")
    started = [change for change in changes if change.outcome is not hv.ChangeOutcome.FAILED]
    return 0 if len(started) == len(missing) and not inventory.errors else 3


def main(address: str, name: str, user: str) -> int:
    """Repair one guest; the exit status."""
    try:
        credential = hv.Credential(user, os.environ.get("HVINTEGRATION_GUEST_PASSWORD", ""))
        with hv.connect(address) as host:
            vm = host.vms[name]
            with vm.guest(credential=credential) as guest:
                return repair(vm, guest)
    except hv.errors.HvError as error:
        print(f"{error} {error.hint or ''}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case [address, name, user]:
            sys.exit(main(address, name, user))
        case _:
            sys.exit(__doc__)
