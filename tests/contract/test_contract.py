"""The contract of transports and of interpreters, on all of those that run in this process or under it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hvintegration import Host, Local, Recorder, Simulator, Transport, VirtualClock
from hvintegration.testing import HostContract, ScriptsContract, TransportContract
from tests.support.kept import Kept

# -- interpreters of the scripts -------------------------------------------------------------------------------------


class TestScriptsOfTheSimulator(ScriptsContract):
    @pytest.fixture
    def transport(self, world_file: Path) -> Transport:
        return Simulator(world_file, clock=VirtualClock())


@pytest.fixture(scope="module", params=["full language", "constrained language", "functions"])
def interpreter(
    request: pytest.FixtureRequest,
    engine: str,
    constrained_session: Path,
    restricted_session: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Local, Path]]:
    """A PowerShell that runs scripts, or the functions of a restricted endpoint; and the file of its world."""
    sessions = {"constrained language": constrained_session, "functions": restricted_session}
    session = sessions.get(request.param)
    world = tmp_path_factory.mktemp("scripts") / "world.json"
    local = Local([engine] if session is None else [engine, "-ConfigurationFile", str(session)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPERV_WORLD", str(world))
        yield local, world
    local.close()


@pytest.mark.engine
class TestScriptsOnTheEngine(ScriptsContract):
    @pytest.fixture
    def world_file(self, interpreter: tuple[Local, Path]) -> Path:
        self.default_world().save(interpreter[1])
        return interpreter[1]

    @pytest.fixture
    def transport(self, interpreter: tuple[Local, Path], world_file: Path) -> Transport:
        return Kept(interpreter[0])

    @pytest.mark.parametrize(
        ("interpreter", "mode"),
        [("full language", "FullLanguage"), ("constrained language", "ConstrainedLanguage")],
        indirect=["interpreter"],
    )
    def test_the_language_is_what_it_is_said_to_be(self, host: Host, mode: str) -> None:
        assert host.info().language_mode == mode


# -- transports ------------------------------------------------------------------------------------------------------


class TestSimulator(TransportContract):
    @pytest.fixture
    def transport(self, world_file: Path) -> Transport:
        return Simulator(world_file, clock=VirtualClock())


class TestRecorder(TransportContract):
    @pytest.fixture
    def transport(self, world_file: Path, tmp_path: Path) -> Transport:
        return Recorder(Simulator(world_file, clock=VirtualClock()), tmp_path / "recording.jsonl", secrets=["demovm"])


@pytest.mark.engine
class TestLocal(TransportContract):
    @pytest.fixture
    def transport(self, engine: str, world_file: Path, monkeypatch: pytest.MonkeyPatch) -> Transport:
        monkeypatch.setenv("HYPERV_WORLD", str(world_file))
        return Local(engine)


class TestLiveHost(HostContract):
    @pytest.fixture
    def host(self, live_host: Host) -> Host:
        return live_host
