"""Every exception of the package.

Cut by who must act: the caller, the network, the administrator of the host, or us::

    HvError                      .hint .retryable; str() is one sentence
      ConfigurationError         invalid address, option or request; nothing was sent   (ValueError)
      UnknownServiceError        .name .suggestions                                     (KeyError)
      ReentrantCallError         this thread is asking already; nothing was sent: .address
      TransportError             no usable answer: .address .may_have_run .fenced .host_message
        ConnectError             no connection, nothing was sent
          AuthenticationError
          UntrustedHostError     .expected .offered
        BusyError                the far side says later; nothing ran
        TransportTimeoutError    .after                                                 (TimeoutError)
        ConnectionLostError
        ProtocolError            the answer could not be parsed: .excerpt
        OutcomeUnknownError      a write was sent, its answer was lost, and reading back
                                 could not settle it: .asked
      RemoteError                the host understood and said no:
                                 .address .error_id .category .host_message
        NotFoundError                                                                   (KeyError)
          VMNotFoundError
          ServiceNotFoundError
        AmbiguousError           .candidates
        PermissionDeniedError
        UnsupportedError         a module, command or role is missing there: .needs
        InvalidStateError        .action .current .expected
        CommandFailedError       any other error of the host
      DecodeError                parsed, but not of the expected shape: .path .expected .found
      WaitTimeoutError           the state was not reached: .wanted .last               (TimeoutError)

Classes are chosen by the host's error id and category, never by its message, which is translated. Facts are
attributes, declared in the class that adds them. All of them can be pickled, and turned into plain data and back.
``hint`` says what to do next and is also shown below a traceback.
"""

from __future__ import annotations

import enum
import math
from typing import Any, Final, NoReturn, Self, cast

from hvintegration.plain import SCHEMA_VERSION, Plain

__all__ = [
    "AmbiguousError",
    "AuthenticationError",
    "BusyError",
    "CommandFailedError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "DecodeError",
    "HvError",
    "InvalidStateError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "ProtocolError",
    "ReentrantCallError",
    "RemoteError",
    "ServiceNotFoundError",
    "TransportError",
    "TransportTimeoutError",
    "UnknownServiceError",
    "UnsupportedError",
    "UntrustedHostError",
    "VMNotFoundError",
    "WaitTimeoutError",
]

EXCERPT_LENGTH = 200


