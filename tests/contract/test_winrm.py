"""The transport contract over WinRM, on a real PowerShell behind the WSMan bridge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hvintegration import Credential, Host, Transport, WinRM
from hvintegration.testing import TransportContract

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


class TestBasicOverTLS(WinRMContract):
    """A certificate of an authority that is trusted by a file."""

    @pytest.fixture
    def transport(self, tls_bridge: Bridge, world_file: Path, certificate: Certificate) -> Transport:
        who = Credential("admin", "Secret-1")
        port = tls_bridge.port
        return WinRM("localhost", port=port, tls=True, credential=who, auth="basic", ca_file=certificate.path)


class TestConstrainedLanguage(WinRMContract):
    @pytest.fixture
    def transport(self, constrained_bridge: Bridge, world_file: Path) -> Transport:
        return WinRM("127.0.0.1", port=constrained_bridge.port, credential=WHO)

    def test_the_language_is_constrained(self, host: Host) -> None:
        assert host.info().language_mode == "ConstrainedLanguage"


class TestRestrictedEndpoint(WinRMContract):
    """An endpoint that runs no scripts, with the role for operators."""

    @pytest.fixture
    def transport(self, restricted_bridge: Bridge, world_file: Path) -> Transport:
        return WinRM("127.0.0.1", port=restricted_bridge.port, credential=WHO, configuration_name="HvIntegration")
