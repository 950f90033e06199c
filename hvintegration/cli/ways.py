"""The way to the machine that the command line names, and who asks there."""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Generator
from typing import Final

from hvintegration.addresses import guest_transport_for, transport_for
from hvintegration.cli.options import Options
from hvintegration.cli.screen import somebody_types
from hvintegration.clock import Deadline
from hvintegration.credential import Credential
from hvintegration.display import clean
from hvintegration.errors import ConfigurationError
from hvintegration.transports.base import Transport, clock_of
from hvintegration.transports.recording.recorder import Recorder

__all__ = [
    "GUEST_PASSWORD_VARIABLE",
    "PASSWORD_VARIABLE",
    "SUDO_PASSWORD_VARIABLE",
    "credential_of",
    "sudo_password_of",
    "way",
]

PASSWORD_VARIABLE: Final = "HVINTEGRATION_PASSWORD"  # noqa: S105 - where it is, not what it is
GUEST_PASSWORD_VARIABLE: Final = "HVINTEGRATION_GUEST_PASSWORD"  # noqa: S105 - likewise
SUDO_PASSWORD_VARIABLE: Final = "HVINTEGRATION_SUDO_PASSWORD"  # noqa: S105 - likewise


@contextlib.contextmanager
def way(options: Options, who: Credential | None, *, is_guest: bool = False) -> Generator[Transport]:
    """The way to the machine that the command line names, recorded if it says so. The command's time begins here.

    Args:
        options: The command line.
        who: Who asks there; this user if None.
        is_guest: Whether the machine is a guest, not a host.

    Raises:
        ConfigurationError: The address is invalid, or the recording cannot be begun.
        HvError: At the end: not all of it could be recorded.
    """
    make = guest_transport_for if is_guest else transport_for
    transport = make(options.host, credential=who, options=dict(options.option))
    options.deadline = Deadline(options.timeout, clock_of(transport))  # Not before: typing a password takes its time.
    if options.record is None:
        yield transport
        return
    recorder = Recorder(transport, options.record)
    yield recorder
    if recorder.failure is not None:
        raise recorder.failure


def credential_of(user: str | None, variable: str = PASSWORD_VARIABLE) -> Credential | None:
    """Who asks, with a password from the environment or the terminal; None for this user.

    Args:
        user: The name.
        variable: The environment variable of the password.

    Raises:
        ConfigurationError: There is no password: the variable is empty, or none is set, and there is no terminal to
            ask at or no answer in text; or nothing carries it.
    """
    return None if user is None else Credential(user, _password_of(user, variable))


def sudo_password_of(options: Options) -> str | None:
    """What ``sudo`` asks for in the guest, likewise; None if the command line says that it asks for nothing."""
    return _password_of("sudo in the guest", SUDO_PASSWORD_VARIABLE) if options.sudo else None


def _password_of(whose: str, variable: str) -> str:
    """A password from the environment or the terminal.

    Args:
        whose: Who is asked for it, or what asks for it.
        variable: The environment variable.

    Raises:
        ConfigurationError: As of :func:`credential_of`.
    """
    password = os.environ.get(variable)
    if password is None and somebody_types():
        with contextlib.suppress(EOFError, UnicodeDecodeError):  # Ctrl-D, or bytes that are no text.
            password = getpass.getpass(f"Password of {clean(whose)}: ")
    if not password:
        raise ConfigurationError(f"There is no password for {whose}.", hint=f"Set the variable {variable}.")
    return password
