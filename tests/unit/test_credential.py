from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import attrs
import pytest

from hvintegration import SSH, WinRM
from hvintegration.credential import Credential
from hvintegration.errors import ConfigurationError
from tests.support.secrecy import PASSWORD, assert_clean_error

SECRET = "correct horse battery staple"


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "{!r}".format, "%s".__mod__], ids=["repr", "str", "{}", "{!r}", "%s"]
)
def test_the_password_shows_nowhere(show: Callable[[object], str]) -> None:
    assert show(Credential("CORP\\admin", SECRET)) == "Credential(username='CORP\\\\admin')"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_written_down_and_the_refusal_does_not_repeat_it(protocol: int) -> None:
    with pytest.raises(TypeError, match="cannot be pickled") as refused:
        pickle.dumps(Credential("admin", SECRET), protocol)
    assert SECRET not in str(refused.value)


def test_it_cannot_be_written_down_inside_something_else() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps({"credential": [Credential("admin", SECRET)]})


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_copies_do_not_get_round_that(copied: Callable[[Credential], Credential]) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        copied(Credential("admin", SECRET))


def test_it_is_equal_to_one_that_says_the_same() -> None:
    same, other = Credential("admin", SECRET), Credential("admin", "else")
    assert (same == Credential("admin", SECRET), same == other) == (True, False)


def test_it_cannot_be_changed() -> None:
    credential = Credential("admin", SECRET)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        credential.password = "other"  # type: ignore[misc]
    assert credential.password == SECRET


UNCARRIABLE = {"\0": "a null character", "\ud800": "half a character"}
WITH_SECRETS: dict[str, Callable[[str], object]] = {
    "password": lambda secret: Credential("admin", secret),
    "passphrase": lambda secret: SSH("hv01", passphrase=secret),
    "client_key_password": lambda secret: WinRM("hv01", tls=True, client_key_password=secret),
}


@pytest.mark.parametrize("character", UNCARRIABLE, ids=ascii)
@pytest.mark.parametrize("name", WITH_SECRETS)
def test_a_secret_that_nothing_carries_is_refused_at_once_and_by_nobody_told(name: str, character: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^Invalid {name}: it has {UNCARRIABLE[character]}") as refused:
        WITH_SECRETS[name](f"{PASSWORD}{character}")

    assert_clean_error(refused.value)
    assert refused.value.__context__ is None


@pytest.mark.parametrize("character", [*UNCARRIABLE, "\n", "\r", "\x1b", "\x7f"], ids=ascii)
@pytest.mark.parametrize(
    "make", [lambda name: Credential(name, PASSWORD), lambda name: SSH("hv01", username=name)], ids=["both", "user"]
)
def test_a_user_whom_nobody_can_be_is_refused_at_once(make: Callable[[str], object], character: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^Invalid username: it has ") as refused:
        make(f"admin{character}")

    assert_clean_error(refused.value)


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (Credential("a:b", PASSWORD), "up to the first colon"),
        (Credential("admin", f"{PASSWORD}\n"), "its password has a control character"),
        (Credential("admin", f"{PASSWORD}\x1b"), "its password has a control character"),
    ],
)
@pytest.mark.parametrize("argument", ["credential", "proxy_credential"])
def test_what_basic_authentication_cannot_carry_is_refused_before_it_means_something_else(
    who: Credential, why: str, argument: str
) -> None:
    way = {"credential": {"auth": "basic", "tls": True}, "proxy_credential": {"proxy": "http://proxy:8080"}}[argument]

    with pytest.raises(ConfigurationError, match=f"^Invalid {argument}: .*{why}") as refused:
        WinRM("hv01", **{argument: who}, **way)  # type: ignore[arg-type]

    assert_clean_error(refused.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SSH("-oops", passphrase=PASSWORD),
        lambda: SSH("hv01", host_key="none", passphrase=PASSWORD),
        lambda: SSH("hv01", key_files="~nobody-0x7f/key", passphrase=PASSWORD),
        lambda: SSH("hv01", jump_hosts=["-oops"], passphrase=PASSWORD),
        lambda: WinRM("hv01", auth="other", client_key_password=PASSWORD),
        lambda: WinRM("-oops/", client_key_password=PASSWORD),
    ],
)
def test_an_error_of_other_arguments_does_not_show_a_passphrase(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()

    assert_clean_error(refused.value)


def test_an_unusual_password_is_a_password() -> None:
    for password in ("", " ", "a\nb\t", "ß€\U0001f600", "x" * 100_000, "\u202e"):
        assert Credential("CORP\\ä:ß", password).password == password
