"""Where what the rules say is documented."""

from __future__ import annotations

from typing import Final

__all__ = [
    "BUS",
    "CHECKPOINTS",
    "COPYING",
    "DEBIAN",
    "DOMAIN_CONTROLLERS",
    "GUEST_PARAMETERS",
    "KERNEL",
    "MANAGE",
    "PROTOCOLS",
    "REFERENCE",
    "REPORTS",
    "RIGHTS",
    "TOOLS",
    "UPDATES",
    "WMI",
]

BUS: Final = "Linux 6.1, Documentation/ABI/stable/sysfs-bus-vmbus"
MANAGE: Final = 'Microsoft, "Manage Hyper-V Integration Services"'
REFERENCE: Final = 'Microsoft, "Hyper-V Integration Services" (reference)'
UPDATES: Final = 'Microsoft, "Manage Hyper-V Integration Services", on updates'
CHECKPOINTS: Final = 'Microsoft, "Choose between standard or production checkpoints in Hyper-V"'
WMI: Final = 'Microsoft, WMI v2 reference, "Integration services classes"'
PROTOCOLS: Final = "Microsoft, KB4014894"
COPYING: Final = "Linux, tools/hv/hv_fcopy_uio_daemon.c"
GUEST_PARAMETERS: Final = "The value VirtualMachineId that Hyper-V writes into every guest over Data Exchange"
KERNEL: Final = "Linux 6.1, drivers/hv/hv_util.c and hv_utils_transport.c"
TOOLS: Final = "Linux 6.1, tools/hv"
DEBIAN: Final = "Debian, changelog of hyperv-daemons 6.10-1~exp1"
DOMAIN_CONTROLLERS: Final = 'Ben Armstrong, "Time Synchronization in Hyper-V" (2010)'
RIGHTS: Final = 'Microsoft support articles, on "You do not have the required permission to complete this task"'
REPORTS: Final = "Reports of real hosts; nothing of Microsoft's says so"
