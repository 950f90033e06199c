"""What the package answers with: frozen values that can be compared, pickled, shown and turned into dictionaries.

Two values are equal when they say the same; when they were read (``read_at``) does not count.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import ClassVar

import attrs

from hvintegration.display import Cell, Table
from hvintegration.plain import Plain
from hvintegration.service_kind import ServiceKind
from hvintegration.values import NOT_KNOWN, Failure, Rows, Value, plain

__all__ = [
    "ChangeOutcome",
    "CheckOutcome",
    "CheckStep",
    "Health",
    "HostCheck",
    "HostInfo",
    "Inventory",
    "OperationalStatus",
    "ServiceChange",
    "ServiceState",
    "VMInfo",
    "VMInventory",
    "without_guest",
]


class OperationalStatus(enum.StrEnum):
    """Member names of ``VMIntegrationComponentOperationalStatus``, as module 2.0 of Hyper-V has them.

    A status is a ``str``; one that is not listed here is kept as the host wrote it.
    """

    OK = "Ok"
    DEGRADED = "Degraded"
    ERROR = "Error"
    NON_RECOVERABLE_ERROR = "NonRecoverableError"
    NO_CONTACT = "NoContact"
    LOST_COMMUNICATION = "LostCommunication"
    PROTOCOL_MISMATCH = "ProtocolMismatch"
    APPLICATION_CRITICAL = "ApplicationCritical"
    COMMUNICATION_TIMED_OUT = "CommunicationTimedOut"
    COMMUNICATION_FAILED = "CommunicationFailed"
    DISABLED = "Disabled"


class Health(enum.StrEnum):
    """What a service's state means.

    Members:
        OK: Enabled and working; older protocol versions included.
        PROBLEM: Enabled, and the guest's side does not answer or reports an error.
        DISABLED: Switched off on the host, whatever its status says.
        NOT_RUNNING: Enabled, but the virtual machine does not run.
        UNKNOWN: Enabled, and the host reports nothing, or something that has no known meaning. Also if the host gave no
            value for whether it is enabled, or for the virtual machine's state.
    """

    OK = "ok"
    PROBLEM = "problem"
    DISABLED = "disabled"
    NOT_RUNNING = "not_running"
    UNKNOWN = "unknown"


class ChangeOutcome(enum.StrEnum):
    """What became of a requested change.

    Members:
        CHANGED: It was made. ``state`` was read later: it differs if somebody else switched the service since.
        UNCHANGED: The service was already as wanted.
        WOULD_CHANGE: A dry run found that it would be made.
        CONFIRMED: The service is as wanted, but the host's answer was lost or was an error, so it is not known
            whether this call made it so.
        FAILED: It was not made; ``error`` says why. Of what could not be read nothing is changed.
    """

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WOULD_CHANGE = "would_change"
    CONFIRMED = "confirmed"
    FAILED = "failed"


class CheckOutcome(enum.StrEnum):
    """What became of a step of a check.

    Members:
        OK: It was taken.
        FAILED: It was not; ``detail`` says why, ``hint`` what to do.
        SKIPPED: It was not tried, because one before it failed or left nothing to look at.
    """

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@attrs.frozen(kw_only=True)
class HostInfo(Value):
    """A Hyper-V host.

    Attributes:
        name: Its computer name; None if the host gave no value.
        os_caption: Such as ``Microsoft Windows Server 2022 Datacenter``, in the host's language; None if the caller
            may not know.
        os_version: Such as ``10.0.20348``; None likewise.
        os_build: Such as ``20348``; None likewise.
        language: Display language of the host, such as ``de-DE``; None likewise. Service names are in it.
        module_version: Version of the Hyper-V module for PowerShell; None if PowerShell does not say.
        powershell_version: Version of the PowerShell that answered.
        powershell_edition: ``Desktop`` for Windows PowerShell, ``Core`` for PowerShell 7.
        language_mode: ``FullLanguage`` or ``ConstrainedLanguage``.
        read_at: When it was read, in UTC.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Host", "System", "Version", "Language", "Hyper-V module", "PowerShell")

    _always_there: ClassVar[frozenset[str]] = frozenset({"name", "module_version"})

    name: str | None
    os_caption: str | None
    os_version: str | None
    os_build: str | None
    language: str | None
    module_version: str | None
    powershell_version: str
    powershell_edition: str
    language_mode: str
    read_at: datetime = attrs.field(eq=False)

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (
            self._shown("name", self.name),
            self.os_caption,
            self.os_version,
            self.language,
            self._shown("module_version", self.module_version),
            self.powershell_version,
        )


