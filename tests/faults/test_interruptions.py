"""Random reads and writes whose connections are struck at random bytes and moments: what the caller was told is so.

``HVINTEGRATION_INTERRUPTIONS`` says how many on the loopback instead of 200. A real PowerShell gets a twentieth, 500
at most.
``HVINTEGRATION_SEED`` says which; a failure names its own.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from hvintegration import ChangeOutcome, Host, Inventory, ServiceChange, ServiceKind
from hvintegration.errors import HvError, OutcomeUnknownError, TransportError
from hvintegration.simulator import demo_world
from tests.support.amounts import at_night, some_by_day
from tests.support.endpoints import BridgeEndpoint, Endpoint, SshdEndpoint, SSHEndpoint, WSManEndpoint, wait_until
from tests.support.fault_proxy import Kind

if TYPE_CHECKING:
    from tests.conftest import Bridge
    from tests.support.ssh_server import Way
    from tests.support.sshd import Sshd

TIMES: Final = int(os.environ.get("HVINTEGRATION_INTERRUPTIONS", "200"))
SEED: Final = int(os.environ.get("HVINTEGRATION_SEED", "1"))
KINDS: Final = [kind for kind in ServiceKind if kind.managed_by_host]

ABRUPT: Final[tuple[Kind, ...]] = ("reset", "reset", "close")
SILENT: Final[tuple[Kind, ...]] = ("freeze", "freeze-up", "freeze-down")


@attrs.define
class Interruptions:
    """Strikes calls through an endpoint, one after the other.

    Attributes:
        endpoint: What is struck.
        chance: Where it is struck, and what is asked.
        silent: How many of a hundred faults are silent, so that only time ends them.
        timeout: Seconds for each call.
        enabled: What is enabled by now, as the journal says.
        known: How many changes in the journal the caller knows of.
        unsure: The change of which the caller was told last that it is unknown whether it was made.
        came: What came of the calls, counted.
    """

    endpoint: Endpoint
    chance: random.Random
    silent: int
    timeout: float
    enabled: dict[tuple[str, str], bool | None] = attrs.field(factory=dict[tuple[str, str], bool | None])
    ids: dict[str, str] = attrs.field(factory=dict[str, str])
    known: int = 0
    unsure: str = ""
    came: Counter[str] = attrs.field(factory=Counter[str])

    def run(self, times: int) -> None:
        """Strike so many calls."""
        with self.endpoint.host() as host:
            proxy = self.endpoint.proxy
            inventory = host.inventory()
            self.ids = {found.info.name: found.info.id for found in inventory.vms}
            self.enabled = _enabled(inventory)
            reach = {"up": proxy.bytes_up * 5 // 4, "down": proxy.bytes_down * 5 // 4}
            for _ in range(times):
                struck_later = self._plan(reach)
                self._ask(host)
                struck_later.cancel()
                struck_later.join()
                proxy.thaw()  # What was on its way arrives after all; nothing may come of it.
            proxy.call_off()
            self._look_for_late_changes()
            self._compare(host.inventory())

    def _plan(self, reach: dict[str, int]) -> threading.Timer:
        kind = self.chance.choice(SILENT if self.chance.randrange(100) < self.silent else ABRUPT)
        proxy = self.endpoint.proxy
        later = threading.Timer(self.chance.uniform(0, 0.04), proxy.strike, [kind])
        match self.chance.randrange(3):
            case 0:
                later.start()
            case 1:
                proxy.strike(kind, after_bytes_up=self.chance.randrange(reach["up"]))
                later.function, later.interval = _nothing, 0
                later.start()
            case _:
                proxy.strike(kind, after_bytes_down=self.chance.randrange(reach["down"]))
                later.function, later.interval = _nothing, 0
                later.start()
        return later

    def _ask(self, host: Host) -> None:
        self._look_for_late_changes()
        name, kind = self.chance.choice(sorted(self.ids)), self.chance.choice(KINDS)
        enable = self.chance.random() < 0.5
        if self.chance.random() < 0.3:
            self._read(host)
            return
        wanted = f"{'enable' if enable else 'disable'} {name} {kind.key}"
        try:
            (change,) = host.set_services([(self.ids[name], kind, enable)], timeout=self.timeout)
        except HvError as error:
            self.came[type(error).__name__] += 1
            self._judge_error(error, wanted)
        else:
            self.came[change.outcome.value] += 1
            self._judge(change, wanted, self.enabled[name, kind.key])

    def _judge_error(self, error: HvError, wanted: str) -> None:
        assert isinstance(error, TransportError)
        assert error.may_have_run is isinstance(error, OutcomeUnknownError)
        self.unsure = wanted if error.may_have_run else ""
        self._look_for_late_changes()

    def _judge(self, change: ServiceChange, wanted: str, before: bool | None) -> None:  # noqa: FBT001 - one of three facts
        made = self._catch_up()
        assert made in ([], [wanted])
        match change.outcome:
            case ChangeOutcome.CHANGED:
                assert made == [wanted]
            case ChangeOutcome.UNCHANGED | ChangeOutcome.FAILED:
                assert made == []
            case _:
                assert change.outcome is ChangeOutcome.CONFIRMED
        if change.outcome is not ChangeOutcome.FAILED:
            assert change.state is not None
            assert change.state.enabled is change.enable
            assert made or before is change.enable

    def _read(self, host: Host) -> None:
        try:
            inventory = host.inventory(timeout=self.timeout)
        except HvError as error:
            self.came[f"read: {type(error).__name__}"] += 1
        else:
            self.came["read: answer"] += 1
            assert self._catch_up() == []
            self._compare(inventory)

    def _compare(self, inventory: Inventory) -> None:
        assert len(inventory.errors) == 0
        assert _enabled(inventory) == self.enabled

    def _look_for_late_changes(self) -> None:
        made = self._catch_up()
        assert made in ([], [self.unsure])
        if made:
            self.unsure = ""

    def _catch_up(self) -> list[str]:
        """The changes made since the last time."""
        journal = self.endpoint.journal()
        made, self.known = journal[self.known :], len(journal)
        for entry in made:
            verb, name, key = entry.split()
            assert self.enabled[name, key] is (verb == "disable")
            self.enabled[name, key] = verb == "enable"
        return made


def _nothing(*_: object) -> None:
    pass


def _enabled(inventory: Inventory) -> dict[tuple[str, str], bool | None]:
    return {
        (found.info.name, state.kind.key): state.enabled
        for found in inventory.vms
        for state in found.services or ()
        if state.kind is not None
    }


MOST_ROUNDS: Final = 5
"""How often so many calls are interrupted at most, until a strike has come before a change and one after it, and few
enough are left open: of ten, a single one is more than of a hundred."""


def interrupt(
    endpoint: Endpoint,
    times: int,
    *,
    silent: int,
    timeout: float,
    unknown: float,
    until: Sequence[str] = ("changed", "confirmed"),
) -> Counter[str]:
    """Interrupt so many calls, of which no more than the share *unknown* may end unknown; what came of them.

    As many again, a few times, *until* each of these has come.
    """
    interruptions = Interruptions(endpoint, random.Random(SEED), silent, timeout)
    try:
        for _ in range(MOST_ROUNDS):
            interruptions.run(times)
            came = interruptions.came
            if all(came[outcome] for outcome in until) and came["OutcomeUnknownError"] <= came.total() * unknown:
                break
        assert wait_until(lambda: endpoint.left() == {}), endpoint.left()
        # What is ended behind the caller's back can be ended now.
        assert wait_until(lambda: not any("fence" in thread.name for thread in threading.enumerate()))
    except BaseException as error:
        error.add_note(f"HVINTEGRATION_SEED={SEED}, call {interruptions.came.total()}: {dict(interruptions.came)}")
        raise
    return interruptions.came


@pytest.mark.timeout(0 if TIMES > 200 else 300)
@pytest.mark.parametrize(("tls", "of_four"), some_by_day([(False, 3), (True, 1)], [(False, 3)]), ids=["sealed", "tls"])
def test_on_the_loopback(*, tls: bool, of_four: int) -> None:
    with WSManEndpoint(tls=tls) as endpoint:
        came = interrupt(endpoint, TIMES * of_four // 4, silent=2, timeout=3, unknown=1 / 50)

    # Strikes that found nothing to strike are still to come: now and then, several strike one call.
    assert came["OutcomeUnknownError"] <= came.total() / 50
    assert came["changed"] > 0
    assert came["confirmed"] > 0


@pytest.mark.timeout(0 if TIMES > 200 else 300)
@pytest.mark.parametrize(("way", "of_hundred"), some_by_day([("subsystem", 12), ("process", 6)], [("subsystem", 12)]))
def test_on_the_loopback_over_ssh(way: Way, of_hundred: int) -> None:
    with SSHEndpoint(way) as endpoint:
        came = interrupt(endpoint, TIMES * of_hundred // 100, silent=2, timeout=6, unknown=1 / 10)

    # A connection takes many bytes to make, so that strikes come where another is still being got over.
    assert came["OutcomeUnknownError"] <= came.total() / 10
    assert came["changed"] > 0
    assert came["confirmed"] > 0


@pytest.fixture(scope="module")
def bridged_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world file that the bridge answers from."""
    file = tmp_path_factory.mktemp("bridge") / "world.json"
    demo_world().save(file)
    return file


