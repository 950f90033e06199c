"""The contract and misbehaviour over SSH, without the engine."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from hvintegration import SSH, ChangeOutcome, Credential, Host, Transport, World
from hvintegration.clock import Deadline
from hvintegration.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    HvError,
    OutcomeUnknownError,
    ProtocolError,
    TransportTimeoutError,
    UntrustedHostError,
    for_command,
)
from hvintegration.simulator import demo_world
from hvintegration.testing import TransportContract
from tests.support.amounts import some_by_day
from tests.support.endpoints import wait_until
from tests.support.ssh_server import SSHServer, Way
from tests.support.time_limit import GRACE, within

PASSWORD = "Passw0rd!"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAULTS = Path(__file__).parents[1] / "faults"
nothing_is_left = load(FAULTS / "conftest.py").nothing_is_left


@pytest.fixture
def ssh(nothing_is_left: None, unmeasured: None, world_file: Path, tmp_path: Path) -> Iterator[Callable[..., SSH]]:
    """Makes a way to a server of a certain behaviour; ``once`` for its first PowerShell only."""
    opened: list[Callable[[], object]] = []

    def make(behaviour: str = "none", *, once: bool = False, **options: object) -> SSH:
        program = [sys.executable, str(FAULTS / "fake_powershell.py"), behaviour, str(world_file)]
        server = SSHServer(
            world_file,
            password=PASSWORD,
            ways=frozenset({"program" if behaviour == "subsystem-refused" else "subsystem"}),
            program=[*program, str(tmp_path / "once")] if once else program,
        )
        options.setdefault("host_key", server.fingerprint)
        options.setdefault("credential", Credential("admin", PASSWORD))
        ssh = SSH("127.0.0.1", port=server.port, known_hosts=tmp_path / "none", **options)  # type: ignore[arg-type]
        opened.extend((server.close, ssh.close))
        return ssh

    yield make
    for close in reversed(opened):
        close()


def connect(server: SSHServer) -> SSH:
    who = Credential(server.username, server.password)
    return SSH(server.host, port=server.port, credential=who, host_key=server.fingerprint)


@pytest.mark.parametrize("way", ["subsystem", "process"])
class TestLoopback(TransportContract):
    @pytest.fixture
    def transport(self, world_file: Path, way: Way) -> Iterator[Transport]:
        with SSHServer(world_file, ways=frozenset({way})) as server:
            yield connect(server)


@pytest.mark.parametrize("way", ["subsystem", "process"])
def test_what_a_check_connects_is_used_by_the_calls_that_follow(way: Way) -> None:
    with SSHServer(demo_world(), ways=frozenset({way})) as server, Host(connect(server)) as host:
        assert host.check().ok
        host.info()

        assert server.counts["connection"] == 1


def test_a_check_leaves_the_connection_that_there_is(nothing_is_left: None) -> None:
    with SSHServer(demo_world()) as server, contextlib.closing(connect(server)) as ssh:
        host = Host(ssh)
        host.info()
        for _, step in ssh.steps():
            step(Deadline(20))
        assert wait_until(lambda: server.connections == 1)
        host.info()

        assert server.counts["connection"] == 2


# What is not in tests/faults/ssh_faults.json.
FAILING_READS: dict[str, type[HvError]] = {
    "hang-at-command": TransportTimeoutError,
    "die-within-answer": ConnectionLostError,
    "hang-within-answer": TransportTimeoutError,
    "flood": ProtocolError,
    "broken-xml": ProtocolError,
}


@pytest.mark.parametrize(("behaviour", "error"), FAILING_READS.items(), ids=FAILING_READS)
def test_a_read_ends_in_time_in_the_right_error(ssh: Callable[..., SSH], behaviour: str, error: type[HvError]) -> None:
    timeout = 3.0 if error is TransportTimeoutError else 20.0

    with within(timeout + GRACE), pytest.raises(error) as caught:
        Host(ssh(behaviour)).inventory(timeout=timeout)

    assert type(caught.value) is error
    assert PASSWORD not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("behaviour", ["none", "banner", "noisy", "subsystem-refused", "flood-stderr"])
def test_noise_and_a_missing_subsystem_do_not_matter(ssh: Callable[..., SSH], behaviour: str) -> None:
    host = Host(ssh(behaviour))

    assert len(host.inventory().vms) == 5
    assert host.vms["demovm"].services["gsi"].enable().enabled is True


LOST_ANSWERS = ("hang-after-running", "die-after-running", "die-within-answer", "broken-json")


@pytest.mark.usefixtures("hasty_writes")
@pytest.mark.parametrize("behaviour", some_by_day(LOST_ANSWERS, LOST_ANSWERS[:2]))
def test_a_write_whose_answer_is_lost_is_ended_read_back_and_not_repeated(
    ssh: Callable[..., SSH], world_file: Path, behaviour: str
) -> None:
    vm = Host(ssh()).vms["demovm"]

    with within(30 + GRACE):
        (change,) = Host(ssh(behaviour, once=True)).set_services([(vm.id, "gsi", True)], timeout=30)

    assert change.outcome is ChangeOutcome.CONFIRMED
    assert World.load(world_file).journal == ["enable demovm guest_service_interface"]


@pytest.mark.usefixtures("hasty_writes")
@pytest.mark.parametrize("behaviour", ["hang-before-running", "die-before-running"])
def test_a_write_that_was_not_made_is_known_not_to_be(
    ssh: Callable[..., SSH], world_file: Path, behaviour: str
) -> None:
    vm = Host(ssh()).vms["demovm"]
    host = Host(ssh(behaviour, once=True))

    if behaviour.startswith("die"):
        assert host.set_services([(vm.id, "gsi", True)], timeout=30)[0].outcome is ChangeOutcome.CHANGED
        assert World.load(world_file).journal == ["enable demovm guest_service_interface"]
    else:
        with pytest.raises(TransportTimeoutError) as late:
            host.set_services([(vm.id, "gsi", True)], timeout=30)
        assert late.value.may_have_run is False
        assert World.load(world_file).journal == []


def test_a_write_that_cannot_be_read_back_is_of_unknown_outcome(ssh: Callable[..., SSH], world_file: Path) -> None:
    vm = Host(ssh()).vms["demovm"]

    with pytest.raises(OutcomeUnknownError):
        Host(ssh("hang-after-running")).set_services([(vm.id, "gsi", True)], timeout=8)

    assert World.load(world_file).journal == ["enable demovm guest_service_interface"]


def test_a_changed_key_is_not_trusted(ssh: Callable[..., SSH]) -> None:
    pin = "SHA256:" + "A" * 43

    with pytest.raises(UntrustedHostError) as changed:
        Host(ssh(host_key=pin)).info()

    assert changed.value.expected == pin
    assert changed.value.offered.startswith("SHA256:")
    assert changed.value.offered in str(changed.value.hint)


def test_an_unknown_key_is_not_trusted(ssh: Callable[..., SSH]) -> None:
    with pytest.raises(UntrustedHostError) as unknown:
        Host(ssh(host_key=None)).info()

    assert unknown.value.expected is None


def test_a_wrong_password_is_not_repeated_in_the_error(ssh: Callable[..., SSH]) -> None:
    with pytest.raises(AuthenticationError) as refused:
        Host(ssh(credential=Credential("admin", "wr0ng!"))).info()

    assert "wr0ng!" not in f"{refused.value!r} {refused.value} {refused.value.hint}"
    assert "a password" in str(refused.value)
    hint = refused.value.hint
    assert hint is not None
    assert hint.startswith("Pass credential=Credential(...), key_files=... or an agent's keys;")
    assert for_command(hint).startswith("Pass --user USER, --option key_files=... or an agent's keys;")


def test_a_new_password_that_is_demanded_is_said_to_be() -> None:
    with SSHServer(demo_world()) as server:
        server.misbehave("change", at="authentication")
        host = Host(connect(server))

        with pytest.raises(AuthenticationError) as refused:
            host.info()

        said = "does not let in the user 'admin' with this password: it wants a new password."
        assert str(refused.value).endswith(said)
        assert server.password not in f"{refused.value} {refused.value.hint}"
        assert server.counts["authentication"] == 1


EXPIRED = ("Password Expired", "Your password has expired.", "Enter new password:", "Enter it again:")


@pytest.mark.parametrize(
    ("questions", "last"),
    [
        ([EXPIRED], "Password Expired Your password has expired. Enter new password: Enter it again:"),
        ([("", "", "Password: "), EXPIRED], " ".join(EXPIRED)),
        ([("", "", "Password: "), ("", "You must change it.\n", "New\x1b[2J password: ")], "must change it.  New"),
        ([("", "", "Password: "), ("", "", "Code: ")], "Code:"),
    ],
)
def test_what_a_server_asks_besides_the_password_is_told(questions: list[tuple[str, ...]], last: str) -> None:
    with (
        SSHServer(demo_world(), questions=questions) as server,
        pytest.raises(AuthenticationError, match="it asks for more, such as a new one or a code") as refused,
    ):
        Host(connect(server)).info()

    assert last in str(refused.value)
    assert str(refused.value).isprintable()
    assert server.password not in f"{refused.value} {refused.value.hint}"


def test_a_password_that_is_asked_for_is_given() -> None:
    questions = [("Welcome", "", "Password: "), ("", "Last login: never")]
    with SSHServer(demo_world(), questions=questions) as server:
        assert Host(connect(server)).info().name

    who = Credential("admin", "wr0ng!")
    with SSHServer(demo_world(), questions=questions) as server, pytest.raises(AuthenticationError) as refused:
        Host(SSH(server.host, port=server.port, credential=who, host_key=server.fingerprint)).info()
    assert str(refused.value).endswith("with a password. It accepts: keyboard-interactive.")


@pytest.mark.skipif(sys.platform == "win32", reason="a program of sh")
def test_why_a_program_did_not_start_is_told_each_time() -> None:
    ways: frozenset[Way] = frozenset({"subsystem", "process"})
    # Not at once: this server may close a channel before it has said that the program was started.
    program = ["/bin/sh", "-c", "sleep 0.2; exec >&-; echo Der Start ist fehlgeschlagen. >&2"]
    with SSHServer(demo_world(), ways=ways, program=program) as server, contextlib.closing(connect(server)) as ssh:
        for _ in range(10):
            with pytest.raises(ConnectError, match=r"did not start: .* ended: Der Start ist fehlgeschlagen\."):
                Host(ssh).info()


@pytest.mark.skipif(sys.platform == "win32", reason="a program of sh")
@pytest.mark.parametrize("way", ["subsystem", "program", "process"])
def test_a_time_out_tells_the_last_complaint(way: Way) -> None:
    program = ["/bin/sh", "-c", "echo Eins. >&2; echo Zwei. >&2; cat > /dev/null"]
    with (
        SSHServer(demo_world(), ways=frozenset({way}), program=program) as server,
        contextlib.closing(connect(server)) as ssh,
        pytest.raises(TransportTimeoutError, match=r"the last on its standard error is: Zwei\.$"),
    ):
        Host(ssh).info(timeout=2)


@pytest.mark.skipif(sys.platform == "win32", reason="a program of sh")
def test_a_time_out_tells_what_the_way_before_it_complained() -> None:
    """As where a shell is forced upon every command: it ends at the first packet, and waits where none is sent."""
    ways: frozenset[Way] = frozenset({"subsystem", "process"})
    program = ["/bin/sh", "-c", "read line; echo Kein Paket. >&2"]
    with (
        SSHServer(demo_world(), ways=ways, program=program) as server,
        contextlib.closing(connect(server)) as ssh,
        pytest.raises(TransportTimeoutError, match=r"2 seconds; the last on its standard error is: Kein Paket\.$"),
    ):
        Host(ssh).info(timeout=2)


def test_nobody_listens() -> None:
    with pytest.raises(ConnectError, match="cannot connect"):
        Host(SSH("127.0.0.1", port=1)).info(timeout=5)


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(ConnectError, match="no host"):
        Host(SSH("no-such-host.invalid")).info(timeout=20)
