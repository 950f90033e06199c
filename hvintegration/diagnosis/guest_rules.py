"""Rules about what serves the integration services inside a guest."""

from __future__ import annotations

from typing import Final

from hvintegration.diagnosis import sources
from hvintegration.diagnosis.facts import Facts, known
from hvintegration.diagnosis.rule import OF_THE_MACHINE, Rule, Seen, enable, install, restart, set_manual, start
from hvintegration.errors import excerpt
from hvintegration.findings import Severity
from hvintegration.guest_models import GuestServiceState, Startup
from hvintegration.linux_distributions import DAEMON_KINDS, HELPER_SCRIPTS
from hvintegration.service_kind import HOST_MANAGED, ServiceKind

__all__ = ["GUEST_RULES"]

_BOTH: Final = "both ends"
_GUEST: Final = "the guest"
_IN_THE_DRIVER: Final = tuple(kind for kind in HOST_MANAGED if kind not in DAEMON_KINDS)
_FAILED: Final = "failed"
_COPIES_OVER_UIO: Final = (6, 10)
"""The kernel from which on files are copied by another daemon."""
_WITHOUT_COPYING: Final = ("6.0.", "6.1.")
"""Versions of Windows, up to 7 and Windows Server 2008 R2."""
_OLD_COPIER: Final = "hv_fcopy_daemon"
_LONGEST_NUMBER: Final = 8
_LONGEST_VERSION: Final = 64
_NUMBERS: Final = 3


def _switched(facts: Facts, kind: ServiceKind) -> str:
    on = "enabled" if facts.is_enabled(kind) else "disabled"
    if facts.machine is None:
        return f"{kind.label} is {on} on the host, as the guest sees it."
    return f"{kind.label} is {on} on the host."


def _inside(state: GuestServiceState) -> str:
    if state.installed is False:
        return f"In the guest, {state.name} is not installed."
    runs = {True: "is running", False: "is not running", None: "runs or not, which is not known"}[state.running]
    status = f" ({excerpt(state.status)})" if state.status is not None else ""
    return f"In the guest, {state.name} {runs}{status}."


def _has_failed(state: GuestServiceState) -> bool:
    return state.last_words is not None or (state.status or "").startswith(_FAILED)


def _standing(facts: Facts, kind: ServiceKind) -> GuestServiceState | None:
    """What the guest says of a service that is enabled and does not run; None if it runs, or is not to run."""
    state = facts.in_guest(kind)
    if state.running or state.offered is False:
        return None
    if state.installed is not False:
        known(state.running, f"Whether {kind.label} runs in the guest: it gave no value.")
    return state if facts.is_enabled(kind) else None


# -- enabled, and does not run ---------------------------------------------------------------------------------------


