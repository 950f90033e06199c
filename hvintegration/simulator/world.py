"""What a simulated host is made of, as objects and as a JSON file.

The file is the one that the stand-in Hyper-V module of the test engine works on: several processes can share it. One
change is made at a time, under a lock on ``FILE.lock``, and replaces the file as a whole. What the simulator has no use
for is kept as it is.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import attrs

from hvintegration.errors import ConfigurationError
from hvintegration.operations.vms import normal_guid
from hvintegration.service_kind import HOST_MANAGED, ServiceKind

__all__ = [
    "Fault",
    "FileStore",
    "GuestService",
    "Machine",
    "MemoryStore",
    "OperatingSystem",
    "ServiceSetting",
    "Store",
    "World",
    "demo_world",
]

T = TypeVar("T")
A = TypeVar("A", bound=attrs.AttrsInstance)


@attrs.define(kw_only=True)
class OperatingSystem:
    """An operating system, of the host or of a guest."""

    caption: str = "Microsoft Windows Server 2022 Datacenter"
    version: str = "10.0.20348"
    build: str = "20348"
    product_type: int = 3
    domain_role: int = 3


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
        action: ``delay``, ``error``, ``exit`` (PowerShell dies) or ``remove`` (the machine vanishes).
        cmdlet: The cmdlet, such as ``Get-VMIntegrationService``; any if None.
        machine: Name of the machine; any if None.
        seconds: How long a delay takes.
        id: Error id of an error.
        category: PowerShell's category of an error.
        message: Sentence of an error.
        times: How often it strikes; always if None.
    """

    action: str = "error"
    cmdlet: str | None = None
    machine: str | None = None
    seconds: float = 0.0
    id: str = "OperationFailed"
    category: str = "NotSpecified"
    message: str = "The operation failed."
    times: int | None = None


@attrs.define(kw_only=True)
class Machine:
    """A virtual machine.

    Attributes:
        id: GUID, lower case without braces.
        name: Its name.
        state: Member name of ``VMState``.
        guest: ``windows``, ``linux`` or ``none``.
        delay_ms: Milliseconds that reading its integration services takes.
        services: The host's side of each integration service, by key.
        guest_services: The Windows services inside; the usual eight if none is given for a Windows guest.
        daemons: The Hyper-V daemons that run inside a Linux guest.
        addresses: What the guest reports while Data Exchange works.
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
    delay_ms: int = 0
    addresses: list[str] = attrs.field(factory=list[str])
    services: dict[str, ServiceSetting] = attrs.field(factory=dict[str, ServiceSetting])
    guest_services: list[GuestService] = attrs.field(factory=list[GuestService])
    daemons: list[str] = attrs.field(factory=list[str])
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any])

    def __attrs_post_init__(self) -> None:
        for kind in HOST_MANAGED:
            self.services.setdefault(kind.key, ServiceSetting(enabled=bool(kind.enabled_by_default)))
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
        access: ``full``, or ``denied`` for a caller who may not manage Hyper-V.
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
        return _world(data)

    def to_dict(self) -> dict[str, Any]:
        """The world as plain data, for a world file."""
        plain = attrs.asdict(self, filter=lambda _, value: value is not None)
        for machine in plain["machines"]:
            machine.update(machine.pop("extra"))
        plain.update(plain.pop("extra"))
        return plain

    @classmethod
    def load(cls, path: str | PathLike[str]) -> World:
        """The world in a file.

        Raises:
            ConfigurationError: There is no such file, or it holds no world.
        """
        try:
            data = json.loads(Path(path).read_text("utf-8-sig"))
        except OSError as error:
            raise ConfigurationError(f"The world file {fspath(path)} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise ConfigurationError(f"Invalid world file {fspath(path)!r}: it is not JSON ({error}).") from error
        return cls.from_dict(data)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the world to a file, replacing it as a whole."""
        target = Path(path)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=target.parent, prefix=f"{target.name}.", delete=False
        ) as fresh:
            json.dump(self.to_dict(), fresh, ensure_ascii=False, indent=2)
        Path(fresh.name).replace(target)


