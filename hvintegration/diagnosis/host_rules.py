"""Rules about what a host says of a virtual machine and its services."""

from __future__ import annotations

from typing import Final

from hvintegration.diagnosis import sources
from hvintegration.diagnosis.facts import Facts, known
from hvintegration.diagnosis.rule import OF_THE_MACHINE, SIX, Act, Rule, Seen, disable, enable, restart
from hvintegration.errors import excerpt
from hvintegration.findings import Severity
from hvintegration.guest_models import GuestFamily
from hvintegration.models import OperationalStatus, ServiceState
from hvintegration.service_kind import ServiceKind

__all__ = ["HOST_RULES", "status_of"]

_SILENT: Final = frozenset({OperationalStatus.NO_CONTACT, OperationalStatus.LOST_COMMUNICATION})
_FAILING: Final = frozenset(
    {OperationalStatus.ERROR, OperationalStatus.COMMUNICATION_TIMED_OUT, OperationalStatus.COMMUNICATION_FAILED}
)
_OTHERS_SILENT: Final = tuple(kind for kind in SIX if kind is not ServiceKind.VSS)
_SEVERAL: Final = 2
_HOST: Final = "the host"
_HOST_OR_BOTH: Final = "the host, and better both ends"


def status_of(state: ServiceState) -> str:
    """What the host says of a service, in a sentence."""
    switch = {True: "enabled", False: "disabled", None: "neither enabled nor disabled, as far as is known,"}[
        state.enabled
    ]
    statuses = " and ".join(filter(None, (state.primary, state.secondary))) or "none"
    label = state.kind.label if state.kind is not None else state.component_id
    return f"On the host, {label} is {switch}, and its status is {statuses}."


def _running_for(facts: Facts) -> str:
    return f"The virtual machine has been running for {facts.vm.uptime} seconds."


# -- no status -------------------------------------------------------------------------------------------------------


def _is_not_running(facts: Facts, _: object) -> Seen | None:
    return None if facts.is_running else Seen((f"The state of the virtual machine is {facts.vm.state}.",))


def _silent(facts: Facts, kind: ServiceKind) -> ServiceState | None:
    """What the host says of a service that is enabled and has no contact."""
    state = facts.on_host(kind)
    if not facts.is_running or state.primary not in _SILENT:
        return None
    return state if _is_enabled(state, kind) else None


def _is_enabled(state: ServiceState, kind: ServiceKind) -> bool:
    return known(state.enabled, f"Whether {kind.label} is enabled: the host gave no value.")


def _all_silent(facts: Facts) -> list[ServiceState]:
    """Of the services that are enabled, those that have no contact."""
    states = map(facts.on_host, facts.kinds_on_host) if facts.is_running else ()
    return [state for state in states if state.enabled and state.primary in _SILENT]


def _is_starting(facts: Facts, _: object) -> Seen | None:
    states = _all_silent(facts)
    if not states or not facts.has_just_started:
        return None
    return Seen((*map(status_of, states), _running_for(facts)))


def _does_not_answer(facts: Facts, _: object) -> Seen | None:
    if not _guest_is_silent(facts):
        return None
    return Seen((*map(status_of, _all_silent(facts)), _running_for(facts)))


def _guest_is_silent(facts: Facts) -> bool:
    """Whether none of the services that are enabled has contact, for which neither time nor the guest is a reason."""
    enabled = [kind for kind in facts.kinds_on_host if facts.on_host(kind).enabled]
    return (
        facts.inside is None
        and len(_all_silent(facts)) == len(enabled) >= _SEVERAL
        and not facts.has_just_started
        and not any(map(facts.was_just_begun, enabled))
    )


