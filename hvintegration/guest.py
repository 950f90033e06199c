"""A guest, as something that can be asked: what runs inside a virtual machine, or inside any machine like one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import attrs

from hvintegration.clock import Timeout
from hvintegration.credential import Credential
from hvintegration.diagnosis import diagnose, refuse_others
from hvintegration.errors import ConfigurationError, excerpt
from hvintegration.findings import Acceptance, Diagnosis, End, Fix
from hvintegration.guest_models import GuestChange, GuestFamily, GuestInfo, GuestInventory, GuestServiceState, Startup
from hvintegration.operations import guests, installing
from hvintegration.operations.guests import GuestAction, GuestTarget
from hvintegration.operations.vms import normal_guid
from hvintegration.processes import OfThisProcess
from hvintegration.service_kind import ServiceKind
from hvintegration.session import Session
from hvintegration.session_owner import SessionOwner
from hvintegration.transports.base import Transport
from hvintegration.values import Rows

__all__ = ["Guest", "GuestService", "GuestServices", "meant_for_another", "refuse_no_fix"]

INSTALL_TIMEOUT = 600.0


class Guest(SessionOwner):
    """A handle on a guest. ``vm.guest(...)`` and ``connect_guest(...)`` make one; so does this class, of a transport.

    Making one from a transport sends nothing; the first verb connects. It can be shared between threads: questions
    take turns. Used in a ``with`` statement it is closed at the end.

    Args:
        transport: The way into it, such as :class:`~hvintegration.WinRM`, :class:`~hvintegration.SSH`, or
            :class:`~hvintegration.Local` inside the guest itself; or a session over one.
        family: What kind of system it is: ``windows``, ``linux`` or ``freebsd``. If None it is asked: PowerShell first,
            and where that is not there, or has no integration services, a shell.
        vm_id: GUID of the virtual machine that it has to be, in any case, with or without braces; any if None.
        carrier: The service that the transport itself runs on, which is not stopped over it; none if None.
        sudo_password: What ``sudo`` asks for in a Linux guest before this user may start and stop services: the user's
            password, or that of root where ``targetpw`` or ``rootpw`` is set. It is tried once for each question; one
            that is refused is not tried again. None if it asks for none, or for root.

    Raises:
        ConfigurationError: There is no such family, the id is no GUID, or nobody could type that password.

    >>> import hvintegration as hv
    >>> world = hv.simulator.demo_world()
    >>> linux = world.machine("web").linux
    >>> linux.rights, linux.sudo_password = "sudo with a password", "correct horse"
    >>> guest = hv.Guest(hv.Simulator(world, guest="web"), sudo_password="correct horse")
    >>> guest.services["kvp"].stop().running
    False
    """

    __slots__ = ("_target",)

    def __init__(
        self,
        transport: Transport | Session,
        *,
        family: GuestFamily | str | None = None,
        vm_id: str | None = None,
        carrier: ServiceKind | None = None,
        sudo_password: str | None = None,
    ) -> None:
        self._target = GuestTarget(vm_id=_guid(vm_id), carrier=carrier, family=_family(family))
        self._target.sudo = _sudo(sudo_password, self._target.family)
        self._session = transport if isinstance(transport, Session) else Session(transport)

    @property
    def address(self) -> str:
        """Where it is; through a host, the host's address and the id of the virtual machine."""
        return self._session.address

    @property
    def session(self) -> Session:
        """What carries its questions; ``session.stats`` counts them."""
        return self._session

    @property
    def family(self) -> GuestFamily | None:
        """What kind of system it is; None as long as nobody has said so or asked. No round trip."""
        return self._target.family

    @property
    def services(self) -> GuestServices:
        """Its integration services."""
        return GuestServices(self._session, self._target)

    def info(self, *, timeout: Timeout = None) -> GuestInfo:
        """What the guest says of itself. One round trip.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            UnsupportedError: It is neither a Windows guest that PowerShell can ask nor a Linux guest.
            InvalidStateError: The virtual machine does not run, or another one answers at this address.
            RemoteError: The guest, or its host, refused otherwise.
            AuthenticationError: The guest does not take the credential.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(guests.read_guest_info(self._target), timeout)

    def inventory(self, *, timeout: Timeout = None) -> GuestInventory:
        """The guest with all its integration services, and what could not be read. One round trip.

        Raises as :meth:`info`.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.
        """
        return self._session.run(guests.read_guest_inventory(self._target), timeout)

    def set_services(
        self,
        changes: Mapping[Any, bool],
        *,
        dry_run: bool = False,
        confirm: bool = False,
        timeout: Timeout = None,
    ) -> Rows[GuestChange]:
        """Start and stop many services. What became of each, in order; one that fails does not stop the others.

        Only what differs is touched. One round trip; more only while a service is still starting or stopping, or where
        an answer gets lost, as with :meth:`GuestService.start`.

        Args:
            changes: By service (as ``guest.services[...]`` takes it) True to start or False to stop.
            dry_run: Say what would be done, and do nothing.
            confirm: Whether to stop also what a guest is severely limited without; see :meth:`GuestService.stop`.
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            ConfigurationError: A change has another shape, needs to be confirmed, or would cut the connection that it
                is made over. Nothing was sent.
            UnknownServiceError: No service is known by a given text. Nothing was sent.
            OutcomeUnknownError: An answer got lost and reading back could not settle what was made.
            InvalidStateError: The virtual machine does not run, or another one answers at this address.
            RemoteError: The guest, or its host, refused all of it otherwise.
            TransportError: There is no usable answer, and nothing was changed.
            DecodeError: The answer has an unknown shape, and nothing was changed.
        """
        wanted = _wanted(changes)
        operation = guests.set_guest_services(self._target, wanted, dry_run=dry_run, confirm=confirm)
        return Rows(GuestChange, self._session.run(operation, timeout))

    def install(
        self, service: str | ServiceKind, *, dry_run: bool = False, timeout: Timeout = INSTALL_TIMEOUT
    ) -> GuestChange:
        """Install the daemon of a service in a Linux guest, and see that it runs.

        The package manager of its distribution does that; nothing happens if the daemon is there. It asks nothing, runs
        without the connection, and is never ended: not by a time-out, not by Ctrl-C. While it runs, asking again waits
        for it and begins no second one. A daemon that is installed and does not run is started once. Two round trips
        at least, and one per look, half a second to five seconds apart.

        Args:
            service: As ``guest.services[...]`` takes it.
            dry_run: Say what would be run, as ``command`` of the result, and run nothing.
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`.

        Raises:
            UnknownServiceError: No service is known by that text. Nothing was sent.
            UnsupportedError: It is no Linux guest; no daemon serves it; or its distribution has no package of it, or is
                not known. Nothing was run.
            PermissionDeniedError: This user may not; the hint is the command for one who may.
            WaitTimeoutError: It goes on; the hint names its log. Ask again to wait for its end.
            CommandFailedError: The package manager failed, or the daemon is not there after it; with its last words.
            InvalidStateError: It was installed and could not be started; another change is being made there; the
                virtual machine does not run; or another one answers at this address.
            OutcomeUnknownError: An answer got lost and looking could not settle whether it was begun.
            AuthenticationError: The guest does not take the credential, or its ``sudo`` the password.
            RemoteError: The guest refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.

        >>> import hvintegration as hv
        >>> world = hv.simulator.demo_world()
        >>> world.machine("web").linux.programs, world.machine("web").daemons = [], []
        >>> guest = hv.Guest(hv.Simulator(world, guest="web", clock=hv.VirtualClock()))
        >>> guest.install("kvp").state.running
        True
        """
        operation = installing.install_guest_service(self._target, ServiceKind.find(service), dry_run=dry_run)
        return self._session.run(operation, timeout)

    def diagnose(
        self,
        *,
        changes: Iterable[GuestChange] = (),
        accepted: Iterable[Acceptance] = (),
        timeout: Timeout = None,
    ) -> Diagnosis:
        """What is wrong with its integration services, as far as the guest alone can tell. One round trip.

        ``vm.diagnose(guest=...)`` judges both ends.

        Raises as :meth:`info`; a change or an acceptance that is none is a ConfigurationError, and nothing was sent.

        Args:
            changes: What was changed before, as :meth:`apply` and :meth:`set_services` answer it.
            accepted: Findings that somebody lives with.
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.
        """
        changes, accepted = tuple(changes), tuple(accepted)
        refuse_others(changes, accepted)
        inside = self.inventory(timeout=timeout)
        return diagnose(None, inside, changes=changes, accepted=accepted, at=self._session.now())

    def apply(self, fix: Fix, *, confirm: bool = False, timeout: Timeout = None) -> GuestChange:
        """Do what a finding offers, in this guest. What became of it, with the state after.

        Costs, and raises, as the verb does that the fix names: :meth:`GuestService.start`, :meth:`GuestService.stop`,
        :meth:`GuestService.restart`, :meth:`GuestService.set_startup` or :meth:`install`.

        Args:
            fix: The ``fix`` of a finding.
            confirm: Whether to stop or disable also what a guest is severely limited without.
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; if None 60, and 600 to install.

        Raises:
            ConfigurationError: It is done on the host; it is for another virtual machine; or it needs to be confirmed,
                or would cut the connection that it is made over. Nothing was sent.
        """
        refuse_no_fix(fix)
        if fix.end is not End.GUEST:
            raise ConfigurationError(
                "This is done on the host, not in the guest. Nothing was changed.", hint="vm.apply(fix) does it."
            )
        target = self._target
        if fix.vm_id is not None and target.vm_id not in {None, fix.vm_id}:
            raise meant_for_another(fix, str(target.vm_id))
        # The guest itself refuses where it takes itself for another one.
        checked = attrs.evolve(target, vm_id=target.vm_id or fix.vm_id)
        try:
            if fix.action == "install":
                given = INSTALL_TIMEOUT if timeout is None else timeout
                return self._session.run(installing.install_guest_service(checked, fix.kind, dry_run=False), given)
            operation = guests.apply_action(checked, fix.kind, fix.action, confirm=confirm)
            return self._session.run(operation, timeout)
        finally:
            _learn(target, checked)

    def close(self) -> None:
        """Let go of the connection. Later verbs raise ConfigurationError; closing twice is no error.

        The connection of a host that it is reached through stays open: it is the host's.
        """
        self._session.close()


def _learn(target: GuestTarget, checked: GuestTarget) -> None:
    """Note for *target* what was learned of the guest meanwhile, such as its family."""
    for field in attrs.fields(GuestTarget):
        if field.name != "vm_id":
            setattr(target, field.name, getattr(checked, field.name))


def refuse_no_fix(fix: object) -> None:
    """Raise ConfigurationError where a finding offers nothing to be done."""
    if not isinstance(fix, Fix):
        raise ConfigurationError(
            f"Invalid fix {excerpt(repr(fix))}. Nothing was changed.",
            hint="It is the fix of a finding; where that is None, its remedy says what to do by hand.",
        )


def meant_for_another(fix: Fix, vm_id: str) -> ConfigurationError:
    """The refusal of what another virtual machine needs."""
    return ConfigurationError(f"This is for the virtual machine {fix.vm_id}, not for {vm_id}. Nothing was changed.")


def _family(family: GuestFamily | str | None) -> GuestFamily | None:
    if family is None:
        return None
    try:
        return GuestFamily(family)
    except ValueError:
        *others, last = GuestFamily
        known = f"It is {', '.join(others)} or {last}."
        raise ConfigurationError(f"Invalid family {excerpt(repr(family))}.", hint=known) from None


def _sudo(password: object, family: GuestFamily | None) -> Credential | None:
    if password is None:
        return None
    if family is GuestFamily.WINDOWS:
        raise ConfigurationError("Windows has no sudo that asks for a password: sudo_password is for Linux guests.")
    if not isinstance(password, str):
        raise ConfigurationError(f"Invalid sudo_password: it is no text, but of the type {type(password).__name__}.")
    if not password or "\n" in password:
        why = "it has a line break, which ends it" if password else "it is empty"
        raise ConfigurationError(f"Invalid sudo_password: {why}.")
    return Credential("", password)


def _guid(vm_id: str | None) -> str | None:
    if vm_id is None:
        return None
    guid = normal_guid(str(vm_id))
    if guid is None:
        raise ConfigurationError(f"Invalid vm_id {excerpt(repr(vm_id))}: it is no GUID.")
    return guid


def _wanted(changes: object) -> tuple[tuple[ServiceKind, bool], ...]:
    """What callers want, by service.

    Raises:
        ConfigurationError: It has another shape; the message says where.
        UnknownServiceError: No service is known by a given text.
    """
    if not isinstance(changes, Mapping):
        raise ConfigurationError(
            f"Invalid changes: {excerpt(repr(changes))} is no mapping of services to True or False."
            " Nothing was changed."
        )
    wanted: list[tuple[ServiceKind, bool]] = []
    for service, run in cast("Mapping[object, object]", changes).items():
        if not isinstance(service, str | ServiceKind):
            why = f"{excerpt(repr(service))} is neither a ServiceKind nor the name of a service"
            raise ConfigurationError(f"Invalid changes: {why}. Nothing was changed.")
        if type(run) is not bool:
            why = f"{excerpt(repr(run))} is neither True nor False"
            raise ConfigurationError(f"Invalid changes[{excerpt(repr(service))}]: {why}. Nothing was changed.")
        wanted.append((ServiceKind.find(service), run))
    return tuple(wanted)


class GuestServices(OfThisProcess):
    """The integration services of a guest."""

    __slots__ = ("_session", "_target")

    __iter__ = None
    __contains__ = None

    def __init__(self, session: Session, target: GuestTarget) -> None:
        self._session = session
        self._target = target

    def __getitem__(self, service: str | ServiceKind) -> GuestService:
        """A handle on one of them. No round trip.

        Args:
            service: A :class:`ServiceKind`, or whatever :meth:`ServiceKind.find` takes: a key, a component GUID, an
                English or known local name, the name of a Windows service or of a Linux daemon.

        Raises:
            UnknownServiceError: No service is known by that text.
        """
        return GuestService(self._session, self._target, ServiceKind.find(service))

    def list(self, *, timeout: Timeout = None) -> Rows[GuestServiceState]:
        """The state of each, those that are not installed among them. One round trip.

        ``errors`` of the rows has what could not be read.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            UnsupportedError: It is neither a Windows guest that PowerShell can ask nor a Linux guest.
            InvalidStateError: The virtual machine does not run, or another one answers at this address.
            RemoteError: The guest, or its host, refused otherwise.
            AuthenticationError: The guest does not take the credential.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(guests.list_guest_services(self._target), timeout)

    def _ipython_key_completions_(self) -> tuple[str, ...]:
        return tuple(kind.label for kind in ServiceKind)

    def __repr__(self) -> str:
        return f"<integration services of the guest {self._session.address}; .list() reads them>"


class GuestService(OfThisProcess):
    """A handle on an integration service inside a guest; ``guest.services[...]`` makes one, without a round trip.

    Two are equal when they mean the same service through the same session.
    """

    __slots__ = ("_kind", "_session", "_target")

    def __init__(self, session: Session, target: GuestTarget, kind: ServiceKind) -> None:
        self._session = session
        self._target = target
        self._kind = kind

    @property
    def kind(self) -> ServiceKind:
        """Which service."""
        return self._kind

    @property
    def session(self) -> Session:
        """The session that it is asked through."""
        return self._session

    def state(self, *, timeout: Timeout = None) -> GuestServiceState:
        """What the guest says of it now, also if it is not installed. One round trip.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            UnsupportedError: It is no guest of Hyper-V with Windows or Linux; or Linux has no such service.
            InvalidStateError: The virtual machine does not run, or another one answers at this address.
            RemoteError: The guest, or its host, refused otherwise.
            AuthenticationError: The guest does not take the credential.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(guests.read_guest_service(self._target, self._kind), timeout)

    def start(self, *, timeout: Timeout = None) -> GuestServiceState:
        """Start it; nothing happens if it runs. The state after, once it is settled. One round trip.

        More only while it is still starting, or where the answer got lost: then the state is read back, and it is asked
        for again only if it is certain not to have been done. A service that is disabled on the host starts and stops
        again by itself (Microsoft, "Manage Hyper-V Integration Services"): that is an error that says so.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            InvalidStateError: It is disabled in the guest, or not enabled on the host; the virtual machine does not
                run; or another one answers at this address.
            ServiceNotFoundError: It is not installed.
            UnsupportedError: In a Linux guest it is part of the kernel's driver, or there is no such service.
            PermissionDeniedError: This user may not; in a Linux guest, the hint is the command for one who may.
            WaitTimeoutError: It was still starting when the time was up; ``last`` is the state then.
            OutcomeUnknownError: The answer got lost and reading back could not settle whether it was started.
            RemoteError: The guest, or its host, refused otherwise.
            TransportError: There is no usable answer, and it was not started.
            DecodeError: The answer has an unknown shape, and it was not started.
        """
        return self._change(GuestAction.START, confirm=True, timeout=timeout)

    def stop(self, *, confirm: bool = False, timeout: Timeout = None) -> GuestServiceState:
        """Stop it; nothing happens if it does not run. Otherwise as :meth:`start`.

        In a Windows guest Hyper-V starts it again while it is enabled on the host; a Linux guest starts it again when
        it boots. ``vm.services[...].disable()`` switches it off for good, and is the better way.

        Args:
            confirm: Needed for what a virtual machine is severely limited without, which is Shutdown and Time
                Synchronization (``kind.impact``, from Microsoft's reference); accepted for all.
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            ConfigurationError: It needs to be confirmed, or the connection with this guest runs on it. Nothing was
                sent.
        """
        return self._change(GuestAction.STOP, confirm=confirm, timeout=timeout)

    def restart(self, *, timeout: Timeout = None) -> GuestServiceState:
        """Stop it, and start it once it has stopped. The state after. Two round trips; otherwise as :meth:`start`.

        One that is disabled in the guest goes on running: it could be stopped, but not started.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            ConfigurationError: The connection with this guest runs on it. Nothing was sent.
        """
        return self._session.run(guests.restart_guest_service(self._target, self._kind), timeout)

    def set_startup(
        self, startup: str | Startup, *, confirm: bool = False, timeout: Timeout = None
    ) -> GuestServiceState:
        """Set how it comes to run. The state after. One round trip; where the answer gets lost, as :meth:`start`.

        What is started when the host offers it (``triggered``) is ``manual``, and stays triggered.

        Args:
            startup: ``automatic``, ``manual`` or ``disabled``. Nobody can start a disabled one; in Linux its unit is
                masked.
            confirm: Needed to disable what a virtual machine is severely limited without; see :meth:`stop`.
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            ConfigurationError: There is no such startup, or it needs to be confirmed. Nothing was sent.
        """
        try:
            action = GuestAction(str(startup))
        except ValueError:
            action = None
        if action is None or not action.is_startup:
            raise ConfigurationError(
                f"Invalid startup {excerpt(repr(startup))}.", hint="It is automatic, manual or disabled."
            ) from None
        return self._change(action, confirm=confirm, timeout=timeout)

    def wait_until_running(self, *, timeout: Timeout = None) -> GuestServiceState:
        """Wait until it runs. The state then. One round trip per look, half a second to five seconds apart.

        Args:
            timeout: Seconds for all of it, or a :class:`~hvintegration.Deadline`; 60 if None.

        Raises:
            WaitTimeoutError: It did not run in time; ``last`` is the state that was read last.
            InvalidStateError: It cannot run: it is disabled in the guest.
            ServiceNotFoundError: It is not installed.
            RemoteError: The guest, or its host, refused otherwise.
            TransportError: There is no usable answer.
            DecodeError: The answer has an unknown shape.
        """
        return self._session.run(guests.wait_until_running(self._target, self._kind), timeout)

    def _change(self, action: GuestAction, *, confirm: bool, timeout: Timeout) -> GuestServiceState:
        operation = guests.change_guest_service(self._target, self._kind, action, confirm=confirm)
        return self._session.run(operation, timeout)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GuestService):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"<GuestService {self._kind.key} of {self._session.address}>"

    def _identity(self) -> tuple[Session, ServiceKind]:
        return self._session, self._kind
