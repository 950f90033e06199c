"""Guests that hang, die, refuse, take their time and say anything, behind a real PowerShell.

The modules in ``guest_that_fails`` take the place of the engine's, for the host and for what runs in its guests.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

import hvintegration as hv
from hvintegration.errors import (
    AuthenticationError,
    CommandFailedError,
    ConnectError,
    ConnectionLostError,
    HvError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProtocolError,
    TransportTimeoutError,
    WaitTimeoutError,
)
from hvintegration.guest_models import GuestServiceState
from hvintegration.models import ChangeOutcome
from hvintegration.testing import machine_id
from tests.support.amounts import some_by_day
from tests.support.secrecy import PASSWORD, USERNAME, Records, assert_clean, assert_clean_error, encodings
from tests.support.time_limit import GRACE, within

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("unmeasured")]

MODULES: Final = Path(__file__).with_name("guest_that_fails")
WHO: Final = hv.Credential(USERNAME, PASSWORD)
LOST: Final = "PSSessionStateBroken PSRemotingTransportException"


def linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def engine_of_guests(engine: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An engine whose guests can fail."""
    folder = tmp_path_factory.mktemp("engine") / "engine"
    ours = [module.name for module in MODULES.iterdir()]
    shutil.copytree(
        Path(engine).parent,
        folder,
        copy_function=linked,
        ignore=lambda where, _: ours if where.endswith("Modules") else [],
    )
    for name in ours:
        shutil.copytree(MODULES / name, folder / "Modules" / name)
    return str(folder / "pwsh")


class Guests:
    """A host with two Windows guests, and what is to go wrong there."""

    def __init__(self, world: Path) -> None:
        self.world = world
        machines = [
            {"id": machine_id(number), "name": name, "guest": "windows", "user": USERNAME, "password": PASSWORD}
            for number, name in enumerate(("web", "db"), 1)
        ]
        world.write_text(json.dumps({"computer": "HV01", "machines": machines}))
        self.host: hv.Host

    def guest(self, number: int = 1) -> hv.Guest:
        return self.host.vm(machine_id(number)).guest(credential=WHO)

    def have(self, *faults: str, sessions: Sequence[str] = ()) -> None:
        """Have these faults strike, each once, and these sessions come."""
        self._file("faults").write_text("".join(f"{fault}\n" for fault in faults))
        if sessions:
            self._file("sessions").write_text("".join(f"{session}\n" for session in sessions))

    def without_details(self) -> None:
        self._file("nocim").write_text("x")

    @property
    def called(self) -> list[str]:
        """The commands that were called to change something."""
        return self._file("called").read_text().splitlines() if self._file("called").exists() else []

    def assert_all_is_well(self) -> None:
        """The host and each guest answer, and what they say is whole."""
        assert self.host.info(timeout=30).name == "HV01"
        for number in (2, 1):
            rows = self.guest(number).services.list(timeout=30)
            assert (len(rows), rows.errors) == (8, ())

    def _file(self, ending: str) -> Path:
        return self.world.with_name(f"{self.world.name}.{ending}")


@pytest.fixture(scope="module", params=some_by_day(["local", "WinRM", "SSH"], ["local"]))
def leading(
    request: pytest.FixtureRequest, engine_of_guests: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Callable[[], hv.Transport]]]:
    """A world file, and what makes transports to its host, whose server runs already."""
    world = tmp_path_factory.mktemp("world") / "world.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPERV_WORLD", str(world))
        if request.param == "local":
            yield world, lambda: hv.Local(engine_of_guests)
        elif request.param == "WinRM":
            bridge = request.getfixturevalue("start_bridge")(world=world, pwsh=engine_of_guests, auth="ntlm")
            who = hv.Credential("BRIDGE\\admin", "Secret-1")
            yield world, lambda: hv.WinRM("127.0.0.1", port=bridge.port, credential=who, auth="ntlm")
        else:
            subsystem = f"Subsystem powershell {engine_of_guests} -sshs -NoLogo -NoProfile"
            server = request.getfixturevalue("start_sshd")(f"{subsystem}\nSetEnv HYPERV_WORLD={world}\n")
            yield world, server.ssh


@pytest.fixture
def guests(leading: tuple[Path, Callable[[], hv.Transport]]) -> Iterator[Guests]:
    """Guests in which nothing is wrong yet."""
    world, transport = leading
    found = Guests(world)
    with hv.Host(transport()) as found.host:
        yield found
    for file in world.parent.glob(f"{world.name}.*"):
        file.unlink()


# -- a guest that hangs or dies ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hasty_writes")
def test_a_stop_that_hangs_ends_in_time_and_the_host_and_other_guests_answer_within_the_same_deadline(
    guests: Guests,
) -> None:
    guests.host.info()
    guests.have("Stop-Service hang")
    deadline = hv.Deadline(60)
    with within(60 + GRACE):
        with pytest.raises(TransportTimeoutError):
            guests.guest().services["vss"].stop(timeout=hv.Deadline(40))
        assert guests.host.info(timeout=deadline).name == "HV01"
        assert guests.guest(2).services["vss"].state(timeout=deadline).running
    assert guests.called == ["Stop-Service vmicvss"]
    assert guests.guest().services["vss"].state().running


