"""The facts are written down here a second time, from the sources that the rows name."""

from __future__ import annotations

import re

import attrs
import pytest

from hvintegration.linux_distributions import (
    DAEMON_KINDS,
    DISTRIBUTIONS,
    HELPER_FOLDERS,
    Distribution,
    PackagedDaemon,
    distribution_of,
    known_names,
    parse_os_release,
)
from hvintegration.service_kind import ServiceKind
from tests.support.time_limit import within

KVP, VSS, FILE_COPY = DAEMON_KINDS
RED_HAT = ("hypervkvpd.service", "hypervvssd.service", "hypervfcopyd.service")
SUSE = ("hv_kvp_daemon.service", "hv_vss_daemon.service", "hv_fcopy_daemon.service")
DEBIAN = ("hv-kvp-daemon.service", "hv-vss-daemon.service", "hv-fcopy-daemon.service")
NAMES = ("hv_kvp_daemon", "hv_vss_daemon", "hv_fcopy_daemon")
UIO = ("hv_kvp_daemon", "hv_vss_daemon", "hv_fcopy_uio_da")
RED_HAT_NAMES = ("hypervkvpd", "hypervvssd", "hypervfcopyd")


@attrs.frozen(kw_only=True)
class Seen:
    """What identifies a system in its os-release, and what its packages have for each service; None is unknown."""

    os_release: str
    name: str
    packages: tuple[tuple[str, ...] | None, ...] = ((), (), ())
    units: tuple[str | None, ...] = ()
    processes: tuple[str | None, ...]
    folder: str | None = None
    manager: str | None = None


def packaged(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in names)


