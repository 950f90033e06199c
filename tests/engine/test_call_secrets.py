"""A call's secrets, on every way: they arrive as credentials, and are nowhere outside the encrypted wire."""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs
import pytest

from hvintegration import SSH, Credential, Local, Recorder, Transport, WinRM
from hvintegration.calls.call import Call
from hvintegration.calls.operation import Operation
from hvintegration.clock import Deadline
from hvintegration.errors import ConfigurationError, HvError, TransportTimeoutError
from hvintegration.scripts import Effect, Language
from hvintegration.session import Session
from hvintegration.simulator import demo_world
from tests.support.amounts import some_by_day
from tests.support.other_script import OtherScript, powershell
from tests.support.secrecy import everything_logged

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for secrets in /proc"),
]

PASSWORD: Final = "2026-01-01T00:00:00Z Pä$(x)`\"'€\U0001f600"
USERNAME: Final = "CORP\\änne-0x7f31"

BODY: Final = """
$word = $Credential.GetNetworkCredential().Password
$codes = @($word.ToCharArray() | ForEach-Object { [int] $_ })
$seconds = ($Document | Microsoft.PowerShell.Utility\\ConvertFrom-Json).seconds
Microsoft.PowerShell.Utility\\Start-Sleep -Milliseconds ($seconds * 1000)
$result = @{ user = $Credential.UserName; codes = $codes; kind = $Credential.Password.GetType().Name }
Microsoft.PowerShell.Utility\\ConvertTo-Json -Compress @{ schema = 1; result = $result; errors = @() }
"""
PARAMETERS: Final = "param([string] $Document, [pscredential] $Credential)"
SCRIPT: Final = powershell(PARAMETERS + BODY, secrets=("Credential",))

SH_TEXT: Final = """
case $1 in *2*) sleep 2 ;; *9*) sleep 90 ;; esac
printf %s "$3" | od -An -v -tx1 | tr -d ' \\n' | {
    IFS= read -r codes
    user=$(printf %s "$2" | od -An -v -tx1 | tr -d ' \\n')
    printf '{"schema":1,"result":{"user":"%s","codes":"%s"},"errors":[]}' "$user" "$codes"
}
"""
SH_SCRIPT: Final = OtherScript("other", Effect.READ, Language.SH, ("Credential",), text=SH_TEXT)


def call(script: OtherScript = SCRIPT, *, seconds: int = 0, password: str = PASSWORD) -> Call:
    return Call(script, {"seconds": seconds}, secrets={"Credential": Credential(USERNAME, password)})


WAYS: Final = (
    "local",
    "constrained language",
    "restricted endpoint",
    "WinRM",
    "SSH, remoting",
    "SSH, a process for each call",
    "SSH, a shell",
)


@attrs.frozen
class Way:
    """A way, the script for it, and what a session key costs there, in requests."""

    transport: Transport
    script: OtherScript
    key: int


