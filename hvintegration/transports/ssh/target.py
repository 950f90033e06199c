"""What a user says of an SSH server, and the servers on the way that follow from it and from ``~/.ssh/config``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from hvintegration.credential import Credential, Passphrase, check_username
from hvintegration.errors import ConfigurationError, Hint
from hvintegration.transports.host_names import check_host
from hvintegration.transports.ssh.host_keys import Trust, system_known_hosts, user_folder, user_known_hosts

if TYPE_CHECKING:
    from hvintegration.transports.ssh.client import Endpoint

__all__ = ["Target", "expanded", "parse_target"]

PORT: Final = 22
_NAMES: Final = re.compile(r'"([^"]*)"|([^\s"]+)')
_PLACEHOLDER: Final = re.compile(r"\$\{([^}]*)\}|%(.?)")


@attrs.frozen
class Target:
    """An SSH server as a user names it; see :class:`~hvintegration.transports.ssh.SSH` for what each means.

    Raises:
        ConfigurationError: The host, the user or the port is none, or the passphrase cannot open anything.
    """

    host: str
    port: int | None = None
    username: str | None = None
    credential: Credential | None = attrs.field(default=None, repr=False)
    pins: tuple[str, ...] = ()
    known_hosts: tuple[Path, ...] | None = None
    key_files: tuple[Path, ...] | None = None
    passphrase: Passphrase | None = None
    use_agent: bool = True
    jumps: tuple[Target, ...] = ()
    use_config: bool = False

    def __attrs_post_init__(self) -> None:
        if not self.host:
            raise ConfigurationError("Invalid host '': it is empty.")
        if self.host.startswith("-"):
            raise ConfigurationError(f"Invalid host {self.host!r}: it begins with a hyphen.")
        if any(not "!" <= sign <= "~" or sign in "@/\\" for sign in self.host):
            raise ConfigurationError(f"Invalid host {self.host!r}: it has a character that no host's name has.")
        if not self.use_config:  # Which may have another name for it.
            check_host(self.host)
        if self.port is not None and not 0 < self.port < 1 << 16:
            raise _invalid_port(self.port)
        if self.username is not None:
            check_username(self.username)
        if self.passphrase is not None:
            self.passphrase.check("passphrase")

    def __str__(self) -> str:
        user = "" if self.username is None else f"{self.username}@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{user}{host}{'' if self.port in {None, PORT} else f':{self.port}'}"

    def hops(self) -> list[Endpoint]:
        """The servers on the way, this one last.

        Raises:
            ConfigurationError: The configuration file cannot be read or names an invalid host, or no user is named and
                this one has no name.
        """
        from hvintegration.transports.ssh.client import Endpoint

        config = _read_config(self.host) if self.use_config else {}
        host = config.get("hostname", self.host)
        port = self.port or _port(config.get("port", str(PORT)))
        jumps = self.jumps
        if not jumps and config.get("proxyjump", "none") != "none":
            jumps = tuple(parse_target(jump.strip()) for jump in config["proxyjump"].split(","))
        username = self.username or config.get("user") or _this_user()
        key_files = self.key_files
        if key_files is None and "identityfile" in config:
            key_files = tuple(path for file in config["identityfile"] if (path := expanded(file)).is_file())
        before = [hop for jump in jumps for hop in jump.hops()]
        proxy_command = None if before else config.get("proxycommand", "none")
        if proxy_command in {None, "none"}:  # A program may know names that no resolver takes.
            check_host(host)
        return [
            *before,
            Endpoint(
                host=host,
                port=port,
                username=username,
                trust=self._trust(config, host, port, username),
                credential=self.credential,
                key_files=key_files,
                passphrase=self.passphrase,
                use_agent=self.use_agent,
                proxy_command=None if proxy_command == "none" else proxy_command,
            ),
        ]

    def _trust(self, config: Mapping[str, str], host: str, port: int, username: str) -> Trust:
        """Which key the server may have. What this user's and this system's files revoke counts, whatever is named."""
        alias, home = config.get("hostkeyalias"), user_folder()
        tokens = {"%": "%", "h": host, "k": alias or self.host, "n": self.host, "p": str(port), "r": username}
        if home is not None:
            tokens["d"] = str(home.parent)

        def named(option: str) -> tuple[Path, ...] | None:
            value = config.get(option.lower())
            return None if value is None else _files(option, value, tokens)

        user, system = user_known_hosts(), system_known_hosts()
        own, shared = named("UserKnownHostsFile"), named("GlobalKnownHostsFile")
        configured = (*(user if own is None else own), *(system if shared is None else shared))
        return Trust(
            host,
            port,
            self.pins,
            configured if self.known_hosts is None else self.known_hosts,
            alias,
            revoking=(*configured, *user, *system),
            revoked=named("RevokedHostKeys") or (),
        )


def parse_target(text: str) -> Target:
    """*text*, such as ``hv01``, ``admin@hv01:2222`` or ``[2001:db8::1]:22``, as a target.

    Raises:
        ConfigurationError: It is none.
    """
    user, _, place = text.rpartition("@")
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = place.partition(":")
    return Target(host, _port(port) if port else None, user or None)


def expanded(path: str | os.PathLike[str]) -> Path:
    """*path*, with the home that it begins with.

    Raises:
        ConfigurationError: There is no such home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigurationError(f"{os.fspath(path)}: nobody has that home.") from None


def _files(option: str, value: str, tokens: Mapping[str, str]) -> tuple[Path, ...]:
    """The files that an option of the configuration names.

    Raises:
        ConfigurationError: There is something in a name that is not known here.
    """

    def meant(found: re.Match[str]) -> str:
        variable, token = found.groups()
        known = tokens.get(token) if variable is None else os.environ.get(variable)
        if known is None:
            raise ConfigurationError(
                f"{option} {value}: nothing is known here for {found[0]}.",
                hint=f"Let {option} name its files without it.",
            )
        return known

    if value.lower() == "none":
        return ()
    # The reader of the configuration has taken the quotation marks off a value that is all in them.
    whole = [value] if expanded(value).is_file() else []
    names = whole or [quoted or plain for quoted, plain in _NAMES.findall(value)]
    return tuple(Path(_PLACEHOLDER.sub(meant, str(expanded(name)))) for name in names if name.strip())


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 1 << 16):  # noqa: PLR2004
        raise _invalid_port(text)
    return int(text)


def _invalid_port(port: object) -> ConfigurationError:
    return ConfigurationError(f"Invalid port {port!r}: it is not a number from 1 to 65535.")


def _this_user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # Python says one or the other, by version and system.
        raise ConfigurationError(
            "This system has no name for the user who runs this, so there is none for SSH.",
            hint=Hint("Name the user: ssh://USER@HOST or SSH(..., username=...).", "Name the user: ssh://USER@HOST."),
        ) from None


def _read_config(host: str) -> dict[str, Any]:
    import paramiko

    folder = user_folder()
    if folder is None:
        return {}
    path = folder / "config"
    try:
        return dict(paramiko.SSHConfig.from_path(str(path)).lookup(host))
    except FileNotFoundError:
        return {}
    except Exception as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
