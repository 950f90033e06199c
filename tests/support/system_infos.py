"""What hosts and guests say of themselves, as far as advice looks at it."""

from __future__ import annotations

from datetime import UTC, datetime

from hvintegration.guest_models import GuestFamily, GuestInfo
from hvintegration.models import HostInfo

__all__ = ["guest_info", "host_info"]


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


def guest_info(
    caption: str | None, version: str | None, family: GuestFamily = GuestFamily.WINDOWS, build: str | None = None
) -> GuestInfo:
    """A guest that says this of its system."""
    return GuestInfo(
        address="sim:",
        family=family,
        name=None,
        caption=caption,
        os_version=version,
        os_build=build,
        vm_id=None,
        vm_name=None,
        host_name=None,
        integration_services_version=None,
        administrator=None,
        powershell_version=None,
        powershell_edition=None,
        language_mode=None,
        read_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