SYSTEMS = {
    "Debian 13": Seen(
        os_release='NAME="Debian GNU/Linux"\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\n',
        name="Debian 13 and later",
        packages=(("hyperv-daemons",), ("hyperv-daemons",), ()),
        units=(*DEBIAN[:2], None),
        processes=(*NAMES[:2], None),
        folder="/usr/libexec/hypervkvpd",
        manager="apt",
    ),
    "Debian 12": Seen(
        os_release='VERSION_ID="12"\nVERSION="12 (bookworm)"\nID=debian\n',
        name="Debian 12",
        packages=packaged(*["hyperv-daemons"] * 3),
        units=DEBIAN,
        processes=NAMES,
        folder="/usr/libexec/hypervkvpd",
        manager="apt",
    ),
    "Debian 11": Seen(
        os_release='VERSION_ID="11"\nID=debian\n',
        name="Debian 11",
        packages=packaged(*["hyperv-daemons"] * 3),
        units=DEBIAN,
        processes=NAMES,
        manager="apt",
    ),
    "Ubuntu 25.10": Seen(
        os_release='VERSION_ID="25.10"\nVERSION_CODENAME=questing\nID=ubuntu\nID_LIKE=debian\n',
        name="Ubuntu 25.04 and later",
        packages=(("linux-cloud-tools-common", "linux-cloud-tools-6.8.0-56-generic"),) * 3,
        units=DEBIAN,
        processes=UIO,
        folder="/usr/sbin",
        manager="apt",
    ),
    "Ubuntu 24.04": Seen(
        os_release='VERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n',
        name="Ubuntu 20.04 to 24.04",
        packages=(("linux-cloud-tools-common", "linux-cloud-tools-6.8.0-56-generic"),) * 3,
        units=DEBIAN,
        processes=NAMES,
        folder="/usr/sbin",
        manager="apt",
    ),
    "RHEL 10.0": Seen(
        os_release='ID="rhel"\nID_LIKE="centos fedora"\nVERSION_ID="10.0"\n',
        name="RHEL 10 and its kin",
        packages=packaged(*RED_HAT_NAMES),
        units=RED_HAT,
        processes=(*RED_HAT_NAMES[:2], "hv_fcopy_uio_da"),
        folder="/usr/libexec/hypervkvpd",
        manager="dnf",
    ),
    "Oracle Linux 9.1": Seen(
        os_release='NAME="Oracle Linux Server"\nID="ol"\nID_LIKE="fedora"\nVERSION_ID="9.1"\n',
        name="RHEL 8, 9 and their kin",
        packages=packaged(*RED_HAT_NAMES),
        units=RED_HAT,
        processes=RED_HAT_NAMES,
        folder="/usr/libexec/hypervkvpd",
        manager="dnf",
    ),
    "CentOS 7": Seen(
        os_release='ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"\n',
        name="RHEL 7 and its kin",
        packages=packaged(*RED_HAT_NAMES),
        units=RED_HAT,
        processes=RED_HAT_NAMES,
        folder="/usr/libexec/hypervkvpd",
        manager="yum",
    ),
    "Fedora 43": Seen(
        os_release='NAME="Fedora Linux"\nID=fedora\nVERSION_ID=43\nVERSION_CODENAME=""\n',
        name="Fedora 41 and later",
        packages=packaged(*RED_HAT_NAMES),
        units=RED_HAT,
        processes=UIO,
        folder="/usr/libexec/hypervkvpd",
        manager="dnf",
    ),
    "Fedora 40": Seen(
        os_release="ID=fedora\nVERSION_ID=40\n",
        name="Fedora 38 to 40",
        packages=packaged(*RED_HAT_NAMES),
        units=RED_HAT,
        processes=RED_HAT_NAMES,
        folder="/usr/libexec/hypervkvpd",
        manager="dnf",
    ),
    "Tumbleweed": Seen(
        os_release='ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\nVERSION_ID="20240823"\n',
        name="openSUSE Tumbleweed",
        packages=packaged(*["hyper-v"] * 3),
        units=SUSE,
        processes=NAMES,
        folder="/usr/lib/hyper-v/bin",
        manager="zypper",
    ),
    "SLES 15.7": Seen(
        os_release='ID="sles"\nID_LIKE="suse"\nVERSION_ID="15.7"\n',
        name="SUSE Linux Enterprise and openSUSE Leap 15",
        packages=packaged(*["hyper-v"] * 3),
        units=SUSE,
        processes=NAMES,
        folder="/usr/lib/hyper-v/bin",
        manager="zypper",
    ),
    "Alpine 3.23": Seen(
        os_release="ID=alpine\nVERSION_ID=3.23.2\n",
        name="Alpine",
        packages=(("hvtools", "hvtools-openrc"),) * 3,
        processes=NAMES,
        manager="apk",
    ),
    "Arch": Seen(
        os_release='NAME="Arch Linux"\nID=arch\nBUILD_ID=rolling\n',
        name="Arch",
        packages=packaged(*["hyperv"] * 3),
        units=(*SUSE[:2], None),
        processes=UIO,
        folder="/usr/lib/hypervkvpd",
        manager="pacman",
    ),
    "Azure Linux 3": Seen(
        os_release='ID=azurelinux\nVERSION_ID="3.0"\n',
        name="Azure Linux 3 and CBL-Mariner 2",
        packages=packaged(*RED_HAT_NAMES),
        units=RED_HAT,
        processes=RED_HAT_NAMES,
        folder="/usr/libexec/hypervkvpd",
        manager="tdnf",
    ),
    "Photon 5": Seen(
        os_release="ID=photon\nVERSION_ID=5.0\n",
        name="Photon",
        packages=packaged(*["hyper-v"] * 3),
        units=SUSE,
        processes=NAMES,
        folder="/usr/bin",
        manager="tdnf",
    ),
    "NixOS 25.05": Seen(
        os_release='ID=nixos\nID_LIKE=""\nVERSION_ID="25.05"\n',
        name="NixOS",
        packages=(None, None, None),
        units=("hv-kvp.service", "hv-vss.service", "hv-fcopy.service"),
        processes=(".hv_kvp_daemon-", "hv_vss_daemon", "hv_fcopy_daemon"),
        manager="nix",
    ),
    "Gentoo": Seen(
        os_release='NAME=Gentoo\nID=gentoo\nVERSION_ID="2.18"\n',
        name="Gentoo",
        packages=(None, None, None),
        units=SUSE,
        processes=NAMES,
        folder="/usr/libexec/hypervkvpd",
        manager="emerge",
    ),
    "OpenWrt 24.10": Seen(
        os_release='ID="openwrt"\nID_LIKE="lede openwrt"\nVERSION_ID="24.10.2"\n',
        name="OpenWrt",
        packages=(None, None, None),
        processes=NAMES,
        folder="/usr/libexec/hypervkvpd",
    ),
    "Amazon Linux 2023": Seen(
        os_release='ID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n',
        name="Amazon Linux",
        packages=(None, None, None),
        processes=(None, None, None),
    ),
    "FreeBSD 13.2": Seen(
        os_release='NAME=FreeBSD\nVERSION_ID="13.2"\nID=freebsd\n',
        name="FreeBSD",
        processes=(*NAMES[:2], None),
    ),
}


