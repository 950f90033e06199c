"""Guests over the connection of their host: sessions within a session; and what is refused before anything is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

import hvintegration as hv
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline, VirtualClock
from hvintegration.errors import (
    ConfigurationError,
    ConnectionLostError,
    HvError,
    ReentrantCallError,
    TransportTimeoutError,
    UnknownServiceError,
    UnsupportedError,
)
from hvintegration.guest import Guest
from hvintegration.guest_models import Startup
from hvintegration.service_kind import ServiceKind
from hvintegration.transports.sharing import Sharing

VM_ID = "aaaaaaaa-0000-4000-8000-000000000001"
WHO = hv.Credential("Administrator", "Pa55-mark-Wort!")

SERVICES = [{"name": kind.windows_service, "state": "Running", "start_type": "Manual"} for kind in ServiceKind]
GUEST = json.dumps(
    {"schema": 1, "result": {"vm_id": VM_ID, "version": None, "info": {}, "services": SERVICES}, "errors": []}
)
DIRECT = json.dumps({"schema": 1, "result": {"opened": False, "reason": None, "answer": GUEST}, "errors": []})


class FakeHost:
    """A host's transport; every call is answered as from inside the guest, or with what is given."""

    requests = 0

    def __init__(self, before: Callable[[], None] = lambda: None, answered: str = DIRECT) -> None:
        self.before = before
        self.answered = answered
        self.clock = VirtualClock()
        self.sharing = Sharing()
        self.asked: list[str] = []
        self.closed = 0

    def __str__(self) -> str:
        return "winrm://hv01"

    def call(self, call: Call, deadline: Deadline, /) -> str:
        assert deadline.left()
        self.asked.append(call.script.name)
        self.requests += 3
        self.before()
        return self.answered

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def transport() -> FakeHost:
    return FakeHost()


@pytest.fixture
def host(transport: FakeHost) -> hv.Host:
    return hv.Host(transport)


@pytest.fixture
def guest(host: hv.Host) -> Guest:
    return host.vm(VM_ID).guest(credential=WHO)


# -- sessions ------------------------------------------------------------------------------------------------------


def test_making_one_sends_nothing_and_says_where_it_is(transport: FakeHost, guest: Guest) -> None:
    assert guest.address == f"winrm://hv01#vm={VM_ID}"
    for thing in (guest, guest.session, guest.services, guest.services["kvp"]):
        assert guest.address in repr(thing)
        assert WHO.password not in repr(thing)
    assert transport.asked == []


def test_a_question_to_a_guest_is_one_of_its_host_and_counted_by_both(
    transport: FakeHost, host: hv.Host, guest: Guest
) -> None:
    guest.services.list()
    other = host.vm(VM_ID).guest(credential=WHO)
    other.inventory()
    assert transport.asked == ["get_guest_directly"] * 2
    assert (guest.session.stats.round_trips, other.session.stats.round_trips) == (1, 1)
    mine, hosts = guest.session.stats, host.session.stats
    assert (hosts.round_trips, hosts.requests) == (2, 6)
    assert (mine.characters_received, hosts.characters_received) == (len(GUEST), 2 * len(GUEST))
    assert mine.requests == 6  # Messages are counted where they are sent.


def test_closing_a_guest_leaves_its_host_and_other_guests_open(
    transport: FakeHost, host: hv.Host, guest: Guest
) -> None:
    other = host.vm(VM_ID).guest(credential=WHO)
    with guest:
        guest.services.list()
    guest.close()
    with pytest.raises(ConfigurationError, match="closed"):
        guest.services.list()
    assert len(other.services.list()) == 8
    assert transport.closed == 0


def test_closing_a_host_ends_its_guests(transport: FakeHost, host: hv.Host, guest: Guest) -> None:
    host.close()
    with pytest.raises(ConfigurationError, match=f"vm={VM_ID} is closed"):
        guest.services["kvp"].state()
    assert (transport.asked, transport.closed) == ([], 1)
    guest.close()
    assert transport.closed == 1


def test_a_guest_keeps_the_connection_of_a_host_that_is_let_go_of(transport: FakeHost) -> None:
    guest = hv.Host(transport).vm(VM_ID).guest(credential=WHO)
    assert len(guest.services.list()) == 8
    assert transport.closed == 0


