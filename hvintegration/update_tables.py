"""How integration services are kept current, as Microsoft has published it twice: the tables of both, as data.

The page "Manage Hyper-V Integration Services" exists in two generations that disagree. What neither has is not here.
"""

from __future__ import annotations

import enum
from typing import Final

import attrs

__all__ = [
    "AFTER_SETUP",
    "BUILT_IN",
    "CABINETS",
    "CABINET_SOURCE",
    "HOSTS",
    "OFFLINE",
    "TABLE_SOURCES",
    "BuiltIn",
    "Entry",
    "Hosts",
    "Row",
    "UpdateGeneration",
    "UpdateMechanism",
]


class UpdateMechanism(enum.StrEnum):
    """How a guest's integration services are kept current.

    Members:
        WINDOWS_UPDATE: Windows Update in the guest brings them.
        INTEGRATION_SERVICES_DISK: The setup disk of the host (vmguest.iso) is inserted and its setup run in the guest.
        PACKAGE_MANAGER: The package manager of the Linux distribution brings them.
        BUILT_IN: They are part of the guest's system.
        UNKNOWN: No source says it of this host and this guest.
    """

    WINDOWS_UPDATE = "windows_update"
    INTEGRATION_SERVICES_DISK = "integration_services_disk"
    PACKAGE_MANAGER = "package_manager"
    BUILT_IN = "built_in"
    UNKNOWN = "unknown"


class UpdateGeneration(enum.StrEnum):
    """Which of the two published tables counts.

    Members:
        CURRENT: Those of the page as it is now.
        OF_2015: Those of the page from 2015 to 2019.
    """

    CURRENT = "current"
    OF_2015 = "2015"


@attrs.frozen
class Entry:
    """What one generation says of a guest on a host.

    Attributes:
        mechanism: How they are kept current.
        needs_data_exchange: Whether that needs the service Data Exchange; None if this generation does not say so and
            the other one does.
        note: What else the table says of it.
    """

    mechanism: UpdateMechanism
    needs_data_exchange: bool | None = False
    note: str | None = None


@attrs.frozen(kw_only=True)
class Row:
    """What both generations say of a guest on the hosts of a table.

    Attributes:
        guest: Name of the product, or ``Linux``.
        service_packs: Those that the table has; empty if it names none.
        current: What the page says now.
        of_2015: What it said in 2015.
    """

    guest: str
    service_packs: tuple[int, ...] = ()
    current: Entry
    of_2015: Entry

    def entry(self, generation: UpdateGeneration) -> Entry:
        """What that generation says."""
        return self.current if generation is UpdateGeneration.CURRENT else self.of_2015


@attrs.frozen(kw_only=True)
class Hosts:
    """Hosts that have a table in common, and that table.

    Attributes:
        title: What the hosts are called together.
        names: Names of their products.
        rows: A row for each guest.
    """

    title: str
    names: tuple[str, ...]
    rows: tuple[Row, ...]

    def row(self, guest: str) -> Row | None:
        """The row of a guest; None if the table has none."""
        return next((row for row in self.rows if row.guest == guest), None)


@attrs.frozen(kw_only=True)
class BuiltIn:
    """A guest that is on no table, and whose system has its integration services built in.

    Attributes:
        guest: Name of the product.
        source: Where that is said.
        unsupported: Names of the hosts with the newest table that it is not supported on.
        note: What else is said of it.
    """

    guest: str
    source: str
    unsupported: tuple[str, ...] = ()
    note: str | None = None


_UPDATE: Final = Entry(UpdateMechanism.WINDOWS_UPDATE)
_UPDATE_WITH_KVP: Final = Entry(UpdateMechanism.WINDOWS_UPDATE, needs_data_exchange=True)
_DISK: Final = Entry(UpdateMechanism.INTEGRATION_SERVICES_DISK)
_PACKAGES: Final = Entry(
    UpdateMechanism.PACKAGE_MANAGER,
    note="Integration services for Linux are built into the distribution; optional updates may be available.",
)


def _both(guest: str, entry: Entry, *service_packs: int) -> Row:
    return Row(guest=guest, service_packs=service_packs, current=entry, of_2015=entry)


def _noted(guest: str, note: str, *service_packs: int) -> Row:
    """A row whose remark on Data Exchange has given way to another one."""
    return Row(
        guest=guest,
        service_packs=service_packs,
        current=Entry(UpdateMechanism.WINDOWS_UPDATE, needs_data_exchange=None, note=note),
        of_2015=_UPDATE_WITH_KVP,
    )


def _now_by_disk(guest: str) -> Row:
    return Row(guest=guest, current=_DISK, of_2015=_UPDATE)


_CHANNEL: Final = "Windows Server, Semi-Annual Channel"

_BY_DISK: Final = (
    _now_by_disk("Windows 8.1"),
    _both("Windows 8", _DISK),
    _both("Windows 7", _DISK),
    _both("Windows Vista", _DISK, 2),
    _both("Windows XP", _DISK, 2, 3),
    _now_by_disk("Windows Server 2012 R2"),
    _both("Windows Server 2012", _DISK),
    _both("Windows Server 2008 R2", _DISK),
    _both("Windows Server 2008", _DISK, 2),
    _both("Windows Home Server 2011", _DISK),
    _both("Windows Small Business Server 2011", _DISK),
    _both("Windows Server 2003 R2", _DISK, 2),
    _both("Windows Server 2003", _DISK, 2),
    _both("Linux", _PACKAGES),
)
"""What the tables of the two older hosts have in common."""

