"""What the facts of a Linux guest mean for the guest and for its integration services; those of FreeBSD likewise."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import attrs

from hvintegration.calls.answer import Answer
from hvintegration.calls.refusals import failure_of
from hvintegration.errors import excerpt
from hvintegration.guest_models import GuestFamily, GuestInfo, GuestServiceState, Startup
from hvintegration.linux_distributions import DAEMON_KINDS, Distribution, PackagedDaemon, distribution_of, known_names
from hvintegration.operations.guest_systems import GuestRecords, own
from hvintegration.operations.linux_facts import (
    BSD_DEVICES,
    HELPERS,
    POOLS,
    TIME_DAEMONS,
    LinuxFacts,
    Process,
)
from hvintegration.service_kind import ServiceKind
from hvintegration.values import Failure

__all__ = ["DRIVER_KINDS", "FAMILIES", "NOT_INSTALLED", "how_to_install", "install_command", "records_of", "states_of"]

DRIVER_KINDS: Final = (ServiceKind.HEARTBEAT, ServiceKind.SHUTDOWN, ServiceKind.TIME_SYNC)
"""Those that live in the kernel's driver, which no daemon serves."""

LINUX_KINDS: Final = tuple(kind for kind in ServiceKind if kind in {*DRIVER_KINDS, *DAEMON_KINDS})

FAMILIES: Final = {"Linux": GuestFamily.LINUX, "FreeBSD": GuestFamily.FREEBSD}
"""By what the kernel calls itself."""

NOT_INSTALLED: Final = "It is not installed."

_DRIVER: Final = "hv_utils"
_DRIVERS: Final = frozenset({"hv_utils", "hv_util", "uio_hv_generic"})
_WITH_RIGHTS: Final = frozenset({"root", "sudo", "doas"})
_SYSTEMD: Final = "systemd"
_FREEBSD: Final = "FreeBSD"
_BSD_DRIVERS: Final = {
    ServiceKind.HEARTBEAT: "hvheartbeat",
    ServiceKind.KVP: "hvkvp",
    ServiceKind.SHUTDOWN: "hvshutdown",
    ServiceKind.TIME_SYNC: "hvtimesync",
    ServiceKind.VSS: "hvvss",
}
"""FreeBSD's drivers, whose devices have a number after that."""
_NOT_ON_HYPERV: Final = "This machine does not run on Hyper-V."


def records_of(facts: LinuxFacts, answer: Answer, family: GuestFamily, *, info: bool) -> GuestRecords:
    """All that an answer says of a guest; with what it says of itself, if *info*."""
    return GuestRecords(
        answer,
        family,
        facts.vm_id,
        states_of(facts, answer),
        tuple(_failures(facts, answer)),
        _info(facts, answer, family) if info else None,
    )


def _failures(facts: LinuxFacts, answer: Answer) -> Iterator[Failure]:
    for entry in answer.errors:
        yield failure_of(entry, address=answer.address, names={})
    if on_hyperv(facts) is False:
        yield own(f"{_NOT_ON_HYPERV} It has no integration services.", answer.address)


# -- the guest -------------------------------------------------------------------------------------------------------


def _info(facts: LinuxFacts, answer: Answer, family: GuestFamily) -> GuestInfo:
    return GuestInfo(
        address=answer.address,
        family=family,
        name=facts.name,
        caption=facts.os_release.get("PRETTY_NAME"),
        os_version=facts.os_release.get("VERSION_ID"),
        os_build=facts.kernel_release,
        vm_id=facts.vm_id,
        vm_name=None,
        host_name=None,
        integration_services_version=facts.kernel_release if has_driver(facts) else None,
        administrator=None if facts.rights is None else facts.rights in _WITH_RIGHTS,
        powershell_version=None,
        powershell_edition=None,
        language_mode=None,
        on_hyperv=on_hyperv(facts),
        uptime=facts.uptime,
        time_sources=_time_sources(facts),
        helper_scripts=_helper_scripts(facts),
        readable_pools=_readable_pools(facts),
        read_at=answer.received_at,
    )


def on_hyperv(facts: LinuxFacts) -> bool | None:
    """Whether the machine runs on Hyper-V; None where neither its kernel nor its firmware tells."""
    if facts.vmbus or facts.driver or facts.channels or facts.bus or facts.hypervisor == "hv":
        return True
    if facts.vmbus is None or (facts.vendor is None and facts.hypervisor is None):
        return None
    return facts.vendor == "Microsoft Corporation" and facts.product in {None, "Virtual Machine"}


