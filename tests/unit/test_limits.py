from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from hvintegration import Simulator, VirtualClock, World
from hvintegration.calls import limits
from hvintegration.calls.answer import parse_answer
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import shown
from hvintegration.calls.limits import ExcessError, Work, parse_json
from hvintegration.clock import Deadline
from hvintegration.errors import DecodeError, HvError, ProtocolError, TransportTimeoutError
from hvintegration.operations.vms import read_vms
from hvintegration.scripts import GET_VMS
from hvintegration.service_kind import HOST_MANAGED, component_of
from hvintegration.simulator import Machine
from hvintegration.testing import machine_id
from tests.support.time_limit import GRACE, within

READ_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def over() -> Deadline:
    return Deadline(0, VirtualClock())


def many(items: str, times: int) -> str:
    return f"[{','.join([items] * times)}]"


@pytest.mark.parametrize(
    ("document", "reason"),  # Made when the test runs: every process of the tests reads all of them.
    [
        (lambda: " " * (limits.MAX_LENGTH + 1), "is longer than 33554432 characters"),
        (lambda: many("[]", limits.MAX_CONTAINERS), "has more than 120000 lists and objects"),
        (lambda: many("{}", limits.MAX_CONTAINERS), "has more than 120000 lists and objects"),
        (lambda: many("[[[]]]", 50_000), "has more than 120000 lists and objects"),
        (lambda: "{" + '"":0,' * limits.MAX_FIELDS + '"":0}', "has more than 650000 fields"),
        (lambda: many("0", limits.MAX_ITEMS + 2), "has more than 1000000 items"),
        (
            lambda: many('","', limits.MAX_MARKED_TEXTS + 1),
            "has more than 400000 texts with commas, colons or brackets",
        ),
        (lambda: "[" * 33, "has more than 32 levels"),
    ],
    ids=["length", "lists", "objects", "lists in lists", "fields", "items", "marked texts", "levels"],
)
def test_what_is_beyond_a_limit_is_refused_before_it_is_parsed(document: Callable[[], str], reason: str) -> None:
    with pytest.raises(ExcessError) as refused:
        parse_json(document(), Work())
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    "document",
    [
        lambda: many("[]", limits.MAX_CONTAINERS - 1),
        lambda: "{" + '"":0,' * (limits.MAX_FIELDS - 1) + '"":0}',
        lambda: many("0", limits.MAX_ITEMS + 1),
        lambda: many('",[{:"', limits.MAX_MARKED_TEXTS),
        lambda: '["' + "[" * 1_000_000 + '"]',
        lambda: '["' + '\\"[' * 1_000_000 + '"]',
        lambda: many("9" * limits.MAX_DIGITS, 3),
        lambda: many("1." + "9" * (limits.MAX_DIGITS - 2), 3),
    ],
    ids=["lists", "fields", "items", "marked texts", "a text of brackets", "escapes", "digits", "decimals"],
)
def test_what_is_within_the_limits_is_parsed(document: Callable[[], str]) -> None:
    text = document()
    assert parse_json(text, Work()) == json.loads(text)


@pytest.mark.parametrize("number", ["9" * (limits.MAX_DIGITS + 1), "1." + "9" * limits.MAX_DIGITS, "-" + "9" * 5000])
def test_a_number_of_too_many_digits_is_none(number: str) -> None:
    with pytest.raises(ValueError, match="9"):
        parse_json(number, Work())


@pytest.mark.parametrize(
    "document",
    [lambda: "{}", lambda: many("1", 500_000), lambda: many("1.5", 500_000), lambda: " " * limits.MAX_LENGTH],
    ids=["short", "numbers", "decimals", "spaces"],
)
def test_parsing_ends_when_the_time_is_over(document: Callable[[], str]) -> None:
    text = document()
    with within(GRACE), pytest.raises(TransportTimeoutError):
        parse_json(text, Work(over()))


class Passing(Deadline):
    """A deadline that passes after it was asked so often."""

    def __init__(self, looks: int) -> None:
        super().__init__(5, VirtualClock())
        self.looks = looks

    def left(self) -> float:
        self.looks -= 1
        return float(self.looks > 0)


def test_parsing_numbers_and_reading_what_was_parsed_look_at_the_time() -> None:
    looks = Passing(50)
    with pytest.raises(TransportTimeoutError):
        parse_json(many("1", 100_000), Work(looks))
    assert looks.looks == 0


