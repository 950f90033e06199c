"""The table of faults of SSH, for a read and for a write: what comes of each, in time, and with nothing left.

The table is ``ssh_faults.json``; the documentation shows it.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any, Final

import paramiko
import pytest

from hvintegration import SSH, Host
from hvintegration.errors import ConnectError, ConnectionLostError, TransportTimeoutError
from tests.support.amounts import some_by_day
from tests.support.endpoints import SSHEndpoint, wait_until
from tests.support.fault_table import LONG, Table, ask, made_in, mend_proxy, set_up_proxy
from tests.support.secrecy import PASSWORD, USERNAME, Records, marked_world
from tests.support.ssh_server import Way
from tests.support.time_limit import GRACE, within

TABLE: Final = Table(Path(__file__).with_name("ssh_faults.json"))
ROWS: Final = TABLE.rows
ONE_BY_ONE: Final = [name for name, row in ROWS.items() if row.get("process") is not None]

SHORT: Final = {"read": 1.0, "write": 6.0}
"""Seconds for what waits until its time is up."""


def set_up(endpoint: SSHEndpoint, plan: dict[str, Any]) -> None:
    """Let happen what a row of the table says."""
    for what, how in plan.items():
        if not set_up_proxy(endpoint.proxy, what, how):
            endpoint.server.misbehave(**how)


def mend(endpoint: SSHEndpoint) -> None:
    """End what :func:`set_up` began."""
    mend_proxy(endpoint.proxy)
    endpoint.proxy.call_off()
    endpoint.server.behave()


def check_row(name: str, verb: str, way: Way) -> float:
    """Do what a row of the table says, and compare; the seconds that it took."""
    row = ROWS[name] | ROWS[name].get(way, {})
    timeout = SHORT[verb] if verb in row.get("waits", ()) else LONG
    marked = SSHEndpoint(way, world=marked_world(), username=USERNAME, password=PASSWORD)
    with marked as endpoint, endpoint.host() as host:
        for _ in range(row["calls_before"]):
            host.info()
        set_up(endpoint, row["plan"])

        with within(timeout + GRACE) as stopwatch:
            came = ask(host, endpoint, endpoint.world, verb, timeout)

        seconds = stopwatch.seconds()
        assert came in row[verb].split(" or ")
        assert len(endpoint.journal()) == (0 if verb == "read" else row["made"])
        mend(endpoint)
        if row.get("leaves"):
            # The network was dead: until the server itself notices, nobody can end what is behind it.
            endpoint.forget()
        assert host.vms["demovm"].services["vss"].state().enabled is not made_in(endpoint)
        # What was left is ended behind the caller's back, over a new connection.
        assert wait_until(lambda: not any("fence" in thread.name for thread in threading.enumerate()))
        host.close()
        assert wait_until(lambda: "PowerShells" not in endpoint.left()), endpoint.left()
        endpoint.proxy.thaw()
        assert wait_until(lambda: endpoint.left() == {}), endpoint.left()
    return seconds


@pytest.mark.parametrize(("name", "verb"), TABLE.all_of())
def test_subsystem(name: str, verb: str, records: Records) -> None:
    TABLE.note(name, verb, check_row(name, verb, "subsystem"))


@pytest.mark.parametrize("verb", ["read", "write"])
@pytest.mark.parametrize("name", some_by_day(ONE_BY_ONE, ONE_BY_ONE[::3]))
def test_a_process_for_each_call(name: str, verb: str, records: Records) -> None:
    check_row(name, verb, "process")


def test_a_connection_lost_right_after_the_keys_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    with SSHEndpoint() as endpoint, endpoint.host() as host:
        monkeypatch.setattr(paramiko.Transport, "set_keepalive", lambda transport, _: transport.close())
        with pytest.raises((ConnectError, ConnectionLostError)) as lost:
            host.info(timeout=5)

    assert lost.value.may_have_run is False


def test_a_connection_that_ends_while_logging_in_is_no_refusal_and_no_second_try() -> None:
    with SSHEndpoint() as endpoint, endpoint.host() as host:
        endpoint.server.misbehave("end", at="authentication", times=None)

        with pytest.raises(ConnectError, match="ended the connection instead"):
            host.info(timeout=5)

        assert endpoint.server.counts["authentication"] == 1


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="the agent is behind a socket of a file")
def test_a_silent_agent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with socket.socket(socket.AF_UNIX) as agent, SSHEndpoint() as endpoint:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        ssh = SSH("127.0.0.1", port=endpoint.proxy.port, username="admin", host_key=endpoint.server.fingerprint)

        with Host(ssh) as host, within(1 + GRACE), pytest.raises(TransportTimeoutError):
            host.info(timeout=1)

        assert wait_until(lambda: not any("authenticate" in thread.name for thread in threading.enumerate()))
        assert wait_until(lambda: endpoint.left() == {})