def test_a_read_that_hangs_ends_in_time(guests: Guests) -> None:
    guests.host.info()
    guests.have("Get-Service hang")
    with within(30), pytest.raises(TransportTimeoutError):
        guests.guest().services.list(timeout=2)
    guests.assert_all_is_well()


def test_what_a_guest_dies_of_before_it_is_done_is_done_once(guests: Guests) -> None:
    guests.have("Stop-Service exit")
    (made,) = guests.guest().set_services({"vss": False}, timeout=120)
    assert (made.outcome, made.state and made.state.status) == (ChangeOutcome.CHANGED, "Stopped")
    assert guests.called == ["Stop-Service vmicvss"] * 2


def test_what_a_guest_dies_of_after_it_is_done_is_not_done_again(guests: Guests) -> None:
    guests.have("Stop-Service done-exit")
    (made,) = guests.guest().set_services({"vss": False}, timeout=120)
    assert (made.outcome, made.before) == (ChangeOutcome.CONFIRMED, None)
    assert guests.called == ["Stop-Service vmicvss"]


def test_of_many_changes_each_is_made_once(guests: Guests) -> None:
    guests.have("Stop-Service done-exit")
    changes = guests.guest().set_services({"kvp": False, "vss": False, "heartbeat": True}, timeout=120)
    assert [change.outcome for change in changes] == [
        ChangeOutcome.CONFIRMED,
        ChangeOutcome.CHANGED,
        ChangeOutcome.CONFIRMED,
    ]
    assert guests.called == ["Stop-Service vmickvpexchange", "Stop-Service vmicvss"]


@pytest.mark.usefixtures("hasty_writes")
def test_what_hangs_after_it_is_done_is_confirmed(guests: Guests) -> None:
    guests.host.info()
    guests.have("Stop-Service done-hang")
    assert guests.guest().services["vss"].stop(timeout=40).status == "Stopped"
    assert guests.called == ["Stop-Service vmicvss"]


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_ctrl_c_in_a_write_says_that_it_may_have_been_made(guests: Guests) -> None:
    guests.host.info()
    guests.have("Stop-Service hang")

    def strike() -> None:
        give_up = time.monotonic() + 30
        while not guests.called and time.monotonic() < give_up:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    # What was started in the background finds SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        striking = threading.Thread(target=strike)
        striking.start()
        with pytest.raises(KeyboardInterrupt) as interruption:
            guests.guest().services["vss"].stop(timeout=60)
        striking.join()
    finally:
        signal.signal(signal.SIGINT, before)
    (note,) = interruption.value.__notes__
    assert (f"#vm={machine_id(1)}" in note, "may have been made" in note) == (True, True)
    guests.assert_all_is_well()


# -- a guest that takes its time -----------------------------------------------------------------------------------


def test_a_slow_start_is_waited_for_and_made_once(guests: Guests) -> None:
    service = guests.guest().services["vss"]
    service.stop()
    guests.have("Start-Service pending 14")
    (made,) = guests.guest().set_services({"vss": True}, timeout=120)
    assert (made.outcome, made.before, made.state and made.state.status) == (
        ChangeOutcome.CHANGED,
        "Stopped",
        "Running",
    )
    assert guests.called == ["Stop-Service vmicvss", "Start-Service vmicvss"]


def test_a_start_that_never_ends_is_an_error_in_time_with_the_state_then(guests: Guests) -> None:
    service = guests.guest().services["vss"]
    service.stop()
    guests.have("Start-Service pending 100000")
    with within(12 + GRACE), pytest.raises(WaitTimeoutError) as late:
        service.start(timeout=12)
    assert isinstance(late.value.last, GuestServiceState)
    assert late.value.last.status == "StartPending"
    assert guests.called == ["Stop-Service vmicvss", "Start-Service vmicvss"]


# -- a guest that refuses ------------------------------------------------------------------------------------------


def test_a_refused_change_changes_nothing_and_says_who_may(guests: Guests) -> None:
    guests.have("Stop-Service denied")
    with pytest.raises(PermissionDeniedError) as denied:
        guests.guest().services["vss"].stop()
    assert "administrator of the guest" in str(denied.value.hint)
    assert guests.guest().services["vss"].state().running


def test_services_that_may_not_be_listed_are_not_called_absent(guests: Guests) -> None:
    for verb in (guests.guest().services.list, guests.guest().info, guests.guest().services["vss"].start):
        guests.have("Get-Service denied")
        with pytest.raises(CommandFailedError) as denied:
            verb()
        assert "Service Control Manager" in denied.value.host_message


@pytest.mark.parametrize("fault", ["partial", "nameless"])
def test_a_service_that_cannot_be_listed_is_not_called_absent(guests: Guests, fault: str) -> None:
    guests.have(f"Get-Service {fault}")
    rows = guests.guest().services.list()
    states = {row.kind: row for row in rows}
    assert (states[hv.ServiceKind.VSS].installed, states[hv.ServiceKind.KVP].running) == (None, True)
    assert len(rows.errors) == 1


