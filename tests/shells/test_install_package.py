"""What has a package manager run for root, with one that tests play, in every POSIX shell that is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.shells.test_linux_facts import programs
from tests.shells.test_sh_scripts import (
    LOOKED_FOR,
    command,
    document_of,
    every_shell,
    needs_root,
    needs_unshare,
    request,
    run,
    said,
    text_of,
)

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX shell"),
    needs_root,
    needs_unshare,
    pytest.mark.skipif(shutil.which("nsenter") is None, reason="the program nsenter is missing"),
]


@attrs.frozen
class Machine:
    """Processes and a /run of its own on this machine.

    Attributes:
        shell: What runs scripts there.
        enter: The arguments that run a program there.
        folder: Where the package manager is that is played, what it wants to run, and what it has noted.
        environment: Has programs that are played.
    """

    shell: str
    enter: tuple[str, ...]
    folder: Path
    environment: dict[str, str]

    def ask(self, script: str, document: str) -> dict[str, Any]:
        output = run([*self.enter, *command(self.shell)], request(text_of(script), document), env=self.environment)
        kind, text = said(output) or ("nothing", "")
        assert kind == "answer", output
        answer: dict[str, Any] = json.loads(text)
        return answer

    def install(self, *, dry_run: bool = False) -> dict[str, Any]:
        words = f"{self.folder / 'manager'} install it"
        document = {"vm_id": None, "dry_run": dry_run, "command": words} | LOOKED_FOR
        answer = self.ask("install_package", json.dumps(document))
        assert answer["errors"] == []
        found: dict[str, Any] = answer["result"]
        return {key: found[key] for key in ("installing", "ended", "said")}

    def wait(self) -> dict[str, Any]:
        """What it says when nothing is being installed any more."""
        until = time.monotonic() + 30
        while (found := self.install(dry_run=True))["installing"] is not None:
            assert time.monotonic() < until
        return found

    def noted(self, name: str) -> list[str]:
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []


@contextmanager
def machine(shell: str, folder: Path, manager: str) -> Iterator[Machine]:
    (folder / "manager").write_text(f"#!/bin/sh\ncd '{folder}'\necho \"$*\" >> runs\n{manager}\n")
    (folder / "manager").chmod(0o755)
    environment = programs(folder / "bin", udevadm=f"echo \"$1\" >> '{folder}/udevadm'")
    keep = "mount -t proc none /proc && mount -t tmpfs none /run && echo there && exec cat"
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", keep]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"there\n"
            first = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
            yield Machine(shell, ("nsenter", "--target", first, "--mount", "--pid"), folder, environment)
        finally:
            process.kill()


@every_shell
def test_it_runs_once_and_what_it_said_is_told(shell: str, tmp_path: Path) -> None:
    with machine(shell, tmp_path, "echo out; echo err >&2") as there:
        assert there.install(dry_run=True) == {"installing": None, "ended": None, "said": None}
        there.install()
        assert there.wait() == {"installing": None, "ended": 0, "said": "\nout\nerr"}
    assert there.noted("runs") == ["install it"]
    assert there.noted("udevadm") == ["control", "trigger", "settle"]


def test_one_that_fails_says_so_and_udev_is_left_alone(tmp_path: Path) -> None:
    with machine("sh", tmp_path, "echo no; exit 100") as there:
        there.install()
        assert there.wait() == {"installing": None, "ended": 100, "said": "\nno"}
    assert there.noted("udevadm") == []


@pytest.mark.parametrize("left_behind", [False, True], ids=["", "another was killed"])
def test_of_many_that_ask_at_once_one_begins_it_and_nothing_is_changed_meanwhile(
    tmp_path: Path, *, left_behind: bool
) -> None:
    os.mkfifo(tmp_path / "end")
    with machine("sh", tmp_path, "read -r _ < end; echo over") as there, ThreadPoolExecutor() as pool:
        if left_behind:
            leave = "mkdir -p /run/hvintegration/busy; cd /run/hvintegration; echo 1 > busy/process; echo 7 > ended"
            subprocess.run([*there.enter, "sh", "-c", leave], check=True)
        begun = list(pool.map(lambda _: there.install(), range(3)))
        assert begun == [{"installing": begun[0]["installing"], "ended": None, "said": None}] * 3
        refused = there.ask("set_guest_services", document_of("test:start", dry_run=False))
        assert [(error["id"], error["message"]) for error in refused["errors"]] == [
            ("ChangeUnderWay", str(begun[0]["installing"]))
        ]
        (tmp_path / "end").write_text("\n")
        assert there.wait() == {"installing": None, "ended": 0, "said": "\nover"}
    assert there.noted("runs") == ["install it"]
