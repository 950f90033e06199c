"""The integration services, in no language: what each is called, where it lives and what depends on it.

Sources, per fact: component ids and WMI classes from Microsoft's WMI v2 reference ("Integration services classes") and
the ``Id`` property of real hosts; impact texts and versions from Microsoft's "Hyper-V integration services" reference;
Windows service names from the guests' service list; VMBus class and device ids, modules, daemons and device nodes from
the Linux kernel (``drivers/hv``, ``tools/hv``, ``include/linux/hyperv.h``).
"""

from __future__ import annotations

import enum
import functools
import unicodedata
from collections.abc import Iterator
from typing import Final

import attrs

from hvintegration.errors import UnknownServiceError
from hvintegration.service_names import GUEST_DISPLAY_NAMES, HOST_NAMES

__all__ = ["HOST_MANAGED", "Impact", "ServiceKind"]


class Impact(enum.StrEnum):
    """How much a virtual machine loses while a service is off, in Microsoft's words."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    VARIES = "varies"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class _Facts:
    label: str
    manager_labels: tuple[str, ...] = ()
    component_id: str | None = None
    wmi_class: str | None
    wmi_setting_class: str | None
    enabled_by_default: bool | None
    windows_service: str
    windows_display_name: str
    vmbus_class_id: str
    vmbus_device_id: str | None
    message_type: int
    linux_modules: tuple[str, ...] = ()
    linux_daemons: tuple[str, ...] = ()
    linux_devices: tuple[str, ...] = ()
    added_in: tuple[str, ...]
    impact: Impact
    when_disabled: str
    aliases: tuple[str, ...] = ()


class ServiceKind(enum.Enum):
    """An integration service, independent of language, host and virtual machine.

    The first six are switched on the host, per virtual machine, and are what ``Get-VMIntegrationService`` lists, in
    its order. The last two exist only inside the guest: Hyper-V has no switch for them.

    >>> ServiceKind.find("Austausch von Schlüsselwertepaaren")
    <ServiceKind.KVP>
    >>> ServiceKind.find("vmicvss").label
    'VSS'
    """

    GUEST_SERVICE_INTERFACE = "guest_service_interface"
    HEARTBEAT = "heartbeat"
    KVP = "kvp"
    SHUTDOWN = "shutdown"
    TIME_SYNC = "time_sync"
    VSS = "vss"
    POWERSHELL_DIRECT = "powershell_direct"
    REMOTE_DESKTOP_VIRTUALIZATION = "remote_desktop_virtualization"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{self.name}>"

    def __str__(self) -> str:
        return _FACTS[self].label

    @property
    def key(self) -> str:
        """Its name in this package and in world files, such as ``time_sync``."""
        return self.value

    @property
    def label(self) -> str:
        """What an English host calls it, such as ``Time Synchronization``."""
        return _FACTS[self].label

    @property
    def manager_labels(self) -> tuple[str, ...]:
        """What Hyper-V Manager calls it in English; several where versions differ, none where it does not show it."""
        return _FACTS[self].manager_labels

    @property
    def component_id(self) -> str | None:
        """GUID of the component, lower case without braces; the same on every host. None for guest-only services.

        It is the last segment of the ``Id`` of ``Get-VMIntegrationService`` and of the WMI setting's ``InstanceID``.
        """
        return _FACTS[self].component_id

    @property
    def managed_by_host(self) -> bool:
        """True if the host has a switch for it, per virtual machine."""
        return self.component_id is not None

    @property
    def enabled_by_default(self) -> bool | None:
        """Whether a new virtual machine has it enabled on the host; None for guest-only services."""
        return _FACTS[self].enabled_by_default

    @property
    def wmi_class(self) -> str | None:
        """Class of the running component in ``root/virtualization/v2``, or None."""
        return _FACTS[self].wmi_class

    @property
    def wmi_setting_class(self) -> str | None:
        """Class of its setting in ``root/virtualization/v2``, or None."""
        return _FACTS[self].wmi_setting_class

    @property
    def windows_service(self) -> str:
        """Name of the service in Windows guests, such as ``vmicheartbeat``. It is never translated."""
        return _FACTS[self].windows_service

    @property
    def windows_display_name(self) -> str:
        """English display name of the service in Windows guests."""
        return _FACTS[self].windows_display_name

    @property
    def linux_modules(self) -> tuple[str, ...]:
        """Kernel modules of Linux guests; a second one takes over from kernel 6.10. They can be built in."""
        return _FACTS[self].linux_modules

    @property
    def linux_daemons(self) -> tuple[str, ...]:
        """User-space daemons of Linux guests, oldest first; a second one takes over from kernel 6.10. Often none."""
        return _FACTS[self].linux_daemons

    @property
    def linux_devices(self) -> tuple[str, ...]:
        """Device nodes of Linux guests, in the order of the modules; ``/dev/uio`` and ``/dev/ptp`` end in a number."""
        return _FACTS[self].linux_devices

    @property
    def vmbus_class_id(self) -> str:
        """GUID of the VMBus interface type, lower case, no braces; it triggers the Windows service's start."""
        return _FACTS[self].vmbus_class_id

    @property
    def vmbus_device_id(self) -> str | None:
        """GUID of the VMBus instance, the same in every guest; None where it is not known for certain."""
        return _FACTS[self].vmbus_device_id

    @property
    def message_type(self) -> int:
        """Number of its messages in the integration component protocol."""
        return _FACTS[self].message_type

    @property
    def added_in(self) -> tuple[str, ...]:
        """The first Windows versions that document it; none where that is not known."""
        return _FACTS[self].added_in

    @property
    def impact(self) -> Impact:
        """How much is lost while it is off, in Microsoft's words."""
        return _FACTS[self].impact

    @property
    def when_disabled(self) -> str:
        """What does not work while it is off, in one sentence."""
        return _FACTS[self].when_disabled

    def names(self, language: str) -> tuple[str, ...]:
        """Known names on a host in *language* (such as ``de-DE`` or ``fr``), best first; none where none is known.

        German and French are complete. Of other languages some are known; not one is needed for anything but
        :meth:`find`.
        """
        wanted = language.lower()
        primary = wanted.split("-")[0]
        if primary == "en":
            return (self.label,)
        for known in HOST_NAMES:
            if known.lower() in {wanted, primary} or known.lower().split("-")[0] == wanted:
                return HOST_NAMES[known].get(self.key, ())
        return ()

    @classmethod
    def find(cls, text: str | ServiceKind) -> ServiceKind:
        """The service that *text* means.

        Args:
            text: A key, a component GUID (any case, with or without braces), the ``Id`` of a live object, a name in
                English or any language that is known, Hyper-V Manager's label, the name or display name of the
                Windows service, or the name of a Linux daemon. Case, surrounding space and the kinds of
                apostrophes, hyphens and spaces do not matter. A ServiceKind is answered as it is.

        Raises:
            UnknownServiceError: Nothing is known by that text; it has close suggestions.
        """
        if isinstance(text, ServiceKind):
            return text
        found = _by_text().get(_folded(text)) or cls.of_component(text)
        if found is None:
            import difflib  # late, for a light `import hvintegration`

            close = difflib.get_close_matches(_folded(text), _by_text(), n=3, cutoff=0.6)
            raise UnknownServiceError(text, tuple(dict.fromkeys(_by_text()[name].label for name in close)))
        return found

    @classmethod
    def of_component(cls, identifier: str) -> ServiceKind | None:
        """The service with that component GUID or live ``Id``, or None: later Windows versions may have more."""
        return component_of(identifier)[1]


