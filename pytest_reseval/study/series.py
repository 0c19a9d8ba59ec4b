"""Sampled series as they were written down, in brief."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

_BARS = "▁▂▃▄▅▆▇█"


def read_series(file: Path) -> Mapping[str, list[float]]:
    """The columns of a ``series.csv`` by name; rows that are torn or no numbers are passed over.

    Raises OSError.
    """
    with file.open(newline="", encoding="utf-8", errors="replace") as stream:
        rows = csv.reader(stream)
        names = next(rows, [])
        columns: dict[str, list[float]] = {name: [] for name in names}
        for row in rows:
            try:
                figures = [float(figure) for figure in row]
            except ValueError:
                continue
            if len(figures) == len(names) and all(map(math.isfinite, figures)):
                for name, figure in zip(names, figures, strict=True):
                    columns[name].append(figure)
    return columns


def rates(counter: Sequence[float], times: Sequence[float]) -> list[float]:
    """How fast a counter rose from each row to the next, per second."""
    return [
        (after - before) / (later - earlier) if later > earlier else 0.0
        for before, after, earlier, later in zip(
            counter, counter[1:], times, times[1:], strict=False
        )
    ]


def sparkline(values: Sequence[float], width: int) -> str:
    """One character for as many values as must share it, as high as their highest is.

    The lowest bar is 0, the highest the highest of all values.
    """
    top = max(values, default=0.0)
    if not values or width < 1:
        return ""
    if top <= 0:
        return _BARS[0] * min(width, len(values))
    count = min(width, len(values))
    edges = [index * len(values) // count for index in range(count + 1)]
    return "".join(
        _BARS[min(len(_BARS) - 1, int(max(0.0, max(values[start:end])) / top * len(_BARS)))]
        for start, end in pairwise(edges)
    )
