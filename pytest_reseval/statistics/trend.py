"""Whether outcomes rise or fall over ordered configurations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_reseval.statistics.permutation import Whole, rearranged, two_sided


@dataclass(frozen=True, slots=True)
class Trend:
    """The mean change of a share from one configuration to the next, and a two-sided p-value."""

    direction: Literal["rising", "falling", "none"]
    slope: float
    p_value: float
    tasks: int
    blocks: int


def trend(tasks: Sequence[Sequence[Sequence[float | None]]]) -> Trend:
    """A linear trend of 0/1 outcomes over ordered configurations, stratified by task.

    For each task a block a sample: its outcome under each configuration in order, None where there
    is none. Configurations count as equally far apart. The slope is that of least squares with a
    mean for each block; ``tasks`` and ``blocks`` count those that have two configurations or more.

    The statistic is that of Cochran and Armitage, summed over strata (Mantel, Journal of the
    American Statistical Association 58 (1963) 690-700), and the p-value is exact: if configurations
    are alike, a task's outcomes could as well have come in any order of configurations (Page,
    Journal of the American Statistical Association 58 (1963) 216-230, has ranks there). All blocks
    of a task change places together, so samples that are alike count once. Blocks that lack other
    configurations than the rest of their task are rearranged apart from it.

    Without anything to compare the direction is none, the slope 0 and the p-value 1. Raises
    ValueError for outcomes other than 0 and 1 and for blocks of different lengths.
    """
    if len({len(block) for task in tasks for block in task}) > 1:
        raise ValueError("blocks must have the same configurations, None where there is no outcome")
    observed, spread = 0, 0.0
    centred = 0.0
    parts: list[Whole] = []
    used = set()
    blocks = 0
    for index, task in enumerate(tasks):
        for present, group in _by_presence(task).items():
            scores = np.array(present, dtype=np.int64)
            counts = np.array(group, dtype=np.int64).sum(axis=0)
            observed += int(counts @ scores)
            centred += float(counts @ (scores - scores.mean()))
            spread += len(group) * float(((scores - scores.mean()) ** 2).sum())
            parts.append(rearranged(counts, scores))
            used.add(index)
            blocks += len(group)
    if not parts:
        return Trend("none", 0.0, 1.0, 0, 0)
    slope = centred / spread
    direction: Literal["rising", "falling", "none"] = (
        "none" if abs(slope) < 1e-12 else "rising" if slope > 0 else "falling"
    )
    p_value = 1.0 if direction == "none" else two_sided(observed, parts)
    return Trend(direction, slope, p_value, len(used), blocks)


def _by_presence(
    task: Sequence[Sequence[float | None]],
) -> dict[tuple[int, ...], list[list[float]]]:
    """Blocks by which configurations they have, two at least; a task's rest moves as one."""
    groups: dict[tuple[int, ...], list[list[float]]] = defaultdict(list)
    for block in task:
        outcomes = [(place, value) for place, value in enumerate(block) if value is not None]
        if any(value not in (0, 1) for _, value in outcomes):
            raise ValueError("outcomes must be 0 or 1")
        if len(outcomes) > 1:
            groups[tuple(place for place, _ in outcomes)].append([value for _, value in outcomes])
    return groups
