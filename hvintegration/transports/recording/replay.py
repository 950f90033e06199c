"""Answers from a recording, and errors; nothing in the file is trusted to be what it should be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Final, TypeVar, cast

import attrs

from hvintegration.calls.call import Call
from hvintegration.calls.decoding import Json, JsonObject, as_object, field, is_list, is_object, object_field, text
from hvintegration.calls.limits import MAX_DEPTH, MAX_LENGTH, is_deeper_than
from hvintegration.clock import Clock, Deadline, VirtualClock
from hvintegration.errors import ConfigurationError, DecodeError, HvError, excerpt, one_line
from hvintegration.files import read_text, reason
from hvintegration.processes import OfThisProcess
from hvintegration.transports.base import Step
from hvintegration.transports.recording.masking import Masking, no_constant
from hvintegration.transports.recording.recorder import FORMAT, VERSION

__all__ = ["Replay"]

MOST_CHARACTERS: Final = 4 * MAX_LENGTH
"""Length that a recording may have to be replayed."""

MOST_SECONDS: Final = 1e7
"""What a recorded call may have taken."""

T = TypeVar("T")


class Replay(OfThisProcess):
    """A transport that answers from a recording; no host is needed. Its address is ``replay:FILE``.

    Calls must be asked as they were then, in the same order: the same script on the same document. An answer comes
    as it was written, so masked texts stay masked; an error is raised again as the same class, with the address of the
    host that it came from. What took time then moves only its ``clock``, which sessions go by. A check has the steps
    that were taken then.

    Where a name was replaced by ``***``, ask for ``***``.

    Args:
        path: The file.

    Raises:
        ConfigurationError: There is no such file, or it is no recording, or one of an unknown version, or it is cut
            short or otherwise broken; the message says in which line.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        lines = self._read()
        start = self._understood(1, lines[0], _started)
        self._calls: list[_Call] = []
        self._steps: dict[int, list[_Step]] = {}  # By the number of calls before them.
        for number, line in enumerate(lines[1:], 2):
            read = self._understood(number, line, _line)
            if isinstance(read, _Call):
                self._calls.append(read)
            else:
                self._steps.setdefault(len(self._calls), []).append(read)
        self._asked = 0
        self.clock: Clock = VirtualClock(start)

    def __str__(self) -> str:
        return f"replay:{self._path}"

    def __repr__(self) -> str:
        name = one_line(self._path.name)
        return f"<{type(self).__name__} {name}, {self.remaining} of {len(self._calls)} calls to come>"

    @property
    def remaining(self) -> int:
        """How many recorded calls have not been asked yet."""
        return len(self._calls) - self._asked

    def call(self, call: Call, deadline: Deadline, /) -> str:
        """What was answered to *call*; see :class:`~hvintegration.transports.base.Transport`.

        Raises:
            ConfigurationError: Something else was asked then. Asking for what was asked then is still possible.
            HvError: What was raised then.
            KeyboardInterrupt: The call was interrupted then.
            RuntimeError: The call ended then in an error that is not the package's.
        """
        del deadline
        number = self._asked + 1
        if not self.remaining:
            raise ConfigurationError(
                f"{self} ends after {len(self._calls)} calls; call {number}, {call.script.name}, is not in it."
            )
        recorded = self._calls[self._asked]
        masking = Masking()
        differs = (
            f"{recorded.script} was asked for, and now {call.script.name} is"
            if recorded.script != call.script.name
            else _difference(masking.value(recorded.document), masking.document(call.text))
        )
        if differs:
            raise ConfigurationError(
                f"Call {number} of {self} was another one: {differs}.",
                hint="Ask as it was asked then: each line of the recording is one call.",
            )
        self._asked = number
        self._steps.pop(number - 1, None)
        self.clock.sleep(recorded.seconds)
        if recorded.error is not None:
            raise _rebuilt(recorded.error)
        return json.dumps(recorded.answer)

    def steps(self) -> tuple[Step, ...]:
        """Those that were taken then, before the next call; each of them once."""
        to_come = self._steps.get(self._asked, [])
        taken: list[_Step] = []
        # One of the same name belongs to the next check.
        while to_come and to_come[0].name not in {step.name for step in taken}:
            taken.append(to_come.pop(0))
        return tuple((step.name, partial(self._take, step)) for step in taken)

    def _take(self, step: _Step, _deadline: Deadline) -> str:
        self.clock.sleep(step.seconds)
        if step.error is not None:
            raise _rebuilt(step.error)
        return step.detail

    def close(self) -> None:
        """Nothing to let go of. Calls go on where they were."""

    def _read(self) -> list[str]:
        try:
            content = read_text(self._path, MOST_CHARACTERS)
        except UnicodeDecodeError as error:
            raise self._invalid("it is not text") from error
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{self._path} cannot be read: {reason(error)}.") from error
        lines = content.split("\n")
        if lines.pop():
            raise self._broken(len(lines) + 1, "it is cut short")
        if not lines:
            raise self._broken(1, "it is empty")
        return lines

    def _understood(self, number: int, line: str, decode: Callable[[JsonObject], T]) -> T:
        if is_deeper_than(line, MAX_DEPTH + 2):
            raise self._broken(number, f"it has more than {MAX_DEPTH + 2} levels")
        try:
            value: Json = json.loads(line, parse_constant=no_constant)
            return decode(as_object(value, "$"))
        except DecodeError as error:
            raise self._broken(
                number, f"it has {error.found} at {error.path}, where {error.expected} belongs"
            ) from error
        except (ValueError, OverflowError, RecursionError) as error:
            raise self._broken(number, "it is not JSON") from error

    def _broken(self, line: int, why: str) -> ConfigurationError:
        return self._invalid(f"line {line}: {why}")

    def _invalid(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"Invalid recording {str(self._path)!r}: {why}.")


