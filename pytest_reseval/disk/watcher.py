"""Polling what all sandboxes of this process hold on disk, and ending those above their bound.

As the kubelet does with ephemeral storage where no quota is to be had: what is written between two
looks is seen at the second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread

from pytest_reseval.engines.base import EngineError, Sandbox

SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two looks at one sandbox."""

_SHARE = 0.05
"""Of the time, that looking may take."""


def pause_after(seconds: float) -> float:
    """Seconds to wait after a look that took some."""
    return min(LONGEST_PAUSE, max(SHORTEST_PAUSE, seconds / _SHARE))


class DiskWatch:
    """The disk use of one sandbox, which is ended when it is above ``bound`` bytes.

    A file that moves while it is being looked for may be counted twice; so a figure above the bound
    counts only if a second look confirms it. ``due`` is when ``clock`` says that the next is due.
    """

    def __init__(
        self, sandbox: Sandbox, bound: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.bound = bound
        self.due = clock() + SHORTEST_PAUSE
        self._sandbox = sandbox
        self._clock = clock
        self._lock = Lock()
        self._running = True
        self._last: int | None = None
        self._peak: int | None = None
        self._exceeded: int | None = None

    @property
    def running(self) -> bool:
        """False after ``stop``, and once the sandbox was ended."""
        return self._running

    @property
    def peak(self) -> int | None:
        """The most that any look since ``restart`` found, in bytes; None when none could see."""
        return self._peak

    @property
    def exceeded(self) -> int | None:
        """The bytes for which the sandbox was ended; None when it was not."""
        return self._exceeded

    def restart(self) -> None:
        """Start the peak anew from what was last seen."""
        with self._lock:
            self._peak = self._last

    def look(self) -> None:
        """Look now, unless this has ended. Several threads may look at once."""
        if not self._running:
            return
        began = self._clock()
        used = self._used()
        if used is not None and used > self.bound:
            again = self._used()
            used = None if again is None else min(used, again)
        self.due = self._clock() + pause_after(self._clock() - began)
        if used is None:
            return
        with self._lock:
            if self._running:
                self._note(used)

    def stop(self) -> None:
        """Take no look any more; one that is under way ends nothing. Harmless when repeated."""
        with self._lock:
            self._running = False

    def _note(self, used: int) -> None:
        self._last, self._peak = used, max(used, self._peak or 0)
        if used > self.bound:
            self._exceeded = used
            with suppress(EngineError):
                self._sandbox.kill()
                self._running = False

    def _used(self) -> int | None:
        try:
            return self._sandbox.disk_used()
        except EngineError:
            return None


class DiskWatcher:
    """Looks at every watched sandbox when its look is due, all from one daemon thread.

    One watcher serves a whole process. Its thread starts with the first sandbox that is watched and
    ends when none is left.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._watched: list[DiskWatch] = []
        self._thread: Thread | None = None

    def watch(self, sandbox: Sandbox, bound: int) -> DiskWatch:
        """Look at a sandbox from now on, until ``DiskWatch.stop``; ``bound`` is in bytes."""
        watch = DiskWatch(sandbox, bound, self._clock)
        with self._lock:
            self._watched.append(watch)
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="reseval-disk", daemon=True)
                self._thread.start()
        return watch

    def _run(self) -> None:
        while True:
            with self._lock:
                self._watched = [watch for watch in self._watched if watch.running]
                if not self._watched:
                    self._thread = None
                    return
                first = min(self._watched, key=lambda watch: watch.due)
            pause = first.due - self._clock()
            if pause > 0:
                time.sleep(min(pause, SHORTEST_PAUSE))
            else:
                first.look()
