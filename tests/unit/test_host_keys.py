"""Which host keys are trusted."""

from __future__ import annotations

import base64
import hmac
import os
import sys
from pathlib import Path

import pytest

from hvintegration.errors import ConfigurationError, UntrustedHostError, for_command
from hvintegration.transports.ssh.host_keys import Trust, fingerprint, parse_pin

KEY, OTHER = b"a key", b"another key"


def line(names: str, key: bytes = KEY, kind: str = "ssh-ed25519") -> str:
    return f"{names} {kind} {base64.b64encode(key).decode()} a comment\n"


def hashed(name: str) -> str:
    salt = b"salt" * 5
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def trust(tmp_path: Path, text: str, *, port: int = 22, pins: tuple[str, ...] = ()) -> Trust:
    file = tmp_path / "known_hosts"
    file.write_text(text)
    return Trust("HV01.example", port, pins, (tmp_path / "missing", file))


@pytest.mark.parametrize(
    "names",
    ["hv01.example", "other,hv01.example", "*.example", "hv0?.example", "HV01.EXAMPLE", hashed("hv01.example")],
)
def test_a_known_key_is_trusted(tmp_path: Path, names: str) -> None:
    trust(tmp_path, "# a comment\n\nbroken\n" + line(names)).check("ssh-ed25519", KEY, "ssh://hv01")


@pytest.mark.parametrize(
    "text",
    [
        "",
        line("hv02.example"),
        line("*.example,!hv01.example"),
        line("[hv01.example]:2222"),
        line("hv[0-9]1.example"),
        line(hashed("hv02.example")),
        line("|1|broken"),
        "@cert-authority " + line("*"),
        "hv01.example ssh-ed25519 %%%\n",
    ],
)
def test_an_unknown_host_is_not(tmp_path: Path, text: str) -> None:
    with pytest.raises(UntrustedHostError) as unknown:
        trust(tmp_path, text).check("ssh-ed25519", KEY, "ssh://hv01")

    assert unknown.value.expected is None
    assert unknown.value.offered == fingerprint(KEY)
    assert fingerprint(KEY) in str(unknown.value.hint)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_what_is_no_file_has_no_keys_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", Path("/dev/null"), Path("/dev/zero"), tmp_path):
        with pytest.raises(UntrustedHostError):
            Trust("hv01.example", 22, (), (path,)).check("ssh-ed25519", KEY, "ssh://hv01")


def test_a_file_that_is_too_long_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvintegration.transports.ssh.host_keys.MOST_CHARACTERS", 100)

    with pytest.raises(ConfigurationError, match="known_hosts cannot be read: it is longer than 100 characters"):
        trust(tmp_path, "@revoked " + line("hv01.example") * 9).check("ssh-ed25519", KEY, "ssh://hv01")


def test_another_port_is_another_host(tmp_path: Path) -> None:
    text = line("[hv01.example]:2222")

    trust(tmp_path, text, port=2222).check("ssh-ed25519", KEY, "ssh://hv01")
    with pytest.raises(UntrustedHostError):
        trust(tmp_path, line("hv01.example"), port=2222).check("ssh-ed25519", KEY, "ssh://hv01")


def test_a_changed_key_is_told_with_both_fingerprints(tmp_path: Path) -> None:
    with pytest.raises(UntrustedHostError) as changed:
        trust(tmp_path, line("hv01.example", OTHER)).check("ssh-ed25519", KEY, "ssh://hv01")

    assert (changed.value.expected, changed.value.offered) == (fingerprint(OTHER), fingerprint(KEY))


def test_a_revoked_key_is_never_trusted(tmp_path: Path) -> None:
    text = line("hv01.example") + "@revoked " + line("*")

    for pins in ((), (fingerprint(KEY),)):
        with pytest.raises(UntrustedHostError, match="revoked"):
            trust(tmp_path, text, pins=pins).check("ssh-ed25519", KEY, "ssh://hv01")


def test_a_pin_counts_and_files_do_not(tmp_path: Path) -> None:
    trust(tmp_path, "", pins=(fingerprint(KEY),)).check("ssh-ed25519", KEY, "ssh://hv01")
    with pytest.raises(UntrustedHostError) as changed:
        trust(tmp_path, line("hv01.example"), pins=(fingerprint(OTHER),)).check("ssh-ed25519", KEY, "ssh://hv01")
    assert changed.value.expected == fingerprint(OTHER)


def test_the_hint_fits_what_is_the_matter(tmp_path: Path) -> None:
    def hint(trust: Trust) -> str:
        with pytest.raises(UntrustedHostError) as refused:
            trust.check("ssh-ed25519", KEY, "ssh://hv01")
        return str(refused.value.hint)

    pin = f"pass host_key='{fingerprint(KEY)}'"
    changed = hint(trust(tmp_path, line("hv01.example", OTHER)))
    assert f"{pin} or replace the one in the known_hosts file. Otherwise somebody is in between." in changed
    assert f"{pin}. Otherwise somebody is in between." in hint(trust(tmp_path, "", pins=(fingerprint(OTHER),)))
    assert hint(trust(tmp_path, "")).endswith(f"{pin} or put the key into a known_hosts file.")
    missing = tmp_path / "missing"
    assert hint(Trust("hv01", 22, (), (missing,))).endswith(f"None of these is there: {missing}.")
    revoked = hint(trust(tmp_path, "@revoked " + line("*"), pins=(fingerprint(KEY),)))
    assert "nobody may trust it" in revoked
    assert "host_key" not in revoked


def test_at_the_command_line_the_hint_is_about_its_option(tmp_path: Path) -> None:
    pin = f"If it is the host's, pass --option host_key={fingerprint(KEY)}"
    for known, pins in (("", ()), (line("hv01.example", OTHER), ()), ("", (fingerprint(OTHER),))):
        with pytest.raises(UntrustedHostError) as refused:
            trust(tmp_path, known, pins=pins).check("ssh-ed25519", KEY, "ssh://hv01")
        assert refused.value.hint is not None
        assert pin in for_command(refused.value.hint)


def test_a_fingerprint_is_as_openssh_shows_it() -> None:
    assert parse_pin(fingerprint(KEY) + "=") == fingerprint(KEY)
    for text in ("", "MD5:00:11", "SHA256:short", "SHA1:" + "A" * 43):
        with pytest.raises(ConfigurationError):
            parse_pin(text)
