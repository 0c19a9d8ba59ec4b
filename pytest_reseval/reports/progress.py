"""A line now and then on what is in flight and what waits, so that long runs are not silent."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

from pytest_reseval.admission import Entry, Ledger, LedgerError
from pytest_reseval.admission.files import now

_SHOWN = 3
"""In-flight trials named in one line; the longest first."""


class Progress:
    """A thread that writes to the terminal behind pytest's output capture.

    ``descriptor`` is a duplicate of the terminal's, made while nothing was captured.
    """

    def __init__(
        self, ledger: Ledger, run: str, interval: float, descriptor: int, done: Callable[[], str]
    ) -> None:
        self._ledger = ledger
        self._run = run
        self._interval = interval
        self._descriptor = descriptor
        self._done = done
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="reseval-progress", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close its descriptor."""
        self._stopped.set()
        self._thread.join()
        os.close(self._descriptor)

    def _tell(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                entries = self._ledger.entries()
            except LedgerError:
                continue
            line = describe(entries, self._run, self._done(), now())
            os.write(self._descriptor, f"\n{line}\n".encode())


def describe(entries: Sequence[Entry], run: str, done: str, moment: float) -> str:
    """One line on a run; ``moment`` is seconds on CLOCK_BOOTTIME, as entries keep it."""
    ours = [entry for entry in entries if entry.claim.run == run]
    running = [entry for entry in ours if entry.state == "admitted"]
    waiting = len(ours) - len(running)
    others = sum(entry.state == "admitted" for entry in entries) - len(running)
    named = [
        f"{entry.claim.label} {entry.phase or 'starting'} {moment - entry.since:.0f} s"
        for entry in sorted(running, key=lambda entry: entry.since)[:_SHOWN]
    ]
    if len(running) > _SHOWN:
        named.append(f"+{len(running) - _SHOWN}")
    flight = f"{len(running)} in flight" + (f" ({', '.join(named)})" if named else "")
    beside = f", beside {others} of other runs" if waiting and others else ""
    return f"reseval: {done}; {flight}; {waiting} waiting for admission{beside}"
