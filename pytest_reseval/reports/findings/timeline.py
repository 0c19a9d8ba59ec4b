"""When trials waited and ran, and how much was promised at each moment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from pytest_reseval.admission.model import Budget
from pytest_reseval.harness import AdmissionMode, promised
from pytest_reseval.outcomes import Outcome
from pytest_reseval.records import Attempt, Manifest, TrialRecord

BRIEF = 0.1
"""Seconds. Records tell when the trial was over, which is some hundredths after its promise was
given back; a load that did not last this long may be of that making, and is left out."""


@dataclass(frozen=True, slots=True)
class Span:
    """One attempt at a trial, in seconds since the first one of the run asked for admission.

    It waits from ``asked`` to ``admitted``, and holds its promise until ``ended``; the last two
    coincide where it was never admitted.
    """

    trial: int
    """Its place in the records."""
    worker: str
    asked: float
    admitted: float
    ended: float
    outcome: Outcome
    memory: int
    """Bytes that admission counted for it."""
    cores: float


@dataclass(frozen=True, slots=True)
class Load:
    """What held from ``time`` on, until the next one."""

    time: float
    waiting: float
    running: float
    memory: float
    cores: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """All attempts, and the load that they add up to."""

    began: str
    """UTC, ISO 8601: where time 0 is."""
    spans: tuple[Span, ...]
    loads: tuple[Load, ...]
    budget_memory: int
    budget_cores: float
    admission: AdmissionMode
    """What was counted against the budget: guarantee, limit, or off."""


def timeline(records: Sequence[TrialRecord], manifest: Manifest) -> Timeline | None:
    """The timeline of a run; None without any trial."""
    if not records:
        return None
    admission = _admission(manifest)
    began = min(_moment(one.started) for record in records for one in _attempts(record))
    spans = tuple(
        _span(index, record, attempt, began, manifest)
        for index, record in enumerate(records)
        for attempt in _attempts(record)
    )
    return Timeline(
        began=datetime.fromtimestamp(began).astimezone().isoformat(timespec="seconds"),
        spans=spans,
        loads=tuple(loads(spans)),
        budget_memory=manifest.budget_memory,
        budget_cores=manifest.budget_cores,
        admission=admission,
    )


def loads(spans: Iterable[Span]) -> list[Load]:
    """The load after each moment at which a span begins to wait, is admitted, or ends.

    Loads that last less than BRIEF are left out.
    """
    changes: list[tuple[float, int, int, int, float]] = []
    for span in spans:
        changes.append((span.asked, 1, 0, 0, 0.0))
        changes.append((span.admitted, -1, 1, span.memory, span.cores))
        changes.append((span.ended, 0, -1, -span.memory, -span.cores))
    changes.sort(key=lambda change: change[0])
    waiting = running = memory = 0
    cores = 0.0
    found: list[Load] = []
    for time, wait, run, held, share in changes:
        waiting, running, memory, cores = (
            waiting + wait,
            running + run,
            memory + held,
            cores + share,
        )
        load = Load(time, waiting, running, memory, round(cores, 6))
        if found and time - found[-1].time < BRIEF:
            found.pop()
        found.append(load)
    return found


def averaged(loads: Sequence[Load], parts: int) -> list[Load]:
    """The mean load, weighted by time, over each of so many equal parts of the whole time.

    Needs two loads at different times or more.
    """
    first, last = loads[0].time, loads[-1].time
    length = (last - first) / parts
    sums = [[0.0, 0.0, 0.0, 0.0] for _ in range(parts)]
    for load, following in pairwise(loads):
        figures = (load.waiting, load.running, load.memory, load.cores)
        start = load.time
        while start < following.time:
            part = min(parts - 1, int((start - first) / length))
            end = following.time
            if part < parts - 1:
                end = min(end, max(first + (part + 1) * length, math.nextafter(start, math.inf)))
            for index, figure in enumerate(figures):
                sums[part][index] += figure * (end - start) / length
            start = end
    means = [Load(first + index * length, *part) for index, part in enumerate(sums)]
    return [*means, replace(loads[-1], time=last)]


def _attempts(record: TrialRecord) -> tuple[Attempt, ...]:
    return (*record.earlier, record.attempt)


def _span(
    index: int, record: TrialRecord, attempt: Attempt, began: float, manifest: Manifest
) -> Span:
    asked = _moment(attempt.started) - began
    ended = asked + attempt.seconds
    admission = _admission(manifest)
    memory, cores = promised(
        attempt.evidence.resources, admission, Budget(manifest.budget_memory, manifest.budget_cores)
    )
    return Span(
        trial=index,
        worker=record.worker,
        asked=asked,
        admitted=min(asked + attempt.waited, ended),
        ended=ended,
        outcome=attempt.outcome,
        memory=memory,
        cores=cores,
    )


def _admission(manifest: Manifest) -> AdmissionMode:
    match manifest.options.get("admission"):
        case "limit":
            return "limit"
        case "off":
            return "off"
    return "guarantee"


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
