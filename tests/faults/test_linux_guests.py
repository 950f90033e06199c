"""The table of faults of Linux guests: what comes of reading, and of stopping the daemon of key-value pairs, in time.

The table is ``linux_faults.json``; the documentation shows it. These rows have a simulated guest behind an SSH server
of ours, which says and does anything. Those with ``guest`` are of real ones: ``tests/linux/test_surroundings.py``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

import hvintegration as hv
from hvintegration.guest import Guest
from hvintegration.service_kind import ServiceKind
from hvintegration.simulator import Machine, ServiceSetting, World
from hvintegration.testing import machine_id
from tests.faults.test_interrupts import interrupt_after
from tests.support.closing import Closing
from tests.support.endpoints import wait_until
from tests.support.fault_table import LONG
from tests.support.linux_fault_table import KVP, TABLE, read, stop
from tests.support.secrecy import PASSWORD, USERNAME, Records
from tests.support.ssh_server import SSHServer
from tests.support.time_limit import GRACE, within

SERVED: Final = [name for name, row in TABLE.rows.items() if "guest" not in row]

SHORT: Final = {"read": 1.0, "write": 3.0}
"""Seconds for what waits until its time is up."""


class Served(Closing):
    """A simulated guest behind an SSH server that misbehaves."""

    def __init__(self) -> None:
        machine = Machine(
            id=machine_id(1),
            name="web",
            guest="linux",
            services={ServiceKind.GUEST_SERVICE_INTERFACE.key: ServiceSetting()},
        )
        machine.daemons = ["hv_kvp_daemon", "hv_vss_daemon", "hv_fcopy_daemon"]
        self.world = World(machines=[machine])
        self.server = SSHServer(
            self.world, guest="web", username=USERNAME, password=PASSWORD, ways=frozenset({"process"})
        )

    def close(self) -> None:
        self.server.close()

    def guest(self) -> Guest:
        who = hv.Credential(USERNAME, PASSWORD)
        ssh = hv.SSH(self.server.host, port=self.server.port, credential=who, host_key=self.server.fingerprint)
        return Guest(ssh, family="linux")

    def set_up(self, plan: Mapping[str, Any]) -> None:
        """Let happen what a row says."""
        for what, how in plan.items():
            match what:
                case "server":
                    self.server.misbehave(**how)
                case "says":
                    self.server.twist = functools.partial(said, how, 1)
                case "repeats":
                    self.server.twist = functools.partial(said, *how)
                case "facts":
                    self.server.twist = functools.partial(twisted, how)
                case _:
                    raise AssertionError(what)

    def mend(self) -> None:
        self.server.behave()
        self.server.twist = lambda answer: answer

    @property
    def made(self) -> int:
        """How often the daemon was stopped."""
        return len(self.world.journal)


def said(text: str, times: int, _answer: str) -> str:
    """Something else than the answer."""
    return text * times


def twisted(facts: Mapping[str, Any], answer: str) -> str:
    """An answer with other facts in it; a list with a number at its end is repeated so often."""
    document = json.loads(answer)
    for name, value in facts.items():
        many = isinstance(value, list) and value and isinstance(value[-1], int)
        document["result"][name] = value[:-1] * value[-1] if many else value
    return json.dumps(document)


@pytest.mark.parametrize("verb", ["read", "write"])
@pytest.mark.parametrize("name", SERVED)
def test_a_guest_that_says_and_does_anything(name: str, verb: str, records: Records) -> None:
    row = TABLE.rows[name]
    timeout = SHORT[verb] if verb in row.get("waits", ()) else LONG
    with Served() as served, served.guest() as guest:
        for _ in range(row.get("calls_before", 0)):
            guest.info()
        served.set_up(row["plan"])

        with within(timeout + GRACE) as stopwatch:
            came = (read if verb == "read" else stop)(guest, timeout)

        seconds = stopwatch.seconds()
        assert came in row[verb].split(" or ")
        assert served.made == (0 if verb == "read" else row["made"])
        served.mend()
        assert read(guest, LONG) == ("does not run" if served.made else "runs")
        guest.close()
        assert wait_until(lambda: served.server.powershells == 0)
    TABLE.note(name, verb, seconds)


@pytest.mark.parametrize("wanted", [False, True])
def test_ctrl_c_in_a_change_ends_it_at_once_and_says_that_it_may_have_been_made(wanted: bool) -> None:  # noqa: FBT001 - a case
    with Served() as served, served.guest() as guest:
        guest.set_services({KVP: not wanted})
        made = served.made
        served.server.misbehave("silent", at="command")
        with within(1 + GRACE):
            interruption = interrupt_after(0.5, lambda: guest.set_services({KVP: wanted}))
        assert interruption is not None
        assert "may have been made" in interruption.__notes__[0]
        assert (read(guest, LONG), served.made) == ("does not run" if wanted else "runs", made)
