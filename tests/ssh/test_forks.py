"""A process that is forked leaves alone what its parent has open over real OpenSSH servers. See ``forking.py``."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.amounts import some_by_day
from tests.support.endpoints import wait_until
from tests.support.forks import ON_THE_ENGINE, check

if TYPE_CHECKING:
    from tests.support.sshd import Sshd

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]

RELAY: Final = """
import os, socket, sys, threading

server = socket.create_connection((sys.argv[1], int(sys.argv[2])))


def answers():
    while piece := server.recv(65536):
        os.write(1, piece)
    os._exit(0)


threading.Thread(target=answers).start()
while piece := os.read(0, 65536):
    server.sendall(piece)
server.shutdown(socket.SHUT_WR)
"""
"""What may carry an SSH connection, as nc does."""


@pytest.mark.parametrize("scenario", ON_THE_ENGINE)
@pytest.mark.parametrize("through", some_by_day(["nothing", "a jump host", "a program"], ["nothing"]))
def test_over_a_real_server(
    start_sshd: Callable[..., Sshd],
    engine: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    scenario: str,
    through: str,
) -> None:
    server = start_sshd(f"Subsystem powershell {engine} -sshs -NoLogo -NoProfile")
    arguments: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "username": getpass.getuser(),
        "host_key": server.host_key,
        "key_files": str(server.key_file),
    }
    if through == "a jump host":
        arguments["jump_hosts"] = [arguments.copy()]
    if through == "a program":
        (tmp_path / "relay.py").write_text(RELAY)
        (tmp_path / ".ssh").mkdir()
        relay = f"{sys.executable} {tmp_path / 'relay.py'} %h {server.port}"
        (tmp_path / ".ssh" / "config").write_text(f"Host *\n  ProxyCommand {relay}\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        arguments["use_config"] = True

    check(scenario, "SSH", **arguments)

    assert wait_until(lambda: server.engines() == 0)
