"""The share of trials with some property, with an interval that respects tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from pytest_reseval.statistics.intervals import Z, wilson_interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share of trials and its 95% interval, and how many tasks and trials it comes from."""

    value: float
    low: float
    high: float
    tasks: int
    trials: int


def share(clusters: Sequence[Sequence[float]]) -> Estimate:
    """The mean over all trials of 0/1 outcomes, one inner sequence a task, clustered by task.

    Wilson's interval with the effective number of trials in place of the number, and a t quantile
    with (tasks - 1) degrees of freedom, since that number is an estimate: Dean and Pagano, Journal
    of Survey Statistics and Methodology 3 (2015) 484-503; Franco, Little, Louis and Slud, the same
    journal 7 (2019) 334-364. The design effect is the linearised variance of a ratio over the
    binomial one, at least 1. Few events say little about how they cluster, so it is drawn towards
    its largest possible value (all samples of a task alike) with the weight of one task. With one
    sample each it is plainly Wilson's interval over tasks.

    Tasks without a trial are left out. One task says nothing about others: 0 to 1. Raises
    ValueError without any trial, and for values other than 0 and 1.
    """
    tasks = [outcomes for outcomes in clusters if len(outcomes)]
    if not tasks:
        raise ValueError("no trials to take a share of")
    if any(value not in (0, 1) for outcomes in tasks for value in outcomes):
        raise ValueError("outcomes must be 0 or 1")
    sizes = np.array([len(outcomes) for outcomes in tasks], dtype=float)
    hits = np.array([sum(outcomes) for outcomes in tasks], dtype=float)
    trials = float(sizes.sum())
    value = float(hits.sum()) / trials
    if len(tasks) == 1:
        low, high = 0.0, 1.0
    elif trials == len(tasks):
        low, high = wilson_interval(value, trials, Z)
    else:
        count = trials / _design_effect(hits, sizes)
        low, high = wilson_interval(value, count, float(student.ppf(0.975, len(tasks) - 1)))
    return Estimate(value, min(low, value), max(high, value), len(tasks), int(trials))


def _design_effect(hits: np.ndarray, sizes: np.ndarray) -> float:
    tasks, trials = len(sizes), sizes.sum()
    largest = float((sizes**2).sum() / trials)
    value = hits.sum() / trials
    telling = min(int((hits > 0).sum()), int((hits < sizes).sum()))
    if not telling:
        return largest
    squares = ((hits - sizes * value) ** 2).sum()
    observed = tasks / (tasks - 1) * squares / (trials * value * (1 - value))
    return (max(1.0, float(observed)) * telling + largest) / (telling + 1)
