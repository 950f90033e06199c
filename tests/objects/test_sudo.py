"""A password for sudo in a Linux guest: who gets it, what comes of a wrong one, and where it shows."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

import hvintegration as hv
from hvintegration.errors import AuthenticationError, ConfigurationError, PermissionDeniedError
from hvintegration.guest import Guest
from hvintegration.simulator import LinuxSystem, World, demo_world

PASSWORD = "correct horse"


def demo(rights: str = "sudo with a password") -> World:
    world = demo_world()
    world.machine("web").linux = LinuxSystem(rights=rights, sudo_password=PASSWORD)
    return world


def guest_of(world: World, password: Any = PASSWORD, **options: Any) -> Guest:  # noqa: ANN401 - of any type
    return Guest(hv.Simulator(world, guest="web", clock=hv.VirtualClock()), sudo_password=password, **options)


def test_with_it_a_user_may_what_root_may() -> None:
    guest = guest_of(demo())
    assert guest.info().administrator is True
    state = guest.services["kvp"].state()
    assert (state.cannot_start, state.cannot_stop) == (None, None)
    assert guest.services["kvp"].stop().running is False
    assert guest.services["kvp"].start().running


@pytest.mark.parametrize(
    ("rights", "why"),
    [
        ("sudo with a password", "sudo asks for a password."),
        ("sudo on a terminal", "requiretty"),
        ("doas with a password", "takes on a terminal only"),
        ("none", "This user is not root."),
    ],
)
def test_without_it_is_told_why_not(rights: str, why: str) -> None:
    guest = guest_of(demo(rights), None)
    assert guest.info().administrator is False
    assert why in (guest.services["kvp"].state().cannot_stop or "")
    with pytest.raises(PermissionDeniedError) as refused:
        guest.services["kvp"].stop()
    assert "As root, run: systemctl" in (refused.value.hint or "")


@pytest.mark.parametrize("rights", ["root", "sudo", "none", "sudo on a terminal", "doas with a password"])
def test_where_it_is_of_no_use_it_changes_nothing(rights: str) -> None:
    assert guest_of(demo(rights)).info().administrator is (rights in {"root", "sudo"})


@pytest.mark.parametrize("family", ["linux", None])
def test_a_wrong_one_is_told_at_once_and_never_sent_again(family: str | None) -> None:
    world = demo()
    guest = guest_of(world, "wrong", family=family)
    with pytest.raises(AuthenticationError, match="does not take the password") as refused:
        guest.info()
    assert (refused.value.may_have_run, refused.value.address) == (False, "sim:#guest=web")
    assert "sudo_password" in (refused.value.hint or "")
    sent = guest.session.stats.round_trips
    for verb in (guest.info, guest.services["kvp"].stop, lambda: guest.set_services({"vss": True})):
        with pytest.raises(AuthenticationError):
            verb()
    assert guest.session.stats.round_trips == sent
    assert world.journal == []


def test_one_that_is_refused_while_something_is_changed_changes_nothing() -> None:
    world = demo()
    for verb in ("start", "stop", "restart"):
        with pytest.raises(AuthenticationError):
            getattr(guest_of(world, "wrong", family="linux").services["kvp"], verb)()
    assert world.journal == []


@pytest.mark.parametrize("password", ["", "two\nlines", "nu\0ll", "half \ud800", 7, b"bytes", hv.Credential("a", "b")])
def test_one_that_nobody_could_type_is_refused_and_not_repeated(password: object) -> None:
    with pytest.raises(ConfigurationError, match=r"sudo_password|password") as refused:
        guest_of(demo(), password)
    assert "lines" not in str(refused.value)


def test_windows_has_none() -> None:
    with pytest.raises(ConfigurationError, match="Linux guests"):
        guest_of(demo(), family="windows")
    vm = hv.Host(hv.Simulator(demo())).vms["demovm"]
    with pytest.raises(ConfigurationError, match="PowerShell Direct"):
        vm.guest(credential=hv.Credential("a", "b"), sudo_password=PASSWORD)


def test_it_is_given_where_a_guest_is_connected_with(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    demo().save(path)
    guest = hv.connect_guest(f"sim:{path}", options={"guest": "web"}, sudo_password=PASSWORD)
    assert guest.info().administrator
    vm = hv.Host(hv.Simulator(demo())).vms["web"]
    assert vm.guest(f"sim:{path}", options={"guest": "web"}, sudo_password=PASSWORD).info().administrator


def test_it_shows_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    recording = tmp_path / "recording.jsonl"
    simulator = hv.Simulator(demo(), guest="web", clock=hv.VirtualClock())
    with Guest(hv.Recorder(simulator, recording, keep_texts=True), sudo_password=PASSWORD) as guest:
        guest.services["kvp"].restart()
        shown = [repr(guest), repr(guest.session), str(guest.session.stats), repr(guest._target)]  # noqa: SLF001
    assert PASSWORD not in "".join([*shown, caplog.text, recording.read_text()])
    with pytest.raises(TypeError):
        pickle.dumps(guest)
    replayed = Guest(hv.Replay(recording))
    assert replayed.services["kvp"].restart().running
