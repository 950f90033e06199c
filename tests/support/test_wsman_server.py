"""The WSMan server as a client sees it that somebody else wrote: pypsrp."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from pypsrp.exceptions import AuthenticationError, WinRMError, WinRMTransportError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from hvintegration import World
from hvintegration.powershell import GET_VMS, SET_SERVICES, Script
from hvintegration.service_kind import ServiceKind
from hvintegration.simulator import Fault, demo_world
from tests.support.psrp_server import FUNCTIONS
from tests.support.wsman_server import Action, Kind, WSManServer


@pytest.fixture
def world() -> World:
    return demo_world()


@pytest.fixture
def server(world: World) -> Iterator[WSManServer]:
    with WSManServer(world) as running:
        yield running


def connect(server: WSManServer, **changes: object) -> WSMan:
    if server.certificate is None:
        options: dict[str, object] = {"ssl": False, "auth": server.auth}
    else:
        options = {"auth": server.auth, "cert_validation": str(server.certificate.path)}
    options |= {"port": server.port, "username": server.username, "password": server.password, "read_timeout": 30}
    return WSMan(server.host, **(options | changes))


def run(pool: RunspacePool, script: Script, document: object) -> dict[str, object]:
    shell = PowerShell(pool)
    shell.add_script(script.text).add_parameter("Document", json.dumps(document))
    (answer,) = shell.invoke()
    found: dict[str, object] = json.loads(answer)
    return found


def list_vms(pool: RunspacePool) -> object:
    return run(pool, GET_VMS, {"vm_id": None, "name": None, "info": False, "services": False})["result"]


def test_x(server: WSManServer) -> None:
    with connect(server) as wsman, RunspacePool(wsman) as pool:
        print(list_vms(pool))
    print(server.counts, server.actions)
    assert 0
