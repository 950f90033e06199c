"""OpenSSH's known_hosts files: which keys hosts may have, read as OpenSSH reads it, and which are revoked."""

from __future__ import annotations

import base64
import binascii
import errno
import fnmatch
import hmac
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from hvintegration.errors import ConfigurationError
from hvintegration.files import read_bytes, reason

__all__ = ["KnownKey", "RevokedKey", "UnreadableRevocation", "known_keys", "listed_keys", "revocations"]

MOST_BYTES: Final = 16 * 1024 * 1024
"""Length that such a file may have to be read."""

_FIELDS: Final = {
    b"ssh-ed25519": 1,
    b"ssh-rsa": 2,
    b"ssh-dss": 4,
    b"ecdsa-sha2-nistp256": 2,
    b"ecdsa-sha2-nistp384": 2,
    b"ecdsa-sha2-nistp521": 2,
    b"sk-ssh-ed25519": 2,
    b"sk-ecdsa-sha2-nistp256": 3,
}
"""The kinds of keys, and how many fields make a public key of each."""

_NUMBERS: Final = frozenset({b"ssh-rsa", b"ssh-dss"})
"""Kinds whose fields are numbers, which may be written with zeros before them."""

_KINDS: Final = {
    name + b"-cert-v01" * certificate + b"@openssh.com" * (certificate or name.startswith(b"sk-")): (kind, certificate)
    for name, kind in (
        *((kind, kind) for kind in _FIELDS),
        (b"rsa-sha2-256", b"ssh-rsa"),
        (b"rsa-sha2-512", b"ssh-rsa"),
    )
    for certificate in (False, True)
}
"""What lines and keys call them: the kind, and whether it is a certificate of one."""

_LONGEST_PATTERN: Final = 1022  # Bytes. OpenSSH takes a line with a longer one for no host.
_HASHED: Final = re.compile(rb"\|1\|([A-Za-z0-9+/]{27}=)\|[A-Za-z0-9+/]{27}=")
_COMMENT: Final = re.compile(rb"[\xef\xbb\xbf\xff\xfe\s]*#")  # A byte order mark may be before it.


@attrs.frozen
class _Public:
    """What makes a public key another one or the same, however it is written."""

    kind: bytes
    fields: tuple[bytes, ...]
    certificate: bool

    def is_part_of(self, other: _Public) -> bool:
        """Whether *other* is this key, or a certificate of it."""
        return (self.kind, self.fields) == (other.kind, other.fields)


@attrs.frozen
class KnownKey:
    """A line by which a host may have a key.

    Attributes:
        patterns: The names that it is for.
        kind: Such as ``ssh-ed25519``.
        key: The public key.
    """

    patterns: bytes
    kind: str
    key: bytes

    def is_for(self, name: bytes) -> bool:
        """Whether it is for the host of this name, which has no capitals."""
        return _verdict(self.patterns, name) > 0

    def allows(self, key: bytes) -> bool:
        """Whether its key is this one."""
        return _public(self.key) == _public(key)


@attrs.frozen
class RevokedKey:
    """A line by which nobody may trust a key any more.

    Attributes:
        place: Where it is: the file and the number of the line.
        patterns: The names that it is for.
        key: The public key, or a certificate of it.
    """

    place: str
    patterns: bytes
    key: bytes

    def revokes(self, key: bytes, names: Sequence[bytes], others: Sequence[bytes]) -> bool:
        """Whether it says so of this key.

        Args:
            key: The public key.
            names: The host's names. What the line says of any of them counts.
            others: Other names of it, which count unless the line excludes one of all, as ``*,!hv01`` does.
        """
        revoked, offered = _public(self.key), _public(key)
        if revoked is None or offered is None or not offered.is_part_of(revoked):
            return False
        verdicts = [_verdict(self.patterns, name) for name in names]
        further = [_verdict(self.patterns, name) for name in others]
        return 1 in verdicts or (1 in further and -1 not in (*verdicts, *further))


@attrs.frozen
class UnreadableRevocation:
    """A line that says ``@revoked`` and that OpenSSH does not read so. The key in it is not to be trusted anywhere.

    Attributes:
        place: Where it is: the file and the number of the line.
        text: The line.
    """

    place: str
    text: bytes

    def revokes(self, key: bytes, _names: Sequence[bytes], _others: Sequence[bytes]) -> bool:
        """Whether it has this key."""
        before, found, _ = self.text.partition(base64.b64encode(key).rstrip(b"="))
        return bool(found) and b"@revoked" in before.lower()


def known_keys(file: Path) -> Iterator[KnownKey]:
    """The keys in *file* that hosts may have. A missing file has none.

    Raises:
        ConfigurationError: It is too long.
    """
    for _, line in _lines(file):
        if (said := _read(line)) is not None and not said[0]:
            yield KnownKey(*said[1:])


