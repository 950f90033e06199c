"""What another side sends ends in time and in little memory, whatever it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.amounts import some_by_day
from tests.support.time_limit import GRACE

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc: the memory of a process")

FAKE = Path(__file__).with_name("fake_powershell.py")
ASKING = Path(__file__).with_name("ask_in_time.py")

SECONDS = 3.0

MOST_MEGABYTES = 300
"""What an answer of the most bytes and parts may take; the rest of what is here would take gigabytes."""

HOSTILE = (
    "begun-messages",
    "empty-fragments",
    "small-records",
    "foreign-packets",
    "empty-lines",
    "empty-lists",
    "nested-lists",
    "closing-brackets",
    "many-fields",
    "many-numbers",
    "long-numbers",
    "many-quotes",
    "elements",
    "properties",
    "attributes",
    "long-tag",
    "long-text-tag",
    "large-record",
)


@pytest.mark.parametrize("behaviour", some_by_day(HOSTILE, HOSTILE[::3]))
def test_it_ends_in_time_and_in_little_memory(world_file: Path, behaviour: str) -> None:
    program = [sys.executable, str(FAKE), behaviour, str(world_file)]
    asking = [sys.executable, str(ASKING), str(SECONDS), str(GRACE), *program]
    done = subprocess.run(asking, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    kind, megabytes, _ = done.stdout.split(maxsplit=2)
    assert kind in {"ProtocolError", "TransportTimeoutError"}
    assert int(megabytes) < MOST_MEGABYTES
