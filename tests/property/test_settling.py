"""Changes over a connection on which anything can get lost: what callers are told is true, whatever is changed.

A small machine keeps the things. What becomes of each step (answered, lost before or after it ran, still running, busy,
no time left) is drawn.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvintegration.calls.call import Call
from hvintegration.calls.operation import DeadlineReached, Sleep
from hvintegration.errors import (
    ConnectionLostError,
    DecodeError,
    HvError,
    OutcomeUnknownError,
    RemoteError,
    TransportError,
)
from hvintegration.operations.settling import SENDS
from hvintegration.scripts import Effect
from tests.support.lossy_host import (
    ANSWERED,
    GUEST,
    READS,
    SERVICES,
    TRADES,
    WRITES,
    Key,
    LossyHost,
    Trade,
    Value,
)

T = TypeVar("T")

every_trade = pytest.mark.parametrize("trade", TRADES.values(), ids=TRADES)

MOST_STEPS = 12
"""After so many there is no time for another pause."""


@attrs.frozen
class History:
    """What was asked of a machine on which everything is drawn, how it was before, and what was told in the end."""

    asked: dict[Key, Value]
    before: dict[Key, Value]
    host: LossyHost
    told: tuple[Any, ...] | HvError | DeadlineReached

    @property
    def results(self) -> tuple[Any, ...]:
        """What is told of single changes, be it with an error or without."""
        if isinstance(self.told, tuple):
            return self.told
        return self.told.known if isinstance(self.told, OutcomeUnknownError) else ()


class Drawing(Protocol):
    """What decides."""

    def draw(self, strategy: st.SearchStrategy[T], label: str) -> T: ...


class Remembering:
    """Decides, and decides the same a second time as far as that comes to the same questions."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self._drawn: dict[str, list[Any]] = {}
        self._left: dict[str, list[Any]] = {}

    def draw(self, strategy: st.SearchStrategy[T], label: str) -> T:
        if self._left.get(label):
            again: T = self._left[label].pop(0)
            return again
        value = self._data.draw(strategy, label)
        self._drawn.setdefault(label, []).append(value)
        return value

    def again(self) -> None:
        """From here on, decide as before."""
        self._left = {label: list(values) for label, values in self._drawn.items()}


def new_host(trade: Trade, data: Drawing) -> LossyHost:
    some = st.lists(st.sampled_from(range(len(trade.values))), min_size=len(trade.keys), max_size=len(trade.keys))
    drawn = data.draw(some, "things")
    return LossyHost(trade, {key: trade.values[value] for key, value in zip(trade.keys, drawn, strict=True)})


def drawn_changes(trade: Trade, data: Drawing) -> dict[Key, Value]:
    places = st.sampled_from(range(len(trade.keys)))
    drawn = data.draw(st.dictionaries(places, st.sampled_from(range(len(trade.values))), min_size=1), "changes")
    return {trade.keys[place]: trade.values[value] for place, value in drawn.items()}


def played(trade: Trade, data: Drawing) -> History:
    """How it ends. What is still running then has been carried out afterwards."""
    host = new_host(trade, data)
    before = dict(host.things)
    asked = drawn_changes(trade, data)
    told = play(asked, host, data)
    host.finish()
    return History(asked, before, host, told)


def play(asked: dict[Key, Value], host: LossyHost, data: Drawing) -> tuple[Any, ...] | HvError | DeadlineReached:
    operation = host.trade.make([host.trade.change(*change) for change in asked.items()])
    steps = 0
    try:
        step = next(operation)
        while True:
            steps += 1
            try:
                if isinstance(step, Sleep):
                    if steps > MOST_STEPS or data.draw(st.booleans(), "no time to sleep"):
                        raise DeadlineReached  # noqa: TRY301  # as a session throws it
                    came = None
                else:
                    fates = WRITES if step.effect is Effect.WRITE else READS
                    came = host.take(step, fates[data.draw(st.sampled_from(sorted(fates)), step.effect.value)])
            except (HvError, DeadlineReached) as error:
                meanwhile(host, data)
                step = operation.throw(error)
            else:
                meanwhile(host, data)
                step = operation.send(came)
    except StopIteration as end:
        told: tuple[Any, ...] = end.value
        return told
    except (HvError, DeadlineReached) as error:
        return error


