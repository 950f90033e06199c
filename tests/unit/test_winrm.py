"""What can be said of WinRM without a host."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hvintegration import Credential, Host, WinRM, connect, transport_for
from hvintegration.errors import ConfigurationError, for_command
from tests.support.secrecy import told

WHO = Credential("CORP\\admin", "Secret-1")
PIN = "ab" * 32


@pytest.mark.parametrize(
    ("host", "arguments", "address", "shown"),
    [
        ("hv01", {}, "winrm://hv01", "WinRM('hv01')"),
        ("HV01.Corp.Example", {}, "winrm://hv01.corp.example", "WinRM('hv01.corp.example')"),
        ("hv01", {"port": 5985}, "winrm://hv01", "WinRM('hv01')"),
        ("hv01", {"port": 5986}, "winrm://hv01:5986", "WinRM('hv01')"),
        ("hv01", {"tls": True}, "winrms://hv01", "WinRM('hv01', tls=True)"),
        ("hv01", {"tls": True, "port": 5986}, "winrms://hv01", "WinRM('hv01', tls=True)"),
        ("hv01", {"tls": True, "port": 5985}, "winrms://hv01:5985", "WinRM('hv01', tls=True)"),
        ("192.0.2.1", {"port": 1}, "winrm://192.0.2.1:1", "WinRM('192.0.2.1')"),
        ("2001:DB8::1", {}, "winrm://[2001:db8::1]", "WinRM('2001:db8::1')"),
        ("[2001:db8::1]", {"port": 65535}, "winrm://[2001:db8::1]:65535", "WinRM('2001:db8::1')"),
        ("fe80::1%eth0", {"tls": True}, "winrms://[fe80::1%eth0]", "WinRM('fe80::1%eth0', tls=True)"),
        ("FE80::1%Eth0", {}, "winrm://[fe80::1%Eth0]", "WinRM('fe80::1%Eth0')"),
        ("fe80::1%37", {}, "winrm://[fe80::1%37]", "WinRM('fe80::1%37')"),
        ("fe80::1%251", {}, "winrm://[fe80::1%25251]", "WinRM('fe80::1%251')"),
        ("hv01", {"credential": WHO}, "winrm://hv01", f"WinRM('hv01', credential={WHO!r})"),
    ],
)
def test_it_shows_where_to_and_who(host: str, arguments: dict[str, Any], address: str, shown: str) -> None:
    transport = WinRM(host, **arguments)

    assert (str(transport), repr(transport), transport.requests) == (address, shown, 0)
    assert str(transport_for(address)) == address
    assert Host(transport).address == address


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"auth": "digest"}, "^Invalid authentication 'digest': it is not among"),
        ({"auth": "NTLM"}, "^Invalid authentication 'NTLM': it is not among"),
        ({"auth": "basic", "credential": WHO}, "nothing would be encrypted"),
        ({"auth": "certificate", "client_certificate": "c.pem"}, "nothing would be encrypted"),
        ({"auth": "certificate", "tls": True}, "go together"),
        ({"client_certificate": "c.pem", "tls": True}, "go together"),
        ({"auth": "basic", "client_certificate": "c.pem", "tls": True, "credential": WHO}, "go together"),
        (
            {"auth": "certificate", "client_certificate": "c.pem", "tls": True, "credential": WHO},
            "takes no credential",
        ),
        ({"auth": "basic", "tls": True}, "needs a credential"),
        ({"auth": "credssp"}, "needs a credential"),
        ({"ca_file": "ca.pem"}, "for TLS"),
        ({"certificate_sha256": PIN}, "for TLS"),
        (
            {"tls": True, "certificate_sha256": ""},
            "does not consist of 64 hexadecimal digits",
        ),
        (
            {"tls": True, "certificate_sha256": PIN[1:]},
            "does not consist of 64 hexadecimal digits",
        ),
        (
            {"tls": True, "certificate_sha256": PIN + "0"},
            "does not consist of 64 hexadecimal digits",
        ),
        (
            {"tls": True, "certificate_sha256": PIN[:-1] + "g"},
            "does not consist of 64 hexadecimal digits",
        ),
        (
            {"tls": True, "certificate_sha256": "sha1:" + PIN},
            "does not consist of 64 hexadecimal digits",
        ),
        (
            {"tls": True, "certificate_sha256": "ab" * 20},
            "does not consist of 64 hexadecimal digits",
        ),
        (
            {"tls": True, "certificate_sha256": "\N{FULLWIDTH DIGIT ONE}" * 64},
            "does not consist of 64 hexadecimal digits",
        ),
        ({"port": 0}, "^Invalid port 0: it is not from 1 to 65535"),
        ({"port": -1}, "^Invalid port -1: it is not from 1 to 65535"),
        ({"port": 65536}, "^Invalid port 65536: it is not from 1 to 65535"),
        ({"configuration_name": ""}, "^Invalid configuration_name '.*': it must consist of letters"),
        ({"configuration_name": "a b"}, "^Invalid configuration_name '.*': it must consist of letters"),
        ({"configuration_name": "../x"}, "^Invalid configuration_name '.*': it must consist of letters"),
        ({"configuration_name": "x</wsman>"}, "^Invalid configuration_name '.*': it must consist of letters"),
        ({"locale": ""}, "^Invalid locale '.*': it must consist of letters"),
        ({"locale": "en-US\n"}, "^Invalid locale '.*': it must consist of letters"),
        ({"proxy": "proxy:8080"}, "^Invalid proxy: it must be http://HOST:PORT, without"),
        ({"proxy": "socks5://proxy:8080"}, "^Invalid proxy: it must be http://HOST:PORT, without"),
        ({"proxy": "https://proxy:8080"}, "^Invalid proxy: it must be http://HOST:PORT, without"),
        ({"proxy": "http://user@proxy:8080"}, "^Invalid proxy: it must be http://HOST:PORT, without"),
        ({"proxy": "http://user:Hidden-1@proxy:8080"}, "^Invalid proxy: it must be http://HOST:PORT, without"),
        ({"proxy": "http://proxy:8080/path"}, "^Invalid proxy: it must be http://HOST:PORT, without"),
        ({"proxy": "http://pro xy"}, "^Invalid proxy: it must be http://HOST:PORT, without"),
        ({"proxy": "http://"}, "^Invalid proxy: it must be http://HOST:PORT, without"),
    ],
)
def test_arguments_that_do_not_go_together_or_are_out_of_range(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as refused:
        WinRM("hv01", **arguments)
    assert "Hidden-1" not in f"{refused.value!r} {refused.value.hint}"


@pytest.mark.parametrize(
    ("arguments", "python", "command"),
    [
        ({"ca_file": "ca.pem"}, "Use winrms:// or tls=True.", "Use winrms://."),
        (
            {"auth": "basic", "credential": WHO},
            "Use TLS (winrms:// or tls=True), or auth='negotiate'.",
            "Use TLS (winrms://), or --option auth=negotiate.",
        ),
        ({"auth": "credssp"}, "Pass credential=Credential(...).", "Pass --user USER."),
        (
            {"proxy": "http://a@proxy"},
            "Pass proxy_credential=Credential(...).",
            "The command has no option for who asks at the proxy; Python has proxy_credential=Credential(...).",
        ),
    ],
)
def test_hints_that_differ_at_the_command_line(arguments: dict[str, Any], python: str, command: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        WinRM("hv01", **arguments)
    assert refused.value.hint == python
    assert for_command(refused.value.hint) == command


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "[]",
        "hv 01",
        "hv01\n",
        "hv01:5985",
        "hv01/x",
        "hv01?x",
        "hv01#x",
        "a@b",
        "hv01\0",
        "::1%",
        "http://hv01",
    ],
)
def test_a_host_that_cannot_be_one(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^Invalid host '.*': it is neither a name nor an IP address"):
        WinRM(host)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a user who is logged on")
def test_ntlm_needs_a_credential_without_windows() -> None:
    with pytest.raises(ConfigurationError, match="needs a credential"):
        WinRM("hv01", auth="ntlm")


def test_paths_are_as_good_as_texts() -> None:
    files = {"ca_file": Path("ca.pem"), "client_certificate": Path("c.pem"), "client_key": Path("k.pem")}
    assert str(WinRM("hv01", tls=True, auth="certificate", **files)) == "winrms://hv01"  # type: ignore[arg-type]


def test_secrets_show_nowhere() -> None:
    arguments: dict[str, Any] = {
        "tls": True,
        "auth": "certificate",
        "client_certificate": "c.pem",
        "client_key_password": "Hidden-1",
        "proxy": "http://proxy",
        "proxy_credential": Credential("user", "Hidden-1"),
    }
    transport = WinRM("hv01", **arguments)
    assert "Hidden-1" not in f"{transport} {transport!r} {transport._target()!r}"  # noqa: SLF001 - errors may show it
    with pytest.raises(TypeError):
        pickle.dumps(transport)
    for wrong in ({"port": 0}, {"auth": "digest"}, {"locale": "?"}):
        with pytest.raises(ConfigurationError) as refused:
            WinRM("hv01", **(arguments | wrong))
        assert not [text for text in told(refused.value) if "Hidden-1" in text]


@pytest.mark.parametrize(
    "statement",
    [
        "import hvintegration",
        "from hvintegration import WinRM",
        "from hvintegration import WinRM; print(repr(WinRM('hv01', tls=True)))",
        "import hvintegration; hvintegration.transport_for('winrms://hv01:1').close()",
        "import hvintegration; hvintegration.WinRM('hv01', tls=True, certificate_sha256='ab' * 32).close()",
    ],
)
def test_no_library_is_loaded_before_anything_is_asked(statement: str) -> None:
    program = (
        f"{statement}\nimport sys\n"
        "print(sorted({'pypsrp', 'psrpcore', 'requests', 'urllib3', 'spnego', 'ssl'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "[]"


def test_closing_what_was_never_used_is_no_error() -> None:
    transport = WinRM("hv01")

    transport.close()
    transport.close()


class TestAddresses:
    @pytest.mark.parametrize(
        ("address", "shown"),
        [
            ("winrm://HV01", "winrm://hv01"),
            ("winrm://hv01:", "winrm://hv01"),
            ("winrm://hv01/", "winrm://hv01"),
            ("winrm://hv01:80", "winrm://hv01:80"),
            ("winrms://[::1]:443/", "winrms://[::1]:443"),
            ("winrms://hv01.corp.example", "winrms://hv01.corp.example"),
            ("winrm://[fe80::1%25eth0]:80", "winrm://[fe80::1%eth0]:80"),
            ("winrm://[FE80::1%Eth0]", "winrm://[fe80::1%Eth0]"),
            ("winrm://[fe80::1%25]", "winrm://[fe80::1%2525]"),
            ("ssh://a@[fe80::1%25eth0]", "ssh://a@[fe80::1%eth0]"),
            ("ssh://a@[fe80::1%2525]", "ssh://a@[fe80::1%2525]"),
        ],
    )
    def test_forms(self, address: str, shown: str) -> None:
        assert str(transport_for(address)) == shown

    @pytest.mark.parametrize(
        "address",
        [
            "winrm:",
            "winrm:hv01",
            "winrm:/hv01",
            "winrm://",
            "winrm:///",
            "winrm:///hv01",
            "winrm://:5985",
            "winrm://hv01/wsman",
            "winrm://hv01?x=1",
            "winrm://hv01#x",
            "winrm://hv01:port",
            "winrm://hv01:99999",
            "winrm://hv01:-1",
            "winrm://hv01:0",
            "winrm://hv01:5985:5986",
            "winrm://hv 01",
            "winrm://hv\n01",
            "winrm://hv01\n",
            "winrm://hv\t01",
            "winrm://hv01\r\nX-Header: 1",
            "winrm://hv01\0",
            "winrm://[::1",
            "winrm://::1",
            "winrm://[hv01]",
            "winrm://hv01\\x",
            "winrm://hv%2f01",
            "winrm://hv\N{FULLWIDTH SOLIDUS}01",
            "winrm://hv\N{RIGHT-TO-LEFT OVERRIDE}01",
        ],
    )
    def test_what_is_no_address(self, address: str) -> None:
        with pytest.raises(ConfigurationError) as refused:
            connect(address)
        assert str(refused.value).isprintable()

    @pytest.mark.parametrize("address", ["winrm://admin@hv01", "winrms://CORP%5Cadmin@hv01:1", "winrm://@hv01"])
    def test_a_user_is_refused(self, address: str) -> None:
        with pytest.raises(ConfigurationError, match="has no user") as refused:
            transport_for(address)
        assert refused.value.hint == "Pass credential=Credential(...)."
        assert for_command(refused.value.hint) == "Pass --user USER."

    @pytest.mark.parametrize("scheme", ["winrm", "winrms", "WINRM", "https", "no-such"])
    @pytest.mark.parametrize(
        "rest",
        [
            "//admin:Hidden-1@hv01",
            "//admin:Hidden-1@hv01:5985/wsman",
            "//:Hidden-1@hv01",
            "//admin:Hidden-1@",
            "//admin:Hidden-1@[hv01",
            "//admin:x@Hidden-1@hv01",
            "//admin:x/Hidden-1@hv01",
            "//admin:x?Hidden-1@hv01",
            "//admin:x#Hidden-1@hv01",
            "/admin:Hidden-1@hv01",
            "///admin:Hidden-1@hv01",
            "admin:Hidden-1@hv01",
            "\\\\admin:Hidden-1@hv01",
            "//hv01/?user=admin:Hidden-1@x",
            "//admin:Hidden-1@hv\n01",
        ],
    )
    def test_a_password_is_refused_and_not_repeated(self, scheme: str, rest: str) -> None:
        with pytest.raises(ConfigurationError, match="must not contain a password") as refused:
            transport_for(f"{scheme}:{rest}")
        assert "Hidden-1" not in f"{refused.value!r} {refused.value.hint} {refused.value.__notes__}"

    @pytest.mark.parametrize("path", ["C:\\Users\\me@corp.example\\pwsh.exe", "/opt/a:b@c/pwsh"])
    def test_a_path_may_look_like_one(self, path: str) -> None:
        assert "pwsh" in str(transport_for(f"local:{path}"))

    def test_options(self) -> None:
        assert str(transport_for("winrms://hv01", options={"certificate_sha256": PIN})) == "winrms://hv01"
        for options in ({"password": "Hidden-1"}, {"client_key_password": "Hidden-1"}, {"tls": "Hidden-1"}):
            with pytest.raises(ConfigurationError, match="has no option") as refused:
                transport_for("winrms://hv01", options=options)
            assert "Hidden-1" not in f"{refused.value!r} {refused.value.hint}"
