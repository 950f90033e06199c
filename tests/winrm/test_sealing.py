"""Sealed messages, part by part, with NTLM on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest
import spnego

from hvintegration.transports.winrm.sealing import BrokenSealError, Sealing, boundary_of
from tests.support.ntlm_users import let_in

MESSAGE = "<s:Envelope>\N{SNOWMAN} --Encrypted Boundary</s:Envelope>".encode()


@pytest.fixture
def ends(tmp_path: Path) -> tuple[Sealing, Sealing]:
    """Both ends of a connection."""
    users = tmp_path / "users"
    users.write_text(":admin:Loopback-1\n")
    options = spnego.NegotiateOptions.wrapping_winrm
    ours = spnego.client("admin", "Loopback-1", protocol="ntlm", options=options)
    with let_in(users):
        theirs = spnego.server(protocol="ntlm", options=options)
        theirs.step(ours.step(theirs.step(ours.step())))
    return Sealing(ours, "SPNEGO"), Sealing(theirs, "SPNEGO")


def test_what_is_sealed_can_be_opened_in_turn(ends: tuple[Sealing, Sealing]) -> None:
    ours, theirs = ends
    for _ in range(3):
        content_type, body = ours.sealed(MESSAGE)
        assert content_type.startswith("multipart/encrypted;")
        assert MESSAGE not in body
        assert theirs.opened(body, boundary_of(content_type) or b"") == MESSAGE
        assert ours.opened(theirs.sealed(MESSAGE)[1], b"Encrypted Boundary") == MESSAGE


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        pytest.param(b"--Encrypted Boundary", b"-- Encrypted Boundary", id="as Exchange writes it"),
        pytest.param(b"--Encrypted Boundary--\r\n", b"--Encrypted Boundary--", id="without a line break at the end"),
        pytest.param(b"\tContent-Type: application/octet", b"Content-type: application/octet", id="in other letters"),
    ],
)
def test_other_hands(ends: tuple[Sealing, Sealing], was: bytes, is_now: bytes) -> None:
    ours, theirs = ends
    assert theirs.opened(ours.sealed(b"<x/>")[1].replace(was, is_now), b"Encrypted Boundary") == b"<x/>"


@pytest.mark.parametrize("at", ["--Encrypted", "Length=", "octet-stream\r\n", "Boundary--"])
def test_what_is_cut_off_is_no_message(ends: tuple[Sealing, Sealing], at: str) -> None:
    ours, theirs = ends
    _, body = ours.sealed(MESSAGE)
    with pytest.raises(BrokenSealError):
        theirs.opened(body[: body.rindex(at.encode())], b"Encrypted Boundary")


def test_a_message_that_was_opened_is_not_opened_again(ends: tuple[Sealing, Sealing]) -> None:
    ours, theirs = ends
    _, body = ours.sealed(MESSAGE)
    assert theirs.opened(body, b"Encrypted Boundary") == MESSAGE
    with pytest.raises(BrokenSealError):
        theirs.opened(body, b"Encrypted Boundary")


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ('multipart/encrypted;protocol="x";boundary="Encrypted Boundary"', b"Encrypted Boundary"),
        ("multipart/x-multi-encrypted; protocol='x'; boundary='a b'", b"a b"),
        ("Multipart/Encrypted; Boundary=ab", b"ab"),
        ("multipart/encrypted", None),
        ('multipart/encrypted;boundary=""', None),
        ("application/soap+xml;boundary=x", None),
        ("", None),
    ],
)
def test_the_boundary_is_in_the_content_type(content_type: str, boundary: bytes | None) -> None:
    assert boundary_of(content_type) == boundary
