"""Several comparisons at once; nothing beyond the standard library."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, in the order given.

    Holm, Scandinavian Journal of Statistics 6 (1979) 65-70: the chance of any false positive among
    them stays at the level that the adjusted values are held against, however they depend on each
    other.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
