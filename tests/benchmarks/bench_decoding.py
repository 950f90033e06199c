"""Reading 3,000 services of 500 virtual machines: our document against psrpcore's objects, in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from xml.etree import ElementTree

import psrpcore.types
from psrpcore._crypto import PSRemotingCrypto
from psrpcore.types import deserialize, serialize

from hvintegration import Simulator, World
from hvintegration.calls.answer import parse_answer
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import JsonObject
from hvintegration.clock import Deadline, SystemClock
from hvintegration.operations.inventory import read_inventory
from hvintegration.scripts import GET_VMS
from hvintegration.simulator import Machine
from hvintegration.testing import machine_id

MACHINES = 500
SERVICES = 6 * MACHINES


def document() -> str:
    """What the host answers when asked for everything."""
    world = World(machines=[Machine(id=machine_id(number), name=f"vm{number:03}") for number in range(MACHINES)])
    question: JsonObject = {"vm_id": None, "name": None, "info": True, "services": True}
    return Simulator(world).call(Call(GET_VMS, question), Deadline(60))


def decode(text: str) -> int:
    operation = read_inventory()
    assert isinstance(next(operation), Call)
    try:
        operation.send(parse_answer(text, address="bench", received_at=SystemClock().now()))
    except StopIteration as end:
        return len(end.value.services)
    raise AssertionError


def objects() -> bytes:
    """CLIXML of as many integration services, each with the cmdlet's sixteen properties."""
    status = psrpcore.types.PSList(["Ok"])
    properties = {
        "Enabled": True,
        "OperationalStatus": status,
        "PrimaryOperationalStatus": "Ok",
        "PrimaryStatusDescription": "OK",
        "SecondaryOperationalStatus": None,
        "SecondaryStatusDescription": None,
        "StatusDescription": status,
        "Name": "Guest Service Interface",
        "Id": f"Microsoft:{machine_id(1).upper()}\\6C09BB55-D683-4DA0-8931-C9BF705F6480",
        "VMId": machine_id(1),
        "VMName": "vm001",
        "VMSnapshotId": "00000000-0000-0000-0000-000000000000",
        "VMSnapshotName": "",
        "CimSession": "CimSession: .",
        "ComputerName": "HV01",
        "IsDeleted": False,
    }
    component = psrpcore.types.PSCustomObject(PSTypeName="VMIntegrationComponent", **properties)
    return ElementTree.tostring(serialize(component, PSRemotingCrypto()))


def decode_objects(xml: bytes) -> int:
    return sum(deserialize(ElementTree.fromstring(xml), PSRemotingCrypto()) is not None for _ in range(SERVICES))


def seconds(action: Callable[[], object], times: int) -> float:
    """Median processor time: what else the machine is doing counts little."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        action()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def test_document_against_objects() -> None:
    text, xml = document(), objects()
    assert decode(text) == decode_objects(xml) == SERVICES

    ours = seconds(lambda: decode(text), 15)
    theirs = seconds(lambda: decode_objects(xml), 3)

    print(f"\n{SERVICES} services of {MACHINES} virtual machines, document of {len(text):,} characters")
    print(f"  document to validated objects   {ours / SERVICES * 1e6:8.1f} µs each   (limit 10)")
    print(f"  psrpcore objects                {theirs / SERVICES * 1e6:8.1f} µs each")
    print(f"  ratio                           {theirs / ours:8.1f}           (limit 20)")
