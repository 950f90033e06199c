"""How the integration services of a guest are kept current: the published tables, asked about one host and one guest.

Pure: no machine is asked. Systems can be given by people or come from guests; what is not understood is said to be so.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, TypeVar

import attrs

from hvintegration.display import Cell, Table
from hvintegration.errors import ConfigurationError, Hint, excerpt
from hvintegration.guest_models import GuestFamily, GuestInfo, GuestServiceState
from hvintegration.linux_distributions import DAEMON_KINDS, KERNEL, Distribution, distribution_of
from hvintegration.models import HostInfo
from hvintegration.operations.data_exchange import ToldSystem
from hvintegration.service_kind import ServiceKind
from hvintegration.system_names import FREEBSD, LINUX, System, systems_of
from hvintegration.update_tables import (
    AFTER_SETUP,
    BUILT_IN,
    CABINET_SOURCE,
    CABINETS,
    HOSTS,
    OFFLINE,
    TABLE_SOURCES,
    Entry,
    Hosts,
    UpdateGeneration,
    UpdateMechanism,
)
from hvintegration.values import NOT_KNOWN, Rows, Value

__all__ = ["GuestPackage", "UpdateAdvice", "advice_from_facts", "generation_of", "update_advice"]

_T = TypeVar("_T")


@attrs.frozen(kw_only=True)
class GuestPackage(Value):
    """A package with daemons of the integration services, in a Linux guest.

    Attributes:
        name: Its name; ``{kernel}`` in it stands for the release of the kernel, where that is not known.
        installed: The version that is installed; None if that is not known.
        available: The version that could be installed, as far as the guest's package manager knows without asking the
            net; None likewise.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Package", "Installed", "Available")

    name: str
    installed: str | None = None
    available: str | None = None

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (self.name, self.installed, self.available)


@attrs.frozen(kw_only=True)
class UpdateAdvice(Value):
    """How the integration services of a guest are kept current.

    Attributes:
        host_os: The host's system, as a product name; several where what was given means several; none if it was not
            understood.
        guest_os: The guest's system, likewise.
        mechanism: How they are kept current.
        needs_data_exchange: Whether that needs the service Data Exchange (Key-Value Pair Exchange); None if no source
            says so, or if it depends on which of several systems it is.
        fallback: What to do where Data Exchange cannot be enabled, and where that is documented; None if there is
            nothing.
        steps: What to do, in sentences.
        packages: The packages of a Linux guest, as far as they are known.
        notes: What else the sources say, and what is not known.
        differs: What the other generation says, if it says something else; else None.
        source: Where it is documented.
        generation: Which of the two published tables was asked: ``current`` or ``2015``.
    """

    table_columns: ClassVar[tuple[str, ...]] = ("Host", "Guest", "Mechanism", "Needs Data Exchange")

    host_os: tuple[str, ...]
    guest_os: tuple[str, ...]
    mechanism: UpdateMechanism
    needs_data_exchange: bool | None
    fallback: str | None
    steps: tuple[str, ...]
    packages: Rows[GuestPackage]
    notes: tuple[str, ...]
    differs: str | None
    source: str
    generation: UpdateGeneration

    def table_row(self) -> tuple[Cell, ...]:
        """Cells for a table."""
        return (_either(self.host_os), _either(self.guest_os), self.mechanism.value, self.needs_data_exchange)

    def table(self) -> Table:
        """Attribute and value; a row of its own for each step, package and note."""
        rows: list[tuple[Cell, Cell]] = [
            ("host_os", _either(self.host_os)),
            ("guest_os", _either(self.guest_os)),
            ("mechanism", self.mechanism.value),
            ("needs_data_exchange", self.needs_data_exchange),
            ("fallback", self.fallback),
            *_lines("steps", self.steps),
            *_lines("packages", tuple(map(_said_of, self.packages))),
            *_lines("notes", self.notes),
            ("differs", self.differs),
            ("source", self.source),
            ("generation", self.generation.value),
        ]
        return Table(("Attribute", "Value"), tuple(rows))


def _lines(name: str, values: Sequence[str]) -> Iterable[tuple[Cell, Cell]]:
    yield from ((name if index == 0 else "", value) for index, value in enumerate(values))


def _either(names: Sequence[str]) -> str:
    if not names:
        return NOT_KNOWN
    return " or ".join(filter(None, ("; ".join(names[:-1]), names[-1])))


def _said_of(package: GuestPackage) -> str:
    installed = "" if package.installed is None else f", installed: {package.installed}"
    available = "" if package.available is None else f", available: {package.available}"
    return f"{package.name}{installed}{available}"


