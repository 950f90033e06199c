"""What systems call themselves, as data: product names, captions and version numbers.

A text may come from a guest and say anything: what is not recognized is no system, never a guess and never an error.
Where version numbers are from is in :data:`VERSION_SOURCES`.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import attrs

__all__ = ["FREEBSD", "LINUX", "VERSIONS", "VERSION_SOURCES", "System", "systems_of"]

LINUX: Final = "Linux"
"""What stands for every distribution of Linux."""

FREEBSD: Final = "FreeBSD"

_LONGEST_TEXT: Final = 512
_LONGEST_NUMBER: Final = 6
_DIGITS: Final = frozenset("0123456789")


@attrs.frozen
class System:
    """A system that a text can mean.

    Attributes:
        name: Name of the product, such as ``Windows Server 2012 R2``, ``Linux`` or ``FreeBSD``.
        service_pack: Number of its service pack, 0 for none; None if the text does not say.
        distribution: ``ID`` of a Linux distribution, as its os-release has it; None if it is another or not known.
        version: Version of that distribution, likewise.
    """

    name: str
    service_pack: int | None = None
    distribution: str | None = None
    version: str | None = None


_CHANNEL: Final = "Windows Server, Semi-Annual Channel"

VERSIONS: Final[dict[str, tuple[System, ...]]] = {
    "5.1.2600": (System("Windows XP"),),
    "5.2.3790": (System("Windows Server 2003"), System("Windows Server 2003 R2"), System("Windows XP")),
    "6.0.6000": (System("Windows Vista", 0),),
    "6.0.6001": (System("Windows Vista", 1), System("Windows Server 2008", 0)),
    "6.0.6002": (System("Windows Vista", 2), System("Windows Server 2008", 2)),
    "6.0.6003": (System("Windows Server 2008", 2),),
    "6.1.7600": (System("Windows 7", 0), System("Windows Server 2008 R2", 0)),
    "6.1.7601": (System("Windows 7", 1), System("Windows Server 2008 R2", 1)),
    "6.2.9200": (System("Windows 8"), System("Windows Server 2012")),
    "6.3.9600": (System("Windows 8.1"), System("Windows Server 2012 R2")),
    "10.0.10240": (System("Windows 10"),),
    "10.0.10586": (System("Windows 10"),),
    "10.0.14393": (System("Windows 10"), System("Windows Server 2016")),
    "10.0.15063": (System("Windows 10"),),
    "10.0.16299": (System("Windows 10"), System(_CHANNEL)),
    "10.0.17134": (System("Windows 10"), System(_CHANNEL)),
    "10.0.17763": (System("Windows 10"), System("Windows Server 2019"), System(_CHANNEL)),
    "10.0.18362": (System("Windows 10"), System(_CHANNEL)),
    "10.0.18363": (System("Windows 10"), System(_CHANNEL)),
    "10.0.19041": (System("Windows 10"), System(_CHANNEL)),
    "10.0.19042": (System("Windows 10"), System(_CHANNEL)),
    "10.0.19043": (System("Windows 10"),),
    "10.0.19044": (System("Windows 10"),),
    "10.0.19045": (System("Windows 10"),),
    "10.0.20348": (System("Windows Server 2022"),),
    "10.0.22000": (System("Windows 11"),),
    "10.0.22621": (System("Windows 11"),),
    "10.0.22631": (System("Windows 11"),),
    "10.0.26100": (System("Windows 11"), System("Windows Server 2025")),
    "10.0.26200": (System("Windows 11"),),
}
"""The systems of each version, major.minor.build. A version that is not here means no system."""

_WIN32: Final = "https://learn.microsoft.com/windows/win32"
_RELEASES: Final = "https://learn.microsoft.com/windows/release-health"

VERSION_SOURCES: Final[dict[str, str]] = {
    "major and minor": f"{_WIN32}/sysinfo/operating-system-version (MicrosoftDocs/win32@24c78382)",
    "2600 to 6002, 9200": f"{_WIN32}/msi/operating-system-property-values (MicrosoftDocs/win32@3c3df8c8)",
    "3790 as Windows XP, 7600, 7601": "http://www.jrsoftware.org/ishelp/topic_winvernotes.htm (Inno Setup)",
    "6003": "https://betawiki.net/wiki/Windows_Server_2008_build_6003",
    "9600": "KB3063283, whose integration services are 6.3.9600.17831",
    "Windows 10 and 11": (
        f"{_RELEASES}/release-information and {_RELEASES}/windows11-release-information, as copied by "
        "altrhombus/DataForGeeks on 2026-02-10; 26200 as read from there by AshleyHow/WindowsOSBuild#58"
    ),
    "Windows Server 2016 and 2019, versions 1803, 1809, 1903 and 1909": (
        "https://learn.microsoft.com/windows-server/get-started/windows-server-release-info "
        "(MicrosoftDocs/windowsserverdocs@ca6cf9cc and @0118fddc)"
    ),
    "Windows Server versions 1709, 2004 and 20H2, 2022 and 2025": "osversion/windowsbuilds.go of microsoft/hcsshim",
}
"""Where it is documented, by what it is about."""

_CHANNEL_VERSIONS: Final = ("1709", "1803", "1809", "1903", "1909", "2004", "20h2")

_PRODUCTS: Final = (
    "Windows XP",
    "Windows Vista",
    "Windows 7",
    "Windows 8",
    "Windows 8.1",
    "Windows 10",
    "Windows 11",
    "Windows Server 2003",
    "Windows Server 2003 R2",
    "Windows Server 2008",
    "Windows Server 2008 R2",
    "Windows Server 2012",
    "Windows Server 2012 R2",
    "Windows Server 2016",
    "Windows Server 2019",
    "Windows Server 2022",
    "Windows Server 2025",
    "Windows Home Server 2011",
    "Windows Small Business Server 2011",
)

_WORDS: Final[dict[tuple[str, ...], str]] = {
    **{tuple(name.casefold().split()): name for name in _PRODUCTS},
    ("windows", "server", "semi-annual", "channel"): _CHANNEL,
    **{("windows", "server", "version", version): _CHANNEL for version in _CHANNEL_VERSIONS},
    **{("windows", "server", version): _CHANNEL for version in _CHANNEL_VERSIONS},
}
"""The words of each product's name."""

