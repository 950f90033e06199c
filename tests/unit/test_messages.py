from __future__ import annotations

import itertools
import struct
import uuid
from collections.abc import Callable, Iterable

import psrpcore
import psrpcore.types
import pytest

from hvintegration import VirtualClock
from hvintegration.calls.limits import MAX_LENGTH, Work
from hvintegration.clock import Deadline
from hvintegration.errors import TransportTimeoutError
from hvintegration.transports.remoting import messages
from hvintegration.transports.remoting.messages import Messages
from hvintegration.transports.remoting.xml_guard import MAX_ELEMENTS, MAX_TAG, RefusedError, XmlGuard
from tests.support.time_limit import GRACE, within

OUTPUT = 0x00041004
ERROR = 0x00041005
WARNING = 0x00041007


def message(content: bytes, kind: int = OUTPUT) -> bytes:
    return (1).to_bytes(4, "little") + kind.to_bytes(4, "little") + bytes(32) + content


def fragment(data: bytes, number: int = 0, *, of: int = 1, last: bool = True) -> bytes:
    return struct.pack(">QQBI", of, number, (not number) | last << 1, len(data)) + data


def take(*payloads: bytes, work: Work | None = None) -> list[str | bytes]:
    taker = Messages()
    return [came for payload in payloads for came in taker.take(payload, work or Work())]


def refusal(*payloads: bytes) -> str:
    with pytest.raises(RefusedError) as refused:
        take(*payloads)
    return str(refused.value)


@pytest.mark.parametrize("cuts", [(), (1,), (39, 40, 41), (40, 43), (44, 46, 50), tuple(range(60))])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_text_is_the_same_however_it_is_cut(cuts: Iterable[int], mark: bytes) -> None:
    whole = message(mark + "<S>äöü &lt;_x000A_&#228;_x0041_ _x</S>".encode())
    ends = [0, *cuts, len(whole)]
    pieces = [whole[begin:end] for begin, end in itertools.pairwise(ends)]
    fragments = [fragment(piece, number, last=number == len(pieces) - 1) for number, piece in enumerate(pieces)]
    assert take(*fragments) == take(b"".join(fragments)) == ["äöü <\näA _x"]


def test_an_escape_of_two_halves_is_one_character() -> None:
    assert take(fragment(message(b"<S>_xD83D__xDE00_ _xD83D_ _x005F_x0041_</S>"))) == ["\U0001f600 \ud83d _x0041_"]


def test_what_psrpcore_reads_is_handed_on_in_one_fragment() -> None:
    record = message(b"<Obj RefId='0'/>", ERROR)
    assert take(fragment(record[:50], last=False), fragment(record[50:], 1)) == [fragment(record)]
    assert take(fragment(message(b"<I32>42</I32>"))) == [fragment(message(b"<I32>42</I32>"))]


@pytest.mark.parametrize("kind", [WARNING, 0x00041100, 0x00041999, 0x00021008])
def test_what_nobody_needs_is_let_pass_whatever_it_says(kind: int) -> None:
    assert take(fragment(message(b"\0 <!DOCTYPE x> not XML" * 100_000, kind))) == []


def test_messages_of_the_session_and_of_a_pipeline_may_be_under_way_together() -> None:
    assert take(
        fragment(message(b"<S>a"), of=1, last=False),
        fragment(message(b"<S>b"), of=2, last=False),
        fragment(b"a</S>", 1, of=1),
        fragment(message(b"<S>c"), of=3, last=False),
        fragment(b"b</S>", 1, of=2),
        fragment(b"c</S>", 1, of=3),
    ) == ["aa", "bb", "cc"]


def test_a_third_message_is_not_begun() -> None:
    assert refusal(*(fragment(b"", of=number, last=False) for number in range(3))) == (
        "begins more than 2 messages at a time"
    )


@pytest.mark.parametrize(
    ("payloads", "reason"),
    [
        ([b"x" * 20], "ends within a fragment"),
        ([fragment(message(b"<S>a</S>"))[:-1]], "ends within a fragment"),
        ([fragment(message(b"<S>a</S>"), 1)], "lacks the beginning of a message"),
        ([fragment(message(b"<S>a"), last=False), fragment(b"</S>", 2)], "lacks a part of a message"),
        ([fragment(message(b"<S>a"), last=False), fragment(message(b"<S>a</S>"))], "lacks a part of a message"),
        ([fragment(b"x" * 39)], "has a message without its header"),
        ([fragment(message(b"<!DOCTYPE x [<!ENTITY a 'a'>]><S>&a;</S>"))], "has a document type"),
        ([fragment(message(b"<S>a<S>b</S></S>"))], "has elements in a text"),
        ([fragment(message(b"<S>" * 65 + b"</S>" * 65, ERROR))], "nests more than 64 levels"),
        ([fragment(message(b"<S>a<" + b"a" * 10_000))], f"has a tag of more than {MAX_TAG} bytes"),
        ([fragment(message(b"<S>a&" + b"a" * 10_000))], f"has a tag of more than {MAX_TAG} bytes"),
        ([fragment(message(b"<S>" + b"x" * messages.MAX_RECORD, ERROR))], "has a record of more than 524288 bytes"),
        ([fragment(message(b"<L>" + b"<S/>" * 501 + b"</L>", ERROR))], "has too many elements or attributes"),
        (
            [fragment(message(b"<L>" + (b"<L>" + b"<S/>" * 499 + b"</L>") * 4, ERROR))],
            "has too many elements or attributes",
        ),
    ],
)
def test_what_is_no_conversation_is_refused(payloads: list[bytes], reason: str) -> None:
    assert refusal(*payloads) == reason


