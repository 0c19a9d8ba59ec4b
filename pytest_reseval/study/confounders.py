"""Whether the configurations of a run met unlike conditions, and how scores go with conditions.

Configurations are compared within blocks: a block is one sample of one task under each of them.
Pure functions over the records of a run; they need the extra ``study``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import factorial, inf
from statistics import fmean, median
from typing import Literal

import numpy as np
from scipy import stats

from pytest_reseval.conditions import HostLoad, Stalls
from pytest_reseval.configuration import by_tightness
from pytest_reseval.outcomes import Outcome
from pytest_reseval.records import TrialRecord
from pytest_reseval.statistics.intervals import wilson_interval
from pytest_reseval.statistics.multiple import holm

Nature = Literal["confounder", "mixed", "mediator"]
"""Where a difference between configurations comes from.

``confounder``: not from the configuration, which at most the order of trials ties to it. ``mixed``:
from elsewhere or from the configuration itself, as a loosened limit lets a sandbox load its host.
``mediator``: from the configuration, whose effect goes through it.
"""

Unit = Literal["s", "share", "count"]

NOTABLE = 0.25
"""Differences of means below this share of the standard deviation are too small to be told.

Rubin, Health Services and Outcomes Research Methodology 2 (2001) 169-188: beyond a quarter of a
standard deviation groups are too unlike for their results to be compared as they are.
"""

RESAMPLES = 4999
"""Permutations drawn where all of them are too many."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that trials met, and that could move a score."""

    name: str
    label: str
    nature: Nature
    unit: Unit
    trivial: float
    """A difference of means up to this is too small to be told, however sure it is: a judgement."""
    of: Callable[[TrialRecord], float | None]
    """What a trial met; None where that is not on record."""


@dataclass(frozen=True, slots=True)
class Level:
    """What the trials of one configuration met."""

    configuration: str
    trials: int
    mean: float
    median: float


@dataclass(frozen=True, slots=True)
class Balance:
    """Whether the trials of all configurations met alike conditions.

    ``low`` and ``high`` are the configurations whose means over ``blocks`` complete blocks are
    furthest apart, ``difference`` that of these means, and ``standardized`` the same in standard
    deviations within configurations. ``p`` is by permutation within blocks, ``corrected`` by Holm's
    method over all conditions that are no mediators. None where there is too little on record.
    """

    condition: Condition
    levels: tuple[Level, ...]
    """From the tightest configuration to the loosest."""
    blocks: int
    low: str | None
    high: str | None
    difference: float | None
    standardized: float | None
    p: float | None
    corrected: float | None
    unbalanced: bool
    """Surely and notably unlike, and not as a mediator is."""
    sentence: str
    """The same for people."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of trials with its 95% Wilson interval over tasks."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Trials that met about the same, from ``low`` to ``high``."""

    low: float
    high: float
    mean: float
    trials: int
    tasks: int
    score: Share
    infra_error: Share


@dataclass(frozen=True, slots=True)
class Association:
    """How score and infra-errors go with a condition: what goes together, not what causes what.

    Tasks differ in what they meet and in how hard they are, and so do configurations.
    """

    condition: Condition
    bins: tuple[Bin, ...]
    unknown: int
    """Trials of which it is not on record."""


def _of_host(part: Callable[[HostLoad], float | None]) -> Callable[[TrialRecord], float | None]:
    def of(record: TrialRecord) -> float | None:
        host = record.conditions.host if record.conditions else None
        return part(host) if host else None

    return of


def _stalled(part: Callable[[HostLoad], Stalls | None]) -> Callable[[TrialRecord], float | None]:
    def share(host: HostLoad) -> float | None:
        stalls = part(host)
        return stalls.some / host.seconds if stalls and host.seconds > 0 else None

    return _of_host(share)


def _started(record: TrialRecord) -> float:
    return datetime.fromisoformat(record.started).timestamp()


def _latency(record: TrialRecord) -> float | None:
    service = record.conditions.service if record.conditions else None
    return service.latency if service else None


def throttled_share(record: TrialRecord) -> float | None:
    """Of the CPU time that a sandbox used or was kept from by its limit, the latter: 0 to 1.

    None where the kernel does not tell, or nothing was run.
    """
    throttled = used = 0.0
    for phase in record.evidence.phases:
        if phase.throttled_seconds is None or phase.cpu_seconds is None:
            return None
        throttled += phase.throttled_seconds
        used += phase.cpu_seconds
    return throttled / (throttled + used) if throttled + used > 0 else None


