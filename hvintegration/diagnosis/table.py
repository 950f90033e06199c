"""All rules, in the order in which they are shown."""

from __future__ import annotations

from typing import Final

from hvintegration.diagnosis import sources
from hvintegration.diagnosis.facts import Facts
from hvintegration.diagnosis.guest_rules import GUEST_RULES
from hvintegration.diagnosis.host_rules import HOST_RULES
from hvintegration.diagnosis.rule import OF_THE_MACHINE, Rule, Seen
from hvintegration.findings import Severity

__all__ = ["FIRST", "RULES"]


def _is_another_machine(facts: Facts, _: object) -> Seen | None:
    vm_id = facts.guest.vm_id if facts.machine is not None and facts.inside is not None else None
    if vm_id is None or vm_id == facts.vm.id:
        return None
    return Seen(
        (
            f"The host was asked about the virtual machine {facts.vm.id}.",
            f"What answered inside takes itself for {vm_id}.",
        )
    )


def _is_not_on_hyperv(facts: Facts, _: object) -> Seen | None:
    if facts.inside is None or facts.guest.on_hyperv is not False:
        return None
    return Seen(("Neither the kernel nor the firmware of the guest knows of Hyper-V.",))


ANOTHER_MACHINE: Final = Rule(
    id="guest-is-another-machine",
    severity=Severity.ERROR,
    title="The guest is not this virtual machine",
    kinds=OF_THE_MACHINE,
    needs="both ends",
    cause="Another machine answers at the address that was given for the guest: nothing else is judged.",
    remedy="Give the address of this virtual machine's guest.",
    source=sources.GUEST_PARAMETERS,
    look=_is_another_machine,
)
NOT_ON_HYPERV: Final = Rule(
    id="guest-not-on-hyperv",
    severity=Severity.ERROR,
    title="The guest does not run on Hyper-V",
    kinds=OF_THE_MACHINE,
    needs="the guest",
    cause="The machine that answers is no guest of Hyper-V, and has no integration services: nothing else is judged.",
    remedy="Give the address of a virtual machine that runs on Hyper-V.",
    source=sources.BUS,
    look=_is_not_on_hyperv,
)

FIRST: Final = (ANOTHER_MACHINE, NOT_ON_HYPERV)
"""Where one of them applies, no other rule is asked."""

RULES: Final[tuple[Rule, ...]] = (*FIRST, *HOST_RULES, *GUEST_RULES)
"""Every rule."""
