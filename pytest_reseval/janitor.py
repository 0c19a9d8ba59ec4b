"""What dead processes left behind: finding it, and removing it.

A janitor knows one place where things of ours can be left. It finds only what is proved to be
nobody's any more, and finding changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class CannotRemove(Exception):
    """Something that was left behind stays for now; the message says why."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something that a dead process left behind."""

    kind: str
    """What it is: container, network, volume, image, process, directory, cgroup, claim."""
    name: str
    owner: str
    """Whose it was, for people: run, trial and process, as far as they were written down."""
    handle: str
    """What its janitor removes it by."""


class Janitor(Protocol):
    """Finds and removes the orphans of one place."""

    def orphans(self) -> list[Orphan]:
        """What is left here, in the order in which it can be removed. Raises CannotRemove."""

    def remove(self, orphan: Orphan) -> None:
        """Remove one of them; harmless when it is gone by now. Raises CannotRemove."""


def whose(*, run: str | None = None, trial: str | None = None, pid: str | int | None) -> str:
    """The owner of an orphan in words; what is None or empty is left out."""
    parts = (("run", run), ("trial", trial), ("process", pid))
    return ", ".join(f"{name} {value}" for name, value in parts if value)


def sweep(janitor: Janitor) -> list[str]:
    """Remove every orphan that can be removed, and answer the names."""
    removed = []
    for orphan in janitor.orphans():
        try:
            janitor.remove(orphan)
        except CannotRemove:
            continue
        removed.append(orphan.name)
    return removed
