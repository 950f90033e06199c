"""What ``import hvintegration`` costs, against importing a transport library."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time


def milliseconds(statement: str, times: int = 15) -> float:
    """Median time of a fresh Python that runs *statement*."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def test_import() -> None:
    nothing = milliseconds("pass")
    ours = milliseconds("import hvintegration") - nothing
    used = milliseconds("import hvintegration as hv; hv.connect") - nothing
    theirs = milliseconds("import pypsrp.client") - nothing

    print(f"\n  import hvintegration   {ours:6.0f} ms   (limit 80)")
    print(f"    and all that connect() needs, loaded with the first use: {used:4.0f} ms")
    print(f"  import pypsrp.client   {theirs:6.0f} ms")
