"""What scripts find in a Linux guest, and the programs that they run there, over a machine of a world.

Faults of the world strike here as well, where they name the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import attrs

from hvintegration.linux_distributions import DAEMON_KINDS, distribution_of, known_names, parse_os_release
from hvintegration.service_kind import HOST_MANAGED, ServiceKind
from hvintegration.simulator.faults import CmdletError, Faults, InterpreterEnded
from hvintegration.simulator.linux_system import LinuxProcess, LinuxSystem
from hvintegration.simulator.store import WorldAccess
from hvintegration.simulator.world import Machine, World

__all__ = ["Linux", "Process"]

_CHANNELS: Final = {
    ServiceKind.KVP: "242ff919-07db-4180-9c2e-b86cb68c8c55",
    ServiceKind.VSS: "2450ee40-33bf-4fbd-892e-9fb06e9214cf",
    ServiceKind.TIME_SYNC: "2dd1ce17-079e-403c-b352-a1921ee207ee",
    ServiceKind.SHUTDOWN: "b6650ff7-33bc-4840-8048-e0676786f393",
    ServiceKind.GUEST_SERVICE_INTERFACE: "eb765408-105f-49b6-b4aa-c123b64d17d4",
    ServiceKind.HEARTBEAT: "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0",
}
"""The instance of each service's channel."""
_OTHER_CHANNELS: Final = (
    "1eccfd72-4b41-45ef-b73a-4a6e44c12924 {525074dc-8985-46e2-8057-a307dc18a502} hv_balloon ",
    "2a9bf0a1-3c0e-4b0f-9f0b-6d3b2b0b8a11 {276aacf4-ac15-426c-98dd-7521ad3f01fe}  ",
    "5620e0c7-8062-4dce-aeb7-520c7ef76171 {f8615163-df3e-46c5-913f-f2d2f965ed0e} hv_netvsc ",
    "f8b3781a-1e82-4818-a1c3-63d806ec15bb {ba6163d9-04a1-4d29-b605-72e2ffb1dc7f} hv_storvsc ",
)
_COPIES_OVER_UIO: Final = (6, 10)
"""The first kernel that does."""
_COMM_LENGTH: Final = 15
_FIRST_PROCESS: Final = 410
_RUN: Final = "0f5e7a6d1c9b4e3f8a2d6c5b4a39281f"
"""systemd's number for a run of a unit."""
_SIGNALS: Final = {"signal": 11, "exit-code": 1}
"""The ``ExecMainStatus`` that goes with a ``Result`` here: of a segmentation fault, or of an end in good order."""
_USER: Final = 1000
_SUDO_ASKS: Final = "sudo with a password"
_WRONG_PASSWORD: Final = "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt"  # noqa: S105 - what is said of one
_FIRST_CLOCK: Final = 380
_OF_CLOCKS: Final = 101
"""Number of the user whose processes set the clock."""


@attrs.frozen(kw_only=True)
class Process:
    """A process, as ``/proc`` shows it.

    Attributes:
        pid: Its number.
        owner: Number of its user.
        name: Its name, cut.
        program: The file that it runs; empty if this user may not know.
    """

    pid: int
    owner: int
    name: str
    program: str


