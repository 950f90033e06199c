"""Making changes where an answer can get lost: what was made is read back then, and told.

It is the same for everything that can be changed. What one kind of change has of its own is a :class:`KindOfChange`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

import attrs

from hvintegration.calls.operation import DeadlineReached, Operation, SessionClosed, Sleep
from hvintegration.errors import (
    ConnectionLostError,
    DecodeError,
    HvError,
    OutcomeUnknownError,
    RemoteError,
    TransportError,
    excerpt,
)
from hvintegration.values import Failure

__all__ = ["FIRST_PAUSE", "LEAST_FOR_A_CHANGE", "LONGEST_PAUSE", "SENDS", "KindOfChange", "Loss", "make_changes"]

C = TypeVar("C", bound=Hashable)
R = TypeVar("R")

Loss: TypeAlias = TransportError | DecodeError
"""Why there is no answer that could be understood."""

SENDS = 3
"""How often a change is sent at most while its answer gets lost and it is seen not to have been made."""

LEAST_FOR_A_CHANGE = 2.0
"""Seconds without which a change is not asked for again: if its answer is lost in such a hurry, nobody knows."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0


class KindOfChange(Protocol[C, R]):
    """How changes of one kind are asked for, and what their results say.

    A change says what shall be so: asking for it once more makes nothing. It is hashable, and its text names it to
    people, such as ``enable Heartbeat of demovm``.
    """

    def ask(self, changes: Sequence[C], *, dry_run: bool) -> Operation[dict[C, R]]:
        """Make *changes*, or with *dry_run* only read whether they are made: one round trip. The result of each.

        Raises:
            RemoteError: The machine refused the question as a whole, and made nothing.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape; ``address`` says whose it is.
        """
        ...

    def is_busy(self, result: R) -> bool:
        """Whether it was not made because something else is going on there, so that asking later may succeed."""
        ...

    def goes_on(self, seen: R) -> bool:
        """Whether what was sent before goes on by *seen*, the result of a dry run: this is not yet how it will be."""
        ...

    def doubt(self, result: R) -> Failure | None:
        """Why nobody knows whether it was made, though the machine answered; None if that is known."""
        ...

    def is_made(self, seen: R) -> bool | None:
        """Whether it is so, by the result of a dry run; None if that could not be read.

        Of something that is not there any more it is certainly not so.
        """
        ...

    def confirmed(self, seen: R) -> R:
        """The result of a change whose answer got lost, and which is so by *seen*, the result of a dry run."""
        ...

    def not_made(self, change: C, lost: Loss, seen: R | None) -> R:
        """The result of a change whose answer got lost, and which certainly was not made.

        Args:
            change: The change.
            lost: How the answer got lost.
            seen: The result of a dry run; None where there was no need of one.
        """
        ...


def make_changes(kind: KindOfChange[C, R], changes: Sequence[C], *, dry_run: bool) -> Operation[tuple[R, ...]]:
    """Make all of them, or with *dry_run* say what would be made: one round trip. The result of each, in order.

    More round trips only where the machine is busy, or where an answer got lost: then the state is read back, and what
    is seen not to have been made is sent again if what was sent before certainly runs no more.

    Raises:
        OutcomeUnknownError: An answer got lost, and reading back could not settle what was made.
        HvError: Whatever else *kind* raises when it asks. Nothing was made.
    """
    progress = _Progress[C, R](unmade=list(dict.fromkeys(changes)))
    lost: Loss | None = None
    losses = 0
    pause = FIRST_PAUSE
    try:
        while progress.unmade:
            lost = yield from _attempt(kind, progress, dry_run=dry_run)
            if lost is not None:
                losses += 1
                if isinstance(lost, ConnectionLostError) and losses < SENDS:
                    continue
                if progress.nothing_is_known:
                    raise lost
                break
            if progress.unmade:
                yield Sleep(pause, leaving=LEAST_FOR_A_CHANGE)
                pause = min(pause * 1.5, LONGEST_PAUSE)
    except (RemoteError, DeadlineReached):
        if progress.nothing_is_known:
            raise
    except SessionClosed:
        if progress.nothing_is_known:
            raise lost or SessionClosed from None
    return tuple(progress.results[change] for change in changes)


