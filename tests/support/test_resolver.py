"""The resolver for one test asks nobody but the test, except about this machine."""

from __future__ import annotations

import socket

import pytest

from tests.support.resolver import THIS_MACHINE, resolve_by


def test_this_machine_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        resolve_by(monkeypatch, lambda name, _port: asked.append(name))
        for name in THIS_MACHINE:
            socket.create_connection((name, server.getsockname()[1])).close()
        assert not asked

        socket.getaddrinfo("hv01", 5985)
    assert asked == ["hv01"]
