"""The frozen values that users read of a guest, in one vocabulary for Windows and Linux. Decides health there."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import ClassVar, Final

import attrs

from hvintegration.display import Cell, Table
from hvintegration.models import ChangeOutcome, Health
from hvintegration.service_kind import ServiceKind
from hvintegration.values import Failure, Rows, Value

__all__ = ["GuestChange", "GuestFamily", "GuestInfo", "GuestInventory", "GuestServiceState", "Startup"]


class GuestFamily(enum.StrEnum):
    """What kind of system a guest is."""

    WINDOWS = "windows"
    LINUX = "linux"
    FREEBSD = "freebsd"


class Startup(enum.StrEnum):
    """How a service comes to run.

    Members:
        AUTOMATIC: When the guest starts.
        TRIGGERED: When the host offers it: ``Manual (Trigger Start)`` in Windows, as integration services usually are.
        MANUAL: When somebody starts it.
        DISABLED: Not at all: it cannot be started.
    """

    AUTOMATIC = "automatic"
    TRIGGERED = "triggered"
    MANUAL = "manual"
    DISABLED = "disabled"


@attrs.frozen(kw_only=True)
class GuestInfo(Value):
    r"""A guest, as it describes itself. What could not be found out is None.

    Attributes:
        address: How it was reached.
        family: What kind of system it is.
        name: Its own computer name.
        caption: Such as ``Microsoft Windows Server 2022 Datacenter``, in the guest's language.
        os_version: Such as ``10.0.20348``.
        os_build: Such as ``20348``.
        vm_id: GUID of the virtual machine that it takes itself for, lower case without braces. The host tells it over
            Data Exchange (``SOFTWARE\Microsoft\Virtual Machine\Guest\Parameters`` in the registry of Windows): None
            where that never worked.
        vm_name: Name of that virtual machine, likewise.
        host_name: Name of the host, likewise.
        integration_services_version: Version of its integration services.
        administrator: Whether this user is an administrator there, who may start and stop services.
        powershell_version: Version of the PowerShell that answered.
        powershell_edition: ``Desktop`` for Windows PowerShell, ``Core`` for PowerShell 7.
        language_mode: ``FullLanguage`` or ``ConstrainedLanguage``.
        on_hyperv: Whether the machine runs on Hyper-V, as far as its kernel and its firmware tell; None on Windows.
        uptime: Seconds since it was started.
        domain_controller: Whether it is one; None on Linux.
        time_sources: What sets its clock, as that system calls it, such as ``chronyd`` or ``NTP``; also where that has
            the time from the host: ``chronyd (PTP hyperv)``, ``VMICTimeProvider``.
        helper_scripts: Paths of the scripts that are there by which the daemon of Data Exchange reads and sets
            addresses; None on Windows.
        readable_pools: Paths of the files of Data Exchange that everybody on that system may read; None on Windows.
        read_at: When it was read, in UTC.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Guest", "Family", "System", "Version", "VM", "Administrator")
    _always_there: ClassVar[frozenset[str]] = frozenset(
        {"name", "caption", "os_version", "os_build", "vm_id", "vm_name", "host_name", "administrator"}
    )

    address: str
    family: GuestFamily
    name: str | None
    caption: str | None
    os_version: str | None
    os_build: str | None
    vm_id: str | None
    vm_name: str | None
    host_name: str | None
    integration_services_version: str | None
    administrator: bool | None
    powershell_version: str | None
    powershell_edition: str | None
    language_mode: str | None
    on_hyperv: bool | None = None
    uptime: int | None = attrs.field(default=None, eq=False)
    domain_controller: bool | None = None
    time_sources: tuple[str, ...] | None = None
    helper_scripts: tuple[str, ...] | None = None
    readable_pools: tuple[str, ...] | None = None
    read_at: datetime = attrs.field(eq=False)

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (
            self._shown("name", self.name),
            self.family.value,
            self._shown("caption", self.caption),
            self._shown("os_version", self.os_version),
            self._shown("vm_name", self.vm_name),
            self._shown("administrator", self.administrator),
        )


