"""The package as a whole: what it exports and what importing it loads."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import hvintegration


def test_exports_are_sorted_and_there() -> None:
    plain = [name for name in hvintegration.__all__ if name.islower()]
    classes = [name for name in hvintegration.__all__ if not name.islower()]

    assert plain == sorted(plain)
    assert len(set(classes)) == len(classes)
    for name in hvintegration.__all__:
        assert getattr(hvintegration, name) is not None
    assert set(hvintegration.__all__) <= set(dir(hvintegration))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Remote"):
        hvintegration.Remote  # noqa: B018


def test_the_version_is_the_one_that_is_installed() -> None:
    assert hvintegration.__version__ == importlib.metadata.version("hvintegration")


def test_importing_loads_no_transport_library() -> None:
    late = ["psrpcore", "pypsrp", "paramiko", "rich", "pandas", "cryptography"]
    statement = f"import sys, hvintegration; print([name for name in {late} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
