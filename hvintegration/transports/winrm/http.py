"""WSMan messages over HTTP: authentication, sealing, certificates and limits.

Authentication and sealing are pypsrp's, the connection is requests'. What is here besides: certificates are checked
against the system's own store or a fingerprint, answers are limited before anything parses them, sockets can be shut
from another thread, and a message that was sealed for one connection is never sent over another.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import re
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import attrs
import requests
import requests.adapters
import requests.auth
import urllib3
import urllib3.connection
import urllib3.connectionpool
import urllib3.exceptions
from pypsrp.encryption import WinRMEncryption
from pypsrp.exceptions import AuthenticationError as UnsupportedWayError
from pypsrp.negotiate import HTTPNegotiateAuth
from spnego import ContextReq

from hvintegration.clock import Deadline
from hvintegration.credential import Credential, Passphrase
from hvintegration.errors import (
    CREDENTIAL,
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    Hint,
    HvError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
    UntrustedHostError,
    argument,
    excerpt,
)
from hvintegration.processes import Lock, forget_after_fork
from hvintegration.transports.library_logs import watch_libraries, without_library_logs
from hvintegration.transports.winrm.kerberos import KDC_HINT, kerberos_refusal, require_kerberos

__all__ = [
    "AUTHENTICATION_HINT",
    "HttpAnswer",
    "TLSSocket",
    "WSManHttp",
    "WSManTarget",
    "offered_certificate",
    "proxy_wants_a_user",
    "tls_context",
    "untrusted_certificate",
]

watch_libraries()

MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes that one HTTP answer may have. Hosts keep to the envelope size that they are asked for, half a megabyte."""

_CHUNK: Final = 64 * 1024
_UNAUTHORIZED: Final = 401
_CERTIFICATE_HEADER: Final = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"


@attrs.frozen
class WSManTarget:
    """Where to, and how. What the arguments of :class:`~hvintegration.WinRM` mean, checked."""

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
    def url(self) -> str:
        """Where messages are posted."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/{self.path}"

    @property
    def seals(self) -> bool:
        """Whether messages are encrypted by the authentication, since nothing else does."""
        return not self.tls


@attrs.frozen
class HttpAnswer:
    """What came back: an HTTP status and the body, unsealed."""

    status: int
    body: bytes


class _NotDelegatedError(Exception):
    """The host was to be handed a ticket, and was not."""


class _OtherWaysError(Exception):
    """The host offers other ways to authenticate, which are the arguments, or says none."""


class _ReplacedError(Exception):
    """The connection that messages were sealed for is gone. Nothing was sent."""


class TLSSocket(ssl.SSLSocket):
    """Ends a connection that was lost before TLS began, which Python before 3.13 leaves to the garbage collector."""

    def getpeername(self) -> Any:  # noqa: ANN401 - as it is
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
    if target.certificate_sha256 is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def offered_certificate(target: WSManTarget, timeout: float) -> str:
    """SHA-256 fingerprint of the certificate that the host offers, in hexadecimal. It is looked at, not trusted.

    Raises:
        OSError: There is no TLS to be had there within *timeout* seconds.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = TLSSocket
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((target.host, target.port), timeout) as plain,
        context.wrap_socket(plain, server_hostname=target.host) as secured,
    ):
        return _fingerprint(secured.getpeercert(binary_form=True) or b"")


def _fingerprint(certificate: bytes) -> str:
    import hashlib

    return hashlib.sha256(certificate).hexdigest().upper()


