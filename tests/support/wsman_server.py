"""A WinRM service on this machine, over the simulator, that can be told to misbehave.

with WSManServer(world) as server:                      # HTTP, NTLM, sealed messages
    ...                                                 # connect to server.host, server.port
with WSManServer(world, tls=True) as server:            # HTTPS, Basic, server.certificate

fault = server.misbehave("drop", action="Command", carried_out=True)
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import select
import socket
import ssl
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, TypeAlias

import attrs
import spnego
import spnego._ntlm
from spnego.channel_bindings import GssChannelBindings

from hvintegration import World
from hvintegration.transports.library_logs import without_library_logs
from tests.support.certificates import Certificate, self_signed, server_context
from tests.support.closing import Closing
from tests.support.ntlm_users import let_in
from tests.support.psrp_server import simulated
from tests.support.wsman_shells import DEFAULT_CONFIGURATION, TIMED_OUT, Envelope, FaultError, Form, Shells

Kind: TypeAlias = Literal[
    "drop",  # the connection is closed instead of an answer
    "hang",  # nothing comes until the client or the server ends
    "400",
    "403",
    "404",
    "413",
    "500",
    "503",
    "unauthorized",  # 401, whatever is presented
    "truncate",  # half of the body that the header promises, and the end
    "stalled-header",  # half of the header, and nothing more
    "stalled-body",  # half of the body, and nothing more
    "endless-body",
    "endless-chunks",
    "html",  # a page with status 200, as a proxy sends it
    "truncated-xml",  # the body is whole, but its envelope is not
    "foreign-xml",
    "deep-xml",
    "doctype",
    "wrong-relates-to",
    "broken-base64",
    "still-running",  # a Receive times out, whatever there is
    "shell-vanished",  # the shell ends before the request is looked at
    "fault",  # a fault of WSMan, see FaultError
]

Of: TypeAlias = Literal["any", "pool", "pipeline"]

Action: TypeAlias = Literal["Create", "Command", "Send", "Receive", "Signal", "Delete"]

NOT_CARRIED_OUT: Final = frozenset({"400", "403", "404", "413", "500", "503", "unauthorized", "still-running", "fault"})
"""What is not done when nothing else is said."""

_SOAP: Final = "application/soap+xml;charset=UTF-8"
_SEALED: Final = "application/HTTP-SPNEGO-session-encrypted"
_CREDSSP: Final = "application/HTTP-CredSSP-session-encrypted"
_MUTUAL: Final = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_BOUNDARY: Final = b"--Encrypted Boundary"
_PART: Final = b"Content-Type: application/octet-stream\r\n"

# In Python, DES takes longer than all else that a new connection does, and the tests have few passwords.
_hashing: Any = spnego._ntlm  # noqa: SLF001 - there is no other place
_hashing.lmowfv1 = functools.cache(_hashing.lmowfv1)


@attrs.define
class Misbehaviour:
    """One fault, counted in the requests that it fits.

    Attributes:
        kind: What happens.
        action: The WSMan action that it strikes; None for any HTTP request, those that authenticate among them.
        at: The first request that it strikes, counted from 1.
        times: How many it strikes; None for all from then on.
        carried_out: Whether what the request asks is done nevertheless, until its script has ended.
        of: Which Receive it strikes: of the ``pool``, of a ``pipeline``, or any.
        fault: What a ``fault`` says.
        seen: Requests that fitted.
        struck: Requests that were struck.
    """

    kind: Kind
    action: Action | None
    at: int
    times: int | None
    carried_out: bool
    fault: FaultError
    of: Of = "any"
    seen: int = 0
    struck: int = 0

    def strikes(self, action: str | None, command: str | None) -> bool:
        if action != self.action or self.of not in {"any", "pool" if command is None else "pipeline"}:
            return False
        self.seen += 1
        if self.seen < self.at or (self.times is not None and self.struck >= self.times):
            return False
        self.struck += 1
        return True


@attrs.frozen
class Reply:
    """What is sent back, before any misbehaviour."""

    status: int
    body: bytes = b""
    kind: str = _SOAP
    authenticate: str | None = None
    closes: bool = False


_PAGE: Final = b"<!DOCTYPE html><html><body>Sign in to continue<br></body></html>"
_REPLIES: Final[Mapping[Kind | None, Reply]] = {
    "html": Reply(200, _PAGE, "text/html"),
    "400": Reply(400, kind="text/plain"),
    "403": Reply(403, kind="text/plain"),
    "404": Reply(404, kind="text/plain"),
    "413": Reply(413, kind="text/plain"),
    "500": Reply(500, kind="text/plain"),
    "503": Reply(503, kind="text/plain"),
}
_ENDLESS: Final[Mapping[Kind | None, tuple[str, str, bytes]]] = {
    "endless-body": ("Content-Length", str(1 << 40), b"x" * 0x10000),
    "endless-chunks": ("Transfer-Encoding", "chunked", b"10000\r\n" + b"x" * 0x10000 + b"\r\n"),
}


class _Abandoned(Exception):  # noqa: N818 - no error: the connection ends as planned
    """The connection ends here."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: _HTTPServer

    def setup(self) -> None:
        self.owner = self.server.owner
        self.context: Any = None
        self.trusted = False
        self.token: str | None = None
        self.certificate = b""
        self.owner.counts["connections"] += 1
        if self.owner.tls_context is not None:
            self.request = self.owner.tls_context.wrap_socket(
                self.request, server_side=True, do_handshake_on_connect=False
            )
        self.owner.sockets.add(self.request)
        try:
            if isinstance(self.request, ssl.SSLSocket):
                self.request.do_handshake()
                with contextlib.suppress(AttributeError, ValueError):  # This server is closed meanwhile.
                    self.certificate = self.request.getpeercert(binary_form=True) or b""
            if self.owner.closing.is_set():
                raise ConnectionAbortedError
        except OSError:
            self._let_go()
            raise
        super().setup()

    def finish(self) -> None:
        for stream in (self.wfile, self.rfile):
            with contextlib.suppress(OSError):
                stream.close()
        self._let_go()

    def _let_go(self) -> None:
        self.owner.sockets.discard(self.request)
        self.request.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        owner = self.owner
        owner.counts["requests"] += 1
        owner.counts["bytes_in"] += len(body)
        if owner.latency_ms and owner.closing.wait(owner.latency_ms / 1000):
            return
        try:
            fault = owner.strike(None, None)
            reply = Reply(200)
            if owner.max_envelope_bytes is not None and len(body) > owner.max_envelope_bytes:
                self.close_connection = True
                reply = _REPLIES["413"]
            elif fault is None or (fault.carried_out and fault.kind != "unauthorized"):
                reply, fault = self._carry_out(body, fault)
            self._send(reply, fault.kind if fault is not None else None)
        except (_Abandoned, OSError):
            self.close_connection = True

    def _carry_out(self, body: bytes, fault: Misbehaviour | None) -> tuple[Reply, Misbehaviour | None]:
        challenge = self._authenticate()
        if challenge is not None:
            self.owner.counts["unauthorized"] += 1
            return challenge, fault
        if not body:
            return Reply(200), fault
        sealed = "-session-encrypted" in self.headers.get("Content-Type", "")
        if not sealed and self.owner.must_seal:
            return Reply(403), fault
        try:
            asked = Envelope.parse(self._unseal(body) if sealed else body)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is the client's
            return Reply(400), fault
        fault = fault or self.owner.strike(asked.action, asked.command_id)
        status, text = self._answer(asked, fault)
        self.owner.counts["bytes_out"] += len(text)
        if fault is not None and (fault.kind in _REPLIES or fault.kind == "unauthorized"):
            return Reply(status), fault  # Sealing what is not sent would put both ends out of step.
        return self._seal(status, text.encode()) if sealed else Reply(status, text.encode()), fault

    def _answer(self, asked: Envelope, fault: Misbehaviour | None) -> tuple[int, str]:
        if fault is None:
            return self.owner.shells.answer(asked)
        if fault.kind == "shell-vanished":
            self.owner.shells.vanish(asked.shell_id)
        status, text = 200, asked.answer(asked.action, "")
        if fault.carried_out:
            status, text = self.owner.shells.answer(asked)
            self.owner.shells.settle(asked.shell_id)
        if fault.kind == "still-running":
            self._wait(asked.timeout)
            return 500, FaultError(TIMED_OUT).answer(asked)
        if fault.kind == "fault":
            return 500, fault.fault.answer(asked)
        return status, _garbled(fault.kind, asked, text)

    # -- authentication and sealing --------------------------------------------------------------------------------

    def _authenticate(self) -> Reply | None:
        """What to answer instead of what was asked for; None once the client is known."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if self.owner.auth == "basic":
            known = base64.b64encode(f"{self.owner.username}:{self.owner.password}".encode()).decode()
            return None if (scheme, token) == ("Basic", known) else Reply(401, authenticate='Basic realm="WSMAN"')
        if self.owner.auth == "certificate":
            mapped = hashlib.sha256(self.certificate).hexdigest()
            return None if (scheme, mapped) == (_MUTUAL, self.owner.mapped) else Reply(403, kind="text/plain")
        if self.trusted and not token:
            return None
        ways = ("CredSSP",) if self.owner.auth == "credssp" else ("Negotiate", "NTLM")
        if scheme not in ways or not token:
            return Reply(401, authenticate=ways[0], closes=self.owner.closes_after_demand)
        try:
            offered = base64.b64decode(token)
            with self.owner.credentials(), without_library_logs():
                if self.context is None or self.trusted:
                    self.trusted = False
                    protocol = "ntlm" if offered.startswith(b"NTLMSSP\0") else "negotiate"
                    self.context = spnego.server(
                        protocol="credssp" if self.owner.auth == "credssp" else protocol,
                        channel_bindings=self.owner.channel_bindings,
                    )
                answer = self.context.step(offered)
        except Exception:  # noqa: BLE001 - spnego raises what it likes
            self.context = None
            return Reply(401, authenticate=ways[0])
        encoded = f"{scheme} {base64.b64encode(answer or b'').decode()}".strip()
        if not self.context.complete:
            return Reply(401, authenticate=encoded)
        self.trusted = True
        self.token = encoded
        return None

    def _unseal(self, body: bytes) -> bytes:
        opened: list[bytes] = []
        for part in body.split(_BOUNDARY)[2::2]:
            sealed = part.partition(_PART)[2]
            size = int.from_bytes(sealed[:4], "little")
            with without_library_logs():
                opened.append(self.context.unwrap_winrm(sealed[4 : 4 + size], sealed[4 + size :]))
        self.owner.counts["several parts"] += len(opened) > 1
        return b"".join(opened)

    def _seal(self, status: int, data: bytes) -> Reply:
        kind, most = (_CREDSSP, 16 << 10) if self.owner.auth == "credssp" else (_SEALED, len(data))
        parts = [self._seal_part(data[at : at + most], kind) for at in range(0, len(data), most)]
        several = "x-multi-" if len(parts) > 1 else ""
        body = b"".join(parts) + _BOUNDARY + b"--\r\n"
        return Reply(status, body, f'multipart/{several}encrypted;protocol="{kind}";boundary="Encrypted Boundary"')

    def _seal_part(self, data: bytes, kind: str) -> bytes:
        with without_library_logs():
            sealed = self.context.wrap_winrm(data)
        size = len(data) + sealed.padding_length
        return b"%b\r\n\tContent-Type: %b\r\n\tOriginalContent: type=%b;Length=%d\r\n%b\r\n\t%b%b%b%b" % (
            *(_BOUNDARY, kind.encode(), _SOAP.encode(), size, _BOUNDARY, _PART),
            *(len(sealed.header).to_bytes(4, "little"), sealed.header, sealed.data),
        )

    # -- sending ---------------------------------------------------------------------------------------------------

    def _send(self, reply: Reply, kind: Kind | None) -> None:
        if kind == "drop":
            raise _Abandoned
        if kind == "hang":
            self._stall()
        if kind == "unauthorized":
            self.owner.counts["unauthorized"] += 1
            reply = Reply(401, authenticate="Basic" if self.owner.auth == "basic" else "Negotiate")
        reply = _REPLIES.get(kind, reply)
        self.send_response(reply.status)
        if reply.authenticate or self.token:
            self.send_header("WWW-Authenticate", reply.authenticate or self.token or "")
        self.token = None
        if kind == "stalled-header":
            self.flush_headers()
            self.wfile.write(b"Content-Ty")
            self._stall()
        self.send_header("Content-Type", reply.kind)
        if reply.closes:
            self.send_header("Connection", "close")  # Which ends it, too.
        if kind in _ENDLESS:
            name, value, data = _ENDLESS[kind]
            self.send_header(name, value)
            self.end_headers()
            self._send_for_ever(data)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self._send_body(reply.body, kind)

    def _send_body(self, body: bytes, kind: Kind | None) -> None:
        half = kind in {"truncate", "stalled-body"}
        self.wfile.write(body[: len(body) // 2] if half else body)
        self.wfile.flush()
        if kind == "stalled-body":
            self._stall()
        if half:
            raise _Abandoned

    def _send_for_ever(self, data: bytes) -> NoReturn:
        while not self.owner.closing.is_set():
            self.wfile.write(data)
        raise _Abandoned

    def _stall(self) -> NoReturn:
        self.wfile.flush()
        self._wait(None)
        raise _Abandoned

    def _wait(self, seconds: float | None) -> None:
        """Return after *seconds*; if the client or the server ends before, the connection ends here."""
        # The server's end shows here too: it shuts the socket down.
        if select.select([self.connection], [], [], seconds)[0]:
            raise _Abandoned


def _garbled(kind: Kind, asked: Envelope, text: str) -> str:
    match kind:
        case "truncated-xml":
            return text[: len(text) // 2]
        case "foreign-xml":
            return '<?xml version="1.0"?><catalog xmlns="urn:books"><book id="1"/></catalog>'
        case "deep-xml":
            return text.replace("<s:Body>", "<s:Body>" + "<a>" * 100_000 + "</a>" * 100_000)
        case "doctype":
            entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
            return f'<!DOCTYPE x [<!ENTITY e0 "aaaaaaaaaa">{entities}]>' + text.replace("<s:Body>", "<s:Body>&e9;")
        case "wrong-relates-to":
            return text.replace(asked.message_id, "uuid:00000000-0000-0000-0000-000000000000")
        case "broken-base64":
            start, stream, rest = text.partition('<rsp:Stream Name="stdout"')
            attributes, bracket, data = rest.partition(">")
            return f"{start}{stream}{attributes}{bracket}%%%{data}"
        case _:
            return text


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, owner: WSManServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        name = f"wsman connection {client_address[1]}"
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), name=name, daemon=True
        )
        self.owner.threads = [old for old in self.owner.threads if old.is_alive()]
        self.owner.threads.append(thread)
        thread.start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep what is no client's going away; :meth:`WSManServer.close` raises it."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.owner.problems.append(error)


class WSManServer(Closing):
    """The service.

    Args:
        world: What it answers from: an object, or the path of a world file.
        tls: HTTPS, with a certificate of its own.
        auth: ``negotiate`` (NTLM, also inside of SPNEGO), ``credssp``, ``basic``, or, with TLS, ``certificate``. If
            None, ``basic`` with TLS, and without it ``negotiate``, which then asks for sealed messages.
        certificate: Its certificate, with TLS; if None, a new one.
        client_certificate: The one that a client must have, with ``certificate``. Further ones are refused only once
            the handshake is over if ``tls_context`` trusts them.
        username: Who may come in, as ``user`` or ``DOMAIN\\user``.
        password: With which password.
        configurations: Session configurations, and the functions that each has; None for one that runs scripts.

    Attributes:
        shells: Its shells; ``max_shells``, ``max_commands`` and ``idle_seconds`` may be set at any time.
        closes_after_demand: Whether a demand to authenticate ends the connection, as on some hosts.
        max_envelope_bytes: Longer requests are answered with 413, and nobody looks at them; None for no limit.
        latency_ms: How long each request waits before anything is done.
        counts: Of ``connections``, ``requests`` (of HTTP), ``unauthorized``, ``bytes_in``, ``bytes_out``, and, in
            :attr:`actions`, of each WSMan action.
        certificate: Its certificate, with TLS.
    """

    host: Final = "127.0.0.1"

    def __init__(
        self,
        world: World | str | Path,
        *,
        tls: bool = False,
        auth: Literal["negotiate", "basic", "certificate", "credssp"] | None = None,
        certificate: Certificate | None = None,
        client_certificate: Certificate | None = None,
        username: str = "admin",
        password: str = "Loopback-1",
        configurations: Mapping[str, Collection[str] | None] | None = None,
    ) -> None:
        self.auth = auth or ("basic" if tls else "negotiate")
        self.must_seal = not tls and self.auth in {"negotiate", "credssp"}
        self.username = username
        self.password = password
        self.latency_ms = 0.0
        self.closes_after_demand = False
        self.max_envelope_bytes: int | None = None
        self.counts: Counter[str] = Counter()
        self.problems: list[BaseException] = []
        self.shells = Shells(simulated(world), configurations or {DEFAULT_CONFIGURATION: None})
        self.closing = threading.Event()
        self.sockets: set[socket.socket] = set()
        self.threads: list[threading.Thread] = []
        self.certificate: Certificate | None = None
        self.tls_context: ssl.SSLContext | None = None
        self.mapped = None if client_certificate is None else client_certificate.sha256
        self.channel_bindings: GssChannelBindings | None = None
        self._lock = threading.Lock()
        self._plan: list[Misbehaviour] = []
        self._folder = tempfile.TemporaryDirectory(prefix="wsman-server-")
        self._users = Path(self._folder.name) / "users"
        domain, _, user = username.rpartition("\\")
        self._users.write_text(f"{domain}:{user}:{password}\n")
        if tls:
            self.certificate = certificate or self_signed(Path(self._folder.name))
            self.tls_context = server_context(self.certificate)
            if client_certificate is not None:
                self.tls_context.verify_mode = ssl.CERT_REQUIRED
                self.tls_context.load_verify_locations(client_certificate.path)
            digest = bytes.fromhex(self.certificate.sha256)
            self.channel_bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + digest)
        self._http = _HTTPServer(self)
        self._serving = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, name="wsman server", daemon=True
        )
        self._serving.start()

    @property
    def port(self) -> int:
        port: int = self._http.server_address[1]
        return port

    @property
    def actions(self) -> Counter[str]:
        """How many requests of each WSMan action were carried out."""
        return self.shells.counts

    @property
    def open_shells(self) -> int:
        return len(self.shells.all())

    @property
    def open_commands(self) -> int:
        """Commands not yet signalled to end, in all shells."""
        return sum(shell.commands for shell in self.shells.all())

    @property
    def running_scripts(self) -> int:
        return sum(shell.running for shell in self.shells.all())

    @property
    def open_connections(self) -> int:
        return sum(thread.is_alive() for thread in self.threads)

    def misbehave(
        self,
        kind: Kind,
        *,
        action: Action | None = None,
        at: int = 1,
        times: int | None = 1,
        carried_out: bool | None = None,
        of: Of = "any",
        code: int = 0,
        form: Form = "wsman",
        subcode: str | None = None,
        text: str | None = None,
    ) -> Misbehaviour:
        """Plan a fault; see :class:`Misbehaviour`.

        Args:
            kind: What happens.
            action: The WSMan action that it strikes; None for any HTTP request.
            at: The first request that it strikes, counted from now.
            times: How many it strikes; None for all from then on.
            carried_out: Whether what the request asks is done nevertheless. If None, it is, but for
                :data:`NOT_CARRIED_OUT`.
            of: Which Receive it strikes.
            code: The number of a ``fault``.
            form: How it is told.
            subcode: SOAP's word for it, if not the usual one of its number.
            text: Its sentence, likewise.
        """
        done = kind not in NOT_CARRIED_OUT if carried_out is None else carried_out
        said = FaultError(code, text, form=form, subcode=subcode)
        fault = Misbehaviour(kind, action, at, times, done, said, of)
        with self._lock:
            self._plan.append(fault)
        return fault

    def behave(self) -> None:
        """Forget all plans."""
        with self._lock:
            self._plan.clear()

    def strike(self, action: str | None, command: str | None) -> Misbehaviour | None:
        """The planned fault that strikes a request of *action*, about *command* or else the pool."""
        with self._lock:
            return next((fault for fault in self._plan if fault.strikes(action, command)), None)

    def credentials(self) -> contextlib.AbstractContextManager[None]:
        """While it is entered, spnego knows the one who may come in."""
        return let_in(self._users)

    def close(self) -> None:
        """End everything, shells and connections too.

        Raises:
            ExceptionGroup: Something went wrong in the server itself.
        """
        if self.closing.is_set():
            return
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._serving.join()
        self.shells.close()
        for connection in list(self.sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self._folder.cleanup()
        if self.problems:
            raise BaseExceptionGroup("the WSMan server failed", self.problems)