@attrs.frozen(kw_only=True)
class GuestServiceState(Value):
    """An integration service inside a guest, as the guest sees it. What could not be found out is None, never False.

    Attributes:
        address: How the guest was reached.
        kind: Which service; None for one of Windows' ``vmic`` services that this version of the package does not know.
        name: What the guest calls it: the name of a Windows service or of a Linux daemon.
        display_name: What people are shown there, in the guest's language.
        installed: Whether it is there.
        running: Whether it runs.
        status: What the guest says of that, such as ``Running`` or ``StartPending``.
        startup: How it comes to run.
        pid: Process that it runs in. Several services of Windows share one.
        program: What is run, as the guest has it.
        version: Version of the component, or of the package that it is from.
        account: Account that it runs as.
        requires: Names of the services that it needs.
        device: Whether the device that it serves is there; None on Windows.
        offered: Whether the host offers it, as the guest sees it; None on Windows, which does not say.
        by_hand: Whether it runs without the unit that is there for it, so that stopping the unit does not end it; None
            on Windows.
        last_words: What it said last before it failed; None if it did not, or if that is not known.
        package: The package that it is from, or would be; None on Windows.
        packaged: Whether its system has a package of it, or has it itself; None if that is not known, as on Windows.
        available_version: What could be installed of that package, as far as its manager knows without asking the net;
            only where the guest itself was asked for as well, for that may take a second.
        cannot_start: Why it cannot be started here, in a sentence; None if nothing is known to be against it.
        cannot_stop: Why it cannot be stopped here, likewise.
        read_at: When it was read, in UTC.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Service", "Name", "Installed", "Running", "Startup", "Health", "PID")
    _derived: ClassVar[tuple[str, ...]] = ("health",)
    _always_there: ClassVar[frozenset[str]] = frozenset({"installed", "running", "startup"})

    address: str
    kind: ServiceKind | None
    name: str
    display_name: str | None = None
    installed: bool | None
    running: bool | None
    status: str | None = None
    startup: Startup | None = None
    pid: int | None = None
    program: str | None = None
    version: str | None = None
    account: str | None = None
    requires: tuple[str, ...] | None = None
    device: bool | None = None
    offered: bool | None = None
    by_hand: bool | None = None
    last_words: str | None = None
    package: str | None = None
    packaged: bool | None = None
    available_version: str | None = attrs.field(default=None, eq=False)
    cannot_start: str | None = None
    cannot_stop: str | None = None
    read_at: datetime = attrs.field(eq=False)

    @property
    def health(self) -> Health:
        """What the state means, in the words that a host's services have; the first that fits.

        ========================================================================= ===========
        state                                                                     health
        ========================================================================= ===========
        the host does not offer it                                                disabled
        it runs, and its device is there or nothing is known of one               ok
        it runs, and its device is not there                                      problem
        it is not installed though the host offers it                             problem
        it is not installed                                                       disabled
        whether it runs is not known                                              unknown
        it does not run, and is not to be started                                 disabled
        it does not run though the host offers it                                 problem
        it does not run, and nothing says whether the host offers it              not_running
        ========================================================================= ===========
        """
        if self.offered is False:
            return Health.DISABLED
        if self.running:
            return Health.OK if self.device is not False else Health.PROBLEM
        if self.installed is False:
            return Health.PROBLEM if self.offered else Health.DISABLED
        if self.running is None:
            return Health.UNKNOWN
        if self.startup is Startup.DISABLED:
            return Health.DISABLED
        return Health.PROBLEM if self.offered else Health.NOT_RUNNING

    @property
    def notes(self) -> tuple[str, ...]:
        """What the state means beyond its health, in English sentences; empty if there is nothing to say."""
        found: list[str] = []
        if self.installed is False:
            found.append("It is not installed.")
        elif self.startup is Startup.DISABLED:
            found.append("It is disabled in the guest: Hyper-V cannot start it.")
        elif self.running is False:
            found.append(_NOT_RUNNING[self.offered])
        return tuple(found)

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (
            self.kind.label if self.kind is not None else self.display_name,
            self.name,
            self._shown("installed", self.installed),
            self._shown("running", self.running),
            None if self.installed is False else self._shown("startup", self.startup and self.startup.value),
            self.health.value,
            self.pid,
        )


_NOT_RUNNING: Final = {
    None: "Hyper-V starts it again while it is enabled on the host; where it is disabled there, it cannot run.",
    True: "The host offers it, and nothing in the guest serves it.",
    False: "The host does not offer it, and it cannot run.",
}
"""What it means that a service does not run, by whether the host offers it."""


@attrs.frozen(kw_only=True)
class GuestChange(Value):
    """A requested change of a service inside a guest, and what became of it.

    Attributes:
        address: How the guest was reached.
        kind: Which service.
        action: What was asked for: ``start``, ``stop``, ``restart``, ``automatic``, ``manual``, ``disabled`` or
            ``install``.
        outcome: What became of it.
        before: How it was before: ``Running`` or the like, or how it came to run; None if that is not known.
        state: The state after, or None if it could not be read.
        error: Why it failed or could not be read, or None.
        command: What root runs there to install it, or would run; None for any other action.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Service", "Wanted", "Outcome", "Health", "Error")

    address: str
    kind: ServiceKind
    action: str
    outcome: ChangeOutcome
    before: str | None
    state: GuestServiceState | None
    error: Failure | None
    command: str | None = None

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (
            self.kind.label,
            self.action,
            self.outcome.value,
            self.state.health.value if self.state is not None else None,
            self.error.message or self.error.error_id if self.error is not None else None,
        )


@attrs.frozen(kw_only=True)
class GuestInventory(Value):
    """A guest with its integration services, and what could not be read.

    Attributes:
        info: The guest.
        services: Its integration services.
        errors: One entry for each thing that could not be read.
        read_at: When it was read, in UTC.
    """

    info: GuestInfo
    services: Rows[GuestServiceState]
    errors: Rows[Failure]
    read_at: datetime = attrs.field(eq=False)

    def table(self) -> Table:
        """One row per service; errors are notes below it."""
        return Rows(GuestServiceState, self.services, self.errors).table()