class _Sockets:
    """The sockets that are open, so that they can be shut from another thread."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._open: dict[int, socket.socket] = {}
        self._kept: list[socket.socket] = []
        self._made = 0
        self._shut = False
        self.sealed = False
        """Whether messages are being sealed for the connection that there is, so that no other may take its place."""
        self.wrote = False
        """Whether anything was written, set by a connection right before it writes."""
        self.about_to_write: Callable[[], None] | None = None
        forget_after_fork(self, _Sockets._forget)

    def _forget(self) -> None:
        """Close the descriptors of the parent's sockets, which it goes on with."""
        self._shut = True
        duplicates = list(self._open.values())
        self._open.clear()
        for duplicate in duplicates:
            with contextlib.suppress(OSError):
                duplicate.close()
        self.end()

    def expect(self) -> None:
        """Called before a connection is made.

        Raises:
            _ReplacedError: It would take the place of one that messages are sealed for.
            ConnectionAbortedError: Everything is shut.
        """
        if self.sealed:
            raise _ReplacedError
        if self._shut:
            raise ConnectionAbortedError

    def watch(self, sock: socket.socket) -> int:
        """Remember a duplicate of *sock*: TLS takes the original over. A key for :meth:`forget`."""
        with self._turn.lock:
            if self._shut:
                sock.close()
                raise ConnectionAbortedError
            self._made += 1
            self._open[self._made] = sock.dup()
            return self._made

    def forget(self, key: int) -> None:
        with self._turn.lock:
            duplicate = self._open.pop(key, None)
        if duplicate is not None:
            duplicate.close()

    def keep(self, sock: socket.socket) -> None:
        """Hold *sock*, so that :meth:`end` can end it wherever the libraries above have left it."""
        self._kept = [old for old in self._kept if old.fileno() != -1] + [sock]

    def end(self) -> None:
        """Close every socket that is still open."""
        kept, self._kept = self._kept, []
        for sock in kept:
            if sock.fileno() != -1:
                with contextlib.suppress(OSError):
                    socket.close(sock.detach())

    def shut(self) -> None:
        with self._turn.lock:
            self._shut = True
            duplicates = list(self._open.values())
            self._open.clear()
        for duplicate in duplicates:
            with contextlib.suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)
            duplicate.close()


class _Adapter(requests.adapters.HTTPAdapter):
    """Makes connections whose sockets are watched, and that trust what the target says."""

    def __init__(
        self,
        sockets: _Sockets,
        context: ssl.SSLContext | None,
        fingerprint: str | None,
        proxy_credential: Credential | None,
    ) -> None:
        self._proxy_credential = proxy_credential
        self._classes = _pool_classes(sockets)
        self._tls = {} if context is None else {"ssl_context": context, "assert_fingerprint": fingerprint}
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:  # noqa: ANN401, FBT001, FBT002 - as it is
        super().init_poolmanager(connections, maxsize, block, **more, **self._tls)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:  # noqa: ANN401 - as it is
        manager = super().proxy_manager_for(proxy, **more, **self._tls)
        manager.pool_classes_by_scheme = self._classes
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:  # noqa: ARG002 - as it is
        """Who asks at the proxy. Not part of its address, where errors and tracebacks would show the password."""
        if self._proxy_credential is None:
            return {}
        who = f"{self._proxy_credential.username}:{self._proxy_credential.password}".encode()
        return {"Proxy-Authorization": f"Basic {base64.b64encode(who).decode()}"}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401 - as it is
        """Nothing: the context says what to trust."""


def _read_alert(sock: object) -> None:
    """Raise what the host said before it closed, which tells more: in TLS 1.3, that it refuses the certificate."""
    if isinstance(sock, ssl.SSLSocket) and not isinstance(sys.exception(), TimeoutError):
        sock.recv(1)


class _WatchedConnection(urllib3.connection.HTTPConnection):
    """Tells *watch* of its socket and of what it writes."""

    watch: _Sockets
    _key: int = 0
    _is_connecting = False

    def _new_conn(self) -> socket.socket:
        self.watch.expect()
        sock = super()._new_conn()
        self._key = self.watch.watch(sock)
        return sock

    def connect(self) -> None:
        self._is_connecting = True
        try:
            super().connect()
        finally:
            self._is_connecting = False
        self.watch.keep(self.sock)

    def send(self, data: Any) -> None:  # noqa: ANN401 - as it is
        if self.sock is None:
            self.connect()
        if not self._is_connecting:  # What asks a proxy for a tunnel is no message to the host.
            self.watch.wrote = True
            if self.watch.about_to_write is not None:
                self.watch.about_to_write()
        super().send(data)

    def close(self) -> None:
        self.watch.forget(self._key)
        super().close()


