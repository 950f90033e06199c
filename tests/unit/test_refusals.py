from __future__ import annotations

from typing import Any

import pytest

from hvintegration.calls.answer import ErrorEntry
from hvintegration.errors import (
    CommandFailedError,
    InvalidStateError,
    PermissionDeniedError,
    RemoteError,
    ServiceNotFoundError,
    UnsupportedError,
    VMNotFoundError,
)
from hvintegration.models import Failure
from hvintegration.operations.refusals import failure_of, is_busy, refusal_of, remote_error, result_of

from .driving import HOST, answer, problem

GET_VM = ",Microsoft.HyperV.PowerShell.Commands.GetVM"


def error_for(
    error_id: str, category: str = "NotSpecified", message: str = "Nein.", target: str | None = None
) -> RemoteError:
    return remote_error(
        address=HOST, error_id=error_id, category=category, message=message, doing="read it", target=target
    )


@pytest.mark.parametrize(
    ("error_id", "category", "kind"),
    [
        ("AccessDenied" + GET_VM, "PermissionDenied", PermissionDeniedError),
        ("AccessDenied" + GET_VM, "NotSpecified", PermissionDeniedError),
        ("Unspecified" + GET_VM, "PermissionDenied", PermissionDeniedError),
        ("CommandNotFoundException", "ObjectNotFound", UnsupportedError),
        ("CouldNotAutoLoadModule", "ObjectNotFound", UnsupportedError),
        (
            "Modules_ModuleNotFound,Microsoft.PowerShell.Commands.ImportModuleCommand",
            "ResourceUnavailable",
            UnsupportedError,
        ),
        ("ScriptsNotAllowed", "NotSpecified", UnsupportedError),
        ("ComponentNotFound", "ObjectNotFound", ServiceNotFoundError),
        ("ObjectNotFound" + GET_VM, "ObjectNotFound", VMNotFoundError),
        (
            "InvalidState,Microsoft.HyperV.PowerShell.Commands.EnableVMIntegrationService",
            "InvalidOperation",
            InvalidStateError,
        ),
        ("OperationFailed" + GET_VM, "NotSpecified", CommandFailedError),
        ("InvalidParameter" + GET_VM, "InvalidArgument", CommandFailedError),
        ("objectnotfound", "NotSpecified", CommandFailedError),
        ("FromTheFuture", "ObjectNotFound", CommandFailedError),
        ("", "", CommandFailedError),
    ],
)
def test_the_class_is_chosen_by_id_and_category(error_id: str, category: str, kind: type[RemoteError]) -> None:
    error = error_for(error_id, category, target="demovm")
    assert type(error) is kind
    assert (error.address, error.error_id, error.category, error.host_message) == (HOST, error_id, category, "Nein.")


def test_an_object_that_nobody_named_is_not_a_virtual_machine() -> None:
    error = error_for("ObjectNotFound" + GET_VM, "ObjectNotFound")
    assert type(error) is CommandFailedError
    assert error.hint is not None
    assert "Virtual Machine Management service" in error.hint


@pytest.mark.parametrize("message", ["Access denied", "InvalidState", "ObjectNotFound,X", ""])
def test_the_message_decides_nothing(message: str) -> None:
    assert type(error_for("Unspecified", message=message)) is CommandFailedError


def test_a_missing_module_is_told_from_a_refused_script() -> None:
    needs = [
        error.needs
        for error in (error_for("CommandNotFoundException"), error_for("ScriptsNotAllowed"))
        if isinstance(error, UnsupportedError)
    ]
    assert needs == ["the Hyper-V module for PowerShell", "an endpoint that runs scripts"]


@pytest.mark.parametrize(
    ("message", "target", "text"),
    [
        ("Nein.", None, "hv01 failed to read it: Nein."),
        ("", None, "hv01 failed to read it."),
        ("Nein.", "demovm", "hv01 failed to read it (demovm): Nein."),
        ("Zwei\r\nZeilen.", None, "hv01 failed to read it: Zwei  Zeilen."),
        ("\x1b[31mred", None, "hv01 failed to read it:  [31mred"),
        ("Nein.", "evil\x1b[31m\nname\u202e", "hv01 failed to read it (evil [31m name ): Nein."),
    ],
    ids=["plain", "no message", "target", "two lines", "escape", "hostile target"],
)
def test_the_text_is_one_line_that_a_terminal_can_show(message: str, target: str | None, text: str) -> None:
    assert str(error_for("Unspecified", message=message, target=target)) == text


def test_the_hosts_sentence_is_kept_as_it_came() -> None:
    assert error_for("Unspecified", message="Zwei\r\nZeilen.").host_message == "Zwei\r\nZeilen."


def test_an_entry_becomes_an_error_about_its_target() -> None:
    entry = ErrorEntry("ObjectNotFound", "ObjectNotFound", "Weg.", "b637")
    assert str(refusal_of(entry, address=HOST, doing="read it")) == "hv01 has no such virtual machine (b637): Weg."


# -- results -------------------------------------------------------------------------------------------------------


def test_a_result_is_answered_although_there_are_errors_about_parts() -> None:
    assert result_of(answer({"vms": []}, problem("OperationFailed", "x")), "read it") == {"vms": []}


def test_without_a_result_the_first_error_is_raised() -> None:
    with pytest.raises(PermissionDeniedError):
        result_of(answer(None, problem("AccessDenied"), problem("OperationFailed")), "read it")


def test_neither_a_result_nor_an_error_is_an_error() -> None:
    with pytest.raises(CommandFailedError, match="neither a result nor an error"):
        result_of(answer(None), "read it")


# -- entries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "vm_id", "vm_name"),
    [("id-1", "id-1", "demovm"), ("id-2", None, None), ("demovm", None, None), (None, None, None)],
)
def test_a_failure_names_the_virtual_machine_if_it_is_known(
    target: str | None, vm_id: str | None, vm_name: str | None
) -> None:
    entry = ErrorEntry("OperationFailed", "NotSpecified", "Nein.", target)
    assert failure_of(entry, address=HOST, names={"id-1": "demovm"}) == Failure(
        address=HOST,
        vm_id=vm_id,
        vm_name=vm_name,
        target=target,
        error_id="OperationFailed",
        category="NotSpecified",
        message="Nein.",
    )


@pytest.mark.parametrize(
    ("error_id", "busy"),
    [
        ("InvalidState", True),
        ("InvalidState,Microsoft.HyperV.PowerShell.Commands.EnableVMIntegrationService", True),
        ("InvalidStateOfMind", False),
        ("OperationFailed", False),
        ("", False),
    ],
)
def test_busy_is_told_by_the_id(error_id: str, *, busy: bool) -> None:
    assert is_busy(error_id) is busy


def test_busy_may_be_asked_again() -> None:
    error: Any = error_for("InvalidState")
    assert (error.retryable, error.action) == (True, "read it")
