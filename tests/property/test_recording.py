"""Any conversation with a simulated host comes back from its recording, and no secret is in the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hvintegration as hv
from hvintegration.errors import HvError
from hvintegration.simulator import Fault, Machine, ServiceSetting
from hvintegration.testing import machine_id

TEXTS = st.text(max_size=8)
NAMES = st.text(min_size=1, max_size=6).filter(lambda name: "\0" not in name)
KEYS = st.sampled_from([kind.key for kind in hv.ServiceKind if kind.managed_by_host])
STATUSES = st.none() | st.sampled_from(["Ok", "NoContact", "LostCommunication"]) | st.text(min_size=1, max_size=4)

Step: TypeAlias = Callable[[hv.Host], object]

FAULTS = st.builds(
    Fault,
    action=st.sampled_from(["error", "exit", "delay", "remove"]),
    cmdlet=st.sampled_from([None, "Get-VM", "Get-VMIntegrationService", "Enable-VMIntegrationService"]),
    seconds=st.sampled_from([1.0, 20.0, 600.0]),
    id=st.sampled_from(["OperationFailed", "InvalidState", "AccessDenied"]),
    category=st.sampled_from(["NotSpecified", "PermissionDenied"]),
    message=TEXTS,
    times=st.sampled_from([1, 2, None]),
)


@st.composite
def worlds(draw: st.DrawFn) -> hv.World:
    settings = st.builds(
        ServiceSetting, enabled=st.booleans(), primary=STATUSES, secondary=STATUSES, primary_text=TEXTS
    )
    machines = [
        Machine(
            id=machine_id(number),
            name=draw(NAMES),
            notes=draw(TEXTS),
            addresses=draw(st.lists(TEXTS, max_size=2)),
            state=draw(st.sampled_from(["Running", "Off", "Paused"])),
            services=draw(st.dictionaries(KEYS, settings, max_size=2)),
        )
        for number in range(draw(st.integers(0, 3)))
    ]
    return hv.World(machines=machines, faults=draw(st.lists(FAULTS, max_size=2)))


@st.composite
def steps(draw: st.DrawFn) -> Step:
    number, key, enable, timeout = (
        draw(st.integers(0, 3)),
        draw(KEYS),
        draw(st.booleans()),
        draw(st.sampled_from([5, 60])),
    )
    name = draw(NAMES)
    choices: list[Step] = [
        lambda host: host.info(timeout=timeout),
        lambda host: host.check(timeout=timeout),
        lambda host: host.vms.list(timeout=timeout).to_dicts(),
        lambda host: host.inventory(timeout=timeout),
        lambda host: host.vms.get(name, timeout=timeout).to_dict(),
        lambda host: host.set_services([(machine_id(number), key, enable)], timeout=timeout),
        lambda host: host.vms[machine_id(number)].services[key].wait_until_ok(timeout=timeout),
    ]
    return draw(st.sampled_from(choices))


def told(host: hv.Host, conversation: list[Step]) -> list[object]:
    """What a caller is told, step by step; an address is no part of it."""

    def plain(value: object) -> object:
        if isinstance(value, hv.Rows):
            return [plain(item) for item in value], [plain(error) for error in value.errors]
        if isinstance(value, tuple | list):
            return [plain(item) for item in value]
        if isinstance(value, str):
            return value.replace(host.address, "HOST").replace("sim:", "HOST")
        if isinstance(value, HvError):
            return (
                type(value).__name__,
                plain(vars(value) | {"__notes__": None}),
                plain(str(value)),
            )
        kind = type(value)
        if attrs.has(kind):
            return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(kind) if field.eq}
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return value

    values: list[object] = []
    for step in conversation:
        try:
            values.append(plain(step(host)))
        except HvError as error:
            values.append(plain(error))
    return values


@given(world=worlds(), conversation=st.lists(steps(), max_size=6), settle=st.sampled_from([0, 3]))
def test_a_recorded_conversation_is_replayed_with_equal_values(
    tmp_path_factory: pytest.TempPathFactory, world: hv.World, conversation: list[Step], settle: int
) -> None:
    file = tmp_path_factory.mktemp("recording") / "calls.jsonl"
    simulator = hv.Simulator(world, clock=hv.VirtualClock(), settle=settle)
    then = told(hv.Host(hv.Recorder(simulator, file, keep_texts=True)), conversation)
    replay = hv.Replay(file)

    assert told(hv.Host(replay), conversation) == then
    assert replay.remaining == 0


MASKED = {"notes", "addresses", "status", "message", "host_message", "primary_text", "secondary_text", "detail", "hint"}


def without_masked(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: without_masked(item) for key, item in value.items() if key not in MASKED}
    if isinstance(value, list | tuple):
        return [without_masked(item) for item in value]
    return value


@given(world=worlds(), conversation=st.lists(steps(), max_size=6))
def test_masked_it_differs_in_masked_texts_only(
    tmp_path_factory: pytest.TempPathFactory, world: hv.World, conversation: list[Step]
) -> None:
    file = tmp_path_factory.mktemp("recording") / "calls.jsonl"
    recorder = hv.Recorder(hv.Simulator(world, clock=hv.VirtualClock()), file)
    then = told(hv.Host(recorder), conversation)
    replay = hv.Replay(file)

    now = told(hv.Host(replay), conversation)

    sentence = 2  # An error's sentence may quote the host.
    for was, again in zip(then, now, strict=True):
        if isinstance(was, tuple) and isinstance(again, tuple) and len(was) > sentence:
            assert without_masked(again[:sentence]) == without_masked(was[:sentence])
        else:
            assert without_masked(again) == without_masked(was)
    assert replay.remaining == 0


@given(
    world=worlds(),
    conversation=st.lists(steps(), min_size=1, max_size=4),
    guest=st.text("qjk€ß", min_size=7, max_size=9),  # Longer than any name.
    secret=st.text("QJZ€ö\"\\\n'", min_size=4, max_size=8),
)
def test_neither_secrets_nor_guest_data_are_in_the_file(
    tmp_path_factory: pytest.TempPathFactory, world: hv.World, conversation: list[Step], guest: str, secret: str
) -> None:
    file = tmp_path_factory.mktemp("recording") / "calls.jsonl"
    for machine in world.machines:
        machine.notes, machine.addresses = f"a {guest} b", [guest, secret.lower()]
        machine.name = f"{machine.name}{secret}"
    for fault in world.faults:
        fault.message = f"{secret} {guest}"
    host = hv.Host(hv.Recorder(hv.Simulator(world, clock=hv.VirtualClock()), file, secrets=[secret]))

    told(host, [*conversation, lambda host: host.inventory()])

    text = file.read_text("ascii")
    for line in map(json.loads, text.splitlines()):
        assert secret.lower() not in json.dumps(line, ensure_ascii=False).lower()
        assert all(secret.lower() not in said.lower() and guest not in said for said in texts(line))
    assert json.dumps(secret)[1:-1].lower() not in text.lower()


def texts(value: Any) -> list[str]:  # noqa: ANN401
    if isinstance(value, dict):
        return [said for item in value.values() for said in texts(item)]
    if isinstance(value, list):
        return [said for item in value for said in texts(item)]
    return [value] if isinstance(value, str) else []
