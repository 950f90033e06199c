"""What each distribution calls the daemons of the integration services, as data: packages, units, scripts, programs.

A row rests on a description of the system (os-release) and on the contents of its packages; ``source`` names them. What
no source says is None. Which row fits a guest follows from its os-release, which comes from the guest and may say
anything.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import attrs

from hvintegration.service_kind import ServiceKind

__all__ = [
    "DAEMON_KINDS",
    "DISTRIBUTIONS",
    "HELPER_FOLDERS",
    "HELPER_SCRIPTS",
    "KERNEL",
    "Distribution",
    "KnownNames",
    "PackageManager",
    "PackagedDaemon",
    "distribution_of",
    "known_names",
    "parse_os_release",
]

_T = TypeVar("_T")

DAEMON_KINDS: Final = (ServiceKind.KVP, ServiceKind.VSS, ServiceKind.GUEST_SERVICE_INTERFACE)
"""The services that need a daemon in Linux; the driver alone serves the others."""

HELPER_SCRIPTS: Final = ("hv_get_dhcp_info", "hv_get_dns_info", "hv_set_ifconfig")
"""What the daemon of KVP calls to read and set addresses. Distributions have all, some or none of them."""

KERNEL: Final = "{kernel}"
"""What stands for the release of the kernel in the name of a package."""

_PACKAGES: Final = "{packages}"
_COMM_LENGTH: Final = 15

_LONGEST_TEXT: Final = 16_384
_LONGEST_NAME: Final = 64
_LONGEST_VALUE: Final = 512
_CAPITALS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS: Final = frozenset("0123456789")
_OF_PACKAGE_NAMES: Final = frozenset("abcdefghijklmnopqrstuvwxyz") | _DIGITS
_MEANT_FOR_A_SHELL: Final = frozenset(" ;&|<>()\"'")


@attrs.frozen(kw_only=True)
class PackageManager:
    """The program that installs packages, and its commands as lists of arguments: no shell has to read them.

    A command that is None is not known, or not how this system is changed. Except for the first, they use no network.
    """

    name: str
    install: tuple[str, ...] | None = None
    installed: tuple[str, ...] | None = None
    available: tuple[str, ...] | None = None

    def install_command(self, packages: tuple[str, ...]) -> tuple[str, ...] | None:
        """The command that installs *packages* and asks nothing; it needs root."""
        return _filled(self.install, packages)

    def installed_command(self, package: str) -> tuple[str, ...] | None:
        """The command that says which version of *package* is installed."""
        return _filled(self.installed, (package,))

    def available_command(self, package: str) -> tuple[str, ...] | None:
        """The command that says which version of *package* could be installed, as far as the guest knows."""
        return _filled(self.available, (package,))


def _filled(command: tuple[str, ...] | None, packages: tuple[str, ...]) -> tuple[str, ...] | None:
    if command is None:
        return None
    place = command.index(_PACKAGES)
    return (*command[:place], *packages, *command[place + 1 :])


@attrs.frozen(kw_only=True)
class PackagedDaemon:
    """The daemon of a service, as a distribution has it. What is not known is None; none is an empty tuple.

    Attributes:
        kind: The service.
        packaged: Whether the distribution has it in a package, or in the system itself.
        packages: What to install; ``{kernel}`` stands for the release of the kernel that runs.
        units: Units of systemd; where there are two, the kernel decides which of them can run.
        scripts: Names in ``/etc/init.d`` or ``/etc/rc.d``.
        programs: Paths that can be told beforehand.
        executables: Base names of the files that run, whatever starts them.
    """

    kind: ServiceKind
    packaged: bool | None = None
    packages: tuple[str, ...] | None = None
    units: tuple[str, ...] | None = None
    scripts: tuple[str, ...] | None = None
    programs: tuple[str, ...] | None = None
    executables: tuple[str, ...] | None = attrs.field(
        default=attrs.Factory(lambda self: _base_names(self.programs), takes_self=True)
    )

    @property
    def processes(self) -> tuple[str, ...] | None:
        """The names of its processes as ``/proc/PID/comm`` has them: 15 characters at most."""
        return None if self.executables is None else tuple(name[:_COMM_LENGTH] for name in self.executables)

    def packages_for(self, kernel: str) -> tuple[str, ...] | None:
        """What to install on a guest that runs *kernel* (``uname -r``).

        None where that is not known, where no package has it, or where *kernel* cannot be part of a package's name.
        """
        if not self.packages:
            return None
        if any(KERNEL in name for name in self.packages) and not _fits_a_package_name(kernel):
            return None
        return tuple(name.replace(KERNEL, kernel) for name in self.packages)


def _base_names(paths: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if paths is None else tuple(path.rpartition("/")[2] for path in paths)


def _fits_a_package_name(kernel: str) -> bool:
    # The first and the last character too: apt-get takes a sign at the end of a name as an order.
    inside = _OF_PACKAGE_NAMES | frozenset("+-.")
    return (
        0 < len(kernel) <= _LONGEST_NAME
        and all(character in inside for character in kernel)
        and kernel[0] in _OF_PACKAGE_NAMES
        and kernel[-1] in _OF_PACKAGE_NAMES
    )


@attrs.frozen(kw_only=True)
class Distribution:
    """A distribution, or some versions of it, and how it has the daemons. What is not known is None.

    Attributes:
        name: What people call it.
        ids: The ``ID`` of its os-release, and of those that are built from the same packages.
        family: Further words by which ``ID_LIKE`` of its relatives means it.
        first: The first version that it is known for, None for all that came before ``last``.
        last: The last one; None if later ones are as it is, as far as is known.
        manager: The package manager.
        daemons: One for each of :data:`DAEMON_KINDS`, in their order.
        helper_folder: Where the scripts lie that the daemon of KVP calls; None if it has none, too.
        advice: What to do where no command installs them, as a sentence.
        seen: Whether a machine of it was seen, rather than its packages alone.
        likeness: The id of ``ID_LIKE`` that it was found by, which makes it a resemblance; None if ``ID`` itself fits.
        source: Where all that is from.
    """

    name: str
    ids: tuple[str, ...]
    family: tuple[str, ...] = ()
    first: str | None = None
    last: str | None = None
    manager: PackageManager | None = None
    daemons: tuple[PackagedDaemon, ...]
    helper_folder: str | None = None
    advice: str | None = None
    seen: bool = False
    likeness: str | None = None
    source: tuple[str, ...] = ()

    def daemon(self, kind: ServiceKind) -> PackagedDaemon | None:
        """The daemon of *kind*; None for a service that needs none."""
        return next((daemon for daemon in self.daemons if daemon.kind is kind), None)

    def fits_version(self, version: str) -> bool:
        """Whether it is known for *version*, such as ``24.04``. Of a version that is no number nobody knows."""
        if self.first is None and self.last is None:
            return True
        wanted = _numbers(version)
        if wanted is None:
            return False
        first, last = _numbers(self.first or ""), _numbers(self.last or "")
        return (first is None or first <= wanted[: len(first)]) and (last is None or wanted[: len(last)] <= last)


def _numbers(version: str) -> tuple[int, ...] | None:
    parts = version.split(".")
    if len(version) > _LONGEST_NAME or not all(part and _DIGITS.issuperset(part) for part in parts):
        return None
    return tuple(map(int, parts))


_APT: Final = PackageManager(
    name="apt",
    install=(
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "--yes",
        "-o",
        "Dpkg::Options::=--force-confold",
        "install",
        _PACKAGES,
    ),
    installed=("dpkg-query", "--show", r"--showformat=${db:Status-Status} ${Version}\n", _PACKAGES),
    available=("apt-cache", "show", "--no-all-versions", _PACKAGES),
)
_RPM_QUERY: Final = ("rpm", "--query", "--queryformat", r"%{VERSION}-%{RELEASE}\n", _PACKAGES)
_DNF: Final = PackageManager(
    name="dnf",
    install=("dnf", "--assumeyes", "install", _PACKAGES),
    installed=_RPM_QUERY,
    available=("dnf", "--cacheonly", "--quiet", "list", "--showduplicates", _PACKAGES),
)
_YUM: Final = PackageManager(
    name="yum",
    install=("yum", "--assumeyes", "install", _PACKAGES),
    installed=_RPM_QUERY,
    available=("yum", "--cacheonly", "--quiet", "list", "--showduplicates", _PACKAGES),
)
_TDNF: Final = PackageManager(
    name="tdnf",
    install=("tdnf", "--assumeyes", "install", _PACKAGES),
    installed=_RPM_QUERY,
    available=("tdnf", "--cacheonly", "--quiet", "list", "available", _PACKAGES),
)
_ZYPPER: Final = PackageManager(
    name="zypper",
    install=("zypper", "--non-interactive", "install", _PACKAGES),
    installed=_RPM_QUERY,
    available=("env", "LC_ALL=C", "zypper", "--non-interactive", "--no-refresh", "info", _PACKAGES),
)
_APK: Final = PackageManager(
    name="apk",
    install=("apk", "add", _PACKAGES),
    installed=("apk", "list", "--installed", _PACKAGES),
    available=("apk", "--no-network", "policy", _PACKAGES),
)
_PACMAN: Final = PackageManager(
    name="pacman",
    install=("pacman", "--sync", "--needed", "--noconfirm", _PACKAGES),
    installed=("pacman", "--query", _PACKAGES),
    available=("env", "LC_ALL=C", "pacman", "--sync", "--info", _PACKAGES),
)


def _daemons(
    program: str,
    *,
    packages: tuple[str, ...] | None,
    unit: str = "",
    script: str = "",
    file_copy: str = "fcopy",
    packaged: bool | None = True,
) -> tuple[PackagedDaemon, ...]:
    """Three daemons that differ by what stands for ``*``; *file_copy* does so in the program of the third."""
    shorts = ("kvp", "vss", "fcopy")
    return tuple(
        PackagedDaemon(
            kind=kind,
            packaged=packaged,
            packages=packages and tuple(name.replace("*", short) for name in packages),
            units=(unit.replace("*", short),) if unit else (),
            scripts=(script.replace("*", short),) if script else (),
            programs=(program.replace("*", in_program),),
        )
        for kind, short, in_program in zip(DAEMON_KINDS, shorts, (*shorts[:2], file_copy), strict=True)
    )


def _but(daemons: tuple[PackagedDaemon, ...], file_copy: PackagedDaemon) -> tuple[PackagedDaemon, ...]:
    """*daemons* with another one for Guest Service Interface."""
    return (*daemons[:2], file_copy)


_NO_FILE_COPY: Final = PackagedDaemon(
    kind=ServiceKind.GUEST_SERVICE_INTERFACE, packaged=False, packages=(), units=(), scripts=(), programs=()
)
_DEBIAN: Final = _daemons(
    "/usr/sbin/hv_*_daemon", packages=("hyperv-daemons",), unit="hv-*-daemon.service", script="hv-*-daemon"
)
# In Ubuntu, what lies in /usr/sbin is a script that runs the program of the same name for the kernel that runs.
_UBUNTU: Final = functools.partial(
    _daemons,
    "/usr/sbin/hv_*_daemon",
    packages=("linux-cloud-tools-common", f"linux-cloud-tools-{KERNEL}"),
    unit="hv-*-daemon.service",
)
_RED_HAT_IDS: Final = ("rhel", "centos", "almalinux", "rocky", "ol")
_RED_HAT: Final = _daemons("/usr/sbin/hyperv*d", packages=("hyperv*d",), unit="hyperv*d.service")
_FEDORA: Final = _daemons(
    "/usr/sbin/hv_*_daemon", packages=("hyperv*d",), unit="hyperv*d.service", file_copy="fcopy_uio"
)
_SUSE_FAMILY: Final = ("suse", "opensuse")
_SUSE: Final = _daemons("/usr/lib/hyper-v/bin/hv_*_daemon", packages=("hyper-v",), unit="hv_*_daemon.service")
_ARCH: Final = _daemons("/usr/bin/hv_*_daemon", packages=("hyperv",), unit="hv_*_daemon.service", file_copy="fcopy_uio")
_UPSTREAM_FOLDER: Final = "/usr/libexec/hypervkvpd"
_OS_RELEASE: Final = "which-distro/os-release@b92bccaf: "

DISTRIBUTIONS: Final[tuple[Distribution, ...]] = (
    Distribution(
        name="Debian 13 and later",
        ids=("debian",),
        first="13",
        manager=_APT,
        daemons=_but(_DEBIAN, _NO_FILE_COPY),
        helper_folder=_UPSTREAM_FOLDER,
        seen=True,
        source=(
            _OS_RELEASE + "debian/13",
            "contents of hyperv-daemons 6.12.117-1",
            "packages.debian.org: hyperv-daemons in forky (6.16.9-1) and sid (6.19.10-1)",
        ),
    ),
    Distribution(
        name="Debian 12",
        ids=("debian",),
        first="12",
        last="12",
        manager=_APT,
        daemons=_DEBIAN,
        helper_folder=_UPSTREAM_FOLDER,
        seen=True,
        source=(_OS_RELEASE + "debian/12", "contents of hyperv-daemons 6.1.192-2"),
    ),
    Distribution(
        name="Debian 11",
        ids=("debian",),
        first="11",
        last="11",
        manager=_APT,
        daemons=_DEBIAN,
        source=(_OS_RELEASE + "debian/11", "contents of hyperv-daemons 5.10.223-1"),
    ),
    Distribution(
        name="Ubuntu 25.04 and later",
        ids=("ubuntu",),
        first="25.04",
        manager=_APT,
        daemons=_UBUNTU(file_copy="fcopy_uio"),
        helper_folder="/usr/sbin",
        source=(
            _OS_RELEASE + "ubuntu/25.04, ubuntu/25.10",
            "packages.ubuntu.com: files of linux-cloud-tools-common in plucky, questing-updates, resolute-updates",
        ),
    ),
    Distribution(
        name="Ubuntu 20.04 to 24.04",
        ids=("ubuntu",),
        first="20.04",
        last="24.04",
        manager=_APT,
        daemons=_UBUNTU(),
        helper_folder="/usr/sbin",
        source=(
            _OS_RELEASE + "ubuntu/20.04, ubuntu/22.04, ubuntu/24.04",
            "packages.ubuntu.com: files of linux-cloud-tools-common in jammy-updates",
            "packages.ubuntu.com: files of linux-cloud-tools-5.4.0-47-generic in focal-updates",
            "packages.ubuntu.com: files of linux-cloud-tools-6.8.0-56 in noble-updates",
            "endlessm/linux: debian/rules.d/3-binary-indep.mk, debian/linux-cloud-tools-common.hv-*-daemon.service",
        ),
    ),
    Distribution(
        name="RHEL 10 and its kin",
        ids=_RED_HAT_IDS,
        first="10",
        last="10",
        manager=_DNF,
        daemons=_but(_RED_HAT, _FEDORA[2]),
        helper_folder=_UPSTREAM_FOLDER,
        source=(
            _OS_RELEASE + "rhel/10.0, almalinux/10.0, rocky/10.0",
            "openela-main/hyperv-daemons@cb4419af: SPECS/hyperv-daemons.spec, SOURCES/hypervfcopyd.service",
        ),
    ),
    Distribution(
        name="RHEL 8, 9 and their kin",
        ids=_RED_HAT_IDS,
        first="8",
        last="9",
        manager=_DNF,
        daemons=_RED_HAT,
        helper_folder=_UPSTREAM_FOLDER,
        source=(
            _OS_RELEASE + "rhel/8.10, rhel/9.6, centos/9, almalinux/9.6, rocky/9.5, ol/9.1",
            "openela-main/hyperv-daemons, el8 and el9: SPECS/hyperv-daemons.spec, SOURCES/hyperv*d.service",
        ),
    ),
    Distribution(
        name="RHEL 7 and its kin",
        ids=_RED_HAT_IDS,
        first="7",
        last="7",
        manager=_YUM,
        daemons=_RED_HAT,
        helper_folder=_UPSTREAM_FOLDER,
        source=(
            _OS_RELEASE + "rhel/7.5, centos/7, ol/7.4",
            "openlogic/hyperv-daemons: SPECS/hyperv-daemons.spec for el7",
            "docs.oracle.com/cd/E37670_01: Hyper-V Daemons",
        ),
    ),
    Distribution(
        name="Fedora 41 and later",
        ids=("fedora",),
        first="41",
        manager=_DNF,
        daemons=_FEDORA,
        helper_folder=_UPSTREAM_FOLDER,
        source=(
            "chef/os_release@198876e0: fedora_41, fedora_42, fedora_43",
            "r0x0d/fedora-rpm-specs: specs/hyperv-daemons.spec, 0-0.48 and 6.10",
            "packages.fedoraproject.org: hyperv-daemons 6.10 in Fedora 42 to 44",
        ),
    ),
    Distribution(
        name="Fedora 38 to 40",
        ids=("fedora",),
        first="38",
        last="40",
        manager=_DNF,
        daemons=_RED_HAT,
        helper_folder=_UPSTREAM_FOLDER,
        source=(
            _OS_RELEASE + "fedora/server/38, fedora/server/40",
            "major/fedora-rpm-specs@3b29f5b0: hyperv-daemons.spec 0-0.41",
            "r0x0d/fedora-rpm-specs: specs/hyperv-daemons.spec, changelog of 0-0.44 (Fedora 40) and 0-0.47",
        ),
    ),
    Distribution(
        name="openSUSE Tumbleweed",
        ids=("opensuse-tumbleweed",),
        family=_SUSE_FAMILY,
        manager=_ZYPPER,
        daemons=_but(
            _SUSE,
            PackagedDaemon(
                kind=ServiceKind.GUEST_SERVICE_INTERFACE,
                packaged=True,
                packages=("hyper-v",),
                units=("hv_fcopy_daemon.service", "hv_fcopy_uio_daemon.service"),
                scripts=(),
                programs=("/usr/lib/hyper-v/bin/hv_fcopy_daemon", "/usr/lib/hyper-v/bin/hv_fcopy_uio_daemon"),
            ),
        ),
        helper_folder="/usr/lib/hyper-v/bin",
        source=(
            _OS_RELEASE + "opensuse-tumbleweed/20240823",
            "bmwiedemann/openSUSE@0612f982: packages/h/hyper-v/hyper-v.spec, version 9",
        ),
    ),
    Distribution(
        name="SUSE Linux Enterprise and openSUSE Leap 15",
        ids=("sles", "sled", "opensuse-leap"),
        family=_SUSE_FAMILY,
        first="15",
        last="15",
        manager=_ZYPPER,
        daemons=_SUSE,
        helper_folder="/usr/lib/hyper-v/bin",
        source=(
            _OS_RELEASE + "sles/15.6, sled/15.5, opensuse-leap/15.6",
            "build.opensuse.org: hyper-v.spec of openSUSE:Leap:15.0 (version 7), openSUSE:Leap:15.3:Update (version 8)",
        ),
    ),
    Distribution(
        name="Alpine",
        ids=("alpine",),
        manager=_APK,
        daemons=_daemons("/usr/bin/hv_*_daemon", packages=("hvtools", "hvtools-openrc"), script="hv_*_daemon"),
        source=(
            _OS_RELEASE + "alpine/3.23.2",
            "alpinelinux/aports@1fcfeeaf: main/hvtools/APKBUILD 4.11.9-r4, main/hvtools/hv_*_daemon.initd",
            "pkgs.alpinelinux.org: hvtools-openrc 4.11.9-r4 in v3.23",
        ),
    ),
    Distribution(
        name="Arch",
        ids=("arch",),
        manager=_PACMAN,
        daemons=_but(_ARCH, attrs.evolve(_ARCH[2], units=())),
        helper_folder="/usr/lib/hypervkvpd",
        source=(_OS_RELEASE + "arch/arch", "archlinux.org: files of hyperv 6.18-3"),
    ),
    Distribution(
        name="Azure Linux 3 and CBL-Mariner 2",
        ids=("azurelinux", "mariner"),
        first="2",
        last="3",
        manager=_TDNF,
        daemons=_RED_HAT,
        helper_folder=_UPSTREAM_FOLDER,
        source=(
            _OS_RELEASE + "azurelinux/3.0, mariner/2.0",
            "microsoft/azurelinux: SPECS/hyperv-daemons/hyperv-daemons.spec, 6.6.158.1 and 5.15.138.1",
        ),
    ),
    Distribution(
        name="Photon",
        ids=("photon",),
        manager=_TDNF,
        daemons=_daemons("/usr/bin/hv_*_daemon", packages=("hyper-v",), unit="hv_*_daemon.service"),
        helper_folder="/usr/bin",
        source=(_OS_RELEASE + "photon/5.0", "vmware/photon: SPECS/hyper-v/hyper-v.spec, 4.9 and 6.1"),
    ),
    Distribution(
        name="NixOS",
        ids=("nixos",),
        manager=PackageManager(name="nix"),
        daemons=tuple(
            PackagedDaemon(kind=kind, packaged=True, units=(unit,), scripts=(), executables=executables)
            for kind, unit, executables in zip(
                DAEMON_KINDS,
                ("hv-kvp.service", "hv-vss.service", "hv-fcopy.service"),
                ((".hv_kvp_daemon-wrapped",), ("hv_vss_daemon",), ("hv_fcopy_daemon", "hv_fcopy_uio_daemon")),
                strict=True,
            )
        ),
        advice="Set virtualisation.hypervGuest.enable to true in the configuration of the system, and switch to it.",
        source=(
            _OS_RELEASE + "nixos/25.05",
            "NixOS/nixpkgs: nixos/modules/virtualisation/hyperv-guest.nix",
            "NixOS/nixpkgs: pkgs/os-specific/linux/hyperv-daemons/default.nix",
            "NixOS/nixpkgs: pkgs/build-support/setup-hooks/make-wrapper.sh",
        ),
    ),
    Distribution(
        name="Gentoo",
        ids=("gentoo",),
        manager=PackageManager(name="emerge"),
        daemons=_daemons(
            "/usr/sbin/hv_*_daemon", packages=None, unit="hv_*_daemon.service", script="hv_*_daemon", packaged=None
        ),
        helper_folder=_UPSTREAM_FOLDER,
        advice="Add an overlay with an ebuild of the kernel's tools/hv, such as app-emulation/hv-tools, and emerge it.",
        source=(
            _OS_RELEASE + "gentoo/2.18",
            "loadhigh/loadhigh-overlay (not Gentoo's own): app-emulation/hv-tools/hv-tools-5.10.43.ebuild",
        ),
    ),
    Distribution(
        name="OpenWrt",
        ids=("openwrt",),
        daemons=_daemons("/usr/sbin/hv_*_daemon", packages=None, script="hv_*_daemon", packaged=None),
        helper_folder=_UPSTREAM_FOLDER,
        advice="No feed is known to have the daemons; a package that was proposed for them is called hv-tools.",
        source=(
            _OS_RELEASE + "openwrt/24.10.2",
            "openwrt/packages: pull request 24871, utils/hv-tools (not merged when it was read)",
        ),
    ),
    Distribution(
        name="Amazon Linux",
        ids=("amzn",),
        daemons=tuple(PackagedDaemon(kind=kind) for kind in DAEMON_KINDS),
        source=(_OS_RELEASE + "amzn/2, amzn/2023",),
    ),
    Distribution(
        name="FreeBSD",
        ids=("freebsd",),
        daemons=(
            PackagedDaemon(
                kind=ServiceKind.KVP,
                packaged=True,
                packages=(),
                units=(),
                scripts=("hv_kvpd",),
                programs=("/usr/sbin/hv_kvp_daemon",),
            ),
            PackagedDaemon(
                kind=ServiceKind.VSS, packaged=True, packages=(), units=(), programs=("/usr/sbin/hv_vss_daemon",)
            ),
            _NO_FILE_COPY,
        ),
        advice="The daemons belong to the base system; devd starts them when their device appears.",
        source=(
            _OS_RELEASE + "freebsd/13.2",
            "freebsd/freebsd-src: sbin/devd/hyperv.conf, usr.sbin/hyperv/tools/*/Makefile, etc/rc.d/hv_kvpd (old)",
            "Microsoft, features of FreeBSD virtual machines on Hyper-V: no file copy",
        ),
    ),
)
"""What is known, newest versions first. Amazon Linux is here because by its ``ID_LIKE`` it would pass for Fedora."""

HELPER_FOLDERS: Final = tuple(dict.fromkeys(row.helper_folder for row in DISTRIBUTIONS if row.helper_folder))
"""Every folder in which :data:`HELPER_SCRIPTS` can lie."""


@attrs.frozen(kw_only=True)
class KnownNames:
    """All that the daemon of one service is called anywhere, in the order of :data:`DISTRIBUTIONS`."""

    units: tuple[str, ...]
    scripts: tuple[str, ...]
    programs: tuple[str, ...]
    executables: tuple[str, ...]
    processes: tuple[str, ...]


@functools.cache
def known_names(kind: ServiceKind) -> KnownNames:
    """All that the daemon of *kind* is called, on whatever distribution; nothing for a service that needs none.

    >>> known_names(ServiceKind.GUEST_SERVICE_INTERFACE).processes
    ('hv_fcopy_daemon', 'hv_fcopy_uio_da', 'hypervfcopyd')
    """
    daemons = [daemon for row in DISTRIBUTIONS for daemon in row.daemons if daemon.kind is kind]
    return KnownNames(
        units=_all(daemon.units for daemon in daemons),
        scripts=_all(daemon.scripts for daemon in daemons),
        programs=_all(daemon.programs for daemon in daemons),
        executables=_all(daemon.executables for daemon in daemons),
        processes=_all(daemon.processes for daemon in daemons),
    )


def _all(groups: Iterable[tuple[str, ...] | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group or ()))


def distribution_of(os_release: Mapping[str, str]) -> Distribution | None:
    """What is known of the distribution that *os_release* describes; None if nothing is.

    Its ``ID`` decides, then each word of ``ID_LIKE``. Where the version fits none of several rows, and for a mere
    resemblance, whose numbers are its own, only that is known in which all of them agree.

    >>> distribution_of({"ID": "debian", "VERSION_ID": "13"}).name
    'Debian 13 and later'
    """
    own = os_release.get("ID", "").lower()
    rows = [row for row in DISTRIBUTIONS if own in row.ids]
    if rows:
        fitting = [row for row in rows if row.fits_version(os_release.get("VERSION_ID", ""))]
        return fitting[0] if fitting else _in_common(rows)
    for like in os_release.get("ID_LIKE", "").lower().split():
        rows = [row for row in DISTRIBUTIONS if like in row.ids or like in row.family]
        if rows:
            return attrs.evolve(_in_common(rows), likeness=like)
    return None


def _in_common(rows: list[Distribution]) -> Distribution:
    first = rows[0]
    return Distribution(
        name=" or ".join(row.name for row in rows),
        ids=first.ids,
        manager=_same([row.manager for row in rows]),
        daemons=tuple(_daemon_in_common([row.daemons[place] for row in rows]) for place in range(len(DAEMON_KINDS))),
        helper_folder=_same([row.helper_folder for row in rows]),
        advice=_same([row.advice for row in rows]),
        source=_all(row.source for row in rows),
    )


def _daemon_in_common(daemons: list[PackagedDaemon]) -> PackagedDaemon:
    return PackagedDaemon(
        kind=daemons[0].kind,
        packaged=_same([daemon.packaged for daemon in daemons]),
        packages=_same([daemon.packages for daemon in daemons]),
        units=_same([daemon.units for daemon in daemons]),
        scripts=_same([daemon.scripts for daemon in daemons]),
        programs=_same([daemon.programs for daemon in daemons]),
        executables=_same([daemon.executables for daemon in daemons]),
    )


def _same(values: list[_T]) -> _T | None:
    return values[0] if all(value == values[0] for value in values) else None


def parse_os_release(text: str) -> dict[str, str]:
    r"""The assignments in *text*, the contents of an os-release file; quoted as in a shell, and nothing is executed.

    A guest wrote it. What is too long, has control characters, or would be more than a plain value to a shell, is left
    out, line by line; of the text itself, what lies beyond 16,384 characters.

    >>> parse_os_release('ID=debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n')
    {'ID': 'debian', 'PRETTY_NAME': 'Debian GNU/Linux 13 (trixie)'}
    """
    found: dict[str, str] = {}
    lines = text[:_LONGEST_TEXT].split("\n")
    if len(text) > _LONGEST_TEXT:
        lines.pop()
    for line in lines:
        name, assigned, rest = line.strip(" \t").partition("=")
        if assigned and _is_name(name) and (value := _plain_value(rest)) is not None:
            found[name] = value
    return found


def _is_name(text: str) -> bool:
    return (
        0 < len(text) <= _LONGEST_NAME
        and text[0] in _CAPITALS
        and all(character in _CAPITALS or character in _DIGITS for character in text)
    )


def _plain_value(text: str) -> str | None:
    if len(text) > _LONGEST_VALUE or not text.isprintable():
        return None
    quote = text[:1]
    if quote == "'":
        value, closed, after = text[1:].partition("'")
        return None if not closed or after else value
    return _unescaped(text[1:], quote) if quote == '"' else _unescaped(text, "")


def _unescaped(text: str, quote: str) -> str | None:
    """The value of *text* up to *quote*, with which it must end; None if there is more to it."""
    characters = iter(text)
    value: list[str] = []
    for character in characters:
        if quote and character == quote:
            return "".join(value) if next(characters, None) is None else None
        if character == "\\":
            escaped = next(characters, None)
            if escaped is None:
                return None
            value.append(escaped if not quote or escaped in '\\"$`' else character + escaped)
        elif character in "$`" or (not quote and character in _MEANT_FOR_A_SHELL):
            return None
        else:
            value.append(character)
    return None if quote else "".join(value)
