"""What was run, how far it came, and how its limits were held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_reseval.outcomes import Outcome
from pytest_reseval.records import TrialRecord
from pytest_reseval.reports.findings.planned import Place, samples
from pytest_reseval.runs import Run


@dataclass(frozen=True, slots=True)
class Progress:
    """How many trials of one configuration were to be run, and how many have no verdict."""

    configuration: str
    planned: int
    missing: int


@dataclass(frozen=True, slots=True)
class Headline:
    """The first lines of a report; sentences are plain text."""

    title: str
    """The name of the run."""
    agent: str
    engine: str
    tasks: int
    configurations: int
    samples: int
    """The most that any task was to have under any configuration."""
    trials: int
    """Trials with a verdict."""
    planned: int
    outcomes: Counter[Outcome]
    started: str
    ended: str | None
    enforcement: tuple[str, ...]
    missing: str | None
    """One sentence on trials without a verdict; None when every trial has one."""
    progress: tuple[Progress, ...]


def headline(run: Run, missing: Sequence[Place], configurations: Sequence[str]) -> Headline:
    """The headline of a run whose trials without a verdict are in ``missing``."""
    records, manifest = run.records, run.manifest
    engine = manifest.engine
    cgroup = f", cgroup v{engine.cgroup_version}" if engine.cgroup_version else ""
    done = Counter(record.configuration for record in records)
    lacking = Counter(place.configuration for place in missing)
    return Headline(
        title=manifest.run,
        agent=manifest.agent,
        engine=f"{engine.name} {engine.version}{cgroup}",
        tasks=len({*run.tasks, *(place.task for place in missing)}),
        configurations=len(configurations),
        samples=max([samples(manifest.order), *(record.sample + 1 for record in records)]),
        trials=len(records),
        planned=len(records) + len(missing),
        outcomes=Counter(record.outcome for record in records),
        started=manifest.started,
        ended=manifest.ended,
        enforcement=enforcement(records),
        missing=_missing(run, len(missing)),
        progress=tuple(
            Progress(one, done[one] + lacking[one], lacking[one]) for one in configurations
        ),
    )


def _missing(run: Run, count: int) -> str | None:
    total = len(run.records) + count
    unlisted = max(0, (run.manifest.not_run or 0) - count)
    if count:
        why = "Broken off" if run.manifest.ended else "Interrupted, or still running"
        return f"{why}: {count} of {total} trials have no verdict"
    if unlisted:
        return f"{unlisted} of the selected tests were not run"
    if run.manifest.ended is None:
        return "Interrupted, or still running: it has not written down its end"
    return None


def enforcement(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """How the limits of these trials were known to hold, a sentence each."""
    by = Counter(record.evidence.enforced.by for record in records if record.evidence.enforced)
    words = {
        "cgroup": "Limits read back from the kernel",
        "watchdog": "Limits held by a polling watchdog, not by the kernel,",
    }
    told = [
        f"{words[kind]} in {count} of {len(records)} trials" for kind, count in by.most_common()
    ]
    if without := len(records) - by.total():
        told.append(f"no sandbox started in {without}")
    return tuple(told)
