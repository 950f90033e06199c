"""Chromium, driven over a pipe as developer tools do it: opens pages, runs scripts there, sees what goes wrong."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Generator
from io import FileIO
from pathlib import Path
from typing import Any, Final

__all__ = ["CHROMIUM", "Browser", "browser"]

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """A browser with one page.

    Attributes:
        troubles: What its console says, exceptions, and violations of a page's policy; dialogs, too.
        requests: Addresses that the page asked for, itself included.
    """

    def __init__(self, commands: FileIO, answers: FileIO) -> None:
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self._commands = commands
        self._answers = answers
        self._count = 0
        self._read = b""
        self._events: list[dict[str, Any]] = []
        self._session: str | None = None
        (page,) = (each for each in self._ask("Target.getTargets")["targetInfos"] if each["type"] == "page")
        attached = self._ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._ask(f"{domain}.enable")

    def open(self, address: str) -> None:
        """Open a page; returns when all of it is there."""
        self._ask("Page.navigate", url=address)
        self._wait("Page.loadEventFired")

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """What an expression of JavaScript is in the page, or a promise becomes."""
        given = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in given, given
        return given["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key, such as ``Tab``, ``Enter`` or ``a``."""
        text = {"Enter": "\r", "Space": " "}.get(key, key if len(key) == 1 else "")
        code = {"Enter": 13, "Tab": 9, "Space": 32}.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            said = {"text": text} if text and kind == "keyDown" else {}
            name = " " if key == "Space" else key
            self._ask("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, **said)

    def emulate(self, *, dark: bool = False, script: bool = True, medium: str = "", width: int = 1280) -> None:
        """How the next page is seen."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", media=medium, features=[scheme])
        self._ask("Emulation.setScriptExecutionDisabled", value=not script)
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """Write what is seen of the page, or all of it, into a file as PNG."""
        taken = self._ask("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(taken["data"]))

    def printed(self) -> bytes:
        """The page as a printer gets it, in PDF."""
        return base64.b64decode(self._ask("Page.printToPDF", printBackground=False)["data"])

    def roles(self) -> list[tuple[str, str]]:
        """The role and name of everything that those hear who do not see the page."""
        nodes = self._ask("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")
        ]

    def close(self) -> None:
        """End it."""
        self._session = None
        self._ask("Browser.close")

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        self._count += 1
        number = self._count
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _wait(self, event: str) -> None:
        while all(each["method"] != event for each in self._events):
            self._next()
        self._events.clear()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            more = self._answers.read(1 << 20)
            assert more, "Chromium has ended"
            self._read += more
        line, _, self._read = self._read.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self._events.append(message)
            self._note(message["method"], message["params"])
        return message

    def _note(self, method: str, said: dict[str, Any]) -> None:
        if method in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}:
            self.troubles.append(json.dumps(said))
        elif method == "Page.javascriptDialogOpening":
            self.troubles.append(json.dumps(said))
            self._ask("Page.handleJavaScriptDialog", accept=True)
        elif method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])


@contextlib.contextmanager
def browser(profile: Path) -> Generator[Browser]:
    """A browser with a profile of its own, ended afterwards."""
    import fcntl  # late: Windows has none

    assert CHROMIUM is not None
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run")
    command = [CHROMIUM, *options, f"--user-data-dir={profile}", "about:blank"]
    their_commands, commands = os.pipe()
    answers, their_answers = os.pipe()
    with os.fdopen(commands, "wb", buffering=0) as written, os.fdopen(answers, "rb", buffering=0) as read:
        places = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (their_commands, their_answers)]
        given = [(os.POSIX_SPAWN_DUP2, place, number) for number, place in enumerate(places, 3)]  # It knows 3 and 4.
        silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
        process = os.posix_spawn(CHROMIUM, command, os.environ, file_actions=[*silent, *given])
        for each in (their_commands, their_answers, *places):
            os.close(each)
        try:
            opened = Browser(written, read)
            yield opened
            opened.close()
        finally:
            os.kill(process, signal.SIGTERM)
            os.waitpid(process, 0)
