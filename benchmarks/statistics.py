"""Do the statistics keep their promises where the truth is known?

    python -m benchmarks.statistics

Prints the tables of ``docs/statistics.md``: coverage of intervals, false positives and power of
tests, and how often the conclusions of a published study are reached. Seeded: the same numbers each
time. It needs the extra ``study`` alone: no engine, no root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

import numpy as np

from benchmarks import published_study
from benchmarks.populations import (
    Lift,
    Null,
    Outcomes,
    Population,
    Random,
    just_detectable,
    sampled,
    without_effect,
)
from benchmarks.published_study import Trial
from benchmarks.rounds import Table, show
from pytest_reseval.outcomes import Outcome
from pytest_reseval.statistics.estimates import share
from pytest_reseval.statistics.intervals import wilson_interval
from pytest_reseval.statistics.paired import Difference, difference
from pytest_reseval.statistics.power import detectable, variances
from pytest_reseval.statistics.trend import trend

SEED = 2026
TASKS = (12, 30, 89)
SAMPLES = (1, 3, 5, 10)
RATES = (0.005, 0.021, 0.058, 0.25, 0.5, 0.8, 0.95)
ALIKE = (0.05, 0.3, 0.7)

INTERVALS = 1000
COMPARISONS = 1000
TRENDS = 1000
STUDIES = 200
STUDY_SAMPLES = (1, 3, 5, 10, 20)

DESIGNS = tuple(product(TASKS, SAMPLES))


def tables() -> Iterator[Table]:
    """Every table, as soon as it is computed."""
    random = np.random.default_rng(SEED)
    yield _coverage(random)
    yield _alternatives(random)
    yield _paired(random)
    yield _trends(random)
    yield _power(random)
    yield _study()


def _coverage(random: Random) -> Table:
    def covered(population: Population, tasks: int, samples: int) -> float:
        return _share_of(INTERVALS, lambda: _covers(random, population, tasks, samples))

    rows = [
        (
            f"{tasks} x {samples}",
            *(
                _percent(min(covered(Population(rate, alike), tasks, samples) for alike in ALIKE))
                for rate in RATES
            ),
        )
        for tasks, samples in DESIGNS
    ]
    return Table(
        "Coverage of the interval of a share, nominal 95%",
        ("tasks x samples", *(f"{rate:.1%}" for rate in RATES)),
        rows,
        f"A column a true rate; beta-distributed tasks; the lowest of three correlations of a "
        f"task's samples ({_listed(ALIKE)}), {INTERVALS} simulations each, standard error 0.7.",
    )


def _covers(random: Random, population: Population, tasks: int, samples: int) -> bool:
    outcomes = sampled(random, population.draw(random, tasks), samples)
    estimate = share(outcomes.tolist())
    return estimate.low <= population.rate <= estimate.high


def _alternatives(random: Random) -> Table:
    tasks, samples = 89, 5
    methods: dict[str, Callable[[Outcomes], tuple[float, float]]] = {
        "Wilson over trials": lambda one: wilson_interval(float(one.mean()), one.size),
        "Wilson over tasks (terminal summary)": lambda one: wilson_interval(
            float(one.mean()), len(one)
        ),
        "`share`": _share_interval,
    }
    cells: dict[str, list[str]] = {name: [] for name in methods}
    populations = [Population(rate, alike) for rate in (0.058, 0.5) for alike in ALIKE]
    for population in populations:
        runs = [sampled(random, population.draw(random, tasks), samples) for _ in range(INTERVALS)]
        for name, method in methods.items():
            found = np.array([method(run) for run in runs])
            hit = (found[:, 0] <= population.rate) & (population.rate <= found[:, 1])
            width = (found[:, 1] - found[:, 0]).mean()
            cells[name].append(f"{_percent(hit.mean())} ({100 * width:.1f})")
    return Table(
        f"Coverage in % and mean width in points of three intervals, {tasks} x {samples}",
        ("", *(f"{one.rate:.1%}, {one.alike:g}" for one in populations)),
        [(name, *found) for name, found in cells.items()],
        f"A column a true rate and the correlation of a task's samples; {INTERVALS} simulations.",
    )


def _share_interval(outcomes: Outcomes) -> tuple[float, float]:
    estimate = share(outcomes.tolist())
    return estimate.low, estimate.high


def _paired(random: Random) -> Table:
    nulls: list[tuple[Population, Null]] = [
        (Population(0.005, 0.3), "alike"),
        (Population(0.058, 0.3), "alike"),
        (Population(0.058, 0.3), "redrawn"),
        (Population(0.5, 0.5), "alike"),
        (Population(0.5, 0.5), "redrawn"),
    ]
    lifts = [Lift(Population(0.942, 0.3), 0.64), Lift(Population(0.5, 0.5), 0.2, 0.3)]
    rows = []
    for tasks, samples in DESIGNS:
        cells = []
        for population, null in nulls:
            found = [
                _compared(random, without_effect(random, population, tasks, 2, null), samples)
                for _ in range(COMPARISONS)
            ]
            false = float(np.mean([one.p_value < 0.05 for one in found]))
            cells.append(f"{_percent(false)} / {_percent(_covering(found, 0.0))}")
        for lift in lifts:
            found = [
                _compared(random, lift.draw(random, tasks), samples) for _ in range(COMPARISONS)
            ]
            cells.append(_percent(_covering(found, lift.difference)))
        rows.append((f"{tasks} x {samples}", *cells))
    return Table(
        "Paired comparison: false positives in %, nominal 5, and coverage in %, nominal 95",
        (
            "tasks x samples",
            *(f"{one.rate:.1%} {null}" for one, null in nulls),
            *(f"{one.population.rate:.1%} {100 * one.difference:+.1f}" for one in lifts),
        ),
        rows,
        "Columns: the rate before, and what happens to it. Alike: nothing. Redrawn: three tasks in "
        "ten are other tasks afterwards, the mean stays. The last two: a true difference in "
        f"points, coverage alone. {COMPARISONS} simulations each, standard error 0.7.",
    )


def _compared(random: Random, chances: Outcomes, samples: int) -> Difference:
    return difference(sampled(random, chances, samples).tolist())


def _covering(found: Sequence[Difference], truth: float) -> float:
    return float(np.mean([one.low <= truth <= one.high for one in found]))


def _trends(random: Random) -> Table:
    configurations = len(published_study.HEADROOMS)
    scenarios: list[tuple[Population, Null]] = [
        (population, null)
        for population in (Population(0.021, 0.3), Population(0.5, 0.5))
        for null in ("alike", "redrawn", "slopes")
    ]

    def false(population: Population, null: Null, tasks: int, samples: int) -> bool:
        chances = without_effect(random, population, tasks, configurations, null)
        return trend(sampled(random, chances, samples).tolist()).p_value < 0.05

    rows = []
    for tasks, samples in product(TASKS, (1, 5)):
        cells = []
        for population, null in scenarios:

            def once(
                population: Population = population,
                null: Null = null,
                design: tuple[int, int] = (tasks, samples),
            ) -> bool:
                return false(population, null, *design)

            cells.append(_percent(_share_of(TRENDS, once)))
        rows.append((f"{tasks} x {samples}", *cells))
    return Table(
        f"Trend over {configurations} configurations: false positives in %, nominal 5",
        ("tasks x samples", *(f"{one.rate:.1%} {null}" for one, null in scenarios)),
        rows,
        "Alike and redrawn as above. Slopes: three tasks in ten rise or fall steadily, the mean "
        f"stays. {TRENDS} simulations each, standard error 0.7.",
    )


def _power(random: Random) -> Table:
    population = Population(0.5, 0.5)
    rows = []
    for tasks, samples in DESIGNS:
        lift = just_detectable(population, tasks, samples)
        if lift is None:
            rows.append((f"{tasks} x {samples}", "none", "", ""))
            continue
        found, told = [], []
        for _ in range(COMPARISONS):
            pairs = sampled(random, lift.draw(random, tasks), samples).tolist()
            found.append(difference(pairs).p_value < 0.05)
            told.append(detectable(variances(pairs), tasks, samples))
        low, middle, high = np.quantile(told, (0.05, 0.5, 0.95))
        rows.append(
            (
                f"{tasks} x {samples}",
                f"{100 * lift.difference:.1f}",
                _percent(float(np.mean(found))),
                f"{100 * middle:.1f} ({100 * low:.1f} to {100 * high:.1f})",
            )
        )
    return Table(
        "Power at the detectable difference, nominal 80%",
        (
            "tasks x samples",
            "detectable, points",
            "found in %",
            "as a run itself estimates it: median (5% to 95%)",
        ),
        rows,
        "Tasks with a mean chance of 50% and correlation 0.5 of a task's samples; seven in ten are "
        f"lifted. {COMPARISONS} simulations each, standard error 1.3.",
    )


def _study() -> Table:
    seeds = range(STUDIES)
    columns = []
    for samples in STUDY_SAMPLES:
        reached = [conclusions(published_study.outcomes(seed, samples)) for seed in seeds]
        columns.append({text: np.mean([one[text] for one in reached]) for text in reached[0]})
    rows = [
        (text, *(f"{100 * float(column[text]):.0f}" for column in columns)) for text in columns[0]
    ]
    return Table(
        "How often the conclusions of the published study are reached, in %",
        ("conclusion / samples per task", *(str(samples) for samples in STUDY_SAMPLES)),
        rows,
        f"Runs of 89 tasks under six headrooms made up at the published rates, {STUDIES} seeds. "
        "Significant is p < 0.05 where nothing else is said. The published study's own number of "
        "samples is not known.",
    )


def conclusions(study: Mapping[Trial, Outcome]) -> dict[str, bool]:
    """What was published of the study, and whether this run of it says the same."""

    def compared(before: str, after: str, counted: Outcome) -> Difference:
        return difference(published_study.pairs(study, before, after, counted))

    strict = compared("1x", "3x", Outcome.INFRA_ERROR)
    infra = trend(published_study.blocks(study, Outcome.INFRA_ERROR))
    flat = compared("1x", "3x", Outcome.PASSED)
    beyond = compared("3x", "uncapped", Outcome.PASSED)
    total = compared("1x", "uncapped", Outcome.PASSED)
    single = {
        "infra-errors fall from 1x to 3x": strict.value < 0 and strict.p_value < 0.05,
        "infra-errors fall over the six headrooms, p < 0.001": infra.direction == "falling"
        and infra.p_value < 0.001,
        "score 1x to 3x: no significant difference": flat.p_value >= 0.05,
        "score rises from 1x to uncapped": total.value > 0 and total.p_value < 0.05,
    }
    return {
        **single,
        "all four at once": all(single.values()),
        "infra-errors fall from 1x to 3x, p < 0.001": strict.value < 0 and strict.p_value < 0.001,
        "score rises from 1x to uncapped, p < 0.01": total.value > 0 and total.p_value < 0.01,
        "score rises from 3x to uncapped": beyond.value > 0 and beyond.p_value < 0.05,
    }


def _share_of(count: int, happens: Callable[[], bool]) -> float:
    return sum(happens() for _ in range(count)) / count


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


if __name__ == "__main__":
    show(tables())