def test_an_answer_that_cannot_be_read_in_time_is_a_time_out_after_which_nothing_runs() -> None:
    with pytest.raises(TransportTimeoutError) as late:
        parse_answer('{"schema":1,"result":{},"errors":[]}', address="hv01", received_at=READ_AT, deadline=over())
    assert (late.value.may_have_run, late.value.fenced, late.value.address) == (True, True, "hv01")


def test_reading_many_errors_looks_at_the_time() -> None:
    entry = {"id": "", "category": "", "message": "", "target": None}
    document = json.dumps({"schema": 1, "result": None, "errors": [entry] * 10_000})
    looks = Passing(20)
    with pytest.raises(TransportTimeoutError):
        parse_answer(document, address="hv01", received_at=READ_AT, deadline=looks)
    assert looks.looks == 0


@pytest.mark.parametrize("service", [{"id": "x", "name": "", "enabled": True}, {}], ids=["services", "without ids"])
@pytest.mark.parametrize(("machines", "services"), [(1, 10_000), (10_000, 0)])
def test_reading_many_machines_or_services_looks_at_the_time(service: object, machines: int, services: int) -> None:
    vm = {"id": "x", "name": "x", "state": "Off", "info": None, "services": [service] * services}
    document = json.dumps({"schema": 1, "result": {"vms": [vm] * machines}, "errors": []})
    clock = VirtualClock()
    answer = parse_answer(document, address="hv01", received_at=READ_AT, deadline=Deadline(1, clock))
    operation = read_vms(services=True)
    next(operation)
    clock.sleep(1)
    with pytest.raises(TransportTimeoutError):
        operation.send(answer)


@pytest.mark.parametrize(
    "broken", [list, dict, lambda: ["x" * 1_000_000] * 100, lambda: {str(number): [0] for number in range(100_000)}]
)
def test_of_what_is_wrong_the_beginning_is_shown(broken: Callable[[], object]) -> None:
    value = broken()
    said = shown(value)
    assert said[:60] == repr(value)[:60]
    assert len(said) < 10_000


def test_a_value_of_many_levels_and_parts_is_shown_in_part() -> None:
    value: object = 0
    for _ in range(5):
        value = {str(number): value for number in range(9)}
    assert len(shown(value)) < 100_000


def test_an_answer_of_another_shape_is_refused_at_once_however_large_it_is() -> None:
    document = '{"schema":1,"result":{},"errors":[' + many("[[0,0]]", 55_000) + "]}"
    with within(2), pytest.raises(DecodeError, match="an object"):
        parse_answer(document, address="hv01", received_at=READ_AT)


def test_what_500_machines_say_fits_by_far() -> None:
    """Twenty times as much fits: 10,000 virtual machines, with long notes, addresses and every status."""
    notes = "Änderung: [geprüft], {ja}\n" * 30
    machines = [
        Machine(
            id=machine_id(number),
            name=f"vm {number}: [Büro], 😀",
            notes=notes,
            addresses=[f"fe80::{number:x}:{nic}" for nic in range(10)],
        )
        for number in range(500)
    ]
    question = {"vm_id": None, "name": None, "info": True, "services": True}
    document = Simulator(World(machines=machines)).call(Call(GET_VMS, question), Deadline(60))
    answer = parse_answer(document, address="hv01", received_at=READ_AT)
    assert answer.result is not None
    vms = answer.result["vms"]
    assert len(vms) == 500
    assert all(len(vm["services"]) == len(HOST_MANAGED) and vm["info"]["notes"] == notes for vm in vms)

    twenty = json.dumps({"schema": 1, "result": {"vms": vms * 20}, "errors": []}, ensure_ascii=False)
    again = parse_answer(twenty, address="hv01", received_at=READ_AT).result
    assert again is not None
    assert len(again["vms"]) == 10_000


def test_a_long_id_of_a_component_is_not_kept() -> None:
    tracemalloc.start()
    try:
        for number in range(50):
            assert component_of(f"{number}" * 1_000_000)[1] is None
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


def test_such_an_answer_is_an_error_of_the_package() -> None:
    with pytest.raises(HvError) as refused:
        parse_answer(many("[]", 300_000), address="hv01", received_at=READ_AT)
    assert type(refused.value) is ProtocolError
    assert str(refused.value) == "The answer of hv01 has more than 120000 lists and objects."
