"""Neither passwords, tokens, guest data nor scripts get into logs, errors, tracebacks with locals, reprs or pickles."""

from __future__ import annotations

import base64
import logging
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import paramiko
import pytest
import spnego

import hvintegration as hv
from hvintegration import SSH, Credential, Host, WinRM, World
from hvintegration.errors import AuthenticationError, ConfigurationError, HvError
from hvintegration.scripts import SCRIPTS
from hvintegration.simulator import demo_world
from hvintegration.transports.library_logs import without_library_logs
from tests.support.endpoints import SSHEndpoint, WSManEndpoint, wait_until
from tests.support.ssh_server import Kind as SSHKind
from tests.support.ssh_server import Stage, Way
from tests.support.wsman_server import Action, Kind

USERNAME: Final = "anne-mark"
PASSWORD: Final = "Pa55-mark-Wort!"
PASSPHRASE: Final = "Pa55-mark-phrase!"
NOTES: Final = "notes-mark-7131"
ADDRESS: Final = "203.0.113.77"


def encodings(text: str) -> set[str]:
    """Ways in which *text* may show up."""
    utf16 = text.encode("utf-16-le")
    found = {text, text.encode().hex(), utf16.hex(), base64.b64encode(utf16).decode(), repr(utf16)[2:-1]}
    # Within other data encoded together with it, it begins at any of three offsets.
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + text.encode()).decode()
        found.add(encoded[4 if offset else 0 : -4])
    return found


SECRETS: Final = {
    *encodings(PASSWORD),
    *encodings(PASSPHRASE),
    base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode(),
    "TlRMTVNT",  # How each NTLM token begins, in base64.
    "NTLMSSP",
    "Authorization",
    *encodings(NOTES),
    *encodings(ADDRESS),
    *(line for script in SCRIPTS for line in script.text.splitlines() if len(line) > 30),
}


def assert_clean(text: str, where: str) -> None:
    for secret in SECRETS:
        assert secret not in text, f"{secret!r} is in {where}"


def world() -> World:
    found = demo_world()
    found.machine("demovm").notes = NOTES
    found.machine("demovm").addresses = [ADDRESS]
    return found


class Records(logging.Handler):
    """Keeps everything that is logged."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.texts: list[str] = []
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name)
        self.texts.append(f"{self.format(record)} {record.__dict__}")


@pytest.fixture
def records() -> Iterator[Records]:
    """Everything that anything logs, with every logger at DEBUG."""
    handler = Records()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def behind(error: BaseException) -> Iterator[BaseException]:
    """The error, and all errors behind it."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += [current.__cause__, current.__context__]


