"""The library in one go, as the first page of its design shows it: ``python first_example.py ADDRESS``."""

from __future__ import annotations

import sys

import hvintegration as hv

with hv.connect(sys.argv[1]) as host:
    print(host.info().language)
    for vm in host.vms.list():
        print(vm.name, vm.id)
    vm = host.vms["demovm"]
    print(vm.info().state, vm.info().heartbeat)
    print(vm.services.list())
    service = vm.services["Guest Service Interface"]
    print(service.state().health)
    print(service.enable().enabled)
    print(service.wait_until_ok(timeout=60).name)
    print(host.inventory())
    print(host.set_services([(vm, "heartbeat", True), (vm, "gsi", False)], dry_run=True))
    print(host.session.stats.round_trips, "round trips")
