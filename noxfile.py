"""Everything that is run on this repository.

With nox installed: ``nox -s tests``. With nothing but Python 3.11 or later: ``python noxfile.py tests``, which keeps
nox in a virtual environment of its own under ``.nox``. What follows ``--`` goes to the program that a session runs.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NOX = "nox>=2025.11.12"
HERE = Path(__file__).resolve().parent

# Of what pip installs, what is imported gets compiled then; the rest, ten seconds' worth, never.
os.environ.setdefault("PIP_COMPILE", "0")


def run_as_script(arguments: list[str]) -> int:
    """Install nox into a virtual environment, unless it is there, and let it run this file."""
    if sys.version_info < (3, 11):  # noqa: UP036  # whoever runs it may have an older one
        sys.exit("hvintegration needs Python 3.11 or later; this is {}.{}.".format(*sys.version_info))
    folder = HERE / ".nox" / "bootstrap-{}.{}".format(*sys.version_info)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    finished = folder / "installed.txt"
    if not (python.exists() and finished.exists() and finished.read_text("utf-8") == NOX):
        print(f"Preparing {folder} ...", flush=True)  # noqa: T201  # it takes some seconds
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", NOX], check=True)
        finished.write_text(NOX, "utf-8")
    if arguments and not arguments[0].startswith("-"):
        arguments = ["--session", *arguments]
    return subprocess.call([python, "-m", "nox", "--noxfile", __file__, *arguments])


if __name__ == "__main__":
    sys.exit(run_as_script(sys.argv[1:]))

import nox  # noqa: E402  # as a script, this file ends above: nox need not be there

nox.needs_version = NOX.removeprefix("nox")
nox.options.sessions = ["lint", "types", "tests", "tests_bare", "coverage", "docs"]

DIST = HERE / "dist"
PYPROJECT = nox.project.load_toml(HERE / "pyproject.toml")

# Many tests wait, so that six processes are not too many for two processors.
WORKERS = ("--numprocesses", str(max(6, os.cpu_count() or 1)), "--dist", "loadgroup")

# What waits neither for time, nor for a network, nor for another process.
QUICK = ("tests/unit", "tests/objects", "tests/cli/test_commands.py", "tests/contract/test_contract.py")

WITHOUT_ENGINE = ("-m", "not engine")

UNLIMITED = ("--timeout", "0", "--override-ini", "faulthandler_timeout=0")

# What is compiled once is kept, whatever the environment says: every worker and every child process imports it.
COMPILED_ONCE: dict[str, str | None] = {"PYTHONDONTWRITEBYTECODE": None}

# Keeps the current folder off sys.path, in child processes too: what is imported is what is installed.
INSTALLED_ONLY: dict[str, str | None] = {"PYTHONSAFEPATH": "1"} | COMPILED_ONCE


def group(name: str) -> list[str]:
    """The requirements of a dependency group of pyproject.toml."""
    return list(nox.project.dependency_groups(PYPROJECT, name))


def install_wheel(session: nox.Session, extras: str, *requirements: str) -> None:
    """Install the wheel that the session ``build`` made. Fails if it is not what gets imported."""
    [wheel] = DIST.glob("*.whl")
    session.install(f"{wheel}{extras}", *requirements)
    session.install("--force-reinstall", "--no-deps", str(wheel))  # also if an older one of this version is there
    session.run("python", "-c", SHOW_INSTALLED, str(HERE / "hvintegration"), env=INSTALLED_ONLY, log=False)


SHOW_INSTALLED = """
import pathlib, sys, hvintegration
folder = pathlib.Path(hvintegration.__file__).parent
print("Tested is", folder)
sys.exit("That is the source tree!" if folder == pathlib.Path(sys.argv[1]) else 0)
"""


def compile_tests(session: nox.Session) -> None:
    """Compile what tests assert, each file once, and not by all processes at the same time."""
    files = sorted(map(str, HERE.glob("tests/**/test_*.py")))
    processors = os.cpu_count() or 1
    parts = [session.posargs] if session.posargs else [files[number::processors] for number in range(processors)]

    def collect(some: list[str]) -> None:
        pytest = ("pytest", *some, "--collect-only", "--quiet", "--numprocesses", "0")
        session.run(*pytest, env=INSTALLED_ONLY, silent=True, log=False, success_codes=range(6))

    with ThreadPoolExecutor(processors) as pool:
        list(pool.map(collect, parts))


def run_tests(session: nox.Session, *arguments: str) -> None:
    """Run pytest; with ``HVINTEGRATION_COVERAGE``, keep what it covered for the session ``coverage``."""
    pytest = ("pytest", *WORKERS, *arguments, *session.posargs)
    compile_tests(session)
    if not os.environ.get("HVINTEGRATION_COVERAGE"):  # Measuring doubles what Python itself takes.
        session.run(*pytest, env=INSTALLED_ONLY)
        return
    env = INSTALLED_ONLY | {"COVERAGE_FILE": str(HERE / f".coverage.{session.name}")}
    session.run("coverage", "erase", env=env)
    session.run("coverage", "run", "-m", *pytest, env=env)


@nox.session
def demo(session: nox.Session) -> None:
    """Show what the package does, on a simulated host."""
    session.install(".[cli]")
    session.run("python", "-m", "hvintegration", "demo", *session.posargs, env=INSTALLED_ONLY)


@nox.session(reuse_venv=True)
def build(session: nox.Session) -> None:
    """Build the source distribution, and from it the wheel."""
    session.install("build", *PYPROJECT["build-system"]["requires"])
    for old in DIST.glob("hvintegration-*"):
        old.unlink()
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(DIST), silent=True)


@nox.session(reuse_venv=True)
def quick(session: nox.Session) -> None:
    """Run the tests that wait for nothing, on the source tree, in half a minute; the environment stays for the next."""
    installed = Path(session.virtualenv.location) / "installed.toml"
    if not (installed.exists() and installed.read_bytes() == (HERE / "pyproject.toml").read_bytes()):
        session.install("--editable", ".[cli,pandas]", *group("tests"))
        installed.write_bytes((HERE / "pyproject.toml").read_bytes())
    session.run("pytest", *WORKERS, *WITHOUT_ENGINE, *(session.posargs or QUICK), env=COMPILED_ONCE)


@nox.session(requires=["build"])
def tests(session: nox.Session) -> None:
    """Run all tests against the wheel; ``HVINTEGRATION_TEST_EXTRAS`` names extras to have besides, such as kerberos."""
    extras = ",".join(["cli", "pandas", *os.environ.get("HVINTEGRATION_TEST_EXTRAS", "").split()])
    install_wheel(session, f"[{extras}]", *group("tests"))
    run_tests(session)


@nox.session(requires=["build"])
def tests_bare(session: nox.Session) -> None:
    """Run the tests that need no engine without any extra: neither rich nor pandas is there."""
    install_wheel(session, "", *group("tests"))
    run_tests(session, *WITHOUT_ENGINE)


@nox.session(requires=["build"])
def tests_lowest(session: nox.Session) -> None:
    """Run the tests that need no engine with the lowest versions of the dependencies that pyproject.toml allows."""
    session.install("uv")
    here = {"VIRTUAL_ENV": session.virtualenv.location}
    project = ("--requirements", "pyproject.toml", "--extra", "cli", "--extra", "pandas")
    session.run("uv", "pip", "install", "--resolution", "lowest-direct", *project, env=here)
    install_wheel(session, "[cli,pandas]", *group("tests"))
    session.run("uv", "pip", "list", env=here)
    run_tests(session, *WITHOUT_ENGINE)


@nox.session
def coverage(session: nox.Session) -> None:
    """Report what the measured test sessions before it covered, all together; fail below 95 %."""
    session.install(*(requirement for requirement in group("tests") if requirement.startswith("coverage")))
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format. To repair what can be: ``ruff check --fix && ruff format``."""
    session.install(*group("lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types: mypy on the package, the tests and what it must refuse, pyright on the package and a user's code."""
    session.install("--editable", ".[cli,pandas]", *group("typing"))
    session.run("mypy")
    session.run("pytest", "--override-ini", "python_files=check_*.py", "tests/typing")
    session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build/html; a broken reference is an error."""
    session.install("--editable", ".[cli,pandas]", *group("docs"))
    session.run("sphinx-build", "--nitpicky", "--fail-on-warning", "--keep-going", "docs", "docs/_build/html")


@nox.session(reuse_venv=True)
def notebooks(session: nox.Session) -> None:
    """Show in JupyterLab and on a page of nbconvert's, in Chromium, what notebooks show of other people's texts."""
    session.install("--editable", ".", *group("notebooks"))
    session.run("pytest", "-p", "no:randomly", "tests/docs/test_notebook_views.py", *session.posargs)


@nox.session(requires=["build"])
def soak(session: nox.Session) -> None:
    """Interrupt many calls, ask in threads, run all tests on all ways with many examples at random; some hours."""
    install_wheel(session, "[cli,pandas]", *group("tests"))
    amounts = {"HVINTEGRATION_INTERRUPTIONS": "20000", "HVINTEGRATION_QUERIES": "20000"}
    seed = os.environ.get("HVINTEGRATION_SEED") or str(random.SystemRandom().randrange(1_000_000))
    session.log(f"HVINTEGRATION_SEED={seed}")
    tests = ("tests/faults/test_interruptions.py", "tests/faults/test_threads.py")
    env: dict[str, str | None] = INSTALLED_ONLY | amounts | {"HVINTEGRATION_SEED": seed}
    session.run("pytest", *WORKERS, *UNLIMITED, *tests, *session.posargs, env=env)
    env |= {"HVINTEGRATION_INTERRUPTIONS": "2000", "HVINTEGRATION_EXAMPLES": "2000", "HVINTEGRATION_THOROUGH": "1"}
    session.run("pytest", *WORKERS, *UNLIMITED, *session.posargs, env=env)
    guests = ("tests/contract/test_linux_guest_contract.py", "tests/linux")
    env |= {"HVINTEGRATION_LINUX_GUESTS": "honest"}
    session.run("pytest", *WORKERS, *UNLIMITED, *guests, *session.posargs, env=env)


@nox.session(requires=["build"])
def bench(session: nox.Session) -> None:
    """Measure: run the benchmarks in tests/benchmarks/bench_*.py and show their figures."""
    install_wheel(session, "[cli,pandas]", *group("bench"))
    quiet = ("-p", "no:randomly", *UNLIMITED, "--capture", "no", "--override-ini", "python_files=bench_*.py")
    session.run("pytest", *quiet, "tests/benchmarks", *session.posargs, env=INSTALLED_ONLY)
