"""Update advice for a virtual machine: who is asked, and how often."""

from __future__ import annotations

import pytest

import hvintegration as hv
from hvintegration.errors import ConfigurationError, InvalidStateError
from hvintegration.guest import Guest
from hvintegration.simulator import LinuxSystem, OperatingSystem, World, demo_world

INSIDE = hv.Credential("Administrator", "Guest-Passw0rd")


def host_of(world: World) -> hv.Host:
    return hv.Host(hv.Simulator(world, clock=hv.VirtualClock()))


def world_of(host: str, guest: str) -> World:
    world = demo_world()
    world.os = OperatingSystem(caption="", version=host, build=host.rpartition(".")[2])
    world.machine("demovm").os = OperatingSystem(caption="", version=guest, build=guest.rpartition(".")[2])
    return world


@pytest.mark.parametrize(
    ("host", "guest", "mechanism", "differs"),
    [
        ("6.3.9600", "6.3.9600", "integration_services_disk", True),
        ("10.0.14393", "6.2.9200", "windows_update", False),
        ("10.0.26100", "10.0.20348", "built_in", True),
        ("6.1.7601", "6.2.9200", "unknown", False),
    ],
)
def test_host_and_guest_are_asked_once_each(host: str, guest: str, mechanism: str, *, differs: bool) -> None:
    hyperv = host_of(world_of(host, guest))
    vm = hyperv.vms["demovm"]
    inside = vm.guest(credential=INSIDE)
    before = hyperv.session.stats.round_trips

    advice = vm.update_advice(inside)

    assert (advice.mechanism, advice.differs is not None) == (mechanism, differs)
    # What goes to the guest goes through the host, and counts there, too.
    assert (hyperv.session.stats.round_trips - before, inside.session.stats.round_trips) == (2, 1)
    older = vm.update_advice(inside, generation="2015")
    assert (older.generation, older.differs is not None) == ("2015", differs)


UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nVERSION_ID="24.04"\n'
REDHAT = 'PRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"\nID="rhel"\nVERSION_ID="9.4"\n'
CLOUD_TOOLS = ("linux-cloud-tools-common", "linux-cloud-tools-6.8.0-49-generic")


@pytest.mark.parametrize(
    ("system", "packages", "installing"),
    [
        (LinuxSystem(), [("hyperv-daemons", "6.1.176-1", "6.1.176-1")], None),
        (
            LinuxSystem(available={"hyperv-daemons": "6.1.180-1"}),
            [("hyperv-daemons", "6.1.176-1", "6.1.180-1")],
            None,
        ),
        (
            LinuxSystem(programs=[], packages={}),
            [("hyperv-daemons", None, "6.1.176-1")],
            'guest.install("kvp")',
        ),
        (
            LinuxSystem(
                os_release=UBUNTU,
                kernel="6.8.0-49-generic",
                programs=[],
                packages={CLOUD_TOOLS[0]: "6.8.0-49.49"},
                available=dict.fromkeys(CLOUD_TOOLS, "6.8.0-50.51"),
            ),
            [(CLOUD_TOOLS[0], "6.8.0-49.49", "6.8.0-50.51"), (CLOUD_TOOLS[1], None, None)],
            'guest.install("kvp")',
        ),
        (
            LinuxSystem(os_release=REDHAT, programs=["/usr/sbin/hypervvssd"], packages={"hypervvssd": "0-0.42"}),
            [("hypervkvpd", None, None), ("hypervvssd", "0-0.42", None), ("hypervfcopyd", None, None)],
            'guest.install("kvp") and guest.install("guest_service_interface")',
        ),
    ],
    ids=["all is there", "an update is there", "nothing is there", "Ubuntu", "Red Hat"],
)
def test_a_linux_guest_says_its_packages(
    system: LinuxSystem, packages: list[tuple[str, str | None, str | None]], installing: str | None
) -> None:
    world = demo_world()
    world.machine("web").linux = system
    world.machine("web").daemons = []
    vm = host_of(world).vms["web"]
    guest = Guest(hv.Simulator(world, guest="web", clock=hv.VirtualClock()))

    advice = vm.update_advice(guest)

    assert (advice.guest_os, advice.mechanism) == (("Linux",), "package_manager")
    assert [(package.name, package.installed, package.available) for package in advice.packages] == packages
    names = " ".join(name for name, _, _ in packages)
    assert any(step.startswith("In the guest, as root: ") and step.endswith(f" {names}") for step in advice.steps)
    said = [step for step in advice.steps if "guest.install" in step]
    assert said == ([] if installing is None else [f"Or have what is missing installed: {installing}."])


