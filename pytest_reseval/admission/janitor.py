"""Finding and removing the claims of dead holders, of whatever user."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_reseval.admission.files import dead, entry, read, read_if_alive
from pytest_reseval.admission.ledger import LedgerError, mutex
from pytest_reseval.admission.queue import Place
from pytest_reseval.janitor import CannotRemove, Orphan, whose


class LedgerJanitor:
    """Dead entries of the ledger in ``directory``; they count for nobody who waits."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def orphans(self) -> list[Orphan]:
        """See ``Janitor.orphans``."""
        if not self._directory.exists():
            return []
        try:
            with mutex(self._directory) as directory:
                return [_orphan(directory, name) for name in sorted(dead(directory))]
        except LedgerError as error:
            raise CannotRemove(str(error)) from error

    def remove(self, orphan: Orphan) -> None:
        """See ``Janitor.remove``."""
        try:
            with mutex(self._directory) as directory:
                if read_if_alive(directory, orphan.handle) is None:
                    _unlink(directory, orphan.handle)
        except LedgerError as error:
            raise CannotRemove(str(error)) from error


def _orphan(directory: int, name: str) -> Orphan:
    place = Place.parse(name)
    if place is None:
        return Orphan("claim", name, "", name)
    told = entry(place, read(directory, name))
    owner = whose(run=told.claim.run, trial=told.claim.label, pid=told.pid)
    return Orphan("claim", name, owner, name)


def _unlink(directory: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass
    except OSError as error:
        uid = os.stat(name, dir_fd=directory, follow_symlinks=False).st_uid
        raise CannotRemove(f"it belongs to uid {uid}: {error.strerror}") from error
