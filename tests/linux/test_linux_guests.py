"""Linux guests as they are: a real init system, real daemons, and a host that is played."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hvintegration.errors import (
    AuthenticationError,
    HvError,
    InvalidStateError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ServiceNotFoundError,
    UnsupportedError,
)
from hvintegration.guest import Guest
from hvintegration.guest_models import GuestFamily, GuestServiceState, Startup
from hvintegration.models import ChangeOutcome, Health
from hvintegration.service_kind import ServiceKind
from tests.support.linux_guest import LinuxGuest

KVP, VSS, COPY = ServiceKind.KVP, ServiceKind.VSS, ServiceKind.GUEST_SERVICE_INTERFACE
DAEMONS = {KVP: "hv_kvp_daemon", VSS: "hv_vss_daemon", COPY: "hv_fcopy_daemon"}
DRIVEN = (ServiceKind.HEARTBEAT, ServiceKind.SHUTDOWN, ServiceKind.TIME_SYNC)

SEEN_BY_ALL = (
    *("kind", "name", "display_name", "installed", "running", "status", "startup", "pid", "program"),
    *("version", "account", "device", "offered"),
)

StartLinux = Callable[..., LinuxGuest]


def guest_of(machine: LinuxGuest, user: str = "root") -> Guest:
    return Guest(machine.ssh(user), family="linux")


def pids(machine: LinuxGuest, name: str) -> list[int]:
    """Numbers of the processes of that name, not asked of any program of ours."""
    script = f'for p in /proc/[0-9]*; do read n < $p/comm && [ "$n" = {name} ] && echo ${{p#/proc/}}; done'
    return sorted(map(int, machine.shell(script, check=False).split()))


@pytest.fixture
def guest(linux_guest: LinuxGuest) -> Iterator[Guest]:
    """A guest of each kind, as root, with all three daemons running."""
    with guest_of(linux_guest) as guest:
        assert [made.error for made in guest.set_services(dict.fromkeys(DAEMONS, True))] == [None] * 3
        yield guest


def states(guest: Guest) -> dict[ServiceKind | None, GuestServiceState]:
    return {state.kind: state for state in guest.services.list()}


# -- reading -------------------------------------------------------------------------------------------------------


def test_all_six_are_listed_in_one_round_trip(guest: Guest, linux_guest: LinuxGuest) -> None:
    before = guest.session.stats.round_trips
    found = states(guest)
    assert guest.session.stats.round_trips == before + 1
    assert set(found) == {*DAEMONS, *DRIVEN}
    for kind, name in DAEMONS.items():
        state = found[kind]
        assert (state.installed, state.running, state.device, state.offered) == (True, True, True, True)
        assert (state.name, state.program, state.account) == (name, f"/usr/sbin/{name}", "root")
        assert [state.pid] == pids(linux_guest, name)
        assert (state.health, state.cannot_start, state.cannot_stop) == (Health.OK, None, None)
    for kind in DRIVEN:
        state = found[kind]
        assert (state.installed, state.running, state.offered, state.health) == (True, True, True, Health.OK)


def test_the_guest_says_what_it_is(linux_guest: LinuxGuest) -> None:
    with Guest(linux_guest.ssh()) as guest:
        info = guest.info()
        assert (guest.family, info.family) == (GuestFamily.LINUX, GuestFamily.LINUX)
    assert (info.caption, info.os_version, info.os_build) == (
        "Debian GNU/Linux 12 (bookworm)",
        "12",
        linux_guest.shell("uname -r").strip(),
    )
    assert (info.name, info.administrator) == (linux_guest.shell("uname -n").strip(), True)


@pytest.mark.parametrize("user", ["admin", "plain"])
def test_who_is_not_root_sees_the_same_or_nothing(guest: Guest, linux_guest: LinuxGuest, user: str) -> None:
    guest.services[VSS].stop()
    seen = states(guest)
    with guest_of(linux_guest, user) as other:
        for kind, state in states(other).items():
            for name in SEEN_BY_ALL:
                assert getattr(state, name) in {None, getattr(seen[kind], name)}, (kind, name)
            assert (state.installed, state.running) == (True, seen[kind].running)
        assert other.info().administrator is (user == "admin")


# -- changing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["root", "admin"])
@pytest.mark.parametrize("kind", DAEMONS)
def test_a_daemon_is_stopped_and_started(guest: Guest, linux_guest: LinuxGuest, kind: ServiceKind, user: str) -> None:
    del guest
    with guest_of(linux_guest, user) as mine:
        service = mine.services[kind]
        (before,) = pids(linux_guest, DAEMONS[kind])
        stopped = service.stop()
        assert (stopped.running, stopped.pid, stopped.installed) == (False, None, True)
        assert pids(linux_guest, DAEMONS[kind]) == []
        assert service.stop().running is False
        started = service.start()
        assert (started.running, [started.pid]) == (True, pids(linux_guest, DAEMONS[kind]))
        assert started.pid != before
        assert service.start().pid == started.pid


def test_a_start_is_one_round_trip_and_counts_for_the_host(guest: Guest, linux_guest: LinuxGuest) -> None:
    guest.services[KVP].stop()
    before = guest.session.stats.round_trips
    guest.services[KVP].start()
    assert guest.session.stats.round_trips == before + 1
    linux_guest.host("set", "greeting", "hello")
    assert "hello" in linux_guest.host("get", "greeting")


def test_a_restart_is_another_process(guest: Guest) -> None:
    before = guest.services[KVP].state().pid
    after = guest.services[KVP].restart()
    assert after.running
    assert after.pid not in {before, None}


def test_many_are_changed_at_once_and_a_dry_run_changes_nothing(guest: Guest, linux_guest: LinuxGuest) -> None:
    wanted = {KVP: False, VSS: True, COPY: False}
    would = guest.set_services(wanted, dry_run=True)
    assert [made.outcome for made in would] == [
        ChangeOutcome.WOULD_CHANGE,
        ChangeOutcome.UNCHANGED,
        ChangeOutcome.WOULD_CHANGE,
    ]
    assert pids(linux_guest, DAEMONS[KVP]) != []
    made = guest.set_services(wanted)
    assert [one.outcome for one in made] == [ChangeOutcome.CHANGED, ChangeOutcome.UNCHANGED, ChangeOutcome.CHANGED]
    assert [one.before for one in made] == ["running"] * 3
    assert (pids(linux_guest, DAEMONS[KVP]), pids(linux_guest, DAEMONS[COPY])) == ([], [])


def test_a_daemon_that_was_started_by_hand_is_seen_not_started_twice_and_stopped(
    guest: Guest, linux_guest: LinuxGuest
) -> None:
    guest.services[VSS].stop()
    linux_guest.shell("/usr/sbin/hv_vss_daemon")
    state = guest.services[VSS].state()
    assert (state.running, [state.pid]) == (True, pids(linux_guest, "hv_vss_daemon"))
    assert guest.services[VSS].start().pid == state.pid
    assert pids(linux_guest, "hv_vss_daemon") == [state.pid]
    assert guest.services[VSS].stop().running is False
    assert pids(linux_guest, "hv_vss_daemon") == []


def test_a_daemon_that_crashed_is_started_again(guest: Guest, linux_guest: LinuxGuest) -> None:
    linux_guest.host("crash", "vss")
    state = guest.services[VSS].state()
    assert (state.running, state.health) == (False, Health.PROBLEM)
    assert guest.services[VSS].start().running


def test_a_device_that_is_held_is_told_and_by_whom(guest: Guest, linux_guest: LinuxGuest) -> None:
    guest.services[VSS].stop()
    linux_guest.shell('setsid sh -c "exec 3<>/dev/vmbus/hv_vss; exec sleep 1000" > /dev/null 2>&1 &')
    try:
        for user in ("root", "admin"):
            with (
                guest_of(linux_guest, user) as mine,
                pytest.raises(InvalidStateError, match=r"/dev/vmbus/hv_vss is held by process \d+ \(sleep\)"),
            ):
                mine.services[VSS].start()
        assert guest.services[VSS].state().running is False
    finally:
        linux_guest.shell("kill $(pidof sleep)")
    assert guest.services[VSS].start().running


def test_a_device_that_nobody_seems_to_hold_is_a_start_that_failed(guest: Guest, linux_guest: LinuxGuest) -> None:
    guest.services[VSS].stop()
    linux_guest.host("hold", "vss")
    try:
        with pytest.raises(InvalidStateError, match="started, and ended"):
            guest.services[VSS].start()
    finally:
        linux_guest.host("release", "vss")
    assert guest.services[VSS].start().running


def test_what_the_host_withdraws_cannot_be_started_until_it_is_offered(guest: Guest, linux_guest: LinuxGuest) -> None:
    linux_guest.host("withdraw", "vss")
    try:
        state = guest.services[VSS].state()
        assert (state.offered, state.device, state.running, state.health) == (False, False, False, Health.DISABLED)
        with pytest.raises(InvalidStateError, match="the host does not offer it") as failed:
            guest.services[VSS].start()
        assert failed.value.expected == "enabled on the host"
    finally:
        linux_guest.host("offer", "vss")
    assert guest.services[VSS].start().running
    assert guest.services[VSS].state().offered is True


@pytest.mark.parametrize("kind", [*DRIVEN, ServiceKind.POWERSHELL_DIRECT, ServiceKind.REMOTE_DESKTOP_VIRTUALIZATION])
def test_what_no_daemon_serves_is_refused(guest: Guest, kind: ServiceKind) -> None:
    with pytest.raises(UnsupportedError) as refused:
        guest.services[kind].stop(confirm=True)
    assert refused.value.address == guest.address


# -- how they come to run ------------------------------------------------------------------------------------------


def test_how_a_daemon_comes_to_run_is_set(guest: Guest, linux_guest: LinuxGuest) -> None:
    init = linux_guest.shell("ls -d /run/systemd/system /etc/init.d", check=False)
    service = guest.services[COPY]
    if not init:
        for startup in ("automatic", "manual", "disabled"):
            with pytest.raises(UnsupportedError, match="no init system"):
                service.set_startup(startup)
        return
    before = service.state().startup
    assert before is (Startup.TRIGGERED if "systemd" in init else Startup.AUTOMATIC)
    assert service.set_startup("manual").startup is (Startup.TRIGGERED if "systemd" in init else Startup.MANUAL)
    assert service.set_startup("automatic").startup is Startup.AUTOMATIC
    if "systemd" in init:
        assert service.set_startup("disabled").startup is Startup.DISABLED
        assert linux_guest.shell("systemctl is-enabled hv-fcopy-daemon", check=False).strip() == "masked"
        service.stop()
        with pytest.raises(InvalidStateError, match="its unit is masked") as failed:
            service.start()
        assert failed.value.hint is not None
        assert "set_startup" in failed.value.hint
        assert service.set_startup("manual").startup is Startup.TRIGGERED
    else:
        with pytest.raises(UnsupportedError, match="cannot keep a service from being started"):
            service.set_startup("disabled")
        assert service.state().startup is Startup.AUTOMATIC


# -- lost writes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["root", "admin"])
@pytest.mark.parametrize("verb", ["start", "stop"])
def test_where_the_connection_is_lost_a_change_goes_on_and_is_read_back_when_it_is_over(
    start_linux: StartLinux, verb: str, user: str
) -> None:
    machine = start_linux("--init", "systemd")
    folder, step = "/run/systemd/system/hv-vss-daemon.service.d", {"start": "StartPre", "stop": "Stop"}[verb]
    slow = f"[Service]\nExec{step}=/bin/sh -c 'echo {verb} >> /run/begun; sleep 3'\n"
    with guest_of(machine, user) as guest, ThreadPoolExecutor(1) as pool:
        guest.services[VSS].start() if verb == "stop" else guest.services[VSS].stop()
        machine.shell(
            f'mkdir -p {folder}; printf "{slow}" > {folder}/slow.conf; systemctl daemon-reload; rm -f /run/begun'
        )
        try:
            made = pool.submit(getattr(guest.services[VSS], verb))
            machine.shell("until [ -e /run/begun ]; do sleep 0.1; done")
            machine.shell(f"pkill -9 -f 'sshd: {user}@notty' -u {user} || pkill -9 -n -f 'sshd: {user} '", check=False)
            assert made.result().running is (verb == "start")
            assert machine.shell("cat /run/begun").split() == [verb]
        finally:
            machine.shell(f"rm -r {folder}; systemctl daemon-reload")


# -- rights --------------------------------------------------------------------------------------------------------


def refused_with(service: str, user: str, machine: LinuxGuest) -> list[str]:
    """The commands that a user is told who may not stop and start a service, and set its startup."""
    told: list[str] = []
    with guest_of(machine, user) as mine:
        handle = mine.services[service]
        changes: tuple[Callable[[], object], ...] = (
            handle.stop,
            handle.start,
            functools.partial(handle.set_startup, "automatic"),
        )
        for change in changes:
            try:
                change()
            except PermissionDeniedError as error:
                told.append(error.hint or "")
            except UnsupportedError:
                continue
    return told


def test_without_rights_nothing_is_changed_and_the_command_is_told(guest: Guest, linux_guest: LinuxGuest) -> None:
    before = states(guest)[KVP]
    guest.services[VSS].stop()
    told = refused_with("kvp", "plain", linux_guest) + refused_with("vss", "plain", linux_guest)
    after = states(guest)
    assert after[KVP] == before
    assert after[VSS].running is False
    assert len(told) >= 2
    assert all(hint.startswith("As root, run: ") for hint in told)


@pytest.mark.parametrize("sudo", ["password", "none", "absent"])
def test_a_sudo_that_is_of_no_help_is_like_no_rights(start_linux: StartLinux, sudo: str) -> None:
    machine = start_linux("--init", "sysvinit", "--sudo", sudo)
    told = refused_with("vss", "admin", machine)
    assert told[0] == "As root, run: /etc/init.d/hv-vss-daemon stop"
    with guest_of(machine, "admin") as mine:
        assert mine.services[VSS].state().running is True
        assert mine.info().administrator is False


@pytest.mark.parametrize(
    ("defaults", "password"),
    [
        ("", "guest-password"),
        ("use_pty", "guest-password"),
        ("lecture=always", "guest-password"),
        ("targetpw", "root's"),
    ],
)
def test_with_the_password_that_sudo_asks_for_a_user_may_what_root_may(
    start_linux: StartLinux, defaults: str, password: str
) -> None:
    machine = start_linux("--init", "systemd", "--sudo", "password")
    with configured(machine, defaults), Guest(machine.ssh("admin"), family="linux", sudo_password=password) as mine:
        assert mine.info().administrator is True
        assert mine.services[VSS].state().cannot_stop is None
        before = pids(machine, "hv_vss_daemon")
        assert mine.services[VSS].restart().running
        assert pids(machine, "hv_vss_daemon") != before
        assert mine.services[VSS].set_startup("automatic").startup is Startup.AUTOMATIC


def test_a_password_that_sudo_refuses_is_tried_once(start_linux: StartLinux) -> None:
    machine = start_linux("--init", "systemd", "--sudo", "password")
    with Guest(machine.ssh("admin"), family="linux", sudo_password="wrong") as mine:
        for verb in (mine.services[VSS].stop, mine.info):
            with pytest.raises(AuthenticationError, match="incorrect password"):
                verb()
        assert mine.session.stats.round_trips == 1
    with Guest(machine.ssh("plain"), family="linux", sudo_password="wrong") as mine:
        assert mine.info().administrator is False


def test_a_sudo_that_wants_a_terminal_is_told(start_linux: StartLinux) -> None:
    machine = start_linux("--init", "systemd", "--sudo", "password")
    with (
        configured(machine, "requiretty"),
        Guest(machine.ssh("admin"), family="linux", sudo_password="guest-password") as mine,
    ):
        assert "requiretty" in (mine.services[VSS].state().cannot_stop or "")
        with pytest.raises(PermissionDeniedError):
            mine.services[VSS].stop()


@contextlib.contextmanager
def configured(machine: LinuxGuest, defaults: str) -> Iterator[None]:
    """A guest whose sudo is configured so; root's password is ``root's``."""
    file = "/etc/sudoers.d/of-a-test"
    machine.shell(f"echo \"root:root's\" | chpasswd; echo '{defaults and 'Defaults '}{defaults}' > {file}")
    try:
        yield
    finally:
        machine.shell(f"rm {file}")


# -- other machines ------------------------------------------------------------------------------------------------


def test_what_is_not_installed_is_told_with_the_command_that_installs_it(start_linux: StartLinux) -> None:
    machine = start_linux("--init", "systemd", "--no-package")
    with guest_of(machine) as guest:
        state = guest.services[KVP].state()
        assert (state.installed, state.running, state.offered, state.health) == (False, False, True, Health.PROBLEM)
        (would,) = guest.set_services({KVP: True}, dry_run=True)
        assert would.outcome is ChangeOutcome.FAILED
        for change in (guest.services[KVP].start, functools.partial(guest.services[KVP].set_startup, "automatic")):
            with pytest.raises(ServiceNotFoundError) as absent:
                change()
            assert "install hyperv-daemons" in str(absent.value.hint)


def test_a_driver_that_is_absent_or_built_in(start_linux: StartLinux) -> None:
    with guest_of(start_linux("--init", "none", "--driver", "builtin")) as guest:
        assert {(state.installed, state.running) for state in states(guest).values()} == {(True, True)}
    with guest_of(start_linux("--init", "none", "--driver", "absent", "--daemons", "none")) as guest:
        found = states(guest)
        assert {(found[kind].installed, found[kind].running) for kind in DRIVEN} == {(False, False)}
        with pytest.raises(InvalidStateError):
            guest.services[KVP].start()


@pytest.mark.parametrize("rough", ["noisy", "lying"])
@pytest.mark.parametrize("user", ["root", "admin", "plain"])
def test_a_guest_that_prints_or_lies_is_told_as_it_is(start_linux: StartLinux, rough: str, user: str) -> None:
    machine = start_linux("--init", "sysvinit", "--rough", rough)
    with guest_of(machine, user) as guest:
        found = states(guest)
        for kind in DAEMONS:
            assert (found[kind].installed, found[kind].running, found[kind].health) == (True, True, Health.OK)
        if user != "plain":
            assert guest.services[KVP].restart().running


def test_a_read_only_guest_is_read_and_a_start_that_cannot_be_says_so(start_linux: StartLinux) -> None:
    machine = start_linux("--init", "systemd", "--rough", "readonly")
    with guest_of(machine) as guest:
        assert guest.services[VSS].state().installed is True
        with pytest.raises(HvError) as failed:
            guest.services[VSS].set_startup("disabled")
        assert "ead-only file system" in str(failed.value)


def test_without_proc_nothing_is_said_of_what_runs_and_nothing_is_begun(start_linux: StartLinux) -> None:
    machine = start_linux("--init", "none", "--rough", "noproc")
    with guest_of(machine) as guest:
        state = guest.services[KVP].state()
        assert (state.installed, state.running, state.pid, state.health) == (True, None, None, Health.UNKNOWN)
        for change in (guest.services[KVP].start, guest.services[KVP].stop):
            with pytest.raises(HvError, match="processes are hidden") as refused:
                change()
            assert not isinstance(refused.value, OutcomeUnknownError)
