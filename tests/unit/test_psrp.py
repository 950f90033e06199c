"""What is said to an endpoint that runs no scripts, with psrpcore's other half as the endpoint."""

from __future__ import annotations

import uuid
from typing import Any

import psrpcore
import psrpcore.types
import pytest

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.errors import (
    CommandFailedError,
    ConnectionLostError,
    PermissionDeniedError,
    RemoteError,
    UnsupportedError,
)
from hvintegration.scripts import GET_HOST, GET_VMS, SET_SERVICES, Script
from hvintegration.transports.remoting.psrp import RunspacePool

_types: Any = psrpcore.types
"""psrpcore builds these classes in a decorator, which hides their types."""


class Endpoint:
    """The far side: runs the functions that it has, and scripts if it may.

    Attributes:
        functions: What it answers, by function.
        asked: What it was asked for: the names of commands, and ``script`` for a script.
    """

    def __init__(self, *, refusal: str | None = "ScriptsNotAllowed", **functions: str) -> None:
        self.refusal = refusal
        self.functions = {name.replace("_", "-"): answer for name, answer in functions.items()}
        self.asked: list[str] = []
        self._pool = psrpcore.ServerRunspacePool()

    def begin(self, pipeline_id: uuid.UUID) -> None:
        """What the packet that carries a pipeline says before it."""
        psrpcore.ServerPipeline(self._pool, pipeline_id)

    def converse(self, pool: RunspacePool) -> None:
        """Hand over what either side has to say until both are silent."""
        spoken = True
        while spoken:
            spoken = False
            while (data := pool.outgoing()) is not None:
                spoken = True
                self._pool.receive_data(psrpcore.PSRPPayload(data, psrpcore.StreamType.default, None))
                while (event := self._pool.next_event()) is not None:
                    if isinstance(event, psrpcore.CreatePipelineEvent):
                        self._run(event)
            while (payload := self._pool.data_to_send()) is not None:
                spoken = True
                pool.receive(payload.data, Deadline(60))

    def _run(self, event: Any) -> None:  # noqa: ANN401  # psrpcore's decorator hides the event's type
        command = event.pipeline.commands[0]
        pipeline = self._pool.pipeline_table[event.pipeline_id]
        assert isinstance(pipeline, psrpcore.ServerPipeline)
        pipeline.start()
        self.asked.append("script" if command.is_script else command.command_text)
        assert [name for name, _ in command.parameters] == ["Document"]
        if command.is_script and self.refusal is not None:
            fail(pipeline, self.refusal, psrpcore.types.ErrorCategory.ParserError)
        elif not command.is_script and command.command_text not in self.functions:
            fail(pipeline, "CommandNotFoundException", psrpcore.types.ErrorCategory.ObjectNotFound)
        else:
            pipeline.write_output(self.functions.get(command.command_text, "from a script"))
            pipeline.complete()
        pipeline.close()


def fail(pipeline: psrpcore.ServerPipeline, error_id: str, category: psrpcore.types.ErrorCategory) -> None:
    pipeline.write_error(
        psrpcore.types.NETException(Message="Nein."),
        category_info=psrpcore.types.ErrorCategoryInfo(Category=category),
        fully_qualified_error_id=error_id,
    )
    pipeline.complete()


def opened(endpoint: Endpoint) -> RunspacePool:
    pool = RunspacePool("hv01")
    endpoint.converse(pool)
    assert pool.opened
    return pool


def answer(endpoint: Endpoint, pool: RunspacePool, script: Script = GET_HOST) -> str:
    endpoint.begin(pool.start(Call(script, {})))
    endpoint.converse(pool)
    assert pool.finished
    return pool.result()


def test_where_scripts_run_no_function_is_called() -> None:
    endpoint = Endpoint(refusal=None, Get_HvIntegrationHost="from a function")
    pool = opened(endpoint)

    assert [answer(endpoint, pool) for _ in range(2)] == ["from a script"] * 2
    assert endpoint.asked == ["script", "script"]


@pytest.mark.parametrize("refusal", ["ScriptsNotAllowed", "ScriptBlockNotSupportedInLanguageMode,Microsoft.X"])
def test_after_a_refusal_functions_are_called_and_no_script_is_sent_again(refusal: str) -> None:
    endpoint = Endpoint(refusal=refusal, Get_HvIntegrationHost="from a function", Get_HvIntegrationVms="vms")
    pool = opened(endpoint)

    with pytest.raises(UnsupportedError) as refused:
        answer(endpoint, pool)

    assert (refused.value.error_id, refused.value.address) == (refusal, "hv01")
    assert [answer(endpoint, pool, script) for script in (GET_HOST, GET_VMS, GET_HOST)] == [
        "from a function",
        "vms",
        "from a function",
    ]
    assert endpoint.asked == ["script", "Get-HvIntegrationHost", "Get-HvIntegrationVms", "Get-HvIntegrationHost"]


