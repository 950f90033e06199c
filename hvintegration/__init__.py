"""Hyper-V integration services, on the host: list, read, switch and watch them, in any language.

>>> import hvintegration as hv
>>> with hv.connect("sim:") as host:
...     host.vms["demovm"].services["Guest Service Interface"].enable().enabled
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvintegration import errors
from hvintegration.clock import Clock, SystemClock
from hvintegration.credential import Credential
from hvintegration.host import Host, RequestedChange, VMs, connect
from hvintegration.integration_service import IntegrationService
from hvintegration.models import (
    ChangeOutcome,
    Failure,
    Health,
    HostInfo,
    Inventory,
    OperationalStatus,
    Rows,
    ServiceChange,
    ServiceState,
    VMInfo,
    VMInventory,
)
from hvintegration.powershell import Script
from hvintegration.service_kind import Impact, ServiceKind
from hvintegration.session import Session, SessionStats
from hvintegration.transports.base import Transport
from hvintegration.vm import VM, VMServices

if TYPE_CHECKING:
    from hvintegration import simulator
    from hvintegration.simulator import Simulator, VirtualClock, World
    from hvintegration.transports.local import Local

__all__ = [
    "VM",
    "ChangeOutcome",
    "Clock",
    "Credential",
    "Failure",
    "Health",
    "Host",
    "HostInfo",
    "Impact",
    "IntegrationService",
    "Inventory",
    "Local",
    "OperationalStatus",
    "RequestedChange",
    "Rows",
    "Script",
    "ServiceChange",
    "ServiceKind",
    "ServiceState",
    "Session",
    "SessionStats",
    "Simulator",
    "SystemClock",
    "Transport",
    "VMInfo",
    "VMInventory",
    "VMServices",
    "VMs",
    "VirtualClock",
    "World",
    "connect",
    "errors",
    "simulator",
]

_LATE = {
    "Local": "hvintegration.transports.local",
    "Simulator": "hvintegration.simulator",
    "VirtualClock": "hvintegration.simulator",
    "World": "hvintegration.simulator",
}


def __getattr__(name: str) -> object:
    import importlib.metadata

    if name == "__version__":
        return importlib.metadata.version("hvintegration")
    if name == "simulator":
        return importlib.import_module("hvintegration.simulator")
    if name in _LATE:
        value: object = getattr(importlib.import_module(_LATE[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