def found(text: str) -> Distribution:
    distribution = distribution_of(parse_os_release(text))
    assert distribution is not None
    return distribution


def daemon_of(distribution: Distribution, kind: ServiceKind) -> PackagedDaemon:
    daemon = distribution.daemon(kind)
    assert daemon is not None
    return daemon


def first(names: tuple[str, ...] | None) -> str | None:
    return names[0] if names else None


@pytest.mark.parametrize("seen", SYSTEMS.values(), ids=SYSTEMS)
def test_a_system_is_known_by_its_os_release(seen: Seen) -> None:
    distribution = found(seen.os_release)

    assert distribution.name == seen.name
    assert distribution.likeness is None
    assert (distribution.manager and distribution.manager.name) == seen.manager
    assert distribution.helper_folder == seen.folder
    for number, daemon in enumerate(distribution.daemons):
        assert daemon.packages_for("6.8.0-56-generic") == (seen.packages[number] or None)
        assert first(daemon.units) == (seen.units[number] if seen.units else None)
        assert first(daemon.processes) == seen.processes[number]


def test_every_row_has_a_system() -> None:
    assert [row.name for row in DISTRIBUTIONS] == [seen.name for seen in SYSTEMS.values()]


@pytest.mark.parametrize("row", DISTRIBUTIONS, ids=lambda row: row.name)
def test_a_row_has_the_sources_of_what_it_says(row: Distribution) -> None:
    said: list[object] = [row.manager, row.helper_folder, row.advice]
    for daemon in row.daemons:
        said += [daemon.packaged, daemon.packages, daemon.units, daemon.scripts, daemon.programs, daemon.executables]

    assert all(text.strip() for text in row.source)
    assert len(row.source) >= 2 or said == [None] * len(said)


@pytest.mark.parametrize("row", DISTRIBUTIONS, ids=lambda row: row.name)
def test_a_row_has_one_daemon_for_each_kind(row: Distribution) -> None:
    assert tuple(daemon.kind for daemon in row.daemons) == DAEMON_KINDS
    assert [row.daemon(kind) is not None for kind in ServiceKind] == [kind in DAEMON_KINDS for kind in ServiceKind]


def test_only_systems_that_were_seen_count_as_seen() -> None:
    assert [row.name for row in DISTRIBUTIONS if row.seen] == ["Debian 13 and later", "Debian 12"]


def test_debian_13_is_known_to_have_no_daemon_for_file_copies() -> None:
    twelve, thirteen = (found(f"ID=debian\nVERSION_ID={version}") for version in ("12", "13"))

    assert daemon_of(twelve, FILE_COPY).packaged
    assert daemon_of(thirteen, FILE_COPY).packaged is False
    assert daemon_of(thirteen, FILE_COPY).packages_for("6.12.1") is None
    assert daemon_of(thirteen, KVP).scripts == ("hv-kvp-daemon",)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ID=debian\nVERSION_ID=14", "Debian 13 and later"),
        ("ID=ubuntu\nVERSION_ID=20.04", "Ubuntu 20.04 to 24.04"),
        ("ID=ubuntu\nVERSION_ID=26.04", "Ubuntu 25.04 and later"),
        ("ID=rhel\nVERSION_ID=8.10", "RHEL 8, 9 and their kin"),
        ("ID=mariner\nVERSION_ID=2.0", "Azure Linux 3 and CBL-Mariner 2"),
        ("ID=DEBIAN\nVERSION_ID=12", "Debian 12"),
    ],
)
def test_a_version_belongs_to_the_row_that_spans_it(text: str, name: str) -> None:
    assert found(text).name == name


@pytest.mark.parametrize(
    "version",
    ["", "VERSION_ID=", "VERSION_ID=sid", "VERSION_ID=1.", "VERSION_ID=-1", "VERSION_ID=4", f"VERSION_ID={'9' * 300}."],
)
def test_of_a_version_that_no_row_is_for_only_what_all_have_in_common_is_known(version: str) -> None:
    distribution = found(f"ID=debian\n{version}\n")

    assert daemon_of(distribution, KVP).packages == ("hyperv-daemons",)
    assert daemon_of(distribution, KVP).processes == ("hv_kvp_daemon",)
    copies = daemon_of(distribution, FILE_COPY)
    assert (copies.packaged, copies.packages, copies.units, copies.processes) == (None, None, None, None)
    assert distribution.helper_folder is None
    assert distribution.likeness is None
    assert not distribution.seen


