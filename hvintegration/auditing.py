"""All virtual machines of a host diagnosed: the host once, the guests beside each other, a bounded number at once."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeAlias, cast

from hvintegration.calls.refusals import failure_from, own_failure
from hvintegration.clock import Deadline, Timeout
from hvintegration.diagnosis import diagnose, refuse_others
from hvintegration.errors import ConfigurationError, HvError, excerpt
from hvintegration.findings import Acceptance, Audit, Diagnosis, Severity
from hvintegration.guest import Guest
from hvintegration.guest_models import GuestChange, GuestInventory
from hvintegration.models import HostInfo, ServiceChange, VMInfo, VMInventory, without_guest
from hvintegration.operations import hosts, inventory
from hvintegration.session import Session
from hvintegration.transports.worker import Job, Late
from hvintegration.values import Failure, Rows
from hvintegration.vm import VM

__all__ = ["MOST_AT_ONCE", "WayIn", "audit"]

WayIn: TypeAlias = Callable[[VM], Guest | None]
"""Makes a handle on the guest of a virtual machine; answers None where there is no way in."""

MOST_AT_ONCE: Final = 8
"""Guests that are asked at once where the caller says nothing."""

_MOST_THREADS: Final = 64

_Asked: TypeAlias = Job[GuestInventory | Failure | None]
"""A guest that is or will be asked: what it says, or why it does not; None where there is no way in."""


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
    if guests is not None and not callable(cast("object", guests)):
        raise ConfigurationError(
            f"Invalid guests {excerpt(repr(guests))}.", hint="It is a function, such as lambda vm: vm.guest(...)."
        )
    changes, accepted = tuple(changes), tuple(accepted)
    refuse_others(changes, accepted)
    deadline = session.deadline(timeout)
    machines = session.run(inventory.read_inventory(), deadline)
    failures = list(machines.errors)
    host_info: HostInfo | None = None
    inside: dict[str, GuestInventory] = {}
    if guests is not None:
        try:
            host_info = session.run(hosts.read_host(), deadline)
        except HvError as error:
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


def _order(diagnosis: Diagnosis) -> tuple[int, str]:
    """The worst first; what was accepted does not count."""
    worst = (one.severity.rank for one in diagnosis.findings if one.acceptance is None)
    return min(worst, default=len(Severity)), diagnosis.vm_name or ""


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
        asked = [(vm, Job(partial(self._ask_one, vm))) for vm in machines if not without_guest(vm.state)]
        waiting: queue.SimpleQueue[_Asked] = queue.SimpleQueue()
        for _, job in asked:
            waiting.put(job)
        for number in range(min(parallel, len(asked))):
            name = f"hvintegration-audit-{number}"
            # No thread of a pool: the interpreter waits for those when it ends, however long a guest hangs.
            threading.Thread(target=_do_all, args=(waiting,), name=name, daemon=True).start()
        try:
            for _, job in asked:
                with contextlib.suppress(Late):
                    job.wait(self._deadline)
        finally:
            # What has begun ends by its own deadline, and is closed by its thread.
            for _ in asked:
                _next(waiting)
        answers = {vm.id: self._answer(vm, job) for vm, job in asked}
        return {vm_id: answer for vm_id, answer in answers.items() if answer is not None}

    def _answer(self, vm: VMInfo, job: _Asked) -> GuestInventory | Failure | None:
        try:
            return job.result(self._deadline)
        except Late:
            late = f"The guest had not answered after {self._deadline.given:g} seconds, which all of them had together."
            return own_failure(late, address=self._session.address, vm_id=vm.id, vm_name=vm.name)

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


def _do_all(waiting: queue.SimpleQueue[_Asked]) -> None:
    while (job := _next(waiting)) is not None:
        job.do()


def _next(
    waiting: queue.SimpleQueue[_Asked],
) -> _Asked | None:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None


def _failure(error: HvError, address: str, vm: VMInfo | None) -> Failure:
    vm_id, vm_name = (None, None) if vm is None else (vm.id, vm.name)
    return failure_from(error, address=address, vm_id=vm_id, vm_name=vm_name)
