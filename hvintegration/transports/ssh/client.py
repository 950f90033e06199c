"""An SSH connection, step by step, with paramiko: every step within a deadline, every error one of the package's."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import paramiko
from paramiko.agent import AgentSSH, get_agent_connection
from paramiko.ssh_exception import IncompatiblePeer

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
    TransportError,
    TransportTimeoutError,
    argument,
    excerpt,
)
from hvintegration.processes import Lock, disown, forget_after_fork
from hvintegration.transports.base import Step
from hvintegration.transports.ssh.host_keys import Trust, fingerprint, user_folder
from hvintegration.transports.worker import Late, Worker

__all__ = ["ChannelRefusedError", "Endpoint", "SshClient", "strong"]

T = TypeVar("T")

_KEEP_ALIVE: Final = 30  # Seconds. Firewalls forget connections that are silent for some minutes.
_STRONG: Final = {
    "ciphers": re.compile(r".*-ctr|.*-gcm@.*|chacha20-.*"),
    "digests": re.compile(r"hmac-sha2-(256|512)(-etm@.*)?"),
    "kex": re.compile(r"(?!gss-).*(sha256|sha384|sha512|nistp256|nistp384|nistp521)(@.*)?"),
    "key_types": re.compile(r"ssh-ed25519|ecdsa-sha2-.*|rsa-sha2-.*"),
}
_WEAK_PUBLIC_KEYS: Final = ("ssh-rsa", "ssh-dss", "ssh-rsa-cert-v01@openssh.com")
_DEFAULT_KEY_FILES: Final = ("id_ed25519", "id_ecdsa", "id_rsa")
_ALGORITHMS_OF: Final = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
_CHANGE_DEMANDED: Final = "Illegal info request from server"
"""What paramiko says of SSH_MSG_USERAUTH_PASSWD_CHANGEREQ, which it takes for another message of that number."""

_log = logging.getLogger("hvintegration.paramiko")
_log.addHandler(logging.NullHandler())
# What fails is an exception here. paramiko writes tracebacks besides, at a level that shows by default.
_log.addFilter(lambda _: _log.isEnabledFor(logging.DEBUG))


def strong(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """Those algorithms of *names* that are still safe: no SHA-1, MD5, CBC, 3DES, RC4 or DSA."""
    return tuple(name for name in names if _STRONG[kind].fullmatch(name))


class ChannelRefusedError(Exception):
    """The host does not open the channel, or does not start on it what was asked for."""


@attrs.frozen
class Endpoint:
    """An SSH server, and who one is there.

    Attributes:
        host: Its name or IP address.
        port: Its port.
        username: The user there.
        trust: Which key it may have.
        credential: Whose password is given, or None.
        key_files: Private keys to try; None for this user's own.
        passphrase: What opens them.
        use_agent: Whether the agent is asked.
        proxy_command: A program that carries the connection, or None.
    """

    host: str
    port: int
    username: str
    trust: Trust
    credential: Credential | None = attrs.field(default=None, repr=False)
    key_files: tuple[Path, ...] | None = None
    passphrase: Passphrase | None = None
    use_agent: bool = True
    proxy_command: str | None = None

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"


class SshClient:
    """A connection to an SSH server, through others perhaps. Its steps are taken in order, or at once by :meth:`open`.

    Args:
        hops: The servers on the way, the last of which is meant.
        address: The address for errors.
    """

    def __init__(self, hops: Sequence[Endpoint], address: str) -> None:
        *before, self._endpoint = hops
        self._address = address
        self._jump = SshClient(before, address) if before else None
        self._found: list[tuple[int, Any]] = []
        self._peer: str | None = None
        self._carrier: socket.socket | None = None
        self._transport: paramiko.Transport | None = None
        self._open: list[_Opened] = []
        self._channels: weakref.WeakSet[paramiko.Channel] = weakref.WeakSet()
        self._closed = False
        self._turn = Lock()
        self._worker: Worker | None = None
        forget_after_fork(self, SshClient._forget)

    def _forget(self) -> None:
        """Of what the parent has open, close the descriptors. Calls that wait end."""
        self._closed = True
        opened, self._open = self._open, []
        for one in opened:
            one.forget()
        for channel in self._channels:
            # When it is collected, it takes its lock and tells the server, unless it is closed.
            channel.lock = threading.Lock()
            channel.closed = True
        if self._worker is not None:
            self._worker.break_off(self._given_up())

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as is known here."""
        return self._transport is not None and self._transport.is_active()

    # -- the steps ------------------------------------------------------------------------------------------------

    def open(self, deadline: Deadline) -> None:
        """Take all steps.

        Raises:
            TransportError: One of them failed; as the steps say.
        """
        for _, take in self.steps():
            take(deadline)

    def steps(self) -> tuple[Step, ...]:
        """The steps of opening it, in order, by name."""
        return (
            ("name", self.resolve),
            ("port", self.connect),
            ("host key", self.exchange_keys),
            ("authentication", self.authenticate),
        )

    def resolve(self, deadline: Deadline) -> str:
        """Find the addresses of the first server on the way. They, as text.

        Raises:
            ConnectError: The name is unknown.
            TransportTimeoutError: There was no time left.
        """
        if self._jump is not None:
            return self._jump.resolve(deadline)
        if self._endpoint.proxy_command is not None:
            return "left to the proxy command"
        found = self._do(
            "find the host",
            lambda: socket.getaddrinfo(self._endpoint.host, self._endpoint.port, type=socket.SOCK_STREAM),
            deadline,
        )
        self._found = [(family, place) for family, _, _, _, place in found]
        return ", ".join(str(place[0]) for _, place in self._found)

    def connect(self, deadline: Deadline) -> str:
        """Reach the server's port, through all servers before it. What was reached.

        Raises:
            ConnectError: There is no way.
            AuthenticationError: A server before it does not accept the user.
            UntrustedHostError: A server before it has another key.
            TransportTimeoutError: There was no time left.
        """
        if self._jump is not None:
            for step in (self._jump.connect, self._jump.exchange_keys, self._jump.authenticate):
                step(deadline)
            jump = self._jump
            target = (self._endpoint.host, self._endpoint.port)
            try:
                self._carrier = jump.open_channel("direct-tcpip", deadline, target)  # type: ignore[assignment]
            except ChannelRefusedError as error:
                raise ConnectError(
                    f"The jump host does not connect to {self._endpoint}: {error}", address=self._address
                ) from None
        else:
            self._carrier = self._do("connect", lambda: self._dial(deadline), deadline)
        return str(self._endpoint)

    def exchange_keys(self, deadline: Deadline) -> str:
        """Agree on encryption and check the host's key. Its kind and fingerprint.

        Raises:
            ConnectError: It is no SSH server, or offers weak algorithms only.
            ConnectionLostError: The connection is lost.
            UntrustedHostError: It has another key, or one that is revoked.
            ConfigurationError: A file that says which keys are trusted cannot be used.
            TransportTimeoutError: There was no time left.
        """
        key = self._do("exchange keys", lambda: self._greet(deadline), deadline)
        self._endpoint.trust.check(key.get_name(), key.asbytes(), self._address, self._peer)
        return f"{key.get_name()} {fingerprint(key.asbytes())}"

    def authenticate(self, deadline: Deadline) -> str:
        """Prove who one is. With what that succeeded.

        Raises:
            AuthenticationError: The server accepts none of what there is.
            ConnectError: The server ends the connection.
            ConfigurationError: A key file cannot be read.
            TransportTimeoutError: There was no time left.
        """
        return self._do("authenticate", self._log_in, deadline)

    def open_channel(self, kind: str, deadline: Deadline, target: tuple[str, int] | None = None) -> paramiko.Channel:
        """A channel.

        Raises:
            ChannelRefusedError: The server opens none.
            ConnectionLostError: The connection is lost.
            TransportTimeoutError: There was no time left.
        """
        transport = self._transport
        assert transport is not None
        origin = ("127.0.0.1", 0) if target else None
        channel = self._ask(
            "open a channel",
            lambda: transport.open_channel(kind, target, origin, timeout=deadline.left() + 1),
            deadline,
        )
        self._channels.add(channel)
        return channel

    def start(self, command: str | None, deadline: Deadline) -> paramiko.Channel:
        """A channel on which *command* runs, or the subsystem ``powershell`` if None.

        Raises:
            ChannelRefusedError: The server does not start it.
            ConnectionLostError: The connection is lost.
            TransportTimeoutError: There was no time left.
        """
        channel = self.open_channel("session", deadline)
        if command is None:
            self._ask("start the subsystem", lambda: channel.invoke_subsystem("powershell"), deadline)
        else:
            self._ask("start PowerShell", lambda: channel.exec_command(command), deadline)
        return channel

    def close(self) -> None:
        """Let go of everything at once. Calls that wait end."""
        with self._turn.lock:
            self._closed = True
            opened, self._open = self._open, []
        if self._worker is not None:
            self._worker.break_off(self._given_up())
        # From the first server on, so that nothing tries to say goodbye on the way.
        if self._jump is not None:
            self._jump.close()
        for one in reversed(opened):
            with contextlib.suppress(Exception):
                one.close()

    # -- how each is done -----------------------------------------------------------------------------------------

    def _do(self, doing: str, work: Callable[[], T], deadline: Deadline) -> T:
        """Do *work* in time. This is where errors of paramiko and of sockets become the package's."""
        worker = self._worker = Worker(f"{self._address} {doing}")
        if self._closed:
            raise self._given_up()
        try:
            return worker.do(work, deadline)
        except (HvError, ChannelRefusedError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever paramiko raises is translated here
            translated = self._translated(error, doing, deadline)
        finally:
            worker.stop()
        raise translated  # Out here, it has no context, which may know what was to be proved.

    def _translated(self, error: Exception, doing: str, deadline: Deadline) -> TransportError:
        if isinstance(error, Late | TimeoutError):
            return TransportTimeoutError(address=self._address, after=deadline.given, doing=doing)
        if isinstance(error, socket.gaierror):
            return ConnectError(
                f"There is no host {self._endpoint.host!r}: {error.strerror}",
                address=self._address,
                hint="Check the name, or use an IP address.",
            )
        if isinstance(error, IncompatiblePeer):
            return ConnectError(
                f"{self._endpoint} offers only algorithms that are no longer safe: {excerpt(str(error))}",
                address=self._address,
                host_message=_quoting(error),
                hint="Update the SSH server, or change its Ciphers, MACs, KexAlgorithms or HostKeyAlgorithms.",
            )
        if isinstance(error, ConnectionResetError | BrokenPipeError | EOFError):
            # Where one proves who one is, this may be a refusal, which is not to be asked for again.
            if doing == "authenticate":
                return ConnectError(
                    f"{self._endpoint} ended the connection instead of accepting the user {self._endpoint.username!r}.",
                    address=self._address,
                    hint="Try again; if it comes again, see the server's log.",
                )
            return ConnectionLostError(
                f"The connection with {self._endpoint} was lost: it was to {doing}.", address=self._address
            )
        said = error.strerror if isinstance(error, OSError) else None
        reason = excerpt(said or str(error)) or type(error).__name__
        return ConnectError(
            f"{self._endpoint}: cannot {doing}: {reason}",
            address=self._address,
            host_message="" if said else _quoting(error),
            hint="Check that an SSH server listens there, and that no firewall is in between.",
        )

    def _ask(self, doing: str, work: Callable[[], T], deadline: Deadline) -> T:
        """Do *work*, which the server may refuse while the connection stands."""

        def ask() -> T:
            try:
                return work()
            except paramiko.SSHException as error:
                if self.alive:
                    raise ChannelRefusedError(str(error)) from None
                raise EOFError from None

        return self._do(doing, ask, deadline)

    def _keep(self, opened: _Opened) -> None:
        """Close it when this is closed, which may be now."""
        with self._turn.lock:
            if not self._closed:
                self._open.append(opened)
                return
        opened.close()
        raise self._given_up()

    def _given_up(self) -> ConnectError:
        return ConnectError(f"The connection with {self._endpoint} was given up.", address=self._address)

    def _dial(self, deadline: Deadline) -> socket.socket:
        if self._endpoint.proxy_command is not None:
            proxy = _Program(self._endpoint.proxy_command)
            self._keep(_Opened(proxy.end, lambda: disown(proxy.process)))
            return proxy  # type: ignore[return-value]
        failure: OSError = OSError("no address")
        for family, place in self._found:
            dialled = socket.socket(family, socket.SOCK_STREAM)
            self._keep(_opened_socket(dialled))
            try:
                dialled.settimeout(max(deadline.left(), 0.01))
                dialled.connect(place)
            except OSError as error:
                failure = error
                dialled.close()
            else:
                self._peer = place[0]
                dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                dialled.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                return dialled
        raise failure

    def _greet(self, deadline: Deadline) -> paramiko.PKey:
        assert self._carrier is not None
        transport = paramiko.Transport(self._carrier, disabled_algorithms={"pubkeys": _WEAK_PUBLIC_KEYS})
        self._keep(_Opened(partial(_end, transport)))
        transport.set_log_channel(_log.name)
        options = transport.get_security_options()
        for kind in _STRONG:
            setattr(options, kind, strong(kind, getattr(options, kind)))
        known = [name for kind in self._endpoint.trust.kinds() for name in _ALGORITHMS_OF.get(kind, (kind,))]
        # Kinds of keys that are known of this host come first: another kind would look like a changed key.
        options.key_types = sorted(options.key_types, key=lambda name: name not in known)
        transport.banner_timeout = transport.handshake_timeout = deadline.left() + 1
        transport.start_client()
        transport.set_keepalive(_KEEP_ALIVE)
        self._transport = transport
        return transport.get_remote_server_key()

    def _log_in(self) -> str:
        transport = self._transport
        assert transport is not None
        refused: list[str] = []
        allowed: list[str] = []
        user = self._endpoint.username
        with contextlib.closing(_Agent(self._keep)) as agent:
            for name, prove in self._proofs(transport, agent):
                try:
                    further = prove()
                except _MoreAskedError as error:
                    raise self._more_asked(error) from None
                except paramiko.BadAuthenticationType as error:
                    refused.append(name)
                    allowed = error.allowed_types
                except paramiko.AuthenticationException:
                    if not transport.is_active() and not refused:
                        raise EOFError from None
                    refused.append(name)
                    if not transport.is_active():
                        break
                else:
                    if not further:
                        return f"{user}, {name}"
                    allowed = further
        tried = f"with {', '.join(refused)}" if refused else "without anything to prove it"
        said = ", ".join(allowed)
        accepts = f" It accepts: {excerpt(said)}." if said else ""
        raise AuthenticationError(
            f"{self._endpoint} does not accept the user {user!r} {tried}.{accepts}",
            address=self._address,
            host_message="" if _KNOWN_PROOFS.issuperset(allowed) else said,
            hint=Hint.of(
                "Pass {}, {} or an agent's keys; compare with the server's log.", CREDENTIAL, argument("key_files")
            ),
        )

    def _more_asked(self, error: _MoreAskedError) -> AuthenticationError:
        return AuthenticationError(
            f"{self._endpoint} does not let in the user {self._endpoint.username!r} with this password: {error}.",
            address=self._address,
            host_message=error.question,
            hint=Hint.of("Log in with `ssh` at a terminal and change it there, or pass {}.", argument("key_files")),
        )

    def _proofs(self, transport: paramiko.Transport, agent: _Agent) -> Iterator[tuple[str, Callable[[], list[str]]]]:
        """What there is to prove who one is, by name, in the order in which it is tried."""
        endpoint = self._endpoint

        def by_key(key: paramiko.PKey) -> Callable[[], list[str]]:
            return lambda: transport.auth_publickey(endpoint.username, key)

        for path in endpoint.key_files or ():
            yield f"the key {path}", by_key(_private_key(path, endpoint.passphrase, self._address))
        if endpoint.credential is not None:
            password = endpoint.credential.password
            yield "a password", lambda: _log_in_by_password(transport, endpoint.username, password)
        elif endpoint.key_files is None:
            if endpoint.use_agent:
                for key in agent.offered():
                    yield "a key of the agent", by_key(key)
            folder = user_folder()
            for path in () if folder is None else (folder / file for file in _DEFAULT_KEY_FILES):
                with contextlib.suppress(AuthenticationError, ConfigurationError):
                    yield f"the key {path}", by_key(_private_key(path, endpoint.passphrase, self._address))


class _MoreAskedError(paramiko.SSHException):
    """The server wants more than the password; what, in our words, and in its own if it asked."""

    def __init__(self, what: str, question: str = "") -> None:
        super().__init__(what)
        self.question = question


def _log_in_by_password(transport: paramiko.Transport, username: str, password: str) -> list[str]:
    """Prove who one is by a password, given as one or as the answer to what is asked; what is wanted further.

    Raises:
        _MoreAskedError: The server wants another password instead, or something else besides.
        paramiko.SSHException: It does not take it.
    """
    try:
        return transport.auth_password(username, password, fallback=False)
    except paramiko.BadAuthenticationType as error:
        if "keyboard-interactive" not in error.allowed_types:
            raise
        try:
            return _answer_with_password(transport, username, password)
        except _MoreAskedError:
            raise
        except paramiko.SSHException:
            raise error from None
    except paramiko.SSHException as error:
        if str(error) == _CHANGE_DEMANDED:
            raise _MoreAskedError("it wants a new password") from None
        raise


def _answer_with_password(transport: paramiko.Transport, username: str, password: str) -> list[str]:
    questions = 0
    last = ""

    def answer(title: str, instructions: str, fields: Sequence[tuple[str, bool]]) -> list[str]:
        nonlocal questions, last
        questions += len(fields)
        last = " ".join([title, instructions, *(prompt for prompt, _ in fields)]).strip()
        if len(fields) > 1:
            raise paramiko.SSHException
        return [password] * len(fields)

    try:
        return transport.auth_interactive(username, answer)
    except paramiko.SSHException:
        if questions > 1:
            raise _MoreAskedError(f"it asks for more, such as a new one or a code ({excerpt(last)})", last) from None
        raise


class _Agent:
    """This user's agent, if one runs. It may ask its user, and so take as long as it likes.

    Args:
        keep: Is told what ends waiting for it.
    """

    def __init__(self, keep: Callable[[_Opened], None]) -> None:
        self._keep = keep
        self._agent: AgentSSH | None = None

    def offered(self) -> Sequence[paramiko.PKey]:
        with contextlib.suppress(paramiko.SSHException, OSError):
            connection = get_agent_connection()
            if connection is not None:
                self._keep(_opened_socket(connection))
                self._agent = AgentSSH()
                # As paramiko.Agent does, which tells nobody of the connection before the agent has answered.
                self._agent._connect(connection)  # type: ignore[attr-defined]  # noqa: SLF001
                return self._agent.get_keys()
        return ()

    def close(self) -> None:
        if self._agent is not None:
            self._agent._close()  # type: ignore[attr-defined]  # noqa: SLF001


def _private_key(path: Path, passphrase: Passphrase | None, address: str) -> paramiko.PKey:
    try:
        load: Callable[[Path, bytes | None], paramiko.PKey] = paramiko.PKey.from_path  # type: ignore[assignment]
        return load(path, None if passphrase is None else passphrase.text.encode())
    except OSError as error:
        raise ConfigurationError(f"The key {path} cannot be read: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001 - paramiko and cryptography raise whatever comes
        # TypeError where a passphrase is missing, ValueError where it is wrong; neither message is of use to anybody.
        kind = type(error).__name__
    problem = "needs a passphrase" if passphrase is None else "does not open with this passphrase"
    raise AuthenticationError(
        f"The key {path} {problem}, or is of no known kind ({kind}).",
        address=address,
        hint=Hint("Pass passphrase=..., or load the key into an agent.", "Load the key into an agent."),
    )


_KNOWN_PROOFS: Final = frozenset(
    {"publickey", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic", "gssapi-keyex", "none"}
)
_PARAMIKO_S_OWN: Final = re.compile(
    r"(Error reading|Invalid) SSH (protocol )?banner|Incompatible ssh (peer|server) \([a-z' ]+\)"
)


def _quoting(error: Exception) -> str:
    """What paramiko says, unless it certainly quotes nothing of the server, such as its banner."""
    return "" if _PARAMIKO_S_OWN.fullmatch(str(error)) else str(error)


@attrs.frozen
class _Opened:
    """Something that is open.

    Attributes:
        close: Ends it.
        forget: Lets go of its descriptors in a forked process, if it has any of its own.
    """

    close: Callable[[], object]
    forget: Callable[[], object] = lambda: None


def _opened_socket(carrier: socket.socket) -> _Opened:
    return _Opened(partial(_cut, carrier), carrier.close)


def _cut(carrier: socket.socket) -> None:
    with contextlib.suppress(OSError, AttributeError):  # On Windows, an agent is behind something else than a socket.
        carrier.shutdown(socket.SHUT_RDWR)
    carrier.close()


def _end(transport: paramiko.Transport) -> None:
    try:
        transport.packetizer.close()
        transport.close()
        transport.join(0.3)
    finally:
        transport.packetizer.complete_handshake()  # Its timer is a thread that nothing else stops.


class _Program(paramiko.ProxyCommand):
    """A program that carries a connection. paramiko would end it when any process ends, a forked one, too."""

    def close(self) -> None:
        pass

    def end(self) -> None:
        process = self.process
        with contextlib.suppress(OSError):
            process.kill()
        process.wait(1)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
