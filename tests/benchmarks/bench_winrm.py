"""Questions over WinRM at a round trip of 80 ms, and 500 virtual machines: against pypsrp and pywinrm, in one run."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import winrm
from pypsrp.client import Client
from pypsrp.powershell import PowerShell, RunspacePool

from hvintegration import Credential, Host, WinRM, World
from hvintegration.simulator import Machine, demo_world
from hvintegration.testing import machine_id
from tests.benchmarks.winrs_server import WinRSServer

if TYPE_CHECKING:
    from tests.conftest import Bridge

pytestmark = pytest.mark.engine

LATENCY_MS = 80
MACHINES = 500
USER = "BRIDGE\\admin"
PASSWORD = "Secret-1"

LIST_VMS = "Get-VM | Select-Object Id, Name, State | ConvertTo-Json"
LIST_SERVICES = (
    "Get-VM -Name demovm | Get-VMIntegrationService | Select-Object Id, Name, Enabled, PrimaryOperationalStatus,"
    " PrimaryStatusDescription, SecondaryOperationalStatus, SecondaryStatusDescription | ConvertTo-Json"
)


INVOKE_EXPRESSION = """
function Invoke-Expression { param([string] $Command) & ([scriptblock]::Create($Command)) }
"""
"""What execute_ps calls. Windows has it; the engine of the tests does not."""


@attrs.frozen
class Measured:
    """Of each run the seconds that it took; of one the HTTP requests and the client's processor time."""

    seconds: list[float]
    requests: float
    processor: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def line(self, name: str, beside: str = "") -> str:
        return f"  {name:<44}{self.median:8.3f} s {self.requests:6.1f} requests   {beside}"


def measure(action: Callable[[], object], times: int, requests: Callable[[], int]) -> Measured:
    before = requests()
    seconds = []
    processor_before = time.process_time()
    for _ in range(times):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    time.sleep(5 * LATENCY_MS / 1000)  # What is not waited for counts as well.
    processor = (time.process_time() - processor_before) / times
    return Measured(seconds, (requests() - before) / times, processor)


def ratio(theirs: Measured, ours: Measured, target: float | None = None) -> str:
    goal = "" if target is None else f"  (target {target})"
    return f"{theirs.median / ours.median:5.1f} times as long{goal}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "world.json"
    demo_world().save(path)
    return path


@pytest.fixture(scope="module")
def bridge(start_bridge: Callable[..., Bridge], world: Path) -> Bridge:
    module = world.parent / "InvokeExpression" / "InvokeExpression.psm1"
    module.parent.mkdir()
    module.write_text(INVOKE_EXPRESSION)
    modules = {"PSModulePath": str(world.parent)}
    return start_bridge(auth="ntlm", world=world, latency_ms=LATENCY_MS, environment=modules)


@pytest.fixture(scope="module")
def big_bridge(start_bridge: Callable[..., Bridge], tmp_path_factory: pytest.TempPathFactory) -> Bridge:
    path = tmp_path_factory.mktemp("big") / "world.json"
    machines = [Machine(id=machine_id(number), name=f"vm{number:03}") for number in range(MACHINES)]
    World(machines=machines).save(path)
    return start_bridge(auth="ntlm", world=path, latency_ms=LATENCY_MS)


@pytest.fixture(scope="module")
def winrs(engine: str, world: Path) -> Iterator[WinRSServer]:
    with WinRSServer(engine, world, latency_ms=LATENCY_MS) as server:
        yield server


def connected(bridge: Bridge) -> Host:
    return Host(WinRM("127.0.0.1", port=bridge.port, credential=Credential(USER, PASSWORD), auth="ntlm"))


def pypsrp_client(bridge: Bridge) -> Client:
    # Not negotiate, which would first ask the network for a Kerberos realm.
    return Client("127.0.0.1", port=bridge.port, username=USER, password=PASSWORD, ssl=False, auth="ntlm")


def posts(bridge: Bridge) -> Callable[[], int]:
    return lambda: int(bridge.stats()["counts"].get("http", 0))


def executed(client: Client, script: str) -> list[dict[str, Any]]:
    output, _, had_errors = client.execute_ps(script)
    assert not had_errors
    answer: list[dict[str, Any]] = json.loads(output)
    return answer


def in_pool(pool: RunspacePool, script: str) -> list[dict[str, Any]]:
    shell = PowerShell(pool)
    (output,) = shell.add_script(script).invoke()
    answer: list[dict[str, Any]] = json.loads(output)
    return answer


def run(session: winrm.Session, script: str) -> list[dict[str, Any]]:
    response = session.run_ps(script)
    assert response.status_code == 0
    answer: list[dict[str, Any]] = json.loads(response.std_out)
    return answer


