"""The interval for the summary; nothing beyond the standard library."""

from __future__ import annotations

from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)
"""The two-sided 5% point of the normal distribution."""


def wilson_interval(share: float, count: float, quantile: float = Z) -> tuple[float, float]:
    """The 95% score interval of a share observed in ``count`` independent units (count > 0).

    Wilson, Journal of the American Statistical Association 22 (1927) 209-212: keeps its coverage
    for few units and for shares near 0 and 1. ``quantile`` may be one of Student's t where
    ``count`` is itself an estimate.
    """
    spread = quantile * quantile / count
    centre = (share + spread / 2) / (1 + spread)
    half = quantile / (1 + spread) * (share * (1 - share) / count + spread / (4 * count)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
