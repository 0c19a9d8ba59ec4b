from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test
from scipy.stats import t as student

from pytest_reseval.statistics.paired import Difference, difference

Tasks = list[list[tuple[float, float]]]

OUTCOMES = st.sampled_from([0.0, 1.0])
PAIRS = st.tuples(OUTCOMES, OUTCOMES)
TASKS: st.SearchStrategy[Tasks] = st.lists(st.lists(PAIRS, max_size=5), max_size=20)
SINGLE = st.lists(PAIRS, min_size=2, max_size=40)


def _numbers(found: Difference) -> tuple[float, float, float, float]:
    return found.value, found.low, found.high, found.p_value


@given(TASKS)
def test_every_answer_is_a_number_in_its_range(tasks: Tasks) -> None:
    found = difference(tasks)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert 0 < found.p_value <= 1
    assert found.pairs == sum(map(len, tasks))


@given(TASKS, st.randoms())
def test_pairs_and_tasks_may_come_in_any_order(tasks: Tasks, random: Random) -> None:
    shuffled = [random.sample(task, len(task)) for task in tasks]
    random.shuffle(shuffled)
    assert _numbers(difference(shuffled)) == pytest.approx(_numbers(difference(tasks)))


@given(TASKS)
def test_before_and_after_exchanged_negate_the_difference(tasks: Tasks) -> None:
    value, low, high, p_value = _numbers(difference([[(b, a) for a, b in one] for one in tasks]))
    assert (-value, -high, -low, p_value) == pytest.approx(_numbers(difference(tasks)))


@given(SINGLE, st.integers(2, 5))
def test_the_same_pair_again_tells_nothing_new(pairs: list[tuple[float, float]], k: int) -> None:
    once, again = difference([[pair] for pair in pairs]), difference([[pair] * k for pair in pairs])
    assert _numbers(again) == pytest.approx(_numbers(once))


@given(SINGLE)
def test_one_sample_each_is_mcnemars_exact_test(pairs: list[tuple[float, float]]) -> None:
    up, down = pairs.count((0.0, 1.0)), pairs.count((1.0, 0.0))
    exact = binomtest(up, up + down).pvalue if up + down else 1.0
    assert difference([[pair] for pair in pairs]).p_value == pytest.approx(exact)


@given(st.lists(st.lists(PAIRS, min_size=1, max_size=4), min_size=2, max_size=5))
def test_several_samples_are_the_permutation_test_over_tasks(tasks: Tasks) -> None:
    before, after = ([sum(pair[side] for pair in task) for task in tasks] for side in (0, 1))
    exact = permutation_test(
        (after, before), lambda one, other: sum(one) - sum(other), permutation_type="samples"
    )
    assert difference(tasks).p_value == pytest.approx(exact.pvalue)


@given(SINGLE)
def test_one_sample_each_is_the_interval_of_bonett_and_price(
    pairs: list[tuple[float, float]],
) -> None:
    """Their adjusted Wald interval, with t for z and one less than the number in the variance."""
    count = len(pairs) + 2
    up, down = ((pairs.count(pair) + 1) / count for pair in ((0.0, 1.0), (1.0, 0.0)))
    half = student.ppf(0.975, count - 1) * ((up + down - (up - down) ** 2) / (count - 1)) ** 0.5
    found = difference([[pair] for pair in pairs])
    assert found.low == pytest.approx(max(-1, up - down - half))
    assert found.high == pytest.approx(min(1, up - down + half))


@pytest.mark.parametrize(("differing", "significant"), [(4, False), (5, False), (6, True)])
def test_few_tasks_that_differ_prove_little(differing: int, significant: bool) -> None:
    tasks = [[(0.0, 1.0)] * 5] * differing + [[(0.0, 0.0)] * 5] * (89 - differing)
    found = difference(tasks)
    assert found.p_value == pytest.approx(2 / 2**differing)
    assert (found.p_value < 0.05) is significant
    assert (found.low > 0) is significant


def test_no_difference_in_more_tasks_leaves_room_for_a_smaller_one() -> None:
    few, many = difference([[(1.0, 1.0)]] * 12), difference([[(1.0, 1.0)]] * 89)
    assert few.value == many.value == 0
    assert few.p_value == many.p_value == 1
    assert few.low < many.low < 0 < many.high < few.high


def test_no_pairs_and_one_task_tell_nothing() -> None:
    assert difference([]) == difference([[], []]) == Difference(0.0, -1.0, 1.0, 1.0, 0, 0)
    assert _numbers(difference([[(0.0, 1.0)] * 9])) == (1.0, -1.0, 1.0, 1.0)


@pytest.mark.parametrize("pair", [(0.5, 1.0), (0.0, float("nan"))])
def test_what_is_no_outcome_is_refused_in_pairs(pair: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        difference([[pair]])