@attrs.frozen(kw_only=True)
class VMInfo(Value):
    """A virtual machine, as its host describes it.

    What the host gave no value for is None, never empty or zero: of a live object, PowerShell gives nothing, and says
    nothing, where reading fails.

    Attributes:
        id: GUID, lower case without braces.
        name: Its name. Names can repeat on a host.
        state: Member name of ``VMState``, such as ``Running``, ``Off``, ``Saved`` or ``Paused``.
        status: The host's sentence on it, in the host's language.
        heartbeat: Member name of ``VMHeartbeatStatus``, such as ``OkApplicationsHealthy``; None also if it is off.
        generation: 1 or 2.
        version: Configuration version, such as ``10.0``.
        uptime: Seconds since it was started; 0 if it does not run.
        notes: Free text that somebody wrote about it.
        addresses: IP addresses that the guest reports; none without Data Exchange.
        clustered: Whether it is a clustered role.
        integration_services_version: Version of the guest's integration services; None also if the host does not know
            it, as is the case on Windows Server 2016 and later, where Hyper-V always shows ``0.0``.
        checkpoint_type: Member name of ``CheckpointType``: ``Production``, ``ProductionOnly``, ``Standard`` or
            ``Disabled``; None if the host gave no value.
        read_at: When it was read, in UTC.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("VM", "State", "Heartbeat", "Addresses", "Id", "Generation", "Version")
    _always_there: ClassVar[frozenset[str]] = frozenset(
        {"state", "status", "generation", "version", "uptime", "notes", "addresses", "clustered"}
    )

    id: str
    name: str
    state: str | None
    status: str | None
    heartbeat: str | None
    generation: int | None
    version: str | None
    uptime: int | None
    notes: str | None
    addresses: tuple[str, ...] | None
    clustered: bool | None
    integration_services_version: str | None
    checkpoint_type: str | None = None
    read_at: datetime = attrs.field(eq=False)

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (
            self.name,
            self._shown("state", self.state),
            self._shown("heartbeat", self.heartbeat),
            self._shown("addresses", plain(self.addresses)),
            self.id,
            self._shown("generation", self.generation),
            self._shown("version", self.version),
        )

    def _shown(self, name: str, value: Plain) -> Cell:
        if name == "heartbeat" and value is None and self.state in {None, "Running"}:
            return NOT_KNOWN
        return super()._shown(name, value)


_STATES_WITHOUT_GUEST = frozenset({"Off", "Saved", "FastSaved", "Paused", "Hibernated"})
"""Member names of ``VMState`` in which nothing runs inside; they can be followed by ``Critical``."""


def without_guest(state: str | None) -> bool:
    """Whether nothing runs inside a virtual machine in that state. If it is not known, something may."""
    return state is not None and state.removesuffix("Critical") in _STATES_WITHOUT_GUEST


_HEALTH: dict[str | None, Health] = {
    OperationalStatus.OK: Health.OK,
    OperationalStatus.DEGRADED: Health.OK,
    OperationalStatus.PROTOCOL_MISMATCH: Health.OK,
    OperationalStatus.ERROR: Health.PROBLEM,
    OperationalStatus.NON_RECOVERABLE_ERROR: Health.PROBLEM,
    OperationalStatus.NO_CONTACT: Health.PROBLEM,
    OperationalStatus.LOST_COMMUNICATION: Health.PROBLEM,
    OperationalStatus.APPLICATION_CRITICAL: Health.PROBLEM,
    OperationalStatus.COMMUNICATION_TIMED_OUT: Health.PROBLEM,
    OperationalStatus.COMMUNICATION_FAILED: Health.PROBLEM,
}

_NOTES: dict[str | None, str] = {
    OperationalStatus.DEGRADED: "The guest's service speaks an older protocol version; it works.",
    OperationalStatus.PROTOCOL_MISMATCH: (
        "Host and guest have different protocol versions; expected with guests older than the host (KB4014894)."
    ),
    OperationalStatus.NO_CONTACT: "The guest's service is not installed, not running, or has not answered yet.",
    OperationalStatus.LOST_COMMUNICATION: "The guest's service answered before and no longer does.",
    OperationalStatus.NON_RECOVERABLE_ERROR: "The guest does not support a compatible protocol version.",
    OperationalStatus.APPLICATION_CRITICAL: "An application in the guest reports a critical state.",
    OperationalStatus.COMMUNICATION_TIMED_OUT: "Communication with the guest timed out.",
    OperationalStatus.COMMUNICATION_FAILED: "Communication with the guest failed.",
}


@attrs.frozen(kw_only=True)
class ServiceState(Value):
    """An integration service of a virtual machine, as its host sees it.

    Attributes:
        vm_id: GUID of the virtual machine, lower case without braces.
        vm_name: Name of the virtual machine.
        vm_state: Its state, such as ``Running``; None if the host gave no value.
        kind: Which service; None for a component that this version of the package does not know.
        component_id: GUID of the component, lower case without braces.
        name: What the host calls it, in the host's language; None if the host gave no value.
        enabled: Whether it is switched on, on the host; None if the host gave no value, which is not the same as False.
        primary: Primary operational status, a member name of :class:`OperationalStatus` or what else the host wrote;
            None if there is none, as for a virtual machine that is off.
        primary_text: The host's text for it, in the host's language; never used for a decision.
        secondary: Secondary operational status, likewise.
        secondary_text: The host's text for it.
        read_at: When it was read, in UTC.
    """

    table_columns: ClassVar[tuple[str, ...]] = (
        "VM",
        "Service",
        "Enabled",
        "Health",
        "Primary",
        "Secondary",
        "Name on the host",
    )
    _derived: ClassVar[tuple[str, ...]] = ("health",)
    _always_there: ClassVar[frozenset[str]] = frozenset({"vm_state", "name", "enabled"})

    vm_id: str
    vm_name: str
    vm_state: str | None
    kind: ServiceKind | None
    component_id: str
    name: str | None
    enabled: bool | None
    primary: str | None
    primary_text: str | None
    secondary: str | None
    secondary_text: str | None
    read_at: datetime = attrs.field(eq=False)

    @property
    def health(self) -> Health:
        """What the state means; see :class:`Health`.

        Decided on the switch, the virtual machine's state and the statuses' member names, never on texts. Degraded and
        ProtocolMismatch do not count as problems: Microsoft documents both as working (``Msvm_HeartbeatComponent``,
        KB4014894).
        """
        if self.enabled is None or self.vm_state is None:
            return Health.UNKNOWN
        if not self.enabled:
            return Health.DISABLED
        if without_guest(self.vm_state):
            return Health.NOT_RUNNING
        primary = _HEALTH.get(self.primary, Health.UNKNOWN)
        if primary is Health.OK and _HEALTH.get(self.secondary) is Health.PROBLEM:
            return Health.PROBLEM
        return primary

    @property
    def notes(self) -> tuple[str, ...]:
        """What the statuses say, in English sentences; empty for a plain Ok."""
        unread = ("The host gave no value for Enabled.",) if self.enabled is None else ()
        return unread + tuple(_NOTES[status] for status in (self.primary, self.secondary) if status in _NOTES)

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        label = self.kind.label if self.kind is not None else self.component_id
        enabled, name = self._shown("enabled", self.enabled), self._shown("name", self.name)
        return (self.vm_name, label, enabled, self.health.value, self.primary, self.secondary, name)


@attrs.frozen(kw_only=True)
class ServiceChange(Value):
    """A requested change of a service, and what became of it.

    Attributes:
        vm_id: GUID of the virtual machine, lower case without braces.
        vm_name: Its name, or None if the host could not say.
        kind: Which service.
        enable: What was asked for: True to enable, False to disable.
        outcome: What became of it.
        before: Whether it was enabled before; None if that is not known.
        state: The state after, or None if it could not be read.
        error: Why it failed or could not be read, or None.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("VM", "Service", "Wanted", "Outcome", "Health", "Error")

    vm_id: str
    vm_name: str | None
    kind: ServiceKind
    enable: bool
    outcome: ChangeOutcome
    before: bool | None
    state: ServiceState | None
    error: Failure | None

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (
            self.vm_name or self.vm_id,
            self.kind.label,
            "enabled" if self.enable else "disabled",
            self.outcome.value,
            self.state.health.value if self.state is not None else None,
            self.error.message or self.error.error_id if self.error is not None else None,
        )


