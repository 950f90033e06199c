from __future__ import annotations

import itertools
import json
import pickle
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from hvintegration.errors import DecodeError
from hvintegration.models import (
    ChangeOutcome,
    Health,
    HostInfo,
    Inventory,
    OperationalStatus,
    ServiceChange,
    ServiceState,
    VMInfo,
    VMInventory,
)
from hvintegration.service_kind import ServiceKind
from hvintegration.values import Failure, Rows

VM_ID = "b637f346-6a0e-4dec-af52-bd70cb80a21d"
READ_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = READ_AT + timedelta(hours=1)


def state(**changes: Any) -> ServiceState:  # noqa: ANN401  # attrs.evolve takes any
    plain = ServiceState(
        vm_id=VM_ID,
        vm_name="demovm",
        vm_state="Running",
        kind=ServiceKind.HEARTBEAT,
        component_id="84eaae65-2f2e-45f5-9bb5-0e857dc8eb47",
        name="Takt",
        enabled=True,
        primary="Ok",
        primary_text="OK",
        secondary=None,
        secondary_text=None,
        read_at=READ_AT,
    )
    return attrs.evolve(plain, **changes)


def info(**changes: Any) -> VMInfo:  # noqa: ANN401  # attrs.evolve takes any
    plain = VMInfo(
        id=VM_ID,
        name="demovm",
        state="Running",
        status="Operating normally",
        heartbeat="OkApplicationsHealthy",
        generation=2,
        version="10.0",
        uptime=3600,
        notes="",
        addresses=("192.0.2.10", "fe80::1"),
        clustered=False,
        integration_services_version=None,
        read_at=READ_AT,
    )
    return attrs.evolve(plain, **changes)


def failure(**changes: Any) -> Failure:  # noqa: ANN401  # attrs.evolve takes any
    plain = Failure(
        address="hv01",
        vm_id=VM_ID,
        vm_name="demovm",
        target=VM_ID,
        error_id="OperationFailed",
        category="NotSpecified",
        message="Es ging nicht.",
    )
    return attrs.evolve(plain, **changes)


HOST = HostInfo(
    name="HV01",
    os_caption="Microsoft Windows Server 2022 Datacenter",
    os_version="10.0.20348",
    os_build="20348",
    language="de-DE",
    module_version="2.0.0.0",
    powershell_version="5.1.20348.1",
    powershell_edition="Desktop",
    language_mode="FullLanguage",
    read_at=READ_AT,
)
CHANGE = ServiceChange(
    vm_id=VM_ID,
    vm_name="demovm",
    kind=ServiceKind.HEARTBEAT,
    enable=True,
    outcome=ChangeOutcome.CHANGED,
    before=False,
    state=state(),
    error=None,
)
VM_WITH_SERVICES = VMInventory(info=info(), services=Rows(ServiceState, [state(), state(enabled=False)]))
INVENTORY = Inventory(vms=Rows(VMInventory, [VM_WITH_SERVICES]), errors=Rows(Failure, [failure()]), read_at=READ_AT)

VALUES = [HOST, info(), state(), CHANGE, failure(), VM_WITH_SERVICES, INVENTORY]
every_value = pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
Value = HostInfo | VMInfo | ServiceState | ServiceChange | Failure | VMInventory | Inventory


# -- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [HOST, info(), state(), INVENTORY], ids=lambda value: type(value).__name__)
def test_when_it_was_read_does_not_count(value: HostInfo | VMInfo | ServiceState | Inventory) -> None:
    later = attrs.evolve(value, read_at=LATER)
    assert (later == value, hash(later) == hash(value), later.read_at) == (True, True, LATER)


def test_when_it_was_read_does_not_count_inside_other_values() -> None:
    later = attrs.evolve(CHANGE, state=state(read_at=LATER))
    assert later == CHANGE


@pytest.mark.parametrize(
    "changes", [{"enabled": False}, {"primary": None}, {"name": "Heartbeat"}, {"vm_id": "other"}], ids=str
)
def test_everything_else_counts(changes: dict[str, Any]) -> None:
    assert state(**changes) != state()


