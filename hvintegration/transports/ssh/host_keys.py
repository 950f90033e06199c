"""Which host keys are trusted: those of OpenSSH's known_hosts files, and pinned fingerprints."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from hvintegration.errors import ConfigurationError, Hint, UntrustedHostError, argument
from hvintegration.transports.ssh.known_hosts import KnownKey, known_keys, listed_keys, revocations

__all__ = ["Trust", "fingerprint", "parse_pin", "system_known_hosts", "user_folder", "user_known_hosts"]

_PORT: Final = 22  # Names of hosts are without it.
_PIN: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


def fingerprint(key: bytes) -> str:
    """The fingerprint of a public key as OpenSSH shows it, such as ``SHA256:...``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def parse_pin(text: str) -> str:
    """*text* as a fingerprint.

    Raises:
        ConfigurationError: It is none.
    """
    pin = text.strip().rstrip("=")
    if not _PIN.fullmatch(pin):
        raise ConfigurationError(
            f"Invalid fingerprint of a host key {text!r}: it is not SHA256: and 43 characters of Base64.",
            hint="Give what `ssh-keygen -lf` shows: SHA256:...",
        )
    return pin


def user_folder() -> Path | None:
    """``~/.ssh``; None for a user without a home, as there are in containers."""
    try:
        return Path("~/.ssh").expanduser()
    except RuntimeError:
        return None


def user_known_hosts() -> tuple[Path, ...]:
    """The files of this user."""
    folder = user_folder()
    return () if folder is None else (folder / "known_hosts", folder / "known_hosts2")


def system_known_hosts() -> tuple[Path, ...]:
    """The files of this system."""
    program_data = os.environ.get("PROGRAMDATA")  # On Windows only.
    folder = Path(program_data, "ssh") if program_data else Path("/etc/ssh")
    return folder / "ssh_known_hosts", folder / "ssh_known_hosts2"


@attrs.frozen
class Trust:
    """What is known of a host's key.

    Attributes:
        host: The host's name.
        port: Its port.
        pins: Fingerprints of which the key must have one; the files do not count then, but for revoked keys.
        files: The files to look into; a missing one is none.
        alias: The name that the files have it under, if that is another one.
        revoking: More files, of which only what they revoke counts.
        revoked: Files of ssh_config's RevokedHostKeys.
    """

    host: str
    port: int
    pins: tuple[str, ...]
    files: Sequence[Path]
    alias: str | None = None
    revoking: Sequence[Path] = ()
    revoked: Sequence[Path] = ()

    def kinds(self) -> set[str]:
        """The kinds of the keys that the files have for this host, if they count.

        Raises:
            ConfigurationError: A file is too long.
        """
        return set() if self.pins else {known.kind for known in self._known()[0]}

    def check(self, kind: str, key: bytes, address: str, peer: str | None = None) -> None:
        """Make sure that the host may have this key.

        Args:
            kind: The kind of the key.
            key: The public key.
            address: The address for errors.
            peer: The IP address that was connected to, if that is known.

        Raises:
            UntrustedHostError: It is revoked, not the pinned one, not the known one, or the host is unknown.
            ConfigurationError: A file is too long, or does not tell which keys it revokes.
        """
        offered = fingerprint(key)
        known, names = self._known()
        compare = "Compare it with what `ssh-keygen -lf` shows on the host. If it is the host's, pass {}{}"
        pin = argument("host_key", offered)
        revoked_by = self._revoked_by(key, names, peer)
        if revoked_by is not None:
            why, expected = "a key that is revoked", None
            hint: str = f"{revoked_by} says that nobody may trust it any more. Ask who runs the host."
        elif self.pins:
            if offered in self.pins:
                return
            why, expected = "another key than the pinned one", ", ".join(self.pins)
            hint = Hint.of(compare, pin, ". Otherwise somebody is in between.")
        elif any(entry.allows(key) for entry in known):
            return
        elif known:
            why, expected = "another key than the known one", ", ".join(fingerprint(entry.key) for entry in known)
            hint = Hint.of(
                compare, pin, " or replace the one in the known_hosts file. Otherwise somebody is in between."
            )
        else:
            why, expected = "a key that is not known", None
            otherwise = " or put the key into a known_hosts file."
            if not any(file.is_file() for file in self.files):
                otherwise += f" None of these is there: {', '.join(map(str, self.files))}."
            hint = Hint.of(compare, pin, otherwise)
        raise UntrustedHostError(
            f"{self.host} port {self.port} has {why}: {kind} {offered}{f', expected {expected}' if expected else ''}.",
            address=address,
            expected=expected,
            offered=offered,
            hint=hint,
        )

    def _known(self) -> tuple[list[KnownKey], list[bytes]]:
        """The keys that the files have for this host, and the names of it that they were looked for under."""
        keys = [known for file in self.files for known in known_keys(file)]
        host = _canonical(self.host)
        if self.alias is not None:
            names = [self.alias.lower()]
        elif self.port == _PORT:
            names = [host]
        else:  # A line without a port counts where none with it exists.
            names = [f"[{host}]:{self.port}", host]
        looked_for: list[bytes] = []
        for name in map(_encoded, names):
            looked_for.append(name)
            if found := [known for known in keys if known.is_for(name)]:
                return found, looked_for
        return [], looked_for

    def _revoked_by(self, key: bytes, names: Sequence[bytes], peer: str | None) -> str | None:
        """What revokes *key*, for this host under whatever name; None if nothing does."""
        host = _canonical(self.host).rstrip(".")
        hosts = [host, f"{host}.", *([peer] if peer else [])]
        others = [_encoded(name) for host in hosts for name in (host, f"[{host}]:{self.port}")]
        for file in dict.fromkeys((*self.files, *self.revoking)):
            for line in revocations(file):
                if line.revokes(key, names, others):
                    return line.place
        return next((str(file) for file in self.revoked if key in listed_keys(file)), None)


def _canonical(host: str) -> str:
    """*host* as OpenSSH looks it up: a name without capitals, an address as systems write it."""
    try:
        ((*_, place), *_) = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return socket.getnameinfo(place, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
    except (OSError, UnicodeError):
        return host.lower()


def _encoded(name: str) -> bytes:
    return name.encode(errors="surrogateescape")
