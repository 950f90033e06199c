from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from hvintegration.calls.answer import Answer, ErrorEntry, parse_answer
from hvintegration.calls.call import Call
from hvintegration.calls.limits import MAX_DEPTH, MAX_LENGTH
from hvintegration.errors import DecodeError, ProtocolError
from hvintegration.scripts import GET_VMS, SET_SERVICES, Effect

READ_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ENTRY = {"id": "OperationFailed", "category": "NotSpecified", "message": "Nein.", "target": None}


def parsed(document: str) -> Answer:
    return parse_answer(document, address="hv01", received_at=READ_AT)


def envelope(**changes: object) -> str:
    return json.dumps({"schema": 1, "result": {}, "errors": []} | changes)


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    """An envelope of so many levels."""
    return '{"schema": 1, "errors": [], "result": {"a": ' + opening * (levels - 2) + closing * (levels - 2) + "}}"


# -- calls ---------------------------------------------------------------------------------------------------------


def test_a_call_has_the_effect_of_its_script() -> None:
    assert (Call(GET_VMS, {}).effect, Call(SET_SERVICES, {}).effect) == (Effect.READ, Effect.WRITE)


def test_a_dry_run_only_reads() -> None:
    assert Call(SET_SERVICES, {"dry_run": True}, dry_run=True).effect is Effect.READ


# -- answers -------------------------------------------------------------------------------------------------------


def test_an_answer_knows_who_said_it_and_when() -> None:
    assert parsed(envelope(result={"vms": []})) == Answer({"vms": []}, (), "hv01", READ_AT)


def test_an_answer_can_have_a_result_and_errors() -> None:
    answer = parsed(envelope(errors=[ENTRY, ENTRY | {"target": "0"}]))
    assert answer.errors == (
        ErrorEntry("OperationFailed", "NotSpecified", "Nein.", None),
        ErrorEntry("OperationFailed", "NotSpecified", "Nein.", "0"),
    )


def test_an_answer_can_have_no_result() -> None:
    assert parsed(envelope(result=None)).result is None


def test_unknown_keys_do_not_matter() -> None:
    assert parsed(envelope(later="more", errors=[ENTRY | {"later": 1}])).errors[0].message == "Nein."


def test_half_a_surrogate_pair_is_no_reason_to_fail() -> None:
    assert parsed('{"schema": 1, "errors": [], "result": {"name": "\\ud800"}}').result == {"name": "\ud800"}


