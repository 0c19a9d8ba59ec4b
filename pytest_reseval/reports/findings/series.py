"""The sampled series of a trial, made small enough to be sent along, and where kills show in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pytest_reseval.outcomes import PhaseFacts

Column = npt.NDArray[np.float64]

_SHORTEST_STEP = 0.25
"""Seconds over which CPU use is averaged at least: counters over less say little."""

_SLACK = 0.5
"""Seconds by which a sample of a phase may stand outside it: clocks are read one after another."""

_NOTABLE_DROP = 0.1
"""Fraction of the memory before it from which a drop counts as the mark of a kill."""


class UnreadableSeries(Exception):
    """A file that holds no series; the message says why."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A series as it was sampled: seconds since the trial began, bytes, CPU seconds."""

    time: Column
    total: Column
    nonreclaimable: Column
    cpu_seconds: Column
    throttled_seconds: Column


@dataclass(frozen=True, slots=True)
class Compact:
    """A series with fewer rows.

    Memory is the highest of each row's stretch, at the time of the highest total. CPU use and
    throttling are means, in cores and in throttled seconds a second, from the row before to
    ``cpu_time``.
    """

    time: Column
    total: Column
    nonreclaimable: Column
    cpu_time: Column
    cores: Column
    throttled: Column


@dataclass(frozen=True, slots=True)
class Kill:
    """Where processes were killed for memory, or with ``processes=0`` the sandbox was ended.

    ``seen`` tells whether ``time`` is where the sampled memory fell the most in that phase; else it
    is the phase's end, and the kill may have been at any time before.
    """

    time: float
    phase: str
    processes: int
    seen: bool


def read_series(file: Path) -> Sampled:
    """The series in a CSV file of a trial's folder. Raises UnreadableSeries."""
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            names = lines.readline().strip().split(",")
            wanted = [names.index(name) for name in Sampled.__dataclass_fields__]
            rows = np.loadtxt(lines, delimiter=",", usecols=wanted, ndmin=2)
    except OSError as error:
        raise UnreadableSeries(f"{file.name}: {error.strerror}") from None
    except ValueError as error:
        raise UnreadableSeries(f"{file.name}: {error}") from None
    if not np.isfinite(rows).all():
        raise UnreadableSeries(f"{file.name}: holds a number that is none")
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return Sampled(*rows.T)


def compact(series: Sampled, rows: int) -> Compact:
    """The series with at most ``rows`` rows of memory and as many of CPU; maxima are kept."""
    count = len(series.time)
    if not count:
        return Compact(*[series.time] * 6)
    starts = np.unique(np.linspace(0, count, min(rows, count), endpoint=False).astype(int))
    ends = np.append(starts[1:], count)
    tops = [
        start + int(series.total[start:end].argmax())
        for start, end in zip(starts, ends, strict=True)
    ]
    marks = _marks(series.time, rows)
    lengths = np.diff(series.time[marks])
    return Compact(
        time=series.time[tops],
        total=series.total[tops],
        nonreclaimable=np.maximum.reduceat(series.nonreclaimable, starts),
        cpu_time=series.time[marks][1:],
        cores=np.diff(series.cpu_seconds[marks]) / lengths,
        throttled=np.diff(series.throttled_seconds[marks]) / lengths,
    )


def _marks(time: Column, rows: int) -> npt.NDArray[np.intp]:
    """Indices of samples that are far enough apart to average CPU use between them."""
    step = max(_SHORTEST_STEP, float(time[-1] - time[0]) / rows)
    ticks = np.arange(time[0], time[-1] + step, step)
    found = np.unique(np.minimum(np.searchsorted(time, ticks), len(time) - 1))
    apart = np.append(True, np.diff(time[found]) > 0)
    return np.asarray(found[apart], dtype=np.intp)


def kills(phases: Sequence[PhaseFacts], series: Sampled | None) -> tuple[Kill, ...]:
    """One for each phase in which memory cost a process, or at a lenient limit the sandbox."""
    return tuple(
        Kill(time, phase.name, phase.oom_kill or 0, seen)
        for phase in phases
        if phase.out_of_memory
        for time, seen in [_moment(phase, series)]
    )


def _moment(phase: PhaseFacts, series: Sampled | None) -> tuple[float, bool]:
    end = phase.started + phase.seconds
    if series is not None:
        window = (series.time >= phase.started - _SLACK) & (series.time <= end + _SLACK)
        time, total = series.time[window], series.total[window]
        if len(total) > 1:
            drops = total[:-1] - total[1:]
            deepest = int(drops.argmax())
            if drops[deepest] > _NOTABLE_DROP * total[deepest]:
                return float(time[deepest]), True
    return end, False
