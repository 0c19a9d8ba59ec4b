"""Were two runs the same test? Term by term, the weightiest first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from pytest_reseval.resources import Resources
from pytest_reseval.study.comparable import ComparableRun, Result, Terms, Value, Weight

Place = tuple[str, int]
ResourcesAre = Literal["same", "differ", "unknown"]

_ABOUT = 0.01
"""Two sizes of a machine's memory in GiB that are nearer to each other are one."""

_MOST_NAMED = 3

ALL_OF_IT = "all of it"
"""The name of what differs where one side says nothing of a weight."""


@dataclass(frozen=True, slots=True)
class DifferentTerm:
    """One thing that is not the same in both; None where a run does not say."""

    weight: Weight
    name: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class Sameness:
    """Whether two sides are one test, and all that differs, by weight."""

    same_test: bool
    """Whether nothing differs but circumstances, and perhaps the agent."""
    same_agent: bool
    resources: ResourcesAre
    told: str
    """One sentence for people."""
    differences: tuple[DifferentTerm, ...]


def sameness(
    before: ComparableRun, after: ComparableRun, configurations: tuple[str, str]
) -> Sameness:
    """What differs between one configuration of the one run and one of the other."""
    first, second = (
        {**run.configurations.get(label, {}), **run.terms}
        for run, label in ((before, configurations[0]), (after, configurations[1]))
    )
    mine, theirs = before.under(configurations[0]), after.under(configurations[1])
    known = all(
        result.resources is not None for results in (mine, theirs) for result in results
    ) and bool(mine and theirs)
    found = [
        *_of_terms(first, second),
        *_of_resources(mine, theirs, scaled=_headroom_differs(first, second)),
        *_of_tasks(mine, theirs),
    ]
    order = list(Weight)
    found.sort(key=lambda one: order.index(one.weight))
    weights = {one.weight for one in found} - {Weight.CIRCUMSTANCE}
    resources: ResourcesAre = (
        "unknown" if not known else "differ" if Weight.RESOURCES in weights else "same"
    )
    same = not weights - {Weight.AGENT} and known
    return Sameness(
        same_test=same,
        same_agent=Weight.AGENT not in weights,
        resources=resources,
        told=_told(found, weights, resources, same),
        differences=tuple(found),
    )


def _told(
    found: Sequence[DifferentTerm], weights: set[Weight], resources: ResourcesAre, same: bool
) -> str:
    if same:
        return "same test, other agents" if weights else "same test"
    unknown = resources == "unknown"
    parts = ["resources unknown"] if unknown else []
    for weight in Weight:
        mine = [_against(one) for one in found if one.weight is weight]
        if weight not in weights or (unknown and weight is Weight.RESOURCES):
            continue
        more = f" and {len(mine) - _MOST_NAMED} more" if len(mine) > _MOST_NAMED else ""
        parts.append(f"{weight} ({', '.join(mine[:_MOST_NAMED])}{more})")
    return f"{'not known to be' if unknown else 'not'} the same test: {'; '.join(parts)}"


def _against(one: DifferentTerm) -> str:
    if one.name == ALL_OF_IT:
        return "unknown on one side"
    was, now = ("unknown" if value is None else str(value) for value in (one.before, one.after))
    return f"{one.name} {was} against {now}"


def _of_terms(before: Terms, after: Terms) -> Iterator[DifferentTerm]:
    """Term by term; of a weight that one side says nothing at all about, only that."""
    mine, theirs = ({key.partition(".")[0] for key in terms} for terms in (before, after))
    for known in Weight:
        if (known in mine) != (known in theirs):
            told = ("told", None) if known in mine else (None, "told")
            yield DifferentTerm(known, ALL_OF_IT, *told)
    for key in {**before, **after}:
        weight, _, name = key.partition(".")
        if weight not in mine & theirs:
            continue
        was, now = before.get(key), after.get(key)
        if not _alike(name, was, now):
            yield DifferentTerm(Weight(weight), name, was, now)


def _alike(name: str, was: Value, now: Value) -> bool:
    if was == now:
        return True
    if not (isinstance(was, (int, float)) and isinstance(now, (int, float))):
        return False
    return name.endswith("(GiB)") and math.isclose(was, now, rel_tol=_ABOUT)


def _headroom_differs(before: Terms, after: Terms) -> bool:
    names = ("resources.memory headroom", "resources.cpu headroom")
    return any(before.get(name) != after.get(name) for name in names)


_LIMITS = {"memory_limit", "cpu_limit", "memory_grace"}
"""What follows from the headroom."""


def _of_resources(
    before: Sequence[Result], after: Sequence[Result], scaled: bool
) -> Iterator[DifferentTerm]:
    """Guarantees and limits that were not the same for a task, where other terms do not say so."""
    first, second = _by_place(before), _by_place(after)
    for name in (field.name for field in fields(Resources)):
        if scaled and name in _LIMITS:
            continue
        unlike = [
            place
            for place in sorted(first.keys() & second.keys())
            if (was := first[place].resources) is not None
            and (now := second[place].resources) is not None
            and was.get(name) != now.get(name)
        ]
        if unlike:
            tasks = sorted({task for task, _ in unlike})
            was, now = (side[unlike[0]].resources or {} for side in (first, second))
            yield DifferentTerm(
                Weight.RESOURCES,
                f"{name.replace('_', ' ')} of {_named(tasks)}",
                was.get(name),
                now.get(name),
            )


def _of_tasks(before: Sequence[Result], after: Sequence[Result]) -> Iterator[DifferentTerm]:
    first, second = _digests(before), _digests(after)
    for tasks, was, now in (
        (sorted(first.keys() - second.keys()), "run", "not run"),
        (sorted(second.keys() - first.keys()), "not run", "run"),
    ):
        if tasks:
            yield DifferentTerm(Weight.TASKS, _named(tasks), was, now)
    changed = changed_tasks(before, after)
    if changed:
        task = min(changed)
        yield DifferentTerm(
            Weight.TASKS,
            f"files of {_named(sorted(changed))}",
            _short(first[task]),
            _short(second[task]),
        )
    shared = first.keys() & second.keys()
    unknown = sorted(task for task in shared if (first[task] is None) != (second[task] is None))
    if unknown:
        yield DifferentTerm(
            Weight.TASKS,
            f"files of {_named(unknown)}",
            _short(first[unknown[0]]),
            _short(second[unknown[0]]),
        )


def _short(digest: str | None) -> str | None:
    return digest and digest[:12]


def changed_tasks(before: Iterable[Result], after: Iterable[Result]) -> set[str]:
    """Tasks whose files differ for sure: both sides have a digest, and it is not the same."""
    first, second = _digests(before), _digests(after)
    return {
        task
        for task in first.keys() & second.keys()
        if first[task] and second[task] and first[task] != second[task]
    }


def _digests(results: Iterable[Result]) -> Mapping[str, str | None]:
    return {result.task: result.digest for result in results}


def _by_place(results: Iterable[Result]) -> Mapping[Place, Result]:
    return {(result.task, result.sample): result for result in results}


def _named(tasks: Sequence[str]) -> str:
    more = f" and {len(tasks) - _MOST_NAMED} more" if len(tasks) > _MOST_NAMED else ""
    return f"{', '.join(tasks[:_MOST_NAMED])}{more}"
