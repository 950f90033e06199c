"""What a Linux guest says, and what follows from it for its integration services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs

from hvintegration.calls.answer import Answer
from hvintegration.calls.decoding import JsonObject, OptionalFields, optional_texts
from hvintegration.guest_models import GuestServiceState, Startup
from hvintegration.linux_distributions import NAMES, PROGRAMS, UNITS, parse_os_release
from hvintegration.service_kind import ServiceKind

__all__ = ["DAEMON_KINDS", "DRIVER_KINDS", "LinuxFacts", "decode_facts", "read_document", "states_of"]

DRIVER_KINDS: Final = (ServiceKind.HEARTBEAT, ServiceKind.SHUTDOWN, ServiceKind.TIME_SYNC)
"""Those that live in the kernel's driver, which no daemon serves."""

DAEMON_KINDS: Final = (ServiceKind.GUEST_SERVICE_INTERFACE, ServiceKind.KVP, ServiceKind.VSS)
"""Those that a daemon serves, in the order in which hosts list them."""

LINUX_KINDS: Final = tuple(kind for kind in ServiceKind if kind in {*DRIVER_KINDS, *DAEMON_KINDS})

_DRIVER: Final = "hv_utils"
_DRIVERS: Final = frozenset({"hv_utils", "hv_util", "uio_hv_generic"})
_WITH_RIGHTS: Final = frozenset({"root", "sudo", "doas"})
_DEAD: Final = frozenset({"Z", "X"})


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
        kernel: ``Linux``.
        kernel_release: As ``uname -r`` says it.
        machine: Architecture.
        name: Host name.
        user_id: Number of the user who asks.
        init: ``systemd``, ``openrc``, ``sysvinit``, or None where there is no init system with services.
        os_release: What it says of its distribution.
        vendor: Vendor of the machine, from its firmware.
        product: Name of the machine, likewise.
        driver: Whether the driver of integration services is there, as a module or built in.
        module: Whether it is a module that is loaded.
        channels: What the host offers, by class id.
        devices: The known devices that are there.
        processes: Those that have the name of a daemon and run.
        programs: The known programs that are there.
        units: What the init system says of each unit or script that it knows, by its name.
        wanted: Units that are started when their device comes.
        vm_id: The virtual machine that it takes itself for: GUID, lower case without braces.
        rights: How this user can become root: ``root``, ``sudo``, ``doas``, one of these ``with a password``, ``none``.
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
    driver: bool | None
    module: bool | None
    channels: Mapping[str, Channel] | None
    devices: frozenset[str] | None
    processes: tuple[Process, ...] | None
    programs: frozenset[str]
    units: Mapping[str, Mapping[str, str]] | None
    wanted: frozenset[str] | None
    vm_id: str | None
    rights: str | None


def read_document() -> JsonObject:
    """What the scripts for Linux guests are asked to look for."""
    devices = [device for kind in DAEMON_KINDS for device in kind.linux_devices if device != "/dev/uio"]
    return {
        "devices": " ".join(devices),
        "programs": " ".join(dict.fromkeys(path for kind in DAEMON_KINDS for path in PROGRAMS[kind])),
        "names": " ".join(dict.fromkeys(name for kind in DAEMON_KINDS for name in NAMES[kind])),
        "units": " ".join(dict.fromkeys(unit for kind in DAEMON_KINDS for unit in UNITS[kind])),
    }


_TEXTS: Final = OptionalFields(
    kernel=str,
    kernel_release=str,
    machine=str,
    name=str,
    user_id=int,
    init=str,
    os_release=str,
    vendor=str,
    product=str,
    driver=bool,
    module=bool,
    vm_id=str,
    rights=str,
)


