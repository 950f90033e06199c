"""Worlds, files, settling: what the simulator adds to what the engine has."""

from __future__ import annotations

import pytest

import hvintegration as hv
from hvintegration.errors import ConfigurationError, ConnectionLostError
from hvintegration.simulator import Fault, Machine, ServiceSetting, World

ID = "3f1b1a52-0000-4000-8000-000000000001"


def test_a_switch_takes_the_guest_service_along() -> None:
    world = hv.simulator.demo_world()
    service = hv.Host(hv.Simulator(world)).vms["demovm"].services["gsi"]
    inside = world.machine("demovm").guest_service(hv.ServiceKind.GUEST_SERVICE_INTERFACE)
    assert inside is not None
    assert inside.status == "Stopped"

    service.enable()
    assert inside.status == "Running"
    service.disable()
    assert inside.status == "Stopped"


def test_a_machine_that_is_started_settles_too() -> None:
    clock, world = hv.VirtualClock(), hv.simulator.demo_world()
    world.machine("spare").guest = "windows"
    world.machine("spare").guest_services = [hv.simulator.GuestService(name="vmicheartbeat")]
    host = hv.Host(hv.Simulator(world, clock=clock, settle=5))
    heartbeat = host.vms["spare"].services["heartbeat"]
    assert heartbeat.state().health is hv.Health.NOT_RUNNING

    world.machine("spare").state = "Running"
    assert heartbeat.state().primary == "NoContact"
    assert host.vms["spare"].info().heartbeat == "NoContact"
    clock.sleep(5)

    assert heartbeat.state().health is hv.Health.OK


def test_what_ran_before_is_settled() -> None:
    host = hv.Host(hv.Simulator(hv.simulator.demo_world(), clock=hv.VirtualClock(), settle=5))

    assert host.vms["demovm"].services["heartbeat"].state().health is hv.Health.OK


def test_a_slow_machine_takes_its_time_on_the_clock() -> None:
    clock = hv.VirtualClock()
    world = World(machines=[Machine(id=ID, name="slow", delay_ms=1500)])

    hv.Host(hv.Simulator(world, clock=clock)).inventory()

    assert clock.monotonic() == 1.5


def test_a_death_is_a_lost_connection() -> None:
    world = hv.simulator.demo_world()
    world.faults = [Fault(action="exit")]

    with pytest.raises(ConnectionLostError) as lost:
        hv.Host(hv.Simulator(world)).inventory()
    assert lost.value.fenced is True


@pytest.mark.parametrize("settle", [-1, -0.001])
def test_settling_takes_no_negative_time(settle: float) -> None:
    with pytest.raises(ConfigurationError):
        hv.Simulator(World(), settle=settle)


def test_a_world_knows_its_machines() -> None:
    world = World(machines=[Machine(id=ID, name="a", services={"vss": ServiceSetting(enabled=False)})])

    assert world.machine("a").setting(hv.ServiceKind.VSS).enabled is False
    assert world.machine("a").setting(hv.ServiceKind.GUEST_SERVICE_INTERFACE).enabled is False
    with pytest.raises(KeyError):
        world.machine("b")
