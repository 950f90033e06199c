"""Getters that throw, and a management service that does not answer, on a real PowerShell and on the simulator.

The module in ``hyperv_that_fails`` takes the place of the engine's stand-in Hyper-V module. The simulator has faults
for the same, and gives the same documents.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import hvintegration as hv
from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import CommandFailedError, HvError, OutcomeUnknownError, UnsupportedError
from hvintegration.models import ChangeOutcome, Health
from hvintegration.scripts import GET_HOST, GET_VMS, SET_SERVICES, Script
from hvintegration.simulator import Fault, Machine, World
from hvintegration.testing import machine_id

WEB: Final = machine_id(1)
EVERYTHING: Final = (GET_VMS, {"vm_id": None, "name": None, "info": True, "services": True})
PROPERTIES: Final = {
    "Get-VM": [
        *("Id", "Name", "State", "Status", "Heartbeat", "Generation", "Version", "Uptime", "Notes", "NetworkAdapters"),
        *("IsClustered", "IntegrationServicesVersion"),
    ],
    "Get-VMIntegrationService": [
        *("Id", "Name", "Enabled", "PrimaryOperationalStatus", "PrimaryStatusDescription"),
        *("SecondaryOperationalStatus", "SecondaryStatusDescription"),
    ],
}


def linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def engine_that_fails(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine whose Hyper-V module can fail in more ways."""
    folder = tmp_path_factory.mktemp("engine") / "engine"
    shutil.copytree(Path(engine).parent, folder, copy_function=linked, ignore=shutil.ignore_patterns("Hyper-V"))
    shutil.copytree(Path(__file__).with_name("hyperv_that_fails"), folder / "Modules" / "Hyper-V")
    return folder / "pwsh"


class Way:
    """A host over a world with faults: simulated, or an engine."""

    def __init__(self, file: Path, local: hv.Local | None) -> None:
        self._file = file
        self._local = local
        self._engine_host = None if local is None else hv.Host(local)

    def have(self, *faults: Fault, access: str = "full", stop: str = "") -> hv.Host:
        """From now on these faults, a machine ``web`` and a machine ``db``, and nothing else. The host."""
        machines = [Machine(id=machine_id(number), name=name) for number, name in enumerate(("web", "db"), 1)]
        World(machines=machines).save(self._file)
        lines = [f"{fault.cmdlet} {fault.property} {fault.machine}\n" for fault in faults]
        files = {"unreadable": "".join(lines), "unavailable": "x" * (access != "full"), "stop": stop}
        for ending, text in files.items():
            self._file.with_name(f"{self._file.name}.{ending}").write_text(text)
        stopping = [Fault(action="unavailable", cmdlet=stop)] if stop else []
        self._world = World(machines=machines, faults=[*faults, *stopping], access=access)
        self._simulator = hv.Simulator(self._world)
        return self._engine_host or hv.Host(self._simulator)

    def journal(self) -> list[str]:
        return self._world.journal if self._local is None else World.load(self._file).journal

    def ask(self, script: Script, document: dict[str, Any]) -> dict[str, Any]:
        """What is said; by an engine, the same as by the simulator."""
        call = Call(script, document)
        simulated: dict[str, Any] = json.loads(self._simulator.call(call, Deadline(60)))
        if self._local is not None:
            said = json.loads(self._local.call(call, Deadline(60)))
            for error in said["errors"]:  # Of a function, PowerShell adds its name to the id.
                error["id"] = ",".join(error["id"].split(",")[:2])
            assert said == simulated
        return simulated


@pytest.fixture(scope="module", params=["simulator", pytest.param("engine", marks=pytest.mark.engine)])
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    file = tmp_path_factory.mktemp("world") / "world.json"
    if request.param == "simulator":
        yield Way(file, None)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPERV_WORLD", str(file))
        local = hv.Local(request.getfixturevalue("engine_that_fails"))
        way = Way(file, local)
        way.have().info()
        yield way
        local.close()


def unreadable(name: str, cmdlet: str = "Get-VMIntegrationService") -> Fault:
    return Fault(action="unreadable", cmdlet=cmdlet, machine="web", property=name)


# -- getters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROPERTIES["Get-VM"])
def test_a_property_of_a_machine_that_cannot_be_read_is_null(way: Way, name: str) -> None:
    way.have(unreadable(name, "Get-VM"))
    web, db = way.ask(*EVERYTHING)["result"]["vms"]
    nulls = [key for part in (web, web["info"]) for key, value in part.items() if value is None]
    assert (len(nulls), None in (*db.values(), *db["info"].values())) == (1, False)


@pytest.mark.parametrize("name", PROPERTIES["Get-VMIntegrationService"])
def test_a_property_of_a_service_that_cannot_be_read_is_null(way: Way, name: str) -> None:
    way.have(unreadable(name))
    web, _ = way.ask(*EVERYTHING)["result"]["vms"]
    keys = {"Id": "id", "PrimaryOperationalStatus": "primary", "PrimaryStatusDescription": "primary_text"}
    keys |= {"SecondaryOperationalStatus": "secondary", "SecondaryStatusDescription": "secondary_text"}
    assert {service[keys.get(name, name.lower())] for service in web["services"]} == {None}


