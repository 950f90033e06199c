"""Drives operations over a transport: turns, one deadline, reads tried again."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

import attrs

from hvintegration.calls.answer import Answer, parse_answer
from hvintegration.calls.call import Call
from hvintegration.calls.operation import INTERRUPTED_CHANGE, DeadlineReached, Operation, SessionClosed, Sleep
from hvintegration.clock import MOST_SECONDS, Deadline, Timeout
from hvintegration.errors import (
    ConfigurationError,
    ConnectionLostError,
    DecodeError,
    HvError,
    RemoteError,
    TransportTimeoutError,
    excerpt,
)
from hvintegration.models import CheckStep, HostCheck
from hvintegration.operations.checks import HostSteps, take
from hvintegration.processes import OfThisProcess
from hvintegration.scripts import Effect
from hvintegration.transports.base import Checkable, Step, Transport, clock_of, discard, requests_of, sharing_of
from hvintegration.values import Rows

__all__ = ["DEFAULT_TIMEOUT", "Session", "SessionStats"]

T = TypeVar("T")

DEFAULT_TIMEOUT: Final = 60.0
"""Seconds that a verb may take where the caller says nothing."""

READ_ATTEMPTS: Final = 3
"""How often a read is sent at most while the connection gets lost under it."""

_log = logging.getLogger(__name__)


@attrs.frozen
class SessionStats:
    """What a session has done so far.

    Attributes:
        round_trips: Calls sent, repeated ones included.
        repeats: Of these, reads sent again after a lost connection.
        requests: Messages of the transport's protocol; None if the transport does not count them.
        characters_sent: Length of all documents sent.
        characters_received: Length of all documents received.
    """

    round_trips: int = 0
    repeats: int = 0
    requests: int | None = None
    characters_sent: int = 0
    characters_received: int = 0


class Session(OfThisProcess):
    """What asks over a transport. May be shared between threads, and others may ask over the same transport.

    Calls take turns; a sleep between two calls leaves the turn to others. Asking while the same thread is asking, as a
    signal handler may, is refused.

    Args:
        transport: What carries the calls.
        outer: The session whose connection *transport* goes through, if there is one: it counts these calls as well,
            and when it is closed, this one is.
    """

    def __init__(self, transport: Transport, *, outer: Session | None = None) -> None:
        self._transport = transport
        self._outer = outer
        self._clock = clock_of(transport)
        self._sharing = sharing_of(transport)
        if outer is None:
            self._sharing.join(self)
        self._closed = False
        self._stats = SessionStats()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"

    @property
    def address(self) -> str:
        """Where the questions go."""
        return str(self._transport)

    @property
    def stats(self) -> SessionStats:
        """What has been done so far; a snapshot. No round trip."""
        return attrs.evolve(self._stats, requests=requests_of(self._transport))

    def through(self, make: Callable[[Transport], Transport]) -> Session:
        """A session over what *make* makes of the transport of this one, such as a way into a guest."""
        return Session(make(self._transport), outer=self)

    def close(self) -> None:
        """Ask no more; later calls raise ConfigurationError. Closing twice is no error.

        The last session over a transport closes it. A call that another thread has under way may take ten seconds
        more; then it ends in a ConnectionLostError.
        """
        self._closed = True
        if self._outer is not None:
            return
        try:
            if self._sharing.leave(self):
                self._sharing.close(self._transport.close)
        except BaseException:
            self._sharing.join(self)  # It is still to be closed.
            raise

    def run(self, operation: Operation[T], timeout: Timeout = None) -> T:
        """Drive *operation* to its end.

        Args:
            operation: What to do.
            timeout: Seconds for all of it, waiting for a turn included, or a deadline; 60 if None.

        Raises:
            HvError: Whatever the operation raises.
            TransportTimeoutError: The time was up.
            ReentrantCallError: This thread is asking over this transport already.
        """
        deadline = self.deadline(timeout)
        outer = sys.exception()
        try:
            return self._drive(operation, deadline)
        except HvError as error:
            _forget_frames(error, outer)
            raise error.with_traceback(None) from error.__cause__

    def deadline(self, timeout: Timeout) -> Deadline:
        """*timeout*, which starts now unless it has been made before.

        Raises:
            ConfigurationError: It is no time-out, or a deadline that goes by another clock.
        """
        if isinstance(timeout, Deadline):
            if timeout.clock != self._clock:
                raise ConfigurationError(f"Invalid deadline: it goes by another clock than {self.address}.")
            return timeout
        seconds = DEFAULT_TIMEOUT if timeout is None else timeout
        if not _is_time(seconds):
            raise ConfigurationError(
                f"Invalid timeout {excerpt(repr(timeout))}:"
                f" it is not a number of seconds above zero and up to {MOST_SECONDS}."
            )
        return Deadline(seconds, self._clock)

    def rest_of(self, deadline: Deadline) -> Deadline:
        """What is left of a deadline of another session, by the clock of this one."""
        rest = Deadline(deadline.left(), self._clock)
        rest.given = deadline.given
        return rest

    def now(self) -> datetime:
        """The time, in UTC, by the clock of this session."""
        return self._clock.now()

    def _drive(self, operation: Operation[T], deadline: Deadline) -> T:
        try:
            step = next(operation)
            while True:
                try:
                    came = self._take(step, deadline)
                except (HvError, DeadlineReached, SessionClosed) as error:
                    step = operation.throw(error)
                except BaseException as interruption:
                    operation.throw(interruption)  # It may note what goes on without it.
                    raise
                else:
                    step = operation.send(came)
        except StopIteration as end:
            value: T = end.value
            return value
        except (DecodeError, RemoteError) as error:
            error.address = error.address or self.address
            raise
        except DeadlineReached:
            raise self._out_of_time(deadline) from None
        except SessionClosed as event:
            closed = self._is_closed()
            for note in getattr(event, "__notes__", ()):
                closed.add_note(note)
            raise closed from None
        finally:
            operation.close()

    def check(self, timeout: Timeout = None) -> HostCheck:
        """Look at the way to the host's virtual machines, step by step; see :meth:`hvintegration.Host.check`.

        Args:
            timeout: Seconds for all of it, waiting for a turn included, or a deadline; 60 if None.

        Raises:
            ConfigurationError: The session is closed, or the time-out is none.
            TransportTimeoutError: The turn did not come in time.
        """
        deadline = self.deadline(timeout)
        steps = self._alone(self._steps, deadline)
        ways: list[Step] = [(name, partial(self._look, look)) for name, look in steps]
        taken = take([*ways, *HostSteps(self.run).steps()], deadline, self._clock)
        return HostCheck(address=self.address, steps=Rows(CheckStep, taken), read_at=self._clock.now())

    def _steps(self) -> Sequence[Step]:
        return self._transport.steps() if isinstance(self._transport, Checkable) else ()

    def _look(self, look: Callable[[Deadline], str], deadline: Deadline) -> str:
        return self._alone(lambda: look(deadline), deadline)

    def _alone(self, work: Callable[[], T], deadline: Deadline) -> T:
        """What *work* answers, done in turn, and in no operation that could be told of the closing."""
        try:
            return self._in_turn(work, deadline)
        except SessionClosed:
            raise self._is_closed() from None

    def _take(self, step: Call | Sleep, deadline: Deadline) -> Answer | None:
        if isinstance(step, Sleep):
            if step.seconds + step.leaving >= deadline.left():
                raise DeadlineReached
            self._clock.sleep(step.seconds)
            return None
        attempts = READ_ATTEMPTS if step.effect is Effect.READ else 1
        for attempt in range(1, attempts):
            try:
                return self._call(step, deadline, repeated=attempt > 1)
            except ConnectionLostError as lost:
                if self.closed or not lost.retryable or not deadline.left():
                    raise
        return self._call(step, deadline, repeated=attempts > 1)

    def _call(self, call: Call, deadline: Deadline, *, repeated: bool) -> Answer:
        facts: dict[str, object] = {}
        try:
            return self._in_turn(lambda: self._send(call, deadline, facts, repeated=repeated), deadline)
        finally:
            # After the turn: whoever handles the log may be slow, and Python's handlers can stay locked by a Ctrl-C.
            if facts:
                _log.debug("%s on %s: %s", call.script.name, self.address, facts["hv_outcome"], extra=facts)

    def _send(self, call: Call, deadline: Deadline, facts: dict[str, object], *, repeated: bool) -> Answer:
        if not deadline.left():
            raise DeadlineReached
        started = self._clock.monotonic()
        self.count(round_trips=1, repeats=int(repeated), sent=len(call.text))
        outcome = "interrupted"
        received = 0
        try:
            text = self._transport.call(call, deadline)
            received = len(text)
            answer = self._parsed(text, deadline)
            outcome = "answered"
        except HvError as error:
            outcome = type(error).__name__
            raise
        except BaseException as interruption:
            if call.effect is Effect.WRITE:
                interruption.add_note(
                    f"{INTERRUPTED_CHANGE} {self.address} may have been made: read the state before relying on it."
                )
            raise
        finally:
            self.count(received=received)
            facts |= {
                "hv_script": call.script.name,
                "hv_effect": call.effect.value,
                "hv_address": self.address,
                "hv_outcome": outcome,
                "hv_seconds": self._clock.monotonic() - started,
                "hv_characters_sent": len(call.text),
                "hv_characters_received": received,
            }
        return answer

    def _parsed(self, text: str, deadline: Deadline) -> Answer:
        try:
            return parse_answer(text, address=self.address, received_at=self._clock.now(), deadline=deadline)
        except HvError:
            # Whoever answered this is not to be asked again over the same connection.
            discard(self._transport)
            raise

    def _in_turn(self, work: Callable[[], T], deadline: Deadline) -> T:
        def work_unless_closed() -> T:
            if self.closed:
                raise SessionClosed
            return work()

        return self._sharing.in_turn(work_unless_closed, deadline, self.address)

    @property
    def closed(self) -> bool:
        """Whether it was closed, or the one that it goes through. No round trip."""
        return self._closed or (self._outer is not None and self._outer.closed)

    def count(self, *, sent: int = 0, received: int = 0, round_trips: int = 0, repeats: int = 0) -> None:
        """Add to ``stats``, and to those of the session that it goes through."""
        self._stats = SessionStats(
            round_trips=self._stats.round_trips + round_trips,
            repeats=self._stats.repeats + repeats,
            characters_sent=self._stats.characters_sent + sent,
            characters_received=self._stats.characters_received + received,
        )
        if self._outer is not None:
            self._outer.count(sent=sent, received=received, round_trips=round_trips, repeats=repeats)

    def _is_closed(self) -> ConfigurationError:
        return ConfigurationError(f"The session with {self.address} is closed.")

    def _out_of_time(self, deadline: Deadline) -> TransportTimeoutError:
        return TransportTimeoutError(address=self.address, after=deadline.given, may_have_run=False, fenced=True)


def _is_time(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 < seconds <= MOST_SECONDS


def _forget_frames(error: BaseException, outer: BaseException | None) -> None:
    """Let go of the frames behind *error*: their variables hold questions and answers, which tools print with errors.

    Of what was being handled before, *outer* and what is behind it, nothing is touched.
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = {id(outer)}
    while waiting:
        current = waiting.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            current.__traceback__ = None
            waiting += [current.__cause__, current.__context__]
