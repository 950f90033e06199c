"""Linux guests for tests. ``HVINTEGRATION_LINUX_GUEST`` names the program that starts them; without it they skip."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.linux_guest import KINDS, LinuxGuest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, in one of several processes, the tests that share a guest."""
    for item in items:
        if isinstance(item, pytest.Function) and "linux_guest" in item.fixturenames:
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            item.add_marker(pytest.mark.xdist_group(f"linux-{parameters.get('linux_guest', '')}"))


@pytest.fixture(params=KINDS)
def linux_guest(request: pytest.FixtureRequest, start_linux: Callable[..., LinuxGuest]) -> LinuxGuest:
    """A Linux guest of each kind: systemd, SysV scripts, OpenRC, and busybox without an init system."""
    return start_linux("--init", str(request.param))
