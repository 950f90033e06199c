"""What ``set_services`` takes: changes in every form, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, cast

import pytest

import hvintegration as hv
from hvintegration.errors import AmbiguousError, ConfigurationError, UnknownServiceError, VMNotFoundError
from hvintegration.models import ChangeOutcome
from hvintegration.service_kind import ServiceKind
from hvintegration.simulator import Machine, World, demo_world
from hvintegration.testing import machine_id

DONE: Final = ["disable demovm vss", "disable web kvp"]


@pytest.fixture
def world() -> World:
    return demo_world()


@pytest.fixture
def host(world: World) -> hv.Host:
    return hv.Host(hv.Simulator(world))


def handle(host: hv.Host, name: str) -> hv.VM:
    return next(vm for vm in host.vms.list() if vm.name == name)


FORMS: Final[dict[str, Callable[[hv.Host], Any]]] = {
    "names": lambda _: [("demovm", "vss", False), ("web", ServiceKind.KVP, False)],
    "ids": lambda _: ((machine_id(1).upper(), "vss", False), (f"{{{machine_id(3)}}}", "kvp", False)),
    "handles": lambda host: [(handle(host, "demovm"), "vss", False), [handle(host, "web"), "kvp", False]],
    "services": lambda host: [
        (host.vm(machine_id(1)).services["vss"], False),
        (host.vms["web"].services["kvp"], False),
    ],
    "mapping": lambda host: {"demovm": {"vss": False}, handle(host, "web"): {ServiceKind.KVP: False}},
    "generator": lambda _: ((name, service, False) for name, service in [("demovm", "vss"), ("web", "kvp")]),
}


@pytest.mark.parametrize("form", FORMS)
def test_changes_can_be_given_in_every_form(host: hv.Host, world: World, form: str) -> None:
    made = host.set_services(FORMS[form](host))
    assert [(change.vm_id, change.outcome) for change in made] == [
        (machine_id(1), ChangeOutcome.CHANGED),
        (machine_id(3), ChangeOutcome.CHANGED),
    ]
    assert world.journal == DONE


def test_handles_and_ids_cost_no_round_trip_more_and_names_one_for_all(host: hv.Host) -> None:
    before = host.session.stats.round_trips
    host.set_services([(host.vm(machine_id(1)), "vss", False)])
    assert host.session.stats.round_trips == before + 1
    host.set_services([(machine_id(1), "vss", True)])
    assert host.session.stats.round_trips == before + 2
    host.set_services([(machine_id(1), "vss", False), ("web", "kvp", False), ("demovm", "kvp", False)])
    assert host.session.stats.round_trips == before + 4


WRONG: Final[list[tuple[object, str]]] = [
    *(
        ([("demovm", "gsi", value)], f"changes[0]: {value!r} is neither True nor False")
        for value in ("false", "off", "", 0, 1, None, 1.0, [True])
    ),
    ([("demovm", "vss", False), ("demovm", "vss")], "changes[1]: 'vss' is neither True nor False"),
    ([("demovm", False)], "changes[0]: 'demovm' is no integration service"),
    ([("demovm", "vss", "gsi", False)], "changes[0]: ('demovm', 'vss', 'gsi', False) is neither"),
    (["demovm"], "changes[0]: 'demovm' is neither"),
    ([None], "changes[0]: None is neither"),
    ([()], "changes[0]: () is neither"),
    ([{"demovm": True}], "changes[0]: {'demovm': True} is neither"),
    ("demovm", "changes: 'demovm' is neither a sequence of changes nor a mapping"),
    (7, "changes: 7 is neither a sequence of changes nor a mapping"),
    (None, "changes: None is neither a sequence of changes nor a mapping"),
    ({"demovm": True}, "changes['demovm']: True is no mapping"),
    ({"demovm": {"vss": "false"}}, "changes['demovm']['vss']: 'false' is neither True nor False"),
    ([("demovm", 7, True)], "changes[0]: 7 is neither a ServiceKind nor the name of a service"),
    ([(7, "vss", True)], "changes[0]: 7 is no handle, name or id of a virtual machine"),
    ([("", "vss", True)], "changes[0]: '' is no handle, name or id of a virtual machine"),
    ([("a\0b", "vss", True)], r"changes[0]: 'a\x00b' is no handle, name or id of a virtual machine"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_anything_else_is_refused_before_anything_is_sent(
    host: hv.Host, world: World, changes: object, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"Invalid {said}")):
        host.set_services(cast("hv.RequestedChanges", changes))
    assert (host.session.stats.round_trips, world.journal) == (0, [])


def test_what_is_wrong_at_the_end_keeps_all_from_being_sent(host: hv.Host, world: World) -> None:
    with pytest.raises(UnknownServiceError):
        host.set_services({"demovm": {"vss": False, "nosuch": False}})
    assert (host.session.stats.round_trips, world.journal) == (0, [])


def test_a_boolean_of_numpys_is_refused(host: hv.Host, world: World) -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ConfigurationError, match="neither True nor False"):
        host.set_services([("demovm", "gsi", numpy.bool_(True))])  # noqa: FBT003 - it is about that
    assert world.journal == []


@pytest.mark.parametrize("of_service", [False, True], ids=["machine", "service"])
def test_a_handle_of_another_host_is_refused(host: hv.Host, *, of_service: bool) -> None:
    other = hv.Host(hv.Simulator(demo_world())).vm(machine_id(1))
    change: Any = (other.services["vss"], False) if of_service else (other, "vss", False)
    with pytest.raises(ConfigurationError, match="belongs to"):
        host.set_services([change])
    assert host.session.stats.round_trips == 0


# -- names that look like ids ------------------------------------------------------------------------------------


def odd_world() -> World:
    """The name of the second machine is the id of no machine; that of the third is the id of the first."""
    return World(
        machines=[
            Machine(id=machine_id(1), name="first"),
            Machine(id=machine_id(2), name=machine_id(9)),
            Machine(id=machine_id(3), name=machine_id(1)),
        ]
    )


def told(verb: Callable[[], str]) -> str:
    try:
        return verb()
    except (VMNotFoundError, AmbiguousError) as error:
        return type(error).__name__


def changed(changes: hv.Rows[hv.ServiceChange]) -> str:
    """Which one; of an id that is none, other changes of the same call are not held up by an error."""
    (change,) = changes
    if change.outcome is not ChangeOutcome.FAILED:
        return change.vm_id
    assert change.error is not None
    assert change.error.error_id.startswith("ObjectNotFound")
    return "VMNotFoundError"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(machine_id(9), machine_id(2)), (machine_id(1), machine_id(1)), (machine_id(8), "VMNotFoundError")],
    ids=["name only", "id before name", "neither"],
)
def test_every_verb_finds_a_name_that_looks_like_an_id_the_same_way(wanted: str, found: str) -> None:
    host = hv.Host(hv.Simulator(odd_world()))
    verbs: list[Callable[[], str]] = [
        lambda: host.vms[wanted].id,
        lambda: host.vms.get(wanted.upper()).id,
        lambda: changed(host.set_services([(wanted, "vss", False)])),
        lambda: changed(host.set_services({wanted: {"vss": True}}, dry_run=True)),
    ]
    assert {told(verb) for verb in verbs} == {found}


# -- from a row to a handle --------------------------------------------------------------------------------------


def test_a_row_leads_to_a_handle_without_a_round_trip(host: hv.Host) -> None:
    row = next(row for row in host.inventory().services if row.vm_name == "demovm")
    before = host.session.stats.round_trips
    vm = host.vm(row.vm_id)
    assert (host.session.stats.round_trips, vm.id, vm == host.vms["demovm"]) == (before, row.vm_id, True)
    assert vm.services["vss"].disable().vm_name == "demovm"


def test_a_handle_on_what_is_not_there_says_so_when_it_is_asked(host: hv.Host) -> None:
    with pytest.raises(VMNotFoundError):
        host.vm(machine_id(77)).info()


@pytest.mark.parametrize("wanted", ["demovm", "", machine_id(1)[:-1], f"{machine_id(1)}\n{machine_id(2)}"])
def test_a_handle_needs_an_id(host: hv.Host, wanted: str) -> None:
    with pytest.raises(ConfigurationError, match="it is no GUID"):
        host.vm(wanted)
