"""An SSH server in this process, with a PowerShell of fake_powershell.py behind it, that misbehaves on purpose."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

FAKE = Path(__file__).parents[1] / "faults" / "fake_powershell.py"
PASSWORD = "Passw0rd!"


class Loopback:
    """A server on a port of this machine. *behaviour* is its own, or the fake PowerShell's; see both."""

    def __init__(self, world: Path, behaviour: str = "none", *, once: Path | None = None) -> None:
        self.behaviour = behaviour
        self.command = [sys.executable, str(FAKE), behaviour, str(world), *([str(once)] if once else [])]
        self.key = paramiko.ECDSAKey.generate()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[Callable[[], object]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self._listener.accept()
                self._open.append(accepted.close)
                transport = paramiko.Transport(accepted)
                transport.set_log_channel("hvintegration.paramiko")
                self._open.append(transport.close)
                transport.add_server_key(self.key)
                transport.start_server(event=threading.Event(), server=_Manners(self))

    def serve(self, channel: paramiko.Channel) -> None:
        process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        output, complaints, target = process.stdout, process.stderr, process.stdin

        def copy(read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                while chunk := read(65536):
                    write(chunk)

        def forward() -> None:
            copy(channel.recv, target.write)
            target.close()
            process.wait() if channel.closed else None

        copies = [
            threading.Thread(target=copy, args=(output.read, channel.sendall), daemon=True),
            threading.Thread(target=copy, args=(complaints.read, channel.sendall_stderr), daemon=True),
        ]
        for thread in copies:
            thread.start()
        threading.Thread(target=forward, daemon=True).start()
        self._open.append(process.kill)
        process.wait()
        for thread in copies:
            thread.join()
        output.close()
        complaints.close()
        if self.behaviour == "die-within-answer":
            channel.get_transport().close()  # A lost connection, not an orderly end.
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # The client may be gone.
            channel.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for close in self._open:
            close()


class _Manners(paramiko.ServerInterface):
    def __init__(self, server: Loopback) -> None:
        self._server = server

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        return AUTH_SUCCESSFUL if password == PASSWORD else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        return name == "powershell" and self._server.behaviour != "subsystem-refused" and self._start(channel)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return b"-sshs" in command and self._start(channel)

    def _start(self, channel: paramiko.Channel) -> bool:
        threading.Thread(target=self._server.serve, args=(channel,), daemon=True).start()
        return True
