"""Report every integration service that has a problem, in one round trip.

python report_problems.py ADDRESS...       such as  sim:  or  local:

Exit status 0: no problem; 1: a host could not be asked; 3: there are problems, or something could not be read.
"""

from __future__ import annotations

import sys

import hvintegration as hv


def report(address: str) -> int:
    """Print what is wrong on one host; an exit status."""
    try:
        with hv.connect(address) as host:
            inventory = host.inventory()
    except hv.errors.HvError as error:
        print(f"{address} could not be asked: {error} {error.hint or ''}")
        return 1
    problems = inventory.services.where(lambda state: state.health is hv.Health.PROBLEM)
    print(f"{address} {len(inventory.vms)} virtual machines, {len(problems)} problems")
    for state in problems:
        service = state.kind.label if state.kind is not None else state.name
        print(f"  {state.vm_name}: {service}: {' '.join(state.notes) or state.primary}")
    for failure in inventory.errors:
        print(f"  {failure.vm_name or failure.target}: could not be read: {failure.message}")
    return 3 if problems or inventory.errors else 0


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    statuses = [report(address) for address in sys.argv[1:]]
    sys.exit(1 if 1 in statuses else max(statuses))
