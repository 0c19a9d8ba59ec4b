"""Why trials did not pass, and how often the first attempt at one was an infra-error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_reseval.configuration import by_tightness
from pytest_reseval.outcomes import Cause, Outcome
from pytest_reseval.records import TrialRecord


@dataclass(frozen=True, slots=True)
class CauseCount:
    """Trials that ended with one outcome and cause."""

    outcome: Outcome
    cause: Cause
    trials: int
    tasks: int
    configurations: tuple[str, ...]
    example: str
    """The label of one of them."""
    message: str
    """What is told of that one."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """How first attempts ended: retries must not hide infra-errors."""

    trials: int
    infra_first: int
    """Trials whose first attempt was an infra-error."""
    retried: int
    ended: Counter[Outcome]
    """How the trials that were tried again ended."""


def causes(records: Sequence[TrialRecord]) -> tuple[CauseCount, ...]:
    """Infra-errors first, then failures, each from the most frequent cause."""
    counts = []
    for outcome in (Outcome.INFRA_ERROR, Outcome.FAILED):
        mine = [record for record in records if record.outcome is outcome]
        for cause, count in Counter(record.cause for record in mine).most_common():
            those = [record for record in mine if record.cause is cause]
            counts.append(
                CauseCount(
                    outcome,
                    cause,
                    count,
                    len({record.task for record in those}),
                    tuple(by_tightness({record.configuration for record in those})),
                    those[0].label,
                    those[0].message,
                )
            )
    return tuple(counts)


def attempts(records: Sequence[TrialRecord]) -> Attempts:
    """Over all trials with a verdict."""
    retried = [record for record in records if record.earlier]
    return Attempts(
        trials=len(records),
        infra_first=sum(record.first_outcome is Outcome.INFRA_ERROR for record in records),
        retried=len(retried),
        ended=Counter(record.outcome for record in retried),
    )
