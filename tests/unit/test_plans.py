from __future__ import annotations

import pytest

from pytest_reseval.plans import Defaults, Demand, Sweep, TrialPlan, demand_of_marks, plans
from pytest_reseval.resources import GIB, MIB, Headroom, QuantityError
from pytest_reseval.tasks.model import Environment

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
    assert plan.configuration == "declared"
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