@every_value
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_keeps_everything(value: Value, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(value, protocol))  # noqa: S301  # its own pickle
    assert (again, again.to_dict()) == (value, value.to_dict())


@every_value
def test_it_cannot_be_changed(value: Value) -> None:
    name = attrs.fields(type(value))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, name, None)


@every_value
def test_its_dictionary_begins_with_the_schema_version_and_is_json(value: Value) -> None:
    plain = value.to_dict()
    assert (next(iter(plain.items())), json.loads(json.dumps(plain, allow_nan=False))) == (("schema", 1), plain)


def test_the_dictionary_of_a_service_has_plain_values_and_its_health() -> None:
    assert state(primary=OperationalStatus.OK).to_dict() == {
        "schema": 1,
        "vm_id": VM_ID,
        "vm_name": "demovm",
        "vm_state": "Running",
        "kind": "heartbeat",
        "component_id": "84eaae65-2f2e-45f5-9bb5-0e857dc8eb47",
        "name": "Takt",
        "enabled": True,
        "primary": "Ok",
        "primary_text": "OK",
        "secondary": None,
        "secondary_text": None,
        "read_at": "2026-01-02T03:04:05+00:00",
        "health": "ok",
    }


def test_the_dictionary_of_an_inventory_holds_all_below_it() -> None:
    vm: Any = json.loads(json.dumps(INVENTORY.to_dict()))["vms"][0]
    assert (vm["info"]["name"], vm["info"]["addresses"]) == ("demovm", ["192.0.2.10", "fe80::1"])
    assert [service["health"] for service in vm["services"]] == ["ok", "disabled"]


@every_value
def test_its_table_has_a_row_for_each_attribute(value: Value) -> None:
    if not isinstance(value, Inventory):
        assert [row[0] for row in value.table().rows] == [name for name in value.to_dict() if name != "schema"]
    else:
        assert len(value.table().rows) == len(value.vms)


@every_value
def test_its_row_fits_the_titles(value: Value) -> None:
    if not isinstance(value, Inventory):
        assert len(value.table_row()) == len(type(value).table_columns)
    else:
        assert [len(row) for row in value.table().rows] == [len(value.table().columns)]


@every_value
def test_a_notebook_shows_it_as_its_table(value: Value) -> None:
    assert value._repr_html_() == value.table().to_html()


# -- health --------------------------------------------------------------------------------------------------------

LONG_TEXT = (
    "The protocol version of the component installed in the virtual machine does not match the version expected by "
    "the hosting system"
)