def has_driver(facts: LinuxFacts) -> bool | None:
    """Whether the driver of integration services is there; what the kernel loaded says so where nothing else can."""
    return True if facts.driver is None and facts.module else facts.driver


_USERS: Final = range(1000, 61184)
"""Numbers of users; those below and the first above are of services."""


def _time_sources(facts: LinuxFacts) -> tuple[str, ...] | None:
    """Anybody can give a process a name: it must not be that of a user, and where its program is known, that counts."""
    if facts.processes is None:
        return None
    found = {
        TIME_DAEMONS[process.name]
        for process in facts.processes
        if process.name in TIME_DAEMONS
        and process.owner is not None
        and process.owner not in _USERS
        and (process.program is None or _file(process.program) in {TIME_DAEMONS[process.name], "busybox"})
    }
    from_host = facts.refclocks & {
        "/dev/ptp_hyperv",
        *(path for path, name in facts.clocks.items() if name == "hyperv"),
    }
    return tuple(sorted(f"{name} (PTP hyperv)" if name == "chronyd" and from_host else name for name in found))


def _helper_scripts(facts: LinuxFacts) -> tuple[str, ...] | None:
    found = tuple(path for path in HELPERS if path in facts.programs)
    row = distribution_of(facts.os_release)
    if not facts.hidden_programs.isdisjoint(HELPERS) or (not found and (row is None or row.helper_folder is None)):
        return None
    return found


def _readable_pools(facts: LinuxFacts) -> tuple[str, ...] | None:
    """By the last three letters of the modes: ``r`` first for a file, ``x`` or ``t`` last for each folder above it."""
    modes = facts.modes
    if modes is None:
        return None

    def is_open(path: str) -> bool:
        folder = path.rpartition("/")[0]
        return not folder or (modes.get(folder, "")[9:10] in {"x", "t"} and is_open(folder))

    return tuple(path for path in POOLS if modes.get(path, "")[7:8] == "r" and is_open(path))


# -- its services ----------------------------------------------------------------------------------------------------


def states_of(facts: LinuxFacts, answer: Answer) -> tuple[GuestServiceState, ...]:
    """The six services that Linux has, in the order in which hosts list them."""
    states = (
        (_driver_state if kind in DRIVER_KINDS else _daemon_state)(kind, facts, answer.address, answer.received_at)
        for kind in LINUX_KINDS
    )
    if on_hyperv(facts) is False:
        return tuple(
            attrs.evolve(state, offered=False, cannot_start=_NOT_ON_HYPERV, cannot_stop=_NOT_ON_HYPERV)
            if state.kind in DRIVER_KINDS
            else attrs.evolve(state, offered=False, cannot_start=_NOT_ON_HYPERV)
            for state in states
        )
    return tuple(states)


_IN_THE_KERNEL: Final = "It is part of the kernel's driver; the host's switch is the only one."


def _driver_state(kind: ServiceKind, facts: LinuxFacts, address: str, read_at: datetime) -> GuestServiceState:
    if facts.kernel == _FREEBSD:
        return _bsd_driver_state(kind, facts, address, read_at)
    offered = _offered(kind, facts)
    channel = (facts.channels or {}).get(kind.vmbus_class_id)
    installed = running = has_driver(facts)
    if running and offered is not None:
        running = offered and channel is not None and channel.driver in _DRIVERS
    return GuestServiceState(
        address=address,
        kind=kind,
        name=_DRIVER,
        # Elsewhere than on Hyper-V it does not load, whether it is there or not.
        installed=None if installed is False and on_hyperv(facts) is False else installed,
        running=running,
        version=facts.kernel_release,
        offered=offered,
        cannot_start=_IN_THE_KERNEL,
        cannot_stop=_IN_THE_KERNEL,
        read_at=read_at,
    )


