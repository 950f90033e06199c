"""PowerShell Direct as a transport: a guest's calls, made by its host, over the transport of the host."""

from __future__ import annotations

from typing import Final

from hvintegration.calls.answer import Answer, parse_answer
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import flag, optional_text
from hvintegration.calls.refusals import Refusal, is_refusal_of_scripts
from hvintegration.clock import Clock, Deadline
from hvintegration.credential import Credential
from hvintegration.errors import (
    AuthenticationError,
    CommandFailedError,
    ConnectError,
    ConnectionLostError,
    HvError,
    InvalidStateError,
    RemoteError,
    UnsupportedError,
    VMNotFoundError,
)
from hvintegration.operations.refusals import HYPERV_MODULE, hyperv_error, result_of
from hvintegration.processes import OfThisProcess
from hvintegration.scripts import DIRECT, GUEST_SECRET, Effect
from hvintegration.transports.base import Transport, clock_of, discard, requests_of, sharing_of
from hvintegration.transports.sharing import Sharing

__all__ = ["PowerShellDirect"]

_NOT_ONE: Final = frozenset({"InvalidVMIdNotSingle", "InvalidVMNameNotSingle", "InvalidVMId"})
_WRONG_CREDENTIAL: Final = frozenset({"InvalidCredential", "InvalidUsername"})
_NOT_PATCHED: Final = frozenset({"HyperVNegotiationFailed", "HyperVInvalidResponse"})

_NOT_RUNNING: Final = "InvalidVMState"
_NO_MODULE: Final = "HyperVModuleNotAvailable"
_NOT_CONNECTED: Final = "VMSessionConnectFailed"

_BROKEN: Final = "PSSessionStateBroken"
"""A session that could not be opened, or that was lost. Windows may say first why, as in ``AccessDenied,...``."""

_READY: Final = (
    "It must be a Windows guest (10, Server 2016 or later) that has started, with the service vmicvmsession running. "
    "A Linux guest is reached over SSH."
)

_PS_DIRECT_EXCEPTION: Final = "PSDirectException"
"""Type of what Windows PowerShell raises while a session is opened: nothing was run then (``PSDirectException``,
``RemoteSessionHyperVSocketClient`` in the source of PowerShell). Its error id is that of a lost session."""


