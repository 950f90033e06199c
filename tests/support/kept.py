"""A connection that serves many tests."""

from __future__ import annotations

from hvintegration import Transport
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.transports.base import requests_of

__all__ = ["Kept"]


class Kept:
    """A transport that stays open when a host is closed, for one connection to serve a whole class of tests."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner

    def __str__(self) -> str:
        return str(self.inner)

    @property
    def requests(self) -> int | None:
        return requests_of(self.inner)

    def call(self, call: Call, deadline: Deadline, /) -> str:
        return self.inner.call(call, deadline)

    def close(self) -> None:
        pass
