"""Fixtures of a Kerberos realm. Without MIT's programs or the Python packages, what needs it is skipped."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.support.kerberos_realm import PROGRAMS, Realm

SBIN = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"


@pytest.fixture(scope="session")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    """A realm that is up."""
    found: dict[str, str] = {}
    for program in PROGRAMS:
        path = shutil.which(program) or shutil.which(program, path=SBIN)
        if path is None:
            pytest.skip(f"the program {program} of MIT Kerberos is missing")
        found[program] = path
    for package in ("gssapi", "krb5"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the Python package {package} is missing: pip install 'hvintegration[kerberos]'")
    realm = Realm(tmp_path_factory.mktemp("kerberos"), found)
    yield realm
    realm.stop()


@pytest.fixture(scope="session")
def ticket(realm: Realm) -> str:
    """The cache with a ticket for the user, which may not be forwarded."""
    return realm.kinit("ticket")


@pytest.fixture
def be(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``be(KRB5CCNAME=...)``: be a client of the realm, without a ticket unless one is given."""

    def be(**variables: str) -> None:
        for name, value in (realm.client_environment | variables).items():
            monkeypatch.setenv(name, value)

    return be
