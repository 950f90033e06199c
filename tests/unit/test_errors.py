from __future__ import annotations

import ast
import copy
import json
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hvintegration import Host, Simulator, errors
from hvintegration.errors import (
    CREDENTIAL,
    EXCERPT_LENGTH,
    Hint,
    HvError,
    UnknownServiceError,
    argument,
    excerpt,
    for_command,
)
from hvintegration.models import Health
from hvintegration.simulator import demo_world

MESSAGE = "Something went wrong on hv01."
HINT = "Do something else."
DIFFERENT = Hint.of("Pass {}, or {} in {{}}.", CREDENTIAL, argument("host_key", "SHA256:a'b"))
TRANSPORT = {"message": MESSAGE, "address": "ssh://hv01", "hint": HINT}
REMOTE = {
    "message": MESSAGE,
    "address": "hv01",
    "error_id": "OperationFailed,Microsoft.HyperV.PowerShell.Commands.GetVM",
    "category": "NotSpecified",
    "host_message": "Der Vorgang ist fehlgeschlagen.\nÜberhaupt.",
    "hint": HINT,
}
POSSIBLY_RUN = {"may_have_run": True, "fenced": True}

ARGUMENTS: dict[str, dict[str, Any]] = {
    "HvError": {"message": MESSAGE, "hint": HINT},
    "ConfigurationError": {"message": MESSAGE, "hint": HINT},
    "UnknownServiceError": {"name": "hartbeat", "suggestions": ("Heartbeat", "VSS")},
    "ReentrantCallError": {"address": "hv01"},
    "TransportError": TRANSPORT | POSSIBLY_RUN,
    "ConnectError": TRANSPORT,
    "AuthenticationError": TRANSPORT,
    "UntrustedHostError": TRANSPORT | {"expected": None, "offered": "SHA256:abc"},
    "BusyError": TRANSPORT,
    "TransportTimeoutError": POSSIBLY_RUN | {"address": "hv01", "hint": HINT, "after": 2.5},
    "ConnectionLostError": TRANSPORT | POSSIBLY_RUN,
    "ProtocolError": TRANSPORT | POSSIBLY_RUN | {"received": "<html>\x1b[31m"},
    "OutcomeUnknownError": {"address": "hv01", "asked": ("enable VSS of a", "disable VSS of b"), "reason": "lost"},
    "RemoteError": REMOTE,
    "NotFoundError": REMOTE,
    "VMNotFoundError": REMOTE,
    "ServiceNotFoundError": REMOTE,
    "AmbiguousError": {"message": MESSAGE, "address": "hv01", "candidates": ("id-1", "id-2")},
    "PermissionDeniedError": REMOTE,
    "UnsupportedError": REMOTE | {"needs": "the Hyper-V module for PowerShell"},
    "InvalidStateError": REMOTE | {"action": "start", "current": "Running", "expected": "Off"},
    "CommandFailedError": REMOTE,
    "DecodeError": {"path": "$.result", "expected": "an object", "found": "[1, 2]"},
    "WaitTimeoutError": {"message": MESSAGE, "wanted": "ok", "last": Health.PROBLEM, "hint": HINT},
}

TREE = """
HvError
  ConfigurationError (ValueError)
  UnknownServiceError (KeyError)
  ReentrantCallError
  TransportError
    ConnectError
      AuthenticationError
      UntrustedHostError
    BusyError
    TransportTimeoutError (TimeoutError)
    ConnectionLostError
    ProtocolError
    OutcomeUnknownError
  RemoteError
    NotFoundError (KeyError)
      VMNotFoundError
      ServiceNotFoundError
    AmbiguousError
    PermissionDeniedError
    UnsupportedError
    InvalidStateError
    CommandFailedError
  DecodeError
  WaitTimeoutError (TimeoutError)
"""


def descendants(cls: type[HvError]) -> Iterator[type[HvError]]:
    yield cls
    for child in subclasses(cls):
        yield from descendants(child)