@pytest.fixture(scope="module")
def bridge(start_bridge: Callable[..., Bridge], bridged_world: Path) -> Bridge:
    return start_bridge(auth="ntlm", world=bridged_world)


@at_night
@pytest.mark.engine
@pytest.mark.timeout(0 if TIMES > 200 else 300)
def test_on_a_real_powershell(bridge: Bridge, bridged_world: Path) -> None:
    with BridgeEndpoint(bridge, bridged_world) as endpoint:
        came = interrupt(endpoint, min(TIMES // 20, 500), silent=2, timeout=20, unknown=1 / 25, until=["changed"])

    assert came["OutcomeUnknownError"] <= came.total() / 25
    assert came["changed"] > 0


@pytest.fixture(scope="module")
def sshd_server(engine: str, start_sshd: Callable[..., Sshd]) -> Sshd:
    return start_sshd(f"Subsystem powershell {engine} -sshs -NoLogo -NoProfile")


@at_night
@pytest.mark.engine
@pytest.mark.timeout(0 if TIMES > 200 else 300)
def test_on_a_real_powershell_over_ssh(sshd_server: Sshd) -> None:
    with SshdEndpoint(sshd_server) as endpoint:
        came = interrupt(endpoint, TIMES // 20, silent=2, timeout=20, unknown=1 / 10, until=["changed"])

    assert came["OutcomeUnknownError"] <= came.total() / 10
    assert came["changed"] > 0
