from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.plans import (
    Defaults,
    Demand,
    Sweep,
    TrialPlan,
    demand_of_marks,
    plans,
    verifier_plan,
)
from pytest_reseval.resources import (
    GIB,
    MIB,
    SMALLEST_LIMIT,
    TIB,
    Headroom,
    QuantityError,
    Resources,
)
from pytest_reseval.tasks.model import Environment, VerifierEnvironment
from tests.unit.builders import make_task

DEFAULTS = Defaults(
    memory_guarantee=2 * GIB, cpu_guarantee=1.0, pids_limit=4096, storage_limit=10 * GIB
)
ENVIRONMENT = Environment()


def made(
    demand: Demand, *headrooms: str, overriding: bool = False, samples: int = 1
) -> list[TrialPlan]:
    sweep = Sweep([Headroom.parse(text) for text in headrooms], overriding, samples)
    return list(plans("unpack", None, demand, ENVIRONMENT, sweep, DEFAULTS))


def test_every_headroom_and_sample_is_one_plan() -> None:
    found = made(Demand(memory_guarantee=GIB), "1x", "uncapped", samples=2)
    assert [plan.label for plan in found] == [
        "unpack[1x-s0]",
        "unpack[uncapped-s0]",
        "unpack[1x-s1]",
        "unpack[uncapped-s1]",
    ]


def test_headroom_multiplies_memory_and_cpu() -> None:
    (plan,) = made(Demand(memory_guarantee=GIB, cpu_guarantee=2.0), "1.5x")
    assert plan.resources.memory_limit == 3 * GIB // 2
    assert plan.resources.cpu_limit == 3.0


def test_silence_takes_the_default_and_says_so() -> None:
    (plan,) = made(Demand(cpu_guarantee=2.0), "1x")
    assert plan.resources.memory_guarantee == 2 * GIB
    assert plan.defaulted == ("memory",)


def test_declared_limits_hold_when_no_headroom_was_typed() -> None:
    (plan,) = made(Demand(memory_guarantee=GIB, memory_limit=2 * GIB), "3x", "uncapped")
    assert plan.configuration.label == "declared"
    assert plan.resources.memory_limit == 2 * GIB
    assert plan.resources.cpu_limit == 3.0


def test_a_typed_headroom_wins_over_declared_limits() -> None:
    found = made(Demand(memory_guarantee=GIB, memory_limit=2 * GIB), "1x", "3x", overriding=True)
    assert [plan.resources.memory_limit for plan in found] == [GIB, 3 * GIB]


def test_a_bound_on_disk_use_is_the_tasks_or_the_default() -> None:
    (plan,) = made(Demand(storage_limit=GIB), "3x")
    assert plan.resources.storage_limit == GIB
    (plan,) = made(Demand(), "uncapped")
    assert plan.resources.storage_limit == 10 * GIB


def test_a_limit_alone_is_the_guarantee_too() -> None:
    (plan,) = made(Demand(memory_limit=512 * MIB, cpu_limit=0.5), "3x")
    assert plan.resources.memory_guarantee == 512 * MIB
    assert plan.resources.cpu_guarantee == 0.5
    assert plan.defaulted == ()


def test_a_declared_limit_below_its_guarantee_is_refused() -> None:
    with pytest.raises(QuantityError, match="below its guarantee"):
        made(Demand(memory_guarantee=GIB, memory_limit=MIB), "3x")


