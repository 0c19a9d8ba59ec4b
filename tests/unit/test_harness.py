from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_reseval.admission import Budget, ClaimTooLarge
from pytest_reseval.harness import AdmissionMode, Harness, budget_of, promised
from pytest_reseval.resources import GIB, MIB, Resources
from tests.unit.builders import (
    INFO,
    RESOURCES,
    Acting,
    MemoryEngine,
    MemorySandbox,
    make_harness,
    make_plan,
    make_task,
)

BUDGET = Budget(memory=4 * GIB, cores=2.0)
UNCAPPED = replace(RESOURCES, memory_limit=None, cpu_limit=None)
BEYOND_THE_HOST = replace(RESOURCES, memory_limit=64 * GIB, cpu_limit=64.0)


@pytest.mark.parametrize(
    ("resources", "mode", "memory", "cores"),
    [
        (RESOURCES, "guarantee", 128 * MIB, 1.0),
        (RESOURCES, "off", 128 * MIB, 1.0),
        (RESOURCES, "limit", 256 * MIB, 2.0),
        (UNCAPPED, "guarantee", 128 * MIB, 1.0),
        (UNCAPPED, "limit", 4 * GIB, 2.0),
        (BEYOND_THE_HOST, "limit", 4 * GIB, 2.0),
    ],
)
def test_the_promise_is_the_guarantee_or_the_limit(
    resources: Resources, mode: AdmissionMode, memory: int, cores: float
) -> None:
    assert promised(resources, mode, BUDGET) == (memory, cores)


@pytest.mark.parametrize("mode", ["guarantee", "limit", "off"])
def test_no_mode_promises_less_than_the_guarantee(mode: AdmissionMode) -> None:
    huge = replace(UNCAPPED, memory_guarantee=64 * GIB, cpu_guarantee=64.0)
    assert promised(huge, mode, BUDGET) == (64 * GIB, 64.0)


@pytest.mark.parametrize(
    ("memory", "reserve", "left"),
    [
        (8 * GIB, 512 * MIB, 8 * GIB - 512 * MIB),
        (1 * GIB, 512 * MIB, 768 * MIB),
        (8 * GIB, 64 * GIB, 6 * GIB),
    ],
)
def test_the_budget_keeps_a_reserve_of_at_most_a_quarter(
    memory: int, reserve: int, left: int
) -> None:
    assert budget_of(replace(INFO, memory=memory), reserve) == Budget(left, INFO.cores)


def harness(folder: Path, admission: AdmissionMode) -> Harness:
    engine = MemoryEngine(MemorySandbox())
    return make_harness(folder, engine, Acting(), admission=admission)


@pytest.mark.parametrize(
    ("mode", "memory", "cores"),
    [("guarantee", 128 * MIB, 1.0), ("limit", 256 * MIB, 2.0), ("off", 128 * MIB, 1.0)],
)
def test_the_ledger_shows_the_promise_and_the_trial(
    tmp_path: Path, mode: AdmissionMode, memory: int, cores: float
) -> None:
    shared = harness(tmp_path, mode)
    with shared.admit(make_plan(make_task(tmp_path / "unpack"))):
        (entry,) = shared.ledger.entries()
        assert (entry.claim.memory, entry.claim.cores) == (memory, cores)
        assert (entry.claim.label, entry.state) == ("unpack[2x-s0]", "admitted")
        assert shared.neighbours() == 0


def test_without_admission_what_never_fits_starts_all_the_same(tmp_path: Path) -> None:
    huge = replace(UNCAPPED, memory_guarantee=64 * GIB)
    plan = make_plan(make_task(tmp_path / "unpack"), huge)
    with pytest.raises(ClaimTooLarge):
        harness(tmp_path, "guarantee").admit(plan)
    with harness(tmp_path, "off").admit(plan) as admission:
        assert admission.waited == 0
