"""Check that integration services are set as a policy wants it, and change nothing unless told to.

python nightly_compliance.py ADDRESS POLICY [--repair]

POLICY is a JSON file: for each service whether it shall be enabled, and exceptions by id or name of a virtual machine.

{"services": {"time_sync": true, "guest_service_interface": false},
 "exceptions": {"dc01": {"time_sync": false}}}

Exit status 0: all is as wanted (now); 1: an error; 3: something deviates, or could not be checked or repaired.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import hvintegration as hv

Policy = dict[str, dict[hv.ServiceKind, bool]]
FINE = {hv.ChangeOutcome.UNCHANGED, hv.ChangeOutcome.CHANGED, hv.ChangeOutcome.CONFIRMED}


def read_policy(path: Path) -> Policy:
    """Wanted settings by virtual machine; those under an empty name are for all others."""
    policy = json.loads(path.read_text("utf-8"))
    wanted = {"": policy["services"], **policy.get("exceptions", {})}
    return {
        name: {hv.ServiceKind.find(service): bool(enabled) for service, enabled in services.items()}
        for name, services in wanted.items()
    }


def wanted_changes(vms: hv.Rows[hv.VM], policy: Policy) -> list[tuple[hv.VM | str, hv.ServiceKind | str, bool]]:
    """What shall be so of each virtual machine."""
    return [
        (vm, kind, enabled)
        for vm in vms
        for kind, enabled in (policy[""] | policy.get(vm.name, {}) | policy.get(vm.id, {})).items()
    ]


def main() -> int:
    """Check one host; the exit status."""
    parser = argparse.ArgumentParser(description="Check integration services against a policy.")
    parser.add_argument("address", help="such as sim: or local:")
    parser.add_argument("policy", type=Path)
    parser.add_argument("--repair", action="store_true", help="make it so")
    options = parser.parse_args()
    try:
        policy = read_policy(options.policy)
        with hv.connect(options.address) as host:
            vms = host.vms.list()
            changes = host.set_services(wanted_changes(vms, policy), dry_run=not options.repair)
    except hv.errors.HvError as error:
        print(f"{error} {error.hint or ''}", file=sys.stderr)
        return 1
    notable = changes.where(lambda change: change.outcome is not hv.ChangeOutcome.UNCHANGED)
    if notable:
        print(notable)
    for failure in vms.errors:
        print(f"{failure.vm_name or failure.target} could not be checked: {failure.message}")
    deviating = [change for change in changes if change.outcome not in FINE]
    print(f"{len(changes)} settings of {len(vms)} virtual machines checked, {len(deviating)} deviate.")
    return 3 if deviating or vms.errors else 0


if __name__ == "__main__":
    sys.exit(main())
