"""The page of what is proved names what is not."""

from __future__ import annotations

from pathlib import Path

from hvintegration.linux_distributions import DISTRIBUTIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "verification.md"


def test_each_distribution_that_was_not_seen_is_named() -> None:
    _, not_verified = PAGE.read_text("utf-8").split("## Not verified")
    assert [row.name for row in DISTRIBUTIONS if not row.seen and row.name not in not_verified] == []
