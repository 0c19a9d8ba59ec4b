"""The exact distribution of a sum of independent whole numbers, and tail probabilities of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import permutations

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float64]

_ALL = 7
"""The longest sequence of which all rearrangements are taken: 5040 of them."""

_TOLERANCE = 1e-9
"""Relative; above the rounding of the convolutions, below any true difference between sums."""


def two_sided(observed: int, parts: Iterable[Whole]) -> float:
    """The chance of a sum at least as far from its mean as ``observed``.

    Each part lists the equally likely values of one summand; summands are independent.
    """
    low, weights = 0, np.ones(1)
    mean = 0.0
    for values in parts:
        least = int(values.min())
        weights = np.convolve(weights, np.bincount(values - least) / len(values))
        low += least
        mean += float(values.mean())
    distance = np.abs(low + np.arange(len(weights)) - mean)
    far = distance >= abs(observed - mean) - _TOLERANCE * max(1.0, float(distance.max()))
    return min(1.0, float(weights[far].sum()))


def sign_flips(total: int) -> Whole:
    """What a difference could as well have been were its two sides exchanged."""
    return np.array([-total, total])


def rearranged(counts: Whole, scores: Whole) -> Whole:
    """The sums of ``counts * scores`` over rearrangements of the counts.

    All of them up to seven; above that the rotations of the counts, forwards and backwards, which
    are a group too, so that a test over them is as exact.
    """
    sums: Whole = counts[_orders(len(counts))] @ scores
    return sums


@cache
def _orders(length: int) -> Whole:
    if length <= _ALL:
        return np.array(list(permutations(range(length))), dtype=np.int64)
    rotations = (np.arange(length)[:, None] + np.arange(length)) % length
    return np.concatenate([rotations, rotations[:, ::-1]])
