"""Neither passwords, tokens, guest data nor scripts get into logs, errors, tracebacks with locals, reprs or pickles.

What fails is looked at in the tables of faults, row by row; here is what succeeds, and what no table has.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import paramiko
import pytest
import spnego

import hvintegration as hv
from hvintegration import SSH, Credential, Host, WinRM
from hvintegration.errors import AuthenticationError, ConfigurationError, HvError
from hvintegration.transports.library_logs import without_library_logs
from tests.support.endpoints import SSHEndpoint, WSManEndpoint, wait_until
from tests.support.secrecy import (
    ADDRESS,
    NOTES,
    PASSPHRASE,
    PASSWORD,
    USERNAME,
    Records,
    assert_clean,
    assert_clean_error,
    marked_world,
)
from tests.support.ssh_server import Way

ENDPOINTS: Final[dict[str, dict[str, Any]]] = {"sealed": {"tls": False}, "tls": {"tls": True}}


@pytest.fixture(params=ENDPOINTS)
def endpoint(request: pytest.FixtureRequest) -> Iterator[WSManEndpoint]:
    options = ENDPOINTS[request.param]
    with WSManEndpoint(world=marked_world(), username=USERNAME, password=PASSWORD, **options) as running:
        yield running


def test_success_logs_nothing_of_it(endpoint: WSManEndpoint, records: Records) -> None:
    with warnings.catch_warnings(record=True) as warned, endpoint.host() as host:
        inventory = host.inventory()
        host.vms["demovm"].services["vss"].disable()
        shown = [host, host.session, endpoint.transport(), host.vms, host.vms["demovm"], host.session.stats]

    assert inventory.vms[0].info.notes == NOTES
    assert inventory.vms[0].info.addresses == (ADDRESS,)
    assert "hvintegration.session" in records.names
    assert_clean(str([str(warning.message) for warning in warned]), "the warnings")
    for thing in shown:
        assert_clean(f"{thing} {thing!r}", type(thing).__name__)


@pytest.mark.parametrize("tls", [False, True], ids=["sealed", "tls"])
def test_a_wrong_password_is_not_told(records: Records, *, tls: bool) -> None:
    with WSManEndpoint(tls=tls, world=marked_world(), username="bob", password="another") as endpoint:
        endpoint.server.username, endpoint.server.password = USERNAME, PASSWORD
        host = endpoint.host()
        endpoint.server.username, endpoint.server.password = "bob", "another"
        with host, pytest.raises(AuthenticationError) as failed:
            host.info()
        assert_clean_error(failed.value)


UNUSUAL: Final = {"other scripts": "Pä€ пароль \U0001f600 \"'\\ mark", "long": "ä-mark" * 3000}


@pytest.mark.parametrize("password", UNUSUAL.values(), ids=UNUSUAL)
@pytest.mark.parametrize(
    "make",
    [
        lambda **who: WSManEndpoint(tls=False, **who),
        lambda **who: WSManEndpoint(tls=True, **who),
        lambda **who: SSHEndpoint("subsystem", **who),
    ],
    ids=["NTLM", "Basic", "SSH"],
)
def test_an_unusual_password_opens(make: Callable[..., WSManEndpoint | SSHEndpoint], password: str) -> None:
    with make(username="Änne", password=password) as endpoint, endpoint.host() as host:
        assert host.info().name == "HV01"


@pytest.mark.parametrize("way", ["subsystem", "process"])
def test_success_over_ssh_logs_nothing_of_it(way: Way, records: Records) -> None:
    with SSHEndpoint(way, world=marked_world(), username=USERNAME, password=PASSWORD) as endpoint:
        with endpoint.host() as host:
            inventory = host.inventory()
            host.vms["demovm"].services["vss"].disable()
            shown = [host, host.session, endpoint.transport(), host.session.stats]
        assert wait_until(lambda: endpoint.left() == {})

    assert inventory.vms[0].info.notes == NOTES
    assert "hvintegration.paramiko" in records.names
    for thing in shown:
        assert_clean(f"{thing} {thing!r}", type(thing).__name__)


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


def test_a_local_powershell_tells_nothing(misbehaving: Callable[..., Host], world_file: Path, records: Records) -> None:
    marked_world().save(world_file)
    misbehaving("none").inventory()
    for behaviour in ("die-after-running", "hang-within-answer", "broken-base64", "two-objects", "broken-json"):
        with pytest.raises(HvError) as failed:
            misbehaving(behaviour).inventory(timeout=2)
        assert_clean_error(failed.value)


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

    with WSManEndpoint(world=marked_world(), username=USERNAME, password=PASSWORD) as endpoint, endpoint.host() as host:
        host.inventory()
        logging.getLogger("pypsrp.wsman").debug("of somebody else")
        with without_library_logs():
            logging.getLogger("pypsrp.wsman").debug("of ours")
        spnego.client("user", "password", protocol="ntlm").step()

    assert {name: (logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in names} == before
    assert logging.root.manager.disable == disabled
    said = "\n".join(records.texts)
    records.texts.clear()  # Somebody else has told a token.
    assert "of somebody else" in said
    assert "of ours" not in said
    assert "spnego._ntlm" in records.names