# Every row of the table "Behaviour by situation" of domain.md section 3.1, and what it means.
SITUATIONS = {
    "off": ("Off", True, None, None, Health.NOT_RUNNING),
    "saved": ("Saved", True, None, None, Health.NOT_RUNNING),
    "off and disabled": ("Off", False, None, None, Health.DISABLED),
    "up": ("Running", True, "Ok", None, Health.OK),
    "up, Windows heartbeat": ("Running", True, "Ok", "Ok", Health.OK),
    "disabled on the host, shows Ok": ("Running", False, "Ok", None, Health.DISABLED),
    "disabled on the host, shows Disabled": ("Running", False, "Disabled", None, Health.DISABLED),
    "disabled on the host, shows nothing": ("Running", False, None, None, Health.DISABLED),
    "disabled on the host, shows an error": ("Running", False, "Error", "Error", Health.DISABLED),
    "no system or still booting": ("Running", True, "NoContact", None, Health.PROBLEM),
    "guest service stopped": ("Running", True, "LostCommunication", None, Health.PROBLEM),
    "Linux heartbeat": ("Running", True, "Ok", None, Health.OK),
    "older protocol, Degraded": ("Running", True, "Degraded", "ProtocolMismatch", Health.OK),
    "older protocol, Ok": ("Running", True, "Ok", "ProtocolMismatch", Health.OK),
    "older protocol, alone": ("Running", True, "Degraded", None, Health.OK),
    "mismatch as primary": ("Running", True, "ProtocolMismatch", None, Health.OK),
    "guest too old": ("Running", True, "NonRecoverableError", None, Health.PROBLEM),
    "paused": ("Paused", True, "Paused", None, Health.NOT_RUNNING),
    "paused, as a number": ("Paused", True, "15", None, Health.NOT_RUNNING),
    "error": ("Running", True, "Error", None, Health.PROBLEM),
    "application critical": ("Running", True, "Ok", "ApplicationCritical", Health.PROBLEM),
    "timed out": ("Running", True, "Ok", "CommunicationTimedOut", Health.PROBLEM),
    "failed": ("Running", True, "Ok", "CommunicationFailed", Health.PROBLEM),
    "timed out as primary": ("Running", True, "CommunicationTimedOut", None, Health.PROBLEM),
    "failed as primary": ("Running", True, "CommunicationFailed", None, Health.PROBLEM),
    "degraded, application critical": ("Running", True, "Degraded", "ApplicationCritical", Health.PROBLEM),
    "nothing": ("Running", True, None, None, Health.UNKNOWN),
    "starting": ("Starting", True, None, None, Health.UNKNOWN),
    "enabled, shows Disabled": ("Running", True, "Disabled", None, Health.UNKNOWN),
    "unknown": ("Running", True, "FromTheFuture", None, Health.UNKNOWN),
    "unknown, as a number": ("Running", True, "32999", None, Health.UNKNOWN),
    "unknown secondary": ("Running", True, "Ok", "FromTheFuture", Health.OK),
    "off, critical": ("OffCritical", True, None, None, Health.NOT_RUNNING),
    "paused, critical": ("PausedCritical", True, "Ok", None, Health.NOT_RUNNING),
    "fast saved": ("FastSaved", True, None, None, Health.NOT_RUNNING),
    "hibernated": ("Hibernated", True, None, None, Health.NOT_RUNNING),
    "running, critical": ("RunningCritical", True, "Ok", None, Health.OK),
}


@pytest.mark.parametrize(
    ("vm_state", "enabled", "primary", "secondary", "health"),
    [pytest.param(*situation, id=name) for name, situation in SITUATIONS.items()],
)
def test_health_says_what_the_situation_means(
    *, vm_state: str, enabled: bool, primary: str | None, secondary: str | None, health: Health
) -> None:
    assert state(vm_state=vm_state, enabled=enabled, primary=primary, secondary=secondary).health is health


@pytest.mark.parametrize("text", [None, "", "No Contact", "Sin contacto", LONG_TEXT])
def test_texts_decide_nothing(text: str | None) -> None:
    assert state(primary_text=text, secondary_text=text).health is Health.OK


@pytest.mark.parametrize("vm_state", ["Running", "Off", "Saved", "Paused", "Starting", "FromTheFuture"])
@pytest.mark.parametrize("primary", [None, *OperationalStatus, "FromTheFuture"])
def test_a_disabled_service_is_disabled_whatever_else_is_said(vm_state: str, primary: str | None) -> None:
    assert state(enabled=False, vm_state=vm_state, primary=primary).health is Health.DISABLED


def test_an_unknown_status_is_kept() -> None:
    assert state(primary="FromTheFuture").to_dict()["primary"] == "FromTheFuture"


def test_the_statuses_are_the_members_of_the_hosts_enumeration() -> None:
    assert [status.value for status in OperationalStatus] == [
        "Ok",
        "Degraded",
        "Error",
        "NonRecoverableError",
        "NoContact",
        "LostCommunication",
        "ProtocolMismatch",
        "ApplicationCritical",
        "CommunicationTimedOut",
        "CommunicationFailed",
        "Disabled",
    ]


@pytest.mark.parametrize("status", [OperationalStatus.DEGRADED, OperationalStatus.PROTOCOL_MISMATCH])
def test_what_is_no_problem_has_a_note(status: OperationalStatus) -> None:
    value = state(secondary=status)
    assert (value.health, len(value.notes)) == (Health.OK, 1)


