"""The interval for the summary; nothing beyond the standard library."""

from __future__ import annotations

from statistics import NormalDist

_Z = NormalDist().inv_cdf(0.975)


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95% score interval of a share observed in ``count`` independent units (count >= 1).

    Wilson, Journal of the American Statistical Association 22 (1927) 209-212: keeps its coverage
    for few units and for shares near 0 and 1.
    """
    spread = _Z * _Z / count
    centre = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * (share * (1 - share) / count + spread / (4 * count)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