@pytest.mark.parametrize("question", ["vms", "services"])
def test_a_warm_query(bridge: Bridge, winrs: WinRSServer, question: str) -> None:
    script = LIST_VMS if question == "vms" else LIST_SERVICES
    session = winrm.Session(
        f"http://127.0.0.1:{winrs.port}/wsman",
        auth=(winrs.username, winrs.password),
        transport="ntlm",
        ca_trust_path=None,
        proxy=None,
    )
    with connected(bridge) as host, pypsrp_client(bridge) as client:
        vm = host.vms["demovm"]
        ask: Callable[[], object] = host.vms.list if question == "vms" else vm.services.list
        with RunspacePool(client.wsman) as pool:
            expected = 5 if question == "vms" else 6
            answers = [in_pool(pool, script), executed(client, script), run(session, script)]
            assert [len(answer) for answer in answers] == [expected] * 3

            ours = measure(ask, 20, posts(bridge))
            pooled = measure(lambda: in_pool(pool, script), 10, posts(bridge))
        psrp = measure(lambda: executed(client, script), 7, posts(bridge))
    cmd = measure(lambda: run(session, script), 7, lambda: winrs.counts["requests"])

    name = "host.vms.list()" if question == "vms" else "vm.services.list()"
    print(f"\n{name}, warm, round trip of {LATENCY_MS} ms; medians")
    print(ours.line(name, f"fastest {min(ours.seconds):.3f}, slowest {max(ours.seconds):.3f} of 20 in a row"))
    print(psrp.line("pypsrp Client.execute_ps", ratio(psrp, ours, 2.7)))
    print(cmd.line("pywinrm Session.run_ps", ratio(cmd, ours, 2.2)))
    print(pooled.line("pypsrp, its runspace pool kept open by hand", ratio(pooled, ours)))


def test_processor_time_of_a_warm_call(bridge: Bridge) -> None:
    """What the client itself computes; that the pool's pipelines are told to be over is in ours, and not in theirs."""
    with connected(bridge) as host, pypsrp_client(bridge) as client, RunspacePool(client.wsman) as pool:
        service = host.vms["demovm"].services["heartbeat"]
        service.state()
        in_pool(pool, LIST_SERVICES)
        runs = [
            (
                measure(service.state, 20, posts(bridge)),
                measure(lambda: in_pool(pool, LIST_SERVICES), 20, posts(bridge)),
            )
            for _ in range(3)
        ]

    print("\nProcessor time of the client, a warm call; three runs")
    for name, index in (("service.state()", 0), ("pypsrp, its runspace pool kept open by hand", 1)):
        print(f"  {name:<44}" + "".join(f"{run[index].processor * 1000:8.2f} ms" for run in runs))


def test_a_cold_query(bridge: Bridge) -> None:
    def ours() -> None:
        with connected(bridge) as host:
            host.vms.list()

    def theirs() -> None:
        with pypsrp_client(bridge) as client:
            executed(client, LIST_VMS)

    opened = measure(ours, 5, posts(bridge))
    psrp = measure(theirs, 5, posts(bridge))

    print(f"\nConnect, host.vms.list(), close; round trip of {LATENCY_MS} ms; medians")
    print(opened.line("hvintegration"))
    print(psrp.line("pypsrp Client.execute_ps", ratio(psrp, opened)))


def test_500_machines(big_bridge: Bridge) -> None:
    """Most of the time is the host's; the client's is told apart by the processor time."""

    def objects(pool: RunspacePool) -> None:
        shell = PowerShell(pool)
        found = shell.add_script("Get-VM; Get-VM | Get-VMIntegrationService").invoke()
        assert len(found) == 7 * MACHINES

    with connected(big_bridge) as host:
        assert len(host.inventory().services) == 6 * MACHINES
        ours = measure(host.inventory, 3, posts(big_bridge))
    with pypsrp_client(big_bridge) as client, RunspacePool(client.wsman) as pool:
        objects(pool)
        theirs = measure(lambda: objects(pool), 3, posts(big_bridge))

    print(f"\nAll of {MACHINES} virtual machines, warm, round trip of {LATENCY_MS} ms; medians")
    print(ours.line("host.inventory()", f"{MACHINES / ours.median:5.0f} virtual machines a second"))
    print(theirs.line("pypsrp, live objects", ratio(theirs, ours)))
    print("  of that, processor time of the client")
    print(f"    {'host.inventory()':<42}{ours.processor:8.3f} s")
    more = theirs.processor / ours.processor
    print(f"    {'pypsrp, live objects':<42}{theirs.processor:8.3f} s{'':19}{more:5.1f} times as long")
