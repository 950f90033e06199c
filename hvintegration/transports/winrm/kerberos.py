"""What Kerberos needs to be there, and what its errors mean to somebody who only wants to reach a host."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import attrs

from hvintegration.errors import ConfigurationError, Hint, argument, excerpt

__all__ = ["KDC_HINT", "Refusal", "kerberos_refusal", "require_kerberos"]

_KINIT: Final = Hint.of(
    "Get a ticket with `kinit user@REALM`, the realm in capitals, or pass {}.",
    Hint("credential=Credential('user@REALM', ...)", "--user user@REALM"),
)
_SERVICE: Final = Hint.of(
    "Ask for the host by the full name that Kerberos knows it by, never by an IP address, or give that name with {}."
    " `setspn -L HOST` lists a host's service principal names; where they begin otherwise, such as with HTTP, give"
    " that with {}.",
    argument("kerberos_hostname"),
    argument("kerberos_service"),
)
_USER: Final = "Write user@REALM, the realm in capitals; DOMAIN\\user is for NTLM only."
_KDC: Final = (
    "Check the realm's name, which is in capitals, and that its domain controllers are in DNS or in krb5.conf and can"
    " be reached at port 88."
)
KDC_HINT: Final = f"Kerberos waits for its servers (KDC). {_KDC}"
"""For when getting a ticket takes too long."""

_TYPED: Final = "Check the password. On a keyboard of another layout, or with Caps Lock, it is another one."

_OTHER_KEY: Final = (
    "Its service principal name belongs to another account (`setspn -Q` finds whose it is), or the ticket is older than"
    " the host's password: `kdestroy`, then `kinit`."
)

_EXPIRED: Final = "the Kerberos ticket has expired", "Get a new one with `kinit user@REALM`, or renew it: `kinit -R`."
_SKEW: Final = (
    "the clocks differ by too much",
    "Set the clock here, or that of the host or the Kerberos server: they may differ by five minutes.",
)
_NO_TICKET: Final = (
    "there is no Kerberos ticket",
    Hint.of("{} `klist` shows what there is; KRB5CCNAME says where.", _KINIT),
)
_UNREACHABLE: Final = "no Kerberos server (KDC) of that realm can be reached", _KDC

_KRB5: Final = -1765328384
"""What MIT's and Heimdal's numbers begin at."""

_NUMBERS: Final = {
    1: ("the user's account has expired in Kerberos", "Ask an administrator of the domain."),
    6: ("Kerberos does not know this user", _USER),
    7: ("Kerberos knows no service {service}", _SERVICE),
    14: (
        "client and Kerberos server have no encryption in common",
        "Allow AES for the account (msDS-SupportedEncryptionTypes), or see permitted_enctypes in krb5.conf.",
    ),
    18: ("the user's account is locked or disabled", "Ask an administrator of the domain."),
    23: ("the user's password has expired", "Change it, then try again."),
    24: ("Kerberos does not accept the password", _TYPED),
    32: _EXPIRED,
    37: _SKEW,
    41: ("the host cannot read the ticket", _OTHER_KEY),
    141: _NO_TICKET,  # CC_NOTFOUND
    148: _SKEW,  # KDCREP_SKEW
    154: _UNREACHABLE,  # REALM_UNKNOWN
    156: _UNREACHABLE,  # KDC_UNREACH
    195: _NO_TICKET,  # FCC_NOFILE
    220: _UNREACHABLE,  # REALM_CANT_RESOLVE
    224: _UNREACHABLE,  # CONFIG_NODEFREALM
}
_WRONG_KEY: Final = 31
_MAJORS: Final = {7 << 16: _NO_TICKET, 11 << 16: _EXPIRED}
_DEEPEST: Final = 8


@attrs.frozen
class Refusal:
    """Why Kerberos did not come about.

    Attributes:
        reason: Half a sentence.
        said: What of it is not the package's, but that of a library, which may quote names and servers.
        hint: What to do about it.
    """

    reason: str
    hint: str | None
    said: str = ""


def require_kerberos(why: str, otherwise: str = "") -> None:
    """See to it that Kerberos can be spoken; *why* says what needs it. Windows speaks it by itself.

    What does without it is said by *otherwise*, for the hint.

    Raises:
        ConfigurationError: The packages that it needs are not there.
    """
    if sys.platform == "win32":
        return
    try:
        for package in ("gssapi", "krb5"):  # They are for pyspnego, which would fail later and say less.
            importlib.import_module(package)
    except (ImportError, OSError) as error:
        missing = (
            "is not installed" if isinstance(error, ModuleNotFoundError) else f"does not work: {excerpt(str(error))}"
        )
        raise ConfigurationError(
            f"{why} needs Kerberos, and the extra for it {missing}.",
            hint=Hint.of(
                "pip install 'hvintegration[kerberos]', which compiles a package: it wants a C compiler and MIT's"
                " headers (libkrb5-dev, krb5-devel).{}",
                otherwise,
            ),
        ) from None


def kerberos_refusal(error: BaseException, service: str) -> Refusal | None:
    """What an error of Kerberos means, on the way to *service*; None if it is none."""
    current: BaseException | None = error
    for _ in range(_DEEPEST):
        if current is None:
            return None
        known = _of_krb5(current) or _of_gssapi(current)
        if known is not None:
            return attrs.evolve(known, reason=known.reason.replace("{service}", service))
        # pyspnego's errors have the ones behind them as an attribute.
        base = getattr(current, "base_error", None)
        current = base if isinstance(base, BaseException) else current.__cause__
    return None


def _of_krb5(error: BaseException) -> Refusal | None:
    code = getattr(error, "err_code", None)
    if type(error).__module__.partition(".")[0] != "krb5" or not isinstance(code, int):
        return None
    number = code - _KRB5
    if number == _WRONG_KEY:  # What was encrypted with the user's key cannot be read.
        number = 24
    return Refusal(*_NUMBERS[number]) if number in _NUMBERS else _unknown(error)


def _of_gssapi(error: BaseException) -> Refusal | None:
    major, minor = getattr(error, "maj_code", None), getattr(error, "min_code", None)
    if not isinstance(major, int) or not isinstance(minor, int):
        return None
    number = (minor - _KRB5) & 0xFFFFFFFF  # GSSAPI's are unsigned.
    known = _NUMBERS.get(number) or _MAJORS.get(major)
    return Refusal(*known) if known is not None else _unknown(error)


def _unknown(error: BaseException) -> Refusal:
    return Refusal(excerpt(str(error)), None, str(error))