def test_so_many_fragments_may_come_and_no_more() -> None:
    empty = b"".join(fragment(b"", number, last=False) for number in range(messages.MAX_FRAGMENTS))
    with within(10):
        assert take(empty) == []
    assert refusal(empty + fragment(b"", messages.MAX_FRAGMENTS)) == "has more than 65536 fragments"


def test_so_many_bytes_may_come_for_a_call_and_no_more() -> None:
    taker = Messages()
    taker.count(MAX_LENGTH)
    with pytest.raises(RefusedError, match="is more than 33554432 bytes"):
        list(taker.take(fragment(b""), Work()))
    taker.expect_answer()
    assert list(taker.take(fragment(message(b"<S>a</S>")), Work())) == ["a"]


@pytest.mark.parametrize(
    "payload",  # Made when the test runs: every process of the tests reads all of them.
    [
        lambda: fragment(message(b"<S>" + b"x" * 30_000_000 + b"</S>")),
        lambda: fragment(message(b"<S>" + b"_x0041_" * 4_000_000 + b"</S>")),
        lambda: b"".join(fragment(b"", number, last=False) for number in range(60_000)),
    ],
    ids=["text", "escapes", "fragments"],
)
def test_taking_in_ends_when_the_time_is_over(payload: Callable[[], bytes]) -> None:
    data = payload()
    with within(GRACE), pytest.raises(TransportTimeoutError) as late:
        take(data, work=Work(Deadline(0, VirtualClock()), "hv01"))
    assert (late.value.may_have_run, late.value.fenced) == (True, False)


def test_many_attributes_and_many_elements_are_not_let_through() -> None:
    names = b" ".join(b"a%d=''" % number for number in range(300))
    for body in (b"<a>" + (b"<a " + names + b"/>") * 60, b"<a>" + b"<a/>" * (MAX_ELEMENTS + 1)):
        with pytest.raises(RefusedError, match="too many elements or attributes"):
            XmlGuard().feed(body)


def envelope(streams: int) -> bytes:
    """About the largest answer that a host sends: 500 KiB in the smallest streams."""
    stream = f'<rsp:Stream Name="stdout" CommandId="6C09BB55-D683-4DA0-8931-C9BF705F6480">{"A" * 100}</rsp:Stream>'
    spaces = " ".join(f'xmlns:p{number}="http://schemas.example/{"x" * 60}/{number}"' for number in range(20))
    return f"<s:Envelope {spaces} xmlns:s='s' xmlns:rsp='rsp'><s:Body>{stream * streams}</s:Body></s:Envelope>".encode()


def test_the_largest_envelope_is_let_through() -> None:
    guard = XmlGuard()
    guard.feed(envelope(500 * 1024 // 180))
    guard.close()


def test_what_psrpcore_writes_is_let_through() -> None:
    """A record of an error with all that PowerShell may put into it, fifty causes deep into its target."""
    pool = psrpcore.ServerRunspacePool()
    pipeline = psrpcore.ServerPipeline(pool, uuid.uuid4())
    pipeline.start()
    while pool.data_to_send() is not None:
        pass
    pipeline.write_error(
        psrpcore.types.NETException(Message="Nein." * 1000, StackTrace="at x\n" * 1000),
        target_object=psrpcore.types.PSList([{"key": f"value {number}"} for number in range(100)]),
        fully_qualified_error_id="X",
    )
    payload = pool.data_to_send(1000)
    taker, came = Messages(), []
    while payload is not None:
        came += list(taker.take(payload.data, Work()))
        payload = pool.data_to_send(1000)
    (record,) = came
    client = psrpcore.ClientRunspacePool()
    client.receive_data(
        psrpcore.PSRPPayload(record if isinstance(record, bytes) else b"", psrpcore.StreamType.default, None)
    )
    assert isinstance(client.next_event(), psrpcore.ErrorRecordEvent)
