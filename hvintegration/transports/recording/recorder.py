"""Conversations with a host, kept in a file and answered from it: how to report a bug without sharing a host.

A recording is a text file of JSON, one document a line: a header, then a line for each call with what was asked, how
long it took, and the answer or the error. Steps of a check on the way to a host have lines of their own.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Final, NoReturn, TypeVar, cast

import attrs

from hvintegration import errors
from hvintegration.calls.answer import parse_answer
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import Json, JsonObject, as_object, field, is_list, is_object, object_field, text
from hvintegration.calls.limits import MAX_DEPTH, MAX_LENGTH, is_deeper_than
from hvintegration.clock import Clock, Deadline, VirtualClock
from hvintegration.errors import ConfigurationError, DecodeError, HvError, ProtocolError, excerpt, one_line
from hvintegration.transports.base import Checkable, Step, Transport, clock_of, requests_of, sharing_of
from hvintegration.transports.sharing import Sharing

__all__ = ["Recorder", "Replay"]

FORMAT: Final = "hvintegration recording"
VERSION: Final = 1

SECRET: Final = "***"  # noqa: S105  # what is written in place of one
MOST_CHARACTERS: Final = 4 * MAX_LENGTH
"""Length that a recording may have to be replayed."""

MOST_SECONDS: Final = 1e7
"""What a recorded call may have taken."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Recorder:
    """Hands calls on to another transport, and writes each with its answer to a file that :class:`Replay` reads.

    The steps of :meth:`Host.check` are written as well: they are all there is where no call is answered.

    Its address is that of the other transport, whose answers come back as they are. Only what is written is masked:

    - Passwords are never written: a call does not hold any.
    - Texts that a guest, an administrator or the host has written (notes, addresses, status texts, error messages)
      are written as their shape: ``x`` for each letter, ``0`` for each digit. Names and ids stay; replaying needs them.
    - Each of *secrets* is written as ``***``, wherever it is part of a text.

    The file must not exist yet, and nobody else may read it (mode 0600), where the system has such modes. A call is in
    it before its answer is handed on. If it cannot be written any more (a full disk), calls go on unrecorded:
    :attr:`failure` says why from then on, and a warning is logged at once.

    Args:
        transport: The way to the host.
        path: The file to write.
        secrets: Texts to be replaced, in upper and lower case, such as ``("hv01.corp.example", "demovm")``.
        keep_texts: Write other people's texts as they are. *secrets* are replaced all the same.

    Raises:
        ConfigurationError: The file exists or cannot be written, or a secret is empty.

    >>> import tempfile, pathlib, hvintegration as hv
    >>> path = pathlib.Path(tempfile.mkdtemp(), "bug.jsonl")
    >>> hv.Host(Recorder(hv.Simulator(hv.World()), path)).info().name
    'HV01'
    >>> hv.Host(Replay(path)).info().name
    'HV01'
    """

    failure: HvError | None
    """Why the recording ends before the conversation does; None while it is complete."""

    def __init__(
        self,
        transport: Transport,
        path: str | os.PathLike[str],
        *,
        secrets: Iterable[str] = (),
        keep_texts: bool = False,
    ) -> None:
        self._inner = transport
        self._path = Path(path).absolute()
        self._masking = _Masking(_checked(secrets), keep_texts=keep_texts)
        self._calls = 0
        self.failure = None
        self.clock = clock_of(transport)
        header = {
            "format": FORMAT,
            "version": VERSION,
            "package": _package_version(),
            "python": platform.python_version(),
            "system": sys.platform,
            "address": self._masking.sentence(str(transport)),
            "recorded_at": self.clock.now().isoformat(),
        }
        try:
            self._append(header, os.O_CREAT | os.O_EXCL)
        except FileExistsError as error:
            raise ConfigurationError(
                f"{self._path} exists already.", hint="Name a new file: a recording is never written over."
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{self._path} cannot be written: {_reason(error)}.") from error

    def __str__(self) -> str:
        return str(self._inner)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self} in {self._path.name}>"

    @property
    def requests(self) -> int | None:
        """What the other transport has sent; None if it does not count."""
        return requests_of(self._inner)

    @property
    def sharing(self) -> Sharing:
        """Whose turn it is on the other transport."""
        return sharing_of(self._inner)

    def call(self, call: Call, deadline: Deadline, /) -> str:
        """Hand on *call*; see :class:`~hvintegration.transports.base.Transport`."""
        started = self.clock.monotonic()

        def record(outcome: Mapping[str, object]) -> None:
            seconds = self.clock.monotonic() - started
            asked = self._masking.document(call.text)
            line = {"script": call.script.name, "document": asked, "timeout": deadline.given, "seconds": seconds}
            self._record({**line, **outcome})

        try:
            answer = self._inner.call(call, deadline)
        except BaseException as error:
            record({"error": self._masking.error(error)})
            raise
        record(self._answered(answer))
        return answer

    def steps(self) -> tuple[Step, ...]:
        """Those of the other transport. What comes of each that is taken is recorded."""
        steps = self._inner.steps() if isinstance(self._inner, Checkable) else ()
        return tuple((name, partial(self._step, name, look)) for name, look in steps)

    def _step(self, name: str, look: Callable[[Deadline], str], deadline: Deadline) -> str:
        started = self.clock.monotonic()

        def record(outcome: Mapping[str, object]) -> None:
            seconds = self.clock.monotonic() - started
            self._record({"step": name, "timeout": deadline.given, "seconds": seconds, **outcome})

        try:
            detail = look(deadline)
        except BaseException as error:
            record({"error": self._masking.error(error)})
            raise
        record({"detail": self._masking.value(detail)})
        return detail

    def close(self) -> None:
        """Close the other transport. A later call is recorded, too."""
        self._inner.close()

    def _answered(self, answer: str) -> dict[str, object]:
        """The answer; for one that no session would read, the error that it would raise."""
        try:
            parse_answer(answer, address=str(self), received_at=self.clock.now())
        except ProtocolError as error:
            return {"error": self._masking.error(error)}
        except DecodeError:
            pass
        return {"answer": self._masking.document(answer)}

    def _record(self, line: Mapping[str, object]) -> None:
        if self.failure is not None:
            return
        try:
            self._append(line)
        except OSError as error:
            self.failure = HvError(
                f"The recording {self._path} ends after call {self._calls}: {_reason(error)}.",
                hint="What was asked for was done all the same. Record again into another file.",
            )
            self.failure.__cause__ = error
            _log.warning("%s", self.failure)
        else:
            self._calls += "script" in line

    def _append(self, line: Mapping[str, object], flags: int = 0) -> None:
        flags |= os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        with open(self._path, "ab", opener=lambda path, _: os.open(path, flags, 0o600)) as file:
            file.write(json.dumps(line).encode("ascii") + b"\n")


