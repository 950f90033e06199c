"""What asking a Linux guest over SSH costs: round trips, connections and channels, exactly."""

from __future__ import annotations

from collections.abc import Callable

from hvintegration import SSH, Credential
from hvintegration.guest import Guest
from hvintegration.simulator import demo_world
from tests.support.ssh_server import SSHServer


def test_each_question_and_change_is_a_round_trip_and_a_channel_over_one_connection() -> None:
    with SSHServer(demo_world(), guest="web", ways=frozenset({"process"})) as server:
        who = Credential(server.username, server.password)
        ssh = SSH(server.host, port=server.port, credential=who, host_key=server.fingerprint)
        with Guest(ssh, family="linux") as guest:
            service = guest.services["kvp"]

            def cost(verb: Callable[[], object]) -> tuple[int, int]:
                before = guest.session.stats.round_trips, server.counts["channel"]
                verb()
                return guest.session.stats.round_trips - before[0], server.counts["channel"] - before[1]

            assert cost(guest.info) == (1, 1)
            questions: list[Callable[[], object]] = [guest.services.list, guest.inventory, service.state]
            changes: list[Callable[[], object]] = [
                service.stop,
                service.start,
                lambda: service.set_startup("automatic"),
                lambda: guest.set_services({"vss": True, "kvp": False}),
            ]
            assert [cost(verb) for verb in (*questions, *changes)] == [(1, 1)] * 7
            assert cost(service.restart) == (2, 2)
            assert server.counts["connection"] == 1
