"""The transport contract, on everything that can answer it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hvintegration import Host, Local, Recorder, Simulator, Transport, VirtualClock
from hvintegration.testing import HostContract, TransportContract
from tests.support.kept import Kept


class TestSimulator(TransportContract):
    @pytest.fixture
    def transport(self, world_file: Path) -> Transport:
        return Simulator(world_file, clock=VirtualClock())


class TestRecorder(TransportContract):
    @pytest.fixture
    def transport(self, world_file: Path, tmp_path: Path) -> Transport:
        return Recorder(Simulator(world_file, clock=VirtualClock()), tmp_path / "recording.jsonl", secrets=["demovm"])


@pytest.mark.engine
class TestLocalEngine(TransportContract):
    @pytest.fixture
    def transport(self, engine: str, world_file: Path, monkeypatch: pytest.MonkeyPatch) -> Transport:
        monkeypatch.setenv("HYPERV_WORLD", str(world_file))
        return Local(engine)


@pytest.fixture(scope="class")
def constrained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("constrained")


@pytest.fixture(scope="class")
def constrained_process(engine: str, constrained_folder: Path, constrained_session: Path) -> Iterator[Local]:
    yield from process(engine, constrained_folder, constrained_session)


def process(engine: str, folder: Path, session: Path) -> Iterator[Local]:
    """A process for a session of that configuration, over the world file in *folder*."""
    local = Local([engine, "-ConfigurationFile", str(session)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPERV_WORLD", str(folder / "world.json"))
        yield local
    local.close()


@pytest.mark.engine
class TestConstrainedLanguage(TransportContract):
    @pytest.fixture
    def world_file(self, constrained_folder: Path) -> Path:
        self.default_world().save(constrained_folder / "world.json")
        return constrained_folder / "world.json"

    @pytest.fixture
    def transport(self, constrained_process: Local, world_file: Path) -> Transport:
        return Kept(constrained_process)

    def test_the_language_is_constrained(self, host: Host) -> None:
        assert host.info().language_mode == "ConstrainedLanguage"


@pytest.fixture(scope="class")
def restricted_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("restricted")


@pytest.fixture(scope="class")
def restricted_process(engine: str, restricted_folder: Path, restricted_session: Path) -> Iterator[Local]:
    yield from process(engine, restricted_folder, restricted_session)


@pytest.mark.engine
class TestRestrictedEndpoint(TransportContract):
    """With the role for operators, whose keys are put into the session file: the engine takes no RoleDefinitions."""

    @pytest.fixture
    def world_file(self, restricted_folder: Path) -> Path:
        self.default_world().save(restricted_folder / "world.json")
        return restricted_folder / "world.json"

    @pytest.fixture
    def transport(self, restricted_process: Local, world_file: Path) -> Transport:
        return Kept(restricted_process)


class TestLiveHost(HostContract):
    @pytest.fixture
    def host(self, live_host: Host) -> Host:
        return live_host
