"""Whatever is in a known_hosts file: what is trusted is named by a line of it, and what is revoked is not."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from hvintegration.errors import UntrustedHostError
from hvintegration.transports.ssh.host_keys import Trust, fingerprint
from tests.support.known_hosts_cases import Server, hashed

SERVER = Server("hv01")
ENTRY = SERVER.entry
NAMES = (b"hv01", b"[hv01]:2222", b"HV01", b"*", b"hv0?", b"!hv01", b"[*]:*", hashed(b"hv01"), hashed(b"[hv01]:2222"))

pieces = st.sampled_from(
    [
        *NAMES,
        *(
            b" ",
            b"\t",
            b"\n",
            b"\r\n",
            b"\0",
            b",",
            b"!",
            b"#",
            b"=",
            b"|1|",
            b"\xef\xbb\xbf",
            b"\xff\xfe",
            b"\x85",
            b"\x0b",
        ),
        *(b"@revoked ", b"@cert-authority ", b"@", b"ssh-ed25519 ", b"ssh-rsa ", b"ssh-ed25519", ENTRY, SERVER.others),
        *(SERVER.line, b"hv01 " + ENTRY, ENTRY[-68:], ENTRY[-40:], "\u2028".encode()),
    ]
)
contents = st.lists(st.one_of(pieces, st.binary(max_size=8)), max_size=12).map(b"".join)
lines = contents.map(lambda content: content.replace(b"\n", b""))


def trusts(content: bytes, *pins: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "known_hosts")
        file.write_bytes(content)
        trust = Trust(SERVER.host, SERVER.port, pins, (file,))
        trust.kinds()
        try:
            trust.check("ssh-ed25519", SERVER.key, "ssh://hv01", "192.0.2.1")
        except UntrustedHostError:
            return False
        return True


def names_it(line: bytes) -> bool:
    """Whether a line has some names, the kind and the key, and these only divided by blanks."""
    fields = line.split(b"\0")[0].replace(b"\t", b" ").split(b" ")
    names, kind, key, *_ = (*(field for field in fields if field), b"", b"", b"")
    try:
        return not names.startswith((b"@", b"#")) and kind == b"ssh-ed25519" and base64.b64decode(key) == SERVER.key
    except ValueError:
        return False


@given(contents)
@example(SERVER.line)
def test_only_a_key_that_a_line_names_is_trusted(content: bytes) -> None:
    if trusts(content):
        assert any(names_it(line) for line in content.split(b"\n"))


@given(contents, st.sampled_from(NAMES[:5] + NAMES[6:]), contents, st.booleans())
def test_a_key_that_is_revoked_is_not_trusted(before: bytes, names: bytes, after: bytes, pinned: bool) -> None:  # noqa: FBT001 - Hypothesis
    content = before + b"\n@revoked " + names + b" " + ENTRY + b"\n" + after

    assert not trusts(content, *[fingerprint(SERVER.key)] * pinned)


@given(lines, lines)
def test_other_lines_take_no_key_away_but_by_revoking_it(before: bytes, after: bytes) -> None:
    content = before + b"\n" + SERVER.line + after

    assert trusts(content) or b"@revoked" in content.replace(b"\0", b"").lower()
