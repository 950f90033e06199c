"""A PowerShell that dies, hangs, floods or talks nonsense, before, during and after a read and a write.

Every case ends within its deadline plus half a second, in the result or the right error, leaves nothing behind, and the
next call works.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hvintegration import ChangeOutcome, Health, Host, World
from hvintegration.errors import (
    ConnectError,
    ConnectionLostError,
    DecodeError,
    HvError,
    OutcomeUnknownError,
    ProtocolError,
    TransportTimeoutError,
)
from tests.support.amounts import some_by_day
from tests.support.time_limit import GRACE, within

HARMLESS = ["none", "banner", "foreign-lines", "noisy", "flood-stderr", "unreadable-record", "host-calls"]

FAILING_READS = {
    "exit": ConnectError,
    "complain": ConnectError,
    "silent": TransportTimeoutError,
    "deaf": TransportTimeoutError,
    "endless-line": ProtocolError,
    "hang-at-command": TransportTimeoutError,
    "die-at-command": ConnectionLostError,
    "hang-before-running": TransportTimeoutError,
    "die-before-running": ConnectionLostError,
    "hang-after-running": TransportTimeoutError,
    "die-after-running": ConnectionLostError,
    "hang-within-answer": TransportTimeoutError,
    "die-within-answer": ConnectionLostError,
    "still-running": TransportTimeoutError,
    "flood": ProtocolError,
    "broken-json": ProtocolError,
    "deep-json": ProtocolError,
    "other-schema": DecodeError,
    "two-objects": ProtocolError,
    "no-object": ProtocolError,
    "number": ProtocolError,
    "deep-clixml": ProtocolError,
    "doctype": ProtocolError,
    "broken-xml": ProtocolError,
    "broken-fragment": ProtocolError,
    "headless-fragment": ProtocolError,
    "broken-base64": ProtocolError,
    "broken-packet": ProtocolError,
}

GARBLED = ("number", "deep-clixml", "doctype", "broken-fragment", "headless-fragment", "broken-packet", "two-objects")
"""Some of the ways in which PowerShell talks nonsense."""

FIRST_OF_A_KIND = {error: name for name, error in reversed(FAILING_READS.items())}.values()

MADE_BUT_UNANSWERED = [
    "hang-after-running",
    "die-after-running",
    "hang-within-answer",
    "die-within-answer",
    "still-running",
]
MADE_BUT_GARBLED = ["broken-json", "deep-json", "two-objects", "no-object", "deep-clixml", "doctype", "broken-base64"]
NOT_MADE = ["silent", "deaf", "hang-at-command", "die-at-command", "hang-before-running", "die-before-running"]

AS_FOR_WRITES = {*MADE_BUT_UNANSWERED, *NOT_MADE} - {"hang-before-running"}
"""What a write is struck by as a read is, and tells more of."""


def journal(world_file: Path) -> list[str]:
    return World.load(world_file).journal


@pytest.mark.parametrize("behaviour", HARMLESS)
def test_noise_does_not_matter(misbehaving: Callable[..., Host], behaviour: str) -> None:
    host = misbehaving(behaviour)

    assert len(host.inventory().vms) == 5
    assert host.vms["demovm"].services["gsi"].enable().health is Health.OK


@pytest.mark.parametrize("behaviour", some_by_day(FAILING_READS, FAILING_READS.keys() - GARBLED - AS_FOR_WRITES))
def test_a_read_ends_in_time_in_the_right_error(misbehaving: Callable[..., Host], behaviour: str) -> None:
    error = FAILING_READS[behaviour]
    host = misbehaving(behaviour)
    timeout = 3.0 if error is TransportTimeoutError else 20.0

    with within(timeout + GRACE), pytest.raises(error) as caught:
        host.inventory(timeout=timeout)

    assert type(caught.value) is error
    assert all(character.isprintable() for character in str(caught.value))


@pytest.mark.parametrize("behaviour", some_by_day(FAILING_READS, FIRST_OF_A_KIND))
def test_the_next_call_works(misbehaving: Callable[..., Host], behaviour: str) -> None:
    host = misbehaving(behaviour, once=True)

    try:
        first = len(host.inventory(timeout=2).vms)
    except HvError:
        first = None

    assert first in {5, None}
    assert len(host.inventory().vms) == 5


@pytest.mark.parametrize("behaviour", [name for name, error in FAILING_READS.items() if error is ConnectionLostError])
def test_a_read_is_tried_again_when_powershell_died(misbehaving: Callable[..., Host], behaviour: str) -> None:
    host = misbehaving(behaviour, once=True)

    assert len(host.inventory().vms) == 5
    assert host.session.stats.repeats == 1


def test_an_answer_of_100_megabytes_is_refused(misbehaving: Callable[..., Host]) -> None:
    with pytest.raises(ProtocolError, match="more than"):
        misbehaving("huge").inventory()


@pytest.mark.parametrize(
    "behaviour", [*MADE_BUT_UNANSWERED, *some_by_day(MADE_BUT_GARBLED, ["broken-json", "broken-base64"])]
)
def test_a_write_whose_answer_is_lost_is_read_back_and_not_repeated(
    misbehaving: Callable[..., Host], world_file: Path, behaviour: str
) -> None:
    host = misbehaving("none")
    vm = host.vms["demovm"]

    with within(6 + GRACE):
        (change,) = misbehaving(behaviour, once=True).set_services([(vm.id, "gsi", True)], timeout=6)

    assert change.outcome is ChangeOutcome.CONFIRMED
    assert change.state is not None
    assert change.state.enabled is True
    assert journal(world_file) == ["enable demovm guest_service_interface"]


@pytest.mark.parametrize("behaviour", NOT_MADE)
def test_a_write_that_was_not_made_is_made_once_or_said_not_to_be(
    misbehaving: Callable[..., Host], world_file: Path, behaviour: str
) -> None:
    vm = misbehaving("none").vms["demovm"]
    host = misbehaving(behaviour, once=True)

    if behaviour.startswith("die"):
        (change,) = host.set_services([(vm.id, "gsi", True)], timeout=6)
        assert change.outcome is ChangeOutcome.CHANGED
        assert journal(world_file) == ["enable demovm guest_service_interface"]
    else:
        with pytest.raises(TransportTimeoutError) as late:
            host.set_services([(vm.id, "gsi", True)], timeout=6)
        assert late.value.may_have_run is False
        assert journal(world_file) == []


@pytest.mark.parametrize("behaviour", ["hang-after-running", "die-after-running", "broken-json"])
def test_a_write_that_cannot_be_read_back_is_of_unknown_outcome(
    misbehaving: Callable[..., Host], world_file: Path, behaviour: str
) -> None:
    vm = misbehaving("none").vms["demovm"]

    with within(4 + GRACE), pytest.raises(OutcomeUnknownError) as unknown:
        misbehaving(behaviour).set_services([(vm.id, "gsi", True)], timeout=4)

    assert unknown.value.asked == (f"enable Guest Service Interface of {vm.id}",)
    assert unknown.value.may_have_run is True
    assert journal(world_file) == ["enable demovm guest_service_interface"]


def test_a_program_that_is_not_there_is_said_to_be_missing() -> None:
    from hvintegration import Local

    with pytest.raises(ConnectError, match="/no/such/pwsh could not be started"):
        Host(Local("/no/such/pwsh")).info()


@pytest.mark.skipif(sys.platform == "win32", reason="programs of sh")
@pytest.mark.parametrize(
    "program",
    [
        "echo Der Start ist fehlgeschlagen. >&2",
        "echo Der Start ist fehlgeschlagen. >&2; sleep 0.01",
        "exec >&-; echo Der Start ist fehlgeschlagen. >&2",
        "exec >&-; sleep 0.01; echo Der Start ist fehlgeschlagen. >&2",
        "exec <&-; echo Der Start ist fehlgeschlagen. >&2; exit 1",
    ],
)
def test_why_a_program_did_not_start_is_told_each_time(program: str) -> None:
    from hvintegration import Local

    local = Local(["/bin/sh", "-c", program])
    for _ in range(100):
        with pytest.raises(ConnectError, match=r"did not start: .* ended: Der Start ist fehlgeschlagen\."):
            Host(local).info()


@pytest.mark.skipif(sys.platform == "win32", reason="programs of sh")
def test_a_time_out_tells_the_last_complaint() -> None:
    from hvintegration import Local

    local = Local(["/bin/sh", "-c", r"printf 'Eins.\nKein \033[2JPaket: <Data>\n\n' >&2; cat > /dev/null"])
    with pytest.raises(TransportTimeoutError) as late, Host(local) as host:
        host.info(timeout=1)

    assert str(late.value) == (
        "No answer came from local:/bin/sh within 1 second; the last on its standard error is: Kein  [2JPaket: <Data>"
    )


def test_a_program_that_is_no_powershell_is_said_not_to_start() -> None:
    from hvintegration import Local

    with pytest.raises(ConnectError, match="did not start"):
        Host(Local("/bin/echo")).info()