@pytest.mark.parametrize("script", [GET_HOST, SET_SERVICES], ids=lambda script: script.name)
def test_a_function_that_is_missing_is_named_with_its_role(script: Script) -> None:
    endpoint = Endpoint(Get_HvIntegrationVms="vms")
    pool = opened(endpoint)
    with pytest.raises(UnsupportedError):
        answer(endpoint, pool, script)

    with pytest.raises(UnsupportedError) as missing:
        answer(endpoint, pool, script)

    assert str(missing.value) == f"hv01 runs no scripts at this endpoint, and has no function {script.function}."
    assert missing.value.needs == f"the role {script.role}, which `hvintegration jea` writes"
    assert script.role in str(missing.value.hint)
    assert (missing.value.error_id, missing.value.host_message) == ("CommandNotFoundException", "Nein.")
    assert answer(endpoint, pool, GET_VMS) == "vms"


def test_what_was_stopped_over_there_is_no_refusal() -> None:
    class Stopping(Endpoint):
        def _run(self, event: Any) -> None:  # noqa: ANN401  # as above
            pipeline = self._pool.pipeline_table[event.pipeline_id]
            assert isinstance(pipeline, psrpcore.ServerPipeline)
            pipeline.start()
            pipeline.begin_stop()
            pipeline.stop()
            pipeline.close()

    endpoint = Stopping()

    with pytest.raises(ConnectionLostError, match="was stopped on hv01") as lost:
        answer(endpoint, opened(endpoint), SET_SERVICES)

    assert lost.value.may_have_run


def reason(category: psrpcore.types.ErrorCategory) -> Any:  # noqa: ANN401  # psrpcore's decorator hides the type
    return _types.ErrorRecord(
        Exception=_types.NETException(Message="Die Lizenz\u202eist abgelaufen."),
        CategoryInfo=_types.ErrorCategoryInfo(Category=category),
        FullyQualifiedErrorId="ErrorLoadingModulesOnRunspaceOpen",
    )


class BrokenPool(psrpcore.ServerRunspacePool):
    """Says that it is broken instead of opening."""

    def __init__(self, record: Any, state: psrpcore.types.RunspacePoolState) -> None:  # noqa: ANN401  # as above
        super().__init__()
        self.record = record
        self.instead = state

    def _change_state(self, state: psrpcore.types.RunspacePoolState, error: Any = None, emit: bool = True) -> None:  # noqa: ANN401, FBT001, FBT002  # as it is
        if state is psrpcore.types.RunspacePoolState.Opened:
            state, error = self.instead, self.record
        super()._change_state(state, error, emit)


@pytest.mark.parametrize("state", [psrpcore.types.RunspacePoolState.Broken, psrpcore.types.RunspacePoolState.Closed])
@pytest.mark.parametrize(
    ("category", "error"),
    [
        (psrpcore.types.ErrorCategory.OpenError, CommandFailedError),
        (psrpcore.types.ErrorCategory.PermissionDenied, PermissionDeniedError),
    ],
)
def test_why_a_session_does_not_open_is_what_the_host_says(
    state: psrpcore.types.RunspacePoolState, category: psrpcore.types.ErrorCategory, error: type[RemoteError]
) -> None:
    endpoint = Endpoint()
    endpoint._pool = BrokenPool(reason(category), state)  # noqa: SLF001

    with pytest.raises(error) as refused:
        endpoint.converse(RunspacePool("hv01"))

    assert str(refused.value).endswith("open a session: Die Lizenz ist abgelaufen.")
    assert (refused.value.address, refused.value.error_id) == ("hv01", "ErrorLoadingModulesOnRunspaceOpen")
    assert (refused.value.category, refused.value.host_message) == (category.name, "Die Lizenz\u202eist abgelaufen.")


def test_a_session_that_does_not_open_for_no_reason_is_lost() -> None:
    endpoint = Endpoint()
    endpoint._pool = BrokenPool(None, psrpcore.types.RunspacePoolState.Broken)  # noqa: SLF001

    with pytest.raises(ConnectionLostError, match=r"^PowerShell on hv01 ended the session\.$"):
        endpoint.converse(RunspacePool("hv01"))


def test_a_session_that_breaks_under_a_script_is_lost_and_says_why() -> None:
    class Breaking(Endpoint):
        def _run(self, event: Any) -> None:  # noqa: ANN401  # as above
            self._pool.pipeline_table[event.pipeline_id].start()
            self._pool.set_broken(reason(psrpcore.types.ErrorCategory.OpenError))

    endpoint = Breaking()

    with pytest.raises(ConnectionLostError, match=r"ended the session: Die Lizenz ist abgelaufen\.$") as lost:
        answer(endpoint, opened(endpoint), SET_SERVICES)

    assert lost.value.may_have_run


def test_other_refusals_change_nothing() -> None:
    endpoint = Endpoint(refusal="OperationFailed", Get_HvIntegrationHost="from a function")
    pool = opened(endpoint)

    for _ in range(2):
        with pytest.raises(CommandFailedError):
            answer(endpoint, pool)
    assert endpoint.asked == ["script", "script"]


def test_another_runspace_pool_knows_nothing_of_it() -> None:
    """Who is connected anew may be somebody else."""
    first = Endpoint(Get_HvIntegrationHost="from a function")
    with pytest.raises(RemoteError):
        answer(first, opened(first))

    second = Endpoint(refusal=None)
    assert answer(second, opened(second)) == "from a script"
