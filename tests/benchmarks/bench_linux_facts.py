"""What it costs a Linux guest to be asked: the script of all facts, in each shell, on this machine as it is.

Processor time, of the shell and of what it runs: that of a machine with much to do as well.
"""

from __future__ import annotations

import json
import resource
import shlex
import shutil
import statistics
import subprocess

from hvintegration.operations.linux_facts import looked_for
from hvintegration.scripts import SH_GET_GUEST, loader_arguments

RUNS = 5


def seconds(shell: str, *, available: bool) -> float:
    """The median of some runs."""
    document = json.dumps(looked_for(available=available))
    data = f"{SH_GET_GUEST.text}\n#document\n{document}\n#end\n".encode()
    command = [*shell.split(), *shlex.split(loader_arguments())]
    taken: list[float] = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, input=data, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert b"<hvintegration answer>" in done.stdout
    return statistics.median(taken)


def main() -> None:
    """Print it."""
    for shell in ("dash", "busybox sh", "bash", "mksh", "ksh"):
        if shutil.which(shell.partition(" ")[0]) is not None:
            plain, more = (seconds(shell, available=available) for available in (False, True))
            print(f"{shell:12} {plain * 1000:6.0f} ms; with what could be installed {more * 1000:6.0f} ms")


if __name__ == "__main__":
    main()
