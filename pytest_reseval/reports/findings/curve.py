"""Scores and infra-error rates over configurations."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_reseval.outcomes import Outcome
from pytest_reseval.records import TrialRecord
from pytest_reseval.statistics.scores import Scores, scores


@dataclass(frozen=True, slots=True)
class Point:
    """One configuration: how its trials ended, and the shares with their intervals."""

    configuration: str
    trials: int
    outcomes: Counter[Outcome]
    scores: Scores


def curve(records: Sequence[TrialRecord], configurations: Sequence[str]) -> tuple[Point, ...]:
    """A point for each configuration that has a trial, in the order given."""
    points = []
    for configuration in configurations:
        tasks: dict[str, list[Outcome]] = defaultdict(list)
        for record in records:
            if record.configuration == configuration:
                tasks[record.task].append(record.outcome)
        if tasks:
            outcomes = Counter(outcome for task in tasks.values() for outcome in task)
            points.append(
                Point(configuration, outcomes.total(), outcomes, scores(list(tasks.values())))
            )
    return tuple(points)
