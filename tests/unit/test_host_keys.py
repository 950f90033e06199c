"""Which host keys are trusted."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import pytest

from hvintegration.errors import ConfigurationError, UntrustedHostError, for_command
from hvintegration.transports.ssh.host_keys import Trust, fingerprint, parse_pin
from tests.support.known_hosts_cases import ED25519 as KEY
from tests.support.known_hosts_cases import OTHER, RSA, hashed


def line(names: str, key: bytes = KEY, kind: str = "ssh-ed25519") -> str:
    return f"{names} {kind} {base64.b64encode(key).decode()} a comment\n"


def trust(
    tmp_path: Path,
    text: str,
    *,
    port: int = 22,
    pins: tuple[str, ...] = (),
    alias: str | None = None,
    revoking: tuple[Path, ...] = (),
    revoked: tuple[Path, ...] = (),
) -> Trust:
    file = tmp_path / "known_hosts"
    file.write_text(text)
    return Trust("HV01.example", port, pins, (tmp_path / "missing", file), alias, revoking, revoked)


def refusal(trust: Trust, peer: str | None = None) -> UntrustedHostError:
    with pytest.raises(UntrustedHostError) as refused:
        trust.check("ssh-ed25519", KEY, "ssh://hv01", peer)
    return refused.value


@pytest.mark.parametrize(
    "names",
    [
        "hv01.example",
        "other,hv01.example",
        "*.example",
        "hv0?.example",
        "HV01.EXAMPLE",
        hashed(b"hv01.example").decode(),
    ],
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
        line(hashed(b"hv02.example").decode()),
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
    monkeypatch.setattr("hvintegration.transports.ssh.known_hosts.MOST_BYTES", 100)

    with pytest.raises(ConfigurationError, match="known_hosts cannot be read: it is longer than 100 bytes"):
        trust(tmp_path, "@revoked " + line("hv01.example") * 9).check("ssh-ed25519", KEY, "ssh://hv01")


def test_a_line_without_a_port_counts_where_none_with_it_exists(tmp_path: Path) -> None:
    plain, other_port = line("hv01.example"), line("[hv01.example]:2222")

    for text in (plain, other_port, line("hv01.example", OTHER) + other_port):
        trust(tmp_path, text, port=2222).check("ssh-ed25519", KEY, "ssh://hv01")
    assert refusal(trust(tmp_path, other_port)).expected is None
    changed = refusal(trust(tmp_path, plain + line("[hv01.example]:2222", OTHER), port=2222))
    assert changed.expected == fingerprint(OTHER)


def test_an_alias_is_looked_up_without_a_port(tmp_path: Path) -> None:
    trust(tmp_path, line("hypervisor"), port=2222, alias="HyperVisor").check("ssh-ed25519", KEY, "ssh://hv01")
    for names in ("[hypervisor]:2222", "hv01.example", "[hv01.example]:2222"):
        assert refusal(trust(tmp_path, line(names), port=2222, alias="hypervisor")).expected is None


@pytest.mark.parametrize(
    "host", ["2001:db8::1", "2001:DB8:0:0::1", "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::0.0.0.1"]
)
def test_an_address_is_the_same_however_it_is_written(tmp_path: Path, host: str) -> None:
    def known(names: str, port: int) -> Trust:
        (tmp_path / "known_hosts").write_text(names)
        return Trust(host, port, (), (tmp_path / "known_hosts",))

    known(line("2001:db8::1"), 22).check("ssh-ed25519", KEY, "ssh://hv01")
    known(line("[2001:db8::1]:2222"), 2222).check("ssh-ed25519", KEY, "ssh://hv01")
    assert refusal(known(line("[2001:db8::1]"), 22)).expected is None
    assert "revoked" in str(refusal(known(line("*") + "@revoked " + line("2001:db8::1"), 2222)))


def test_a_changed_key_is_told_with_both_fingerprints(tmp_path: Path) -> None:
    with pytest.raises(UntrustedHostError) as changed:
        trust(tmp_path, line("hv01.example", OTHER)).check("ssh-ed25519", KEY, "ssh://hv01")

    assert (changed.value.expected, changed.value.offered) == (fingerprint(OTHER), fingerprint(KEY))


def test_a_revoked_key_is_never_trusted(tmp_path: Path) -> None:
    text = line("hv01.example") + "@revoked " + line("*")

    for pins in ((), (fingerprint(KEY),)):
        with pytest.raises(UntrustedHostError, match="revoked"):
            trust(tmp_path, text, pins=pins).check("ssh-ed25519", KEY, "ssh://hv01")


@pytest.mark.parametrize(
    "names",
    [
        *("hv01.example", "hv01.example.", "[hv01.example]:2222", "[hv01.example.]:2222", "alias", "192.0.2.1"),
        *("[192.0.2.1]:2222", "*", "*.example", "a,HV01.*", hashed(b"hv01.example").decode()),
    ],
)
def test_a_key_that_is_revoked_under_any_name_of_the_host_is_not_trusted(tmp_path: Path, names: str) -> None:
    text = line("alias,hv01.example,[hv01.example]:2222") + "@revoked " + line(names)

    for pins in ((), (fingerprint(KEY),)):
        revoked = refusal(trust(tmp_path, text, port=2222, alias="alias", pins=pins), "192.0.2.1")
        assert "revoked" in str(revoked)
        assert f"{tmp_path / 'known_hosts'} line 2 says that nobody may trust it" in str(revoked.hint)


def test_what_a_line_excludes_it_does_not_revoke(tmp_path: Path) -> None:
    text = line("hv01.example") + "@revoked " + line("*,!hv01.example")

    trust(tmp_path, text).check("ssh-ed25519", KEY, "ssh://hv01", "192.0.2.1")
    assert "revoked" in str(refusal(trust(tmp_path, text, port=2222, pins=(fingerprint(KEY),))))


def test_what_other_files_revoke_counts_and_nothing_else_of_them(tmp_path: Path) -> None:
    file = tmp_path / "other"

    file.write_text(line("hv01.example"))
    assert refusal(trust(tmp_path, "", revoking=(file,))).expected is None
    file.write_text(line("hv01.example", OTHER) + "@revoked " + line("hv02.example"))
    trust(tmp_path, line("hv01.example"), revoking=(file,)).check("ssh-ed25519", KEY, "ssh://hv01")
    file.write_text("@revoked " + line("hv01.example"))
    for pins in ((), (fingerprint(KEY),)):
        assert "revoked" in str(refusal(trust(tmp_path, line("hv01.example"), pins=pins, revoking=(file,))))


def test_a_list_of_revoked_keys_counts_for_every_host(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    known = trust(tmp_path, line("hv01.example"), revoked=(file,))

    for content in (f"# a\n{line('')}".encode(), line("").replace("\n", "\r\n").encode("utf-16")):
        file.write_bytes(content)
        assert str(refusal(known).hint).startswith(f"{file} says that nobody may trust it")
    file.write_text(f"# {line('')}\n{line('', OTHER)}")
    known.check("ssh-ed25519", KEY, "ssh://hv01")
    file.write_bytes(b"SSHKRL\n\0" + bytes(40))
    with pytest.raises(ConfigurationError, match="revoked cannot be read: it is a KRL"):
        known.check("ssh-ed25519", KEY, "ssh://hv01")
    file.unlink()
    with pytest.raises(ConfigurationError, match="revoked cannot be read: No such file"):
        known.check("ssh-ed25519", KEY, "ssh://hv01")


def test_kinds_that_are_revoked_or_do_not_count_are_not_asked_for(tmp_path: Path) -> None:
    text = line("hv01.example", RSA, "ssh-rsa") + "@revoked " + line("*")

    assert trust(tmp_path, text).kinds() == {"ssh-rsa"}
    assert trust(tmp_path, text, pins=(fingerprint(KEY),)).kinds() == set()


def test_a_path_that_no_file_can_have_is_none(tmp_path: Path) -> None:
    known = Trust("hv01", 22, (), (Path("a\0b"), tmp_path / "missing"))

    assert refusal(known).expected is None


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
