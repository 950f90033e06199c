"""PowerShell on a remote host, over WinRM."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final

from hvintegration.credential import Credential, Passphrase, has_control
from hvintegration.errors import CREDENTIAL, ConfigurationError, Hint, argument, excerpt
from hvintegration.transports.base import Step
from hvintegration.transports.host_names import check_host, in_address
from hvintegration.transports.kept_connection import KeptConnection, KeptTransport
from hvintegration.transports.winrm.host_record import HostRecord

if TYPE_CHECKING:
    from hvintegration.transports.winrm.connection import WinRMConnection
    from hvintegration.transports.winrm.target import WSManTarget

__all__ = ["WinRM"]

_TLS: Final = Hint("winrms:// or tls=True", "winrms://")
AUTHENTICATIONS: Final = ("negotiate", "kerberos", "ntlm", "credssp", "certificate", "basic")
HTTP_PORT: Final = 5985
HTTPS_PORT: Final = 5986


class WinRM(KeptTransport):
    r"""PowerShell on a remote host, over WinRM. Its address is ``winrm://HOST:PORT``, or ``winrms://`` over TLS.

    Nothing is ever sent in the clear: without TLS, messages are encrypted by the authentication (Kerberos, NTLM or
    CredSSP), and what cannot do that is refused. A runspace pool over there stays warm between calls. It is closed by
    :meth:`close`, after any failure, when this process ends, and by the host itself when it was not used for 15
    minutes; the next call opens another one. Two connections are used: what is over is told to the host over the
    second, so that nobody waits for it.

    Args:
        host: Name or IP address.
        port: 5985 if None, or 5986 over TLS.
        tls: Whether to use HTTPS.
        credential: Who asks. None is the user who runs this: on Windows whoever is logged on, elsewhere the Kerberos
            ticket in the cache.
        auth: How to authenticate: ``negotiate`` (Kerberos where possible, else NTLM), ``kerberos``, ``ntlm``,
            ``credssp`` (hands the password to the host, which may then go on to others), ``certificate`` or
            ``basic``. The last two need TLS.
        configuration_name: The endpoint on the host, such as ``PowerShell.7``, or one made by ``hvintegration jea``.
        ca_file: File with the certificates (PEM) of the authorities to trust, instead of the system's.
        certificate_sha256: SHA-256 fingerprint, in hexadecimal, of the host's own certificate. It is then trusted
            whoever signed it, and no other is. Colons and spaces do not matter.
        client_certificate: File with the certificate (PEM) of ``auth="certificate"``.
        client_key: File with its key, if that is another one.
        client_key_password: What the key is encrypted with.
        proxy: ``http://HOST:PORT`` of an HTTP proxy; none that is reached over TLS. The environment's is not used.
        proxy_credential: Who asks there.
        kerberos_hostname: The name that Kerberos knows the host by, where it is not *host*.
        kerberos_service: The service that Kerberos knows it by.
        delegate: Whether to hand on the Kerberos ticket, so that the host may go on to others in this user's name.
            The ticket must allow it (``kinit -f``); one that does not is an error.
        locale: The language that the host's errors are asked in.

    Raises:
        ConfigurationError: The arguments do not go together, or are out of range.

    >>> WinRM("hv01", credential=Credential("CORP\\admin", "secret"))
    WinRM('hv01', credential=Credential(username='CORP\\admin'))
    """

    def __init__(
        self,
        host: str,
        *,
        port: int | None = None,
        tls: bool = False,
        credential: Credential | None = None,
        auth: str = "negotiate",
        configuration_name: str = "Microsoft.PowerShell",
        ca_file: str | os.PathLike[str] | None = None,
        certificate_sha256: str | None = None,
        client_certificate: str | os.PathLike[str] | None = None,
        client_key: str | os.PathLike[str] | None = None,
        client_key_password: str | None = None,
        proxy: str | None = None,
        proxy_credential: Credential | None = None,
        kerberos_hostname: str | None = None,
        kerberos_service: str = "WSMAN",
        delegate: bool = False,
        locale: str = "en-US",
    ) -> None:
        # First what tracebacks with locals show of this object; they would show the password too.
        self._host = host
        self._tls = tls
        self._credential = credential
        self._client_key_password = None if client_key_password is None else Passphrase(client_key_password)
        del client_key_password
        if self._client_key_password is not None:
            self._client_key_password.check("client_key_password")
        _check_authentication(auth, tls=tls, credential=credential, client_certificate=client_certificate)
        self._port = (HTTPS_PORT if tls else HTTP_PORT) if port is None else port
        self._host = _checked_host(host, self._port)
        self._auth = auth
        self._configuration_name = _checked_name(configuration_name, "configuration_name")
        self._locale = _checked_name(locale, "locale")
        self._ca_file = None if ca_file is None else os.fspath(ca_file)
        self._fingerprint = None if certificate_sha256 is None else _checked_fingerprint(certificate_sha256)
        self._client_certificate = None if client_certificate is None else os.fspath(client_certificate)
        self._client_key = None if client_key is None else os.fspath(client_key)
        self._proxy = None if proxy is None else _checked_proxy(proxy)
        self._proxy_credential = proxy_credential
        if proxy_credential is not None:
            _check_basic("proxy_credential", proxy_credential)
        self._kerberos_hostname = kerberos_hostname
        self._kerberos_service = kerberos_service
        self._delegate = delegate
        if not tls and (self._ca_file or self._fingerprint or self._client_certificate):
            raise ConfigurationError("Certificates are for TLS.", hint=Hint.of("Use {}.", _TLS))
        self._record = HostRecord()
        self._kept = KeptConnection(self._connection, address=str(self), fences_at_once=False)

    def __repr__(self) -> str:
        who = "" if self._credential is None else f", credential={self._credential!r}"
        return f"{type(self).__name__}({self._host!r}{', tls=True' if self._tls else ''}{who})"

    def __str__(self) -> str:
        usual = HTTPS_PORT if self._tls else HTTP_PORT
        port = "" if self._port == usual else f":{self._port}"
        return f"{'winrms' if self._tls else 'winrm'}://{in_address(self._host)}{port}"

    @property
    def requests(self) -> int:
        """WSMan messages sent so far, those of authentication not counted."""
        return self._kept.requests

    def close(self) -> None:
        """Close the runspace pool and the connections."""
        self._kept.close()

    def steps(self) -> tuple[Step, ...]:
        """Name, port, TLS, authentication, PowerShell; see :class:`~hvintegration.transports.base.Checkable`."""
        from hvintegration.transports.winrm.steps import winrm_steps

        return winrm_steps(self._target(), self._kept.open, self._record)

    def _connection(self) -> WinRMConnection:
        from hvintegration.transports.winrm.connection import WinRMConnection

        return WinRMConnection(self._target(), self._configuration_name, self._locale, self._record)

    def _target(self) -> WSManTarget:
        from hvintegration.transports.winrm.target import WSManTarget

        return WSManTarget(
            address=str(self),
            host=self._host,
            port=self._port,
            tls=self._tls,
            path="wsman",
            auth=self._auth,
            credential=self._credential,
            ca_file=self._ca_file,
            certificate_sha256=self._fingerprint,
            client_certificate=self._client_certificate,
            client_key=self._client_key,
            client_key_password=self._client_key_password,
            proxy=self._proxy,
            proxy_credential=self._proxy_credential,
            kerberos_hostname=self._kerberos_hostname,
            kerberos_service=self._kerberos_service,
            delegate=self._delegate,
        )


def _check_authentication(auth: str, *, tls: bool, credential: Credential | None, client_certificate: object) -> None:
    if auth not in AUTHENTICATIONS:
        raise ConfigurationError(
            f"Invalid authentication {auth!r}: it is not among those that WinRM knows.",
            hint=f"There are {', '.join(AUTHENTICATIONS)}.",
        )
    if auth in {"basic", "certificate"} and not tls:
        raise ConfigurationError(
            f"With auth={auth!r} nothing would be encrypted.",
            hint=Hint.of("Use TLS ({}), or {}.", _TLS, argument("auth", "negotiate")),
        )
    if (auth == "certificate") is not (client_certificate is not None):
        raise ConfigurationError("auth='certificate' and client_certificate go together.")
    if auth == "certificate" and credential is not None:
        raise ConfigurationError("auth='certificate' takes no credential: the certificate says who asks.")
    if credential is None and (auth in {"basic", "credssp"} or (auth == "ntlm" and sys.platform != "win32")):
        raise ConfigurationError(f"auth={auth!r} needs a credential.", hint=Hint.of("Pass {}.", CREDENTIAL))
    if auth == "basic" and credential is not None:
        _check_basic("credential", credential)


def _check_basic(name: str, credential: Credential) -> None:
    """What else can be a user or a password, and Basic authentication cannot carry (RFC 7617)."""
    if ":" in credential.username:
        raise ConfigurationError(
            f"Invalid {name}: Basic authentication takes the user only up to the first colon of the name.",
            hint="What follows would be taken for the beginning of the password. Use a name without a colon.",
        )
    if has_control(credential.password):
        raise ConfigurationError(
            f"Invalid {name}: its password has a control character, which Basic authentication cannot carry.",
            hint="Was it read from a file, with the line break at its end?",
        )


def _checked_host(host: str, port: int) -> str:
    name, percent, zone = host.removeprefix("[").removesuffix("]").partition("%")
    bare = f"{name.lower()}{percent}{zone}"  # Names of zones may differ in their case alone.
    if not re.fullmatch(r"[\w.-]+|[0-9a-f:.]+(%[\w.-]+)?", bare):
        raise ConfigurationError(
            f"Invalid host {host!r}: it is neither a name nor an IP address.",
            hint="Name the host alone: no port, no path.",
        )
    check_host(bare)
    if not 0 < port < 65536:  # noqa: PLR2004
        raise ConfigurationError(f"Invalid port {port!r}: it is not from 1 to 65535.")
    return bare


def _checked_name(text: str, argument: str) -> str:
    if not re.fullmatch(r"[\w.-]+", text, re.ASCII):
        raise ConfigurationError(
            f"Invalid {argument} {text!r}: it must consist of letters, digits, dots, hyphens and underscores."
        )
    return text


def _checked_fingerprint(text: str) -> str:
    bare = re.sub(r"^sha-?256:|[\s:]", "", text, flags=re.IGNORECASE).upper()
    if not re.fullmatch("[0-9A-F]{64}", bare):
        raise ConfigurationError(
            f"Invalid certificate_sha256 {excerpt(text)!r}: it does not consist of 64 hexadecimal digits.",
            hint="A thumbprint of 40 is SHA-1.",
        )
    return bare


def _checked_proxy(proxy: str) -> str:
    # None over TLS: nothing says which certificate a proxy must have.
    parts = re.fullmatch(r"http://([^/@:\[\]\s]+|\[[^/@\[\]\s]+\])(?::([0-9]{1,5}))?/?", proxy)
    if parts is None or not 0 < int(parts[2] or "80") < 65536:  # noqa: PLR2004
        raise ConfigurationError(
            "Invalid proxy: it must be http://HOST:PORT, without a user or a password.",
            hint=Hint(
                "Pass proxy_credential=Credential(...).",
                "The command has no option for who asks at the proxy; Python has proxy_credential=Credential(...).",
            ),
        )
    check_host(parts[1], "proxy")
    return proxy
