"""What runs in a Linux guest of a world: its description, not what its programs do."""

from __future__ import annotations

from typing import Final

import attrs

__all__ = ["CHOICES", "DEBIAN_12", "LinuxProcess", "LinuxSystem"]

DEBIAN_12: Final = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/\""""
"""What Debian 12 says of itself."""

CHOICES: Final = {
    "init": ("systemd", "openrc", "sysvinit", ""),
    "driver": ("module", "builtin", "absent"),
    "rights": ("root", "sudo", "sudo with a password", "sudo on a terminal", "doas", "doas with a password", "none"),
}
"""The values that these attributes of a system may have."""


@attrs.define(kw_only=True)
class LinuxProcess:
    """A process besides those of the daemons, such as one that has the name of a daemon and is none.

    Attributes:
        pid: Its number.
        user: Number of the user whose it is; 0 is root.
        name: Its name, which anybody can choose.
        program: The file that it runs.
        holds: The device node that it has open, so that no daemon gets it.
    """

    pid: int
    user: int = 1000
    name: str
    program: str = ""
    holds: str = ""


@attrs.define(kw_only=True)
class LinuxSystem:
    """What runs in a Linux guest: Debian 12 with systemd, where root asks, unless it is said otherwise.

    Units, scripts and programs are those of the distribution that ``os_release`` describes.

    Attributes:
        os_release: The text of ``/etc/os-release``.
        kernel: Release of the kernel. From 6.10 on, files are copied over a device of ``uio_hv_generic``.
        init: ``systemd``, ``openrc``, ``sysvinit``, or nothing where there is no init system.
        driver: ``hv_utils`` is a ``module``, ``builtin``, or ``absent``.
        bound: Whether the channel for copying files is bound to ``uio_hv_generic``, from kernel 6.10 on.
        on_hyperv: Whether it finds itself on Hyper-V; else it has no channels, and the firmware of another machine.
        withheld: Keys of the services that are enabled on the host and still not offered, as to a confidential machine.
        rights: How the user who asks becomes root: ``root``, ``sudo``, ``doas``, either of these followed by ``with a
            password``, ``sudo on a terminal``, or ``none``.
        sudo_password: What ``sudo`` asks for where ``rights`` are ``sudo with a password``.
        programs: Paths of the programs that are installed.
        startup: How units or scripts come to run: ``enabled``, ``disabled`` or ``masked``, by name. By default, units
            are started when their device comes (``disabled``), and scripts are ``enabled``.
        failed: Units that have failed, with systemd's ``Result``, such as ``signal`` for a daemon that has crashed.
        failing: Daemons that end as soon as they are started, with their last words, by name.
        last_words: What the journal has of the last run of units that have failed; only root may read it.
        by_hand: Of the daemons that run, those that were started by hand, and by no unit or script.
        helper_scripts: Paths of the scripts that the daemon of Data Exchange calls, and that are there.
        time_daemons: Programs that run and set the clock, such as ``chronyd``.
        refclock: The device of a clock that chrony is told to use, such as ``/dev/ptp_hyperv``.
        readable_pools: Whether everybody may read the files of Data Exchange, as is usual.
        packages: Versions of the packages that are installed, by their names.
        available: Versions of the packages that could be installed, likewise.
        uptime: Seconds since it was started.
        hidepid: Whether users see no processes of others.
        processes: Other processes.
    """

    os_release: str = DEBIAN_12
    kernel: str = "6.1.0-28-amd64"
    init: str = "systemd"
    driver: str = "module"
    bound: bool = True
    on_hyperv: bool = True
    withheld: list[str] = attrs.field(factory=list[str])
    rights: str = "root"
    sudo_password: str = ""
    programs: list[str] = attrs.field(
        factory=lambda: ["/usr/sbin/hv_kvp_daemon", "/usr/sbin/hv_vss_daemon", "/usr/sbin/hv_fcopy_daemon"]
    )
    startup: dict[str, str] = attrs.field(factory=dict[str, str])
    failed: dict[str, str] = attrs.field(factory=dict[str, str])
    failing: dict[str, str] = attrs.field(factory=dict[str, str])
    last_words: dict[str, str] = attrs.field(factory=dict[str, str])
    by_hand: list[str] = attrs.field(factory=list[str])
    helper_scripts: list[str] = attrs.field(
        factory=lambda: ["/usr/libexec/hypervkvpd/hv_get_dhcp_info", "/usr/libexec/hypervkvpd/hv_get_dns_info"]
    )
    time_daemons: list[str] = attrs.field(factory=list[str])
    refclock: str = ""
    readable_pools: bool = True
    packages: dict[str, str] = attrs.field(factory=lambda: {"hyperv-daemons": "6.1.176-1"})
    available: dict[str, str] = attrs.field(factory=lambda: {"hyperv-daemons": "6.1.176-1"})
    uptime: int = 3600
    hidepid: bool = False
    processes: list[LinuxProcess] = attrs.field(factory=list[LinuxProcess])