@pytest.fixture(scope="module", params=some_by_day(WAYS, ("WinRM", "SSH, a shell")))
def way(request: pytest.FixtureRequest, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    name, script, key = str(request.param), SCRIPT, 1
    folder = tmp_path_factory.mktemp("way")
    session, world_file = folder / "session.pssc", folder / "world.json"
    demo_world().save(world_file)
    transport: Local | WinRM | SSH
    if name == "local":
        transport = Local(engine)
    elif name == "constrained language":
        session.write_text("@{ SchemaVersion = '2.0.0.0'; LanguageMode = 'ConstrainedLanguage' }")
        transport = Local([engine, "-ConfigurationFile", str(session)])
    elif name == "restricted endpoint":
        function = f"@{{ Name = '{SCRIPT.function}'; ScriptBlock = {{ {SCRIPT.text} }} }}"
        session.write_text(
            "@{ SchemaVersion = '2.0.0.0'; SessionType = 'RestrictedRemoteServer'; FunctionDefinitions = @("
            f"{function}); VisibleFunctions = @('{SCRIPT.function}') }}"
        )
        transport = Local([engine, "-ConfigurationFile", str(session)])
    elif name == "WinRM":
        bridge = request.getfixturevalue("start_bridge")(world=world_file, auth="ntlm")
        who = Credential("BRIDGE\\admin", "Secret-1")
        transport, key = WinRM("127.0.0.1", port=bridge.port, credential=who, auth="ntlm"), 2
    else:
        start = request.getfixturevalue("start_sshd")
        if name == "SSH, remoting":
            transport = start(f"Subsystem powershell {engine} -sshs -NoLogo -NoProfile").ssh()
        else:
            plain = folder / "powershell"
            plain.write_text(f'#!/bin/sh\ncase "$*" in *-sshs*) exit 1;; esac\nexec {engine} "$@"\n')
            plain.chmod(0o755)
            transport = start().ssh(program=str(plain))
            script, key = SH_SCRIPT if name == "SSH, a shell" else SCRIPT, 0
    with contextlib.closing(transport):
        yield Way(transport, script, key)


def arrived(answer: str) -> tuple[str, str]:
    """User and password that a script was given."""
    result = json.loads(answer)["result"]
    if isinstance(result["codes"], str):
        return bytes.fromhex(result["user"]).decode()[1:], bytes.fromhex(result["codes"]).decode()[1:]
    assert result["kind"] == "SecureString"
    units = b"".join(code.to_bytes(2, "little") for code in result["codes"])
    return result["user"], units.decode("utf-16-le")


def test_secrets_arrive_as_they_are(way: Way) -> None:
    for password in (PASSWORD, "a", "#end", "x" * 500):
        assert arrived(way.transport.call(call(way.script, password=password), Deadline(60))) == (USERNAME, password)


def test_a_session_key_is_exchanged_once_when_the_first_secret_needs_it(way: Way) -> None:
    without = attrs.evolve(way.script, secrets=())
    assert isinstance(way.transport, Local | WinRM | SSH)

    def cost(asked: Call) -> int:
        before = way.transport.requests  # type: ignore[attr-defined]
        with contextlib.suppress(HvError):
            way.transport.call(asked, Deadline(60))
        time.sleep(0.5)
        return way.transport.requests - before  # type: ignore[attr-defined, no-any-return]

    def costs() -> tuple[int, int, int]:
        way.transport.close()
        cost(Call(without, {"seconds": 0}))
        first, second, third = (cost(call(way.script)) for _ in range(3))
        return first - second, second, third

    # Over WinRM, an answer takes another Receive where it comes late.
    tries = (costs() for _ in range(5))
    assert any(key == way.key and second == third for key, second, third in tries)


# -- where they are not ------------------------------------------------------------------------------------------------


def spellings() -> Iterator[str | bytes]:
    """Ways in which the password may show up."""
    in_json = json.dumps(PASSWORD)[1:-1]
    yield from (PASSWORD, in_json)
    for data in (PASSWORD.encode(), PASSWORD.encode("utf-16-le"), in_json.encode()):
        yield data
        for offset in range(3):  # Encoded together with something else, it begins at any of three offsets.
            encoded = base64.b64encode(b"x" * offset + data)[4 if offset else 0 : -4]
            yield from (encoded, encoded.decode())


SPELLINGS: Final = tuple(spellings())
TEXTS: Final = tuple(spelling for spelling in SPELLINGS if isinstance(spelling, str))
BYTES: Final = tuple(spelling for spelling in SPELLINGS if isinstance(spelling, bytes))
OURS: Final = {id(spelling) for spelling in SPELLINGS}


SHORTEST: Final = min(map(len, SPELLINGS))
STRINGS: Final = (str, bytes, bytearray)


def is_leak(found: str | bytes | bytearray) -> bool:
    if id(found) in OURS:
        return False
    if isinstance(found, str):
        return any(text in found for text in TEXTS)
    return any(data in found for data in BYTES)


def leaks_in_memory() -> list[str]:
    """What holds the password, other than this file and the credential itself."""
    gc.collect()
    # What modules have was set apart from the collector before the tests began.
    globals_ = [vars(module) for module in list(sys.modules.values()) if module.__name__ != __name__]
    members = [value for variables in globals_ for value in list(variables.values()) if gc.is_tracked(value)]
    return [
        f"{type(holder).__name__}: {holder!r}"[:300]
        for holder in (*gc.get_objects(), *globals_, *members)
        if holder is not OURS and not isinstance(holder, Credential)
        for found in gc.get_referents(holder)
        if isinstance(found, STRINGS) and len(found) >= SHORTEST and is_leak(found)
    ]


def test_a_leak_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert leaks_in_memory() == []
    spelled = f"<{json.dumps(PASSWORD)}>".encode()
    for leak in ({"local": [spelled]}, {"buffer": bytearray(b"." + base64.b64encode(spelled))}):
        assert len(leaks_in_memory()) >= 1
        del leak
    assert leaks_in_memory() == []
    monkeypatch.setattr(logging, "kept", spelled, raising=False)
    assert leaks_in_memory() != []


def leaks_in_processes() -> list[str]:
    """What is in the arguments or the environment of any process."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for file in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                if is_leak((process / file).read_bytes()):
                    found.append(str(process / file))
    return found


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Everything that anything logs."""
    with everything_logged() as records:
        yield records.texts


def test_nothing_outside_the_encrypted_wire_holds_them(way: Way, tmp_path: Path, logged: list[str]) -> None:
    file = tmp_path / "recording.jsonl"
    recorder = Recorder(way.transport, file, keep_texts=True)
    asked = call(way.script, seconds=2)
    in_processes: list[str] = []

    def look() -> None:
        time.sleep(1)
        in_processes.extend(leaks_in_processes())

    looking = threading.Thread(target=look)
    recorder.call(call(way.script), Deadline(60))
    looking.start()
    arrived(recorder.call(asked, Deadline(60)))
    looking.join()

    assert in_processes == []
    assert leaks_in_memory() == []
    assert not is_leak(file.read_text("ascii"))
    assert [text for text in logged if is_leak(text)] == []
    assert not is_leak(f"{asked!r} {way.transport!r} {recorder!r}")


def test_after_a_loss_neither_the_error_nor_the_replaced_connection_holds_them(way: Way, logged: list[str]) -> None:
    way.transport.call(call(way.script), Deadline(60))

    def ask() -> Operation[None]:
        yield call(way.script, seconds=90)

    with pytest.raises(TransportTimeoutError) as late:
        Session(way.transport).run(ask(), timeout=3)

    shown = "".join(traceback.TracebackException.from_exception(late.value).format())
    assert not is_leak(f"{shown} {late.value!r} {late.value.__dict__} {late.value.__cause__!r}")
    assert arrived(way.transport.call(call(way.script), Deadline(60))) == (USERNAME, PASSWORD)
    assert leaks_in_memory() == []
    assert [text for text in logged if is_leak(text)] == []


@pytest.mark.parametrize("way", ["SSH, a shell"], indirect=True)
@pytest.mark.parametrize("password", ["two\nlines", "nul\0", "half\ud800"])
def test_what_a_shell_cannot_take_is_refused_before_anything_is_sent(way: Way, password: str) -> None:
    for _ in range(12):  # More than OpenSSH has sessions for, if one stayed behind each time.
        with pytest.raises(ConfigurationError, match=r"a line break|a null character|half a character") as refused:
            way.transport.call(call(SH_SCRIPT, password=password), Deadline(60))
        assert password not in str(refused.value)
        assert refused.value.__context__ is None
    assert arrived(way.transport.call(call(SH_SCRIPT), Deadline(60))) == (USERNAME, PASSWORD)


Asked = Callable[[], Call]


@pytest.mark.parametrize(
    "secrets",
    [{}, {"Other": Credential("a", "b")}, {"Credential": Credential("a", "b"), "Other": Credential("a", "b")}],
)
def test_a_call_has_the_secrets_that_its_script_takes(secrets: dict[str, Credential]) -> None:
    with pytest.raises(ValueError, match="takes the secrets"):
        Call(SCRIPT, {}, secrets=secrets)
