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


@pytest.fixture(scope="module")
def local(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Local, Path]]:
    """A PowerShell of this machine, and the file of its world."""
    local = Local(engine)
    yield local, tmp_path_factory.mktemp("local") / "world.json"
    local.close()


@pytest.mark.engine
class TestLocal(TransportContract):
    @pytest.fixture
    def world_file(self, local: tuple[Local, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("HYPERV_WORLD", str(local[1]))
        self.default_world().save(local[1])
        return local[1]

    @pytest.fixture
    def transport(self, local: tuple[Local, Path], world_file: Path) -> Transport:
        return Kept(local[0])

    def test_a_powershell_is_started_again_after_closing(self, local: tuple[Local, Path], world_file: Path) -> None:
        self.test_closing_twice_is_no_error_and_a_transport_can_be_used_again(local[0])


class TestLiveHost(HostContract):
    @pytest.fixture
    def host(self, live_host: Host) -> Host:
        return live_host
