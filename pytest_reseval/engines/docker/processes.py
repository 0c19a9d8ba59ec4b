"""Processes of a sandbox seen from the host: knowing that one ended, and killing a whole tree."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import psutil

Send = Callable[[Collection[psutil.Process], signal.Signals], None]
"""Sends a signal to all of the processes; those that are gone are passed over."""

PATIENCE = 10.0
"""Seconds for stopped and killed processes to be seen as such."""

STATE, _FLAGS, START_TIME = 0, 6, 19
"""Places in the answer of ``stat_fields``."""

_PF_EXITING = 0x4  # include/linux/sched.h
_LOOK_AGAIN = 0.005


class ProcessHandle:
    """A pidfd: a process that can never be mistaken for a later one with the same number."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError when there is no such process."""
        self.pid = pid
        self._descriptor: int | None = os.pidfd_open(pid)

    def fileno(self) -> int:
        """The descriptor to poll: readable once the process has ended."""
        if self._descriptor is None:
            raise ValueError("the handle is closed")
        return self._descriptor

    def ended(self) -> bool:
        """True once the process has ended; True for a closed handle."""
        if self._descriptor is None:
            return True
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def ending(self) -> bool:
        """True as soon as the process has begun to exit.

        The first process of a pid namespace kills all others before it is seen to have ended.
        """
        fields = stat_fields(self.pid)
        return fields is None or bool(int(fields[_FLAGS]) & _PF_EXITING) or self.ended()

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended. Raises PermissionError when it is another user's."""
        if self._descriptor is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """True if it ended within this time."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def shield_from_oom(self) -> None:
        """Make it the last victim of an OOM killer, as far as this user may (proc(5))."""
        for score in ("-1000", "0"):
            with suppress(OSError):
                Path(f"/proc/{self.pid}/oom_score_adj").write_text(score)
                return

    def close(self) -> None:
        """Close the descriptor; harmless when called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def stat_fields(pid: int) -> list[bytes] | None:
    """Fields 3 and following of /proc/PID/stat (proc(5)); None when they cannot be had.

    They are counted from behind the second field, the name, which may hold anything.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return stat[stat.rindex(b")") + 2 :].split()


def in_container(pid: int, container_id: str) -> bool:
    """True when this host's process ``pid`` belongs to the container.

    An engine on another machine, or one that runs beside us in a container, speaks of processes
    that are not ours to read, let alone to kill.
    """
    try:
        return container_id in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def numbers_inside(processes: Collection[psutil.Process], depth: int) -> list[str]:
    """The process numbers as seen ``depth`` pid namespaces below ours; without those that left."""
    numbers = []
    for process in processes:
        found = _namespace_pids(process.pid)
        if len(found) > depth:
            numbers.append(found[depth])
    return numbers


def namespace_depth(pid: int) -> int:
    """How many pid namespaces below ours a process lives."""
    return len(_namespace_pids(pid)) - 1


def send_directly(processes: Collection[psutil.Process], which: signal.Signals) -> None:
    """Signal from the host. Raises psutil.AccessDenied when they belong to another user."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(which)


def kill_tree(pid: int, send: Send) -> bool:
    """Kill a process and all its descendants; False when some outlived PATIENCE.

    Everything is stopped first, until a look finds nothing new and nothing running: a process that
    still ran could fork a child out of sight between the look and the kill.
    """
    try:
        root = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return True
    end = time.monotonic() + PATIENCE
    stopped = {root}
    send(stopped, signal.SIGSTOP)
    while time.monotonic() < end:
        fresh = _descendants(root) - stopped
        send(fresh, signal.SIGSTOP)
        stopped |= fresh
        if not fresh and all(_at_rest(process) for process in stopped):
            break
        time.sleep(_LOOK_AGAIN)
    send(stopped, signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while not all(_dead(process) for process in stopped):
        if time.monotonic() >= end:
            return False
        time.sleep(_LOOK_AGAIN)
    return True


def _descendants(root: psutil.Process) -> set[psutil.Process]:
    try:
        return set(root.children(recursive=True))
    except psutil.NoSuchProcess:
        return set()


def _status(process: psutil.Process) -> str | None:
    try:
        return process.status() if process.is_running() else None
    except psutil.NoSuchProcess:
        return None


def _dead(process: psutil.Process) -> bool:
    return _status(process) in (None, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


def _at_rest(process: psutil.Process) -> bool:
    return _dead(process) or _status(process) in (
        psutil.STATUS_STOPPED,
        psutil.STATUS_TRACING_STOP,
    )


def _namespace_pids(pid: int) -> list[str]:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return []
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            return line.split()[1:]
    return []