def subclasses(cls: type[HvError]) -> list[type[HvError]]:
    """Those of the package; tests make others."""
    return [child for child in cls.__subclasses__() if child.__module__ == errors.__name__]


def drawn(cls: type[HvError], indent: str = "") -> str:
    bases = [base.__name__ for base in cls.__bases__ if not issubclass(base, HvError) and base is not Exception]
    line = f"{indent}{cls.__name__}" + (f" ({bases[0]})" if bases else "")
    return "\n".join([line, *(drawn(child, indent + "  ") for child in subclasses(cls))])


ALL = tuple(cls for cls in descendants(HvError) if cls.__module__ == errors.__name__)
every_class = pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)


def made(cls: type[HvError]) -> HvError:
    return cls(**ARGUMENTS[cls.__name__])


def test_the_tree_is_that_of_the_design() -> None:
    assert drawn(HvError) == TREE.strip()


def test_every_class_is_public_and_every_public_name_is_a_class() -> None:
    assert {cls.__name__ for cls in ALL} == set(errors.__all__)


@every_class
def test_every_attribute_is_a_declared_fact(cls: type[HvError]) -> None:
    error = made(cls)
    facts = error.to_dict()["facts"]
    assert isinstance(facts, dict)
    assert set(vars(error)) - {"__notes__", "hint", "retryable"} == set(facts)


@every_class
def test_an_argument_is_kept_as_the_attribute_of_its_name(cls: type[HvError]) -> None:
    error = made(cls)
    facts = {name: value for name, value in ARGUMENTS[cls.__name__].items() if name in vars(error)}
    assert {name: getattr(error, name) for name in facts} == facts


@every_class
def test_the_text_is_one_sentence_and_no_repr(cls: type[HvError]) -> None:
    text = str(made(cls))
    assert (text[0].isupper(), text[-1] in ".?", text.isprintable()) == (True, True, True)


@every_class
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_keeps_class_text_attributes_and_notes(cls: type[HvError], protocol: int) -> None:
    error = made(cls)
    error.add_note("Added later.")
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  # its own pickle
    assert (type(again), str(again), again.args, vars(again)) == (cls, str(error), error.args, vars(error))


@every_class
def test_copying_keeps_everything(cls: type[HvError]) -> None:
    error = made(cls)
    again = copy.deepcopy(error)
    assert (type(again), again.args, vars(again)) == (cls, error.args, vars(error))


@every_class
@pytest.mark.parametrize("pickled", [False, True], ids=["fresh", "pickled"])
def test_the_hint_is_shown_once_below_a_traceback(cls: type[HvError], *, pickled: bool) -> None:
    error = made(cls)
    shown = pickle.loads(pickle.dumps(error)) if pickled else error  # noqa: S301  # its own pickle
    lines = "".join(traceback.format_exception(shown)).splitlines()
    assert lines.count(f"Hint: {error.hint}") == (0 if error.hint is None else 1)


def test_without_a_hint_there_is_no_note() -> None:
    assert hasattr(errors.ConfigurationError(MESSAGE), "__notes__") is False


RETRYABLE = {"BusyError", "TransportTimeoutError", "ConnectionLostError", "WaitTimeoutError"}


def test_only_what_can_succeed_later_by_itself_is_retryable() -> None:
    assert {cls.__name__ for cls in ALL if cls.retryable} == RETRYABLE


def test_a_state_is_retryable_where_the_host_says_so_and_not_where_somebody_must_act() -> None:
    busy = errors.InvalidStateError(MESSAGE, address="hv01", action="enable", error_id="InvalidState,X")
    off = errors.InvalidStateError(MESSAGE, address="hv01", action="wait", current="Off", expected="Running")
    assert (busy.retryable, off.retryable) == (True, False)


