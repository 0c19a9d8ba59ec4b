"""How small a difference a paired comparison can find, before it is run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import nct
from scipy.stats import t as student

_LEVEL = 0.05
_POWER = 0.8


@dataclass(frozen=True, slots=True)
class Variances:
    """Of after minus before: between tasks, and within a task between its samples."""

    between: float
    within: float

    def standard_error(self, tasks: int, samples: int) -> float:
        """Of the mean difference over so many tasks with so many samples each."""
        return math.sqrt((self.between + self.within / samples) / tasks)


def variances(tasks: Sequence[Sequence[tuple[float, float]]]) -> Variances:
    """Both variances from (before, after) of each task's samples, by analysis of variance.

    One way, random effects, unequal numbers of samples: Searle, Casella and McCulloch, Variance
    Components (1992) section 3.6; negative estimates are 0. With one sample each they cannot be
    told apart: all is within, which promises too much of further samples. Raises ValueError with
    fewer than two tasks.
    """
    groups = [
        np.array([after - before for before, after in pairs], dtype=float)
        for pairs in tasks
        if len(pairs)
    ]
    if len(groups) < 2:
        raise ValueError("variances need two tasks or more")
    sizes = np.array([len(group) for group in groups], dtype=float)
    means = np.array([group.mean() for group in groups])
    total, freedom = sizes.sum(), len(groups) - 1
    mean_square = float((sizes * (means - sizes @ means / total) ** 2).sum()) / freedom
    if total == len(groups):
        return Variances(between=0.0, within=mean_square)
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    within /= float(total) - len(groups)
    size = float(total - (sizes**2).sum() / total) / freedom
    return Variances(between=max(0.0, (mean_square - within) / size), within=within)


def detectable(spread: Variances, tasks: int, samples: int) -> float:
    """The smallest true difference found with 80% power at two-sided 5%.

    Of the t test on task means, whose power the sign-flip test shares unless few tasks differ.
    Needs two tasks or more. More than 1 means: none that is possible.
    """
    return _effect(tasks) * spread.standard_error(tasks, samples)


def samples_needed(spread: Variances, tasks: int, wished: float) -> int | None:
    """Samples per task that make a difference of ``wished`` (above 0) detectable.

    None if no number does: what tasks differ among themselves is averaged out by more tasks alone.
    """
    room = tasks * (wished / _effect(tasks)) ** 2 - spread.between
    if room <= 0:
        return None
    return max(1, math.ceil(spread.within / room - 1e-9))


def _effect(tasks: int) -> float:
    """The detectable difference in standard errors."""
    if tasks < 2:
        raise ValueError(f"a comparison needs two tasks or more, not {tasks}")
    freedom = tasks - 1
    critical = float(student.ppf(1 - _LEVEL / 2, freedom))

    def lacking(shift: float) -> float:
        return float(nct.sf(critical, freedom, shift)) - _POWER

    return float(brentq(lacking, 0.0, 2 * critical))
