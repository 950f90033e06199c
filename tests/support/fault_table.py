"""Tables of faults: what comes of each, for a read and for a write. The documentation shows them.

With ``HVINTEGRATION_MEASURE=1`` the seconds that each took are written into the table.
"""

from __future__ import annotations

import json
import os
from collections.abc import Container
from pathlib import Path
from typing import Any, Final

from hvintegration import ChangeOutcome, Host, World
from hvintegration.errors import HvError, TransportError
from tests.support.amounts import some_by_day
from tests.support.endpoints import Endpoint
from tests.support.fault_proxy import FaultProxy
from tests.support.secrecy import assert_clean, assert_clean_error

LONG: Final = 20.0
"""Seconds for what does not wait until its time is up."""


class Table:
    """The table in a file."""

    def __init__(self, file: Path) -> None:
        self.rows: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))
        self._file = file

    def all_of(self, *, alike: Container[str] = ()) -> list[Any]:
        """Each row with each verb; by day no row that is *alike* others, and no read that ends as the write does."""
        every = [(name, verb) for name in self.rows for verb in ("read", "write")]
        by_day = {(name, "write") for name in self.rows if name not in alike}
        by_day |= {(name, "read") for name, _ in by_day if self.rows[name]["read"] != self.rows[name]["write"]}
        return some_by_day(every, by_day)

    def note(self, name: str, verb: str, seconds: float) -> None:
        """Write into the file how long a row took, if that is wanted."""
        if not os.environ.get("HVINTEGRATION_MEASURE"):
            return
        self.rows[name].setdefault("seconds", {})[verb] = round(seconds, 1)
        lines = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in self.rows.items()]
        self._file.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def set_up_proxy(proxy: FaultProxy, what: str, how: Any) -> bool:  # noqa: ANN401 - it is JSON
    """Have the proxy do what a row says, if it is the proxy's to do; whether it is."""
    match what:
        case "mode":
            proxy.mode = how
        case "strike":
            proxy.strike(how["kind"], after_bytes_up=how.get("up"), after_bytes_down=how.get("down"))
        case "drip":
            proxy.drip = (how[0], how[1])
        case _:
            return False
    return True


def mend_proxy(proxy: FaultProxy) -> None:
    """Have it hand on everything again."""
    proxy.mode = "pass"
    proxy.drip = None


def made_in(endpoint: Endpoint) -> bool:
    """Whether VSS of demovm is disabled."""
    return endpoint.journal() == ["disable demovm vss"]


def check_error(error: HvError, endpoint: Endpoint) -> None:
    """Check that it can be shown, that it is true, and that it tells no secret."""
    assert_clean_error(error)
    assert all(character.isprintable() for character in str(error))
    if isinstance(error, TransportError) and not error.may_have_run:
        assert endpoint.journal() == []


def ask(host: Host, endpoint: Endpoint, world: World, verb: str, timeout: float) -> str:
    """What came of it, in a word; it is checked against the world."""
    vm_id = world.machine("demovm").id
    try:
        if verb == "read":
            assert len(host.inventory(timeout=timeout).vms) == 5
            return "answer"
        (change,) = host.set_services([(host.vm(vm_id), "vss", False)], timeout=timeout)
    except HvError as error:
        check_error(error, endpoint)
        return type(error).__name__
    assert_clean(repr(change), "a change that was told")
    if change.state is not None:
        assert change.state.enabled is not made_in(endpoint)
    assert (change.outcome is ChangeOutcome.FAILED) is not made_in(endpoint)
    return change.outcome.value
