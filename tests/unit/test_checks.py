"""The steps of a check, with a host that answers from a list."""

from __future__ import annotations

from hvintegration.clock import Deadline, VirtualClock
from hvintegration.errors import BusyError, ConfigurationError, HvError
from hvintegration.models import CheckOutcome
from hvintegration.operations.checks import NothingToLookAt, take


def test_steps_are_taken_until_one_fails() -> None:
    clock = VirtualClock()

    def found(deadline: Deadline) -> str:
        clock.sleep(1)
        return f"{deadline.left() + 1:g} left"

    def nothing(_deadline: Deadline) -> str:
        raise NothingToLookAt("Nothing here.")

    def failed(_deadline: Deadline) -> str:
        clock.sleep(2)
        raise BusyError("Later.", address="hv01", hint="Wait.")

    taken = take([("a", found), ("b", nothing), ("c", found), ("d", failed), ("e", found)], Deadline(9, clock), clock)

    assert [(step.name, step.outcome.value, step.detail, step.hint, step.seconds) for step in taken] == [
        ("a", "ok", "9 left", None, 1),
        ("b", "skipped", "Nothing here.", None, 0),
        ("c", "ok", "8 left", None, 1),
        ("d", "failed", "Later.", "Wait.", 2),
        ("e", "skipped", "It needs the step 'd'.", None, 0),
    ]


def test_whatever_the_package_raises_is_a_finding() -> None:
    clock = VirtualClock()

    def refuse(_deadline: Deadline) -> str:
        raise ConfigurationError("An extra is missing.", hint="pip install it")

    (step,) = take([("a", refuse)], Deadline(9, clock), clock)

    assert issubclass(ConfigurationError, HvError)
    assert (step.outcome, step.hint) == (CheckOutcome.FAILED, "pip install it")


def test_no_step_is_begun_without_time() -> None:
    clock = VirtualClock()

    def slow(_deadline: Deadline) -> str:
        clock.sleep(3)
        return ""

    taken = take([("a", slow), ("b", slow), ("c", slow)], Deadline(3, clock), clock)

    assert [step.outcome for step in taken] == [CheckOutcome.OK, CheckOutcome.FAILED, CheckOutcome.SKIPPED]
    assert clock.monotonic() == 3


def test_no_steps_are_no_failure() -> None:
    clock = VirtualClock()

    assert take([], Deadline(1, clock), clock) == ()