@attrs.frozen(kw_only=True)
class VMInventory(Value):
    """A virtual machine with its services.

    Attributes:
        info: The virtual machine.
        services: Its integration services.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("VM", "State", "Heartbeat", "Enabled", "Problems", "Id")

    info: VMInfo
    services: Rows[ServiceState]

    @property
    def id(self) -> str:
        """GUID of the virtual machine, lower case without braces."""
        return self.info.id

    @property
    def name(self) -> str:
        """Name of the virtual machine."""
        return self.info.name

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        problems = [state for state in self.services if state.health is Health.PROBLEM]
        name, state, heartbeat, *_ = self.info.table_row()
        enabled = f"{sum(state.enabled is True for state in self.services)} of {len(self.services)}"
        if unread := sum(state.enabled is None for state in self.services):
            enabled += f", {unread} {NOT_KNOWN}"
        labels = (
            state.kind.label if state.kind is not None else state.name or state.component_id for state in problems
        )
        return (name, state, heartbeat, enabled, ", ".join(labels), self.info.id)


@attrs.frozen(kw_only=True)
class Inventory(Value):
    """Every virtual machine of a host with its services, and what could not be read.

    Attributes:
        vms: The virtual machines that could be read.
        errors: One entry for each that could not, and for anything else that failed.
        read_at: When it was read, in UTC.
    """

    vms: Rows[VMInventory]
    errors: Rows[Failure]
    read_at: datetime = attrs.field(eq=False)

    @property
    def services(self) -> Rows[ServiceState]:
        """The services of all virtual machines in one sequence; its ``errors`` are those of the inventory."""
        return Rows(ServiceState, [state for vm in self.vms for state in vm.services], self.errors)

    def table(self) -> Table:
        """One row per virtual machine; errors are notes below it."""
        return Rows(VMInventory, self.vms, self.errors).table()


@attrs.frozen(kw_only=True)
class CheckStep(Value):
    """A step of a check.

    Attributes:
        name: What was looked at, such as ``TLS`` or ``rights``.
        outcome: What became of it.
        detail: What it found, or why it failed or was skipped. Parts of it can come from the host.
        hint: What to do, or None.
        seconds: How long it took.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Step", "Outcome", "Seconds", "Detail", "What to do")

    name: str
    outcome: CheckOutcome
    detail: str
    hint: str | None
    seconds: float = attrs.field(eq=False)

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (self.name, self.outcome.value, round(self.seconds, 3), self.detail, self.hint)


@attrs.frozen(kw_only=True)
class HostCheck(Value):
    """How far the way to a host's virtual machines leads, step by step.

    Attributes:
        address: The host.
        steps: All steps, in order. At most one has failed.
        read_at: When it was finished, in UTC.
    """

    _derived: ClassVar[tuple[str, ...]] = ("ok",)

    address: str
    steps: Rows[CheckStep]
    read_at: datetime = attrs.field(eq=False)

    @property
    def ok(self) -> bool:
        """Whether no step failed."""
        return self.failed is None

    @property
    def failed(self) -> CheckStep | None:
        """The step that failed, or None."""
        return next((step for step in self.steps if step.outcome is CheckOutcome.FAILED), None)

    def table(self) -> Table:
        """One row per step."""
        return self.steps.table()
