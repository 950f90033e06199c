from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import attrs
import pytest

from hvintegration.credential import Credential

SECRET = "correct horse battery staple"


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "{!r}".format, "%s".__mod__], ids=["repr", "str", "{}", "{!r}", "%s"]
)
def test_the_password_shows_nowhere(show: Callable[[object], str]) -> None:
    assert show(Credential("CORP\\admin", SECRET)) == "Credential(username='CORP\\\\admin')"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_written_down_and_the_refusal_does_not_repeat_it(protocol: int) -> None:
    with pytest.raises(TypeError, match="cannot be pickled") as refused:
        pickle.dumps(Credential("admin", SECRET), protocol)
    assert SECRET not in str(refused.value)


def test_it_cannot_be_written_down_inside_something_else() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps({"credential": [Credential("admin", SECRET)]})


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_copies_do_not_get_round_that(copied: Callable[[Credential], Credential]) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        copied(Credential("admin", SECRET))


def test_it_is_equal_to_one_that_says_the_same() -> None:
    same, other = Credential("admin", SECRET), Credential("admin", "else")
    assert (same == Credential("admin", SECRET), same == other) == (True, False)


def test_it_cannot_be_changed() -> None:
    credential = Credential("admin", SECRET)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        credential.password = "other"  # type: ignore[misc]
    assert credential.password == SECRET
