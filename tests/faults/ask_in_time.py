"""Asks for an inventory over a program, and says how it went and how many megabytes it took.

python ask_in_time.py SECONDS GRACE PROGRAM ...
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

# As in fake_powershell.py.
sys.modules["tests"] = ModuleType("tests")
sys.modules["tests"].__path__ = [str(Path(__file__).resolve().parents[1])]

from hvintegration import Host, Local  # noqa: E402
from hvintegration.errors import ProtocolError, TransportTimeoutError  # noqa: E402
from tests.support.time_limit import within  # noqa: E402


def megabytes() -> int:
    """The most that this process has had in memory so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


if __name__ == "__main__":
    seconds, grace = map(float, sys.argv[1:3])
    with Host(Local(sys.argv[3:])) as host:
        before = megabytes()
        with within(seconds + grace):
            try:
                host.inventory(timeout=seconds)
            except (ProtocolError, TransportTimeoutError) as error:
                sys.stdout.write(f"{type(error).__name__} {megabytes() - before} {error}\n")
