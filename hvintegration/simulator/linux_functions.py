"""The shipped scripts for Linux guests as Python functions, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from hvintegration.linux_distributions import distribution_of, parse_os_release
from hvintegration.operations.guest_systems import ANOTHER_MACHINE
from hvintegration.simulator.envelope import Failures, Request, Result
from hvintegration.simulator.faults import CmdletError
from hvintegration.simulator.linux import Linux

__all__ = ["LINUX_FUNCTIONS", "LinuxFunction"]

LinuxFunction: TypeAlias = Callable[[Linux, Request, Failures], Result]

_TENTH: Final = 0.1
"""Seconds of a pause."""
_LONGEST_WAIT: Final = 30
"""Pauses until what was begun has happened, at most."""
_UNTIL_IT_STAYS: Final = 5
"""Pauses after which a daemon that cannot have its device has ended."""
_SYSTEMD: Final = "systemd"


def _stop_process(_linux: Linux, _request: Request, _failures: Failures) -> Result:
    return {"gone": True}  # Nothing goes on running in a simulator after its answer.


def _get_guest(linux: Linux, request: Request, failures: Failures) -> Result:
    linux.begin()
    _look_at_sudo(linux, failures)
    return _facts(linux, request)


def _look_at_sudo(linux: Linux, failures: Failures) -> bool:
    """Note a password that is refused; whether one is."""
    refusal = linux.sudo_refusal
    if refusal is not None:
        failures.append(_failure("SudoRefused", "AuthenticationError", refusal, None))
    return refusal is not None


def _facts(linux: Linux, request: Request) -> Result:
    system = linux.system
    return {
        "kernel": "Linux",
        "kernel_release": system.kernel,
        "machine": "x86_64",
        "name": linux.name,
        "user_id": linux.user_id,
        "init": system.init or None,
        "os_release": "\n".join(system.os_release.splitlines()[:100]) or None,
        "vendor": "Microsoft Corporation" if system.on_hyperv else "QEMU",
        "product": "Virtual Machine" if system.on_hyperv else "Standard PC (Q35 + ICH9, 2009)",
        "hypervisor": None,
        "vmbus": system.on_hyperv,
        "uptime": system.uptime,
        "driver": system.on_hyperv and system.driver != "absent",
        "module": system.on_hyperv and system.driver == "module",
        "channels": linux.channels() if system.on_hyperv else None,
        "devices": [path for path in request["devices"].split() if linux.has(path)],
        "processes": _processes(linux, request),
        "keepers": [f"{pid} {keeper}" for pid, keeper in linux.keepers().items()],
        "programs": [path for path in request["programs"].split() if linux.has(path)],
        "units": _units(linux, request),
        "wanted": [name for name in linux.wanted() if name in request["units"].split()]
        if system.init == _SYSTEMD
        else None,
        "last_words": _last_words(linux, request),
        "pools": _pools(linux, request),
        "clocks": _clocks(linux),
        "packages": _packages(linux, request),
        "available": _available(linux, request),
        "vm_id": linux.pool_record("VirtualMachineId") if system.on_hyperv else None,
        "rights": linux.rights,
    }


def _processes(linux: Linux, request: Request) -> list[str] | None:
    found = linux.processes()
    if found is None:
        return None
    names = request["names"].split()
    return [f"{one.pid} S {one.owner} {one.name} {one.program}" for one in found if one.name in names]


def _units(linux: Linux, request: Request) -> list[str] | None:
    init = linux.system.init
    if init == _SYSTEMD:
        shown = (linux.unit(name) for name in request["units"].split())
        return ["\n\n".join("\n".join(f"{key}={value}" for key, value in unit.items()) for unit in shown)]
    if not init:
        return None
    scripts = ((name, linux.script(name)) for name in request["scripts"].split())
    return [f"{name} {enabled}" for name, enabled in scripts if enabled is not None]


def _last_words(linux: Linux, request: Request) -> list[str]:
    if linux.user_id or linux.system.init != _SYSTEMD:
        return []
    failed = (name for name in request["units"].split() if linux.unit(name)["ActiveState"] == "failed")
    return [f"{name}\n{linux.last_words(name)}" for name in failed]


def _pools(linux: Linux, request: Request) -> list[str]:
    mode = "-rw-r--r--" if linux.system.readable_pools else "-rw-------"
    paths = [path for path in request["pools"].split() if "/db" not in path]  # That is where FreeBSD has them.
    shown = (f"{mode if '/.kvp_pool_' in path else 'drwxr-xr-x'} 1 0 0 0 Nov 27 10:54 {path}" for path in paths)
    return ["\n".join(shown)]


def _clocks(linux: Linux) -> list[str]:
    refclock = linux.system.refclock
    return ["/dev/ptp0 hyperv", *([f"refclock {refclock}"] if refclock else [])]


_INSTALLED: Final = {"apt": "installed {} {}", "apk": "{}-{} [installed]", "pacman": "{} {}", "rpm": "{} {}"}
"""How package managers say which version of a package is installed."""
_AVAILABLE: Final = {
    "apt": "{}:\n  Candidate: {}",
    "apk": "{} policy:\n  {}:\n    https://mirror.example/main",
    "pacman": "Name : {}\nVersion : {}",
}
"""How they say which could be."""


def _packages(linux: Linux, request: Request) -> list[str] | None:
    return _said(linux, request, linux.system.packages, _INSTALLED)


def _available(linux: Linux, request: Request) -> list[str] | None:
    return _said(linux, request, linux.system.available, _AVAILABLE) if request["available"] else None


def _said(linux: Linux, request: Request, versions: dict[str, str], ways: dict[str, str]) -> list[str] | None:
    """What the package manager says; None if there is none, or it says nothing of that."""
    row = distribution_of(parse_os_release(linux.system.os_release))
    if row is None or row.manager is None or row.manager.install is None:
        return None
    manager = row.manager.name if row.manager.name in _INSTALLED else "rpm"
    if manager not in ways:
        return None
    names = [name for name in request[manager].split() if name in versions]
    return ["\n".join([manager, *(ways[manager].format(name, versions[name]) for name in names)])]


def _set_guest_services(linux: Linux, request: Request, failures: Failures) -> Result:
    linux.begin()
    changes: list[dict[str, Any]] = []
    known = (linux.pool_record("VirtualMachineId") or "").lower()
    if _look_at_sudo(linux, failures):
        pass
    elif request["vm_id"] and known and known != request["vm_id"]:
        failures.append(_failure(ANOTHER_MACHINE, "InvalidOperation", known, None))
    else:
        for index, change in enumerate(request["changes"].split()):
            key, _, action = change.rpartition(":")
            made = _Changing(linux, request, failures, key, str(index))
            if action in {"start", "stop", "stop_to_start"}:
                made.make(action)
            else:
                made.startup(action)
            changes.append({"was": made.was, "begun": made.begun})
    return _facts(linux, request) | {"changes": changes}


def _install_package(linux: Linux, request: Request, failures: Failures) -> Result:
    linux.begin()
    known = (linux.pool_record("VirtualMachineId") or "").lower()
    ended: int | None = None
    said = ""
    if _look_at_sudo(linux, failures):
        pass
    elif request["vm_id"] and known and known != request["vm_id"]:
        failures.append(_failure(ANOTHER_MACHINE, "InvalidOperation", known, None))
    elif linux.processes() is None:
        message = "Whether something is being installed cannot be seen."
        failures.append(_failure("ProcessesHidden", "PermissionDenied", message, None))
    elif not request["dry_run"]:
        if linux.rights not in {"root", "sudo", "doas"}:
            failures.append(_failure("RightsMissing", "PermissionDenied", request["command"], None))
        else:
            ended, said = linux.install(request["command"].split())
    return _facts(linux, request) | {"installing": None, "ended": ended, "said": said or None}


class _Changing:
    """One change, and what comes of it.

    Args:
        linux: The system.
        request: The whole request.
        failures: Where errors go.
        key: Key of the service.
        index: Which change it is, for errors.
    """

    def __init__(self, linux: Linux, request: Request, failures: Failures, key: str, index: str) -> None:
        self._linux = linux
        self._request = request
        self._failures = failures
        self._key = key
        self._index = index
        self.was: bool | None = None
        """Whether its daemon ran before; None if that cannot be seen, or does not matter."""
        self.begun = False
        """Whether root was asked to do something."""

    def make(self, action: str) -> None:
        """Start or stop it, if it is not so."""
        if self._linux.processes() is None:
            message = "Whether its daemon runs cannot be seen: processes are hidden."
            self._fail("ProcessesHidden", "PermissionDenied", message)
            return
        self.was = bool(self._running())
        if action == "start" and not self.was:
            self._start()
        elif self.was and (action == "stop" or (action == "stop_to_start" and not self._masked(self._unit()))):
            self._stop()

    def startup(self, action: str) -> None:
        """Set how it comes to run."""
        init, unit = self._linux.system.init, self._unit()
        if not unit and not self._program():
            self._fail("ServiceNotInstalled", "ObjectNotFound", self._key)
        elif not unit:
            message = "It has no init system with a unit or script for this daemon."
            self._fail("NoStartup", "NotImplemented", message)
        elif init != _SYSTEMD and action == "disabled":
            message = "Its init system cannot keep a service from being started."
            self._fail("NoStartup", "NotImplemented", message)
        elif not self._request["dry_run"]:
            for command in self._startup_commands(init, unit, action):
                if not self._as_root(command):
                    return

    def _start(self) -> None:
        init, unit, program = self._linux.system.init, self._unit(), self._program()
        if not unit and not program:
            self._fail("ServiceNotInstalled", "ObjectNotFound", self._key)
            return
        if self._request["dry_run"] or self._masked(unit) or not self._as_root(_start_command(init, unit, program)):
            return
        self._wait_until(lambda: self._running() or not self._may_come(unit), _LONGEST_WAIT)
        self._wait_until(lambda: not self._running(), _UNTIL_IT_STAYS)
        if not self._running():
            self._say_why(unit)

    def _stop(self) -> None:
        if self._request["dry_run"]:
            return
        init, unit = self._linux.system.init, self._unit()
        if unit and init != _SYSTEMD:  # For one that it did not start, a script may wait half a minute.
            keepers = self._linux.keepers()
            for pid in self._running():
                if keepers.get(pid) != "noted" and not self._as_root(("kill", "-15", str(pid))):
                    return
        stops = init != _SYSTEMD or self._linux.unit(unit)["ActiveState"] == "active"
        if unit and stops and not self._as_root(_stop_command(init, unit)):
            return
        for pid in self._running():  # What was started by hand belongs to no unit.
            if not self._as_root(("kill", "-15", str(pid))):
                return
        self._wait_until(lambda: not self._running(), _LONGEST_WAIT)

    def _running(self) -> list[int]:
        """The numbers of the processes of its daemon: root's, and as far as can be seen, of such a program."""
        names, executables = self._named("names"), {"", *self._named("executables")}
        return [
            process.pid
            for process in self._linux.processes() or ()
            if process.name in names and process.owner == 0 and process.program.rpartition("/")[2] in executables
        ]

    def _may_come(self, unit: str) -> bool:
        """Whether what was started may still show."""
        return self._linux.system.init == _SYSTEMD and self._linux.unit(unit)["ActiveState"] == "active"

    def _say_why(self, unit: str) -> None:
        """What is known of why its daemon does not stay."""
        for device in self._named("devices"):
            holder = self._linux.holder(device) if self._linux.has(device) else None
            if holder is not None:
                message = f"Its device {device} is held by process {holder}."
                self._fail("DeviceHeld", "ResourceBusy", message)
                return
        said = self._linux.last_words(unit) if unit and self._linux.system.init == _SYSTEMD else ""
        if said:
            self._fail("DaemonEnded", "NotSpecified", said)

    def _startup_commands(self, init: str, unit: str, action: str) -> Iterator[tuple[str, ...]]:
        automatic = action == "automatic"
        if init == "openrc":
            yield ("rc-update", "add", unit, "default") if automatic else ("rc-update", "-a", "del", unit)
        elif init == "sysvinit":
            yield ("update-rc.d", unit, "enable" if automatic else "disable")
        elif action == "disabled":
            yield ("systemctl", "--no-ask-password", "mask", unit)
        elif automatic:
            yield ("systemctl", "--no-ask-password", "--no-reload", "unmask", unit)
            yield ("systemctl", "--no-ask-password", "enable", unit)
        else:
            yield ("systemctl", "--no-ask-password", "unmask", unit)
            if self._linux.unit(unit)["UnitFileState"] == "enabled":
                yield ("systemctl", "--no-ask-password", "disable", unit)

    def _named(self, what: str) -> list[str]:
        names: str = self._request.get(f"{self._key}_{what}", "")
        return names.split()

    def _unit(self) -> str:
        """The first of its units or scripts that is there."""
        init = self._linux.system.init
        if init == _SYSTEMD:
            names = (name for name in self._named("units") if self._linux.unit(name)["LoadState"] != "not-found")
        else:
            names = (name for name in self._named("scripts") if init and self._linux.script(name) is not None)
        return next(names, "")

    def _masked(self, unit: str) -> bool:
        """Whether systemd keeps it from being started."""
        return bool(unit) and self._linux.system.init == _SYSTEMD and self._linux.unit(unit)["LoadState"] == "masked"

    def _program(self) -> str:
        """The first of its programs that is there."""
        return next(filter(self._linux.has, self._named("programs")), "")

    def _as_root(self, command: tuple[str, ...]) -> bool:
        if self._linux.rights not in {"root", "sudo", "doas"}:
            self._fail("RightsMissing", "PermissionDenied", " ".join(command))
            return False
        self.begun = True
        try:
            self._linux.run(*command)
        except CmdletError as error:
            self._fail(error.error_id, error.category, error.message)
            return False
        return True

    def _wait_until(self, happened: Callable[[], object], pauses: int) -> None:
        for _ in range(pauses):
            if happened():
                return
            self._linux.sleep(_TENTH)

    def _fail(self, error_id: str, category: str, message: str) -> None:
        self._failures.append(_failure(error_id, category, message, self._index))


def _start_command(init: str, unit: str, program: str) -> tuple[str, ...]:
    if not unit:
        return (program,)
    return {
        _SYSTEMD: ("systemctl", "--no-ask-password", "start", unit),
        "openrc": ("rc-service", unit, "start"),
        "sysvinit": (f"/etc/init.d/{unit}", "start"),
    }[init]


def _stop_command(init: str, unit: str) -> tuple[str, ...]:
    return {
        _SYSTEMD: ("systemctl", "--no-ask-password", "stop", unit),
        "openrc": ("rc-service", unit, "stop"),
        "sysvinit": (f"/etc/init.d/{unit}", "stop"),
    }[init]


def _failure(error_id: str, category: str, message: str, target: str | None) -> dict[str, Any]:
    return {"id": error_id, "category": category, "message": message, "target": target}


LINUX_FUNCTIONS: Final[dict[str, LinuxFunction]] = {
    "get_guest": _get_guest,
    "install_package": _install_package,
    "set_guest_services": _set_guest_services,
    "stop_process": _stop_process,
}
"""By script name."""
