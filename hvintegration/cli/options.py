"""What the command line says."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from hvintegration.clock import Deadline
from hvintegration.service_kind import ServiceKind
from hvintegration.session import DEFAULT_TIMEOUT

__all__ = ["Options"]


class Options(argparse.Namespace):
    """What the command line says, and what holds where it says nothing."""

    host: str = "local:"
    timeout: float = DEFAULT_TIMEOUT
    format: str = "table"
    run: Callable[[Options], int]
    services: Sequence[str] = ()
    kinds: Sequence[ServiceKind]
    vm: str
    vms: list[str]
    folder: Path
    all: bool
    enable: bool
    dry_run: bool
    deadline: Deadline
    user: str | None = None
    guest_vm: str | None = None
    guest_user: str | None = None
    startup: str
    sudo: bool = False
    yes: bool = False
    option: Sequence[tuple[str, str]] = ()
    record: str | None = None
    address: str | None = None
    shown: bool = False
    changed: bool = False
