"""Changes over a connection on which anything can get lost: what callers are told is true.

A small host keeps the switches. What becomes of each step (answered, lost before or after it ran, still running, busy,
no time left) is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvintegration.calls.answer import Answer, parse_answer
from hvintegration.calls.call import Call
from hvintegration.calls.operation import DeadlineReached, Sleep
from hvintegration.errors import (
    BusyError,
    ConnectionLostError,
    HvError,
    OutcomeUnknownError,
    RemoteError,
    TransportError,
    TransportTimeoutError,
)
from hvintegration.models import ChangeOutcome, ServiceChange
from hvintegration.operations.services import ResolvedChange, set_services
from hvintegration.operations.settling import SENDS
from hvintegration.scripts import Effect
from hvintegration.service_kind import ServiceKind

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KINDS = (ServiceKind.HEARTBEAT, ServiceKind.VSS)
VMS = ("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002")
SWITCHES = [(vm_id, str(kind.component_id)) for vm_id in VMS for kind in KINDS]

READ_FATES = ("answered", "answered", "answered", "lost", "unreadable", "denied", "no time")
WRITE_FATES = (
    *("answered", "busy", "half busy", "denied", "no time", "refused", "never sent"),
    *("lost before", "lost after", "timed out before", "timed out after", "garbled", "still running"),
)


def transport_error(
    kind: type[ConnectionLostError | TransportTimeoutError], *, ran: bool, fenced: bool
) -> TransportError:
    if kind is TransportTimeoutError:
        return TransportTimeoutError(address="hv01", after=1.0, may_have_run=ran, fenced=fenced)
    return ConnectionLostError("No answer.", address="hv01", may_have_run=ran, fenced=fenced)


@attrs.define
class SmallHost:
    """Switches, what was sent to them, and what is still running there."""

    switches: dict[tuple[str, str], bool]
    running: list[dict[str, Any]] = attrs.Factory(list)
    sent_while_running: bool = False
    writes: int = 0

    def run(self, document: dict[str, Any], busy: Callable[[int], bool] = lambda _: False) -> Answer:
        changes: list[Any] = []
        errors: list[dict[str, Any]] = []
        for index, change in enumerate(document["changes"]):
            switch = (change["vm_id"], change["component_id"])
            before = self.switches[switch]
            differs = before is not change["enabled"]
            if differs and not document["dry_run"] and busy(index):
                changes.append(None)
                errors.append({"id": "InvalidState", "category": "", "message": "", "target": str(index)})
                continue
            if differs and not document["dry_run"]:
                self.switches[switch] = change["enabled"]
            changes.append({"before": before, "changed": differs})
        return self.answer({"changes": changes, "vms": [self.vm(vm_id) for vm_id in VMS]}, errors)

    def vm(self, vm_id: str) -> dict[str, Any]:
        texts: dict[str, Any] = dict.fromkeys(("primary", "primary_text", "secondary", "secondary_text"))
        services = [
            {"id": component, "name": "x", "enabled": enabled} | texts
            for (owner, component), enabled in self.switches.items()
            if owner == vm_id
        ]
        return {"id": vm_id, "name": "vm", "state": "Running", "info": None, "services": services}

    def answer(self, result: object, errors: list[dict[str, Any]]) -> Answer:
        document = json.dumps({"schema": 1, "result": result, "errors": errors})
        return parse_answer(document, address="hv01", received_at=NOW)

    def unreadable(self, document: dict[str, Any]) -> Answer:
        count = len(document["changes"])
        errors = [
            {"id": "OperationFailed", "category": "", "message": "", "target": str(index)} for index in range(count)
        ]
        return self.answer({"changes": [None] * count, "vms": []}, errors)

    def take(self, call: Call, fate: str) -> Answer:  # noqa: C901  # one case for each fate
        """What comes of a call, or raises."""
        denied = {"id": "AccessDenied", "category": "PermissionDenied", "message": "", "target": None}
        if fate == "no time":
            raise DeadlineReached
        if call.effect is Effect.WRITE:
            self.writes += 1
            self.sent_while_running = self.sent_while_running or bool(self.running)
        if fate == "denied":
            return self.answer(None, [denied])
        if fate == "unreadable":
            return self.unreadable(call.document)
        if fate in {"busy", "half busy"}:
            return self.run(call.document, lambda index: fate == "busy" or index % 2 == 1)
        if fate == "refused":
            raise BusyError("Later.", address="hv01")
        if fate == "never sent":
            raise transport_error(ConnectionLostError, ran=False, fenced=True)
        if fate == "still running":
            self.running.append(call.document)
            raise transport_error(TransportTimeoutError, ran=True, fenced=False)
        if fate.endswith("before") or fate == "lost":
            kind = TransportTimeoutError if fate.startswith("timed") else ConnectionLostError
            raise transport_error(kind, ran=True, fenced=True)
        answer = self.run(call.document)
        if fate.endswith("after"):
            kind = TransportTimeoutError if fate.startswith("timed") else ConnectionLostError
            raise transport_error(kind, ran=True, fenced=True)
        return attrs.evolve(answer, result={"vms": "?"}) if fate == "garbled" else answer


changes = st.dictionaries(st.sampled_from(SWITCHES), st.booleans(), min_size=1).map(
    lambda wanted: [
        ResolvedChange(vm_id, None, next(kind for kind in KINDS if kind.component_id == component), enable)
        for (vm_id, component), enable in wanted.items()
    ]
)
hosts = st.builds(SmallHost, st.fixed_dictionaries({switch: st.booleans() for switch in SWITCHES}))


def play(
    asked: list[ResolvedChange], host: SmallHost, data: st.DataObject
) -> tuple[ServiceChange, ...] | HvError | DeadlineReached:
    """How the operation ends on a host and a connection of which everything is drawn."""
    operation = set_services(asked, dry_run=False)
    steps = 0
    try:
        step = next(operation)
        while True:
            steps += 1
            try:
                if isinstance(step, Sleep):
                    if steps > 12 or data.draw(st.booleans(), label="no time to sleep"):
                        raise DeadlineReached  # noqa: TRY301  # as a session throws it
                    came = None
                else:
                    fates = WRITE_FATES if step.effect is Effect.WRITE else READ_FATES
                    came = host.take(step, data.draw(st.sampled_from(fates), label=step.effect.value))
            except (HvError, DeadlineReached) as error:
                step = operation.throw(error)
            else:
                step = operation.send(came)
            ends = st.booleans() if host.running else st.just(False)  # noqa: FBT003
            if data.draw(ends, label="what runs there ends"):
                host.run(host.running.pop())
    except StopIteration as end:
        told: tuple[ServiceChange, ...] = end.value
        return told
    except (HvError, DeadlineReached) as error:
        return error


def resumed(
    operation: Generator[Call | Sleep, Answer | None, tuple[ServiceChange, ...]], host: SmallHost, call: Call, fate: str
) -> Call | Sleep:
    try:
        answer = host.take(call, fate)
    except HvError as error:
        return operation.throw(error)
    return operation.send(answer)


def as_wanted(host: SmallHost, change: ServiceChange) -> bool:
    return host.switches[change.vm_id, str(change.kind.component_id)] is change.enable


@given(changes, hosts, st.data())
def test_what_is_told_as_made_is_so_and_what_is_told_as_failed_is_not(
    asked: list[ResolvedChange], host: SmallHost, data: st.DataObject
) -> None:
    told = play(asked, host, data)
    if isinstance(told, tuple):
        expected = [change.outcome is not ChangeOutcome.FAILED for change in told]
        assert [as_wanted(host, change) for change in told] == expected


@given(changes, hosts, st.data())
def test_what_is_told_not_to_have_run_has_changed_nothing(
    asked: list[ResolvedChange], host: SmallHost, data: st.DataObject
) -> None:
    before = dict(host.switches)
    told = play(asked, host, data)
    nothing_ran = isinstance(told, DeadlineReached | RemoteError) or (
        isinstance(told, TransportError) and not told.may_have_run
    )
    if nothing_ran:
        assert host.switches == before


@given(changes, hosts, st.data())
def test_nothing_is_sent_while_something_sent_before_may_still_be_running(
    asked: list[ResolvedChange], host: SmallHost, data: st.DataObject
) -> None:
    play(asked, host, data)
    assert host.sent_while_running is False


@given(changes, hosts, st.data())
def test_an_unknown_outcome_names_everything_that_is_not_known(
    asked: list[ResolvedChange], host: SmallHost, data: st.DataObject
) -> None:
    told = play(asked, host, data)
    if isinstance(told, OutcomeUnknownError):
        assert told.asked != ()
        assert set(told.asked) <= set(map(str, asked))


@given(changes, hosts)
def test_on_a_good_connection_everything_is_made_by_one_write(asked: list[ResolvedChange], host: SmallHost) -> None:
    operation = set_services(asked, dry_run=False)
    step = next(operation)
    assert isinstance(step, Call)
    with pytest.raises(StopIteration) as end:
        operation.send(host.take(step, "answered"))
    assert all(as_wanted(host, change) for change in end.value.value)
    assert host.writes == 1


def test_a_change_is_sent_no_more_often_than_allowed() -> None:
    """Every write gets lost before it ran, every reading back is answered."""
    host = SmallHost(dict.fromkeys(SWITCHES, False))
    ended: BaseException | None = None
    operation = set_services([ResolvedChange(VMS[0], None, KINDS[0], enable=True)], dry_run=False)
    step = next(operation)
    while ended is None:
        assert isinstance(step, Call)
        fate = "lost before" if step.effect is Effect.WRITE else "answered"
        try:
            step = resumed(operation, host, step, fate)
        except ConnectionLostError as error:
            ended = error
    assert host.writes == SENDS
