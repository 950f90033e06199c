"""What Linux guests are asked, and what they say: facts as a shell finds them. The script says how it finds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import attrs

from hvintegration.calls.decoding import Json, JsonObject, OptionalFields, optional_texts
from hvintegration.linux_distributions import (
    DAEMON_KINDS,
    DISTRIBUTIONS,
    HELPER_FOLDERS,
    HELPER_SCRIPTS,
    known_names,
    parse_os_release,
)
from hvintegration.operations.vms import normal_guid
from hvintegration.service_kind import ServiceKind

__all__ = [
    "BSD_DEVICES",
    "HELPERS",
    "POOLS",
    "TIME_DAEMONS",
    "Channel",
    "LinuxFacts",
    "Process",
    "decode_facts",
    "looked_for",
    "names_of",
]

HELPERS: Final = tuple(f"{folder}/{name}" for folder in HELPER_FOLDERS for name in HELPER_SCRIPTS)
"""Every path at which a script of Data Exchange can lie."""

_FOLDERS_OF_POOLS: Final = ("/var", "/var/lib", "/var/lib/hyperv", "/var/db", "/var/db/hyperv", "/var/db/hyperv/pool")

POOLS: Final = tuple(
    f"{folder}/.kvp_pool_{number}" for folder in ("/var/lib/hyperv", "/var/db/hyperv/pool") for number in range(5)
)
"""The files of Data Exchange, on Linux and on FreeBSD."""

BSD_DEVICES: Final = {ServiceKind.KVP: "/dev/hv_kvp_dev", ServiceKind.VSS: "/dev/hv_fsvss_dev"}
"""The devices of daemons on FreeBSD."""

TIME_DAEMONS: Final = {
    "chronyd": "chronyd",
    "ntpd": "ntpd",
    "systemd-timesyn": "systemd-timesyncd",
    "ntp-daemon": "ntp-daemon",
    "phc2sys": "phc2sys",
}
"""Programs that set the clock, by the names of their processes, which are cut at 15 characters."""

_DEAD: Final = frozenset({"Z", "X"})
_LONGEST_NUMBER: Final = 10
_MANAGERS: Final = {"apt": "apt", "apk": "apk", "pacman": "pacman"}
"""By the name of the package manager, what the script calls it; all others have packages of rpm."""


@attrs.frozen
class Channel:
    """A VMBus channel: what the host offers.

    Attributes:
        driver: The driver that is bound to it, or None.
        uio: Name of its uio device, or None.
    """

    driver: str | None
    uio: str | None


@attrs.frozen
class Process:
    """A process with the name of a daemon.

    Attributes:
        pid: Its number.
        owner: Number of the user that it runs as; None if that could not be read.
        name: Its name, cut at 15 characters.
        program: The file that it runs; None if this user may not know.
    """

    pid: int
    owner: int | None
    name: str
    program: str | None


@attrs.frozen(kw_only=True)
class LinuxFacts:
    """What a Linux guest says. What could not be read is None.

    Attributes:
        kernel: ``Linux`` or ``FreeBSD``.
        kernel_release: As ``uname -r`` says it.
        machine: Architecture.
        name: Host name.
        user_id: Number of the user who asks.
        init: ``systemd``, ``openrc``, ``sysvinit``, FreeBSD's ``rc``, or None where there is no init system with
            services.
        os_release: What it says of its distribution.
        vendor: Vendor of the machine, from its firmware.
        product: Name of the machine, likewise.
        hypervisor: What the kernel calls the hypervisor, where it is one of those that it has a name for: such as
            ``xen`` on Linux, and ``hv`` on FreeBSD.
        vmbus: Whether the kernel has found Hyper-V's bus.
        uptime: Seconds since it was started.
        bus: What FreeBSD has found on Hyper-V's bus, such as ``hvkvp0``, and the bus itself; None on Linux.
        driver: Whether the driver of integration services is there, as a module or built in.
        module: Whether it is a module that is loaded.
        channels: What the host offers, by class id.
        devices: The known devices that are there.
        processes: Those that have the name of a daemon and run.
        keepers: What a process belongs to, by its number: a group of systemd's, or ``noted`` where a script has its
            number in a file, and ``-`` where none has.
        programs: The known programs that are there.
        hidden_programs: The known programs that may be there, in a folder that this user cannot look into.
        units: What the init system says of each unit or script that it knows, by its name.
        wanted: Units that are started when their device comes.
        last_words: The last lines in the journal, by the units that have failed; only for who may read the journal.
        modes: The mode of each file of Data Exchange and of the folders above, as ``ls`` shows it, by its path.
        clocks: The names of the clocks that the machine has beside its own, by their devices.
        refclocks: The devices of these that chrony is told to use.
        versions: The versions of the known packages that are installed, by their names.
        available: The versions of the known packages that could be installed, likewise.
        vm_id: The virtual machine that it takes itself for: GUID, lower case without braces.
        rights: How this user can become root: ``root``, ``sudo``, ``doas``, one of these ``with a password``, ``sudo on
            a terminal``, or ``none``. With the password that sudo asks for, ``sudo``.
    """

    kernel: str | None
    kernel_release: str | None
    machine: str | None
    name: str | None
    user_id: int | None
    init: str | None
    os_release: Mapping[str, str]
    vendor: str | None
    product: str | None
    hypervisor: str | None
    vmbus: bool | None
    uptime: int | None
    bus: frozenset[str] | None
    driver: bool | None
    module: bool | None
    channels: Mapping[str, Channel] | None
    devices: frozenset[str] | None
    processes: tuple[Process, ...] | None
    keepers: Mapping[int, str]
    programs: frozenset[str]
    hidden_programs: frozenset[str]
    units: Mapping[str, Mapping[str, str]] | None
    wanted: frozenset[str] | None
    last_words: Mapping[str, str]
    modes: Mapping[str, str] | None
    clocks: Mapping[str, str]
    refclocks: frozenset[str]
    versions: Mapping[str, str] | None
    available: Mapping[str, str]
    vm_id: str | None
    rights: str | None


# -- what is asked ---------------------------------------------------------------------------------------------------


def names_of(kind: ServiceKind) -> dict[str, str]:
    """What the daemon of *kind* is called anywhere, and its devices, as texts with spaces between the names."""
    names = known_names(kind)
    return {
        "devices": " ".join(device for device in kind.linux_devices if device != "/dev/uio"),
        "units": " ".join(names.units),
        "scripts": " ".join(names.scripts),
        "programs": " ".join(names.programs),
        "names": " ".join(names.processes),
    }


def looked_for(*, available: bool = False) -> dict[str, Json]:
    """What the scripts for Linux guests are asked to look for; with what could be installed, if *available*."""
    of_each = [names_of(kind) for kind in DAEMON_KINDS]
    document = {key: " ".join(dict.fromkeys(" ".join(names[key] for names in of_each).split())) for key in of_each[0]}
    document["programs"] += f" {' '.join(HELPERS)}"
    document["devices"] += f" {' '.join(BSD_DEVICES.values())}"
    document["names"] += f" {' '.join(TIME_DAEMONS)}"
    document["pools"] = " ".join((*_FOLDERS_OF_POOLS, *POOLS))
    document |= {manager: " ".join(dict.fromkeys(_packages(manager))) for manager in (*_MANAGERS, "rpm")}
    return document | {"available": "yes" if available else ""}


def _packages(manager: str) -> Iterator[str]:
    """The names of packages that the distributions with that package manager have; without those of one kernel."""
    for row in DISTRIBUTIONS:
        if row.manager is not None and _MANAGERS.get(row.manager.name, "rpm") == manager:
            for daemon in row.daemons:
                yield from (name for name in daemon.packages or () if "{" not in name)


# -- what is answered ------------------------------------------------------------------------------------------------

_PLAIN: Final = OptionalFields(
    kernel=str,
    kernel_release=str,
    machine=str,
    name=str,
    user_id=int,
    init=str,
    vendor=str,
    product=str,
    hypervisor=str,
    vmbus=bool,
    uptime=int,
    driver=bool,
    module=bool,
    rights=str,
)
_PLAIN_NAMES: Final = (
    *("kernel", "kernel_release", "machine", "name", "user_id", "init", "vendor", "product"),
    *("hypervisor", "vmbus", "uptime", "driver", "module", "rights"),
)
_TEXTS: Final = OptionalFields(os_release=str, vm_id=str)


def decode_facts(result: JsonObject, path: str) -> LinuxFacts:
    """The facts in the result of an answer.

    Raises:
        DecodeError: Something in it has another shape; it says where.
    """
    plain = dict(zip(_PLAIN_NAMES, _PLAIN.read(result, path), strict=True))
    os_release, vm_id = _TEXTS.read(result, path)

    def lines(name: str) -> tuple[str, ...] | None:
        return optional_texts(result, name, path)

    channels, devices, processes, units = (lines(name) for name in ("channels", "devices", "processes", "units"))
    programs, wanted, pools = lines("programs") or (), lines("wanted"), lines("pools")
    clocks, packages, bus = lines("clocks") or (), lines("packages"), lines("bus")
    return LinuxFacts(
        **plain,
        bus=None if bus is None else frozenset(bus),
        os_release=parse_os_release(os_release or ""),
        channels=None if channels is None else _channels(channels),
        devices=None if devices is None else frozenset(devices),
        processes=None if processes is None else tuple(_processes(processes)),
        keepers=dict(_keepers(lines("keepers") or ())),
        programs=frozenset(program for program in programs if not program.startswith("?")),
        hidden_programs=frozenset(program[1:] for program in programs if program.startswith("?")),
        units=None if units is None else _units(units, plain["init"]),
        wanted=None if wanted is None else frozenset(wanted),
        last_words=dict(_parted(text, "\n") for text in lines("last_words") or ()),
        modes=None if pools is None else dict(_modes(pools)),
        clocks=dict(_parted(line, " ") for line in clocks if not line.startswith(_REFCLOCK)),
        refclocks=frozenset(line.removeprefix(_REFCLOCK) for line in clocks if line.startswith(_REFCLOCK)),
        versions=None if packages is None else _versions(packages),
        available=_available(lines("available") or ()),
        vm_id=normal_guid(vm_id or ""),
    )


_REFCLOCK: Final = "refclock "


def _parted(text: str, by: str) -> tuple[str, str]:
    before, _, after = text.partition(by)
    return before, after


def _channels(lines: Sequence[str]) -> dict[str, Channel]:
    found: dict[str, Channel] = {}
    for line in lines:
        _device, class_id, driver, uio, *_ = [*line.split(" "), "", "", "", ""]
        found[class_id.strip("{}").lower()] = Channel(driver or None, uio or None)
    return found


def _processes(lines: Sequence[str]) -> Iterable[Process]:
    for line in lines:
        pid, state, owner, name, program = [*line.split(" ", 4), "", "", "", "", ""][:5]
        number = _number(pid)
        if number is not None and state not in _DEAD:
            # A program that was asked for it may say anything.
            yield Process(number, _number(owner), name, program if program.startswith("/") else None)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


def _keepers(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    for line in lines:
        pid, keeper = _parted(line, " ")
        number = _number(pid)
        if number is not None:
            yield number, keeper


def _units(texts: Sequence[str], init: str | None) -> dict[str, Mapping[str, str]]:
    if init != "systemd":
        return {text.partition(" ")[0]: {"Enabled": text.partition(" ")[2]} for text in texts}
    found: dict[str, Mapping[str, str]] = {}
    for text in texts:
        for block in text.split("\n\n"):
            unit = {key: value for key, _, value in (line.partition("=") for line in block.split("\n"))}
            if unit.get("Id") and unit.get("LoadState") != "not-found":
                found[unit["Id"]] = unit
    return found


def _modes(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    known = frozenset({*_FOLDERS_OF_POOLS, *POOLS})
    for line in "\n".join(texts).split("\n"):
        path = line.rpartition(" ")[2]
        if path in known:
            yield path, line.partition(" ")[0]


def _said_by(texts: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """What a package manager says: its name, and the words of each line that can be shown."""
    for text in texts:
        manager, *lines = text.split("\n")
        yield from ((manager, line.split()) for line in lines if line.isprintable())


def _versions(texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for said in _said_by(texts):
        match said:
            case ("apt", ["installed", name, version]) | ("pacman" | "rpm", [name, version]):
                found[name] = version
            case ("apk", [package, *_]):
                # Version and release begin after the last but one hyphen.
                name, *numbers = package.rsplit("-", 2)
                found[name] = "-".join(numbers)
            case _:
                pass
    return found


def _available(texts: Sequence[str]) -> dict[str, str]:
    """The version that each package could be had in; not where there are several, of which one is to be chosen."""
    name = version = heading = ""
    found: dict[str, str] = {}
    several: dict[str, set[str]] = {}
    for said in _said_by(texts):
        match said:
            case ("apt", ["Candidate:", version]) if version != "(none)":
                found[name] = version
            case ("pacman", ["Version", ":", version]):
                found.setdefault(name, version)
            case ("pacman", ["Name", ":", name]) | ("apk", [name, "policy:"]):
                pass
            case ("apt", [heading]) if heading.endswith(":"):
                name = heading[:-1]
            case ("apk", [heading]) if heading.endswith(":"):
                version = heading[:-1]
            case ("apk", [*_, source]) if "://" in source:
                several.setdefault(name, set()).add(version)
            case _:
                pass
    return found | {name: version for name, (version, *others) in several.items() if not others}
