"""The transport contract over WinRM, on a real PowerShell behind the WSMan bridge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hvintegration import ChangeOutcome, Credential, Host, Transport, WinRM, World
from hvintegration.errors import (
    BusyError,
    CommandFailedError,
    HvError,
    PermissionDeniedError,
    TransportTimeoutError,
    UnsupportedError,
)
from hvintegration.simulator import Machine
from hvintegration.testing import TransportContract, machine_id
from tests.support.amounts import at_night, some_by_day
from tests.support.kept import Kept

if TYPE_CHECKING:
    from tests.conftest import Bridge
    from tests.support.certificates import Certificate

pytestmark = pytest.mark.engine

WHO = Credential("BRIDGE\\admin", "Secret-1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the world is that the bridges of this module answer from."""
    return tmp_path_factory.mktemp("winrm")


@pytest.fixture(scope="module")
def sealing_bridge(start_bridge: Callable[..., Bridge], folder: Path) -> Bridge:
    return start_bridge(auth="ntlm", world=folder / "world.json")


@pytest.fixture(scope="module")
def tls_bridge(start_bridge: Callable[..., Bridge], folder: Path, certificate: Certificate) -> Bridge:
    return start_bridge(auth="basic", world=folder / "world.json", certificate=str(certificate.both))


@pytest.fixture(scope="module")
def constrained_bridge(start_bridge: Callable[..., Bridge], folder: Path, constrained_session: Path) -> Bridge:
    program = ["-ConfigurationFile", str(constrained_session)]
    return start_bridge(auth="ntlm", world=folder / "world.json", program=program)


@pytest.fixture(scope="module")
def restricted_bridge(start_bridge: Callable[..., Bridge], folder: Path, restricted_session: Path) -> Bridge:
    program = ["-ConfigurationFile", str(restricted_session)]
    return start_bridge(auth="ntlm", world=folder / "world.json", program=program)


class WinRMContract(TransportContract):
    @pytest.fixture
    def world_file(self, folder: Path) -> Path:
        self.default_world().save(folder / "world.json")
        return folder / "world.json"


class TestNTLM(WinRMContract):
    """Encrypted by NTLM, over plain HTTP."""

    @pytest.fixture
    def transport(self, sealing_bridge: Bridge, world_file: Path) -> Transport:
        return WinRM("127.0.0.1", port=sealing_bridge.port, credential=WHO, auth="ntlm")


@pytest.fixture(scope="module")
def over_tls(tls_bridge: Bridge, certificate: Certificate) -> Iterator[WinRM]:
    who = Credential("admin", "Secret-1")
    ca_file = certificate.path
    winrm = WinRM("localhost", port=tls_bridge.port, tls=True, credential=who, auth="basic", ca_file=ca_file)
    yield winrm
    winrm.close()


@at_night
class TestBasicOverTLS(WinRMContract):
    """A certificate of an authority that is trusted by a file."""

    @pytest.fixture
    def transport(self, over_tls: WinRM, world_file: Path) -> Transport:
        return Kept(over_tls)


@pytest.fixture(scope="module")
def constrained(constrained_bridge: Bridge) -> Iterator[WinRM]:
    winrm = WinRM("127.0.0.1", port=constrained_bridge.port, credential=WHO)
    yield winrm
    winrm.close()


def test_a_switch_in_constrained_language(constrained: WinRM, folder: Path) -> None:
    TransportContract.default_world().save(folder / "world.json")
    host = Host(constrained)

    assert host.info().language_mode == "ConstrainedLanguage"
    assert host.vms["demovm"].services["vss"].disable().enabled is False


@pytest.fixture(scope="module")
def restricted(restricted_bridge: Bridge) -> Iterator[WinRM]:
    name = "HvIntegration"
    winrm = WinRM("127.0.0.1", port=restricted_bridge.port, credential=WHO, auth="ntlm", configuration_name=name)
    yield winrm
    winrm.close()