def update_advice(
    *, host_os: str, guest_os: str, generation: UpdateGeneration | str = UpdateGeneration.CURRENT
) -> UpdateAdvice:
    """How the integration services of a guest are kept current. No machine is asked.

    What is not understood, and a pair of which no source says anything, has the mechanism ``unknown``.

    Args:
        host_os: The host's system: a product name (``Windows Server 2012 R2``), what a system calls itself
            (``Microsoft Windows Server 2022 Datacenter``), a version (``10.0.20348``, ``6.3``) or a build (``17763``).
        guest_os: The guest's system, likewise, or that of a Linux distribution (``Ubuntu 22.04.4 LTS``).
        generation: Which of the two published tables is asked, ``current`` or ``2015``.

    Raises:
        ConfigurationError: A system is no text, or empty, or there is no such generation.
    """
    for name, text in (("host_os", host_os), ("guest_os", guest_os)):
        require_name(name, text)
    return _advice(
        _Asked(host_os, systems_of(host_os)), _Asked(guest_os, systems_of(guest_os)), generation_of(generation)
    )


def require_name(name: str, text: object) -> None:
    """Refuse what a caller gave as a system, if it is no text or empty.

    Raises:
        ConfigurationError: It is.
    """
    if not isinstance(text, str) or not text.strip():
        raise ConfigurationError(
            f"{name} is no name of a system: {excerpt(repr(text))}.",
            hint="Give a product name such as 'Windows Server 2022', or a version such as '10.0.20348'.",
        )


def generation_of(generation: UpdateGeneration | str) -> UpdateGeneration:
    """The generation that a caller means.

    Raises:
        ConfigurationError: There is no such.
    """
    try:
        return UpdateGeneration(generation)
    except ValueError:
        known = " and ".join(repr(str(each)) for each in UpdateGeneration)
        raise ConfigurationError(
            f"There are no update tables of the generation {excerpt(repr(generation))}.", hint=f"There are {known}."
        ) from None


def advice_from_facts(
    host: HostInfo,
    guest: GuestInfo | ToldSystem | str | None,
    services: Iterable[GuestServiceState] = (),
    generation: UpdateGeneration = UpdateGeneration.CURRENT,
) -> UpdateAdvice:
    """The same from what a host and a guest said. No machine is asked, and no text of theirs is an error.

    Args:
        host: The host.
        guest: The guest; what it has told its host; a name of its system; None if nothing is known of it.
        services: Its integration services, for the packages of a Linux guest.
        generation: Which of the two published tables is asked.
    """
    on_host = _Asked(host.os_caption or host.os_version, _both(host.os_caption, host.os_version))
    if isinstance(guest, ToldSystem):
        return _advice(on_host, _told(guest), generation)
    if not isinstance(guest, GuestInfo):
        return _advice(on_host, _Asked(guest, systems_of(guest or "")), generation)
    if guest.family is GuestFamily.WINDOWS:
        inside = _Asked(guest.caption or guest.os_version, _both(guest.caption, guest.os_version))
        return _advice(on_host, inside, generation)
    name = FREEBSD if guest.family is GuestFamily.FREEBSD else LINUX
    found = next((system for system in systems_of(guest.caption or "") if system.name == name), System(name))
    found = attrs.evolve(found, version=guest.os_version or found.version)
    said = tuple(services)
    missing = _missing(said) if said else None
    inside = _Asked(guest.caption, (found,), kernel=guest.os_build, packages=_reported(said), missing=missing)
    return _advice(on_host, inside, generation)


def _told(guest: ToldSystem) -> _Asked:
    """What a guest has told its host. Versions of other systems than Windows are those of their kernels."""
    named = systems_of(guest.name or "")
    if named and named[0].name in {LINUX, FREEBSD}:
        return _Asked(guest.name, (attrs.evolve(named[0], version=guest.major),), kernel=guest.build)
    of_windows = guest.name is None or "windows" in guest.name[:_LONGEST_NAME].casefold()
    return _Asked(guest.name or guest.version, _both(guest.name, guest.version if of_windows else None))


_LONGEST_NAME: Final = 512


def _both(caption: str | None, version: str | None) -> tuple[System, ...]:
    """The systems that a caption and a version mean together."""
    named, numbered = systems_of(caption or ""), systems_of(version or "")
    agreed = tuple(system for system in numbered if system.name in {each.name for each in named})
    return agreed or named or numbered


