"""The transport contract through a real OpenSSH server and the real engine, in each of the three ways."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hvintegration import SSH, Host, Transport, World
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import ConnectError, RemoteError, TransportTimeoutError, UntrustedHostError
from hvintegration.simulator import Fault, Machine, demo_world
from hvintegration.simulator.store import FileStore
from hvintegration.testing import HOSTILE_NAMES, TransportContract, machine_id
from hvintegration.transports.ssh.interpreters import WINDOWS_POWERSHELL
from tests.support.amounts import some_by_day
from tests.support.endpoints import wait_until
from tests.support.kept import Kept
from tests.support.other_script import powershell
from tests.support.time_limit import GRACE, within

if TYPE_CHECKING:
    from tests.support.sshd import Sshd

pytestmark = pytest.mark.engine


@pytest.fixture(scope="session")
def plain_program(engine: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PowerShell that does not know -sshs, as Windows PowerShell."""
    program = tmp_path_factory.mktemp("program") / "powershell"
    program.write_text(f'#!/bin/sh\ncase "$*" in *-sshs*) echo "no -sshs" >&2; exit 1;; esac\nexec {engine} "$@"\n')
    program.chmod(0o755)
    return str(program)


WAYS = ["subsystem", "program", "process for each call"]


@pytest.fixture(scope="session")
def reach(
    engine: str, plain_program: str, start_sshd: Callable[..., Sshd]
) -> Iterator[Callable[[str], tuple[Sshd, SSH]]]:
    """A server and a connection to it for each way, which stay for all tests."""
    reached: dict[str, tuple[Sshd, SSH]] = {}

    def reach(way: str) -> tuple[Sshd, SSH]:
        if way not in reached:
            server = start_sshd(*[f"Subsystem powershell {engine} -sshs -NoLogo -NoProfile"] * (way == "subsystem"))
            program = {"subsystem": None, "program": engine}.get(way, plain_program)
            reached[way] = server, server.ssh(program=program)
        return reached[way]

    yield reach
    for _, ssh in reached.values():
        ssh.close()


def test_windows_powershell_is_found_from_a_shell_that_eats_backslashes(
    engine: str, start_sshd: Callable[..., Sshd], tmp_path: Path, world_file: Path
) -> None:
    program = tmp_path / WINDOWS_POWERSHELL
    program.write_text(f'#!/bin/sh\nexec {engine} "$@"\n')
    program.chmod(0o755)

    server = start_sshd(f"SetEnv PATH={tmp_path}:/usr/bin:/bin HYPERV_WORLD={world_file}")
    with Host(server.ssh()) as host:
        steps = host.check().steps
        assert host.info().name == "HV01"

    assert f"a process for each call, '{WINDOWS_POWERSHELL}'" in [step.detail for step in steps]


def test_where_neither_is_found_the_first_refusal_counts(start_sshd: Callable[..., Sshd]) -> None:
    with (
        Host(start_sshd("SetEnv PATH=/nonexistent").ssh()) as host,
        pytest.raises(ConnectError, match=r"PowerShell did not start: .*C:WindowsSystem32WindowsPowerShell") as absent,
    ):
        host.info()
    assert "program=" in str(absent.value.hint)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(way: str, reach: Callable[[str], tuple[Sshd, SSH]]) -> Sshd:
    return reach(way)[0]


@pytest.fixture
def ssh(way: str, reach: Callable[[str], tuple[Sshd, SSH]]) -> SSH:
    return reach(way)[1]


@pytest.mark.parametrize("way", some_by_day(["subsystem", "program"], ["subsystem"]), indirect=True)
class TestOpenSsh(TransportContract):
    @pytest.fixture
    def world_file(self, server: Sshd) -> Path:
        self.default_world().save(server.world)
        return server.world

    @pytest.fixture
    def transport(self, ssh: SSH, world_file: Path) -> Transport:
        return Kept(ssh)


@pytest.fixture
def host(ssh: SSH, server: Sshd) -> Host:
    demo_world().save(server.world)
    return Host(Kept(ssh))


# How a channel is begun makes no difference to what hangs in it.
different_ways = pytest.mark.parametrize(
    "way", some_by_day(["subsystem", "process for each call"], ["subsystem"]), indirect=True
)


# Each call takes as long as PowerShell takes to start. The whole contract is run in test_loopback.py.
@pytest.mark.parametrize("way", ["process for each call"], indirect=True)
def test_any_text_arrives_in_a_process_for_each_call_and_comes_back(host: Host, server: Sshd) -> None:
    names = dict(enumerate(HOSTILE_NAMES, 1))
    World(machines=[Machine(id=machine_id(number), name=name) for number, name in names.items()]).save(server.world)

    changes = host.set_services([(name, "heartbeat", False) for name in HOSTILE_NAMES])

    assert [(change.vm_id, change.vm_name) for change in changes] == [
        (machine_id(number), name) for number, name in names.items()
    ]
    assert World.load(server.world).journal == [f"disable {name} heartbeat" for name in HOSTILE_NAMES]


def test_a_warm_read_costs_two_round_trips(host: Host, way: str) -> None:
    host.inventory()
    before = host.session.stats.requests or 0

    host.inventory()

    # Command, Data and Close, for which nobody waits; or start and input.
    assert (host.session.stats.requests or 0) - before == (2 if way == "process for each call" else 3)


