"""Linux guests of the simulator: what answers there, and what can be the case in a world."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

import hvintegration as hv
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import (
    CommandFailedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    InvalidStateError,
    PermissionDeniedError,
    ServiceNotFoundError,
    TransportTimeoutError,
    UnsupportedError,
)
from hvintegration.guest import Guest
from hvintegration.guest_models import Startup
from hvintegration.models import Health
from hvintegration.operations.linux_facts import looked_for
from hvintegration.scripts import GET_GUEST, SH_GET_GUEST, SH_STOP_PROCESS
from hvintegration.simulator import Fault, LinuxProcess, LinuxSystem, World, demo_world

RHEL_9: Final = 'ID="rhel"\nVERSION_ID="9.6"\nPRETTY_NAME="Red Hat Enterprise Linux 9.6 (Plow)"\n'


def demo(**facts: Any) -> World:  # noqa: ANN401 - LinuxSystem checks them
    """The demonstration's world; of its Linux guest, ``web``, this is so."""
    world = demo_world()
    world.machine("web").linux = LinuxSystem(**facts)
    return world


def guest_of(world: World) -> Guest:
    return Guest(hv.Simulator(world, guest="web", clock=hv.VirtualClock()))


# -- who answers ---------------------------------------------------------------------------------------------------


def test_the_demonstration_has_one() -> None:
    guest = hv.connect_guest("sim:", options={"guest": "web"})
    assert (guest.family, guest.info().caption) == ("linux", "Debian GNU/Linux 12 (bookworm)")
    assert [state.name for state in guest.services.list() if state.running and state.pid] == ["hv_kvp_daemon"]


def test_it_runs_sh_and_no_powershell_and_windows_the_other_way_round() -> None:
    linux, windows = (hv.Simulator(demo_world(), guest=name, clock=hv.VirtualClock()) for name in ("web", "backup"))
    with pytest.raises(ConnectError, match="PowerShell did not start") as absent:
        linux.call(Call(GET_GUEST, {"info": False}), Deadline(5))
    assert absent.value.address == "sim:#guest=web"
    assert '"kernel": "Linux"' in linux.call(Call(SH_GET_GUEST, looked_for()), Deadline(5))
    assert '"gone": true' in linux.call(Call(SH_STOP_PROCESS, {"process_id": 7, "started": "1"}), Deadline(5))
    with pytest.raises(ConfigurationError, match="runs PowerShell, not POSIX sh"):
        windows.call(Call(SH_GET_GUEST, {}), Deadline(5))


def test_the_host_sees_what_was_started_inside_and_inside_what_the_host_switches() -> None:
    world = demo()
    clock = hv.VirtualClock()
    host = hv.Host(hv.Simulator(world, clock=clock)).vms["web"]
    guest = Guest(hv.Simulator(world, guest="web", clock=clock))

    assert host.services["vss"].state().primary == "NoContact"
    guest.services["vss"].start()
    assert host.services["vss"].state().health is Health.OK
    host.services["vss"].disable()
    state = guest.services["vss"].state()
    assert (state.offered, state.device, state.running) == (False, False, False)
    host.services["vss"].enable()
    assert guest.services["vss"].state().running
    guest.services["vss"].stop()
    guest.services["kvp"].set_startup("automatic")
    assert world.journal == [
        "guest-start web hv_vss_daemon",
        "disable web vss",
        "enable web vss",
        "guest-stop web hv_vss_daemon",
        "guest-configure web hv-kvp-daemon.service",
    ]


# -- what can be the case ------------------------------------------------------------------------------------------


def test_a_daemon_that_is_not_installed() -> None:
    guest = guest_of(demo(programs=["/usr/sbin/hv_kvp_daemon"]))
    state = guest.services["vss"].state()
    assert (state.installed, state.running, state.health) == (False, False, Health.PROBLEM)
    with pytest.raises(ServiceNotFoundError) as absent:
        guest.services["vss"].start()
    assert "install hyperv-daemons" in str(absent.value.hint)


def test_a_daemon_that_has_crashed() -> None:
    guest = guest_of(demo(failed={"hv-vss-daemon.service": "signal"}))
    assert guest.services["vss"].state().status == "failed (failed, signal)"
    assert guest.services["vss"].start().status == "active (running)"


@pytest.mark.parametrize("init", ["systemd", "openrc", "sysvinit", ""])
def test_a_device_that_another_process_holds(init: str) -> None:
    holder = LinuxProcess(pid=700, user=0, name="backup-agent", holds="/dev/vmbus/hv_vss")
    world = demo(init=init, processes=[holder])
    with pytest.raises(InvalidStateError, match=r"held by process 700 \(backup-agent\)"):
        guest_of(world).services["vss"].start()
    assert world.journal == []


