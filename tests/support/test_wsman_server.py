"""The WSMan server as a client sees it that somebody else wrote: pypsrp."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import ParseError

import pytest
import requests
from pypsrp.exceptions import AuthenticationError, WinRMError, WinRMTransportError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from hvintegration import World
from hvintegration.scripts import GET_VMS, SET_SERVICES, Script
from hvintegration.service_kind import ServiceKind
from hvintegration.simulator import Fault, demo_world
from tests.support.psrp_server import FUNCTIONS
from tests.support.time_limit import within
from tests.support.wsman_server import Kind, WSManServer


@pytest.fixture
def world() -> World:
    return demo_world()


@pytest.fixture
def server(world: World) -> Iterator[WSManServer]:
    with WSManServer(world) as running:
        yield running


def connect(server: WSManServer, **changes: Any) -> WSMan:  # noqa: ANN401 - as WSMan has them
    if server.certificate is None:
        options: dict[str, Any] = {"ssl": False}
    else:
        options = {"cert_validation": str(server.certificate.path)}
    # Not negotiate, which would first ask the network for a Kerberos realm.
    options["auth"] = "ntlm" if server.auth == "negotiate" else server.auth
    options |= {"port": server.port, "username": server.username, "password": server.password, "read_timeout": 30}
    return WSMan(server.host, **(options | changes))


def run(pool: RunspacePool, script: Script, document: object) -> dict[str, object]:
    shell = PowerShell(pool)
    shell.add_script(script.text).add_parameter("Document", json.dumps(document))
    (answer,) = shell.invoke()
    found: dict[str, object] = json.loads(answer)
    return found


def list_vms(pool: RunspacePool) -> int:
    result = run(pool, GET_VMS, {"vm_id": None, "name": None, "info": False, "services": False})["result"]
    assert isinstance(result, dict)
    return len(result["vms"])


def switch(pool: RunspacePool, world: World, *, enabled: bool) -> None:
    vss = {"vm_id": world.machine("demovm").id, "component_id": ServiceKind.VSS.component_id, "enabled": enabled}
    run(pool, SET_SERVICES, {"dry_run": False, "changes": [vss]})


def receive(pool: RunspacePool, shell: PowerShell, *, seconds: int) -> None:
    pool._receive(shell.id, timeout=seconds)  # noqa: SLF001 - the rest of pypsrp waits for the end


def test_a_foreign_client_runs_a_script_with_sealed_messages(server: WSManServer, world: World) -> None:
    with connect(server) as wsman, RunspacePool(wsman) as pool:
        assert list_vms(pool) == 5
        switch(pool, world, enabled=False)
        assert server.open_shells == 1
        assert server.open_commands == 2  # pypsrp does not signal them
        assert server.running_scripts == 0

    assert world.journal == ["disable demovm vss"]
    assert server.actions == {"Create": 1, "Command": 2, "Receive": 3, "Delete": 1}
    assert server.counts["unauthorized"] == 2
    assert server.open_shells == 0


def test_a_foreign_client_negotiates(server: WSManServer) -> None:
    with connect(server, auth="negotiate") as wsman, RunspacePool(wsman) as pool:
        assert list_vms(pool) == 5


def test_a_foreign_client_runs_a_script_over_tls(world: World) -> None:
    with WSManServer(world, tls=True) as server:
        with connect(server) as wsman, RunspacePool(wsman) as pool:
            assert list_vms(pool) == 5
        assert server.actions["Receive"] == 2


def test_tls_binds_negotiate_to_its_channel(world: World) -> None:
    with WSManServer(world, tls=True, auth="negotiate", username="CORP\\anne") as server:
        with connect(server) as wsman, RunspacePool(wsman) as pool:
            assert list_vms(pool) == 5
        with pytest.raises(AuthenticationError):
            RunspacePool(connect(server, negotiate_send_cbt=False)).open()


def test_an_unknown_certificate_is_the_clients_affair(world: World) -> None:
    with WSManServer(world, tls=True) as server:
        with pytest.raises(requests.exceptions.SSLError):
            RunspacePool(connect(server, cert_validation=True)).open()
        assert server.counts["requests"] == 0


@pytest.mark.parametrize("tls", [False, True])
def test_a_wrong_password_is_refused(world: World, *, tls: bool) -> None:
    with WSManServer(world, tls=tls) as server, pytest.raises(AuthenticationError):
        RunspacePool(connect(server, password="wrong")).open()


def test_what_is_not_sealed_is_refused(server: WSManServer) -> None:
    with pytest.raises(WinRMTransportError, match="403"):
        RunspacePool(connect(server, encryption="never")).open()


def test_a_restricted_endpoint_has_functions_only(world: World) -> None:
    with WSManServer(world, configurations={"Reader": FUNCTIONS}) as server, connect(server) as wsman:
        with RunspacePool(wsman, configuration_name="Reader") as pool:
            refused = PowerShell(pool)
            refused.add_script(GET_VMS.text)
            assert refused.invoke() == []
            assert "Scripts are not allowed" in str(refused.streams.error[0])
            function = PowerShell(pool)
            function.add_cmdlet(GET_VMS.function).add_parameter(
                "Document", '{"vm_id":null,"name":null,"info":0,"services":0}'
            )
            assert len(json.loads(function.invoke()[0])["result"]["vms"]) == 5
        with pytest.raises(WSManFaultError, match="session configuration"):
            RunspacePool(wsman).open()


def test_a_receive_waits_no_longer_than_its_operation_timeout(server: WSManServer, world: World) -> None:
    world.faults = [Fault(action="delay", seconds=600, machine="demovm")]
    with connect(server) as wsman, RunspacePool(wsman) as pool:
        shell = PowerShell(pool)
        shell.add_script(GET_VMS.text)
        shell.add_parameter("Document", '{"vm_id":null,"name":null,"info":true,"services":true}').begin_invoke()
        with pytest.raises(WSManFaultError) as late:
            receive(pool, shell, seconds=1)
        assert late.value.code == 2150858793
        assert server.running_scripts == 1
        shell.stop()
        assert server.running_scripts == 0


def test_what_is_larger_than_an_envelope_takes_several_receives(server: WSManServer, world: World) -> None:
    world.machine("demovm").notes = "x" * 500_000
    with connect(server) as wsman, RunspacePool(wsman) as pool:
        run(pool, GET_VMS, {"vm_id": None, "name": None, "info": True, "services": False})

    assert server.actions["Receive"] == 1 + 2  # of 500 KB, which is what pypsrp asks for once the pool is open


def test_quotas_are_full(server: WSManServer) -> None:
    server.shells.max_shells = 1
    server.shells.max_commands = 1
    with connect(server) as wsman, RunspacePool(wsman) as pool:
        list_vms(pool)
        with pytest.raises(WSManFaultError, match="commands per shell") as commands:
            list_vms(pool)
        with pytest.raises(WSManFaultError, match="concurrent shells") as shells:
            RunspacePool(wsman).open()

    assert (commands.value.code, shells.value.code) == (2150859241, 2150859173)


def test_an_idle_shell_vanishes(server: WSManServer) -> None:
    server.shells.idle_seconds = 0
    with connect(server) as wsman:
        pool = RunspacePool(wsman)
        with pytest.raises(WSManFaultError) as gone:
            pool.open()  # The shell is gone before the first Receive.

    assert gone.value.code == 2150858843
    assert server.open_shells == 0


FAULTS: dict[Kind, type[Exception]] = {
    "drop": requests.ConnectionError,
    "hang": requests.ReadTimeout,
    "400": WinRMTransportError,
    "403": WinRMTransportError,
    "404": WinRMTransportError,
    "500": WinRMTransportError,
    "503": WinRMTransportError,
    "truncate": requests.exceptions.ChunkedEncodingError,
    "stalled-header": requests.ReadTimeout,
    "stalled-body": requests.ConnectionError,
    "html": ParseError,
    "truncated-xml": ParseError,
    "foreign-xml": WinRMError,
    "wrong-relates-to": WinRMError,
    "shell-vanished": WSManFaultError,
    "413": WinRMTransportError,
    "fault": WSManFaultError,
    "doctype": Exception,
}


@pytest.mark.parametrize(
    ("kind", "tls"), [*((kind, False) for kind in FAULTS), ("drop", True), ("truncate", True), ("hang", True)]
)
@pytest.mark.parametrize("carried_out", [False, True])
def test_a_command_is_carried_out_or_not_as_planned(world: World, kind: Kind, *, tls: bool, carried_out: bool) -> None:
    with WSManServer(world, tls=tls) as server, connect(server, read_timeout=0.3) as wsman:
        pool = RunspacePool(wsman)
        pool.open()
        fault = server.misbehave(kind, action="Command", carried_out=carried_out)

        with pytest.raises(FAULTS[kind]):
            switch(pool, world, enabled=False)

        assert fault.struck == 1
        assert world.journal == (["disable demovm vss"] if carried_out and kind != "shell-vanished" else [])


def test_nobody_comes_in(server: WSManServer) -> None:
    fault = server.misbehave("unauthorized", times=None)

    with pytest.raises(AuthenticationError):
        RunspacePool(connect(server)).open()

    assert fault.struck >= 2
    server.behave()
    RunspacePool(connect(server)).open()


def test_a_command_runs_for_ever(server: WSManServer) -> None:
    fault = server.misbehave("still-running", action="Receive", at=2, times=None)
    with connect(server) as wsman, RunspacePool(wsman) as pool:
        shell = PowerShell(pool)
        shell.add_script(GET_VMS.text).add_parameter("Document", "{}").begin_invoke()
        for _ in range(2):
            with pytest.raises(WSManFaultError, match="OperationTimeout"):
                receive(pool, shell, seconds=1)

    assert fault.struck == 2


def test_faults_are_counted(server: WSManServer, world: World) -> None:
    server.misbehave("500", action="Command", at=2, times=2)
    outcomes = []
    with connect(server) as wsman, RunspacePool(wsman) as pool:
        for _ in range(4):
            try:
                outcomes.append(list_vms(pool))
            except WinRMTransportError:
                outcomes.append(500)

    assert outcomes == [5, 500, 500, 5]


@pytest.mark.parametrize("kind", ["deep-xml", "broken-base64"])
def test_an_answer_is_hostile(world: World, kind: Kind) -> None:
    with (
        WSManServer(world, auth="basic") as server,
        connect(server, encryption="never") as wsman,
        RunspacePool(wsman) as pool,
    ):
        fault = server.misbehave(kind, action="Receive")
        with contextlib.suppress(Exception):
            list_vms(pool)
        assert fault.struck == 1


@pytest.mark.parametrize("kind", ["endless-body", "endless-chunks"])
def test_an_answer_has_no_end(world: World, kind: Kind) -> None:
    with WSManServer(world, auth="basic") as server:
        server.misbehave(kind)
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        connection.request("POST", "/wsman")
        with connection.getresponse() as response:
            assert response.read(5_000_000) == b"x" * 5_000_000
        connection.close()


def test_nothing_is_left_whatever_hangs(world: World) -> None:
    before = threading.active_count()
    world.faults = [Fault(action="delay", seconds=600, machine="demovm")]
    with WSManServer(world, auth="basic") as server:
        wsman = connect(server, encryption="never")
        pool = RunspacePool(wsman)
        pool.open()
        shell = PowerShell(pool)
        shell.add_script(GET_VMS.text)
        shell.add_parameter("Document", '{"vm_id":null,"name":null,"info":true,"services":true}').begin_invoke()
        with socket.create_connection((server.host, server.port)) as silent:
            server.misbehave("hang")
            with socket.create_connection((server.host, server.port)) as hanging:
                hanging.sendall(b"POST /wsman HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
                while server.open_connections < 3:
                    time.sleep(0.01)
                with within(1):
                    server.close()
                assert silent.recv(1) == b""
        wsman.close()

    assert threading.active_count() <= before