_MOST_WORDS: Final = max(map(len, _WORDS))

_DISTRIBUTIONS: Final[dict[tuple[str, ...], str]] = {
    ("alma", "linux"): "almalinux",
    ("almalinux",): "almalinux",
    ("alpine",): "alpine",
    ("amazon", "linux"): "amzn",
    ("arch",): "arch",
    ("azure", "linux"): "azurelinux",
    ("cbl-mariner",): "mariner",
    ("centos",): "centos",
    ("debian",): "debian",
    ("fedora",): "fedora",
    ("gentoo",): "gentoo",
    ("microsoft", "azure", "linux"): "azurelinux",
    ("nixos",): "nixos",
    ("opensuse", "leap"): "opensuse-leap",
    ("opensuse", "tumbleweed"): "opensuse-tumbleweed",
    ("openwrt",): "openwrt",
    ("oracle", "linux"): "ol",
    ("photon", "os"): "photon",
    ("red", "hat", "enterprise", "linux"): "rhel",
    ("rhel",): "rhel",
    ("rocky",): "rocky",
    ("sles",): "sles",
    ("suse", "linux", "enterprise", "desktop"): "sled",
    ("suse", "linux", "enterprise", "server"): "sles",
    ("ubuntu",): "ubuntu",
    ("vmware", "photon"): "photon",
}
"""How the names of Linux distributions begin, and the ``ID`` of each."""


def systems_of(text: str) -> tuple[System, ...]:
    """The systems that *text* can mean, empty if it is not understood.

    Args:
        text: A product name (``Windows 10``, ``Server 2012 R2``), a caption (``Microsoft Windows 10 Entreprise``,
            ``Ubuntu 22.04.4 LTS``) or a version number (``10.0.20348``, ``6.3``, or a build such as ``17763``). A
            number can mean several.

    >>> [system.name for system in systems_of("6.3.9600")]
    ['Windows 8.1', 'Windows Server 2012 R2']
    """
    shortened = text[:_LONGEST_TEXT]
    if shortened.strip() and _DIGITS.issuperset(shortened.strip().replace(".", "")):
        return _of_version(shortened.strip())
    words = _words(shortened)
    return _windows(words) or _unix(words)


def _of_version(text: str) -> tuple[System, ...]:
    parts = text.split(".")
    if not all(part and len(part) <= _LONGEST_NUMBER for part in parts):
        return ()
    if len(parts) == 1:
        found = [systems for version, systems in VERSIONS.items() if version.endswith(f".{text}")]
    else:
        wanted = f"{'.'.join(parts[:3])}."
        found = [systems for version, systems in VERSIONS.items() if f"{version}.".startswith(wanted)]
    return _distinct([system for systems in found for system in systems])


def _distinct(systems: list[System]) -> tuple[System, ...]:
    """Each product once; where a text leaves several service packs of one, the service pack is not known."""
    packs: dict[str, set[int | None]] = {}
    for system in systems:
        packs.setdefault(system.name, set()).add(system.service_pack)
    return tuple(System(name, found.pop() if len(found) == 1 else None) for name, found in packs.items())


def _words(text: str) -> tuple[str, ...]:
    for mark in ("®", "™", "©"):  # Before anything is normalized: that makes letters of them.
        text = text.replace(mark, " ")
    text = unicodedata.normalize("NFKC", text).casefold()
    for mark in ("(r)", "(tm)", "(c)", ",", ";", "(", ")", "/"):
        text = text.replace(mark, " ")
    words: list[str] = []
    for word in text.split():
        year = word.removesuffix("r2")
        if year and year != word and _DIGITS.issuperset(year):
            words += [year, "r2"]
        else:
            words.append(word)
    return tuple(words)


def _windows(words: tuple[str, ...]) -> tuple[System, ...]:
    """The product that *words* name; nothing but a vendor, in any script, may be before it."""
    if words[:1] == ("server",):
        words = ("windows", *words)
    for start in range(min(2, len(words))):
        for length in range(_MOST_WORDS, 1, -1):
            name = _WORDS.get(words[start : start + length])
            after = words[start + length :]
            if name is not None and after[:1] != ("r2",):
                return (System(name, _service_pack(after)),)
    return ()


def _service_pack(words: tuple[str, ...]) -> int | None:
    text = f" {' '.join(words)} ".replace(" service pack ", " sp ")
    for number in range(5):
        if f" sp{number} " in text or f" sp {number} " in text:
            return number
    return None


def _unix(words: tuple[str, ...]) -> tuple[System, ...]:
    for start, name in _DISTRIBUTIONS.items():
        if words[: len(start)] == start:
            numbers = (word.removeprefix("v") for word in words[len(start) :])
            version = next((number for number in numbers if _is_version(number)), None)
            return (System(LINUX, distribution=name, version=version),)
    if words[:1] == (FREEBSD.casefold(),):
        return (System(FREEBSD),)
    return (System(LINUX),) if "linux" in words else ()


def _is_version(word: str) -> bool:
    return all(part and len(part) <= _LONGEST_NUMBER and _DIGITS.issuperset(part) for part in word.split("."))
