"""What going on with an earlier run means: pure decisions over its records and its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from pytest_reseval.outcomes import Outcome
from pytest_reseval.plans import TrialPlan
from pytest_reseval.records import Attempt, Manifest, Resumption, TrialRecord


def is_same_trial(record: TrialRecord, plan: TrialPlan) -> bool:
    """Whether a record is of what would be run now: the same task under the same resources.

    The Python of a test that uses ``sandbox`` is not compared.
    """
    digest = plan.task.digest if plan.task else None
    return record.task_digest == digest and record.evidence.resources == plan.resources


def is_final(record: TrialRecord, plan: TrialPlan) -> bool:
    """Whether a verdict stands, so that its trial is not run again."""
    return record.outcome is not Outcome.INFRA_ERROR and is_same_trial(record, plan)


def attempts_before(
    plan: TrialPlan, superseded: TrialRecord | None, broken_off: TrialRecord | None
) -> tuple[Attempt, ...]:
    """Every earlier attempt at a trial.

    ``superseded`` is its last record that was moved away, ``broken_off`` the obituary of an attempt
    that never ended. What was another task then was no attempt at this one.
    """
    known: tuple[Attempt, ...] = ()
    if superseded and superseded.outcome is Outcome.INFRA_ERROR and is_same_trial(superseded, plan):
        known = (*superseded.earlier, superseded.attempt)
    if broken_off and is_same_trial(broken_off, plan) and len(broken_off.earlier) > len(known):
        known = broken_off.earlier
    return known


def continued(first: Manifest, now: Manifest) -> Manifest:
    """The manifest of a run that is gone on with; ``now`` is as if it had been started anew."""
    resumption = Resumption(
        started=now.started,
        arguments=now.arguments,
        workers=now.workers,
        differing=_differing(first, now),
        ended=now.ended,
    )
    return replace(
        first,
        resumed=(*first.resumed, resumption),
        tasks={**first.tasks, **now.tasks},
        ended=now.ended,
        not_run=now.not_run,
        order=tuple(dict.fromkeys((*first.order, *now.order))),
    )


def _differing(first: Manifest, now: Manifest) -> dict[str, Any]:
    kept = ("engine", "engine_choice", "host", "budget_memory", "budget_cores", "options")
    then_flat, now_flat = (
        dict(_flat({name: msgspec.to_builtins(getattr(one, name)) for name in (*kept, "versions")}))
        for one in (first, now)
    )
    return {
        name: now_flat.get(name)
        for name in {**then_flat, **now_flat}
        if then_flat.get(name) != now_flat.get(name)
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
