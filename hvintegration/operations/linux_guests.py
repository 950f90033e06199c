"""Linux guests: what is asked of them, what their answers mean, and what follows for their integration services."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs

from hvintegration.calls.answer import Answer, ErrorEntry
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import (
    Json,
    JsonObject,
    OptionalFields,
    as_object,
    flag,
    optional_flag,
    optional_texts,
)
from hvintegration.calls.operation import Operation
from hvintegration.calls.refusals import failure_of, remote_error, result_of
from hvintegration.errors import (
    DecodeError,
    HvError,
    InvalidStateError,
    PermissionDeniedError,
    ServiceNotFoundError,
    UnsupportedError,
    excerpt,
)
from hvintegration.guest_models import GuestChange, GuestFamily, GuestInfo, GuestServiceState, Startup
from hvintegration.linux_distributions import (
    DAEMON_KINDS,
    PackagedDaemon,
    distribution_of,
    known_names,
    parse_os_release,
)
from hvintegration.models import ChangeOutcome
from hvintegration.operations.guest_systems import (
    LINUX,
    WINDOWS,
    Change,
    GuestAction,
    GuestRecords,
    GuestSystem,
    GuestTarget,
    Report,
    Told,
    kept_from_starting,
    offer_it,
    refusal_of,
    reports_of,
    switch_it,
    windows_only,
)
from hvintegration.operations.vms import normal_guid
from hvintegration.scripts import SH_GET_GUEST, SH_SET_GUEST_SERVICES
from hvintegration.service_kind import ServiceKind

__all__ = ["DRIVER_KINDS", "LINUX_GUESTS", "LinuxFacts", "decode_facts", "states_of"]

DRIVER_KINDS: Final = (ServiceKind.HEARTBEAT, ServiceKind.SHUTDOWN, ServiceKind.TIME_SYNC)
"""Those that live in the kernel's driver, which no daemon serves."""

LINUX_KINDS: Final = tuple(kind for kind in ServiceKind if kind in {*DRIVER_KINDS, *DAEMON_KINDS})

_DRIVER: Final = "hv_utils"
_DRIVERS: Final = frozenset({"hv_utils", "hv_util", "uio_hv_generic"})
_WITH_RIGHTS: Final = frozenset({"root", "sudo", "doas"})
_DEAD: Final = frozenset({"Z", "X"})
_LONGEST_NUMBER: Final = 10


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


def _names(kind: ServiceKind) -> dict[str, str]:
    """What the daemon of *kind* is called anywhere, and its devices, as texts with spaces between the names."""
    names = known_names(kind)
    return {
        "devices": " ".join(device for device in kind.linux_devices if device != "/dev/uio"),
        "units": " ".join(names.units),
        "scripts": " ".join(names.scripts),
        "programs": " ".join(names.programs),
        "names": " ".join(names.processes),
    }


def _document() -> dict[str, Json]:
    """What the scripts for Linux guests are asked to look for."""
    of_each = [_names(kind) for kind in DAEMON_KINDS]
    return {key: " ".join(dict.fromkeys(" ".join(names[key] for names in of_each).split())) for key in of_each[0]}