class Replay:
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
        return f"<{type(self).__name__} {self._path.name}, {self.remaining} of {len(self._calls)} calls to come>"

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
        masking = _Masking()
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
            with self._path.open(encoding="utf-8-sig", newline="\n") as file:
                content = file.read(MOST_CHARACTERS + 1)
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{self._path} is no recording: it is not text.") from error
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{self._path} cannot be read: {_reason(error)}.") from error
        if len(content) > MOST_CHARACTERS:
            raise ConfigurationError(f"{self._path} is longer than {MOST_CHARACTERS} characters.")
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
            value: Json = json.loads(line, parse_constant=_no_constant)
            return decode(as_object(value, "$"))
        except DecodeError as error:
            raise self._broken(
                number, f"it has {error.found} at {error.path}, where {error.expected} belongs"
            ) from error
        except (ValueError, OverflowError, RecursionError) as error:
            raise self._broken(number, "it is not JSON") from error

    def _broken(self, line: int, why: str) -> ConfigurationError:
        return ConfigurationError(f"{self._path} is no recording that can be replayed: line {line}: {why}.")


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


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


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


# -- errors --------------------------------------------------------------------------------------------------------

_TEXT: Final = (str,)
_OPTIONAL_TEXT: Final = (str, type(None))

_FACTS: Final[dict[type[HvError], dict[str, tuple[type, ...]]]] = {
    HvError: {"hint": _OPTIONAL_TEXT},
    errors.TransportError: {"address": _TEXT, "may_have_run": (bool,), "fenced": (bool,)},
    errors.UntrustedHostError: {"expected": _OPTIONAL_TEXT, "offered": _TEXT},
    errors.TransportTimeoutError: {"after": (int, float)},
    ProtocolError: {"excerpt": _TEXT},
    errors.RemoteError: dict.fromkeys(("address", "error_id", "category", "host_message"), _TEXT),
    errors.UnsupportedError: {"needs": _TEXT},
    errors.InvalidStateError: {"retryable": (bool,)} | dict.fromkeys(("action", "current", "expected"), _TEXT),
}
"""The attributes that a class adds to those of its base, and what each may be."""

_CLASSES: Final[dict[str, type[HvError]]] = {
    kind.__name__: kind
    for kind in (
        *_FACTS,
        ConfigurationError,
        errors.ConnectError,
        errors.AuthenticationError,
        errors.BusyError,
        errors.ConnectionLostError,
        errors.NotFoundError,
        errors.VMNotFoundError,
        errors.ServiceNotFoundError,
        errors.PermissionDeniedError,
        errors.CommandFailedError,
    )
}
"""What a transport raises. Anything else is written as the nearest of its bases."""


def _facts_of(kind: type[HvError]) -> dict[str, tuple[type, ...]]:
    return {fact: types for base in kind.__mro__ for fact, types in _FACTS.get(base, {}).items()}


