"""Two runs side by side: were they the same test, what differs in the scores, what that is worth.

The rule for small gaps is that of Quantifying infrastructure noise in agentic coding evals
(Anthropic, February 2026, https://www.anthropic.com/engineering/infrastructure-noise): differences
below 3 points deserve skepticism until the resource configurations are documented and matched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pytest_reseval.outcomes import Outcome
from pytest_reseval.statistics.paired import Difference
from pytest_reseval.statistics.scores import Scores, scores
from pytest_reseval.study.comparable import ComparableRun, Result
from pytest_reseval.study.contrast import Contrast, Outcomes, by_task, contrast
from pytest_reseval.study.sameness import (
    ResourcesAre,
    Sameness,
    changed_tasks,
    sameness,
)

SCHEMA = 1
"""Raised whenever a reader of older JSON would misread a newer one."""

LEVEL = 0.05

SKEPTICISM = 0.03
"""A smaller gap says nothing between runs whose resources differ or are not known."""

_BY_RESOURCES_ALONE = "the published study saw 6 points from resources alone"


class CannotCompare(Exception):
    """Configurations that do not fit each other; the message says which there are."""


class Finding(StrEnum):
    """What a difference of scores is worth."""

    NOTHING_SHARED = "nothing-shared"
    NOT_INTERPRETABLE = "not-interpretable"
    WITHIN_NOISE = "within-noise"
    BEYOND_NOISE = "beyond-noise"


@dataclass(frozen=True, slots=True)
class Flip:
    """A task that passed more or less often: passes of the samples that both have."""

    task: str
    before: int
    after: int
    samples: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One configuration of the one run beside one of the other."""

    configurations: tuple[str, str]
    sameness: Sameness
    finding: Finding
    told: str
    """The finding in words."""
    before: Scores | None
    """Over the trials that both have; None where there are none."""
    after: Scores | None
    contrast: Contrast
    flips: tuple[Flip, ...]
    only_before: int
    """Trials without a counterpart."""
    only_after: int
    left_out: tuple[str, ...]
    """Tasks that both have, in other files, and that are therefore not compared."""


def compare(
    before: ComparableRun,
    after: ComparableRun,
    chosen: tuple[str, str] | None = None,
    changed_too: bool = False,
) -> list[Comparison]:
    """Every configuration that both have, or the one pair that was chosen.

    If each run has exactly one, these two are compared whatever their labels. ``changed_too``
    compares tasks whose files differ, too. Raises CannotCompare.
    """
    return [_compare(before, after, pair, changed_too) for pair in _pairs(before, after, chosen)]


def _pairs(
    before: ComparableRun, after: ComparableRun, chosen: tuple[str, str] | None
) -> list[tuple[str, str]]:
    if chosen is not None:
        for run, label in ((before, chosen[0]), (after, chosen[1])):
            if label not in run.labels:
                raise CannotCompare(f"{run.name} has no configuration {label}; {_has(run)}")
        return [chosen]
    if len(before.labels) == len(after.labels) == 1:
        return [(before.labels[0], after.labels[0])]
    shared = [label for label in before.labels if label in after.labels]
    if not shared:
        raise CannotCompare(
            f"no configuration is in both: {_has(before)}, {_has(after)}; "
            "say which two by --configuration A,B"
        )
    return [(label, label) for label in shared]


def _has(run: ComparableRun) -> str:
    return f"{run.name} has {', '.join(run.labels) or 'no results'}"


def _compare(
    before: ComparableRun, after: ComparableRun, pair: tuple[str, str], changed_too: bool
) -> Comparison:
    mine, theirs = before.under(pair[0]), after.under(pair[1])
    left_out = set() if changed_too else changed_tasks(mine, theirs)
    first, second = _outcomes(mine, left_out), _outcomes(theirs, left_out)
    shared = sorted(first.keys() & second.keys())
    first_shared, second_shared = (
        {place: side[place] for place in shared} for side in (first, second)
    )
    alike = sameness(before, after, pair)
    found = contrast(first_shared, second_shared)
    finding = judge(found.score, alike.resources)
    return Comparison(
        configurations=pair,
        sameness=alike,
        finding=finding,
        told=_told(finding, found, alike),
        before=scores(by_task(first_shared)) if shared else None,
        after=scores(by_task(second_shared)) if shared else None,
        contrast=found,
        flips=tuple(_flips(first_shared, second_shared)),
        only_before=len(first.keys() - second.keys()),
        only_after=len(second.keys() - first.keys()),
        left_out=tuple(sorted(left_out)),
    )


def judge(score: Difference, resources: ResourcesAre) -> Finding:
    """What a difference of scores is worth, given how the resources of both sides compare."""
    if not score.pairs:
        return Finding.NOTHING_SHARED
    if resources != "same" and abs(score.value) < SKEPTICISM:
        return Finding.NOT_INTERPRETABLE
    return Finding.BEYOND_NOISE if score.p_value < LEVEL else Finding.WITHIN_NOISE


def _told(finding: Finding, found: Contrast, alike: Sameness) -> str:
    gap = f"{100 * abs(found.score.value):.1f} points"
    resources = {"same": "", "differ": "differ in resources", "unknown": "have unknown resources"}
    unlike = resources[alike.resources]
    match finding:
        case Finding.NOTHING_SHARED:
            return "nothing to compare: no task and sample is in both"
        case Finding.NOT_INTERPRETABLE:
            return (
                f"not interpretable: a gap of {gap}, below {100 * SKEPTICISM:g}, between sides "
                f"that {unlike}"
            )
        case Finding.WITHIN_NOISE:
            return f"within noise: {gap}, p = {found.score.p_value:.2g}; {_least(found)}"
        case Finding.BEYOND_NOISE:
            caution = f"; the sides {unlike}, and {_BY_RESOURCES_ALONE}" if unlike else ""
            return f"beyond noise: {gap}, p = {found.score.p_value:.2g}{caution}"


def _least(found: Contrast) -> str:
    if found.detectable is None:
        return "too little differed to say what could have been found"
    if found.detectable > 1:
        return "so few tasks and samples that no difference would reliably be found"
    return f"{100 * found.detectable:.0f} points is the least that such a comparison finds reliably"


def _outcomes(results: Sequence[Result], left_out: set[str]) -> Outcomes:
    return {(one.task, one.sample): one.outcome for one in results if one.task not in left_out}


def _flips(before: Outcomes, after: Outcomes) -> Iterable[Flip]:
    """Tasks that do not pass equally often, those that lose most first."""
    passes: dict[str, list[tuple[bool, bool]]] = {}
    for place, outcome in before.items():
        pair = (outcome is Outcome.PASSED, after[place] is Outcome.PASSED)
        passes.setdefault(place[0], []).append(pair)
    flips = [
        Flip(task, sum(was for was, _ in pairs), sum(now for _, now in pairs), len(pairs))
        for task, pairs in sorted(passes.items())
    ]
    changed = [flip for flip in flips if flip.before != flip.after]
    return sorted(changed, key=lambda flip: (flip.after - flip.before) / flip.samples)


def comparison_json(
    before: ComparableRun, after: ComparableRun, comparisons: Sequence[Comparison]
) -> dict[str, Any]:
    """The comparison as plain builtins: ``docs/compare.md`` explains it."""
    return {
        "schema": SCHEMA,
        "a": {"name": before.name, "unfinished": before.unfinished},
        "b": {"name": after.name, "unfinished": after.unfinished},
        "comparisons": [asdict(one) for one in comparisons],
    }
