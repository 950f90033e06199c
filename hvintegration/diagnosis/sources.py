"""Where what the rules say is documented."""

from __future__ import annotations

from typing import Final

__all__ = [
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
    "TOOLS",
    "UPDATES",
    "WMI",
]

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
REPORTS: Final = "Reports of real hosts; nothing of Microsoft's says so"
