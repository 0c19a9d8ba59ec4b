"""The process tree of one command: finding it, and killing it without letting any of it escape."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

_PATIENCE = 10.0
"""Seconds for stopped and for killed processes to be seen as such."""

_LOOK_AGAIN = 0.005

_DEAD = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
_AT_REST = (*_DEAD, psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


def find(pid: int) -> psutil.Process | None:
    """The process of that id, to be told later from another that reuses it; None if it is gone."""
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """Children, their children and so on; those that were given to another parent are none."""
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def sampled_descendants(process: psutil.Process) -> list[psutil.Process]:
    """The same for a fraction of the cost, but a process may be missed while others end.

    ``children`` files of proc_pid_task(5) are read instead of every process of the host, unless
    the kernel was built without them.
    """
    if not Path("/proc/thread-self/children").exists():
        return descendants(process)
    found: list[psutil.Process] = []
    unseen = _children(process.pid)
    while unseen:
        pid = unseen.pop()
        unseen += _children(pid)
        if (child := find(pid)) is not None:
            found.append(child)
    return found


def _children(pid: int) -> list[int]:
    text = ""
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                text += (thread / "children").read_text()
    return [int(word) for word in text.split()]


def kill_tree(root: psutil.Process) -> None:
    """Kill a process and all its descendants, and wait until they are dead.

    All are stopped first, until a look finds nothing new and nothing running: a process that still
    ran could start another out of sight between the look and the kill.
    """
    end = time.monotonic() + _PATIENCE
    stopped: set[psutil.Process] = set()
    while time.monotonic() < end:
        fresh = {root, *descendants(root)} - stopped
        for process in fresh:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        stopped |= fresh
        if not fresh and _all_are(_AT_REST, stopped):
            break
        time.sleep(_LOOK_AGAIN)
    for process in stopped:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and not _all_are(_DEAD, stopped):
        time.sleep(_LOOK_AGAIN)


def _all_are(states: Iterable[str], processes: Iterable[psutil.Process]) -> bool:
    return all(_state(process) in states for process in processes)


def _state(process: psutil.Process) -> str:
    try:
        return str(process.status()) if process.is_running() else psutil.STATUS_DEAD
    except psutil.NoSuchProcess:
        return psutil.STATUS_DEAD
