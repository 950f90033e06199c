"""What belongs to one process says that it cannot be given to another."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from hvintegration import SSH, Credential, Host, Local, Recorder, Replay, Simulator, WinRM
from hvintegration.simulator import demo_world

WAYS_OUT: Final[list[Callable[[object], object]]] = [pickle.dumps, copy.copy, copy.deepcopy]


@pytest.fixture
def handles(tmp_path: Path) -> list[object]:
    """One of each kind."""
    recorder = Recorder(Simulator(demo_world()), tmp_path / "recording")
    host = Host(recorder)
    vm = host.vms["demovm"]
    return [
        *(host, host.session, host.vms, vm, vm.services, vm.services["vss"]),
        *(recorder, Replay(tmp_path / "recording"), Simulator(demo_world())),
        *(Local("/usr/bin/pwsh"), SSH("hv01"), WinRM("hv01", credential=Credential("admin", "Secret-1"))),
    ]


@pytest.mark.parametrize("way_out", WAYS_OUT, ids=lambda way: way.__name__)
def test_handles_and_transports_say_why_they_stay(handles: list[object], way_out: Callable[[object], object]) -> None:
    for handle in handles:
        with pytest.raises(TypeError) as caught:
            way_out(handle)

        assert str(caught.value) == (
            f"{handle!r} cannot be pickled or copied, for it stands on connections of this process: make the host anew"
            " where it is needed, such as from its address."
        )
        assert "Secret-1" not in str(caught.value)


def test_what_was_read_can_be_given_away() -> None:
    host = Host(Simulator(demo_world()))
    vm = host.vms["demovm"]

    for value in (host.info(), host.inventory(), vm.info(), vm.services.list(), host.session.stats):
        assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value  # noqa: S301 - our own
