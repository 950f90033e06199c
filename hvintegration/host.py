"""A Hyper-V host, as something that can be asked, and ``connect``, which makes one from an address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import attrs

from hvintegration.credential import Credential
from hvintegration.errors import ConfigurationError
from hvintegration.models import HostCheck, HostInfo, Inventory, Rows, ServiceChange
from hvintegration.operations import hosts, inventory, services, vms
from hvintegration.service_kind import ServiceKind
from hvintegration.session import Session
from hvintegration.transports.base import Transport
from hvintegration.vm import VM

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["OPTIONS", "Host", "RequestedChange", "VMs", "connect", "transport_for"]

RequestedChange: TypeAlias = tuple[VM | str, ServiceKind | str, bool]
"""A virtual machine (a handle, an id or a name), a service, and whether it shall be enabled."""

CONNECT_TIMEOUT = 30.0


def connect(address: str, *, credential: Credential | None = None, timeout: float = CONNECT_TIMEOUT) -> Host:
    """A host that has answered once. One round trip.

    Args:
        address: ``winrm://HOST`` or ``winrm://HOST:PORT`` for a remote host, ``winrms://`` for one over TLS;
            ``ssh://HOST`` for one with an SSH server, ``ssh://USER@HOST:PORT`` in full;
            ``local:`` for this machine (``local:PATH`` for a certain PowerShell), ``sim:`` for a simulated host
            (``sim:FILE`` for one of your own), ``replay:FILE`` for a recording.
        credential: Who asks; this user if None. ``local:``, ``sim:`` and ``replay:`` take none.
        timeout: Seconds for connecting and for the first answer.

    Raises:
        ConfigurationError: The address is invalid, or does not go with a credential.
        PermissionDeniedError: This user may not manage Hyper-V there.
        UnsupportedError: The host has no Hyper-V module.
        RemoteError: The host refused otherwise.
        TransportError: There is no usable answer.
    """
    host = Host(transport_for(address, credential=credential))
    try:
        host.info(timeout=timeout)
    except BaseException:
        host.close()
        raise
    return host


def transport_for(
    address: str, *, credential: Credential | None = None, options: Mapping[str, str] | None = None
) -> Transport:
    """The way to the host of that address. Nothing is sent.

    For what goes around a transport, such as ``Host(Recorder(transport_for(address), "bug.jsonl"))``, for
    :meth:`Host.check` of a host that cannot be reached, and for tools whose users name what a transport takes.

    Args:
        address: As :func:`connect` takes it.
        credential: Likewise.
        options: Other arguments of the address's transport class, as far as they are texts, by name: such as
            ``{"certificate_sha256": "..."}`` of :class:`~hvintegration.WinRM`.

    Raises:
        ConfigurationError: The address or an option is invalid, or they do not go together, or with a credential.
    """
    scheme, separator, rest = address.partition(":")
    if _has_password(rest, is_path=scheme in _MAKERS and not _MAKERS[scheme].takes_credential):
        raise ConfigurationError("An address must not contain a password.", hint="Pass credential=Credential(...).")
    if scheme not in _MAKERS or not separator:
        raise ConfigurationError(
            f"{address!r} is no address.", hint=f"Addresses begin with {', '.join(f'{known}:' for known in _MAKERS)}."
        )
    maker = _MAKERS[scheme]
    given = dict(options or {})
    for name in given:
        if name not in maker.options:
            known = f"It has {', '.join(sorted(maker.options))}." if maker.options else "It has none."
            raise ConfigurationError(f"{scheme}: has no option {name!r}.", hint=known)
    if credential is not None and not maker.takes_credential:
        raise ConfigurationError(f"{scheme}: takes no credential.")
    return maker.make(rest, credential, given)


def _has_password(rest: str, *, is_path: bool) -> bool:
    """Whether what follows the scheme seems to have one. Then nothing of it is to be repeated in an error."""
    before, at, _ = rest.rpartition("@")
    # Only what looks like an authority: local:C:\\Users\\me@corp.example is a path.
    return bool(at) and ":" in before and (rest.startswith("//") or not is_path)


def _authority(rest: str) -> SplitResult:
    from urllib.parse import urlsplit  # late, for a light `import hvintegration`

    return urlsplit(f"//{rest.removeprefix('//')}")


@attrs.frozen
class _Maker:
    """What makes transports of one scheme: of what follows it in an address, a credential and options."""

    make: Callable[[str, Credential | None, dict[str, Any]], Transport]
    takes_credential: bool = False
    options: frozenset[str] = frozenset()


def _local(rest: str, _credential: Credential | None, _options: dict[str, Any]) -> Transport:
    from hvintegration.transports.local import Local

    return Local(rest or None)


def _simulator(rest: str, _credential: Credential | None, _options: dict[str, Any]) -> Transport:
    from hvintegration.simulator import Simulator, demo_world

    return Simulator(rest or demo_world())


def _replay(rest: str, _credential: Credential | None, _options: dict[str, Any]) -> Transport:
    from hvintegration.transports.recording import Replay

    return Replay(rest)


def _winrm(rest: str, credential: Credential | None, options: dict[str, Any], *, tls: bool) -> Transport:
    from hvintegration.transports.winrm import WinRM

    host, port, user = _remote(rest)
    if user is not None:
        raise ConfigurationError("An address of WinRM has no user.", hint="Pass credential=Credential(...).")
    return WinRM(host, port=port, tls=tls, credential=credential, **options)


def _ssh(rest: str, credential: Credential | None, options: dict[str, Any]) -> Transport:
    from hvintegration.transports.ssh import SSH

    host, port, user = _remote(rest)
    return SSH(host, port=port, username=user, credential=credential, **options)


def _remote(rest: str) -> tuple[str, int | None, str | None]:
    """Host, port and user of what follows the scheme."""
    from urllib.parse import unquote

    with suppress(ValueError):
        if not rest.isprintable() or any(map(str.isspace, rest)):
            raise ValueError  # urlsplit would drop some of these.
        parts = _authority(rest)
        if rest.startswith("//") and parts.hostname and not (parts.path.strip("/") or parts.query or parts.fragment):
            return parts.hostname, parts.port, None if parts.username is None else unquote(parts.username)
    raise ConfigurationError(f"{rest!r} is no address of a host.", hint="It looks like //HOST or //HOST:PORT.")


_WINRM_OPTIONS: Final = frozenset(
    {
        "auth",
        "configuration_name",
        "ca_file",
        "certificate_sha256",
        "client_certificate",
        "client_key",
        "proxy",
        "kerberos_hostname",
        "kerberos_service",
        "locale",
    }
)

_SSH_OPTIONS: Final = frozenset({"host_key", "known_hosts", "key_files", "program"})

OPTIONS: Final = _WINRM_OPTIONS | _SSH_OPTIONS
"""Names of all options that :func:`transport_for` takes, for one scheme or another."""

_MAKERS: Final = {
    "local": _Maker(_local),
    "winrm": _Maker(partial(_winrm, tls=False), takes_credential=True, options=_WINRM_OPTIONS),
    "winrms": _Maker(partial(_winrm, tls=True), takes_credential=True, options=_WINRM_OPTIONS),
    "ssh": _Maker(_ssh, takes_credential=True, options=_SSH_OPTIONS),
    "sim": _Maker(_simulator),
    "replay": _Maker(_replay),
}
"""By the scheme of an address."""


class Host:
    """A handle on a Hyper-V host, reached through a transport. Making one sends nothing; the first verb connects.

    It can be shared between threads: questions take turns. Used in a ``with`` statement it is closed at the end.

    Args:
        transport: The way to it, such as :class:`~hvintegration.Local` or :class:`~hvintegration.Simulator`.
    """

    __slots__ = ("__weakref__", "_session")

    def __init__(self, transport: Transport) -> None:
        self._session = Session(transport)

    @property
    def address(self) -> str:
        """Where it is."""
        return self._session.address

    @property
    def session(self) -> Session:
        """What carries its questions; ``session.stats`` counts them."""
        return self._session

    @property
    def vms(self) -> VMs:
        """Its virtual machines."""
        return VMs(self._session)

    def info(self, *, timeout: float | None = None) -> HostInfo:
        """What the host says of itself. One round trip.

        Args:
            timeout: Seconds for all of it; 60 if None.

        Raises:
            PermissionDeniedError: The caller may not manage Hyper-V there.
            UnsupportedError: It has no Hyper-V module.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(hosts.read_host(), timeout)

    def check(self, *, timeout: float | None = None) -> HostCheck:
        """How far the way to its virtual machines leads: which step failed, and what to do.

        First come the steps of the transport, such as name, port, TLS and authentication; then whether a script is
        answered, the Hyper-V module, this user's rights, the language mode, the virtual machines, and the services of
        the first of them. Up to three round trips, and what connecting costs. Changes nothing.

        A step that fails is no exception but what was found; ``ok`` of the answer is False then.

        Args:
            timeout: Seconds for all of it; 60 if None. The step during which they end has failed.

        Raises:
            ConfigurationError: The host is closed, or the time-out is none.
            TransportTimeoutError: Other threads used the connection all the time.
        """
        return self._session.check(timeout)

    def inventory(self, *, timeout: float | None = None) -> Inventory:
        """Every virtual machine with its details and services, and what could not be read. One round trip.

        A virtual machine that vanishes or fails in the middle is an entry in ``errors``.

        Args:
            timeout: Seconds for all of it; 60 if None.

        Raises:
            PermissionDeniedError: The caller may not see virtual machines there, which is not the same as none.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(inventory.read_inventory(), timeout)

    def set_services(
        self, changes: Iterable[RequestedChange], *, dry_run: bool = False, timeout: float | None = None
    ) -> Rows[ServiceChange]:
        """Enable and disable many services. What became of each, in order; one that fails does not stop the others.

        Only what differs is touched. One round trip; one more if a virtual machine is given by name; more only where
        the host is busy or an answer gets lost, as with :meth:`IntegrationService.enable`.

        Args:
            changes: For each a virtual machine (handle, id or name), a service (as ``vm.services[...]`` takes it) and
                True to enable or False to disable.
            dry_run: Say what would be done, and do nothing.
            timeout: Seconds for all of it; 60 if None.

        Raises:
            ConfigurationError: A service is to be both enabled and disabled, or has no switch on the host, or a
                virtual machine belongs to another host. Nothing was changed.
            UnknownServiceError: No service is known by a given text. Nothing was changed.
            VMNotFoundError: There is no virtual machine of a given name. Nothing was changed.
            AmbiguousError: There are several of a given name. Nothing was changed.
            OutcomeUnknownError: An answer got lost and reading back could not settle what was made.
            PermissionDeniedError: The caller may not.
            RemoteError: The host refused all of it otherwise.
            TransportError: There is no usable answer, and nothing was changed.
            DecodeError: The answer has an unknown shape, and nothing was changed.
        """
        wanted = [services.Wish(*self._named(vm), ServiceKind.find(kind), enable) for vm, kind, enable in changes]
        return Rows(ServiceChange, self._session.run(services.grant(wanted, dry_run=dry_run), timeout))

    def close(self) -> None:
        """Let go of the connection. Later verbs raise ConfigurationError; closing twice is no error.

        It waits for its turn while another thread's call is under way. Then the host ends the PowerShell, and what
        failures and interruptions have left there: up to 3 seconds are waited for each, and no error is raised.
        """
        self._session.close()

    def _named(self, vm: VM | str) -> tuple[str | None, str]:
        if isinstance(vm, str):
            return vms.normal_guid(vm), vm
        if vm.session is not self._session:
            raise ConfigurationError(f"{vm!r} belongs to {vm.session.address}, not to {self.address}.")
        return vm.id, vm.name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Host):
            return NotImplemented
        return self._session is other._session

    def __hash__(self) -> int:
        return hash(self._session)

    def __repr__(self) -> str:
        return f"<Host {self.address}>"


class VMs:
    """The virtual machines of a host."""

    __slots__ = ("_session",)

    __iter__ = None
    __contains__ = None

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getitem__(self, name_or_id: str) -> VM:
        """As :meth:`get`, within 60 seconds."""
        return self.get(name_or_id)

    def get(self, name_or_id: str, *, timeout: float | None = None) -> VM:
        """The one virtual machine of that name or id. One round trip.

        A name is no pattern. It must fit in every character; where none does, case does not matter. What looks like an
        id but is none is tried as a name, in a second round trip.

        Args:
            name_or_id: A name, or a GUID in any case, with or without braces.
            timeout: Seconds for all of it; 60 if None.

        Raises:
            VMNotFoundError: There is none.
            AmbiguousError: There are several of that name; ``candidates`` has their ids.
            ConfigurationError: The text is empty.
            PermissionDeniedError: The caller may not see virtual machines there.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        record = self._session.run(vms.find_vm(name_or_id), timeout)
        return VM(self._session, record.id, record.name)

    def list(self, *, timeout: float | None = None) -> Rows[VM]:
        """All of them, in the host's order; ``errors`` of the rows has what could not be read. One round trip.

        Args:
            timeout: Seconds for all of it; 60 if None.

        Raises:
            PermissionDeniedError: The caller may not see virtual machines there, which is not the same as none.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        records = self._session.run(vms.list_vms(), timeout)
        return Rows(VM, [VM(self._session, vm.id, vm.name) for vm in records.vms], records.failures)

    def __repr__(self) -> str:
        return f"<virtual machines of {self._session.address}; .list() reads them>"