_FACTS: Final[dict[ServiceKind, _Facts]] = {
    ServiceKind.GUEST_SERVICE_INTERFACE: _Facts(
        label="Guest Service Interface",
        manager_labels=("Guest services",),
        component_id="6c09bb55-d683-4da0-8931-c9bf705f6480",
        wmi_class="Msvm_GuestServiceInterfaceComponent",
        wmi_setting_class="Msvm_GuestServiceInterfaceComponentSettingData",
        enabled_by_default=False,
        windows_service="vmicguestinterface",
        windows_display_name="Hyper-V Guest Service Interface",
        vmbus_class_id="34d14be3-dee4-41c8-9ae7-6b174977c192",
        vmbus_device_id="eb765408-105f-49b6-b4aa-c123b64d17d4",
        message_type=7,
        linux_modules=("hv_utils", "uio_hv_generic"),
        linux_daemons=("hv_fcopy_daemon", "hv_fcopy_uio_daemon"),
        linux_devices=("/dev/vmbus/hv_fcopy", "/dev/uio"),
        added_in=("Windows Server 2012 R2", "Windows 8.1"),
        impact=Impact.LOW,
        when_disabled="The host cannot copy files into the guest with Copy-VMFile.",
        aliases=("hypervfcopyd", "fcopy", "gsi"),
    ),
    ServiceKind.HEARTBEAT: _Facts(
        label="Heartbeat",
        manager_labels=("Heartbeat",),
        component_id="84eaae65-2f2e-45f5-9bb5-0e857dc8eb47",
        wmi_class="Msvm_HeartbeatComponent",
        wmi_setting_class="Msvm_HeartbeatComponentSettingData",
        enabled_by_default=True,
        windows_service="vmicheartbeat",
        windows_display_name="Hyper-V Heartbeat Service",
        vmbus_class_id="57164f39-9115-4e78-ab55-382f3bd5422d",
        vmbus_device_id="fd149e91-82e0-4a7d-afa6-2a4166cbd7c0",
        message_type=1,
        linux_modules=("hv_utils",),
        added_in=("Windows Server 2012", "Windows 8"),
        impact=Impact.VARIES,
        when_disabled="The virtual machine cannot report that its operating system works.",
    ),
    ServiceKind.KVP: _Facts(
        label="Key-Value Pair Exchange",
        manager_labels=("Data Exchange",),
        component_id="2a34b1c2-fd73-4043-8a5b-dd2159bc743f",
        wmi_class="Msvm_KvpExchangeComponent",
        wmi_setting_class="Msvm_KvpExchangeComponentSettingData",
        enabled_by_default=True,
        windows_service="vmickvpexchange",
        windows_display_name="Hyper-V Data Exchange Service",
        vmbus_class_id="a9a0f4e7-5a45-4d96-b827-8a841e8c03e6",
        vmbus_device_id="242ff919-07db-4180-9c2e-b86cb68c8c55",
        message_type=2,
        linux_modules=("hv_utils",),
        linux_daemons=("hv_kvp_daemon",),
        linux_devices=("/dev/vmbus/hv_kvp",),
        added_in=("Windows Server 2012", "Windows 8"),
        impact=Impact.MEDIUM,
        when_disabled=(
            "Host and guest exchange no data: the host knows neither addresses nor system of the guest, and guests up"
            " to Windows 8 and Windows Server 2012 get no integration services through Windows Update."
        ),
        aliases=("hypervkvpd", "key_value_pair_exchange", "data_exchange"),
    ),
    ServiceKind.SHUTDOWN: _Facts(
        label="Shutdown",
        manager_labels=("Operating system shutdown",),
        component_id="9f8233ac-be49-4c79-8ee3-e7e1985b2077",
        wmi_class="Msvm_ShutdownComponent",
        wmi_setting_class="Msvm_ShutdownComponentSettingData",
        enabled_by_default=True,
        windows_service="vmicshutdown",
        windows_display_name="Hyper-V Guest Shutdown Service",
        vmbus_class_id="0e0b6031-5213-4934-818b-38d90ced39db",
        vmbus_device_id="b6650ff7-33bc-4840-8048-e0676786f393",
        message_type=3,
        linux_modules=("hv_utils",),
        added_in=("Windows Server 2012", "Windows 8"),
        impact=Impact.HIGH,
        when_disabled="The host cannot shut the guest down in order, only turn it off.",
    ),
    ServiceKind.TIME_SYNC: _Facts(
        label="Time Synchronization",
        manager_labels=("Time synchronization",),
        component_id="2497f4de-e9fa-4204-80e4-4b75c46419c0",
        wmi_class="Msvm_TimeSyncComponent",
        wmi_setting_class="Msvm_TimeSyncComponentSettingData",
        enabled_by_default=True,
        windows_service="vmictimesync",
        windows_display_name="Hyper-V Time Synchronization Service",
        vmbus_class_id="9527e630-d0ae-497b-adce-e80ab0175caf",
        vmbus_device_id="2dd1ce17-079e-403c-b352-a1921ee207ee",
        message_type=4,
        linux_modules=("hv_utils",),
        linux_devices=("/dev/ptp",),
        added_in=("Windows Server 2012", "Windows 8"),
        impact=Impact.HIGH,
        when_disabled=(
            "The clock of the guest drifts erratically, and stays wrong after a saved state or a checkpoint is"
            " restored."
        ),
        aliases=("timesync",),
    ),
    ServiceKind.VSS: _Facts(
        label="VSS",
        manager_labels=("Backup (volume shadow copy)", "Backup (volume checkpoint)", "Backup (volume snapshot)"),
        component_id="5ced1297-4598-4915-a5fc-ad21bb4d02a4",
        wmi_class="Msvm_VssComponent",
        wmi_setting_class="Msvm_VssComponentSettingData",
        enabled_by_default=True,
        windows_service="vmicvss",
        windows_display_name="Hyper-V Volume Shadow Copy Requestor",
        vmbus_class_id="35fa2e29-ea23-4236-96ae-3a6ebacba440",
        vmbus_device_id="2450ee40-33bf-4fbd-892e-9fb06e9214cf",
        message_type=5,
        linux_modules=("hv_utils",),
        linux_daemons=("hv_vss_daemon",),
        linux_devices=("/dev/vmbus/hv_vss",),
        added_in=("Windows Server 2012", "Windows 8"),
        impact=Impact.VARIES,
        when_disabled=(
            "The running virtual machine cannot be backed up by volume shadow copy; production checkpoints fall back"
            " or fail."
        ),
        aliases=("hypervvssd", "backup"),
    ),
    ServiceKind.POWERSHELL_DIRECT: _Facts(
        label="PowerShell Direct",
        wmi_class=None,
        wmi_setting_class=None,
        enabled_by_default=None,
        windows_service="vmicvmsession",
        windows_display_name="Hyper-V PowerShell Direct Service",
        vmbus_class_id="999e53d4-3d5c-4c3e-8779-bed06ec056e1",
        vmbus_device_id=None,
        message_type=8,
        added_in=("Windows Server 2016", "Windows 10"),
        impact=Impact.LOW,
        when_disabled="The host cannot open a PowerShell session into the guest without a network.",
        aliases=("Hyper-V VM Session Service",),
    ),
    ServiceKind.REMOTE_DESKTOP_VIRTUALIZATION: _Facts(
        label="Remote Desktop Virtualization",
        wmi_class="Msvm_RdvComponent",
        wmi_setting_class="Msvm_RdvComponentSettingData",
        enabled_by_default=None,
        windows_service="vmicrdv",
        windows_display_name="Hyper-V Remote Desktop Virtualization Service",
        vmbus_class_id="276aacf4-ac15-426c-98dd-7521ad3f01fe",
        vmbus_device_id=None,
        message_type=6,
        added_in=(),
        impact=Impact.UNKNOWN,
        when_disabled="The transport for RemoteFX and remote desktop virtualization is missing.",
        aliases=("rdv",),
    ),
}


