"""Who asks, as HTTP says it: which ways the host offers, and the tokens of pyspnego. No input or output."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import sys
from typing import Final

import spnego
from spnego.channel_bindings import GssChannelBindings

from hvintegration.errors import CREDENTIAL, AuthenticationError, Hint, argument
from hvintegration.transports.library_logs import watch_libraries, without_library_logs
from hvintegration.transports.winrm.exchange import HttpAnswer
from hvintegration.transports.winrm.kerberos import kerberos_refusal, require_kerberos
from hvintegration.transports.winrm.sealing import Sealing
from hvintegration.transports.winrm.target import WSManTarget

__all__ = ["Login", "asks_nobody", "chosen_way", "credentials_header", "refused_user", "require_packages"]

watch_libraries()

AUTHENTICATION_HINT: Final = (
    "Check user name and password. A local user is HOST\\user; a domain user is DOMAIN\\user or user@domain."
    " Kerberos needs a ticket or a password, and the host by its name."
)

_CERTIFICATE: Final = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_WAYS: Final = {
    "negotiate": ("Negotiate", "Kerberos", "NTLM"),
    "kerberos": ("Negotiate", "Kerberos"),
    "ntlm": ("Negotiate", "NTLM"),
    "credssp": ("CredSSP",),
    "basic": ("Basic",),
    "certificate": (_CERTIFICATE,),
}
"""What HTTP calls each way, the best first."""

_KNOWN_WAYS: Final = frozenset({"negotiate", "kerberos", "ntlm", "credssp", "basic", "digest", "bearer"})
_MOST_WAYS: Final = 8
_LONGEST_WAY: Final = 20


def require_packages(target: WSManTarget) -> None:
    """See to it that what the way needs is there.

    Raises:
        ConfigurationError: It is not.
    """
    if target.auth == "kerberos":
        require_kerberos("auth='kerberos'")
    elif target.credential is None and target.auth != "certificate":
        require_kerberos(
            "Authentication without a credential",
            Hint.of(" Or pass {}, for NTLM: it needs no extra.", CREDENTIAL),
        )


def credentials_header(target: WSManTarget) -> dict[str, str]:
    """What each message says of who asks, where that is not said once for a connection."""
    if target.auth == "certificate":
        return {"Authorization": _CERTIFICATE}
    if target.auth == "basic" and target.credential is not None:
        secret = f"{target.credential.username}:{target.credential.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(secret).decode()}"}
    return {}


def chosen_way(target: WSManTarget, demand: HttpAnswer) -> str:
    """The best of the ways that the host offers and the user wants, as HTTP calls it.

    Raises:
        AuthenticationError: There is none.
    """
    offered = {way.lower() for way, _ in _challenges(demand)}
    for way in _WAYS[target.auth]:
        if way.lower() in offered:
            return way
    named = dict.fromkeys(way for way, _ in _challenges(demand) if _is_name(way))
    ways = ", ".join([*named][:_MOST_WAYS]) or ("certificates" if _CERTIFICATE in offered else "none")
    raise AuthenticationError(
        f"Authentication at {target.address} with {target.auth} failed: the host offers {ways}.",
        address=target.address,
        host_message="" if _KNOWN_WAYS.issuperset(map(str.lower, named)) else ways,
        hint=Hint.of(
            "`Get-ChildItem WSMan:\\localhost\\Service\\Auth` on the host says which ways are on. Basic needs"
            " TLS (winrms://) and {}.",
            argument("auth", "basic"),
        ),
    )


def refused_user(target: WSManTarget) -> AuthenticationError:
    """What to raise where the host knows who asks and does not let them in."""
    return AuthenticationError(
        f"{target.address} does not accept this user.", address=target.address, hint=AUTHENTICATION_HINT
    )


def asks_nobody(target: WSManTarget) -> AuthenticationError:
    """What to raise where the host asks for no authentication."""
    if target.seals:
        return AuthenticationError(
            f"{target.address} asks for no authentication, so nothing can be encrypted.",
            address=target.address,
            hint="Use HTTPS (winrms://), or see whether this is a WinRM endpoint.",
        )
    return AuthenticationError(
        f"{target.address} asks for no authentication, so nothing says that it is the host.",
        address=target.address,
        hint="See whether this is a WinRM endpoint.",
    )


class Login:
    """One authentication, over one connection.

    Args:
        target: Where, and who.
        way: What HTTP calls it.
        certificate: The host's (DER), which ties the authentication to this connection of TLS.
    """

    def __init__(self, target: WSManTarget, way: str, certificate: bytes | None) -> None:
        self._target = target
        self._way = way
        self._certificate = certificate
        self._context: spnego.ContextProxy | None = None

    def next(self, answer: HttpAnswer | None) -> str | None:
        """What to say next, which for the first token may mean to ask the servers of Kerberos; None at the end.

        Args:
            answer: What was answered to what was said last.

        Raises:
            AuthenticationError: There is no going on.
        """
        with without_library_logs():
            try:
                token = self._token(answer)
            except Exception as error:  # noqa: BLE001 - spnego and what is below it raise what they like
                refusal = self._refusal(error)
            else:
                return f"{self._way} {base64.b64encode(token).decode()}" if token else None
        raise refusal  # Out here, it has no context: locals in there know passwords.

    def agreed(self) -> Sealing:
        """What both sides have agreed on.

        Raises:
            AuthenticationError: They have not.
        """
        target = self._target
        if self._context is None or not self._context.complete:
            raise AuthenticationError(
                f"{target.address} lets in without proving who it is.",
                address=target.address,
                hint="It may not be the host that it claims to be, or a proxy may be in between.",
            )
        # On Windows, what is handed on is the system's affair and the domain's.
        if target.delegate and sys.platform != "win32" and not self._hands_on(self._context):
            raise AuthenticationError(
                f"{target.address} was to be handed the Kerberos ticket (delegate=True), but it may not be handed on.",
                address=target.address,
                hint=Hint.of(
                    "Get one that may: `kinit -f user@REALM`, or pass {}. NTLM hands on nothing: with {} it is not"
                    " used.",
                    CREDENTIAL,
                    argument("auth", "kerberos"),
                ),
            )
        return Sealing(self._context, {"CredSSP": "CredSSP", "Kerberos": "Kerberos"}.get(self._way, "SPNEGO"))

    def _hands_on(self, context: spnego.ContextProxy) -> bool:
        return self._way == "CredSSP" or bool(context.context_attr & spnego.ContextReq.delegate)

    def _token(self, answer: HttpAnswer | None) -> bytes | None:
        if answer is None:
            self._context = self._new_context()
            return self._context.step()
        # What CredSSP sends last is answered by letting in, not by a token.
        is_over = self._way == "CredSSP" and answer.status == http.client.OK
        said = next((token for way, token in _challenges(answer) if way.lower() == self._way.lower() and token), None)
        if said is None or is_over or self._context is None:
            return None
        return self._context.step(base64.b64decode(said))

    def _new_context(self) -> spnego.ContextProxy:
        target = self._target
        who = target.credential
        wanted = spnego.ContextReq.default
        bindings = None if self._certificate is None else _channel_bindings(self._certificate)
        return spnego.client(
            None if who is None else who.username,
            None if who is None else who.password,
            hostname=target.kerberos_hostname or target.name,
            service=target.kerberos_service,
            channel_bindings=bindings,
            context_req=wanted | spnego.ContextReq.delegate if target.delegate else wanted,
            protocol=self._way.lower() if target.auth == "negotiate" else target.auth,
            options=spnego.NegotiateOptions.wrapping_winrm if target.seals else spnego.NegotiateOptions.none,
        )

    def _refusal(self, error: Exception) -> AuthenticationError:
        target = self._target
        refusal = kerberos_refusal(error, f"{target.kerberos_service}/{target.kerberos_hostname or target.name}")
        reason = type(error).__name__ if refusal is None else refusal.reason
        return AuthenticationError(
            f"Authentication at {target.address} with {target.auth} failed: {reason}.",
            address=target.address,
            host_message="" if refusal is None else refusal.said,
            hint=(None if refusal is None else refusal.hint) or AUTHENTICATION_HINT,
        )


def _challenges(answer: HttpAnswer) -> list[tuple[str, str]]:
    """The ways that an answer names, each with its token; more than ways, where a way has parameters."""
    lines = answer.headers.all("WWW-Authenticate")
    pieces = [piece.strip().partition(" ") for line in lines for piece in line.split(",")]
    return [(way, token.strip()) for way, _, token in pieces if way]


def _is_name(way: str) -> bool:
    return len(way) <= _LONGEST_WAY and way[0].isalpha() and way.isascii() and way.replace("-", "").isalnum()


def _channel_bindings(certificate: bytes) -> GssChannelBindings | None:
    """What ties the authentication to the certificate (RFC 5929, tls-server-end-point)."""
    from cryptography import exceptions, x509

    with contextlib.suppress(exceptions.UnsupportedAlgorithm, ValueError):
        signed = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
        name = "sha256" if signed is None or signed.name in {"md5", "sha1"} else signed.name
        digest = hashlib.new(name, certificate).digest()
        return GssChannelBindings(application_data=b"tls-server-end-point:" + digest)
    return None
