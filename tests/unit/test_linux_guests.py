"""From the facts that a Linux guest tells to the states of its services, and to what callers are told of a change."""

from __future__ import annotations

from typing import Any

import pytest

from hvintegration import Host, Severity, Simulator, World, diagnose
from hvintegration.calls.operation import DeadlineReached, Operation
from hvintegration.errors import (
    CommandFailedError,
    ConnectError,
    ConnectionLostError,
    DecodeError,
    HvError,
    InvalidStateError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ServiceNotFoundError,
    UnsupportedError,
)
from hvintegration.guest_models import GuestChange, GuestFamily, GuestInfo, GuestServiceState, Startup
from hvintegration.models import ChangeOutcome, Health
from hvintegration.operations.guests import (
    GuestAction,
    GuestTarget,
    change_guest_service,
    list_guest_services,
    read_guest_inventory,
    set_guest_services,
    wait_until_running,
)
from hvintegration.scripts import SH_GET_GUEST, SH_SET_GUEST_SERVICES
from hvintegration.service_kind import ServiceKind
from hvintegration.simulator import Machine
from hvintegration.testing import machine_id

from .driving import HOST, Outcome, Reply, answer, drive, problem
from .linux_starting import (
    DAEMONS,
    DEBIAN,
    DRIVEN,
    HELPERS,
    LINUX_KINDS,
    POOLS,
    channel,
    linux,
    linux_result,
    process,
    unit,
)

KVP, VSS, COPY = ServiceKind.KVP, ServiceKind.VSS, ServiceKind.GUEST_SERVICE_INTERFACE
NO_POWERSHELL = ConnectError("PowerShell did not start.", address=HOST)
every_daemon = pytest.mark.parametrize("kind", DAEMONS)
every_driven = pytest.mark.parametrize("kind", DRIVEN)


def target() -> GuestTarget:
    return GuestTarget(family=GuestFamily.LINUX)


def states(**changes: object) -> dict[ServiceKind | None, GuestServiceState]:
    rows = drive(list_guest_services(target()), [linux(**changes)]).value
    return {row.kind: row for row in rows}


def kvp(**changes: object) -> GuestServiceState:
    return states(**changes)[KVP]


def without(kind: ServiceKind) -> list[str]:
    """The channels without that one."""
    return [channel(one) for one in LINUX_KINDS if one is not kind]


# -- what is asked -------------------------------------------------------------------------------------------------


def test_everything_is_one_call_that_names_what_to_look_for() -> None:
    outcome = drive(list_guest_services(target()), [linux()])
    (call,) = outcome.calls
    assert call.script is SH_GET_GUEST
    assert "hv_kvp_daemon" in call.document["names"].split()
    assert "hv_fcopy_uio_da" in call.document["names"].split()
    assert "/usr/sbin/hypervvssd" in call.document["programs"].split()
    assert set(call.document) == {
        *("devices", "programs", "names", "units", "scripts"),
        *("pools", "available", "apt", "apk", "pacman", "rpm"),
    }
    assert {device for *_, device in DAEMONS.values()} <= set(call.document["devices"].split())


def test_the_rows_are_the_six_that_linux_has_in_the_order_of_hosts() -> None:
    assert tuple(states()) == LINUX_KINDS
    assert {row.health for row in states().values()} == {Health.OK}


def test_the_guest_is_described() -> None:
    vm_id = "AAAAAAAA-0000-4000-8000-000000000001"
    found = drive(read_guest_inventory(target()), [linux(vm_id=vm_id, rights="none")]).value
    info = found.info
    assert (info.family, info.name, info.caption) == (GuestFamily.LINUX, "web1", "Debian GNU/Linux 12 (bookworm)")
    assert (info.os_version, info.os_build, info.vm_id) == ("12", "6.1.0-28-amd64", vm_id.lower())
    assert (info.administrator, info.powershell_version, len(found.services)) == (False, None, 6)


@pytest.mark.parametrize(
    ("rights", "administrator"),
    [("root", True), ("sudo", True), ("doas", True), ("sudo with a password", False), ("none", False), (None, None)],
)
def test_who_is_an_administrator(rights: str | None, administrator: object) -> None:
    info = drive(read_guest_inventory(target()), [linux(rights=rights)]).value.info
    assert info.administrator is administrator


# -- daemons: the columns of the table of health -------------------------------------------------------------------


@every_daemon
def test_a_daemon_that_runs(kind: ServiceKind) -> None:
    name, unit_name, _ = DAEMONS[kind]
    row = states()[kind]
    assert (row.installed, row.running, row.device, row.offered, row.health) == (True, True, True, True, Health.OK)
    assert (row.name, row.display_name, row.program) == (name, f"{unit_name}.service", f"/usr/sbin/{name}")
    assert (row.status, row.account, row.startup) == ("active (running)", "root", Startup.TRIGGERED)
    assert row.pid in {45, 46, 47}
    assert (row.cannot_start, row.cannot_stop, row.notes) == (None, None, ())


GONE: dict[str, Any] = {"processes": [], "units": [unit("hv-kvp-daemon", ActiveState="inactive", SubState="dead")]}
ABSENT: dict[str, Any] = {"processes": [], "programs": [], "units": [unit("x", LoadState="not-found")], "wanted": []}


@pytest.mark.parametrize(
    ("changes", "health"),
    [
        ({}, Health.OK),
        ({"devices": None}, Health.OK),
        ({"channels": None}, Health.OK),
        ({"channels": without(KVP)}, Health.DISABLED),
        ({"devices": []}, Health.PROBLEM),
        (GONE, Health.PROBLEM),
        (GONE | {"channels": without(KVP)}, Health.DISABLED),
        (GONE | {"channels": None}, Health.NOT_RUNNING),
        (GONE | {"units": [unit("hv-kvp-daemon", LoadState="masked", UnitFileState="masked")]}, Health.DISABLED),
        (ABSENT, Health.PROBLEM),
        (ABSENT | {"channels": None}, Health.DISABLED),
        (ABSENT | {"channels": []}, Health.DISABLED),
        ({"processes": None, "units": None}, Health.UNKNOWN),
    ],
)
def test_the_health_of_a_daemon(changes: dict[str, Any], health: Health) -> None:
    assert kvp(**changes).health is health