def component_of(identifier: str) -> tuple[str, ServiceKind | None]:
    r"""The component GUID in a live ``Id`` (``Microsoft:<VM GUID>\\<component GUID>``) or GUID, and whose that is.

    The GUID is in lower case without braces. A text of another form comes back trimmed and in lower case.
    """
    text = identifier.rpartition("\\")[2]
    return _known_component(text) if len(text) <= _LONGEST_GUID else _component(text)


def _component(text: str) -> tuple[str, ServiceKind | None]:
    component_id = text.rpartition(":")[2].strip().strip("{}").lower()
    return component_id, _by_component().get(component_id)


_LONGEST_GUID: Final = 40
_known_component: Final = functools.lru_cache(maxsize=64)(_component)
"""What follows the backslash is the same for every virtual machine. A text of another kind is not kept."""


_DASHES: Final = dict.fromkeys(map(ord, "-_\u2010\u2011\u2012\u2013\u2014"), " ")
_APOSTROPHES: Final = dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u00b4`"), "'")


def _folded(text: str) -> str:
    # Apostrophes first: normalization takes an acute accent apart.
    plain = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).translate(_DASHES).translate(_APOSTROPHES)
    return " ".join(plain.casefold().split())


def _texts(kind: ServiceKind) -> Iterator[str]:
    facts = _FACTS[kind]
    yield from (kind.key, facts.label, facts.windows_service, facts.windows_display_name)
    yield from (*facts.manager_labels, *facts.linux_daemons, *facts.aliases)
    for names in (*HOST_NAMES.values(), *GUEST_DISPLAY_NAMES.values()):
        yield from names.get(kind.key, ())


@functools.cache
def _by_text() -> dict[str, ServiceKind]:
    return {_folded(text): kind for kind in ServiceKind for text in _texts(kind)}


@functools.cache
def _by_component() -> dict[str, ServiceKind]:
    return {kind.component_id: kind for kind in ServiceKind if kind.component_id is not None}


HOST_MANAGED: Final[tuple[ServiceKind, ...]] = tuple(kind for kind in ServiceKind if kind.managed_by_host)
"""The six services that the host switches, in the order in which every host lists them."""
