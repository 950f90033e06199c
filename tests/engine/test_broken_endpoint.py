"""An endpoint whose start-up script fails: what the host says of it is told, once, whichever way leads there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hvintegration import SSH, Credential, Host, Local, Transport, WinRM
from hvintegration.errors import CommandFailedError
from tests.support.endpoints import wait_until

if TYPE_CHECKING:
    from tests.conftest import Bridge
    from tests.support.sshd import Sshd

pytestmark = pytest.mark.engine

WHY = "The module Contoso.HyperV could not be loaded: its licence has expired."


@pytest.fixture
def broken(tmp_path: Path) -> list[str]:
    """Arguments for a PowerShell that opens no session."""
    (tmp_path / "start.ps1").write_text(f"throw '{WHY}'\n")
    (tmp_path / "endpoint.pssc").write_text(
        "@{ SchemaVersion = '2.0.0.0'; GUID = '5f0c2f0e-0000-4000-8000-000000000003';"
        f" SessionType = 'Default'; ScriptsToProcess = @('{tmp_path / 'start.ps1'}') }}"
    )
    return ["-ConfigurationFile", str(tmp_path / "endpoint.pssc")]


def check(transport: Transport) -> None:
    with contextlib.closing(Host(transport)) as host:
        with pytest.raises(CommandFailedError) as failed:
            host.vms.list(timeout=30)
        assert host.session.stats.round_trips == 1
        step = host.check(timeout=30).failed

    assert WHY in failed.value.host_message
    assert WHY in str(failed.value)
    assert failed.value.error_id
    assert failed.value.category
    assert failed.value.retryable is False
    assert step is not None
    assert (step.name, WHY in step.detail) == ("PowerShell", True)


def test_local(engine: str, broken: list[str]) -> None:
    check(Local([engine, *broken]))


@pytest.mark.parametrize("way", ["subsystem", "program"])
def test_ssh(engine: str, broken: list[str], start_sshd: Callable[..., Sshd], way: str) -> None:
    program = " ".join([engine, *broken])
    server = start_sshd(*[f"Subsystem powershell {program} -sshs -NoLogo -NoProfile"] * (way == "subsystem"))
    ssh: SSH = server.ssh(program=program)
    check(ssh)
    assert wait_until(lambda: server.engines() == 0)


def test_winrm(broken: list[str], start_bridge: Callable[..., Bridge], world_file: Path) -> None:
    bridge = start_bridge(auth="ntlm", world=world_file, program=broken)
    check(WinRM("127.0.0.1", port=bridge.port, credential=Credential("BRIDGE\\admin", "Secret-1"), auth="ntlm"))
    assert bridge.stats()["counts"]["Create"] == 2
    assert bridge.stats()["shells"] == 0
