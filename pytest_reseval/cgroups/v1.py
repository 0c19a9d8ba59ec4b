"""Reading cgroup version 1, where each controller has a hierarchy of its own.

Formats: Documentation/admin-guide/cgroup-v1/ of the kernel. Memory and CPU figures are those of the
cgroup with all below it, except ``oom_kill`` and throttling, which v1 keeps for the cgroup alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from pytest_reseval.cgroups.kernel import (
    Breakdown,
    KernelMeter,
    ancestry,
    flat_keyed,
    integer,
    read_once,
    seconds,
)
from pytest_reseval.cgroups.meter import Counters, Limits, Sample

_NO_LIMIT = 1 << 62
"""v1 says "no limit" by the largest whole number of pages; nothing real comes near this."""

_NANOSECONDS = 1e9


class V1Meter(KernelMeter):
    """Meters the cgroup whose directories, one per controller, are given; ``memory`` must be there.

    The peak is reset for every reader at once: v1 has one high-water mark per cgroup.
    """

    def __init__(self, directories: Mapping[str, Path]) -> None:
        memory, pids = directories["memory"], directories.get("pids")
        cpu, cpuacct = directories.get("cpu"), directories.get("cpuacct")
        super().__init__(memory / "memory.max_usage_in_bytes")
        self._usage = self._keep(memory / "memory.usage_in_bytes")
        self._kernel = self._keep(memory / "memory.kmem.usage_in_bytes")
        self._stat = self._keep(memory / "memory.stat")
        self._oom_control = self._keep(memory / "memory.oom_control")
        self._cpu_usage = self._keep(cpuacct and cpuacct / "cpuacct.usage")
        self._cpu_stat = self._keep(cpu and cpu / "cpu.stat")
        self._pids = self._keep(pids and pids / "pids.current")
        self._pids_events = self._keep(pids and pids / "pids.events")

    def _read_counters(self) -> Counters:
        memory = self._breakdown()
        cpu = flat_keyed(self._cpu_stat.read())
        return Counters(
            current=integer(self._usage.read()),
            peak=integer(self._peak.read()),
            nonreclaimable=memory.nonreclaimable if memory else None,
            cache=memory.cache if memory else None,
            oom=None,
            oom_kill=integer(flat_keyed(self._oom_control.read()).get("oom_kill")),
            cpu_seconds=seconds(self._cpu_usage.read(), _NANOSECONDS),
            throttled_seconds=seconds(cpu.get("throttled_time"), _NANOSECONDS),
            throttled_periods=integer(cpu.get("nr_throttled")),
            pids_max_events=integer(flat_keyed(self._pids_events.read()).get("max")),
            memory_pressure_seconds=None,
            cpu_pressure_seconds=None,
        )

    def _read_sample(self) -> Sample | None:
        memory, usage = self._breakdown(), integer(self._usage.read())
        if memory is None or usage is None:
            return None
        cpu = flat_keyed(self._cpu_stat.read())
        return Sample(
            time=time.monotonic(),
            anonymous=memory.anonymous,
            cache=memory.cache,
            nonreclaimable=memory.nonreclaimable,
            total=usage,
            cpu_seconds=seconds(self._cpu_usage.read(), _NANOSECONDS) or 0.0,
            throttled_seconds=seconds(cpu.get("throttled_time"), _NANOSECONDS) or 0.0,
            pids=integer(self._pids.read()) or 0,
        )

    def _breakdown(self) -> Breakdown | None:
        stat = flat_keyed(self._stat.read())
        anonymous, cache = integer(stat.get("total_rss")), integer(stat.get("total_cache"))
        if anonymous is None or cache is None:
            return None
        shared = integer(stat.get("total_shmem")) or 0
        kernel = integer(self._kernel.read()) or 0
        return Breakdown(
            anonymous=anonymous,
            cache=max(0, cache - shared),
            nonreclaimable=anonymous + shared + kernel,
        )


def read_limits(directories: Mapping[str, Path]) -> Limits:
    """What the kernel enforces on the cgroup whose directories, one per controller, are given."""
    memory, cpu, pids = (directories.get(name) for name in ("memory", "cpu", "pids"))
    return Limits(
        memory_limit=_bytes(read_once(memory and memory / "memory.limit_in_bytes")),
        memory_swap_limit=_bytes(read_once(memory and memory / "memory.memsw.limit_in_bytes")),
        cpu_limit=_quota(cpu),
        cpu_weight=integer(read_once(cpu and cpu / "cpu.shares")),
        pids_limit=integer(read_once(pids and pids / "pids.max")),
        memory_reservation=_bytes(read_once(memory and memory / "memory.soft_limit_in_bytes")),
    )


def memory_ceilings(directory: Path) -> list[int]:
    """The memory limit, in bytes, of a cgroup and of all above it, even those we cannot see.

    The kernel gives their smallest in ``hierarchical_memory_limit`` of ``memory.stat``.
    """
    stat = flat_keyed(read_once(directory / "memory.stat"))
    limit = _bytes(stat.get("hierarchical_memory_limit"))
    return [] if limit is None else [limit]


def cpu_ceilings(directory: Path) -> list[float]:
    """The CPU quotas, in cores, of a cgroup and of those above it that we can see."""
    return [quota for place in ancestry(directory) if (quota := _quota(place)) is not None]


def _bytes(text: str | None) -> int | None:
    amount = integer(text)
    return None if amount is None or amount >= _NO_LIMIT else amount


def _quota(cpu: Path | None) -> float | None:
    quota = integer(read_once(cpu and cpu / "cpu.cfs_quota_us"))
    period = integer(read_once(cpu and cpu / "cpu.cfs_period_us"))
    return quota / period if quota and period else None
