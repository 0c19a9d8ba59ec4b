"""The memory that tasks used, against what they were promised and where they were stopped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_reseval.outcomes import PhaseFacts
from pytest_reseval.records import TrialRecord


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest mark of a task's trials under one configuration; bytes.

    With a separate verifier only the phases in the agent's sandbox count.
    """

    task: str
    configuration: str
    guarantee: int
    limit: int | None
    peak: int
    need: int | None
    """Sampled non-reclaimable memory: a lower bound of the need, where ``peak`` is an upper one."""
    oom_kills: int
    """Trials in which a process was killed for memory: the need is beyond the peak."""
    saturated: bool
    """The highest mark is page cache grown to the limit."""
    sampled: bool
    """The mark is of samples, not the kernel's, so that shorter spikes were missed."""
    trials: int

    @property
    def ratio(self) -> float:
        """Peak over guarantee."""
        return self.peak / self.guarantee


def peaks(records: Sequence[TrialRecord], configurations: Sequence[str]) -> tuple[Peak, ...]:
    """One for each task and configuration with a measurement; tasks by their highest ratio."""
    groups: dict[tuple[str, str], list[TrialRecord]] = defaultdict(list)
    for record in records:
        if any(phase.peak is not None for phase in _phases(record)):
            groups[record.task, record.configuration].append(record)
    found = [_peak(task, name, group) for (task, name), group in groups.items()]
    highest: dict[str, float] = defaultdict(float)
    for one in found:
        highest[one.task] = max(highest[one.task], one.ratio)
    order = {name: index for index, name in enumerate(configurations)}
    found.sort(key=lambda one: (-highest[one.task], one.task, order[one.configuration]))
    return tuple(found)


def _phases(record: TrialRecord) -> list[PhaseFacts]:
    resources = record.evidence.resources
    return [
        phase
        for phase in record.evidence.phases
        if record.evidence.resources_in(phase) == resources
    ]


def _peak(task: str, configuration: str, records: Sequence[TrialRecord]) -> Peak:
    phases = [(record, phase) for record in records for phase in _phases(record)]
    top, phase = max(phases, key=lambda pair: pair[1].peak or 0)
    needs = [one.nonreclaimable_peak for _, one in phases if one.nonreclaimable_peak is not None]
    resources = top.evidence.resources
    return Peak(
        task=task,
        configuration=configuration,
        guarantee=resources.memory_guarantee,
        limit=resources.memory_limit,
        peak=phase.peak or 0,
        need=max(needs, default=None),
        oom_kills=sum(any(one.out_of_memory for one in _phases(record)) for record in records),
        saturated=phase.cache_saturated,
        sampled=phase.peak_source == "sampled",
        trials=len(records),
    )