@pytest.mark.parametrize("init", ["systemd", "sysvinit", "openrc", None])
def test_where_processes_are_hidden_nobody_says_that_it_does_not_run(init: str | None) -> None:
    row = kvp(processes=None, units=None, init=init)
    assert (row.installed, row.running, row.pid, row.status) == (True, None, None, None)


def test_where_processes_are_hidden_a_unit_may_say_that_it_runs_and_never_that_it_does_not() -> None:
    """It may have been started by hand."""
    assert kvp(processes=None).running is True
    stopped = [unit("hv-kvp-daemon", ActiveState="inactive", SubState="dead")]
    row = kvp(processes=None, units=stopped)
    assert (row.running, row.status) == (None, "inactive (dead)")


@pytest.mark.parametrize(
    "line",
    [
        process("hv_kvp_daemon", owner="1000"),
        process("hv_kvp_daemon", owner="1000", program=""),
        process("hv_kvp_daemon", program="/home/plain/hv_kvp_daemon.py"),
        process("hv_kvp_daemon", program="/usr/bin/sleep"),
        process("hv_kvp_daemon", program="/usr/bin/sleep (deleted)"),
        process("hv_kvp_daemon", state="Z"),
        process("hv_kvp_daemon", state="X"),
        process("hv_kvp_daemonx"),
        "hv_kvp_daemon",
        "-1 S 0 hv_kvp_daemon /usr/sbin/hv_kvp_daemon",
        "45\n46 S 0 hv_kvp_daemon /usr/sbin/hv_kvp_daemon",
        "\u00b2 S 0 hv_kvp_daemon /usr/sbin/hv_kvp_daemon",
        "9" * 5000 + " S 0 hv_kvp_daemon /usr/sbin/hv_kvp_daemon",
        "",
    ],
)
def test_what_has_only_the_name_of_a_daemon_does_not_count(line: str) -> None:
    row = kvp(processes=[line])
    assert (row.running, row.pid) == (False, None)


@pytest.mark.parametrize(
    "line",
    [
        process("hv_kvp_daemon"),
        process("hv_kvp_daemon", program=""),
        process("hv_kvp_daemon", program="/usr/sbin/hv_kvp_daemon (deleted)"),
        process("hv_kvp_daemon", program="/usr/lib/linux-tools/6.8.0-56-generic/hv_kvp_daemon"),
        process("hypervkvpd"),
        process("hv_kvp_daemon", state="D"),
    ],
)
def test_what_counts_as_a_daemon(line: str) -> None:
    row = kvp(processes=[line])
    assert (row.running, row.pid) == (True, 45)


def test_the_name_of_a_process_is_cut_and_its_program_is_not() -> None:
    line = "7 S 0 hv_fcopy_uio_da /usr/sbin/hv_fcopy_uio_daemon"
    row = states(processes=[line], channels=[channel(COPY, "uio_hv_generic", "uio0")], devices=[])[COPY]
    assert (row.running, row.pid, row.device, row.health) == (True, 7, True, Health.OK)
    assert row.program == "/usr/sbin/hv_fcopy_uio_daemon"


# -- how they come to run ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit_changes", "changes", "startup"),
    [
        ({}, {}, Startup.TRIGGERED),
        ({"UnitFileState": "enabled"}, {}, Startup.AUTOMATIC),
        ({"UnitFileState": "enabled-runtime"}, {}, Startup.AUTOMATIC),
        ({"LoadState": "masked", "UnitFileState": "masked"}, {}, Startup.DISABLED),
        ({"UnitFileState": "masked-runtime"}, {}, Startup.DISABLED),
        ({}, {"wanted": []}, Startup.MANUAL),
        ({}, {"wanted": None}, None),
        ({"LoadState": "not-found"}, {}, None),
    ],
)
def test_how_a_unit_comes_to_run(
    unit_changes: dict[str, str], changes: dict[str, Any], startup: Startup | None
) -> None:
    assert kvp(units=[unit("hv-kvp-daemon", **unit_changes)], **changes).startup is startup


@pytest.mark.parametrize("init", ["sysvinit", "openrc"])
@pytest.mark.parametrize(
    ("line", "startup"),
    [
        ("hv-kvp-daemon enabled", Startup.AUTOMATIC),
        ("hv-kvp-daemon disabled", Startup.MANUAL),
        ("hv-kvp-daemon", None),
        ("hv-vss-daemon enabled", None),
    ],
)
def test_how_a_script_comes_to_run(init: str, line: str, startup: Startup | None) -> None:
    row = kvp(init=init, units=[line], wanted=None)
    assert (row.startup, row.running, row.status) == (startup, True, "running")


def test_without_an_init_system_nothing_is_said_of_how_it_comes_to_run() -> None:
    row = kvp(init=None, units=None, wanted=None)
    assert (row.startup, row.installed, row.running, row.display_name) == (None, True, True, None)