@pytest.mark.parametrize(
    "status", [status for status in OperationalStatus if state(primary=status).health is Health.PROBLEM]
)
def test_a_problem_that_says_more_than_error_has_a_note(status: OperationalStatus) -> None:
    assert len(state(primary=status).notes) == (0 if status is OperationalStatus.ERROR else 1)


def test_a_plain_ok_has_no_notes() -> None:
    assert state(secondary="Ok").notes == ()


# -- Rows ----------------------------------------------------------------------------------------------------------

THREE = Rows(ServiceState, [state(vm_name=name) for name in "abc"], [failure()])
NONE: Rows[ServiceState] = Rows(ServiceState)


def test_rows_are_a_sequence() -> None:
    assert (len(THREE), [row.vm_name for row in THREE], THREE[0].vm_name, THREE[-1].vm_name) == (3, [*"abc"], "a", "c")
    assert (THREE[1] in THREE, THREE.index(THREE[1]), bool(NONE)) == (True, 1, False)


def test_rows_refuse_an_index_that_is_too_large() -> None:
    with pytest.raises(IndexError):
        THREE[3]


def test_a_slice_is_rows_with_the_same_errors() -> None:
    assert THREE[1:] == Rows(ServiceState, [state(vm_name=name) for name in "bc"], [failure()])


def test_a_slice_can_be_empty_and_keeps_its_titles() -> None:
    assert THREE[5:].table().columns == ServiceState.table_columns


def test_rows_are_equal_when_they_hold_the_same() -> None:
    again = Rows(ServiceState, tuple(THREE), [failure()])
    assert (again == THREE, hash(again) == hash(THREE)) == (True, True)


@pytest.mark.parametrize(
    "other",
    [THREE[:2], Rows(ServiceState, tuple(THREE)), [*THREE], tuple(THREE), None],
    ids=["fewer", "no errors", "list", "tuple", "none"],
)
def test_rows_are_not_equal_to_anything_else(other: object) -> None:
    assert other != THREE


def test_rows_can_be_pickled() -> None:
    again = pickle.loads(pickle.dumps(THREE))  # noqa: S301  # its own pickle
    assert (again, again.table()) == (THREE, THREE.table())


def test_where_keeps_what_fits_and_the_errors() -> None:
    found = THREE.where(lambda row: row.vm_name != "b")
    assert ([row.vm_name for row in found], found.errors) == (["a", "c"], (failure(),))


def test_rows_say_what_they_are() -> None:
    assert (repr(THREE), repr(NONE)) == ("<Rows of 3 ServiceState>", "<Rows of 0 ServiceState>")


def test_rows_print_as_a_table() -> None:
    assert str(Rows(ServiceState, [state()])).split("\n") == [
        "VM      Service    Enabled  Health  Primary  Secondary  Name on the host",
        "------  ---------  -------  ------  -------  ---------  ----------------",
        "demovm  Heartbeat  yes      ok      Ok                  Takt",
    ]


def test_an_unknown_component_is_shown_by_its_id() -> None:
    assert Rows(ServiceState, [state(kind=None)]).table().rows[0][1] == "84eaae65-2f2e-45f5-9bb5-0e857dc8eb47"


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, "demovm could not be read: Es ging nicht."),
        ({"vm_name": None}, f"{VM_ID} could not be read: Es ging nicht."),
        ({"vm_name": None, "vm_id": None, "target": "odd"}, "odd could not be read: Es ging nicht."),
        ({"vm_name": None, "vm_id": None, "target": None, "address": "sim:"}, "sim: could not be read: Es ging nicht."),
        ({"message": ""}, "demovm could not be read: OperationFailed"),
    ],
    ids=["name", "id", "target", "address", "no message"],
)
def test_errors_are_notes_below_the_table(changes: dict[str, Any], note: str) -> None:
    assert Rows(ServiceState, [], [failure(**changes)]).table().notes == (note,)


