"""What memory each task needs, as far as a run has measured it, and whether its spec says so.

The true need lies between two figures: the sampled non-reclaimable peak, which misses short spikes,
and the kernel's high-water mark, which counts page cache that the kernel would have given back. A
limit under which nothing was killed is an upper bound too. ``docs/calibrate.md`` has the rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytest_reseval.configuration import by_tightness
from pytest_reseval.outcomes import Outcome, PhaseFacts
from pytest_reseval.records import TrialRecord
from pytest_reseval.resources import GIB, MIB, SMALLEST_LIMIT

MARGIN = 1.2
"""A proposal is so much above the need: peaks vary from sample to sample."""

GENEROUS = 2.0
"""A guarantee of so many times what would be proposed is generous."""

_AT_THE_LIMIT = 0.98
"""As in ``outcomes``: from this part of a limit a high-water mark counts as having reached it."""

_SIZES = ((GIB // 2, 32 * MIB), (2 * GIB, 128 * MIB), (8 * GIB, 512 * MIB))
"""Up to so many bytes a proposal is a multiple of so many; beyond, of GiB."""

_UNLIKE_A_MODEL = {"oracle", "nop"}


class Status(StrEnum):
    """What the measured peaks say of a task's memory guarantee."""

    TOO_LOW = "too low"
    UNCLEAR = "unclear"
    """The guarantee lies between both bounds of the need."""
    FITTING = "fitting"
    GENEROUS = "generous"
    UNTESTED = "untested"


@dataclass(frozen=True, slots=True)
class Cpu:
    """What is known of a task's use of CPU: cores and CPU seconds of the agent's phase.

    ``busiest`` is the highest mean over the phase of any sample, under the loosest configuration:
    no peak. ``throttled`` counts trials of the tightest configuration that were ever throttled.
    """

    guarantee: float
    busiest: float | None
    throttled: int
    throttled_of: int
    throttled_seconds: float


@dataclass(frozen=True, slots=True)
class Need:
    """One task's memory. Bytes."""

    task: str
    trial: str
    """Node id of one of its trials, which tells where its file is."""
    digest: str
    agent: str
    guarantee: int
    defaulted: bool
    """Whether the file states none and the default was used."""
    status: Status
    why: str
    low: int | None
    """The need is at least this; None where nothing was measured."""
    high: int | None
    """And at most this; None where every trial was killed, or nothing was measured."""
    under: str | None
    """The configuration without kills that was measured."""
    samples: int
    """Trials of this configuration."""
    proposal: int | None
    """A guarantee that the peaks call for, where the present one is too low."""
    cpu: Cpu

    @property
    def of_a_model(self) -> bool:
        """Whether an agent was measured that works as models do: others tell a lower bound."""
        return self.agent not in _UNLIKE_A_MODEL


def needs(records: Iterable[TrialRecord]) -> list[Need]:
    """One for each task of a task file, in the order of their names.

    If a task's files changed within the run, what was measured last counts.
    """
    tasks: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.task_digest is not None:
            tasks.setdefault(record.trial.partition("::")[0], []).append(record)
    found = []
    for mine in tasks.values():
        last = [one for one in mine if one.task_digest == mine[-1].task_digest]
        found.append(_need(last))
    return sorted(found, key=lambda need: (need.task, need.trial))


def _need(records: Sequence[TrialRecord]) -> Need:
    first = records[0]
    guarantee = first.evidence.resources.memory_guarantee
    labels = by_tightness({record.configuration for record in records})
    under = {
        label: [one for one in records if one.configuration == label and _tells(one)]
        for label in labels
    }
    calm = [label for label in labels if under[label] and not any(map(_killed, under[label]))]
    measured = under[calm[-1]] if calm else []
    told = [one for label in labels for one in under[label]]
    low, high = _bounds(told, [one for label in calm for one in under[label]], measured)
    status, why = _judge(told, first.agent, guarantee, low, high)
    if status in (Status.FITTING, Status.GENEROUS) and not _any_passed(records):
        status, why = Status.UNTESTED, "no trial passed: what it takes to solve it was not seen"
    return Need(
        task=first.task,
        trial=first.trial,
        digest=first.task_digest or "",
        agent=first.agent,
        guarantee=guarantee,
        defaulted="memory" in first.defaulted,
        status=status,
        why=why,
        low=low,
        high=high,
        under=calm[-1] if calm else None,
        samples=len(measured),
        proposal=readable(high) if status is Status.TOO_LOW and high is not None else None,
        cpu=_cpu(under, labels, first.evidence.resources.cpu_guarantee),
    )


