"""Enable the Guest Service Interface of a virtual machine, and wait until files can be copied into it.

python enable_guest_services.py ADDRESS VM       such as  sim: demovm  or  local: "my server"
"""

from __future__ import annotations

import sys

import hvintegration as hv


def main(address: str, name: str) -> int:
    """Exit status 0 if the service works at the end."""
    try:
        with hv.connect(address) as host:
            service = host.vms[name].services[hv.ServiceKind.GUEST_SERVICE_INTERFACE]
            state = service.enable()
            print(f"{state.vm_name}: {state.name} is enabled; its health is {state.health}.")
            if state.health is hv.Health.PROBLEM:
                state = service.wait_until_ok(timeout=60)
    except hv.errors.WaitTimeoutError as error:
        print(f"{error} {error.hint or ''}", file=sys.stderr)
        return 3
    except hv.errors.HvError as error:
        print(f"{error} {error.hint or ''}", file=sys.stderr)
        return 1
    if state.health is not hv.Health.OK:
        print(f"{state.vm_name} is {state.vm_state}. The service will work when it runs.")
        return 3
    print("Copy-VMFile can be used.")
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case [address, name]:
            sys.exit(main(address, name))
        case _:
            sys.exit(__doc__)
