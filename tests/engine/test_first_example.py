"""The first example, as a script of its own in a folder of its own, against the engine with a German world."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hvintegration import World
from hvintegration.testing import TransportContract

EXAMPLE = Path(__file__).with_name("first_example.py")


@pytest.mark.engine
def test_it_says_the_same_on_the_engine_and_on_the_simulator(engine: str, tmp_path: Path) -> None:
    script = tmp_path / "elsewhere" / "example.py"
    script.parent.mkdir()
    script.write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    said = []
    for address, name in ((f"local:{engine}", "engine.json"), (f"sim:{tmp_path / 'simulated.json'}", "simulated.json")):
        world = tmp_path / name
        TransportContract.default_world().save(world)
        env = os.environ | {"HYPERV_WORLD": str(world), "PYTHONIOENCODING": "utf-8", "PYTHONSAFEPATH": "1"}
        done = subprocess.run(
            [sys.executable, str(script), address],
            cwd=script.parent,
            env=env,
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=120,
        )
        assert done.stderr == ""
        assert World.load(world).journal == ["enable demovm guest_service_interface"]
        said.append(done.stdout)

    assert said[0] == said[1]
    assert said[0].startswith("de-DE\ndemovm 3f1b1a52-0000-4000-8000-000000000001\n")
    assert "Austausch von Schlüsselwertepaaren" in said[0]
    assert "\nGastdienstschnittstelle\n" in said[0]
    assert said[0].endswith("12 round trips\n")