class _LinuxGuests:
    """The family of Linux: :class:`~hvintegration.operations.guest_systems.GuestSystem`."""

    family = GuestFamily.LINUX

    def read(self, target: GuestTarget, *, info: bool) -> Operation[GuestRecords]:
        del target
        answer = yield Call(SH_GET_GUEST, _document())
        assert isinstance(answer, Answer)
        facts = decode_facts(result_of(answer, "read the guest", remote_error), "$.result")
        if facts.kernel != "Linux":
            raise UnsupportedError(
                f"{answer.address} runs {facts.kernel or 'an unknown system'}, no Linux.",
                address=answer.address,
                needs=LINUX,
            )
        return _records(facts, answer, info=info)

    def change(self, changes: Sequence[Change], target: GuestTarget, *, dry_run: bool) -> Operation[Told]:
        document = _document() | {
            "vm_id": target.vm_id,
            "dry_run": dry_run,
            "changes": " ".join(f"{change.kind.key}:{_asked(change)}" for change in changes),
        }
        for kind in DAEMON_KINDS:
            names = _names(kind) | {"executables": " ".join(known_names(kind).executables)}
            document |= {f"{kind.key}_{key}": text for key, text in names.items()}
        answer = yield Call(SH_SET_GUEST_SERVICES, document, dry_run=dry_run)
        assert isinstance(answer, Answer)
        try:
            return _told(answer, changes, target)
        except DecodeError as error:
            error.address = answer.address
            raise

    def refuse(self, change: Change) -> None:
        if change.kind in DRIVER_KINDS:
            raise UnsupportedError(
                f"In a Linux guest {change.kind.label} is part of the kernel's driver: nothing there can {change}.",
                address="",
                needs=WINDOWS,
                hint=switch_it(change),
            )
        if change.kind not in DAEMON_KINDS:
            raise windows_only(change.kind)

    def is_started(self, state: GuestServiceState) -> bool | None:
        return state.running

    def is_stopped(self, state: GuestServiceState) -> bool | None:
        return None if state.running is None else not state.running

    def is_under_way(self, state: GuestServiceState) -> bool:
        del state
        return False

    def why_not(self, change: Change, state: GuestServiceState) -> str:
        if change.action is GuestAction.START:
            return state.cannot_start or f"Its daemon was started, and ended: it is {state.status or 'gone'}."
        if change.action is GuestAction.STOP:
            return "Its daemon did not end, or was started again."
        return f"Its startup is {state.startup or 'not known'}."

    def cannot(self, change: Change, state: GuestServiceState) -> HvError:
        if state.installed is False:
            return ServiceNotFoundError(
                f"{state.address} has no daemon of {change.kind.label}: it is not installed.",
                address=state.address,
                hint=(state.cannot_start or "").removeprefix(_NOT_INSTALLED).strip() or None,
            )
        return kept_from_starting(change.kind, state.address, "its unit is masked")

    def error(self, change: Change, made: GuestChange) -> HvError:
        state, error = made.state, made.error
        assert error is not None
        if error.error_id == _RIGHTS_MISSING:
            return PermissionDeniedError(
                f"{made.address} does not let this user {change}.",
                address=made.address,
                error_id=error.error_id,
                category=error.category,
                hint=error.message,
            )
        if error.error_id == _NO_STARTUP:
            return UnsupportedError(
                f"{made.address} cannot {change}: {_in_a_sentence(error.message)}",
                address=made.address,
                error_id=error.error_id,
                category=error.category,
                needs="an init system that can",
            )
        if state is not None and made.outcome is ChangeOutcome.FAILED:
            masked = change.needs_to_start and state.startup is Startup.DISABLED
            if state.installed is False or (masked and not error.error_id):
                return self.cannot(change, state)
            if error.error_id in {"", _DAEMON_ENDED, _DEVICE_HELD}:
                offered = state.offered is not False
                # What is known to be against it says more than what its daemon noticed of that.
                reason = state.cannot_start if error.error_id == _DAEMON_ENDED else None
                return InvalidStateError(
                    f"{made.address} failed to {change}: {_in_a_sentence(reason or error.message)}",
                    address=made.address,
                    action=str(change),
                    current=state.status or "",
                    error_id=error.error_id,
                    category=error.category,
                    host_message=error.message if error.error_id else "",
                    expected="" if offered else "enabled on the host",
                    hint=None if offered else offer_it(change.kind),
                )
        return remote_error(refusal_of(change, made))


_RIGHTS_MISSING: Final = "RightsMissing"
_NO_STARTUP: Final = "NoStartup"
_NOT_THERE: Final = "ServiceNotInstalled"
_DAEMON_ENDED: Final = "DaemonEnded"
_DEVICE_HELD: Final = "DeviceHeld"
_NOT_INSTALLED: Final = "It is not installed."


def _asked(change: Change) -> str:
    """What the script is told to do."""
    return "stop_to_start" if change.then_start else change.action.value


def _in_a_sentence(text: str) -> str:
    return text[:1].lower() + text[1:]


def _records(facts: LinuxFacts, answer: Answer, *, info: bool) -> GuestRecords:
    said = tuple(failure_of(entry, address=answer.address, names={}) for entry in answer.errors)
    return GuestRecords(answer, facts.vm_id, states_of(facts, answer), said, _info(facts, answer) if info else None)


def _info(facts: LinuxFacts, answer: Answer) -> GuestInfo:
    return GuestInfo(
        address=answer.address,
        family=GuestFamily.LINUX,
        name=facts.name,
        caption=facts.os_release.get("PRETTY_NAME"),
        os_version=facts.os_release.get("VERSION_ID"),
        os_build=facts.kernel_release,
        vm_id=facts.vm_id,
        vm_name=None,
        host_name=None,
        integration_services_version=facts.kernel_release if facts.driver else None,
        administrator=None if facts.rights is None else facts.rights in _WITH_RIGHTS,
        powershell_version=None,
        powershell_edition=None,
        language_mode=None,
        read_at=answer.received_at,
    )


def _told(answer: Answer, changes: Sequence[Change], target: GuestTarget) -> Told:
    result = result_of(answer, "change integration services", remote_error)
    reports = reports_of(result, answer, changes, target, _report)
    return Told(reports, _records(decode_facts(result, "$.result"), answer, info=False))


def _report(entry: Json, path: str, error: ErrorEntry | None) -> Report:
    done = as_object(entry, path)
    was = optional_flag(done, "was", path)
    state = None if was is None else "running" if was else "not running"
    found = error is None or error.id != _NOT_THERE
    return Report(found=found, state=state, begun=flag(done, "begun", path), error=_said(error))


