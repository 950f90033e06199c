"""A virtual machine, as something that can be asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import ClassVar, Final

from hvintegration.addresses import guest_transport_for
from hvintegration.calls.refusals import failure_from
from hvintegration.clock import Timeout
from hvintegration.credential import Credential
from hvintegration.diagnosis import diagnose, refuse_others
from hvintegration.display import Cell
from hvintegration.errors import CREDENTIAL, ConfigurationError, Hint, PermissionDeniedError, excerpt
from hvintegration.findings import Acceptance, Diagnosis, End, Fix
from hvintegration.guest import Guest, meant_for_another, refuse_no_fix
from hvintegration.guest_models import GuestChange, GuestFamily, GuestInventory
from hvintegration.integration_service import IntegrationService
from hvintegration.models import HostInfo, ServiceChange, ServiceState, VMInfo, VMInventory, without_guest
from hvintegration.operations import data_exchange, hosts, inventory, services, vms
from hvintegration.operations.guest_systems import GuestTarget, another_machine
from hvintegration.plain import SCHEMA_VERSION, Plain
from hvintegration.processes import OfThisProcess
from hvintegration.service_kind import HOST_MANAGED, ServiceKind
from hvintegration.session import Session
from hvintegration.session_owner import opened
from hvintegration.transports.base import Transport
from hvintegration.update_tables import UpdateGeneration
from hvintegration.updates import UpdateAdvice, advice_from_facts, generation_of, require_name
from hvintegration.values import Failure, Rows

__all__ = ["VM", "VMServices"]


class VM(OfThisProcess):
    """A handle on a virtual machine; ``host.vms[...]``, ``host.vms.list()`` and ``host.vm(id)`` make them.

    Two are equal when they mean the same id through the same session.
    """

    __slots__ = ("_id", "_name", "_session")

    table_columns: ClassVar[tuple[str, ...]] = ("VM", "Id")

    def __init__(self, session: Session, vm_id: str, name: str) -> None:
        self._session = session
        self._id = vm_id
        self._name = name

    @property
    def id(self) -> str:
        """GUID, lower case without braces. It never changes."""
        return self._id

    @property
    def name(self) -> str:
        """Its name when the handle was made, or the id where only that was known. Names can change and repeat."""
        return self._name

    @property
    def services(self) -> VMServices:
        """Its integration services."""
        return VMServices(self._session, self)

    @property
    def session(self) -> Session:
        """The session that it is asked through."""
        return self._session

    def info(self, *, timeout: Timeout = None) -> VMInfo:
        """What the host says of it now. One round trip.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            VMNotFoundError: It is gone.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(vms.read_vm(self._id), timeout)

    def inventory(self, *, timeout: Timeout = None) -> VMInventory:
        """What the host says of it and of its services now: the facts of a diagnosis. One round trip.

        Raises as :meth:`info`.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.
        """
        return self._session.run(inventory.read_vm_inventory(self._id), timeout)

    def diagnose(
        self,
        guest: Guest | None = None,
        *,
        host_info: HostInfo | None = None,
        changes: Iterable[ServiceChange | GuestChange] = (),
        accepted: Iterable[Acceptance] = (),
        timeout: Timeout = None,
    ) -> Diagnosis:
        """What is wrong with its integration services, why, and what to do. One round trip at each end.

        Without a guest it is judged from the host's end alone. A rule that lacks a fact says nothing; ``missing`` of
        the answer says which facts were lacked. Where a guest is given and the host lets this user see nothing, a
        finding says so, and the guest's end is judged. Changes nothing.

        Args:
            guest: What runs inside, as :meth:`guest` answers it; it stays open. It is not asked where the host says
                that nothing runs inside, which is a finding.
            host_info: The host itself, as ``host.info()`` answers it, whose version is compared with the guest's.
            changes: What was changed before, as :meth:`apply` and ``set_services`` answer it: a service may need a
                while then.
            accepted: Findings that somebody lives with.
            timeout: Seconds for both ends together, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            ConfigurationError: The guest, a change or an acceptance is none. Nothing was sent.
            VMNotFoundError: It is gone.
            PermissionDeniedError: The caller may not see it on the host, and no guest is given.
            InvalidStateError: The guest was reached by :meth:`guest`, and another machine answers; of one that was
                reached otherwise, a finding says so.
            RemoteError: The host or the guest refused otherwise.
            AuthenticationError: The guest does not take the credential.
            TransportError: There is no usable answer.
            DecodeError: An answer has an unknown shape.
        """
        _refuse_no_guest(guest)
        changes, accepted = tuple(changes), tuple(accepted)
        refuse_others(changes, accepted)
        deadline = self._session.deadline(timeout)
        machine: VMInventory | None = None
        refused: tuple[Failure, ...] = ()
        try:
            machine = self.inventory(timeout=deadline)
        except PermissionDeniedError as denied:
            if guest is None:
                raise
            refused = (failure_from(denied, address=self._session.address, vm_id=self._id, vm_name=self._name),)
        inside: GuestInventory | None = None
        if guest is not None and (machine is None or not without_guest(machine.info.state)):
            inside = guest.inventory(timeout=guest.session.rest_of(deadline))
        return diagnose(
            machine,
            inside,
            host_info=host_info,
            host_errors=refused,
            changes=changes,
            accepted=accepted,
            at=self._session.now(),
        )

    def apply(
        self, fix: Fix, *, guest: Guest | None = None, confirm: bool = False, timeout: Timeout = None
    ) -> ServiceChange | GuestChange:
        """Do what a finding offers. What became of it, with the state after.

        Costs, and raises, as the verb does that the fix names: :meth:`IntegrationService.enable` or
        :meth:`IntegrationService.disable` on the host, else as :meth:`Guest.apply`.

        Args:
            fix: The ``fix`` of a finding.
            guest: What runs inside; needed for what is done there.
            confirm: As for :meth:`Guest.apply`; the host's switches ask for none.
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            ConfigurationError: It is for another virtual machine; or it is done in the guest, and none is given, or
                that refuses it. Nothing was sent.
        """
        refuse_no_fix(fix)
        _refuse_no_guest(guest)
        if fix.vm_id != self._id:
            raise meant_for_another(fix, self._id)
        if fix.end is End.GUEST:
            if guest is None:
                raise ConfigurationError(
                    "This is done in the guest, and none is given. Nothing was changed.",
                    hint="Pass guest=vm.guest(...).",
                )
            return guest.apply(fix, confirm=confirm, timeout=timeout)
        if fix.action not in _SWITCHES or not fix.kind.managed_by_host:
            raise ConfigurationError(
                f"{excerpt(repr(fix.action))} is nothing that can be done with {fix.kind.label} on a host."
                " Nothing was changed."
            )
        change = services.ResolvedChange(self._id, self._name, fix.kind, _SWITCHES[fix.action])
        return self._session.run(services.make_change(change), timeout)

    def update_advice(
        self,
        guest: Guest | None = None,
        *,
        guest_os: str | None = None,
        generation: UpdateGeneration | str = UpdateGeneration.CURRENT,
        timeout: Timeout = None,
    ) -> UpdateAdvice:
        """How the integration services of its guest are kept current. Changes nothing.

        One round trip to the host, which says what it is, and one to the guest, if it is given. Without a guest, and
        without a name for its system, the host is asked once more, what the guest has told it over Data Exchange. If
        that is nothing, as where it is off, the advice is ``unknown``, and its steps say what is needed.

        Args:
            guest: What runs inside, as :meth:`guest` answers it; it stays open. It alone says of Linux which packages
                are installed.
            guest_os: The guest's system, as :func:`~hvintegration.update_advice` takes it, instead of asking it.
            generation: Which of the two published tables is asked, ``current`` or ``2015``.
            timeout: Seconds for both ends together, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            ConfigurationError: Both a guest and a name for its system are given, or that is empty; or there is no such
                generation. Nothing was sent.
            VMNotFoundError: There is no guest, no name, and no such virtual machine on the host.
            InvalidStateError: The guest is another virtual machine, or does not run.
            RemoteError: The host or the guest refused otherwise.
            AuthenticationError: The guest does not take the credential.
            TransportError: There is no usable answer.
            DecodeError: An answer has an unknown shape.
        """
        _refuse_no_guest(guest)
        if guest is not None and guest_os is not None:
            raise ConfigurationError("Both a guest and guest_os are given.", hint="Give one of them.")
        if guest_os is not None:
            require_name("guest_os", guest_os)
        chosen = generation_of(generation)
        deadline = self._session.deadline(timeout)
        host = self._session.run(hosts.read_host(), deadline)
        if guest_os is not None:
            return advice_from_facts(host, guest_os, generation=chosen)
        if guest is None:
            told = self._session.run(data_exchange.read_told_system(self._id), deadline)
            return advice_from_facts(host, told, generation=chosen)
        inside = guest.inventory(timeout=guest.session.rest_of(deadline))
        if inside.info.vm_id not in {None, self._id}:
            raise another_machine(guest.address, inside.info.vm_id, GuestTarget(vm_id=self._id))
        return advice_from_facts(host, inside.info, inside.services, chosen)

    def guest(
        self,
        address: str | None = None,
        *,
        credential: Credential | None = None,
        options: Mapping[str, str] | None = None,
        family: GuestFamily | str | None = None,
        sudo_password: str | None = None,
        timeout: Timeout = None,
    ) -> Guest:
        """A handle on the guest inside: what runs there is asked and changed by what this answers.

        Without an address it is reached by PowerShell Direct: over the connection of the host, with no network of the
        guest's, and nothing is sent by this. It needs Windows 10 or Windows Server 2016 or later on both ends. With an
        address it is reached there, as by :func:`~hvintegration.connect_guest`, in one round trip.

        Whatever answers must be this virtual machine, as far as it knows what it is: else it is refused before
        anything changes.

        Args:
            address: Where the guest is, as :func:`~hvintegration.connect_guest` takes it; None for PowerShell Direct.
            credential: Who asks, in the guest; needed for PowerShell Direct.
            options: Other arguments of the address's transport class, as far as they are texts, by name.
            family: What kind of system it is, ``windows``, ``linux`` or ``freebsd``; it is asked if None. Over
                PowerShell Direct it is Windows.
            sudo_password: What ``sudo`` asks for in a Linux guest, as :class:`~hvintegration.Guest` takes it.
            timeout: Seconds for connecting and for the first answer, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            ConfigurationError: There is neither an address nor a credential, or they are invalid.
            AuthenticationError: The guest does not take the credential, or its ``sudo`` the password.
            InvalidStateError: Another machine answers at that address.
            UnsupportedError: It is neither a Windows guest that PowerShell can ask nor a Linux guest.
            RemoteError: The guest refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        if address is not None:
            transport = guest_transport_for(address, credential=credential, options=options)
            return opened(Guest(transport, family=family, vm_id=self._id, sudo_password=sudo_password), timeout)
        if sudo_password is not None:
            raise ConfigurationError(
                "PowerShell Direct reaches Windows guests only, which have no sudo that asks for a password.",
                hint="Give the address of the guest.",
            )
        if options:
            raise ConfigurationError("PowerShell Direct has no options.", hint="They go with an address of the guest.")
        if family is not None and family != GuestFamily.WINDOWS:
            raise ConfigurationError(
                f"PowerShell Direct reaches Windows guests only, not {excerpt(repr(family))}.",
                hint="Give the address of the guest.",
            )
        if not isinstance(credential, Credential) or not credential.username:
            raise ConfigurationError(
                "PowerShell Direct needs the name and password of a user of the guest.",
                hint=Hint.of("Pass {}, or the address of the guest.", Hint(str(CREDENTIAL), "--guest-user USER")),
            )
        way = partial(_direct, vm_id=self._id, credential=credential)
        return Guest(
            self._session.through(way),
            family=GuestFamily.WINDOWS,
            vm_id=self._id,
            carrier=ServiceKind.POWERSHELL_DIRECT,
        )

    def to_dict(self) -> dict[str, Plain]:
        """Its identity as plain data."""
        return {"schema": SCHEMA_VERSION, "id": self._id, "name": self._name}

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (self._name, self._id)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VM):
            return NotImplemented
        return (self._session, self._id) == (other._session, other._id)

    def __hash__(self) -> int:
        return hash((self._session, self._id))

    def __repr__(self) -> str:
        return f"<VM {self._name!r} {self._id}>" if self._name != self._id else f"<VM {self._id}>"


_SWITCHES: Final = {"enable": True, "disable": False}


def _direct(host: Transport, *, vm_id: str, credential: Credential) -> Transport:
    from hvintegration.transports.powershell_direct import PowerShellDirect

    return PowerShellDirect(host, vm_id, credential)


class VMServices(OfThisProcess):
    """The integration services of a virtual machine."""

    __slots__ = ("_session", "_vm")

    __iter__ = None
    __contains__ = None

    def __init__(self, session: Session, vm: VM) -> None:
        self._session = session
        self._vm = vm

    def __getitem__(self, service: str | ServiceKind) -> IntegrationService:
        """A handle on one of them. No round trip.

        Args:
            service: A :class:`ServiceKind`, or whatever :meth:`ServiceKind.find` takes: a key, a component GUID, an
                English or known local name, the name of a Windows service or of a Linux daemon.

        Raises:
            UnknownServiceError: No service is known by that text.
            ConfigurationError: The service exists only inside the guest.
        """
        kind = ServiceKind.find(service)
        if not kind.managed_by_host:
            raise ConfigurationError(
                f"{kind.label} has no switch on the host.",
                hint=f"It is the service {kind.windows_service} inside the guest.",
            )
        return IntegrationService(self._session, self._vm.id, self._vm.name, kind)

    def list(self, *, timeout: Timeout = None) -> Rows[ServiceState]:
        """The state of each, in the host's order. One round trip.

        ``errors`` of the rows has what the host gave no value for. Six; five on hosts older than Windows Server 2012
        R2, which have no Guest Service Interface.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            VMNotFoundError: The virtual machine is gone.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(services.list_services(self._vm.id), timeout)

    def _ipython_key_completions_(self) -> tuple[str, ...]:
        return tuple(kind.label for kind in HOST_MANAGED)

    def __repr__(self) -> str:
        return f"<integration services of {self._vm.name!r}; .list() reads them>"


def _refuse_no_guest(guest: object) -> None:
    """Raise ConfigurationError where something else is given as a guest, such as its address."""
    if guest is not None and not isinstance(guest, Guest):
        raise ConfigurationError(
            f"Invalid guest {excerpt(repr(guest))}. Nothing was sent.", hint="Pass guest=vm.guest(...)."
        )
