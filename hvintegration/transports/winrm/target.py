"""Where to, and how: what the arguments of :class:`~hvintegration.WinRM` mean, checked."""

from __future__ import annotations

import attrs

from hvintegration.credential import Credential, Passphrase

__all__ = ["WSManTarget"]


@attrs.frozen
class WSManTarget:
    """Where to, and how."""

    address: str
    host: str
    port: int
    tls: bool
    path: str
    auth: str
    credential: Credential | None
    ca_file: str | None
    certificate_sha256: str | None
    client_certificate: str | None
    client_key: str | None
    client_key_password: Passphrase | None
    proxy: str | None
    proxy_credential: Credential | None
    kerberos_hostname: str | None
    kerberos_service: str
    delegate: bool

    @property
    def name(self) -> str:
        """What certificates and Kerberos know the host by: the zone of an address is this machine's affair."""
        return self.host.partition("%")[0]

    @property
    def authority(self) -> str:
        """Host and port, as HTTP has them."""
        host = f"[{self.name}]" if ":" in self.name else self.name.encode("idna").decode()
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Where messages are posted."""
        return f"{'https' if self.tls else 'http'}://{self.authority}/{self.path}"

    @property
    def seals(self) -> bool:
        """Whether messages are encrypted by the authentication, since nothing else does."""
        return not self.tls
