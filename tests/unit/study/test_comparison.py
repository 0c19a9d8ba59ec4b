"""Were two runs the same test, and what is the difference of their scores worth?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.decisions import finding
from pytest_reseval.outcomes import Outcome
from pytest_reseval.statistics.paired import Difference
from pytest_reseval.study.comparable import ComparableRun, Result, Terms, Value, Weight
from pytest_reseval.study.comparison import (
    SKEPTICISM,
    CannotCompare,
    Comparison,
    Finding,
    compare,
    judge,
)
from pytest_reseval.study.sameness import ResourcesAre

LETTERS = {"p": Outcome.PASSED, "f": Outcome.FAILED, "i": Outcome.INFRA_ERROR}
GIVEN: dict[str, Value] = {"memory_guarantee": 64, "memory_limit": 192, "cpu_limit": 3.0}
TERMS: Terms = {
    "resources.engine": "docker",
    "resources.memory (GiB)": 24,
    "agent.agent": "cmd:a",
    "environment.kernel": "6.1",
    "circumstance.started": "then",
}


def run_of(label: str = "3x", /, resources: Terms | None = GIVEN, **tasks: str) -> ComparableRun:
    """A run of one configuration; a letter a sample."""
    results = tuple(
        Result(
            task, label, sample, LETTERS[letter], digest=f"digest of {task}", resources=resources
        )
        for task, letters in tasks.items()
        for sample, letter in enumerate(letters)
    )
    return ComparableRun("made up", TERMS, results, {label: {"resources.memory headroom": label}})


def with_terms(run: ComparableRun, **terms: Any) -> ComparableRun:
    changed = {name.replace("__", "."): value for name, value in terms.items()}
    return replace(run, terms={**run.terms, **changed})


def only(before: ComparableRun, after: ComparableRun, **options: Any) -> Comparison:
    (found,) = compare(before, after, **options)
    return found


def test_equal_runs_are_the_same_test() -> None:
    run = run_of(a="pf", b="pp")
    found = only(run, with_terms(run, circumstance__started="now"))
    assert found.sameness.told == "same test"
    assert found.sameness.same_test
    assert [one.weight for one in found.sameness.differences] == [Weight.CIRCUMSTANCE]
    assert found.finding is Finding.WITHIN_NOISE


def test_what_differs_only_in_headroom_says_that_first() -> None:
    tight = run_of("1x", GIVEN | {"memory_limit": 64}, a="pf")
    found = only(tight, run_of("3x", a="pf"))
    assert found.configurations == ("1x", "3x")
    assert found.sameness.told == "not the same test: resources (memory headroom 1x against 3x)"
    assert found.sameness.resources == "differ"


def test_another_agent_is_no_other_test() -> None:
    run = run_of(a="pf")
    found = only(run, with_terms(run, agent__agent="cmd:b"))
    assert found.sameness.told == "same test, other agents"
    assert (found.sameness.same_test, found.sameness.same_agent) == (True, False)


def test_differences_come_by_weight() -> None:
    run = run_of(a="pf", b="pf")
    other = with_terms(
        run_of(a="pf", c="pf"),
        environment__kernel="6.2",
        agent__agent="b",
        circumstance__started="now",
        resources__engine="local",
    )
    found = only(run, other).sameness
    weights = [one.weight for one in found.differences]
    assert weights == sorted(weights, key=list(Weight).index)
    assert set(weights) == set(Weight) - {Weight.RULES}
    assert found.told.startswith("not the same test: resources (engine docker against local)")


def test_memory_of_a_machine_may_be_off_by_a_little() -> None:
    run = with_terms(run_of(a="pf"), **{"resources__memory (GiB)": 251})
    about = with_terms(run_of(a="pf"), **{"resources__memory (GiB)": 252})
    assert only(run, about).sameness.same_test
    less = with_terms(run_of(a="pf"), **{"resources__memory (GiB)": 200})
    assert only(run, less).sameness.resources == "differ"


def test_a_task_with_another_guarantee_is_found_though_all_terms_agree() -> None:
    found = only(run_of(a="p"), run_of("3x", GIVEN | {"memory_guarantee": 128}, a="p")).sameness
    assert [one.name for one in found.differences] == ["memory guarantee of a"]
    assert found.resources == "differ"


def test_tasks_whose_files_differ_are_told_and_not_compared_unless_asked() -> None:
    run = run_of(a="pf", b="pf")
    changed = replace(
        run, results=tuple(replace(one, digest=f"{one.task}, new") for one in run.results[:2])
    )
    found = only(run, changed)
    assert (found.left_out, found.contrast.score.pairs) == (("a",), 0)
    assert found.finding is Finding.NOTHING_SHARED
    assert "files of a" in found.sameness.told
    asked = only(run, changed, changed_too=True)
    assert (asked.left_out, asked.contrast.score.pairs) == ((), 2)


def test_only_what_both_have_is_compared() -> None:
    found = only(run_of(a="pppp", b="f", d="p"), run_of(a="ff", b="f", c="ppp"))
    assert (found.contrast.score.pairs, found.contrast.score.value) == (3, -2 / 3)
    assert (found.only_before, found.only_after) == (3, 3)
    assert found.before is not None
    assert found.before.headline.trials == 3


def test_flips_are_those_tasks_that_pass_otherwise_and_the_lost_come_first() -> None:
    found = only(run_of(a="fff", b="pp", c="pf", d="pi"), run_of(a="ppf", b="if", c="fp", d="pf"))
    assert [(flip.task, flip.before, flip.after) for flip in found.flips] == [
        ("b", 2, 0),
        ("a", 0, 2),
    ]


def test_infra_errors_and_the_graded_are_beside_the_score() -> None:
    found = only(run_of(a="ii", b="pp", c="pf"), run_of(a="pp", b="pp", c="pf")).contrast
    assert found.infra.value == -2 / 6
    assert found.score.value == 2 / 6
    assert (found.graded.value, found.graded.pairs) == (0, 4)


def test_the_configurations_that_both_have_are_compared() -> None:
    several = ComparableRun(
        "several", {}, tuple(replace(run_of(a="p").results[0], configuration=c) for c in "xyz")
    )
    fewer = replace(several, name="fewer", results=several.results[1:])
    assert [one.configurations for one in compare(several, fewer)] == [("y", "y"), ("z", "z")]
    assert only(several, fewer, chosen=("x", "z")).configurations == ("x", "z")
    with pytest.raises(CannotCompare, match="fewer has no configuration x; fewer has y, z"):
        compare(several, fewer, ("y", "x"))
    apart = replace(fewer, results=(replace(fewer.results[0], configuration="w"),))
    with pytest.raises(CannotCompare, match="--configuration"):
        compare(several, apart)


def difference(value: float, p_value: float) -> Difference:
    return Difference(value, value - 0.1, value + 0.1, p_value, 10, 100)


@pytest.mark.parametrize(
    ("value", "p_value", "resources", "expected"),
    [
        (0.029, 0.001, "differ", Finding.NOT_INTERPRETABLE),
        (-0.029, 0.5, "unknown", Finding.NOT_INTERPRETABLE),
        (0.029, 0.001, "same", Finding.BEYOND_NOISE),
        (0.03, 0.5, "differ", Finding.WITHIN_NOISE),
        (-0.2, 0.01, "differ", Finding.BEYOND_NOISE),
        (0.2, 0.06, "same", Finding.WITHIN_NOISE),
    ],
)
def test_small_gaps_need_matched_resources(
    value: float, p_value: float, resources: ResourcesAre, expected: Finding
) -> None:
    assert judge(difference(value, p_value), resources) is expected


@given(
    st.floats(-1, 1),
    st.floats(0, 1),
    st.sampled_from(["same", "differ", "unknown"]),
)
def test_beyond_noise_is_never_said_of_a_small_gap_between_unlike_sides(
    value: float, p_value: float, resources: ResourcesAre
) -> None:
    found = judge(difference(value, p_value), resources)
    if found is Finding.BEYOND_NOISE:
        assert p_value < 0.05
        assert resources == "same" or abs(value) >= SKEPTICISM


def test_unknown_resources_are_told() -> None:
    found = only(run_of(a="pf"), run_of("3x", None, a="pf"))
    assert found.sameness.resources == "unknown"
    assert not found.sameness.same_test
    assert found.sameness.told == "not known to be the same test: resources unknown"
    assert "unknown resources" in found.told


def test_two_runs_of_one_truth_differ_at_no_more_than_the_nominal_rate() -> None:
    random = np.random.default_rng(7)
    wrong = sum(finding(random, 30, 2) is Finding.BEYOND_NOISE for _ in range(200))
    assert wrong <= 18, "beyond 5% by more than two and a half standard errors"


def test_a_large_true_difference_is_found() -> None:
    random = np.random.default_rng(7)
    assert all(finding(random, 60, 4, 0.3) is Finding.BEYOND_NOISE for _ in range(10))
