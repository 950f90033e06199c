"""The contract of transports, as tests to inherit, and the pytest option that runs its read-only part on a real host.

A transport of your own is proved by a class that inherits :class:`TransportContract` and says how to make one that
answers from a world file::

    pytest_plugins = ["hvintegration.testing"]       # in the topmost conftest.py

    class TestMyTransport(TransportContract):
        @pytest.fixture
        def transport(self, world_file): return MyTransport(...)

It proves that texts, sizes, refusals, silence and death get through. What the scripts do with a virtual machine is
:class:`ScriptsContract`'s, for interpreters of them.

What the far side must do is answer from the file named by ``world_file``, as
:class:`~hvintegration.Simulator` and the stand-in Hyper-V module of the test engine do. Needs pytest.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hvintegration import Credential, Health, Host, OperationalStatus, ServiceKind, transport_for
from hvintegration.calls import reserve
from hvintegration.calls.call import Call
from hvintegration.clock import MOST_SECONDS, Deadline
from hvintegration.errors import (
    AmbiguousError,
    ConfigurationError,
    HvError,
    InvalidStateError,
    PermissionDeniedError,
    ReentrantCallError,
    RemoteError,
    TransportTimeoutError,
    VMNotFoundError,
    WaitTimeoutError,
)
from hvintegration.models import ChangeOutcome, HostInfo
from hvintegration.operations.hosts import read_host
from hvintegration.service_kind import HOST_MANAGED
from hvintegration.session import Session
from hvintegration.simulator import Fault, Machine, ServiceSetting, World
from hvintegration.simulator.store import FileStore
from hvintegration.transports.base import Transport, sharing_of
from hvintegration.values import Rows

__all__ = ["HOSTILE_NAMES", "HostContract", "ScriptsContract", "TransportContract", "machine_id"]

HOSTILE_NAMES = (
    "web[1]",
    "o'brien’s vm",
    "*",
    "$(calc)",
    "line\nbreak",
    '"; Remove-VM * #',
    "`$env:Path",
    "-Name",
    " padded ",
    "2026-01-01T00:00:00Z",
    "/Date(0)/",
    "<script>alert(1)</script>",
    "\u202eevil\x1b[31m",
    "名前 \U0001f600",
    "_x000D_",
)
"""Names that virtual machines may have and that must mean nothing but themselves."""


def machine_id(number: int) -> str:
    """A GUID for the machine of that number."""
    return f"3f1b1a52-0000-4000-8000-{number:012}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--hv-live``, and what goes with it."""
    parser.addoption(
        "--hv-live",
        metavar="ADDRESS",
        help="run the read-only part of the transport contract on this host, such as local: or winrm://hv01",
    )
    parser.addoption("--hv-live-user", metavar="USER", help="who asks it; the password is HVINTEGRATION_PASSWORD's")
    parser.addoption(
        "--hv-live-option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an argument of WinRM or SSH, such as auth=ntlm; may be repeated",
    )


@pytest.fixture
def live_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """The host named by ``--hv-live``; the test is skipped where none is."""
    address = request.config.getoption("--hv-live")
    if address is None:
        pytest.skip("no --hv-live ADDRESS is given")
    user = request.config.getoption("--hv-live-user")
    credential = None if user is None else Credential(str(user), os.environ.get("HVINTEGRATION_PASSWORD", ""))
    options = dict(option.partition("=")[::2] for option in request.config.getoption("--hv-live-option") or ())
    with Host(transport_for(str(address), credential=credential, options=options)) as host:
        yield host


