"""Fixtures of all tests: the PowerShell engine, if there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["hvintegration.testing"]


@pytest.fixture(scope="session")
def engine() -> str:
    """Path of the PowerShell engine with the stand-in Hyper-V module, from ``HVINTEGRATION_PWSH``."""
    path = os.environ.get("HVINTEGRATION_PWSH")
    if not path:
        pytest.skip("HVINTEGRATION_PWSH does not name a PowerShell engine with the stand-in Hyper-V module")
    if not Path(path).is_file():
        pytest.fail(f"HVINTEGRATION_PWSH names {path}, which is no file")
    return path
