"""What a simulated host is made of, as objects and as a JSON file.

The file is the one that the stand-in Hyper-V module of the test engine works on. What the simulator has no use for is
kept as it is.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from os import PathLike
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

import attrs

from hvintegration.calls.limits import MAX_DEPTH, is_deeper_than
from hvintegration.errors import ConfigurationError, excerpt
from hvintegration.files import read_text, reason
from hvintegration.operations.vms import normal_guid
from hvintegration.service_kind import HOST_MANAGED, ServiceKind
from hvintegration.simulator.linux_system import CHOICES, LinuxProcess, LinuxSystem
from hvintegration.simulator.typed_json import MisplacedError, typed

__all__ = [
    "Fault",
    "GuestService",
    "LinuxProcess",
    "LinuxSystem",
    "Machine",
    "OperatingSystem",
    "ServiceSetting",
    "World",
    "demo_world",
]

MOST_CHARACTERS: Final = 16 * 1024 * 1024
"""Length that a world file may have; that of 500 machines is some 45,000, or 1,100,000 where nothing is left out."""


@attrs.define(kw_only=True)
class OperatingSystem:
    """An operating system, of the host or of a guest.

    Attributes:
        product_type: As in ``Win32_OperatingSystem``: 2 for a domain controller, 3 for another server.
        uptime: Seconds since it was started; None if it does not say. For the simulator only.
        time_sources: What sets its clock, such as ``NTP`` and ``VMICTimeProvider``; likewise.
    """

    caption: str = "Microsoft Windows Server 2022 Datacenter"
    version: str = "10.0.20348"
    build: str = "20348"
    product_type: int = 3
    domain_role: int = 3
    uptime: int | None = None
    time_sources: list[str] | None = None


@attrs.define(kw_only=True)
class ServiceSetting:
    """The host's side of an integration service.

    Attributes:
        enabled: Whether it is switched on.
        primary: Overrides the primary status, with a member name of ``VMIntegrationComponentOperationalStatus``.
        secondary: Overrides the secondary status, likewise.
        primary_text: Overrides the text shown for the primary status.
        secondary_text: Overrides the text shown for the secondary status.
    """

    enabled: bool = True
    primary: str | None = None
    secondary: str | None = None
    primary_text: str | None = None
    secondary_text: str | None = None


@attrs.define(kw_only=True)
class GuestService:
    """A Windows service inside a guest."""

    name: str
    display_name: str = ""
    status: str = "Running"
    start_type: str = "Manual"


@attrs.define(kw_only=True)
class Fault:
    """Something that goes wrong when a cmdlet reaches a machine.

    Attributes:
        action: ``delay``, ``error``, ``exit`` (PowerShell dies), ``remove`` (the machine vanishes), ``unavailable``
            (the management service stops, see ``World.access``), ``unreadable`` (a getter of what the cmdlet shows
            fails) or ``pending`` (a service inside a guest takes a while to start or to stop).
        cmdlet: The cmdlet, such as ``Get-VMIntegrationService``; any of Hyper-V's if None. Only the simulator knows
            faults of ``Invoke-Command``, which opens a session in a guest, and of ``Get-Service``, ``Start-Service``,
            ``Stop-Service`` and ``Set-Service`` inside: where PowerShell dies there, the session is lost. In a Linux
            guest ``sh`` is the beginning of each script, and others are the programs that it runs, such as
            ``systemctl`` or ``kill``.
        machine: Name of the machine; any if None.
        seconds: How long a delay takes, or a service is pending.
        id: Error id of an error.
        category: PowerShell's category of an error.
        message: Sentence of an error.
        reason: Type name of the exception of an error of ``Invoke-Command``: ``PSDirectException`` is real Windows'
            for a session that was not let in.
        property: What an ``unreadable`` one is about, such as ``Enabled`` or ``State``.
        times: How often it strikes; always if None.
    """

    action: str = "error"
    cmdlet: str | None = None
    machine: str | None = None
    seconds: float = 0.0
    id: str = "OperationFailed"
    category: str = "NotSpecified"
    message: str = "The operation failed."
    reason: str = "InvalidOperationException"
    property: str = ""
    times: int | None = None


@attrs.define(kw_only=True)
class Machine:
    """A virtual machine.

    Attributes:
        id: GUID, lower case without braces.
        name: Its name.
        state: Member name of ``VMState``.
        guest: ``windows``, ``linux`` or ``none``.
        checkpoint_type: Member name of ``CheckpointType``: ``Production``, ``ProductionOnly``, ``Standard`` or
            ``Disabled``.
        uptime: Seconds since it was started; only the simulator knows it.
        delay_ms: Milliseconds that reading its integration services takes.
        services: The host's side of each integration service, by key.
        guest_services: The Windows services inside; the usual eight if none is given for a Windows guest.
        daemons: The Hyper-V daemons that run inside a Linux guest while the host offers what they serve.
        addresses: What the guest reports while Data Exchange works.
        os: What runs in a Windows guest.
        user: Name of the user whom a Windows guest lets in.
        password: Password of that user.
        intrinsic: What a Windows guest tells of itself over Data Exchange, such as ``IntegrationServicesVersion``.
        linux: What runs in a Linux guest.
        extra: Whatever else the world file says of it.
    """

    id: str
    name: str
    state: str = "Running"
    guest: str = "windows"
    generation: int = 2
    version: str = "10.0"
    notes: str = ""
    is_clustered: bool = False
    checkpoint_type: str = "Production"
    uptime: int = 93784
    delay_ms: int = 0
    addresses: list[str] = attrs.field(factory=list[str])
    services: dict[str, ServiceSetting] = attrs.field(factory=dict[str, ServiceSetting])
    guest_services: list[GuestService] = attrs.field(factory=list[GuestService])
    daemons: list[str] = attrs.field(factory=list[str])
    os: OperatingSystem = attrs.field(factory=OperatingSystem)
    user: str = "Administrator"
    password: str = attrs.field(default="Guest-Passw0rd", repr=False)
    intrinsic: dict[str, str | None] = attrs.field(factory=dict[str, str | None])
    linux: LinuxSystem = attrs.field(factory=LinuxSystem)
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any])

    def __attrs_post_init__(self) -> None:
        for kind in HOST_MANAGED:
            self.services.setdefault(kind.key, _default_setting(kind.key))
        if self.guest == "windows" and not self.guest_services:
            self.guest_services = [
                GuestService(name=kind.windows_service, display_name=kind.windows_display_name)
                for kind in _ALPHABETICAL
            ]
            self.guest_services[0].status = (
                "Running" if self.setting(ServiceKind.GUEST_SERVICE_INTERFACE).enabled else "Stopped"
            )

    def setting(self, kind: ServiceKind) -> ServiceSetting:
        """The host's side of a service."""
        return self.services[kind.key]

    def guest_service(self, kind: ServiceKind) -> GuestService | None:
        """The Windows service inside, if there is one."""
        for service in self.guest_services:
            if service.name.lower() == kind.windows_service:
                return service
        return None