class PowerShellDirect(OfThisProcess):
    """The way into a Windows guest through its host, without a network of the guest's.

    A call is one call of the host: under the host's turn, within its deadline, and fenced with it. Where a guest hangs,
    the host's connection is replaced, as after any failure. Needs Windows 10 or Windows Server 2016 on both ends, and
    the service ``vmicvmsession`` running in the guest (Microsoft, "PowerShell Direct").

    Args:
        host: The transport of the host.
        vm_id: GUID of the virtual machine, lower case without braces.
        credential: Who asks, in the guest.
    """

    def __init__(self, host: Transport, vm_id: str, credential: Credential) -> None:
        self._host = host
        self._vm_id = vm_id
        self._credential = credential

    def __str__(self) -> str:
        return f"{self._host}#vm={self._vm_id}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    @property
    def clock(self) -> Clock:
        """What the host goes by."""
        return clock_of(self._host)

    @property
    def sharing(self) -> Sharing:
        """Whose turn it is on the connection of the host."""
        return sharing_of(self._host)

    @property
    def requests(self) -> int | None:
        """Messages of the host's transport, for whatever was asked over it."""
        return requests_of(self._host)

    def call(self, call: Call, deadline: Deadline, /) -> str:
        """Answer *call* from inside the guest; see :class:`~hvintegration.transports.base.Transport`.

        Raises:
            AuthenticationError: The guest does not take the credential.
            ConnectError: No session with the guest could be opened. Nothing ran there.
            ConnectionLostError: The session with the guest was lost.
            InvalidStateError: The virtual machine does not run.
            VMNotFoundError: The host has no such virtual machine, or this user may not see it.
            UnsupportedError: The script is none for Windows guests, or the host cannot.
            TransportError: There is no usable answer of the host.
        """
        script = DIRECT.get(call.script)
        if script is None:
            raise UnsupportedError(
                f"{self} runs no script in {call.script.language}.", address=str(self), needs="a Windows guest"
            )
        is_write = call.effect is Effect.WRITE
        document = {"vm_id": self._vm_id, "document": call.text, "opens_first": is_write}
        asked = Call(script, document, secrets={GUEST_SECRET: self._credential}, dry_run=call.dry_run)
        text = self._host.call(asked, deadline)
        try:
            answer = parse_answer(text, address=str(self._host), received_at=self.clock.now(), deadline=deadline)
            result = result_of(answer, "reach into a guest")
            opened = flag(result, "opened", "$.result")
            reason = optional_text(result, "reason", "$.result")
            document_of_guest = optional_text(result, "answer", "$.result")
        except HvError:
            self.discard()
            raise
        if document_of_guest is not None:
            return document_of_guest
        raise self._error(answer, reason or "", opened=opened, is_write=is_write)

    def discard(self) -> None:
        """Give up the connection of the host at once."""
        discard(self._host)

    def close(self) -> None:
        """Nothing to let go of: the connection is the host's."""

    def _error(self, answer: Answer, reason: str, *, opened: bool, is_write: bool) -> HvError:
        """What the failure of the host's script means.

        Args:
            answer: The host's answer.
            reason: Name of the type of PowerShell's exception.
            opened: Whether a session had been opened before the script was sent into the guest. From then on, whatever
                is not known to be raised before anything runs there is a loss.
            is_write: Whether that was looked at.
        """
        refusals = [Refusal.of(entry, address=str(self._host), doing="reach the guest") for entry in answer.errors]
        if not refusals:
            return CommandFailedError(f"{self} answered neither a result nor an error.", address=str(self))
        refusal = refusals[0]
        ids = set(refusal.error_id.split(","))
        refused = self._refused(refusal, ids)
        if refused is not None:
            return refused
        if ids & _NOT_PATCHED:
            return self._unreachable(refusal, "Install the updates of Windows on the host and in the guest.")
        if _NOT_CONNECTED in ids:
            return self._unreachable(refusal, _READY)
        if ids & _WRONG_CREDENTIAL or reason == _PS_DIRECT_EXCEPTION:
            return AuthenticationError(
                f"{self} does not let {self._credential.username} in{refusal.said}",
                address=str(self),
                host_message=refusal.message,
                hint="Give user and password of an account of the guest; where the sentence is about the negotiation, "
                "bring host and guest up to date.",
            )
        if _BROKEN in ids and is_write and not opened:
            return self._unreachable(refusal, _READY)
        if _BROKEN in ids or opened:
            lost = ConnectionLostError(
                f"There is no session with {self}, or it was lost{refusal.said}",
                address=str(self),
                host_message=refusal.message,
                hint=_READY,
            )
            lost.retryable = is_write  # Whatever keeps a read from being answered does not pass within a moment.
            return lost
        return hyperv_error(refusal)

    def _refused(self, refusal: Refusal, ids: set[str]) -> RemoteError | None:
        """What the host, or PowerShell in the guest, refuses before anything runs there; None if it is not that."""
        said, facts = refusal.said, refusal.facts
        if ids & _NOT_ONE:
            return VMNotFoundError(
                f"{self._host} has no virtual machine {self._vm_id}{said}",
                **facts,
                hint="It may have been deleted or moved, or this user may not see it: use an elevated session.",
            )
        if _NOT_RUNNING in ids:
            not_running = InvalidStateError(
                f"{self} cannot be reached{said}",
                action="reach the guest",
                expected="Running",
                **facts,
                hint="Start the virtual machine first.",
            )
            not_running.retryable = False
            return not_running
        if _NO_MODULE in ids:
            return UnsupportedError(
                f"{self._host} cannot reach into a guest{said}",
                needs=HYPERV_MODULE,
                **facts,
                hint="Install the feature Hyper-V-PowerShell on the host, or use a host that has the Hyper-V role.",
            )
        if is_refusal_of_scripts(refusal.error_id):
            return UnsupportedError(
                f"{self} takes no scripts{said}", needs="a session with the guest that runs scripts", **facts
            )
        return None

    def _unreachable(self, refusal: Refusal, hint: str) -> ConnectError:
        return ConnectError(
            f"{self} cannot be reached{refusal.said}", address=str(self), host_message=refusal.message, hint=hint
        )