def test_what_cannot_be_read_is_told_and_is_neither_off_nor_empty(way: Way) -> None:
    host = way.have(unreadable("Enabled"), unreadable("State", "Get-VM"))
    found = host.inventory()
    web, db = found.vms
    assert {(state.enabled, state.health) for state in web.services} == {(None, Health.UNKNOWN)}
    assert Health.UNKNOWN not in {state.health for state in db.services}
    assert web.info.state is None
    told = [failure.message for failure in found.errors if failure.vm_name == "web"]
    assert "The host gave no value for State of the virtual machine." in told
    assert "The host gave no value for Enabled of VSS." in told
    assert len(told) == len(found.errors) == 7


@pytest.mark.parametrize("name", ["Id", "Name"])
def test_a_machine_without_id_or_name_is_told_and_not_taken_for_gone(way: Way, name: str) -> None:
    host = way.have(unreadable(name, "Get-VM"))
    listed = host.vms.list()
    assert [vm.name for vm in listed] == ["db"]
    assert [failure.message for failure in listed.errors] == [
        f"The host gave no value for {name} of a virtual machine."
    ]
    for wanted in ("web", WEB):
        with pytest.raises(CommandFailedError, match=f"no value for {name}"):
            host.vms[wanted]


@pytest.mark.parametrize("enable", [False, True])
def test_a_service_whose_switch_cannot_be_read_is_not_switched(way: Way, *, enable: bool) -> None:
    host = way.have(unreadable("Enabled"))
    (failed,) = host.set_services([("web", "heartbeat", enable)])
    assert (failed.outcome, failed.before) == (ChangeOutcome.FAILED, None)
    assert failed.error is not None
    assert failed.error.message == "The host gave no value for Enabled of Heartbeat."
    assert way.journal() == []


def test_a_service_whose_id_cannot_be_read_is_not_missing(way: Way) -> None:
    host = way.have(unreadable("Id"))
    document = {"changes": [{"vm_id": WEB, "component_id": machine_id(9), "enabled": True}], "dry_run": False}
    way.ask(SET_SERVICES, document)
    service = host.vms["web"].services["vss"]
    for verb in (service.state, service.disable):
        with pytest.raises(CommandFailedError, match="gave no value for Id"):
            verb()


@pytest.mark.parametrize("cmdlet", ["Disable-VMIntegrationService", "Get-VMIntegrationService"])
def test_what_cannot_be_read_after_a_change_is_told_as_made(way: Way, cmdlet: str) -> None:
    """The state before is read by the same cmdlet as the state after, so only of one of them is nothing known."""
    host = way.have(unreadable("Enabled", cmdlet) if cmdlet.startswith("Disable") else unreadable("Name", cmdlet))
    (made,) = host.set_services([("web", "vss", False)])
    assert (made.outcome, made.before) == (ChangeOutcome.CHANGED, True)


# -- the management service --------------------------------------------------------------------------------------


def verbs(host: hv.Host) -> list[Callable[[], object]]:
    vm = host.vm(WEB)
    service = vm.services["vss"]
    return [
        host.info,
        host.inventory,
        host.vms.list,
        lambda: host.vms["web"],
        lambda: host.vms[WEB],
        vm.info,
        vm.services.list,
        service.state,
        service.disable,
        service.wait_until_ok,
        lambda: host.set_services([(vm, "vss", False), ("web", "kvp", False)]),
        lambda: host.set_services([(vm, "vss", False)], dry_run=True),
    ]


def test_a_management_service_that_does_not_answer_is_the_same_error_from_every_verb(way: Way) -> None:
    host = way.have(access="unavailable")
    way.ask(GET_HOST, {})
    way.ask(SET_SERVICES, {"changes": [{"vm_id": WEB, "component_id": WEB, "enabled": True}], "dry_run": False})
    told: set[tuple[type[HvError], str]] = set()
    for verb in verbs(host):
        with pytest.raises(HvError) as raised:
            verb()
        told.add((type(raised.value), str(raised.value.hint)))
    assert told == {
        (
            CommandFailedError,
            "Check that the Virtual Machine Management service runs, and that this user may manage Hyper-V.",
        )
    }


def test_a_management_service_that_stops_within_a_change_leaves_its_outcome_unknown(way: Way) -> None:
    host = way.have(stop="Disable-VMIntegrationService")
    vm = host.vm(WEB)
    with pytest.raises(OutcomeUnknownError) as unknown:
        host.set_services({vm: {"heartbeat": True, "vss": False}})
    assert unknown.value.asked == (f"disable VSS of {WEB}",)
    assert [change.outcome for change in unknown.value.known if isinstance(change, hv.ServiceChange)] == [
        ChangeOutcome.UNCHANGED
    ]
    assert way.journal() in ([], ["disable web vss"])


# -- modules of PowerShell itself ----------------------------------------------------------------------------------


@pytest.mark.engine
def test_a_module_of_powershells_own_that_cannot_be_loaded_is_the_one_that_is_named(
    engine_that_fails: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "engine"
    shutil.copytree(engine_that_fails.parent, broken, copy_function=linked)
    utility = broken / "Modules" / "Microsoft.PowerShell.Utility"
    shutil.rmtree(utility)
    utility.mkdir()
    (utility / "Microsoft.PowerShell.Utility.psd1").write_text("@{ ModuleVersion = '1.0'; PowerShellVersion = '99.0' }")
    with hv.Host(hv.Local(broken / "pwsh")) as host:
        with pytest.raises(UnsupportedError) as raised:
            host.info()
        assert raised.value.needs == "the module Microsoft.PowerShell.Utility of PowerShell"
        assert "PSModulePath" in str(raised.value.hint)
        failed = host.check().failed
        assert failed is not None
        assert (failed.name, "PSModulePath" in str(failed.hint)) == ("answer", True)
