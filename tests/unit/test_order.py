from __future__ import annotations

from collections import Counter
from itertools import groupby
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.order import blocked
from pytest_reseval.plans import Defaults, Demand, Sweep, TrialPlan, plans
from pytest_reseval.resources import GIB, Headroom
from pytest_reseval.tasks.model import Environment

Trial = tuple[str, str, int]
"""Task, configuration, sample."""

DEFAULTS = Defaults(memory_guarantee=GIB, cpu_guarantee=1.0, pids_limit=64, storage_limit=GIB)
SIX = ("1x", "1.5x", "2x", "3x", "5x", "uncapped")


def sweep(tasks: int, samples: int, *headrooms: str) -> list[tuple[str, TrialPlan, Trial]]:
    terms = Sweep([Headroom.parse(text) for text in headrooms], True, samples)
    environment = Environment(image=None)
    return [
        (name, plan, (name, plan.configuration.label, plan.sample))
        for name in (f"task-{index}" for index in range(tasks))
        for plan in plans(name, None, Demand(), environment, terms, DEFAULTS)
    ]


sweeps = st.builds(
    lambda tasks, samples, headrooms: sweep(tasks, samples, *SIX[:headrooms]),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(2, 6),
)
seeds = st.integers(0, 2**63 - 1)


@given(sweeps, seeds)
def test_every_trial_is_started_once(trials: list[tuple[str, TrialPlan, Trial]], seed: int) -> None:
    assert sorted(blocked(trials, seed)) == sorted(trial for _, _, trial in trials)


@given(sweeps, seeds)
def test_the_order_given_does_not_matter(
    trials: list[tuple[str, TrialPlan, Trial]], seed: int
) -> None:
    shuffled = Random(1).sample(trials, len(trials))
    assert blocked(shuffled, seed) == blocked(trials, seed)


@given(sweeps, seeds)
def test_a_block_is_one_sample_of_one_task_under_every_configuration(
    trials: list[tuple[str, TrialPlan, Trial]], seed: int
) -> None:
    configurations = {configuration for _, _, (_, configuration, _) in trials}
    blocks = [
        [configuration for _, configuration, _ in block]
        for _, block in groupby(blocked(trials, seed), key=lambda trial: (trial[0], trial[2]))
    ]
    assert all(sorted(block) == sorted(configurations) for block in blocks)
    assert len(blocks) == len(trials) / len(configurations)


@given(sweeps, seeds)
def test_whole_samples_come_one_after_another(
    trials: list[tuple[str, TrialPlan, Trial]], seed: int
) -> None:
    samples = [sample for _, _, sample in blocked(trials, seed)]
    assert samples == sorted(samples)


@given(st.integers(1, 9), st.integers(1, 4), st.integers(2, 6), seeds)
def test_each_configuration_stands_at_each_place_of_a_block_equally_often(
    tasks: int, samples: int, configurations: int, seed: int
) -> None:
    order = blocked(sweep(tasks, samples, *SIX[:configurations]), seed)
    places = Counter(
        (index % configurations, configuration) for index, (_, configuration, _) in enumerate(order)
    )
    counts = [
        places[place, configuration]
        for place in range(configurations)
        for configuration in SIX[:configurations]
    ]
    assert max(counts) - min(counts) <= samples


def test_seeds_differ() -> None:
    trials = sweep(12, 1, "1x", "3x")
    assert len({tuple(blocked(trials, seed)) for seed in range(20)}) == 20


@pytest.mark.parametrize("samples", [1, 2])
def test_one_configuration_keeps_the_order_given(samples: int) -> None:
    trials = sweep(7, samples, "3x")
    assert blocked(trials, 4) == [trial for _, _, trial in trials]


def test_a_task_without_all_configurations_is_a_block_too() -> None:
    trials = sweep(2, 1, *SIX)[:-4]
    assert sorted(blocked(trials, 0)) == sorted(trial for _, _, trial in trials)
