"""Two sets of outcomes over the same tasks and samples: what differs, and what could have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_reseval.outcomes import Outcome
from pytest_reseval.statistics.paired import Difference, difference
from pytest_reseval.statistics.power import detectable, variances

Place = tuple[str, int]
"""A task and one of its samples."""

Outcomes = Mapping[Place, Outcome]
Pairs = list[list[tuple[float, float]]]

FEWEST_TASKS = 6
"""Tasks that must differ, all in one direction, before the sign-flip test can fall below 5%."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """After minus before, as shares of the trials that both have.

    ``score`` counts infra-errors as not solved, ``graded`` is of the pairs without one, ``infra``
    of infra-errors. ``detectable`` is the smallest true difference of the score that such a
    comparison finds with 80% power; None where the data cannot say: one task, or not one pair that
    differs.
    """

    score: Difference
    graded: Difference
    infra: Difference
    detectable: float | None


def contrast(before: Outcomes, after: Outcomes) -> Contrast:
    """The differences over the places that both have."""
    score = _pairs(before, after, _passed)
    return Contrast(
        score=difference(score),
        graded=difference(_pairs(before, after, _passed, skip=Outcome.INFRA_ERROR)),
        infra=difference(_pairs(before, after, lambda one: one is Outcome.INFRA_ERROR)),
        detectable=_detectable(score),
    )


def by_task(outcomes: Outcomes) -> list[list[Outcome]]:
    """The outcomes of each task's samples."""
    tasks: dict[str, list[Outcome]] = {}
    for (task, _), outcome in outcomes.items():
        tasks.setdefault(task, []).append(outcome)
    return list(tasks.values())


def _passed(outcome: Outcome) -> bool:
    return outcome is Outcome.PASSED


def _pairs(
    before: Outcomes,
    after: Outcomes,
    counted: Callable[[Outcome], bool],
    skip: Outcome | None = None,
) -> Pairs:
    """By task, whether each outcome is counted, before and after."""
    tasks: dict[str, list[tuple[float, float]]] = {}
    for place in sorted(before.keys() & after.keys()):
        first, second = before[place], after[place]
        if skip not in (first, second):
            tasks.setdefault(place[0], []).append((float(counted(first)), float(counted(second))))
    return list(tasks.values())


def _detectable(pairs: Pairs) -> float | None:
    """At least as much as ``FEWEST_TASKS`` tasks make that differ in one sample each."""
    count = sum(map(len, pairs))
    if len(pairs) < 2 or not any(first != second for task in pairs for first, second in task):
        return None
    samples = max(1, round(count / len(pairs)))
    return max(detectable(variances(pairs), len(pairs), samples), FEWEST_TASKS / count)
