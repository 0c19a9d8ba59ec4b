"""Two configurations over the same tasks and samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from pytest_reseval.statistics.permutation import sign_flips, two_sided


@dataclass(frozen=True, slots=True)
class Difference:
    """After minus before as a difference of shares, its 95% interval, and a two-sided p-value."""

    value: float
    low: float
    high: float
    p_value: float
    tasks: int
    pairs: int


def difference(tasks: Sequence[Sequence[tuple[float, float]]]) -> Difference:
    """The mean over all pairs of after minus before, clustered by task.

    Inner sequences hold (before, after), each 0 or 1, for every sample that has both.

    The p-value is the exact one of the sign-flip test over tasks: if the two configurations are
    alike, exchanging them in all samples of a task changes nothing. With one sample each this is
    McNemar's exact test. It keeps its size however few tasks differ, and for that reason cannot
    fall below 2 / 2^k where k tasks differ.

    The interval is of the form of Bonett and Price, Journal of Educational and Behavioral
    Statistics 37 (2012) 479-488, with tasks for units: two more tasks are imagined, one for and one
    against, as large as the typical task that differs, and then it is mean and t quantile.

    Without differences the interval is what so many tasks without one still allow. One task says
    nothing about others: -1 to 1. So it is without any pair, with the value 0: look at ``pairs``.
    Raises ValueError for values other than 0 and 1.
    """
    given = [pairs for pairs in tasks if len(pairs)]
    if any(value not in (0, 1) for pairs in given for pair in pairs for value in pair):
        raise ValueError("outcomes must be 0 or 1")
    sizes = np.array([len(pairs) for pairs in given], dtype=float)
    totals = np.array([sum(after - before for before, after in pairs) for pairs in given])
    count = int(sizes.sum())
    if not count:
        return Difference(0.0, -1.0, 1.0, 1.0, 0, 0)
    value = float(totals.sum()) / count
    low, high = _interval(totals, sizes) if len(given) > 1 else (-1.0, 1.0)
    whole = totals.astype(np.int64)
    p_value = two_sided(int(whole.sum()), [sign_flips(int(one)) for one in whole if one])
    return Difference(value, low, high, p_value, len(given), count)


def _interval(totals: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    size = sizes.mean()
    differing = totals[totals != 0]
    typical = float(np.sqrt((differing**2).mean())) if len(differing) else size
    totals = np.append(totals, [typical, -typical])
    sizes = np.append(sizes, [size, size])
    tasks, pairs = len(sizes), float(sizes.sum())
    centre = float(totals.sum()) / pairs
    squares = float(((totals - sizes * centre) ** 2).sum())
    half = float(student.ppf(0.975, tasks - 1)) * (tasks / (tasks - 1) * squares) ** 0.5 / pairs
    return max(-1.0, centre - half), min(1.0, centre + half)
