"""Certificates for servers on this machine."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hvintegration.transports.winrm.tls import TLSSocket


@attrs.frozen
class Certificate:
    """A certificate and its key.

    Attributes:
        path: The certificate, in PEM; trusting it is trusting the server.
        key: The private key, in PEM.
        both: One file with both.
        sha256: Its fingerprint, as 64 hexadecimal digits.
    """

    path: Path
    key: Path
    both: Path
    sha256: str


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """The TLS of a server that has it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = TLSSocket
    context.load_cert_chain(certificate.both)
    return context


def self_signed(
    folder: Path,
    *,
    name: str = "server",
    days: float = 1,
    hosts: Sequence[str] = ("localhost", "127.0.0.1"),
    key_password: str | None = None,
) -> Certificate:
    """A new certificate for *hosts*, names or IP addresses, or for a client.

    Args:
        folder: Where its files are written.
        name: What they are called.
        days: How long it is valid from now; a negative number: since when it is not any more.
        hosts: What it is for.
        key_password: What the key is encrypted with, if at all.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    end = datetime.now(UTC) + timedelta(days=days)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"), False
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=abs(days) + 1))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, encipher_only=False, decipher_only=False, **usage
            ),
            critical=True,
        )
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if key_password is not None:
        encryption = serialization.BestAvailableEncryption(key_password.encode())
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    made = Certificate(
        path=folder / f"{name}.pem",
        key=folder / f"{name}.key",
        both=folder / f"{name}-both.pem",
        sha256=hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest(),
    )
    made.path.write_bytes(public)
    made.key.write_bytes(private)
    made.both.write_bytes(private + public)
    return made


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
