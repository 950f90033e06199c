"""World files: what is in them, what cannot be, and who may change them when."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hvintegration as hv
from hvintegration.calls.call import Call
from hvintegration.errors import ConfigurationError, ConnectionLostError, TransportTimeoutError
from hvintegration.scripts import SET_SERVICES
from hvintegration.simulator import Fault, Machine, ServiceSetting, World
from hvintegration.simulator.store import FileStore
from tests.support.time_limit import GRACE, within

ID = "3f1b1a52-0000-4000-8000-000000000001"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with the demonstration's world."""
    path = tmp_path / "world.json"
    hv.simulator.demo_world().save(path)
    return path


# -- what is in them -------------------------------------------------------------------------------------------------


def test_a_world_file_comes_back_as_it_was(tmp_path: Path) -> None:
    data: dict[str, Any] = {
        "computer": "HV07",
        "locale": "fr-FR",
        "colour": "blue",
        "machines": [
            {
                "id": "{" + ID.upper() + "}",
                "name": "a",
                "intrinsic": {"OSName": None},
                "files": {},
                "services": {"vss": {}},
            }
        ],
        "faults": [{"action": "delay", "seconds": 2}],
    }
    path = tmp_path / "world.json"
    path.write_text(json.dumps(data), "utf-8-sig")

    world = World.load(path)
    world.save(path)
    again = World.load(path)

    assert again == world
    assert (world.computer, world.machines[0].id, world.faults[0].seconds) == ("HV07", ID, 2)
    written = json.loads(path.read_text("utf-8"))
    assert (written["colour"], written["machines"][0]["intrinsic"]) == ("blue", {"OSName": None})
    assert written["machines"][0].keys() == {"id", "name", "intrinsic", "files"}


def test_what_is_as_by_default_is_left_out_of_a_file(path: Path) -> None:
    off = Machine(id=f"{ID[:-1]}2", name="off", state="Off", guest="none")
    World(machines=[Machine(id=ID, name=""), off]).save(path)

    assert json.loads(path.read_text()) == {
        "machines": [{"id": ID, "name": ""}, {"id": off.id, "name": "off", "state": "Off", "guest": "none"}]
    }
    hv.connect(f"sim:{path}").vms[ID].services["vss"].disable()

    saved = json.loads(path.read_text())
    assert saved["machines"][0]["services"] == {"vss": {"enabled": False}}
    stopped = [service["name"] for service in saved["machines"][0]["guest_services"] if service["status"] == "Stopped"]
    assert stopped == ["vmicguestinterface", "vmicvss"]
    assert World.load(path).machines[0].setting(hv.ServiceKind.VSS).enabled is False


def machine(**facts: object) -> dict[str, object]:
    return {"machines": [{"id": ID, "name": "demovm", **facts}]}


