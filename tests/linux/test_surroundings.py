"""Rows of the table of faults of Linux guests: real guests, of whose surroundings something is so.

The table is ``tests/faults/linux_faults.json``; the documentation shows it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from hvintegration.guest import Guest
from tests.support.fault_table import LONG
from tests.support.linux_fault_table import TABLE, read, stop_it
from tests.support.linux_guest import HOSTILE, SYSTEMCTL_START, LinuxGuest
from tests.support.time_limit import GRACE, within

REAL: Final = [name for name, row in TABLE.rows.items() if "guest" in row]

SHORT: Final = {"read": 2.0, "write": 4.0}
"""Seconds for what waits until its time is up."""


class Surroundings:
    """A real guest whose surroundings are as a row says, until :meth:`mend`."""

    def __init__(self, machine: LinuxGuest) -> None:
        self._machine = machine

    @contextlib.contextmanager
    def being(self, row: Mapping[str, Any]) -> Iterator[None]:
        """Be as a row says."""
        self._machine.shell(START)
        self._machine.shell(row["guest"])
        try:
            yield
        finally:
            self._machine.shell(f"{row['undo']}\n{END_CHANGES}", check=False)

    def pids(self) -> list[str]:
        """The processes that serve it."""
        return self._machine.shell("/bin/pidof /usr/sbin/hv_kvp_daemon", check=False).split()


END_CHANGES: Final = "while pkill -9 -x hv-changing; do sleep 0.05; done"
"""What hangs in a guest goes on there, and nothing else is changed meanwhile."""

START: Final = (
    f"{SYSTEMCTL_START.format('hv-kvp-daemon')}; until /bin/pidof /usr/sbin/hv_kvp_daemon; do sleep 0.05; done"
)


@pytest.fixture(scope="module")
def machine(start_linux: Callable[..., LinuxGuest]) -> LinuxGuest:
    return start_linux("systemd", *HOSTILE)


@pytest.mark.xdist_group("linux-systemd")
@pytest.mark.parametrize("name", REAL)
def test_a_real_guest_in_such_surroundings(name: str, machine: LinuxGuest) -> None:
    row = TABLE.rows[name]
    surroundings = Surroundings(machine)
    for verb, ask in {"read": read, "write": stop_it}.items():
        timeout = SHORT[verb] if verb in row.get("waits", ()) else LONG
        with surroundings.being(row), Guest(machine.ssh(row["user"]), family="linux") as guest:
            before = surroundings.pids()
            with within(timeout + GRACE) as stopwatch:
                came = ask(guest, timeout)
            assert came in row[verb].split(" or ")
            TABLE.note(name, verb, stopwatch.seconds())
            assert (surroundings.pids() != before) is (verb == "write" and row["made"] == 1)