@pytest.mark.parametrize(
    ("document", "path", "expected", "found"),
    [
        ("[]", "$", "an object", "[]"),
        ("null", "$", "an object", "None"),
        ('"text"', "$", "an object", "'text'"),
        ("{}", "$.schema", "a value", "None"),
        (envelope(schema=2), "$.schema", "1", "2"),
        (envelope(schema="1"), "$.schema", "1", "'1'"),
        (envelope(schema=None), "$.schema", "1", "None"),
        (envelope(schema=True), "$.schema", "1", "True"),
        ('{"schema": 1, "errors": []}', "$.result", "a value", "None"),
        (envelope(result=[]), "$.result", "an object", "[]"),
        (envelope(result="x"), "$.result", "an object", "'x'"),
        ('{"schema": 1, "result": null}', "$.errors", "a list", "None"),
        (envelope(errors={}), "$.errors", "a list", "{}"),
        (envelope(errors=[ENTRY, "x"]), "$.errors[1]", "an object", "'x'"),
        (envelope(errors=[ENTRY | {"id": None}]), "$.errors[0].id", "a text", "None"),
        (envelope(errors=[ENTRY | {"category": 7}]), "$.errors[0].category", "a text", "7"),
        (envelope(errors=[ENTRY | {"message": ["x"]}]), "$.errors[0].message", "a text", "['x']"),
        (envelope(errors=[ENTRY | {"target": 0}]), "$.errors[0].target", "a text or null", "0"),
    ],
)
def test_an_answer_of_another_shape_is_refused_with_the_place(
    document: str, path: str, expected: str, found: str
) -> None:
    with pytest.raises(DecodeError) as refused:
        parsed(document)
    assert (refused.value.path, refused.value.expected, refused.value.found) == (path, expected, found)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "no json",
        "<html><body>502 Bad Gateway</body></html>",
        envelope()[:-1],
        envelope()[:20],
        '{"schema": 1, "result": {"vms": [{"id": "b637',
        envelope() + envelope(),
        "\ufeff" + envelope(),
        '{"schema": NaN}',
        '{"schema": Infinity}',
        '{"schema": ' + "9" * 5000 + "}",
        "]]]]",
        '"[[[[',
        "{'schema': 1}",
    ],
    ids=lambda text: text[:12] or "empty",
)
def test_what_is_not_json_is_refused_as_such(document: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        parsed(document)
    assert str(refused.value) == "The answer of hv01 is not JSON."


def test_a_refusal_shows_the_beginning_without_control_characters() -> None:
    with pytest.raises(ProtocolError) as refused:
        parsed("\x1b[31mLogin failed\r\n" + "x" * 1000)
    assert refused.value.excerpt.startswith(" [31mLogin failed  xxx")
    assert (len(refused.value.excerpt), refused.value.address) == (200, "hv01")


def test_a_script_whose_answer_came_has_run_and_runs_no_more() -> None:
    with pytest.raises(ProtocolError) as refused:
        parsed("no json")
    assert (refused.value.may_have_run, refused.value.fenced) == (True, True)


def test_an_answer_that_is_too_long_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ProtocolError, match=f"is longer than {MAX_LENGTH} characters"):
        parsed("x" * (MAX_LENGTH + 1))


SHAPES = [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]"), ('{"a":[', "]}")]


@pytest.mark.parametrize(("opening", "closing"), SHAPES[:2], ids=["lists", "objects"])
def test_an_answer_may_have_as_many_levels_as_allowed(opening: str, closing: str) -> None:
    inner = "null" if closing == "}" else ""
    document = nested(MAX_DEPTH, opening, closing).replace(opening + closing, opening + inner + closing)
    assert parsed(document).errors == ()


@pytest.mark.parametrize(("opening", "closing"), SHAPES[:2], ids=["lists", "objects"])
def test_one_level_more_is_refused(opening: str, closing: str) -> None:
    with pytest.raises(ProtocolError, match="has more than 32 levels"):
        parsed(nested(MAX_DEPTH + 1, opening, closing))


@pytest.mark.parametrize(("opening", "closing"), SHAPES[2:], ids=["objects in lists", "lists in objects"])
@pytest.mark.parametrize("pairs", [16, 20, 30, 1000])
def test_levels_of_mixed_kinds_count_each(opening: str, closing: str, pairs: int) -> None:
    """Two levels a pair, and two of the envelope: 34 and more."""
    document = '{"schema": 1, "errors": [], "result": {"a": ' + opening * pairs + "0" + closing * pairs + "}}"
    with pytest.raises(ProtocolError, match="has more than 32 levels"):
        parsed(document)


def test_a_million_levels_are_refused_without_recursion() -> None:
    with pytest.raises(ProtocolError, match="has more than 32 levels"):
        parsed("[" * 1_000_000)


@pytest.mark.parametrize(
    "name",
    [
        "[" * 100,
        "{" * 100,
        "]" * 100,
        '"[[[',
        '\\"[',
        "\\\\[",
        '\\\\"{',
        '["]"',
        "\\",
        '"',
        "[\n",
        '\\"' * 50 + "[" * 50,
    ],
)
def test_brackets_in_texts_are_no_levels(name: str) -> None:
    result = {name: name, "list": [name, [name]], "then": name}
    for ascii_only in (True, False):
        document = json.dumps({"schema": 1, "result": result, "errors": []}, ensure_ascii=ascii_only)
        assert parsed(document).result == result
