"""The facts are written down here a second time, from domain.md sections 1.1, 1.3, 1.4 and 2."""

from __future__ import annotations

import pickle

import attrs
import pytest

from hvintegration.errors import UnknownServiceError
from hvintegration.service_kind import HOST_MANAGED, Impact, ServiceKind, component_of
from hvintegration.service_names import GUEST_DISPLAY_NAMES, HOST_NAMES

UTILS = ("hv_utils",)
SINCE_2012 = ("Windows Server 2012", "Windows 8")
VM_ID = "B637F346-6A0E-4DEC-AF52-BD70CB80A21D"


@attrs.frozen(kw_only=True)
class Expected:
    label: str
    manager: tuple[str, ...] = ()
    component: str | None = None
    wmi: str | None = None
    default: bool | None = None
    service: str
    display: str
    modules: tuple[str, ...] = ()
    daemons: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    impact: Impact
    added: tuple[str, ...]
    bus_class: str
    bus_device: str | None = None
    message: int


FACTS: dict[str, Expected] = {
    "guest_service_interface": Expected(
        label="Guest Service Interface",
        manager=("Guest services",),
        component="6C09BB55-D683-4DA0-8931-C9BF705F6480",
        wmi="Msvm_GuestServiceInterfaceComponent",
        default=False,
        service="vmicguestinterface",
        display="Hyper-V Guest Service Interface",
        modules=("hv_utils", "uio_hv_generic"),
        daemons=("hv_fcopy_daemon", "hv_fcopy_uio_daemon"),
        devices=("/dev/vmbus/hv_fcopy", "/dev/uio"),
        impact=Impact.LOW,
        added=("Windows Server 2012 R2", "Windows 8.1"),
        bus_class="34d14be3-dee4-41c8-9ae7-6b174977c192",
        bus_device="eb765408-105f-49b6-b4aa-c123b64d17d4",
        message=7,
    ),
    "heartbeat": Expected(
        label="Heartbeat",
        manager=("Heartbeat",),
        component="84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47",
        wmi="Msvm_HeartbeatComponent",
        default=True,
        service="vmicheartbeat",
        display="Hyper-V Heartbeat Service",
        modules=UTILS,
        impact=Impact.VARIES,
        added=SINCE_2012,
        bus_class="57164f39-9115-4e78-ab55-382f3bd5422d",
        bus_device="fd149e91-82e0-4a7d-afa6-2a4166cbd7c0",
        message=1,
    ),
    "kvp": Expected(
        label="Key-Value Pair Exchange",
        manager=("Data Exchange",),
        component="2A34B1C2-FD73-4043-8A5B-DD2159BC743F",
        wmi="Msvm_KvpExchangeComponent",
        default=True,
        service="vmickvpexchange",
        display="Hyper-V Data Exchange Service",
        modules=UTILS,
        daemons=("hv_kvp_daemon",),
        devices=("/dev/vmbus/hv_kvp",),
        impact=Impact.MEDIUM,
        added=SINCE_2012,
        bus_class="a9a0f4e7-5a45-4d96-b827-8a841e8c03e6",
        bus_device="242ff919-07db-4180-9c2e-b86cb68c8c55",
        message=2,
    ),
    "shutdown": Expected(
        label="Shutdown",
        manager=("Operating system shutdown",),
        component="9F8233AC-BE49-4C79-8EE3-E7E1985B2077",
        wmi="Msvm_ShutdownComponent",
        default=True,
        service="vmicshutdown",
        display="Hyper-V Guest Shutdown Service",
        modules=UTILS,
        impact=Impact.HIGH,
        added=SINCE_2012,
        bus_class="0e0b6031-5213-4934-818b-38d90ced39db",
        bus_device="b6650ff7-33bc-4840-8048-e0676786f393",
        message=3,
    ),
    "time_sync": Expected(
        label="Time Synchronization",
        manager=("Time synchronization",),
        component="2497F4DE-E9FA-4204-80E4-4B75C46419C0",
        wmi="Msvm_TimeSyncComponent",
        default=True,
        service="vmictimesync",
        display="Hyper-V Time Synchronization Service",
        modules=UTILS,
        devices=("/dev/ptp",),
        impact=Impact.HIGH,
        added=SINCE_2012,
        bus_class="9527e630-d0ae-497b-adce-e80ab0175caf",
        bus_device="2dd1ce17-079e-403c-b352-a1921ee207ee",
        message=4,
    ),
    "vss": Expected(
        label="VSS",
        manager=("Backup (volume shadow copy)", "Backup (volume checkpoint)"),
        component="5CED1297-4598-4915-A5FC-AD21BB4D02A4",
        wmi="Msvm_VssComponent",
        default=True,
        service="vmicvss",
        display="Hyper-V Volume Shadow Copy Requestor",
        modules=UTILS,
        daemons=("hv_vss_daemon",),
        devices=("/dev/vmbus/hv_vss",),
        impact=Impact.VARIES,
        added=SINCE_2012,
        bus_class="35fa2e29-ea23-4236-96ae-3a6ebacba440",
        bus_device="2450ee40-33bf-4fbd-892e-9fb06e9214cf",
        message=5,
    ),
    "powershell_direct": Expected(
        label="PowerShell Direct",
        service="vmicvmsession",
        display="Hyper-V PowerShell Direct Service",
        impact=Impact.LOW,
        added=("Windows Server 2016", "Windows 10"),
        bus_class="999e53d4-3d5c-4c3e-8779-bed06ec056e1",
        message=8,
    ),
    "remote_desktop_virtualization": Expected(
        label="Remote Desktop Virtualization",
        wmi="Msvm_RdvComponent",
        service="vmicrdv",
        display="Hyper-V Remote Desktop Virtualization Service",
        impact=Impact.UNKNOWN,
        added=(),
        bus_class="276aacf4-ac15-426c-98dd-7521ad3f01fe",
        message=6,
    ),
}