def _was_changed(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _silent(facts, kind)
    if state is None or not facts.was_just_begun(kind) or facts.has_just_started:
        return None
    return Seen((status_of(state), f"{kind.label} was switched on or started a short while before."))


def _lasting(facts: Facts, kind: ServiceKind) -> ServiceState | None:
    """What the host says of a service that has no contact, and for which neither time nor the guest is a reason."""
    state = _silent(facts, kind)
    if state is None or facts.was_just_begun(kind) or facts.has_just_started or facts.serves(kind) is False:
        return None
    return None if _guest_is_silent(facts) else state


def _has(status: OperationalStatus, facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _lasting(facts, kind)
    if state is None or state.primary != status:
        return None
    return Seen((status_of(state), _running_for(facts), *_runs_inside(facts, kind)), _may_be_restarted(facts, kind))


def _runs_inside(facts: Facts, kind: ServiceKind) -> tuple[str, ...]:
    return (f"In the guest, {facts.in_guest(kind).name} is running.",) if facts.serves(kind) else ()


def _may_be_restarted(facts: Facts, kind: ServiceKind) -> Act | None:
    if not facts.serves(kind):
        return None
    inside = facts.in_guest(kind)
    return restart(kind) if inside.cannot_start is None and inside.cannot_stop is None else None


def _has_no_contact(facts: Facts, kind: ServiceKind) -> Seen | None:
    return _has(OperationalStatus.NO_CONTACT, facts, kind)


def _has_lost_contact(facts: Facts, kind: ServiceKind) -> Seen | None:
    return _has(OperationalStatus.LOST_COMMUNICATION, facts, kind)


def _backup_is_silent(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _lasting(facts, kind)
    if state is None:
        return None
    evidence = (status_of(state), _running_for(facts), *_runs_inside(facts, kind), _checkpoints(facts))
    return Seen(evidence, _may_be_restarted(facts, kind))


# -- a status that says something --------------------------------------------------------------------------------------


def _are_off_yet_ok(facts: Facts, _: object) -> Seen | None:
    states = [facts.on_host(kind) for kind in facts.kinds_on_host]
    shown = [state for state in states if state.enabled is False and state.primary == OperationalStatus.OK]
    return Seen(tuple(map(status_of, shown))) if shown and facts.is_running else None


def _reported(facts: Facts, kind: ServiceKind) -> ServiceState | None:
    """What the host says of a service whose status counts: it is not disabled, and the virtual machine runs."""
    state = facts.on_host(kind)
    return state if state.enabled is not False and facts.is_running else None


def _speaks_an_older_protocol(facts: Facts, kind: ServiceKind) -> ServiceState | None:
    state = _reported(facts, kind)
    if state is None:
        return None
    older = {state.primary, state.secondary} & {OperationalStatus.DEGRADED, OperationalStatus.PROTOCOL_MISMATCH}
    return state if older else None


def _speaks_an_older_protocol_harmlessly(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _speaks_an_older_protocol(facts, kind)
    if state is None or (facts.inside is not None and facts.is_windows):
        return None
    return Seen((status_of(state),))


def _speaks_an_older_protocol_in_windows(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _speaks_an_older_protocol(facts, kind)
    if state is None or not facts.is_windows:
        return None
    return Seen((status_of(state), f"The guest is {facts.guest.caption or 'Windows'} {facts.guest.os_version or ''}."))


def _is_too_old(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _reported(facts, kind)
    if state is None or state.primary != OperationalStatus.NON_RECOVERABLE_ERROR:
        return None
    return Seen((status_of(state),))


def _fails(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _reported(facts, kind)
    if state is None or not {state.primary, state.secondary} & _FAILING or facts.serves(kind) is False:
        return None
    return Seen((status_of(state),))


def _is_critical(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = _reported(facts, kind)
    if state is None:
        return None
    critical = OperationalStatus.APPLICATION_CRITICAL in {state.primary, state.secondary}
    if not (critical or facts.vm.heartbeat == "OkApplicationsCritical"):
        return None
    return Seen((status_of(state), f"The heartbeat of the virtual machine is {facts.vm.heartbeat or 'not known'}."))


def _is_healthy_without_applications(facts: Facts, _kind: ServiceKind) -> Seen | None:
    if facts.vm.heartbeat != "OkApplicationsUnknown" or facts.guest.family is not GuestFamily.LINUX:
        return None
    return Seen(("The heartbeat of the virtual machine is OkApplicationsUnknown.", "The guest is Linux."))


# -- switched off ------------------------------------------------------------------------------------------------------


def _is_off(facts: Facts, kind: ServiceKind) -> Seen | None:
    state = facts.on_host(kind)
    if _is_enabled(state, kind):
        return None
    return Seen((status_of(state), *_runs_inside(facts, kind)), enable(kind))


def _data_exchange_is_off(facts: Facts, kind: ServiceKind) -> Seen | None:
    seen = _is_off(facts, kind)
    if seen is None:
        return None
    addresses = ", ".join(facts.vm.addresses or ()) or "none"
    return Seen((*seen.evidence, f"Addresses that the host knows: {addresses}."), seen.act)


_OLD_VERSIONS: Final = ("6.0", "6.1", "6.2")
"""Versions of Windows, from Vista to 8 and Windows Server 2012, that need Data Exchange for updates."""


def _no_updates_come(facts: Facts, kind: ServiceKind) -> Seen | None:
    if not facts.is_windows:
        return None
    version = known(facts.guest.os_version, "Which version of Windows the guest has: it gave no value.")
    if facts.host is not None and (facts.host.os_version or "10.").split(".")[0] != "10":
        return None  # Older hosts bring a disk with them.
    seen = _is_off(facts, kind) if ".".join(version.split(".")[:2]) in _OLD_VERSIONS else None
    if seen is None:
        return None
    return Seen((*seen.evidence, f"The version of Windows in the guest is {version}."), seen.act)


def _time_is_off(facts: Facts, kind: ServiceKind) -> Seen | None:
    if facts.inside is not None and facts.guest.domain_controller:
        return None
    return _is_off(facts, kind)


def _checkpoints(facts: Facts) -> str:
    return f"The kind of checkpoints of the virtual machine is {facts.vm.checkpoint_type or 'not known'}."


def _backup_is_off(facts: Facts, kind: ServiceKind) -> Seen | None:
    seen = _is_off(facts, kind)
    if seen is None or facts.vm.checkpoint_type == "ProductionOnly":
        return None
    return Seen((*seen.evidence, _checkpoints(facts)), seen.act)


def _checkpoints_fail(facts: Facts, kind: ServiceKind) -> Seen | None:
    seen = _is_off(facts, kind)
    if seen is None:
        return None
    checkpoints = known(facts.vm.checkpoint_type, "Which kind of checkpoints is set: the host gave no value.")
    return Seen((*seen.evidence, _checkpoints(facts)), seen.act) if checkpoints == "ProductionOnly" else None


# -- a switch that should be off ---------------------------------------------------------------------------------------


def _sets_the_time_of_a_domain_controller(facts: Facts, kind: ServiceKind) -> Seen | None:
    is_one = facts.is_windows and known(
        facts.guest.domain_controller, "Whether the guest is a domain controller: it gave no value."
    )
    if not is_one or not facts.is_enabled(kind):
        return None
    sources = known(facts.guest.time_sources, "What sets the clock of the guest: it gave no value.")
    if _OF_THE_HOST not in sources:
        return None
    return Seen(
        (
            f"{kind.label} is enabled on the host.",
            f"The guest is a domain controller, and what sets its clock is {', '.join(map(excerpt, sources))}.",
        ),
        disable(kind),
    )


_OF_THE_HOST: Final = "VMICTimeProvider"
"""What Windows Time calls the host's time."""

_PTP: Final = "(PTP hyperv)"
"""How a time source of Linux ends that takes the host's clock as its reference."""


def _two_set_the_time(facts: Facts, kind: ServiceKind) -> Seen | None:
    if not facts.is_linux:
        return None  # Windows Time picks one.
    sources = known(facts.guest.time_sources, "What sets the clock of the guest: it gave no value.")
    others = [excerpt(source) for source in sources if not source.endswith(_PTP)]
    if not others or not facts.is_enabled(kind):
        return None
    if not known(facts.in_guest(kind).running, f"Whether {kind.label} runs in the guest: it gave no value."):
        return None
    return Seen(
        (
            f"{kind.label} is enabled on the host and runs in the guest.",
            f"The clock of the guest is also set by {', '.join(others)}.",
        )
    )


# -- rights ------------------------------------------------------------------------------------------------------------


def _lacks_rights(facts: Facts, _: object) -> Seen | None:
    refused = [error for error in facts.host_errors if error.category == "PermissionDenied"]
    return Seen(tuple(f"The host refused: {excerpt(error.message)}" for error in refused)) if refused else None


HOST_RULES: Final = (
    Rule(
        id="machine-not-running",
        severity=Severity.NOTE,
        title="No status, because the virtual machine does not run",
        kinds=OF_THE_MACHINE,
        needs=_HOST,
        cause="Integration services report only while the virtual machine runs.",
        remedy="Start the virtual machine to learn how its services are.",
        source=sources.REPORTS,
        look=_is_not_running,
    ),
    Rule(
        id="rights-missing-on-host",
        severity=Severity.WARNING,
        title="The user who asks the host lacks rights",
        kinds=OF_THE_MACHINE,
        needs=_HOST,
        cause="Without the right to manage Hyper-V nothing is known of the host's end, and nothing can be switched.",
        remedy="Ask as a member of the group Hyper-V Administrators (S-1-5-32-578) of the host.",
        source=sources.RIGHTS,
        look=_lacks_rights,
    ),
    Rule(
        id="no-contact-yet",
        severity=Severity.NOTE,
        title="No contact soon after the start",
        kinds=OF_THE_MACHINE,
        needs=_HOST,
        cause=(
            "The virtual machine was started less than five minutes before. Until its guest has booted, its services"
            " have no contact."
        ),
        remedy="Look again in a few minutes.",
        source=sources.WMI,
        look=_is_starting,
    ),
    Rule(
        id="no-contact-after-a-change",
        severity=Severity.NOTE,
        title="No contact soon after it was switched",
        needs=f"{_HOST}, and what was changed",
        cause="{service} was switched on or started less than five minutes before, and host and guest still negotiate.",
        remedy="Look again in a few minutes, or wait with wait_until_ok().",
        source=sources.WMI,
        look=_was_changed,
    ),
    Rule(
        id="guest-does-not-answer",
        severity=Severity.ERROR,
        title="None of the services has contact",
        kinds=OF_THE_MACHINE,
        needs=_HOST,
        cause=(
            "All services that are enabled have no contact, so the cause is none of them: the guest hangs or has not"
            " booted, or its system has no integration services, or no driver for them."
        ),
        remedy=(
            "Look at the screen of the virtual machine. Where its system works, ask the guest too; where it hangs,"
            " restart it."
        ),
        source=sources.WMI,
        look=_does_not_answer,
    ),
    Rule(
        id="no-contact",
        severity=Severity.ERROR,
        title="Enabled, and the guest has never answered",
        kinds=_OTHERS_SILENT,
        needs=_HOST_OR_BOTH,
        cause="What serves {service} in the guest is not installed, does not run, or has not answered. {lost}",
        remedy=(
            "Look inside: the service {windows} of a Windows guest, or the driver and the daemon of a Linux guest, must"
            " run. Where it runs, restart it."
        ),
        source=sources.WMI,
        look=_has_no_contact,
    ),
    Rule(
        id="lost-communication",
        severity=Severity.ERROR,
        title="Enabled, and the guest does not answer any more",
        kinds=_OTHERS_SILENT,
        needs=_HOST_OR_BOTH,
        cause="What serves {service} in the guest answered before and no longer does: it was stopped, or hangs. {lost}",
        remedy="Start the service inside the guest; where it runs, restart it.",
        source=sources.WMI,
        look=_has_lost_contact,
    ),
    Rule(
        id="backup-silent",
        severity=Severity.WARNING,
        title="VSS has no contact, so checkpoints are not application-consistent",
        kinds=(ServiceKind.VSS,),
        needs=_HOST_OR_BOTH,
        cause=(
            "Without an answer of {service}, production checkpoints fall back to standard ones, or fail where only"
            " production checkpoints are allowed. {lost}"
        ),
        remedy="See to it that the service {windows} of a Windows guest, or the daemon of a Linux guest, runs.",
        source=sources.CHECKPOINTS,
        look=_backup_is_silent,
    ),
    Rule(
        id="disabled-yet-ok",
        severity=Severity.NOTE,
        title="Disabled, and shown as Ok",
        kinds=OF_THE_MACHINE,
        needs=_HOST,
        cause="Hyper-V shows Ok also for a service that is disabled and does not work.",
        remedy="Nothing, if it is meant to be disabled. Its switch counts, not its status.",
        source=sources.MANAGE,
        look=_are_off_yet_ok,
    ),
    Rule(
        id="older-protocol",
        severity=Severity.NOTE,
        title="Degraded, or another protocol version",
        needs=_HOST_OR_BOTH,
        cause="Host and guest speak different versions of the protocol of {service}; they agreed on one, and it works.",
        remedy="Nothing: it is expected with guests older than the host and with Linux, and can be ignored safely.",
        source=f"{sources.PROTOCOLS}; for Linux, reports of real hosts",
        look=_speaks_an_older_protocol_harmlessly,
    ),
    Rule(
        id="older-protocol-in-windows",
        severity=Severity.NOTE,
        title="Degraded, or another protocol version, in Windows",
        needs="both ends",
        cause=(
            "The components of {service} in the guest are older than those of the host. Microsoft says that this is"
            " expected of guests older than Windows 10 and Windows Server 2016, and can be ignored safely."
        ),
        remedy="Bring the integration services of the guest up to date; vm.update_advice() says how.",
        source=sources.PROTOCOLS,
        look=_speaks_an_older_protocol_in_windows,
    ),
    Rule(
        id="guest-too-old",
        severity=Severity.ERROR,
        title="No protocol version in common",
        needs=_HOST,
        cause="The guest does not support a version of the protocol of {service} that the host can use. {lost}",
        remedy="Bring the integration services of the guest up to date; vm.update_advice() says how.",
        source=sources.WMI,
        look=_is_too_old,
    ),
    Rule(
        id="service-fails",
        severity=Severity.ERROR,
        title="The host reports an error or failed communication",
        needs=_HOST,
        cause="Communication between the host and {service} of the guest failed. {lost}",
        remedy="Look inside the guest: the service {windows} of Windows, or the daemon of Linux, must run and answer.",
        source=sources.WMI,
        look=_fails,
    ),
    Rule(
        id="heartbeat-critical",
        severity=Severity.ERROR,
        title="An application in the guest is in a critical state",
        kinds=(ServiceKind.HEARTBEAT,),
        needs=_HOST,
        cause="The guest runs, and an application in it has reported a critical state over its heartbeat.",
        remedy="Look at the applications inside the guest; {service} itself works.",
        source=sources.WMI,
        look=_is_critical,
    ),
    Rule(
        id="linux-heartbeat-healthy",
        severity=Severity.NOTE,
        title="OkApplicationsUnknown of a Linux guest is healthy",
        kinds=(ServiceKind.HEARTBEAT,),
        needs="both ends",
        cause="Linux does not report on applications over its heartbeat: this is what a healthy guest shows.",
        remedy="Nothing.",
        source=sources.REPORTS,
        look=_is_healthy_without_applications,
    ),
    Rule(
        id="data-exchange-off",
        severity=Severity.WARNING,
        title="Data Exchange is off, so the host knows no addresses",
        kinds=(ServiceKind.KVP,),
        needs=_HOST,
        cause="{lost}",
        remedy="Enable {service} on the host.",
        source=sources.REFERENCE,
        look=_data_exchange_is_off,
    ),
    Rule(
        id="no-updates-without-data-exchange",
        severity=Severity.WARNING,
        title="Data Exchange is off, so an old guest gets no integration services",
        kinds=(ServiceKind.KVP,),
        needs="both ends",
        cause=(
            "Windows Update decides by what Data Exchange has told the guest of its host. Guests up to Windows 8 and"
            " Windows Server 2012 are offered no integration services without it, on hosts from Windows 10 and Windows"
            " Server 2016 on."
        ),
        remedy="Enable {service} on the host; where that cannot be, install the cab file of KB3071740.",
        source=sources.UPDATES,
        look=_no_updates_come,
    ),
    Rule(
        id="shutdown-off",
        severity=Severity.WARNING,
        title="Shutdown is off, so only a hard power-off is left",
        kinds=(ServiceKind.SHUTDOWN,),
        needs=_HOST,
        cause="{lost} Stop-VM asks whether to turn it off, and fails where nobody can answer.",
        remedy="Enable {service} on the host.",
        source=sources.REFERENCE,
        look=_is_off,
    ),
    Rule(
        id="time-sync-off",
        severity=Severity.WARNING,
        title="Time Synchronization is off",
        kinds=(ServiceKind.TIME_SYNC,),
        needs=_HOST_OR_BOTH,
        cause="{lost}",
        remedy="Enable {service} on the host, unless the guest is a domain controller or has another source of time.",
        source=sources.REFERENCE,
        look=_time_is_off,
    ),
    Rule(
        id="heartbeat-off",
        severity=Severity.WARNING,
        title="Heartbeat is off",
        kinds=(ServiceKind.HEARTBEAT,),
        needs=_HOST,
        cause="{lost}",
        remedy="Enable {service} on the host.",
        source=sources.REFERENCE,
        look=_is_off,
    ),
    Rule(
        id="file-copy-off",
        severity=Severity.NOTE,
        title="Guest Service Interface is off, so no files can be copied",
        kinds=(ServiceKind.GUEST_SERVICE_INTERFACE,),
        needs=_HOST,
        cause="{lost} It is disabled in new virtual machines.",
        remedy="Enable {service} on the host if files are to be copied.",
        source=sources.REFERENCE,
        look=_is_off,
    ),
    Rule(
        id="backup-off",
        severity=Severity.WARNING,
        title="VSS is off, so checkpoints are not application-consistent",
        kinds=(ServiceKind.VSS,),
        needs=_HOST,
        cause="{lost} Application-consistent checkpoints need it; in Linux they are consistent for file systems only.",
        remedy="Enable {service} on the host.",
        source=sources.CHECKPOINTS,
        look=_backup_is_off,
    ),
    Rule(
        id="checkpoints-fail",
        severity=Severity.ERROR,
        title="VSS is off, and only production checkpoints are allowed, so none is taken",
        kinds=(ServiceKind.VSS,),
        needs=_HOST,
        cause="A production checkpoint needs {service}; with ProductionOnly there is no standard one in its place.",
        remedy="Enable {service} on the host, or allow standard checkpoints with Set-VM -CheckpointType Production.",
        source=sources.CHECKPOINTS,
        look=_checkpoints_fail,
    ),
    Rule(
        id="time-sync-on-domain-controller",
        severity=Severity.WARNING,
        title="Time Synchronization on a domain controller",
        kinds=(ServiceKind.TIME_SYNC,),
        needs="both ends",
        cause="The host sets the clock of a machine from which its domain takes the time.",
        remedy=(
            "Disable {service} on the host; or leave it for restored states, and have Windows Time not use it: set"
            r" Enabled to 0 in HKLM\SYSTEM\CurrentControlSet\Services\W32Time\TimeProviders\VMICTimeProvider. The PDC"
            " emulator should use an external source."
        ),
        source=sources.DOMAIN_CONTROLLERS,
        look=_sets_the_time_of_a_domain_controller,
    ),
    Rule(
        id="two-time-sources",
        severity=Severity.WARNING,
        title="Two time sources fight over the clock of a Linux guest",
        kinds=(ServiceKind.TIME_SYNC,),
        needs="both ends",
        cause=(
            "The host sets the clock of the guest in steps, as after a restored state, and something else sets it, too:"
            " they can pull it to and fro."
        ),
        remedy=(
            "Keep one: let chrony take the host's PTP clock, /dev/ptp_hyperv, as its reference; or disable {service}"
            " on the host."
        ),
        source=sources.KERNEL,
        look=_two_set_the_time,
    ),
)
