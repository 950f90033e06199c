"""A Kerberos realm of MIT's KDC, in a folder of its own: it asks no DNS and leaves the machine's settings alone."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

REALM: Final = "HV.TEST"
USER: Final = f"admin@{REALM}"
PASSWORD: Final = "Kerberos-Secret-1"
SERVICES: Final = ("WSMAN/localhost", "WSMAN/hv01.hv.test", "HTTP/localhost")

PROGRAMS: Final = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit")

_KRB5_CONF: Final = """
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    dns_uri_lookup = false
    rdns = false
    forwardable = false
    udp_preference_limit = {udp_preference_limit}
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
    }}
[domain_realm]
    localhost = {realm}
    127.0.0.1 = {realm}
    .hv.test = {realm}
"""

_KDC_CONF: Final = """
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/acl
        max_life = 10h
        max_renewable_life = 1d
        supported_enctypes = aes256-cts:normal
    }}
[logging]
    kdc = FILE:{folder}/kdc.log
"""


class Realm:
    """A realm with the user ``admin`` and the services of ``SERVICES``, whose keys are in :attr:`keytab`."""

    def __init__(self, folder: Path, programs: Mapping[str, str]) -> None:
        self.folder = folder
        self.keytab = folder / "services.keytab"
        self.port = _free_port()
        self._programs = programs
        config = self.config("krb5.conf", self.port)
        (folder / "kdc.conf").write_text(_KDC_CONF.format(realm=REALM, port=self.port, folder=folder))
        self._environment = os.environ | {"KRB5_CONFIG": str(config), "KRB5_KDC_PROFILE": str(folder / "kdc.conf")}
        self._run("kdb5_util", "create", "-r", REALM, "-s", "-P", "master")
        self._run("kadmin.local", "-r", REALM, given=self._principals())
        self._kdc = subprocess.Popen(
            [programs["krb5kdc"], "-n", "-r", REALM, "-P", str(folder / "kdc.pid")],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._await_kdc()

    @property
    def client_environment(self) -> dict[str, str]:
        """Of a client that has no ticket."""
        return {
            "KRB5_CONFIG": str(self.folder / "krb5.conf"),
            "KRB5CCNAME": f"FILE:{self.folder / 'no-ticket'}",
            "KRB5_KTNAME": f"FILE:{self.folder / 'no-keytab'}",
        }

    @property
    def service_environment(self) -> dict[str, str]:
        """Of a service that has the keys."""
        # Without a replay cache, for that would be in a folder of the whole machine.
        return self.client_environment | {"KRB5_KTNAME": f"FILE:{self.keytab}", "KRB5RCACHETYPE": "none"}

    def config(self, name: str, port: int, *, udp_preference_limit: int = 1465) -> Path:
        """A file for ``KRB5_CONFIG``, of a client whose KDC is at *port*."""
        file = self.folder / name
        file.write_text(_KRB5_CONF.format(realm=REALM, port=port, udp_preference_limit=udp_preference_limit))
        return file

    def kinit(self, name: str, *options: str) -> str:
        """Get a ticket with the password. What ``KRB5CCNAME`` is to be for a client to have it."""
        cache = f"FILE:{self.folder / name}"
        self._run("kinit", "-c", cache, *options, USER, given=f"{PASSWORD}\n")
        return cache

    def expired_ticket(self) -> str:
        """What ``KRB5CCNAME`` is to be for a client whose ticket ended long ago."""
        cache = self.kinit("expired")
        file = self.folder / "expired"
        written = file.read_bytes()
        # Two times are those of asking and of the beginning; the next is that of the end.
        now = int(time.time())
        begin, asked = next(
            (written.index(both), asked)
            for asked in range(now - 60, now + 2)
            if (both := struct.pack(">II", asked, asked)) in written
        )
        old = struct.pack(">III", asked - 7200, asked - 7200, asked - 3600)
        file.write_bytes(written[:begin] + old + written[begin + len(old) :])
        return cache

    def stop(self) -> None:
        self._kdc.terminate()
        self._kdc.wait(10)

    def _principals(self) -> str:
        commands = [f"addprinc -pw {PASSWORD} +requires_preauth {USER}"]
        for service in SERVICES:
            # What it is trusted with is what a client's `delegate` needs in an Active Directory, too.
            commands += [f"addprinc -randkey +ok_as_delegate {service}@{REALM}"]
            commands += [f"ktadd -k {self.keytab} {service}@{REALM}"]
        return "\n".join([*commands, ""])

    def _run(self, program: str, *arguments: str, given: str = "") -> None:
        done = subprocess.run(
            [self._programs[program], *arguments],
            input=given,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{program} failed: {done.stdout}{done.stderr}"

    def _await_kdc(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            assert self._kdc.poll() is None, "krb5kdc has ended"
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < deadline, "krb5kdc does not answer"
                time.sleep(0.02)
            else:
                return


def _free_port() -> int:
    """A port that is free for TCP and for UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
