"""Hyper-V integration services, on the host and inside guests: list, read, switch and watch them.

>>> import hvintegration as hv
>>> with hv.connect("sim:") as host:
...     host.vms["demovm"].services["Guest Service Interface"].enable().enabled
...     guest = host.vms["backup"].guest(credential=hv.Credential("Administrator", "Guest-Passw0rd"))
...     guest.services["VSS"].start().running
True
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hvintegration import errors, simulator
    from hvintegration.addresses import transport_for
    from hvintegration.calls.call import Call
    from hvintegration.clock import Clock, Deadline, SystemClock, Timeout, VirtualClock
    from hvintegration.connecting import connect, connect_guest
    from hvintegration.credential import Credential
    from hvintegration.diagnosis import RULES, Rule, diagnose
    from hvintegration.findings import Acceptance, Audit, AuditChanges, Diagnosis, End, Finding, Fix, Severity
    from hvintegration.guest import Guest, GuestService, GuestServices
    from hvintegration.guest_models import (
        GuestChange,
        GuestFamily,
        GuestInfo,
        GuestInventory,
        GuestServiceState,
        Startup,
    )
    from hvintegration.host import Host, VMs
    from hvintegration.integration_service import IntegrationService
    from hvintegration.models import (
        ChangeOutcome,
        CheckOutcome,
        CheckStep,
        Health,
        HostCheck,
        HostInfo,
        Inventory,
        OperationalStatus,
        ServiceChange,
        ServiceState,
        VMInfo,
        VMInventory,
    )
    from hvintegration.requested_changes import RequestedChange, RequestedChanges
    from hvintegration.scripts import Script
    from hvintegration.scripts.offline_update import offline_update_script
    from hvintegration.service_kind import Impact, ServiceKind
    from hvintegration.session import Session, SessionStats
    from hvintegration.simulator import Simulator, World
    from hvintegration.transports.base import Checkable, Transport
    from hvintegration.transports.local.transport import Local
    from hvintegration.transports.recording.recorder import Recorder
    from hvintegration.transports.recording.replay import Replay
    from hvintegration.transports.ssh.transport import SSH
    from hvintegration.transports.winrm.transport import WinRM
    from hvintegration.update_tables import UpdateGeneration, UpdateMechanism
    from hvintegration.updates import GuestPackage, UpdateAdvice, update_advice
    from hvintegration.values import Failure, Rows
    from hvintegration.vm import VM, VMServices

__all__ = [
    "RULES",
    "SSH",
    "VM",
    "Acceptance",
    "Audit",
    "AuditChanges",
    "Call",
    "ChangeOutcome",
    "CheckOutcome",
    "CheckStep",
    "Checkable",
    "Clock",
    "Credential",
    "Deadline",
    "Diagnosis",
    "End",
    "Failure",
    "Finding",
    "Fix",
    "Guest",
    "GuestChange",
    "GuestFamily",
    "GuestInfo",
    "GuestInventory",
    "GuestPackage",
    "GuestService",
    "GuestServiceState",
    "GuestServices",
    "Health",
    "Host",
    "HostCheck",
    "HostInfo",
    "Impact",
    "IntegrationService",
    "Inventory",
    "Local",
    "OperationalStatus",
    "Recorder",
    "Replay",
    "RequestedChange",
    "RequestedChanges",
    "Rows",
    "Rule",
    "Script",
    "ServiceChange",
    "ServiceKind",
    "ServiceState",
    "Session",
    "SessionStats",
    "Severity",
    "Simulator",
    "Startup",
    "SystemClock",
    "Timeout",
    "Transport",
    "UpdateAdvice",
    "UpdateGeneration",
    "UpdateMechanism",
    "VMInfo",
    "VMInventory",
    "VMServices",
    "VMs",
    "VirtualClock",
    "WinRM",
    "World",
    "connect",
    "connect_guest",
    "diagnose",
    "errors",
    "offline_update_script",
    "simulator",
    "transport_for",
    "update_advice",
]

_HOMES = {
    "Acceptance": "hvintegration.findings",
    "Audit": "hvintegration.findings",
    "AuditChanges": "hvintegration.findings",
    "Call": "hvintegration.calls.call",
    "ChangeOutcome": "hvintegration.models",
    "CheckOutcome": "hvintegration.models",
    "CheckStep": "hvintegration.models",
    "Checkable": "hvintegration.transports.base",
    "Clock": "hvintegration.clock",
    "Credential": "hvintegration.credential",
    "Deadline": "hvintegration.clock",
    "Diagnosis": "hvintegration.findings",
    "End": "hvintegration.findings",
    "Failure": "hvintegration.values",
    "Finding": "hvintegration.findings",
    "Fix": "hvintegration.findings",
    "Guest": "hvintegration.guest",
    "GuestChange": "hvintegration.guest_models",
    "GuestFamily": "hvintegration.guest_models",
    "GuestInfo": "hvintegration.guest_models",
    "GuestInventory": "hvintegration.guest_models",
    "GuestPackage": "hvintegration.updates",
    "GuestService": "hvintegration.guest",
    "GuestServiceState": "hvintegration.guest_models",
    "GuestServices": "hvintegration.guest",
    "Health": "hvintegration.models",
    "Host": "hvintegration.host",
    "HostCheck": "hvintegration.models",
    "HostInfo": "hvintegration.models",
    "Impact": "hvintegration.service_kind",
    "IntegrationService": "hvintegration.integration_service",
    "Inventory": "hvintegration.models",
    "Local": "hvintegration.transports.local.transport",
    "OperationalStatus": "hvintegration.models",
    "Recorder": "hvintegration.transports.recording.recorder",
    "Replay": "hvintegration.transports.recording.replay",
    "RequestedChange": "hvintegration.requested_changes",
    "RequestedChanges": "hvintegration.requested_changes",
    "SSH": "hvintegration.transports.ssh.transport",
    "RULES": "hvintegration.diagnosis",
    "Rows": "hvintegration.values",
    "Rule": "hvintegration.diagnosis",
    "Script": "hvintegration.scripts",
    "ServiceChange": "hvintegration.models",
    "ServiceKind": "hvintegration.service_kind",
    "ServiceState": "hvintegration.models",
    "Session": "hvintegration.session",
    "SessionStats": "hvintegration.session",
    "Severity": "hvintegration.findings",
    "Simulator": "hvintegration.simulator",
    "Startup": "hvintegration.guest_models",
    "SystemClock": "hvintegration.clock",
    "Timeout": "hvintegration.clock",
    "Transport": "hvintegration.transports.base",
    "UpdateAdvice": "hvintegration.updates",
    "UpdateGeneration": "hvintegration.update_tables",
    "UpdateMechanism": "hvintegration.update_tables",
    "VM": "hvintegration.vm",
    "VMInfo": "hvintegration.models",
    "VMInventory": "hvintegration.models",
    "VMServices": "hvintegration.vm",
    "VMs": "hvintegration.host",
    "VirtualClock": "hvintegration.clock",
    "WinRM": "hvintegration.transports.winrm.transport",
    "World": "hvintegration.simulator",
    "connect": "hvintegration.connecting",
    "connect_guest": "hvintegration.connecting",
    "diagnose": "hvintegration.diagnosis",
    "offline_update_script": "hvintegration.scripts.offline_update",
    "transport_for": "hvintegration.addresses",
    "update_advice": "hvintegration.updates",
}
"""Where each public name lives. It is loaded when it is first used: importing the package loads nothing."""


def __getattr__(name: str) -> object:
    import importlib

    if name == "__version__":
        import importlib.metadata

        return importlib.metadata.version("hvintegration")
    if name in {"errors", "simulator"}:
        return importlib.import_module(f"hvintegration.{name}")
    if name in _HOMES:
        value: object = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
