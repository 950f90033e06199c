"""The transport contract, on everything that can answer it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvintegration import Host, Local, Simulator, Transport, VirtualClock
from hvintegration.testing import HostContract, TransportContract


class TestSimulator(TransportContract):
    @pytest.fixture
    def transport(self, world_file: Path) -> Transport:
        return Simulator(world_file, clock=VirtualClock())


@pytest.mark.engine
class TestLocalEngine(TransportContract):
    @pytest.fixture
    def transport(self, engine: str, world_file: Path, monkeypatch: pytest.MonkeyPatch) -> Transport:
        monkeypatch.setenv("HYPERV_WORLD", str(world_file))
        return Local(engine)


@pytest.mark.engine
class TestConstrainedLanguage(TransportContract):
    @pytest.fixture
    def transport(self, engine: str, world_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Transport:
        monkeypatch.setenv("HYPERV_WORLD", str(world_file))
        session = tmp_path / "constrained.pssc"
        session.write_text(
            "@{ SchemaVersion = '2.0.0.0'; GUID = '5f0c2f0e-0000-4000-8000-000000000001';"
            " SessionType = 'Default'; LanguageMode = 'ConstrainedLanguage' }"
        )
        return Local([engine, "-ConfigurationFile", str(session)])

    def test_the_language_is_constrained(self, host: Host) -> None:
        assert host.info().language_mode == "ConstrainedLanguage"


class TestLiveHost(HostContract):
    @pytest.fixture
    def host(self, live_host: Host) -> Host:
        return live_host
