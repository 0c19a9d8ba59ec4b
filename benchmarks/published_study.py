"""A made-up data set at the rates of a published study of Terminal-Bench 2.0 under six headrooms.

The study: Quantifying infrastructure noise in agentic coding evals, Anthropic, February 2026,
https://www.anthropic.com/engineering/infrastructure-noise. It published rates and p-values, and no
trials. Here the rates hold in expectation and everything about single tasks is assumed: it tells
whether a method finds such effects in so many trials, and nothing about the tasks.

Published: infra-errors at 1x, 3x and uncapped, fewer at each step (1x to 3x p < 0.001); the score
within noise from 1x to 3x (p = 0.40), almost 4 points up from 3x to uncapped, 6 points up from 1x
to uncapped (p < 0.01). Assumed: which the other three headrooms were and their rates, the level of
the score, 2 points from 1x to 3x, how far tasks differ, and independent samples within a task.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from pytest_reseval.outcomes import Outcome

SPECS = Path(__file__).parents[1] / "tests" / "data" / "terminal_bench_2_specs.csv"

HEADROOMS = ("1x", "1.5x", "2x", "3x", "5x", "uncapped")
INFRA = (0.058, 0.044, 0.033, 0.021, 0.012, 0.005)
SCORE = (0.52, 0.525, 0.53, 0.54, 0.56, 0.58)
"""Of all trials under each headroom, in expectation; the headline score."""

SAMPLES = 10
"""Per task and headroom: enough to reach each conclusion at 5% in four runs of five or more."""

_INFRA_ALIKE = 0.3
_SCORE_ALIKE = 0.5
"""Correlations of two samples of a task: of an infra-error at 1x, and of a pass."""

_SOLVED = 0.58
"""The chance of a pass without infra-errors, before it is scaled to the score at 1x."""

_LIFTED = 1 / 3
"""Share of the tasks of which some can use more memory than they were promised."""

_POPULATION_SEED = 20

Trial = tuple[str, str, int]
"""Task, headroom, sample."""

Rates = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Truth:
    """The chances of a pass and of an infra-error: a row a task, a column a headroom."""

    passed: Rates
    infra: Rates


@cache
def tasks() -> tuple[str, ...]:
    """The names of the 89 tasks."""
    with SPECS.open(newline="") as file:
        return tuple(row["task"] for row in csv.DictReader(file))


@cache
def truth() -> Truth:
    """What each task is like: the same for every seed, and at the rates above in the mean."""
    random = np.random.default_rng(_POPULATION_SEED)
    count = len(tasks())
    prone = random.permutation(_spread(INFRA[0], _INFRA_ALIKE, count))
    infra = np.outer(prone / prone.mean(), INFRA)
    solved = random.permutation(_spread(_SOLVED, _SCORE_ALIKE, count)) * (1 - infra[:, 0])
    base = solved * SCORE[0] / solved.mean()
    room = 1 - infra[:, 0] - base
    lifted = room * (random.permutation(count) < _LIFTED * count)
    passed = base[:, None] + np.outer(lifted / lifted.mean(), np.array(SCORE) - SCORE[0])
    if passed.min() < 0 or (passed + infra).max() > 1:
        raise ValueError("rates that leave no room for each other")
    return Truth(passed, infra)


def outcomes(seed: int, samples: int = SAMPLES) -> Mapping[Trial, Outcome]:
    """One run of the study: every task under every headroom, so many times.

    The same seed gives the same outcomes, and more samples leave the earlier ones as they were.
    """
    chances = truth()
    draws = np.random.default_rng(seed).random((samples, *chances.passed.shape))
    passed = draws < chances.passed
    infra = draws >= 1 - chances.infra
    return {
        (task, headroom, sample): Outcome.PASSED
        if passed[sample, row, column]
        else Outcome.INFRA_ERROR
        if infra[sample, row, column]
        else Outcome.FAILED
        for sample in range(samples)
        for row, task in enumerate(tasks())
        for column, headroom in enumerate(HEADROOMS)
    }


def of_headroom(study: Mapping[Trial, Outcome], headroom: str) -> list[list[Outcome]]:
    """The outcomes of each task's samples."""
    samples = _samples(study)
    return [[study[task, headroom, sample] for sample in samples] for task in tasks()]


def pairs(
    study: Mapping[Trial, Outcome], before: str, after: str, counted: Outcome
) -> list[list[tuple[float, float]]]:
    """For each task and sample whether the outcome is the one counted, under both headrooms."""
    samples = _samples(study)
    return [
        [
            (
                float(study[task, before, sample] is counted),
                float(study[task, after, sample] is counted),
            )
            for sample in samples
        ]
        for task in tasks()
    ]


def blocks(study: Mapping[Trial, Outcome], counted: Outcome) -> list[list[list[float]]]:
    """For each task and sample whether the outcome is the one counted, over all headrooms."""
    samples = _samples(study)
    return [
        [
            [float(study[task, headroom, sample] is counted) for headroom in HEADROOMS]
            for sample in samples
        ]
        for task in tasks()
    ]


def _samples(study: Mapping[Trial, Outcome]) -> range:
    return range(1 + max(sample for _, _, sample in study))


def _spread(mean: float, alike: float, count: int) -> Rates:
    """Evenly spaced quantiles of the beta distribution with this mean and correlation."""
    weight = (1 - alike) / alike
    quantiles = beta.ppf((np.arange(count) + 0.5) / count, mean * weight, (1 - mean) * weight)
    return np.asarray(quantiles, dtype=np.float64)
