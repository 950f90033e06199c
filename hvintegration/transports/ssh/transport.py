"""PowerShell on another machine, through SSH."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.credential import Credential, Passphrase
from hvintegration.errors import ConfigurationError, HvError
from hvintegration.processes import finalize
from hvintegration.scripts import Language
from hvintegration.transports.base import Step
from hvintegration.transports.kept_connection import KeptConnection, KeptTransport
from hvintegration.transports.ssh.host_keys import parse_pin
from hvintegration.transports.ssh.target import Target, expanded, parse_target

if TYPE_CHECKING:
    from hvintegration.transports.ssh.client import SshClient
    from hvintegration.transports.ssh.interpreters import Interpreter

__all__ = ["SSH"]

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_FIRST_TRY: Final = 0.75
"""Of the time for fencing, this share is for trying it over the same connection, the rest for a new one."""


class SSH(KeptTransport):
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
        known_hosts: The known_hosts files, instead of this user's and this system's. What these revoke counts anyway.
        key_files: Files of private keys to try, instead of the agent and this user's own.
        passphrase: What opens the key files.
        use_agent: Whether the SSH agent may be asked.
        jump_hosts: Servers to connect through, in order: each an ``SSH``, or ``user@host:port``. The key of each is
            checked.
        use_config: Whether to read ``~/.ssh/config``: HostName, Port, User, IdentityFile, UserKnownHostsFile,
            GlobalKnownHostsFile, HostKeyAlias, RevokedHostKeys, ProxyJump and ProxyCommand count. It may run programs
            (ProxyCommand, Match exec), and is therefore not read unless asked for.
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
        self._place = host  # First what tracebacks with locals show of this object; they would show the passphrase too.
        opens_keys = None if passphrase is None else Passphrase(passphrase)
        del passphrase
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
            passphrase=opens_keys,
            use_agent=use_agent,
            jumps=tuple(map(self._jump, jump_hosts)),
            use_config=use_config,
        )
        self._place = str(self._target)
        target = self._target  # Not self, which may be collected while the connection is open.
        self._connection: Callable[[], _SSHConnection] = lambda: _SSHConnection(target, program)
        self._kept = KeptConnection(self._connection, address=str(self), fences_at_once=False)

    @staticmethod
    def _jump(jump: SSH | str) -> Target:
        return jump._target if isinstance(jump, SSH) else parse_target(jump)  # noqa: SLF001 - of this very class

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __str__(self) -> str:
        return f"ssh://{self._place}"

    @property
    def requests(self) -> int:
        """Messages to PowerShell sent over all connections so far."""
        return self._kept.requests

    def close(self) -> None:
        """End the connection, and PowerShell with it."""
        self._kept.close()

    def steps(self) -> tuple[Step, ...]:
        """Name, port, host key, authentication, PowerShell; see :class:`~hvintegration.transports.base.Checkable`.

        Raises:
            ConfigurationError: The configuration file cannot be read.
        """
        connection = self._connection()

        def step(take: Callable[[Deadline], str], deadline: Deadline) -> str:
            try:
                found = take(deadline)
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


class _SSHConnection:
    """An SSH connection, and the interpreters behind it, each looked for when it is needed."""

    def __init__(self, target: Target, program: str | None) -> None:
        self._target = target
        self._program = program
        self._address = f"ssh://{target}"
        self._client = self._new_client()
        self._interpreters: dict[Language, Interpreter] = {}
        self._called: Interpreter | None = None

    def _new_client(self) -> SshClient:
        from hvintegration.transports.ssh.client import SshClient

        client = SshClient(self._target.hops(), self._address)
        finalize(self, client.close)
        return client

    @property
    def requests(self) -> int:
        return sum(interpreter.requests for interpreter in self._interpreters.values())

    @property
    def sent(self) -> bool:
        return self._called is not None and self._called.sent

    @property
    def ready(self) -> bool:
        """Whether all steps have been taken."""
        return Language.POWERSHELL in self._interpreters

    def steps(self) -> tuple[Step, ...]:
        """The steps on the way to a PowerShell, by name."""
        return (
            *self._client.steps(),
            ("PowerShell", lambda deadline: str(self._interpreter(Language.POWERSHELL, deadline))),
        )

    def open(self, deadline: Deadline) -> None:
        self._client.open(deadline)

    def _interpreter(self, language: Language, deadline: Deadline) -> Interpreter:
        from hvintegration.transports.ssh.interpreters import find_interpreter

        if language not in self._interpreters:
            found = find_interpreter(language, self._client, self._program, self._address, deadline)
            finalize(self, found.abandon)
            self._interpreters[language] = found
        return self._interpreters[language]

    def prepare(self, call: Call, deadline: Deadline) -> None:
        self._called = None
        interpreter = self._interpreter(call.script.language, deadline)
        interpreter.prepare(call, deadline)
        self._called = interpreter

    def call(self, call: Call, deadline: Deadline) -> str:
        assert self._called is not None
        return self._called.call(call, deadline)

    def close(self) -> None:
        for interpreter in self._interpreters.values():
            interpreter.close()
        self._client.close()

    def break_off(self) -> None:
        self._client.close()

    def fence(self, deadline: Deadline) -> bool:
        """Over this connection if it stands, else over a new one: a hung interpreter outlives its channel."""
        from hvintegration.transports.ssh.interpreters import stop_process

        hung = self._called
        try:
            for interpreter in self._interpreters.values():
                interpreter.abandon()
            if hung is None:
                return True
            if hung.process is None:
                return False
            if self._client.alive and stop_process(hung, self._client, deadline.within(deadline.left() * _FIRST_TRY)):
                return True
            self._client.close()
            self._client = self._new_client()
            with contextlib.suppress(HvError):
                self._client.open(deadline)
                return stop_process(hung, self._client, deadline)
            return False
        finally:
            self._client.close()
