"""Which certificates are trusted, and what is said of those that are not."""

from __future__ import annotations

import errno
import hashlib
import os
import ssl
from typing import Final

from hvintegration.errors import ConfigurationError, Hint, UntrustedHostError, argument
from hvintegration.transports.winrm.target import WSManTarget

__all__ = ["TLSSocket", "fingerprint_of", "looking_context", "refuses_client", "tls_context", "untrusted_certificate"]

_OTHER_NAME: Final = frozenset({62, 63, 64})
"""Numbers of OpenSSL's for a certificate that is for another host, mailbox or IP address (X509_V_ERR_..._MISMATCH)."""

_CLIENT_REFUSED: Final = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
"""What a host says of a client's certificate. In TLS 1.3 it does so after the first message, which it then ignores."""


class TLSSocket(ssl.SSLSocket):
    """Ends a connection that was lost before TLS began, which Python before 3.13 leaves to the garbage collector."""

    def getpeername(self) -> object:
        """Asked first of all when TLS is to begin."""
        try:
            return super().getpeername()
        except OSError:
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from None


def tls_context(target: WSManTarget) -> ssl.SSLContext:
    """The certificates to trust: those of the system, of a file, or, with a fingerprint, the one that has it.

    Raises:
        ConfigurationError: A file of certificates or a key cannot be read.
    """
    by_system = target.ca_file is None and target.certificate_sha256 is None
    # Reading the system's certificates takes a while.
    context = ssl.create_default_context() if by_system else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = TLSSocket
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.post_handshake_auth = True  # Windows Server 2022 asks for client certificates after the request.
    try:
        if target.ca_file is not None:
            context.load_verify_locations(target.ca_file)
        if target.client_certificate is not None:
            # A function, so that OpenSSL never asks at the terminal for a password that is missing.
            context.load_cert_chain(
                target.client_certificate,
                target.client_key,
                lambda: "" if target.client_key_password is None else target.client_key_password.text,
            )
    except (OSError, ValueError) as error:
        files = ", ".join(filter(None, (target.ca_file, target.client_certificate, target.client_key)))
        raise ConfigurationError(
            f"The certificates or keys in {files} cannot be used: {getattr(error, 'strerror', None) or error}"
        ) from None
    return _trusting_any(context) if target.certificate_sha256 is not None else context


def looking_context() -> ssl.SSLContext:
    """For looking at what a host offers. It is not trusted."""
    context = _trusting_any(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context.sslsocket_class = TLSSocket
    return context


def _trusting_any(context: ssl.SSLContext) -> ssl.SSLContext:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def fingerprint_of(secured: ssl.SSLSocket) -> str:
    """SHA-256 fingerprint of the certificate that the host has offered, in hexadecimal."""
    return hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest().upper()


def refuses_client(error: BaseException) -> bool:
    """Whether the host has said that it does not accept this client's certificate, or wants one."""
    return isinstance(error, ssl.SSLError) and error.reason in _CLIENT_REFUSED


def untrusted_certificate(
    target: WSManTarget, offered: str, refusal: ssl.SSLCertVerificationError | None = None
) -> UntrustedHostError:
    """What to raise about a certificate that is not the pinned one, or that does not stand up to verification."""
    if target.certificate_sha256 is not None:
        return UntrustedHostError(
            f"{target.address} has another certificate than the pinned one.",
            address=target.address,
            expected=target.certificate_sha256,
            offered=offered,
            hint=(f"It offers SHA-256 {offered}. " if offered else "")
            + "If it was renewed, pin the new one after checking it on the host. Otherwise somebody is in between.",
        )
    remedy: str = Hint.of("Name the file of your certificate authority ({})", argument("ca_file"))
    if refusal is not None and refusal.verify_code in _OTHER_NAME:
        remedy = "Give the host by a name that is in the certificate"
    why = "" if refusal is None else refusal.verify_message.rstrip(".")
    return UntrustedHostError(
        f"The certificate of {target.address} is not trusted: {why}.",
        address=target.address,
        expected=None,
        offered=offered,
        hint=Hint.of(
            "{}, or pin this certificate after comparing it with the host's own: {}.",
            remedy,
            argument("certificate_sha256", offered or None),
        ),
    )
