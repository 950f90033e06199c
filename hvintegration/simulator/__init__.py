"""A Hyper-V host in memory: the shipped scripts as Python functions over a world.

For trying things out, for tests of what is built on this package, and for its own. From the same world and the same
question it answers as a real PowerShell with the Hyper-V cmdlets does.
"""

from __future__ import annotations

from hvintegration.simulator.transport import Simulator
from hvintegration.simulator.world import (
    Fault,
    GuestService,
    LinuxProcess,
    LinuxSystem,
    Machine,
    OperatingSystem,
    ServiceSetting,
    World,
    demo_world,
)

__all__ = [
    "Fault",
    "GuestService",
    "LinuxProcess",
    "LinuxSystem",
    "Machine",
    "OperatingSystem",
    "ServiceSetting",
    "Simulator",
    "World",
    "demo_world",
]
