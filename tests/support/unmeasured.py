"""Programs whose own coverage nobody asks for: measuring would take half of their time."""

from __future__ import annotations

from typing import Final

__all__ = ["MEASURING"]

MEASURING: Final = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""Environment variables by which coverage measures the processes that a measured one starts."""
