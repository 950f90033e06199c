"""WSMan messages over HTTP: connects, authenticates, seals, and posts, each with what is there for it."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from typing import Final

import attrs

from hvintegration.clock import Deadline
from hvintegration.errors import ConnectionLostError, HvError, ProtocolError
from hvintegration.transports.winrm.authentication import (
    Login,
    asks_nobody,
    chosen_way,
    credentials_header,
    refused_user,
    require_packages,
)
from hvintegration.transports.winrm.connecting import (
    dial,
    proxy_headers,
    reason,
    refused_certificate,
    secure,
    too_late,
    tunnel,
)
from hvintegration.transports.winrm.exchange import MAX_ANSWER, EncodedError, EndlessError, HttpAnswer, HttpConnection
from hvintegration.transports.winrm.kerberos import KDC_HINT
from hvintegration.transports.winrm.sealing import BrokenSealError, Sealing, boundary_of
from hvintegration.transports.winrm.statuses import refused_token
from hvintegration.transports.winrm.target import WSManTarget
from hvintegration.transports.winrm.tls import refuses_client, tls_context

__all__ = ["WSManHttp"]

_SOAP: Final = "application/soap+xml;charset=UTF-8"
_HEADERS: Final = {"User-Agent": "hvintegration", "Accept-Encoding": "identity", "Connection": "Keep-Alive"}
_MOST_ROUNDS: Final = 20
"""Tokens that one authentication may take; CredSSP with Kerberos inside takes some seven."""

_NOT_HTTP_HINT: Final = "Is it a port for TLS? Then use winrms://. Otherwise see whether WinRM is what answers there."
_ASKED_LATER_HINT: Final = (
    "Windows Server 2022 and later ask for the client's certificate after the request, by TLS 1.3. Where something in"
    " between does not let that through, have the host ask at once: `netsh http show sslcert` there says whether"
    " negotiating client certificates is enabled."
)


class WSManHttp:
    """One HTTP connection to a WSMan endpoint at a time. For one thread at a time; :meth:`shut` may be called by any.

    It has the methods that :class:`pypsrp.wsman.WSMan` wants of its transport.

    Args:
        target: Where to, and how.
        judge: The body of an answer if it is a good one; raises what else it means.

    Raises:
        ConfigurationError: A package that is needed, or a file of certificates, cannot be used.
    """

    def __init__(self, target: WSManTarget, judge: Callable[[HttpAnswer], bytes]) -> None:
        require_packages(target)
        self._target = target
        self._judge = judge
        self._tls: ssl.SSLContext | None = None
        self._connection: HttpConnection | None = None
        self._sealing: Sealing | None = None
        self._deadline = Deadline(0)
        self._is_shut = False
        self._gets_token = False
        through = target.proxy is not None and not target.tls
        self._url = target.url if through else f"/{target.path}"
        self._headers = _HEADERS | {"Host": target.authority} | (proxy_headers(target) if through else {})
        self.endpoint = target.url
        self.requests = 0
        """Messages posted; those of authentication are not counted."""
        self.posted = 0
        """Bytes of the last of them, before it was sealed."""
        self.about_to_send: Callable[[], None] | None = None
        """Called right before a message goes out on a connection that is there, authenticated and sealed."""

    def until(self, deadline: Deadline) -> None:
        """Set the time for what follows."""
        self._deadline = deadline

    def send(self, message: bytes, **_: object) -> bytes:
        """Post *message*, once; the body of the answer.

        Raises:
            HvError: There is no usable answer.
        """
        connection = self._ready()
        self.requests += 1
        self.posted = len(message)
        content_type, body = (_SOAP, message) if self._sealing is None else self._sealing.sealed(message)
        if self.about_to_send is not None:
            self.about_to_send()
        answer = self._ask(connection, body, {"Content-Type": content_type, **credentials_header(self._target)})
        if answer.status == http.client.UNAUTHORIZED:
            answer = self._asked_anew(connection, answer, body)
        return self._judge(answer if self._sealing is None else self._opened(self._sealing, answer))

    @property
    def late_hint(self) -> str | None:
        """What to look at if it takes too long now."""
        return KDC_HINT if self._gets_token else None

    def shut(self) -> None:
        """Shut the connection, for good. What another thread is doing here then fails."""
        self._is_shut = True
        connection = self._connection
        if connection is not None:
            connection.shut()

    def close(self) -> None:
        """Close the connection."""
        self.shut()
        self._end()

    # -- a connection on which the host knows who asks ------------------------------------------------------------

    def _ready(self) -> HttpConnection:
        if self._connection is not None and self._connection.stands:
            return self._connection
        for _ in range(2):
            self._log_in(self._connected())
            # A message that is sealed for one connection must not go over another.
            if self._connection is not None and not self._connection.ended:
                return self._connection
        raise ConnectionLostError(
            f"{self._target.address} closes each connection at once.", address=self._target.address
        )

    def _connected(self) -> HttpConnection:
        self._end()
        target = self._target
        if target.tls and self._tls is None:
            self._tls = tls_context(target)
        connection = self._connection = HttpConnection(dial(target, self._deadline))
        if self._is_shut:  # Asked after the connection can be seen: whoever shuts, shuts what there is.
            self._end()
            raise ConnectionLostError(f"{target.address} is asked no more.", address=target.address)
        try:
            if self._tls is not None:
                if target.proxy is not None:
                    tunnel(connection, target, self._deadline)
                secure(connection, target, self._tls, self._deadline)
        except BaseException:
            self._end()
            raise
        return connection

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        self._sealing = None
        if connection is not None:
            connection.close()

    def _log_in(self, connection: HttpConnection) -> None:
        """Have the host know who asks, once for the connection."""
        target = self._target
        if target.auth in {"basic", "certificate"}:
            return
        answer = self._ask(connection, b"", {"Content-Type": _SOAP})
        if answer.status == http.client.UNAUTHORIZED:
            answer = self._authorized(connection, answer, b"")
            if answer.status == http.client.OK:
                return
        if answer.status != http.client.OK:
            self._judge(answer)
        raise asks_nobody(target)

    def _authorized(self, connection: HttpConnection, demand: HttpAnswer, body: bytes) -> HttpAnswer:
        """What is answered to *body* once the host knows who asks."""
        target = self._target
        way = chosen_way(target, demand)
        if not connection.stands:  # Some hosts end it with their demand. Nothing was begun on it.
            connection = self._connected()
        login = Login(target, way, connection.certificate)
        answer: HttpAnswer | None = None
        for _ in range(_MOST_ROUNDS):
            self._gets_token = answer is None
            said = login.next(answer)
            self._gets_token = False
            if said is None:
                break
            answer = self._ask(connection, body, {"Content-Type": _SOAP, "Authorization": said})
            refusal = refused_token(target.address, answer)
            if refusal is not None:
                raise refusal
        if answer is None or answer.status == http.client.UNAUTHORIZED:
            raise refused_user(target)
        if answer.status == http.client.OK:
            sealing = login.agreed()
            self._sealing = sealing if target.seals else None
        return answer

    def _asked_anew(self, connection: HttpConnection, demand: HttpAnswer, body: bytes) -> HttpAnswer:
        """What is answered to *body* where the host demands to know who asks, though it was told."""
        target = self._target
        if self._sealing is not None:
            # Not sent again, for it might be done twice: nobody has signed this answer.
            self._end()
            raise ConnectionLostError(
                f"The connection to {target.address} was lost: the host asks anew who it is.", address=target.address
            )
        if target.auth in {"basic", "certificate"}:
            chosen_way(target, demand)
            raise refused_user(target)
        return self._authorized(connection, demand, body)  # Some want it with each message.

    # -- one exchange ---------------------------------------------------------------------------------------------

    def _ask(self, connection: HttpConnection, body: bytes, headers: dict[str, str]) -> HttpAnswer:
        try:
            return connection.ask("POST", self._url, body, self._headers | headers, self._deadline)
        except (OSError, http.client.HTTPException, ValueError, EndlessError, EncodedError) as error:
            failure = error
        lost = self._lost(connection, failure)
        self._end()
        raise lost

    def _opened(self, sealing: Sealing, answer: HttpAnswer) -> HttpAnswer:
        address = self._target.address
        boundary = boundary_of(answer.headers.first("Content-Type"))
        if boundary is not None:
            try:
                return attrs.evolve(answer, body=sealing.opened(answer.body, boundary))
            except BrokenSealError:
                self._end()
                raise ProtocolError(
                    f"{address} answered something that is not encrypted WSMan.", address=address
                ) from None
        if answer.status < http.client.BAD_REQUEST:
            raise ProtocolError(f"{address} answered an encrypted message in the clear.", address=address)
        return attrs.evolve(answer, body=b"")  # It may come from anybody; its status alone decides.

    # -- what went wrong ------------------------------------------------------------------------------------------

    def _lost(self, connection: HttpConnection, error: Exception) -> HvError:
        target = self._target
        address = target.address
        if isinstance(error, TimeoutError):
            return too_late(target, self._deadline)
        if isinstance(error, EndlessError):
            return ProtocolError(f"{address} answered more than {MAX_ANSWER} bytes, or without end.", address=address)
        if isinstance(error, EncodedError):
            return ProtocolError(
                f"{address} answered in an encoding that was not asked for.",
                address=address,
                received=str(error),
                hint="Something in between may compress answers.",
            )
        if refuses_client(error):
            return refused_certificate(target, error)
        hint = None
        if target.seals and self._sealing is None:
            hint = _NOT_HTTP_HINT
        elif target.auth == "certificate" and not connection.answered:
            hint = _ASKED_LATER_HINT
        return ConnectionLostError(
            f"The connection to {address} was lost: {reason(error)}.", address=address, hint=hint
        )
