"""Counts of WinRM that must stay as they are: requests, authentications and bytes."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hvintegration import ChangeOutcome, Credential, Host, Simulator, WinRM, World
from hvintegration.simulator import Machine
from hvintegration.testing import machine_id
from hvintegration.transports.base import Checkable
from tests.support.amounts import at_night
from tests.support.wsman_server import WSManServer

if TYPE_CHECKING:
    from tests.conftest import Bridge

MACHINES = 500
LAST_ENVELOPE = (500 - 2) * 1024 * 3 // 4
"""Bytes that fit into an envelope of 500 KB, with its own text, when written in base64."""
FULL_ENVELOPE = LAST_ENVELOPE - LAST_ENVELOPE % (32 * 1024)
"""Bytes in it when more follow: the server writes pieces of 32 KB."""


def big_world(machines: int = MACHINES, notes: str = "") -> World:
    return World(
        machines=[Machine(id=machine_id(number), name=f"vm{number:03}", notes=notes) for number in range(machines)]
    )


@pytest.fixture
def server() -> Iterator[WSManServer]:
    with WSManServer(big_world()) as running:
        yield running


def winrm(server: WSManServer) -> WinRM:
    who = Credential(server.username, server.password)
    return WinRM(server.host, port=server.port, credential=who, auth="ntlm")


@pytest.fixture
def host(server: WSManServer) -> Iterator[Host]:
    with Host(winrm(server)) as connected:
        yield connected


def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens behind the caller's back."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def settled(server: WSManServer) -> Counter[str]:
    """The requests so far, once the host knows that every pipeline is over."""
    until(lambda: server.open_commands == 0)
    return Counter(server.actions)


def test_a_cold_query_is_four_requests_beside_authentication(server: WSManServer, host: Host) -> None:
    """One less than the design allows, for this server reports all of an opened pool in one answer."""
    signals = server.misbehave("hang", action="Signal", times=None, carried_out=False)
    host.vms.list()
    assert server.actions == {"Create": 1, "Receive": 1 + 1, "Command": 1}
    until(lambda: signals.seen == 1)


def test_a_warm_query_is_command_and_receive(server: WSManServer, host: Host) -> None:
    """The host is told afterwards that the pipeline is over."""
    host.info()
    cold = settled(server)
    host.vms["vm007"].services.list()
    assert settled(server) - cold == {"Command": 2, "Receive": 2, "Signal": 2}
    assert host.session.stats.round_trips == 3
    assert host.session.stats.requests == server.actions.total()


def test_no_answer_waits_until_the_host_knows_that_the_last_pipeline_is_over(server: WSManServer, host: Host) -> None:
    signals = server.misbehave("hang", action="Signal", times=None, carried_out=False)
    for _ in range(5):
        host.vms.list()
    until(lambda: signals.seen == 1)
    assert server.actions == {"Create": 1, "Command": 5, "Receive": 1 + 5}


def test_a_warm_query_asks_of_nothing_what_it_can(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether something follows a Protocol is asked of each attribute in turn, which takes long."""
    host.info()
    asked: list[type] = []
    meta: Any = type(Checkable)
    check: Callable[[type, object], bool] = meta.__instancecheck__

    def spy(kind: type, instance: object) -> bool:
        if getattr(kind, "_is_protocol", False):
            asked.append(kind)
        return check(kind, instance)

    monkeypatch.setattr(meta, "__instancecheck__", spy)
    assert not isinstance(host, Checkable)
    host.vms["vm007"].services["vss"].state()

    assert asked == [Checkable]


@pytest.mark.parametrize(
    ("length", "envelopes"),
    [
        (2_000, 1),
        (LAST_ENVELOPE - 1000, 1),
        (LAST_ENVELOPE, 2),
        (FULL_ENVELOPE + LAST_ENVELOPE - 1500, 2),
        (FULL_ENVELOPE + LAST_ENVELOPE, 3),
        (2 * FULL_ENVELOPE + LAST_ENVELOPE - 2000, 3),
    ],
)
def test_each_further_envelope_is_one_receive(length: int, envelopes: int) -> None:
    """Within some bytes of the limit, for the answer is framed."""
    with Host(Simulator(big_world(1))) as simulated:
        simulated.inventory()
        notes = "n" * (length - simulated.session.stats.characters_received)

    with WSManServer(big_world(1, notes)) as server, Host(winrm(server)) as host:
        host.vms.list()
        before, received = settled(server), host.session.stats.characters_received
        host.inventory()
        assert host.session.stats.characters_received - received == length
        assert settled(server) - before == {"Command": 1, "Receive": envelopes, "Signal": 1}


def test_500_machines_are_three_envelopes(server: WSManServer, host: Host) -> None:
    host.vms.list()
    before = settled(server)
    assert len(host.inventory().services) == 6 * MACHINES
    assert settled(server) - before == {"Command": 1, "Receive": 3, "Signal": 1}


def test_500_changes_fit_into_one_command(server: WSManServer, host: Host) -> None:
    host.vms.list()
    before = settled(server)
    changes = host.set_services([(host.vm(machine_id(number)), "gsi", True) for number in range(MACHINES)])
    assert {change.outcome for change in changes} == {ChangeOutcome.CHANGED}
    assert settled(server) - before == {"Command": 1, "Receive": 2, "Signal": 1}


def test_what_does_not_fit_into_a_command_is_sent_after_it(server: WSManServer, host: Host) -> None:
    """Almost 800 changes fit; 1,000 are a Command and a Send."""
    host.vms.list()
    before = settled(server)
    wanted = [(host.vm(machine_id(number)), kind, True) for number in range(MACHINES) for kind in ("gsi", "vss")]
    assert len(host.set_services(wanted)) == 2 * MACHINES
    assert settled(server) - before == {"Command": 1, "Send": 1, "Receive": 3, "Signal": 1}


