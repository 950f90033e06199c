"""A Hyper-V host, as something that can be asked."""

from __future__ import annotations

from collections.abc import Iterable

from hvintegration.auditing import MOST_AT_ONCE, WayIn, audit
from hvintegration.clock import Timeout
from hvintegration.errors import ConfigurationError, excerpt
from hvintegration.findings import Acceptance, Audit
from hvintegration.guest_models import GuestChange
from hvintegration.models import HostCheck, HostInfo, Inventory, ServiceChange
from hvintegration.operations import hosts, inventory, named_changes, vms
from hvintegration.processes import OfThisProcess
from hvintegration.requested_changes import RequestedChanges, read_changes
from hvintegration.session import Session
from hvintegration.session_owner import SessionOwner
from hvintegration.transports.base import Transport
from hvintegration.values import Rows
from hvintegration.vm import VM

__all__ = ["Host", "VMs"]


class Host(SessionOwner):
    """A handle on a Hyper-V host, reached through a transport. Making one sends nothing; the first verb connects.

    It can be shared between threads: questions take turns. Used in a ``with`` statement it is closed at the end.

    Args:
        transport: The way to it, such as :class:`~hvintegration.Local` or :class:`~hvintegration.Simulator`.
    """

    __slots__ = ()

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

    def vm(self, vm_id: str) -> VM:
        """A handle on the virtual machine of that id, as rows have it: ``host.vm(row.vm_id)``. No round trip.

        Whether there is one, its first verb says. ``host.vms[...]`` looks for a name or an id.

        Args:
            vm_id: A GUID in any case, with or without braces.

        Raises:
            ConfigurationError: It is no GUID.
        """
        guid = vms.normal_guid(str(vm_id))
        if guid is None:
            raise ConfigurationError(
                f"Invalid id {excerpt(repr(vm_id))} of a virtual machine: it is no GUID.",
                hint="host.vms[...] finds a virtual machine by its name.",
            )
        return VM(self._session, guid, guid)

    def info(self, *, timeout: Timeout = None) -> HostInfo:
        """What the host says of itself. One round trip.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            PermissionDeniedError: The caller may not manage Hyper-V there.
            UnsupportedError: It has no Hyper-V module.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(hosts.read_host(), timeout)

    def check(self, *, timeout: Timeout = None) -> HostCheck:
        """How far the way to its virtual machines leads: which step failed, and what to do.

        First come the steps of the transport, such as name, port, TLS and authentication; then whether a script is
        answered, the Hyper-V module, this user's rights, the language mode, the virtual machines, and the services of
        the first of them. Up to three round trips, and what connecting costs. Changes nothing.

        A step that fails is no exception but what was found; ``ok`` of the answer is False then.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None. The step during which
                they end has failed.

        Raises:
            ConfigurationError: The host is closed, or the time-out is none.
            TransportTimeoutError: Other threads used the connection all the time.
        """
        return self._session.check(timeout)

    def inventory(self, *, timeout: Timeout = None) -> Inventory:
        """Every virtual machine with its details and services, and what could not be read. One round trip.

        A virtual machine that vanishes or fails in the middle is an entry in ``errors``.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            PermissionDeniedError: The caller may not see virtual machines there, which is not the same as none.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(inventory.read_inventory(), timeout)

    def audit(
        self,
        guests: WayIn | None = None,
        *,
        changes: Iterable[ServiceChange | GuestChange] = (),
        accepted: Iterable[Acceptance] = (),
        parallel: int = MOST_AT_ONCE,
        timeout: Timeout = None,
    ) -> Audit:
        """What is wrong with the integration services of every virtual machine, the worst first. Changes nothing.

        One round trip for all of them; with *guests* one more to the host, and one to each guest that there is a way
        into. Guests are asked beside each other, in threads; those by PowerShell Direct take turns on the host's
        connection. A guest that fails is an entry in ``errors``, and its virtual machine is judged from the host's end.

        Args:
            guests: Is called with the handle of each virtual machine that runs, in a thread of its own, and answers a
                guest (``lambda vm: vm.guest(...)``), or None where there is no way in. An error of the package that it
                raises is an entry in ``errors``; any other is raised. Each guest that it answers is closed by this.
            changes: What was changed before, as ``apply`` and ``set_services`` answer it.
            accepted: Findings that somebody lives with.
            parallel: How many guests are asked at once, 1 to 64.
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None. What has not answered by
                then is an entry in ``errors``.

        Raises:
            ConfigurationError: *parallel* is no such number; *guests* is no function; or a change or an acceptance is
                none. Nothing was sent.
            PermissionDeniedError: The caller may not see virtual machines there, which is not the same as none.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer of the host.
            DecodeError: The host's answer has an unknown shape.
        """
        return audit(self._session, guests, changes=changes, accepted=accepted, parallel=parallel, timeout=timeout)

    def set_services(
        self, changes: RequestedChanges, *, dry_run: bool = False, timeout: Timeout = None
    ) -> Rows[ServiceChange]:
        """Enable and disable many services. What became of each, in order; one that fails does not stop the others.

        Only what differs is touched. One round trip; one more if a virtual machine is given by name; more only where
        the host is busy or an answer gets lost, as with :meth:`IntegrationService.enable`, or where a text that looks
        like an id is none and is tried as a name.

        Args:
            changes: For each a virtual machine (handle, id or name), a service (as ``vm.services[...]`` takes it) and
                True to enable or False to disable; or a service's handle and that. Or a mapping,
                ``{"demovm": {"heartbeat": True, "vss": False}}``.
            dry_run: Say what would be done, and do nothing.
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            ConfigurationError: A change has another shape, such as a text where True or False belongs; or a service is
                to be both enabled and disabled, or has no switch on the host; or a handle belongs to another host.
                Nothing was sent.
            UnknownServiceError: No service is known by a given text. Nothing was changed.
            VMNotFoundError: There is no virtual machine of a given name. Nothing was changed.
            AmbiguousError: There are several of a given name. Nothing was changed.
            OutcomeUnknownError: An answer got lost and reading back could not settle what was made.
            PermissionDeniedError: The caller may not.
            RemoteError: The host refused all of it otherwise.
            TransportError: There is no usable answer, and nothing was changed.
            DecodeError: The answer has an unknown shape, and nothing was changed.
        """
        operation = named_changes.change_services(read_changes(changes, self._session), dry_run=dry_run)
        return Rows(ServiceChange, self._session.run(operation, timeout))

    def close(self) -> None:
        """Let go of the connection. Later verbs raise ConfigurationError; closing twice is no error.

        It waits for its turn while another thread's call is under way. Then the host ends the PowerShell, and what
        failures and interruptions have left there: up to 3 seconds are waited for each, and no error is raised.
        """
        self._session.close()


class VMs(OfThisProcess):
    """The virtual machines of a host."""

    __slots__ = ("_session",)

    __iter__ = None
    __contains__ = None

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getitem__(self, name_or_id: str) -> VM:
        """As :meth:`get`, within 60 seconds."""
        return self.get(name_or_id)

    def get(self, name_or_id: str, *, timeout: Timeout = None) -> VM:
        """The one virtual machine of that name or id. One round trip.

        A name is no pattern. It must fit in every character; where none does, case does not matter. What looks like an
        id but is none is tried as a name, in a second round trip.

        Args:
            name_or_id: A name, or a GUID in any case, with or without braces.
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

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

    def list(self, *, timeout: Timeout = None) -> Rows[VM]:
        """All of them, in the host's order; ``errors`` of the rows has what could not be read. One round trip.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

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
