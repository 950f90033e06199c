"""What a refusal means of any machine."""

from __future__ import annotations

import pytest

from hvintegration.calls.answer import ErrorEntry
from hvintegration.calls.refusals import (
    Refusal,
    failure_of,
    is_refusal_of_scripts,
    remote_error,
    result_of,
    short_id,
)
from hvintegration.errors import (
    CommandFailedError,
    InvalidStateError,
    NotFoundError,
    PermissionDeniedError,
    RemoteError,
    UnsupportedError,
)
from hvintegration.values import Failure

from .driving import HOST, answer, problem

GET_VM = ",Microsoft.HyperV.PowerShell.Commands.GetVM"

MEANINGS: list[tuple[str, str, type[RemoteError]]] = [
    ("AccessDenied" + GET_VM, "PermissionDenied", PermissionDeniedError),
    ("AccessDenied" + GET_VM, "NotSpecified", PermissionDeniedError),
    ("UnauthorizedAccess,Microsoft.PowerShell.Commands.X", "PermissionDenied", PermissionDeniedError),
    ("CommandNotFoundException", "PermissionDenied", PermissionDeniedError),
    ("CommandNotFoundException", "ObjectNotFound", UnsupportedError),
    ("CouldNotAutoLoadModule", "ObjectNotFound", UnsupportedError),
    (
        "Modules_ModuleNotFound,Microsoft.PowerShell.Commands.ImportModuleCommand",
        "ResourceUnavailable",
        UnsupportedError,
    ),
    ("ScriptsNotAllowed", "NotSpecified", UnsupportedError),
    ("ScriptBlockNotSupportedInLanguageMode", "", UnsupportedError),
    ("InvalidState" + GET_VM, "InvalidOperation", InvalidStateError),
    ("ComponentNotFound", "ObjectNotFound", CommandFailedError),
    ("ObjectNotFound" + GET_VM, "ObjectNotFound", CommandFailedError),
    ("OperationFailed" + GET_VM, "NotSpecified", CommandFailedError),
    ("InvalidParameter" + GET_VM, "InvalidArgument", CommandFailedError),
    ("accessdenied", "permissiondenied", CommandFailedError),
    ("FromTheFuture", "ObjectNotFound", CommandFailedError),
    ("", "", CommandFailedError),
]


def refusal(
    error_id: str, category: str = "NotSpecified", message: str = "Nein.", target: str | None = None
) -> Refusal:
    return Refusal(address=HOST, error_id=error_id, category=category, message=message, doing="read it", target=target)


@pytest.mark.parametrize(("error_id", "category", "kind"), MEANINGS)
@pytest.mark.parametrize("target", ["demo", None])
def test_the_class_is_chosen_by_id_and_category(
    error_id: str, category: str, kind: type[RemoteError], target: str | None
) -> None:
    error = remote_error(refusal(error_id, category, target=target))
    assert type(error) is kind
    assert (error.address, error.error_id, error.category, error.host_message) == (HOST, error_id, category, "Nein.")


@pytest.mark.parametrize(("error_id", "category", "kind"), MEANINGS)
@pytest.mark.parametrize("message", ["Nein.", ""])
def test_nothing_speaks_of_one_kind_of_machine(
    error_id: str, category: str, kind: type[RemoteError], message: str
) -> None:
    error = remote_error(refusal(error_id, category, message=message, target="demo"))
    words = " ".join([str(error), error.hint or "", str(getattr(error, "needs", "")), *getattr(error, "__notes__", [])])
    assert [word for word in ("hyper-v", "virtual machine", "host", "guest") if word in words.lower()] == []
    assert isinstance(error, NotFoundError) is False


@pytest.mark.parametrize("message", ["Access denied", "InvalidState", "ObjectNotFound,X", ""])
def test_the_message_decides_nothing(message: str) -> None:
    assert type(remote_error(refusal("Unspecified", message=message))) is CommandFailedError


@pytest.mark.parametrize(("error_id", "category", "kind"), MEANINGS)
def test_who_knows_what_to_do_can_say_so(error_id: str, category: str, kind: type[RemoteError]) -> None:
    error = remote_error(refusal(error_id, category), hint="Ask somebody.")
    assert (type(error), error.hint) == (kind, "Ask somebody.")


def test_a_missing_command_is_told_from_a_refused_script() -> None:
    needs = [
        error.needs
        for error in (
            remote_error(refusal("CommandNotFoundException")),
            remote_error(refusal("CommandNotFoundException"), needs="a lamp"),
            remote_error(refusal("ScriptsNotAllowed"), needs="a lamp"),
        )
        if isinstance(error, UnsupportedError)
    ]
    assert needs == ["a command or a module of PowerShell", "a lamp", "an endpoint that runs scripts"]


