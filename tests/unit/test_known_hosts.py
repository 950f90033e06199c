"""What is trusted by a known_hosts file: each case of the table, which tests/ssh compares with OpenSSH."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.known_hosts_cases import CASES, Case, Server, trusts


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_key_is_trusted_as_the_table_says(case: Case, tmp_path: Path) -> None:
    assert trusts(case, Server(case.host), tmp_path / "known_hosts") is case.trusted_by_us