@pytest.fixture
def patient_fences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have fencing take the half of what is left: on a machine with much to do, a PowerShell takes a while to start."""
    monkeypatch.setattr(reserve, "MOST_SECONDS_TO_FENCE", math.inf)


@pytest.fixture
def hasty_writes(patient_fences: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - for what it does
    """Have a write wait for its answer for a tenth of its time, and keep the rest for what follows its loss."""
    for name, value in (("LEAST_SECONDS", math.inf), ("MOST_SECONDS", math.inf), ("MOST_SHARE", 0.9)):
        monkeypatch.setattr(reserve, name, value)


class _CallContract:
    """What must hold for any call to any host, whatever is asked. Changes nothing."""

    @pytest.fixture
    def host(self) -> Iterator[Host]:
        """The host to ask."""
        raise NotImplementedError

    def test_a_dry_run_changes_nothing(self, host: Host) -> None:
        before = host.inventory()
        flips = [
            (state.vm_id, state.kind, not state.enabled) for state in before.services[:12] if state.kind is not None
        ]

        planned = host.set_services(flips, dry_run=True)

        assert {change.outcome for change in planned} <= {ChangeOutcome.WOULD_CHANGE}
        assert [(state.vm_id, state.enabled) for state in host.inventory().services] == [
            (state.vm_id, state.enabled) for state in before.services
        ]

    def test_a_call_that_is_out_of_time_does_not_hurt_the_next(self, host: Host) -> None:
        with contextlib.suppress(TransportTimeoutError):  # a simulator may be quicker than any time
            host.info(timeout=1e-6)

        assert host.info().name

    def test_the_longest_time_can_be_waited_for_and_a_longer_one_is_said_to_be_none(self, host: Host) -> None:
        assert host.info(timeout=MOST_SECONDS).name
        for timeout in (1e10, 1e300):
            with pytest.raises(ConfigurationError, match=r"^Invalid timeout"):
                host.info(timeout=timeout)

    def test_verbs_cost_the_round_trips_that_they_say(self, host: Host) -> None:
        listed = host.vms.list()
        verbs = [host.info, host.vms.list, host.inventory]
        if listed:
            verbs += [listed[0].info, listed[0].services.list, listed[0].services["heartbeat"].state]

        for verb in verbs:
            before = host.session.stats.round_trips
            verb()
            assert host.session.stats.round_trips == before + 1, verb


class HostContract(_CallContract):
    """What must hold for any host. Changes nothing. Override :meth:`host`."""

    def test_the_host_describes_itself(self, host: Host) -> None:
        info = host.info()

        assert info.name
        assert info.module_version
        assert info.language_mode in {"FullLanguage", "ConstrainedLanguage"}

    def test_list_and_inventory_show_the_same_virtual_machines(self, host: Host) -> None:
        listed = host.vms.list()
        inventory = host.inventory()

        assert [(vm.id, vm.name) for vm in listed] == [(vm.id, vm.name) for vm in inventory.vms]
        assert not listed.errors
        assert not inventory.errors

    def test_a_virtual_machine_is_found_by_id_in_any_form_and_by_unique_name(self, host: Host) -> None:
        listed = host.vms.list()
        names = [vm.name for vm in listed]

        for vm in listed[:3]:
            assert host.vms[vm.id] == vm
            assert host.vms["{" + vm.id.upper() + "}"] == vm
            if names.count(vm.name) == 1:
                assert host.vms[vm.name] == vm
            assert vm.info().id == vm.id

    def test_services_are_the_known_ones_in_the_known_order(self, host: Host) -> None:
        for vm in host.vms.list()[:3]:
            states = vm.services.list()

            kinds = [state.kind for state in states]
            assert kinds == [kind for kind in HOST_MANAGED if kind in kinds]
            assert len(states) >= 5
            for state in states:
                assert state.vm_id == vm.id
                assert state.kind is not None
                assert vm.services[state.kind].state().component_id == state.kind.component_id

    def test_what_is_off_has_no_status(self, host: Host) -> None:
        for state in host.inventory().services:
            if state.vm_state == "Off":
                assert state.primary is None
                assert state.health in {Health.NOT_RUNNING, Health.DISABLED}

    @pytest.mark.parametrize("name", ["*", "?", "[a-z]*", "no such virtual machine", "`", str(uuid.UUID(int=1))])
    def test_a_name_is_no_pattern_and_matching_nothing_is_an_error(self, host: Host, name: str) -> None:
        if any(vm.name == name for vm in host.vms.list()):
            pytest.skip("this host has a virtual machine of that very name")

        with pytest.raises(VMNotFoundError):
            host.vms[name]


class _OverAWorld:
    """Over a host that answers from a world file. Override :meth:`transport`."""

    @pytest.fixture
    def world_file(self, tmp_path: Path) -> Path:
        """The file that the far side answers from."""
        path = tmp_path / "world.json"
        self.default_world().save(path)
        return path

    @pytest.fixture
    def transport(self, world_file: Path) -> Transport:
        """A transport to a host that answers from *world_file*."""
        raise NotImplementedError

    @pytest.fixture
    def host(self, transport: Transport) -> Iterator[Host]:
        """The host to ask."""
        with Host(transport) as host:
            yield host

    @pytest.fixture
    def store(self, world_file: Path) -> FileStore:
        """The world, to be looked at and changed."""
        return FileStore(world_file)

    @staticmethod
    def default_world() -> World:
        """A German host with a Windows guest, a Linux guest and one that is off."""
        return World(
            locale="de-DE",
            machines=[
                Machine(id=machine_id(1), name="demovm", addresses=["192.0.2.5"]),
                Machine(id=machine_id(2), name="web", guest="linux", daemons=["hv_kvp_daemon"]),
                Machine(id=machine_id(3), name="spare", state="Off", guest="none"),
            ],
        )

    @staticmethod
    def put(store: FileStore, world: World) -> None:
        """Make *world* the one that the far side answers from."""

        def put(current: World) -> None:
            for field in ("computer", "locale", "names", "messages", "access", "machines", "faults", "journal"):
                setattr(current, field, getattr(world, field))

        store.change(put)


class ScriptsContract(_OverAWorld, HostContract):
    """What must hold for any interpreter of the scripts, and for the operations over it, whatever carries them."""

    # -- languages ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("locale", "name"),
        [
            ("en-US", "Guest Service Interface"),
            ("de-DE", "Gastdienstschnittstelle"),
            ("fr-FR", "Interface de services d’invité"),
        ],
    )
    def test_services_are_switched_in_any_language(self, host: Host, store: FileStore, locale: str, name: str) -> None:
        self.put(store, World(locale=locale, machines=self.default_world().machines))
        vm = host.vms["demovm"]

        after = vm.services["Guest Service Interface"].enable()

        assert (after.enabled, after.name, after.kind) == (True, name, ServiceKind.GUEST_SERVICE_INTERFACE)
        assert vm.services[name] == vm.services["6C09BB55-D683-4DA0-8931-C9BF705F6480"]
        assert host.info().language == locale
        assert store.read().journal == ["enable demovm guest_service_interface"]

    def test_a_language_that_nobody_knows_does_not_matter(self, host: Host, store: FileStore) -> None:
        world = self.default_world()
        world.names = {kind.key: f"Ñandú {index}" for index, kind in enumerate(HOST_MANAGED)}
        world.messages = {"vm_not_found": "Mba'e ndaipóri {0}", "vm_id_not_found": "Ndaipóri {0}"}
        self.put(store, world)
        vm = host.vms["demovm"]

        assert [state.name for state in vm.services.list()] == list(world.names.values())
        assert vm.services["vmicvss"].disable().enabled is False
        with pytest.raises(VMNotFoundError) as missing:
            host.vms["nobody"]
        assert missing.value.host_message == "Mba'e ndaipóri nobody"

    # -- names ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
    def test_a_hostile_name_means_only_itself(self, host: Host, store: FileStore, name: str) -> None:
        others = [Machine(id=machine_id(2), name="w"), Machine(id=machine_id(3), name="web1")]
        self.put(store, World(machines=[Machine(id=machine_id(1), name=name), *others]))

        vm = host.vms[name]
        after = vm.services["heartbeat"].disable()

        assert (vm.id, vm.name) == (machine_id(1), name)
        assert (after.vm_name, after.enabled) == (name, False)
        assert vm.info().name == name
        assert store.read().journal == [f"disable {name} heartbeat"]
        assert [change.outcome for change in host.set_services([(name, "heartbeat", True)])] == [ChangeOutcome.CHANGED]

    def test_two_of_one_name_are_never_confused(self, host: Host, store: FileStore) -> None:
        twins = [Machine(id=machine_id(1), name="twin"), Machine(id=machine_id(2), name="twin")]
        self.put(store, World(machines=twins))

        with pytest.raises(AmbiguousError) as several:
            host.vms["twin"]
        with pytest.raises(AmbiguousError):
            host.set_services([("twin", "vss", False)])
        assert several.value.candidates == (machine_id(1), machine_id(2))
        host.vms[machine_id(2)].services["vss"].disable()

        states = {state.vm_id: state.enabled for state in host.inventory().services if state.kind is ServiceKind.VSS}
        assert states == {machine_id(1): True, machine_id(2): False}

    def test_case_matters_only_where_it_must(self, host: Host, store: FileStore) -> None:
        self.put(store, World(machines=[Machine(id=machine_id(1), name="Web"), Machine(id=machine_id(2), name="web")]))

        assert host.vms["Web"].id == machine_id(1)
        assert host.vms["web"].id == machine_id(2)
        with pytest.raises(AmbiguousError):
            host.vms["WEB"]

    def test_a_name_that_looks_like_an_id_is_still_a_name(self, host: Host, store: FileStore) -> None:
        self.put(store, World(machines=[Machine(id=machine_id(1), name=machine_id(2))]))

        assert host.vms[machine_id(2)].id == machine_id(1)

    # -- how many -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("count", [0, 1, 500])
    def test_none_one_and_many(self, host: Host, store: FileStore, count: int) -> None:
        self.put(store, World(machines=[Machine(id=machine_id(number), name=f"vm{number}") for number in range(count)]))

        before = host.session.stats.round_trips
        inventory = host.inventory()

        assert host.session.stats.round_trips == before + 1
        assert [vm.name for vm in inventory.vms] == [f"vm{number}" for number in range(count)]
        assert len(inventory.services) == 6 * count
        assert len(host.vms.list()) == count

    def test_many_changes_are_one_round_trip(self, host: Host, store: FileStore) -> None:
        self.put(store, World(machines=[Machine(id=machine_id(number), name=f"vm{number}") for number in range(40)]))

        before = host.session.stats.round_trips
        changes = host.set_services([(machine_id(number), "gsi", True) for number in range(40)])

        assert host.session.stats.round_trips == before + 1
        assert {change.outcome for change in changes} == {ChangeOutcome.CHANGED}
        assert store.read().journal == [f"enable vm{number} guest_service_interface" for number in range(40)]

    # -- writing --------------------------------------------------------------------------------------------------

    def test_only_what_differs_is_touched(self, host: Host, store: FileStore) -> None:
        changes = host.set_services(
            [("demovm", "vss", True), ("demovm", "gsi", True), ("web", "kvp", False), (machine_id(9), "kvp", False)]
        )

        assert [change.outcome for change in changes] == [
            ChangeOutcome.UNCHANGED,
            ChangeOutcome.CHANGED,
            ChangeOutcome.CHANGED,
            ChangeOutcome.FAILED,
        ]
        assert [change.before for change in changes] == [True, False, True, None]
        assert store.read().journal == ["enable demovm guest_service_interface", "disable web kvp"]
        assert changes[3].error is not None
        assert changes[3].error.category == "ObjectNotFound"

    def test_a_switch_is_one_round_trip(self, host: Host) -> None:
        service = host.vms["demovm"].services["gsi"]

        for verb in (service.enable, service.wait_until_ok, service.disable, service.disable):
            before = host.session.stats.round_trips
            verb()
            assert host.session.stats.round_trips == before + 1, verb

    def test_switching_twice_is_switching_once(self, host: Host, store: FileStore) -> None:
        service = host.vms["demovm"].services["shutdown"]

        assert service.disable() == service.disable()
        assert store.read().journal == ["disable demovm shutdown"]

    def test_an_operation_in_the_way_is_waited_out(self, host: Host, store: FileStore) -> None:
        world = self.default_world()
        world.faults = [
            Fault(
                cmdlet="Disable-VMIntegrationService",
                machine="demovm",
                id="InvalidState",
                category="InvalidOperation",
                message="busy",
                times=1,
            )
        ]
        self.put(store, world)

        assert host.vms["demovm"].services["vss"].disable().enabled is False
        assert store.read().journal == ["disable demovm vss"]

    def test_an_operation_in_the_way_for_ever_is_an_error_in_time(self, host: Host, store: FileStore) -> None:
        vm = host.vms["demovm"]
        world = self.default_world()
        world.faults = [Fault(cmdlet="Disable-VMIntegrationService", id="InvalidState", category="InvalidOperation")]
        self.put(store, world)

        with pytest.raises(InvalidStateError):
            vm.services["vss"].disable(timeout=2)
        assert store.read().journal == []

    def test_one_failing_change_does_not_stop_the_others(self, host: Host, store: FileStore) -> None:
        world = self.default_world()
        world.faults = [Fault(cmdlet="Enable-VMIntegrationService", machine="demovm", message="Nein.")]
        self.put(store, world)

        failed, made = host.set_services([("demovm", "gsi", True), ("web", "gsi", True)])

        assert (failed.outcome, made.outcome) == (ChangeOutcome.FAILED, ChangeOutcome.CHANGED)
        assert failed.error is not None
        assert failed.error.message == "Nein."
        assert failed.state is not None
        assert failed.state.enabled is False

    # -- states ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("state", ["Off", "Saved", "Paused"])
    def test_what_does_not_run_is_not_called_a_problem(self, host: Host, store: FileStore, state: str) -> None:
        self.put(store, World(machines=[Machine(id=machine_id(1), name="vm", state=state)]))
        vm = host.vms["vm"]

        states = vm.services.list()

        assert vm.info().state == state
        assert {service.health for service in states} == {Health.NOT_RUNNING, Health.DISABLED}
        if state != "Paused":
            assert {service.primary for service in states} == {None}
        with pytest.raises(InvalidStateError):
            vm.services["heartbeat"].wait_until_ok(timeout=5)

    @pytest.mark.parametrize("status", ["Ok", "Disabled", "NoContact", None])
    def test_a_disabled_service_is_disabled_whatever_its_status(
        self, host: Host, store: FileStore, status: str | None
    ) -> None:
        setting = ServiceSetting(enabled=False, primary=status, primary_text="OK")
        state = "Off" if status is None else "Running"
        self.put(store, World(machines=[Machine(id=machine_id(1), name="vm", state=state, services={"vss": setting})]))

        read = host.vms["vm"].services["vss"].state()

        assert (read.health, read.primary) == (Health.DISABLED, status)

    @pytest.mark.parametrize(
        ("primary", "secondary", "health"),
        [
            ("Ok", None, Health.OK),
            ("Ok", "ProtocolMismatch", Health.OK),
            ("Degraded", "ProtocolMismatch", Health.OK),
            ("NoContact", None, Health.PROBLEM),
            ("LostCommunication", None, Health.PROBLEM),
            ("NonRecoverableError", None, Health.PROBLEM),
            ("Ok", "ApplicationCritical", Health.PROBLEM),
            ("4711", None, Health.UNKNOWN),
        ],
    )
    def test_health_follows_from_statuses_and_not_from_texts(
        self, host: Host, store: FileStore, primary: str, secondary: str | None, health: Health
    ) -> None:
        setting = ServiceSetting(primary=primary, secondary=secondary, primary_text="Тест", secondary_text="Error!")
        self.put(store, World(machines=[Machine(id=machine_id(1), name="vm", services={"vss": setting})]))

        read = host.vms["vm"].services["vss"].state()

        assert (read.primary, read.secondary, read.health) == (primary, secondary, health)
        assert read.primary_text == "Тест"

    def test_waiting_ends_in_time_with_what_was_seen_last(self, host: Host, store: FileStore) -> None:
        self.put(store, World(machines=[Machine(id=machine_id(1), name="vm", guest="none")]))
        service = host.vms["vm"].services["heartbeat"]

        with pytest.raises(WaitTimeoutError) as end:
            service.wait_until_ok(timeout=1)
        assert end.value.last == service.state()
        assert service.state().primary == OperationalStatus.NO_CONTACT

    # -- refusals -------------------------------------------------------------------------------------------------

    def test_what_may_not_be_seen_is_not_taken_for_nothing(self, host: Host, store: FileStore) -> None:
        vm = host.vms["demovm"]
        world = self.default_world()
        world.access = "denied"
        world.messages = {"access_denied": "Zugriff verweigert ({0})."}
        self.put(store, world)

        for verb in (host.info, host.vms.list, host.inventory, vm.info, vm.services.list, vm.services["vss"].disable):
            with pytest.raises(PermissionDeniedError) as denied:
                verb()
            assert denied.value.host_message == "Zugriff verweigert (HV01)."
        assert store.read().journal == []

    def test_a_virtual_machine_that_is_gone_is_said_to_be_gone(self, host: Host, store: FileStore) -> None:
        vm = host.vms["demovm"]
        self.put(store, World(machines=self.default_world().machines[1:]))

        for verb in (vm.info, vm.services.list, vm.services["vss"].state, vm.services["vss"].disable):
            with pytest.raises(VMNotFoundError):
                verb()

    def test_an_inventory_survives_what_vanishes_or_fails_in_the_middle(self, host: Host, store: FileStore) -> None:
        world = self.default_world()
        world.machines.append(Machine(id=machine_id(4), name="bad"))
        world.faults = [
            Fault(cmdlet="Get-VMIntegrationService", machine="demovm", action="remove", times=1),
            Fault(cmdlet="Get-VMIntegrationService", machine="bad", category="InvalidResult", message="Kaputt."),
        ]
        self.put(store, world)

        inventory = host.inventory()

        assert [vm.name for vm in inventory.vms] == ["web", "spare"]
        assert [(failure.vm_name, failure.vm_id, failure.category) for failure in inventory.errors] == [
            ("demovm", machine_id(1), "ObjectNotFound"),
            ("bad", machine_id(4), "InvalidResult"),
        ]

    def test_a_virtual_machine_that_cannot_even_be_listed_is_an_entry(self, host: Host, store: FileStore) -> None:
        world = self.default_world()
        world.faults = [Fault(cmdlet="Get-VM", machine="demovm", message="Kaputt.")]
        self.put(store, world)

        listed = host.vms.list()

        assert [vm.name for vm in listed] == ["web", "spare"]
        assert [(failure.target, failure.message) for failure in listed.errors] == [("demovm", "Kaputt.")]
        with pytest.raises(RemoteError):
            host.vms["demovm"]


@pytest.mark.usefixtures("patient_fences")
class TransportContract(_OverAWorld, _CallContract):
    """What must hold for any transport: that it carries, and what comes of it when it cannot."""

    # -- sharing and closing --------------------------------------------------------------------------------------

    def test_constructing_and_looking_sends_nothing(self, transport: Transport, store: FileStore) -> None:
        self.put(store, World(access="denied"))
        host = Host(transport)

        assert str(transport) == host.address
        assert host.session.stats.round_trips == 0
        for thing in (host, host.vms, host.session, transport):
            assert repr(thing)

    def test_closing_twice_is_no_error_and_a_transport_can_be_used_again(self, transport: Transport) -> None:
        first = Session(transport)
        first.run(read_host())
        first.close()
        first.close()

        second = Session(transport)
        assert second.run(read_host()).name == "HV01"
        second.close()

    def test_two_hosts_over_one_transport_ask_in_turn(self, transport: Transport) -> None:
        hosts = (Host(transport), Host(transport))
        came: list[object] = []

        def ask(verb: Callable[[], object]) -> None:
            for _ in range(3):
                try:
                    came.append(type(verb()))
                except HvError as error:
                    came.append(error)

        threads = [threading.Thread(target=ask, args=(verb,)) for verb in (hosts[0].info, hosts[1].vms.list)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        hosts[0].close()

        assert Counter(came) == {HostInfo: 3, Rows: 3}
        assert hosts[1].info().name == "HV01"
        hosts[1].close()

    def test_asking_while_asking_is_refused_and_harms_nothing(self, transport: Transport) -> None:
        refused: list[HvError] = []

        class Asking:
            """Asks the same host from within its own call, as a signal handler or a callback may."""

            sharing = sharing_of(transport)

            def call(self, call: Call, deadline: Deadline, /) -> str:
                for asked in (host, other):
                    with pytest.raises(ReentrantCallError) as error:
                        asked.info(timeout=5)
                    refused.append(error.value)
                return transport.call(call, deadline)

            def close(self) -> None:
                transport.close()

        host, other = Host(Asking()), Host(transport)

        assert len(host.vms.list()) == 3
        assert [error.retryable for error in refused] == [False, False]
        host.close()
        assert other.info().name == "HV01"
        other.close()

    def test_a_closed_host_says_so(self, host: Host) -> None:
        host.close()

        with pytest.raises(ConfigurationError, match="closed"):
            host.info()

    # -- what is carried ------------------------------------------------------------------------------------------

    def test_any_text_arrives_as_it_was_sent_there_and_back(self, host: Host, store: FileStore) -> None:
        names = {machine_id(number): name for number, name in enumerate(HOSTILE_NAMES)}
        self.put(store, World(machines=[Machine(id=vm_id, name=name, notes=name) for vm_id, name in names.items()]))

        read = [vm.info for vm in host.inventory().vms]
        changes = host.set_services([(name, "heartbeat", False) for name in HOSTILE_NAMES])

        assert {vm.id: vm.name for vm in read} == {vm.id: vm.notes for vm in read} == names
        assert [(change.outcome, change.vm_name) for change in changes] == [
            (ChangeOutcome.CHANGED, name) for name in HOSTILE_NAMES
        ]
        assert store.read().journal == [f"disable {name} heartbeat" for name in HOSTILE_NAMES]

    def test_a_megabyte_arrives_there_and_back(self, host: Host, store: FileStore) -> None:
        notes = 'né_名\U0001f600\\"' * 3500
        self.put(
            store,
            World(machines=[Machine(id=machine_id(number), name=f"vm{number}", notes=notes) for number in range(30)]),
        )
        name = "名_é" * 100_000

        assert [vm.info.notes for vm in host.inventory().vms] == [notes] * 30
        with pytest.raises(VMNotFoundError) as missing:
            host.vms[name]
        assert name in missing.value.host_message

    def test_a_refusal_arrives_in_the_words_of_the_host(self, host: Host, store: FileStore) -> None:
        message = "Zugriff verweigert: „Führen“ ({0})."
        self.put(store, World(access="denied", messages={"access_denied": message}))

        for verb in (host.info, host.inventory):
            with pytest.raises(PermissionDeniedError) as denied:
                verb()
            assert denied.value.host_message == message.format("HV01")

    # -- death and silence ----------------------------------------------------------------------------------------

    def test_a_read_survives_a_host_that_dies_once(self, host: Host, store: FileStore) -> None:
        world = self.default_world()
        world.faults = [Fault(cmdlet="Get-VMIntegrationService", action="exit", times=1)]
        self.put(store, world)

        assert len(host.inventory().vms) == 3
        assert host.session.stats.repeats == 1

    @pytest.mark.parametrize("cmdlet", ["Get-VM", "Disable-VMIntegrationService"])
    def test_a_write_survives_a_host_that_dies_once_and_is_made_once(
        self, host: Host, store: FileStore, cmdlet: str
    ) -> None:
        vm = host.vms["demovm"]
        world = self.default_world()
        world.faults = [Fault(cmdlet=cmdlet, action="exit", times=1)]
        self.put(store, world)

        assert vm.services["vss"].disable().enabled is False
        assert store.read().journal == ["disable demovm vss"]

    def test_changes_that_a_host_dies_between_are_each_made_once(self, host: Host, store: FileStore) -> None:
        demovm, web = host.vms["demovm"], host.vms["web"]
        world = self.default_world()
        world.faults = [Fault(cmdlet="Disable-VMIntegrationService", machine="web", action="exit", times=1)]
        self.put(store, world)

        changes = host.set_services([(demovm, "vss", False), (web, "vss", False)])

        assert [change.outcome for change in changes] == [ChangeOutcome.CONFIRMED, ChangeOutcome.CHANGED]
        assert store.read().journal == ["disable demovm vss", "disable web vss"]

    @pytest.mark.usefixtures("hasty_writes")
    def test_changes_that_a_host_falls_silent_between_are_told_apart(self, host: Host, store: FileStore) -> None:
        demovm, web = host.vms["demovm"], host.vms["web"]
        world = self.default_world()
        world.faults = [
            Fault(cmdlet="Disable-VMIntegrationService", machine="web", action="delay", seconds=600, times=1)
        ]
        self.put(store, world)

        changes = host.set_services([(demovm, "vss", False), (web, "vss", False)], timeout=30)

        assert [change.outcome for change in changes] == [ChangeOutcome.CONFIRMED, ChangeOutcome.FAILED]
        assert changes[1].error is not None
        assert store.read().journal == ["disable demovm vss"]

    def test_a_read_of_a_silent_host_ends_in_time_and_the_next_one_works(self, host: Host, store: FileStore) -> None:
        vm = host.vms["demovm"]
        world = self.default_world()
        world.faults = [Fault(cmdlet="Get-VMIntegrationService", action="delay", seconds=600, times=1)]
        self.put(store, world)

        with pytest.raises(TransportTimeoutError):
            vm.services.list(timeout=1)
        assert len(vm.services.list()) == 6

    @pytest.mark.usefixtures("hasty_writes")
    def test_a_write_to_a_silent_host_ends_in_time_and_tells_the_truth(self, host: Host, store: FileStore) -> None:
        vm = host.vms["demovm"]
        world = self.default_world()
        world.faults = [Fault(cmdlet="Disable-VMIntegrationService", action="delay", seconds=600, times=1)]
        self.put(store, world)

        with pytest.raises(TransportTimeoutError) as silence:
            vm.services["vss"].disable(timeout=30)
        assert silence.value.may_have_run is False
        assert store.read().journal == []
        assert vm.services["vss"].state().enabled is True
