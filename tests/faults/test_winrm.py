"""The table of faults of WinRM, for a read and for a write: what comes of each, in time, and with nothing left.

The table is ``winrm_faults.json``; the documentation shows it. With ``HVINTEGRATION_MEASURE=1`` the seconds that each
took are written into it.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Final

import pytest

from hvintegration import ChangeOutcome, Host
from hvintegration.errors import AuthenticationError, OutcomeUnknownError
from hvintegration.simulator import Fault
from hvintegration.transports.winrm import shell
from hvintegration.transports.winrm.connection import WinRMConnection
from hvintegration.transports.winrm.http import WSManHttp
from tests.support.amounts import some_by_day
from tests.support.endpoints import WSManEndpoint, wait_until
from tests.support.fault_table import LONG, Table, ask, made_in, mend_proxy, set_up_proxy
from tests.support.secrecy import PASSWORD, USERNAME, Records, marked_world
from tests.support.time_limit import GRACE, within

TABLE: Final = Table(Path(__file__).with_name("winrm_faults.json"))
ROWS: Final = TABLE.rows
ON_TLS: Final = [name for name, row in ROWS.items() if row.get("tls") is not None]
DIFFERENT_ON_TLS: Final = [name for name in ON_TLS if ROWS[name]["tls"]]
WHAT_CAME: Final = (
    *("404", "503", "stalled header", "stalled body", "endless body", "endless chunks", "page"),
    *("truncated XML", "foreign XML", "deep XML", "document type", "wrong message id"),
)
SAME_AT_EACH_STEP: Final = [f"command, {begun}: {came}" for begun in ("not begun", "begun") for came in WHAT_CAME]
"""Rows in which the same comes, as no answer of WSMan, at another step than in a third one."""

SHORT: Final = {"read": 1.0, "write": 3.0}
"""Seconds for what waits until its time is up."""


def set_up(endpoint: WSManEndpoint, host: Host, plan: dict[str, Any]) -> None:
    """Let happen what a row of the table says."""
    server = endpoint.server
    for what, how in plan.items():
        if set_up_proxy(endpoint.proxy, what, how):
            continue
        if what == "quota":
            setattr(server.shells, how[0], how[1])
        elif what == "longest":
            server.max_envelope_bytes = how
        elif what == "untold":
            server.misbehave("drop", action="Signal", times=None, carried_out=False)
            for _ in range(how):
                host.info()
        elif what == "idle":
            server.shells.close()
        else:
            server.misbehave(**how)


def mend(endpoint: WSManEndpoint) -> None:
    """End what :func:`set_up` began."""
    mend_proxy(endpoint.proxy)
    endpoint.server.shells.max_shells = None
    endpoint.server.shells.max_commands = None
    endpoint.server.max_envelope_bytes = None
    endpoint.server.behave()


def check_row(name: str, verb: str, *, tls: bool) -> float:
    """Do what a row of the table says, and compare; the seconds that it took."""
    row = ROWS[name] | (ROWS[name]["tls"] if tls else {})
    timeout = SHORT[verb] if verb in row.get("waits", ()) else LONG
    marked = WSManEndpoint(tls=tls, world=marked_world(), username=USERNAME, password=PASSWORD)
    with marked as endpoint, endpoint.host() as host:
        for _ in range(row["calls_before"]):
            host.info()
        # Of the messages that follow, the one that is to be struck is the first.
        assert wait_until(lambda: "commands" not in endpoint.left())
        if "strike" in row["plan"]:
            endpoint.proxy.wait_until_quiet()
        set_up(endpoint, host, row["plan"])

        with within(timeout + GRACE) as stopwatch:
            came = ask(host, endpoint, endpoint.world, verb, timeout)

        seconds = stopwatch.seconds()
        assert came in row[verb].split(" or ")
        assert len(endpoint.journal()) == (0 if verb == "read" else row["made"])
        mend(endpoint)
        if row.get("leaves"):
            # The network was dead: until the host itself ends an unused shell, nobody can.
            assert endpoint.left().get("shells", 0) <= 1
            endpoint.forget()
        assert host.vms["demovm"].services["vss"].state().enabled is not made_in(endpoint)
        host.close()
        assert wait_until(lambda: endpoint.left() == {}), endpoint.left()
    return seconds


@pytest.mark.parametrize(("name", "verb"), TABLE.all_of(alike=SAME_AT_EACH_STEP))
def test_sealed_messages(name: str, verb: str, records: Records) -> None:
    TABLE.note(name, verb, check_row(name, verb, tls=False))


@pytest.mark.parametrize("verb", ["read", "write"])
@pytest.mark.parametrize("name", some_by_day(ON_TLS, [*DIFFERENT_ON_TLS, *ON_TLS[::4]]))
def test_basic_over_tls(name: str, verb: str, records: Records) -> None:
    check_row(name, verb, tls=True)


@pytest.mark.parametrize("verb", ["read", "write"])
def test_long_scripts_are_polled_for(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.setattr(shell, "_LONGEST_WAIT", 1)
    with WSManEndpoint() as endpoint, endpoint.host() as host:
        host.info()
        endpoint.world.faults = [Fault(action="delay", seconds=1.5, machine="demovm", times=1)]
        asked = endpoint.server.actions["Receive"]

        came = ask(host, endpoint, endpoint.world, verb, LONG)

        assert came == {"read": "answer", "write": "changed"}[verb]
        assert endpoint.server.actions["Receive"] == asked + 2
        assert host.session.stats.repeats == 0


def test_what_is_sent_as_time_runs_out_is_not_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command goes out between the end of waiting for it and the shutting of the connection."""
    waited_out, sent = threading.Event(), threading.Event()
    send, shut = WinRMConnection._note_sent, WSManHttp.shut  # noqa: SLF001 - the moment that matters

    def send_late(connection: WinRMConnection) -> None:
        if not waited_out.is_set():
            waited_out.wait(30)
            send(connection)
            sent.set()

    def shut_late(http: WSManHttp) -> None:
        waited_out.set()
        sent.wait(30)
        time.sleep(0.1)  # The server takes it meanwhile.
        shut(http)

    with WSManEndpoint() as endpoint, endpoint.host() as host:
        host.info()
        monkeypatch.setattr(WinRMConnection, "_note_sent", send_late)
        monkeypatch.setattr(WSManHttp, "shut", shut_late)
        try:
            (change,) = host.set_services(
                [(host.vm(endpoint.world.machine("demovm").id), "vss", False)], timeout=SHORT["write"]
            )
        finally:
            monkeypatch.undo()

        assert made_in(endpoint)
        assert change.outcome is ChangeOutcome.CONFIRMED


