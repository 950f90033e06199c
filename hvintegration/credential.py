"""Who asks."""

from __future__ import annotations

import attrs

__all__ = ["Credential"]


@attrs.frozen
class Credential:
    r"""A user and a password. The password shows in no repr and cannot be pickled.

    Attributes:
        username: Such as ``CORP\\admin``, ``admin@corp.example`` or ``admin``.
        password: The password.

    >>> Credential("admin", "secret")
    Credential(username='admin')
    """

    username: str
    password: str = attrs.field(repr=False)

    def __reduce__(self) -> str:
        raise TypeError("A credential cannot be pickled: it would write the password down.")