@pytest.mark.parametrize(
    ("unit_changes", "status"),
    [
        ({"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}, "failed (failed, exit-code)"),
        ({"ActiveState": "inactive", "SubState": "dead"}, "inactive (dead)"),
        ({"ActiveState": "activating", "SubState": "start"}, "activating (start)"),
    ],
)
def test_what_systemd_says_of_a_daemon_that_does_not_run(unit_changes: dict[str, str], status: str) -> None:
    row = kvp(processes=[], units=[unit("hv-kvp-daemon", **unit_changes)])
    assert (row.running, row.status, row.health) == (False, status, Health.PROBLEM)


# -- what is installed ---------------------------------------------------------------------------------------------


def test_what_is_not_installed_is_told_with_the_command_of_its_distribution() -> None:
    row = kvp(**ABSENT)
    assert (row.installed, row.running, row.startup) == (False, False, None)
    assert row.cannot_start == (
        "It is not installed. As root, run: env DEBIAN_FRONTEND=noninteractive apt-get --yes "
        "-o Dpkg::Options::=--force-confold install hyperv-daemons"
    )
    assert (row.cannot_stop, row.notes) == ("It is not installed.", ("It is not installed.",))


def test_what_a_distribution_does_not_have_is_told_instead() -> None:
    row = states(os_release='ID=debian\nVERSION_ID="13"\n', **ABSENT)[COPY]
    assert row.cannot_start == "It is not installed. Debian 13 and later has no package of it."


@pytest.mark.parametrize(
    "os_release", ["ID=nobodyknows\n", "", None, "ID=amzn\nVERSION_ID=2023\n", "\x00\x01=\n\n==\n", "ID=$(reboot)\n"]
)
def test_on_an_unknown_distribution_nobody_knows_where_else_it_might_be(os_release: str | None) -> None:
    row = kvp(os_release=os_release, **ABSENT)
    assert (row.installed, row.running, row.health, row.cannot_start) == (None, False, Health.PROBLEM, None)
    assert kvp(os_release=os_release).installed is True


def test_units_that_could_not_be_asked_for_make_nothing_absent() -> None:
    assert kvp(**(ABSENT | {"units": None})).installed is None
    assert kvp(**(ABSENT | {"units": None, "init": None})).installed is False


@pytest.mark.parametrize(
    ("rights", "reason"),
    [
        ("none", "This user is not root."),
        ("sudo with a password", "This user is not root, and sudo asks for a password."),
        (
            "doas with a password",
            "This user is not root, and doas asks for a password, which it takes on a terminal only.",
        ),
        ("sudo on a terminal", "This user is not root, and sudo works on a terminal only (requiretty)."),
        ("sudo", None),
        (None, None),
    ],
)
def test_who_cannot_become_root_is_told_so(rights: str | None, reason: str | None) -> None:
    row = kvp(rights=rights)
    assert (row.cannot_start, row.cannot_stop) == (reason, reason)


# -- what runs by hand, and what was said last ---------------------------------------------------------------------

SESSION = "45 /user.slice/user-0.slice/session-7.scope"


@pytest.mark.parametrize(
    ("changes", "by_hand"),
    [
        ({}, False),
        ({"keepers": [SESSION]}, True),
        ({"keepers": [SESSION], "units": [unit("hv-kvp-daemon", MainPID="45")]}, False),
        ({"keepers": ["45 /machine/x/system.slice/hv-kvp-daemon.service/sub"]}, False),
        ({"keepers": ["45 /system.slice/hv-kvp-daemon.service2"]}, True),
        ({"keepers": []}, None),
        ({"keepers": [], "units": [unit("hv-kvp-daemon", ActiveState="inactive")]}, True),
        ({"keepers": [], "units": [unit("hv-kvp-daemon", ActiveState="failed")]}, True),
        ({"units": None}, None),
        ({"processes": None}, None),
        ({"processes": []}, None),
        ({"init": "sysvinit", "units": ["hv-kvp-daemon enabled"], "keepers": ["45 noted"]}, False),
        ({"init": "openrc", "units": ["hv-kvp-daemon enabled"], "keepers": ["45 -"]}, True),
        ({"init": "openrc", "units": ["hv-kvp-daemon enabled"], "keepers": ["46 -"]}, None),
        ({"init": "openrc", "units": ["hv-kvp-daemon enabled"], "keepers": ["45", "x noted", ""]}, None),
        ({"init": None, "units": None, "keepers": []}, None),
    ],
)
def test_what_runs_without_its_unit_runs_by_hand(changes: dict[str, Any], *, by_hand: bool | None) -> None:
    assert kvp(**({"processes": [process("hv_kvp_daemon")]} | changes)).by_hand is by_hand


def failed_unit(result: str = "exit-code", status: str = "1") -> str:
    return unit("hv-kvp-daemon", ActiveState="failed", SubState="failed", Result=result, ExecMainStatus=status)


@pytest.mark.parametrize(
    ("shown", "words", "told"),
    [
        (failed_unit(), "a\nb", "It ended with status 1. It said: a b"),
        (failed_unit(), "", "It ended with status 1."),
        (failed_unit("signal", "11"), "", "It was ended by signal 11."),
        (failed_unit("core-dump", "6"), "\x1b[2J", "It was ended by signal 6. It said: [2J"),
        (failed_unit("start-limit-hit"), "", "Its unit failed: start-limit-hit."),
        (failed_unit(), None, None),
        (unit("hv-kvp-daemon"), "a", None),
        (unit("hv-kvp-daemon", ActiveState="inactive"), "a", None),
    ],
)
def test_what_failed_tells_how_to_those_who_may_read_the_journal(shown: str, words: str | None, told: object) -> None:
    said = [] if words is None else [f"hv-kvp-daemon.service\n{words}"]
    assert kvp(processes=[], units=[shown], last_words=said).last_words == told


# -- packages ------------------------------------------------------------------------------------------------------

RHEL = 'ID="rhel"\nVERSION_ID="9.6"\n'
UBUNTU = 'ID=ubuntu\nVERSION_ID="24.04"\n'


@pytest.mark.parametrize(
    ("os_release", "packages", "package", "version"),
    [
        (None, ["apt\ninstalled hyperv-daemons 6.1.176-1"], None, None),
        ("ID=debian\nVERSION_ID=12", ["apt\ninstalled hyperv-daemons 6.1.176-1"], "hyperv-daemons", "6.1.176-1"),
        ("ID=debian\nVERSION_ID=12", ["apt\nconfig-files hyperv-daemons 6.1.176-1"], "hyperv-daemons", None),
        ("ID=debian\nVERSION_ID=12", ["apt\ninstalled other 1"], "hyperv-daemons", None),
        ("ID=debian\nVERSION_ID=12", ["", "apt", "apt\n\n", "x\ny z"], "hyperv-daemons", None),
        ("ID=debian\nVERSION_ID=12", ["apt\ninstalled hyperv-daemons \x1b[2J"], "hyperv-daemons", None),
        ("ID=debian\nVERSION_ID=12", None, "hyperv-daemons", None),
        (RHEL, ["rpm\nhypervkvpd 0-0.42.el9\npackage x is not installed"], "hypervkvpd", "0-0.42.el9"),
        (UBUNTU, ["apt\ninstalled linux-cloud-tools-common 6.8.0-56.58"], "linux-cloud-tools-common", "6.8.0-56.58"),
        ("ID=alpine", ["apk\nhvtools-4.11.9-r4 x86_64 {hvtools} (GPL-2.0-only) [installed]"], "hvtools", "4.11.9-r4"),
        ("ID=arch", ["pacman\nhyperv 6.18-3"], "hyperv", "6.18-3"),
        ("ID=amzn\nVERSION_ID=2023", ["rpm\nhypervkvpd 1-1"], None, None),
    ],
)
def test_which_version_of_which_package(
    os_release: str | None, packages: object, package: str | None, version: str | None
) -> None:
    row = kvp(os_release=os_release, packages=packages)
    assert (row.package, row.version, row.available_version) == (package, version, None)


APK_SAYS = "apk\nhvtools policy:\n  4.11.9-r4:\n    lib/apk/db/installed\n    https://a.example/main\n"


@pytest.mark.parametrize(
    ("os_release", "said", "version"),
    [
        (
            "ID=debian\nVERSION_ID=12",
            "apt\nhyperv-daemons:\n  Installed: (none)\n  Candidate: 6.1.180-1\n",
            "6.1.180-1",
        ),
        ("ID=debian\nVERSION_ID=12", "apt\nhyperv-daemons:\n  Installed: (none)\n  Candidate: (none)\n", None),
        ("ID=debian\nVERSION_ID=12", "apt\n", None),
        ("ID=arch", "pacman\nName            : hyperv\nVersion         : 6.18-3\nVersion : 1", "6.18-3"),
        ("ID=alpine", APK_SAYS, "4.11.9-r4"),
        ("ID=alpine", f"{APK_SAYS}  4.12-r0:\n    https://b.example/main\n", None),
        ("ID=alpine", "apk\nhvtools policy:\n  4.11.9-r4:\n    lib/apk/db/installed\n", None),
        (RHEL, "rpm\nhypervkvpd 1-1", None),
    ],
)
def test_which_version_could_be_installed(os_release: str, said: str, version: str | None) -> None:
    assert kvp(os_release=os_release, available=[said]).available_version == version


def test_what_could_be_installed_is_asked_for_with_the_guest_only() -> None:
    def asked(operation: Operation[object]) -> object:
        (call,) = drive(operation, [linux()]).calls
        return call.document["available"]

    assert (asked(list_guest_services(target())), asked(read_guest_inventory(target()))) == ("", "yes")


# -- the guest -----------------------------------------------------------------------------------------------------


def info_of(**changes: object) -> GuestInfo:
    return drive(read_guest_inventory(target()), [linux(**changes)]).value.info


@pytest.mark.parametrize(
    ("lines", "clocks", "sources"),
    [
        ([], [], ()),
        (None, [], None),
        (["7 S 101 chronyd /usr/sbin/chronyd"], [], ("chronyd",)),
        (["7 S 101 chronyd "], ["refclock /dev/ptp_hyperv"], ("chronyd (PTP hyperv)",)),
        (["7 S 101 chronyd "], ["refclock /dev/ptp0", "/dev/ptp0 hyperv"], ("chronyd (PTP hyperv)",)),
        (["7 S 101 chronyd "], ["refclock /dev/ptp0", "/dev/ptp0 KVM virtual PTP"], ("chronyd",)),
        (["7 S 101 chronyd "], ["refclock /dev/ptp1", "/dev/ptp0 hyperv"], ("chronyd",)),
        (["7 S 101 ntpd ", "8 S 102 systemd-timesyn ", "9 S 102 ntpd "], [], ("ntpd", "systemd-timesyncd")),
        (["7 S 0 ntpd /bin/busybox"], [], ("ntpd",)),
        (["7 S 61184 systemd-timesyn /usr/lib/systemd/systemd-timesyncd"], [], ("systemd-timesyncd",)),
        (["7 S 1000 chronyd ", "8 S 0 ntpd /usr/bin/sleep", "9 Z 0 ntpd ", "10 S x chronyd "], [], ()),
    ],
)
def test_what_sets_the_clock(lines: object, clocks: list[str], sources: object) -> None:
    assert info_of(processes=lines, clocks=clocks).time_sources == sources


SET_IFCONFIG = "/usr/libexec/hypervkvpd/hv_set_ifconfig"


@pytest.mark.parametrize(
    ("os_release", "programs", "scripts"),
    [
        (DEBIAN, [*HELPERS, "/usr/sbin/hv_kvp_daemon"], HELPERS),
        (DEBIAN, [*HELPERS, SET_IFCONFIG], (*HELPERS, SET_IFCONFIG)),
        (DEBIAN, [], ()),
        (DEBIAN, [HELPERS[0], f"?{HELPERS[1]}"], None),
        ("ID=nixos", [], None),
        (None, [], None),
        (None, list(HELPERS), HELPERS),
    ],
)
def test_which_scripts_of_data_exchange_are_there(os_release: str | None, programs: list[str], scripts: object) -> None:
    assert info_of(os_release=os_release, programs=programs).helper_scripts == scripts


@pytest.mark.parametrize(
    ("said", "count"),
    [
        (POOLS, 5),
        (POOLS.replace("-rw-r--r--", "-rw-------"), 0),
        (POOLS.replace("-rw-r--r--", "-rw----r--", 1), 5),
        (POOLS.replace("drwxr-xr-x", "drwx------", 1), 0),
        (POOLS.replace("drwxr-xr-x", "drwxr-x--t", 1), 5),
        (POOLS.replace("drwxr-xr-x", "drwxr-xr--", 1), 0),
        (POOLS.replace("-rw-r--r-- 1", "-rw-r--r--+ 1"), 5),
        ("\n".join(POOLS.split("\n")[3:]), 0),
        ("\n".join(POOLS.split("\n")[:3]), 0),
        ("garbage\n\n \n-rw-r--r-- /etc/shadow", 0),
    ],
)
def test_which_files_of_data_exchange_everybody_may_read(said: str, count: int) -> None:
    assert len(info_of(pools=[said]).readable_pools or ()) == count


def test_of_files_that_nobody_has_looked_at_nothing_is_said() -> None:
    assert (info_of(pools=None).readable_pools, info_of(uptime=None).uptime, info_of().uptime) == (None, None, 3600)


def test_a_program_in_a_folder_that_cannot_be_looked_into_is_not_absent() -> None:
    hidden = {"programs": ["?/usr/sbin/hv_kvp_daemon"], "units": [unit("x")], "processes": []}
    assert (kvp(**hidden).installed, kvp(**(hidden | {"programs": []})).installed) == (None, False)


# -- machines that are not on Hyper-V ------------------------------------------------------------------------------

ELSEWHERE: dict[str, Any] = {
    "vmbus": False,
    "driver": False,
    "module": False,
    "channels": None,
    "devices": [],
    "vendor": "QEMU",
    "product": "Standard PC",
}


@pytest.mark.parametrize(
    ("changes", "on_hyperv"),
    [
        ({}, False),
        ({"vmbus": True}, True),
        ({"vendor": "Microsoft Corporation", "product": "Virtual Machine"}, True),
        ({"vendor": "Microsoft Corporation", "product": None}, True),
        ({"vendor": "Microsoft Corporation", "product": "Surface Laptop"}, False),
        ({"vendor": None}, None),
        ({"vendor": None, "hypervisor": "xen"}, False),
        ({"vmbus": None}, None),
        ({"vmbus": None, "channels": [channel(KVP)]}, True),
    ],
)
def test_whether_it_runs_on_hyper_v(changes: dict[str, Any], *, on_hyperv: bool | None) -> None:
    assert info_of(**(ELSEWHERE | changes)).on_hyperv is on_hyperv


def test_a_machine_elsewhere_says_so_and_does_not_pass_for_one_without_the_driver() -> None:
    found = drive(list_guest_services(target()), [linux(**ELSEWHERE, processes=[])]).value
    assert [str(failure.message) for failure in found.errors] == [
        "This machine does not run on Hyper-V. It has no integration services."
    ]
    for row in found:
        assert (row.offered, row.running, row.health) == (False, False, Health.DISABLED)
        assert row.installed is (None if row.kind in DRIVEN else True)
        assert row.cannot_start == "This machine does not run on Hyper-V."


# -- FreeBSD -------------------------------------------------------------------------------------------------------

BSD: dict[str, Any] = {
    "kernel": "FreeBSD",
    "kernel_release": "13.2-RELEASE",
    "init": "rc",
    "os_release": 'NAME=FreeBSD\nVERSION_ID="13.2"\nID=freebsd\nPRETTY_NAME="FreeBSD 13.2-RELEASE"\n',
    "hypervisor": "hv",
    "vmbus": None,
    "driver": None,
    "module": None,
    "channels": None,
    "bus": ["vmbus0", "hvheartbeat0", "hvkvp0", "hvshutdown0", "hvtimesync0"],
    "devices": ["/dev/hv_kvp_dev"],
    "processes": ["45 I 0 hv_kvp_daemon "],
    "keepers": [],
    "programs": ["/usr/sbin/hv_kvp_daemon", "/usr/sbin/hv_vss_daemon"],
    "units": [],
    "wanted": ["/usr/sbin/hv_kvp_daemon"],
    "pools": None,
    "clocks": [],
    "packages": None,
}


def test_a_freebsd_guest_is_read_in_the_same_words() -> None:
    unknown = GuestTarget()
    found = drive(read_guest_inventory(unknown), [NO_POWERSHELL, linux(**BSD)]).value
    assert (unknown.family, found.info.family, found.info.on_hyperv) == (GuestFamily.FREEBSD, GuestFamily.FREEBSD, True)
    assert (found.info.caption, found.info.helper_scripts, len(found.errors)) == ("FreeBSD 13.2-RELEASE", None, 0)
    rows = {row.kind: row for row in found.services}
    assert tuple(rows) == LINUX_KINDS
    assert [(rows[kind].running, rows[kind].offered, rows[kind].health) for kind in DRIVEN] == [(True, True, "ok")] * 3
    assert (rows[KVP].running, rows[KVP].pid, rows[KVP].device, rows[KVP].startup) == (True, 45, True, "triggered")
    assert (rows[VSS].installed, rows[VSS].running, rows[VSS].device, rows[VSS].offered) == (True, False, None, None)
    assert (rows[COPY].installed, rows[COPY].cannot_start) == (
        False,
        "It is not installed. FreeBSD has no package of it.",
    )


def test_freebsd_is_diagnosed_and_nothing_is_offered_that_cannot_be_done_there() -> None:
    inside = drive(read_guest_inventory(GuestTarget(family=GuestFamily.FREEBSD)), [linux(**BSD)]).value
    world = World(machines=[Machine(id=machine_id(1), name="demovm", guest="linux", daemons=["hv_kvp_daemon"])])
    world.machines[0].setting(COPY).enabled = True
    found = diagnose(Host(Simulator(world)).inventory().vms[0], inside).findings
    worse = [finding for finding in found if finding.severity is not Severity.NOTE]
    assert [(finding.id, finding.kind) for finding in worse] == [
        ("guest-service-not-running", VSS),
        ("file-copy-not-packaged", COPY),
        *([] if inside.info.administrator is not False else [("rights-missing-in-guest", None)]),
    ]
    assert all(finding.fix is None for finding in found if finding.id == "guest-service-not-running")


def test_what_freebsd_does_not_tell_is_not_known() -> None:
    nothing = BSD | {"bus": None, "processes": None, "devices": None, "wanted": [], "hypervisor": None}
    found = drive(read_guest_inventory(GuestTarget(family=GuestFamily.FREEBSD)), [linux(**nothing)]).value
    assert found.info.on_hyperv is None
    for row in found.services:
        assert (row.running, row.device, row.offered, row.startup) == (None, None, None, None)


@pytest.mark.parametrize("kind", [KVP, VSS, COPY, *DRIVEN])
def test_nothing_is_changed_in_a_freebsd_guest(kind: ServiceKind) -> None:
    bsd = GuestTarget(family=GuestFamily.FREEBSD)
    refused = drive(change_guest_service(bsd, kind, GuestAction.STOP, confirm=True), [])
    assert (refused.error(UnsupportedError).needs, refused.calls) == ("a Linux guest of Hyper-V, or one of Windows", ())


def test_a_system_that_is_said_to_be_another_is_refused() -> None:
    error = drive(list_guest_services(target()), [linux(**BSD)]).error(UnsupportedError)
    assert "runs FreeBSD, no Linux" in str(error)


# -- what the driver serves ----------------------------------------------------------------------------------------


@every_driven
@pytest.mark.parametrize(
    ("changes", "running", "health"),
    [
        ({}, True, Health.OK),
        ({"module": False}, True, Health.OK),
        ({"channels": None}, True, Health.OK),
        ({"driver": None}, True, Health.OK),
        ({"driver": None, "channels": None}, True, Health.OK),
        ({"driver": None, "module": False}, None, Health.UNKNOWN),
        ({"driver": None, "module": None, "channels": None}, None, Health.UNKNOWN),
        ({"driver": False}, False, Health.PROBLEM),
        ({"driver": False, "channels": None}, False, Health.DISABLED),
        ({"channels": []}, False, Health.DISABLED),
        ({"channels": [channel(kind, "") for kind in LINUX_KINDS]}, False, Health.PROBLEM),
        ({"channels": [channel(kind, "hv_util") for kind in LINUX_KINDS]}, True, Health.OK),
        ({"channels": [channel(kind).upper() for kind in LINUX_KINDS]}, False, Health.PROBLEM),
    ],
)
def test_what_is_part_of_the_driver(
    kind: ServiceKind, changes: dict[str, Any], *, running: bool | None, health: Health
) -> None:
    row = states(**changes)[kind]
    assert (row.running, row.health, row.name, row.device) == (running, health, "hv_utils", None)
    assert (
        row.cannot_start == row.cannot_stop == ("It is part of the kernel's driver; the host's switch is the only one.")
    )


# -- answers that are odd ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": ["", "x", "a b", "{} {} {} {} {} {}", "\x1b[2J"]},
        {"units": ["", "=", "Id=", "Id", "\n\n\n\n", "Id=hv-kvp-daemon.service"]},
        {"units": ["", " ", "enabled", "hv-kvp-daemon  enabled"], "init": "sysvinit"},
        {"processes": ["", " ", "1", "1 S", "1 S 0", "x S 0 hv_kvp_daemon", "1 S x hv_kvp_daemon"]},
        {"programs": ["", "/", "\n"]},
        {"devices": [""]},
        {"wanted": [""]},
        {"os_release": "=" * 100_000},
        {"vm_id": "../../etc/passwd"},
        {"rights": "all of them"},
        {"init": "launchd"},
    ],
)
def test_odd_lines_are_passed_over(changes: dict[str, Any]) -> None:
    rows = states(**changes)
    assert tuple(rows) == LINUX_KINDS
    assert rows[KVP].pid in {45, 46, 47, None}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"kernel": 1}, "$.result.kernel"),
        ({"channels": "x"}, "$.result.channels"),
        ({"channels": [1]}, "$.result.channels[0]"),
        ({"processes": [None]}, "$.result.processes[0]"),
        ({"driver": "yes"}, "$.result.driver"),
        ({"user_id": "0"}, "$.result.user_id"),
    ],
)
def test_an_answer_of_another_shape_says_where(changes: dict[str, Any], path: str) -> None:
    error = drive(list_guest_services(target()), [linux(**changes)]).error(DecodeError)
    assert error.path == path


