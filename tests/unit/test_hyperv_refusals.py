"""What a refusal means of a Hyper-V host."""

from __future__ import annotations

from typing import Any

import pytest

from hvintegration.calls.answer import ErrorEntry
from hvintegration.calls.refusals import Refusal, remote_error
from hvintegration.errors import (
    CommandFailedError,
    InvalidStateError,
    PermissionDeniedError,
    RemoteError,
    ServiceNotFoundError,
    UnsupportedError,
    VMNotFoundError,
)
from hvintegration.operations.refusals import HYPERV_MODULE, hyperv_error, is_absent, is_busy, is_unanswered, result_of

from .driving import HOST, answer, problem

GET_VM = ",Microsoft.HyperV.PowerShell.Commands.GetVM"


def refusal(
    error_id: str, category: str = "NotSpecified", message: str = "Nein.", target: str | None = None
) -> Refusal:
    return Refusal(
        address=HOST,
        error_id=error_id,
        category=category,
        message=message,
        doing="read it",
        target=target,
        target_object=target,
    )


@pytest.mark.parametrize(
    ("error_id", "category", "kind"),
    [
        ("AccessDenied" + GET_VM, "PermissionDenied", PermissionDeniedError),
        ("AccessDenied" + GET_VM, "NotSpecified", PermissionDeniedError),
        ("Unspecified" + GET_VM, "PermissionDenied", PermissionDeniedError),
        ("ObjectNotFound" + GET_VM, "PermissionDenied", PermissionDeniedError),
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
    error = hyperv_error(refusal(error_id, category, target="demovm"))
    assert type(error) is kind
    assert (error.address, error.error_id, error.category, error.host_message) == (HOST, error_id, category, "Nein.")


@pytest.mark.parametrize(
    ("error_id", "target", "hint"),
    [
        ("AccessDenied", None, "Hyper-V Administrators"),
        ("CommandNotFoundException", None, "Hyper-V-PowerShell"),
        ("ComponentNotFound", "demovm", "Windows Server 2012 R2"),
        ("ObjectNotFound" + GET_VM, "demovm", "It may have been deleted"),
        ("ObjectNotFound" + GET_VM, None, "Virtual Machine Management service"),
    ],
)
def test_what_to_do_is_said_in_the_words_of_hyper_v(error_id: str, target: str | None, hint: str) -> None:
    assert hint in str(hyperv_error(refusal(error_id, target=target)).hint)


@pytest.mark.parametrize("error_id", ["ScriptsNotAllowed", "InvalidState" + GET_VM, "OperationFailed", ""])
def test_what_means_the_same_everywhere_is_told_as_everywhere(error_id: str) -> None:
    special, general = hyperv_error(refusal(error_id)), remote_error(refusal(error_id))
    assert (type(special), str(special), vars(special)) == (type(general), str(general), vars(general))


def test_an_object_that_nobody_named_is_not_a_virtual_machine() -> None:
    error = hyperv_error(refusal("ObjectNotFound" + GET_VM, "ObjectNotFound"))
    assert type(error) is CommandFailedError
    assert error.hint is not None
    assert "Virtual Machine Management service" in error.hint


@pytest.mark.parametrize("message", ["Access denied", "InvalidState", "ObjectNotFound,X", ""])
def test_the_message_decides_nothing(message: str) -> None:
    assert type(hyperv_error(refusal("Unspecified", message=message))) is CommandFailedError


def test_a_missing_module_is_told_from_a_refused_script() -> None:
    needs = [
        error.needs
        for error in (hyperv_error(refusal("CommandNotFoundException")), hyperv_error(refusal("ScriptsNotAllowed")))
        if isinstance(error, UnsupportedError)
    ]
    assert needs == ["the Hyper-V module for PowerShell", "an endpoint that runs scripts"]


@pytest.mark.parametrize(
    ("error_id", "target", "text"),
    [
        ("AccessDenied", "evil\x1b[31m", "hv01 does not let this user read it (evil [31m): Zwei  Zeilen."),
        ("CommandNotFoundException", None, "hv01 cannot read it: Zwei  Zeilen."),
        ("ComponentNotFound", "demovm", "hv01 has no such integration service (demovm)."),
        ("ObjectNotFound", "demo\nvm", "hv01 has no such virtual machine (demo vm): Zwei  Zeilen."),
        ("ObjectNotFound", None, "hv01 failed to read it: Zwei  Zeilen."),
        ("InvalidState", "demovm", "hv01 cannot read it now (demovm): Zwei  Zeilen."),
        ("OperationFailed", "demovm", "hv01 failed to read it (demovm): Zwei  Zeilen."),
    ],
)
def test_the_text_is_one_line_that_a_terminal_can_show(error_id: str, target: str | None, text: str) -> None:
    assert str(hyperv_error(refusal(error_id, message="Zwei\r\nZeilen.", target=target))) == text


def test_an_entry_becomes_an_error_about_its_target() -> None:
    entry = ErrorEntry("ObjectNotFound", "ObjectNotFound", "Weg.", "b637", "b637")
    error = hyperv_error(Refusal.of(entry, address=HOST, doing="read it"))
    assert str(error) == "hv01 has no such virtual machine (b637): Weg."


# -- results -------------------------------------------------------------------------------------------------------


def test_a_result_is_answered_although_there_are_errors_about_parts() -> None:
    assert result_of(answer({"vms": []}, problem("OperationFailed", "x")), "read it") == {"vms": []}


def test_without_a_result_the_first_error_is_raised() -> None:
    with pytest.raises(PermissionDeniedError) as raised:
        result_of(answer(None, problem("AccessDenied"), problem("OperationFailed")), "read it")
    assert "Hyper-V Administrators" in str(raised.value.hint)


def test_neither_a_result_nor_an_error_is_an_error() -> None:
    with pytest.raises(CommandFailedError, match="neither a result nor an error"):
        result_of(answer(None), "read it")


# -- what else an id tells -----------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("error_id", "names", "absent", "unanswered"),
    [
        ("ObjectNotFound" + GET_VM, "b637", True, False),
        ("ObjectNotFound" + GET_VM, None, False, True),
        ("ComponentNotFound", "b637", True, False),
        ("ObjectNotFoundHere", "b637", False, False),
        ("AccessDenied", None, False, False),
        ("", None, False, False),
    ],
)
def test_gone_is_only_what_the_host_names(error_id: str, names: str | None, *, absent: bool, unanswered: bool) -> None:
    assert (is_absent(error_id, names), is_unanswered(error_id, names)) == (absent, unanswered)


@pytest.mark.parametrize("target", [None, "demovm"], ids=["nothing asked for", "asked for one"])
def test_a_management_service_that_does_not_answer_is_no_virtual_machine_that_is_gone(target: str | None) -> None:
    entry = ErrorEntry("ObjectNotFound" + GET_VM, "ObjectNotFound", "Nicht gefunden.", target, None)
    error = hyperv_error(Refusal.of(entry, address=HOST, doing="read it"))
    assert (type(error), "Virtual Machine Management service" in str(error.hint)) == (CommandFailedError, True)


@pytest.mark.parametrize(
    ("target_object", "needs", "hint"),
    [
        ("Hyper-V\\Get-VM", HYPERV_MODULE, "Hyper-V-PowerShell"),
        ("Get-VM", HYPERV_MODULE, "Hyper-V-PowerShell"),
        (None, HYPERV_MODULE, "Hyper-V-PowerShell"),
        (
            "Microsoft.PowerShell.Utility\\ConvertTo-Json",
            "the module Microsoft.PowerShell.Utility of PowerShell",
            "PSModulePath",
        ),
    ],
)
def test_the_module_that_could_not_be_loaded_is_named(target_object: str | None, needs: str, hint: str) -> None:
    said = ErrorEntry("CouldNotAutoLoadModule", "ObjectNotFound", "Nein.", None, target_object)
    error = hyperv_error(Refusal.of(said, address=HOST, doing="read it"))
    assert isinstance(error, UnsupportedError)
    assert (error.needs, hint in str(error.hint)) == (needs, True)


def test_busy_may_be_asked_again() -> None:
    error: Any = hyperv_error(refusal("InvalidState"))
    assert (error.retryable, error.action) == (True, "read it")
