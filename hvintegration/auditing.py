"""All virtual machines of a host diagnosed: the host once, the guests beside each other, a bounded number at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, TypeAlias, cast

from hvintegration.calls.refusals import failure_from, own_failure
from hvintegration.clock import Deadline, Timeout
from hvintegration.diagnosis import diagnose
from hvintegration.errors import ConfigurationError, HvError, RemoteError, excerpt
from hvintegration.findings import Acceptance, Audit, Diagnosis, Severity
from hvintegration.guest import Guest
from hvintegration.guest_models import GuestChange, GuestInventory
from hvintegration.models import STATES_WITHOUT_GUEST, HostInfo, ServiceChange, VMInfo, VMInventory
from hvintegration.operations import hosts, inventory
from hvintegration.session import Session
from hvintegration.values import Failure, Rows
from hvintegration.vm import VM

__all__ = ["MOST_AT_ONCE", "WayIn", "audit"]

WayIn: TypeAlias = Callable[[VM], Guest | None]
"""Makes a handle on the guest of a virtual machine; answers None where there is no way in."""

MOST_AT_ONCE: Final = 8
"""Guests that are asked at once where the caller says nothing."""

_MOST_THREADS: Final = 64


def audit(
    session: Session,
    guests: WayIn | None,
    *,
    changes: Iterable[ServiceChange | GuestChange],
    accepted: Iterable[Acceptance],
    parallel: int,
    timeout: Timeout,
) -> Audit:
    """See :meth:`hvintegration.Host.audit`."""
    if type(parallel) is not int or not 1 <= parallel <= _MOST_THREADS:
        raise ConfigurationError(
            f"Invalid parallel {excerpt(repr(parallel))}: it is no number from 1 to {_MOST_THREADS}."
        )
    changes, accepted = tuple(changes), tuple(accepted)
    deadline = session.deadline(timeout)
    machines = session.run(inventory.read_inventory(), deadline)
    failures = list(machines.errors)
    host_info: HostInfo | None = None
    inside: dict[str, GuestInventory] = {}
    if guests is not None:
        try:
            host_info = session.run(hosts.read_host(), deadline)
        except RemoteError as error:
            failures.append(_failure(error, session.address, None))
        asked = _Asking(session, guests, deadline).ask([vm.info for vm in machines.vms], parallel)
        inside = {vm_id: found for vm_id, found in asked.items() if isinstance(found, GuestInventory)}
        failures += [found for found in asked.values() if isinstance(found, Failure)]
    at = session.now()

    def judged(vm: VMInventory) -> Diagnosis:
        return diagnose(vm, inside.get(vm.id), host_info=host_info, changes=changes, accepted=accepted, at=at)

    return Audit(
        address=session.address,
        diagnoses=Rows(Diagnosis, sorted(map(judged, machines.vms), key=_order)),
        errors=Rows(Failure, failures),
        read_at=at,
    )


_SEVERITIES: Final = list(Severity)


def _order(diagnosis: Diagnosis) -> tuple[int, str]:
    """The worst first; what was accepted does not count."""
    worst = (_SEVERITIES.index(one.severity) for one in diagnosis.findings if one.acceptance is None)
    return min(worst, default=len(_SEVERITIES)), diagnosis.vm_name or ""


class _Asking:
    """Asks guests beside each other.

    Args:
        session: The host's.
        way_in: The caller's.
        deadline: When all of them are to have answered.
    """

    def __init__(self, session: Session, way_in: WayIn, deadline: Deadline) -> None:
        self._session = session
        self._way_in = way_in
        self._deadline = deadline

    def ask(self, machines: Iterable[VMInfo], parallel: int) -> Mapping[str, GuestInventory | Failure]:
        """What each says, or why it does not, by id; nothing of those that do not run or have no way in."""
        running = [vm for vm in machines if (vm.state or "").removesuffix("Critical") not in STATES_WITHOUT_GUEST]
        threads = ThreadPoolExecutor(parallel, thread_name_prefix="hvintegration-audit")
        try:
            futures = {vm.id: (vm, threads.submit(self._ask_one, vm)) for vm in running}
            wait((future for _, future in futures.values()), self._deadline.left())
            return {vm_id: found for vm_id, (vm, future) in futures.items() for found in self._answers(vm, future)}
        finally:
            # One that is still under way ends by its own deadline, and is closed by its thread.
            threads.shutdown(wait=False, cancel_futures=True)

    def _answers(
        self, vm: VMInfo, future: Future[GuestInventory | Failure | None]
    ) -> Iterator[GuestInventory | Failure]:
        if not future.done():
            late = f"The guest had not answered after {self._deadline.given:g} seconds, which all of them had together."
            yield own_failure(late, address=self._session.address, vm_id=vm.id, vm_name=vm.name)
        elif (found := future.result()) is not None:
            yield found

    def _ask_one(self, vm: VMInfo) -> GuestInventory | Failure | None:
        try:
            guest = cast("object", self._way_in(VM(self._session, vm.id, vm.name)))
        except HvError as error:
            return _failure(error, self._session.address, vm)
        if guest is None:
            return None
        if not isinstance(guest, Guest):
            raise ConfigurationError(
                f"Invalid guest {excerpt(repr(guest))} of {vm.name}: it is neither a Guest nor None."
            )
        with guest:
            try:
                return guest.inventory(timeout=guest.session.rest_of(self._deadline))
            except HvError as error:
                return _failure(error, guest.address, vm)


def _failure(error: HvError, address: str, vm: VMInfo | None) -> Failure:
    vm_id, vm_name = (None, None) if vm is None else (vm.id, vm.name)
    return failure_from(error, address=address, vm_id=vm_id, vm_name=vm_name)
