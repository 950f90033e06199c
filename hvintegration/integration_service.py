"""An integration service of one virtual machine, as something that can be asked and switched."""

from __future__ import annotations

from hvintegration.clock import Timeout
from hvintegration.models import ServiceState
from hvintegration.operations import services as operations
from hvintegration.processes import OfThisProcess
from hvintegration.service_kind import ServiceKind
from hvintegration.session import Session

__all__ = ["IntegrationService"]


class IntegrationService(OfThisProcess):
    """A handle on an integration service of a virtual machine; ``vm.services[...]`` makes one, without a round trip.

    Two are equal when they mean the same service of the same virtual machine through the same session.
    """

    __slots__ = ("_kind", "_session", "_vm_id", "_vm_name")

    def __init__(self, session: Session, vm_id: str, vm_name: str, kind: ServiceKind) -> None:
        self._session = session
        self._vm_id = vm_id
        self._vm_name = vm_name
        self._kind = kind

    @property
    def kind(self) -> ServiceKind:
        """Which service."""
        return self._kind

    @property
    def vm_id(self) -> str:
        """GUID of the virtual machine, lower case without braces."""
        return self._vm_id

    @property
    def vm_name(self) -> str:
        """Name of the virtual machine when the handle was made, or its id where only that was known."""
        return self._vm_name

    @property
    def session(self) -> Session:
        """The session that it is asked through."""
        return self._session

    def state(self, *, timeout: Timeout = None) -> ServiceState:
        """What the host says of it now. One round trip.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            VMNotFoundError: The virtual machine is gone.
            ServiceNotFoundError: The virtual machine has no such service.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(operations.read_service(self._vm_id, self._kind), timeout)

    def enable(self, *, timeout: Timeout = None) -> ServiceState:
        """Enable it on the host; nothing happens if it is enabled. The state after. One round trip.

        More only where another operation keeps the virtual machine busy, which is waited out, or where the answer got
        lost: then the state is read back, and the change is sent again only if it is certain not to have been made.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            OutcomeUnknownError: The answer got lost and reading back could not settle whether the change was made.
            VMNotFoundError: The virtual machine is gone.
            ServiceNotFoundError: The virtual machine has no such service.
            PermissionDeniedError: The caller may not.
            InvalidStateError: The virtual machine was busy for all the time.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer, and the change was not made.
            DecodeError: The answer has an unknown shape, and the change was not made.
        """
        return self._switch(enable=True, timeout=timeout)

    def disable(self, *, timeout: Timeout = None) -> ServiceState:
        """Disable it on the host; nothing happens if it is disabled. Otherwise as :meth:`enable`."""
        return self._switch(enable=False, timeout=timeout)

    def wait_until_ok(self, *, timeout: Timeout = None) -> ServiceState:
        """Wait until its health is ok. The state then. One round trip per look, half a second to five seconds apart.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            WaitTimeoutError: It did not become ok in time; ``last`` is the state that was read last.
            InvalidStateError: It cannot become ok: it is disabled, or the virtual machine does not run.
            RemoteError: The host refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(operations.wait_until_ok(self._vm_id, self._kind), timeout)

    def _switch(self, *, enable: bool, timeout: Timeout) -> ServiceState:
        change = operations.ResolvedChange(self._vm_id, self._vm_name, self._kind, enable)
        return self._session.run(operations.switch_service(change), timeout)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntegrationService):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"<IntegrationService {self._kind.key} of {self._vm_name!r}>"

    def _identity(self) -> tuple[Session, str, ServiceKind]:
        return self._session, self._vm_id, self._kind