class Linux:
    """A Linux system, as one shell in it has it.

    Args:
        access: The world.
        faults: What goes wrong in it.
        go_on: Raises when the call is to end.
        pause: How to let time pass.
        find: The machine whose guest this is.
    """

    def __init__(
        self,
        access: WorldAccess,
        faults: Faults,
        go_on: Callable[[], None],
        pause: Callable[[float], None],
        find: Callable[[World], Machine],
    ) -> None:
        self._access = access
        self._faults = faults
        self._go_on = go_on
        self._find = find
        self.sleep = pause
        """``sleep``."""
        self.sudo_password: str | None = None
        """What ``sudo`` is given; None if nothing."""

    # -- what is found ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """What happens before a script does anything.

        Raises:
            CmdletError: A fault of ``sh``.
            InterpreterEnded: The shell dies.
        """
        self._strike("sh")

    @property
    def system(self) -> LinuxSystem:
        """What runs here."""
        return self._machine().linux

    @property
    def name(self) -> str:
        """``uname -n``."""
        return self._machine().name

    @property
    def rights(self) -> str:
        """How this user becomes root."""
        system = self.system
        by_password = system.rights == _SUDO_ASKS and self.sudo_password == system.sudo_password
        return "sudo" if by_password and self.sudo_password is not None else system.rights

    @property
    def sudo_refusal(self) -> str | None:
        """What ``sudo`` says of the password; None if it takes it, or is not given one."""
        return None if self.sudo_password is None or self.rights != _SUDO_ASKS else _WRONG_PASSWORD

    @property
    def user_id(self) -> int:
        """``id -u``."""
        return 0 if self.system.rights == "root" else _USER

    def channels(self) -> list[str]:
        """Each channel: instance, class, driver and uio device."""
        machine = self._machine()
        found: list[str] = [] if machine.linux.driver == "absent" else [*_OTHER_CHANNELS]
        for kind in HOST_MANAGED:
            if _is_offered(kind, machine):
                driver, uio = "hv_utils", ""
                if machine.linux.driver == "absent":
                    driver = ""
                elif kind is ServiceKind.GUEST_SERVICE_INTERFACE and _copies_over_uio(machine):
                    driver, uio = ("uio_hv_generic", "uio0") if machine.linux.bound else ("", "")
                found.append(f"{_CHANNELS[kind]} {{{kind.vmbus_class_id}}} {driver} {uio}")
        return sorted(found)

    def has(self, path: str) -> bool:
        """Whether there is that program or device node."""
        machine = self._machine()
        return path in {*machine.linux.programs, *machine.linux.helper_scripts} or any(
            path in kind.linux_devices and _device(kind, machine) == path for kind in DAEMON_KINDS
        )

    def processes(self) -> list[Process] | None:
        """All with one of the names that daemons have anywhere, or that the world tells of, as a shell lists them.

        None where this user sees no processes of others.
        """
        return None if self.system.hidepid and self.user_id else self._processes()

    def _processes(self) -> list[Process]:
        world, machine = self._look()
        found = [
            Process(pid=pid, owner=0, name=name[:_COMM_LENGTH], program=_program(name, machine) or f"{name} (deleted)")
            for pid, name in _daemons(world, machine)
        ]
        found += [
            Process(pid=one.pid, owner=one.user, name=one.name[:_COMM_LENGTH], program=one.program)
            for one in machine.linux.processes
        ]
        found += [
            Process(pid=_FIRST_CLOCK + place, owner=_OF_CLOCKS, name=name[:_COMM_LENGTH], program=f"/usr/sbin/{name}")
            for place, name in enumerate(machine.linux.time_daemons)
        ]
        return [
            process if self.user_id in {0, process.owner} else attrs.evolve(process, program="")
            for process in sorted(found, key=lambda process: str(process.pid))
        ]

    def unit(self, name: str) -> dict[str, str]:
        """What ``systemctl show`` says of a unit, by property."""
        machine = self._machine()
        shown = {"MainPID": "0", "Result": "success", "ExecMainStatus": "0", "Id": name, "LoadState": "not-found"}
        shown["InvocationID"] = ""
        shown |= {"ActiveState": "inactive", "SubState": "dead", "UnitFileState": ""}
        kind = _kind_of(name, machine)
        if kind is None:
            return shown
        startup = machine.linux.startup.get(name, "disabled")
        shown |= {"LoadState": "masked" if startup == "masked" else "loaded", "UnitFileState": startup}
        main = next(
            (
                pid
                for pid, name in _daemons(*self._look())
                if name in known_names(kind).executables and name not in machine.linux.by_hand
            ),
            None,
        )
        if main is not None:
            shown |= {"MainPID": str(main), "ActiveState": "active", "SubState": "running"}
        elif name in machine.linux.failed:
            result = machine.linux.failed[name]
            shown |= {"Result": result, "ActiveState": "failed", "SubState": "failed", "InvocationID": _RUN}
            shown |= {"ExecMainStatus": str(_SIGNALS.get(result, 1))}
        return shown

    def script(self, name: str) -> str | None:
        """Whether a script of another init system is ``enabled`` or ``disabled``; None if there is no such script."""
        machine = self._machine()
        return None if _kind_of(name, machine) is None else machine.linux.startup.get(name, "enabled")

    def wanted(self) -> list[str]:
        """The units that udev starts when their device comes."""
        machine = self._machine()
        return [name for kind in DAEMON_KINDS for name in _units(kind, machine)]

    def pool_record(self, key: str) -> str | None:
        """What the host has told over Data Exchange."""
        return {"VirtualMachineId": self._machine().id.upper()}.get(key)

    def holder(self, path: str) -> str | None:
        """Number and name of a process that has a device node open; None if none has."""
        holder = _holder(path, self._machine())
        return None if holder is None else f"{holder.pid} ({holder.name[:_COMM_LENGTH]})"

    def last_words(self, unit: str) -> str:
        """What the journal has of the last run of a unit."""
        system = self.system
        return system.last_words.get(unit, "") if unit in system.failed else ""

    def keepers(self) -> dict[int, str]:
        """What each daemon that runs belongs to: a group of systemd's, or whether a script has noted it."""
        world, machine = self._look()
        init, by_hand = machine.linux.init, machine.linux.by_hand
        found: dict[int, str] = {}
        for pid, name in _daemons(world, machine):
            if init == "systemd":
                unit = _unit_of(name, machine)
                found[pid] = _SESSION if name in by_hand or unit is None else f"/system.slice/{unit}"
            elif init:
                found[pid] = "-" if name in by_hand else "noted"
        return found

    # -- what is done ----------------------------------------------------------------------------------------------

    def run(self, *command: str) -> None:
        """Have root run it.

        Raises:
            CmdletError: It does not do it, because of a fault.
            InterpreterEnded: The shell dies of it.
        """
        self._strike(command[0].rpartition("/")[2])
        match [word for word in command if not word.startswith("-") or word == "-15"]:
            case ["systemctl", "start", name] | ["rc-service", name, "start"]:
                self._start(name)
            case ["systemctl", "stop", name] | ["rc-service", name, "stop"]:
                self._stop(name)
            case ["systemctl", verb, name] | ["rc-update", verb, name, *_] | ["update-rc.d", name, verb]:
                self._configure(name, _STARTUPS[verb])
            case ["kill", "-15", pid]:
                self._kill(int(pid))
            case [script, "start"] if script.startswith(_SCRIPTS):
                self._start(script.removeprefix(_SCRIPTS))
            case [script, "stop"] if script.startswith(_SCRIPTS):
                self._stop(script.removeprefix(_SCRIPTS))
            case [*_, program]:
                self._start_program(program)
            case _:
                raise AssertionError(command)

    def install(self, command: list[str]) -> tuple[int, str]:
        """Have the package manager of *command* run: its exit status, and what it wrote.

        A fault of the name of its program, such as ``apt-get``, is one that fails; one of ``udevadm`` keeps what it
        installed from being started.
        """
        words = command[2:] if command[:1] == ["env"] else command
        try:
            self._strike(words[0])
        except CmdletError as error:
            return 100, error.message
        row = distribution_of(parse_os_release(self.system.os_release))
        kernel = self.system.kernel
        found = [] if row is None else [one for one in row.daemons if set(one.packages_for(kernel) or ()) & set(words)]

        def install(machine: Machine) -> str | None:
            programs = [path for daemon in found for path in daemon.programs or ()]
            machine.linux.programs[:] = list(dict.fromkeys([*machine.linux.programs, *programs]))
            return f"guest-install {machine.name} {words[-1]}"

        self._change(install)
        try:
            self._strike("udevadm")
        except CmdletError:
            return 0, ""
        if self.system.init == "systemd":
            for daemon in found:
                for path in daemon.programs or ():
                    self._start_program(path)
        return 0, ""

    def _start(self, name: str) -> None:
        machine = self._machine()
        kind = _kind_of(name, machine)
        assert kind is not None
        self._start_program(next(_installed(kind, machine)), unit=name)

    def _start_program(self, program: str, unit: str | None = None) -> None:
        daemon = program.rpartition("/")[2]
        kind = next(kind for kind in DAEMON_KINDS if daemon in known_names(kind).executables)

        def start(machine: Machine) -> str | None:
            system, device = machine.linux, _device(kind, machine)
            if device is None or not _serves(daemon, device) or daemon in machine.daemons:
                return None
            if daemon in system.failing or _holder(device, machine) is not None:
                if unit is not None and system.init == "systemd":
                    system.failed[unit] = "exit-code"
                    system.last_words[unit] = system.failing.get(daemon) or _refused(kind, device)
                return None
            machine.daemons.append(daemon)
            if unit is not None:
                system.failed.pop(unit, None)
            elif system.init:
                system.by_hand.append(daemon)
            return f"guest-start {machine.name} {daemon}"

        self._change(start)

    def _stop(self, name: str) -> None:
        machine = self._machine()
        kind = _kind_of(name, machine)
        assert kind is not None
        executables = known_names(kind).executables

        def stop(machine: Machine) -> str | None:
            running = [daemon for daemon in machine.daemons if daemon in executables]
            machine.daemons[:] = [daemon for daemon in machine.daemons if daemon not in executables]
            machine.linux.by_hand[:] = [daemon for daemon in machine.linux.by_hand if daemon not in executables]
            machine.linux.failed.pop(name, None)
            return f"guest-stop {machine.name} {running[0]}" if running else None

        self._change(stop)

    def _configure(self, name: str, startup: str) -> None:
        def configure(machine: Machine) -> str | None:
            system = machine.linux
            if startup == "unmasked":
                if system.startup.get(name) != "masked":
                    return None
                del system.startup[name]
                return f"guest-configure {machine.name} {name}"
            system.startup[name] = startup
            return f"guest-configure {machine.name} {name}"

        self._change(configure)

    def _kill(self, pid: int) -> None:
        world, machine = self._look()
        daemon = dict(_daemons(world, machine)).get(pid)

        def kill(machine: Machine) -> str | None:
            if daemon is None:
                machine.linux.processes[:] = [one for one in machine.linux.processes if one.pid != pid]
                return f"guest-stop {machine.name} {pid}"
            machine.daemons.remove(daemon)
            machine.linux.by_hand[:] = [one for one in machine.linux.by_hand if one != daemon]
            return f"guest-stop {machine.name} {daemon}"

        self._change(kill)

    # -- what all do -----------------------------------------------------------------------------------------------

    def _look(self) -> tuple[World, Machine]:
        self._go_on()
        world = self._access.read()
        return world, self._find(world)

    def _machine(self) -> Machine:
        return self._look()[1]

    def _strike(self, program: str) -> None:
        fault = self._faults.strike(program, self._machine())
        if fault is None or fault.action == "pending":
            return
        if fault.action == "remove":
            raise InterpreterEnded
        raise CmdletError(fault.id, fault.category, fault.message, None)

    def _change(self, work: Callable[[Machine], str | None]) -> None:
        """Make a change and note it down; both or, if interrupted, neither."""

        def change(world: World) -> None:
            machine = self._find(world)
            changes = len(world.journal)
            system = machine.linux
            before = (list(machine.daemons), dict(system.startup), dict(system.failed), list(system.processes))
            said, by_hand = dict(system.last_words), list(system.by_hand)
            try:
                noted = work(machine)
                if noted is not None:
                    world.journal.append(noted)
            except BaseException:
                del world.journal[changes:]
                machine.daemons[:], system.startup, system.failed, system.processes = before
                system.last_words, system.by_hand = said, by_hand
                raise

        self._access.change(change)


