"""The share of trials with some property, with an interval that respects tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv


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

    The exact interval of a binomial share (Clopper and Pearson, Biometrika 26 (1934) 404-413) with
    the effective number of trials in place of their number: Korn and Graubard, Survey Methodology
    24 (1998) 193-201. The design effect is the linearised variance of a ratio over the binomial
    one, and at least 1. Few events say little about how they cluster, so, in place of a correction
    by degrees of freedom, it is drawn towards its largest possible value (all samples of a task
    alike) with the weight of one task against the tasks that have an event, or those that have
    anything else, whichever are fewer. With one sample each it is plainly Clopper and Pearson's.

    Tasks without a trial are left out. One task says nothing about others: 0 to 1. Raises
    ValueError without any trial, and for values other than 0 and 1.
    """
    tasks = [outcomes for outcomes in clusters if len(outcomes)]
    if not tasks:
        raise ValueError("no trials to take a share of")
    if not all({0, 1}.issuperset(outcomes) for outcomes in tasks):
        raise ValueError("outcomes must be 0 or 1")
    sizes = np.array([len(outcomes) for outcomes in tasks], dtype=float)
    hits = np.array([sum(outcomes) for outcomes in tasks], dtype=float)
    trials = float(sizes.sum())
    value = float(hits.sum()) / trials
    low, high = 0.0, 1.0
    if len(tasks) > 1:
        count = trials / _design_effect(hits, sizes)
        low, high = _exact_interval(value * count, count)
    return Estimate(value, low, high, len(tasks), int(trials))


def _design_effect(hits: np.ndarray, sizes: np.ndarray) -> float:
    tasks, trials = len(sizes), sizes.sum()
    largest = float((sizes**2).sum() / trials)
    value = hits.sum() / trials
    telling = min(int((hits > 0).sum()), int((hits < sizes).sum()))
    if not telling:
        return largest
    if trials == tasks:
        return 1.0
    squares = ((hits - sizes * value) ** 2).sum()
    observed = tasks / (tasks - 1) * squares / (trials * value * (1 - value))
    return (max(1.0, float(observed)) * telling + largest) / (telling + 1)


def _exact_interval(hits: float, count: float) -> tuple[float, float]:
    low = float(betaincinv(hits, count - hits + 1, 0.025)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, count - hits, 0.975)) if hits < count else 1.0
    return low, high
