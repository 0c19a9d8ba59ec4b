"""What one trial is, known before anything runs: its resources, environment and configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pytest_reseval.configuration import Configuration
from pytest_reseval.resources import Headroom, QuantityError, Resources, parse_cores, parse_memory
from pytest_reseval.tasks.model import Environment, Task

Number = TypeVar("Number", int, float)


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

    ``cpu_headrooms`` are crossed with ``headrooms``; without any, CPU has the headroom of memory.
    ``overriding`` says that headrooms were typed on the command line: they then win over limits
    that authors declared.
    """

    headrooms: Sequence[Headroom]
    overriding: bool
    samples: int
    cpu_headrooms: Sequence[Headroom] = ()
    timeout_scales: Sequence[float] = (1.0,)
    seed: int = 0

    def configurations(self, declared: bool) -> list[Configuration]:
        """Every configuration of a task or, with ``declared``, of a test with limits of its own."""
        pairs: list[tuple[Headroom | None, Headroom | None]]
        if declared and not self.overriding:
            pairs = [(None, None)]
        else:
            pairs = [
                (memory, cpu)
                for memory in self.headrooms
                for cpu in self.cpu_headrooms or [Headroom(memory.factor)]
            ]
        return [
            Configuration(memory, cpu, scale)
            for scale in self.timeout_scales
            for memory, cpu in pairs
        ]


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """One trial before it is run."""

    name: str
    task: Task | None
    configuration: Configuration
    sample: int
    resources: Resources
    environment: Environment
    defaulted: tuple[str, ...]
    verifier: Resources | None = None
    """What the verifier's own sandbox gets; None where it shares the agent's."""
    seed: int = 0
    """For an agent's randomness: the same under every configuration of a task's sample."""

    @property
    def key(self) -> str:
        """What tells this trial from others of the same task: ``3x-s0``."""
        return f"{self.configuration.label}-s{self.sample}"

    @property
    def label(self) -> str:
        """A short name for people: ``unpack[3x-s0]``."""
        return f"{self.name}[{self.key}]"

    def scaled(self, timeout: float | None) -> float | None:
        """A timeout of the task, in seconds, as this configuration scales it."""
        return None if timeout is None else timeout * self.configuration.timeout_scale


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
    configurations = sweep.configurations(declared)
    for sample in range(sweep.samples):
        for configuration in configurations:
            yield TrialPlan(
                name=name,
                task=task,
                configuration=configuration,
                sample=sample,
                resources=_resolve(demand, configuration, sweep.headrooms[0], defaults),
                environment=environment,
                defaulted=tuple(
                    kind
                    for kind, stated in (
                        ("memory", demand.memory_guarantee or demand.memory_limit),
                        ("cpu", demand.cpu_guarantee or demand.cpu_limit),
                    )
                    if stated is None
                ),
                verifier=_verifier_resources(
                    task, demand, configuration, sweep.headrooms[0], defaults
                ),
                seed=agent_seed(sweep.seed, name, sample),
            )


def agent_seed(of_run: int, name: str, sample: int) -> int:
    """The seed of an agent at a task's sample, in a run with that seed: ``Agent.solve``."""
    digest = hashlib.sha256(f"{of_run}/{name}/{sample}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:4])


def _verifier_resources(
    task: Task | None,
    demand: Demand,
    configuration: Configuration,
    fallback: Headroom,
    defaults: Defaults,
) -> Resources | None:
    """Its own guarantees, and the agent's where it states none, under the same headroom."""
    own = task.verifier_environment if task else None
    if own is None:
        return None
    asked = Demand(
        memory_guarantee=own.memory_guarantee or demand.memory_guarantee,
        cpu_guarantee=own.cpu_guarantee or demand.cpu_guarantee,
        storage_limit=own.storage_limit or demand.storage_limit,
    )
    return _resolve(asked, configuration, fallback, defaults)


def _resolve(
    demand: Demand, configuration: Configuration, fallback: Headroom, defaults: Defaults
) -> Resources:
    """Bytes and cores under a configuration.

    Where an author's limits hold, ``fallback`` is the headroom of what they leave open.
    """
    memory = demand.memory_guarantee or demand.memory_limit or defaults.memory_guarantee
    cpu = demand.cpu_guarantee or demand.cpu_limit or defaults.cpu_guarantee
    memory_headroom, cpu_headroom = configuration.memory or fallback, configuration.cpu or fallback
    memory_limit = memory_headroom.memory_limit(memory)
    cpu_limit = cpu_headroom.cpu_limit(cpu)
    grace = memory_headroom.grace
    if configuration.memory is None:
        if demand.memory_limit is not None:
            memory_limit, grace = demand.memory_limit, None
        cpu_limit = demand.cpu_limit or cpu_limit
    return Resources(
        memory_guarantee=memory,
        memory_limit=memory_limit,
        cpu_guarantee=cpu,
        cpu_limit=cpu_limit,
        pids_limit=defaults.pids_limit,
        storage_limit=demand.storage_limit or defaults.storage_limit,
        memory_grace=grace,
    )
