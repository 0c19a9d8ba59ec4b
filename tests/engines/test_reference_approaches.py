"""Approaches of the reference study in real sandboxes: what they need, and what comes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.reference_study.approaches import APPROACHES, Approach, Strategy
from benchmarks.reference_study.attempts import Step
from benchmarks.reference_study.needs import example, trial
from benchmarks.trials import harness
from pytest_reseval.harness import Harness
from pytest_reseval.records import TrialRecord

CHEAP = ("key-value-service", "unpack-readings", "order-totals", "choose-cargo", "replay-ledger")
"""Tasks whose approaches take a second at most. ``benchmarks.reference_study.needs`` runs all."""

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    if os.geteuid() != 0:
        pytest.skip("the local engine needs root for namespaces and cgroups")
    folder: Path = tmp_path_factory.mktemp("study")
    with harness("local", folder) as made:
        yield made


def _approaches(*strategies: Strategy) -> list[tuple[str, Approach]]:
    return [
        (task, approach)
        for task in CHEAP
        for approach in APPROACHES[task]
        if approach.strategy in strategies
    ]


def _steps(approach: Approach) -> list[Step]:
    return [Step(approach, size) for size in approach.sizes or (None,)]


def _kills(record: TrialRecord) -> list[int | None]:
    return [phase.oom_kill for phase in record.evidence.phases]


def _named(value: object) -> str:
    return value.name if isinstance(value, Approach) else str(value)


@pytest.mark.parametrize(("task", "approach"), _approaches(Strategy.LEAN), ids=_named)
def test_the_lean_fit_the_guarantee_and_come_to_what_is_told(
    task: str, approach: Approach, shared: Harness
) -> None:
    for step in _steps(approach):
        record = trial(example(task), step, "1x", shared)
        assert _kills(record) == [0, 0]
        assert record.outcome == ("passed" if approach.right(step.size) else "failed"), step


@pytest.mark.parametrize(
    ("task", "approach"), _approaches(Strategy.SPIKY, Strategy.HUNGRY), ids=_named
)
def test_the_others_are_killed_by_the_kernel_at_the_guarantee_and_not_without_a_limit(
    task: str, approach: Approach, shared: Harness
) -> None:
    step = _steps(approach)[0]
    strict = trial(example(task), step, "1x", shared)
    assert (strict.outcome, strict.cause) == ("infra-error", "oom-limit")
    free = trial(example(task), step, "uncapped", shared)
    assert _kills(free) == [0, 0]
    assert free.outcome == ("passed" if approach.right(step.size) else "failed")


@pytest.mark.parametrize(
    ("task", "approach"), _approaches(Strategy.SPIKY, Strategy.HUNGRY), ids=_named
)
def test_three_times_the_guarantee_is_enough_for_the_spiky_alone(
    task: str, approach: Approach, shared: Harness
) -> None:
    step = _steps(approach)[-1]
    record = trial(example(task), step, "3x", shared)
    if approach.strategy is Strategy.SPIKY:
        assert _kills(record) == [0, 0]
    else:
        assert sum(kills or 0 for kills in _kills(record)) > 0
        assert record.outcome != "passed"


def test_a_service_that_is_killed_while_it_is_checked_is_the_agents_own_doing(
    shared: Harness,
) -> None:
    (arena,) = (one for one in APPROACHES["key-value-service"] if one.name == "arena")
    record = trial(example("key-value-service"), Step(arena, 160), "3x", shared)
    assert (record.outcome, record.cause) == ("failed", "wrong")
    assert _kills(record) == [0, 1]
