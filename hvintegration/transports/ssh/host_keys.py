"""Which host keys are trusted: OpenSSH's known_hosts files, and pinned fingerprints."""

from __future__ import annotations

import base64
import binascii
import errno
import fnmatch
import hashlib
import hmac
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from hvintegration.errors import ConfigurationError, Hint, UntrustedHostError, argument
from hvintegration.files import read_text, reason

__all__ = ["KnownKey", "Trust", "default_known_hosts", "fingerprint", "parse_pin", "user_folder"]

MOST_CHARACTERS: Final = 16 * 1024 * 1024
"""Length that a known_hosts file may have to be read."""

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


def default_known_hosts() -> tuple[Path, ...]:
    """The files of this user and of this system."""
    program_data = os.environ.get("PROGRAMDATA")  # On Windows only.
    system = Path(program_data, "ssh") if program_data else Path("/etc/ssh")
    user = user_folder()
    own = () if user is None else (user / "known_hosts", user / "known_hosts2")
    return (*own, system / "ssh_known_hosts", system / "ssh_known_hosts2")


@attrs.frozen
class KnownKey:
    """A key that a file has for a host.

    Attributes:
        kind: Such as ``ssh-ed25519``.
        key: The public key.
        revoked: Whether the file says that it must not be trusted.
    """

    kind: str
    key: bytes
    revoked: bool


@attrs.frozen
class Trust:
    """What is known of a host's key.

    Attributes:
        host: The host's name, as the files have it.
        port: Its port.
        pins: Fingerprints of which the key must have one; the files do not count then, but for revoked keys.
        files: The files to look into; a missing one is none.
    """

    host: str
    port: int
    pins: tuple[str, ...]
    files: Sequence[Path]

    def known(self) -> list[KnownKey]:
        """The keys that the files have for this host."""
        name = self.host.lower() if self.port == 22 else f"[{self.host.lower()}]:{self.port}"  # noqa: PLR2004 - SSH's
        return [known for file in self.files for known in _known_in(file, name)]

    def check(self, kind: str, key: bytes, address: str) -> None:
        """Make sure that the host may have this key.

        Raises:
            UntrustedHostError: It is revoked, not the pinned one, not the known one, or the host is unknown.
            ConfigurationError: A file of known keys is too long.
        """
        offered = fingerprint(key)
        known = self.known()
        trusted = [entry for entry in known if not entry.revoked]
        compare = "Compare it with what `ssh-keygen -lf` shows on the host. If it is the host's, pass {}{}"
        pin = argument("host_key", offered)
        if any(entry.revoked and entry.key == key for entry in known):
            why, expected = "a key that is revoked", None
            hint: str = "A known_hosts file says that nobody may trust it any more. Ask who runs the host."
        elif self.pins:
            if offered in self.pins:
                return
            why, expected = "another key than the pinned one", ", ".join(self.pins)
            hint = Hint.of(compare, pin, ". Otherwise somebody is in between.")
        elif any(entry.key == key for entry in trusted):
            return
        elif trusted:
            why, expected = "another key than the known one", ", ".join(fingerprint(entry.key) for entry in trusted)
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


def _known_in(file: Path, name: str) -> Iterator[KnownKey]:
    try:
        lines = read_text(file, MOST_CHARACTERS, errors="replace").splitlines()
    except OSError as error:  # As for ssh, a file that is absent has no keys, and neither has /dev/null.
        if error.errno == errno.EFBIG:
            raise ConfigurationError(f"{file} cannot be read: {reason(error)}.") from error
        return
    for line in lines:
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or fields[0].startswith("#") or marker == "@cert-authority":  # noqa: PLR2004 - three fields
            continue
        try:
            key = base64.b64decode(fields[2], validate=True)
        except binascii.Error:
            continue
        if _is_for(fields[0], name):
            yield KnownKey(fields[1], key, marker == "@revoked")


def _is_for(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        return _is_hash_of(patterns, name)
    found = False
    for pattern in patterns.lower().split(","):
        # OpenSSH knows * and ?, but no sets: a bracket stands for itself.
        if fnmatch.fnmatchcase(name, pattern.removeprefix("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _is_hash_of(hashed: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in hashed.split("|")[2:])
    except ValueError:
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
