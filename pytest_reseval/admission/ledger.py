"""The host-wide ledger: one directory, one file for each claim, and nobody in charge.

Entering, starting and describing happen under an ``flock(2)`` on the directory itself. Leaving and
dying do not, but they only lower the sum: while one process decides, the sum cannot rise.

A waiting request looks at the directory's names every POLL seconds, which is a few system calls,
and decides anew only when they changed. Holders that were killed change no name, so every
DEATH_CHECK seconds it also tries their locks.

The directory must be on a local filesystem. A process that is stopped (SIGSTOP) while it waits
keeps its place. A local user who wants to stall others can do so by claiming everything: the ledger
keeps honest processes from colliding, it does not defend against dishonest ones.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from pytest_reseval.admission.files import (
    Seat,
    entry,
    last_ticket,
    names,
    now,
    open_directory,
    places,
    read_if_alive,
    remove_dead,
)
from pytest_reseval.admission.model import Budget, Claim, ClaimTooLarge, Entry
from pytest_reseval.admission.queue import may_start

POLL = 0.05
"""Seconds between two looks of a waiting request at the directory's names."""

DEATH_CHECK = 1.0
"""Seconds between two checks of a waiting request for holders that died."""


class LedgerError(OSError):
    """The ledger's directory cannot be used; the message names it and says what would help."""


def default_directory() -> Path:
    """The ledger that all users and processes of this host share.

    Under the first of ``/run/lock`` and ``/tmp`` that everyone may write to and that has the sticky
    bit; failing both, under this user's temporary directory.
    """
    for parent in (Path("/run/lock"), Path("/tmp")):
        with suppress(OSError):
            mode = parent.stat().st_mode
            shared = mode & stat.S_ISVTX and mode & stat.S_IWOTH
            if shared and os.access(parent, os.W_OK | os.X_OK):
                return parent / "pytest-reseval"
    return Path(tempfile.gettempdir()) / "pytest-reseval"


@contextmanager
def mutex(path: Path) -> Iterator[int]:
    """The directory's descriptor, while no other thread or process enters or starts.

    The directory is made if it is missing. Raises LedgerError.
    """
    try:
        directory = open_directory(path)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield directory
        finally:
            # Closing would not be enough: a child forked meanwhile shares the lock.
            fcntl.flock(directory, fcntl.LOCK_UN)
            os.close(directory)
    except OSError as error:
        raise LedgerError(
            f"{path}: the ledger of admissions cannot be used: {error}; "
            "it must be a local directory that all its users may write to (mode 1777), and may "
            "be removed while no run is active"
        ) from error


class Ledger:
    """One process's access to the ledger in ``directory``, and the budget that it goes by.

    The directory is made when first needed. Processes may go by different budgets: each applies its
    own to the total of everyone's admitted claims. All methods may be called from any thread and
    raise LedgerError when the directory cannot be used.
    """

    def __init__(self, directory: Path, budget: Budget) -> None:
        self.directory = directory
        self.budget = budget

    def admit(self, claim: Claim) -> Admission:
        """Enter the claim, and wait until it fits beside all that is admitted on this host.

        Raises ClaimTooLarge when it never can. KeyboardInterrupt ends the wait and leaves nothing
        behind. Who holds one admission and waits for a second can deadlock with another who does
        the same: claim in one sum what a trial needs at once.
        """
        if not self.budget.holds(claim.memory, claim.cores):
            raise ClaimTooLarge(claim, self.budget)
        began = next_check = now()
        dead: frozenset[str] = frozenset()
        seat: Seat | None = None
        try:
            while True:
                with mutex(self.directory) as directory:
                    if now() >= next_check:
                        dead = remove_dead(directory)
                        next_check = now() + DEATH_CHECK
                    if seat is not None and seat.place.name not in names(directory):
                        seat.leave(self.directory)
                        seat = None
                    if seat is None:
                        seat = Seat(directory, claim, "waiting")
                    seen = names(directory)
                    alive = places(name for name in seen if name not in dead)
                    if may_start(seat.place, alive, last_ticket(directory), self.budget):
                        seat.start(directory)
                        return Admission(self, seat, waited=now() - began)
                while now() < next_check and self._names() == seen:
                    time.sleep(POLL)
        except BaseException:
            if seat is not None:
                seat.leave(self.directory)
            raise

    def record(self, claim: Claim) -> Admission:
        """Enter the claim as admitted at once, whatever the budget: for admission "off".

        It is in use all the same, so it counts in every process's total, and those who wait will
        wait for it too. It counts as having overtaken all of them.
        """
        with mutex(self.directory) as directory:
            remove_dead(directory)
            return Admission(self, Seat(directory, claim, "admitted"), waited=0.0)

    def entries(self) -> list[Entry]:
        """The live claims of all processes at one moment, those who came earliest first."""
        with mutex(self.directory) as directory:
            found = [
                (place, read_if_alive(directory, place.name))
                for place in sorted(places(names(directory)), key=lambda place: place.ticket)
            ]
        return [entry(place, content) for place, content in found if content is not None]

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.directory)  # noqa: PTH208 - only the names, at every look
        except OSError:
            return []


class Admission:
    """An admitted claim; a context manager that releases it at the end.

    ``waited`` is the time from the request to the admission in seconds.
    """

    def __init__(self, ledger: Ledger, seat: Seat, waited: float) -> None:
        self.waited = waited
        self._ledger = ledger
        self._seat = seat
        self._lock = threading.Lock()

    def phase(self, text: str) -> None:
        """Tell the displays of all processes what the trial does: "build", "agent", "verifier".

        Does nothing after release, nor when the ledger cannot be written: it is only for display.
        """
        with self._lock, suppress(LedgerError):
            if not self._seat.left:
                with mutex(self._ledger.directory):
                    self._seat.describe(text)

    def release(self) -> None:
        """Give back what was promised; harmless when called twice."""
        with self._lock:
            self._seat.leave(self._ledger.directory)

    def __enter__(self) -> Admission:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
