"""What one trial is, known before anything runs: its resources, environment and configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pytest_reseval.resources import Headroom, QuantityError, Resources, parse_cores, parse_memory
from pytest_reseval.tasks.model import Environment, Task

Number = TypeVar("Number", int, float)

DECLARED = "declared"
"""Label of the configuration in which a test's own limits hold instead of a headroom."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a task file or a test's markers ask for; None where they say nothing.

    Bytes and cores. A limit here is one that the author wrote down; a task file has none.
    """

    memory_guarantee: int | None = None
    memory_limit: int | None = None
    cpu_guarantee: float | None = None
    cpu_limit: float | None = None
    storage_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where a demand says nothing."""

    memory_guarantee: int
    cpu_guarantee: float
    pids_limit: int
    storage_limit: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """The configurations and samples of a run.

    ``overriding`` says that the headrooms were typed on the command line: they then win over limits
    that authors declared.
    """

    headrooms: Sequence[Headroom]
    overriding: bool
    samples: int


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """One trial before it is run."""

    name: str
    task: Task | None
    configuration: str
    sample: int
    resources: Resources
    environment: Environment
    defaulted: tuple[str, ...]
    verifier: Resources | None = None
    """What the verifier's own sandbox gets; None where it shares the agent's."""

    @property
    def key(self) -> str:
        """What tells this trial from others of the same task: ``3x-s0``."""
        return f"{self.configuration}-s{self.sample}"

    @property
    def label(self) -> str:
        """A short name for people: ``unpack[3x-s0]``."""
        return f"{self.name}[{self.key}]"


def verifier_plan(plan: TrialPlan) -> TrialPlan:
    """The plan of the verifier's own sandbox, for a trial that has one."""
    assert plan.task is not None
    assert plan.task.verifier_environment is not None
    assert plan.verifier is not None
    return replace(
        plan,
        name=f"{plan.name}-verifier",
        resources=plan.verifier,
        environment=plan.task.verifier_environment.environment,
        verifier=None,
    )


def demand_of_task(task: Task) -> Demand:
    """What a task file asks for."""
    return Demand(
        memory_guarantee=task.memory_guarantee,
        cpu_guarantee=task.cpu_guarantee,
        storage_limit=task.storage_limit,
    )


def demand_of_marks(memory: Mapping[str, object], cpu: Mapping[str, object]) -> Demand:
    """What the keyword arguments of a test's ``memory`` and ``cpu`` markers ask for.

    Raises QuantityError naming the marker, the argument and its value.
    """
    for marker, given in (("memory", memory), ("cpu", cpu)):
        for argument in given:
            if argument not in ("guarantee", "limit"):
                raise QuantityError(
                    f"marker {marker} has no argument {argument!r}; it takes guarantee= and limit="
                )
    return Demand(
        memory_guarantee=_quantity("memory", memory, "guarantee", parse_memory),
        memory_limit=_quantity("memory", memory, "limit", parse_memory),
        cpu_guarantee=_quantity("cpu", cpu, "guarantee", parse_cores),
        cpu_limit=_quantity("cpu", cpu, "limit", parse_cores),
    )


def _quantity(
    marker: str, given: Mapping[str, object], argument: str, parse: Callable[[Any], Number]
) -> Number | None:
    if given.get(argument) is None:
        return None
    try:
        return parse(given[argument])
    except QuantityError as error:
        raise QuantityError(f"marker {marker}({argument}=…): {error}") from None


def plans(
    name: str,
    task: Task | None,
    demand: Demand,
    environment: Environment,
    sweep: Sweep,
    defaults: Defaults,
) -> Iterator[TrialPlan]:
    """Every trial of one task or test: its configurations times its samples.

    A declared limit without a guarantee is the guarantee too, as in Kubernetes.
    Raises QuantityError when a limit would be below its guarantee.
    """
    declared = demand.memory_limit is not None or demand.cpu_limit is not None
    headrooms = sweep.headrooms[:1] if declared and not sweep.overriding else sweep.headrooms
    for sample in range(sweep.samples):
        for headroom in headrooms:
            uses_declared = declared and not sweep.overriding
            yield TrialPlan(
                name=name,
                task=task,
                configuration=DECLARED if uses_declared else headroom.label,
                sample=sample,
                resources=_resolve(demand, headroom, uses_declared, defaults),
                environment=environment,
                defaulted=tuple(
                    kind
                    for kind, stated in (
                        ("memory", demand.memory_guarantee or demand.memory_limit),
                        ("cpu", demand.cpu_guarantee or demand.cpu_limit),
                    )
                    if stated is None
                ),
                verifier=_verifier_resources(task, demand, headroom, defaults),
            )


def _verifier_resources(
    task: Task | None, demand: Demand, headroom: Headroom, defaults: Defaults
) -> Resources | None:
    """Its own guarantees, and the agent's where it states none, under the same headroom."""
    own = task.verifier_environment if task else None
    if own is None:
        return None
    return _resolve(
        Demand(
            memory_guarantee=own.memory_guarantee or demand.memory_guarantee,
            cpu_guarantee=own.cpu_guarantee or demand.cpu_guarantee,
            storage_limit=own.storage_limit or demand.storage_limit,
        ),
        headroom,
        False,
        defaults,
    )


def _resolve(
    demand: Demand, headroom: Headroom, uses_declared: bool, defaults: Defaults
) -> Resources:
    memory = demand.memory_guarantee or demand.memory_limit or defaults.memory_guarantee
    cpu = demand.cpu_guarantee or demand.cpu_limit or defaults.cpu_guarantee
    memory_limit, cpu_limit = headroom.memory_limit(memory), headroom.cpu_limit(cpu)
    if uses_declared:
        memory_limit = demand.memory_limit or memory_limit
        cpu_limit = demand.cpu_limit or cpu_limit
    return Resources(
        memory_guarantee=memory,
        memory_limit=memory_limit,
        cpu_guarantee=cpu,
        cpu_limit=cpu_limit,
        pids_limit=defaults.pids_limit,
        storage_limit=demand.storage_limit or defaults.storage_limit,
    )
