"""A virtual machine, as something that can be asked."""

from __future__ import annotations

from typing import ClassVar

from hvintegration.clock import Timeout
from hvintegration.display import Cell
from hvintegration.errors import ConfigurationError
from hvintegration.integration_service import IntegrationService
from hvintegration.models import ServiceState, VMInfo
from hvintegration.operations import services, vms
from hvintegration.plain import SCHEMA_VERSION, Plain
from hvintegration.processes import OfThisProcess
from hvintegration.service_kind import HOST_MANAGED, ServiceKind
from hvintegration.session import Session
from hvintegration.values import Rows

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
