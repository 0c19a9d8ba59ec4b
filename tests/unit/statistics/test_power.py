from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import f_oneway

from pytest_reseval.statistics.power import Variances, detectable, samples_needed, variances

SPREADS = st.builds(Variances, between=st.floats(0, 1), within=st.floats(0.01, 1))


@pytest.mark.parametrize(("tasks", "effect"), [(34, 0.5), (199, 0.2), (15, 0.8)])
def test_the_detectable_difference_is_cohens(tasks: int, effect: float) -> None:
    """Pairs needed for 80% at two-sided 5% by G*Power: effects of 0.2, 0.5 and 0.8 sd."""
    spread = Variances(between=0.0, within=1.0)
    assert detectable(spread, tasks, 1) <= effect < detectable(spread, tasks - 1, 1)


@given(SPREADS, st.integers(2, 100), st.floats(0.01, 1))
def test_the_samples_needed_are_the_fewest_that_find_it(
    spread: Variances, tasks: int, wished: float
) -> None:
    needed = samples_needed(spread, tasks, wished)
    if needed is None:
        assert detectable(spread, tasks, 10**12) >= wished - 1e-6
    else:
        assert detectable(spread, tasks, needed) <= wished + 1e-6
        assert needed == 1 or detectable(spread, tasks, needed - 1) > wished - 1e-6


@given(SPREADS, st.integers(2, 100), st.integers(1, 20))
def test_more_tasks_always_help_and_more_samples_never_harm(
    spread: Variances, tasks: int, samples: int
) -> None:
    found = detectable(spread, tasks, samples)
    assert detectable(spread, tasks + 1, samples) < found
    assert detectable(spread, tasks, samples + 1) <= found


def test_where_tasks_differ_no_number_of_samples_suffices() -> None:
    spread = Variances(between=0.04, within=0.3)
    assert samples_needed(spread, 12, 0.05) is None
    assert samples_needed(spread, 500, 0.05) is not None


def test_the_variances_are_those_of_the_analysis_of_variance() -> None:
    differences = [[0, 1, 1, 0], [1, 1, 1, 0], [0, 0, -1, 0], [0, 1, 0, 0]]
    tasks = [[(0.0, 1.0) if d > 0 else (1.0, 0.0) if d < 0 else (1.0, 1.0) for d in one]
             for one in differences]  # fmt: skip
    found = variances(tasks)
    ratio = (4 * found.between + found.within) / found.within
    assert ratio == pytest.approx(f_oneway(*differences).statistic)


def test_without_noise_within_tasks_all_is_between_them() -> None:
    found = variances([[(0.0, 1.0)] * 3, [(1.0, 1.0)] * 2, [(1.0, 0.0)] * 4])
    assert found.within == 0
    assert found.between > 0


def test_tasks_more_alike_than_by_chance_have_no_variance_between_them() -> None:
    found = variances([[(0.0, 1.0), (1.0, 0.0)]] * 4)
    assert found == Variances(between=0.0, within=2.0)


def test_one_sample_each_cannot_tell_the_two_apart() -> None:
    found = variances([[(0.0, 1.0)], [(1.0, 1.0)], [(1.0, 0.0)]])
    assert found == Variances(between=0.0, within=1.0)


def test_one_task_has_no_variance() -> None:
    with pytest.raises(ValueError, match="two tasks"):
        variances([[(0.0, 1.0)] * 5, []])
    with pytest.raises(ValueError, match="two tasks"):
        detectable(Variances(0.1, 0.1), 1, 5)