def _pool_classes(sockets: _Sockets) -> dict[str, Any]:
    class Connection(_WatchedConnection):
        watch = sockets

    class TLSConnection(Connection, urllib3.connection.HTTPSConnection):
        def send(self, data: Any) -> None:  # noqa: ANN401 - as it is
            try:
                super().send(data)
            except OSError:
                _read_alert(self.sock)
                raise

    class Pool(urllib3.connectionpool.HTTPConnectionPool):
        ConnectionCls: Any = Connection

    class TLSPool(urllib3.connectionpool.HTTPSConnectionPool):
        ConnectionCls: Any = TLSConnection

    return {"http": Pool, "https": TLSPool}


class _NegotiateAuth(HTTPNegotiateAuth):
    """pypsrp's, but a demand to authenticate must be short: it is read whole."""

    getting_token = False
    """Whether the first token is being made, for which Kerberos asks its servers."""

    def response_hook(self, response: requests.Response, **more: Any) -> requests.Response:  # noqa: ANN401 - as it is
        if response.status_code == _UNAUTHORIZED and not _is_short(response):
            raise _EndlessError if _is_whole(response) else ConnectionAbortedError
        self.getting_token = response.status_code == _UNAUTHORIZED
        answer = cast("requests.Response", super().response_hook(response, **more))  # type: ignore[no-untyped-call]
        # On Windows, what is handed on is the system's affair and the domain's.
        if self.delegate and sys.platform != "win32":
            for context in self.contexts.values():
                if context.complete and not context.context_attr & ContextReq.delegate:
                    raise _NotDelegatedError
        return answer

    @staticmethod
    def _check_auth_supported(response: requests.Response, auth_providers: list[str]) -> str:
        library: Any = HTTPNegotiateAuth
        try:
            return cast("str", library._check_auth_supported(response, auth_providers))  # noqa: SLF001
        except UnsupportedWayError:
            header = response.headers.get("www-authenticate", "")
            ways = re.findall(r"(?:^|,)\s*([A-Za-z][\w-]{,20})(?=\s|,|$)", header)
            raise _OtherWaysError(*dict.fromkeys(ways[:8])) from None

    def _set_auth_token(  # type: ignore[override]  # it is called as a method
        self, request: requests.PreparedRequest, token: bytes, auth_provider: str
    ) -> None:
        self.getting_token = False
        super()._set_auth_token(request, token, auth_provider)  # type: ignore[no-untyped-call]


def _is_whole(response: requests.Response) -> bool:
    """Whether the header has come to its end: where the connection ends within it, http.client says nothing."""
    return not response.headers.keys().isdisjoint({"content-length", "transfer-encoding"})


def _is_short(response: requests.Response) -> bool:
    length = response.headers.get("Content-Length", "")
    return length.isdecimal() and len(length) < 6 and "Transfer-Encoding" not in response.headers  # noqa: PLR2004


