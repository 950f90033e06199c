"""A resolver for one test."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Final

import pytest

THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1"})
"""Where tests have their own servers."""


def resolve_by(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, int | None], Any]) -> None:
    """Let *answer* say what names and addresses stand for, instead of ``socket.getaddrinfo``, until the test is over.

    This machine stays what it is: behind an earlier test's back, what it began may still be ended over there.
    """
    real = socket.getaddrinfo

    def resolve(name: Any, port: Any, *rest: Any, **more: Any) -> Any:  # noqa: ANN401 - as it comes
        return real(name, port, *rest, **more) if name in THIS_MACHINE else answer(name, port)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