_SCRIPTS: Final = "/etc/init.d/"
_SESSION: Final = "/user.slice/user-0.slice/session-1.scope"
"""Where systemd keeps what somebody starts who has logged on."""
_STARTUPS: Final = {
    "mask": "masked",
    "unmask": "unmasked",
    "enable": "enabled",
    "disable": "disabled",
    "add": "enabled",
    "del": "disabled",
}


def _refused(kind: ServiceKind, device: str) -> str:
    """What a daemon says whose device another process holds."""
    identity, name = {ServiceKind.KVP: ("", "KVP "), ServiceKind.VSS: ("Hyper-V VSS: ", "VSS ")}.get(kind, ("", ""))
    return f"{identity}{name}starting; pid is:702\n{identity}open {device} failed; error: 16 Device or resource busy"


def _copies_over_uio(machine: Machine) -> bool:
    numbers = machine.linux.kernel.partition("-")[0].split(".")[:2]
    return all(map(str.isdecimal, numbers)) and tuple(map(int, numbers)) >= _COPIES_OVER_UIO


def _is_offered(kind: ServiceKind, machine: Machine) -> bool:
    return machine.setting(kind).enabled and kind.key not in machine.linux.withheld


def _device(kind: ServiceKind, machine: Machine) -> str | None:
    """The device that the daemon of *kind* needs, if it is there."""
    system = machine.linux
    copies = kind is ServiceKind.GUEST_SERVICE_INTERFACE and _copies_over_uio(machine)
    bound = system.bound if copies else system.driver != "absent"
    if not bound or not system.on_hyperv or not _is_offered(kind, machine):
        return None
    return kind.linux_devices[-1 if copies else 0]


