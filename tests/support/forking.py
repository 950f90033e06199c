"""A program that forks in the middle of its work, over any transport; it fails where that disturbs anybody.

    python forking.py SCENARIO TRANSPORT

TRANSPORT is JSON: the name of a class, and its arguments. How often it connected is counted where it connects to.
"""

from __future__ import annotations

import contextlib
import gc
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Final

import hvintegration
from hvintegration import SSH, Credential, Host, Transport
from hvintegration.errors import ConnectionLostError

SECONDS: Final = 20.0
"""What a call may take in a child, on a machine with much to do. One that waits for what never comes takes 60."""


def transport() -> Transport:
    name, arguments = json.loads(sys.argv[2])
    if "credential" in arguments:
        arguments["credential"] = Credential(*arguments["credential"])
    if "jump_hosts" in arguments:
        arguments["jump_hosts"] = [SSH(**jump) for jump in arguments["jump_hosts"]]
    made: Transport = getattr(hvintegration, name)(**arguments)
    return made


def fork(work: Callable[[], object], end: Callable[[int], object] = os._exit) -> int:
    """Start a process that does *work*, and then ends by *end*."""
    process = os.fork()
    if process:
        return process
    try:
        work()
    except Exception:  # noqa: BLE001 - none must reach what the parent would do next
        traceback.print_exc()
        os._exit(1)
    end(0)
    os._exit(0)


def wait(process: int) -> None:
    assert os.waitpid(process, 0)[1] == 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def ask(host: Host) -> None:
    assert host.vms.list(timeout=SECONDS)[0].name == "demovm"


def descriptors() -> set[str]:
    """What this process has open of pipes and sockets."""
    found = set()
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(file.readlink()))
    return {what for what in found if what.startswith(("socket", "pipe"))}


def children_that_do_not_use_it() -> None:
    """However a child ends, the parent goes on with what it has."""
    before = descriptors()
    host = Host(transport())
    kept = [host]
    ask(host)

    def let_go() -> None:
        kept.clear()
        gc.collect()

    def nothing_is_open() -> None:
        assert descriptors() <= before

    def leave() -> None:
        with host:
            pass

    for work in (lambda: None, gc.collect, let_go, host.close, leave, nothing_is_open):
        for end in (os._exit, sys.exit):
            wait(fork(work, end))
            ask(host)
    with host:
        inside = os.fork()
        if not inside:
            return  # Leaves the block, and ends in good order.
        wait(inside)
        ask(host)


def children_that_use_it() -> None:
    """Each connects anew, and so does a child of its own; the parent goes on with what it has."""
    host = Host(transport())
    ask(host)

    def use() -> None:
        ask(host)
        ask(host)
        wait(fork(lambda: ask(host), sys.exit))
        wait(fork(lambda: None, sys.exit))
        ask(host)

    children = [fork(use, end) for end in (os._exit, sys.exit)]
    ask(host)
    for child in children:
        wait(child)
    ask(host)
    host.close()


def a_fork_before_anything() -> None:
    host = Host(transport())
    child = fork(lambda: ask(host), sys.exit)
    ask(host)
    wait(child)
    host.close()


def forks_during_calls() -> None:
    """Another thread asks all the time: no fork makes it fail, or ask again."""
    host = Host(transport())
    ask(host)
    over = threading.Event()
    failures: list[BaseException] = []

    def keep_asking() -> None:
        try:
            while not over.is_set():
                ask(host)
        except BaseException as error:  # noqa: BLE001 - it is shown below
            failures.append(error)

    thread = threading.Thread(target=keep_asking)
    thread.start()
    for end in (os._exit, sys.exit):
        time.sleep(0.01)
        wait(fork(lambda: ask(host), end))
        wait(fork(lambda: None, end))
        wait(fork(host.close, end))
    over.set()
    thread.join()
    assert failures == []
    assert host.session.stats.repeats == 0
    host.close()


def is_starting_a_thread(frame: FrameType | None) -> bool:
    """Whether it waits until a new thread runs: a process that is forked just then would wait for ever, in CPython."""
    while frame is not None:
        if frame.f_code is threading.Thread.start.__code__:
            return True
        frame = frame.f_back
    return False


def a_fork_within_a_call() -> None:
    """A signal handler forks while its own thread waits for an answer; the child leaves alone what is the parent's."""
    host = Host(transport())
    ask(host)
    children: list[int] = []

    def handle(_number: int, frame: FrameType | None) -> None:
        if is_starting_a_thread(frame):
            signal.setitimer(signal.ITIMER_REAL, 0.001)
        else:
            children.append(os.fork())

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    parent = os.getpid()
    with contextlib.suppress(ConnectionLostError):
        while not children:
            ask(host)
    if os.getpid() != parent:
        ask(host)
        return  # In good order.
    wait(children[0])
    ask(host)
    assert host.session.stats.repeats == 0
    host.close()


HOSTS: list[Host] = []


def work_of_a_pool(_: int) -> None:
    ask(HOSTS[0])


def pools() -> None:
    HOSTS.append(Host(transport()))
    ask(HOSTS[0])
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        pool.map(work_of_a_pool, range(4))
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        list(executor.map(work_of_a_pool, range(4)))
    ask(HOSTS[0])
    HOSTS[0].close()


def a_parent_that_is_killed() -> None:
    """Its child goes on, and says so until its input ends."""
    host = Host(transport())
    ask(host)
    if os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    say("goes on")
    sys.stdin.read()
    ask(host)
    say("has asked")


SCENARIOS: Final = {
    work.__name__: work
    for work in (
        children_that_do_not_use_it,
        children_that_use_it,
        a_fork_before_anything,
        forks_during_calls,
        a_fork_within_a_call,
        pools,
        a_parent_that_is_killed,
    )
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]]()
