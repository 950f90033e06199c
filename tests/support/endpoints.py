"""Ways to a host through a proxy that misbehaves, all alike, so that one test can be run on each of them.

with WSManEndpoint() as endpoint, endpoint.host() as host:
    endpoint.proxy.strike("reset", after_bytes_up=100)
    ...
    assert endpoint.journal() == [...]
assert endpoint.left() == {}                            # some seconds later, see wait_until
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from hvintegration import SSH, Credential, Host, WinRM, World
from hvintegration.simulator import demo_world
from tests.support.closing import Closing
from tests.support.fault_proxy import FaultProxy
from tests.support.ssh_server import SSHServer, Way
from tests.support.wsman_server import WSManServer

if TYPE_CHECKING:
    from tests.conftest import Bridge
    from tests.support.sshd import Sshd

SECONDS_TO_CLEAN_UP: Final = 15.0
"""What is left of a call is ended behind the caller's back; that takes no longer, on a machine with much to do."""


class Endpoint(Protocol):
    """A host behind a proxy."""

    proxy: FaultProxy

    def host(self) -> Host:
        """A new way to it, through the proxy."""
        ...

    def journal(self) -> list[str]:
        """The changes that were made over there, such as ``disable demovm vss``."""
        ...

    def left(self) -> dict[str, int]:
        """What is there of sessions, commands and scripts, by name; empty if nothing is."""
        ...

    def forget(self) -> None:
        """End, over there, what nobody can end from here any more."""
        ...


class WSManEndpoint(Closing):
    """The WSMan server of this folder, over the demonstration's world.

    Args:
        tls: Basic over TLS instead of NTLM with sealed messages.
        world: Another world.
        username: Who may come in.
        password: With which password.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        world: World | None = None,
        username: str = "admin",
        password: str = "Loopback-1",
    ) -> None:
        self.world = world or demo_world()
        self.server = WSManServer(self.world, tls=tls, username=username, password=password)
        self.proxy = FaultProxy(self.server.host, self.server.port)

    def close(self) -> None:
        wait_until(_nothing_is_fenced)
        self.proxy.close()
        self.server.close()

    def transport(self) -> WinRM:
        return self._transport(self.proxy.port)

    def host(self) -> Host:
        return Host(self.transport())

    def direct_host(self) -> Host:
        """A way past the proxy."""
        return Host(self._transport(self.server.port))

    def _transport(self, port: int) -> WinRM:
        who = Credential(self.server.username, self.server.password)
        if self.server.certificate is None:
            return WinRM(self.proxy.host, port=port, credential=who, auth="ntlm")
        pinned = self.server.certificate.sha256
        return WinRM(self.proxy.host, port=port, credential=who, auth="basic", tls=True, certificate_sha256=pinned)

    def journal(self) -> list[str]:
        return list(self.world.journal)

    def left(self) -> dict[str, int]:
        server = self.server
        found = {"shells": server.open_shells, "commands": server.open_commands, "scripts": server.running_scripts}
        return {name: number for name, number in found.items() if number}

    def forget(self) -> None:
        self.server.shells.close()


class BridgeEndpoint(Closing):
    """A real PowerShell behind a WSMan bridge, which answers from a world file."""

    def __init__(self, bridge: Bridge, world_file: Path) -> None:
        self.world_file = world_file
        self.proxy = FaultProxy("127.0.0.1", bridge.port)
        self._bridge = bridge

    def close(self) -> None:
        wait_until(_nothing_is_fenced)
        self.proxy.close()

    def host(self) -> Host:
        who = Credential("BRIDGE\\admin", "Secret-1")
        return Host(WinRM(self.proxy.host, port=self.proxy.port, credential=who, auth="ntlm"))

    def journal(self) -> list[str]:
        return World.load(self.world_file).journal

    def left(self) -> dict[str, int]:
        shells = self._bridge.stats()["shells"]
        return {"shells": shells} if shells else {}

    def forget(self) -> None:
        self._bridge.misbehave(idle_s=0)
        with contextlib.suppress(Exception), self.host() as host:  # Shells are looked at when a request comes.
            host.info()
        self._bridge.misbehave()


def _nothing_is_fenced() -> bool:
    """Whether nothing goes on behind the caller's back, which would try for long to reach what is closed."""
    return not any(thread.name == "hvintegration fence" for thread in threading.enumerate())


class SSHEndpoint(Closing):
    """The SSH server of this folder, over the demonstration's world.

    Args:
        way: How PowerShell is reached.
        world: Another world.
        username: Who may come in.
        password: With which password.
    """

    def __init__(
        self,
        way: Way = "subsystem",
        *,
        world: World | None = None,
        username: str = "admin",
        password: str = "Loopback-1",
    ) -> None:
        self.world = world or demo_world()
        self.server = SSHServer(self.world, username=username, password=password, ways=frozenset({way}))
        self.proxy = FaultProxy(self.server.host, self.server.port)

    def close(self) -> None:
        self.proxy.close()
        self.server.close()

    def transport(self) -> SSH:
        who = Credential(self.server.username, self.server.password)
        return SSH(self.proxy.host, port=self.proxy.port, credential=who, host_key=self.server.fingerprint)

    def host(self) -> Host:
        return Host(self.transport())

    def journal(self) -> list[str]:
        return list(self.world.journal)

    def left(self) -> dict[str, int]:
        server = self.server
        found = {
            "connections": server.connections,
            "PowerShells": server.powershells,
            "scripts": server.running_scripts,
        }
        return {name: number for name, number in found.items() if number}

    def forget(self) -> None:
        self.server.end_connections()


class SshdEndpoint(Closing):
    """A real OpenSSH server with a real PowerShell behind it."""

    def __init__(self, server: Sshd, **options: object) -> None:
        self.server = server
        self.proxy = FaultProxy("127.0.0.1", server.port)
        self._options = options

    def close(self) -> None:
        self.proxy.close()

    def host(self) -> Host:
        return Host(self.server.ssh(port=self.proxy.port, host_key=self.server.host_key, **self._options))

    def journal(self) -> list[str]:
        return World.load(self.server.world).journal

    def left(self) -> dict[str, int]:
        engines = self.server.engines()
        return {"PowerShells": engines} if engines else {}

    def forget(self) -> None:
        self.proxy.thaw()


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS_TO_CLEAN_UP) -> bool:
    """Whether *condition* comes true within *seconds*."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True
