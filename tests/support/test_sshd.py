"""Where no OpenSSH server can be started, tests that need one are skipped, and say why."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support import sshd


def test_only_root_starts_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)

    assert sshd.missing() == "sshd is started by root only"


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name == "sshd" else f"/usr/bin/{name}")

    assert sshd.missing() == "there is no sshd"