GERMAN = {
    "guest_service_interface": "Gastdienstschnittstelle",
    "heartbeat": "Takt",
    "kvp": "Austausch von Schlüsselwertepaaren",
    "shutdown": "Herunterfahren",
    "time_sync": "Zeitsynchronisierung",
    "vss": "VSS",
}
FRENCH = {
    "guest_service_interface": "Interface de services d\u2019invité",
    "heartbeat": "Pulsation",
    "kvp": "Échange de paires clé-valeur",
    "shutdown": "Arrêt",
    "time_sync": "Synchronisation date/heure",
    "vss": "VSS",
}

every_kind = pytest.mark.parametrize("kind", list(ServiceKind), ids=lambda kind: kind.key)
every_switch = pytest.mark.parametrize("kind", HOST_MANAGED, ids=lambda kind: kind.key)


# -- facts ---------------------------------------------------------------------------------------------------------


def test_the_kinds_are_these_in_the_hosts_order() -> None:
    assert [kind.key for kind in ServiceKind] == list(FACTS)


@every_kind
def test_the_facts_are_those_of_the_domain(kind: ServiceKind) -> None:
    expected = FACTS[kind.key]
    actual = Expected(
        label=kind.label,
        manager=kind.manager_labels[: len(expected.manager)],
        component=None if kind.component_id is None else kind.component_id.upper(),
        wmi=kind.wmi_class,
        default=kind.enabled_by_default,
        service=kind.windows_service,
        display=kind.windows_display_name,
        modules=kind.linux_modules,
        daemons=kind.linux_daemons,
        devices=kind.linux_devices,
        impact=kind.impact,
        added=kind.added_in,
        bus_class=kind.vmbus_class_id,
        bus_device=kind.vmbus_device_id,
        message=kind.message_type,
    )
    assert actual == expected


@every_kind
def test_the_setting_class_is_named_after_the_runtime_class(kind: ServiceKind) -> None:
    assert kind.wmi_setting_class == (None if kind.wmi_class is None else f"{kind.wmi_class}SettingData")


@every_kind
def test_what_is_lost_is_one_sentence(kind: ServiceKind) -> None:
    assert (kind.when_disabled[0].isupper(), kind.when_disabled[-1]) == (True, ".")


def test_six_are_switched_on_the_host_and_the_others_exist_in_the_guest_only() -> None:
    assert [kind.key for kind in ServiceKind if kind.managed_by_host] == list(FACTS)[:6]
    assert tuple(ServiceKind)[:6] == HOST_MANAGED


@every_kind
def test_it_shows_itself_by_label_and_name(kind: ServiceKind) -> None:
    assert (str(kind), repr(kind)) == (FACTS[kind.key].label, f"<ServiceKind.{kind.name}>")


@every_kind
def test_it_stays_itself_when_pickled(kind: ServiceKind) -> None:
    assert pickle.loads(pickle.dumps(kind)) is kind  # noqa: S301  # its own pickle


# -- names ---------------------------------------------------------------------------------------------------------


@every_switch
@pytest.mark.parametrize(
    ("language", "names"),
    [("de", GERMAN), ("de-DE", GERMAN), ("DE-at", GERMAN), ("fr", FRENCH), ("fr-CA", FRENCH)],
    ids=["de", "de-DE", "DE-at", "fr", "fr-CA"],
)
def test_german_and_french_names_are_those_of_real_hosts(
    kind: ServiceKind, language: str, names: dict[str, str]
) -> None:
    assert kind.names(language) == (names[kind.key],)


@pytest.mark.parametrize(
    ("language", "names"),
    [
        ("en-US", ("Heartbeat",)),
        ("zh-CN", ("检测信号",)),
        ("zh-cn", ("检测信号",)),
        ("zh", ("检测信号",)),
        ("zh-TW", ()),
        ("pt-BR", ("Pulsação",)),
        ("nl-NL", ()),
        ("", ()),
    ],
)
def test_names_of_a_language_are_what_is_known_of_it(language: str, names: tuple[str, ...]) -> None:
    assert ServiceKind.HEARTBEAT.names(language) == names


def test_names_can_be_several() -> None:
    assert ServiceKind.SHUTDOWN.names("es") == ("Apagar", "Cierre")