def _any_passed(records: Iterable[TrialRecord]) -> bool:
    return any(record.outcome is Outcome.PASSED for record in records)


def readable(need: int) -> int:
    """The need with its margin, rounded up to a size that people write. Bytes."""
    wanted = max(SMALLEST_LIMIT, need * MARGIN)
    step = next((step for bound, step in _SIZES if wanted <= bound), GIB)
    return math.ceil(wanted / step) * step


def _judge(
    records: Sequence[TrialRecord], agent: str, guarantee: int, low: int | None, high: int | None
) -> tuple[Status, str]:
    if agent == "nop":
        return Status.UNTESTED, "the agent nop does no work"
    if low is None:
        return Status.UNTESTED, "nothing was measured"
    if _killed_at(records, guarantee):
        more = "" if high is not None else ", and no headroom of the run was enough"
        return Status.TOO_LOW, f"killed at the guarantee or above{more}"
    if low > guarantee:
        return Status.TOO_LOW, "the non-reclaimable peak is above it"
    if high is None:
        return Status.UNTESTED, "every trial was killed, by no limit of its own"
    if high > guarantee:
        return Status.UNCLEAR, "between the bounds, which page cache holds apart; a run at 1x tells"
    if guarantee >= GENEROUS * readable(high):
        return Status.GENEROUS, "twice what would be proposed, or more"
    return Status.FITTING, "the need is below it"


def _phases(record: TrialRecord) -> list[PhaseFacts]:
    """The phases in the sandbox that the guarantee is of, as far as their memory was measured."""
    own = record.evidence.verifier_resources is not None
    return [
        phase
        for phase in record.evidence.phases
        if phase.peak is not None and not (own and phase.name == "verifier")
    ]


def _killed(record: TrialRecord) -> bool:
    return any(phase.out_of_memory for phase in _phases(record))


def _killed_at(records: Iterable[TrialRecord], guarantee: int) -> bool:
    """Whether something was killed though the sandbox held as much as it was promised."""
    return any(
        phase.out_of_memory and (phase.peak or 0) >= _AT_THE_LIMIT * guarantee
        for record in records
        for phase in _phases(record)
    )


def _tells(record: TrialRecord) -> bool:
    """Whether the trial came to its end, or was killed: others may have been cut off before."""
    return bool(_phases(record)) and (_killed(record) or record.outcome is not Outcome.INFRA_ERROR)


def _bounds(
    records: Sequence[TrialRecord], calm: Sequence[TrialRecord], loosest: Sequence[TrialRecord]
) -> tuple[int | None, int | None]:
    """What the need lies between, both ends included.

    What was killed needs more than it was killed at. What could not be reclaimed counts as far as
    no trial did with less: programs use more where there is more.
    """
    phases = [phase for record in records for phase in _phases(record)]
    if not phases:
        return None, None
    killed_at = max((phase.peak or 0 for phase in phases if phase.out_of_memory), default=0)
    held = max(phase.nonreclaimable_peak or 0 for phase in phases)
    high = _upper_bound(calm, loosest)
    if high is None:
        return max(killed_at, held), None
    high = max(high, killed_at)
    return max(killed_at, min(held, high)), high


def _upper_bound(calm: Sequence[TrialRecord], loosest: Sequence[TrialRecord]) -> int | None:
    """The kernel's marks of the loosest configuration, or the lowest limit that killed nothing.

    A sampled mark misses spikes, so it bounds nothing from above.
    """
    bounds = []
    by_kernel = [phase for one in loosest for phase in _phases(one)]
    if by_kernel and all(phase.peak_source == "kernel" for phase in by_kernel):
        bounds.append(max(phase.peak or 0 for phase in by_kernel))
    limits = [one.evidence.resources.memory_ceiling for one in calm]
    bounds += [limit for limit in limits if limit is not None]
    return min(bounds, default=None)


def _cpu(under: dict[str, list[TrialRecord]], labels: Sequence[str], guarantee: float) -> Cpu:
    loosest = [one.evidence.phase("agent") for one in under[labels[-1]]]
    means = [
        phase.cpu_seconds / phase.seconds
        for phase in loosest
        if phase and phase.cpu_seconds is not None and phase.seconds > 0
    ]
    tightest = [one.evidence.phase("agent") for one in under[labels[0]]]
    throttled = [
        phase.throttled_seconds
        for phase in tightest
        if phase and phase.throttled_seconds is not None
    ]
    return Cpu(
        guarantee=guarantee,
        busiest=max(means, default=None),
        throttled=sum(seconds > 0 for seconds in throttled),
        throttled_of=len(throttled),
        throttled_seconds=sum(throttled),
    )