CONDITIONS = (
    Condition("started", "time of day", "confounder", "s", 60.0, _started),
    Condition(
        "neighbours_at_start",
        "neighbours at the start",
        "confounder",
        "count",
        0.25,
        lambda record: record.neighbours_at_start,
    ),
    Condition(
        "neighbours_at_end",
        "neighbours at the end",
        "mixed",
        "count",
        0.25,
        lambda record: record.neighbours_at_end,
    ),
    Condition(
        "waited", "wait for admission", "mixed", "s", 10.0, lambda record: record.waited
    ),
    Condition(
        "busy", "load of the host's CPUs", "mixed", "share", 0.05,
        _of_host(lambda host: host.busy_share),
    ),
    Condition(
        "steal", "CPU steal", "mixed", "share", 0.01, _of_host(lambda host: host.steal_share)
    ),
    Condition(
        "cpu_pressure", "CPU pressure of the host", "mixed", "share", 0.05,
        _stalled(lambda host: host.cpu_pressure),
    ),
    Condition(
        "memory_pressure", "memory pressure of the host", "mixed", "share", 0.02,
        _stalled(lambda host: host.memory_pressure),
    ),
    Condition(
        "io_pressure", "I/O pressure of the host", "mixed", "share", 0.05,
        _stalled(lambda host: host.io_pressure),
    ),
    Condition("latency", "latency of the agent's service", "mixed", "s", 0.25, _latency),
    Condition(
        "throttled", "throttling by the CPU limit", "mediator", "share", 0.02, throttled_share
    ),
)  # fmt: skip
"""Every condition that is looked at.

Which worker ran a trial is none: workers are processes of one host that share one ledger.
"""


def balances(
    records: Iterable[TrialRecord], level: float = 0.05, seed: int = 0
) -> tuple[Balance, ...]:
    """For each condition whether configurations differ in it, by more than chance and a trifle.

    ``level`` bounds the chance that any condition is called unbalanced of a run in which nothing
    ties conditions to configurations. ``seed`` is that of the permutations.
    """
    trials = list(records)
    drafts = [_compared(condition, trials, seed) for condition in CONDITIONS]
    tested = [
        index
        for index, draft in enumerate(drafts)
        if draft.p is not None and draft.condition.nature != "mediator"
    ]
    corrected: dict[int, float] = dict(
        zip(tested, holm([drafts[index].p or 0.0 for index in tested]), strict=True)
    )
    return tuple(
        draft.judged(corrected.get(index), len(tested), level) for index, draft in enumerate(drafts)
    )


def associations(records: Iterable[TrialRecord], bins: int = 4) -> tuple[Association, ...]:
    """For each condition score and infra-errors of the trials that met little to much of it.

    At most ``bins`` bins of about as many trials; trials that met the same are never parted.
    """
    trials = list(records)
    found = []
    for condition in CONDITIONS:
        known = _known(condition, trials)
        groups = _grouped(known, bins)
        unknown = len(trials) - len(known)
        found.append(Association(condition, tuple(_bin(group) for group in groups), unknown))
    return tuple(found)


Known = list[tuple[float, TrialRecord]]


def _known(condition: Condition, trials: Sequence[TrialRecord]) -> Known:
    """What is on record; times of day from the first trial on."""
    told = [(condition.of(record), record) for record in trials]
    known = [(figure, record) for figure, record in told if figure is not None]
    if condition.name == "started":
        first = min((figure for figure, _ in known), default=0.0)
        known = [(figure - first, record) for figure, record in known]
    return known


def _grouped(known: Known, bins: int) -> list[Known]:
    alike: dict[float, Known] = defaultdict(list)
    for figure, record in known:
        alike[figure].append((figure, record))
    groups: list[Known] = [[]]
    left, room = len(known), bins
    for _, together in sorted(alike.items()):
        enough = (left + len(groups[-1])) / room
        over = len(groups[-1]) + len(together) - enough
        if groups[-1] and room > 1 and over > enough - len(groups[-1]):
            groups.append([])
            room -= 1
        groups[-1] += together
        left -= len(together)
    return [group for group in groups if group]


def _bin(group: Known) -> Bin:
    figures = [figure for figure, _ in group]
    tasks = len({record.task for _, record in group})

    def share(outcome: Outcome) -> Share:
        value = fmean(record.outcome is outcome for _, record in group)
        return Share(value, *wilson_interval(value, tasks))

    return Bin(
        low=min(figures),
        high=max(figures),
        mean=fmean(figures),
        trials=len(group),
        tasks=tasks,
        score=share(Outcome.PASSED),
        infra_error=share(Outcome.INFRA_ERROR),
    )


