"""What Linux guests answer."""

from __future__ import annotations

from typing import Any

from hvintegration.calls.answer import Answer
from hvintegration.service_kind import ServiceKind

from .driving import answer

DAEMONS = {
    ServiceKind.KVP: ("hv_kvp_daemon", "hv-kvp-daemon", "/dev/vmbus/hv_kvp"),
    ServiceKind.VSS: ("hv_vss_daemon", "hv-vss-daemon", "/dev/vmbus/hv_vss"),
    ServiceKind.GUEST_SERVICE_INTERFACE: ("hv_fcopy_daemon", "hv-fcopy-daemon", "/dev/vmbus/hv_fcopy"),
}
DRIVEN = (ServiceKind.HEARTBEAT, ServiceKind.SHUTDOWN, ServiceKind.TIME_SYNC)
LINUX_KINDS = tuple(kind for kind in ServiceKind if kind in {*DAEMONS, *DRIVEN})

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
HELPERS = tuple(f"/usr/libexec/hypervkvpd/hv_{name}_info" for name in ("get_dhcp", "get_dns"))
POOLS = "\n".join(
    [
        *(f"drwxr-xr-x 2 0 0 140 Nov 27 10:54 {path}" for path in ("/var", "/var/lib", "/var/lib/hyperv")),
        *(f"-rw-r--r-- 1 0 0 0 Nov 27 10:54 /var/lib/hyperv/.kvp_pool_{number}" for number in range(5)),
    ]
)


def unit(name: str, **changes: str) -> str:
    """A unit of systemd that runs, but for *changes*."""
    plain = {
        "Id": f"{name}.service",
        "LoadState": "loaded",
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "disabled",
        "Result": "success",
        "MainPID": "0",
    }
    return "\n".join(f"{key}={value}" for key, value in (plain | changes).items())


def process(name: str, pid: int = 45, *, owner: str = "0", state: str = "S", program: str | None = None) -> str:
    """A process, as the script writes it."""
    return f"{pid} {state} {owner} {name} {f'/usr/sbin/{name}' if program is None else program}"


def channel(kind: ServiceKind, driver: str = "hv_utils", uio: str = "") -> str:
    """A channel, likewise."""
    return f"{kind.key}-instance {{{kind.vmbus_class_id}}} {driver} {uio}"


def linux_result(**changes: object) -> dict[str, Any]:
    """A Debian 12 with systemd in which all is well, but for *changes*."""
    names = list(DAEMONS.values())
    plain: dict[str, Any] = {
        "kernel": "Linux",
        "kernel_release": "6.1.0-28-amd64",
        "machine": "x86_64",
        "name": "web1",
        "user_id": 0,
        "init": "systemd",
        "os_release": DEBIAN,
        "vendor": "Microsoft Corporation",
        "product": "Virtual Machine",
        "hypervisor": None,
        "vmbus": True,
        "uptime": 3600,
        "driver": True,
        "module": True,
        "channels": [channel(kind) for kind in LINUX_KINDS],
        "devices": [device for _, _, device in names],
        "processes": [process(daemon, 45 + place) for place, (daemon, _, _) in enumerate(names)],
        "programs": [*(f"/usr/sbin/{daemon}" for daemon, _, _ in names), *HELPERS],
        "units": ["\n\n".join(unit(name) for _, name, _ in names)],
        "wanted": [f"{name}.service" for _, name, _ in names],
        "keepers": [f"{45 + place} /system.slice/{name}.service" for place, (_, name, _) in enumerate(names)],
        "last_words": [],
        "pools": [POOLS],
        "clocks": ["/dev/ptp0 hyperv"],
        "packages": ["apt\ninstalled hyperv-daemons 6.1.176-1"],
        "available": None,
        "vm_id": None,
        "rights": "root",
    }
    return plain | changes


def linux(*errors: dict[str, Any], **changes: object) -> Answer:
    """What get_guest of sh answers."""
    return answer(linux_result(**changes), *errors)
