"""Who writes a run's folder: all processes of one session, and nobody else.

Each holds a shared ``flock(2)`` on the file ``lock``, which the kernel drops when it dies, however
it dies. Whoever holds the lock alone may write a session's token into the file; a process of any
other session, such as a late worker of a controller that was killed, then finds that it is not
meant. Descriptors are close-on-exec: programs that a process starts hold nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pytest_reseval.journal import make_folder

PATIENCE = 60.0
"""Seconds to wait for others; workers whose controller was killed end within a few."""

_INTERVAL = 0.1


class Occupied(Exception):
    """Others write the folder, or wrote it."""


class Occupancy:
    """A folder, held for one session until ``release`` or the end of the process."""

    def __init__(self, folder: Path, session: str) -> None:
        """Open the lock without taking it. Raises OSError."""
        make_folder(folder)
        self.file = folder / "lock"
        self._session = session
        self._descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def join(self, is_free: Callable[[], bool]) -> None:
        """Hold the folder along with the rest of the session.

        The session's first process claims it, if ``is_free``. Raises Occupied.
        """
        if self._alone() and not self._ours():
            if not is_free():
                raise Occupied(f"{self.file.parent} already holds a run")
            self._claim()
        self._share()

    def take_over(self, tell: Callable[[str], None], patience: float = PATIENCE) -> None:
        """Claim the folder of a session that has ended.

        Waits for up to ``patience`` seconds until its last process has. Raises Occupied.
        """
        deadline = time.monotonic() + patience
        told = False
        while not self._alone():
            if not told:
                tell(f"waiting for {self._others()} to end, up to {patience:.0f} s")
                told = True
            if time.monotonic() > deadline:
                raise Occupied(f"{self.file.parent} is still being written by {self._others()}")
            time.sleep(_INTERVAL)
        self._claim()
        self._share()

    def release(self) -> None:
        """Let go; harmless when called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _alone(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _share(self) -> None:
        """Hold the lock with others. The kernel lets go in between, so look who came first."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        if not self._ours():
            raise Occupied(f"{self.file.parent} is being written by another run")

    def _ours(self) -> bool:
        return os.pread(self._descriptor, 1000, 0) == self._session.encode()

    def _claim(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, self._session.encode(), 0)

    def _others(self) -> str:
        pids = holders(self.file)
        if not pids:
            return "other processes"
        return f"process{'es' * (len(pids) > 1)} {', '.join(map(str, pids))}"


def holders(file: Path) -> list[int]:
    """Ids of other processes that have the file open, as far as this user may know."""
    wanted = str(file.resolve())
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(link.readlink()) == wanted for link in (process / "fd").iterdir()):
                found.append(int(process.name))
    return sorted(set(found) - {os.getpid()})
