from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.outcomes import Outcome
from pytest_reseval.statistics.scores import scores

P, F, I = Outcome.PASSED, Outcome.FAILED, Outcome.INFRA_ERROR  # noqa: E741

TASKS = st.lists(
    st.lists(st.sampled_from(list(Outcome)), max_size=5), min_size=1, max_size=12
).filter(any)


def test_infra_errors_are_counted_in_each_of_the_four_ways() -> None:
    found = scores([[P, P, F, I], [P, I, I, F]])
    assert found.headline.value == found.at_least.value == 3 / 8
    assert found.graded is not None
    assert (found.graded.value, found.graded.trials) == (3 / 5, 5)
    assert found.at_most.value == 6 / 8
    assert found.infra.value == 3 / 8


@given(TASKS)
def test_the_graded_score_lies_between_the_bounds(tasks: list[list[Outcome]]) -> None:
    found = scores(tasks)
    assert found.at_most.value - found.at_least.value == pytest.approx(found.infra.value)
    if found.graded is not None:
        assert found.at_least.value - 1e-12 <= found.graded.value <= found.at_most.value + 1e-12


@given(TASKS)
def test_breaking_the_box_in_place_of_failing_gains_nothing(tasks: list[list[Outcome]]) -> None:
    crashed = [[I if one is F else one for one in task] for task in tasks]
    assert scores(crashed).headline == scores(tasks).headline


def test_nothing_graded_has_no_graded_score() -> None:
    found = scores([[I], [I, I]])
    assert found.graded is None
    assert (found.headline.value, found.at_most.value) == (0, 1)


def test_no_trials_have_no_scores() -> None:
    with pytest.raises(ValueError, match="no trials"):
        scores([[]])
