"""Linux guests as they are: a real init system, real daemons, and a host that is played."""

from __future__ import annotations

import base64
import contextlib
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest

from hvintegration import SSH
from hvintegration.errors import (
    AuthenticationError,
    CommandFailedError,
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
from hvintegration.transports.ssh.host_keys import fingerprint
from tests.support.fault_proxy import FaultProxy
from tests.support.linux_guest import SYSTEMCTL_CRASH, LinuxGuest

KVP, VSS, COPY = ServiceKind.KVP, ServiceKind.VSS, ServiceKind.GUEST_SERVICE_INTERFACE
DAEMONS = {KVP: "hv_kvp_daemon", VSS: "hv_vss_daemon", COPY: "hv_fcopy_daemon"}
DRIVEN = (ServiceKind.HEARTBEAT, ServiceKind.SHUTDOWN, ServiceKind.TIME_SYNC)

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


# -- what is so ----------------------------------------------------------------------------------------------------


def test_what_is_said_of_processes_is_so(guest: Guest, linux_guest: LinuxGuest) -> None:
    for state in states(guest).values():
        if state.kind in DAEMONS:
            assert ([state.pid], state.account) == (pids(linux_guest, state.name), "root")
    made = guest.set_services(dict.fromkeys(DAEMONS, False))
    assert [one.state and (one.state.running, one.state.pid) for one in made] == [(False, None)] * 3
    assert [pids(linux_guest, name) for name in DAEMONS.values()] == [[]] * 3
    made = guest.set_services(dict.fromkeys(DAEMONS, True))
    assert [[one.state.pid] for one in made if one.state] == [pids(linux_guest, name) for name in DAEMONS.values()]
    linux_guest.host("set", "greeting", "hello")
    assert "hello" in linux_guest.host("get", "greeting")


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


def test_a_device_that_nobody_seems_to_hold_is_a_start_that_failed(guest: Guest, linux_guest: LinuxGuest) -> None:
    guest.services[VSS].stop()
    linux_guest.host("hold", "vss")
    try:
        with pytest.raises(InvalidStateError, match="started, and ended"):
            guest.services[VSS].start()
    finally:
        linux_guest.host("release", "vss")
    assert guest.services[VSS].start().running


@pytest.mark.parametrize("user", ["root", "admin"])
@pytest.mark.parametrize("linux_guest", ["systemd"], indirect=True)
@pytest.mark.usefixtures("guest")
def test_a_unit_that_systemd_starts_no_more_for_a_while_is_started(linux_guest: LinuxGuest, user: str) -> None:
    unit = "hv-vss-daemon"
    crash = SYSTEMCTL_CRASH.format(unit)
    limit = f"/run/systemd/system/{unit}.service.d"  # For six starts may take more than the usual ten seconds.
    linux_guest.shell(
        f"mkdir {limit}; printf '[Unit]\nStartLimitIntervalSec=1h\n' >{limit}/long.conf; systemctl daemon-reload"
    )
    try:
        linux_guest.shell(
            f"for i in 1 2 3 4 5 6; do systemctl start {unit}; {crash}; done; systemctl start {unit}", check=False
        )
        refused = linux_guest.shell(f"systemctl status {unit}", check=False)
        assert "Start request repeated too quickly" in refused
        assert "result 'signal'" in refused

        assert guest_of(linux_guest, user).services[VSS].start().running
    finally:
        linux_guest.shell(f"rm -r {limit}; systemctl daemon-reload")


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


# -- rights --------------------------------------------------------------------------------------------------------


def told_to(user: str, machine: LinuxGuest) -> list[str]:
    """The commands that a user is told who may not stop, start and set up a service."""
    told: list[str] = []
    with guest_of(machine, user) as mine:
        kvp, vss = mine.services["kvp"], mine.services["vss"]
        changes: tuple[Callable[[], object], ...] = (
            kvp.stop,
            vss.start,
            functools.partial(kvp.set_startup, "manual"),
        )
        for change in changes:
            try:
                change()
            except PermissionDeniedError as error:
                told.append(error.hint or "")
            except UnsupportedError:
                continue
    return told


SUDOERS = "/etc/sudoers.d/admin"


@pytest.mark.parametrize(
    "sudo",
    [
        pytest.param("echo 'admin ALL=(ALL:ALL) ALL' > " + SUDOERS, id="asks"),
        pytest.param("rm " + SUDOERS, id="none"),
        pytest.param("mv /usr/bin/sudo /usr/bin/su-do", id="absent"),
    ],
)
@pytest.mark.parametrize("linux_guest", ["sysvinit"], indirect=True)
def test_a_sudo_that_is_of_no_help_is_like_no_rights(guest: Guest, linux_guest: LinuxGuest, sudo: str) -> None:
    guest.services[VSS].stop()
    before = list(guest.services.list())
    linux_guest.shell(sudo)
    try:
        with guest_of(linux_guest, "admin") as mine:
            assert mine.services[KVP].state().running is True
            assert mine.info().administrator is False
        assert told_to("admin", linux_guest) == [
            "As root, run: /etc/init.d/hv-kvp-daemon stop",
            "As root, run: /etc/init.d/hv-vss-daemon start",
            "As root, run: update-rc.d hv-kvp-daemon disable",
        ]
    finally:
        linux_guest.shell(f"[ -e /usr/bin/sudo ] || mv /usr/bin/su-do /usr/bin/sudo; echo '{ALLOWED}' > {SUDOERS}")
    assert list(guest.services.list()) == before


ALLOWED = "admin ALL=(ALL:ALL) NOPASSWD: ALL"


# -- a connection that is lost -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["up", "down"])
@pytest.mark.parametrize("linux_guest", ["systemd"], indirect=True)
def test_what_a_lost_connection_leaves_is_found_out_and_made_once(
    guest: Guest, linux_guest: LinuxGuest, cut: Literal["up", "down"]
) -> None:
    """Within the question, of which nothing runs then, or within the answer of what has run, as a user of sudo."""
    with FaultProxy(linux_guest.address, 22) as proxy, Guest(through(proxy, linux_guest), family="linux") as mine:
        mine.info()
        for wanted in (False, True):
            strike = proxy.strike(
                "reset",
                after_bytes_up=10_000 if cut == "up" else None,
                after_bytes_down=3_000 if cut == "down" else None,
            )
            (made,) = mine.set_services({VSS: wanted})
            assert strike.struck.is_set()
            assert made.outcome is (ChangeOutcome.CHANGED if cut == "up" else ChangeOutcome.CONFIRMED)
            assert len(pids(linux_guest, DAEMONS[VSS])) == wanted
    assert guest.services[VSS].state().running


@pytest.mark.parametrize("user", ["root", "admin"])
@pytest.mark.parametrize("linux_guest", ["systemd"], indirect=True)
@pytest.mark.usefixtures("guest")
def test_where_it_is_lost_within_a_change_that_goes_on_and_is_read_back_when_it_is_over(
    linux_guest: LinuxGuest, user: str
) -> None:
    folder = "/run/systemd/system/hv-vss-daemon.service.d"
    slow = "/bin/sh -c 'echo x >> /run/begun; sleep 2'"
    linux_guest.shell(
        f'mkdir -p {folder}; printf "[Service]\\nExecStop={slow}\\nExecStartPre={slow}\\n" > {folder}/slow.conf;'
        " systemctl daemon-reload; rm -f /run/begun"
    )
    with (
        FaultProxy(linux_guest.address, 22) as proxy,
        Guest(through(proxy, linux_guest, user), family="linux") as mine,
        ThreadPoolExecutor(1) as pool,
    ):
        try:
            for count, verb in enumerate((mine.services[VSS].stop, mine.services[VSS].start), 1):
                made = pool.submit(verb)
                linux_guest.shell(f'until [ "$(grep -c x /run/begun 2> /dev/null)" = {count} ]; do sleep 0.1; done')
                proxy.strike("reset")
                assert made.result().running is (count == 2)
                assert linux_guest.shell("cat /run/begun") == "x\n" * count
        finally:
            linux_guest.shell(f"rm -r {folder}; systemctl daemon-reload")


def through(proxy: FaultProxy, machine: LinuxGuest, user: str = "admin") -> SSH:
    key = base64.b64decode(machine.known_hosts.read_text().split()[2])
    return SSH(
        "127.0.0.1",
        port=proxy.port,
        username=user,
        key_files=[str(machine.key_file)],
        host_key=fingerprint(key),
    )


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
    machine = start_linux("systemd", "--sudo", "password")
    with configured(machine, defaults), Guest(machine.ssh("admin"), family="linux", sudo_password=password) as mine:
        assert mine.info().administrator is True
        assert mine.services[VSS].state().cannot_stop is None
        before = pids(machine, "hv_vss_daemon")
        assert mine.services[VSS].restart().running
        assert pids(machine, "hv_vss_daemon") != before
        assert mine.services[VSS].set_startup("automatic").startup is Startup.AUTOMATIC


def test_a_password_that_sudo_refuses_is_tried_once(start_linux: StartLinux) -> None:
    machine = start_linux("systemd", "--sudo", "password")
    with Guest(machine.ssh("admin"), family="linux", sudo_password="wrong") as mine:
        for verb in (mine.services[VSS].stop, mine.info):
            with pytest.raises(AuthenticationError, match="incorrect password"):
                verb()
        assert mine.session.stats.round_trips == 1
    with Guest(machine.ssh("plain"), family="linux", sudo_password="wrong") as mine:
        assert mine.info().administrator is False


def test_a_sudo_that_wants_a_terminal_is_told(start_linux: StartLinux) -> None:
    machine = start_linux("systemd", "--sudo", "password")
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
    machine = start_linux("systemd", "--no-package")
    with guest_of(machine) as guest:
        state = guest.services[KVP].state()
        assert (state.installed, state.running, state.offered, state.health) == (False, False, True, Health.PROBLEM)
        (would,) = guest.set_services({KVP: True}, dry_run=True)
        assert would.outcome is ChangeOutcome.FAILED
        for change in (guest.services[KVP].start, functools.partial(guest.services[KVP].set_startup, "automatic")):
            with pytest.raises(ServiceNotFoundError) as absent:
                change()
            assert "install hyperv-daemons" in str(absent.value.hint)


def test_a_daemon_is_installed_by_a_user_of_sudo_and_what_does_not_run_is_started(start_linux: StartLinux) -> None:
    machine = start_linux("systemd", "--no-package", "--sudo", "password")
    # In what looks like /sys there, udevadm trusts only those who are told to.
    machine.shell("echo 'Defaults env_keep += SYSTEMD_DEVICE_VERIFY_SYSFS' > /etc/sudoers.d/sysfs")
    with Guest(machine.ssh("admin"), family="linux", sudo_password="guest-password") as mine:
        made = mine.install("kvp")
        assert (made.outcome, made.before) == (ChangeOutcome.CHANGED, "not installed")
        assert made.state is not None
        assert len(pids(machine, "hv_kvp_daemon")) == made.state.running == 1
        assert mine.install("kvp").outcome is ChangeOutcome.UNCHANGED

        # As after an installation whose rules udev has not read yet: systemd does not know the device.
        rules = "/usr/lib/udev/rules.d/60-hyperv-daemons.rules"
        again = "udevadm trigger --subsystem-match=misc; udevadm settle"
        machine.shell(f"mv {rules} /root; udevadm control --reload; {again}; mv /root/60* {rules}")
        assert pids(machine, "hv_kvp_daemon") == []
        made = mine.install("kvp")
        assert (made.outcome, made.before, made.command) == (ChangeOutcome.CHANGED, "installed", None)
        assert len(pids(machine, "hv_kvp_daemon")) == 1


def test_where_there_is_no_package_manager_that_is_said(start_linux: StartLinux) -> None:
    with guest_of(start_linux("none", "--no-package")) as guest:
        with pytest.raises(CommandFailedError, match=r"ended with status 127.*apt-get"):
            guest.install("kvp")
        assert guest.services[KVP].state().installed is False


def test_a_driver_that_is_absent_or_built_in(start_linux: StartLinux) -> None:
    with guest_of(start_linux("none", "--driver", "builtin")) as guest:
        assert {(state.installed, state.running) for state in states(guest).values()} == {(True, True)}
    with guest_of(start_linux("none", "--driver", "absent", "--daemons", "none")) as guest:
        found = states(guest)
        assert {(found[kind].installed, found[kind].running) for kind in DRIVEN} == {(False, False)}
        with pytest.raises(InvalidStateError):
            guest.services[KVP].start()


@contextlib.contextmanager
def being(machine: LinuxGuest, how: str, undo: str) -> Iterator[None]:
    """A guest of which something else is so."""
    machine.shell(how)
    try:
        yield
    finally:
        machine.shell(undo)


@pytest.mark.parametrize("linux_guest", ["systemd"], indirect=True)
def test_a_read_only_guest_is_read_and_what_cannot_be_written_is_told(guest: Guest, linux_guest: LinuxGuest) -> None:
    read_only = "for d in /etc /usr /var; do mount --bind $d $d; mount -o remount,bind,ro $d; done"
    with being(linux_guest, read_only, "umount -l /etc /usr /var"):
        assert guest.services[VSS].state().installed is True
        with pytest.raises(HvError) as failed:
            guest.services[VSS].set_startup("disabled")
        assert "ead-only file system" in str(failed.value)


@pytest.mark.parametrize("linux_guest", ["none"], indirect=True)
def test_without_proc_nothing_is_said_of_what_runs_and_nothing_is_begun(guest: Guest, linux_guest: LinuxGuest) -> None:
    with being(linux_guest, "mount -t tmpfs -o mode=755 none /proc", "umount /proc"):
        state = guest.services[KVP].state()
        assert (state.installed, state.running, state.pid, state.health) == (True, None, None, Health.UNKNOWN)
        for change in (guest.services[KVP].start, guest.services[KVP].stop):
            with pytest.raises(HvError, match="processes are hidden") as refused:
                change()
            assert not isinstance(refused.value, OutcomeUnknownError)
