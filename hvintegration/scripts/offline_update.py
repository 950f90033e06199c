"""A script for administrators that updates the integration services of a guest that is off. Nothing here runs it."""

from __future__ import annotations

import functools
from typing import Final

__all__ = ["OFFLINE_UPDATE", "offline_update_script"]

OFFLINE_UPDATE: Final = "Update-OfflineIntegrationServices.ps1"
"""Name of its file."""


@functools.cache
def offline_update_script() -> str:
    """The text of a PowerShell script that adds a cabinet file to the disk of a Windows guest that is off. ASCII.

    It is for Windows PowerShell 5.1 on a Hyper-V host, and for an administrator who has read what to heed, which
    stands in its help, at its beginning: a backup, a virtual machine that is off, no checkpoints, no differencing disk.
    Its parameters are the disk (``-Path``) and the cabinet file (``-PackagePath``); ``-WhatIf`` changes nothing. The
    disk is dismounted whatever happens. This package does not run it.
    """
    import importlib.resources  # late, for a light `import hvintegration`

    return (importlib.resources.files("hvintegration.scripts") / "offline" / OFFLINE_UPDATE).read_text("ascii")
