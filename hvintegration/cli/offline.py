"""The commands that ask no host."""

from __future__ import annotations

from hvintegration.cli.options import Options
from hvintegration.cli.results import Result, shower
from hvintegration.display import Table
from hvintegration.errors import ConfigurationError
from hvintegration.plain import Plain
from hvintegration.scripts.jea import CONFIGURATION, REGISTRATION, endpoint_files
from hvintegration.service_kind import ServiceKind

__all__ = ["jea", "kinds"]


def kinds(options: Options) -> int:
    """``kinds``."""
    columns = ("Service", "Hyper-V Manager", "Windows service", "Linux daemons", "Impact", "Component id")
    rows = tuple(
        (
            kind.label,
            ", ".join(kind.manager_labels),
            kind.windows_service,
            ", ".join(kind.linux_daemons),
            kind.impact.value,
            kind.component_id,
        )
        for kind in ServiceKind
    )
    data: list[Plain] = [
        {
            "key": kind.key,
            "label": kind.label,
            "manager_labels": kind.manager_labels,
            "component_id": kind.component_id,
            "managed_by_host": kind.managed_by_host,
            "enabled_by_default": kind.enabled_by_default,
            "windows_service": kind.windows_service,
            "linux_daemons": kind.linux_daemons,
            "impact": kind.impact.value,
            "when_disabled": kind.when_disabled,
        }
        for kind in ServiceKind
    ]
    return shower(options)(Result(Table(columns, rows), data))


def jea(options: Options) -> int:
    """``jea``."""
    files = {options.folder / name: text.encode("ascii") for name, text in endpoint_files().items()}
    show = shower(options)
    try:
        for path, content in files.items():
            if path.exists() and path.read_bytes() != content:
                raise ConfigurationError(
                    f"{path} is there already, with other content.", hint="Write into an empty folder."
                )
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"{options.folder} cannot be written: {error.strerror}.") from error
    groups = " ".join(f"-{parameter} 'DOMAIN\\GROUP'" for parameter in ("Readers", "Operators", "GuestOperators"))
    command = f".\\{REGISTRATION} {groups}"
    return show(
        Result(
            Table(("File",), tuple((str(path),) for path in files)),
            {
                "files": [str(path) for path in files],
                "configuration_name": CONFIGURATION,
                "register": command,
            },
            advice=(
                "Copy the folder to the Hyper-V host. There, in a PowerShell that runs as administrator:",
                f"    {command}",
                f"Then connect to the configuration {CONFIGURATION}. Groups can be given by name or SID.",
            ),
        )
    )
