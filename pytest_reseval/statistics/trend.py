"""Whether outcomes rise or fall over ordered configurations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
    test of ``paired``. It is exact for complete blocks; totals of incomplete ones have the mean 0
    in common with their reverse, and no more.

    Without anything to compare the direction is none, the slope 0 and the p-value 1. Raises
    ValueError for outcomes other than 0 and 1 and for blocks of different lengths.
    """
    lengths = {len(block) for task in tasks for block in task}
    if len(lengths) > 1:
        raise ValueError("blocks must have the same configurations, None where there is no outcome")
    unit = math.lcm(*range(1, 1 + max(lengths, default=1)))
    totals = []
    spread = 0
    blocks = 0
    for task in tasks:
        compared = [found for block in task if len(found := _outcomes(block)) > 1]
        if compared:
            totals.append(sum(_score(block, unit) for block in compared))
            spread += sum(_spread(block, unit) for block in compared)
            blocks += len(compared)
    total = sum(totals)
    return Trend(
        direction="rising" if total > 0 else "falling" if total < 0 else "none",
        slope=total / spread if totals else 0.0,
        p_value=sign_flip_p_value(totals),
        tasks=len(totals),
        blocks=blocks,
    )


def _outcomes(block: Sequence[float | None]) -> dict[int, int]:
    """Outcomes by the place of their configuration."""
    found = {place: value for place, value in enumerate(block) if value is not None}
    if not {0, 1}.issuperset(found.values()):
        raise ValueError("outcomes must be 0 or 1")
    return {place: int(value) for place, value in found.items()}


def _score(outcomes: dict[int, int], unit: int) -> int:
    """The sum of outcomes times the distance of their places from the mean place, in 1 / unit."""
    count = len(outcomes)
    score = sum(place * value for place, value in outcomes.items())
    return (count * score - sum(outcomes) * sum(outcomes.values())) * (unit // count)


def _spread(outcomes: dict[int, int], unit: int) -> int:
    """The sum of squared distances of the places from their mean, in 1 / unit."""
    count = len(outcomes)
    squares = sum(place * place for place in outcomes)
    return (count * squares - sum(outcomes) ** 2) * (unit // count)