_KEYS: Final = tuple(kind.key for kind in HOST_MANAGED)
_ALPHABETICAL: Final = tuple(sorted(ServiceKind, key=lambda kind: kind.windows_service))


@attrs.define(kw_only=True)
class World:
    """A host and its virtual machines.

    Attributes:
        computer: Name of the host.
        locale: Its language; ``en``, ``de`` and ``fr`` have names for the services, all others show the English ones.
        names: Names of services by key, for any other language.
        messages: Error sentences by ``vm_not_found``, ``vm_id_not_found``, ``vm_gone``, ``access_denied``; ``{0}``
            stands for what it is about.
        access: ``full``; ``denied`` for a caller who may not manage Hyper-V; or ``unavailable`` while the management
            service of the host does not run.
        os: Its operating system.
        machines: Its virtual machines.
        faults: What goes wrong.
        journal: Every change made, in order.
        extra: Whatever else the world file says.

    >>> world = World(machines=[Machine(id="3f1b1a52-0000-4000-8000-000000000001", name="demovm")])
    >>> world.machine("demovm").services["vss"].enabled
    True
    """

    computer: str = "HV01"
    locale: str = "en-US"
    names: dict[str, str] = attrs.field(factory=dict[str, str])
    messages: dict[str, str] = attrs.field(factory=dict[str, str])
    access: str = "full"
    os: OperatingSystem = attrs.field(factory=OperatingSystem)
    machines: list[Machine] = attrs.field(factory=list[Machine])
    faults: list[Fault] = attrs.field(factory=list[Fault])
    journal: list[str] = attrs.field(factory=list[str])
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any])

    def machine(self, name: str) -> Machine:
        """The first machine of that name.

        Raises:
            KeyError: There is none.
        """
        for machine in self.machines:
            if machine.name == name:
                return machine
        raise KeyError(name)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> World:
        """The world that a parsed world file describes.

        Raises:
            ConfigurationError: It is not one; the message says where.
        """
        return cls._from_dict(data, "Invalid world")

    @classmethod
    def _from_dict(cls, data: object, complaint: str) -> World:
        try:
            world: World = typed(cls, data, "$")
            world._normalize()
        except MisplacedError as error:
            raise ConfigurationError(f"{complaint}: {error}") from None
        return world

    def _normalize(self) -> None:
        """Have ids in the one form, and only services that there are."""
        for index, machine in enumerate(self.machines):
            for place, keys in (("services", machine.services), ("linux.withheld", machine.linux.withheld)):
                for key in set(keys) - {*_KEYS}:
                    raise MisplacedError(
                        f"$.machines[{index}].{place}.{key} is no service; they are {', '.join(_KEYS)}."
                    )
            guid = normal_guid(machine.id)
            if guid is None:
                raise MisplacedError(f"$.machines[{index}].id is {machine.id!r}, no GUID.")
            machine.id = guid
            for name, choices in CHOICES.items():
                if getattr(machine.linux, name) not in choices:
                    found = excerpt(repr(getattr(machine.linux, name)))
                    known = ", ".join(map(repr, choices))
                    raise MisplacedError(f"$.machines[{index}].linux.{name} is {found}; it can be {known}.")

    def to_dict(self) -> dict[str, Any]:
        """The world as plain data, for a world file; what is as it is by default is left out."""
        return _differing(self, World()) | {"machines": list(map(_plain_machine, self.machines))} | self.extra

    @classmethod
    def load(cls, path: str | PathLike[str]) -> World:
        """The world in a file.

        Raises:
            ConfigurationError: There is no such file, it is longer than 16 Mi characters, or it holds no world; the
                message says where in it.
        """
        try:
            text = read_text(path, MOST_CHARACTERS)
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"Invalid world file {path}: it is not text.") from error
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"The world file {path} cannot be read: {reason(error)}.") from error
        if is_deeper_than(text, MAX_DEPTH):
            raise ConfigurationError(f"Invalid world file {path}: it has more than {MAX_DEPTH} levels.")
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"Invalid world file {path}: it is not JSON ({excerpt(str(error))}).") from error
        return cls._from_dict(data, f"Invalid world file {path}")

    def save(self, path: str | PathLike[str]) -> None:
        """Write the world to a file, replacing it as a whole.

        Raises:
            ConfigurationError: It cannot be written. What was there is as it was.
        """
        target = Path(path).resolve()
        # In JSON, half a character can stand as its escape only.
        content = json.dumps(self.to_dict(), ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace")
        fresh = target.with_name(f"{target.name}.{uuid4().hex}")
        try:
            fresh.write_bytes(content)
            with contextlib.suppress(FileNotFoundError):
                shutil.copymode(target, fresh)
            fresh.replace(target)
        except OSError as error:
            raise ConfigurationError(f"The world file {path} cannot be written: {reason(error)}.") from error
        finally:
            fresh.unlink(missing_ok=True)


def _plain_machine(machine: Machine) -> dict[str, Any]:
    # What runs in a guest by default depends on which guest it is, and on the host's side.
    default = Machine(id="", name="", guest=machine.guest, services=dict(machine.services))
    default.guest = "windows"
    settings = {key: _plain(value) for key, value in machine.services.items() if value != _default_setting(key)}
    services = {"services": settings} if settings else {}
    return {"id": machine.id, "name": machine.name} | _differing(machine, default) | services | machine.extra


def _default_setting(key: str) -> ServiceSetting:
    return ServiceSetting(enabled=bool(ServiceKind.find(key).enabled_by_default))


def _differing(thing: attrs.AttrsInstance, default: attrs.AttrsInstance) -> dict[str, Any]:
    """Its attributes that differ from those of *default*, as plain data."""
    names = [field.name for field in attrs.fields(type(thing)) if field.name != "extra"]
    found = {name: getattr(thing, name) for name in names if getattr(thing, name) != getattr(default, name)}
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: object) -> object:
    if isinstance(value, list):
        return list(map(_plain, cast("list[object]", value)))
    if isinstance(value, LinuxSystem):
        return _differing(value, LinuxSystem())
    if isinstance(value, OperatingSystem | ServiceSetting | GuestService | LinuxProcess | Fault):
        return attrs.asdict(value, filter=lambda _, inner: inner is not None)
    return value


def demo_world() -> World:
    """A German host with five virtual machines that show what can be the case. A new one at each call."""

    def machine(number: int, name: str, **facts: Any) -> Machine:  # noqa: ANN401 - Machine checks them
        return Machine(id=f"3f1b1a52-0000-4000-8000-{number:012}", name=name, **facts)

    demovm = machine(1, "demovm", addresses=["192.0.2.5"])
    backup = machine(2, "backup", addresses=["192.0.2.6"])
    web = machine(3, "web", guest="linux", daemons=["hv_kvp_daemon"], addresses=["192.0.2.7"])
    legacy = machine(
        4,
        "legacy",
        addresses=["192.0.2.8"],
        services={"time_sync": ServiceSetting(primary="Degraded", secondary="ProtocolMismatch")},
    )
    spare = machine(5, "spare", state="Off", guest="none")
    stopped = backup.guest_service(ServiceKind.VSS)
    assert stopped is not None
    stopped.status = "Stopped"
    return World(locale="de-DE", machines=[demovm, backup, web, legacy, spare])
