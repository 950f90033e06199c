"""Services inside guests that take a while to start or to stop, because a fault says so."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Pending"]


class Pending:
    """What is still starting or stopping. The world has the state that comes of it.

    Args:
        monotonic: Tells the time in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._held: dict[tuple[str, str], tuple[str, float]] = {}

    def hold(self, machine_id: str, service: str, status: str, seconds: float) -> None:
        """Have that service of that machine show *status* for so long."""
        self._held[machine_id, service.lower()] = (status, self._monotonic() + seconds)

    def status(self, machine_id: str, service: str) -> str | None:
        """What it shows meanwhile; None if it is settled."""
        status, until = self._held.get((machine_id, service.lower()), ("", 0.0))
        return status if self._monotonic() < until else None
