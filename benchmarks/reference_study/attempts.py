"""What an agent will do, drawn from its seed alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.reference_study.approaches import APPROACHES, Approach, Strategy

MIX: Mapping[Strategy, float] = {
    Strategy.LEAN: 0.85,
    Strategy.SPIKY: 0.08,
    Strategy.HUNGRY: 0.07,
}
"""How often each strategy is taken. Calibrated on purpose: ``docs/study.md``."""

GIVES_UP = 0.2
"""How often an agent whose first approach fails leaves it at that."""


@dataclass(frozen=True, slots=True)
class Step:
    """An approach, with its size if it has one."""

    approach: Approach
    size: int | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is tried first, and what if that fails; None: the agent gives up."""

    first: Step
    fallback: Step | None


def draw(task: str, seed: int) -> Attempt:
    """The attempt of an agent with this seed at this task. Raises KeyError for unknown tasks.

    The strategy comes from MIX; of its approaches to the task, and of their sizes, each is equally
    likely. A task without an approach of that strategy is tried lean. The fallback is lean.
    """
    random = Random(f"{task}/{seed}")
    (strategy,) = random.choices(list(MIX), list(MIX.values()))
    first = _step(_of(task, strategy) or _of(task, Strategy.LEAN), random)
    gives_up = random.random() < GIVES_UP
    fallback = _step(_of(task, Strategy.LEAN), random)
    return Attempt(first, None if gives_up else fallback)


def _of(task: str, strategy: Strategy) -> list[Approach]:
    return [approach for approach in APPROACHES[task] if approach.strategy is strategy]


def _step(approaches: Sequence[Approach], random: Random) -> Step:
    approach = random.choice(approaches)
    return Step(approach, random.choice(approach.sizes) if approach.sizes else None)