def test_html_of_rows_escapes_what_hosts_and_guests_say() -> None:
    evil = "<script>alert(1)</script>"
    html = Rows(ServiceState, [state(vm_name=evil, name=evil, primary=evil)], [failure(message=evil)])._repr_html_()
    assert (html.count("<script"), html.count("&lt;script&gt;alert(1)&lt;/script&gt;")) == (0, 4)


def test_rows_become_dictionaries() -> None:
    assert THREE.to_dicts() == [row.to_dict() for row in THREE]


def test_rows_become_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    frame = THREE.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert (frame["vm_name"].tolist(), frame["health"].tolist()) == ([*"abc"], ["ok"] * 3)


def test_a_data_frame_has_columns_for_nested_values() -> None:
    pytest.importorskip("pandas")
    assert Rows(ServiceChange, [CHANGE]).to_pandas()["state.health"].tolist() == ["ok"]


def test_no_rows_become_a_data_frame_without_rows() -> None:
    pytest.importorskip("pandas")
    assert len(NONE.to_pandas()) == 0


def test_without_pandas_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"hvintegration\[pandas\]"):
        THREE.to_pandas()


# -- other tables --------------------------------------------------------------------------------------------------


def test_a_change_shows_what_was_wanted_and_what_came_of_it() -> None:
    assert CHANGE.table_row() == ("demovm", "Heartbeat", "enabled", "changed", "ok", None)


def test_a_failed_change_shows_why() -> None:
    failed = attrs.evolve(CHANGE, enable=False, outcome=ChangeOutcome.FAILED, state=None, error=failure(), vm_name=None)
    assert failed.table_row() == (VM_ID, "Heartbeat", "disabled", "failed", None, "Es ging nicht.")


def test_a_virtual_machine_shows_its_problems() -> None:
    services = [
        state(),
        state(enabled=False),
        state(primary="NoContact"),
        state(primary="Error", kind=None, name="Neu"),
    ]
    row = VMInventory(info=info(), services=Rows(ServiceState, services)).table_row()
    assert row == ("demovm", "Running", "OkApplicationsHealthy", "3 of 4", "Heartbeat, Neu", VM_ID)


def test_a_virtual_machine_in_an_inventory_is_named_by_its_info() -> None:
    assert (VM_WITH_SERVICES.id, VM_WITH_SERVICES.name) == (VM_ID, "demovm")


def test_an_inventory_shows_its_virtual_machines_and_errors() -> None:
    table = INVENTORY.table()
    assert (table.columns, len(table.rows)) == (VMInventory.table_columns, 1)
    assert table.notes == ("demovm could not be read: Es ging nicht.",)
    assert str(INVENTORY) == table.to_text()


def test_an_inventory_has_all_services_in_one_sequence() -> None:
    assert INVENTORY.services == Rows(ServiceState, [state(), state(enabled=False)], INVENTORY.errors)


# -- what the host gave no value for -------------------------------------------------------------------------------


def test_what_was_not_read_is_shown_as_not_known_and_never_as_off_or_empty() -> None:
    unread = state(vm_state=None, name=None, enabled=None)
    assert (unread.health, unread.to_dict()["enabled"]) == (Health.UNKNOWN, None)
    assert unread.table_row()[2:4] == ("unknown", "unknown")
    assert unread.table_row()[6] == "unknown"
    assert unread.notes[0] == "The host gave no value for Enabled."
    assert "enabled         unknown\n" in str(unread)


@pytest.mark.parametrize("field", ["enabled", "vm_state"])
def test_health_is_not_known_without_the_switch_or_the_machines_state(field: str) -> None:
    assert state(**{field: None}).health is Health.UNKNOWN
    assert state(enabled=False, vm_state=None).health is Health.UNKNOWN


