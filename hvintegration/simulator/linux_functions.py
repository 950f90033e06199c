"""The shipped scripts for Linux guests as Python functions, line by line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from hvintegration.linux_distributions import parse_os_release
from hvintegration.operations.guest_systems import ANOTHER_MACHINE
from hvintegration.simulator.envelope import Failures, Request, Result
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


def _get_system(linux: Linux, _request: Request, _failures: Failures) -> Result:
    system = linux.system
    return {
        "kernel": "Linux",
        "kernel_release": system.kernel,
        "machine": "x86_64",
        "host_name": linux.name,
        "distribution": parse_os_release(system.os_release).get("PRETTY_NAME"),
        "user_id": linux.user_id,
    }


def _stop_process(_linux: Linux, _request: Request, _failures: Failures) -> Result:
    return {"gone": True}  # Nothing goes on running in a simulator after its answer.


def _get_guest(linux: Linux, request: Request, _failures: Failures) -> Result:
    linux.begin()
    return _facts(linux, request)


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
        "vendor": "Microsoft Corporation",
        "product": "Virtual Machine",
        "driver": system.driver != "absent",
        "module": system.driver == "module",
        "channels": linux.channels(),
        "devices": [path for path in request["devices"].split() if linux.has(path)],
        "processes": [
            f"{one.pid} S {one.owner} {one.name} {one.program}"
            for one in linux.processes()
            if one.name in request["names"].split()
        ],
        "programs": [path for path in request["programs"].split() if linux.has(path)],
        "units": _units(linux, request),
        "wanted": [name for name in linux.wanted() if name in request["units"].split()]
        if system.init == _SYSTEMD
        else None,
        "vm_id": linux.pool_record("VirtualMachineId"),
        "rights": system.rights,
    }


def _units(linux: Linux, request: Request) -> list[str] | None:
    init = linux.system.init
    if init == _SYSTEMD:
        shown = (linux.unit(name) for name in request["units"].split())
        return ["\n\n".join("\n".join(f"{key}={value}" for key, value in unit.items()) for unit in shown)]
    if not init:
        return None
    scripts = ((name, linux.script(name)) for name in request["scripts"].split())
    return [f"{name} {enabled}" for name, enabled in scripts if enabled is not None]


def _set_guest_services(linux: Linux, request: Request, failures: Failures) -> Result:
    linux.begin()
    changes: list[dict[str, Any]] = []
    known = (linux.pool_record("VirtualMachineId") or "").lower()
    if request["vm_id"] and known and known != request["vm_id"]:
        failures.append(_failure(ANOTHER_MACHINE, "InvalidOperation", known, None))
    else:
        for index, change in enumerate(request["changes"].split()):
            key, _, action = change.rpartition(":")
            made = _Changing(linux, request, failures, key, str(index))
            was = bool(made.running())
            if action == "start":
                made.start()
            elif action == "stop":
                made.stop()
            else:
                made.startup(action)
            changes.append({"was": was, "begun": made.begun, "said": made.said or None})
    return _facts(linux, request) | {"changes": changes}


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
        self.begun = False
        self.said = ""

    def running(self) -> list[int]:
        """The numbers of the processes of its daemon."""
        names = self._named("names")
        return [process.pid for process in self._linux.processes() if process.name in names]

    def start(self) -> None:
        if self.running():
            return
        init, unit = self._linux.system.init, self._unit()
        program = next(filter(self._linux.has, self._named("programs")), "")
        if not unit and not program:
            self._fail("ServiceNotInstalled", "ObjectNotFound", self._key)
        elif not self._request["dry_run"] and self._as_root(*_start_command(init, unit, program)):
            self._wait_until(lambda: bool(self.running()))
            for _ in range(_UNTIL_IT_STAYS):
                self._linux.sleep(_TENTH)

    def stop(self) -> None:
        if not self.running() or self._request["dry_run"]:
            return
        init, unit = self._linux.system.init, self._unit()
        stops = init != _SYSTEMD or self._linux.unit(unit)["ActiveState"] == "active"
        if unit and stops and not self._as_root(*_stop_command(init, unit)):
            return
        for pid in self.running():  # What was started by hand belongs to no unit.
            if not self._as_root("kill", "-15", str(pid)):
                return
        self._wait_until(lambda: not self.running())

    def startup(self, action: str) -> None:
        init, unit = self._linux.system.init, self._unit()
        if not unit:
            self._fail("NoStartup", "NotImplemented", init)
        elif not self._request["dry_run"]:
            for command in _startup_commands(init, unit, action):
                if not self._as_root(*command):
                    return

    def _named(self, what: str) -> list[str]:
        names: str = self._request.get(f"{self._key}_{what}", "")
        return names.split()

    def _unit(self) -> str:
        """The first of its units or scripts that is there."""
        if self._linux.system.init == _SYSTEMD:
            names = (name for name in self._named("units") if self._linux.unit(name)["LoadState"] != "not-found")
        else:
            names = (name for name in self._named("scripts") if self._linux.script(name) is not None)
        return next(names, "") if self._linux.system.init else ""

    def _as_root(self, *command: str) -> bool:
        if self._linux.system.rights not in {"root", "sudo", "doas"}:
            self._fail("RightsMissing", "PermissionDenied", " ".join(command))
            return False
        self.said = self._linux.run(*command)
        self.begun = True
        return True

    def _wait_until(self, happened: Callable[[], bool]) -> None:
        for _ in range(_LONGEST_WAIT):
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


def _startup_commands(init: str, unit: str, action: str) -> list[tuple[str, ...]]:
    automatic = action == "automatic"
    if init == "openrc":
        return [("rc-update", "add", unit, "default") if automatic else ("rc-update", "del", unit)]
    if init == "sysvinit":
        return [("update-rc.d", unit, "enable" if automatic else "disable")]
    if action == "disabled":
        return [("systemctl", "--no-ask-password", "mask", unit)]
    verbs = ("unmask", "enable" if automatic else "disable")
    return [("systemctl", "--no-ask-password", verb, unit) for verb in verbs]


def _failure(error_id: str, category: str, message: str, target: str | None) -> dict[str, Any]:
    return {"id": error_id, "category": category, "message": message, "target": target}


LINUX_FUNCTIONS: Final[dict[str, LinuxFunction]] = {
    "get_guest": _get_guest,
    "get_system": _get_system,
    "set_guest_services": _set_guest_services,
    "stop_process": _stop_process,
}
"""By script name."""
