"""What the command line says."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from hvintegration.clock import Deadline
from hvintegration.findings import Severity
from hvintegration.service_kind import ServiceKind
from hvintegration.session import DEFAULT_TIMEOUT

__all__ = ["REPORT_FORMATS", "TABLE_FORMATS", "Options"]

TABLE_FORMATS: Final = ("table", "json", "csv")
"""Formats of what commands show, the default first."""

REPORT_FORMATS: Final = ("text", "markdown", "junit", "html", *TABLE_FORMATS)
"""Formats of what was found wrong, likewise."""


class Options(argparse.Namespace):
    """What the command line says, and what holds where it says nothing."""

    host: str = "local:"
    timeout: float = DEFAULT_TIMEOUT
    format: str = ""
    formats: Sequence[str] = TABLE_FORMATS
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
    accept: Path | None = None
    since: Path | None = None
    finding: str
    saved: Path | None = None
    output: Path | None = None
    fail_on: Severity = Severity.ERROR
    inside: str | None = None
    guest: str | None = None
    guests: Sequence[tuple[str, str]] = ()
    guest_option: Sequence[tuple[str, str]] = ()
    advised: str | None = None
    host_os: str | None
    guest_os: str | None
    generation: str
    offline_script: bool
    shown: bool = False
    changed: bool = False