def _is_not_running(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _standing(facts, kind)
    if state is None or state.installed is False or state.startup is Startup.DISABLED or _has_failed(state):
        return None
    if state.device is False or _is_the_old_copier(facts, kind, state) or _will_be_started(facts, kind) is not None:
        return None
    may = state.cannot_start is None and state.installed is not None
    return Seen((_switched(facts, kind), _inside(state)), start(kind) if may else None)


def _will_be_started(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _standing(facts, kind) if facts.is_windows else None
    if state is None or state.installed is False or state.startup is Startup.DISABLED:
        return None
    if not facts.was_just_stopped(kind):
        return None
    return Seen((_switched(facts, kind), _inside(state), f"{kind.label} was stopped a short while before."))


def _is_not_installed(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _standing(facts, kind)
    if state is None or state.installed is not False or (facts.is_linux and kind in _IN_THE_DRIVER):
        return None
    if _is_not_to_be_had(facts, kind, state):
        return None
    package = () if state.package is None else (f"It would be from the package {excerpt(state.package)}.",)
    may = facts.is_linux and state.packaged and state.package is not None and facts.guest.administrator
    return Seen((_switched(facts, kind), _inside(state), *package), install(kind) if may else None)


def _driver_is_absent(facts: Facts, _: object) -> Seen | None:
    absent = _without_driver(facts)
    return None if absent is None else Seen((f"In the guest, the driver {excerpt(absent.name)} is not there.",))


def _without_driver(facts: Facts) -> GuestServiceState | None:
    """What a Linux guest says of a service that lives in the driver, which is not there; None if it is."""
    kinds = _IN_THE_DRIVER if facts.is_linux else ()
    return next((state for kind in kinds if (state := facts.in_guest(kind)).installed is False), None)


def _is_disabled(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _standing(facts, kind)
    if state is None or state.startup is not Startup.DISABLED:
        return None
    said = "is masked" if facts.is_linux else "is disabled"
    about = state.display_name if facts.is_linux and state.display_name else state.name
    return Seen((_switched(facts, kind), f"In the guest, {excerpt(about)} {said}."), set_manual(kind))


def _has_crashed(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _standing(facts, kind)
    if state is None or not _has_failed(state) or state.startup is Startup.DISABLED:
        return None
    words = () if state.last_words is None else (f'How it ended: "{excerpt(state.last_words)}".',)
    act = start(kind) if state.cannot_start is None else None
    return Seen((_switched(facts, kind), _inside(state), *words), act)


def _has_no_device(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = facts.in_guest(kind)
    if state.device is not False or state.offered is False or state.installed is False:
        return None
    if not facts.is_enabled(kind) or _without_driver(facts) is not None:
        return None
    return Seen((_switched(facts, kind), _inside(state), "In the guest, the device of its daemon is not there."))


def _is_not_offered(facts: Facts, kind: ServiceKind) -> Seen | None:
    if facts.in_guest(kind).offered is not False or not facts.on_host(kind).enabled:
        return None
    return Seen((_switched(facts, kind), "The guest is not offered the channel of it."))


def _may_be_confidential(facts: Facts, _: object) -> Seen | None:
    if not facts.is_linux or facts.in_guest(ServiceKind.KVP).offered is not False:
        return None
    if not facts.in_guest(ServiceKind.SHUTDOWN).offered or not facts.on_host(ServiceKind.KVP).enabled:
        return None
    missing = [kind.label for kind in HOST_MANAGED if facts.in_guest(kind).offered is False]
    return Seen(
        (
            "Key-Value Pair Exchange is enabled on the host.",
            f"The guest is offered Shutdown, and is not offered {', '.join(missing)}.",
        )
    )


# -- runs, and should not, or not so ---------------------------------------------------------------------------------


def _runs_in_vain(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = facts.in_guest(kind)
    if not state.running or facts.machine is not None or facts.is_enabled(kind):
        return None  # Where the host was asked, a rule about its switch says it.
    return Seen((_switched(facts, kind), _inside(state)), enable(kind))


def _runs_by_hand(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = facts.in_guest(kind)
    if not facts.is_linux or not state.running or state.display_name is None:
        return None
    if not known(state.by_hand, "Whether daemons were started by hand: the guest gave no value."):
        return None
    unit = f"The unit or script {excerpt(state.display_name)} did not start it."
    may = state.cannot_stop is None and state.cannot_start is None
    return Seen((_inside(state), unit), restart(kind) if may else None)


# -- copying files ---------------------------------------------------------------------------------------------------


def _kernel(facts: Facts) -> tuple[int, ...]:
    numbers = known(facts.guest.os_build, "Which kernel the guest runs: it gave no value.").partition("-")[0].split(".")
    return tuple(
        int(number)
        for number in numbers[:2]
        if number.isascii() and number.isdecimal() and len(number) <= _LONGEST_NUMBER
    )


def _is_not_packaged(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _standing(facts, kind)
    if state is None or state.installed is not False or not _is_not_to_be_had(facts, kind, state):
        return None
    system = excerpt(facts.guest.caption or "the system of the guest")
    return Seen((_switched(facts, kind), _inside(state), f"The guest is {system}, which has nothing for it."))


def _is_not_to_be_had(facts: Facts, kind: ServiceKind, state: GuestServiceState) -> bool:
    """Whether nobody has what serves it for the system of the guest."""
    too_old = kind is ServiceKind.GUEST_SERVICE_INTERFACE and facts.is_windows
    return state.packaged is False or (too_old and (facts.guest.os_version or "").startswith(_WITHOUT_COPYING))


def _is_the_old_copier(facts: Facts, kind: ServiceKind, state: GuestServiceState) -> bool:
    old = (state.program or "").rpartition("/")[2] == _OLD_COPIER
    return kind is ServiceKind.GUEST_SERVICE_INTERFACE and old and _kernel(facts) >= _COPIES_OVER_UIO


def _copier_is_too_old(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _standing(facts, kind) if facts.is_linux else None
    if state is None or not _is_the_old_copier(facts, kind, state):
        return None
    return Seen(
        (
            _switched(facts, kind),
            _inside(state),
            f"The guest has {excerpt(state.program or '')}, and its kernel is {excerpt(facts.guest.os_build or '')}.",
        )
    )


# -- the guest as a whole --------------------------------------------------------------------------------------------


def _helpers_are_missing(facts: Facts, kind: ServiceKind) -> Seen | None:
    if not facts.is_linux or not facts.is_enabled(kind) or not facts.in_guest(kind).running:
        return None
    there = known(facts.guest.helper_scripts, "Which helper scripts the guest has: it gave no value.")
    names = {path.rpartition("/")[2] for path in there}
    missing = [name for name in HELPER_SCRIPTS if name not in names]
    if not missing:
        return None
    return Seen((_switched(facts, kind), f"The guest does not have {', '.join(missing)}."))


def _pools_are_readable(facts: Facts, _: object) -> Seen | None:
    if not facts.is_linux:
        return None
    pools = known(facts.guest.readable_pools, "Who may read the pools of Data Exchange: the guest gave no value.")
    return Seen((f"Everybody in the guest may read {', '.join(map(excerpt, pools))}.",)) if pools else None


def _lacks_rights(facts: Facts, _: object) -> Seen | None:
    guest = facts.guest
    errors = () if facts.inside is None else facts.inside.errors
    denied = [error for error in errors if error.category == "PermissionDenied"]
    evidence = [f"The guest refused: {excerpt(error.message or error.error_id)}" for error in denied]
    if guest.administrator is False:
        evidence.insert(0, "The user who asked inside the guest is no administrator there.")
    elif not denied:
        known(guest.administrator, "Whether the user who asked inside is an administrator: it gave no value.")
    return Seen(tuple(evidence)) if evidence else None


def _version(text: str) -> tuple[int, ...] | None:
    """The first three numbers of a version of Windows; None of anything else."""
    numbers = text.split(".")[:_NUMBERS]
    if len(text) > _LONGEST_VERSION or len(numbers) < _NUMBERS:
        return None
    return tuple(map(int, numbers)) if all(number.isascii() and number.isdecimal() for number in numbers) else None


def _is_older_than_its_host(facts: Facts, _: object) -> Seen | None:
    if not facts.is_windows:
        return None
    version = known(
        facts.guest.integration_services_version, "Which version the integration services of the guest have: no value."
    )
    host = known(facts.host, "Which Windows the host has: it was not asked for itself.").os_version
    on_host = _version(known(host, "Which Windows the host has: it gave no value."))
    inside = _version(version)
    if inside is None or on_host is None or inside >= on_host:
        return None
    return Seen((f"Integration services of the guest: {version}.", f"Windows of the host: {host}."))


GUEST_RULES: Final = (
    Rule(
        id="guest-service-not-running",
        severity=Severity.ERROR,
        title="Enabled on the host, and does not run in the guest",
        needs=_BOTH,
        cause="Each service must be enabled on the host and run in the guest; {service} does not run. {lost}",
        remedy=(
            "Start it in the guest: the service {windows} in Windows, which Hyper-V starts by itself after a while; its"
            " daemon in Linux."
        ),
        source=sources.MANAGE,
        look=_is_not_running,
    ),
    Rule(
        id="guest-service-not-installed",
        severity=Severity.ERROR,
        title="Enabled on the host, and not installed in the guest",
        needs=_BOTH,
        cause="The guest has nothing that serves {service}. {lost}",
        remedy=(
            "Install the package with its daemon in Linux; in Windows, install or repair the integration services, of"
            " which {windows} is one."
        ),
        source=sources.MANAGE,
        look=_is_not_installed,
    ),
    Rule(
        id="driver-missing",
        severity=Severity.ERROR,
        title="The driver hv_utils is not in the kernel of a Linux guest",
        kinds=OF_THE_MACHINE,
        needs=_GUEST,
        cause=(
            "Without the driver hv_utils no integration service of Linux works, but for copying files from Linux 6.10"
            " on. Heartbeat, Shutdown and Time Synchronization need nothing else."
        ),
        remedy="As root, run: modprobe hv_utils. If there is no such module, use a kernel that has it.",
        source=sources.KERNEL,
        look=_driver_is_absent,
    ),
    Rule(
        id="guest-service-disabled",
        severity=Severity.ERROR,
        title="Enabled on the host, and disabled or masked in the guest",
        needs=_BOTH,
        cause="Hyper-V cannot start {service} while it is disabled in the guest. {lost}",
        remedy="Set its startup to manual, and start it; or disable it on the host, too, if it is meant to be off.",
        source=sources.MANAGE,
        look=_is_disabled,
    ),
    Rule(
        id="guest-service-crashed",
        severity=Severity.ERROR,
        title="Enabled on the host, and its daemon has crashed",
        needs=_BOTH,
        cause="The daemon of {service} ended with an error, and has not been started since. {lost}",
        remedy="Start it, and look into the journal of the guest if it ends again.",
        source=sources.TOOLS,
        look=_has_crashed,
    ),
    Rule(
        id="guest-service-without-device",
        severity=Severity.ERROR,
        title="Enabled on the host, and the device of its daemon is not there",
        needs=_BOTH,
        cause=("The driver makes the device when the host offers {service}; without it the daemon cannot work. {lost}"),
        remedy=(
            "For copying files from Linux 6.10 on, run as root: modprobe uio_hv_generic, and bind it to the channel."
            " For the others, disable and enable {service} on the host: the driver makes the device anew."
        ),
        source=sources.KERNEL,
        look=_has_no_device,
    ),
    Rule(
        id="channel-not-offered",
        severity=Severity.ERROR,
        title="Enabled on the host, and the guest is not offered the channel",
        needs=_BOTH,
        cause="A Linux guest sees a channel for each service that its host offers, and none for {service}. {lost}",
        remedy=(
            "Disable and enable it on the host: the channel of what is enabled appears at once, without a restart."
            " Confidential virtual machines are not offered all of them."
        ),
        source=sources.KERNEL,
        look=_is_not_offered,
    ),
    Rule(
        id="may-be-confidential",
        severity=Severity.NOTE,
        title="Perhaps a confidential virtual machine",
        kinds=OF_THE_MACHINE,
        needs=_BOTH,
        cause=(
            "Confidential virtual machines (SNP, TDX) are offered no Data Exchange. Whether this is one is not known:"
            " nothing that is read from a host says so."
        ),
        remedy="If it is one, accept the findings about services that are not offered.",
        source="microsoft/lisa, tests of lsvmbus, for Data Exchange; for the others nothing is certain",
        look=_may_be_confidential,
    ),
    Rule(
        id="running-but-disabled",
        severity=Severity.WARNING,
        title="Runs in the guest, and is disabled on the host",
        needs="the guest alone; where the host is asked, the rules about its switches say so",
        cause="{service} works only where it is enabled on the host, too. {lost}",
        remedy="Enable it on the host; or stop it in the guest if it is not wanted.",
        source=sources.MANAGE,
        look=_runs_in_vain,
    ),
    Rule(
        id="starts-again",
        severity=Severity.NOTE,
        title="A stopped service that Hyper-V will start again",
        needs=f"{_BOTH}, and what was changed",
        cause="Hyper-V starts a service of Windows that is stopped in the guest and enabled on the host.",
        remedy="To keep {service} off, disable it on the host.",
        source=sources.MANAGE,
        look=_will_be_started,
    ),
    Rule(
        id="daemon-by-hand",
        severity=Severity.WARNING,
        title="A daemon was started by hand",
        kinds=DAEMON_KINDS,
        needs=_GUEST,
        cause=(
            "The daemon of {service} runs outside its unit or script. Another one that these start beside it finds the"
            " device busy, and ends."
        ),
        remedy="Stop the daemon, and start its unit or script.",
        source=sources.TOOLS,
        look=_runs_by_hand,
    ),
    Rule(
        id="file-copy-not-packaged",
        severity=Severity.WARNING,
        title="Files cannot be copied: the system has nothing that takes them",
        kinds=(ServiceKind.GUEST_SERVICE_INTERFACE,),
        needs=_BOTH,
        cause=(
            "Windows Server 2008 R2 cannot have {service}, FreeBSD has no driver for it, and some distributions of"
            " Linux have no daemon in their packages: from Linux 6.10 on that is hv_fcopy_uio_daemon in place of"
            " hv_fcopy_daemon, and Debian 13 has neither."
        ),
        remedy=(
            "Copy files over the network; or in Linux, build hv_fcopy_uio_daemon from the sources of the kernel"
            " (tools/hv)."
        ),
        source=f"{sources.DEBIAN}; {sources.MANAGE}; Microsoft's tables of features for FreeBSD",
        look=_is_not_packaged,
    ),
    Rule(
        id="file-copy-daemon-too-old",
        severity=Severity.ERROR,
        title="Files cannot be copied: the daemon is older than the kernel",
        kinds=(ServiceKind.GUEST_SERVICE_INTERFACE,),
        needs=_BOTH,
        cause="From Linux 6.10 on, files are copied over a device of uio_hv_generic; hv_fcopy_daemon does not use it.",
        remedy="Install hv_fcopy_uio_daemon, which goes with the kernel.",
        source=sources.COPYING,
        look=_copier_is_too_old,
    ),
    Rule(
        id="helper-scripts-missing",
        severity=Severity.NOTE,
        title="Helper scripts are missing, so addresses cannot be set from the host",
        kinds=(ServiceKind.KVP,),
        needs=_BOTH,
        cause=(
            "The daemon of {service} runs scripts to read DNS servers and DHCP (hv_get_dns_info, hv_get_dhcp_info) and"
            " to set addresses (hv_set_ifconfig); what needs a missing one fails."
        ),
        remedy="If the host is to set addresses, as after a failover, add the scripts where the daemon looks for them.",
        source=sources.TOOLS,
        look=_helpers_are_missing,
    ),
    Rule(
        id="pools-readable",
        severity=Severity.NOTE,
        title="Everybody in the guest may read the pools of Data Exchange",
        kinds=OF_THE_MACHINE,
        needs=_GUEST,
        cause="The daemon makes its files readable for everybody: what is exchanged is no secret in the guest.",
        remedy="Put no passwords into Data Exchange.",
        source=sources.TOOLS,
        look=_pools_are_readable,
    ),
    Rule(
        id="rights-missing-in-guest",
        severity=Severity.WARNING,
        title="The user who asks in the guest lacks rights",
        kinds=OF_THE_MACHINE,
        needs=_GUEST,
        cause="Without the rights of an administrator, services cannot be started, and some facts cannot be read.",
        remedy="Ask as an administrator, in Linux as root or as a user of sudo, if need be with sudo_password.",
        source=sources.MANAGE,
        look=_lacks_rights,
    ),
    Rule(
        id="components-older-than-host",
        severity=Severity.NOTE,
        title="Integration services older than the host",
        kinds=OF_THE_MACHINE,
        needs="both ends, and the host's version",
        cause=(
            "From Windows 10 and Windows Server 2016 on, integration services have the build of their system: those of"
            " a Windows that is older than its host are older, too. For Windows before that they come on their own."
        ),
        remedy="Keep the guest up to date; vm.update_advice() says what brings its integration services.",
        source=sources.UPDATES,
        look=_is_older_than_its_host,
    ),
)
