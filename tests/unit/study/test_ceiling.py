"""Which ceiling is named, and that none is where the data cannot tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from benchmarks import published_study
from benchmarks.decisions import PUBLISHED, replayed
from pytest_reseval.outcomes import Outcome
from pytest_reseval.study.ceiling import Reason, choose_ceiling

LETTERS = {"p": Outcome.PASSED, "f": Outcome.FAILED, "i": Outcome.INFRA_ERROR}


def made(outcomes: Mapping[str, list[str]]) -> dict[tuple[str, str, int], Outcome]:
    """Trials by configuration: a string a task, a letter a sample."""
    return {
        (f"task {number}", label, sample): LETTERS[letter]
        for label, tasks in outcomes.items()
        for number, letters in enumerate(tasks)
        for sample, letter in enumerate(letters)
    }


MANY = 600
"""Tasks that a comparison sees small differences with."""


def with_infra(count: int, then: str = "f") -> list[str]:
    """``MANY`` tasks of which the first end as told and half of the others pass."""
    return [then] * count + ["p", "f"] * ((MANY - count) // 2)


def test_the_smallest_ceiling_that_fixes_enough_is_named() -> None:
    found = choose_ceiling(
        made(
            {
                "1x": with_infra(40, "i"),
                "2x": ["i"] * 30 + with_infra(40)[30:],
                "3x": ["i"] * 10 + with_infra(40)[10:],
                "uncapped": with_infra(40),
            }
        )
    )
    assert (found.named, found.reason) == ("3x", Reason.FIXED)
    assert [one.falls for one in found.candidates] == [True, True, True]
    assert [one.enough for one in found.candidates] == [False, True, True]
    assert found.candidates[1].removed == 0.75
    assert found.scores["1x"].infra.value == pytest.approx(40 / MANY)


def test_none_is_named_when_the_score_moves_with_it() -> None:
    found = choose_ceiling(made({"1x": with_infra(40, "i"), "3x": with_infra(40, "p")}))
    assert (found.named, found.reason) == (None, Reason.SCORE_MOVED)
    assert "graded on both sides" in found.told


def test_a_lift_that_is_significant_but_below_three_points_is_none() -> None:
    lifted = ["p"] * 12 + with_infra(40)[12:]
    found = choose_ceiling(made({"1x": with_infra(40, "i"), "3x": lifted}))
    assert found.candidates[0].contrast.score.p_value < 0.05
    assert found.named == "3x"


def test_none_is_named_when_infra_errors_do_not_fall() -> None:
    same = with_infra(40, "i")
    found = choose_ceiling(made({"1x": same, "3x": same}))
    assert (found.named, found.reason) == (None, Reason.NOT_FIXED)


def test_none_is_named_when_they_fall_by_too_little() -> None:
    found = choose_ceiling(
        made({"1x": with_infra(40, "i"), "3x": ["i"] * 25 + with_infra(40)[25:]})
    )
    assert (found.named, found.reason) == (None, Reason.NOT_FIXED)
    assert "fall from 1x to 3x" in found.told


@pytest.mark.parametrize("samples", [1, 2])
def test_twelve_tasks_cannot_tell(samples: int) -> None:
    strict = ["i" * samples] * 7 + ["p" * samples, "f" * samples, *["p" * samples] * 3]
    loose = ["f" * samples] * 7 + ["f" * samples, "p" * samples, *["p" * samples] * 3]
    found = choose_ceiling(made({"1x": strict, "3x": loose}))
    assert (found.named, found.reason) == (None, Reason.UNDERPOWERED)


def test_without_any_difference_of_scores_nothing_can_be_told() -> None:
    strict = ["i"] * 8 + ["p"] * 4
    found = choose_ceiling(made({"1x": strict, "3x": ["f"] * 8 + ["p"] * 4}))
    assert (found.named, found.reason) == (None, Reason.UNDERPOWERED)
    assert "no trial's score differed" in found.told


def test_five_tasks_are_too_few_whatever_they_show() -> None:
    found = choose_ceiling(made({"1x": ["iiii"] * 5, "3x": ["pppp"] * 5}))
    assert (found.named, found.reason) == (None, Reason.FEW_TASKS)


def test_the_tightest_is_named_when_infra_errors_are_rare_there() -> None:
    found = choose_ceiling(made({"1x": with_infra(0), "3x": with_infra(0)}))
    assert (found.named, found.reason) == ("1x", Reason.RARE)


def test_twelve_trials_without_an_infra_error_do_not_show_that_they_are_rare() -> None:
    found = choose_ceiling(made({"1x": ["p"] * 12, "3x": ["p"] * 12}))
    assert (found.named, found.reason) == (None, Reason.NOT_FIXED)
    assert found.told.startswith("1x has no infra-error in 12 trials; that is too few")


def test_the_usual_timeouts_are_the_reference() -> None:
    outcomes = {
        "1x-time0.5x": with_infra(40, "i"),
        "3x-time0.5x": with_infra(40),
        "1x": with_infra(40, "i"),
        "3x": with_infra(40),
    }
    found = choose_ceiling(made(outcomes))
    assert found.reference == "1x"
    assert found.left_out == ("1x-time0.5x", "3x-time0.5x")


def test_one_configuration_is_no_comparison() -> None:
    found = choose_ceiling(made({"3x": with_infra(40, "i")}))
    assert (found.named, found.reason) == (None, Reason.ONE_CONFIGURATION)
    assert found.scores["3x"].infra.trials == MANY


def test_without_trials_there_is_nothing() -> None:
    assert choose_ceiling({}).reason is Reason.ONE_CONFIGURATION


def test_an_interrupted_run_names_none() -> None:
    trials = made({"1x": with_infra(40, "i"), "3x": with_infra(40)})
    assert choose_ceiling(trials).named == "3x"
    found = choose_ceiling(trials, unfinished=3)
    assert (found.named, found.reason) == (None, Reason.UNFINISHED)
    assert choose_ceiling({}, unfinished=3).reason is Reason.UNFINISHED


def test_an_unbalanced_run_names_none() -> None:
    trials = made({"1x": with_infra(40, "i"), "3x": with_infra(40)})
    del trials["task 599", "1x", 0]
    found = choose_ceiling(trials)
    assert (found.named, found.reason) == (None, Reason.UNBALANCED)


def test_configurations_that_differ_in_more_than_headroom_are_left_out() -> None:
    found = choose_ceiling(
        made(
            {
                "1x": with_infra(40, "i"),
                "3x": with_infra(40),
                "1x-time2x": with_infra(40),
                "uncapped-cpu1x": with_infra(40),
            }
        )
    )
    assert found.left_out == ("1x-time2x", "uncapped-cpu1x")
    assert found.named == "3x"


def test_the_published_numbers_name_three_times_the_guarantee_in_most_runs() -> None:
    named = Counter(replayed(seed, published_study.SAMPLES, PUBLISHED).named for seed in range(12))
    assert named["3x"] > 6
    assert named["uncapped"] == 0


def test_one_sample_of_the_published_study_names_none() -> None:
    assert {replayed(seed, 1, PUBLISHED).named for seed in range(5)} == {None}