@pytest.mark.parametrize("kind", [ServiceKind.POWERSHELL_DIRECT, ServiceKind.REMOTE_DESKTOP_VIRTUALIZATION])
def test_a_guest_service_has_no_name_on_a_german_host(kind: ServiceKind) -> None:
    assert kind.names("de") == ()


# -- find ----------------------------------------------------------------------------------------------------------


@every_kind
def test_it_finds_by_key_label_service_and_display_name(kind: ServiceKind) -> None:
    expected = FACTS[kind.key]
    texts = [kind.key, expected.label, expected.service, expected.display, *expected.manager, *expected.daemons]
    assert [ServiceKind.find(text) for text in texts] == [kind] * len(texts)


@every_kind
def test_it_finds_a_kind_by_itself(kind: ServiceKind) -> None:
    assert ServiceKind.find(kind) is kind


@every_switch
@pytest.mark.parametrize(
    "form",
    ["{0}", "{{{0}}}", " {0} ", "Microsoft:{1}\\{0}", "Microsoft:{0}"],
    ids=["bare", "braces", "spaces", "live id", "device id"],
)
@pytest.mark.parametrize("upper", [True, False], ids=["upper", "lower"])
def test_it_finds_by_guid_in_any_form(kind: ServiceKind, form: str, *, upper: bool) -> None:
    text = form.format(FACTS[kind.key].component, VM_ID)
    assert ServiceKind.find(text if upper else text.lower()) is kind


@every_switch
@pytest.mark.parametrize("names", [GERMAN, FRENCH], ids=["de", "fr"])
def test_it_finds_by_the_names_on_german_and_french_hosts(kind: ServiceKind, names: dict[str, str]) -> None:
    assert ServiceKind.find(names[kind.key]) is kind


OTHER_NAMES = [
    pytest.param(key, name, id=f"{where} {language} {name}")
    for where, table in (("host", HOST_NAMES), ("guest", GUEST_DISPLAY_NAMES))
    for language, kinds in table.items()
    for key, names in kinds.items()
    for name in names
]


@pytest.mark.parametrize(("key", "name"), OTHER_NAMES)
def test_it_finds_by_every_translated_name(key: str, name: str) -> None:
    assert ServiceKind.find(name).key == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("hypervkvpd", "kvp"),
        ("hypervvssd", "vss"),
        ("hypervfcopyd", "guest_service_interface"),
        ("Hyper-V VM Session Service", "powershell_direct"),
        ("timesync", "time_sync"),
        ("time-sync", "time_sync"),
        ("TIME SYNC", "time_sync"),
        ("HEARTBEAT", "heartbeat"),
        ("key value pair exchange", "kvp"),
        ("AUSTAUSCH VON SCHLÜSSELWERTEPAAREN", "kvp"),
    ],
)
def test_it_finds_by_other_names_and_spellings(text: str, key: str) -> None:
    assert ServiceKind.find(text).key == key


@pytest.mark.parametrize(
    "apostrophe", ["'", "\u2018", "\u2019", "\u02bc", "\u00b4", "`", "\uff07"], ids=lambda mark: f"U+{ord(mark):04X}"
)
def test_the_kind_of_apostrophe_does_not_matter(apostrophe: str) -> None:
    assert ServiceKind.find(f"Interface de services d{apostrophe}invité") is ServiceKind.GUEST_SERVICE_INTERFACE


@pytest.mark.parametrize(
    ("text", "suggestions"),
    [
        ("hartbeat", ("Heartbeat",)),
        ("vmicheartbeet", ("Heartbeat",)),
        ("Schutdown", ("Shutdown",)),
        ("Zeitsynchronisation", ("Time Synchronization",)),
        ("xyzzy", ()),
        ("", ()),
    ],
)
def test_an_unknown_text_is_answered_with_what_is_close(text: str, suggestions: tuple[str, ...]) -> None:
    with pytest.raises(UnknownServiceError) as unknown:
        ServiceKind.find(text)
    assert (unknown.value.name, unknown.value.suggestions[:1]) == (text, suggestions)


@pytest.mark.parametrize("text", ["*", "Heart*", "Heartbeat,VSS", "{}", "Microsoft:", VM_ID])
def test_patterns_and_lists_are_not_names(text: str) -> None:
    with pytest.raises(UnknownServiceError):
        ServiceKind.find(text)


# -- component ids -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifier", "component_id"),
    [
        ("Microsoft:B637F346\\6C09BB55-D683", "6c09bb55-d683"),
        ("Microsoft:6C09BB55-D683", "6c09bb55-d683"),
        (" {6C09BB55-D683} ", "6c09bb55-d683"),
        ("Something Else", "something else"),
        ("", ""),
    ],
)
def test_the_component_id_is_the_last_part_in_lower_case(identifier: str, component_id: str) -> None:
    assert component_of(identifier)[0] == component_id


@pytest.mark.parametrize("identifier", ["Heartbeat", "vmicvss", "", VM_ID, "57164f39-9115-4e78-ab55-382f3bd5422d"])
def test_what_is_no_known_component_is_none(identifier: str) -> None:
    assert ServiceKind.of_component(identifier) is None
