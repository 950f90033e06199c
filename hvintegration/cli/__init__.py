"""The command ``hvintegration``."""

from __future__ import annotations

from hvintegration.cli.command import main

__all__ = ["main"]
