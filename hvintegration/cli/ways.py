"""The way to the machine that the command line names, and who asks there."""

from __future__ import annotations

import contextlib
import getpass
import os
import sys
from collections.abc import Generator
from typing import Final

from hvintegration.addresses import transport_for
from hvintegration.cli.options import Options
from hvintegration.clock import Deadline
from hvintegration.credential import Credential
from hvintegration.display import clean
from hvintegration.errors import ConfigurationError
from hvintegration.transports.base import Transport, clock_of
from hvintegration.transports.recording.recorder import Recorder

__all__ = ["PASSWORD_VARIABLE", "way"]

PASSWORD_VARIABLE: Final = "HVINTEGRATION_PASSWORD"  # noqa: S105 - where it is, not what it is


@contextlib.contextmanager
def way(options: Options) -> Generator[Transport]:
    """The way to the host that the command line names, recorded if it says so. The command's time begins here.

    Raises:
        ConfigurationError: The address is invalid, or the recording cannot be begun.
        HvError: At the end: not all of it could be recorded.
    """
    transport = transport_for(options.host, credential=_credential(options.user), options=dict(options.option))
    options.deadline = Deadline(options.timeout, clock_of(transport))  # Not before: typing a password takes its time.
    if options.record is None:
        yield transport
        return
    recorder = Recorder(transport, options.record)
    yield recorder
    if recorder.failure is not None:
        raise recorder.failure


def _credential(user: str | None) -> Credential | None:
    """Who asks.

    Raises:
        ConfigurationError: There is no password: the variable is empty, or none is set, and there is no terminal to
            ask at or no answer in text; or nothing carries it.
    """
    if user is None:
        return None
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and sys.stdin.isatty():
        with contextlib.suppress(EOFError, UnicodeDecodeError):  # Ctrl-D, or bytes that are no text.
            password = getpass.getpass(f"Password of {clean(user)}: ")
    if not password:
        raise ConfigurationError(f"There is no password for {user}.", hint=f"Set the variable {PASSWORD_VARIABLE}.")
    return Credential(user, password)
