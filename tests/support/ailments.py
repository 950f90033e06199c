"""For each rule of a diagnosis a world in which it applies, and one that differs in one fact, in which it does not.

The facts are what ``inventory()`` of the simulated ends answers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Final

import attrs

from hvintegration import (
    Diagnosis,
    Guest,
    GuestChange,
    Host,
    ServiceChange,
    ServiceKind,
    Simulator,
    VirtualClock,
    World,
    diagnose,
)
from hvintegration.linux_distributions import HELPER_SCRIPTS
from hvintegration.simulator import LinuxProcess, Machine
from hvintegration.testing import machine_id

__all__ = ["AILMENTS", "Ailment", "diagnosed"]

VM: Final = "demovm"
OTHER: Final = "other"
KVP, VSS, TIME = ServiceKind.KVP, ServiceKind.VSS, ServiceKind.TIME_SYNC
HEARTBEAT, SHUTDOWN, COPYING = ServiceKind.HEARTBEAT, ServiceKind.SHUTDOWN, ServiceKind.GUEST_SERVICE_INTERFACE
HOST, GUEST, BOTH = "host", "guest", "both"

Fact = Callable[[Machine], None]
"""Makes one thing in a machine otherwise."""


@attrs.frozen
class Ailment:
    """What makes a rule apply.

    Attributes:
        rule: Its id.
        ill: The one fact that makes the difference.
        before: What is so in both worlds.
        guest: What runs inside.
        ends: Which ends are asked: the host, the guest, or both.
        asked: The machine whose guest answers where the world is ill.
        denied: Whether the host lets this user see nothing where the world is ill.
        switched: A service that is switched on before the host is asked, where the world is ill.
        stopped: A service that is stopped in the guest before it is asked, in both worlds; what was changed is told
            where the world is ill.
    """

    rule: str
    ill: Fact = attrs.field(default=lambda _: None)
    before: Fact = attrs.field(default=lambda _: None)
    guest: str = "windows"
    ends: str = BOTH
    asked: str = VM
    denied: bool = False
    switched: ServiceKind | None = None
    stopped: ServiceKind | None = None


def world_of(ailment: Ailment, *, ill: bool) -> World:
    """A world with two machines, the first of which is ill or not."""
    daemons = ["hv_kvp_daemon", "hv_vss_daemon"] if ailment.guest == "linux" else []
    world = World(
        machines=[
            Machine(
                id=machine_id(number),
                name=name,
                guest=ailment.guest,
                daemons=list(daemons),
                intrinsic={"IntegrationServicesVersion": "10.0.20348.1"},
            )
            for number, name in ((1, VM), (2, OTHER))
        ]
    )
    ailment.before(world.machine(VM))
    if ill:
        ailment.ill(world.machine(VM))
    return world


def diagnosed(ailment: Ailment, *, ill: bool) -> Diagnosis:
    """What is found in its world."""
    inside = world_of(ailment, ill=ill)
    outside = copy.deepcopy(inside)
    host = Host(Simulator(outside, clock=VirtualClock()))
    changes: list[ServiceChange | GuestChange] = []
    if ailment.switched is not None and ill:
        host.set_services([(VM, ailment.switched, False)])
        changes += host.set_services([(VM, ailment.switched, True)])
    machine = None if ailment.ends == GUEST else host.inventory().vms[0]
    guest = Guest(Simulator(inside, guest=ailment.asked if ill else VM, clock=VirtualClock()))
    if ailment.stopped is not None:
        stopped = guest.set_services({ailment.stopped: False})
        changes += stopped if ill else ()
    if ailment.denied and ill:
        outside.access = "denied"
        return host.vm(machine_id(1)).diagnose(guest)
    return diagnose(
        machine,
        None if ailment.ends == HOST else guest.inventory(),
        host_info=host.info(),
        changes=changes,
    )


# -- facts -----------------------------------------------------------------------------------------------------------


def off(kind: ServiceKind) -> Fact:
    """Disabled on the host."""

    def fact(machine: Machine) -> None:
        machine.setting(kind).enabled = False

    return fact


def on(kind: ServiceKind) -> Fact:
    """Enabled on the host."""

    def fact(machine: Machine) -> None:
        machine.setting(kind).enabled = True

    return fact


def status(kind: ServiceKind, primary: str | None = None, secondary: str | None = None) -> Fact:
    """What the host says of a service."""

    def fact(machine: Machine) -> None:
        machine.setting(kind).primary = primary
        machine.setting(kind).secondary = secondary

    return fact


def service(kind: ServiceKind, status: str | None = None, start_type: str | None = None) -> Fact:
    """How a service of Windows is."""

    def fact(machine: Machine) -> None:
        found = machine.guest_service(kind)
        assert found is not None
        found.status = status or found.status
        found.start_type = start_type or found.start_type

    return fact


def without_service(kind: ServiceKind) -> Fact:
    """A service of Windows is not there."""

    def fact(machine: Machine) -> None:
        machine.guest_services[:] = [one for one in machine.guest_services if one.name != kind.windows_service]

    return fact


def linux(**facts: object) -> Fact:
    """How a Linux system is."""

    def fact(machine: Machine) -> None:
        for name, value in facts.items():
            setattr(machine.linux, name, copy.deepcopy(value))

    return fact


def machine(**facts: object) -> Fact:
    """How the machine itself is."""

    def fact(machine: Machine) -> None:
        for name, value in facts.items():
            setattr(machine, name, copy.deepcopy(value))

    return fact


def system(**facts: object) -> Fact:
    """What runs in a Windows guest."""

    def fact(machine: Machine) -> None:
        for name, value in facts.items():
            setattr(machine.os, name, copy.deepcopy(value))

    return fact


def no_daemon(*names: str) -> Fact:
    """Daemons of Linux do not run."""

    def fact(machine: Machine) -> None:
        machine.daemons[:] = [name for name in machine.daemons if name not in names]

    return fact


def both(*facts: Fact) -> Fact:
    """All of them."""

    def fact(machine: Machine) -> None:
        for one in facts:
            one(machine)

    return fact


def silent(*kinds: ServiceKind) -> Fact:
    """What the host says of these is that they have no contact."""
    return both(*(status(kind, "NoContact") for kind in kinds))


_DEBIAN_13: Final = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"'
_WITHOUT_COPIER: Final = ["/usr/sbin/hv_kvp_daemon", "/usr/sbin/hv_vss_daemon"]
_HELPERS: Final = [f"/usr/libexec/hypervkvpd/{name}" for name in HELPER_SCRIPTS]
_VSS_UNIT: Final = "hv-vss-daemon.service"

AILMENTS: Final = (
    Ailment("guest-is-another-machine", asked=OTHER),
    Ailment("guest-not-on-hyperv", linux(on_hyperv=False), guest="linux"),
    # What the host says.
    Ailment("machine-not-running", machine(state="Off"), ends=HOST),
    Ailment("rights-missing-on-host", denied=True),
    Ailment("no-contact-yet", machine(uptime=30), before=status(KVP, "NoContact"), ends=HOST),
    Ailment("no-contact-after-a-change", before=status(KVP, "LostCommunication"), ends=HOST, switched=KVP),
    Ailment(
        "guest-does-not-answer", status(HEARTBEAT, "NoContact"), before=silent(KVP, VSS, TIME, SHUTDOWN), ends=HOST
    ),
    Ailment("no-contact", status(KVP, "NoContact"), ends=HOST),
    Ailment("lost-communication", status(KVP, "LostCommunication")),
    Ailment("backup-silent", status(VSS, "NoContact"), ends=HOST),
    Ailment("disabled-yet-ok", off(HEARTBEAT), on(COPYING), ends=HOST),
    Ailment("older-protocol", status(KVP, "Ok", "ProtocolMismatch"), guest="linux"),
    Ailment("older-protocol-in-windows", status(TIME, "Degraded")),
    Ailment("guest-too-old", status(TIME, "NonRecoverableError"), ends=HOST),
    Ailment("service-fails", status(HEARTBEAT, "Ok", "CommunicationFailed"), ends=HOST),
    Ailment("heartbeat-critical", status(HEARTBEAT, "Ok", "ApplicationCritical"), ends=HOST),
    Ailment("linux-heartbeat-healthy", machine(guest="linux"), ends=BOTH),
    Ailment("data-exchange-off", off(KVP), ends=HOST),
    Ailment("no-updates-without-data-exchange", system(version="6.2.9200"), before=off(KVP)),
    Ailment("shutdown-off", off(SHUTDOWN), ends=HOST),
    Ailment("time-sync-off", off(TIME), ends=HOST),
    Ailment("heartbeat-off", off(HEARTBEAT), ends=HOST),
    Ailment("file-copy-off", off(COPYING), before=on(COPYING), ends=HOST),
    Ailment("backup-off", off(VSS), ends=HOST),
    Ailment("checkpoints-fail", machine(checkpoint_type="ProductionOnly"), before=off(VSS), ends=HOST),
    # What serves it inside.
    Ailment("guest-service-not-running", service(VSS, "Stopped")),
    Ailment("guest-service-not-installed", without_service(VSS)),
    Ailment("driver-missing", linux(driver="absent"), guest="linux", ends=GUEST),
    Ailment("guest-service-disabled", service(VSS, start_type="Disabled"), before=service(VSS, "Stopped")),
    Ailment(
        "guest-service-crashed",
        linux(failed={_VSS_UNIT: "signal"}),
        both(no_daemon("hv_vss_daemon"), linux(last_words={_VSS_UNIT: "Hyper-V VSS: VSS: op=5 failed!"})),
        guest="linux",
    ),
    Ailment(
        "guest-service-without-device",
        linux(bound=False),
        both(on(COPYING), linux(kernel="6.12.9-amd64", programs=["/usr/sbin/hv_fcopy_uio_daemon"])),
        guest="linux",
    ),
    Ailment("channel-not-offered", linux(withheld=["vss"]), guest="linux"),
    Ailment("may-be-confidential", linux(withheld=["kvp"]), guest="linux"),
    Ailment(
        "running-but-disabled",
        off(VSS),
        linux(processes=[LinuxProcess(pid=700, user=0, name="hv_vss_daemon", program="/usr/sbin/hv_vss_daemon")]),
        guest="linux",
        ends=GUEST,
    ),
    Ailment("starts-again", stopped=VSS),
    Ailment(
        "file-copy-not-packaged",
        linux(os_release=_DEBIAN_13),
        both(on(COPYING), linux(programs=_WITHOUT_COPIER)),
        guest="linux",
    ),
    Ailment(
        "time-sync-on-domain-controller",
        system(product_type=2),
        system(time_sources=["NTP", "VMICTimeProvider"]),
    ),
    Ailment("two-time-sources", linux(time_daemons=["chronyd"]), guest="linux"),
    Ailment("daemon-by-hand", linux(by_hand=["hv_vss_daemon"]), guest="linux", ends=GUEST),
    Ailment(
        "helper-scripts-missing", linux(helper_scripts=_HELPERS[:2]), linux(helper_scripts=_HELPERS), guest="linux"
    ),
    Ailment(
        "pools-readable", before=linux(readable_pools=False), ill=linux(readable_pools=True), guest="linux", ends=GUEST
    ),
    Ailment("file-copy-daemon-too-old", linux(kernel="6.12.9-amd64"), on(COPYING), guest="linux"),
    Ailment("rights-missing-in-guest", linux(rights="none"), guest="linux", ends=GUEST),
    Ailment("components-older-than-host", machine(intrinsic={"IntegrationServicesVersion": "10.0.14393.0"})),
)
