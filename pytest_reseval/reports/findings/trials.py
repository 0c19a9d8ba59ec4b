"""Every trial with what there is to show of it over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_reseval.records import TrialRecord
from pytest_reseval.reports.findings.series import (
    Compact,
    Kill,
    Sampled,
    UnreadableSeries,
    compact,
    kills,
    read_series,
)
from pytest_reseval.runs import Run

_ROWS = 600
"""Rows of a series at most: more than a screen can show."""

_FEWEST_ROWS = 40
_ROWS_IN_ALL = 240_000
"""Rows that all trials of a report share, so that large runs make no huge file."""


@dataclass(frozen=True, slots=True)
class TrialSeries:
    """A trial, its sampled series (of its sandbox, then of its verifier's), and its kills."""

    record: TrialRecord
    series: tuple[Compact, ...]
    kills: tuple[Kill, ...]
    problem: str | None
    """Why there is no series."""


def rows_each(trials: int) -> int:
    """How many rows a series may have in a report on so many trials."""
    return max(_FEWEST_ROWS, min(_ROWS, _ROWS_IN_ALL // max(1, trials)))


def trial_series(run: Run, rows: int) -> Iterator[TrialSeries]:
    """One for each record, in order; reads the run's files as it goes."""
    for record in run.records:
        sampled: list[Sampled] = []
        problem = None
        try:
            sampled = [read_series(file) for file in run.files(record).series()]
        except UnreadableSeries as error:
            problem = str(error)
        if not sampled and problem is None:
            problem = "no series was written"
        first = sampled[0] if sampled else None
        yield TrialSeries(
            record, tuple(compact(one, rows) for one in sampled), _kills(record, first), problem
        )


def _kills(record: TrialRecord, sampled: Sampled | None) -> tuple[Kill, ...]:
    """A separate verifier's kills cannot be looked up in the series of the agent's sandbox."""
    apart = record.evidence.verifier_resources is not None
    own = [one for one in record.evidence.phases if not (apart and one.name == "verifier")]
    rest = [one for one in record.evidence.phases if apart and one.name == "verifier"]
    return (*kills(own, sampled), *kills(rest, None))