def test_another_machine_than_the_one_that_is_meant_is_refused() -> None:
    meant = GuestTarget(family=GuestFamily.LINUX, vm_id="aaaaaaaa-0000-4000-8000-000000000001")
    other = "BBBBBBBB-0000-4000-8000-000000000002"
    assert isinstance(drive(list_guest_services(meant), [linux(vm_id=other)]).error(InvalidStateError), HvError)
    refused = answer(
        linux_result(vm_id=other) | {"changes": []}, problem("AnotherVirtualMachine", message=other.lower())
    )
    error = drive(change_guest_service(meant, KVP, GuestAction.STOP, confirm=False), [refused]).error(InvalidStateError)
    assert (error.current, "Nothing was changed" in str(error)) == (other.lower(), True)


# -- changes -------------------------------------------------------------------------------------------------------


def said(*errors: dict[str, Any], was: object = True, begun: bool = True, **changes: object) -> Reply:
    """What set_guest_services of sh answers to one change."""
    return answer(linux_result(**changes) | {"changes": [{"was": was, "begun": begun}]}, *errors)


def changing(action: str, *replies: Reply, kind: ServiceKind = KVP) -> Outcome[GuestServiceState]:
    return drive(change_guest_service(target(), kind, GuestAction(action), confirm=False), replies)


