"""What is kept of a study: a line a trial, small enough to stand in the repository."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.reference_study.attempts import Step, draw
from pytest_reseval.plans import agent_seed
from pytest_reseval.records import TrialRecord
from pytest_reseval.runs import Run


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: what its agent had drawn, and what came of it. ``peak`` is in bytes."""

    task: str
    configuration: str
    sample: int
    strategy: str
    first: str
    fallback: str
    outcome: str
    cause: str
    kills: int
    peak: int


def of_run(run: Run) -> list[Trial]:
    """The trials of a run, sorted; attempts are drawn again and not taken from any output."""
    trials = [_of_record(record, run.manifest.seed) for record in run.records]
    places = {label: place for place, label in enumerate(run.configurations)}
    return sorted(trials, key=lambda one: (one.task, one.sample, places[one.configuration]))


def _of_record(record: TrialRecord, seed: int) -> Trial:
    attempt = draw(record.task, agent_seed(seed, record.task, record.sample))
    phases = record.evidence.phases
    return Trial(
        task=record.task,
        configuration=record.configuration,
        sample=record.sample,
        strategy=attempt.first.approach.strategy,
        first=_named(attempt.first),
        fallback=_named(attempt.fallback) if attempt.fallback else "",
        outcome=record.outcome,
        cause=record.cause,
        kills=sum(phase.oom_kill or 0 for phase in phases),
        peak=max((phase.peak or 0 for phase in phases if phase.name == "agent"), default=0),
    )


def _named(step: Step) -> str:
    name = step.approach.name
    return name if step.size is None else f"{name} {step.size}"


def write(trials: Iterable[Trial], path: Path) -> None:
    """Keep them as CSV with a header line."""
    with path.open("w", newline="", encoding="ascii") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Trial)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(trial) for trial in trials)


def read(path: Path) -> list[Trial]:
    """The trials that ``write`` kept."""
    with path.open(newline="", encoding="ascii") as file:
        return [
            Trial(
                **{key: int(row[key]) if key in _NUMBERS else row[key] for key in row}  # type: ignore[arg-type]
            )
            for row in csv.DictReader(file)
        ]


_NUMBERS = frozenset({"sample", "kills", "peak"})