# -- what is read --------------------------------------------------------------------------------------------------


@attrs.frozen
class _Call:
    """A line of a recording. There is an error, or otherwise an answer."""

    script: str
    document: Json
    seconds: float
    answer: Json
    error: JsonObject | None


@attrs.frozen
class _Step:
    """Another line of a recording. If there is an error, it found nothing."""

    name: str
    seconds: float
    detail: str
    error: JsonObject | None


def _started(header: JsonObject) -> datetime:
    """When the recording began, from its first line."""
    for key, expected in (("format", FORMAT), ("version", VERSION)):
        if header.get(key) != expected:
            raise DecodeError(path=f"$.{key}", expected=repr(expected), found=repr(header.get(key)))
    at = text(header, "recorded_at", "$")
    try:
        start = datetime.fromisoformat(at)
    except ValueError:
        start = None
    if start is None or start.tzinfo is None or start.year not in _YEARS:
        raise DecodeError(path="$.recorded_at", expected="a time with its zone", found=repr(at))
    return start


_YEARS: Final = range(2000, 3000)


def _line(line: JsonObject) -> _Call | _Step:
    found = line.get("seconds")
    if type(found) not in {int, float} or not 0 <= cast("float", found) <= MOST_SECONDS:
        raise DecodeError(path="$.seconds", expected="a number of seconds", found=repr(found))
    seconds = cast("float", found)
    error = object_field(line, "error", "$") if "error" in line else None
    if error is not None:
        _rebuilt(error)
    if "step" in line:
        detail = text(line, "detail", "$") if error is None else ""
        return _Step(name=text(line, "step", "$"), seconds=seconds, detail=one_line(detail), error=error)
    return _Call(
        script=text(line, "script", "$"),
        document=field(line, "document", "$"),
        seconds=seconds,
        answer=field(line, "answer", "$") if error is None else None,
        error=error,
    )


def _difference(recorded: object, asked: object, path: str = "$") -> str | None:
    """Where and how the two documents differ first; None if they do not."""
    if is_object(recorded) and is_object(asked):
        pairs = [(f"{path}.{key}", recorded.get(key), asked.get(key)) for key in {**recorded, **asked}]
    elif is_list(recorded) and is_list(asked):
        pairs = [(f"{path}[{index}]", *pair) for index, pair in enumerate(zip_longest(recorded, asked))]
    elif type(recorded) is type(asked) and recorded == asked:
        return None
    else:
        return f"it had {_quoted(recorded)} at {path}, and now has {_quoted(asked)}"
    return next(filter(None, (_difference(before, after, place) for place, before, after in pairs)), None)


def _quoted(value: object) -> str:
    return excerpt(json.dumps(value))


def _rebuilt(error: JsonObject) -> BaseException:
    """The exception that was written down.

    Raises:
        DecodeError: It is none.
    """
    if error.keys() != {"class"}:
        return HvError.from_dict(error, path="$.error")
    name = text(error, "class", "$.error")
    if name == "KeyboardInterrupt":
        return KeyboardInterrupt()
    return RuntimeError(f"The call ended in {excerpt(name)} then.")
