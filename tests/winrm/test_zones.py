"""An IPv6 address with a zone: it is looked up as it was typed, and nobody over there hears of the zone."""

from __future__ import annotations

import socket
from typing import NoReturn

import pytest

from hvintegration import Host, WinRM, transport_for
from hvintegration.errors import ConnectError
from tests.support.hostile_http import WHO, HostileServer, page
from tests.support.resolver import resolve_by


@pytest.mark.parametrize(
    ("host", "dialled"),
    [
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("FE80::1%Eth0", "fe80::1%Eth0"),
        ("fe80::1%37", "fe80::1%37"),
        ("fe80::1%7", "fe80::1%7"),
        ("fe80::1%25", "fe80::1%25"),
        ("fe80::1%25eth0", "fe80::1%25eth0"),
        ("winrm://[fe80::1%25eth0]", "fe80::1%eth0"),
        ("winrm://[fe80::1%eth0]", "fe80::1%eth0"),
        ("winrm://[fe80::1%37]", "fe80::1%37"),
        ("winrm://[fe80::1%2537]", "fe80::1%37"),
        ("winrm://[fe80::1%25]", "fe80::1%25"),
    ],
)
def test_it_is_dialled_as_it_was_typed(host: str, dialled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    with HostileServer(before=lambda _: page("404 Not Found")) as server:

        def spy(name: str, _port: int | None) -> object:
            asked.append(name)
            return socket.getaddrinfo("127.0.0.1", server.port, type=socket.SOCK_STREAM)

        resolve_by(monkeypatch, spy)
        transport = transport_for(host, credential=WHO, options={"auth": "ntlm"}) if "/" in host else None
        with Host(transport or WinRM(host, auth="ntlm", credential=WHO)) as asking, pytest.raises(ConnectError):
            asking.info(timeout=20)
        monkeypatch.undo()

    assert asked == [dialled]
    assert [request.headers["host"] for request in server.requests] == ["[fe80::1]:5985"]


@pytest.mark.parametrize(
    ("address", "dialled"),
    [
        ("ssh://admin@[fe80::1%25eth0]", "fe80::1%eth0"),
        ("ssh://admin@[fe80::1%eth0]", "fe80::1%eth0"),
        ("ssh://admin@[fe80::1%2537]", "fe80::1%37"),
        ("ssh://admin@[fe80::1%25]", "fe80::1%25"),
    ],
)
def test_so_it_is_over_ssh(address: str, dialled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def spy(name: str, _port: int | None) -> NoReturn:
        asked.append(name)
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    with Host(transport_for(address)) as asking:
        resolve_by(monkeypatch, spy)
        with pytest.raises(ConnectError):
            asking.info(timeout=20)
        monkeypatch.undo()

    assert asked == [dialled]