def setting(*replies: Reply, run: bool, dry_run: bool = False) -> GuestChange:
    (made,) = drive(set_guest_services(target(), [(KVP, run)], dry_run=dry_run, confirm=False), replies).value
    return made


def error_entry(error_id: str, message: str, category: str = "NotSpecified") -> dict[str, Any]:
    return {"id": error_id, "category": category, "message": message, "target": "0"}


def test_a_change_is_one_round_trip_with_the_state_after() -> None:
    outcome = changing("start", said(was=False))
    (call,) = outcome.calls
    assert (call.script, outcome.value.running) == (SH_SET_GUEST_SERVICES, True)
    assert (call.document["changes"], call.document["dry_run"], call.document["vm_id"]) == ("kvp:start", False, None)
    assert call.document["kvp_devices"] == "/dev/vmbus/hv_kvp"
    assert {"hv_kvp_daemon", "hypervkvpd"} <= set(call.document["kvp_executables"].split())


@pytest.mark.parametrize("text", ["kvp:start", "/usr/sbin/hv_kvp_daemon", "hv-kvp-daemon.service"])
def test_a_document_holds_nothing_that_a_shell_would_take_for_more(text: str) -> None:
    (call,) = changing("start", said(was=False)).calls
    texts = [value for value in call.document.values() if isinstance(value, str)]
    assert any(text in value.split() for value in texts)
    assert [value for value in texts if set(value) & set("\\\"'$`*?[];&|<>(){}\n\t")] == []


