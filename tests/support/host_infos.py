"""What a host says of itself, as far as advice looks at it."""

from __future__ import annotations

from datetime import UTC, datetime

from hvintegration.models import HostInfo

__all__ = ["host_info"]


def host_info(caption: str | None, version: str | None) -> HostInfo:
    """A host that says this of its system."""
    return HostInfo(
        name="HV01",
        os_caption=caption,
        os_version=version,
        os_build=None,
        language=None,
        module_version=None,
        powershell_version="5.1",
        powershell_edition="Desktop",
        language_mode="FullLanguage",
        read_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
