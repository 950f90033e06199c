"""Faults of WSMan as Windows sends them: what is raised, what may have run, and what is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hvintegration import ChangeOutcome, CheckOutcome, Credential, Host, WinRM, World, errors
from hvintegration.simulator import Machine
from hvintegration.testing import machine_id
from hvintegration.transports.winrm import host_record
from tests.support.endpoints import wait_until
from tests.support.leftovers import nothing_left
from tests.support.wsman_server import Action, WSManServer
from tests.support.wsman_shells import Envelope, Form

MACHINES = 225
KINDS = ("heartbeat", "kvp", "shutdown", "time_sync")
"""Of all machines, they are a Command and a Send."""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture
def world() -> World:
    return World(machines=[Machine(id=machine_id(number), name=f"vm{number:03}") for number in range(MACHINES)])


@pytest.fixture
def server(world: World) -> Iterator[WSManServer]:
    with WSManServer(world) as running:
        yield running


@pytest.fixture
def asked(server: WSManServer, monkeypatch: pytest.MonkeyPatch) -> list[Envelope]:
    """Every message that the server answers."""
    seen: list[Envelope] = []
    answer = server.shells.answer

    def note(envelope: Envelope) -> tuple[int, str]:
        seen.append(envelope)
        return answer(envelope)

    monkeypatch.setattr(server.shells, "answer", note)
    return seen


@pytest.fixture
def host(server: WSManServer) -> Iterator[Host]:
    with Host(winrm(server)) as connected:
        yield connected


def winrm(server: WSManServer) -> WinRM:
    who = Credential(server.username, server.password)
    return WinRM(server.host, port=server.port, credential=who, auth="ntlm")


def switch(host: Host, machines: int = 1, **more: Any) -> set[ChangeOutcome]:  # noqa: ANN401 - as the verb has them
    wanted = [(host.vm(machine_id(number)), kind, False) for number in range(machines) for kind in KINDS]
    return {change.outcome for change in host.set_services(wanted, **more)}


def warm(host: Host, server: WSManServer) -> None:
    """Open a session, and let the server know that all is over so far."""
    host.info()
    assert wait_until(lambda: server.open_commands == 0)


# -- while a session is opened ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1018, 995, 1726, 2147943418])
@pytest.mark.parametrize("action", ["Create", "Receive"])
def test_what_passes_by_itself_is_tried_again(server: WSManServer, world: World, action: Action, code: int) -> None:
    for ask in (Host.info, switch):
        with Host(winrm(server)) as host:
            server.misbehave("fault", action=action, code=code)
            ask(host)
    assert len(world.journal) == len(KINDS)


def test_what_does_not_pass_is_given_up_after_three_tries(server: WSManServer, host: Host, world: World) -> None:
    server.misbehave("fault", action="Create", code=1018, times=None)

    for ask in (host.info, lambda: switch(host)):
        before = server.counts["requests"]
        with pytest.raises(errors.ConnectionLostError, match="could not start a session now") as lost:
            ask()
        assert (lost.value.retryable, lost.value.may_have_run, lost.value.fenced) == (True, False, True)
        assert server.counts["requests"] > before
    assert world.journal == []


@pytest.mark.parametrize("form", ["wsman", "wmi"])
@pytest.mark.parametrize(("action", "code"), [("Create", 2150859173), ("Create", 2150859174), ("Command", 2150859174)])
def test_a_full_quota_is_told_in_either_form(
    server: WSManServer, host: Host, action: Action, form: Form, code: int
) -> None:
    if action == "Command":
        warm(host, server)
    server.misbehave("fault", action=action, code=code, form=form, text="Kontingent", times=None)

    for ask in (host.info, lambda: switch(host)):
        with pytest.raises(errors.BusyError, match=r"no room for this user now.*Kontingent") as busy:
            ask()
        assert not busy.value.may_have_run


@pytest.mark.parametrize("code", [5, 2147942405])
def test_access_is_denied_in_either_number(server: WSManServer, host: Host, code: int) -> None:
    server.misbehave("fault", action="Create", code=code, text="Zugriff verweigert")

    with pytest.raises(errors.PermissionDeniedError) as denied:
        host.info()

    assert denied.value.error_id == str(code)


def test_no_remote_shells_are_not_a_lack_of_rights(server: WSManServer, host: Host) -> None:
    server.misbehave("fault", action="Create", code=2150859180)
    with pytest.raises(errors.UnsupportedError, match="allows no remote shells"):
        host.info()


def test_a_fault_without_a_number_is_no_riddle(server: WSManServer, host: Host) -> None:
    server.misbehave("fault", action="Create", form="bare", text="Irgendwas")
    with pytest.raises(errors.CommandFailedError, match=r"did not open a session at Microsoft\.PowerShell: Irgendwas"):
        host.info()


@pytest.mark.parametrize("code", [995, 1018, 2150859173, 5, 2])
def test_a_fault_of_create_is_none_of_authentication(server: WSManServer, code: int) -> None:
    server.misbehave("fault", action="Create", code=code, times=None)
    with Host(winrm(server)) as host:
        steps = {step.name: step.outcome for step in host.check().steps}
    assert (steps["authentication"], steps["PowerShell"]) == (CheckOutcome.OK, CheckOutcome.FAILED)


# -- time-outs ----------------------------------------------------------------------------------------------------


def test_the_host_has_as_long_as_the_caller_waits(host: Host, asked: list[Envelope]) -> None:
    switch(host, MACHINES, timeout=300)

    timeouts = {envelope.action: envelope.timeout for envelope in asked}
    assert timeouts["Create"] > 200
    assert timeouts["Command"] > 200
    assert timeouts["Send"] > 200
    assert timeouts["Receive"] <= 20


@pytest.mark.parametrize("form", ["wsman", "bare"])
def test_a_session_that_takes_too_long_is_a_time_out(server: WSManServer, host: Host, world: World, form: Form) -> None:
    server.misbehave("fault", action="Create", code=2150858793, form=form, times=None)

    for ask in (host.info, lambda: switch(host)):
        with pytest.raises(errors.TransportTimeoutError) as late:
            ask()
        assert (late.value.may_have_run, late.value.after) == (False, 60)
    assert world.journal == []


def test_a_command_that_takes_too_long_is_a_time_out(server: WSManServer, host: Host) -> None:
    warm(host, server)
    server.misbehave("fault", action="Command", code=2150858793)

    with pytest.raises(errors.TransportTimeoutError) as late:
        host.info()

    assert late.value.may_have_run


# -- one session --------------------------------------------------------------------------------------------------


def test_all_messages_of_a_connection_have_one_session_id(
    server: WSManServer, host: Host, asked: list[Envelope]
) -> None:
    warm(host, server)
    switch(host, MACHINES)
    assert wait_until(lambda: server.open_commands == 0)
    host.close()

    assert {"Create", "Command", "Send", "Receive", "Signal", "Delete"} == {envelope.action for envelope in asked}
    (session_id,) = {envelope.session_id for envelope in asked}
    assert session_id.startswith("uuid:")


# -- long messages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kilobytes", [150, 100, 64])
def test_a_host_that_takes_no_long_messages_gets_short_ones(
    server: WSManServer, host: Host, world: World, kilobytes: int
) -> None:
    server.max_envelope_bytes = kilobytes * 1024

    assert switch(host, MACHINES, dry_run=True) == {ChangeOutcome.WOULD_CHANGE}
    assert switch(host, MACHINES) == {ChangeOutcome.CHANGED}

    assert len(world.journal) == MACHINES * len(KINDS)
    assert server.actions["Create"] == {150: 1, 100: 2, 64: 3}[kilobytes]


def test_a_host_that_takes_hardly_anything_says_so(server: WSManServer, host: Host, world: World) -> None:
    server.max_envelope_bytes = 8 * 1024

    for ask in (host.info, lambda: switch(host, MACHINES)):
        with pytest.raises(errors.TransportError, match="does not take messages of this length") as refused:
            ask()
        assert not refused.value.may_have_run
        assert refused.value.hint is not None
        assert "MaxEnvelopeSizekb" in refused.value.hint
    assert world.journal == []


@pytest.mark.parametrize("code", [995, 1726, 5, 2150859174, 2150858843, 2150858793, 4711])
def test_what_was_not_sent_to_its_end_has_not_run(
    server: WSManServer, world: World, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_record, "USUAL", host_record.LEAST)  # So that it is a Command and two Sends.
    host = Host(winrm(server))
    warm(host, server)
    server.misbehave("fault", action="Send", code=code, times=None)

    with pytest.raises(errors.HvError) as refused:
        switch(host, 70)

    assert not getattr(refused.value, "may_have_run", False)
    assert world.journal == []
    server.behave()
    assert switch(host, 70) == {ChangeOutcome.CHANGED}
    assert wait_until(lambda: server.open_commands == 0)
    assert server.actions["Send"] == 2
    host.close()


# -- what is over -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["wsman", "wmi"])
def test_a_shell_full_of_commands_is_told_what_is_over(server: WSManServer, host: Host, form: Form) -> None:
    warm(host, server)
    signals = server.misbehave("fault", action="Signal", code=2150859174, times=3)
    for _ in range(3):
        host.info()
    assert wait_until(lambda: signals.struck == 3)
    server.shells.max_commands, server.shells.quota_form = 3, form

    assert switch(host) == {ChangeOutcome.CHANGED}

    assert server.actions["Create"] == 1


def test_a_shell_that_takes_no_command_is_busy(server: WSManServer, host: Host, world: World) -> None:
    server.shells.max_commands = 0

    with pytest.raises(errors.BusyError) as busy:
        switch(host)

    assert not busy.value.may_have_run
    assert busy.value.hint is not None
    assert "MaxConcurrentCommandsPerShell" in busy.value.hint
    assert world.journal == []
