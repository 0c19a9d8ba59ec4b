from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.statistics.signflip import sign_flip_p_value


@given(st.lists(st.integers(-6, 6), max_size=9))
def test_the_p_value_is_the_share_of_all_signs_that_go_as_far(totals: list[int]) -> None:
    sums = [
        sum(sign * total for sign, total in zip(signs, totals, strict=True))
        for signs in product([1, -1], repeat=len(totals))
    ]
    far = sum(abs(one) >= abs(sum(totals)) for one in sums)
    assert sign_flip_p_value(totals) == pytest.approx(far / len(sums))


@given(st.lists(st.integers(-6, 6), max_size=30), st.integers(1, 1000))
def test_the_unit_of_the_totals_is_of_no_matter(totals: list[int], unit: int) -> None:
    assert sign_flip_p_value([unit * total for total in totals]) == sign_flip_p_value(totals)


def test_darwins_maize_is_as_fisher_found() -> None:
    """Fisher, The Design of Experiments (1935), section 21: 1726 of 2^15 by chance, two-sided."""
    eighths = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert sign_flip_p_value(eighths) == 1726 / 2**15