@at_night
class TestRestrictedEndpoint(WinRMContract):
    """An endpoint that runs no scripts, with the role for operators."""

    @pytest.fixture
    def transport(self, restricted: WinRM, world_file: Path) -> Transport:
        return Kept(restricted)


@pytest.fixture(scope="module")
def faulty_bridge(start_bridge: Callable[..., Bridge], folder: Path) -> Bridge:
    """A bridge with little room, and quotas told as WMI does."""
    return start_bridge(auth="ntlm", world=folder / "world.json", max_envelope_kb=100, quota_form="wmi")


@pytest.fixture
def faulty(faulty_bridge: Bridge, folder: Path) -> Iterator[Host]:
    machines = [Machine(id=machine_id(number), name=f"vm{number:03}") for number in range(150)]
    World(machines=machines).save(folder / "world.json")
    with Host(WinRM("127.0.0.1", port=faulty_bridge.port, credential=WHO, auth="ntlm")) as host:
        yield host
    faulty_bridge.misbehave()


PASSING: list[dict[str, object]] = [
    {"action": "Create", "code": 1018},
    {"action": "Create", "code": 2147943418},
    {"action": "Create", "code": 995},
    {"action": "Receive", "code": 995, "of": "pool"},
    {"action": "Receive", "code": 995, "of": "pipeline"},
    {"action": "Command", "code": 1726},
    {"action": "Command", "code": 2150858843},
]


class TestFaultsAsRecorded:
    """See the bridge for what is recorded of each."""

    @pytest.mark.parametrize("plan", some_by_day(PASSING, PASSING[::3]))
    def test_what_passes_is_tried_again(self, faulty: Host, faulty_bridge: Bridge, plan: dict[str, object]) -> None:
        faulty_bridge.misbehave(plan=[plan])
        assert len(faulty.vms.list()) == 150

    @pytest.mark.parametrize("form", some_by_day(["wsman", "wmi"], ["wmi"]))
    @pytest.mark.parametrize(
        ("action", "code", "quota"),
        [
            ("Create", 2150859173, "MaxShellsPerUser"),
            ("Create", 2150859174, "MaxConcurrentOperationsPerUser"),
            ("Command", 2150859174, "MaxConcurrentOperationsPerUser"),
            ("Command", 2150859241, "MaxConcurrentCommandsPerShell"),
        ],
    )
    def test_quotas(  # noqa: PLR0917 - what there is to say of a fault
        self, faulty: Host, faulty_bridge: Bridge, action: str, code: int, quota: str, form: str
    ) -> None:
        faulty_bridge.misbehave(plan=[{"action": action, "code": code, "form": form, "times": None}])

        with pytest.raises(BusyError) as busy:
            faulty.set_services([(faulty.vm(machine_id(0)), "vss", False)])

        assert not busy.value.may_have_run
        assert busy.value.hint is not None
        assert quota in busy.value.hint
        faulty_bridge.misbehave()
        assert faulty.vms["vm000"].services["vss"].state().enabled

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (5, PermissionDeniedError),
            (2147942405, PermissionDeniedError),
            (2150859180, UnsupportedError),
            (2, CommandFailedError),
            (2152992672, CommandFailedError),
            (2150858793, TransportTimeoutError),
        ],
    )
    def test_what_does_not_pass(self, faulty: Host, faulty_bridge: Bridge, code: int, kind: type[HvError]) -> None:
        faulty_bridge.misbehave(plan=[{"action": "Create", "code": code}])
        with pytest.raises(HvError) as refused:
            faulty.info()
        assert type(refused.value) is kind

    def test_many_changes_in_short_messages(self, faulty: Host, faulty_bridge: Bridge) -> None:
        kinds = ("heartbeat", "kvp", "shutdown", "time_sync", "vss")
        wanted = [(faulty.vm(machine_id(number)), kind, False) for number in range(150) for kind in kinds]

        # Only asked for: making and writing them down one by one takes a host a minute, and no byte more.
        changes = faulty.set_services(wanted, dry_run=True, timeout=120)

        assert [change.outcome for change in changes] == [ChangeOutcome.WOULD_CHANGE] * len(wanted)