def test_the_system_of_a_guest_can_be_named_instead() -> None:
    host = host_of(demo_world())
    vm = host.vms["spare"]
    before = host.session.stats.round_trips

    assert vm.update_advice(guest_os="Windows 8").needs_data_exchange is True
    assert host.session.stats.round_trips - before == 1
    unnamed = vm.update_advice()
    assert (unnamed.host_os, unnamed.guest_os, unnamed.mechanism) == (("Windows Server 2022",), (), "unknown")


def test_misuse_is_refused_before_anything_is_sent() -> None:
    host = host_of(demo_world())
    vm = host.vms["demovm"]
    inside = vm.guest(credential=INSIDE)
    before = host.session.stats.round_trips

    with pytest.raises(ConfigurationError, match="Both a guest and guest_os are given"):
        vm.update_advice(inside, guest_os="Windows 8")
    with pytest.raises(ConfigurationError, match="guest_os is no name"):
        vm.update_advice(guest_os="")
    with pytest.raises(ConfigurationError, match="generation '2016'"):
        vm.update_advice(generation="2016")
    assert host.session.stats.round_trips == before


def test_another_guest_than_that_of_the_virtual_machine_is_refused() -> None:
    host = host_of(demo_world())
    with pytest.raises(InvalidStateError, match="is not the virtual machine"):
        host.vms["demovm"].update_advice(host.vms["backup"].guest(credential=INSIDE))


@pytest.mark.parametrize(
    ("told", "systems", "needs", "packages"),
    [
        ({"OSName": "Windows Server 2012 Standard", "OSVersion": "6.2.9200"}, ("Windows Server 2012",), True, []),
        ({"OSVersion": "6.3.9600"}, ("Windows 8.1", "Windows Server 2012 R2"), False, []),
        (
            {
                "OSName": "Ubuntu",
                "OSVersion": "6.8.0",
                "OSMajorVersion": "24.04",
                "OSBuildNumber": "6.8.0-49-generic",
            },
            ("Linux",),
            False,
            ["linux-cloud-tools-common", "linux-cloud-tools-6.8.0-49-generic"],
        ),
        ({"OSName": "Some Other OS", "OSVersion": "6.1"}, (), None, []),
        ({"OSName": "FreeBSD", "OSVersion": "14.1"}, ("FreeBSD",), False, []),
        ({}, (), None, []),
    ],
)
def test_without_a_guest_the_host_says_what_it_was_told(
    told: dict[str, str | None], systems: tuple[str, ...], *, needs: bool | None, packages: list[str]
) -> None:
    world = demo_world()
    world.machine("demovm").intrinsic = told
    host = host_of(world)
    vm = host.vms["demovm"]
    before = host.session.stats.round_trips

    advice = vm.update_advice()

    assert (advice.guest_os, advice.needs_data_exchange) == (systems, needs)
    assert [package.name for package in advice.packages] == packages
    assert host.session.stats.round_trips - before == 2


def test_where_data_exchange_is_off_the_host_knows_nothing() -> None:
    world = demo_world()
    world.machine("demovm").intrinsic = {"OSName": "Windows 8"}
    vm = host_of(world).vms["demovm"]
    vm.services["kvp"].disable()
    assert vm.update_advice().notes == ("The system of the guest is not known.",)