def test_a_state_that_is_in_the_way_may_pass() -> None:
    error = remote_error(refusal("InvalidState"))
    assert isinstance(error, InvalidStateError)
    assert (error.retryable, error.action) == (True, "read it")


@pytest.mark.parametrize(
    ("message", "target", "text"),
    [
        ("Nein.", None, "hv01 failed to read it: Nein."),
        ("", None, "hv01 failed to read it."),
        ("Nein.", "demovm", "hv01 failed to read it (demovm): Nein."),
        ("Nein.", "it", "hv01 failed to read it: Nein."),
        ("Zwei\r\nZeilen.", None, "hv01 failed to read it: Zwei  Zeilen."),
        ("\x1b[31mred", None, "hv01 failed to read it:  [31mred"),
        ("Nein.", "evil\x1b[31m\nname\u202e", "hv01 failed to read it (evil [31m name ): Nein."),
    ],
    ids=["plain", "no message", "target", "target that is named already", "two lines", "escape", "hostile target"],
)
def test_the_text_is_one_line_that_a_terminal_can_show(message: str, target: str | None, text: str) -> None:
    assert str(remote_error(refusal("Unspecified", message=message, target=target))) == text


def test_the_machines_sentence_is_kept_as_it_came() -> None:
    assert remote_error(refusal("Unspecified", message="Zwei\r\nZeilen.")).host_message == "Zwei\r\nZeilen."


@pytest.mark.parametrize(
    ("named", "given", "target"), [("b637", "other", "b637"), (None, "other", "other"), (None, None, None)]
)
def test_an_entry_is_about_what_it_names(named: str | None, given: str | None, target: str | None) -> None:
    entry = ErrorEntry("OperationFailed", "NotSpecified", "Weg.", named)
    assert Refusal.of(entry, address=HOST, doing="read it", target=given) == Refusal(
        address=HOST,
        error_id="OperationFailed",
        category="NotSpecified",
        message="Weg.",
        doing="read it",
        target=target,
    )


@pytest.mark.parametrize(
    ("error_id", "short"), [("A,B,C", "A"), ("A", "A"), (",B", ""), ("", "")], ids=["long", "short", "no id", "empty"]
)
def test_an_id_ends_at_its_first_comma(error_id: str, short: str) -> None:
    assert short_id(error_id) == short


@pytest.mark.parametrize(
    ("error_id", "refused"),
    [
        ("ScriptsNotAllowed", True),
        ("ScriptBlockNotSupportedInLanguageMode,X", True),
        ("CommandNotFoundException", False),
        ("", False),
    ],
)
def test_refused_scripts_are_told_by_the_id(error_id: str, *, refused: bool) -> None:
    assert is_refusal_of_scripts(error_id) is refused


# -- results -------------------------------------------------------------------------------------------------------


def special(refused: Refusal) -> RemoteError:
    """A refusal as somebody sees it who knows the machine."""
    return CommandFailedError(f"Special: {refused.error_id} while it was to {refused.doing}.", address=refused.address)


def test_a_result_is_answered_although_there_are_errors_about_parts() -> None:
    came = answer({"vms": []}, problem("OperationFailed", "x"))
    assert result_of(came, "read it", special) == {"vms": []}


def test_without_a_result_the_first_error_is_raised_as_the_caller_sees_it() -> None:
    with pytest.raises(CommandFailedError, match="Special: AccessDenied while it was to read it"):
        result_of(answer(None, problem("AccessDenied"), problem("OperationFailed")), "read it", special)


def test_neither_a_result_nor_an_error_is_an_error() -> None:
    with pytest.raises(CommandFailedError, match="neither a result nor an error"):
        result_of(answer(None), "read it", special)


# -- entries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "vm_id", "vm_name"),
    [("id-1", "id-1", "demovm"), ("id-2", None, None), ("demovm", None, None), (None, None, None)],
)
def test_a_failure_names_the_virtual_machine_if_it_is_known(
    target: str | None, vm_id: str | None, vm_name: str | None
) -> None:
    entry = ErrorEntry("OperationFailed", "NotSpecified", "Nein.", target, target)
    assert failure_of(entry, address=HOST, names={"id-1": "demovm"}) == Failure(
        address=HOST,
        vm_id=vm_id,
        vm_name=vm_name,
        target=target,
        error_id="OperationFailed",
        category="NotSpecified",
        message="Nein.",
    )