def _holder(device: str, machine: Machine) -> LinuxProcess | None:
    return next((process for process in machine.linux.processes if process.holds == device), None)


def _serves(daemon: str, device: str | None) -> bool:
    """Whether that daemon is for that device, which is there; Red Hat's has the same name for either."""
    another = "hv_fcopy_daemon" if device == "/dev/uio" else "hv_fcopy_uio_daemon"
    return device is not None and daemon != another


def _installed(kind: ServiceKind, machine: Machine) -> Iterator[str]:
    """The programs of *kind* that are there; what fits the device comes first."""
    device = _device(kind, machine)
    found = [path for path in known_names(kind).programs if path in machine.linux.programs]
    yield from sorted(found, key=lambda path: not _serves(path.rpartition("/")[2], device))


def _program(daemon: str, machine: Machine) -> str | None:
    return next((path for path in machine.linux.programs if path.rpartition("/")[2] == daemon), None)


def _units(kind: ServiceKind, machine: Machine) -> tuple[str, ...]:
    """The units, or the scripts, of *kind* that are installed."""
    row = distribution_of(parse_os_release(machine.linux.os_release))
    daemon = None if row is None else row.daemon(kind)
    if daemon is None or not any(_installed(kind, machine)):
        return ()
    return (daemon.units if machine.linux.init == "systemd" else daemon.scripts) or ()


def _unit_of(daemon: str, machine: Machine) -> str | None:
    """The unit or script that starts it."""
    kinds = (kind for kind in DAEMON_KINDS if daemon in known_names(kind).executables)
    return next((unit for kind in kinds for unit in _units(kind, machine)), None)


def _kind_of(name: str, machine: Machine) -> ServiceKind | None:
    """The service that a unit or script which is there belongs to."""
    return next((kind for kind in DAEMON_KINDS if name in _units(kind, machine)), None)


def _daemons(world: World, machine: Machine) -> Iterator[tuple[int, str]]:
    """Each daemon that runs: the number of its process, and its name."""
    for kind in DAEMON_KINDS:
        for name in machine.daemons:
            if name in known_names(kind).executables and _serves(name, _device(kind, machine)):
                yield _pid(world, machine, name), name


def _pid(world: World, machine: Machine, daemon: str) -> int:
    """The number of the process of *daemon*: another one after each start."""
    starts = world.journal.count(f"guest-start {machine.name} {daemon}")
    names = [name for kind in DAEMON_KINDS for name in known_names(kind).executables]
    return _FIRST_PROCESS + names.index(daemon) + len(names) * starts