@pytest.mark.parametrize(
    ("run", "reply", "outcome", "before"),
    [
        (True, said(was=False), ChangeOutcome.CHANGED, "not running"),
        (True, said(begun=False), ChangeOutcome.UNCHANGED, "running"),
        (False, said(processes=[]), ChangeOutcome.CHANGED, "running"),
        (False, said(was=False, begun=False, processes=[]), ChangeOutcome.UNCHANGED, "not running"),
    ],
)
def test_what_became_of_a_change(*, run: bool, reply: Reply, outcome: ChangeOutcome, before: str) -> None:
    made = setting(reply, run=run)
    assert (made.outcome, made.before, made.error) == (outcome, before, None)


@pytest.mark.parametrize(("run", "processes"), [(True, []), (False, None)])
def test_a_dry_run_says_what_would_be(*, run: bool, processes: list[str] | None) -> None:
    changes = {} if processes is None else {"processes": processes}
    made = setting(said(was=not run, begun=False, **changes), run=run, dry_run=True)
    assert made.outcome is ChangeOutcome.WOULD_CHANGE


def test_a_dry_run_says_what_cannot_be() -> None:
    absent = said(error_entry("ServiceNotInstalled", "kvp"), was=False, begun=False, **ABSENT)
    made = setting(absent, run=True, dry_run=True)
    assert made.error is not None
    assert (made.outcome, made.error.message) == (ChangeOutcome.FAILED, "It is not installed in the guest.")


