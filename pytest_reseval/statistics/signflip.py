"""The exact sign-flip test: were the totals of units as likely to have the other sign?"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np


def sign_flip_p_value(totals: Iterable[int]) -> float:
    """The chance that the totals sum to as much or more, either way, with signs drawn at random.

    Fisher, The Design of Experiments (1935) section 21. Exact, by adding up all the ways to a sum
    one total at a time; 1 where all totals are 0. Where k are not, it is at least 2 / 2^k.
    """
    given = [total for total in totals if total]
    divisor = math.gcd(*given) or 1
    sizes = [abs(total) // divisor for total in given]
    reach = sum(sizes)
    chances = np.zeros(reach + 1)
    chances[0] = 1.0
    for size in sizes:
        moved = chances[: reach + 1 - size] / 2
        chances /= 2
        chances[size:] += moved
    sums = 2 * np.arange(reach + 1) - reach
    observed = abs(sum(given)) // divisor
    return min(1.0, float(chances[np.abs(sums) >= observed].sum()))