def meanwhile(host: LossyHost, data: Drawing) -> None:
    """What happens on the machine between two steps."""
    ends = st.booleans() if host.running else st.just(False)  # noqa: FBT003
    if data.draw(ends, "what runs there ends"):
        host.finish()
    if data.draw(st.integers(0, 9), "something vanishes (0)") == 0:
        host.vanish(host.trade.keys[data.draw(st.sampled_from(range(len(host.trade.keys))), "what")])


@every_trade
@given(st.data())
def test_what_is_told_as_made_is_so_and_what_is_told_as_failed_is_not(trade: Trade, data: st.DataObject) -> None:
    assert_truth(trade, played(trade, data))


def assert_truth(trade: Trade, history: History) -> None:
    for result in history.results:
        key, wanted = trade.wanted(result)
        assert history.asked[key] == wanted
        if trade.failed(result):
            assert history.host.things.get(key) != wanted
        else:
            assert history.host.ever[key] == wanted


@given(st.data())
def test_what_is_told_of_a_host_and_of_a_guest_with_the_same_history_is_true_of_both(data: st.DataObject) -> None:
    remembering = Remembering(data)
    for trade in (SERVICES, GUEST):
        history = played(trade, remembering)
        assert_truth(trade, history)
        assert history.host.sent_though_made is False
        assert history.host.sent_while_running is False
        remembering.again()


@every_trade
@given(st.data())
def test_of_each_change_something_is_told_in_its_order(trade: Trade, data: st.DataObject) -> None:
    history = played(trade, data)
    if isinstance(history.told, tuple):
        assert [trade.wanted(result) for result in history.told] == list(history.asked.items())


@every_trade
@given(st.data())
def test_what_is_told_not_to_have_run_has_changed_nothing(trade: Trade, data: st.DataObject) -> None:
    """Of what has vanished meanwhile, nobody can say what it was like."""
    history = played(trade, data)
    told = history.told
    nothing_ran = isinstance(told, DeadlineReached | RemoteError | DecodeError) or (
        isinstance(told, TransportError) and not told.may_have_run
    )
    if nothing_ran:
        assert history.host.things.items() <= history.before.items()
    else:
        assert isinstance(told, tuple | OutcomeUnknownError)


@every_trade
@given(st.data())
def test_nothing_is_sent_while_something_sent_before_may_still_be_running(trade: Trade, data: st.DataObject) -> None:
    assert played(trade, data).host.sent_while_running is False


@every_trade
@given(st.data())
def test_each_change_is_made_at_most_once(trade: Trade, data: st.DataObject) -> None:
    assert played(trade, data).host.sent_though_made is False


@every_trade
@given(st.data())
def test_an_unknown_outcome_names_everything_that_is_not_known(trade: Trade, data: st.DataObject) -> None:
    history = played(trade, data)
    told = history.told
    if isinstance(told, OutcomeUnknownError):
        known = {str(trade.change(*trade.wanted(result))) for result in told.known}
        every = {str(trade.change(*change)) for change in history.asked.items()}
        assert told.asked != ()
        assert set(told.asked) | known == every
        assert set(told.asked) & known == set()


@every_trade
@given(st.data())
def test_on_a_good_connection_everything_is_made_by_one_write(trade: Trade, data: st.DataObject) -> None:
    host, asked = new_host(trade, data), drawn_changes(trade, data)
    operation = trade.make([trade.change(*change) for change in asked.items()])
    step = next(operation)
    assert isinstance(step, Call)
    with pytest.raises(StopIteration) as end:
        operation.send(host.take(step, ANSWERED))
    assert [trade.failed(result) for result in end.value.value] == [False] * len(asked)
    assert host.things == host.things | asked
    assert host.writes == 1


@every_trade
def test_a_change_is_sent_no_more_often_than_allowed(trade: Trade) -> None:
    """Every write gets lost before it ran, every reading back is answered."""
    host = LossyHost(trade, dict.fromkeys(trade.keys, trade.values[0]))
    operation = trade.make([trade.change(trade.keys[0], trade.values[-1])])
    ended: BaseException | None = None
    step = next(operation)
    while ended is None:
        assert isinstance(step, Call)
        fate = WRITES["lost before it"] if step.effect is Effect.WRITE else ANSWERED
        try:
            try:
                answer = host.take(step, fate)
            except HvError as error:
                step = operation.throw(error)
            else:
                step = operation.send(answer)
        except ConnectionLostError as error:
            ended = error
    assert host.writes == SENDS
