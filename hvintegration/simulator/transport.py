"""The simulator as a transport."""

from __future__ import annotations

import json
import os
from typing import Final

from hvintegration.calls.call import Call
from hvintegration.calls.reserve import answer_by
from hvintegration.clock import Clock, Deadline, SystemClock
from hvintegration.errors import ConfigurationError, ConnectError, ConnectionLostError, TransportTimeoutError
from hvintegration.processes import OfThisProcess
from hvintegration.scripts import Language
from hvintegration.simulator.faults import Faults, InterpreterEnded
from hvintegration.simulator.functions import PowerShell, answer
from hvintegration.simulator.hyperv import HyperV
from hvintegration.simulator.linux import Linux
from hvintegration.simulator.pending import Pending
from hvintegration.simulator.settling import Settling
from hvintegration.simulator.store import FileStore, MemoryStore, Store
from hvintegration.simulator.windows import Windows
from hvintegration.simulator.world import Machine, World

__all__ = ["Simulator"]

LONGEST_SLEEP: Final = 0.25
"""Seconds after which a sleeping call looks whether it was closed."""


class Simulator(OfThisProcess):
    """A simulated host, or the guest of one of its virtual machines. Its address is ``sim:``, or ``sim:FILE``.

    Args:
        world: The world that it answers from: an object, which stays yours to change and to look at, or the path of a
            world file, which other processes may change as well.
        clock: The clock that it and its sessions go by; :class:`VirtualClock` makes all waiting instant. The
            machine's own clock if None.
        settle: Seconds without contact after a machine was started or a service switched on.
        guest: Name of the virtual machine inside whose guest it stands; None for the host.

    Raises:
        ConfigurationError: There is no such world file, it holds no world, or that has no such virtual machine.

    >>> import hvintegration as hv
    >>> world = hv.simulator.demo_world()
    >>> host = hv.Host(hv.Simulator(world, clock=hv.VirtualClock()))
    >>> host.vms["demovm"].services["vss"].disable().enabled
    False
    >>> world.journal
    ['disable demovm vss']
    >>> guest = hv.Guest(hv.Simulator(world, guest="backup", clock=hv.VirtualClock()))
    >>> guest.services["vss"].start().running
    True
    """

    def __init__(
        self,
        world: World | str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        settle: float = 0.0,
        guest: str | None = None,
    ) -> None:
        if settle < 0:
            raise ConfigurationError(f"Invalid settle {settle!r}: it is negative.")
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.requests = 0
        self._closings = 0
        self._store: Store = MemoryStore(world) if isinstance(world, World) else FileStore(world)
        self._settling = Settling(settle, self.clock.monotonic)
        self._settling.look(self._store.read())
        self._pending = Pending(self.clock.monotonic)
        self._guest = guest
        self._inside(self._store.read())

    def __str__(self) -> str:
        return f"sim:{self._store}" if self._guest is None else f"sim:{self._store}#guest={self._guest}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    @property
    def world(self) -> World:
        """The world as it is now; the object itself, or what the file says, to be looked at only."""
        return self._store.read()

    def call(self, call: Call, deadline: Deadline, /) -> str:
        """Answer *call*; see :class:`~hvintegration.transports.base.Transport`."""
        until = answer_by(call, deadline)
        in_real_time = Deadline(until.left())  # Who else has the file does not go by our clock.
        closings = self._closings

        def go_on(limit: Deadline = until) -> None:
            if self._closings != closings:
                raise ConnectionLostError(f"{self} was closed before it had answered.", address=str(self), fenced=True)
            if not limit.left():
                raise TransportTimeoutError(address=str(self), after=deadline.given, fenced=True)

        def pause(seconds: float) -> None:
            end = self.clock.monotonic() + seconds
            while (left := end - self.clock.monotonic()) > 0:
                world.let_others()
                self.clock.sleep(min(left, until.left(), LONGEST_SLEEP))
                go_on()

        self.requests += 1
        with self._store.access(lambda: go_on(in_real_time)) as world:
            machine = self._inside(world.read())
            self._see_to_it_that_it_runs(call.script.language, machine)
            here: PowerShell | Linux
            if machine is not None and machine.guest == "linux":
                here = Linux(world, Faults(world, pause), go_on, pause, self._linux_guest)
            else:
                hyperv = HyperV(world, pause, go_on, self._settling, self._pending)
                windows = Windows(world, Faults(world, pause), go_on, pause, self._pending, self._inside)
                here = PowerShell(hyperv, windows)
            try:
                return json.dumps(answer(call, here))
            except InterpreterEnded:
                raise ConnectionLostError(
                    f"The interpreter at {self} ended.", address=str(self), may_have_run=True, fenced=True
                ) from None

    def _see_to_it_that_it_runs(self, language: Language, machine: Machine | None) -> None:
        if machine is None or machine.guest != "linux":
            if language is not Language.POWERSHELL:
                raise ConfigurationError(f"{self} runs PowerShell, not {language}.")
        elif language is not Language.SH:
            raise ConnectError(
                f"{language} did not start: {self} is a Linux guest, and has none.",
                address=str(self),
                host_message="sh: pwsh: not found",
            )

    def _linux_guest(self, world: World) -> Machine:
        """The machine whose guest this is, as long as it is one of Linux."""
        machine = self._inside(world)
        if machine is None or machine.guest != "linux":
            raise InterpreterEnded
        return machine

    def _inside(self, world: World) -> Machine | None:
        """The machine whose guest this is."""
        if self._guest is None:
            return None
        for machine in world.machines:
            if machine.name == self._guest:
                return machine
        raise ConfigurationError(f"The world of sim:{self._store} has no virtual machine {self._guest!r}.")

    def close(self) -> None:
        """Nothing to let go of; a call that is under way ends."""
        self._closings += 1