def test_a_start_after_which_nothing_runs_says_what_is_against_it() -> None:
    failed = [unit("hv-kvp-daemon", ActiveState="failed", SubState="failed", Result="exit-code")]
    error = changing("start", said(was=False, processes=[], units=failed)).error(InvalidStateError)
    assert str(error) == (
        f"{HOST} failed to start Key-Value Pair Exchange: its daemon was started, and ended: it is failed "
        "(failed, exit-code)."
    )
    assert error.current == "failed (failed, exit-code)"
    withdrawn = changing("start", said(was=False, processes=[], channels=without(KVP))).error(InvalidStateError)
    assert ("the host does not offer it" in str(withdrawn), withdrawn.expected) == (True, "enabled on the host")
    assert "enable()" in str(withdrawn.hint)


def test_the_last_words_of_a_daemon_are_told() -> None:
    words = "open /dev/vmbus/hv_kvp failed; error: 16 Device or resource busy\x1b[2J"
    error = changing("start", said(error_entry("DaemonEnded", words), was=False, processes=[])).error(InvalidStateError)
    assert "its daemon was started, and ended: open /dev/vmbus/hv_kvp failed; error: 16" in str(error)
    assert "\x1b" not in str(error)


def test_that_the_host_does_not_offer_it_goes_before_the_last_words_of_its_daemon() -> None:
    words = error_entry("DaemonEnded", "open /dev/vmbus/hv_kvp failed; error: 2 No such file or directory")
    reply = said(words, was=False, processes=[], channels=without(KVP), devices=[])
    error = changing("start", reply).error(InvalidStateError)
    assert "the host does not offer it" in str(error)
    assert (error.expected, "error: 2 No such file" in error.host_message) == ("enabled on the host", True)


def test_who_holds_its_device_is_told() -> None:
    held = error_entry("DeviceHeld", "Its device /dev/vmbus/hv_kvp is held by process 77 (sleep).", "ResourceBusy")
    error = changing("start", said(held, was=False, processes=[])).error(InvalidStateError)
    assert "its device /dev/vmbus/hv_kvp is held by process 77 (sleep)" in str(error)


def test_a_masked_unit_is_not_started_and_how_to_is_said() -> None:
    masked = [unit("hv-kvp-daemon", LoadState="masked", UnitFileState="masked", ActiveState="inactive")]
    replies = said(was=False, begun=False, processes=[], units=masked)
    error = changing("start", replies).error(InvalidStateError)
    assert (error.current, error.expected, "its unit is masked" in str(error)) == ("disabled", "manual", True)
    assert 'set_startup("manual")' in str(error.hint)
    waiting = drive(wait_until_running(target(), KVP), [linux(processes=[], units=masked)])
    assert isinstance(waiting.error(InvalidStateError), InvalidStateError)


def test_what_is_not_installed_is_not_found_and_how_to_install_it_is_said() -> None:
    absent = said(error_entry("ServiceNotInstalled", "kvp"), was=False, begun=False, **ABSENT)
    for action in ("start", "automatic"):
        error = changing(action, absent).error(ServiceNotFoundError)
        assert "apt-get --yes" in str(error.hint)


