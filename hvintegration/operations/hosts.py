"""Questions about the host itself."""

from __future__ import annotations

from hvintegration.calls.answer import Answer
from hvintegration.calls.call import Call
from hvintegration.calls.decoding import optional_text, text
from hvintegration.calls.operation import Operation
from hvintegration.models import HostInfo
from hvintegration.operations.refusals import result_of
from hvintegration.scripts import GET_HOST

__all__ = ["read_host"]


def read_host() -> Operation[HostInfo]:
    """The host: one round trip."""
    answer = yield Call(GET_HOST, {})
    assert isinstance(answer, Answer)
    result = result_of(answer, "read the host")
    path = "$.result"
    return HostInfo(
        name=optional_text(result, "name", path),
        os_caption=optional_text(result, "os_caption", path),
        os_version=optional_text(result, "os_version", path),
        os_build=optional_text(result, "os_build", path),
        language=optional_text(result, "language", path),
        module_version=optional_text(result, "module_version", path),
        powershell_version=text(result, "powershell_version", path),
        powershell_edition=text(result, "powershell_edition", path),
        language_mode=text(result, "language_mode", path),
        read_at=answer.received_at,
    )
