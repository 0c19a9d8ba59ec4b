"""The made-up data set is what it says, and its trials lead to the published conclusions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmarks import published_study
from benchmarks.statistics import conclusions
from pytest_reseval.statistics.scores import scores

SEEDS = 20


def test_the_rates_are_the_published_ones() -> None:
    truth = published_study.truth()
    assert truth.infra.mean(axis=0) == pytest.approx(published_study.INFRA)
    assert truth.passed.mean(axis=0) == pytest.approx(published_study.SCORE)
    published = dict(zip(published_study.HEADROOMS, published_study.INFRA, strict=True))
    assert (published["1x"], published["3x"], published["uncapped"]) == (0.058, 0.021, 0.005)


def test_no_task_has_more_infra_errors_under_a_higher_ceiling() -> None:
    truth = published_study.truth()
    assert (np.diff(truth.infra, axis=1) <= 0).all()
    assert (truth.passed + truth.infra <= 1).all()


def test_the_same_seed_gives_the_same_trials_and_more_samples_only_add_to_them() -> None:
    few, many = published_study.outcomes(3, samples=2), published_study.outcomes(3, samples=4)
    assert len(many) == 2 * len(few) == 4 * 89 * 6
    assert few.items() <= many.items()
    assert published_study.outcomes(4, samples=2) != few


def test_trials_come_at_the_rates_of_their_headroom() -> None:
    study = published_study.outcomes(0, samples=60)
    for headroom, infra, score in zip(
        published_study.HEADROOMS, published_study.INFRA, published_study.SCORE, strict=True
    ):
        found = scores(published_study.of_headroom(study, headroom))
        assert found.infra.value == pytest.approx(infra, abs=0.008)
        assert found.headline.value == pytest.approx(score, abs=0.02)


def test_most_runs_lead_to_the_published_conclusions() -> None:
    reached: Counter[str] = Counter()
    for seed in range(SEEDS):
        reached.update(conclusions(published_study.outcomes(seed)))
    assert reached["infra-errors fall over the six headrooms, p < 0.001"] == SEEDS
    assert reached["infra-errors fall from 1x to 3x"] > 0.9 * SEEDS
    assert reached["score 1x to 3x: no significant difference"] > 0.7 * SEEDS
    assert reached["score rises from 1x to uncapped"] > 0.6 * SEEDS
    assert reached["all four at once"] > 0.4 * SEEDS


def test_without_an_effect_none_is_concluded() -> None:
    """Every headroom stands for independent runs under one."""
    runs = [published_study.outcomes(seed) for seed in range(len(published_study.HEADROOMS))]
    study = {
        (task, headroom, sample): run[task, "3x", sample]
        for headroom, run in zip(published_study.HEADROOMS, runs, strict=True)
        for task in published_study.tasks()
        for sample in range(published_study.SAMPLES)
    }
    reached = {text for text, true in conclusions(study).items() if true}
    assert reached == {"score 1x to 3x: no significant difference"}
