"""Names that stand for several places."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from hvintegration import Host, WinRM
from hvintegration.clock import Deadline
from hvintegration.errors import ConnectError, TransportTimeoutError
from hvintegration.simulator import demo_world
from hvintegration.transports.winrm.connecting import dial
from tests.support.hostile_http import WHO
from tests.support.resolver import resolve_by
from tests.support.time_limit import GRACE, within
from tests.support.wsman_server import WSManServer


def stand_for(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
    resolve_by(monkeypatch, lambda _name, _port: found)


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


@contextlib.contextmanager
def full_listener() -> Iterator[tuple[str, int]]:
    """Where nothing is ever said: a listener whose queue is full drops packets, on Linux."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = sockets.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


def test_a_place_that_says_nothing_does_not_take_all_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with WSManServer(demo_world()) as server, full_listener() as place:
        stand_for(monkeypatch, place, (server.host, server.port))
        with Host(WinRM("hv01", credential=WHO, auth="ntlm")) as host, within(6):
            assert host.info(timeout=6).name == "HV01"


def test_many_places_that_say_nothing_do_not_take_more_than_all_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_listener() as place:
        stand_for(monkeypatch, *[place] * 5000)
        target = WinRM("hv01", credential=WHO, auth="ntlm")._target()  # noqa: SLF001 - the worker ends then, too
        with within(0.3 + GRACE), pytest.raises(TransportTimeoutError):
            dial(target, Deadline(0.3))


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