@different_ways
@pytest.mark.usefixtures("hasty_writes")
def test_a_hung_write_is_ended_over_there_and_told_to_have_been_ended(host: Host, server: Sshd) -> None:
    vm = host.vms["demovm"]
    FileStore(server.world).change(
        lambda world: setattr(
            world, "faults", [Fault(cmdlet="Disable-VMIntegrationService", action="delay", seconds=600, times=1)]
        )
    )

    with within(30 + GRACE), pytest.raises(TransportTimeoutError) as silence:
        vm.services["vss"].disable(timeout=30)

    assert silence.value.may_have_run is False
    assert World.load(server.world).journal == []
    assert vm.services["vss"].state().enabled is True
    assert server.engines() <= 1


@different_ways
def test_a_hung_read_is_ended_over_there_behind_the_callers_back(host: Host, server: Sshd) -> None:
    host.info()
    FileStore(server.world).change(
        lambda world: setattr(world, "faults", [Fault(cmdlet="Get-VM", action="delay", seconds=600, times=1)])
    )

    with pytest.raises(TransportTimeoutError):
        host.vms.list(timeout=4)

    assert wait_until(lambda: server.engines() == 0)
    assert len(host.vms.list()) == 5


@different_ways
def test_closing_leaves_no_powershell(server: Sshd, ssh: SSH, host: Host) -> None:
    host.info()

    with within(1):
        ssh.close()

    assert wait_until(lambda: server.engines() == 0)


PROGRAM = """
import os, signal, sys
from hvintegration import SSH, Host
port, pin, key_file, end = sys.argv[1:]
host = Host(SSH("127.0.0.1", port=int(port), host_key=pin, key_files=key_file))
host.vms.list()
print("answered", flush=True)
if end == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("end", ["fall off the end", "kill"])
def test_no_powershell_outlives_its_program(reach: Callable[[str], tuple[Sshd, SSH]], end: str) -> None:
    server, ssh = reach("subsystem")
    ssh.close()
    arguments = [str(server.port), server.host_key, str(server.key_file), end]

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout == "answered\n"
    assert wait_until(lambda: server.engines() == 0)


def test_what_is_not_used_any_more_leaves_no_powershell(reach: Callable[[str], tuple[Sshd, SSH]]) -> None:
    server, ssh = reach("subsystem")
    ssh.close()
    host = Host(server.ssh())
    host.info()
    assert server.engines() == 1

    del host
    gc.collect()

    assert wait_until(lambda: server.engines() == 0)


def test_the_steps_say_what_they_found(ssh: SSH, way: str) -> None:
    found = {name: step(Deadline(10)) for name, step in ssh.steps()}

    assert list(found) == ["name", "port", "host key", "authentication", "PowerShell"]
    assert found["host key"].startswith("ssh-ed25519 SHA256:")
    assert found["PowerShell"].startswith("a process for each call" if way == "process for each call" else "remoting")


def test_a_megabyte_goes_in_and_comes_out(ssh: SSH) -> None:
    text = "param($Document) $Document.Length.ToString() + [string] [char] 0xe9 * 300000"

    answer = ssh.call(Call(powershell(text), {"text": "x" * 1_000_000}), Deadline(30))

    answer = json.loads(f'"{answer}"')
    assert answer == "1000012" + "é" * 300_000


def test_an_error_of_the_script_has_its_id_and_message(ssh: SSH) -> None:
    for text, message in (("throw ('nein: ' + [char] 0xe9)", "nein: é"), ("{ syntax", "")):
        with pytest.raises(RemoteError) as refused:
            ssh.call(Call(powershell(f"param($Document) {text}"), {}), Deadline(30))
        assert message in refused.value.host_message
        assert refused.value.error_id


def test_a_server_with_weak_algorithms_only_is_refused(start_sshd: Callable[..., Sshd]) -> None:
    for weak in ("Ciphers aes128-cbc", "MACs hmac-sha1", "KexAlgorithms diffie-hellman-group14-sha1"):
        with pytest.raises(ConnectError, match="no longer safe"):
            Host(start_sshd(weak).ssh()).info(timeout=10)


def test_the_kind_of_key_that_is_known_is_asked_for(start_sshd: Callable[..., Sshd], keys: Path) -> None:
    server = start_sshd()
    kind, key = (keys / "host_rsa.pub").read_text().split()[:2]
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")

    steps = dict(server.ssh().steps())

    for name in ("name", "port"):
        steps[name](Deadline(10))
    assert steps["host key"](Deadline(10)).startswith("ssh-rsa")


def test_a_jump_host_leads_to_another(start_sshd: Callable[..., Sshd], engine: str) -> None:
    gate, server = start_sshd(), start_sshd(f"Subsystem powershell {engine} -sshs -NoLogo -NoProfile")

    with Host(server.ssh(jump_hosts=[gate.ssh()])) as host:
        assert len(host.inventory().vms) == 5
    gate.known_hosts.write_text("")
    with Host(server.ssh(jump_hosts=[gate.ssh()])) as host, pytest.raises(UntrustedHostError):
        host.info()
