"""Names that stand for several places."""

from __future__ import annotations

import socket

import pytest

from hvintegration import Host, WinRM
from hvintegration.errors import ConnectError
from hvintegration.simulator import demo_world
from tests.support.hostile_http import WHO
from tests.support.time_limit import within
from tests.support.wsman_server import WSManServer


def stand_for(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.fixture
def dead() -> tuple[str, int]:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        place: tuple[str, int] = closed.getsockname()
    return place


def test_the_next_place_is_tried(monkeypatch: pytest.MonkeyPatch, dead: tuple[str, int]) -> None:
    with WSManServer(demo_world()) as server:
        stand_for(monkeypatch, dead, (server.host, server.port))
        with Host(WinRM("hv01", credential=WHO, auth="ntlm")) as host:
            assert host.info(timeout=20).name == "HV01"


def test_a_place_that_says_nothing_does_not_take_all_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full drops packets, on Linux."""
    with WSManServer(demo_world()) as server, socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:
            sock.setblocking(False)  # noqa: FBT003 - it has no other name
            sock.connect_ex(listener.getsockname())
        stand_for(monkeypatch, listener.getsockname(), (server.host, server.port))
        with Host(WinRM("hv01", credential=WHO, auth="ntlm")) as host, within(6):
            assert host.info(timeout=6).name == "HV01"
        for sock in waiting:
            sock.close()


@pytest.mark.parametrize("times", [1, 3])
def test_nobody_at_any_place(monkeypatch: pytest.MonkeyPatch, dead: tuple[str, int], times: int) -> None:
    stand_for(monkeypatch, *[dead] * times)
    with Host(WinRM("hv01", credential=WHO, auth="ntlm")) as host, pytest.raises(ConnectError, match="refused"):
        host.info(timeout=20)


def test_a_name_that_nobody_knows() -> None:
    with (
        Host(WinRM("no-such-host.invalid", credential=WHO, auth="ntlm")) as host,
        pytest.raises(ConnectError, match=r"the name no-such-host\.invalid cannot be resolved"),
    ):
        host.info(timeout=20)
