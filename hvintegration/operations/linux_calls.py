"""What is sent to Linux guests, and the password that sudo asks for there."""

from __future__ import annotations

from typing import Final

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import JsonObject
from hvintegration.calls.operation import Operation
from hvintegration.errors import AuthenticationError, Hint, excerpt
from hvintegration.operations.guest_systems import GuestTarget
from hvintegration.scripts import SUDO_SECRET, WITH_SUDO, Script

__all__ = ["ask_linux"]


def ask_linux(script: Script, document: JsonObject, target: GuestTarget, *, dry_run: bool = False) -> Operation[Answer]:
    """What the guest answers; with the password that sudo asks for there, if that is known.

    Raises:
        AuthenticationError: sudo refuses the password, now or before: then nothing is sent.
    """
    if target.sudo_refusal is not None:
        raise target.sudo_refusal.judged(may_have_run=False, fenced=True)
    if target.sudo is None:
        answer = yield Call(script, document, dry_run=dry_run)
    else:
        answer = yield Call(WITH_SUDO[script], document, secrets={SUDO_SECRET: target.sudo}, dry_run=dry_run)
    assert isinstance(answer, Answer)
    for entry in answer.errors:
        if entry.id == _SUDO_REFUSED:
            target.sudo_refusal = AuthenticationError(
                f"sudo of {answer.address} does not take the password: {excerpt(entry.message)}",
                address=answer.address,
                host_message=entry.message,
                hint=_SUDO_HINT,
            )
            raise target.sudo_refusal.judged(may_have_run=False, fenced=True)
    return answer


_SUDO_REFUSED: Final = "SudoRefused"
_SUDO_HINT: Final = Hint.of(
    "It is not tried again, for that could lock the account. Connect once more with the password that sudo asks for: "
    "this user's, or root's where targetpw or rootpw is set: {}.",
    Hint("sudo_password=...", "--sudo"),
)
