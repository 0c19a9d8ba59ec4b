"""Measuring on a noisy machine: contestants take turns, and ratios are taken within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import tabulate

Contestant = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of every contestant, one for each round; the same round means the same noise."""

    seconds: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        """The median of one contestant in seconds."""
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, base: str) -> float:
        """The median over rounds of ``name`` divided by ``base`` in the same round."""
        return statistics.median(
            one / other for one, other in zip(self.seconds[name], self.seconds[base], strict=True)
        )

    def differences(self, name: str, base: str) -> list[float]:
        """For each round ``name`` minus ``base`` in seconds."""
        return [
            one - other for one, other in zip(self.seconds[name], self.seconds[base], strict=True)
        ]


def take_turns(contestants: Mapping[str, Contestant], rounds: int) -> Times:
    """Call every contestant once a round, in rotated order, after one round that is not counted."""
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            began = time.perf_counter()
            contestants[name]()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return Times(seconds)


@dataclass(frozen=True, slots=True)
class Table:
    """One answer: a title, a table, and what was counted and how."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str

    def markdown(self) -> str:
        """The table as GitHub's Markdown shows it."""
        body = tabulate.tabulate(self.rows, self.header, tablefmt="github", disable_numparse=True)
        return f"### {self.title}\n\n{body}\n\n{self.note}\n"


def show(tables: Iterable[Table]) -> None:
    """Print tables, each as soon as it is measured."""
    for table in tables:
        print(table.markdown(), flush=True)
