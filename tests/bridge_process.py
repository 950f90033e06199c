"""Runs a WSMan endpoint until standard input ends.

    python bridge_process.py MODULE ARGUMENTS

MODULE is the file of a Python module with a function ``serve``, ARGUMENTS are those of the function, in JSON. The port
is printed.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from types import ModuleType


def wait_for_acknowledgements(module: ModuleType) -> None:
    """Have it write a packet to PowerShell once the one before is acknowledged: else PowerShell may mix them up."""
    write = module.Shell.data

    def data(shell: object, payload: bytes, guid: str = module.NULL, stream: str = "Default") -> None:
        acknowledged = shell.acks.setdefault(("DataAck", guid), threading.Event())  # type: ignore[attr-defined]
        acknowledged.clear()
        write(shell, payload, guid, stream)
        acknowledged.wait(10)

    module.Shell.data = data


if __name__ == "__main__":
    spec = importlib.util.spec_from_file_location("wsman_bridge", sys.argv[1])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    wait_for_acknowledgements(module)
    server = module.serve(**json.loads(sys.argv[2]))
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    for shell in list(server.endpoint.shells.values()):
        shell.close()
