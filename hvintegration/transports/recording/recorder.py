"""Conversations with a host, kept in a file and answered from it: how to report a bug without sharing a host.

A recording is a text file of JSON, one document a line: a header, then a line for each call with what was asked, how
long it took, and the answer or the error. Steps of a check on the way to a host have lines of their own.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from hvintegration.calls.answer import parse_answer
from hvintegration.calls.call import Call
from hvintegration.calls.limits import Work
from hvintegration.clock import Deadline
from hvintegration.errors import ConfigurationError, DecodeError, HvError, ProtocolError, TransportTimeoutError
from hvintegration.files import reason
from hvintegration.processes import OfThisProcess, forget_after_fork
from hvintegration.transports.base import Checkable, Step, Transport, clock_of, discard, requests_of, sharing_of
from hvintegration.transports.recording.masking import Masking
from hvintegration.transports.sharing import Sharing

__all__ = ["FORMAT", "VERSION", "Recorder"]

FORMAT: Final = "hvintegration recording"
VERSION: Final = 2

_log = logging.getLogger(__name__)


class Recorder(OfThisProcess):
    """Hands calls on to another transport, and writes each with its answer to a file that :class:`Replay` reads.

    The steps of :meth:`Host.check` are written as well: they are all there is where no call is answered.

    Its address is that of the other transport, whose answers come back as they are. Only what is written is masked:

    - Passwords are never written: a call does not hold any.
    - Texts that a guest, an administrator or the host has written (notes, addresses, status texts, error messages, what
      a PowerShell writes to standard error, what a proxy or a server says of itself) are written as their shape: ``x``
      for each letter, ``0`` for each digit. Names and ids stay; replaying needs them.
    - Each of *secrets* is written as ``***``, wherever it is part of a text. So is a text of more than a million
      characters.

    Of an answer that cannot be read before the time is up only that is written.

    The file must not exist yet, and nobody else may read it (mode 0600), where the system has such modes. A call is in
    it before its answer is handed on. If it cannot be written any more (a full disk), calls go on unrecorded:
    :attr:`failure` says why from then on, and a warning is logged at once. So do the calls of a process that is forked:
    the recording is its parent's.

    Args:
        transport: The way to the host.
        path: The file to write.
        secrets: Texts to be replaced, in upper and lower case, such as ``("hv01.corp.example", "demovm")``.
        keep_texts: Write other people's texts as they are. *secrets* are replaced all the same.

    Raises:
        ConfigurationError: The file exists or cannot be written, or a secret is empty.

    >>> import tempfile, pathlib, hvintegration as hv
    >>> path = pathlib.Path(tempfile.mkdtemp(), "bug.jsonl")
    >>> hv.Host(hv.Recorder(hv.Simulator(hv.World()), path)).info().name
    'HV01'
    >>> hv.Host(hv.Replay(path)).info().name
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
        self._masking = Masking(_checked(secrets), keep_texts=keep_texts, address=str(transport))
        self._calls = 0
        self._is_the_parents = False
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
            raise ConfigurationError(f"{self._path} cannot be written: {reason(error)}.") from error
        forget_after_fork(self, Recorder._forget)

    def _forget(self) -> None:
        self._is_the_parents = True

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
        record(self._answered(answer, deadline))
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

    def discard(self) -> None:
        """Give up the connection of the other transport."""
        discard(self._inner)

    def close(self) -> None:
        """Close the other transport. A later call is recorded, too."""
        self._inner.close()

    def _answered(self, answer: str, deadline: Deadline) -> dict[str, object]:
        """The answer; for one that no session would read, or not in time, the error that it would raise."""
        address = str(self)
        try:
            with contextlib.suppress(DecodeError):
                parse_answer(answer, address=address, received_at=self.clock.now(), deadline=deadline)
            return {"answer": self._masking.document(answer, Work(deadline, address, fenced=True))}
        except (ProtocolError, TransportTimeoutError) as error:
            return {"error": self._masking.error(error)}

    def _record(self, line: Mapping[str, object]) -> None:
        if self.failure is not None:
            return
        if self._is_the_parents:
            self._fail("it is of the process that this one was forked from", None)
            return
        try:
            self._append(line)
        except OSError as error:
            self._fail(reason(error), error)
        else:
            self._calls += "script" in line

    def _fail(self, why: str, cause: OSError | None) -> None:
        self.failure = HvError(
            f"The recording {self._path} ends after call {self._calls}: {why}.",
            hint="What was asked for was done all the same. Record again into another file.",
        )
        self.failure.__cause__ = cause
        _log.warning("%s", self.failure)

    def _append(self, line: Mapping[str, object], flags: int = 0) -> None:
        flags |= os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        with open(self._path, "ab", opener=lambda path, _: os.open(path, flags, 0o600)) as file:
            file.write(json.dumps(line).encode("ascii") + b"\n")


def _checked(secrets: Iterable[str]) -> tuple[str, ...]:
    listed = (secrets,) if isinstance(secrets, str) else tuple(secrets)
    if not all(listed):
        raise ConfigurationError("Invalid secret '': it is empty.")
    return listed


def _package_version() -> str:
    try:
        return importlib.metadata.version("hvintegration")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
