"""What the contract is run on."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def constrained_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session configuration file for ConstrainedLanguage."""
    file = tmp_path_factory.mktemp("session") / "constrained.pssc"
    file.write_text(
        "@{ SchemaVersion = '2.0.0.0'; GUID = '5f0c2f0e-0000-4000-8000-000000000001';"
        " SessionType = 'Default'; LanguageMode = 'ConstrainedLanguage' }"
    )
    return file