@pytest.mark.parametrize("cls", [errors.ConnectError, errors.AuthenticationError, errors.BusyError])
def test_where_nothing_was_sent_nothing_has_run(cls: type[errors.ConnectError | errors.BusyError]) -> None:
    error = cls(MESSAGE, address="hv01")
    assert (error.may_have_run, error.fenced) == (False, True)


def test_an_unparsable_answer_means_that_the_script_may_have_run() -> None:
    error = errors.ProtocolError(MESSAGE, address="hv01")
    assert (error.may_have_run, error.fenced, error.excerpt) == (True, False, "")


def test_an_unknown_outcome_names_all_that_was_asked() -> None:
    error = errors.OutcomeUnknownError(address="hv01", asked=("enable VSS of a", "disable VSS of b"), reason="lost")
    assert str(error) == "It is unknown whether hv01 carried out: enable VSS of a; disable VSS of b (lost)."


@pytest.mark.parametrize(
    ("suggestions", "end"),
    [((), "."), (("VSS",), ". Did you mean 'VSS'?"), (("VSS", "Shutdown"), ". Did you mean 'VSS' or 'Shutdown'?")],
    ids=["none", "one", "two"],
)
def test_an_unknown_service_suggests_what_is_close(suggestions: tuple[str, ...], end: str) -> None:
    assert str(UnknownServiceError("vsss", suggestions)) == f"No integration service is known as 'vsss'{end}"


def test_an_ambiguous_name_is_answered_with_the_ids() -> None:
    error = errors.AmbiguousError(MESSAGE, address="hv01", candidates=("id-1", "id-2"))
    assert error.hint == "Use an id instead of the name: id-1, id-2"


def test_what_was_found_is_cut_short() -> None:
    error = errors.DecodeError(path="$", expected="an object", found="x" * 100_000)
    assert (len(error.found), len(str(error)) < 2 * EXCERPT_LENGTH) == (EXCERPT_LENGTH, True)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("plain text", "plain text"),
        ("Grüße, 日本語", "Grüße, 日本語"),
        ("two\r\nlines\tand a tab", "two  lines and a tab"),
        ("\x1b[31mred\x07", " [31mred "),
        ("evil\u202eexe.txt", "evil exe.txt"),
        ("half \ud800 a pair", "half   a pair"),
        ("x" * EXCERPT_LENGTH, "x" * EXCERPT_LENGTH),
        ("x" * (EXCERPT_LENGTH + 1), "x" * (EXCERPT_LENGTH - 1) + "…"),
        ("x" * 1_000_000, "x" * (EXCERPT_LENGTH - 1) + "…"),
    ],
    ids=["empty", "plain", "letters", "line breaks", "escape", "bidi", "surrogate", "fits", "one too many", "huge"],
)
def test_an_excerpt_is_one_bounded_line_without_control_characters(text: str, line: str) -> None:
    assert excerpt(text) == line


def test_a_judged_loss_is_the_same_but_for_what_is_known_of_the_call() -> None:
    cause = OSError("reset")
    lost = errors.ConnectionLostError(MESSAGE, address="hv01", hint=HINT)
    lost.__cause__ = cause

    judged = lost.judged(may_have_run=False, fenced=True)

    assert (type(judged), str(judged), judged.hint, judged.__cause__) == (type(lost), str(lost), HINT, cause)
    assert (judged.may_have_run, judged.fenced) == (False, True)
    assert (lost.may_have_run, lost.fenced) == (True, False)
    judged.add_note("Later.")
    assert judged.__notes__ == [*lost.__notes__, "Later."]


# -- plain data ---------------------------------------------------------------------------------------------------


def test_plain_data_of_an_older_version_has_fewer_facts() -> None:
    data = errors.ConnectionLostError("Gone.", address="hv01").to_dict()
    facts = data["facts"]
    assert isinstance(facts, dict)
    del facts["host_message"]

    again = errors.HvError.from_dict(data)

    assert isinstance(again, errors.ConnectionLostError)
    assert (str(again), again.host_message) == ("Gone.", "")