def test_asking_a_host_while_its_guest_is_asked_is_refused(transport: FakeHost, host: hv.Host, guest: Guest) -> None:
    refused: list[HvError] = []

    def ask() -> None:
        for verb in (host.info, host.vm(VM_ID).guest(credential=WHO).info):
            with pytest.raises(ReentrantCallError) as error:
                verb()
            refused.append(error.value)

    transport.before = ask
    assert len(guest.services.list()) == 8
    assert (len(refused), len(transport.asked)) == (2, 1)


def test_a_host_and_its_guests_take_turns(transport: FakeHost, host: hv.Host, guest: Guest) -> None:
    inside: list[int] = []
    most: list[int] = []

    def before() -> None:
        inside.append(1)
        most.append(len(inside))
        inside.pop()

    transport.before = before
    verbs: list[Callable[[], object]] = [guest.services.list, host.vm(VM_ID).guest(credential=WHO).info] * 4
    threads = [threading.Thread(target=verb) for verb in verbs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (set(most), len(transport.asked)) == ({1}, 8)


def test_a_host_that_is_closed_in_the_middle_ends_what_its_guest_does(transport: FakeHost, host: hv.Host) -> None:
    def lose() -> None:
        host.close()
        raise ConnectionLostError("It ended.", address=str(transport), fenced=True)

    transport.before = lose
    with pytest.raises(ConnectionLostError):
        host.vm(VM_ID).guest(credential=WHO).services.list()
    assert len(transport.asked) == 1


def test_a_guest_that_is_closed_in_the_middle_of_a_restart_says_so() -> None:
    stopped = [entry | {"state": "Stopped"} for entry in SERVICES]
    change = {"before": {"name": "vmickvpexchange", "state": "Running"}, "begun": True}
    result = {"vm_id": VM_ID, "version": None, "changes": [change], "services": stopped}
    transport = FakeHost(answered=json.dumps({"schema": 1, "result": result, "errors": []}))
    guest = Guest(transport)
    transport.before = guest.close
    with pytest.raises(ConfigurationError, match="is closed") as closed:
        guest.services["kvp"].restart()
    assert len(transport.asked) == 1
    assert closed.value.__notes__[-1] == "Key-Value Pair Exchange is stopped for the restart."


def test_a_deadline_goes_by_the_clock_of_the_host(transport: FakeHost, guest: Guest) -> None:
    assert len(guest.services.list(timeout=Deadline(5, transport.clock))) == 8
    with pytest.raises(ConfigurationError, match="another clock"):
        guest.services.list(timeout=Deadline(5))
    late = Deadline(5, transport.clock)
    transport.clock.sleep(6)
    with pytest.raises(TransportTimeoutError):
        guest.services.list(timeout=late)


# -- arguments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credential", [None, hv.Credential("", "x"), "Administrator", ("a", "b")])
def test_without_a_user_there_is_no_way_in(host: hv.Host, credential: Any) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(ConfigurationError, match="user of the guest"):
        host.vm(VM_ID).guest(credential=credential)


@pytest.mark.parametrize("address", ["winrm://web1", "winrms://web1", "ssh://web1"])
@pytest.mark.parametrize("credential", ["Pa55-mark-Wort!", ("admin", "Pa55-mark-Wort!")])
def test_what_is_no_credential_is_refused_and_not_repeated(host: hv.Host, address: str, credential: Any) -> None:  # noqa: ANN401 - of any type
    for reach in (hv.connect, hv.connect_guest, host.vm(VM_ID).guest):
        with pytest.raises(ConfigurationError, match="no Credential") as refused:
            reach(address, credential=credential)
        assert "Pa55" not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("vm_id", [VM_ID.upper(), f"{{{VM_ID}}}"])
def test_an_id_may_be_given_in_any_form(vm_id: str) -> None:
    assert Guest(FakeHost(answered=GUEST), vm_id=vm_id).info().vm_id == VM_ID


@pytest.mark.parametrize("vm_id", ["web1", "", 7])
def test_an_id_that_is_none_is_refused(transport: FakeHost, vm_id: Any) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(ConfigurationError, match="no GUID"):
        Guest(transport, vm_id=vm_id)


def test_powershell_direct_has_no_options(host: hv.Host) -> None:
    with pytest.raises(ConfigurationError, match="no options"):
        host.vm(VM_ID).guest(credential=WHO, options={"port": "1"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([("kvp", True)], "is no mapping"),
        ("kvp", "is no mapping"),
        (None, "is no mapping"),
        ({1: True}, "neither a ServiceKind nor the name"),
        ({None: True}, "neither a ServiceKind nor the name"),
        ({"kvp": "on"}, "neither True nor False"),
        ({"kvp": 1}, "neither True nor False"),
        ({"kvp": None}, "neither True nor False"),
        ({"kvp": True, "Key-Value Pair Exchange": False}, "both started and stopped"),
        ({"shutdown": False}, "needs to be confirmed"),
        ({"vmicvmsession": False}, "connection with this guest runs on"),
    ],
)
def test_changes_of_another_shape_are_refused(transport: FakeHost, guest: Guest, changes: Any, said: str) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(ConfigurationError, match=said):
        guest.set_services(changes)
    assert transport.asked == []


@pytest.mark.parametrize("name", ["nonsense", "", "vmic*"])
def test_a_service_that_nobody_knows_is_refused(transport: FakeHost, guest: Guest, name: str) -> None:
    with pytest.raises(UnknownServiceError):
        guest.services[name]
    with pytest.raises(UnknownServiceError):
        guest.set_services({name: True})
    assert transport.asked == []


@pytest.mark.parametrize(
    "startup", ["triggered", "start", "stop", "Manual", "", None, 2, Startup.TRIGGERED, "x" * 9999]
)
def test_a_startup_that_cannot_be_set_is_refused(transport: FakeHost, guest: Guest, startup: Any) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(ConfigurationError, match="Invalid startup") as refused:
        guest.services["kvp"].set_startup(startup)
    assert len(str(refused.value)) < 300
    assert transport.asked == []


@pytest.mark.parametrize("verb", ["stop", "set_startup"])
def test_what_needs_to_be_confirmed_is_not_sent(transport: FakeHost, guest: Guest, verb: str) -> None:
    arguments = ("disabled",) if verb == "set_startup" else ()
    with pytest.raises(ConfigurationError, match="needs to be confirmed") as refused:
        getattr(guest.services["time_sync"], verb)(*arguments)
    assert "confirm=True" in str(refused.value.hint)
    assert transport.asked == []


def test_handles_are_equal_when_they_mean_the_same_through_the_same_session(host: hv.Host, guest: Guest) -> None:
    assert guest.services["kvp"] == guest.services["vmickvpexchange"]
    assert hash(guest.services["kvp"]) == hash(guest.services[ServiceKind.KVP])
    other = host.vm(VM_ID).guest(credential=WHO)
    assert (guest == other, guest.services["kvp"] == other.services["kvp"]) == (False, False)
    assert guest == Guest(guest.session)


def test_a_family_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Invalid family 'macos'") as refused:
        hv.connect_guest("sim:", family="macos")
    assert refused.value.hint == "It is windows, linux or freebsd."


@pytest.mark.parametrize("kind", [ServiceKind.HEARTBEAT, ServiceKind.POWERSHELL_DIRECT])
def test_a_service_that_cannot_be_handled_in_linux_is_refused_with_the_address(kind: ServiceKind) -> None:
    transport = FakeHost()
    linux = Guest(transport, family="linux")
    with pytest.raises(UnsupportedError) as refused:
        linux.services[kind].stop(confirm=True)
    assert (refused.value.address, transport.asked) == (linux.address, [])


@pytest.mark.parametrize("family", ["linux", "macos", ["windows"], 7])
def test_powershell_direct_reaches_windows_only(family: Any) -> None:  # noqa: ANN401 - of any type
    host = FakeHost()
    with pytest.raises(ConfigurationError, match="reaches Windows guests only"):
        hv.Host(host).vm(VM_ID).guest(credential=WHO, family=family)
    assert host.asked == []
    assert hv.Host(host).vm(VM_ID).guest(credential=WHO, family="windows").services.list()
