from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.statistics.intervals import wilson_interval


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    [
        (81 / 263, 263, 0.2553, 0.3662),
        (15 / 148, 148, 0.0624, 0.1605),
        (0 / 20, 20, 0.0000, 0.1611),
        (1 / 29, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_the_published_one(
    share: float, count: int, low: float, high: float
) -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3."""
    assert wilson_interval(share, count) == pytest.approx((low, high), abs=5e-5)


def test_half_of_ten_is_between_a_quarter_and_three() -> None:
    assert wilson_interval(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_within_0_and_1_and_holds_the_share(observed: tuple[int, int]) -> None:
    share = observed[0] / observed[1]
    low, high = wilson_interval(share, observed[1])
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


@given(st.floats(0, 1), st.integers(1, 1000))
def test_more_units_never_widen_the_interval(share: float, count: int) -> None:
    low, high = wilson_interval(share, count)
    more_low, more_high = wilson_interval(share, count + 1)
    assert more_high - more_low <= high - low + 1e-12