def test_as_plain_data_an_error_says_its_class_and_all_that_it_knows() -> None:
    error = errors.TransportTimeoutError(address="hv01", after=60, hint=DIFFERENT, fenced=True)
    assert error.to_dict() == {
        "schema": 1,
        "class": "TransportTimeoutError",
        "message": "No answer came from hv01 within 60 seconds.",
        "retryable": True,
        "hint": str(DIFFERENT),
        "command_hint": for_command(DIFFERENT),
        "facts": {"address": "hv01", "may_have_run": True, "fenced": True, "host_message": "", "after": 60},
    }


def test_values_among_the_facts_become_plain_data_and_stay_it() -> None:
    state = Host(Simulator(demo_world())).vms["demovm"].services["vss"].state()
    waited = errors.WaitTimeoutError(MESSAGE, wanted="ok", last=state)
    lost = errors.OutcomeUnknownError(address="hv01", asked=("a",), reason="lost", known=(state,))

    again = HvError.from_dict(waited.to_dict())
    assert isinstance(again, errors.WaitTimeoutError)
    assert again.last == state.to_dict()
    unknown = HvError.from_dict(lost.to_dict())
    assert isinstance(unknown, errors.OutcomeUnknownError)
    assert (unknown.asked, unknown.known) == (("a",), (state.to_dict(),))


def circle() -> list[object]:
    items: list[object] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("last", "plain"),
    [
        (None, None),
        (Health.PROBLEM, "problem"),
        ((1, 2.5, True, "x"), [1, 2.5, True, "x"]),
        ({1: {"a": (None,)}}, {"1": {"a": [None]}}),
        (float("inf"), "inf"),
        (2**64, "<int>"),
        (object(), "<object>"),
    ],
)
def test_whatever_was_read_last_can_be_stored_as_json(last: object, plain: object) -> None:
    facts = errors.WaitTimeoutError(MESSAGE, wanted="ok", last=last).to_dict()["facts"]
    assert facts == {"wanted": "ok", "last": plain}
    assert json.loads(json.dumps(facts)) == facts


def test_what_has_no_end_is_cut_off() -> None:
    text = json.dumps(errors.WaitTimeoutError(MESSAGE, wanted="ok", last=circle()).to_dict())
    assert text.count("[") < 100
    assert "<list>" in text


def test_a_time_out_tells_the_last_complaint() -> None:
    late = errors.TransportTimeoutError(address="hv01", after=60, doing="start", host_message="Out of\nlicences.")

    assert str(late) == (
        "No answer came from hv01 within 60 seconds; it was to start;"
        " the last on its standard error is: Out of licences."
    )


def test_a_class_of_your_own_is_the_nearest_of_ours_as_plain_data() -> None:
    class Own(errors.ConnectionLostError):
        more = 1

    assert type(HvError.from_dict(Own(MESSAGE, address="hv01").to_dict())) is errors.ConnectionLostError


PLAIN = errors.TransportTimeoutError(address="hv01", after=60).to_dict()
FACTS = {"address": "hv01", "may_have_run": True, "fenced": True, "after": 60}
UNKNOWN = {"facts": FACTS | {"asked": ["a"], "known": []}, "class": "OutcomeUnknownError"}