@pytest.mark.parametrize("action", ["start", "stop", "disabled"])
def test_who_lacks_the_rights_is_told_the_command(action: str) -> None:
    no = error_entry("RightsMissing", "systemctl --no-ask-password stop hv-kvp-daemon.service", "PermissionDenied")
    changes: dict[str, Any] = {"processes": []} if action == "start" else {}
    error = changing(action, said(no, begun=False, rights="none", **changes)).error(PermissionDeniedError)
    assert error.hint == "As root, run: systemctl --no-ask-password stop hv-kvp-daemon.service"
    assert error.address == HOST


@pytest.mark.parametrize("action", ["automatic", "manual", "disabled"])
def test_without_an_init_system_there_is_no_startup_to_set(action: str) -> None:
    no = error_entry("NoStartup", "It has no init system with a unit or script for this daemon.", "NotImplemented")
    reply = said(no, was=None, begun=False, init=None, units=None, wanted=None)
    assert "no init system" in str(changing(action, reply).error(UnsupportedError))


def test_a_startup_that_could_not_be_set_says_why() -> None:
    no = error_entry("StartupNotSet", "Failed to mask unit: Read-only file system")
    error = changing("disabled", said(no, was=None)).error(CommandFailedError)
    assert "Read-only file system" in str(error)


@pytest.mark.parametrize("action", ["start", "stop"])
def test_where_processes_are_hidden_nothing_is_begun_and_nothing_unknown(action: str) -> None:
    no = error_entry("ProcessesHidden", "Whether its daemon runs cannot be seen: processes are hidden.")
    reply = said(no, was=None, begun=False, processes=None, units=None, init=None)
    assert "processes are hidden" in str(changing(action, reply).error(CommandFailedError))


def test_what_was_begun_and_cannot_be_read_afterwards_is_unknown() -> None:
    reply = said(was=True, processes=None, units=None)
    assert isinstance(changing("stop", reply).error(OutcomeUnknownError), OutcomeUnknownError)


@pytest.mark.parametrize("kind", [*DRIVEN, ServiceKind.POWERSHELL_DIRECT, ServiceKind.REMOTE_DESKTOP_VIRTUALIZATION])
@pytest.mark.parametrize("action", ["start", "manual"])
def test_what_no_daemon_serves_is_refused_before_anything_is_sent(kind: ServiceKind, action: str) -> None:
    outcome = changing(action, kind=kind)
    assert isinstance(outcome.error(UnsupportedError), UnsupportedError)
    assert outcome.yielded == ()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        (None, "$.result.changes"),
        ([], "$.result.changes"),
        ([None], "$.result.changes[0]"),
        ([{"was": 1, "begun": True}], "$.result.changes[0].was"),
        ([{"was": None, "begun": None}], "$.result.changes[0].begun"),
    ],
)
def test_an_answer_to_a_change_of_another_shape_is_a_lost_one(changes: object, path: str) -> None:
    odd = answer(linux_result() | {"changes": changes})
    outcome = changing("start", odd, odd)
    error = outcome.error(OutcomeUnknownError)
    assert path in str(error)


# -- a change that goes on without its caller ----------------------------------------------------------------------

STOPPED: dict[str, Any] = {"processes": [], "units": [unit("hv-kvp-daemon", ActiveState="inactive", SubState="dead")]}


def told(*errors: dict[str, Any], was: bool | None = True, begun: bool = False, **changes: Any) -> Reply:  # noqa: ANN401 - facts
    return answer(linux_result(**changes) | {"changes": [{"was": was, "begun": begun}]}, *errors)


def under_way(**changes: Any) -> Reply:  # noqa: ANN401 - likewise
    return told(problem("ChangeUnderWay", "0", category="ResourceBusy", message="812"), was=None, **changes)


def lost(*, fenced: bool = True) -> ConnectionLostError:
    return ConnectionLostError("The connection was lost.", address=HOST, fenced=fenced)


def stopping(replies: list[Reply]) -> Outcome[GuestServiceState]:
    return drive(change_guest_service(target(), KVP, GuestAction.STOP, confirm=True), replies)


@pytest.mark.parametrize("fenced", [True, False])
def test_a_lost_change_is_read_back_only_when_it_is_over(fenced: bool) -> None:  # noqa: FBT001
    done = stopping([lost(fenced=fenced), under_way(), None, under_way(**STOPPED), None, told(was=False, **STOPPED)])
    assert done.value.running is False
    assert [call.dry_run for call in done.calls] == [False, True, True, True]


def test_what_is_over_and_was_not_made_is_sent_again() -> None:
    done = stopping([lost(), under_way(), None, told(), told(begun=True, **STOPPED)])
    assert done.value.running is False
    assert [call.dry_run for call in done.calls] == [False, True, True, False]


def test_one_that_is_still_under_way_when_the_time_is_up_is_not_known() -> None:
    error = stopping([lost(), under_way(), DeadlineReached()]).error(OutcomeUnknownError)
    assert "still under way" in str(error)


def test_nothing_is_begun_beside_another_change_and_it_is_waited_for() -> None:
    done = stopping([under_way(), None, told(begun=True, **STOPPED)])
    assert done.value.running is False
    error = stopping([under_way(**STOPPED), DeadlineReached()]).error(InvalidStateError)
    assert ("process 812" in str(error), error.retryable) == (True, True)


@pytest.mark.parametrize(
    ("status", "waits"),
    [("activating", True), ("deactivating", True), ("inactive", False), ("failed", False)],
)
def test_what_systemd_is_at_is_waited_for(status: str, waits: bool) -> None:  # noqa: FBT001
    changes = {"processes": [], "units": [unit("hv-kvp-daemon", ActiveState=status, SubState="x")]}
    start = change_guest_service(target(), KVP, GuestAction.START, confirm=True)
    if waits:
        assert drive(start, [told(was=False, begun=True, **changes), None, told(was=True)]).value.running
    else:
        drive(start, [told(was=False, begun=True, **changes)]).error(InvalidStateError)
