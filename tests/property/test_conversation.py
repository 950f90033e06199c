from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from hvintegration.calls.answer import Answer, parse_answer
from hvintegration.calls.limits import MAX_DEPTH, is_deeper_than
from hvintegration.errors import DecodeError, ProtocolError

READ_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

brackets = st.text(st.sampled_from('[]{}"\\,:a\n\u00e9'), max_size=12)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), brackets, st.text())
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(brackets, inner, max_size=4)),
    max_leaves=25,
)


@st.composite
def towers(draw: st.DrawFn) -> object:
    """A value at the bottom of many lists and objects, which have other members as well."""
    value: object = draw(values)
    pattern = draw(st.lists(st.sampled_from("[{"), min_size=1, max_size=4))
    for wrap, _ in zip(itertools.cycle(pattern), range(draw(st.integers(0, MAX_DEPTH + 4)))):
        siblings = draw(st.lists(leaves, max_size=1))
        value = [*siblings, value] if wrap == "[" else {"before": siblings, draw(brackets): value}
    return value


def depth(value: object) -> int:
    """Levels of lists and objects."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


styles = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 0, 1]),
        "separators": st.sampled_from([None, (",", ":")]),
    }
)


@given(towers(), styles)
@example([{}], {})
@example([{"a": [{"a": []}]}], {})
@example(['\\"[', "]", {"\\": '["'}], {})
def test_the_depth_check_counts_levels_as_they_are(value: object, style: dict[str, Any]) -> None:
    document = json.dumps(value, **style)
    levels = depth(value)
    assert is_deeper_than(document, levels) is False
    if levels:
        assert is_deeper_than(document, levels - 1) is True


@given(towers())
def test_an_answer_is_refused_for_its_levels_exactly_if_it_has_too_many(value: object) -> None:
    envelope = {"schema": 1, "result": {"value": value}, "errors": []}
    # Not a number and infinity are no JSON; how they are refused is another test's claim.
    document = json.dumps(envelope).replace("NaN", "0").replace("Infinity", "0")
    try:
        refused = not isinstance(parse_answer(document, address="hv01", received_at=READ_AT), Answer)
    except ProtocolError as error:
        refused = str(error) == f"The answer of hv01 has more than {MAX_DEPTH} levels."
    assert refused is (depth(envelope) > MAX_DEPTH)


near_answers = st.fixed_dictionaries(
    {},
    optional={
        "schema": st.one_of(st.just(1), leaves),
        "result": st.one_of(st.none(), st.dictionaries(st.text(), values, max_size=3), values),
        "errors": st.one_of(
            st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={name: st.one_of(st.text(), leaves) for name in ("id", "category", "message", "target")},
                ),
                max_size=3,
            ),
            values,
        ),
    },
)
documents = st.one_of(
    st.text(st.characters(codec=None)),
    brackets,
    st.builds(json.dumps, values),
    st.builds(json.dumps, near_answers),
    st.builds(lambda value, cut: json.dumps(value)[:cut], near_answers, st.integers(0, 80)),
)


@given(documents)
def test_any_text_is_an_answer_or_refused_by_one_of_two_errors(document: str) -> None:
    try:
        answer = parse_answer(document, address="hv01", received_at=READ_AT)
    except (ProtocolError, DecodeError) as refused:
        assert str(refused).isprintable() is True  # noqa: PT017  # either way is fine, nothing else is
    else:
        envelope = json.loads(document)
        assert (envelope["schema"], answer.result, len(answer.errors)) == (
            1,
            envelope["result"],
            len(envelope["errors"]),
        )


@given(near_answers.filter(lambda envelope: depth(envelope) <= MAX_DEPTH))
def test_json_that_is_shallow_enough_is_never_called_unparsable(envelope: dict[str, Any]) -> None:
    document = json.dumps(envelope).replace("-Infinity", "0").replace("Infinity", "0").replace("NaN", "0")
    try:
        told: type[object] = type(parse_answer(document, address="hv01", received_at=READ_AT))
    except DecodeError:
        told = DecodeError
    assert told in {Answer, DecodeError}