def _bsd_driver_state(kind: ServiceKind, facts: LinuxFacts, address: str, read_at: datetime) -> GuestServiceState:
    """What FreeBSD has found is there and works; of what it has not, nobody knows why."""
    found = _offered(kind, facts)
    return GuestServiceState(
        address=address,
        kind=kind,
        name=_BSD_DRIVERS[kind],
        installed=found,
        running=found,
        version=facts.kernel_release if found else None,
        offered=found,
        cannot_start=_IN_THE_KERNEL,
        cannot_stop=_IN_THE_KERNEL,
        read_at=read_at,
    )


def _daemon_state(kind: ServiceKind, facts: LinuxFacts, address: str, read_at: datetime) -> GuestServiceState:
    processes = daemons(kind, facts)
    unit_name, unit = unit_of(kind, facts)
    programs = [path for path in known_names(kind).programs if path in facts.programs]
    running: bool | None = bool(processes)
    if processes is None:
        running = True if unit.get("ActiveState") == "active" else None
    process = processes[0] if processes else None
    installed = True if programs or unit or running else _is_absent(kind, facts)
    package = _package(kind, facts)
    state = GuestServiceState(
        address=address,
        kind=kind,
        name=process.name if process is not None else known_names(kind).processes[0],
        display_name=unit_name,
        installed=installed,
        running=running,
        status=_status(unit, running),
        startup=_startup(kind, unit_name, unit, facts),
        pid=process.pid if process is not None else None,
        program=(process.program if process is not None else None) or (programs[0] if programs else None),
        version=(facts.versions or {}).get(package or ""),
        account="root" if process is not None and process.owner == 0 else None,
        device=_device(kind, facts),
        offered=_offered(kind, facts),
        by_hand=_by_hand(process, unit_name, unit, facts),
        last_words=_last_words(unit, facts),
        package=package,
        packaged=None if (daemon := _packaged(kind, facts)) is None else daemon.packaged,
        available_version=facts.available.get(package or ""),
        read_at=read_at,
    )
    return attrs.evolve(state, cannot_start=_cannot_start(kind, state, facts), cannot_stop=_cannot_stop(state, facts))


def daemons(kind: ServiceKind, facts: LinuxFacts) -> tuple[Process, ...] | None:
    """The processes that serve it; None if that cannot be known.

    Anybody can give a process a name: it must be root's, and where the program behind it may be known, that counts.
    """
    if facts.processes is None:
        return None
    names = known_names(kind)
    return tuple(
        process
        for process in facts.processes
        if process.name in names.processes
        and process.owner == 0
        and (process.program is None or _file(process.program) in names.executables)
    )


def _file(program: str) -> str:
    return program.removesuffix(" (deleted)").rpartition("/")[2]


def unit_of(kind: ServiceKind, facts: LinuxFacts) -> tuple[str | None, Mapping[str, str]]:
    """The unit or script that starts it, and what the init system says of it; None and nothing if there is none."""
    for name in (*known_names(kind).units, *known_names(kind).scripts):
        if facts.units is not None and name in facts.units:
            return name, facts.units[name]
    return None, {}


def _by_hand(process: Process | None, name: str | None, unit: Mapping[str, str], facts: LinuxFacts) -> bool | None:
    """Whether a process runs without the unit or script that is there for it."""
    if process is None or name is None:
        return None
    keeper = facts.keepers.get(process.pid)
    if facts.init != _SYSTEMD:
        return {"noted": False, "-": True}.get(keeper or "")
    if unit.get("MainPID") == str(process.pid):
        return False
    if keeper is None:
        return True if unit.get("ActiveState") in {"inactive", "failed"} else None
    return name not in keeper.split("/")


def _last_words(unit: Mapping[str, str], facts: LinuxFacts) -> str | None:
    """How a daemon ended whose unit has failed, and what it said; None for who may not read that."""
    if unit.get("ActiveState") != "failed" or unit["Id"] not in facts.last_words:
        return None
    status = unit.get("ExecMainStatus")
    how = {
        "exit-code": f"It ended with status {status}.",
        "signal": f"It was ended by signal {status}.",
        "core-dump": f"It was ended by signal {status}.",
    }.get(unit.get("Result", ""), f"Its unit failed: {unit.get('Result')}.")
    said = excerpt(facts.last_words[unit["Id"]]).strip()
    return f"{how} It said: {said}" if said else how


def _is_absent(kind: ServiceKind, facts: LinuxFacts) -> bool | None:
    """False if it is certainly not there: nothing was found of it, and where to look on this distribution is known."""
    daemon = _packaged(kind, facts)
    if daemon is None or daemon.programs is None or not facts.hidden_programs.isdisjoint(daemon.programs):
        return None
    unseen = facts.units is None and facts.init is not None
    return None if unseen else False


