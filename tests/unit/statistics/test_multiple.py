from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.statistics.multiple import holm

P_VALUES = st.lists(st.floats(0, 1), max_size=8)


def test_holms_procedure_by_hand() -> None:
    """The smallest counts four times, the next three times; never below one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(P_VALUES)
def test_adjusted_values_are_larger_in_the_same_order_and_below_bonferronis(
    p_values: list[float],
) -> None:
    adjusted = holm(p_values)
    for one, value in zip(adjusted, p_values, strict=True):
        assert value <= one <= min(1.0, len(p_values) * value)
    by_value = [one for _, one in sorted(zip(p_values, adjusted, strict=True))]
    assert by_value == sorted(by_value)


@given(P_VALUES, st.floats(0.001, 0.2))
def test_rejecting_by_adjusted_values_is_stepping_down(p_values: list[float], level: float) -> None:
    left = sorted(p_values)
    rejected = 0
    while rejected < len(left) and left[rejected] * (len(left) - rejected) <= level:
        rejected += 1
    assert sum(one <= level for one in holm(p_values)) == rejected