def decode_facts(result: JsonObject, path: str) -> LinuxFacts:
    """The facts in the result of an answer.

    Raises:
        DecodeError: Something in it has another shape; it says where.
    """
    kernel, release, machine, name, user_id, init, os_release, vendor, product, driver, module, vm_id, rights = (
        _TEXTS.read(result, path)
    )
    channels = optional_texts(result, "channels", path)
    devices = optional_texts(result, "devices", path)
    processes = optional_texts(result, "processes", path)
    units = optional_texts(result, "units", path)
    wanted = optional_texts(result, "wanted", path)
    return LinuxFacts(
        kernel=kernel,
        kernel_release=release,
        machine=machine,
        name=name,
        user_id=user_id,
        init=init,
        os_release=parse_os_release(os_release or ""),
        vendor=vendor,
        product=product,
        driver=driver,
        module=module,
        channels=None if channels is None else _channels(channels),
        devices=None if devices is None else frozenset(devices),
        processes=None if processes is None else tuple(_processes(processes)),
        programs=frozenset(optional_texts(result, "programs", path) or ()),
        units=None if units is None else _units(units, init),
        wanted=None if wanted is None else frozenset(wanted),
        vm_id=vm_id.strip("{}").lower() if vm_id else None,
        rights=rights,
    )


def _channels(lines: Sequence[str]) -> dict[str, Channel]:
    found: dict[str, Channel] = {}
    for line in lines:
        _device, class_id, driver, uio, *_ = [*line.split(" "), "", "", "", ""]
        found[class_id.strip("{}").lower()] = Channel(driver or None, uio or None)
    return found


def _processes(lines: Sequence[str]) -> Iterable[Process]:
    for line in lines:
        pid, state, owner, name, program = [*line.split(" ", 4), "", "", "", "", ""][:5]
        if pid.isdecimal() and state not in _DEAD:
            yield Process(int(pid), int(owner) if owner.isdecimal() else None, name, program or None)


def _units(texts: Sequence[str], init: str | None) -> dict[str, Mapping[str, str]]:
    if init != "systemd":
        return {text.partition(" ")[0]: {"Enabled": text.partition(" ")[2]} for text in texts}
    found: dict[str, Mapping[str, str]] = {}
    for text in texts:
        for block in text.split("\n\n"):
            unit = dict(line.partition("=")[::2] for line in block.splitlines())
            if unit.get("Id") and unit.get("LoadState") != "not-found":
                found[unit["Id"]] = unit
    return found


# -- what follows ----------------------------------------------------------------------------------------------------


def states_of(facts: LinuxFacts, answer: Answer) -> tuple[GuestServiceState, ...]:
    """The six services that Linux has, in the order in which hosts list them."""
    return tuple(
        (_driver_state if kind in DRIVER_KINDS else _daemon_state)(kind, facts, answer.address, answer.received_at)
        for kind in LINUX_KINDS
    )


_IN_THE_KERNEL: Final = "It is part of the kernel's driver; the host's switch is the only one."


def _driver_state(kind: ServiceKind, facts: LinuxFacts, address: str, read_at: datetime) -> GuestServiceState:
    offered = _offered(kind, facts)
    channel = (facts.channels or {}).get(kind.vmbus_class_id)
    running = facts.driver
    if running and offered is not None:
        running = offered and channel is not None and channel.driver in _DRIVERS
    return GuestServiceState(
        address=address,
        kind=kind,
        name=_DRIVER,
        display_name=None,
        installed=facts.driver,
        running=running,
        status=None,
        startup=None,
        pid=None,
        program=None,
        version=facts.kernel_release,
        account=None,
        requires=None,
        device=None,
        offered=offered,
        cannot_start=_IN_THE_KERNEL,
        cannot_stop=_IN_THE_KERNEL,
        read_at=read_at,
    )


def _daemon_state(kind: ServiceKind, facts: LinuxFacts, address: str, read_at: datetime) -> GuestServiceState:
    processes = daemons(kind, facts)
    unit_name, unit = unit_of(kind, facts)
    programs = [path for path in PROGRAMS[kind] if path in facts.programs]
    running: bool | None = bool(processes)
    if processes is None:
        running = True if unit.get("ActiveState") == "active" else None
    process = processes[0] if processes else None
    installed = True if programs or unit or running else _surely_not_installed(facts)
    startup = _startup(unit_name, unit, facts)
    device = _device(kind, facts)
    offered = _offered(kind, facts)
    state = GuestServiceState(
        address=address,
        kind=kind,
        name=process.name if process is not None else NAMES[kind][0],
        display_name=unit_name,
        installed=installed,
        running=running,
        status=_status(unit, running),
        startup=startup,
        pid=process.pid if process is not None else None,
        program=(process.program if process is not None else None) or (programs[0] if programs else None),
        version=None,
        account=None if process is None or process.owner is None else ("root" if process.owner == 0 else str(process.owner)),
        requires=None,
        device=device,
        offered=offered,
        cannot_start=None,
        cannot_stop=None,
        read_at=read_at,
    )
    return attrs.evolve(state, cannot_start=_cannot_start(state, facts), cannot_stop=_cannot_stop(state, facts))