def deep() -> object:
    items: list[object] = []
    for _ in range(100_000):
        items = [items]
    return items


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (None, "$"),
        ([], "$"),
        (deep, "$"),
        ({}, "$.schema"),
        (PLAIN | {"schema": 2}, "$.schema"),
        (PLAIN | {"class": "NewError"}, "$.class"),
        (PLAIN | {"class": "Hint"}, "$.class"),
        (PLAIN | {"class": ["HvError"]}, "$.class"),
        (PLAIN | {"class": None}, "$.class"),
        (PLAIN | {"message": 1}, "$.message"),
        (lambda: PLAIN | {"message": deep()}, "$.message"),
        (PLAIN | {"retryable": 1}, "$.retryable"),
        (PLAIN | {"hint": 1}, "$.hint"),
        (PLAIN | {"command_hint": []}, "$.command_hint"),
        (PLAIN | {"facts": None}, "$.facts"),
        (PLAIN | {"facts": [1]}, "$.facts"),
        (PLAIN | {"facts": FACTS | {"after": "60"}}, "$.facts.after"),
        (PLAIN | {"facts": FACTS | {"after": True}}, "$.facts.after"),
        (PLAIN | {"facts": FACTS | {"after": None}}, "$.facts.after"),
        (PLAIN | {"facts": FACTS | {"fenced": 1}}, "$.facts.fenced"),
        (PLAIN | {"facts": {"after": 60}}, "$.facts.address"),
        (PLAIN | UNKNOWN | {"facts": UNKNOWN["facts"] | {"asked": "a"}}, "$.facts.asked"),  # type: ignore[operator]
        (PLAIN | UNKNOWN | {"facts": UNKNOWN["facts"] | {"asked": ["a", 1]}}, "$.facts.asked[1]"),  # type: ignore[operator]
        (PLAIN | UNKNOWN | {"facts": UNKNOWN["facts"] | {"known": {}}}, "$.facts.known"),  # type: ignore[operator]
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_error_is_refused_with_its_place(data: object, path: str) -> None:
    data = data() if callable(data) else data
    with pytest.raises(errors.DecodeError) as refused:
        HvError.from_dict(data)
    assert refused.value.path == path
    with pytest.raises(errors.DecodeError, match=r"at \$\.error"):
        HvError.from_dict(data, path="$.error")


def test_what_is_deep_among_the_facts_is_cut_off() -> None:
    error = HvError.from_dict(PLAIN | {"class": "WaitTimeoutError", "facts": {"wanted": "ok", "last": deep()}})
    assert "<list>" in json.dumps(error.to_dict())


# -- hints --------------------------------------------------------------------------------------------------------


def test_a_hint_is_for_python_and_has_another_form_for_the_command() -> None:
    assert DIFFERENT == """Pass credential=Credential(...), or host_key="SHA256:a'b" in {}."""
    assert for_command(DIFFERENT) == "Pass --user USER, or --option host_key=SHA256:a'b in {}."
    assert for_command("Try again.") == "Try again."
    assert (argument("auth"), for_command(argument("auth"))) == ("auth=...", "--option auth=...")


def test_a_hint_is_on_one_line_in_both_forms() -> None:
    hint = errors.ConfigurationError(MESSAGE, hint=Hint.of("a{}b", Hint("\n", "\x1b"))).hint
    assert hint is not None
    assert (hint, for_command(hint)) == ("a b", "a b")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_both_forms_of_a_hint_survive(protocol: int) -> None:
    error = errors.ConnectionLostError(MESSAGE, address="hv01", hint=DIFFERENT)
    pickled = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  # its own pickle
    for again in (error, pickled, copy.deepcopy(error), error.judged(may_have_run=False, fenced=True)):
        assert again.hint == DIFFERENT
        assert for_command(again.hint) == for_command(DIFFERENT)
        assert again.__notes__ == [f"Hint: {DIFFERENT}"]


@pytest.mark.parametrize(("after", "said"), [(60, "60 seconds"), (0.5, "0.5 seconds"), (1.0, "1 second")])
def test_a_time_out_names_the_time_that_the_caller_gave(after: float, said: str) -> None:
    assert str(errors.TransportTimeoutError(address="hv01", after=after)) == f"No answer came from hv01 within {said}."


def test_nothing_changes_what_a_loss_means_on_its_way() -> None:
    """Who knows more raises a judged copy."""
    package = Path(errors.__file__).parent
    assigned = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in package.rglob("*.py")
        if path.name != "errors.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr in {"may_have_run", "fenced"}
    ]
    assert assigned == []