HOSTS: Final = (
    Hosts(
        title="Windows 10, Windows Server 2016 and later",
        names=(
            "Windows 10",
            "Windows 11",
            "Windows Server 2016",
            _CHANNEL,
            "Windows Server 2019",
            "Windows Server 2022",
            "Windows Server 2025",
        ),
        rows=(
            _both("Windows 10", _UPDATE),
            _both("Windows 8.1", _UPDATE),
            _both("Windows 8", _UPDATE_WITH_KVP),
            _both("Windows 7", _UPDATE_WITH_KVP),
            _both("Windows Vista", _UPDATE_WITH_KVP, 2),
            _both("Windows Server 2016", _UPDATE),
            _both(_CHANNEL, _UPDATE),
            _both("Windows Server 2012 R2", _UPDATE),
            _both("Windows Server 2012", _UPDATE_WITH_KVP),
            _both("Windows Server 2008 R2", _UPDATE_WITH_KVP, 1),
            _noted("Windows Server 2008", "Extended support only in Windows Server 2016.", 2),
            _noted("Windows Home Server 2011", "Will not be supported in Windows Server 2016."),
            _noted("Windows Small Business Server 2011", "Not under mainstream support."),
            _both("Linux", _PACKAGES),
        ),
    ),
    Hosts(
        title="Windows 8.1 and Windows Server 2012 R2",
        names=("Windows 8.1", "Windows Server 2012 R2"),
        rows=(
            _both("Windows 10", _UPDATE),
            _both("Windows Server 2016", _UPDATE),
            _both(_CHANNEL, _UPDATE),
            *_BY_DISK,
        ),
    ),
    Hosts(
        title="Windows 8 and Windows Server 2012",
        names=("Windows 8", "Windows Server 2012"),
        rows=_BY_DISK,
    ),
)
"""The tables, by host. Windows Server 2022 and 2025 have none of their own: the first one is theirs."""

_DOCS: Final = "https://learn.microsoft.com/windows-server/virtualization/hyper-v"
_REPOSITORY: Final = "MicrosoftDocs/windowsserverdocs"

TABLE_SOURCES: Final = {
    UpdateGeneration.CURRENT: f"{_DOCS}/manage/manage-hyper-v-integration-services ({_REPOSITORY}@047dddc6)",
    UpdateGeneration.OF_2015: f"{_DOCS}/manage/manage-hyper-v-integration-services as it was from 2015 to 2019 "
    f"({_REPOSITORY}@360f5b58)",
}
"""Where the tables of each generation are from."""

SUPPORT_SOURCE: Final = (
    f"{_DOCS}/supported-windows-guest-operating-systems-for-hyper-v-on-windows ({_REPOSITORY}@01d8846c)"
)
"""The page on supported guests: it has what is built in, and the hosts that a guest is supported on."""

CABINET_SOURCE: Final = (
    "https://techcommunity.microsoft.com/t5/virtualization/"
    "integration-components-available-for-virtual-machines-not/ba-p/382247"
)
"""Where applying a cabinet file is described."""

BUILT_IN: Final = (
    BuiltIn(guest="Windows Server 2019", source=SUPPORT_SOURCE),
    BuiltIn(
        guest="Windows Server 2022",
        source=SUPPORT_SOURCE,
        unsupported=("Windows Server 2016",),
        note="Supported on Windows Server 2019 and later.",
    ),
    BuiltIn(
        guest="Windows Server 2025",
        source=SUPPORT_SOURCE,
        unsupported=("Windows Server 2016", "Windows Server 2019"),
        note="Supported on Windows Server 2022 and later.",
    ),
    BuiltIn(
        guest="Windows 11",
        source=SUPPORT_SOURCE,
        unsupported=("Windows Server 2016",),
        note="Supported on Windows Server 2019 and later, as a virtual machine of generation 2.",
    ),
    BuiltIn(
        guest="FreeBSD",
        source=f"{_DOCS}/supported-freebsd-virtual-machines-on-hyper-v ({_REPOSITORY}@031ea966)",
        note="Built in from FreeBSD 10.0 on; before, they are among the ports.",
    ),
)
"""Guests that the tables do not have, and of which another page says that integration services are built in. These
pages came later than the tables of 2015, and count for the hosts of the first table."""

AFTER_SETUP: Final = {
    **dict.fromkeys(
        ("Windows 10", "Windows 8.1", "Windows Server 2016", "Windows Server 2012 R2", "Windows Server 2012"),
        "its integration services are built in",
    ),
    **dict.fromkeys(
        ("Windows Server 2008 R2", "Windows Server 2008"),
        "install all critical updates after it was set up",
    ),
    "Windows 7": "upgrade its integration services after it was set up",
}
"""What the page on supported guests, on the hosts of the first table, says of guests that the tables have."""

CABINETS: Final = {
    **dict.fromkeys(("Windows 8", "Windows Server 2012"), "windows6.2-hypervintegrationservices"),
    **dict.fromkeys(
        (
            "Windows 7",
            "Windows Vista",
            "Windows Server 2008 R2",
            "Windows Server 2008",
            "Windows Home Server 2011",
            "Windows Small Business Server 2011",
        ),
        "windows6.x-hypervintegrationservices",
    ),
}
"""The cabinet file of KB3071740 for each guest, without the processor (``-x64.cab`` or ``-x86.cab``)."""

OFFLINE: Final = frozenset({"Windows 7", "Windows 8", "Windows Server 2008 R2", "Windows Server 2012"})
"""Guests to whose disk a cabinet file of the host can be added while they are off."""