def daemons(kind: ServiceKind, facts: LinuxFacts) -> tuple[Process, ...] | None:
    """The processes that serve it; None if that cannot be known.

    Anybody can give a process a name: it must be root's, and where the program behind it may be known, that counts.
    """
    if facts.processes is None:
        return None
    return tuple(
        process
        for process in facts.processes
        if process.name in NAMES[kind]
        and process.owner in {0, None}
        and (process.program is None or process.program.removesuffix(" (deleted)").rpartition("/")[2] in _files(kind))
    )


def _files(kind: ServiceKind) -> frozenset[str]:
    return frozenset(path.rpartition("/")[2] for path in PROGRAMS[kind])


def unit_of(kind: ServiceKind, facts: LinuxFacts) -> tuple[str | None, Mapping[str, str]]:
    """The unit or script that starts it, and what the init system says of it; None and nothing if there is none."""
    for name in UNITS[kind]:
        if facts.units is not None and name in facts.units:
            return name, facts.units[name]
    return None, {}


def _surely_not_installed(facts: LinuxFacts) -> bool | None:
    return False if facts.os_release else None


def _startup(name: str | None, unit: Mapping[str, str], facts: LinuxFacts) -> Startup | None:
    if name is None:
        return None
    if facts.init != "systemd":
        enabled = unit.get("Enabled")
        return {"enabled": Startup.AUTOMATIC, "disabled": Startup.MANUAL}.get(enabled or "")
    if unit.get("LoadState") == "masked" or unit.get("UnitFileState", "").startswith("masked"):
        return Startup.DISABLED
    if unit.get("UnitFileState", "").startswith("enabled"):
        return Startup.AUTOMATIC
    if facts.wanted is None:
        return None
    return Startup.TRIGGERED if name in facts.wanted else Startup.MANUAL


def _device(kind: ServiceKind, facts: LinuxFacts) -> bool | None:
    channel = (facts.channels or {}).get(kind.vmbus_class_id)
    if channel is not None and channel.uio is not None:
        return True
    if facts.devices is None:
        return None
    return any(device in facts.devices for device in kind.linux_devices)


def _offered(kind: ServiceKind, facts: LinuxFacts) -> bool | None:
    return None if facts.channels is None else kind.vmbus_class_id in facts.channels


def _status(unit: Mapping[str, str], running: bool | None) -> str | None:  # noqa: FBT001 - a state, not a switch
    if unit.get("ActiveState"):
        sub, result = unit.get("SubState"), unit.get("Result")
        failed = f", {result}" if unit["ActiveState"] == "failed" and result else ""
        return f"{unit['ActiveState']} ({sub}{failed})"
    return None if running is None else ("running" if running else "not running")


def _cannot_start(state: GuestServiceState, facts: LinuxFacts) -> str | None:
    if state.installed is False:
        return "It is not installed."
    if state.startup is Startup.DISABLED:
        return "Its unit is masked."
    if state.offered is False:
        return "The host does not offer it."
    if state.device is False:
        return "Its device is not there."
    return _without_rights(facts)


def _cannot_stop(state: GuestServiceState, facts: LinuxFacts) -> str | None:
    return "It is not installed." if state.installed is False else _without_rights(facts)


def _without_rights(facts: LinuxFacts) -> str | None:
    if facts.rights is None or facts.rights in _WITH_RIGHTS:
        return None
    return f"This user is not root and has {'no way to become it' if facts.rights == 'none' else facts.rights}."
