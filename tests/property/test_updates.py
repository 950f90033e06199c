"""Whatever a guest calls itself, advice is answered, and it is text that can be shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from hvintegration.guest_models import GuestFamily, GuestInfo, GuestServiceState
from hvintegration.service_kind import ServiceKind
from hvintegration.updates import advice_from_facts, update_advice
from tests.support.system_infos import guest_info, host_info

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = st.sampled_from(
    ["Windows", "Server", "Microsoft", "2012", "R2", "10", "10.0", "17763", "SP1", "Linux", "Ubuntu", "22.04", ".", "®"]
)
ANYTHING = st.one_of(
    st.text(st.characters(exclude_categories=())), st.lists(WORDS).map(" ".join), st.lists(WORDS).map("".join)
)
OR_NONE = st.none() | ANYTHING


@st.composite
def guests(draw: st.DrawFn) -> GuestInfo:
    return guest_info(draw(OR_NONE), draw(OR_NONE), draw(st.sampled_from(GuestFamily)), draw(OR_NONE))


@st.composite
def services(draw: st.DrawFn) -> GuestServiceState:
    return GuestServiceState(
        address="sim:",
        kind=ServiceKind.KVP,
        name="hv_kvp_daemon",
        installed=draw(st.none() | st.booleans()),
        running=None,
        version=draw(OR_NONE),
        package=draw(OR_NONE),
        available_version=draw(OR_NONE),
        read_at=NOW,
    )


@given(OR_NONE, OR_NONE, st.none() | ANYTHING | guests(), st.lists(services(), max_size=3))
def test_no_text_of_a_guest_is_an_error(
    caption: str | None, version: str | None, guest: GuestInfo | str | None, states: list[GuestServiceState]
) -> None:
    advice = advice_from_facts(host_info(caption, version), guest, states)
    assert json.loads(json.dumps(advice.to_dict()))["mechanism"] == advice.mechanism
    assert "\x1b" not in str(advice)


@given(ANYTHING.filter(str.strip), ANYTHING.filter(str.strip))
def test_no_name_of_a_system_is_an_error(host: str, guest: str) -> None:
    advice = update_advice(host_os=host, guest_os=guest)
    assert (advice.mechanism == "unknown") >= (not advice.host_os or not advice.guest_os)
