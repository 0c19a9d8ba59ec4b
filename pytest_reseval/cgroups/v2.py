"""Reading cgroup version 2, one hierarchy for all controllers.

Formats: Documentation/admin-guide/cgroup-v2.rst of the kernel. Every figure counts the cgroup with
all below it, as runtimes such as crun put the sandbox's processes into a child.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pytest_reseval.cgroups.kernel import (
    Breakdown,
    KernelMeter,
    ancestry,
    flat_keyed,
    full_stall,
    integer,
    read_once,
    seconds,
)
from pytest_reseval.cgroups.meter import Counters, Limits, Sample

Number = TypeVar("Number", int, float)

_MICROSECONDS = 1e6

_KERNEL_PARTS = ("kernel_stack", "pagetables", "percpu", "slab")
"""What adds up to the line ``kernel`` of ``memory.stat`` on kernels before 5.18, which lack it."""


class V2Meter(KernelMeter):
    """Meters the cgroup of one directory.

    ``memory.peak`` came with kernel 5.19; from 6.12 on, writing to it resets the mark for the very
    descriptor that was written to, so other readers are not disturbed.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "memory.peak")
        self._current = self._keep(directory / "memory.current")
        self._stat = self._keep(directory / "memory.stat")
        self._memory_events = self._keep(directory / "memory.events")
        self._memory_pressure = self._keep(directory / "memory.pressure")
        self._cpu_stat = self._keep(directory / "cpu.stat")
        self._cpu_pressure = self._keep(directory / "cpu.pressure")
        self._pids = self._keep(directory / "pids.current")
        self._pids_events = self._keep(directory / "pids.events")

    def _read_counters(self) -> Counters:
        memory = self._breakdown()
        events = flat_keyed(self._memory_events.read())
        cpu = flat_keyed(self._cpu_stat.read())
        return Counters(
            current=integer(self._current.read()),
            peak=integer(self._peak.read()),
            nonreclaimable=memory.nonreclaimable if memory else None,
            cache=memory.cache if memory else None,
            oom=integer(events.get("oom")),
            oom_kill=integer(events.get("oom_kill")),
            cpu_seconds=seconds(cpu.get("usage_usec"), _MICROSECONDS),
            throttled_seconds=seconds(cpu.get("throttled_usec"), _MICROSECONDS),
            throttled_periods=integer(cpu.get("nr_throttled")),
            pids_max_events=integer(flat_keyed(self._pids_events.read()).get("max")),
            memory_pressure_seconds=full_stall(self._memory_pressure.read()),
            cpu_pressure_seconds=full_stall(self._cpu_pressure.read()),
        )

    def _read_sample(self) -> Sample | None:
        memory, current = self._breakdown(), integer(self._current.read())
        if memory is None or current is None:
            return None
        cpu = flat_keyed(self._cpu_stat.read())
        return Sample(
            time=time.monotonic(),
            anonymous=memory.anonymous,
            cache=memory.cache,
            nonreclaimable=memory.nonreclaimable,
            total=current,
            cpu_seconds=seconds(cpu.get("usage_usec"), _MICROSECONDS) or 0.0,
            throttled_seconds=seconds(cpu.get("throttled_usec"), _MICROSECONDS) or 0.0,
            pids=integer(self._pids.read()) or 0,
        )

    def _breakdown(self) -> Breakdown | None:
        stat = flat_keyed(self._stat.read())
        anonymous, file = integer(stat.get("anon")), integer(stat.get("file"))
        if anonymous is None or file is None:
            return None
        shared = integer(stat.get("shmem")) or 0
        kernel = integer(stat.get("kernel"))
        if kernel is None:
            kernel = sum(integer(stat.get(part)) or 0 for part in _KERNEL_PARTS)
        return Breakdown(
            anonymous=anonymous,
            cache=max(0, file - shared),
            nonreclaimable=anonymous + shared + kernel,
        )


def read_limits(directory: Path, uppermost: Path | None = None) -> Limits:
    """What the kernel enforces on the cgroup of one directory, ancestors up to one counted in.

    Of each limit that is the smallest; weight and reservation are those of the uppermost. crun has
    memory+swap for the swap limit of the sandbox's scope, and the right one in the child of it that
    holds the processes. Without ``uppermost`` all ancestors are left aside.
    """
    uppermost = uppermost or directory
    lineage = (directory, *directory.parents)
    places = [place for place in lineage if place.is_relative_to(uppermost)]
    memory = _smallest(integer(read_once(place / "memory.max")) for place in places)
    swap = _smallest(integer(read_once(place / "memory.swap.max")) for place in places)
    return Limits(
        memory_limit=memory,
        memory_swap_limit=None if memory is None or swap is None else memory + swap,
        cpu_limit=_smallest(_quota(place) for place in places),
        cpu_weight=integer(read_once(uppermost / "cpu.weight")),
        pids_limit=_smallest(integer(read_once(place / "pids.max")) for place in places),
        memory_reservation=integer(read_once(uppermost / "memory.low")) or None,
    )


def memory_ceilings(directory: Path) -> list[int]:
    """The memory limits, in bytes, of a cgroup and of those above it that we can see."""
    limits = (integer(read_once(place / "memory.max")) for place in ancestry(directory))
    return [limit for limit in limits if limit is not None]


def cpu_ceilings(directory: Path) -> list[float]:
    """The CPU quotas, in cores, of a cgroup and of those above it that we can see."""
    return [quota for place in ancestry(directory) if (quota := _quota(place)) is not None]


def _smallest(limits: Iterable[Number | None]) -> Number | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _quota(directory: Path) -> float | None:
    quota, _, period = (read_once(directory / "cpu.max") or "").partition(" ")
    microseconds, every = integer(quota), integer(period)
    return microseconds / every if microseconds and every else None
