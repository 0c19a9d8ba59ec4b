"""Every approach that the study's agents may take to a task, and what is true of each.

The work itself is done by ``programs/TASK.py``. ``solves`` is a statement that tests hold against
real sandboxes; nothing in a trial reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Strategy(StrEnum):
    """How an approach uses memory."""

    LEAN = "lean"
    SPIKY = "spiky"
    HUNGRY = "hungry"


@dataclass(frozen=True, slots=True)
class Approach:
    """One function of a task's program, with the sizes it may be called with.

    ``solves`` holds the sizes with which the answer is right, given memory enough (all of them for
    True).
    """

    name: str
    strategy: Strategy
    solves: bool | frozenset[int]
    sizes: tuple[int, ...] = ()

    def right(self, size: int | None) -> bool:
        """Whether it solves the task when no limit stands in its way."""
        return size in self.solves if isinstance(self.solves, frozenset) else self.solves


def _lean(name: str, solves: bool | frozenset[int] = True, sizes: tuple[int, ...] = ()) -> Approach:
    return Approach(name, Strategy.LEAN, solves, sizes)


def _spiky(name: str, solves: bool = True, sizes: tuple[int, ...] = ()) -> Approach:
    return Approach(name, Strategy.SPIKY, solves, sizes)


def _hungry(name: str, sizes: tuple[int, ...] = ()) -> Approach:
    return Approach(name, Strategy.HUNGRY, True, sizes)


_SURVEYS = (2600, 3600, 4600)
"""KiB of source whose syntax trees are held at once."""

APPROACHES: Mapping[str, tuple[Approach, ...]] = {
    "greeting": (_lean("direct"), _spiky("surveyed", sizes=_SURVEYS)),
    "low-stock": (
        _lean("numbers"),
        _lean("texts", False),
        _spiky("surveyed", sizes=_SURVEYS),
        _spiky("surveyed_texts", False, _SURVEYS),
    ),
    "key-value-service": (
        _lean("threads"),
        _lean("processes", False),
        _spiky("surveyed", sizes=_SURVEYS),
        _spiky("surveyed_processes", False, _SURVEYS),
        _hungry("arena", (152, 156, 160)),
    ),
    "pattern-file": (
        _lean("blocks"),
        _lean("hexadecimal", False),
        _spiky("batches", sizes=(24, 32, 40, 48, 56)),
        _spiky("batches_hexadecimal", False, (24, 32, 40, 48, 56)),
        _hungry("read_back"),
        _hungry("whole"),
    ),
    "count-primes": (
        _lean("segments", sizes=(1_000_000, 4_000_000, 10_000_000)),
        _lean("estimate", False),
        _spiky("every"),
        _hungry("listed"),
    ),
    "unpack-readings": (
        _lean("lines"),
        _lean("chunks", frozenset({65_536, 1_048_576}), (65_536, 100_000, 500_000, 1_048_576)),
        _spiky("whole"),
        _spiky("separators", False),
        _hungry("listed"),
        _hungry("fields"),
    ),
    "order-totals": (
        _lean("rows"),
        _lean("chunks", frozenset({16_777_216}), (65_536, 1_048_576, 16_777_216)),
        _spiky("dictionaries"),
        _spiky("amounts", False),
        _hungry("converted"),
    ),
    "choose-cargo": (
        _lean("one_by_one"),
        _lean("greedy", False),
        _spiky("sums"),
        _spiky("sums_of_sorted", False),
        _hungry("all_choices"),
    ),
    "replay-ledger": (
        _lean("backwards"),
        _lean("forwards", False),
        _spiky("recent", sizes=(500, 700, 900)),
        _spiky("afterwards", False, (500, 700, 900)),
        _hungry("as_it_is"),
    ),
    "compile-table": (
        _lean("parts", sizes=(1000, 2000, 4000)),
        _spiky("whole"),
        _spiky("cached", False),
        _hungry("checked"),
    ),
    "fix-ring-buffer": (
        _lean("quick", False),
        _spiky("suite"),
        _spiky("reset", False),
        _hungry("modelled", (20, 24, 28)),
    ),
    "parallel-build": (
        _lean("jobs", sizes=(1,)),
        _spiky("jobs", sizes=(3, 4, 5)),
        _hungry("passes", (18, 22, 25)),
    ),
}