class WSManHttp:
    """One HTTP connection to a WSMan endpoint. For one thread at a time; :meth:`shut` may be called by any.

    It has the methods that :class:`pypsrp.wsman.WSMan` wants of its transport.
    """

    def __init__(self, target: WSManTarget, judge: Callable[[HttpAnswer], bytes]) -> None:
        self._target = target
        self._judge = judge
        self._sockets = _Sockets()
        self._sealing: WinRMEncryption | None = None
        self._auth: Any = _authentication(target)
        self._session: requests.Session | None = None
        self._deadline: Deadline | None = None
        self.endpoint = target.url
        self.requests = 0
        """Messages posted; those of authentication are not counted."""
        self.about_to_send: Callable[[], None] | None = None
        """Called right before a message goes out on a connection that is there, authenticated and sealed."""

    def until(self, deadline: Deadline) -> None:
        """Set the time for what follows."""
        self._deadline = deadline

    def send(self, message: bytes, **_: object) -> bytes:
        """Post *message*; the body of the answer.

        Raises:
            TransportError: There is no usable answer.
        """
        for _attempt in range(2):
            if self._target.seals and self._sealing is None:
                self.authenticate()
            try:
                return self._judge(self._exchange(message))
            except _ReplacedError:
                self._unseal()
        raise ConnectionLostError(
            f"{self._target.address} closes each connection at once.", address=self._target.address
        )

    def authenticate(self) -> None:
        """Post nothing, which authenticates the connection.

        Raises:
            TransportError: That did not succeed.
        """
        answer = self._exchange(None)
        if answer.status != requests.codes.ok:
            self._judge(answer)
        context = next(iter(self._auth.contexts.values()), None)
        if context is not None and not context.complete:
            raise AuthenticationError(
                f"{self._target.address} lets in without proving who it is.",
                address=self._target.address,
                hint="It may not be the host that it claims to be, or a proxy may be in between.",
            )
        if context is None:
            raise AuthenticationError(
                f"{self._target.address} asks for no authentication, so nothing can be encrypted.",
                address=self._target.address,
                hint="Use HTTPS (winrms://), or see whether this is a WinRM endpoint.",
            )
        protocol = WinRMEncryption.SPNEGO
        if self._target.auth == "credssp":
            protocol = WinRMEncryption.CREDSSP
        elif getattr(context, "response_auth_header", "") == "kerberos":
            protocol = WinRMEncryption.KERBEROS
        self._sealing = WinRMEncryption(context, protocol)
        self._sockets.sealed = True

    @property
    def late_hint(self) -> str | None:
        """What to look at if it takes too long now."""
        return KDC_HINT if getattr(self._auth, "getting_token", False) else None

    def shut(self) -> None:
        """Shut the sockets, for good. What another thread is doing here then fails."""
        self._sockets.shut()

    def close(self) -> None:
        """Close the connection."""
        self._sockets.shut()
        if self._session is not None:
            self._session.close()
        self._sockets.end()

    # -- one exchange ---------------------------------------------------------------------------------------------

    def _unseal(self) -> None:
        """Forget the authenticated connection, so that a new one takes its place."""
        self._sealing = None
        self._sockets.sealed = False
        self._auth.contexts.clear()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _exchange(self, message: bytes | None) -> HttpAnswer:
        assert self._deadline is not None
        left = self._deadline.left()
        if not left:
            raise self._too_late()
        with without_library_logs():
            try:
                return self._post(message, left)
            except (_ReplacedError, HvError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever a library raises is translated here, and only here
                translated = self._translated(error)
        raise translated  # Out here, it has no context: locals in there know passwords.

    def _post(self, message: bytes | None, left: float) -> HttpAnswer:
        assert self._deadline is not None
        session = self._session = self._session or self._new_session()
        content_type = "application/soap+xml;charset=UTF-8"
        data = message
        if message is not None:
            if self._sealing is not None:
                kind, data = self._sealing.wrap_message(message)
                content_type = f'{kind};protocol="{self._sealing.protocol}";boundary="Encrypted Boundary"'
            self.requests += 1
        self._sockets.wrote = False
        self._sockets.about_to_write = None if message is None else self.about_to_send
        with session.post(
            self.endpoint,
            data=data,
            headers={"Content-Type": content_type},
            auth=self._auth if self._sealing is None else None,
            timeout=(left, left),
            stream=True,
            allow_redirects=False,
        ) as response:
            if self._sealing is None:
                return HttpAnswer(response.status_code, _read(response, self._deadline))
            if response.status_code == _UNAUTHORIZED:
                # Not sent again, for it might be done twice: nobody has signed this answer.
                raise ConnectionAbortedError
            return HttpAnswer(response.status_code, self._unsealed(response, _read(response, self._deadline)))

    def _unsealed(self, response: requests.Response, body: bytes) -> bytes:
        assert self._sealing is not None
        boundary = re.fullmatch(
            r"multipart/(?:x-multi-)?encrypted;.*boundary=[\"'](.*)[\"']", response.headers.get("Content-Type", "")
        )
        if boundary is not None:
            opened: bytes = self._sealing.unwrap_message(body, boundary.group(1))
            return opened
        if response.ok:
            raise ProtocolError(
                f"{self._target.address} answered an encrypted message in the clear.", address=self._target.address
            )
        return b""  # What is not sealed may come from anybody; its status alone decides.

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # Neither ~/.netrc nor the environment's proxies and certificates.
        session.headers.update({"User-Agent": "hvintegration", "Accept-Encoding": "identity"})
        context = tls_context(self._target) if self._target.tls else None
        fingerprint = self._target.certificate_sha256
        who = self._target.proxy_credential
        session.mount("http://", _Adapter(self._sockets, None, None, who))
        session.mount("https://", _Adapter(self._sockets, context, fingerprint, who))
        session.verify = fingerprint is None
        if self._target.proxy is not None:
            session.proxies = {"http": self._target.proxy, "https": self._target.proxy}
        if self._target.auth == "certificate":
            session.headers["Authorization"] = _CERTIFICATE_HEADER
        return session

    # -- what went wrong ------------------------------------------------------------------------------------------

    def _too_late(self) -> TransportTimeoutError:
        assert self._deadline is not None
        return TransportTimeoutError(address=self._target.address, after=self._deadline.given)

    def _translated(self, error: Exception) -> TransportError | ConfigurationError:
        address = self._target.address
        causes = list(_causes(error))
        if any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes):
            return self._unreachable(causes)
        if any(isinstance(cause, _LATE) for cause in causes):
            return self._too_late()
        if isinstance(error, _EndlessError):
            return ProtocolError(f"{address} answered more than {MAX_ANSWER} bytes, or without end.", address=address)
        if _refuses_client(causes):
            return AuthenticationError(
                f"{address} does not accept the client certificate, or wants one: {_reason(causes)}.",
                address=address,
                hint=Hint.of(
                    "Pass {} with {}, of an authority that the host trusts.",
                    argument("client_certificate"),
                    argument("auth", "certificate"),
                ),
            )
        if self._sockets.wrote and isinstance(error, requests.exceptions.RequestException | OSError):
            return ConnectionLostError(
                f"The connection to {address} was lost: {_reason(causes)}.",
                address=address,
                hint=_NOT_HTTP_HINT if self._target.seals and self._sealing is None else None,
            )
        if isinstance(error, requests.exceptions.ProxyError):
            return self._no_tunnel(causes)
        if isinstance(error, requests.exceptions.SSLError):
            return self._untrusted(causes)
        if isinstance(error, requests.exceptions.InvalidURL | UnicodeError):
            return ConfigurationError(f"Invalid address {address!r}: its host's name cannot be part of a URL.")
        if isinstance(error, requests.exceptions.RequestException | OSError):
            # Reset or closed while connecting: lost, as it would be a moment later.
            return ConnectionLostError(f"{address} broke off while connecting: {_reason(causes)}.", address=address)
        return self._not_understood(error)

    def _not_understood(self, error: Exception) -> TransportError:
        address = self._target.address
        if self._sealing is None:
            return self._unauthenticated(error)
        return ProtocolError(f"{address} answered something that is not encrypted WSMan.", address=address)

    def _unauthenticated(self, error: Exception) -> AuthenticationError:
        target = self._target
        address = target.address
        if isinstance(error, _NotDelegatedError):
            return AuthenticationError(
                f"{address} was to be handed the Kerberos ticket (delegate=True), but it may not be handed on.",
                address=address,
                hint=Hint.of(
                    "Get one that may: `kinit -f user@REALM`, or pass {}. NTLM hands on nothing: with {} it is not"
                    " used.",
                    CREDENTIAL,
                    argument("auth", "kerberos"),
                ),
            )
        if isinstance(error, _OtherWaysError):
            ways = ", ".join(error.args) or "none"
            return AuthenticationError(
                f"Authentication at {address} with {target.auth} failed: the host offers {ways}.",
                address=address,
                host_message="" if _KNOWN_WAYS.issuperset(map(str.lower, error.args)) else ways,
                hint=Hint.of(
                    "`Get-ChildItem WSMan:\\localhost\\Service\\Auth` on the host says which ways are on. Basic needs"
                    " TLS (winrms://) and {}.",
                    argument("auth", "basic"),
                ),
            )
        refusal = kerberos_refusal(error, f"{target.kerberos_service}/{target.kerberos_hostname or target.host}")
        reason = type(error).__name__ if refusal is None else refusal.reason
        return AuthenticationError(
            f"Authentication at {address} with {target.auth} failed: {reason}.",
            address=address,
            host_message="" if refusal is None else refusal.said,
            hint=(None if refusal is None else refusal.hint) or AUTHENTICATION_HINT,
        )

    def _unreachable(self, causes: list[BaseException]) -> ConnectError:
        address, proxy = self._target.address, self._target.proxy
        if proxy is not None:
            return ConnectError(
                f"The proxy {proxy} of {address} cannot be reached: {_reason(causes)}.",
                address=address,
                hint="Check its name and port.",
            )
        return ConnectError(f"{address} cannot be reached: {_reason(causes)}.", address=address, hint=_REACH_HINT)

    def _no_tunnel(self, causes: list[BaseException]) -> ConnectError:
        said = next((match for cause in causes if (match := _NO_TUNNEL.match(str(cause)))), None)
        if said is not None and said.group(1) == str(requests.codes.proxy_authentication_required):
            return proxy_wants_a_user(self._target.address)
        phrase = "" if said is None else said.group(2).strip()
        why = "it was closed in the middle"
        if said is not None:
            why = f"HTTP status {said.group(1)} {excerpt(phrase)}".rstrip()
        return ConnectError(
            f"The proxy {self._target.proxy} does not lead to {self._target.address}: {why}.",
            address=self._target.address,
            host_message=phrase,
            hint="See whether the proxy allows CONNECT to this host and port.",
        )

    def _untrusted(self, causes: list[BaseException]) -> ConnectError:
        target = self._target
        why = next((cause.verify_message for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
        other = next((match for cause in causes if (match := _OTHER_FINGERPRINT.search(str(cause)))), None)
        if other is not None and target.certificate_sha256 is not None:
            return untrusted_certificate(target, other.group(1).upper(), None)
        if why is None:
            return ConnectError(
                f"There is no TLS to be had at {target.address}: {_reason(causes)}.",
                address=target.address,
                hint="Is there an HTTPS listener, with TLS 1.2 at least?"
                " winrm enumerate winrm/config/listener lists them.",
            )
        offered = ""
        assert self._deadline is not None
        if target.proxy is None:
            with contextlib.suppress(OSError):
                # Half of the time: for the connection, and then again for the handshake.
                offered = offered_certificate(target, max(self._deadline.left() / 2 - 0.1, 0.1))
        return untrusted_certificate(target, offered, why)


_OTHER_FINGERPRINT: Final = re.compile('Fingerprints did not match.*got "([0-9a-f]{64})"')
_NO_TUNNEL: Final = re.compile(r"Tunnel connection failed: (\d{1,3})\b(.*)", re.DOTALL)
_KNOWN_WAYS: Final = frozenset({"negotiate", "kerberos", "ntlm", "credssp", "basic", "digest", "bearer"})

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


AUTHENTICATION_HINT: Final = (
    "Check user name and password. A local user is HOST\\user; a domain user is DOMAIN\\user or user@domain."
    " Kerberos needs a ticket or a password, and the host by its name."
)


def untrusted_certificate(target: WSManTarget, offered: str, why: str | None) -> UntrustedHostError:
    """What to raise about a certificate that is not the pinned one, or that verification refuses because of *why*."""
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
    if why is not None and "mismatch" in why:
        remedy = "Give the host by a name that is in the certificate"
    return UntrustedHostError(
        f"The certificate of {target.address} is not trusted: {(why or '').rstrip('.')}.",
        address=target.address,
        expected=None,
        offered=offered,
        hint=Hint.of(
            "{}, or pin this certificate after comparing it with the host's own: {}.",
            remedy,
            argument("certificate_sha256", offered or None),
        ),
    )


def proxy_wants_a_user(address: str) -> ConnectError:
    """What to raise where the proxy answers with HTTP status 407."""
    return ConnectError(
        f"The proxy of {address} does not accept this user, or wants one (HTTP status 407).",
        address=address,
        hint=Hint(
            "Pass proxy_credential=Credential(...). Only Basic authentication is supported there.",
            "The command has no option for who asks at the proxy; Python has proxy_credential=Credential(...).",
        ),
    )


def _authentication(target: WSManTarget) -> Any:  # noqa: ANN401 - requests' and others' classes
    who = target.credential
    if target.auth == "basic":
        assert who is not None
        return requests.auth.HTTPBasicAuth(who.username.encode(), who.password.encode())
    if target.auth == "certificate":
        return _no_authentication
    if target.auth == "credssp":
        try:
            from requests_credssp import HttpCredSSPAuth  # type: ignore[import-untyped]
        except ImportError:
            raise ConfigurationError(
                "CredSSP needs an extra package.", hint="pip install 'hvintegration[credssp]'"
            ) from None
        watch_libraries()
        assert who is not None
        return HttpCredSSPAuth(who.username, who.password)
    if target.auth == "kerberos":
        require_kerberos("auth='kerberos'")
    elif who is None:
        require_kerberos(
            "Authentication without a credential",
            Hint.of(" Or pass {}, for NTLM: it needs no extra.", CREDENTIAL),
        )
    return _NegotiateAuth(
        None if who is None else who.username,
        None if who is None else who.password,
        auth_provider=target.auth,
        service=target.kerberos_service,
        delegate=target.delegate,
        hostname_override=target.kerberos_hostname,
        wrap_required=target.seals,
    )


def _no_authentication(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Of a client certificate, for requests would look for another one otherwise."""
    return request


_REACH_HINT: Final = (
    "Check name and port, that WinRM runs there (Enable-PSRemoting), and that firewalls let it through."
)
_NOT_HTTP_HINT: Final = "Is it a port for TLS? Then use winrms://. Otherwise see whether WinRM is what answers there."
_LATE: Final = (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)


class _EndlessError(Exception):
    """An answer is longer than answers may be."""


def _read(response: requests.Response, deadline: Deadline) -> bytes:
    pieces: list[bytes] = []
    length = 0
    for piece in response.iter_content(_CHUNK):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_ANSWER:
            raise _EndlessError
        if not deadline.left():
            raise TimeoutError
    if response.ok and not _is_whole(response):
        raise ConnectionAbortedError
    return b"".join(pieces)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what is behind it: requests and urllib3 wrap errors as arguments and as contexts."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop(0)
        if isinstance(current, BaseException) and id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += [*current.args, getattr(current, "reason", None), current.__cause__, current.__context__]


def _refuses_client(causes: list[BaseException]) -> bool:
    return any(isinstance(cause, ssl.SSLError) and cause.reason in _CLIENT_REFUSED for cause in causes)


def _reason(causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return "it was closed in the middle"