def test_a_daemon_that_fails_says_its_last_words() -> None:
    guest = guest_of(demo(failing={"hv_vss_daemon": "open /dev/vmbus/hv_vss failed; error: 5 Input/output error"}))
    with pytest.raises(InvalidStateError, match="error: 5 Input/output error"):
        guest.services["vss"].start()
    assert guest.services["vss"].state().status == "failed (failed, exit-code)"


def test_a_unit_that_is_masked() -> None:
    guest = guest_of(demo(startup={"hv-vss-daemon.service": "masked"}))
    assert guest.services["vss"].state().startup is Startup.DISABLED
    with pytest.raises(InvalidStateError, match="masked"):
        guest.services["vss"].start()


def test_one_that_could_not_be_started_is_not_stopped_for_a_restart() -> None:
    world = demo(startup={"hv-kvp-daemon.service": "masked"})
    service = guest_of(world).services["kvp"]
    with pytest.raises(InvalidStateError, match="cannot start Key-Value Pair Exchange: its unit is masked") as refused:
        service.restart()
    assert (refused.value.current, refused.value.expected) == ("disabled", "manual")
    assert (service.state().running, world.journal) == (True, [])


@pytest.mark.parametrize("rights", ["none", "sudo with a password", "doas with a password"])
def test_a_user_who_is_not_root(rights: str) -> None:
    world = demo(rights=rights)
    guest = guest_of(world)
    assert guest.info().administrator is False
    with pytest.raises(PermissionDeniedError) as refused:
        guest.services["kvp"].stop()
    assert refused.value.hint == "As root, run: systemctl --no-ask-password stop hv-kvp-daemon.service"
    assert world.journal == []


def test_processes_that_are_hidden() -> None:
    guest = guest_of(demo(hidepid=True, rights="sudo", init="sysvinit"))
    assert guest.services["kvp"].state().running is None
    with pytest.raises(PermissionDeniedError, match="processes are hidden"):
        guest.services["vss"].start()


def test_a_driver_that_is_built_in_or_absent() -> None:
    assert guest_of(demo(driver="builtin")).services["heartbeat"].state().health is Health.OK
    world = demo(driver="absent")
    assert guest_of(world).services["heartbeat"].state().running is False
    with pytest.raises(InvalidStateError):
        guest_of(world).services["vss"].start()
    host = hv.Host(hv.Simulator(world, clock=hv.VirtualClock()))
    assert host.vms["web"].services["kvp"].state().primary == "NoContact"


def test_no_init_system() -> None:
    guest = guest_of(demo(init=""))
    assert guest.services["vss"].start().running
    assert guest.services["kvp"].stop().running is False
    with pytest.raises(UnsupportedError, match="no init system"):
        guest.services["kvp"].set_startup("manual")


def test_another_distribution_and_files_that_are_copied_over_uio() -> None:
    world = demo(os_release=RHEL_9, programs=["/usr/sbin/hypervkvpd", "/usr/sbin/hypervvssd"])
    state = guest_of(world).services["vss"].start()
    assert (state.name, state.display_name) == ("hypervvssd", "hypervvssd.service")
    assert world.journal == ["guest-start web hypervvssd"]

    world = demo(kernel="6.12.48-amd64", programs=["/usr/bin/hv_fcopy_uio_daemon"], os_release="ID=arch")
    world.machine("web").services["guest_service_interface"].enabled = True
    state = guest_of(world).services["guest_service_interface"].start()
    assert (state.running, state.device, state.name) == (True, True, "hv_fcopy_uio_da")


def test_a_daemon_that_was_started_by_hand() -> None:
    world = demo(by_hand=["hv_kvp_daemon"])
    service = guest_of(world).services["kvp"]
    assert (service.state().running, service.state().by_hand, service.state().status) == (True, True, "inactive (dead)")
    assert (service.restart().by_hand, world.machine("web").linux.by_hand) == (False, [])

    guest = guest_of(demo(init="openrc", by_hand=["hv_kvp_daemon"]))
    assert guest.services["kvp"].state().by_hand is True


def test_last_words_of_a_daemon_for_root_alone() -> None:
    facts = {"failed": {"hv-vss-daemon.service": "signal"}, "last_words": {"hv-vss-daemon.service": "freezing\n/data"}}
    words = guest_of(demo(**facts)).services["vss"].state().last_words
    assert words == "It was ended by signal 11. It said: freezing /data"
    assert guest_of(demo(**facts, rights="sudo")).services["vss"].state().last_words is None

    guest = guest_of(demo(failing={"hv_vss_daemon": "error: 5"}))
    with pytest.raises(InvalidStateError):
        guest.services["vss"].start()
    assert guest.services["vss"].state().last_words == "It ended with status 1. It said: error: 5"


