from __future__ import annotations

import itertools
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from hvintegration.guest_models import (
    GuestChange,
    GuestFamily,
    GuestInfo,
    GuestInventory,
    GuestServiceState,
    Startup,
)
from hvintegration.models import ChangeOutcome, Health
from hvintegration.service_kind import ServiceKind
from hvintegration.values import Failure, Rows

READ_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = READ_AT + timedelta(hours=1)
ADDRESS = "winrm://hv01#vm=aaaaaaaa-0000-4000-8000-000000000001"


def state(**changes: Any) -> GuestServiceState:  # noqa: ANN401  # attrs.evolve takes any
    plain = GuestServiceState(
        address=ADDRESS,
        kind=ServiceKind.HEARTBEAT,
        name="vmicheartbeat",
        display_name="Hyper-V-Taktdienst",
        installed=True,
        running=True,
        status="Running",
        startup=Startup.TRIGGERED,
        pid=1204,
        program="svchost.exe",
        version="10.0.20348",
        account="LocalSystem",
        requires=("VmGid",),
        device=None,
        offered=None,
        cannot_start=None,
        cannot_stop=None,
        read_at=READ_AT,
    )
    return attrs.evolve(plain, **changes)


INFO = GuestInfo(
    address=ADDRESS,
    family=GuestFamily.WINDOWS,
    name="WEB1",
    caption="Microsoft Windows Server 2022 Datacenter",
    os_version="10.0.20348",
    os_build="20348",
    vm_id="aaaaaaaa-0000-4000-8000-000000000001",
    vm_name="web1",
    host_name="HV01",
    integration_services_version=None,
    administrator=None,
    powershell_version="5.1.20348.1",
    powershell_edition="Desktop",
    language_mode="FullLanguage",
    read_at=READ_AT,
)
FAILURE = Failure(
    address=ADDRESS, vm_id=None, vm_name=None, target=None, error_id="x", category="", message="Zugriff verweigert"
)
CHANGE = GuestChange(
    address=ADDRESS,
    kind=ServiceKind.HEARTBEAT,
    action="start",
    outcome=ChangeOutcome.FAILED,
    before="Stopped",
    state=state(running=False, status="Stopped"),
    error=FAILURE,
)
INVENTORY = GuestInventory(
    info=INFO,
    services=Rows(GuestServiceState, [state()]),
    errors=Rows(Failure, [FAILURE]),
    read_at=READ_AT,
)
VALUES = [INFO, state(), CHANGE, INVENTORY]
every_value = pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)


# -- health --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "health"),
    [
        ({"offered": False}, Health.DISABLED),
        ({"offered": False, "running": None}, Health.DISABLED),
        ({}, Health.OK),
        ({"device": True, "offered": True}, Health.OK),
        ({"startup": Startup.DISABLED}, Health.OK),
        ({"device": False}, Health.PROBLEM),
        ({"running": False, "installed": False, "offered": True}, Health.PROBLEM),
        ({"running": None, "installed": False, "offered": True}, Health.PROBLEM),
        ({"running": False, "installed": False}, Health.DISABLED),
        ({"running": None, "installed": False}, Health.DISABLED),
        ({"running": None}, Health.UNKNOWN),
        ({"running": None, "installed": None}, Health.UNKNOWN),
        ({"running": None, "offered": True, "startup": Startup.DISABLED}, Health.UNKNOWN),
        ({"running": False, "startup": Startup.DISABLED}, Health.DISABLED),
        ({"running": False, "startup": Startup.DISABLED, "offered": True}, Health.DISABLED),
        ({"running": False, "offered": True}, Health.PROBLEM),
        ({"running": False}, Health.NOT_RUNNING),
        ({"running": False, "startup": None}, Health.NOT_RUNNING),
        ({"running": False, "status": "StartPending"}, Health.NOT_RUNNING),
    ],
)
def test_health_follows_from_the_table(changes: dict[str, Any], health: Health) -> None:
    assert state(**changes).health is health


def test_every_state_has_a_health_and_what_is_not_known_is_never_called_good() -> None:
    three = (True, False, None)
    for installed, running, device, offered in itertools.product(three, repeat=4):
        for startup in (*Startup, None):
            one = state(installed=installed, running=running, device=device, offered=offered, startup=startup)
            assert (one.health is Health.OK) <= (running is True and offered is not False)
            assert (one.health is Health.UNKNOWN) <= (running is None)


# -- notes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"installed": False, "running": False}, "not installed"),
        ({"startup": Startup.DISABLED}, "Hyper-V cannot start it"),
        ({"running": False}, "Hyper-V starts it again while it is enabled on the host"),
        ({"running": False, "offered": True}, "The host offers it, and nothing in the guest serves it"),
        ({"running": False, "offered": False}, "The host does not offer it"),
    ],
)
def test_a_note_says_what_a_state_means(changes: dict[str, Any], note: str) -> None:
    (found,) = state(**changes).notes
    assert note in found


def test_of_what_runs_or_is_not_known_there_is_nothing_to_say() -> None:
    assert state().notes == state(running=None, installed=None).notes == ()


# -- what all values can -------------------------------------------------------------------------------------------


@every_value
def test_a_value_is_plain_data_for_json(value: Any) -> None:  # noqa: ANN401 - four types
    found = json.loads(json.dumps(value.to_dict()))
    assert found["schema"] == 1
    assert set(found) >= {field.name for field in attrs.fields(type(value))}


def test_a_state_as_plain_data_has_its_health_and_what_is_not_known_is_null() -> None:
    found = state(running=None).to_dict()
    assert (found["health"], found["running"], found["kind"], found["startup"]) == (
        "unknown",
        None,
        "heartbeat",
        "triggered",
    )
    assert found["requires"] == ["VmGid"]


@every_value
def test_a_value_travels_by_pickle_and_can_be_compared(value: Any) -> None:  # noqa: ANN401 - four types
    again = pickle.loads(pickle.dumps(value))  # noqa: S301  # its own pickle
    assert (again, hash(again)) == (value, hash(value))


def test_when_it_was_read_does_not_count() -> None:
    assert state(read_at=LATER) == state()
    assert attrs.evolve(INFO, read_at=LATER) == INFO


@every_value
def test_a_value_shows_itself(value: Any) -> None:  # noqa: ANN401 - four types
    assert str(value)
    assert "<table" in value._repr_html_()


def test_people_are_shown_what_is_not_known() -> None:
    row = dict(
        zip(GuestServiceState.table_columns, state(running=None, installed=None, startup=None).table_row(), strict=True)
    )
    assert (row["Installed"], row["Running"], row["Startup"], row["Health"]) == ("unknown",) * 4


def test_of_what_is_not_installed_no_startup_is_shown() -> None:
    row = state(installed=False, running=False, startup=None).table_row()
    assert row[:5] == ("Heartbeat", "vmicheartbeat", False, False, None)


def test_a_service_that_is_not_known_is_shown_by_its_own_name() -> None:
    assert state(kind=None, name="vmicnew", display_name="Neu").table_row()[:2] == ("Neu", "vmicnew")


def test_a_change_is_shown_with_its_reason() -> None:
    assert CHANGE.table_row() == ("Heartbeat", "start", "failed", "not_running", "Zugriff verweigert")
    assert attrs.evolve(CHANGE, state=None, error=None).table_row()[3:] == (None, None)


def test_an_inventory_is_shown_as_its_services_with_what_could_not_be_read_below() -> None:
    table = INVENTORY.table()
    assert (len(table.rows), ["Zugriff verweigert" in note for note in table.notes]) == (1, [True])
