"""The transport contract over WinRM, on a real PowerShell behind the WSMan bridge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hvintegration import Credential, Host, Transport, WinRM
from hvintegration.testing import TransportContract
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


class TestRestrictedEndpoint(WinRMContract):
    """An endpoint that runs no scripts, with the role for operators."""

    @pytest.fixture
    def transport(self, restricted: WinRM, world_file: Path) -> Transport:
        return Kept(restricted)
