"""How often do ``compare`` and ``calibrate`` decide what, where the truth is known?

    python -m benchmarks.decisions

Prints the tables of ``docs/compare.md`` and ``docs/calibrate.md``. What is simulated goes through
the commands' own decisions, with the thresholds that they have. Seeded: the same numbers each time.
It needs the extra ``study`` alone: no engine, no root.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from benchmarks import published_study
from benchmarks.populations import Population, Random, sampled
from benchmarks.published_study import HEADROOMS, Trial
from benchmarks.rounds import Table, show
from pytest_reseval.outcomes import Outcome
from pytest_reseval.study.ceiling import Ceiling, Reason, choose_ceiling
from pytest_reseval.study.comparable import ComparableRun, Result
from pytest_reseval.study.comparison import Finding, compare

SEED = 2026
DESIGNS = ((12, 1), (30, 5), (89, 1), (89, 5))
COMPARISONS = 1000
GAPS = (0.0, 0.05)
STUDIES = 200
SAMPLES = (1, 3, 5, 10, 20)
PUBLISHED = ("1x", "3x", "uncapped")

_SOLVED = Population(0.5, 0.5)


def tables() -> Iterator[Table]:
    """Every table, as soon as it is computed."""
    random = np.random.default_rng(SEED)
    for alike in (True, False):
        yield _findings(random, alike)
    yield _ceilings("the three published headrooms", PUBLISHED)
    yield _ceilings("six headrooms", HEADROOMS)
    yield _errors(random)


def finding(
    random: Random, tasks: int, samples: int, gap: float = 0.0, *, matched: bool = True
) -> Finding:
    """What ``compare`` finds of two made-up runs.

    The second passes more often by ``gap`` in every task, as far as there is room. ``matched`` says
    whether the resources of both are the same, or those of the second are not known.
    """
    chances = _SOLVED.draw(random, tasks)
    before, after = (
        _run(sampled(random, np.clip(chances + shift, 0, 1), samples), known)
        for shift, known in ((0.0, True), (gap, matched))
    )
    return compare(before, after)[0].finding


def _run(passed: np.ndarray, known: bool) -> ComparableRun:
    resources = {"memory_limit": 1} if known else None
    return ComparableRun(
        "made up",
        {},
        tuple(
            Result(
                f"task {task}",
                "3x",
                sample,
                Outcome.PASSED if passed[task, sample] else Outcome.FAILED,
                resources=resources,
            )
            for task, sample in np.ndindex(passed.shape)
        ),
    )


def _findings(random: Random, matched: bool) -> Table:
    kinds = (Finding.BEYOND_NOISE, Finding.WITHIN_NOISE, Finding.NOT_INTERPRETABLE)
    rows = []
    for tasks, samples in DESIGNS:
        cells = []
        for gap in GAPS:
            found = Counter(
                finding(random, tasks, samples, gap, matched=matched) for _ in range(COMPARISONS)
            )
            cells.append(" / ".join(f"{100 * found[kind] / COMPARISONS:.1f}" for kind in kinds))
        rows.append((f"{tasks} x {samples}", *cells))
    return Table(
        f"What `compare` finds, resources {'matched' if matched else 'unknown'}: beyond noise / "
        "within noise / not interpretable, in %",
        ("tasks x samples", *(f"{100 * gap:g} points" for gap in GAPS)),
        rows,
        "A column how much more often each task passes in the second run, before chances are cut "
        f"at 1; tasks pass with a mean chance of 50%. {COMPARISONS} simulations each, standard "
        "error at 5% 0.7.",
    )


def replayed(seed: int, samples: int, headrooms: Sequence[str]) -> Ceiling:
    """What ``calibrate`` decides on a run made up at the rates of the published study."""
    study = published_study.outcomes(seed, samples)
    return choose_ceiling({trial: study[trial] for trial in study if trial[1] in headrooms})


def _ceilings(of: str, headrooms: Sequence[str]) -> Table:
    rows = []
    for samples in SAMPLES:
        found = [replayed(seed, samples, headrooms) for seed in range(STUDIES)]
        rows.append((str(samples), *_cells(found, headrooms)))
    return Table(
        f"What `calibrate` names on runs at the published rates, {of}, in %",
        ("samples", *headrooms, *_WHY),
        rows,
        f"89 tasks, {STUDIES} seeds. The last columns: none is named, and why.",
    )


_WHY = {
    "not fixed": Reason.NOT_FIXED,
    "score moved": Reason.SCORE_MOVED,
    "sees too little": Reason.UNDERPOWERED,
}


def _cells(found: Sequence[Ceiling], headrooms: Sequence[str]) -> list[str]:
    named = Counter(one.named for one in found)
    why = Counter(one.reason for one in found if one.named is None)
    counts = [*(named[label] for label in headrooms), *(why[one] for one in _WHY.values())]
    return [f"{100 * count / len(found):.0f}" if count else "" for count in counts]


Rates = Mapping[str, tuple[float, float]]
"""By headroom, the chances of an infra-error and, without one, of a pass."""

_TRUTHS: Mapping[str, Rates] = {
    "nothing changes": {"1x": (0.058, 0.5), "3x": (0.058, 0.5), "uncapped": (0.058, 0.5)},
    "infra-errors are rare throughout": {
        "1x": (0.001, 0.5),
        "3x": (0.001, 0.5),
        "uncapped": (0.001, 0.5),
    },
    "3x takes away a fifth": {"1x": (0.058, 0.5), "3x": (0.046, 0.5), "uncapped": (0.046, 0.5)},
    "3x takes away two thirds, and lifts the score by 10 points": {
        "1x": (0.058, 0.5),
        "3x": (0.02, 0.58),
        "uncapped": (0.02, 0.58),
    },
}


def made_up(random: Random, rates: Rates, tasks: int, samples: int) -> Mapping[Trial, Outcome]:
    """A run whose tasks differ in how often they pass, with these rates in the mean."""
    ease = _SOLVED.draw(random, tasks) - _SOLVED.rate
    draws = random.random((2, tasks, samples, len(rates)))
    return {
        (f"task {task}", label, sample): Outcome.INFRA_ERROR
        if draws[0, task, sample, column] < infra
        else Outcome.PASSED
        if draws[1, task, sample, column] < min(1, max(0, solved + ease[task]))
        else Outcome.FAILED
        for task in range(tasks)
        for sample in range(samples)
        for column, (label, (infra, solved)) in enumerate(rates.items())
    }


def _errors(random: Random) -> Table:
    rows = []
    for (name, rates), (tasks, samples) in (
        (truth, design) for truth in _TRUTHS.items() for design in ((12, 1), (30, 10), (89, 10))
    ):
        found = [choose_ceiling(made_up(random, rates, tasks, samples)) for _ in range(STUDIES)]
        rows.append((name, f"{tasks} x {samples}", *_cells(found, PUBLISHED)))
    return Table(
        "What `calibrate` names where it should not, or should name the tightest, in %",
        ("truth", "tasks x samples", *PUBLISHED, *_WHY),
        rows,
        f"Infra-errors are 5.8% at 1x unless they are rare (0.1%). {STUDIES} simulations each.",
    )


if __name__ == "__main__":
    show(tables())
