"""PowerShell on another machine, through SSH."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from hvintegration.clock import Deadline, SystemClock
from hvintegration.credential import Credential
from hvintegration.errors import ConfigurationError, HvError
from hvintegration.scripts import Script
from hvintegration.transports.base import Step
from hvintegration.transports.kept_connection import KeptConnection
from hvintegration.transports.ssh.host_keys import parse_pin
from hvintegration.transports.ssh.target import Target, expanded, parse_target

if TYPE_CHECKING:
    from hvintegration.transports.ssh.client import SshClient
    from hvintegration.transports.ssh.powershell import PowerShell

__all__ = ["SSH"]

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_FIRST_TRY: Final = 0.75
"""Of the time for fencing, this share is for trying it over the same connection, the rest for a new one."""


class SSH:
    """PowerShell on a host with an SSH server. Its address is ``ssh://USER@HOST:PORT``.

    The host's key must be a known one; no option turns that off. The connection stays open between calls. How the host
    runs PowerShell is found out once per connection: as the subsystem ``powershell``; by starting ``pwsh -sshs``; or
    else by starting Windows PowerShell once for each call.

    Args:
        host: Its name or IP address, or an alias of the configuration with *use_config*.
        port: The port of its SSH server; 22 if None.
        credential: User and password. With one, neither the agent nor this user's own keys are tried.
        username: The user there, if no credential says it; this system's user name if None.
        host_key: The fingerprint that the host's key must have, as ``ssh-keygen -lf`` shows it (``SHA256:...``), or
            several. Then known_hosts files are not needed.
        known_hosts: The known_hosts files, instead of this user's and this system's.
        key_files: Files of private keys to try, instead of the agent and this user's own.
        passphrase: What opens the key files.
        use_agent: Whether the SSH agent may be asked.
        jump_hosts: Servers to connect through, in order: each an ``SSH``, or ``user@host:port``. The key of each is
            checked.
        use_config: Whether to read ``~/.ssh/config``: HostName, Port, User, IdentityFile, UserKnownHostsFile,
            HostKeyAlias, ProxyJump and ProxyCommand count. It may run programs (ProxyCommand, Match exec), and is
            therefore not read unless asked for.
        program: The PowerShell to start there, as the host's shell takes it, in quotes if it has to be.

    Raises:
        ConfigurationError: An argument is invalid, or two do not go together.

    >>> SSH("hv01.corp.example", username="admin")
    <SSH ssh://admin@hv01.corp.example>
    """

    def __init__(
        self,
        host: str,
        *,
        port: int | None = None,
        credential: Credential | None = None,
        username: str | None = None,
        host_key: str | Sequence[str] | None = None,
        known_hosts: Paths | None = None,
        key_files: Paths | None = None,
        passphrase: str | None = None,
        use_agent: bool = True,
        jump_hosts: Sequence[SSH | str] = (),
        use_config: bool = False,
        program: str | None = None,
    ) -> None:
        if credential is not None and username not in {None, credential.username}:
            raise ConfigurationError(f"The credential is of {credential.username!r}, not of {username!r}.")
        if program is not None and not (program.strip() and program.isprintable()):
            raise ConfigurationError(f"Invalid program {program!r}: it is empty or has control characters.")
        pins = (host_key,) if isinstance(host_key, str) else tuple(host_key or ())
        self._target: Target = Target(
            host=host,
            port=port,
            username=username if credential is None else credential.username,
            credential=credential,
            pins=tuple(map(parse_pin, pins)),
            known_hosts=_paths(known_hosts),
            key_files=_paths(key_files),
            passphrase=passphrase,
            use_agent=use_agent,
            jumps=tuple(map(self._jump, jump_hosts)),
            use_config=use_config,
        )
        target = self._target  # Not self, which may be collected while the connection is open.
        self._connection: Callable[[], _Connection] = lambda: _Connection(target, program)
        self._kept = KeptConnection(self._connection, fences_at_once=False)

    @staticmethod
    def _jump(jump: SSH | str) -> Target:
        return jump._target if isinstance(jump, SSH) else parse_target(jump)  # noqa: SLF001 - of this very class

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __str__(self) -> str:
        return f"ssh://{self._target}"

    @property
    def requests(self) -> int:
        """Messages to PowerShell sent over all connections so far."""
        return self._kept.requests

    def call(self, script: Script, document: str, /, *, timeout: float) -> str:
        """Run *script* on *document*; see :class:`~hvintegration.transports.base.Transport`."""
        return self._kept.call(script, document, timeout)

    def close(self) -> None:
        """End the connection, and PowerShell with it."""
        self._kept.close()

    def steps(self) -> tuple[Step, ...]:
        """Name, port, host key, authentication, PowerShell; see :class:`~hvintegration.transports.base.Checkable`.

        Raises:
            ConfigurationError: The configuration file cannot be read.
        """
        connection = self._connection()

        def step(take: Callable[[Deadline], str], seconds: float) -> str:
            try:
                found = take(Deadline(seconds, SystemClock()))
            except BaseException:
                connection.close()
                raise
            if connection.ready:
                self._kept.keep(connection)
            return found

        return tuple((name, partial(step, take)) for name, take in connection.steps())


def _paths(paths: Paths | None) -> tuple[Path, ...] | None:
    if paths is None:
        return None
    several = (paths,) if isinstance(paths, str | os.PathLike) else paths
    return tuple(map(expanded, several))


class _Connection:
    """An SSH connection and a PowerShell behind it."""

    def __init__(self, target: Target, program: str | None) -> None:
        self._target = target
        self._program = program
        self._address = f"ssh://{target}"
        self._called = False
        self._client = self._new_client()
        self._powershell: PowerShell | None = None

    def _new_client(self) -> SshClient:
        from hvintegration.transports.ssh.client import SshClient

        client = SshClient(self._target.hops(), self._address)
        weakref.finalize(self, client.close)
        return client

    @property
    def requests(self) -> int:
        return 0 if self._powershell is None else self._powershell.requests

    @property
    def ready(self) -> bool:
        """Whether calls can be made."""
        return self._powershell is not None

    def steps(self) -> tuple[tuple[str, Callable[[Deadline], str]], ...]:
        """The steps of opening it, by name."""
        return (*self._client.steps(), ("PowerShell", self._find_powershell))

    def open(self, deadline: Deadline) -> None:
        for _, take in self.steps():
            take(deadline)

    def _find_powershell(self, deadline: Deadline) -> str:
        from hvintegration.transports.ssh.powershell import find_powershell

        self._powershell = find_powershell(self._client, self._program, self._address, deadline)
        weakref.finalize(self, self._powershell.abandon)
        return str(self._powershell)

    def call(self, script: Script, document: str, deadline: Deadline) -> str:
        assert self._powershell is not None
        self._powershell.prepare(deadline)
        self._called = True
        return self._powershell.call(script, document, deadline)

    def close(self) -> None:
        if self._powershell is not None:
            self._powershell.close()
        self._client.close()

    def fence(self, deadline: Deadline) -> bool:
        """Over this connection if it stands, else over a new one: a hung PowerShell outlives its channel."""
        try:
            if self._powershell is not None:
                self._powershell.abandon()
            if not self._called:
                return True
            if self._powershell is None or self._powershell.process is None:
                return False
            if self._client.alive and self._stop(self._client, Deadline(deadline.left() * _FIRST_TRY, SystemClock())):
                return True
            self._client.close()
            self._client = self._new_client()
            with contextlib.suppress(HvError):
                self._client.open(deadline)
                return self._stop(self._client, deadline)
            return False
        finally:
            self._client.close()

    def _stop(self, client: SshClient, deadline: Deadline) -> bool:
        from hvintegration.transports.ssh.powershell import stop_process

        assert self._powershell is not None
        assert self._powershell.process is not None
        return stop_process(self._powershell.again(client), self._powershell.process, deadline)