@dataclass(frozen=True, slots=True)
class _Compared:
    """A balance before it is known how many conditions were compared."""

    condition: Condition
    levels: tuple[Level, ...]
    blocks: int
    means: dict[str, float]
    """Of each configuration over complete blocks."""
    spread: float
    p: float | None

    def judged(self, corrected: float | None, tested: int, level: float) -> Balance:
        if self.p is None:
            low = high = difference = standardized = None
        else:
            low, high = min(self.means, key=self._mean), max(self.means, key=self._mean)
            difference = self._mean(high) - self._mean(low)
            standardized = difference / self.spread if self.spread else inf if difference else 0.0
        told = difference is not None and difference > self.condition.trivial
        told = told and standardized is not None and standardized > NOTABLE
        unbalanced = told and corrected is not None and corrected <= level
        return Balance(
            condition=self.condition,
            levels=self.levels,
            blocks=self.blocks,
            low=low,
            high=high,
            difference=difference,
            standardized=standardized,
            p=self.p,
            corrected=corrected,
            unbalanced=unbalanced,
            sentence=self._sentence(low, high, corrected, told, tested, level),
        )

    def _mean(self, configuration: str) -> float:
        return self.means[configuration]

    def _sentence(
        self,
        low: str | None,
        high: str | None,
        corrected: float | None,
        told: bool,
        tested: int,
        level: float,
    ) -> str:
        label = self.condition.label
        if low is None or high is None or self.p is None:
            return f"{label}: not on record for two configurations of one block"
        apart = _apart(self.condition, low, high, self.means)
        if self.condition.nature == "mediator":
            if not told or self.p > level:
                return f"{label}: no notable difference between configurations"
            return f"{apart}: part of what a CPU limit does, and no confounder"
        if corrected is not None and corrected <= level:
            if not told:
                return f"{label}: differs by too little to matter; {apart}"
            if self.condition.nature == "confounder":
                return f"{apart}: {label} and configuration cannot be told apart"
            return f"{apart}: the configuration's own doing or a cause beside it, not told apart"
        if _least_p(self.blocks, len(self.means)) * tested > level:
            return f"{label}: too few blocks to tell ({self.blocks}); {apart}"
        return f"{label}: no difference beyond chance between configurations"


def _compared(condition: Condition, trials: Sequence[TrialRecord], seed: int) -> _Compared:
    known = _known(condition, trials)
    by_configuration: dict[str, list[float]] = defaultdict(list)
    by_block: dict[tuple[str, str | None, int], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for figure, record in known:
        by_configuration[record.configuration].append(figure)
        block = by_block[record.task, record.task_digest, record.sample]
        block[record.configuration].append(figure)
    levels = tuple(
        Level(one, len(figures), fmean(figures), median(figures))
        for one in by_tightness(set(by_configuration))
        for figures in [by_configuration[one]]
    )
    compared = by_tightness({one for block in by_block.values() if len(block) > 1 for one in block})
    complete = [
        [fmean(block[one]) for one in compared]
        for block in by_block.values()
        if compared and all(one in block for one in compared)
    ]
    if not complete:
        return _Compared(condition, levels, 0, {}, 0.0, None)
    table = np.array(complete)
    return _Compared(
        condition,
        levels,
        blocks=len(complete),
        means=dict(zip(compared, map(float, table.mean(axis=0)), strict=True)),
        spread=float(np.sqrt(table.var(axis=0, ddof=1).mean())) if len(complete) > 1 else 0.0,
        p=_permutation_p(table, seed),
    )


def _permutation_p(table: np.ndarray[tuple[int, ...], np.dtype[np.float64]], seed: int) -> float:
    """The chance of configurations (columns) as unlike, were figures shuffled within each block.

    The statistic is Friedman's, Journal of the American Statistical Association 32 (1937) 675-701:
    it looks at ranks within blocks alone. Exact where there are no more than RESAMPLES ways.
    """
    if len(table) < 2:
        return 1.0
    ranks = stats.rankdata(table, axis=1)
    found = stats.permutation_test(
        tuple(ranks.T),
        lambda *columns, axis: sum(np.mean(column, axis=axis) ** 2 for column in columns),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        alternative="greater",
        batch=1000,
        random_state=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def _least_p(blocks: int, configurations: int) -> float:
    """What ``_permutation_p`` comes to when all blocks have the same order."""
    return max(float(factorial(configurations)) ** (1 - blocks), 1 / (RESAMPLES + 1))


def _apart(condition: Condition, low: str, high: str, means: dict[str, float]) -> str:
    if condition.name == "started":
        later = _duration(means[high] - means[low])
        return f"{high} trials started {later} later than {low} trials on average"
    return (
        f"{condition.label}: {_amount(condition.unit, means[high])} in {high} trials, "
        f"{_amount(condition.unit, means[low])} in {low} trials on average"
    )


def _amount(unit: Unit, figure: float) -> str:
    if unit == "share":
        return f"{figure:.1%}"
    return _duration(figure) if unit == "s" else f"{figure:.1f}"


def _duration(seconds: float) -> str:
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}s"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
