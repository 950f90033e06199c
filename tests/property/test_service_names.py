from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvintegration.errors import UnknownServiceError
from hvintegration.service_kind import HOST_MANAGED, ServiceKind
from hvintegration.service_names import GUEST_DISPLAY_NAMES, HOST_NAMES


def texts_of(kind: ServiceKind) -> list[str]:
    """Everything that the kind's properties and the tables of names call it."""
    found = [kind.key, kind.name, kind.label, kind.windows_service, kind.windows_display_name]
    found += [*kind.manager_labels, *kind.linux_daemons]
    for names in (*HOST_NAMES.values(), *GUEST_DISPLAY_NAMES.values()):
        found += names.get(kind.key, ())
    return found


KNOWN = [(text, kind) for kind in ServiceKind for text in texts_of(kind)]
known = st.sampled_from(KNOWN)

SPACES = (" ", "  ", "\t", "\n", "\u00a0", "\u2009", "\u3000")
DASHES = ("-", "_", " ", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\uff0d")
APOSTROPHES = ("'", "\u2018", "\u2019", "\u02bc", "\u00b4", "`", "\uff07")
FORMS = ("NFC", "NFD", "NFKC", "NFKD")
CASES: tuple[Callable[[str], str], ...] = (str.upper, str.lower, str.title, str.swapcase, str.casefold, str)


def folded(text: str) -> str:
    """What counts of a name, written a second time: letters and digits, in no case and no form."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in plain if character.isalnum())


# -- one to one ----------------------------------------------------------------------------------------------------


def test_no_two_kinds_share_a_name() -> None:
    owners: dict[str, set[ServiceKind]] = {}
    for text, kind in KNOWN:
        owners.setdefault(folded(text), set()).add(kind)
    assert {text: kinds for text, kinds in owners.items() if len(kinds) > 1} == {}


def test_every_name_finds_its_own_kind() -> None:
    assert [(text, kind) for text, kind in KNOWN if ServiceKind.find(text) is not kind] == []


UNIQUE: dict[str, Callable[[ServiceKind], object]] = {
    "key": lambda kind: kind.key,
    "label": lambda kind: kind.label,
    "windows service": lambda kind: kind.windows_service,
    "windows display name": lambda kind: kind.windows_display_name,
    "vmbus class": lambda kind: kind.vmbus_class_id,
    "message type": lambda kind: kind.message_type,
    "what is lost": lambda kind: kind.when_disabled,
}


@pytest.mark.parametrize("identity", UNIQUE.values(), ids=UNIQUE)
def test_an_identity_belongs_to_one_kind(identity: Callable[[ServiceKind], object]) -> None:
    assert len({identity(kind) for kind in ServiceKind}) == len(ServiceKind)


def test_all_guids_are_different_and_in_one_form() -> None:
    found = [kind.component_id for kind in HOST_MANAGED] + [kind.vmbus_class_id for kind in ServiceKind]
    found += [kind.vmbus_device_id for kind in ServiceKind if kind.vmbus_device_id is not None]
    assert (len(set(found)), {guid for guid in found if guid != str(guid).lower().strip("{}")}) == (len(found), set())


def test_the_kinds_of_names_do_not_overlap_between_services() -> None:
    names = [name for kind in ServiceKind for name in {*kind.linux_daemons, kind.windows_service, *kind.manager_labels}]
    assert len(names) == len(set(names))


# -- the ways to write a name --------------------------------------------------------------------------------------


@given(known, st.sampled_from(CASES), st.sampled_from(SPACES), st.sampled_from(SPACES), st.sampled_from(FORMS))
def test_case_surrounding_space_and_normal_form_do_not_matter(
    named: tuple[str, ServiceKind], case: Callable[[str], str], before: str, after: str, form: str
) -> None:
    text, kind = named
    written = before + unicodedata.normalize(form, case(text)) + after  # type: ignore[arg-type]
    assert ServiceKind.find(written) is kind


@given(known, st.data())
def test_kinds_of_spaces_dashes_and_apostrophes_do_not_matter(
    named: tuple[str, ServiceKind], data: st.DataObject
) -> None:
    text, kind = named
    written = ""
    for character in text:
        kinds = next((kinds for kinds in (SPACES, DASHES, APOSTROPHES) if character in kinds), (character,))
        written += data.draw(st.sampled_from(kinds))
    assert ServiceKind.find(written) is kind


@given(st.sampled_from(HOST_MANAGED), st.uuids(), st.sampled_from(CASES[:2]), st.sampled_from(["{}", "{{{}}}", " {} "]))
def test_a_live_id_of_any_virtual_machine_finds_its_component(
    kind: ServiceKind, vm_id: object, case: Callable[[str], str], form: str
) -> None:
    component = case(form.format(kind.component_id))
    assert ServiceKind.find(f"Microsoft:{vm_id}\\{component}") is kind
    assert ServiceKind.of_component(component) is kind


@given(st.one_of(st.text(), st.text(st.characters(codec=None)), st.text("{}\\:-0123456789abcdefABCDEF", max_size=60)))
def test_any_text_finds_a_kind_or_is_unknown_and_nothing_else(text: str) -> None:
    try:
        found = ServiceKind.find(text)
    except UnknownServiceError as unknown:
        assert (unknown.name, str(unknown).isprintable()) == (text, True)  # noqa: PT017  # either way is fine
    else:
        assert found in ServiceKind


@given(st.uuids())
def test_no_other_guid_is_a_component(guid: object) -> None:
    assert ServiceKind.of_component(str(guid)) is None
