"""Who may start now: a pure decision over the places in the ledger."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from pytest_reseval.admission.model import Budget, State

MOST_OVERTAKINGS = 8
"""How often later requests may pass a waiting one; after that nobody later starts before it."""

_NAME = re.compile(
    r"(waiting|admitted)_([0-9]{1,19})_([0-9]{1,19})_([0-9]{1,7}\.[0-9]{9})"
    r"_([0-9]{1,12}\.[0-9]{6})_([0-9]{1,10})"
)


@dataclass(frozen=True, slots=True)
class Place:
    """One claim's place in the ledger: all that the decision needs, and it fits in a file name.

    ``memory`` is bytes, ``since`` seconds on CLOCK_BOOTTIME. A smaller ``ticket`` came earlier.
    """

    state: State
    ticket: int
    memory: int
    cores: float
    since: float
    pid: int

    @property
    def name(self) -> str:
        """The file name that says all this; cores to 1e-9, ``since`` to a microsecond."""
        return (
            f"{self.state}_{self.ticket}_{self.memory}_{self.cores:.9f}_{self.since:.6f}_{self.pid}"
        )

    @classmethod
    def parse(cls, name: str) -> Place | None:
        """The place a file name tells of; None for a name that is none of ours."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        state, ticket, memory, cores, since, pid = match.groups()
        return cls(
            cast("State", state), int(ticket), int(memory), float(cores), float(since), int(pid)
        )


def overtakings(ticket: int, waiting: Iterable[int], last_ticket: int) -> int:
    """How many later requests have passed the waiting ``ticket``.

    Those are the tickets given out after it that wait no longer. Later requests that gave up are
    counted too, which favours the older one.
    """
    return (last_ticket - ticket) - sum(1 for other in waiting if other > ticket)


def may_start(mine: Place, places: Iterable[Place], last_ticket: int, budget: Budget) -> bool:
    """Decide whether the waiting place ``mine``, one of ``places``, is admitted now.

    First come, first served, with backfill: everyone who waits longer and fits beside what is
    admitted is left room, for it will start at its next look; past those who do not fit, ``mine``
    may go if it fits now. Nobody passes a request that has been passed MOST_OVERTAKINGS times. The
    longest waiting request depends on admitted ones alone, so the queue always moves.
    ``last_ticket`` is the latest ticket given out; the order of ``places`` does not matter.
    """
    places = list(places)
    waiting = [place.ticket for place in places if place.state == "waiting"]
    memory = sum(place.memory for place in places if place.state == "admitted")
    cores = [place.cores for place in places if place.state == "admitted"]
    ahead = [place for place in places if place.state == "waiting" and place.ticket < mine.ticket]
    for place in sorted(ahead, key=lambda place: place.ticket):
        if overtakings(place.ticket, waiting, last_ticket) >= MOST_OVERTAKINGS:
            return False
        if budget.holds(memory + place.memory, math.fsum([*cores, place.cores])):
            memory += place.memory
            cores.append(place.cores)
    return budget.holds(memory + mine.memory, math.fsum([*cores, mine.cores]))
