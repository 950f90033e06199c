"""The transport contract over WinRM without an engine: on a WSMan server in this process, over the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hvintegration import Credential, Transport, WinRM
from hvintegration.testing import TransportContract
from tests.support.psrp_server import FUNCTIONS
from tests.support.wsman_server import WSManServer


class TestLoopback(TransportContract):
    @pytest.fixture
    def server(self, world_file: Path) -> Iterator[WSManServer]:
        with WSManServer(
            world_file, configurations={"Microsoft.PowerShell": None, "HvIntegration": FUNCTIONS}
        ) as running:
            yield running

    @pytest.fixture(params=["Microsoft.PowerShell", "HvIntegration"], ids=["scripts", "functions"])
    def transport(self, server: WSManServer, request: pytest.FixtureRequest) -> Transport:
        who = Credential(server.username, server.password)
        return WinRM(server.host, port=server.port, credential=who, auth="ntlm", configuration_name=request.param)