def test_what_else_a_guest_can_tell() -> None:
    info = guest_of(demo(helper_scripts=[], time_daemons=["chronyd"], readable_pools=False, uptime=7)).info()
    assert (info.helper_scripts, info.time_sources, info.readable_pools, info.uptime) == ((), ("chronyd",), (), 7)
    info = guest_of(demo(time_daemons=["chronyd", "ntpd"], refclock="/dev/ptp_hyperv")).info()
    assert info.time_sources == ("chronyd (PTP hyperv)", "ntpd")
    assert len(info.readable_pools or ()) == 5
    assert guest_of(demo(hidepid=True, rights="none")).info().time_sources is None


@pytest.mark.parametrize(
    ("os_release", "name", "available"),
    [
        (None, "hyperv-daemons", "2-1"),
        (RHEL_9, "hypervkvpd", None),
        ("ID=alpine", "hvtools", "2-1"),
        ("ID=arch", "hyperv", "2-1"),
    ],
)
def test_versions_of_packages(os_release: str | None, name: str, available: str | None) -> None:
    system = {} if os_release is None else {"os_release": os_release}
    guest = guest_of(demo(packages={name: "1-r1"}, available={name: "2-1"}, **system))
    (state,) = (state for state in guest.inventory().services if state.kind is hv.ServiceKind.KVP)
    assert (state.package, state.version, state.available_version) == (name, "1-r1", available)
    assert guest.services["kvp"].state().available_version is None


def test_names_that_lie_forge_nothing() -> None:
    impostors = [
        LinuxProcess(pid=800, name="hv_vss_daemon", program="/home/eve/hv_vss_daemon"),
        LinuxProcess(pid=801, user=0, name="hv_vss_daemon", program="/usr/bin/sleep"),
        LinuxProcess(pid=802, user=0, name='hv_vss_daemon\n803 S 0 "'),
    ]
    world = demo(os_release='ID=debian\nVERSION_ID=12\nPRETTY_NAME="\x1b[2J"\nID=debian\n', processes=impostors)
    web = world.machine("web")
    web.name = 'web"},{'
    guest = Guest(hv.Simulator(world, guest='web"},{', clock=hv.VirtualClock()))

    assert guest.info().name == 'web"},{'
    assert guest.services["vss"].state().running is False
    assert guest.services["vss"].start().pid not in {800, 801, 802}
    assert guest.services["vss"].stop().running is False
    assert [process.pid for process in web.linux.processes] == [800, 801, 802]


# -- faults --------------------------------------------------------------------------------------------------------


def test_the_shell_dies_or_is_slow() -> None:
    world = demo()
    world.faults = [Fault(cmdlet="sh", action="exit", times=4)]
    with pytest.raises(ConnectionLostError):
        Guest(hv.Simulator(world, guest="web", clock=hv.VirtualClock()), family="linux").info(timeout=5)
    world.faults = [Fault(cmdlet="sh", action="delay", seconds=60)]
    with pytest.raises(TransportTimeoutError):
        Guest(hv.Simulator(world, guest="web", clock=hv.VirtualClock()), family="linux").info(timeout=5)


def test_a_connection_that_is_lost_within_a_change() -> None:
    world = demo()
    world.faults = [Fault(cmdlet="systemctl", action="exit")]
    with pytest.raises(ConnectionLostError):
        guest_of(world).services["vss"].start(timeout=60)
    assert world.journal == []


def test_a_command_that_fails() -> None:
    world = demo()
    world.faults = [Fault(cmdlet="systemctl", id="StartFailed", message="Failed to connect to bus.")]
    with pytest.raises(CommandFailedError, match="Failed to connect to bus"):
        guest_of(world).services["vss"].start()


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_world_file_has_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    world = demo(init="openrc", processes=[LinuxProcess(pid=1, name="init")])
    world.save(path)
    assert World.load(path) == world
    (web,) = (machine for machine in world.to_dict()["machines"] if machine["name"] == "web")
    assert web["linux"].keys() == {"init", "processes"}
    assert Guest(hv.Simulator(path, guest="web", clock=hv.VirtualClock())).services["vss"].start().running
    assert World.load(path).machine("web").daemons == ["hv_kvp_daemon", "hv_vss_daemon"]


@pytest.mark.parametrize("name", ["init", "driver", "rights"])
def test_what_no_system_can_be_is_refused(name: str) -> None:
    machine = {"id": "3f1b1a52-0000-4000-8000-000000000001", "name": "web", "linux": {name: "launchd"}}
    with pytest.raises(ConfigurationError, match=rf"\$\.machines\[0\]\.linux\.{name} is 'launchd'; it can be '"):
        World.from_dict({"machines": [machine]})


@pytest.mark.parametrize("doing", ["start", "install"])
def test_where_processes_are_hidden_the_refusal_says_what_would_help(doing: str) -> None:
    guest = guest_of(demo(hidepid=True, rights="none"))
    with pytest.raises(PermissionDeniedError, match="cannot be seen") as refused:
        guest.services["vss"].start() if doing == "start" else guest.install("vss")
    assert "as root" in (refused.value.hint or "")
    assert "--sudo" in hv.errors.for_command(refused.value.hint or "")
