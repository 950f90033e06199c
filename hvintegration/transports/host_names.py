"""Whether a text can be the name of a host at all, so that what cannot is refused before anybody is asked for it."""

from __future__ import annotations

from typing import Final

from hvintegration.errors import ConfigurationError, excerpt

__all__ = ["check_host"]

MOST_CHARACTERS: Final = 253
"""Of a whole name, as DNS has it, without the dot at its end."""


def check_host(host: str, what: str = "host") -> None:
    """See to it that *host*, a name or an IP address, can be looked up; *what* it is of, for the error.

    Raises:
        ConfigurationError: No resolver takes it: a part between dots is empty or too long, all of it is too long, or it
            has a character that cannot be in it.
    """
    why = _objection(host)
    if why is not None:
        raise ConfigurationError(f"Invalid {what} {excerpt(host)!r}: {why}.")


def _objection(host: str) -> str | None:
    if not all(host.removesuffix(".").split(".")):
        return "a part of it between dots is empty"
    try:
        encoded = host.encode("idna")
    except UnicodeError:
        return "a part of it between dots is longer than 63 characters, or has some that no name has"
    if not host.isprintable():
        return "it has a character that no name has"
    if len(encoded.removesuffix(b".")) > MOST_CHARACTERS:
        return f"it is longer than {MOST_CHARACTERS} characters"
    return None
