"""The package as a whole: what it exports, what importing it loads, who may import whom."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import hvintegration

PACKAGE = Path(hvintegration.__file__).parent

LEVELS = [
    ["errors", "clock", "credential", "service_names", "service_kind", "display", "models"],
    ["powershell"],
    [
        "operations",
        "operations.decoding",
        "operations.conversation",
        "operations.refusals",
        "operations.hosts",
        "operations.vms",
        "operations.inventory",
        "operations.services",
    ],
    [
        "transports",
        "transports.base",
        "transports.psrp",
        "transports.out_of_process",
        "transports.child_process",
        "transports.local",
        "simulator.clock",
        "simulator.world",
        "simulator.settling",
        "simulator.hyperv",
        "simulator.functions",
        "simulator.transport",
        "simulator",
    ],
    ["session"],
    ["integration_service", "vm", "host"],
    ["", "testing", "screen", "demo", "cli", "__main__"],
]
ORDER = [name for level in LEVELS for name in level]


def modules() -> dict[str, Path]:
    """Every module of the package, by its name without the package's."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(path: Path) -> set[str]:
    """The package's own modules that a file imports, early or late, for types or not."""
    own = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            if node.module is not None and node.module.split(".")[0] == "hvintegration":
                base = node.module.removeprefix("hvintegration").removeprefix(".")
                names = [f"{base}.{alias.name}".strip(".") for alias in node.names]
                own |= {name if name in ORDER else base for name in names}
        elif isinstance(node, ast.Import):
            own |= {alias.name.removeprefix("hvintegration.") for alias in node.names if "hvintegration" in alias.name}
    return own


def test_the_levels_name_every_module() -> None:
    assert set(modules()) == set(ORDER)


@pytest.mark.parametrize("name", [name for name in ORDER if name])
def test_a_module_imports_only_what_comes_before_it(name: str) -> None:
    later = {"host": {"simulator"}}  # connect() makes a simulator when an address asks for one

    allowed = set(ORDER[: ORDER.index(name)]) | later.get(name, set())

    assert imports(modules()[name]) <= allowed


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
    late = ["psrpcore", "pypsrp", "paramiko", "rich", "pandas", "cryptography", "xml", "subprocess"]
    statement = f"import sys, hvintegration; print([name for name in {late} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
