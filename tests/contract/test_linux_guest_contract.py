"""The contract of Linux guests: on the simulator, and on real guests with each init system."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
import pytest

import hvintegration as hv
from hvintegration.errors import (
    InvalidStateError,
    PermissionDeniedError,
    UnsupportedError,
)
from hvintegration.guest import Guest
from hvintegration.guest_models import GuestServiceState, Startup
from hvintegration.models import ChangeOutcome, Health
from hvintegration.service_kind import ServiceKind
from hvintegration.simulator import LinuxProcess, LinuxSystem, Machine, ServiceSetting, World
from hvintegration.testing import machine_id
from hvintegration.transports.base import Transport
from tests.support.amounts import night_unless
from tests.support.kept import Kept
from tests.support.linux_guest import HOSTILE, KINDS, SYSTEMCTL_START, LinuxGuest

KVP, VSS, COPY = DAEMONS = (ServiceKind.KVP, ServiceKind.VSS, ServiceKind.GUEST_SERVICE_INTERFACE)
SHORT: Final = {KVP: "kvp", VSS: "vss", COPY: "fcopy"}
IN_KERNEL: Final = (ServiceKind.HEARTBEAT, ServiceKind.SHUTDOWN, ServiceKind.TIME_SYNC)
SIX: Final = [COPY, ServiceKind.HEARTBEAT, KVP, ServiceKind.SHUTDOWN, ServiceKind.TIME_SYNC, VSS]
ID: Final = machine_id(1)
USERS: Final = {"root": "root", "admin": "sudo", "plain": "sudo with a password"}
"""The users of a guest, and how they become root."""
LAST_WORDS: Final = "Hyper-V VSS: VSS starting; pid is:44\nHyper-V VSS: VSS: kernel module version: 129"
"""What the daemon of VSS says when it starts."""
Verb = Callable[[Guest], object]


@attrs.frozen(kw_only=True)
class Described:
    """How a guest is: its three daemons run, but for what is said here of the services.

    Attributes:
        stopped: Those that were stopped.
        crashed: Those whose daemon was killed.
        withdrawn: Those that the host does not offer.
        masked: Those whose unit is masked; it runs nevertheless.
        held: Those whose daemon was stopped, and whose device another process holds.
        by_hand: Those whose daemon was started by hand.
    """

    stopped: tuple[ServiceKind, ...] = ()
    crashed: tuple[ServiceKind, ...] = ()
    withdrawn: tuple[ServiceKind, ...] = ()
    masked: tuple[ServiceKind, ...] = ()
    held: tuple[ServiceKind, ...] = ()
    by_hand: tuple[ServiceKind, ...] = ()

    def machine(self, init: str, name: str) -> Machine:
        """The machine of a world that is so."""
        down = {*self.stopped, *self.crashed, *self.held}
        system = LinuxSystem(
            init="" if init == "none" else init,
            startup={_unit(kind): "masked" for kind in self.masked},
            failed={_unit(kind): "signal" for kind in self.crashed} if init == "systemd" else {},
            last_words={_unit(kind): LAST_WORDS for kind in self.crashed},
            by_hand=[f"hv_{SHORT[kind]}_daemon" for kind in self.by_hand],
            processes=[
                LinuxProcess(pid=700, user=0, name="sleep", holds=f"/dev/vmbus/hv_{SHORT[kind]}") for kind in self.held
            ],
        )
        return Machine(
            id=ID,
            name=name,
            guest="linux",
            daemons=[f"hv_{SHORT[kind]}_daemon" for kind in DAEMONS if kind not in down],
            services={COPY.key: ServiceSetting()}
            | {kind.key: ServiceSetting(enabled=False) for kind in self.withdrawn},
            linux=system,
        )


def _unit(kind: ServiceKind) -> str:
    return f"hv-{SHORT[kind]}-daemon.service"


class Simulated:
    """A guest of a world.

    Args:
        init: Its init system, or ``none``.
        name: Its name.
    """

    def __init__(self, init: str, name: str = "web") -> None:
        self.init = init
        self._name = name
        self._world = World()
        self.have()

    def have(self, **described: tuple[ServiceKind, ...]) -> Guest:
        """The guest as root has it, of which this is so."""
        self._world = World(machines=[Described(**described).machine(self.init, self._name)])
        return self.guest()

    def guest(self, user: str = "root", **options: Any) -> Guest:  # noqa: ANN401 - Guest checks them
        """The guest as it is."""
        self._world.machine(self._name).linux.rights = USERS[user]
        simulator = hv.Simulator(self._world, guest=self._name, clock=hv.VirtualClock())
        return Guest(simulator, **({"family": "linux"} | options))


class Real:
    """A real guest.

    Args:
        init: Its init system, or ``none``.
        machine: The guest.
    """

    def __init__(self, init: str, machine: LinuxGuest) -> None:
        self.init = init
        self._machine = machine
        self._ways: dict[str, Transport] = {}
        self._was: Described | None = None
        self._start(*DAEMONS)
        machine.host("set", "VirtualMachineId", ID.upper(), "--pool", "3")

    def have(self, **described: tuple[ServiceKind, ...]) -> Guest:
        """The guest as root has it, of which this is so."""
        self.undo()
        self._was = wanted = Described(**described)
        for kind in wanted.crashed:
            self._machine.host("crash", SHORT[kind])
        for kind in wanted.withdrawn:
            self._machine.host("withdraw", SHORT[kind])
        for kind in (*wanted.stopped, *wanted.held, *wanted.by_hand):
            self._machine.shell(_by_init(self.init, SHORT[kind], "stop"))
        for kind in wanted.by_hand:
            self._machine.shell(_by_init("none", SHORT[kind], "start"))
        for kind in wanted.held:
            hold = f"exec 3<>/dev/vmbus/hv_{SHORT[kind]}; exec sleep 1000"
            self._machine.shell(f"setsid sh -c '{hold}' > /dev/null 2>&1 &")
        for kind in wanted.masked:
            self._machine.shell(f"systemctl mask {_unit(kind)}")
        return self.guest()

    def guest(self, user: str = "root", **options: Any) -> Guest:  # noqa: ANN401 - Guest checks them
        """The guest as it is."""
        way = self._ways.setdefault(user, Kept(self._machine.ssh(user)))
        return Guest(way, **({"family": "linux"} | options))

    def close(self) -> None:
        for way in self._ways.values():
            way.close()

    def undo(self) -> None:
        """Have all three daemons run again, as they come to run by themselves, for whoever shares the guest."""
        if self._was is None:
            return
        for kind in self._was.withdrawn:
            self._machine.host("offer", SHORT[kind])
        if self._was.held:
            self._machine.shell("kill $(/bin/pidof sleep)", check=False)
        for kind in self._was.by_hand:
            self._machine.shell(_by_init("none", SHORT[kind], "stop"), check=False)
        self._start(*DAEMONS)
        self._was = None

    def _start(self, *kinds: ServiceKind) -> None:
        units = " ".join(map(_unit, kinds))
        as_new = f"systemctl unmask {units}; systemctl disable {units}"
        on_systemd = f"case $(systemctl is-enabled {units}) in *masked* | *enabled*) {as_new} ;; esac; "
        starts = "; ".join(_by_init(self.init, SHORT[kind], "start") for kind in kinds)
        self._machine.shell((on_systemd if self.init == "systemd" else "") + starts)


def _by_init(init: str, short: str, verb: str) -> str:
    """The command by hand."""
    name, unit = f"hv_{short}_daemon", f"hv-{short}-daemon"
    by_hand = {
        "start": f"/bin/pidof {name} > /dev/null || {name}",
        "stop": f"while kill -15 $(/bin/pidof {name}); do sleep 0.1; done",
    }
    return {
        "systemd": SYSTEMCTL_START.format(unit) if verb == "start" else f"systemctl {verb} {unit}",
        "sysvinit": f"update-rc.d hv-{short}-daemon enable; /etc/init.d/hv-{short}-daemon {verb}",
        "openrc": f"rc-service hv-{short}-daemon {verb}",
        "none": by_hand[verb],
    }[init]


Way = Simulated | Real


def real_one(init: str, *more: object, by_day: bool, name: str | None = None) -> Any:  # noqa: ANN401 - pytest tells no type
    """A real guest as a parameter, with *more* of the same test."""
    return pytest.param(init, *more, marks=[pytest.mark.xdist_group(f"linux-{init}"), *night_unless(by_day)], id=name)


def on(*inits: str, by_day: tuple[str, ...] = KINDS) -> pytest.MarkDecorator:
    """On guests with one of these init systems, real and simulated; on some real ones only at night."""
    ways = [*(f"simulator: {init}" for init in inits), *(real_one(init, by_day=init in by_day) for init in inits)]
    return pytest.mark.parametrize("way", ways, indirect=True)


everywhere = on(*KINDS)
alike_everywhere = on(*KINDS, by_day=("systemd", "none"))


@pytest.fixture(scope="session")
def real(start_linux: Callable[..., LinuxGuest]) -> Iterator[Callable[[str], Real]]:
    """Real guests by their init system, each once."""
    made: dict[str, Real] = {}

    def get(init: str) -> Real:
        if init not in made:
            made[init] = Real(init, start_linux(init, *HOSTILE))
        return made[init]

    yield get
    for one in made.values():
        one.close()


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    simulated, _, init = str(request.param).rpartition(": ")
    if simulated:
        yield Simulated(init)
        return
    real: Real = request.getfixturevalue("real")(init)
    yield real
    real.undo()


def round_trips(guest: Guest, verb: Verb) -> int:
    """How many *verb* takes."""
    before = guest.session.stats.round_trips
    verb(guest)
    return guest.session.stats.round_trips - before


# -- reading -------------------------------------------------------------------------------------------------------


@alike_everywhere
def test_a_guest_is_found_to_be_of_linux_and_describes_itself(way: Way) -> None:
    way.have()
    guest = way.guest(family=None)
    info = guest.info()

    assert (guest.family, info.family, info.vm_id) == ("linux", "linux", ID)
    assert (info.caption, info.os_version) == ("Debian GNU/Linux 12 (bookworm)", "12")
    assert info.os_build == info.integration_services_version == "6.1.0-28-amd64"
    assert info.administrator is True
    assert info.powershell_version is None


@alike_everywhere
def test_all_six_are_listed(way: Way) -> None:
    listed = way.have(stopped=(VSS,)).services.list()

    assert [state.kind for state in listed] == SIX
    assert not listed.errors
    by_kind = {state.kind: state for state in listed}
    for kind in IN_KERNEL:
        assert (by_kind[kind].name, by_kind[kind].running, by_kind[kind].health) == ("hv_utils", True, Health.OK)
    for kind in DAEMONS:
        state = by_kind[kind]
        assert (state.name, state.program) == (f"hv_{SHORT[kind]}_daemon", f"/usr/sbin/hv_{SHORT[kind]}_daemon")
        assert (state.installed, state.device, state.offered) == (True, True, True)
        assert (state.running, state.pid is not None) == (kind is not VSS,) * 2
        assert state.health is (Health.OK if state.running else Health.PROBLEM)


@alike_everywhere
def test_an_inventory_is_both_and_can_be_stored(way: Way) -> None:
    guest = way.have()
    inventory = guest.inventory()

    assert inventory.info == guest.info()
    assert list(inventory.services) == list(guest.services.list())
    assert '"hv_kvp_daemon"' in json.dumps(inventory.to_dict())


@alike_everywhere
def test_questions_take_one_round_trip_and_changes_two_at_most(way: Way) -> None:
    guest = way.have()
    verbs: list[Verb] = [
        Guest.info,
        Guest.inventory,
        lambda guest: guest.services.list(),
        lambda guest: guest.services["kvp"].state(),
        lambda guest: guest.services["kvp"].wait_until_running(),
        lambda guest: guest.set_services({"vss": True, "kvp": False}, dry_run=True),
    ]
    assert [round_trips(guest, verb) for verb in verbs] == [1] * len(verbs)
    assert round_trips(guest, lambda guest: guest.services["kvp"].stop()) <= 2
    assert round_trips(guest, lambda guest: guest.services["kvp"].start()) <= 2
    assert round_trips(guest, lambda guest: guest.services["kvp"].restart()) <= 4


@alike_everywhere
def test_another_machine_is_neither_told_nor_changed(way: Way) -> None:
    way.have()
    guest = way.guest(vm_id=machine_id(2))
    for verb in (guest.info, guest.services.list, guest.services["vss"].stop, guest.services["vss"].restart):
        with pytest.raises(InvalidStateError, match="is not the virtual machine") as refused:
            verb()
        assert refused.value.current == ID
    assert way.guest().services["vss"].state().running


# -- starting and stopping -----------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("user", ["root", "admin"])
def test_a_daemon_is_stopped_and_started_and_neither_twice(way: Way, user: str) -> None:
    way.have()
    service = way.guest(user).services["vss"]
    before = service.state()

    assert service.start().pid == before.pid
    stopped = service.stop()
    assert (stopped.running, stopped.pid, stopped.installed) == (False, None, True)
    assert service.stop().running is False
    started = service.start()
    assert started.running
    assert started.pid not in {None, before.pid}
    assert service.start().pid == started.pid
    restarted = service.restart()
    assert restarted.running
    assert restarted.pid not in {None, started.pid}


@everywhere
def test_many_are_changed_at_once_and_a_dry_run_changes_nothing(way: Way) -> None:
    guest = way.have(stopped=(VSS,))
    wanted = {KVP: False, VSS: True, COPY: True}

    would = guest.set_services(wanted, dry_run=True)
    assert [one.outcome for one in would] == [ChangeOutcome.WOULD_CHANGE] * 2 + [ChangeOutcome.UNCHANGED]
    assert guest.services["kvp"].state().running
    made = guest.set_services(wanted)
    assert [one.outcome for one in made] == [ChangeOutcome.CHANGED] * 2 + [ChangeOutcome.UNCHANGED]
    assert [one.before for one in made] == ["running", "not running", "running"]
    assert [one.state and one.state.running for one in made] == [False, True, True]


@everywhere
def test_a_daemon_that_crashed_is_started_again(way: Way) -> None:
    guest = way.have(crashed=(VSS,))
    state = guest.services["vss"].state()
    assert (state.running, state.health) == (False, Health.PROBLEM)
    assert state.status == ("failed (failed, signal)" if way.init == "systemd" else "not running")
    assert guest.services["vss"].start().running


@everywhere
def test_who_was_started_by_hand_is_told_from_the_others(way: Way) -> None:
    states = {state.kind: state for state in way.have(by_hand=(KVP,)).services.list()}
    assert (states[KVP].running, states[VSS].running) == (True, True)
    expected = (None, None) if way.init == "none" else (True, False)
    assert (states[KVP].by_hand, states[VSS].by_hand) == expected
    if way.init == "systemd":
        assert way.guest().services["kvp"].restart().by_hand is False


@on("systemd")
def test_last_words_are_for_those_who_may_read_the_journal(way: Way) -> None:
    guest = way.have(crashed=(VSS,))
    words = guest.services["vss"].state().last_words
    assert words is not None
    assert words.startswith("It was ended by signal 11. It said: Hyper-V VSS: VSS starting; pid is:")
    assert guest.services["kvp"].state().last_words is None
    assert way.guest("plain").services["vss"].state().last_words is None


@alike_everywhere
def test_the_guest_tells_what_else_matters(way: Way) -> None:
    info = way.have().info()
    assert (info.on_hyperv, info.time_sources, info.domain_controller) == (True, (), None)
    assert info.uptime is not None
    assert info.helper_scripts == tuple(f"/usr/libexec/hypervkvpd/hv_get_{what}_info" for what in ("dhcp", "dns"))
    assert info.readable_pools == tuple(f"/var/lib/hyperv/.kvp_pool_{number}" for number in range(5))


@alike_everywhere
def test_a_device_that_another_process_holds_is_told(way: Way) -> None:
    guest = way.have(held=(VSS,))
    for user in ("root", "admin"):
        with pytest.raises(InvalidStateError, match=r"/dev/vmbus/hv_vss is held by process \d+ \(sleep\)"):
            way.guest(user).services["vss"].start()
    assert guest.services["vss"].state().running is False


@alike_everywhere
def test_what_the_host_does_not_offer_cannot_be_started(way: Way) -> None:
    guest = way.have(withdrawn=(VSS,))
    state = guest.services["vss"].state()
    assert (state.offered, state.device, state.running, state.health) == (False, False, False, Health.DISABLED)
    with pytest.raises(InvalidStateError, match="the host does not offer it") as failed:
        guest.services["vss"].start()
    assert failed.value.expected == "enabled on the host"


@alike_everywhere
@pytest.mark.parametrize("kind", [*IN_KERNEL, ServiceKind.POWERSHELL_DIRECT, ServiceKind.REMOTE_DESKTOP_VIRTUALIZATION])
def test_what_no_daemon_serves_is_refused_before_anything_is_sent(way: Way, kind: ServiceKind) -> None:
    guest = way.guest()
    service = guest.services[kind]
    verbs: list[Callable[[], object]] = [
        service.start,
        lambda: service.stop(confirm=True),
        lambda: service.set_startup("manual"),
    ]
    for verb in verbs:
        before = guest.session.stats.round_trips
        with pytest.raises(UnsupportedError) as refused:
            verb()
        assert refused.value.needs == "a Windows guest of Hyper-V"
        assert guest.session.stats.round_trips == before


# -- how they come to run ------------------------------------------------------------------------------------------


@everywhere
def test_how_a_daemon_comes_to_run_is_set(way: Way) -> None:
    service = way.have().services["vss"]
    if way.init == "none":
        for startup in Startup.AUTOMATIC, Startup.MANUAL, Startup.DISABLED:
            with pytest.raises(UnsupportedError, match="no init system"):
                service.set_startup(startup)
        return
    by_hand = Startup.TRIGGERED if way.init == "systemd" else Startup.MANUAL
    assert service.set_startup("automatic").startup is Startup.AUTOMATIC
    if way.init == "openrc":
        return
    assert service.set_startup("manual").startup is by_hand
    assert service.set_startup("automatic").startup is Startup.AUTOMATIC


@on("systemd")
def test_a_unit_that_is_masked_is_not_started(way: Way) -> None:
    service = way.have(masked=(VSS,)).services["vss"]
    assert (service.state().startup, service.state().running) == (Startup.DISABLED, True)
    assert service.stop().health is Health.DISABLED
    with pytest.raises(InvalidStateError, match="its unit is masked"):
        service.start()
    assert service.set_startup("manual").startup is Startup.TRIGGERED
    assert service.start().running
    assert service.set_startup("disabled").running


@on("sysvinit", "openrc")
def test_scripts_cannot_keep_a_service_from_being_started(way: Way) -> None:
    with pytest.raises(UnsupportedError, match="cannot keep a service from being started"):
        way.have().services["vss"].set_startup("disabled")


# -- rights --------------------------------------------------------------------------------------------------------


@everywhere
def test_without_rights_nothing_is_changed_and_the_command_is_told(way: Way) -> None:
    before = list(way.have(stopped=(VSS,)).services.list())
    guest = way.guest("plain")
    seen = guest.services.list()

    assert guest.info().administrator is False
    assert [(state.running, state.pid) for state in seen] == [(state.running, state.pid) for state in before]
    assert all(state.cannot_stop for state in seen)
    for verb in (guest.services["kvp"].stop, guest.services["vss"].start, guest.services["kvp"].restart):
        with pytest.raises(PermissionDeniedError) as refused:
            verb()
        assert (refused.value.hint or "").startswith("As root, run: ")
    (would,) = guest.set_services({KVP: False})
    assert would.outcome is ChangeOutcome.FAILED
    assert list(way.guest().services.list()) == before


# -- equal answers -------------------------------------------------------------------------------------------------

STATES: Final[list[dict[str, tuple[ServiceKind, ...]]]] = [
    {},
    {"stopped": (KVP,), "crashed": (VSS,)},
    {"withdrawn": (VSS,), "by_hand": (KVP,)},
    {"held": (VSS,)},
]


SEEN_BY_ALL: Final = [
    field.name
    for field in attrs.fields(GuestServiceState)
    if field.name not in {"address", "read_at", "cannot_start", "cannot_stop"}
]
"""What is the same for each user who may know it."""


COMPARED: Final = [
    real_one(init, state, by_day=init == "systemd" or number == 2, name=f"{number}-{init}")
    for init in KINDS
    for number, state in enumerate(STATES)
]
"""Each state on one init system, and on all one that differs by them; at night, all on all."""


@pytest.mark.parametrize(("way", "described"), COMPARED, indirect=["way"])
def test_answers_are_those_of_the_simulator(way: Way, described: dict[str, Any]) -> None:
    before = way.have(**described).inventory()
    assert before.info.name is not None
    simulated = Simulated(way.init, before.info.name)
    simulated.have(**described)

    seen = way.guest("plain").services.list()
    for state, known in zip(seen, before.services, strict=True):
        for name in SEEN_BY_ALL:
            assert getattr(state, name) in {None, getattr(known, name)}, (state.kind, name)
    for user in ("plain", "root", "admin"):
        assert told(way.guest(user)) == told(simulated.guest(user)), user


def told(guest: Guest) -> list[object]:
    """All that a guest says of its services, and of some changes."""
    answers: list[Any] = [guest.inventory()]
    answers += guest.set_services({"vss": True, "kvp": False}, dry_run=True)
    answers += guest.set_services({"vss": True, "kvp": False})
    return [comparable(answer.to_dict()) for answer in answers]


def comparable(value: object) -> object:
    """Plain data without what differs by way, by time and by process."""
    if isinstance(value, dict):
        differs = {"address", "read_at", "pid", "uptime", "version", "available_version"}
        if value.get("offered") is False:
            # Whether systemd stops the daemon, or its read fails before that, is a matter of chance.
            differs |= {"status", "last_words"}
        if isinstance(state := value.get("state"), dict) and state.get("offered") is False:
            value |= {"error": value.get("error") is not None}
        left = {key: comparable(item) for key, item in value.items() if key not in differs}
        return left | {"pid": value["pid"] is None} if "pid" in value else left
    if isinstance(value, str):
        return re.sub(r"(process |kill -15 |pid is:)\d+", r"\1N", value)
    return list(map(comparable, value)) if isinstance(value, list) else value