def test_pipelines_are_not_signalled_once_the_connection_is_over() -> None:
    with WSManEndpoint() as endpoint, endpoint.host() as host:
        host.info()
        assert wait_until(lambda: "commands" not in endpoint.left())
        endpoint.server.misbehave("hang", action="Signal", times=None, carried_out=False)
        for _ in range(4):
            host.info()
        signals = endpoint.server.counts["connections"]

        host.close()

        assert wait_until(lambda: endpoint.left() == {})
        assert wait_until(lambda: not any(" closings" in thread.name for thread in threading.enumerate()), 3)
        assert endpoint.server.counts["connections"] == signals


def test_a_network_that_comes_back_leaves_no_shell() -> None:
    with WSManEndpoint() as endpoint, endpoint.host() as host:
        host.info()
        endpoint.proxy.strike("freeze")
        endpoint.proxy.mode = "swallow"
        with pytest.raises(OutcomeUnknownError):
            host.set_services([(host.vm(endpoint.world.machine("demovm").id), "vss", False)], timeout=1)
        assert endpoint.left()["shells"] == 1

        endpoint.proxy.mode = "pass"

        assert wait_until(lambda: endpoint.left() == {})
        assert endpoint.journal() == []


@pytest.mark.parametrize(("tls", "refusals"), [(False, 3), (True, 1)], ids=["sealed", "tls"])
def test_a_wrong_password_is_tried_once(*, tls: bool, refusals: int) -> None:
    with WSManEndpoint(tls=tls) as endpoint, endpoint.host() as host:
        endpoint.server.misbehave("unauthorized", times=None)

        with pytest.raises(AuthenticationError):
            host.set_services([(host.vm(endpoint.world.machine("demovm").id), "vss", False)])

        time.sleep(1)  # Nothing may be tried behind the caller's back: that would lock the user out.
        assert endpoint.server.counts["unauthorized"] <= refusals