@pytest.mark.parametrize(
    ("world", "place"),
    [
        ("", "not JSON"),
        ([], r"\$ is \[\], where an object belongs"),
        ({"machines": {}}, r"\$.machines is {}, where a list belongs"),
        ({"machines": [3]}, r"\$.machines\[0\] is 3, where an object belongs"),
        ({"machines": [{"name": "a"}]}, r"\$.machines\[0\].id is missing"),
        ({"machines": [{"name": "a", "id": "b"}]}, r"\$.machines\[0\].id is 'b', no GUID"),
        ({"machines": [{"id": ID}]}, r"\$.machines\[0\].name is missing"),
        (machine(services={"vss": 3}), r"services.vss is 3, where an object belongs"),
        (machine(services={"vss": {"enabled": "no"}}), "services.vss.enabled is 'no', where true or false belongs"),
        (machine(services={"vss": {"enabled": None}}), "services.vss.enabled is null, where true or false belongs"),
        (machine(services={"vss": {"primary": 2}}), "services.vss.primary is 2, where a text belongs"),
        (
            machine(services={"vss ": {}}),
            "services.vss  is no service; they are guest_service_interface, heartbeat, kvp",
        ),
        (machine(linux={"withheld": ["vss "]}), "linux.withheld.vss  is no service; they are guest_service_interface"),
        (machine(state=5), "state is 5, where a text belongs"),
        (machine(version=None), "version is null, where a text belongs"),
        (machine(generation="2"), "generation is '2', where a whole number"),
        (machine(generation=True), "generation is True, where a whole number"),
        (machine(generation=2.5), "generation is 2.5, where a whole number"),
        (machine(delay_ms=-5), "delay_ms is -5, where a whole number"),
        (machine(delay_ms=10**400), "delay_ms is 1000*…, where a whole number"),
        (machine(addresses="abc"), "addresses is 'abc', where a list belongs"),
        (machine(addresses=[None]), r"addresses\[0\] is null, where a text belongs"),
        (machine(daemons="hv_kvp_daemon"), "daemons is 'hv_kvp_daemon', where a list belongs"),
        (machine(guest_services=[{"display_name": "x"}]), r"guest_services\[0\].name is missing"),
        (
            machine(files={"a": [float("inf")]}),
            r"files.a\[0\] is inf, where a number of JSON belongs",
        ),
        ({"faults": ["x"]}, r"\$.faults\[0\] is 'x', where an object belongs"),
        ({"faults": [{"times": "x"}]}, r"\$.faults\[0\].times is 'x', where a whole number"),
        ({"faults": [{"seconds": float("nan")}]}, r"\$.faults\[0\].seconds is nan, where a number"),
        ({"os": []}, r"\$.os is \[\], where an object belongs"),
        ({"os": {"build": None}}, r"\$.os.build is null, where a text belongs"),
        ({"journal": "x"}, r"\$.journal is 'x', where a list belongs"),
        ({"names": [1]}, r"\$.names is \[1\], where an object belongs"),
        ({"messages": {"vm_not_found": 5}}, r"\$.messages.vm_not_found is 5, where a text belongs"),
        ('{"x":' + "[" * 100_000 + "]" * 100_000 + "}", "it has more than 32 levels"),
        ("[" * 100_000, "it has more than 32 levels"),
        ('{"x": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_what_is_no_world_is_said_to_be_none_and_where(tmp_path: Path, world: object, place: str) -> None:
    path = tmp_path / "world.json"
    path.write_text(world if isinstance(world, str) else json.dumps(world))

    with pytest.raises(ConfigurationError, match=f"^Invalid world file {path}: .*{place}"):
        hv.connect(f"sim:{path}")


def test_a_file_that_is_no_text_or_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "world.json"
    path.write_bytes(b"{\xff}")
    with pytest.raises(ConfigurationError, match="it is not text"):
        World.load(path)

    path.write_text("{}" + " " * 99)
    monkeypatch.setattr("hvintegration.simulator.world.MOST_CHARACTERS", 100)
    with pytest.raises(ConfigurationError, match="cannot be read: it is longer than 100 characters"):
        World.load(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("load", [World.load, hv.Replay], ids=["world", "recording"])
def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path, load: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigurationError, match=f"{path} cannot be read: it is no regular file"):
            load(path)


def test_half_a_character_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    path.write_text(json.dumps({"machines": [{"id": ID, "name": "a\ud800b", "notes": "ä\udfff"}]}))

    hv.connect(f"sim:{path}").vms[ID].services["vss"].disable()

    found = json.loads(path.read_text("utf-8"))["machines"][0]
    assert (found["name"], found["notes"]) == ("a\ud800b", "ä\udfff")


@pytest.mark.parametrize("status", ["9" * 5000, "\u0662", "99999999999"])
def test_a_status_that_is_no_number_of_windows_stays_what_it_is(status: str) -> None:
    world = World(machines=[Machine(id=ID, name="vm", services={"vss": ServiceSetting(primary=status)})])

    assert hv.Host(hv.Simulator(world)).vms["vm"].services["vss"].state().primary == status


# -- who may change them ---------------------------------------------------------------------------------------------


def test_two_hosts_on_one_file_see_each_others_changes(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    hv.simulator.demo_world().save(path)
    one, other = hv.connect(f"sim:{path}"), hv.connect(f"sim:{path}")

    one.vms["demovm"].services["vss"].disable()

    assert other.vms["demovm"].services["vss"].state().enabled is False
    assert World.load(path).journal == ["disable demovm vss"]


def test_a_call_loads_and_saves_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "world.json"
    World(machines=[Machine(id=f"3f1b1a52-0000-4000-8000-{n:012}", name=f"vm{n}") for n in range(50)]).save(path)
    host = hv.connect(f"sim:{path}")
    vms = host.vms.list()
    counts = {"load": 0, "save": 0}
    load, save = World.load, World.save

    def count_load(path: Path) -> World:
        counts["load"] += 1
        return load(path)

    def count_save(world: World, path: Path) -> None:
        counts["save"] += 1
        save(world, path)

    monkeypatch.setattr(World, "load", count_load)
    monkeypatch.setattr(World, "save", count_save)

    changes = host.set_services((vm.id, "gsi", True) for vm in vms)

    assert {change.outcome for change in changes} == {hv.ChangeOutcome.CHANGED}
    assert len(host.inventory().vms) == 50
    assert counts == {"load": 1, "save": 1}
    monkeypatch.undo()
    assert len(World.load(path).journal) == 50


def test_while_a_call_waits_others_see_its_changes_and_make_theirs(path: Path) -> None:
    store = FileStore(path)
    store.change(lambda world: world.faults.append(Fault(cmdlet="Disable-VMIntegrationService", machine="web",
        action="delay", seconds=0.6, times=1)))  # fmt: skip
    host = hv.connect(f"sim:{path}")
    ids = [host.vms[name].id for name in ("demovm", "web")]
    thread = threading.Thread(target=host.set_services, args=([(vm_id, "vss", False) for vm_id in ids],))
    thread.start()
    while not store.read().journal:
        time.sleep(0.01)

    store.change(lambda world: setattr(world.machine("spare"), "notes", "seen"))
    assert store.read().journal == ["disable demovm vss"]
    thread.join()

    assert store.read().journal == ["disable demovm vss", "disable web vss"]
    assert store.read().machine("spare").notes == "seen"


LOCK = """
import fcntl, sys
with open(sys.argv[1], "a+b") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(path: Path) -> Iterator[None]:
    """Another program keeps the file for itself."""
    pytest.importorskip("fcntl")
    command = [sys.executable, "-c", LOCK, f"{path}.lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"locked\n"
        yield
        program.communicate()


def test_a_file_that_another_keeps_is_waited_for_in_time(path: Path, held: None) -> None:
    clock = hv.VirtualClock()  # The other one does not go by it.
    for simulator in (hv.Simulator(path), hv.Simulator(path, clock=clock)):
        host = hv.Host(simulator)
        vm = host.vms["demovm"]

        with within(1 + GRACE), pytest.raises(TransportTimeoutError, match="within 1 second"):
            vm.services["vss"].disable(timeout=1)

        assert vm.services["vss"].state().enabled is True


def test_closing_ends_waiting_for_a_file(path: Path, held: None) -> None:
    simulator = hv.Simulator(path)
    component = hv.ServiceKind.VSS.component_id
    change = {"vm_id": ID, "component_id": component, "enabled": False}
    closing = threading.Timer(0.2, simulator.close)
    closing.start()

    with pytest.raises(ConnectionLostError, match="was closed before it had answered"):
        simulator.call(Call(SET_SERVICES, {"changes": [change], "dry_run": False}), hv.Deadline(20))

    closing.join()
    assert World.load(path).journal == []


def test_a_call_that_is_out_of_time_ends_between_two_cmdlets(path: Path) -> None:
    host = hv.connect(f"sim:{path}")

    with pytest.raises(TransportTimeoutError):
        host.inventory(timeout=1e-9)


@pytest.mark.parametrize("fails", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_what_cannot_be_saved_leaves_the_file_and_nothing_beside_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, fails: BaseException
) -> None:
    host = hv.connect(f"sim:{path}")
    vm = host.vms["demovm"]
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise fails

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises((ConfigurationError, KeyboardInterrupt)):
        vm.services["vss"].disable()
    monkeypatch.undo()

    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} == {"world.json", "world.json.lock"}
    assert vm.services["vss"].state().enabled is True
    assert vm.services["vss"].disable().enabled is False


def test_a_change_that_fails_halfway_is_not_saved(path: Path) -> None:
    def work(world: World) -> None:
        world.machines.clear()
        raise LookupError

    with contextlib.suppress(LookupError):
        FileStore(path).change(work)

    assert len(World.load(path).machines) == 5


def test_a_lock_that_cannot_be_taken_is_an_error(path: Path) -> None:
    path.with_name("world.json.lock").mkdir()

    with pytest.raises(ConfigurationError, match=r"The lock .*world\.json\.lock cannot be opened: "):
        hv.connect(f"sim:{path}").vms["demovm"].services["vss"].disable()


def test_a_link_stays_a_link_and_a_mode_a_mode(path: Path) -> None:
    path.chmod(0o640)
    link = path.with_name("link.json")
    link.symlink_to(path)

    hv.connect(f"sim:{link}").vms["demovm"].services["vss"].disable()

    assert link.is_symlink()
    assert World.load(path).journal == ["disable demovm vss"]
    assert path.stat().st_mode & 0o777 == 0o640