def test_details_that_cannot_be_read_are_none_and_told_and_the_services_are_listed(guests: Guests) -> None:
    guests.without_details()
    found = guests.guest().inventory()
    assert [(row.running, row.pid, row.program, row.account) for row in found.services] == [
        (row.kind is not hv.ServiceKind.GUEST_SERVICE_INTERFACE, None, None, None) for row in found.services
    ]
    assert (found.info.caption, found.info.vm_name) == (None, "web")
    assert [failure.target for failure in found.errors] == ["Win32_Service", "Win32_OperatingSystem"]
    assert guests.guest().services["vss"].stop().status == "Stopped"


# -- a session that fails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session", "kind"),
    [
        (f"before {LOST}", ConnectionLostError),
        ("before PSSessionStateBroken PSDirectException", AuthenticationError),
        ("before HyperVNegotiationFailed PSDirectException", ConnectError),
        ("before SomethingElse RemoteException", CommandFailedError),
    ],
)
def test_a_session_that_cannot_be_had_is_asked_for_once(guests: Guests, session: str, kind: type[HvError]) -> None:
    guests.have(sessions=[session])
    with pytest.raises(kind) as error:
        guests.guest().services.list()
    assert_clean_error(error.value)
    assert guests.host.session.stats.round_trips == 1
    guests.assert_all_is_well()


def test_a_write_without_a_session_has_changed_nothing(guests: Guests) -> None:
    guests.have(sessions=[f"before {LOST}"])
    with pytest.raises(ConnectError) as error:
        guests.guest().services["vss"].stop()
    assert (error.value.may_have_run, guests.called) == (False, [])


def test_a_session_that_is_lost_after_the_change_is_read_back(guests: Guests) -> None:
    guests.have(sessions=["good", f"after {LOST}"])
    (made,) = guests.guest().set_services({"vss": False}, timeout=120)
    assert (made.outcome, guests.called) == (ChangeOutcome.CONFIRMED, ["Stop-Service vmicvss"])


@pytest.mark.parametrize("session", [f"before {LOST}", "before SomethingElse RemoteException"])
def test_a_session_that_is_lost_before_the_change_leaves_it_unknown(guests: Guests, session: str) -> None:
    """Nobody can say whether what was sent into the guest is still to run there."""
    guests.have(sessions=["good", session])
    with pytest.raises(OutcomeUnknownError) as unknown:
        guests.guest().services["vss"].stop()
    assert (unknown.value.asked, guests.called) == (("stop VSS",), [])


# -- a guest that says anything ------------------------------------------------------------------------------------


NO_ANSWERS: Final = [
    "says no JSON",
    "says \x1b[31mred\x1b]0;title\x07",
    'says {"schema": 1, "result": null, "errors": []}|and more',
    "says ",
    "large 50000000",
    "deep 100000",
    "writes more and more",
]


@pytest.mark.parametrize("session", some_by_day(NO_ANSWERS, [NO_ANSWERS[1], NO_ANSWERS[-1]]))
def test_what_is_no_answer_is_an_error_in_time_and_shown_without_control_characters(
    guests: Guests, session: str
) -> None:
    guests.host.info()
    guests.have(sessions=[session])
    with within(30), pytest.raises(ProtocolError) as error:
        guests.guest().services.list(timeout=20)
    assert all(character.isprintable() for character in f"{error.value}{error.value.excerpt}")
    guests.assert_all_is_well()


def test_a_guest_that_lies_about_a_change_cannot_have_it_made_twice(guests: Guests) -> None:
    guests.have(sessions=["good", "says no JSON"])
    with pytest.raises(HvError):
        guests.guest().services["vss"].stop(timeout=60)
    assert guests.called == []
    guests.assert_all_is_well()


# -- secrets -------------------------------------------------------------------------------------------------------


def test_no_secret_is_told_or_recorded_and_the_recording_says_the_same_again(
    guests: Guests, engine_of_guests: str, tmp_path: Path, records: Records
) -> None:
    path = tmp_path / "recording.jsonl"

    def ask(host: hv.Host, credential: hv.Credential) -> list[object]:
        guest = host.vm(machine_id(1)).guest(credential=credential)
        told: list[object] = [[(row.kind, row.running, row.startup, row.requires) for row in guest.services.list()]]
        told += [guest.info().vm_id, guest.services["vss"].stop().status]
        with pytest.raises(HvError) as error:
            guest.services["vss"].start()
        assert_clean_error(error.value)
        return [*told, type(error.value), guest.address.partition("#")[2]]

    guests.have("Start-Service denied")
    recorder = hv.Recorder(hv.Local(engine_of_guests), path)
    with hv.Host(recorder) as host:
        told = ask(host, WHO)
        for thing in (host, host.session, recorder, host.vm(machine_id(1)).guest(credential=WHO).session):
            assert_clean(f"{thing} {thing!r}", type(thing).__name__)
    written = path.read_text()
    assert [secret for secret in encodings(PASSWORD) if secret in written] == []
    assert "svchost" not in written
    with hv.Host(hv.Replay(path)) as host:
        assert ask(host, hv.Credential("x", "y")) == told
    assert "hvintegration.session" in records.names