def with_locals(error: BaseException) -> str:
    """Its traceback as tools print it that show variables, but for this file's own."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    waiting: list[traceback.TracebackException | None] = [shown]
    while waiting:
        current = waiting.pop()
        if current is not None:
            current.stack = traceback.StackSummary.from_list(
                [frame for frame in current.stack if frame.filename != __file__]
            )
            waiting += [current.__cause__, current.__context__]
    return "".join(shown.format())


def assert_clean_error(error: BaseException) -> None:
    assert_clean(with_locals(error), "the traceback with locals")
    for found in behind(error):
        assert_clean(f"{found} {found!r} {found.args} {getattr(found, '__notes__', '')}", type(found).__name__)
        assert_clean(str(found.__dict__), f"the attributes of {type(found).__name__}")
        assert_clean(with_locals(found), "a traceback with locals")
    assert_clean(repr(pickle.dumps(error)), "the pickled error")


ENDPOINTS: Final[dict[str, dict[str, Any]]] = {"sealed": {"tls": False}, "tls": {"tls": True}}

FAULTS: Final[list[tuple[Kind, Action | None]]] = [
    ("unauthorized", None),
    ("403", None),
    ("500", None),
    ("html", None),
    ("drop", None),
    ("hang", None),
    ("endless-body", None),
    ("truncate", "Create"),
    ("stalled-header", "Command"),
    ("truncated-xml", "Command"),
    ("wrong-relates-to", "Command"),
    ("error-995", "Command"),
    ("drop", "Receive"),
    ("hang", "Receive"),
    ("truncate", "Receive"),
    ("stalled-body", "Receive"),
    ("truncated-xml", "Receive"),
    ("foreign-xml", "Receive"),
    ("deep-xml", "Receive"),
    ("doctype", "Receive"),
    ("wrong-relates-to", "Receive"),
    ("broken-base64", "Receive"),
    ("still-running", "Receive"),
]
FOR_WRITES: Final[list[tuple[Kind, Action | None]]] = [
    ("drop", None),
    ("error-995", "Command"),
    ("drop", "Receive"),
    ("truncated-xml", "Receive"),
]


SSH_FAULTS: Final[list[tuple[SSHKind, Stage]]] = [
    ("refuse", "authentication"),
    ("end", "authentication"),
    ("silent", "authentication"),
    ("refuse", "start"),
    ("reset", "command"),
    ("silent", "command"),
    ("reset", "answer"),
    ("cut", "answer"),
    ("garbage", "answer"),
    ("endless-line", "answer"),
]


@pytest.fixture(params=ENDPOINTS)
def endpoint(request: pytest.FixtureRequest) -> Iterator[WSManEndpoint]:
    options = ENDPOINTS[request.param]
    with WSManEndpoint(world=world(), username=USERNAME, password=PASSWORD, **options) as running:
        yield running


def test_success_logs_nothing_of_it(endpoint: WSManEndpoint, records: Records) -> None:
    with warnings.catch_warnings(record=True) as warned, endpoint.host() as host:
        inventory = host.inventory()
        host.vms["demovm"].services["vss"].disable()
        shown = [host, host.session, endpoint.transport(), host.vms, host.vms["demovm"], host.session.stats]

    assert inventory.vms[0].info.notes == NOTES
    assert ADDRESS in inventory.vms[0].info.addresses
    assert "hvintegration.session" in records.names
    for text in records.texts:
        assert_clean(text, "the log")
    assert_clean(str([str(warning.message) for warning in warned]), "the warnings")
    for thing in shown:
        assert_clean(f"{thing} {thing!r}", type(thing).__name__)


@pytest.mark.parametrize(
    ("kind", "action", "verb"),
    [*((*fault, "read") for fault in FAULTS), *((*fault, "write") for fault in FAULTS if fault in FOR_WRITES)],
    ids=str,
)
def test_failure_tells_nothing_of_it(
    endpoint: WSManEndpoint, records: Records, kind: Kind, action: Action | None, verb: str
) -> None:
    endpoint.server.misbehave(kind, action=action, times=None)
    vm_id = endpoint.world.machine("demovm").id
    with endpoint.host() as host:
        try:
            if verb == "read":
                host.inventory(timeout=0.5)
            else:
                (change,) = host.set_services([(vm_id, "vss", False)], timeout=1.2)
                assert_clean(repr(change), "a change that is said to have failed")
        except HvError as error:
            assert_clean_error(error)
        else:
            assert verb == "write"
        endpoint.server.behave()
    assert wait_until(lambda: endpoint.left() == {})
    for text in records.texts:
        assert_clean(text, "the log")


@pytest.mark.parametrize("tls", [False, True], ids=["sealed", "tls"])
def test_a_wrong_password_is_not_told(records: Records, *, tls: bool) -> None:
    with WSManEndpoint(tls=tls, world=world(), username="bob", password="another") as endpoint:
        endpoint.server.username, endpoint.server.password = USERNAME, PASSWORD
        host = endpoint.host()
        endpoint.server.username, endpoint.server.password = "bob", "another"
        with host, pytest.raises(AuthenticationError) as failed:
            host.info()
        assert_clean_error(failed.value)
    for text in records.texts:
        assert_clean(text, "the log")


@pytest.mark.parametrize("way", ["subsystem", "process"])
def test_success_over_ssh_logs_nothing_of_it(way: Way, records: Records) -> None:
    with SSHEndpoint(way, world=world(), username=USERNAME, password=PASSWORD) as endpoint:
        with endpoint.host() as host:
            inventory = host.inventory()
            host.vms["demovm"].services["vss"].disable()
            shown = [host, host.session, endpoint.transport(), host.session.stats]
        assert wait_until(lambda: endpoint.left() == {})

    assert inventory.vms[0].info.notes == NOTES
    assert "hvintegration.paramiko" in records.names
    for text in records.texts:
        assert_clean(text, "the log")
    for thing in shown:
        assert_clean(f"{thing} {thing!r}", type(thing).__name__)


@pytest.mark.parametrize("verb", ["read", "write"])
@pytest.mark.parametrize("way", ["subsystem", "process"])
@pytest.mark.parametrize(("kind", "at"), SSH_FAULTS, ids=str)
def test_failure_over_ssh_tells_nothing_of_it(way: Way, kind: SSHKind, at: Stage, verb: str, records: Records) -> None:
    with SSHEndpoint(way, world=world(), username=USERNAME, password=PASSWORD) as endpoint:
        vm_id = endpoint.world.machine("demovm").id
        endpoint.server.misbehave(kind, at=at, times=None)
        with endpoint.host() as host:
            try:
                if verb == "read":
                    host.inventory(timeout=1)
                else:
                    (change,) = host.set_services([(vm_id, "vss", False)], timeout=2)
                    assert_clean(repr(change), "a change that is said to have failed")
            except HvError as error:
                assert_clean_error(error)
            endpoint.server.behave()
        assert wait_until(lambda: endpoint.left() == {}), endpoint.left()
    for text in records.texts:
        assert_clean(text, "the log")


@pytest.mark.parametrize("passphrase", [PASSPHRASE, f"{PASSPHRASE}?"], ids=["right", "wrong"])
def test_a_passphrase_is_not_told(passphrase: str, tmp_path: Path, records: Records) -> None:
    key_file = tmp_path / "key"
    paramiko.ECDSAKey.generate().write_private_key_file(str(key_file), password=PASSPHRASE)
    with SSHEndpoint() as endpoint:
        server = endpoint.server
        ssh = SSH(
            server.host,
            port=server.port,
            username=USERNAME,
            host_key=server.fingerprint,
            key_files=key_file,
            passphrase=passphrase,
        )
        with Host(ssh) as host, pytest.raises(AuthenticationError) as failed:
            host.info()
        assert_clean_error(failed.value)
        assert_clean(f"{ssh} {ssh!r}", "the transport")
        assert wait_until(lambda: endpoint.left() == {})
    for text in records.texts:
        assert_clean(text, "the log")


def test_a_local_powershell_tells_nothing(misbehaving: Callable[..., Host], world_file: Path, records: Records) -> None:
    world().save(world_file)
    misbehaving("none").inventory()
    for behaviour in ("die-after-running", "hang-within-answer", "broken-base64", "two-objects", "broken-json"):
        with pytest.raises(HvError) as failed:
            misbehaving(behaviour).inventory(timeout=2)
        assert_clean_error(failed.value)

    for text in records.texts:
        assert_clean(text, "the log")


def test_what_the_user_was_handling_keeps_its_traceback() -> None:
    def handle() -> None:
        try:
            int("no number")
        except ValueError:
            hv.connect("sim:").vms["absent"]

    with pytest.raises(HvError) as failed:
        handle()

    context = failed.value.__context__
    while context is not None and not isinstance(context, ValueError):
        context = context.__context__
    assert context is not None
    assert context.__traceback__ is not None


def test_credentials_and_transports_hide_the_password() -> None:
    who = Credential(USERNAME, PASSWORD)
    transport = WinRM("hv01", credential=who, proxy="http://proxy:8080", proxy_credential=who)

    for thing in (who, transport, Host(transport), Host(transport).session):
        assert_clean(f"{thing} {thing!r}", type(thing).__name__)
    with pytest.raises(ConfigurationError) as refused:
        hv.connect(f"winrm://{USERNAME}:{PASSWORD}@hv01")
    assert_clean(f"{refused.value!r} {refused.value}", "the error")


def test_the_users_logging_stays_as_it_is(records: Records) -> None:
    names = ["pypsrp", "pypsrp.wsman", "psrpcore", "spnego", "urllib3", "urllib3.connectionpool", "requests"]
    before = {name: (logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in names}
    disabled = logging.root.manager.disable

    with WSManEndpoint(world=world(), username=USERNAME, password=PASSWORD) as endpoint, endpoint.host() as host:
        host.inventory()
        logging.getLogger("pypsrp.wsman").debug("of somebody else")
        with without_library_logs():
            logging.getLogger("pypsrp.wsman").debug("of ours")
        spnego.client("user", "password", protocol="ntlm").step()

    assert {name: (logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in names} == before
    assert logging.root.manager.disable == disabled
    said = "\n".join(records.texts)
    assert "of somebody else" in said
    assert "of ours" not in said
    assert "spnego._ntlm" in records.names