# -- between objects and JSON -------------------------------------------------------------------------------------


def _world(data: object) -> World:
    fields = _fields(data, "$")
    return _made(
        World,
        "$",
        fields,
        os=lambda value, path: _made(OperatingSystem, path, _fields(value, path), keep=False),
        machines=_list_of(_machine),
        faults=_list_of(lambda value, path: _made(Fault, path, _fields(value, path), keep=False)),
    )


def _machine(data: object, path: str) -> Machine:
    fields = _fields(data, path)
    for required in ("id", "name"):
        if not isinstance(fields.get(required), str):
            raise ConfigurationError(f"Invalid world: {path}.{required} is not a text.")
    guid = normal_guid(fields["id"])
    if guid is None:
        raise ConfigurationError(f"Invalid world: {path}.id is not a GUID.")
    return _made(
        Machine,
        path,
        fields | {"id": guid},
        services=lambda value, at: {
            key: _made(ServiceSetting, f"{at}.{key}", _fields(setting, f"{at}.{key}"), keep=False)
            for key, setting in _fields(value, at).items()
        },
        guest_services=_list_of(lambda value, at: _made(GuestService, at, _fields(value, at), keep=False)),
    )


def _fields(data: object, path: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ConfigurationError(f"Invalid world: {path} is not an object.")
    return cast("dict[str, Any]", data)


def _list_of(decode: Callable[[object, str], T]) -> Callable[[object, str], list[T]]:
    def decode_all(value: object, path: str) -> list[T]:
        if not isinstance(value, list):
            raise ConfigurationError(f"Invalid world: {path} is not a list.")
        return [decode(item, f"{path}[{index}]") for index, item in enumerate(cast("list[object]", value))]

    return decode_all


def _made(
    cls: type[A],
    path: str,
    data: dict[str, Any],
    *,
    keep: bool = True,
    **decoders: Callable[[Any, str], object],
) -> A:
    """An object of *cls* from *data*: known keys through their decoders, unknown ones into ``extra`` or nowhere."""
    known = attrs.fields_dict(cls)
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known or key == "extra":
            extra[key] = value
        elif value is not None:
            values[key] = decoders[key](value, f"{path}.{key}") if key in decoders else value
    if keep:
        values["extra"] = extra
    return cls(**values)


# -- where a world is kept ----------------------------------------------------------------------------------------


class MemoryStore:
    """A world that only this process knows."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()

    def __str__(self) -> str:
        return ""

    def read(self) -> World:
        """The world as it is now."""
        return self._world

    def change(self, work: Callable[[World], T]) -> T:
        """Do *work* on the world, which nobody else changes meanwhile; what it returns."""
        with self._lock:
            return work(self._world)


class FileStore:
    """A world in a file, shared with other processes."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = Path(path)
        self._known: tuple[tuple[int, int, int], World] | None = None

    def __str__(self) -> str:
        return str(self._path)

    def read(self) -> World:
        """The world as it is now, to be looked at only."""
        found = self._version()
        if self._known is None or self._known[0] != found:
            self._known = (found, World.load(self._path))
        return self._known[1]

    def _version(self) -> tuple[int, int, int]:
        """What changes when the file is replaced."""
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def change(self, work: Callable[[World], T]) -> T:
        """Do *work* on the world, which nobody else changes meanwhile, and write it back; what *work* returns."""
        with self._path.with_name(f"{self._path.name}.lock").open("a+b") as turn, _locked(turn.fileno()):
            world = World.load(self._path)
            result = work(world)
            world.save(self._path)
            return result


Store = MemoryStore | FileStore

if sys.platform == "win32":
    import msvcrt
    from os import SEEK_SET, lseek

    @contextlib.contextmanager
    def _locked(descriptor: int) -> Generator[None, None, None]:
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        try:
            yield
        finally:
            lseek(descriptor, 0, SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    @contextlib.contextmanager
    def _locked(descriptor: int) -> Generator[None, None, None]:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


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
