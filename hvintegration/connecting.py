"""``connect`` and ``connect_guest``: from an address to what has answered there."""

from __future__ import annotations

from collections.abc import Mapping

from hvintegration.addresses import guest_transport_for, transport_for
from hvintegration.clock import Deadline
from hvintegration.credential import Credential
from hvintegration.guest import Guest
from hvintegration.guest_models import GuestFamily
from hvintegration.host import Host
from hvintegration.session_owner import opened

__all__ = ["connect", "connect_guest"]

CONNECT_TIMEOUT = 30.0


def connect(
    address: str,
    *,
    credential: Credential | None = None,
    timeout: float | Deadline = CONNECT_TIMEOUT,
    options: Mapping[str, str] | None = None,
) -> Host:
    """A host that has answered once. One round trip.

    Args:
        address: ``winrm://HOST`` or ``winrm://HOST:PORT`` for a remote host, ``winrms://`` for one over TLS;
            ``ssh://HOST`` for one with an SSH server, ``ssh://USER@HOST:PORT`` in full;
            ``local:`` for this machine (``local:PATH`` for a certain PowerShell), ``sim:`` for a simulated host
            (``sim:FILE`` for one of your own), ``replay:FILE`` for a recording.
        credential: Who asks; this user if None. ``local:``, ``sim:`` and ``replay:`` take none.
        timeout: Seconds for connecting and for the first answer, or a :class:`~hvintegration.Deadline`.
        options: Other arguments of the address's transport class, as far as they are texts, by name.

    Raises:
        ConfigurationError: The address or an option is invalid, or they do not go together, or with a credential.
        PermissionDeniedError: This user may not manage Hyper-V there.
        UnsupportedError: The host has no Hyper-V module.
        RemoteError: The host refused otherwise.
        TransportError: There is no usable answer.
    """
    return opened(Host(transport_for(address, credential=credential, options=options)), timeout)


def connect_guest(
    address: str,
    *,
    credential: Credential | None = None,
    timeout: float | Deadline = CONNECT_TIMEOUT,
    options: Mapping[str, str] | None = None,
    family: GuestFamily | str | None = None,
    sudo_password: str | None = None,
) -> Guest:
    """A guest that has answered once, reached by an address of its own. One round trip.

    Through its host, without a network of its own, ``vm.guest(credential=...)`` reaches it.

    Args:
        address: ``winrm://HOST``, ``winrms://HOST`` or ``ssh://HOST`` as :func:`connect` takes them; ``local:`` inside
            the guest itself, in a Linux guest by its ``/bin/sh``; ``sim:`` for a simulated guest (``sim:FILE`` for one
            in a world file of your own, whose name the option ``guest`` gives), ``replay:FILE`` for a recording.
        credential: Who asks; this user if None. ``local:``, ``sim:`` and ``replay:`` take none.
        timeout: Seconds for connecting and for the first answer, or a :class:`~hvintegration.Deadline`.
        options: Other arguments of the address's transport class, as far as they are texts, by name.
        family: What kind of system it is: ``windows``, ``linux`` or ``freebsd``. If None it is asked: PowerShell first,
            and where that is not there, or has no integration services, a shell.
        sudo_password: What ``sudo`` asks for in a Linux guest, as :class:`Guest` takes it.

    Raises:
        ConfigurationError: The address, an option or a password is invalid, or they do not go together.
        AuthenticationError: The guest does not take the credential, or its ``sudo`` the password.
        UnsupportedError: It is neither a Windows guest that PowerShell can ask nor a Linux guest.
        RemoteError: The guest refused otherwise.
        TransportError: There is no usable answer.
        DecodeError: The answer has an unknown shape.
    """
    transport = guest_transport_for(address, credential=credential, options=options)
    return opened(Guest(transport, family=family, sudo_password=sudo_password), timeout)
