"""Whether outcomes rise or fall over ordered configurations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pytest_reseval.statistics.signflip import sign_flip_p_value

Direction = Literal["rising", "falling", "none"]


@dataclass(frozen=True, slots=True)
class Trend:
    """The mean change of a share from one configuration to the next, and a two-sided p-value."""

    direction: Direction
    slope: float
    p_value: float
    tasks: int
    blocks: int


def trend(tasks: Sequence[Sequence[Sequence[float | None]]]) -> Trend:
    """A linear trend of 0/1 outcomes over ordered configurations, clustered by task.

    For each task a block a sample: its outcome under each configuration in order, None where there
    is none. Configurations count as equally far apart. The slope is that of least squares with a
    mean for each block; ``tasks`` and ``blocks`` count those that have two configurations or more.

    Each task has a total: its outcomes times their centred places, the score of Cochran and
    Armitage within strata (Mantel, Journal of the American Statistical Association 58 (1963)
    690-700). The p-value is that of the sign-flip test over these totals: if configurations are
    alike, the reversed order of a task's outcomes was as likely. With two configurations it is the
    test of ``paired``. It is exact for complete blocks; a mean is all that incomplete ones are sure
    to have in common with their reverse.

    Without anything to compare the direction is none, the slope 0 and the p-value 1. Raises
    ValueError for outcomes other than 0 and 1 and for blocks of different lengths.
    """
    if len({len(block) for task in tasks for block in task}) > 1:
        raise ValueError("blocks must have the same configurations, None where there is no outcome")
    totals = []
    spread = Fraction(0)
    blocks = 0
    for task in tasks:
        compared = [found for block in task if len(found := _outcomes(block)) > 1]
        if compared:
            totals.append(sum(map(_score, compared), Fraction(0)))
            spread += sum(map(_spread, compared), Fraction(0))
            blocks += len(compared)
    if not totals:
        return Trend("none", 0.0, 1.0, 0, 0)
    slope = sum(totals, Fraction(0)) / spread
    whole = math.lcm(*(total.denominator for total in totals))
    return Trend(
        direction="rising" if slope > 0 else "falling" if slope < 0 else "none",
        slope=float(slope),
        p_value=sign_flip_p_value(int(total * whole) for total in totals),
        tasks=len(totals),
        blocks=blocks,
    )


def _outcomes(block: Sequence[float | None]) -> dict[int, int]:
    """Outcomes by the place of their configuration."""
    found = {place: value for place, value in enumerate(block) if value is not None}
    if any(value not in (0, 1) for value in found.values()):
        raise ValueError("outcomes must be 0 or 1")
    return {place: int(value) for place, value in found.items()}


def _score(outcomes: dict[int, int]) -> Fraction:
    """The sum of outcomes times how far their places are from the mean place."""
    count, places = len(outcomes), sum(outcomes)
    score = sum(place * value for place, value in outcomes.items())
    return Fraction(count * score - places * sum(outcomes.values()), count)


def _spread(outcomes: dict[int, int]) -> Fraction:
    """The sum of squared distances of the places from their mean."""
    count = len(outcomes)
    return Fraction(count * sum(place * place for place in outcomes) - sum(outcomes) ** 2, count)
