"""A connection that serves many tests."""

from __future__ import annotations

from hvintegration import Script, Transport

__all__ = ["Kept"]


class Kept:
    """A transport that stays open when a host is closed, for one connection to serve a whole class of tests."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner

    def __str__(self) -> str:
        return str(self.inner)

    @property
    def requests(self) -> int:
        requests: int = getattr(self.inner, "requests", 0)
        return requests

    def call(self, script: Script, document: str, /, *, timeout: float) -> str:
        return self.inner.call(script, document, timeout=timeout)

    def close(self) -> None:
        pass