@pytest.mark.parametrize("digits", ["²", "١٣", "1_3", "+13", "0x0d", "13\x00"])
def test_a_version_has_plain_digits(digits: str) -> None:
    distribution = distribution_of({"ID": "debian", "VERSION_ID": digits})

    assert distribution is not None
    assert distribution.name.count(" or ") == 2


@pytest.mark.parametrize(
    ("text", "likeness", "manager", "unit"),
    [
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"', "ubuntu", "apt", "hv-kvp-daemon.service"),
        ("ID=kali\nID_LIKE=debian\nVERSION_ID=12", "debian", "apt", "hv-kvp-daemon.service"),
        ('ID=eurolinux\nID_LIKE="scientific rhel centos fedora"', "rhel", None, "hypervkvpd.service"),
        ('ID=opensuse-microos\nID_LIKE="suse opensuse"', "suse", "zypper", "hv_kvp_daemon.service"),
        ("ID=manjaro\nID_LIKE=arch", "arch", "pacman", "hv_kvp_daemon.service"),
    ],
)
def test_a_relative_is_taken_for_what_all_rows_of_the_other_have_in_common(
    text: str, likeness: str, manager: str | None, unit: str
) -> None:
    distribution = found(text)

    assert distribution.likeness == likeness
    assert (distribution.manager and distribution.manager.name) == manager
    assert daemon_of(distribution, KVP).units == (unit,)
    assert not distribution.seen


def test_the_version_of_a_relative_is_its_own() -> None:
    assert daemon_of(found("ID=raspbian\nID_LIKE=debian\nVERSION_ID=12"), FILE_COPY).packaged is None


def test_leap_16_is_not_taken_for_leap_15() -> None:
    leap = found('ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="16.0"\n')

    assert leap.likeness is None
    assert daemon_of(leap, VSS).programs == ("/usr/lib/hyper-v/bin/hv_vss_daemon",)


@pytest.mark.parametrize("text", ["", "ID=haiku", "ID_LIKE=", 'ID_LIKE="a b c"', "NAME=Debian", "ID=\nID_LIKE=x"])
def test_nothing_is_known_of_the_rest(text: str) -> None:
    assert distribution_of(parse_os_release(text)) is None


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("A=", ""),
        ('A=""', ""),
        ("A=''", ""),
        (" \tA=b \t", "b"),
        ('A="two words"', "two words"),
        ("A='$HOME `id` \\x'", "$HOME `id` \\x"),
        (r'A="\"\$\`\\ \n"', r'"$`\ \n'),
        (r"A=a\ b\$c", "a b$c"),
        ("A=https://example.org/?a=b#c", "https://example.org/?a=b#c"),
        ('A="Größe"', "Größe"),
        ("A=b=c", "b=c"),
        ("A=1~rc*", "1~rc*"),
    ],
)
def test_values_are_quoted_as_in_a_shell(line: str, value: str) -> None:
    assert parse_os_release(line) == {"A": value}


@pytest.mark.parametrize(
    "line",
    [
        "# A=b",
        "#A=b",
        "A",
        "=b",
        "a=b",
        "1A=b",
        "A B=c",
        "export A=b",
        "Ä=b",
        "A =b",
        "A= b",
        "A=b c",
        "A=b;c",
        "A=$HOME",
        "A=$(id)",
        "A=`id`",
        'A="$HOME"',
        'A="`id`"',
        'A="b',
        "A='b",
        'A="b"c',
        "A='b'c",
        "A=b'c'",
        'A=b"c"',
        "A=b\\",
        'A="b\\',
        'A="b\\"',
        'A="\x1b[31mred"',
        "A=b\r",
        "A=b\x00",
        "A=\u202eb",
        "A=b\x85ID=c",
        "A=b\u2028ID=c",
        "A=b\x0bID=c",
        "A=b|c",
        "A=b>c",
        "A" * 65 + "=b",
        "A=" + "b" * 513,
    ],
)
def test_what_is_no_plain_assignment_is_left_out(line: str) -> None:
    assert parse_os_release(f"ID=debian\n{line}\nZ=z\n") == {"ID": "debian", "Z": "z"}


