"""What the contract is run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvintegration.scripts import GUEST_OPERATOR, OPERATOR
from hvintegration.scripts.jea import ROLES


@pytest.fixture(scope="session")
def constrained_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session configuration file for ConstrainedLanguage."""
    file = tmp_path_factory.mktemp("session") / "constrained.pssc"
    file.write_text(
        "@{ SchemaVersion = '2.0.0.0'; GUID = '5f0c2f0e-0000-4000-8000-000000000001';"
        " SessionType = 'Default'; LanguageMode = 'ConstrainedLanguage' }"
    )
    return file


def restricted_to(role: str, folder: Path) -> Path:
    """A session configuration file with the keys of a role in it: the engine looks up no roles."""
    file = folder / "restricted.pssc"
    session = "@{\n    SchemaVersion = '2.0.0.0'\n    SessionType = 'RestrictedRemoteServer'\n"
    file.write_text({role.name: role for role in ROLES}[role].text.replace("@{\n", session, 1))
    return file


@pytest.fixture(scope="session")
def restricted_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session configuration file with the role for operators."""
    return restricted_to(OPERATOR, tmp_path_factory.mktemp("session"))


@pytest.fixture(scope="session")
def guest_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session configuration file with the role for those who may reach into guests."""
    return restricted_to(GUEST_OPERATOR, tmp_path_factory.mktemp("session"))
