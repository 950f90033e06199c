"""Addresses: ``transport_for``, and what makes a transport of each scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from hvintegration.credential import Credential
from hvintegration.errors import CREDENTIAL, ConfigurationError, Hint
from hvintegration.transports.base import Transport
from hvintegration.transports.host_names import of_address

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["guest_transport_for", "transport_for"]


def transport_for(
    address: str, *, credential: Credential | None = None, options: Mapping[str, str] | None = None
) -> Transport:
    """The way to the host of that address. Nothing is sent.

    For what goes around a transport, such as ``Host(Recorder(transport_for(address), "bug.jsonl"))``, for
    :meth:`Host.check` of a host that cannot be reached, and for tools whose users name what a transport takes.

    Args:
        address: As :func:`~hvintegration.connect` takes it.
        credential: Likewise.
        options: Other arguments of the address's transport class, as far as they are texts, by name: such as
            ``{"certificate_sha256": "..."}`` of :class:`~hvintegration.WinRM`.

    Raises:
        ConfigurationError: The address or an option is invalid, or they do not go together, or with a credential.
    """
    scheme, separator, rest = address.partition(":")
    if _has_password(rest, is_path=scheme in _MAKERS and not _MAKERS[scheme].takes_credential):
        raise ConfigurationError("An address must not contain a password.", hint=Hint.of("Pass {}.", CREDENTIAL))
    if scheme not in _MAKERS or not separator:
        raise ConfigurationError(
            f"Invalid address {address!r}: it begins with no known scheme.",
            hint=f"Addresses begin with {', '.join(f'{known}:' for known in _MAKERS)}.",
        )
    maker = _MAKERS[scheme]
    given = dict(options or {})
    for name in given:
        if name not in maker.options:
            known = f"It has {', '.join(sorted(maker.options))}." if maker.options else "It has none."
            raise ConfigurationError(f"{scheme}: has no option {name!r}.", hint=known)
    if credential is not None and not maker.takes_credential:
        raise ConfigurationError(f"{scheme}: takes no credential.")
    _check_credential(credential)
    return maker.make(rest, credential, given)


def guest_transport_for(
    address: str, *, credential: Credential | None = None, options: Mapping[str, str] | None = None
) -> Transport:
    """The way into the guest of that address, as :func:`transport_for`. Nothing is sent.

    Args:
        address: As :func:`~hvintegration.connect_guest` takes it.
        credential: Likewise.
        options: Likewise.

    Raises:
        ConfigurationError: As of :func:`transport_for`; or it does not say which guest of a world file is meant.
    """
    given = dict(options or {})
    if address == "sim:":
        given.setdefault("guest", "demovm")
    if address.startswith("sim:") and "guest" not in given:
        raise ConfigurationError(
            f"{address} does not say which guest is meant.",
            hint="Give the option guest, with the name of a virtual machine in that file.",
        )
    return transport_for(address, credential=credential, options=given)


def _check_credential(credential: object) -> None:
    """See to it that it is one, where there is one.

    Raises:
        ConfigurationError: It is something else. It is not repeated, for it may be a password.
    """
    if not isinstance(credential, Credential | None):
        raise ConfigurationError(
            f"Invalid credential: it is no Credential, but of the type {type(credential).__name__}.",
            hint=Hint.of("Pass {}.", CREDENTIAL),
        )


def _has_password(rest: str, *, is_path: bool) -> bool:
    """Whether what follows the scheme seems to have one. Then nothing of it is to be repeated in an error."""
    before, at, _ = rest.rpartition("@")
    # Only what looks like an authority: local:C:\\Users\\me@corp.example is a path.
    return bool(at) and ":" in before and (rest.startswith("//") or not is_path)


def _authority(rest: str) -> SplitResult:
    from urllib.parse import urlsplit  # late, for a light `import hvintegration`

    return urlsplit(f"//{rest.removeprefix('//')}")


@attrs.frozen
class _Maker:
    """What makes transports of one scheme: of what follows it in an address, a credential and options."""

    make: Callable[[str, Credential | None, dict[str, Any]], Transport]
    takes_credential: bool = False
    options: frozenset[str] = frozenset()


def _local(rest: str, _credential: Credential | None, _options: dict[str, Any]) -> Transport:
    from hvintegration.transports.local.transport import Local

    return Local(rest or None)


def _simulator(rest: str, _credential: Credential | None, options: dict[str, Any]) -> Transport:
    from hvintegration.simulator import Simulator, demo_world

    return Simulator(rest or demo_world(), **options)


def _replay(rest: str, _credential: Credential | None, _options: dict[str, Any]) -> Transport:
    from hvintegration.transports.recording.replay import Replay

    return Replay(rest)


def _winrm(rest: str, credential: Credential | None, options: dict[str, Any], *, tls: bool) -> Transport:
    from hvintegration.transports.winrm.transport import WinRM

    host, port, user = _remote(rest)
    if user is not None:
        raise ConfigurationError(
            f"Invalid address {rest!r}: an address of WinRM has no user.",
            hint=Hint.of("Pass {}.", CREDENTIAL),
        )
    return WinRM(host, port=port, tls=tls, credential=credential, **options)


def _ssh(rest: str, credential: Credential | None, options: dict[str, Any]) -> Transport:
    from hvintegration.transports.ssh.transport import SSH

    host, port, user = _remote(rest)
    return SSH(host, port=port, username=user, credential=credential, **options)


def _remote(rest: str) -> tuple[str, int | None, str | None]:
    """Host, port and user of what follows the scheme."""
    from urllib.parse import unquote

    if not rest.isprintable() or any(map(str.isspace, rest)):  # urlsplit would drop some of these.
        why = "it has a space or a control character"
    elif not rest.startswith("//"):
        why = "it does not begin with //"
    else:
        try:
            parts = _authority(rest)
            port = parts.port
        except ValueError:
            why = "its port is not a number from 0 to 65535, or its brackets hold no IPv6 address"
        else:
            if parts.path.strip("/") or parts.query or parts.fragment:
                why = "something follows the host"
            elif parts.hostname:
                return of_address(parts.hostname), port, None if parts.username is None else unquote(parts.username)
            else:
                why = "it names no host"
    raise ConfigurationError(
        f"Invalid address of a host {rest!r}: {why}.", hint="It looks like //HOST or //HOST:PORT after the scheme."
    )


_WINRM_OPTIONS: Final = frozenset(
    {
        "auth",
        "configuration_name",
        "ca_file",
        "certificate_sha256",
        "client_certificate",
        "client_key",
        "proxy",
        "kerberos_hostname",
        "kerberos_service",
        "locale",
    }
)

_SSH_OPTIONS: Final = frozenset({"host_key", "known_hosts", "key_files", "program"})

_MAKERS: Final = {
    "local": _Maker(_local),
    "winrm": _Maker(partial(_winrm, tls=False), takes_credential=True, options=_WINRM_OPTIONS),
    "winrms": _Maker(partial(_winrm, tls=True), takes_credential=True, options=_WINRM_OPTIONS),
    "ssh": _Maker(_ssh, takes_credential=True, options=_SSH_OPTIONS),
    "sim": _Maker(_simulator, options=frozenset({"guest"})),
    "replay": _Maker(_replay),
}
"""By the scheme of an address."""