def revocations(file: Path) -> Iterator[RevokedKey | UnreadableRevocation]:
    """What *file* revokes. A missing file revokes nothing.

    Raises:
        ConfigurationError: It is too long.
    """
    for place, line in _lines(file):
        text = line.replace(b"\0", b"")  # Windows PowerShell's >> appends UTF-16.
        if b"@revoked" not in text.lower() or _COMMENT.match(text):
            continue
        if (said := _read(line)) is not None and said[0]:
            yield RevokedKey(place, said[1], said[3])
        else:
            yield UnreadableRevocation(place, text)


def listed_keys(file: Path) -> Iterator[bytes]:
    """The public keys in *file*, which has one a line, as ssh_config's RevokedHostKeys.

    Raises:
        ConfigurationError: It cannot be read, or has another form.
    """
    try:
        content = read_bytes(file, MOST_BYTES)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The revoked keys in {file} cannot be read: {reason(error)}.") from error
    if content.startswith(b"SSHKRL\n\0"):
        raise ConfigurationError(
            f"The revoked keys in {file} cannot be read: it is a KRL.",
            hint="Let RevokedHostKeys name a list of public keys, one a line.",
        )
    for line in content.replace(b"\0", b"").split(b"\n"):
        words = [] if _COMMENT.match(line) else line.split()
        yield from (key for word in words if (key := _decoded(word)) is not None and _public(key) is not None)


def _lines(file: Path) -> Iterator[tuple[str, bytes]]:
    try:
        content = read_bytes(file, MOST_BYTES)
    except (OSError, ValueError) as error:  # As for ssh, a file that is absent has no keys; neither has /dev/null.
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            raise ConfigurationError(f"{file} cannot be read: {reason(error)}.") from error
        return
    for number, line in enumerate(content.split(b"\n"), 1):
        yield f"{file} line {number}", line


def _read(line: bytes) -> tuple[bool, bytes, str, bytes] | None:
    """Whether a line revokes, its patterns, its kind and its key. None if OpenSSH reads no key of a host in it."""
    fields = re.split(rb"[ \t]+", line.partition(b"\0")[0].lstrip(b" \t"), maxsplit=4)
    marker = fields.pop(0) if fields[0].startswith(b"@") else b""
    if len(fields) < 3 or marker not in {b"", b"@revoked"}:  # noqa: PLR2004 - three fields
        return None
    patterns, name, text = fields[:3]
    if (patterns.startswith(b"#") and not marker) or not _is_readable(patterns):
        return None
    key = _decoded(b"".join(text.split()))  # Of what else is a space, OpenSSH passes over that within a key.
    public = None if key is None else _public(key)
    if key is None or public is None or (public.kind, public.certificate) != _KINDS.get(name):
        return None
    return bool(marker), patterns, (name if public.certificate else public.kind).decode(), key


def _is_readable(patterns: bytes) -> bool:
    if patterns.startswith(b"|"):
        return _HASHED.fullmatch(patterns) is not None
    return all(len(pattern.removeprefix(b"!")) <= _LONGEST_PATTERN for pattern in patterns.split(b","))


def _verdict(patterns: bytes, name: bytes) -> int:
    """1 if they are for this name, -1 if they exclude it, 0 if they say nothing of it."""
    if hashed := _HASHED.fullmatch(patterns):
        salt = base64.b64decode(hashed[1])
        parts = (base64.b64encode(part) for part in (salt, hmac.digest(salt, name, "sha1")))
        return int(hmac.compare_digest(b"|1|" + b"|".join(parts), patterns))
    found = 0
    for pattern in patterns.lower().split(b","):
        if _matches(pattern.removeprefix(b"!"), name):
            if pattern.startswith(b"!"):
                return -1
            found = 1
    return found


def _matches(pattern: bytes, name: bytes) -> bool:
    if b"*" in pattern or b"?" in pattern:
        # OpenSSH knows * and ?, but no sets: a bracket stands for itself.
        return fnmatch.fnmatchcase(name, pattern.replace(b"[", b"[[]"))
    return pattern == name


def _decoded(text: bytes) -> bytes | None:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return key if base64.b64encode(key) == text else None


def _public(key: bytes) -> _Public | None:
    """What is in a key or a certificate as SSH writes them; None if it is neither."""
    name, rest = _field(key)
    kind, certificate = _KINDS.get(name, (b"", False))
    if not kind:
        return None
    if certificate:
        _, rest = _field(rest)  # A random one.
    fields: list[bytes] = []
    for _ in range(_FIELDS[kind]):
        field, rest = _field(rest)
        if not field or (kind in _NUMBERS and field[0] >= 0x80):  # noqa: PLR2004 - a negative number
            return None
        fields.append(field.lstrip(b"\0") if kind in _NUMBERS else field)
    if rest and not certificate:
        return None
    return _Public(kind, tuple(fields), certificate)


def _field(content: bytes) -> tuple[bytes, bytes]:
    """The first field, which is empty if there is none or not all of it, and what is after it."""
    end = 4 + int.from_bytes(content[:4], "big")
    return (content[4:end], content[end:]) if end <= len(content) else (b"", b"")