def test_markers_are_read_as_quantities() -> None:
    demand = demand_of_marks({"guarantee": "512MiB", "limit": "1.5GiB"}, {"guarantee": 1})
    assert demand == Demand(512 * MIB, 3 * GIB // 2, 1.0, None)


@pytest.mark.parametrize(
    ("memory", "cpu", "told"),
    [
        ({"guarantee": "lots"}, {}, "memory.*guarantee.*lots"),
        ({"limit": -1}, {}, "memory.*limit.*-1"),
        ({}, {"guarantee": "many"}, "cpu.*guarantee.*many"),
        ({"gaurantee": "1G"}, {}, "gaurantee"),
    ],
)
def test_a_mistaken_marker_is_named(
    memory: dict[str, object], cpu: dict[str, object], told: str
) -> None:
    with pytest.raises(QuantityError, match=told):
        demand_of_marks(memory, cpu)


amounts = st.integers(SMALLEST_LIMIT, 1024 * GIB)
cores = st.floats(0.01, 4096)
sensible = st.builds(
    Demand,
    memory_guarantee=st.one_of(st.none(), amounts),
    cpu_guarantee=st.one_of(st.none(), cores),
    storage_limit=st.one_of(st.none(), st.integers(1, TIB)),
)
"""What a task file may say."""

limited = st.builds(
    replace,
    sensible,
    memory_limit=st.one_of(st.none(), amounts),
    cpu_limit=st.one_of(st.none(), cores),
)
"""What markers may say, contradictions among it."""

close = st.integers(0, 9).map(lambda billionths: 1 + billionths / 10**9)
factors = st.one_of(st.floats(1, 1000), close)
headrooms = st.one_of(st.just(Headroom(None)), factors.map(Headroom))
sweeps = st.builds(
    Sweep,
    st.lists(headrooms, min_size=1, max_size=5, unique=True),
    st.booleans(),
    st.integers(1, 4),
)


@given(sensible, sweeps)
def test_every_trial_of_a_sweep_has_a_key_of_its_own(demand: Demand, sweep: Sweep) -> None:
    found = list(plans("unpack", None, demand, ENVIRONMENT, sweep, DEFAULTS))
    assert len({plan.key for plan in found}) == len(found) == sweep.samples * len(sweep.headrooms)
    assert len({plan.label for plan in found}) == len(found)


@given(sensible, sweeps)
def test_the_configurations_of_a_sample_are_neighbours_in_the_order_given(
    demand: Demand, sweep: Sweep
) -> None:
    found = list(plans("unpack", None, demand, ENVIRONMENT, sweep, DEFAULTS))
    assert [(plan.sample, plan.configuration.label) for plan in found] == [
        (sample, headroom.label) for sample in range(sweep.samples) for headroom in sweep.headrooms
    ]


@given(sensible, sweeps)
def test_a_headroom_moves_the_limits_and_nothing_else(demand: Demand, sweep: Sweep) -> None:
    found = list(plans("unpack", None, demand, ENVIRONMENT, sweep, DEFAULTS))
    freed = {replace(plan.resources, memory_limit=None, cpu_limit=None) for plan in found}
    memory = demand.memory_guarantee or DEFAULTS.memory_guarantee
    cpus = demand.cpu_guarantee or DEFAULTS.cpu_guarantee
    storage = demand.storage_limit or DEFAULTS.storage_limit
    assert freed == {Resources(memory, None, cpus, None, DEFAULTS.pids_limit, storage)}
    for plan, headroom in zip(found, cycle(sweep.headrooms)):
        assert plan.resources.memory_limit == headroom.memory_limit(memory)
        assert plan.resources.cpu_limit == headroom.cpu_limit(cpus)
    unstated = {
        kind
        for kind, stated in (("memory", demand.memory_guarantee), ("cpu", demand.cpu_guarantee))
        if stated is None
    }
    assert all(set(plan.defaulted) == unstated for plan in found)


@given(limited, sweeps)
def test_declared_limits_hold_unless_a_headroom_was_typed_or_they_contradict(
    demand: Demand, sweep: Sweep
) -> None:
    declared = demand.memory_limit is not None or demand.cpu_limit is not None
    holds = declared and not sweep.overriding
    contradicts = holds and (
        (demand.memory_limit or math.inf) < (demand.memory_guarantee or 0)
        or (demand.cpu_limit or math.inf) < (demand.cpu_guarantee or 0)
    )
    if contradicts:
        with pytest.raises(QuantityError, match="below its guarantee"):
            list(plans("unpack", None, demand, ENVIRONMENT, sweep, DEFAULTS))
        return
    found = list(plans("unpack", None, demand, ENVIRONMENT, sweep, DEFAULTS))
    assert len({plan.key for plan in found}) == len(found)
    assert {plan.configuration.memory is None for plan in found} == {holds}
    assert len(found) == sweep.samples * (1 if holds else len(sweep.headrooms))
    for plan, headroom in zip(found, cycle(sweep.headrooms)):
        resources = plan.resources
        memory = demand.memory_guarantee or demand.memory_limit or DEFAULTS.memory_guarantee
        assert resources.memory_guarantee == memory
        if holds:
            assert demand.memory_limit in (None, resources.memory_limit)
            assert demand.cpu_limit in (None, resources.cpu_limit)
        else:
            assert resources.memory_limit == headroom.memory_limit(memory)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("task")


verifier_environments = st.builds(
    VerifierEnvironment,
    st.just(Environment(image="verifier")),
    st.one_of(st.none(), amounts),
    st.one_of(st.none(), cores),
    st.one_of(st.none(), st.integers(1, TIB)),
)


@given(sensible, verifier_environments, sweeps)
def test_a_separate_verifier_gets_its_own_guarantees_under_the_trial_s_headroom(
    directory: Path, demand: Demand, own: VerifierEnvironment, sweep: Sweep
) -> None:
    task = make_task(directory, verifier_environment=own)
    for plan in plans("unpack", task, demand, ENVIRONMENT, sweep, DEFAULTS):
        agents, verifiers = plan.resources, plan.verifier
        assert verifiers is not None
        for stated, granted, of_agent in (
            (own.memory_guarantee, verifiers.memory_guarantee, agents.memory_guarantee),
            (own.cpu_guarantee, verifiers.cpu_guarantee, agents.cpu_guarantee),
            (own.storage_limit, verifiers.storage_limit, agents.storage_limit),
        ):
            assert granted == (of_agent if stated is None else stated)
        headroom = plan.configuration.memory
        assert headroom is not None
        assert verifiers.memory_limit == headroom.memory_limit(verifiers.memory_guarantee)
        assert verifiers.cpu_limit == headroom.cpu_limit(verifiers.cpu_guarantee)
        apart = verifier_plan(plan)
        assert apart.resources == verifiers
        assert apart.environment == own.environment
        assert apart.verifier is None
        assert apart.label != plan.label
    for plan in plans("unpack", make_task(directory), demand, ENVIRONMENT, sweep, DEFAULTS):
        assert plan.verifier is None


marks = st.dictionaries(
    st.one_of(st.sampled_from(["guarantee", "limit"]), st.text(max_size=8)),
    st.one_of(
        st.none(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["512MiB", "1G", "2", "0.5"]),
    ),
    max_size=3,
)


@given(marks, marks)
def test_whatever_markers_say_is_a_demand_or_one_clear_error(
    memory: dict[str, object], cpu: dict[str, object]
) -> None:
    try:
        demand = demand_of_marks(memory, cpu)
    except QuantityError as error:
        told = str(error)
    else:
        told = ""
        assert {*memory, *cpu} <= {"guarantee", "limit"}
        assert (demand.memory_limit is None) == (memory.get("limit") is None)
        assert (demand.cpu_guarantee is None) == (cpu.get("guarantee") is None)
    if told:
        assert re.match(r"marker (memory|cpu)( |\()", told)
        assert told.isprintable()