def test_the_last_assignment_counts() -> None:
    assert parse_os_release("ID=a\nID=b\nID=$c\n") == {"ID": "b"}


def test_a_long_text_is_read_as_far_as_its_last_whole_line() -> None:
    text = "ID=debian\n" + "A=b\n" * 4093 + "LAST=123456789\n"

    assert parse_os_release(text) == {"ID": "debian", "A": "b"}


@pytest.mark.parametrize(
    "text", ["\\" * 4_000_000, 'A="' + "\\" * 400 + '"\n', "\n" * 4_000_000, "A=" * 2_000_000, '"' * 4_000_000]
)
def test_megabytes_do_no_harm(text: str) -> None:
    with within(5):
        assert parse_os_release(text * 3).keys() <= {"A"}


@pytest.mark.parametrize("kind", DAEMON_KINDS)
def test_all_names_can_stand_in_a_list_with_blanks_between(kind: ServiceKind) -> None:
    known = known_names(kind)

    for names in (known.units, known.scripts, known.programs, known.executables, known.processes):
        assert names
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[A-Za-z0-9._/-]+", name) and not name.startswith("-") for name in names)


@pytest.mark.parametrize("kind", DAEMON_KINDS)
def test_the_names_of_processes_are_cut_as_the_kernel_does(kind: ServiceKind) -> None:
    known = known_names(kind)

    assert set(known.processes) == {name[:15] for name in known.executables}
    assert all(len(name) <= 15 for name in known.processes)


def test_no_name_belongs_to_two_services() -> None:
    for what in ("units", "scripts", "programs", "executables", "processes"):
        names = [name for kind in DAEMON_KINDS for name in getattr(known_names(kind), what)]
        assert len(names) == len(set(names)), what


def test_all_names_of_the_kernel_are_among_them() -> None:
    for kind in DAEMON_KINDS:
        assert set(kind.linux_daemons) <= set(known_names(kind).executables)
        assert known_names(kind).programs[0] == f"/usr/sbin/{kind.linux_daemons[0]}"


def test_services_of_the_driver_have_no_names() -> None:
    assert not any(attrs.astuple(known_names(ServiceKind.HEARTBEAT)))


def test_helper_folders_are_listed_once() -> None:
    assert HELPER_FOLDERS[0] == "/usr/libexec/hypervkvpd"
    assert len(set(HELPER_FOLDERS)) == len(HELPER_FOLDERS)


@pytest.mark.parametrize(
    "kernel",
    ["", "-1", "6.8-", "6.8+", "6.8 --purge", "6.8;id", "6.8/x", "6.8\n", "6.8-WSL2", "6_8", "ä", "6" * 65, "{kernel}"],
)
def test_a_kernel_that_fits_no_package_name_is_put_into_no_command(kernel: str) -> None:
    ubuntu = found("ID=ubuntu\nVERSION_ID=24.04")

    assert daemon_of(ubuntu, KVP).packages_for(kernel) is None
    assert daemon_of(found("ID=debian\nVERSION_ID=12"), KVP).packages_for(kernel) == ("hyperv-daemons",)


def test_commands_are_lists_of_arguments() -> None:
    manager = found("ID=ubuntu\nVERSION_ID=24.04").manager
    assert manager is not None

    install = manager.install_command(("one", "two"))

    assert install == (
        *("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "-o", "Dpkg::Options::=--force-confold"),
        *("install", "one", "two"),
    )
    assert manager.installed_command("a b") == (
        *("dpkg-query", "--show", r"--showformat=${db:Status-Status} ${Version}\n", "a b"),
    )
    assert manager.available_command("one") == ("apt-cache", "show", "--no-all-versions", "one")


def test_where_no_command_installs_there_is_advice_or_nothing_known() -> None:
    for row in DISTRIBUTIONS:
        installs = row.manager is not None and row.manager.install_command(("x",)) is not None
        assert installs != (row.advice is not None) or row.name == "Amazon Linux"

    nix = found("ID=nixos").manager
    assert nix is not None
    assert nix.install_command(("x",)) is nix.installed_command("x") is nix.available_command("x") is None
