"""The published tables are written down here a second time, from the pages themselves."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Final

import attrs
import pytest

import hvintegration as hv
from hvintegration.errors import ConfigurationError, for_command
from hvintegration.guest_models import GuestFamily
from hvintegration.update_tables import HOSTS
from hvintegration.updates import UpdateAdvice, advice_from_facts, update_advice
from tests.support.system_infos import guest_info, host_info
from tests.support.time_limit import within

UPDATE, UPDATE_KVP, UPDATE_UNSAID, DISK, PACKAGES, BUILT_IN, UNKNOWN = (
    ("windows_update", False),
    ("windows_update", True),
    ("windows_update", None),
    ("integration_services_disk", False),
    ("package_manager", False),
    ("built_in", False),
    ("unknown", None),
)

CHANNEL: Final = "Windows Server, Semi-Annual Channel"
NEWEST: Final = ("Windows 10", "Windows 11", "Windows Server 2016", "Windows Server 2019", "Windows Server 2022")
NEWEST_HOSTS: Final = (*NEWEST, "Windows Server 2025", CHANNEL)
TWELVE_R2: Final = ("Windows 8.1", "Windows Server 2012 R2")
TWELVE: Final = ("Windows 8", "Windows Server 2012")

OLD_GUESTS: Final = {
    "Windows 8.1": (DISK, UPDATE),
    "Windows 8": (DISK, DISK),
    "Windows 7": (DISK, DISK),
    "Windows Vista SP2": (DISK, DISK),
    "Windows XP SP2": (DISK, DISK),
    "Windows XP SP3": (DISK, DISK),
    "Windows Server 2012 R2": (DISK, UPDATE),
    "Windows Server 2012": (DISK, DISK),
    "Windows Server 2008 R2": (DISK, DISK),
    "Windows Server 2008 SP2": (DISK, DISK),
    "Windows Home Server 2011": (DISK, DISK),
    "Windows Small Business Server 2011": (DISK, DISK),
    "Windows Server 2003 R2 SP2": (DISK, DISK),
    "Windows Server 2003 SP2": (DISK, DISK),
    "Linux": (PACKAGES, PACKAGES),
}
NOT_OF_OLD_HOSTS: Final = dict.fromkeys(
    ("Windows 11", "Windows Server 2019", "Windows Server 2022", "Windows Server 2025", "FreeBSD"), (UNKNOWN, UNKNOWN)
)
NEW_GUESTS: Final = ("Windows 10", "Windows Server 2016", CHANNEL)

CELLS: Final[dict[tuple[str, ...], dict[str, tuple[tuple[str, bool | None], tuple[str, bool | None]]]]] = {
    NEWEST_HOSTS: {
        "Windows 10": (UPDATE, UPDATE),
        "Windows 8.1": (UPDATE, UPDATE),
        "Windows 8": (UPDATE_KVP, UPDATE_KVP),
        "Windows 7": (UPDATE_KVP, UPDATE_KVP),
        "Windows Vista SP2": (UPDATE_KVP, UPDATE_KVP),
        "Windows XP SP3": (UNKNOWN, UNKNOWN),
        "Windows Server 2016": (UPDATE, UPDATE),
        CHANNEL: (UPDATE, UPDATE),
        "Windows Server 2012 R2": (UPDATE, UPDATE),
        "Windows Server 2012": (UPDATE_KVP, UPDATE_KVP),
        "Windows Server 2008 R2 SP1": (UPDATE_KVP, UPDATE_KVP),
        "Windows Server 2008 SP2": (UPDATE_UNSAID, UPDATE_KVP),
        "Windows Home Server 2011": (UPDATE_UNSAID, UPDATE_KVP),
        "Windows Small Business Server 2011": (UPDATE_UNSAID, UPDATE_KVP),
        "Windows Server 2003 SP2": (UNKNOWN, UNKNOWN),
        "Windows Server 2003 R2 SP2": (UNKNOWN, UNKNOWN),
        "Linux": (PACKAGES, PACKAGES),
        "Windows Server 2019": (BUILT_IN, UNKNOWN),
        "Windows Server 2022": (BUILT_IN, UNKNOWN),
        "Windows Server 2025": (BUILT_IN, UNKNOWN),
        "Windows 11": (BUILT_IN, UNKNOWN),
        "FreeBSD": (BUILT_IN, UNKNOWN),
    },
    TWELVE_R2: {**OLD_GUESTS, **dict.fromkeys(NEW_GUESTS, (UPDATE, UPDATE)), **NOT_OF_OLD_HOSTS},
    TWELVE: {**OLD_GUESTS, **dict.fromkeys(NEW_GUESTS, (UNKNOWN, UNKNOWN)), **NOT_OF_OLD_HOSTS},
}
"""For each host and guest: how, and whether Data Exchange is needed, by the page now and by that of 2015."""

PAIRS: Final = [(host, guest, *said) for hosts, rows in CELLS.items() for host in hosts for guest, said in rows.items()]


def said_of(advice: UpdateAdvice) -> tuple[str, bool | None]:
    return (advice.mechanism.value, advice.needs_data_exchange)


@pytest.mark.parametrize(("host", "guest", "now", "before"), PAIRS)
def test_each_cell_of_the_tables(
    host: str, guest: str, now: tuple[str, bool | None], before: tuple[str, bool | None]
) -> None:
    current = update_advice(host_os=host, guest_os=guest)
    older = update_advice(host_os=host, guest_os=guest, generation="2015")

    assert (said_of(current), said_of(older)) == (now, before)
    assert (current.generation, older.generation) == ("current", "2015")
    assert (current.differs is not None) == (older.differs is not None) == (now != before)
    for advice in (current, older):
        assert (advice.fallback is not None) == (advice.needs_data_exchange is True)
        assert advice.host_os == (host,)
        assert advice.guest_os == (guest.partition(" SP")[0],)
        assert advice.source.startswith("https://learn.microsoft.com/")
        assert bool(advice.steps) == (advice.mechanism != "unknown")


def test_no_row_of_the_data_is_left_out_here() -> None:
    for hosts, expected in zip(HOSTS, CELLS.values(), strict=True):
        assert {row.guest for row in hosts.rows} <= {guest.partition(" SP")[0] for guest in expected}
    assert [set(hosts.names) for hosts in HOSTS] == [set(hosts) for hosts in CELLS]


@pytest.mark.parametrize(
    ("guest", "note"),
    [
        ("Windows Server 2008", "Extended support only in Windows Server 2016."),
        ("Windows Home Server 2011", "Will not be supported in Windows Server 2016."),
        ("Windows Small Business Server 2011", "Not under mainstream support."),
    ],
)
def test_what_the_page_says_now_in_place_of_data_exchange(guest: str, note: str) -> None:
    current = update_advice(host_os="Windows Server 2016", guest_os=guest)
    older = update_advice(host_os="Windows Server 2016", guest_os=guest, generation="2015")

    assert note in current.notes
    assert note not in older.notes
    assert current.differs == "The documentation of 2015 said: Windows Update, which needs Data Exchange."
    assert older.differs == f'The documentation now says: Windows Update ("{note}").'


@pytest.mark.parametrize("host", TWELVE_R2 + TWELVE)
@pytest.mark.parametrize("guest", ["Windows 8.1", "Windows Server 2012 R2"])
def test_where_the_generations_differ_each_says_what_the_other_does(host: str, guest: str) -> None:
    assert update_advice(host_os=host, guest_os=guest).differs == "The documentation of 2015 said: Windows Update."
    assert (
        update_advice(host_os=host, guest_os=guest, generation="2015").differs
        == "The documentation now says: the setup disk of the integration services."
    )


@pytest.mark.parametrize(
    ("guest", "file"),
    [
        ("Windows 8", "windows6.2-hypervintegrationservices-x64.cab (-x86.cab);"),
        ("Windows Server 2012", "windows6.2-"),
        ("Windows 7", "windows6.x-"),
        ("Windows Vista", "windows6.x-"),
        ("Windows Server 2008 R2", "windows6.x-"),
    ],
)
def test_the_fallback_names_the_cabinet_file_and_where_it_is_documented(guest: str, file: str) -> None:
    fallback = update_advice(host_os="Windows 10", guest_os=guest).fallback

    assert fallback is not None
    assert f"KB3071740 (https://support.microsoft.com/kb/3071740), {file}" in fallback
    assert "https://techcommunity.microsoft.com/" in fallback


@pytest.mark.parametrize(
    ("host", "guest", "supported"),
    [
        ("Windows Server 2016", "Windows Server 2022", False),
        ("Windows Server 2019", "Windows Server 2022", True),
        ("Windows Server 2016", "Windows Server 2025", False),
        ("Windows Server 2019", "Windows Server 2025", False),
        ("Windows Server 2022", "Windows Server 2025", True),
        ("Windows Server 2016", "Windows 11", False),
        ("Windows Server 2019", "Windows 11", True),
        ("Windows Server 2016", "Windows Server 2019", True),
    ],
)
def test_a_guest_that_is_not_supported_on_a_host_is_said_to_be(host: str, guest: str, *, supported: bool) -> None:
    notes = update_advice(host_os=host, guest_os=guest).notes
    assert (f"{guest} is not supported on {host}." not in notes) is supported


def test_the_offline_way_is_named_where_it_works() -> None:
    named = {
        guest: any("offline_update_script()" in step for step in update_advice(host_os="6.3", guest_os=guest).steps)
        for guest in ("Windows 7", "Windows 8", "Windows Server 2008 R2", "Windows Server 2012", "Windows XP", "Vista")
    }
    assert named == {**dict.fromkeys(named, True), "Windows XP": False, "Vista": False}
    steps = update_advice(host_os="6.3", guest_os="Windows 7").steps
    assert any("hvintegration advise --offline-script" in for_command(step) for step in steps)


SAME: Final = {
    "Windows 10": ["windows 10", "WINDOWS  10", "Microsoft Windows 10 Entreprise", "Microsoft\u00a0Windows 10 Pro"],
    "Windows 11": ["Майкрософт Windows 11 Pro", "10.0.22631.2506", "22621"],
    "Windows 8.1": ["Microsoft Windows 8.1 Pro"],
    "Windows Server 2003": ["Microsoft(R) Windows(R) Server 2003, Enterprise Edition"],
    "Windows Server 2008": ["Microsoft® Windows Server® 2008 Standard", "6.0.6003"],
    "Windows Server 2008 R2": ["Microsoft Windows Server 2008 R2 Enterprise", "Server 2008R2"],
    "Windows Server 2012": ["Windows Server 2012 Datacenter", "server 2012"],
    "Windows Server 2012 R2": ["windows server 2012R2", "Microsoft Windows Server 2012 R2 Standard Evaluation"],
    "Windows Server 2016": ["Windows Server 2016 Standard", "Microsoft Windows Server 2016"],
    "Windows Server 2022": ["Microsoft Windows Server 2022 Datacenter: Azure Edition", "10.0.20348", " 20348 "],
    CHANNEL: ["Windows Server, version 1803", "Windows Server 20H2"],
    "Windows Small Business Server 2011": ["Windows Small Business Server 2011 Standard"],
    "Windows Vista": ["Microsoft® Windows Vista™ Business", "6.0.6000"],
    "Windows XP": ["Microsoft Windows XP Professional", "5.1.2600"],
    "Linux": ["Ubuntu 22.04.4 LTS", "Debian GNU/Linux 12 (bookworm)", "Rocky Linux 9.3 (Blue Onyx)", "GNU/Linux"],
    "FreeBSD": ["FreeBSD 14.1-RELEASE"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in SAME.items() for text in texts])
def test_a_system_is_understood_however_it_is_called(name: str, text: str) -> None:
    assert update_advice(host_os="Windows 10", guest_os=text).guest_os == (name,)


@pytest.mark.parametrize(
    "text",
    [
        "Windows",
        "Windows 100",
        "Windows 10.5",
        "Windows Server",
        "Microsoft Windows Server Datacenter",
        "Windows Server 2016 R2",
        "Windows Server 2028",
        "Windows NT 4.0",
        "this is not Windows 10",
        "9",
        "10",
        "7.0",
        "10.0.99999",
        "1.2.3.4.5.6",
        "10..20348",
        "10.0." + "9" * 10_000,
        "Plan 9",
        "\ud800\x1b[2J\u202e",
    ],
)
def test_what_is_not_understood_is_unknown_and_shown(text: str) -> None:
    for advice in (
        update_advice(host_os=text, guest_os="Windows 10"),
        update_advice(host_os="Windows 10", guest_os=text),
    ):
        assert said_of(advice) == UNKNOWN
        assert any("none that the tables are about" in note and len(note) < 300 for note in advice.notes)
        assert any("Name the system" in step for step in advice.steps)
        assert () in (advice.host_os, advice.guest_os)


@pytest.mark.parametrize(
    ("host", "guest", "systems", "said"),
    [
        ("10.0.20348", "6.3.9600", ("Windows 8.1", "Windows Server 2012 R2"), UPDATE),
        ("10.0.20348", "6.2.9200", ("Windows 8", "Windows Server 2012"), UPDATE_KVP),
        ("10.0.20348", "10.0.14393", ("Windows 10", "Windows Server 2016"), UPDATE),
        ("10.0.20348", "6.1.7601", ("Windows 7", "Windows Server 2008 R2"), UPDATE_KVP),
        ("10.0.20348", "26100", ("Windows 11", "Windows Server 2025"), BUILT_IN),
        ("10.0.20348", "6.1.7600", ("Windows 7", "Windows Server 2008 R2"), UNKNOWN),
        ("10.0.20348", "6.0.6002", ("Windows Vista", "Windows Server 2008"), ("windows_update", None)),
        ("6.3.9600", "6.0.6002", ("Windows Vista", "Windows Server 2008"), DISK),
        ("6.3.9600", "5.2", ("Windows Server 2003", "Windows Server 2003 R2", "Windows XP"), DISK),
        (
            "10.0.20348",
            "17763",
            ("Windows 10", "Windows Server 2019", CHANNEL),
            UNKNOWN,
        ),
    ],
)
def test_a_number_that_means_several_gives_what_they_have_in_common(
    host: str, guest: str, systems: tuple[str, ...], said: tuple[str, bool | None]
) -> None:
    advice = update_advice(host_os=host, guest_os=guest)

    assert (advice.guest_os, said_of(advice)) == (systems, said)
    if said == UNKNOWN:
        assert all(any(system in note for note in advice.notes) for system in systems if system != "Windows 7")
        assert any(step.startswith("Say with guest_os=... whether it is Windows") for step in advice.steps)


def test_a_number_of_a_host_means_several_hosts() -> None:
    advice = update_advice(host_os="17763", guest_os="Windows 8")
    assert (advice.host_os, said_of(advice)) == (
        ("Windows 10", "Windows Server 2019", CHANNEL),
        UPDATE_KVP,
    )
    assert said_of(update_advice(host_os="10.0", guest_os="Windows 8")) == UPDATE_KVP
    assert said_of(update_advice(host_os="6.1", guest_os="Windows 8")) == UNKNOWN


VISTA: Final = "The table has Windows Vista with Service Pack 2 only; this one has"


@pytest.mark.parametrize(
    ("guest", "said", "note"),
    [
        ("Windows Vista", UPDATE_KVP, "The table means Windows Vista with Service Pack 2."),
        ("Windows Vista Service Pack 2", UPDATE_KVP, None),
        (
            "Windows Vista SP1",
            UNKNOWN,
            "The table has Windows Vista with Service Pack 2 only; this one has Service Pack 1.",
        ),
        ("6.0.6000", UNKNOWN, "The table has Windows Vista with Service Pack 2 only; this one has no service pack."),
        ("Windows Server 2008 R2 (SP 1)", UPDATE_KVP, None),
    ],
)
def test_a_service_pack_that_the_table_does_not_have(
    guest: str, said: tuple[str, bool | None], note: str | None
) -> None:
    advice = update_advice(host_os="Windows 10", guest_os=guest)

    assert said_of(advice) == said
    about = [each for each in advice.notes if "The table" in each]
    assert about == ([] if note is None else [note])


@pytest.mark.parametrize("value", ["", "  ", None, 10, b"Windows 10"])
def test_a_caller_who_names_no_system_is_told(value: object) -> None:
    with pytest.raises(ConfigurationError, match="host_os is no name of a system"):
        update_advice(host_os=value, guest_os="Windows 10")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="guest_os is no name of a system"):
        update_advice(host_os="Windows 10", guest_os=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("generation", ["2016", "", None, 2015])
def test_a_generation_that_there_is_not(generation: object) -> None:
    with pytest.raises(ConfigurationError, match="no update tables of the generation") as caught:
        update_advice(host_os="Windows 10", guest_os="Windows 10", generation=generation)  # type: ignore[arg-type]
    assert caught.value.hint == "There are 'current' and '2015'."


@pytest.mark.parametrize(
    ("guest", "packages", "step"),
    [
        ("Debian GNU/Linux 12 (bookworm)", ("hyperv-daemons",), "apt-get"),
        (
            "Red Hat Enterprise Linux 9.4 (Plow)",
            ("hypervkvpd", "hypervvssd", "hypervfcopyd"),
            "dnf --assumeyes install",
        ),
        ("openSUSE Leap 15.6", ("hyper-v",), "zypper"),
        ("Ubuntu 22.04.4 LTS", ("linux-cloud-tools-common", "linux-cloud-tools-{kernel}"), "uname -r"),
        ("Alpine Linux v3.20", ("hvtools", "hvtools-openrc"), "apk add"),
        ("Linux", (), "Update the packages that have the daemons"),
        ("OpenWrt 24.10.2", (), "hv-tools"),
    ],
)
def test_a_linux_guest_is_told_its_packages(guest: str, packages: tuple[str, ...], step: str) -> None:
    advice = update_advice(host_os="Windows Server 2022", guest_os=guest)

    assert tuple(package.name for package in advice.packages) == packages
    assert any(step in each for each in advice.steps)


# -- from facts ------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 27, tzinfo=UTC)


HOST = host_info("Microsoft Windows Server 2022 Datacenter", "10.0.20348")


@pytest.mark.parametrize(
    ("caption", "version", "systems", "said"),
    [
        ("Microsoft Windows Server 2019 Standard", "10.0.17763", ("Windows Server 2019",), BUILT_IN),
        ("Microsoft Windows 10 Pro", "10.0.17763", ("Windows 10",), UPDATE),
        (
            "Microsoft Windows Server Standard",
            "10.0.18363",
            ("Windows 10", CHANNEL),
            UPDATE,
        ),
        ("Microsoft Hyper-V Server 2016", "10.0.14393", ("Windows 10", "Windows Server 2016"), UPDATE),
        (None, "6.3.9600", ("Windows 8.1", "Windows Server 2012 R2"), UPDATE),
        ("Microsoft Windows Vista Business", "6.0.6001", ("Windows Vista",), UNKNOWN),
        ("Microsoft Windows Vista Business", "6.0.6002", ("Windows Vista",), UPDATE_KVP),
        ("Microsoft Windows 8", "10.0.20348", ("Windows 8",), UPDATE_KVP),
        (None, None, (), UNKNOWN),
        ("\x1b]0;", "garbage", (), UNKNOWN),
    ],
)
def test_what_a_windows_guest_says_of_itself(
    caption: str | None, version: str | None, systems: tuple[str, ...], said: tuple[str, bool | None]
) -> None:
    advice = advice_from_facts(HOST, guest_info(caption, version))
    assert (advice.guest_os, said_of(advice)) == (systems, said)


def test_a_linux_guest_is_linux_whatever_it_calls_itself() -> None:
    for caption in ("Windows 10", "", "Plan 9", None, "Ubuntu on Windows 10"):
        advice = advice_from_facts(HOST, guest_info(caption, "22.04", GuestFamily.LINUX))
        assert (advice.guest_os, said_of(advice)) == (("Linux",), PACKAGES)


def test_a_freebsd_guest_is_freebsd_whatever_it_calls_itself() -> None:
    for caption in ("FreeBSD 14.1-RELEASE", None, "Debian GNU/Linux 12"):
        advice = advice_from_facts(HOST, guest_info(caption, "14.1", GuestFamily.FREEBSD))
        assert (advice.guest_os, advice.mechanism) == (("FreeBSD",), "built_in")


def test_the_kernel_of_a_linux_guest_is_in_the_name_of_its_package() -> None:
    guest = guest_info("Ubuntu 24.04.1 LTS", "24.04", GuestFamily.LINUX, "6.8.0-49-generic")
    advice = advice_from_facts(HOST, guest)

    assert [package.name for package in advice.packages] == [
        "linux-cloud-tools-common",
        "linux-cloud-tools-6.8.0-49-generic",
    ]
    assert any("install linux-cloud-tools-common linux-cloud-tools-6.8.0-49-generic" in step for step in advice.steps)
    hostile = advice_from_facts(HOST, attrs.evolve(guest, os_build="6.8;reboot"))
    assert not any("reboot" in step for step in hostile.steps)


def test_where_nothing_is_known_of_the_guest_its_system_has_to_be_named() -> None:
    advice = advice_from_facts(HOST, None)

    assert (advice.guest_os, said_of(advice)) == ((), UNKNOWN)
    assert advice.notes == ("The system of the guest is not known.",)
    assert advice.steps == ("Pass the guest with guest=vm.guest(...), or name its system with guest_os=....",)
    assert (
        for_command(advice.steps[0])
        == "Pass the guest with --guest ADDRESS or --guest-user USER, or name its system with --guest-os NAME."
    )
    assert said_of(advice_from_facts(HOST, "Windows 8")) == UPDATE_KVP


@pytest.mark.parametrize(
    "text", ["(r)" * 500_000, "®" * 1_000_000, "1." * 1_000_000, "ﷺ" * 1_000_000, " linux" * 300_000]
)
def test_a_long_text_of_a_guest_holds_nobody_up(text: str) -> None:
    with within(2):
        advice = advice_from_facts(host_info(text, text), guest_info(text, text))
    assert len(str(advice)) < 20_000


def test_advice_is_plain_data_and_a_value() -> None:
    advice = update_advice(host_os="Windows 10", guest_os="Windows 8")

    plain = json.loads(json.dumps(advice.to_dict()))
    assert list(plain) == [
        *("schema", "host_os", "guest_os", "mechanism", "needs_data_exchange", "fallback", "steps", "packages"),
        *("notes", "differs", "source", "generation"),
    ]
    assert (plain["mechanism"], plain["generation"], plain["packages"]) == ("windows_update", "current", [])
    again = pickle.loads(pickle.dumps(advice))  # noqa: S301  # its own pickle
    assert again == advice == update_advice(host_os="Windows 10", guest_os="windows 8")
    assert "<td>windows_update</td>" in advice._repr_html_()
    assert advice.table_row() == ("Windows 10", "Windows 8", "windows_update", True)


def test_hostile_text_is_shown_as_text() -> None:
    advice = update_advice(host_os="Windows 10", guest_os="<script>alert(1)</script>\x1b[2J")
    assert "<script>" not in advice._repr_html_()
    assert "\x1b" not in str(advice)


def test_it_is_one_of_the_public_names() -> None:
    assert hv.update_advice(host_os="Windows 10", guest_os="Windows 8").mechanism is hv.UpdateMechanism.WINDOWS_UPDATE