def _row(facts: LinuxFacts) -> Distribution | None:
    return distribution_of(facts.os_release)


def _packaged(kind: ServiceKind, facts: LinuxFacts) -> PackagedDaemon | None:
    row = _row(facts)
    return None if row is None else row.daemon(kind)


def _package(kind: ServiceKind, facts: LinuxFacts) -> str | None:
    """The first of its packages: where there are several, the others belong to a kernel or to an init system."""
    daemon = _packaged(kind, facts)
    packages = daemon.packages_for(facts.kernel_release or "") if daemon is not None else None
    return packages[0] if packages else None


def how_to_install(kind: ServiceKind, facts: LinuxFacts) -> str | None:
    """What to do about a daemon that is not there, in a sentence; None if that is not known."""
    row, daemon = _row(facts), _packaged(kind, facts)
    if row is None or daemon is None:
        return None
    if daemon.packaged is False:
        return f"{row.name} has no package of it."
    command = install_command(kind, facts)
    return row.advice if command is None else f"As root, run: {shlex.join(command)}"


def install_command(kind: ServiceKind, facts: LinuxFacts) -> tuple[str, ...] | None:
    """The command that installs the daemon of *kind*; None if that is not known, or if no package has it."""
    row, daemon = _row(facts), _packaged(kind, facts)
    packages = daemon.packages_for(facts.kernel_release or "") if daemon is not None else None
    return row.manager.install_command(packages) if row is not None and row.manager is not None and packages else None


def _startup(kind: ServiceKind, name: str | None, unit: Mapping[str, str], facts: LinuxFacts) -> Startup | None:
    if facts.kernel == _FREEBSD:
        starts = {name, *known_names(kind).programs} & (facts.wanted or frozenset())
        return Startup.TRIGGERED if starts else None
    if name is None:
        return None
    if facts.init != _SYSTEMD:
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
    if facts.kernel == _FREEBSD:
        return True if BSD_DEVICES.get(kind) in (facts.devices or ()) else None
    channel = (facts.channels or {}).get(kind.vmbus_class_id)
    if channel is not None and channel.uio is not None:
        return True
    if facts.devices is None:
        return None
    return any(device in facts.devices for device in kind.linux_devices)


def _offered(kind: ServiceKind, facts: LinuxFacts) -> bool | None:
    if facts.kernel == _FREEBSD:
        return True if f"{_BSD_DRIVERS.get(kind)}0" in (facts.bus or ()) else None
    return None if facts.channels is None else kind.vmbus_class_id in facts.channels


def _status(unit: Mapping[str, str], running: bool | None) -> str | None:  # noqa: FBT001 - a state, not a switch
    if unit.get("ActiveState"):
        sub, result = unit.get("SubState"), unit.get("Result")
        failed = f", {result}" if unit["ActiveState"] == "failed" and result else ""
        return f"{unit['ActiveState']} ({sub}{failed})"
    return None if running is None else ("running" if running else "not running")


def _cannot_start(kind: ServiceKind, state: GuestServiceState, facts: LinuxFacts) -> str | None:
    if state.installed is False:
        how = how_to_install(kind, facts)
        return NOT_INSTALLED if how is None else f"{NOT_INSTALLED} {how}"
    if state.startup is Startup.DISABLED:
        return "Its unit is masked."
    if state.offered is False:
        return "The host does not offer it."
    if state.device is False:
        return "Its device is not there."
    return _without_rights(facts)


def _cannot_stop(state: GuestServiceState, facts: LinuxFacts) -> str | None:
    return NOT_INSTALLED if state.installed is False else _without_rights(facts)


def _without_rights(facts: LinuxFacts) -> str | None:
    if facts.rights is None or facts.rights in _WITH_RIGHTS:
        return None
    return f"This user is not root{_WITHOUT_RIGHTS.get(facts.rights, '')}."


_WITHOUT_RIGHTS: Final = {
    "sudo with a password": ", and sudo asks for a password",
    "sudo on a terminal": ", and sudo works on a terminal only (requiretty)",
    "doas with a password": ", and doas asks for a password, which it takes on a terminal only",
}