def _said(error: ErrorEntry | None) -> ErrorEntry | None:
    """What a script says of a change, in sentences; the message of some errors is only what makes the difference."""
    if error is None or error.id == _NOT_THERE:
        return None
    if error.id == _RIGHTS_MISSING:
        return attrs.evolve(error, message=f"As root, run: {error.message}")
    if error.id == _DAEMON_ENDED:
        return attrs.evolve(error, message=f"Its daemon was started, and ended: {excerpt(error.message)}")
    return error


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
        vm_id=normal_guid(vm_id or ""),
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
        number = _number(pid)
        if number is not None and state not in _DEAD:
            # A program that was asked for it may say anything.
            yield Process(number, _number(owner), name, program if program.startswith("/") else None)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


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
        installed=facts.driver,
        running=running,
        version=facts.kernel_release,
        offered=offered,
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
    startup = _startup(unit_name, unit, facts)
    device = _device(kind, facts)
    offered = _offered(kind, facts)
    state = GuestServiceState(
        address=address,
        kind=kind,
        name=process.name if process is not None else known_names(kind).processes[0],
        display_name=unit_name,
        installed=installed,
        running=running,
        status=_status(unit, running),
        startup=startup,
        pid=process.pid if process is not None else None,
        program=(process.program if process is not None else None) or (programs[0] if programs else None),
        account="root" if process is not None and process.owner == 0 else None,
        device=device,
        offered=offered,
        read_at=read_at,
    )
    return attrs.evolve(state, cannot_start=_cannot_start(kind, state, facts), cannot_stop=_cannot_stop(state, facts))


def daemons(kind: ServiceKind, facts: LinuxFacts) -> tuple[Process, ...] | None:
    """The processes that serve it; None if that cannot be known.

    Anybody can give a process a name: it must be root's, and where the program behind it may be known, that counts.
    """
    if facts.processes is None:
        return None
    return tuple(
        process
        for process in facts.processes
        if process.name in known_names(kind).processes
        and process.owner == 0
        and (process.program is None or process.program.removesuffix(" (deleted)").rpartition("/")[2] in _files(kind))
    )


def _files(kind: ServiceKind) -> frozenset[str]:
    return frozenset(known_names(kind).executables)


def unit_of(kind: ServiceKind, facts: LinuxFacts) -> tuple[str | None, Mapping[str, str]]:
    """The unit or script that starts it, and what the init system says of it; None and nothing if there is none."""
    for name in (*known_names(kind).units, *known_names(kind).scripts):
        if facts.units is not None and name in facts.units:
            return name, facts.units[name]
    return None, {}


def _is_absent(kind: ServiceKind, facts: LinuxFacts) -> bool | None:
    """False if it is certainly not there: nothing was found of it, and where to look on this distribution is known."""
    daemon = _packaged(kind, facts)
    known = daemon is not None and daemon.programs is not None
    unseen = facts.units is None and facts.init is not None
    return False if known and not unseen else None


def _packaged(kind: ServiceKind, facts: LinuxFacts) -> PackagedDaemon | None:
    row = distribution_of(facts.os_release)
    return None if row is None else row.daemon(kind)


def _how_to_install(kind: ServiceKind, facts: LinuxFacts) -> str | None:
    """What to do about a daemon that is not there, in a sentence; None if that is not known."""
    row, daemon = distribution_of(facts.os_release), _packaged(kind, facts)
    if row is None or daemon is None:
        return None
    if daemon.packaged is False:
        return f"{row.name} has no package of it."
    packages = daemon.packages_for(facts.kernel_release or "")
    command = row.manager.install_command(packages) if row.manager is not None and packages else None
    return row.advice if command is None else f"As root, run: {shlex.join(command)}"


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


def _cannot_start(kind: ServiceKind, state: GuestServiceState, facts: LinuxFacts) -> str | None:
    if state.installed is False:
        how = _how_to_install(kind, facts)
        return _NOT_INSTALLED if how is None else f"{_NOT_INSTALLED} {how}"
    if state.startup is Startup.DISABLED:
        return "Its unit is masked."
    if state.offered is False:
        return "The host does not offer it."
    if state.device is False:
        return "Its device is not there."
    return _without_rights(facts)


def _cannot_stop(state: GuestServiceState, facts: LinuxFacts) -> str | None:
    return _NOT_INSTALLED if state.installed is False else _without_rights(facts)


def _without_rights(facts: LinuxFacts) -> str | None:
    if facts.rights is None or facts.rights in _WITH_RIGHTS:
        return None
    if facts.rights == "none":
        return "This user is not root."
    return f"This user is not root, and {facts.rights.partition(' ')[0]} asks for a password."


LINUX_GUESTS: Final[GuestSystem] = _LinuxGuests()
"""The family of Linux."""