def _reported(services: Iterable[GuestServiceState]) -> tuple[GuestPackage, ...]:
    """The packages that a guest said its daemons are from, each once."""
    found: dict[str, GuestPackage] = {}
    for state in services:
        if state.package is not None:
            found.setdefault(
                state.package,
                GuestPackage(name=state.package, installed=state.version, available=state.available_version),
            )
    return tuple(found.values())


def _missing(services: Iterable[GuestServiceState]) -> tuple[ServiceKind, ...]:
    """The services whose daemons a guest said not to have, one for each package that would bring them."""
    states = {state.kind: state for state in services if state.installed is False and state.packaged is not False}
    found: dict[str, ServiceKind] = {}
    for kind in DAEMON_KINDS:
        package = states[kind].package if kind in states else None
        if package is not None:
            found.setdefault(package, kind)
    return tuple(found.values())


# -- what the tables say ---------------------------------------------------------------------------------------------


@attrs.frozen
class _Asked:
    """A system that was asked about.

    Attributes:
        text: What was given or reported; None if nothing was.
        systems: What it can mean.
        kernel: Release of the kernel of a Linux guest; None if it is not known.
        packages: What such a guest said of its packages.
        missing: The services whose daemons it said not to have, one for each package; None if it was not asked.
    """

    text: str | None
    systems: tuple[System, ...]
    kernel: str | None = None
    packages: tuple[GuestPackage, ...] = ()
    missing: tuple[ServiceKind, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return _once(system.name for system in self.systems)


@attrs.frozen(kw_only=True)
class _Verdict:
    """What one generation says of one host and one guest, or in common of several."""

    entry: Entry
    source: str
    remarks: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """It in words."""
        needing = {True: ", which needs Data Exchange", False: "", None: ""}[self.entry.needs_data_exchange]
        note = f' ("{self.entry.note}")' if self.entry.note else ""
        return f"{_IN_WORDS[self.entry.mechanism]}{needing}{note}"


_IN_WORDS: Final = {
    UpdateMechanism.WINDOWS_UPDATE: "Windows Update",
    UpdateMechanism.INTEGRATION_SERVICES_DISK: "the setup disk of the integration services",
    UpdateMechanism.PACKAGE_MANAGER: "the package manager",
    UpdateMechanism.BUILT_IN: "built in",
    UpdateMechanism.UNKNOWN: "nothing",
}
_NOTHING_SAID: Final = Entry(UpdateMechanism.UNKNOWN, needs_data_exchange=None)


def _verdict(host: str, guest: System, generation: UpdateGeneration) -> _Verdict:
    """What that generation says of one host and one guest."""
    source = TABLE_SOURCES[generation]
    hosts = next((each for each in HOSTS if host in each.names), None)
    if hosts is None:
        return _Verdict(entry=_NOTHING_SAID, source=source, remarks=(f"No table has {host} as a host.",))
    row = hosts.row(guest.name)
    if row is None:
        return _built_in(host, guest, generation, hosts)
    pack = _service_packs(row.service_packs)
    if row.service_packs and guest.service_pack is not None and guest.service_pack not in row.service_packs:
        has = f"Service Pack {guest.service_pack}" if guest.service_pack else "no service pack"
        remark = f"The table has {guest.name} with {pack} only; this one has {has}."
        return _Verdict(entry=_NOTHING_SAID, source=source, remarks=(remark,))
    remarks: list[str] = []
    if row.service_packs and guest.service_pack is None:
        remarks.append(f"The table means {guest.name} with {pack}.")
    if hosts is HOSTS[0] and generation is UpdateGeneration.CURRENT and guest.name in AFTER_SETUP:
        remarks.append(f"Of {guest.name} the page on supported guests says: {AFTER_SETUP[guest.name]}.")
    return _Verdict(entry=row.entry(generation), source=source, remarks=tuple(remarks))


def _built_in(host: str, guest: System, generation: UpdateGeneration, hosts: Hosts) -> _Verdict:
    """What is said of a guest that the table of its host does not have."""
    missing = f"The table of the hosts {hosts.title} does not have {guest.name}."
    found = next((each for each in BUILT_IN if each.guest == guest.name), None)
    if found is None or generation is not UpdateGeneration.CURRENT:
        return _Verdict(entry=_NOTHING_SAID, source=TABLE_SOURCES[generation], remarks=(missing,))
    remarks = (missing, *(() if found.note is None else (found.note,)))
    if hosts is not HOSTS[0]:
        return _Verdict(entry=_NOTHING_SAID, source=TABLE_SOURCES[generation], remarks=remarks)
    if host in found.unsupported:
        remarks = (*remarks, f"{guest.name} is not supported on {host}.")
    elif found.unsupported and "Server" not in host:
        remarks = (*remarks, f"Of {host} as its host the page on supported guests says nothing.")
    return _Verdict(
        entry=Entry(UpdateMechanism.BUILT_IN, needs_data_exchange=False), source=found.source, remarks=remarks
    )


def _service_packs(numbers: tuple[int, ...]) -> str:
    return " or ".join(f"Service Pack {number}" for number in numbers)


def _in_common(host: _Asked, guest: _Asked, generation: UpdateGeneration) -> _Verdict:
    """What that generation says of all that host and guest can be."""
    found = [(on, inside, _verdict(on, inside, generation)) for on in host.names for inside in guest.systems]
    if not found:
        return _Verdict(entry=_NOTHING_SAID, source=TABLE_SOURCES[generation])
    verdicts = [verdict for _, _, verdict in found]
    source = "; ".join(_once(verdict.source for verdict in verdicts))
    remarks = _once(remark for verdict in verdicts for remark in verdict.remarks)
    if len({verdict.entry.mechanism for verdict in verdicts}) > 1:
        each = _once(f"For {inside.name} on {on}: {verdict.said}." for on, inside, verdict in found)
        return _Verdict(entry=_NOTHING_SAID, source=source, remarks=(*each, *remarks))
    notes = _once(verdict.entry.note for verdict in verdicts if verdict.entry.note is not None)
    entry = Entry(
        verdicts[0].entry.mechanism,
        needs_data_exchange=_same([verdict.entry.needs_data_exchange for verdict in verdicts]),
        note=" ".join(notes) or None,
    )
    return _Verdict(entry=entry, source=source, remarks=remarks)


def _advice(host: _Asked, guest: _Asked, generation: UpdateGeneration) -> UpdateAdvice:
    verdict = _in_common(host, guest, generation)
    entry = verdict.entry
    other = next(each for each in UpdateGeneration if each is not generation)
    differing = _in_common(host, guest, other)
    fallback = _fallback(guest) if entry.needs_data_exchange else None
    packages = _packages(guest) if entry.mechanism is UpdateMechanism.PACKAGE_MANAGER else ()
    return UpdateAdvice(
        host_os=host.names,
        guest_os=guest.names,
        mechanism=entry.mechanism,
        needs_data_exchange=entry.needs_data_exchange,
        fallback=fallback,
        steps=_steps(host, guest, verdict, packages),
        packages=Rows(GuestPackage, packages),
        notes=(*_not_understood(host, guest), *(() if entry.note is None else (entry.note,)), *verdict.remarks),
        differs=None if differing.entry == entry else f"{_GENERATIONS[other]} {differing.said}.",
        source=verdict.source,
        generation=generation,
    )


_GENERATIONS: Final = {
    UpdateGeneration.CURRENT: "The documentation now says:",
    UpdateGeneration.OF_2015: "The documentation of 2015 said:",
}


def _not_understood(host: _Asked, guest: _Asked) -> Iterable[str]:
    for name, asked in (("host", host), ("guest", guest)):
        if not asked.systems:
            if asked.text is None:
                yield f"The system of the {name} is not known."
            else:
                yield f"The system of the {name} is none that the tables are about: {excerpt(repr(asked.text))}."


def _fallback(guest: _Asked) -> str:
    files = _once(f"{CABINETS[name]}-x64.cab (-x86.cab)" for name in guest.names if name in CABINETS)
    return (
        f"The cabinet file of KB3071740 (https://support.microsoft.com/kb/3071740), {' or '.join(files)}; "
        f"how to apply it: {CABINET_SOURCE}"
    )


# -- what to do ------------------------------------------------------------------------------------------------------

_OFFLINE_SCRIPT: Final = Hint("hv.offline_update_script()", "hvintegration advise --offline-script")


def _steps(host: _Asked, guest: _Asked, verdict: _Verdict, packages: tuple[GuestPackage, ...]) -> tuple[str, ...]:
    match verdict.entry.mechanism:
        case UpdateMechanism.WINDOWS_UPDATE:
            return tuple(_by_windows_update(verdict.entry.needs_data_exchange))
        case UpdateMechanism.INTEGRATION_SERVICES_DISK:
            return tuple(_by_disk(guest))
        case UpdateMechanism.PACKAGE_MANAGER:
            return tuple(_by_package_manager(guest, packages))
        case UpdateMechanism.BUILT_IN:
            return ("Keep the guest's system up to date; its integration services are part of it.",)
        case UpdateMechanism.UNKNOWN:
            return tuple(_to_be_named(host, guest))


def _by_windows_update(needs_data_exchange: bool | None) -> Iterable[str]:  # noqa: FBT001 - what the tables say
    yield "Let Windows Update in the guest install important updates."
    if needs_data_exchange is not False:
        yield (
            "Keep Key-Value Pair Exchange (Data Exchange) enabled on the host and running in the guest: from it "
            "Windows Update learns which host this is, and without it offers nothing."
        )
    if needs_data_exchange:
        yield "Where it cannot be enabled, apply the cabinet file that the fallback names."


def _by_disk(guest: _Asked) -> Iterable[str]:
    yield (
        "Open the virtual machine in VMConnect, choose Action > Insert Integration Services Setup Disk, and run the "
        "setup in the guest. While the virtual machine runs this cannot be automated."
    )
    if OFFLINE.intersection(guest.names):
        yield Hint.of(
            "Or turn it off and add the cabinet file to its disk on the host: {} is a script for that, with what to "
            "heed.",
            _OFFLINE_SCRIPT,
        )


def _by_package_manager(guest: _Asked, packages: tuple[GuestPackage, ...]) -> Iterable[str]:
    yield "Update the kernel with the package manager of the distribution: the drivers come with it."
    distribution = _distribution(guest)
    if not packages:
        yield "Update the packages that have the daemons of the integration services, too."
        if distribution is not None and distribution.advice is not None:
            yield distribution.advice
        return
    yield f"The daemons are in {_listed([package.name for package in packages])}: install or update them, too."
    names = _package_names(distribution, guest.kernel)
    if any(KERNEL in name for name in names):
        yield f"In these names, {KERNEL} stands for what uname -r says in the guest."
    elif distribution is not None and distribution.manager is not None:
        command = distribution.manager.install_command(names)
        if command is not None and names:
            yield f"In the guest, as root: {shlex.join(command)}"
            yield from _by_us(guest.missing)


def _by_us(missing: tuple[ServiceKind, ...] | None) -> Iterable[str]:
    """That daemons that are not there can be installed from here; of one that is there this would do nothing."""
    if missing is None:
        yield Hint.of("Or have it done for a service whose daemon is missing: {}.", _install(ServiceKind.KVP))
    elif missing:
        yield Hint.of(f"Or have what is missing installed: {_listed(['{}'] * len(missing))}.", *map(_install, missing))


def _install(kind: ServiceKind) -> Hint:
    return Hint(f'guest.install("{kind.key}")', f"hvintegration guest --host ADDRESS install {kind.key}")


def _to_be_named(host: _Asked, guest: _Asked) -> Iterable[str]:
    """What has to be said more precisely, where nothing can be said."""
    for name, asked in (("host_os", host), ("guest_os", guest)):
        option = Hint(f"{name}=...", f"--{name.replace('_', '-')} NAME")
        if asked.text is None and asked is guest:
            yield Hint.of("Pass the guest with {}, or name its system with {}.", _GUEST, option)
        elif not asked.systems:
            yield Hint.of("Name the system with {}, such as Windows Server 2022.", option)
        elif len(asked.names) > 1:
            yield Hint.of("Say with {} whether it is {}.", option, _either(asked.names))


_GUEST: Final = Hint("guest=vm.guest(...)", "--guest ADDRESS or --guest-user USER")


def _packages(guest: _Asked) -> tuple[GuestPackage, ...]:
    """The packages of a Linux guest: those that its distribution is known to have, unless it named another one."""
    said = {package.name: package for package in guest.packages}
    names = _package_names(_distribution(guest), guest.kernel)
    if not said.keys() <= set(names):
        return guest.packages
    return tuple(said.get(name, GuestPackage(name=name)) for name in names)


def _distribution(guest: _Asked) -> Distribution | None:
    if len(guest.systems) != 1 or guest.systems[0].distribution is None:
        return None
    return distribution_of({"ID": guest.systems[0].distribution, "VERSION_ID": guest.systems[0].version or ""})


def _package_names(distribution: Distribution | None, kernel: str | None) -> tuple[str, ...]:
    """Names of its packages, with :data:`KERNEL` in them where the kernel is not known."""
    if distribution is None:
        return ()
    daemons = [daemon for kind in DAEMON_KINDS if (daemon := distribution.daemon(kind)) is not None]
    if kernel is None:
        return _once(name for daemon in daemons for name in daemon.packages or ())
    return _once(name for daemon in daemons for name in daemon.packages_for(kernel) or ())


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _once(items: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(items))


def _same(values: list[_T]) -> _T | None:
    return values[0] if all(value == values[0] for value in values) else None