def _rebuilt(error: JsonObject) -> BaseException:
    """The exception that was written down.

    Raises:
        DecodeError: One of its facts is missing or is something else.
    """
    name = text(error, "class", "$.error")
    kind = _CLASSES.get(name)
    if kind is None:
        return KeyboardInterrupt() if name == "KeyboardInterrupt" else RuntimeError(f"The call ended in {name} then.")
    facts = object_field(error, "facts", "$.error")
    built = kind.__new__(kind)
    built.args = (one_line(text(error, "message", "$.error")),)
    for fact, types in _facts_of(kind).items():
        if type(facts.get(fact)) not in types:
            raise DecodeError(path=f"$.error.facts.{fact}", expected=f"a fact of {name}", found=repr(facts.get(fact)))
        setattr(built, fact, facts[fact])
    if built.hint is not None:
        built.add_note(f"Hint: {built.hint}")
    return built


# -- what is not written -------------------------------------------------------------------------------------------

_KEPT: Final = frozenset(
    {
        *("id", "vm_id", "component_id", "name", "state", "heartbeat", "primary", "secondary", "target", "category"),
        *("version", "integration_services_version", "os_caption", "os_version", "os_build", "language"),
        *("module_version", "powershell_version", "powershell_edition", "language_mode"),
        *("address", "hint", "error_id", "needs", "action", "current", "expected", "offered"),
    }
)
"""Keys whose texts are written as they are: what replaying and understanding need. Those of any other are not."""

_USER: Final = re.compile(r"""(?<=://)[^/@\s]+(?=@)|(?<=\bthe user )(?:'[^']*'|"[^"]*")""")
"""Who asks, in an address and in an error of SSH's."""


class _Masking:
    """What becomes of texts before they are written. Masking what is masked changes nothing."""

    def __init__(self, secrets: Iterable[str] = (), *, keep_texts: bool = False) -> None:
        spellings = [spelling for secret in secrets for spelling in (secret, secret.lower(), secret.upper())]
        escaped = [json.dumps(spelling, ensure_ascii=plain)[1:-1] for spelling in spellings for plain in (True, False)]
        longest_first = sorted({*spellings, *escaped}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if spellings else None
        self._keep_texts = keep_texts
        try:
            self._home = str(Path.home())
        except RuntimeError:  # There is none, as in some containers.
            self._home = ""

    def document(self, document: str) -> Json:
        """What *document* says, masked; its shape if it is no JSON."""
        try:
            return self.value(json.loads(document, parse_constant=_no_constant, parse_float=_finite))
        except (ValueError, RecursionError):
            return self._hidden(document)

    def value(self, value: object, key: str = "") -> Json:
        """*value*, the texts in it masked; *key* is where it was found."""
        if isinstance(value, str):
            return self._shown(value) if key in _KEPT else self._hidden(value)
        if is_object(value):
            return {
                name if _OUR_KEY.fullmatch(name) else self._shown(name): self.value(item, name)
                for name, item in value.items()
            }
        if is_list(value):
            return [self.value(item, key) for item in value]
        return value

    def sentence(self, sentence: str) -> str:
        """A sentence or address of the package's, without secrets, the user and the place of this user's files."""
        anywhere = sentence.replace(self._home, "~") if len(self._home) > 1 else sentence
        return self._shown(_USER.sub(SECRET, anywhere))

    def error(self, error: BaseException) -> JsonObject:
        """*error*, for a recording."""
        if not isinstance(error, HvError):
            return {"class": type(error).__name__}
        kind = next(base for base in type(error).__mro__ if _CLASSES.get(base.__name__) is base)
        facts = {fact: getattr(error, fact) for fact in _facts_of(kind)}
        message = str(error)
        if said := excerpt(str(facts.get("host_message", ""))):
            message = message.replace(said, self._hidden(said))
        written = {
            fact: self.sentence(value) if isinstance(value, str) and fact in _KEPT else self.value(value, fact)
            for fact, value in facts.items()
        }
        return {"class": kind.__name__, "message": self.sentence(message), "facts": written}

    def _shown(self, said: str) -> str:
        return self._secrets.sub(SECRET, said) if self._secrets is not None else said

    def _hidden(self, said: str) -> str:
        return self._shown(said if self._keep_texts else "".join(map(_shape, said)))


_OUR_KEY: Final = re.compile("[a-z_]+")


def _shape(character: str) -> str:
    kind = unicodedata.category(character)[0]
    if kind == "N":
        return "0"
    return "x" if kind in "LM" or not (character.isascii() or kind in "PZC") else character


def _finite(number: str) -> float:
    return max(-sys.float_info.max, min(float(number), sys.float_info.max))


def _checked(secrets: Iterable[str]) -> tuple[str, ...]:
    listed = (secrets,) if isinstance(secrets, str) else tuple(secrets)
    if not all(listed):
        raise ConfigurationError("A secret is a text that is not empty.")
    return listed


def _package_version() -> str:
    try:
        return importlib.metadata.version("hvintegration")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or one_line(str(error))
