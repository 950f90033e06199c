"""What can be said of SSH without a connection."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import paramiko
import pytest

from hvintegration import SSH, Credential
from hvintegration.connecting import connect
from hvintegration.errors import ConfigurationError, UntrustedHostError, for_command
from hvintegration.host import Host
from hvintegration.transports.ssh.client import strong
from hvintegration.transports.ssh.host_keys import fingerprint, system_known_hosts, user_known_hosts
from hvintegration.transports.ssh.target import Target, parse_target
from tests.support.known_hosts_cases import ED25519, Server


def test_importing_and_constructing_load_no_library() -> None:
    program = (
        "import sys, hvintegration as hv; hv.SSH('hv01', jump_hosts=['a@b:1']);"
        " assert not {'paramiko', 'psrpcore', 'cryptography'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("ssh", "address"),
    [
        (SSH("hv01"), "ssh://hv01"),
        (SSH("hv01", port=22, username="a"), "ssh://a@hv01"),
        (SSH("2001:db8::1", port=2222), "ssh://[2001:db8::1]:2222"),
        (SSH("hv01", credential=Credential("CORP\\a", "Secret")), "ssh://CORP\\a@hv01"),
    ],
)
def test_the_address_says_where_and_who(ssh: SSH, address: str) -> None:
    assert str(ssh) == address == Host(ssh).address
    assert "Secret" not in repr(ssh)


def test_an_address_is_read_back() -> None:
    assert parse_target("a@hv01:2222") == Target("hv01", 2222, "a")
    assert parse_target("[2001:db8::1]:22") == Target("2001:db8::1", 22)
    assert parse_target("user@corp@hv01") == Target("hv01", None, "user@corp")


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("", "it is empty"),
        ("-oProxyCommand=x", "it begins with a hyphen"),
        ("a/b", "it has a character that no host's name has"),
        ("hv 01", "it has a character that no host's name has"),
    ],
)
def test_what_is_no_host_is_refused(host: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        SSH(host)
    assert str(refused.value) == f"Invalid host {host!r}: {why}."


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"^Invalid port {port}: it is not a number from 1 to 65535"):
        SSH("hv01", port=port)


@pytest.mark.parametrize("place", ["", "a@", "hv01:x", "hv01:0", "hv01:99999", "hv 01", "-oProxyCommand=x", "a/b"])
def test_what_is_no_place_is_refused(place: str) -> None:
    with pytest.raises(ConfigurationError):
        connect(f"ssh://{place}")


def test_arguments_that_mean_nothing_are_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"^Invalid fingerprint of a host key 'MD5:00': it is not SHA256: and 43"
    ):
        SSH("hv01", host_key="MD5:00")
    with pytest.raises(ConfigurationError, match="credential is of"):
        SSH("hv01", username="b", credential=Credential("a", "x"))
    with pytest.raises(ConfigurationError, match=r"^Invalid program 'pwsh\\nrm': it is empty or has"):
        SSH("hv01", program="pwsh\nrm")


def test_a_user_without_a_name_is_asked_to_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr("getpass.getuser", unknown)

    with pytest.raises(ConfigurationError, match="no name for the user") as refused:
        Host(SSH("hv01")).info()

    assert refused.value.hint == "Name the user: ssh://USER@HOST or SSH(..., username=...)."
    assert for_command(refused.value.hint) == "Name the user: ssh://USER@HOST."
    assert [hop.username for hop in Target("hv01", username="a").hops()] == ["a"]


def test_a_user_without_a_home_has_the_system_s_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nowhere)

    (hop,) = Target("hv01", username="a", use_config=True).hops()

    assert [file.name for file in hop.trust.files] == ["ssh_known_hosts", "ssh_known_hosts2"]
    with pytest.raises(ConfigurationError, match="nobody has that home"):
        SSH("hv01", key_files="~/.ssh/id_ed25519")


def test_no_known_hosts_files_are_none(tmp_path: Path) -> None:
    (none,) = SSH("hv01", username="a", known_hosts=[])._target.hops()  # noqa: SLF001
    (one,) = SSH("hv01", username="a", known_hosts=tmp_path)._target.hops()  # noqa: SLF001

    assert (none.trust.files, one.trust.files) == ((), (tmp_path,))


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("", ["~/.ssh/known_hosts", "~/.ssh/known_hosts2", *map(str, system_known_hosts())]),
        ("UserKnownHostsFile ~/a ~/b", ["~/a", "~/b", *map(str, system_known_hosts())]),
        ('UserKnownHostsFile ~/a "~/b c"', ["~/a", "~/b c", *map(str, system_known_hosts())]),
        ('UserKnownHostsFile "~/a" "~/b"', ["~/a", "~/b", *map(str, system_known_hosts())]),
        ('UserKnownHostsFile "~/with blank"', ["~/with blank", *map(str, system_known_hosts())]),
        ("UserKnownHostsFile none", list(map(str, system_known_hosts()))),
        ("UserKnownHostsFile ~/%h_%n_%k_%p_%r%%", ["~/hv01.example_hv01_hv01_22_a%", *map(str, system_known_hosts())]),
        ("UserKnownHostsFile %d/a ${OTHER}/b", ["~/a", "~/other/b", *map(str, system_known_hosts())]),
        ("GlobalKnownHostsFile ~/a", ["~/.ssh/known_hosts", "~/.ssh/known_hosts2", "~/a"]),
        ("GlobalKnownHostsFile none\n UserKnownHostsFile None", []),
    ],
)
def test_the_files_that_the_configuration_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, files: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("OTHER", str(tmp_path / "other"))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / "with blank").touch()
    (tmp_path / ".ssh" / "config").write_text(f"Host hv01\n HostName hv01.example\n {line}\n")

    (hop,) = Target("hv01", username="a", use_config=True).hops()
    (told,) = Target("hv01", username="a", use_config=True, known_hosts=(tmp_path / "told",)).hops()

    assert list(hop.trust.files) == [Path(file).expanduser() for file in files]
    assert told.trust.files == (tmp_path / "told",)
    for trust in (hop.trust, told.trust):  # What is revoked counts, whatever files are named.
        assert {*hop.trust.files, *user_known_hosts(), *system_known_hosts()} == set(trust.revoking)


def test_what_is_revoked_by_this_user_s_files_is_so_whatever_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / "known").write_bytes(Server("hv01").line)
    for name in ("known_hosts", "known_hosts2"):
        file = tmp_path / ".ssh" / name
        for target in (
            Target("hv01", 2222, "a", known_hosts=(tmp_path / "known",)),
            Target("hv01", 2222, "a", pins=(fingerprint(ED25519),), known_hosts=()),
        ):
            (hop,) = target.hops()
            hop.trust.check("ssh-ed25519", ED25519, "ssh://hv01")
            file.write_bytes(b"@revoked * " + Server().entry)
            with pytest.raises(UntrustedHostError, match="revoked"):
                hop.trust.check("ssh-ed25519", ED25519, "ssh://hv01")
            file.unlink()


def test_a_list_of_revoked_keys_is_taken_from_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("RevokedHostKeys ~/revoked\n")
    (tmp_path / "revoked").write_bytes(Server().entry)

    (hop,) = Target("hv01", 2222, "a", pins=(fingerprint(ED25519),), use_config=True).hops()

    with pytest.raises(UntrustedHostError, match="revoked"):
        hop.trust.check("ssh-ed25519", ED25519, "ssh://hv01")


@pytest.mark.parametrize("file", ["~/%C", "~/%", "${NOBODY_HAS_IT}/a"])
def test_a_file_of_the_configuration_that_cannot_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(f"UserKnownHostsFile {file}\n")

    with pytest.raises(ConfigurationError, match=r"UserKnownHostsFile .*: nothing is known here for [%$]"):
        Target("hv01", username="a", use_config=True).hops()


@pytest.mark.parametrize("port", ["abc", "0", "99999", "9" * 5000])
def test_a_port_of_the_configuration_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(f"Host hv01\n Port {port}\n")

    with pytest.raises(ConfigurationError, match=r"^Invalid port .*: it is not a number from 1 to 65535"):
        Host(SSH("hv01", username="a", use_config=True)).info()


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows every user is taken to have one")
def test_a_home_of_the_configuration_that_nobody_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host hv01\n UserKnownHostsFile ~nosuchuser/file\n")

    with pytest.raises(ConfigurationError, match="nobody has that home"):
        Host(SSH("hv01", username="a", use_config=True)).info()


def test_the_configuration_counts_only_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(
        "Host hv01\n HostName hv01.example\n Port 2222\n User b\n ProxyJump c@gate:23\n HostKeyAlias other\n"
        " UserKnownHostsFile ~/mine\n"
    )

    (plain,) = Target("hv01", username="a").hops()
    gate, configured = Target("hv01", use_config=True).hops()

    assert (plain.host, plain.port, plain.username) == ("hv01", 22, "a")
    assert (configured.host, configured.port, configured.username) == ("hv01.example", 2222, "b")
    assert (configured.trust.alias, configured.trust.files) == ("other", (tmp_path / "mine", *system_known_hosts()))
    assert (gate.host, gate.port, gate.username) == ("gate", 23, "c")


def test_weak_algorithms_are_off() -> None:
    transport = paramiko.Transport.__new__(paramiko.Transport)
    options = paramiko.transport.SecurityOptions(transport)
    for kind in ("ciphers", "digests", "kex", "key_types"):
        kept = strong(kind, getattr(options, kind))
        assert kept
        assert not [name for name in kept if any(weak in name for weak in ("cbc", "md5", "sha1", "-96", "dss"))]
    assert strong("kex", ["diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1"]) == ()
    assert strong("key_types", ["ssh-rsa", "ssh-dss"]) == ()
    assert strong("ciphers", ["aes256-cbc", "arcfour", "3des-cbc"]) == ()