@attrs.define
class _Progress(Generic[C, R]):
    """How far the changes of one call have come.

    Attributes:
        unmade: Those still to be made.
        results: What has become of each so far.
        answered: Whether the machine has said what it did or why not, at least once.
    """

    unmade: list[C]
    results: dict[C, R] = attrs.field(factory=dict[C, R])
    answered: bool = False

    @property
    def nothing_is_known(self) -> bool:
        """Whether nothing would be lost by raising an error instead of answering with the results."""
        return not self.answered and self.results.keys() <= set(self.unmade)

    def note_not_made(self, results: dict[C, R]) -> None:
        """Note these, unless the machine itself has said before why it did not make them."""
        if not self.answered:
            self.results |= results

    def unknown(self, changes: Sequence[C], address: str, reason: str) -> OutcomeUnknownError:
        """The error that says of *changes* that nobody knows, and what is known of the others."""
        doubtful = set(changes)
        known = tuple(result for change, result in self.results.items() if change not in doubtful)
        return OutcomeUnknownError(address=address, asked=tuple(map(str, changes)), reason=reason, known=known)


def _attempt(kind: KindOfChange[C, R], progress: _Progress[C, R], *, dry_run: bool) -> Operation[Loss | None]:
    """Ask for what is unmade and note what came of it; the loss of the answer, if it got lost."""
    try:
        results = yield from kind.ask(progress.unmade, dry_run=dry_run)
    except (TransportError, DecodeError) as lost:
        if dry_run:
            raise
        return (yield from _settle(kind, progress, lost))
    progress.results |= results
    progress.answered = True
    doubts = {change: doubt for change in progress.unmade if (doubt := kind.doubt(results[change])) is not None}
    if doubts:
        first, *_ = doubts.values()
        raise progress.unknown(tuple(doubts), first.address, excerpt(first.message))
    progress.unmade = [change for change in progress.unmade if kind.is_busy(results[change])]
    return None


def _settle(kind: KindOfChange[C, R], progress: _Progress[C, R], lost: Loss) -> Operation[Loss]:
    """Note what is so of the changes whose answer got lost; the loss again, judged by that.

    Raises:
        OutcomeUnknownError: It cannot be found out.
        TransportError: The loss itself, where the session was closed and nothing else is known.
    """
    asked = progress.unmade
    if isinstance(lost, TransportError) and not lost.may_have_run:
        progress.note_not_made({change: kind.not_made(change, lost, None) for change in asked})
        return lost
    pause = FIRST_PAUSE
    no_time = "there was no time left to read it back"
    try:
        seen = yield from kind.ask(asked, dry_run=True)
        while any(map(kind.goes_on, seen.values())):
            no_time = "it was still under way when the time was up"
            yield Sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            seen = yield from kind.ask(asked, dry_run=True)
    except SessionClosed:
        if progress.nothing_is_known:
            raise lost from None
        raise progress.unknown(asked, lost.address, "the session was closed before it could be read back") from lost
    except (HvError, DeadlineReached) as error:
        reason = str(error) if isinstance(error, HvError) else no_time
        raise progress.unknown(asked, lost.address, reason) from lost

    made = {change: kind.is_made(seen[change]) for change in asked}
    progress.unmade = [change for change in asked if made[change] is False]
    progress.results |= {change: kind.confirmed(seen[change]) for change in asked if made[change]}
    progress.note_not_made({change: kind.not_made(change, lost, seen[change]) for change in progress.unmade})

    may_run_on = isinstance(lost, TransportError) and not lost.fenced
    doubtful = [change for change in asked if made[change] is None or (may_run_on and not made[change])]
    if doubtful:
        running = "it is not so now, but what was sent may still be running there"
        reason = "it could not be read back" if None in made.values() else running
        raise progress.unknown(doubtful, lost.address, reason) from lost
    return lost.judged(may_have_run=False, fenced=lost.fenced) if isinstance(lost, TransportError) else lost
