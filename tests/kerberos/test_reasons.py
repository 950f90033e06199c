"""What Kerberos' numbers mean, as they come through GSSAPI and through krb5, wrapped or not."""

from __future__ import annotations

import attrs
import pytest

from hvintegration.errors import for_command
from hvintegration.transports.winrm.kerberos import kerberos_refusal

BASE = -1765328384
FAILURE = 13 << 16
SERVICE = "WSMAN/hv01"


@attrs.define(eq=False)
class GSSError(Exception):
    maj_code: int
    min_code: int

    def __str__(self) -> str:
        return "Major (851968):\nas GSSAPI\tputs it"


@attrs.define(eq=False)
class Krb5Error(Exception):
    err_code: int


Krb5Error.__module__ = "krb5._exceptions"


class WrappedError(Exception):
    def __init__(self, base_error: BaseException) -> None:
        super().__init__()
        self.base_error = base_error


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "account has expired"),
        (6, "does not know this user"),
        (7, "no service WSMAN/hv01"),
        (14, "no encryption in common"),
        (18, "locked or disabled"),
        (23, "password has expired"),
        (24, "does not accept the password"),
        (32, "ticket has expired"),
        (37, "clocks differ"),
        (41, "cannot read the ticket"),
        (148, "clocks differ"),
        (224, "KDC"),
        (141, "no Kerberos ticket"),
        (154, "KDC"),
        (156, "KDC"),
        (195, "no Kerberos ticket"),
        (220, "KDC"),
    ],
)
def test_a_number_means_the_same_wherever_it_comes_from(number: int, said: str) -> None:
    code = BASE + number
    errors = [
        Krb5Error(code),
        GSSError(FAILURE, code % 2**32),
        GSSError(FAILURE, code),
        WrappedError(WrappedError(GSSError(FAILURE, code % 2**32))),
    ]

    found = {kerberos_refusal(error, SERVICE) for error in errors}

    (refusal,) = found
    assert refusal is not None
    assert said in refusal.reason
    assert refusal.hint
    assert "{" not in refusal.reason


def test_what_cannot_be_read_with_the_users_key_is_a_wrong_password() -> None:
    password = kerberos_refusal(Krb5Error(BASE + 24), SERVICE)

    assert kerberos_refusal(Krb5Error(BASE + 31), SERVICE) == password
    assert kerberos_refusal(GSSError(FAILURE, BASE + 31), SERVICE) != password


@pytest.mark.parametrize(("major", "said"), [(7, "no Kerberos ticket"), (11, "has expired")])
def test_gssapi_has_numbers_of_its_own(major: int, said: str) -> None:
    refusal = kerberos_refusal(GSSError(major << 16, 0), SERVICE)

    assert refusal is not None
    assert said in refusal.reason


@pytest.mark.parametrize(
    ("number", "python", "command"),
    [
        (7, "kerberos_hostname=....", "--option kerberos_hostname=...."),
        (7, "kerberos_service=....", "--option kerberos_service=...."),
        (141, "or pass credential=Credential('user@REALM', ...).", "or pass --user user@REALM."),
    ],
)
def test_hints_that_differ_at_the_command_line(number: int, python: str, command: str) -> None:
    refusal = kerberos_refusal(Krb5Error(BASE + number), SERVICE)

    assert refusal is not None
    assert refusal.hint is not None
    assert python in refusal.hint
    assert command in for_command(refusal.hint)


def test_other_errors_of_kerberos_are_told_on_one_line() -> None:
    refusal = kerberos_refusal(GSSError(FAILURE, 4711), SERVICE)

    assert refusal is not None
    assert refusal.reason == "Major (851968): as GSSAPI puts it"
    assert refusal.hint is None


def test_other_errors_are_none_of_its_own() -> None:
    circle = ValueError()
    circle.__cause__ = WrappedError(circle)

    assert kerberos_refusal(ValueError("no"), SERVICE) is None
    assert kerberos_refusal(circle, SERVICE) is None
