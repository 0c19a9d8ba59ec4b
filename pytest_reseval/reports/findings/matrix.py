"""How every task ended under every configuration."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_reseval.outcomes import Outcome
from pytest_reseval.records import TrialRecord
from pytest_reseval.reports.findings.planned import Place


@dataclass(slots=True)
class Cell:
    """The trials of one task under one configuration."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    """Causes of what did not pass."""
    missing: int = 0
    first: int | None = None
    """Place in the records of the trial most worth looking at: the first that did not pass."""
    _first_failed: bool = False

    @property
    def worst(self) -> Outcome | None:
        """An infra-error before a failure before a pass; None without any verdict."""
        order = (Outcome.INFRA_ERROR, Outcome.FAILED, Outcome.PASSED)
        return next((one for one in order if self.outcomes[one]), None)

    def add(self, index: int, record: TrialRecord) -> None:
        """Count a trial that has this place in the records."""
        self.outcomes[record.outcome] += 1
        not_passed = record.outcome is not Outcome.PASSED
        if not_passed:
            self.causes[record.cause] += 1
        if self.first is None or (not_passed and not self._first_failed):
            self.first, self._first_failed = index, not_passed


@dataclass(frozen=True, slots=True)
class Row:
    """A task and its cells, in the order of the configurations."""

    task: str
    cells: tuple[Cell, ...]

    @property
    def spotless(self) -> bool:
        """Whether every trial that has a verdict passed."""
        return not any(
            cell.outcomes.total() != cell.outcomes[Outcome.PASSED] for cell in self.cells
        )


def matrix(
    records: Sequence[TrialRecord], missing: Sequence[Place], configurations: Sequence[str]
) -> tuple[Row, ...]:
    """A row for each task, by name."""
    cells: dict[Place, Cell] = defaultdict(Cell)
    for index, record in enumerate(records):
        cells[Place(record.task, record.configuration)].add(index, record)
    for place in missing:
        cells[place].missing += 1
    tasks = sorted({place.task for place in cells})
    return tuple(
        Row(task, tuple(cells[Place(task, one)] for one in configurations)) for task in tasks
    )
