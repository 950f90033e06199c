"""Whose turn it is, and who is the last to go."""

from __future__ import annotations

import gc
import threading

import pytest

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import ReentrantCallError, TransportTimeoutError
from hvintegration.transports.base import sharing_of
from hvintegration.transports.sharing import Sharing


def test_one_thread_at_a_time_and_no_turn_is_lost() -> None:
    sharing = Sharing()
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        inside.append(1)
        most.append(len(inside))
        inside.pop()

    threads = [
        threading.Thread(target=lambda: [sharing.in_turn(work, Deadline(30), "x") for _ in range(200)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(most), max(most)) == (1600, 1)


def test_asking_while_asking_is_refused_at_once_and_harms_nothing() -> None:
    sharing = Sharing()

    def ask() -> str:
        with pytest.raises(ReentrantCallError) as refused:
            sharing.in_turn(lambda: "inner", Deadline(30), "hv01")
        assert (refused.value.address, refused.value.retryable) == ("hv01", False)
        with pytest.raises(ReentrantCallError):
            sharing.in_turn(lambda: "again", Deadline(30), "hv01")
        return "outer"

    assert sharing.in_turn(ask, Deadline(30), "hv01") == "outer"
    assert sharing.in_turn(lambda: "next", Deadline(30), "hv01") == "next"


def test_a_turn_that_failed_or_did_not_come_leaves_it_to_the_next() -> None:
    sharing = Sharing()
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        go_on.wait(30)

    with pytest.raises(KeyboardInterrupt):
        sharing.in_turn(interrupt, Deadline(30), "hv01")
    holder = threading.Thread(target=lambda: sharing.in_turn(hold, Deadline(30), "hv01"))
    holder.start()
    assert inside.wait(30)
    with pytest.raises(TransportTimeoutError) as late:
        sharing.in_turn(lambda: "late", Deadline(0.05), "hv01")
    go_on.set()
    holder.join(30)

    assert (late.value.after, late.value.may_have_run) == (0.05, False)
    assert sharing.in_turn(lambda: "next", Deadline(30), "hv01") == "next"


def interrupt() -> None:
    raise KeyboardInterrupt


class User:
    """Something that uses it."""


def test_the_last_to_leave_is_told_so_once() -> None:
    sharing = Sharing()
    first, second = User(), User()
    sharing.join(first)
    sharing.join(second)

    assert [sharing.leave(first), sharing.leave(first), sharing.leave(second), sharing.leave(second)] == [
        False,
        False,
        True,
        False,
    ]


def test_who_is_collected_does_not_count() -> None:
    sharing = Sharing()
    first, second = User(), User()
    sharing.join(first)
    sharing.join(second)

    del first
    gc.collect()

    assert sharing.leave(second)


class Plain:
    """A transport that knows nothing of turns; equal to each of its kind, and not hashable."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain)

    __hash__ = None  # type: ignore[assignment]

    def call(self, call: Call, deadline: Deadline, /) -> str:
        return call.text

    def close(self) -> None:
        pass


def test_each_transport_has_one_turn_while_it_is_used() -> None:
    one, other = Plain(), Plain()
    sharing = sharing_of(one)

    assert sharing_of(one) is sharing
    assert sharing_of(other) is not sharing


def test_a_turn_is_forgotten_with_those_who_use_it() -> None:
    stay: list[User] = []
    for _ in range(200):  # A new transport is often where the old one was.
        sharing = sharing_of(Plain())
        user = User()
        sharing.join(user)
        assert sharing.leave(user)
        sharing.join(user)
        stay.append(user)