def test_each_connection_is_authenticated_once(server: WSManServer, host: Host) -> None:
    """Two connections, one for calls and one to say that they are over; NTLM takes three HTTP requests on each."""
    for _ in range(10):
        host.vms.list()
    settled(server)
    assert server.counts["connections"] == 2
    assert server.counts["unauthorized"] == 2 * 2
    assert server.counts["requests"] == server.actions.total() + 2 * 3


def test_with_basic_there_is_no_request_but_wsmans() -> None:
    with WSManServer(big_world(1), tls=True) as server:
        assert server.certificate is not None
        who = Credential(server.username, server.password)
        pin = server.certificate.sha256
        transport = WinRM("localhost", port=server.port, tls=True, credential=who, auth="basic", certificate_sha256=pin)
        with Host(transport) as host:
            host.vms.list()
            host.vms.list()
            settled(server)
            assert server.counts["requests"] == server.actions.total() == 2 + 2 * 3
            assert server.counts["unauthorized"] == 0


def test_each_warm_call_sends_the_same_bytes(server: WSManServer, host: Host) -> None:
    """Most of it is the script; nothing piles up."""
    host.vms.list()
    sent = []
    for _ in range(5):
        settled(server)
        before = server.counts["bytes_in"]
        host.vms.list()
        settled(server)
        sent.append(server.counts["bytes_in"] - before)
    assert set(sent) == {sent[0]}
    assert sent[0] < 24 * 1024


@pytest.fixture(scope="module")
def bridge(start_bridge: Callable[..., Bridge], tmp_path_factory: pytest.TempPathFactory) -> Bridge:
    world = tmp_path_factory.mktemp("counts") / "world.json"
    big_world().save(world)
    return start_bridge(auth="ntlm", world=world)


@pytest.mark.engine
@at_night
class TestRealPowerShell:
    """The endpoint hands on each message as the engine writes it, so an answer can take some Receives more."""

    @pytest.fixture
    def host(self, bridge: Bridge) -> Iterator[Host]:
        bridge.reset()
        who = Credential("BRIDGE\\admin", "Secret-1")
        with Host(WinRM("127.0.0.1", port=bridge.port, credential=who, auth="ntlm")) as connected:
            yield connected

    def count(self, bridge: Bridge, pipelines: int) -> Counter[str]:
        """The requests so far, once *pipelines* were told to be over."""
        until(lambda: bridge.stats()["counts"].get("Signal", 0) == pipelines)
        counts = bridge.stats()["counts"]
        actions = ("Create", "Command", "Send", "Receive", "Signal", "Delete")
        return Counter({action: counts[action] for action in actions if action in counts})

    def test_a_cold_query(self, bridge: Bridge, host: Host) -> None:
        host.info()
        counts = self.count(bridge, 1)
        receives = counts.pop("Receive")
        assert counts == {"Create": 1, "Command": 1, "Signal": 1}
        assert 2 <= receives <= 3 + 2

    def test_a_warm_query(self, bridge: Bridge, host: Host) -> None:
        host.info()
        before = self.count(bridge, 1)
        host.vms["vm007"].services.list()
        counts = self.count(bridge, 3) - before
        receives = counts.pop("Receive")
        assert counts == {"Command": 2, "Signal": 2}
        assert 2 <= receives <= 2 * 2

    def test_500_machines(self, bridge: Bridge, host: Host) -> None:
        host.info()
        before = self.count(bridge, 1)
        assert len(host.inventory(timeout=300).services) == 6 * MACHINES
        counts = self.count(bridge, 2) - before
        assert counts.pop("Receive") >= 3
        assert counts == {"Command": 1, "Signal": 1}

    def test_500_changes(self, bridge: Bridge, host: Host) -> None:
        host.info()
        before = self.count(bridge, 1)
        wanted = [(host.vm(machine_id(number)), "gsi", True) for number in range(MACHINES)]
        assert len(host.set_services(wanted, dry_run=True, timeout=300)) == MACHINES
        counts = self.count(bridge, 2) - before
        assert counts.pop("Receive") >= 2
        assert counts == {"Command": 1, "Signal": 1}

    def test_each_connection_is_authenticated_once(self, bridge: Bridge, host: Host) -> None:
        for _ in range(5):
            host.vms["vm007"]
        self.count(bridge, 5)
        assert bridge.stats()["counts"]["auth"] == 2 * 2


@pytest.mark.engine
def test_a_guest_behind_a_host_costs_no_request_more_than_the_host(
    start_bridge: Callable[..., Bridge], tmp_path: Path
) -> None:
    """A late answer takes another Receive, so one of several has to show it."""
    world = tmp_path / "world.json"
    machine = {"id": machine_id(1), "name": "web", "guest": "windows", "user": "Administrator", "password": "Guest-1"}
    world.write_text(json.dumps({"computer": "HV01", "machines": [machine]}))
    bridge = start_bridge(world=world, auth="ntlm")
    who = Credential("BRIDGE\\admin", "Secret-1")
    with Host(WinRM("127.0.0.1", port=bridge.port, credential=who, auth="ntlm")) as host:
        guest = host.vm(machine_id(1)).guest(credential=Credential("Administrator", "Guest-1"))
        guest.services.list()  # It takes a session key besides, once.

        def costs(verb: Callable[[], object]) -> int:
            before = host.session.stats.requests or 0
            verb()
            return (host.session.stats.requests or 0) - before

        of_host = min(costs(host.inventory) for _ in range(5))
        assert any(costs(guest.services.list) <= of_host for _ in range(30))
