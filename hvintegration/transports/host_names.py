"""Names of hosts: whether a text can be one at all, and how one stands in an address."""

from __future__ import annotations

from typing import Final

from hvintegration.errors import ConfigurationError, excerpt

__all__ = ["check_host", "in_address", "of_address"]

MOST_CHARACTERS: Final = 253
"""Of a whole name, as DNS has it, without the dot at its end."""

_PERCENT: Final = "25"
"""What follows the ``%`` of a zone in an address, where that is encoded as URLs have it."""


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


def in_address(host: str) -> str:
    """*host* as it stands in an address: an IPv6 address in brackets."""
    if ":" not in host:
        return host
    address, percent, zone = host.partition("%")
    # A zone that begins so would be taken for one whose % is written as %25.
    return f"[{address}{percent}{_PERCENT if zone.startswith(_PERCENT) else ''}{zone}]"


def of_address(host: str) -> str:
    """The host of an address, without brackets. The ``%`` of a zone may be written as ``%25`` there (RFC 6874)."""
    address, percent, zone = host.partition("%")
    written_so = ":" in address and zone.startswith(_PERCENT) and zone != _PERCENT
    return f"{address}{percent}{zone.removeprefix(_PERCENT) if written_so else zone}"
