"""Without the extra, whoever needs it is told its name."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
for name in ("gssapi", "krb5"):
    if name in sys.argv[2]:
        sys.modules[name] = None
from hvintegration import Credential, Host, WinRM
from hvintegration.errors import HvError, for_command
who = Credential("admin@HV.TEST", "s3cret") if sys.argv[3] == "credential" else None
try:
    with Host(WinRM("127.0.0.1", port=1, auth=sys.argv[1], credential=who)) as host:
        host.info(timeout=20)
except HvError as error:
    print(type(error).__name__)
    print(error)
    print(error.hint)
    print(for_command(error.hint or ""))
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows speaks Kerberos by itself")


def run(auth: str, missing: str, credential: str) -> str:
    command = [sys.executable, "-c", PROGRAM, auth, missing, credential]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert "s3cret" not in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("auth", "missing", "credential"),
    [
        ("kerberos", "gssapi krb5", "credential"),
        ("kerberos", "gssapi", "none"),
        ("kerberos", "krb5", "none"),
        ("negotiate", "gssapi krb5", "none"),
    ],
)
def test_kerberos_without_its_packages_names_the_extra(auth: str, missing: str, credential: str) -> None:
    said = run(auth, missing, credential)

    assert said.startswith("ConfigurationError\n")
    assert "pip install 'hvintegration[kerberos]'" in said
    assert ("Or pass credential=Credential(...), for NTLM" in said) is (auth == "negotiate")
    assert ("Or pass --user USER, for NTLM" in said) is (auth == "negotiate")


@pytest.mark.parametrize("auth", ["negotiate", "ntlm"])
def test_a_credential_does_not_need_them(auth: str) -> None:
    assert run(auth, "gssapi krb5", "credential").startswith("ConnectError\n")
