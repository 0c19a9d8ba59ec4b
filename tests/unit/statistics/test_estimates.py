from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from pytest_reseval.statistics.estimates import share

Tasks = list[list[float]]

OUTCOMES = st.sampled_from([0.0, 1.0])
TASKS: st.SearchStrategy[Tasks] = st.lists(
    st.lists(OUTCOMES, max_size=6), min_size=1, max_size=20
).filter(any)
SINGLE = st.lists(OUTCOMES, min_size=2, max_size=40)


@given(TASKS)
def test_the_interval_holds_the_value_within_0_and_1(tasks: Tasks) -> None:
    estimate = share(tasks)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.trials == sum(map(len, tasks))
    assert estimate.tasks == sum(map(bool, tasks))


@given(TASKS, st.randoms())
def test_the_order_of_tasks_and_samples_is_of_no_matter(tasks: Tasks, random: Random) -> None:
    shuffled = [random.sample(task, len(task)) for task in tasks]
    random.shuffle(shuffled)
    one, other = share(tasks), share(shuffled)
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


@given(TASKS)
def test_what_did_not_happen_has_the_mirrored_interval(tasks: Tasks) -> None:
    one, other = share(tasks), share([[1 - value for value in task] for task in tasks])
    assert (1 - one.high, 1 - one.low) == pytest.approx((other.low, other.high), abs=1e-9)


@given(SINGLE, st.integers(2, 6))
def test_the_same_sample_again_tells_nothing_new(outcomes: list[float], times: int) -> None:
    once = share([[outcome] for outcome in outcomes])
    again = share([[outcome] * times for outcome in outcomes])
    assert again.value == pytest.approx(once.value)
    assert again.low <= once.low + 1e-12
    assert again.high >= once.high - 1e-12


@given(SINGLE)
def test_one_sample_each_is_the_exact_binomial_interval(outcomes: list[float]) -> None:
    estimate = share([[outcome] for outcome in outcomes])
    exact = binomtest(int(sum(outcomes)), len(outcomes)).proportion_ci(method="exact")
    assert (estimate.low, estimate.high) == pytest.approx((exact.low, exact.high))


def test_samples_that_differ_as_if_tasks_were_one_are_worth_almost_their_number() -> None:
    tasks = [[1.0, 0.0]] * 20 + [[1.0, 1.0]] * 10 + [[0.0, 0.0]] * 10
    found = share(tasks)
    independent = binomtest(40, 80).proportion_ci(method="exact")
    assert found.high - found.low == pytest.approx(independent.high - independent.low, rel=0.03)


def test_samples_that_differ_more_than_by_chance_are_not_rewarded() -> None:
    found = share([[1.0, 0.0]] * 20)
    independent = binomtest(20, 40).proportion_ci(method="exact")
    assert found.low < independent.low
    assert found.high > independent.high


def test_one_event_tells_half_of_how_events_cluster() -> None:
    """Observed it is about 1, at most 5, so the effective number is a third of the trials."""
    found = share([[1.0, 0.0, 0.0, 0.0, 0.0], *[[0.0] * 5] * 88])
    hits, trials = 1 / 3, 445 / 3
    assert found.low == pytest.approx(beta.ppf(0.025, hits, trials - hits + 1), rel=0.01)
    assert found.high == pytest.approx(beta.ppf(0.975, hits + 1, trials - hits), rel=0.01)


def test_without_events_tasks_are_what_counts() -> None:
    """The exact upper limit is 1 - 0.025^(1/n); the rule of three's two-sided sister."""
    assert share([[0.0] * 5] * 89).high == pytest.approx(1 - 0.025 ** (1 / 89))


def test_trials_weigh_alike_where_tasks_have_different_numbers_of_them() -> None:
    assert share([[1.0], [0.0, 0.0, 0.0]]).value == 0.25


def test_one_task_says_nothing_about_others() -> None:
    estimate = share([[1.0, 0.0], []])
    assert (estimate.value, estimate.low, estimate.high, estimate.tasks) == (0.5, 0, 1, 1)


@pytest.mark.parametrize("tasks", [[], [[]], [[0.5]], [[float("nan")]], [[2.0]]])
def test_what_is_no_outcome_is_refused(tasks: Tasks) -> None:
    with pytest.raises(ValueError, match=r"trials|0 or 1"):
        share(tasks)
