from __future__ import annotations

from typing import Any

import pytest

from hvintegration.calls.call import Call
from hvintegration.clock import Deadline
from hvintegration.scripts import Language
from hvintegration.transports.ssh.client import SshClient
from hvintegration.transports.ssh.interpreters import stop_process

NO_CLIENT: Any = None
"""Nothing is sent."""


class Hung:
    """An interpreter that is answered for by another one, which is itself."""

    language = Language.POWERSHELL
    process: tuple[int, str] | None = (7, "12")
    sent = True
    requests = 0
    complaint = ""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.closed = False

    def again(self, _client: SshClient, /) -> Hung:
        return self

    def open(self, deadline: Deadline) -> None:
        pass

    def prepare(self, _call: Call, _deadline: Deadline, /) -> None:
        pass

    def call(self, _call: Call, _deadline: Deadline, /) -> str:
        return self._answer

    def close(self) -> None:
        self.closed = True

    def abandon(self) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "gone"),
    [
        ('{"schema": 1, "result": {"gone": true}, "errors": []}', True),
        ('{"schema": 1, "result": {"gone": false}, "errors": []}', False),
        ('{"schema": 1, "result": null, "errors": []}', False),
        ("[]", False),
        ("x", False),
        ("[" * 100_000, False),
        ("[" + "[]," * 300_000 + "0]", False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_process_is_gone_only_if_the_answer_says_so(answer: str, gone: bool) -> None:  # noqa: FBT001 - a parameter
    hung = Hung(answer)
    assert stop_process(hung, NO_CLIENT, Deadline(60)) is gone
    assert hung.closed
