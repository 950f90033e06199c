"""Who asks."""

from __future__ import annotations

import attrs

from hvintegration.errors import ConfigurationError

__all__ = ["Credential", "Passphrase", "check_username", "has_control"]


@attrs.frozen(init=False)
class Credential:
    r"""A user and a password. The password shows in no repr and cannot be pickled.

    Attributes:
        username: Such as ``CORP\\admin``, ``admin@corp.example`` or ``admin``.
        password: The password.

    Raises:
        ConfigurationError: One of them has a character that nothing carries. It does not repeat them.

    >>> Credential("admin", "secret")
    Credential(username='admin')
    """

    username: str
    password: str = attrs.field(repr=False)

    def __init__(self, username: str, password: str) -> None:
        object.__setattr__(self, "username", username)  # It is frozen from here on.
        object.__setattr__(self, "password", password)
        del password  # Tracebacks with locals would show it.
        check_username(username)
        if why := _why_not(self.password):
            raise _invalid("password", why)

    def __reduce__(self) -> str:
        raise TypeError("A credential cannot be pickled: it would write the password down.")


@attrs.frozen
class Passphrase:
    """What opens a key. It shows in no repr."""

    text: str = attrs.field(repr=False)

    def check(self, name: str) -> None:
        """See to it that something can be opened with it; *name* is that of the argument.

        Raises:
            ConfigurationError: It has a character that nothing takes.
        """
        if why := _why_not(self.text):
            raise _invalid(name, why)


def check_username(username: str) -> None:
    """See to it that a user may have that name.

    Raises:
        ConfigurationError: It has a character that no name has.
    """
    why = _why_not(username) or ("it has a control character, such as a line break" if has_control(username) else None)
    if why:
        raise _invalid("username", why)


def has_control(text: str) -> bool:
    """Whether *text* has one of ASCII's control characters, line breaks and tabs among them."""
    return any(character < " " or character == "\x7f" for character in text)


def _why_not(text: str) -> str | None:
    """Why no protocol carries *text*; None if they do. It does not raise: its variable is the secret."""
    if "\0" in text:
        return "it has a null character, where others would end it"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "it has half a character (a lone surrogate), as bytes of another encoding become"
    return None


def _invalid(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"Invalid {name}: {why}.")