def one_line(text: str) -> str:
    """*text* with a space for everything that is not to be printed: line breaks, controls, changes of direction."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def excerpt(text: str) -> str:
    """*text* on one line, cut to what fits into an error."""
    line = one_line(text[: EXCERPT_LENGTH + 1])
    return line if len(line) <= EXCERPT_LENGTH else line[: EXCERPT_LENGTH - 1] + "…"


class Hint(str):
    """A hint, or a part of one, that is another one at the command line.

    Args:
        python: What it is as a text: what to do in Python.
        command: What to do at the command line.
    """

    __slots__ = ("command",)

    command: str

    def __new__(cls, python: str, command: str) -> Self:
        self = super().__new__(cls, one_line(python))
        self.command = one_line(command)
        return self

    @classmethod
    def of(cls, template: str, *parts: str) -> Self:
        """The template with a part in place of each ``{}``; parts that are hints are put in as what they are for."""
        return cls(template.format(*parts), template.format(*map(for_command, parts)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.command)


def for_command(hint: str) -> str:
    """*hint* for the command line."""
    return hint.command if isinstance(hint, Hint) else hint


CREDENTIAL: Final = Hint("credential=Credential(...)", "--user USER")
"""Who asks, for a hint."""


def argument(name: str, value: str | None = None) -> Hint:
    """An argument of a transport that the command takes as an option, for a hint; dots stand for a missing value."""
    if value is None:
        return Hint(f"{name}=...", f"--option {name}=...")
    return Hint(f"{name}={value!r}", f"--option {name}={value}")


def _rebuild(cls: type[HvError], args: tuple[object, ...], state: dict[str, object]) -> HvError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class HvError(Exception):
    """Base of every error that this package raises on purpose.

    Attributes:
        hint: What to do next, or None.
        retryable: True where the same call may succeed later although nobody changes anything. Every verb of the
            package is idempotent, so calling it again is safe.
    """

    retryable: bool = False

    hint: str | None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(one_line(message))
        self.hint = None if hint is None else one_line(hint)
        if hint is not None:
            self.add_note(f"Hint: {self.hint}")

    def __str__(self) -> str:
        return str(self.args[0])

    def to_dict(self) -> dict[str, Plain]:
        """The error as plain data for JSON, of which :meth:`from_dict` makes an error again.

        Its keys are ``schema`` (a version number), ``class`` (the class's name; of a class of your own, that of the
        nearest one of this package), ``message``, ``retryable``, ``hint``, ``command_hint`` (the hint for the command
        line) and ``facts``, which has every other attribute. Values among the facts are in it as what their own
        ``to_dict()`` answers. Causes, tracebacks and notes are not in it.
        """
        cls = next(base for base in type(self).__mro__ if base.__module__ == __name__)
        return {
            "schema": SCHEMA_VERSION,
            "class": cls.__name__,
            "message": str(self),
            "retryable": self.retryable,
            "hint": None if self.hint is None else str(self.hint),
            "command_hint": None if self.hint is None else for_command(self.hint),
            "facts": {name: _plain(getattr(self, name)) for name in _facts_of(cls)},
        }

    @staticmethod
    def from_dict(data: object, *, path: str = "$") -> HvError:
        """The error that *data* was made of by :meth:`to_dict`: its class, message, hint and facts.

        Values among the facts (``known``, ``last``) stay plain data. A class that this version does not know is
        refused, rather than rebuilt as one of its bases: it would be without facts that its handlers rely on.

        Args:
            data: What :meth:`to_dict` answered, as it is or after a way through JSON.
            path: Where it was found, for errors.

        Raises:
            DecodeError: It is nothing like that; ``path`` says where.
        """
        fields = _object(data, path)

        def field(key: str, declared: str) -> Any:  # noqa: ANN401  # of the declared type
            return _decoded(declared, fields.get(key), f"{path}.{key}")

        if fields.get("schema") != SCHEMA_VERSION:
            _wrong(f"{path}.schema", str(SCHEMA_VERSION), fields.get("schema"))
        name = fields.get("class")
        if not isinstance(name, str) or name not in __all__:
            _wrong(f"{path}.class", "the name of an error class", name)
        cls: type[HvError] = globals()[name]
        error = cls.__new__(cls)
        hint, command_hint = field("hint", "str | None"), field("command_hint", "str | None")
        if hint is not None and command_hint not in {None, hint}:
            hint = Hint(hint, command_hint)
        HvError.__init__(error, field("message", "str"), hint=hint)
        if (retryable := field("retryable", "bool")) is not cls.retryable:
            error.retryable = retryable
        facts = _object(fields.get("facts"), f"{path}.facts")
        for fact, declared in _facts_of(cls).items():
            if fact not in facts and hasattr(cls, fact):  # What older versions did not have.
                continue
            value = _decoded(declared, facts.get(fact), f"{path}.facts.{fact}")
            setattr(error, fact, excerpt(value) if fact in _EXCERPTS else value)
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


_EXCERPTS: Final = frozenset({"excerpt", "found"})
"""Facts that are cut and cleaned, wherever they come from."""


def _facts_of(cls: type[HvError]) -> dict[str, str]:
    """The facts that *cls* and its bases declare, and as what: every attribute that ``HvError`` does not have."""
    bases = [base for base in reversed(cls.__mro__) if base.__module__ == __name__ and base is not HvError]
    return {name: declared for base in bases for name, declared in base.__annotations__.items()}


_DEEPEST: Final = 20
"""Levels that plain data in an error may have; values have fewer."""


def _plain(value: object, levels: int = _DEEPEST) -> Plain:
    """*value* as plain data. What cannot be, or is too deep, is shown by the name of its type."""
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and value.bit_length() < 64:  # noqa: PLR2004  # others read no more bits
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if levels and callable(to_dict := getattr(value, "to_dict", None)):
        return _plain(to_dict(), levels - 1)
    if levels and isinstance(value, list | tuple):
        return [_plain(item, levels - 1) for item in cast("list[object]", value)]
    if levels and isinstance(value, dict):
        return {str(key): _plain(item, levels - 1) for key, item in cast("dict[object, object]", value).items()}
    return f"<{type(value).__name__}>"


_DECLARED: Final[dict[str, tuple[str, tuple[type, ...]]]] = {
    "str": ("a text", (str,)),
    "str | None": ("a text or null", (str, type(None))),
    "bool": ("true or false", (bool,)),
    "float": ("a number", (int, float)),
}
"""What belongs where a fact is declared so, in words and as types."""


def _decoded(declared: str, value: object, path: str) -> Any:  # noqa: ANN401  # of the declared type
    """A fact from plain data.

    Raises:
        DecodeError: It is not as declared.
    """
    if declared == "object":
        return _plain(value)
    if declared.startswith("tuple["):
        if not isinstance(value, list | tuple):
            _wrong(path, "a list", value)
        each = declared.removeprefix("tuple[").removesuffix(", ...]")
        items = enumerate(cast("list[object]", value))
        return tuple(_decoded(each, item, f"{path}[{index}]") for index, item in items)
    expected, types = _DECLARED[declared]
    if type(value) not in types:
        _wrong(path, expected, value)
    return value


def _object(value: object, path: str) -> dict[object, object]:
    if not isinstance(value, dict):
        _wrong(path, "an object", value)
    return cast("dict[object, object]", value)


def _wrong(path: str, expected: str, found: object) -> NoReturn:
    raise DecodeError(
        path=path,
        expected=expected,
        found=repr(_plain(found, levels=0)),
        hint="It must be what to_dict() of an error answered, in a version with the same classes.",
    )


class ConfigurationError(HvError, ValueError):
    """An address, an option or a request is invalid. Nothing was sent."""


class UnknownServiceError(HvError, KeyError):
    """No integration service is known by that text.

    Attributes:
        name: The text.
        suggestions: Known names that are close to it, best first.
    """

    name: str
    suggestions: tuple[str, ...]

    def __init__(self, name: str, suggestions: tuple[str, ...] = ()) -> None:
        meant = f" Did you mean {' or '.join(repr(suggestion) for suggestion in suggestions)}?" if suggestions else ""
        super().__init__(
            f"No integration service is known as {excerpt(name)!r}.{meant}",
            hint=(
                "Use a key such as 'heartbeat', the English name, a component GUID, or the name of a Windows service or"
                " Linux daemon, such as 'vmicvss'."
            ),
        )
        self.name = name
        self.suggestions = suggestions


class ReentrantCallError(HvError):
    """This thread is asking over the same connection already. Nothing was sent.

    Somebody asks while asking: a signal handler, or a callback. The call that is under way goes on undisturbed.

    Attributes:
        address: What was to be asked.
    """

    address: str

    def __init__(self, *, address: str) -> None:
        super().__init__(
            f"This thread is asking {address} already, and cannot ask it a second question meanwhile.",
            hint="Ask after that call has returned, or over a connection of its own.",
        )
        self.address = address


# -- no usable answer ---------------------------------------------------------------------------------------------


class TransportError(HvError):
    """There is no usable answer.

    Attributes:
        address: Where the question went.
        may_have_run: False if the far side certainly carried out nothing.
        fenced: True if what was sent is certain not to go on running there.
        host_message: What the far side, or somebody on the way, said in words of their own, as it came, as far as the
            message has it; empty where they said nothing.
    """

    address: str
    may_have_run: bool
    fenced: bool
    host_message: str = ""

    def __init__(
        self,
        message: str,
        *,
        address: str,
        may_have_run: bool = True,
        fenced: bool = False,
        host_message: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.address = address
        self.may_have_run = may_have_run
        self.fenced = fenced
        self.host_message = host_message

    def judged(self, *, may_have_run: bool, fenced: bool) -> Self:
        """The same error, by whoever knows more of what became of the call than where it was raised."""
        copy = type(self).__new__(type(self))
        copy.args = self.args
        copy.__dict__.update(self.__dict__, may_have_run=may_have_run, fenced=fenced)
        copy.__notes__ = [*getattr(self, "__notes__", ())]
        copy.__cause__ = self.__cause__
        copy.__suppress_context__ = self.__suppress_context__
        return copy


class ConnectError(TransportError):
    """No connection could be made. Nothing was sent."""

    def __init__(self, message: str, *, address: str, host_message: str = "", hint: str | None = None) -> None:
        super().__init__(
            message, address=address, may_have_run=False, fenced=True, host_message=host_message, hint=hint
        )


class AuthenticationError(ConnectError):
    """The host does not accept the credential."""


class UntrustedHostError(ConnectError):
    """The host's certificate or key is not the expected one.

    Attributes:
        expected: The fingerprint that was expected, or None if none is known.
        offered: The fingerprint that the host offered.
    """

    expected: str | None
    offered: str

    def __init__(
        self, message: str, *, address: str, expected: str | None, offered: str, hint: str | None = None
    ) -> None:
        super().__init__(message, address=address, hint=hint)
        self.expected = expected
        self.offered = offered


class BusyError(TransportError):
    """The far side has no room now. Nothing ran."""

    retryable = True

    def __init__(self, message: str, *, address: str, host_message: str = "", hint: str | None = None) -> None:
        super().__init__(
            message, address=address, may_have_run=False, fenced=True, host_message=host_message, hint=hint
        )


class TransportTimeoutError(TransportError, TimeoutError):
    """No answer came in time.

    Attributes:
        after: The seconds that the caller gave.
    """

    retryable = True

    after: float

    def __init__(
        self,
        *,
        address: str,
        after: float,
        doing: str = "",
        host_message: str = "",
        may_have_run: bool = True,
        fenced: bool = False,
        hint: str | None = None,
    ) -> None:
        unit = "second" if after == 1 else "seconds"
        super().__init__(
            f"No answer came from {address} within {after:g} {unit}{f'; it was to {doing}' if doing else ''}"
            f"{f'; the last on its standard error is: {excerpt(host_message)}' if host_message else '.'}",
            address=address,
            may_have_run=may_have_run,
            fenced=fenced,
            host_message=host_message,
            hint=hint,
        )
        self.after = after


class ConnectionLostError(TransportError):
    """The connection ended before the answer was complete."""

    retryable = True


class ProtocolError(TransportError):
    """What came back cannot be parsed, or is larger or deeper than an answer may be.

    Attributes:
        excerpt: The beginning of what came, without control characters.
    """

    excerpt: str

    def __init__(
        self,
        message: str,
        *,
        address: str,
        may_have_run: bool = True,
        fenced: bool = False,
        received: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, address=address, may_have_run=may_have_run, fenced=fenced, hint=hint)
        self.excerpt = excerpt(received)


class OutcomeUnknownError(TransportError):
    """A change was sent, its answer was lost, and reading the state back could not settle whether it was made.

    Attributes:
        asked: What was asked for and may or may not have been made, one line per change.
        known: A :class:`~hvintegration.ServiceChange` for each change of the same call whose outcome is known.
    """

    asked: tuple[str, ...]
    known: tuple[object, ...]

    def __init__(self, *, address: str, asked: tuple[str, ...], reason: str, known: tuple[object, ...] = ()) -> None:
        super().__init__(
            f"It is unknown whether {address} carried out: {'; '.join(asked)} ({reason}).",
            address=address,
            may_have_run=True,
            hint="Read the state; ask again if it is not as wanted. Asking twice is safe.",
        )
        self.asked = asked
        self.known = known


# -- the host said no ---------------------------------------------------------------------------------------------


class RemoteError(HvError):
    """The host understood the question and answered with an error.

    Attributes:
        address: Who said so.
        error_id: PowerShell's FullyQualifiedErrorId, such as
            ``InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM``; empty where the package itself drew the
            conclusion.
        category: PowerShell's error category, such as ``PermissionDenied``; empty likewise.
        host_message: The host's own sentence, in the host's language, as it came.
    """

    address: str
    error_id: str
    category: str
    host_message: str

    def __init__(
        self,
        message: str,
        *,
        address: str,
        error_id: str = "",
        category: str = "",
        host_message: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.address = address
        self.error_id = error_id
        self.category = category
        self.host_message = host_message


class NotFoundError(RemoteError, KeyError):
    """The host has no such thing."""


class VMNotFoundError(NotFoundError):
    """The host has no such virtual machine, or the caller may not see it."""


class ServiceNotFoundError(NotFoundError):
    """The virtual machine has no such integration service."""


class AmbiguousError(RemoteError):
    """A name fits several virtual machines.

    Attributes:
        candidates: The ids of all of them.
    """

    candidates: tuple[str, ...]

    def __init__(self, message: str, *, address: str, candidates: tuple[str, ...]) -> None:
        super().__init__(message, address=address, hint="Use an id instead of the name: " + ", ".join(candidates))
        self.candidates = candidates


class PermissionDeniedError(RemoteError):
    """The caller lacks the right. It says nothing about whether the thing exists."""


class UnsupportedError(RemoteError):
    """Something that the question needs is missing on the host.

    Attributes:
        needs: What is missing, such as ``the Hyper-V module for PowerShell``.
    """

    needs: str

    def __init__(
        self,
        message: str,
        *,
        address: str,
        needs: str,
        error_id: str = "",
        category: str = "",
        host_message: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(
            message, address=address, error_id=error_id, category=category, host_message=host_message, hint=hint
        )
        self.needs = needs


class InvalidStateError(RemoteError):
    """The thing is in a state in which this cannot be done.

    Attributes:
        retryable: True if the host said so, since what is in the way may pass; False if the state is one that only
            somebody can change.
        action: What was to be done.
        current: The state it is in, or an empty text where the host does not say.
        expected: The state it would have to be in, likewise.
    """

    action: str
    current: str
    expected: str

    def __init__(
        self,
        message: str,
        *,
        address: str,
        action: str,
        current: str = "",
        expected: str = "",
        error_id: str = "",
        category: str = "",
        host_message: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(
            message, address=address, error_id=error_id, category=category, host_message=host_message, hint=hint
        )
        if error_id:
            self.retryable = True
        self.action = action
        self.current = current
        self.expected = expected


class CommandFailedError(RemoteError):
    """The host answered with an error that has no class of its own; see ``error_id`` and ``host_message``."""


# -- the rest -----------------------------------------------------------------------------------------------------


class DecodeError(HvError):
    """An answer was parsed but does not have the expected shape.

    Attributes:
        address: Who answered so.
        path: Where, such as ``$.result.vms[2].services[0].enabled``.
        expected: What belongs there.
        found: What is there, cut short.
    """

    address: str
    path: str
    expected: str
    found: str

    def __init__(
        self,
        *,
        path: str,
        expected: str,
        found: str,
        address: str = "",
        hint: str = "The host and this package may differ in version; please report this with the host's version.",
    ) -> None:
        super().__init__(f"There is {excerpt(found)} at {path}, where {expected} belongs.", hint=hint)
        self.address = address
        self.path = path
        self.expected = expected
        self.found = excerpt(found)


class WaitTimeoutError(HvError, TimeoutError):
    """The state that was waited for was not reached in time.

    Attributes:
        wanted: The state that was wanted.
        last: The value that was read last, or None if there was none.
    """

    retryable = True

    wanted: str
    last: object

    def __init__(self, message: str, *, wanted: str, last: object, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.wanted = wanted
        self.last = last