def test_details_that_were_not_read_are_shown_as_not_known() -> None:
    fields = ("state", "heartbeat", "generation", "version", "uptime", "addresses", "clustered", "status", "notes")
    unread = info(**dict.fromkeys(fields))
    assert [value for name, value in unread.table().rows if name in fields] == ["unknown"] * len(fields)
    assert unread.table_row()[1:4] == ("unknown",) * 3
    assert unread.table_row()[5:] == ("unknown",) * 2


@pytest.mark.parametrize(("vm_state", "shown"), [("Running", "unknown"), ("Off", None)])
def test_only_what_is_off_has_no_heartbeat(vm_state: str, shown: str | None) -> None:
    assert info(state=vm_state, heartbeat=None).table_row()[2] == shown


def test_an_inventory_counts_switches_that_were_not_read_apart() -> None:
    services = Rows(ServiceState, [state(), state(enabled=None)])
    assert VMInventory(info=info(), services=services).table_row()[3] == "1 of 2, 1 unknown"


# -- from plain data -----------------------------------------------------------------------------------------------


def inventory() -> Inventory:
    machine = VMInventory(info=info(), services=Rows(ServiceState, [state()]))
    return Inventory(vms=Rows(VMInventory, [machine]), errors=Rows(Failure), read_at=READ_AT)


def test_what_follows_from_other_keys_and_what_later_versions_may_add_is_passed_over() -> None:
    document = state().to_dict() | {"health": "unknown", "from_the_future": [1]}
    assert ServiceState.from_dict(document) == state()


def test_a_value_within_others_can_be_read_alone() -> None:
    document: Any = inventory().to_dict()
    assert VMInventory.from_dict(document["vms"][0]).info == info()


def test_another_version_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"2 at \$\.schema, where 1, the version") as caught:
        Inventory.from_dict(inventory().to_dict() | {"schema": 2})
    assert caught.value.hint is not None


DEEP: list[Any] = []
for _ in range(10**5):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("changes", "path", "expected"),
    [
        ({"kind": "takt"}, "$.kind", "one of guest_service_interface"),
        ({"enabled": 1}, "$.enabled", "true or false"),
        ({"vm_id": None}, "$.vm_id", "a text"),
        ({"read_at": "yesterday"}, "$.read_at", "a time in ISO 8601"),
        ({"read_at": "2026-01-02T03:04:05"}, "$.read_at", "a time in ISO 8601 with its zone"),
        ({"schema": "1"}, "$.schema", "1, the version"),
        ({"kind": ["kvp"]}, "$.kind", "one of guest_service_interface"),
        ({"kind": DEEP}, "$.kind", "one of"),
        ({"enabled": 10**5000}, "$.enabled", "true or false"),
    ],
    ids=itertools.count(),
)
def test_what_is_wrong_is_said_with_its_place(changes: dict[str, Any], path: str, expected: str) -> None:
    with pytest.raises(DecodeError) as caught:
        ServiceState.from_dict(state().to_dict() | changes)
    assert caught.value.path == path
    assert caught.value.expected.startswith(expected)


@pytest.mark.parametrize("number", [10**5000, -(2**63) - 1, 1.5, float("nan"), True, "1"], ids=itertools.count())
def test_a_number_is_whole_and_has_a_size(number: Any) -> None:  # noqa: ANN401 - that is the question
    with pytest.raises(DecodeError) as caught:
        VMInfo.from_dict(info().to_dict() | {"uptime": number})
    assert (caught.value.path, caught.value.expected) == ("$.uptime", "a whole number")


def test_a_place_deep_inside_is_named() -> None:
    document: Any = json.loads(json.dumps(inventory().to_dict()))
    del document["vms"][0]["services"][0]["name"]
    with pytest.raises(DecodeError) as caught:
        Inventory.from_dict(document)
    assert caught.value.path == "$.vms[0].services[0].name"


@pytest.mark.parametrize("document", [None, [], "text", {"vms": {}, "errors": [], "read_at": "2026-01-02T03:04:05Z"}])
def test_what_is_no_object_or_no_list_is_refused(document: Any) -> None:  # noqa: ANN401 - that is the question
    with pytest.raises(DecodeError):
        Inventory.from_dict(document)
