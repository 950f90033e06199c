"""A small machine that keeps things, behind a connection on which anything can get lost.

It knows nothing of what the things are: a :class:`Trade` does, one for the services of a host, one for those inside a
guest and one for lamps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NoReturn, TypeAlias

import attrs

from hvintegration.calls.answer import Answer, parse_answer
from hvintegration.calls.call import Call
from hvintegration.calls.operation import DeadlineReached, Operation
from hvintegration.errors import (
    BusyError,
    ConnectError,
    ConnectionLostError,
    HvError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
)
from hvintegration.guest_models import GuestChange, GuestFamily
from hvintegration.models import ChangeOutcome, ServiceChange
from hvintegration.operations.guests import GuestTarget, set_guest_services
from hvintegration.operations.services import ResolvedChange, set_services
from hvintegration.scripts import Effect
from hvintegration.service_kind import ServiceKind
from tests.support.lamps import Dim, Dimmed, Told, set_lamps

NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Key: TypeAlias = tuple[str, ...]
"""What names a thing."""

Value: TypeAlias = int
"""How it is; True and False for a switch."""


@attrs.frozen
class Done:
    """What the machine did with one change: how the thing was and is, None if that could not be read, and an error."""

    key: Key
    before: Value | None
    after: Value | None
    wanted: Value
    error: str = ""


# -- what is changed -----------------------------------------------------------------------------------------------


@attrs.frozen(repr=False)
class Trade:
    """One kind of change, as tests and the machine see it.

    Attributes:
        keys: The things.
        values: How each of them can be.
        change: The change by which a thing shall be so.
        make: The operation.
        asked: What a document asks for.
        answer: The result of an answer; what errors are about.
        absent: The error id for what is not there; empty if there is no error about that.
        wanted: Which thing a result is about, and how it shall be.
        failed: Whether the result says that it was not made.
    """

    keys: Sequence[Key]
    values: Sequence[Value]
    change: Callable[[Key, Value], Any]
    make: Callable[[Sequence[Any]], Operation[tuple[Any, ...]]]
    asked: Callable[[Mapping[str, Any]], list[tuple[Key, Value]]]
    answer: Callable[[Sequence[Done]], tuple[object, Sequence[str | None]]]
    absent: str
    wanted: Callable[[Any], tuple[Key, Value]]
    failed: Callable[[Any], bool]


KINDS: Final = (ServiceKind.HEARTBEAT, ServiceKind.VSS)
VMS: Final = ("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002")


def _services_answer(dones: Sequence[Done]) -> tuple[object, Sequence[str | None]]:
    texts: dict[str, Any] = dict.fromkeys(("primary", "primary_text", "secondary", "secondary_text"))
    vms = [
        {
            "id": vm_id,
            "name": "vm",
            "state": "Running",
            "info": None,
            "services": [
                {"id": done.key[1], "name": "x", "enabled": done.after} | texts
                for done in dones
                if done.key[0] == vm_id and done.after is not None
            ],
        }
        for vm_id in VMS
    ]
    changes = [None if done.error else _report(done) for done in dones]
    return {"changes": changes, "vms": vms}, [str(index) for index in range(len(dones))]


def _report(done: Done) -> dict[str, object]:
    begun = done.after != done.before
    return {"before": done.before, "begun": begun, "after": done.after if begun else None}


def _service_wanted(result: ServiceChange) -> tuple[Key, Value]:
    return (result.vm_id, str(result.kind.component_id)), result.enable


SERVICES: Final = Trade(
    keys=[(vm_id, str(kind.component_id)) for vm_id in VMS for kind in KINDS],
    values=(False, True),
    change=lambda key, value: ResolvedChange(
        key[0], None, next(kind for kind in KINDS if kind.component_id == key[1]), enable=bool(value)
    ),
    make=lambda changes: set_services(changes, dry_run=False),
    asked=lambda document: [
        ((change["vm_id"], change["component_id"]), change["enabled"]) for change in document["changes"]
    ],
    answer=_services_answer,
    absent="ComponentNotFound",
    wanted=_service_wanted,
    failed=lambda result: result.outcome is ChangeOutcome.FAILED,
)


@attrs.frozen
class Run:
    """A service inside a guest that shall run, or not."""

    kind: ServiceKind
    run: bool

    def __str__(self) -> str:
        return f"{'start' if self.run else 'stop'} {self.kind.label}"


def _guest_answer(dones: Sequence[Done]) -> tuple[object, Sequence[str | None]]:
    """What is hidden is not in the list, and an error says that the list is not whole."""
    services = [_guest_service(done.key[0], done.after, done.error) for done in dones if done.after is not None]
    changes = [
        None
        if done.before is None
        else {
            "before": _guest_service(done.key[0], done.before),
            "begun": done.after != done.before or done.error == "OperationFailed",
        }
        for done in dones
    ]
    targets = [None if done.after is None else str(index) for index, done in enumerate(dones)]
    return {"vm_id": None, "version": None, "changes": changes, "services": services}, targets


def _guest_service(name: str, runs: Value, error: str = "") -> dict[str, object]:
    busy = "StopPending" if runs else "StartPending"
    return {"name": name, "state": busy if error == "InvalidState" else "Running" if runs else "Stopped"}


def _run_wanted(result: GuestChange) -> tuple[Key, Value]:
    return (result.kind.windows_service,), result.action == "start"


GUEST: Final = Trade(
    keys=[
        (kind.windows_service,)
        for kind in (ServiceKind.HEARTBEAT, ServiceKind.VSS, ServiceKind.SHUTDOWN, ServiceKind.POWERSHELL_DIRECT)
    ],
    values=(False, True),
    change=lambda key, value: Run(ServiceKind.find(key[0]), bool(value)),
    make=lambda changes: set_guest_services(
        GuestTarget(family=GuestFamily.WINDOWS),
        [(change.kind, change.run) for change in changes],
        dry_run=False,
        confirm=True,
    ),
    asked=lambda document: [((change["name"],), change["action"] == "start") for change in document["changes"]],
    answer=_guest_answer,
    absent="",
    wanted=_run_wanted,
    failed=lambda result: result.outcome is ChangeOutcome.FAILED,
)


def _lamps_answer(dones: Sequence[Done]) -> tuple[object, Sequence[str | None]]:
    lamps = [None if done.after is None else {"before": done.before, "after": done.after} for done in dones]
    return {"lamps": lamps}, [done.key[0] for done in dones]


def _lamp_wanted(result: Dimmed) -> tuple[Key, Value]:
    return (result.dim.room,), result.dim.brightness


LAMPS: Final = Trade(
    keys=[("hall",), ("attic",), ("cellar",), ("yard",)],
    values=(0, 1, 2, 3),
    change=lambda key, value: Dim(key[0], value),
    make=lambda changes: set_lamps(changes, dry_run=False),
    asked=lambda document: [((lamp["room"],), lamp["brightness"]) for lamp in document["lamps"]],
    answer=_lamps_answer,
    absent="ObjectNotFound",
    wanted=_lamp_wanted,
    failed=lambda result: result.told is Told.FAILED,
)

TRADES: Final = {"services": SERVICES, "services inside a guest": GUEST, "lamps": LAMPS}


# -- what becomes of a call ----------------------------------------------------------------------------------------

Chosen: TypeAlias = Callable[[int], bool]
"""Which of the changes of a call, by their places."""

Raises: TypeAlias = Callable[[], HvError | DeadlineReached]


def none(_place: int) -> bool:
    return False


def half(place: int) -> bool:
    return place % 2 == 1


def every(_place: int) -> bool:
    return True


@attrs.frozen
class Fate:
    """What becomes of a call.

    Attributes:
        carried_out: Which of its changes are carried out, or read.
        refused: Which of them the machine refuses, with `error_id`.
        error_id: Why.
        hidden: Whether the answer does not say how those are that are refused.
        loss: What is raised in place of the answer.
        runs_on: Whether what is not carried out is still to come.
        garbled: Whether the answer has an unknown shape.
        denied: Whether the answer is a refusal of the whole question.
    """

    carried_out: Chosen = every
    refused: Chosen = none
    error_id: str = "OperationFailed"
    hidden: bool = False
    loss: Raises | None = None
    runs_on: bool = False
    garbled: bool = False
    denied: bool = False


def lost(*, ran: bool = True, fenced: bool = True) -> TransportError:
    return ConnectionLostError("No answer.", address="hv01", may_have_run=ran, fenced=fenced)


def timed_out(*, fenced: bool = True) -> TransportError:
    return TransportTimeoutError(address="hv01", after=1.0, fenced=fenced)


def cut_off(*, fenced: bool = True) -> TransportError:
    return ProtocolError("No JSON.", address="hv01", fenced=fenced)


def _losses() -> Iterable[tuple[str, Fate]]:
    losses: dict[str, Callable[..., TransportError]] = {"lost": lost, "timed out": timed_out, "cut off": cut_off}
    for name, loss in losses.items():
        unfenced = partial(loss, fenced=False)
        for when, carried_out in (("before", none), ("in the middle of", half), ("after", every)):
            yield f"{name} {when} it", Fate(carried_out, loss=loss)
            yield f"{name} {when} it, unfenced", Fate(carried_out, loss=unfenced)
        yield f"{name} while it runs", Fate(none, loss=unfenced, runs_on=True)
        yield f"{name} while half runs", Fate(half, loss=unfenced, runs_on=True)


NO_TIME = Fate(none, loss=DeadlineReached)
ANSWERED = Fate()
DENIED = Fate(none, denied=True)

WRITES: Final[dict[str, Fate]] = {
    "answered": ANSWERED,
    "busy": Fate(refused=every, error_id="InvalidState"),
    "half busy": Fate(refused=half, error_id="InvalidState"),
    "half busy and hidden": Fate(refused=half, error_id="InvalidState", hidden=True),
    "half failed": Fate(refused=half),
    "denied": DENIED,
    "no time": NO_TIME,
    "no room": Fate(none, loss=lambda: BusyError("Later.", address="hv01")),
    "no connection": Fate(none, loss=lambda: ConnectError("No.", address="hv01")),
    "never sent": Fate(none, loss=lambda: lost(ran=False)),
    "garbled": Fate(garbled=True),
} | dict(_losses())

READS: Final[dict[str, Fate]] = {
    **{f"answered {time}": ANSWERED for time in range(5)},
    "lost": Fate(loss=lost),
    "unreadable": Fate(refused=every, hidden=True),
    "half unreadable": Fate(refused=half, hidden=True),
    "half busy and hidden": Fate(refused=half, error_id="InvalidState", hidden=True),
    "half failed": Fate(refused=half),
    "denied": DENIED,
    "garbled": Fate(garbled=True),
    "no time": NO_TIME,
}


# -- the machine ---------------------------------------------------------------------------------------------------


@attrs.define
class LossyHost:
    """Things, what was sent to them, and what is still running there.

    Attributes:
        trade: What they are.
        things: How each of them is.
        gone: How those were that are not there any more.
        running: What is still to be carried out.
        writes: How many writes have arrived.
        sent_while_running: Whether a write arrived while another was running.
        made: What writes have brought about.
        sent_though_made: Whether a write asked for something that another one had brought about.
    """

    trade: Trade
    things: dict[Key, Value]
    gone: dict[Key, Value] = attrs.Factory(dict)
    running: list[list[tuple[Key, Value]]] = attrs.Factory(list)
    writes: int = 0
    sent_while_running: bool = False
    made: set[Key] = attrs.Factory(set)
    sent_though_made: bool = False

    @property
    def ever(self) -> dict[Key, Value]:
        """How things are, or were when they vanished."""
        return self.things | self.gone

    def vanish(self, key: Key) -> None:
        if key in self.things:
            self.gone[key] = self.things.pop(key)

    def finish(self) -> None:
        """Carry out what is still running."""
        for asked in self.running:
            for key, wanted in asked:
                self._make(key, wanted)
        self.running.clear()

    def take(self, call: Call, fate: Fate) -> Answer:
        """What comes of a call, or raises."""
        if fate is NO_TIME:
            raise DeadlineReached
        asked = self.trade.asked(call.document)
        if call.effect is Effect.WRITE:
            self.writes += 1
            self.sent_while_running |= bool(self.running)
            self.sent_though_made |= any(key in self.made and key in self.things for key, _ in asked)
            if fate.runs_on:
                self.running.append([change for place, change in enumerate(asked) if not fate.carried_out(place)])
        dones = [
            self._do(change, dry_run=call.dry_run, refused=fate.refused(place), fate=fate)
            for place, change in enumerate(asked)
            if fate.carried_out(place)
        ]
        if fate.loss is not None:
            _raise(fate.loss)
        if fate.denied:
            return _answer(None, [("AccessDenied", None)])
        result, targets = self.trade.answer(dones)
        errors = [(done.error, target) for done, target in zip(dones, targets, strict=True) if done.error]
        return _answer({"?": result} if fate.garbled else result, errors)

    def _do(self, change: tuple[Key, Value], *, dry_run: bool, refused: bool, fate: Fate) -> Done:
        key, wanted = change
        if key not in self.things:
            return Done(key, None, None, wanted, self.trade.absent)
        before = self.things[key]
        if refused and (dry_run or before != wanted):
            shown = None if fate.hidden else before
            return Done(key, shown, shown, wanted, fate.error_id)
        if not dry_run:
            self._make(key, wanted)
        return Done(key, before, self.things[key], wanted)

    def _make(self, key: Key, wanted: Value) -> None:
        if key in self.things:
            self.things[key] = wanted
            self.made.add(key)


def _raise(loss: Raises) -> NoReturn:
    raise loss()


def _answer(result: object, errors: Sequence[tuple[str, str | None]]) -> Answer:
    entries = [
        {"id": error_id, "category": "", "message": "", "target": target, "target_object": target}
        for error_id, target in errors
    ]
    document = json.dumps({"schema": 1, "result": result, "errors": entries})
    return parse_answer(document, address="hv01", received_at=NOW)
