"""What is no host's name is said to be none, whichever way it was to lead to it, before anybody is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

import hvintegration as hv
from hvintegration.errors import ConfigurationError
from hvintegration.transports.host_names import check_host
from tests.support.resolver import resolve_by

LABEL = "a" * 63

NONE = {
    "a..b": "a part of it between dots is empty",
    ".a": "a part of it between dots is empty",
    "a..": "a part of it between dots is empty",
    ".": "a part of it between dots is empty",
    f"{LABEL}a.example": "a part of it between dots is longer than 63 characters",
    ".".join([LABEL] * 4): "it is longer than 253 characters",
}

NOT_EVEN_TEXT = {
    "hv\ud80001": "has some that no name has",
    "hv\0x": "it has a character that no name has",
    "é" * 60: "a part of it between dots is longer than 63 characters",
    "": "a part of it between dots is empty",
}

WAYS: dict[str, Callable[[str], object]] = {
    "winrm": lambda host: hv.connect(f"winrm://{host}"),
    "winrms": lambda host: hv.connect(f"winrms://{host}:5986"),
    "ssh": lambda host: hv.connect(f"ssh://admin@{host}:22"),
    "WinRM": hv.WinRM,
    "SSH": hv.SSH,
    "jump host": lambda host: hv.SSH("hv01", jump_hosts=[f"a@{host}:22"]),
    "proxy": lambda host: hv.WinRM("hv01", proxy=f"http://{host}:8080"),
    "option": lambda host: hv.transport_for("winrm://hv01", options={"proxy": f"http://{host}"}),
}


@pytest.fixture(autouse=True)
def no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for a name is a failure here."""

    def asked(_name: str, _port: int | None) -> NoReturn:
        raise AssertionError("a name was asked for")

    resolve_by(monkeypatch, asked)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("host", "why"), NONE.items(), ids=range(len(NONE)))
def test_an_invalid_name_is_named_before_anything_is_sent(way: str, host: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        WAYS[way](host)

    assert str(refused.value).startswith(f"Invalid {'proxy' if way in {'proxy', 'option'} else 'host'} '{host[:190]}")
    assert why in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(("host", "why"), NOT_EVEN_TEXT.items(), ids=range(len(NOT_EVEN_TEXT)))
def test_what_no_resolver_takes_is_no_name(host: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        check_host(host)
    for make in (hv.WinRM, hv.SSH):
        with pytest.raises(ConfigurationError, match=r"^Invalid host"):
            make(host)


@pytest.mark.parametrize(
    "host",
    ["hv01", "hv01.corp.example.", LABEL, f"{LABEL}.{LABEL}.{LABEL}.{'a' * 61}.", "10.0.0.1", "fe80::1%eth0", "bücher"],
)
def test_a_name_or_an_address_is_taken(host: str) -> None:
    check_host(host)
    hv.WinRM(host, proxy="http://[2001:db8::1]:8080/")


@pytest.mark.parametrize("port", ["0", "65536", "99999", "x", ""])
def test_a_proxy_has_a_port_that_can_be_one(port: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^Invalid proxy: it must be http://HOST:PORT"):
        hv.WinRM("hv01", proxy=f"http://proxy:{port}")


def test_an_alias_need_be_no_name_but_what_it_stands_for_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(
        "Host a..b\n HostName c..d\nHost program\n HostName c..d\n ProxyCommand connect %h\n"
        "Host jump\n HostName hv01\n ProxyJump e..f\n"
    )

    with pytest.raises(ConfigurationError, match=r"^Invalid host 'c\.\.d'"):
        hv.Host(hv.SSH("a..b", username="a", use_config=True)).info()
    with pytest.raises(ConfigurationError, match=r"^Invalid host 'e\.\.f'"):
        hv.Host(hv.SSH("jump", username="a", use_config=True)).info()
    (hop,) = hv.SSH("program", username="a", use_config=True)._target.hops()  # noqa: SLF001
    assert hop.host == "c..d"
