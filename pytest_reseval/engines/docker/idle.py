"""The idle first process of a container, and the heartbeat that keeps its house clean.

It reads lines from an attached standard input that is open only once. When the process that
attached is gone, however it went, the input ends, the loop ends, and the kernel kills whatever
else runs in the container. From inside it cannot be killed: the first process of a pid namespace
gets no signal that it has not asked for (pid_namespaces(7)), and SIGINT, for which dash asks, is
ignored.

Orphans become its children. Bash reaps them by itself; dash and busybox do when a command looks at
jobs, and of all such commands ``jobs`` alone forks nothing: a fork that fails ends the shell, so
with ``(:)`` an agent could end its sandbox by using up the pids.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

COMMAND = ("sh", "-c", "trap '' INT; while read -r _; do jobs; done")

PERIOD = 1.0
"""Seconds between two heartbeats."""


class Listener(Protocol):
    """The attached standard input of one first process; writing to it never blocks."""

    def send(self, data: bytes) -> None:
        """Write; BlockingIOError when it is full, OSError when it is gone."""


class Heart:
    """One thread that sends a line to every registered first process once a period."""

    def __init__(self, period: float = PERIOD) -> None:
        self._period = period
        self._listeners: set[Listener] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, listener: Listener) -> None:
        """Keep sending to this one until it is discarded or gone."""
        with self._changed:
            self._listeners.add(listener)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="reseval-heartbeat", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def discard(self, listener: Listener) -> None:
        """Stop sending to this one; harmless when it is not registered."""
        with self._changed:
            self._listeners.discard(listener)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._listeners)
                for listener in tuple(self._listeners):
                    self._beat(listener)
            time.sleep(self._period)

    def _beat(self, listener: Listener) -> None:
        try:
            listener.send(b"\n")
        except BlockingIOError:
            pass
        except (OSError, ValueError):
            self._listeners.discard(listener)


HEART = Heart()
"""The heart of this process, for the sandboxes of all its engines."""
