"""The table of faults of Linux guests, and what is asked of them: of those that are played, and of real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hvintegration.errors import HvError
from hvintegration.guest import Guest
from hvintegration.guest_models import GuestInventory
from hvintegration.service_kind import ServiceKind
from tests.support.fault_table import Table
from tests.support.secrecy import assert_clean_error

TABLE: Final = Table(Path(__file__).parents[1] / "faults" / "linux_faults.json")
KVP: Final = ServiceKind.KVP
LONGEST_SENTENCE: Final = 1000


def read(guest: Guest, timeout: float) -> str:
    """What is said of the daemon, or the error."""
    try:
        inventory = guest.inventory(timeout=timeout)
    except HvError as error:
        return _told(error)
    _assert_showable(inventory)
    (state,) = (state for state in inventory.services if state.kind is KVP)
    return {None: "unknown", True: "runs", False: "does not run"}[state.running]


def stop(guest: Guest, timeout: float) -> str:
    """What is said of stopping it, or the error."""
    try:
        (made,) = guest.set_services({KVP: False}, timeout=timeout)
    except HvError as error:
        return _told(error)
    return made.outcome.value


def stop_it(guest: Guest, timeout: float) -> str:
    """What becomes of stopping it alone, or the error."""
    try:
        state = guest.services[KVP].stop(timeout=timeout)
    except HvError as error:
        return _told(error)
    return "stopped" if state.running is False else "unknown"


def _told(error: HvError) -> str:
    """Its class; checked to be fit for showing, and to tell no secret."""
    assert_clean_error(error)
    assert all(character.isprintable() for character in f"{error}{error.hint}"), str(error)
    assert len(str(error)) < LONGEST_SENTENCE
    return type(error).__name__


def _assert_showable(inventory: GuestInventory) -> None:
    """Fail if what a terminal is sent has anything in it that it would obey."""
    for text in (inventory.table().to_text(), inventory.info.table().to_text()):
        assert all(character.isprintable() or character == "\n" for character in text)
