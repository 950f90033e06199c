"""All rules, in the order in which they are shown."""

from __future__ import annotations

from typing import Final

from hvintegration.diagnosis import sources
from hvintegration.diagnosis.facts import Facts
from hvintegration.diagnosis.guest_rules import GUEST_RULES
from hvintegration.diagnosis.host_rules import HOST_RULES
from hvintegration.diagnosis.rule import OF_THE_MACHINE, Rule, Seen
from hvintegration.findings import Severity

__all__ = ["ANOTHER_MACHINE", "RULES"]


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
"""Where it applies, no other rule is asked."""

RULES: Final[tuple[Rule, ...]] = (ANOTHER_MACHINE, *HOST_RULES, *GUEST_RULES)
"""Every rule."""
