"""Handles: what is free, what is equal, what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import hvintegration as hv
from hvintegration.errors import ConfigurationError, PermissionDeniedError, UnknownServiceError


@pytest.fixture
def world() -> hv.World:
    return hv.simulator.demo_world()


@pytest.fixture
def host(world: hv.World) -> hv.Host:
    return hv.Host(hv.Simulator(world, clock=hv.VirtualClock()))


def test_looking_is_free(host: hv.Host) -> None:
    vm = host.vms["demovm"]
    before = host.session.stats.round_trips

    service = vm.services["Takt"]
    for thing in (host, host.vms, vm, vm.services, service, host.session):
        assert repr(thing).startswith("<")
    assert (vm.name, service.kind, service.vm_id) == ("demovm", hv.ServiceKind.HEARTBEAT, vm.id)
    assert vm.to_dict() == {"schema": 1, "id": vm.id, "name": "demovm"}
    assert "Heartbeat" in vm.services._ipython_key_completions_()
    assert hash(vm) == hash(hv.VM(host.session, vm.id, "another name"))
    assert host.session.stats.round_trips == before


def test_handles_are_equal_when_session_and_id_are(host: hv.Host, world: hv.World) -> None:
    other = hv.Host(hv.Simulator(world))
    vm, listed = host.vms["demovm"], host.vms.list()[0]

    assert vm == listed
    assert vm.services["vss"] == listed.services["VSS"]
    assert len({vm, listed, vm.services["vss"], listed.services["vss"]}) == 2
    assert vm != other.vms["demovm"]
    assert vm.services["vss"] != vm.services["kvp"]
    assert host != other
    assert host == host  # noqa: PLR0124
    assert vm != "demovm"
    assert vm.services["vss"] != "vss"
    assert host != "host"


@pytest.mark.parametrize("collection", [lambda host: host.vms, lambda host: host.vms["demovm"].services])
def test_collections_are_not_iterated_by_accident(host: hv.Host, collection: Callable[[hv.Host], object]) -> None:
    with pytest.raises(TypeError):
        iter(collection(host))  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        "vss" in collection(host)  # type: ignore[operator]  # noqa: B015


def test_a_guest_service_has_no_switch_on_the_host(host: hv.Host) -> None:
    vm = host.vms["demovm"]

    with pytest.raises(ConfigurationError, match="PowerShell Direct") as refused:
        vm.services["vmicvmsession"]
    with pytest.raises(ConfigurationError):
        host.set_services([(vm, "vmicrdv", True)])
    assert refused.value.hint is not None
    assert "vmicvmsession" in refused.value.hint


def test_an_unknown_service_is_refused_before_anything_is_sent(host: hv.Host) -> None:
    vm = host.vms["demovm"]
    before = host.session.stats.round_trips

    with pytest.raises(UnknownServiceError) as unknown:
        vm.services["Hartbeat"]
    with pytest.raises(UnknownServiceError):
        host.set_services([(vm, "heartbeat", True), (vm, "Schluessel", True)])
    assert unknown.value.suggestions == ("Heartbeat",)
    assert host.session.stats.round_trips == before


def test_a_virtual_machine_of_another_host_is_refused(host: hv.Host, world: hv.World) -> None:
    other = hv.Host(hv.Simulator(world)).vms["demovm"]

    with pytest.raises(ConfigurationError, match="belongs to"):
        host.set_services([(other, "vss", False)])
    assert world.journal == []


def test_contradicting_wishes_are_refused(host: hv.Host, world: hv.World) -> None:
    with pytest.raises(ConfigurationError, match="both"):
        host.set_services([("demovm", "vss", False), ("demovm", "VSS", True)])
    assert world.journal == []


def test_no_wishes_cost_nothing(host: hv.Host) -> None:
    assert list(host.set_services([])) == []
    assert host.session.stats.round_trips == 0


def test_names_cost_one_round_trip_more(host: hv.Host) -> None:
    host.set_services([("demovm", "vss", False), ("web", "kvp", False)])
    assert host.session.stats.round_trips == 2


@pytest.mark.parametrize("timeout", [0, -1, 1_000_001, float("nan"), float("inf"), 10**999, "5", [5]])
def test_a_timeout_is_a_finite_number_above_zero(host: hv.Host, timeout: Any) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(
        ConfigurationError, match=r"^Invalid timeout .*: it is not a number of seconds above zero and up to 1000000\.$"
    ):
        host.info(timeout=timeout)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        *(
            (address, f"^Invalid address '{address}': it begins with no known scheme.$")
            for address in ("", "sim", "hv01", "telnet://hv01")
        ),
        ("ssh://", "^Invalid address of a host '//': it names no host.$"),
        ("ssh:hv01", "^Invalid address of a host 'hv01': it does not begin with //.$"),
        ("ssh://hv01/x", "^Invalid address of a host '//hv01/x': something follows the host.$"),
        ("ssh://hv 01", "^Invalid address of a host '//hv 01': it has a space or a control character.$"),
        ("ssh://hv01:x", "^Invalid address of a host '//hv01:x': its port is not a number from 0 to 65535, or"),
        ("ssh://[hv01", r"^Invalid address of a host '//\[hv01': .* brackets hold no IPv6 address.$"),
        ("winrm://admin@hv01", "^Invalid address '//admin@hv01': an address of WinRM has no user.$"),
        ("sim:/no/such/file.json", "cannot be read"),
        ("ssh://admin:Secret1@hv01", "must not contain a password"),
        ("local://admin:Secret1@hv01", "must not contain a password"),
        ("https:admin:Secret1@hv01/path", "must not contain a password"),
    ],
)
def test_an_invalid_address_is_refused_and_a_password_not_repeated(address: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        hv.connect(address)
    assert re.search(complaint, str(refused.value))
    assert "Secret1" not in str(refused.value)
    assert "Secret1" not in repr(refused.value)


@pytest.mark.parametrize("address", ["sim:", "local:/usr/bin/pwsh"])
def test_an_address_that_takes_no_credential_says_so(address: str) -> None:
    with pytest.raises(ConfigurationError, match="takes no credential"):
        hv.connect(address, credential=hv.Credential("admin", "Secret1"))


def test_connect_asks_once_and_the_host_is_closed_at_the_end() -> None:
    with hv.connect("sim:") as host:
        assert host.session.stats.round_trips == 1
    with pytest.raises(ConfigurationError, match="closed"):
        host.info()


def test_connect_to_a_denied_host_is_refused(tmp_path_factory: pytest.TempPathFactory, world: hv.World) -> None:
    path = tmp_path_factory.mktemp("worlds") / "denied.json"
    world.access = "denied"
    world.save(path)

    with pytest.raises(PermissionDeniedError):
        hv.connect(f"sim:{path}")
