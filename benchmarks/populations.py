"""Tasks with known truth: what the simulations of ``benchmarks.statistics`` draw from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from pytest_reseval.statistics.power import Variances, detectable

Chances = npt.NDArray[np.float64]
Outcomes = npt.NDArray[np.float64]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Population:
    """Tasks whose chance of an event follows a beta distribution.

    ``alike`` is the correlation of two samples of a task.
    """

    rate: float
    alike: float

    def draw(self, random: Random, tasks: int) -> Chances:
        """The chances of so many tasks."""
        weight = (1 - self.alike) / self.alike
        return random.beta(self.rate * weight, (1 - self.rate) * weight, tasks)


def sampled(random: Random, chances: Chances, samples: int) -> Outcomes:
    """0 or 1 for each sample: one axis more than the chances have, after the first."""
    shape = (chances.shape[0], samples, *chances.shape[1:])
    return (random.random(shape) < np.expand_dims(chances, 1)).astype(np.float64)


Null = Literal["alike", "redrawn", "slopes"]
"""How configurations can differ without a difference in the mean.

Not at all; three tasks in ten are other tasks under each; three in ten rise or fall steadily.
"""

_CHANGING = 0.3


def without_effect(
    random: Random, population: Population, tasks: int, configurations: int, null: Null
) -> Chances:
    """Chances of tasks, a column a configuration, equal over configurations in the mean."""
    chances = np.repeat(population.draw(random, tasks)[:, None], configurations, axis=1)
    changing = random.random(tasks) < _CHANGING
    if null == "redrawn":
        other = population.draw(random, tasks * configurations).reshape(tasks, configurations)
        chances[changing] = other[changing]
    elif null == "slopes":
        last = population.draw(random, tasks)
        way = np.linspace(0, 1, configurations)
        steady = chances[:, :1] * (1 - way) + last[:, None] * way
        chances[changing] = steady[changing]
    return chances


@dataclass(frozen=True, slots=True)
class Lift:
    """Some tasks get a part of what they lack of certain success; the others stay."""

    population: Population
    part: float
    lifted: float = 0.7

    @property
    def difference(self) -> float:
        """The true one, in the mean over the population."""
        return self.lifted * self.part * (1 - self.population.rate)

    def draw(self, random: Random, tasks: int) -> Chances:
        """Before and after, a row a task."""
        before = self.population.draw(random, tasks)
        gain = np.where(random.random(tasks) < self.lifted, self.part, 0.0)
        return np.stack([before, before + gain * (1 - before)], axis=1)

    def variances(self) -> Variances:
        """The true ones of after minus before, from very many tasks."""
        chances = self.draw(np.random.default_rng(0), 200_000)
        within = (chances * (1 - chances)).sum(axis=1).mean()
        between = (chances[:, 1] - chances[:, 0]).var()
        return Variances(between=float(between), within=float(within))


def just_detectable(population: Population, tasks: int, samples: int) -> Lift | None:
    """The lift whose true difference is the detectable one; None if no lift is large enough."""

    def beyond(part: float) -> float:
        lift = Lift(population, part)
        return lift.difference - detectable(lift.variances(), tasks, samples)

    if beyond(1.0) < 0:
        return None
    return Lift(population, float(brentq(beyond, 0.0, 1.0, xtol=1e-4)))
