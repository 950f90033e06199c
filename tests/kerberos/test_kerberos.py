"""WinRM with Kerberos: the contract on a real PowerShell, what is on the wire, and who is asked."""

from __future__ import annotations

import base64
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hvintegration import Credential, Host, Transport, WinRM
from hvintegration.models import ChangeOutcome
from hvintegration.scripts import SCRIPTS
from hvintegration.simulator import Machine
from hvintegration.simulator.store import FileStore
from hvintegration.testing import TransportContract, machine_id
from tests.support.amounts import at_night
from tests.support.kept import Kept
from tests.support.kerberos_realm import PASSWORD, USER, Realm
from tests.support.recording_relay import RecordingRelay

if TYPE_CHECKING:
    from tests.conftest import Bridge

pytestmark = pytest.mark.engine

WHO = Credential(USER, PASSWORD)
NTLM_USER = Credential("BRIDGE\\admin", "Secret-1")

Be = Callable[..., None]


@pytest.fixture(scope="module")
def world_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world that the bridge of this module answers from."""
    return tmp_path_factory.mktemp("kerberos-world") / "world.json"


@pytest.fixture(scope="module")
def bridge(start_bridge: Callable[..., Bridge], world_path: Path, realm: Realm) -> Bridge:
    return start_bridge(auth="negotiate", world=world_path, environment=realm.service_environment)


@pytest.fixture(scope="module")
def with_ticket(bridge: Bridge) -> Iterator[WinRM]:
    winrm = WinRM("localhost", port=bridge.port, auth="kerberos")
    yield winrm
    winrm.close()


@at_night
class TestContract(TransportContract):
    """With the ticket in the cache, encrypted by Kerberos, over plain HTTP."""

    @pytest.fixture
    def store(self, world_path: Path) -> FileStore:
        TransportContract.default_world().save(world_path)
        return FileStore(world_path)

    @pytest.fixture
    def transport(self, with_ticket: WinRM, store: FileStore, be: Be, ticket: str) -> Transport:
        be(KRB5CCNAME=ticket)
        return Kept(with_ticket)

    def test_many_messages_are_sealed_in_order(self, host: Host, store: FileStore) -> None:
        store.change(
            lambda world: setattr(
                world, "machines", [Machine(id=machine_id(number), name=f"vm{number}") for number in range(1, 151)]
            )
        )

        assert len(host.inventory().vms) == 150
        changes = host.set_services((f"vm{number}", "kvp", False) for number in range(1, 151))

        assert {change.outcome for change in changes} == {ChangeOutcome.CHANGED}
        assert len(store.read().journal) == 150

    def test_threads_and_a_new_connection(self, host: Host, transport: WinRM) -> None:
        with ThreadPoolExecutor(2) as pool:
            names = list(pool.map(lambda _: [vm.name for vm in host.vms.list()], range(6)))
        transport.close()

        assert names == [[vm.name for vm in host.vms.list()]] * 6


@pytest.fixture
def relay(bridge: Bridge, world_path: Path) -> Iterator[RecordingRelay]:
    """In front of the bridge, which answers from a new world."""
    TransportContract.default_world().save(world_path)
    with RecordingRelay(bridge.port) as relay:
        yield relay


def write(transport: Transport) -> None:
    """Make a warm write."""
    with Host(transport) as host:
        vm = host.vms["demovm"]
        assert vm.services["vss"].disable().enabled is False
        assert vm.services["vss"].enable().enabled is True


def protocol(relay: RecordingRelay) -> str:
    """What the tokens on the wire belong to, which must all belong to one."""
    found = re.findall(
        rb"^(?:WWW-Authenticate|Authorization): \w+ ([\w+/=]+)\r$",
        bytes(relay.sent + relay.received),
        re.MULTILINE | re.IGNORECASE,
    )
    decoded = [base64.b64decode(token) for token in found]
    assert decoded
    ntlm = any(b"NTLMSSP\0" in token for token in decoded)
    # A ticket says in the clear what it is for.
    kerberos = any(b"WSMAN" in token and b"HV.TEST" in token for token in decoded)
    assert ntlm is not kerberos
    return "ntlm" if ntlm else "kerberos"


def test_a_credential_needs_no_ticket(relay: RecordingRelay, be: Be) -> None:
    be()

    write(WinRM("localhost", port=relay.port, credential=WHO, auth="kerberos"))

    assert protocol(relay) == "kerberos"


@pytest.mark.parametrize("with_credential", [False, True])
def test_negotiating_takes_kerberos_where_it_is_possible(
    relay: RecordingRelay, be: Be, ticket: str, *, with_credential: bool
) -> None:
    be(**({} if with_credential else {"KRB5CCNAME": ticket}))

    write(WinRM("localhost", port=relay.port, credential=WHO if with_credential else None))

    assert protocol(relay) == "kerberos"


@pytest.mark.parametrize("has_ticket", [False, True])
def test_negotiating_takes_ntlm_for_a_user_that_kerberos_does_not_know(
    relay: RecordingRelay, be: Be, ticket: str, *, has_ticket: bool
) -> None:
    be(**({"KRB5CCNAME": ticket} if has_ticket else {}))

    write(WinRM("localhost", port=relay.port, credential=NTLM_USER))

    assert protocol(relay) == "ntlm"


def test_negotiating_takes_ntlm_for_an_ip_address(relay: RecordingRelay, be: Be) -> None:
    be()

    write(WinRM("127.0.0.1", port=relay.port, credential=NTLM_USER))

    assert protocol(relay) == "ntlm"


@pytest.mark.parametrize("auth", ["kerberos", "ntlm"])
def test_nothing_can_be_read_on_the_wire(relay: RecordingRelay, be: Be, auth: str) -> None:
    be()
    who = WHO if auth == "kerberos" else NTLM_USER

    write(WinRM("localhost", port=relay.port, credential=who, auth=auth))

    assert protocol(relay) == auth
    wire = bytes(relay.sent + relay.received)
    assert wire.count(b"application/HTTP-SPNEGO-session-encrypted") > 10
    secrets = [who.password, "demovm", "<s:Envelope", "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create"]
    secrets += [line.strip() for script in SCRIPTS for line in script.text.splitlines() if len(line.strip()) > 10]
    assert len(secrets) > 50
    for secret in secrets:
        for encoding in ("utf-8", "utf-16-le"):
            plain = secret.encode(encoding)
            assert plain not in wire, secret
            # Wherever it begins within base64, some of this is in there.
            for offset in range(3):
                coded = base64.b64encode(b"\0" * offset + plain)[4 : -4 - offset]
                assert len(coded) < 8 or coded not in wire, secret


def test_the_endpoint_takes_nothing_that_is_not_sealed(bridge: Bridge, be: Be, ticket: str) -> None:
    """Else the tests of encryption would show nothing."""
    import spnego

    be(KRB5CCNAME=ticket)
    context = spnego.client(hostname="localhost", service="WSMAN", protocol="kerberos")
    token = context.step()
    assert token is not None
    request = urllib.request.Request(
        f"http://127.0.0.1:{bridge.port}/wsman",
        data=b"<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'/>",
        headers={"Authorization": f"Negotiate {base64.b64encode(token).decode()}"},
    )

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)  # noqa: S310 - it is http

    with refused.value as answer:
        assert answer.code == 403


def test_a_host_may_have_another_name_in_kerberos(relay: RecordingRelay, be: Be, ticket: str) -> None:
    be(KRB5CCNAME=ticket)

    write(WinRM("127.0.0.1", port=relay.port, auth="kerberos", kerberos_hostname="hv01.hv.test"))

    assert protocol(relay) == "kerberos"
    first = re.search(rb"Authorization: Negotiate ([\w+/=]+)", bytes(relay.sent))
    assert first is not None
    assert b"hv01.hv.test" in base64.b64decode(first.group(1))


def test_a_service_may_have_another_name_in_kerberos(relay: RecordingRelay, be: Be, ticket: str) -> None:
    be(KRB5CCNAME=ticket)

    write(WinRM("localhost", port=relay.port, auth="kerberos", kerberos_service="HTTP"))

    first = re.search(rb"Authorization: Negotiate ([\w+/=]+)", bytes(relay.sent))
    assert first is not None
    token = base64.b64decode(first.group(1))
    assert b"HTTP" in token
    assert b"WSMAN" not in token
