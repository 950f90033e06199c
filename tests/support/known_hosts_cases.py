"""Contents of known_hosts files, and whether they make a server's key trusted: by OpenSSH, and by us."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from hvintegration.errors import UntrustedHostError
from hvintegration.transports.ssh.host_keys import Trust

ALIAS: Final = "hv01.example"
"""A name that OpenSSH looks up without a port, given as HostKeyAlias."""


def fields(*parts: bytes) -> bytes:
    """A public key of these parts, as SSH writes it."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def split(key: bytes) -> list[bytes]:
    """The parts of a public key."""
    parts = []
    while key:
        end = 4 + int.from_bytes(key[:4], "big")
        parts.append(key[4:end])
        key = key[end:]
    return parts


def base64_of(key: bytes) -> bytes:
    """A public key as a line has it."""
    return base64.b64encode(key)


def hashed(name: bytes, salt: bytes = b"salt" * 5) -> bytes:
    """A name as HashKnownHosts writes it."""
    return b"|1|" + base64.b64encode(salt) + b"|" + base64.b64encode(hmac.digest(salt, name, "sha1"))


ED25519: Final = fields(b"ssh-ed25519", bytes(range(32)))
OTHER: Final = fields(b"ssh-ed25519", bytes(range(32, 64)))
RSA: Final = fields(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xc1" * 255 + b"\xc3")
OTHER_RSA: Final = fields(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xc3" * 256)
CERTIFICATE: Final = fields(b"ssh-ed25519-cert-v01@openssh.com", b"random" * 5, bytes(range(32))) + bytes(64)


@attrs.frozen
class Server:
    """A server, and its keys.

    Attributes:
        host: Its host's name or address, as given.
        port: Its port.
        key: The public key that it shows.
        rsa: The public key that it shows if it is asked for RSA.
        certificate: A certificate of its key.
        other: The key of another host.
    """

    host: str = "127.0.0.1"
    port: int = 2222
    key: bytes = ED25519
    rsa: bytes = RSA
    certificate: bytes = CERTIFICATE
    other: bytes = OTHER

    @property
    def plain(self) -> bytes:
        """Its name in a file, without its port."""
        return self.host.encode()

    @property
    def name(self) -> bytes:
        """Its name in a file."""
        return b"[%b]:%d" % (self.plain, self.port)

    @property
    def entry(self) -> bytes:
        """The kind and the key of a line."""
        return b"ssh-ed25519 " + base64_of(self.key)

    @property
    def others(self) -> bytes:
        """The kind and the key of a line of another host."""
        return b"ssh-ed25519 " + base64_of(self.other)

    @property
    def line(self) -> bytes:
        """What makes it trusted."""
        return self.name + b" " + self.entry + b"\n"


@attrs.frozen
class Case:
    """A known_hosts file.

    Attributes:
        title: What is the matter with it.
        content: What is in it, for a server.
        trusted: Whether OpenSSH trusts the server's key.
        stricter: Why we do not all the same; empty if we do as OpenSSH does.
        alias: The name to look up instead.
        host: The host as given.
    """

    title: str
    content: Callable[[Server], bytes]
    trusted: bool
    stricter: str = ""
    alias: str | None = None
    host: str = "127.0.0.1"

    @property
    def trusted_by_us(self) -> bool:
        """Whether we trust the server's key."""
        return self.trusted and not self.stricter


def _named(title: str, names: bytes, *, trusted: bool, stricter: str = "") -> Case:
    """A line of these names, for ALIAS."""
    return Case(title, lambda s: names + b" " + s.entry + b"\n", trusted, stricter, ALIAS)


def _revoked(title: str, names: bytes, *, trusted: bool, stricter: str = "") -> Case:
    """The key is known of ALIAS, and revoked for these names."""
    return Case(
        title,
        lambda s: b"%b %b\n@revoked %b %b\n" % (ALIAS.encode(), s.entry, names, s.entry),
        trusted,
        stricter,
        ALIAS,
    )


def _with(title: str, line: Callable[[Server], bytes], *, trusted: bool, stricter: str = "", host: str = "") -> Case:
    """A line after that which makes the server trusted."""
    return Case(title, lambda s: s.line + line(s), trusted, stricter, host=host or "127.0.0.1")


def _split_at(byte: bytes) -> list[Case]:
    """Something that Python would take for an end of a line or for a blank, and OpenSSH does not."""
    return [
        Case(f"{byte!r} between lines", lambda s: b"a " + s.others + byte + s.line, trusted=False),
        Case(f"{byte!r} between fields", lambda s: s.line.replace(b" ", byte), trusted=False),
        Case(f"{byte!r} in a comment before", lambda s: b"# a" + byte + s.line, trusted=False),
    ]


_DAMAGED: Final = "the line says that the key is revoked, whatever is wrong with it"
_NAME: Final = ALIAS.encode()
_SPLITTERS: Final = (b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85", "\u2028".encode(), "\u2029".encode(), b"\r")

CASES: Final = [
    # Lines and fields.
    Case("nothing", lambda _: b"", trusted=False),
    Case("a line with the port", lambda s: s.line, trusted=True),
    Case("the key of another host", lambda s: s.name + b" " + s.others + b"\n", trusted=False),
    Case("both keys", lambda s: s.name + b" " + s.others + b"\n" + s.line, trusted=True),
    Case("another kind of key only", lambda s: s.name + b" ssh-rsa " + base64_of(s.rsa) + b"\n", trusted=True),
    Case("no last newline", lambda s: s.line.rstrip(), trusted=True),
    Case("a line glued to one without a newline", lambda s: b"a " + s.others + s.line, trusted=False),
    Case("CRLF", lambda s: s.line.replace(b"\n", b"\r\n"), trusted=True),
    Case("CRLF after a comment", lambda s: s.line.replace(b"\n", b" comment\r\n"), trusted=True),
    Case("CRLF and empty lines", lambda s: b"\r\n\r\n# a\r\n" + s.line.replace(b"\n", b"\r\n"), trusted=True),
    Case("CR only", lambda s: (b"# a\n" + s.line).replace(b"\n", b"\r"), trusted=False),
    Case("tabs and spaces", lambda s: b" \t" + s.line.replace(b" ", b" \t "), trusted=True),
    Case("a comment at its end", lambda s: s.line.replace(b"\n", b" j\xf6rg@b\xc3\xbcro #\n"), trusted=True),
    Case("a comment right after the key", lambda s: s.line.replace(b"\n", b"#comment\n"), trusted=False),
    Case("a comment", lambda s: b"#" + s.line, trusted=False),
    Case("a comment after blanks", lambda s: b" \t#" + s.line, trusted=False),
    Case("no UTF-8 before", lambda s: b"# B\xfcro\n\xff\xfe\x80 x y\n" + s.line, trusted=True),
    Case("NUL after the key", lambda s: s.line.replace(b"\n", b"\0 whatever\n"), trusted=True),
    Case("NUL before the names", lambda s: b"\0" + s.line, trusted=False),
    Case("NUL in the names", lambda s: b"a\0," + s.line, trusted=False),
    Case("NUL before a newline", lambda s: b"a\0\n" + s.line, trusted=True),
    Case("NUL in the key", lambda s: s.line[:-9] + b"\0" + s.line[-9:], trusted=False),
    Case("UTF-16", lambda s: s.line.decode().encode("utf-16"), trusted=False),
    Case("UTF-16 after what is none", lambda s: b"# a\n" + s.line.decode().encode("utf-16-le"), trusted=False),
    Case("a byte order mark", lambda s: b"\xef\xbb\xbf" + s.line, trusted=False),
    Case("a byte order mark before a comment", lambda s: b"\xef\xbb\xbf# a\n" + s.line, trusted=True),
    *(case for byte in _SPLITTERS for case in _split_at(byte)),
    Case("a form feed in the key", lambda s: s.line[:-9] + b"\x0c" + s.line[-9:], trusted=True),
    Case("\x85 in the key", lambda s: s.line[:-9] + b"\x85" + s.line[-9:], trusted=False),
    Case("a long line before", lambda s: b"x" * 100_000 + b" " + s.others + b"\n" + s.line, trusted=True),
    Case("a long comment", lambda s: s.line.rstrip() + b" x" * 100_000 + b"\n", trusted=True),
    Case("many names", lambda s: b"x," * 50_000 + s.line, trusted=True),
    # The key.
    Case("no key", lambda s: s.name + b" ssh-ed25519\n", trusted=False),
    Case("no kind", lambda s: s.name + b" " + base64_of(s.key) + b"\n", trusted=False),
    Case("no names", lambda s: s.entry + b"\n", trusted=False),
    Case("a kind in capitals", lambda s: s.line.replace(b" ssh-ed", b" SSH-ED"), trusted=False),
    Case("a kind that is not the key's", lambda s: s.line.replace(b" ssh-ed25519", b" ssh-rsa"), trusted=False),
    Case("a kind that nobody knows", lambda s: s.line.replace(b" ssh-ed25519", b" ssh-x"), trusted=False),
    Case("a short kind", lambda s: s.line.replace(b" ssh-ed25519", b" ED25519"), trusted=False),
    Case("the kind of a signature", lambda s: s.name + b" rsa-sha2-512 " + base64_of(s.rsa) + b"\n", trusted=True),
    Case("bits, as of SSH 1", lambda s: s.name + b" 2048 65537 " + base64_of(s.key) + b"\n", trusted=False),
    Case("Base64 with something after", lambda s: s.line.replace(b"\n", b"=\n"), trusted=False),
    Case("Base64 without its end", lambda s: s.line[:-3] + b"\n", trusted=False),
    Case(
        "a key with something after",
        lambda s: s.name + b" ssh-ed25519 " + base64_of(s.key + b"abc") + b"\n",
        trusted=False,
    ),
    Case(
        "RSA with zeros before",
        lambda s: (
            s.name + b" ssh-rsa " + base64_of(fields(*(p if p == b"ssh-rsa" else b"\0\0" + p for p in split(s.rsa))))
        ),
        trusted=True,
    ),
    Case(
        "RSA that is negative",
        lambda s: s.name + b" ssh-rsa " + base64_of(fields(*(p.lstrip(b"\0") for p in split(s.rsa)))),
        trusted=False,
    ),
    Case(
        "a certificate",
        lambda s: s.name + b" ssh-ed25519-cert-v01@openssh.com " + base64_of(s.certificate),
        trusted=False,
    ),
    # Names.
    Case("no port", lambda s: s.plain + b" " + s.entry + b"\n", trusted=True),
    Case("no port, hashed", lambda s: hashed(s.plain) + b" " + s.entry + b"\n", trusted=True),
    Case("no port, in brackets", lambda s: b"[" + s.plain + b"] " + s.entry + b"\n", trusted=False),
    Case(
        "no port, where another key has one",
        lambda s: s.plain + b" " + s.entry + b"\n" + s.name + b" " + s.others,
        trusted=False,
    ),
    Case(
        "no port, where a kind unknown has one",
        lambda s: s.plain + b" " + s.entry + b"\n" + s.name + b" ssh-x " + base64_of(fields(b"ssh-x", b"x")),
        trusted=True,
    ),
    Case(
        "no port, where a damaged line has one",
        lambda s: s.plain + b" " + s.entry + b"\n" + s.name + b" ssh-ed25519 AAAA\n",
        trusted=True,
    ),
    Case(
        "no port, where another kind has one",
        lambda s: s.plain + b" " + s.entry + b"\n" + s.name + b" ssh-rsa " + base64_of(OTHER_RSA),
        trusted=False,
    ),
    Case(
        "no port, where a certificate has one",
        lambda s: (
            s.plain + b" " + s.entry + b"\n" + s.name + b" ssh-ed25519-cert-v01@openssh.com " + base64_of(s.certificate)
        ),
        trusted=False,
    ),
    Case(
        "no port, where an authority has one",
        lambda s: s.plain + b" " + s.entry + b"\n@cert-authority " + s.name + b" " + s.others,
        trusted=True,
    ),
    Case(
        "no port, where a revoked key has one",
        lambda s: s.plain + b" " + s.entry + b"\n@revoked " + s.name + b" " + s.others,
        trusted=True,
    ),
    Case("no port, another key", lambda s: s.plain + b" " + s.others + b"\n", trusted=False),
    Case("another port", lambda s: b"[%b]:1 " % s.plain + s.entry + b"\n", trusted=False),
    Case("port 22 in brackets", lambda s: b"[%b]:22 " % s.plain + s.entry + b"\n", trusted=False),
    Case("a wildcard for host and port", lambda s: b"[127.0.0.*]:* " + s.entry + b"\n", trusted=True),
    Case("a wildcard for all", lambda s: b"* " + s.entry + b"\n", trusted=True),
    Case("hashed", lambda s: hashed(s.name) + b" " + s.entry + b"\n", trusted=True),
    Case("capitals", lambda s: s.line.replace(s.plain, b"LocalHost"), trusted=True, host="LOCALHOST"),
    Case("capitals, hashed", lambda s: hashed(s.name.lower()) + b" " + s.entry, trusted=True, host="LOCALHOST"),
    Case("a trailing dot", lambda s: s.line, trusted=True, host="localhost."),
    Case("a trailing dot, known without", lambda s: s.line.replace(b".]", b"]"), trusted=False, host="localhost."),
    Case("the address of a name", lambda s: s.line.replace(s.plain, b"127.0.0.1"), trusted=False, host="localhost"),
    Case("the name of an address", lambda s: s.line.replace(s.plain, b"localhost"), trusted=False),
    Case("a short address", lambda s: s.line.replace(s.plain, b"127.0.0.1"), trusted=True, host="127.1"),
    Case("a short address, known as such", lambda s: s.line, trusted=False, host="127.1"),
    _named("an alias", _NAME, trusted=True),
    _named("an alias, with the port", b"[hv01.example]:2222", trusted=False),
    _named("an alias, and the host", b"127.0.0.1", trusted=False),
    _named("capitals of an alias", b"HV01.Example", trusted=True),
    _named("several names", b"a,hv01.example,b", trusted=True),
    _named("names with empty ones", b",a,,hv01.example,", trusted=True),
    _named("names and blanks", b"a, hv01.example", trusted=False),
    _named("a question mark", b"hv0?.example", trusted=True),
    _named("a set, which is none", b"hv0[0-9].example", trusted=False),
    _named("a star in the middle", b"h*.ex*ple", trusted=True),
    _named("stars without end", b"*a" * 300 + b"*", trusted=False),
    _named("a star in capitals", b"HV*", trusted=True),
    _named("negated after", b"*.example,!hv01.example", trusted=False),
    _named("negated before", b"!hv01.example,*.example", trusted=False),
    _named("another one negated", b"*.example,!hv02.example", trusted=True),
    _named("only negated", b"!hv02.example", trusted=False),
    _named("negated twice", b"*.example,!!hv01.example", trusted=True),
    _named("a longest pattern", b"x" * 1022 + b",hv01.example", trusted=True),
    _named("a pattern too long", b"x" * 1023 + b",hv01.example", trusted=False),
    _named("a pattern too long, after", b"hv01.example," + b"x" * 1023, trusted=False),
    _named("a negated pattern too long", b"hv01.example,!" + b"x" * 1023, trusted=False),
    _named("a trailing dot in the file", b"hv01.example.", trusted=False),
    _named("hashed for an alias", hashed(_NAME), trusted=True),
    _named("hashed, of capitals", hashed(b"HV01.example"), trusted=False),
    _named("hashed, and another", hashed(_NAME) + b",a", trusted=False),
    _named("another, and hashed", b"a," + hashed(_NAME), trusted=False),
    _named("hashed with a short salt", hashed(_NAME, b"salt"), trusted=False),
    _named("hashed another way", hashed(_NAME).replace(b"|1|", b"|2|"), trusted=False),
    _named("hashed and damaged", b"|1|broken", trusted=False),
    # Markers.
    Case("an authority", lambda s: b"@cert-authority * " + s.entry + b"\n", trusted=False),
    Case("an authority before", lambda s: b"@cert-authority * " + s.entry + b"\n" + s.line, trusted=True),
    Case("a marker that nobody knows", lambda s: b"@trusted " + s.line, trusted=False),
    Case("a marker that nobody knows, before", lambda s: b"@trusted * " + s.others + b"\n" + s.line, trusted=True),
    Case("a marker without anything", lambda s: b"@\n@ \n@revoked\n@revoked \n" + s.line, trusted=True),
    Case("two markers", lambda s: b"@cert-authority @x " + s.line, trusted=False),
    # Revoked keys.
    _with("revoked", lambda s: b"@revoked " + s.line, trusted=False),
    Case("revoked before", lambda s: b"@revoked " + s.line + s.line, trusted=False),
    Case("revoked and not known", lambda s: b"@revoked " + s.line, trusted=False),
    _with("revoked for all", lambda s: b"@revoked * " + s.entry + b"\n", trusted=False),
    _with("revoked for all, hosts and ports", lambda s: b"@revoked [*]:* " + s.entry + b"\n", trusted=False),
    _with("another key revoked", lambda s: b"@revoked * " + s.others + b"\n", trusted=True),
    _with("revoked for another host", lambda s: b"@revoked hv02 " + s.entry + b"\n", trusted=True),
    _with("revoked for all but it", lambda s: b"@revoked *,!" + s.line, trusted=True),
    _with("revoked, hashed", lambda s: b"@revoked " + hashed(s.name) + b" " + s.entry, trusted=False),
    _with("revoked without a last newline", lambda s: b"@revoked * " + s.entry, trusted=False),
    _with("revoked, CRLF", lambda s: b"@revoked * " + s.entry + b"\r\n", trusted=False),
    _with("revoked after a blank", lambda s: b" \t@revoked  \t * " + s.entry + b"\n", trusted=False),
    _with("revoked, tabs", lambda s: b"@revoked\t*\t" + s.entry.replace(b" ", b"\t") + b"\n", trusted=False),
    _with(
        "revoked, a tab and blanks",
        lambda s: b"@revoked\t* " + s.entry + b"\n",
        trusted=True,
        stricter="the manual says no less of tabs than of blanks",
    ),
    _with("revoked after no UTF-8", lambda s: b"# B\xfcro\n@revoked * " + s.entry + b"\n", trusted=False),
    _with("revoked after a long line", lambda s: b"x" * 100_000 + b"\n@revoked * " + s.entry + b"\n", trusted=False),
    _with("revoked, with a long comment", lambda s: b"@revoked * " + s.entry + b" x" * 100_000, trusted=False),
    _with("revoked, and NUL", lambda s: b"@revoked * " + s.entry + b"\0\n", trusted=False),
    _with("revoked, with a comment", lambda s: b"@revoked * " + s.entry + b" stolen\n", trusted=False),
    _with("revoked in a comment", lambda s: b"# @revoked * " + s.entry + b"\n", trusted=True),
    _with(
        "revoked in a comment after a byte order mark",
        lambda s: b"\xef\xbb\xbf# @revoked * " + s.entry + b"\n",
        trusted=True,
    ),
    Case("revoked in the comment of a line", lambda s: s.line.replace(b"\n", b" @revoked never\n"), trusted=True),
    _with(
        "revoked, RSA with zeros before",
        lambda s: (
            s.name
            + b" ssh-rsa "
            + base64_of(s.rsa)
            + b"\n@revoked * ssh-rsa "
            + base64_of(fields(*(p if p == b"ssh-rsa" else b"\0\0" + p for p in split(s.rsa))))
            + b"\n@revoked * "
            + s.entry
        ),
        trusted=False,
    ),
    _with(
        "revoked by its certificate",
        lambda s: b"@revoked * ssh-ed25519-cert-v01@openssh.com " + base64_of(s.certificate),
        trusted=False,
    ),
    _with(
        "revoked as an authority",
        lambda s: b"@revoked @cert-authority * " + s.entry + b"\n",
        trusted=True,
        stricter=_DAMAGED,
    ),
    _with(
        "an authority that is revoked",
        lambda s: b"@cert-authority @revoked * " + s.entry + b"\n",
        trusted=True,
        stricter=_DAMAGED,
    ),
    Case(
        "one kind revoked, another known",
        lambda s: s.name + b" ssh-rsa " + base64_of(s.rsa) + b"\n@revoked * " + s.entry + b"\n",
        trusted=True,
    ),
    _with(
        "revoked without the port",
        lambda s: b"@revoked " + s.plain + b" " + s.entry + b"\n",
        trusted=True,
        stricter="the key is revoked for the host, at whatever port",
    ),
    _with(
        "revoked without the port, hashed",
        lambda s: b"@revoked " + hashed(s.plain) + b" " + s.entry,
        trusted=True,
        stricter="the key is revoked for the host, at whatever port",
    ),
    Case(
        "revoked with the port, known without",
        lambda s: s.plain + b" " + s.entry + b"\n@revoked " + s.line,
        trusted=False,
    ),
    Case(
        "revoked and known without the port",
        lambda s: (s.plain + b" " + s.entry + b"\n") + b"@revoked " + s.plain + b" " + s.entry,
        trusted=False,
    ),
    Case(
        "revoked for all but the host, known without a port",
        lambda s: s.plain + b" " + s.entry + b"\n@revoked *,!" + s.plain + b" " + s.entry,
        trusted=False,
    ),
    Case(
        "revoked for all but the port, known without",
        lambda s: s.plain + b" " + s.entry + b"\n@revoked *,!" + s.line,
        trusted=False,
    ),
    _with(
        "revoked by its address",
        lambda s: b"@revoked " + s.line.replace(s.plain, b"127.0.0.1"),
        trusted=True,
        host="localhost",
        stricter="the key is revoked for the address that is connected to",
    ),
    _with(
        "revoked in capitals",
        lambda s: b"@revoked " + s.line.replace(b"localhost", b"LocalHost"),
        trusted=False,
        host="localhost",
    ),
    _with(
        "revoked without a trailing dot",
        lambda s: b"@revoked " + s.line.replace(b".]", b"]"),
        trusted=True,
        host="localhost.",
        stricter="a name with a dot at its end is that of the same host",
    ),
    _with(
        "revoked with a trailing dot",
        lambda s: b"@revoked " + s.line.replace(b"]", b".]"),
        trusted=True,
        host="localhost",
        stricter="a name with a dot at its end is that of the same host",
    ),
    _revoked("revoked for an alias", _NAME, trusted=False),
    _revoked("revoked for an alias, among others", b"a,HV01.*", trusted=False),
    _revoked("revoked for an alias, hashed", hashed(_NAME), trusted=False),
    _revoked("revoked for all but the alias", b"*,!hv01.example", trusted=True),
    _revoked(
        "revoked for the host of an alias", b"127.0.0.1", trusted=True, stricter="the key is revoked for the host"
    ),
    _revoked("revoked with a pattern too long", b"*," + b"x" * 1023, trusted=True, stricter=_DAMAGED),
    _revoked("revoked, hashed and damaged", b"|1|broken", trusted=True, stricter=_DAMAGED),
    _with("revoked in capital letters", lambda s: b"@REVOKED * " + s.entry + b"\n", trusted=True, stricter=_DAMAGED),
    _with(
        "revoked, a kind in capitals",
        lambda s: b"@revoked * " + s.entry.replace(b"ssh-ed", b"SSH-ED"),
        trusted=True,
        stricter=_DAMAGED,
    ),
    _with(
        "revoked, a kind that is not the key's",
        lambda s: b"@revoked * ssh-rsa " + base64_of(s.key),
        trusted=True,
        stricter=_DAMAGED,
    ),
    _with("revoked, no kind", lambda s: b"@revoked * " + base64_of(s.key), trusted=True, stricter=_DAMAGED),
    _with("revoked, no names", lambda s: b"@revoked " + s.entry, trusted=True, stricter=_DAMAGED),
    _with(
        "revoked, a comment right after the key",
        lambda s: b"@revoked * " + s.entry + b"#stolen\n",
        trusted=True,
        stricter=_DAMAGED,
    ),
    Case(
        "revoked after a byte order mark",
        lambda s: b"\xef\xbb\xbf@revoked * " + s.entry + b"\n" + s.line,
        trusted=True,
        stricter=_DAMAGED,
    ),
    _with(
        "revoked in UTF-16",
        lambda s: f"@revoked * {s.entry.decode()}\r\n".encode("utf-16-le"),
        trusted=True,
        stricter=_DAMAGED,
    ),
    _with(
        "revoked in UTF-16 with a mark",
        lambda s: f"@revoked * {s.entry.decode()}\r\n".encode("utf-16"),
        trusted=True,
        stricter=_DAMAGED,
    ),
    _with(
        "revoked in UTF-16, the other way round",
        lambda s: f"@revoked * {s.entry.decode()}\r\n".encode("utf-16-be"),
        trusted=True,
        stricter=_DAMAGED,
    ),
    _with("revoked after NUL", lambda s: b"\0@revoked * " + s.entry + b"\n", trusted=True, stricter=_DAMAGED),
    _with(
        "NUL in revoked",
        lambda s: b"@revoked * ssh-ed25519\0 " + base64_of(s.key) + b"\n",
        trusted=True,
        stricter=_DAMAGED,
    ),
    _with(
        "revoked after a line without a newline",
        lambda s: b"hv02 " + s.others + b"@revoked * " + s.entry,
        trusted=True,
        stricter=_DAMAGED,
    ),
    _with(
        "revoked after a vertical tab", lambda s: b"\x0b@revoked * " + s.entry + b"\n", trusted=True, stricter=_DAMAGED
    ),
    _with(
        "vertical tabs in revoked",
        lambda s: b"@revoked\x0b*\x0b" + s.entry.replace(b" ", b"\x0b"),
        trusted=True,
        stricter=_DAMAGED,
    ),
    _with("\x85 in revoked", lambda s: b"@revoked\x85*\x85" + s.entry + b"\n", trusted=True, stricter=_DAMAGED),
    _with("revoked, RSA1 before", lambda s: b"a 1024 35 1234\n@revoked * " + s.entry + b"\n", trusted=False),
]
"""Each file, for a server that has an ed25519 and an RSA key."""


def trusts(case: Case, server: Server, file: Path) -> bool:
    """Whether we trust the server by the case, which is written into *file*: without a connection."""
    file.write_bytes(case.content(server))
    trust = Trust(case.host, server.port, (), (file,), case.alias)
    kind, key = ("ssh-rsa", server.rsa) if trust.kinds() == {"ssh-rsa"} else ("ssh-ed25519", server.key)
    try:
        trust.check(kind, key, "ssh://hv01", "127.0.0.1")
    except UntrustedHostError:
        return False
    return True
