"""Everything about every virtual machine of a host."""

from __future__ import annotations

from hvintegration.calls.operation import Operation
from hvintegration.models import Inventory, ServiceState, VMInventory
from hvintegration.operations.vms import VMRecord, read_one, read_vms
from hvintegration.values import Failure, Rows

__all__ = ["read_inventory", "read_vm_inventory"]


def read_inventory() -> Operation[Inventory]:
    """Every virtual machine with its details and services: one round trip.

    One that could not be read in full is not in ``vms`` but has an entry in ``errors``.
    """
    records = yield from read_vms(info=True, services=True)
    return Inventory(
        vms=Rows(
            VMInventory,
            [_inventory(vm) for vm in records.vms if vm.info is not None and vm.services is not None],
        ),
        errors=Rows(Failure, records.failures),
        read_at=records.answer.received_at,
    )


def read_vm_inventory(vm_id: str) -> Operation[VMInventory]:
    """Everything about one virtual machine: one round trip."""
    return _inventory((yield from read_one(vm_id, info=True, services=True)))


def _inventory(vm: VMRecord) -> VMInventory:
    assert vm.info is not None
    return VMInventory(info=vm.info, services=Rows(ServiceState, vm.services or ()))
