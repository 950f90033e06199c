"""What handles with a session of their own have in common: they close it, and are equal when they have the same."""

from __future__ import annotations

import abc
from types import TracebackType
from typing import Self, TypeVar

from hvintegration.clock import Timeout
from hvintegration.processes import OfThisProcess
from hvintegration.session import Session

__all__ = ["SessionOwner", "opened"]

Owner = TypeVar("Owner", bound="SessionOwner")


class SessionOwner(OfThisProcess, abc.ABC):
    """A handle on a whole machine, a host or a guest. At the end of a ``with`` statement it is closed."""

    __slots__ = ("__weakref__", "_session")

    _session: Session

    @abc.abstractmethod
    def info(self, *, timeout: Timeout = None) -> object:
        """What the machine says of itself. One round trip."""

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self._session is other._session

    def __hash__(self) -> int:
        return hash(self._session)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._session.address}>"


def opened(owner: Owner, timeout: Timeout) -> Owner:
    """*owner*, once it has answered; else it is closed. One round trip."""
    try:
        owner.info(timeout=timeout)
    except BaseException:
        owner.close()
        raise
    return owner
