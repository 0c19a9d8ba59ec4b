from __future__ import annotations

from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from pytest_reseval.statistics.paired import difference
from pytest_reseval.statistics.trend import trend

Block = list[float | None]
Tasks = list[list[Block]]

OUTCOMES = st.sampled_from([0.0, 1.0])


def _tasks(outcome: st.SearchStrategy[float | None]) -> st.SearchStrategy[Tasks]:
    def of(length: int) -> st.SearchStrategy[Tasks]:
        block = st.lists(outcome, min_size=length, max_size=length)
        return st.lists(st.lists(block, max_size=3), max_size=5)

    return st.integers(0, 5).flatmap(of)


COMPLETE = _tasks(OUTCOMES)
INCOMPLETE = _tasks(st.one_of(st.none(), OUTCOMES))
OPPOSITE = {"rising": "falling", "falling": "rising", "none": "none"}


@given(INCOMPLETE)
def test_every_trend_is_a_number_in_its_range(tasks: Tasks) -> None:
    found = trend(tasks)
    assert 0 < found.p_value <= 1
    assert -1 <= found.slope <= 1
    assert found.blocks >= found.tasks
    assert (found.direction == "none") == (found.slope == 0)


@given(INCOMPLETE, st.randoms())
def test_blocks_and_tasks_may_come_in_any_order(tasks: Tasks, random: Random) -> None:
    shuffled = [random.sample(task, len(task)) for task in tasks]
    random.shuffle(shuffled)
    assert trend(shuffled) == trend(tasks)


@given(INCOMPLETE)
def test_the_reversed_order_has_the_opposite_trend(tasks: Tasks) -> None:
    found, turned = trend(tasks), trend([[block[::-1] for block in task] for task in tasks])
    assert turned.direction == OPPOSITE[found.direction]
    assert turned.slope == pytest.approx(-found.slope)
    assert turned.p_value == pytest.approx(found.p_value)


@given(INCOMPLETE, st.integers(2, 4))
def test_the_same_block_again_tells_nothing_new(tasks: Tasks, times: int) -> None:
    found, again = trend(tasks), trend([task * times for task in tasks])
    assert again.slope == pytest.approx(found.slope)
    assert again.p_value == pytest.approx(found.p_value)


@given(st.lists(st.lists(st.tuples(OUTCOMES, OUTCOMES), max_size=4), max_size=12))
def test_two_configurations_are_a_paired_comparison(tasks: list[list[tuple[float, float]]]) -> None:
    found, paired = trend(tasks), difference(tasks)
    assert found.p_value == pytest.approx(paired.p_value)
    assert found.slope == pytest.approx(paired.value)


@given(COMPLETE)
def test_the_p_value_is_the_share_of_reversals_that_are_as_far(tasks: Tasks) -> None:
    """By turning each task around or not, in all ways."""

    def slope(turned: tuple[bool, ...]) -> float:
        return trend(
            [
                [block[::-1] if turn else block for block in task]
                for turn, task in zip(turned, tasks, strict=True)
            ]
        ).slope

    slopes = [slope(turned) for turned in product([False, True], repeat=len(tasks))]
    as_far = [abs(one) >= abs(slopes[0]) - 1e-12 for one in slopes]
    assert trend(tasks).p_value == pytest.approx(sum(as_far) / len(as_far))


@given(COMPLETE.filter(lambda tasks: any(len(block) > 1 for task in tasks for block in task)))
def test_the_slope_is_that_of_least_squares(tasks: Tasks) -> None:
    blocks = [block for task in tasks for block in task]
    places = [place for block in blocks for place in range(len(block))]
    values = [value or 0.0 for block in blocks for value in block]
    assert trend(tasks).slope == pytest.approx(linregress(places, values).slope, abs=1e-12)


def test_a_step_is_a_trend() -> None:
    falling = trend([[[1.0, 1.0, 0.0, 0.0]] * 3] * 8 + [[[0.0] * 4] * 3] * 20)
    assert falling.direction == "falling"
    assert falling.p_value == pytest.approx(2 / 2**8)
    assert (falling.tasks, falling.blocks) == (28, 84)


def test_blocks_with_one_outcome_compare_nothing() -> None:
    found = trend([[[1.0, None, None]], [[None, None, None]], []])
    assert (found.direction, found.slope, found.p_value) == ("none", 0.0, 1.0)
    assert (found.tasks, found.blocks) == (0, 0)


@pytest.mark.parametrize("tasks", [[[[0.5, 1.0]]], [[[0.0, 1.0]], [[0.0, 1.0, 1.0]]]])
def test_what_is_no_block_is_refused(tasks: Tasks) -> None:
    with pytest.raises(ValueError, match=r"0 or 1|same configurations"):
        trend(tasks)
