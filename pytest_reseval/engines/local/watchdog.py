"""Measuring and limiting memory by polling, where no cgroup can be written.

What lives for less than one interval is missed, and a process can overshoot before it is seen:
every figure is a sample, and says so.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import psutil

from pytest_reseval.cgroups.meter import Counters, PeakSource, Sample
from pytest_reseval.engines.local.processes import sampled_descendants

INTERVAL = 0.05
"""Seconds between two polls."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process uses: bytes of resident memory, private and shared, and CPU seconds."""

    process: psutil.Process
    resident: int
    shared: int
    cpu_seconds: float


def usage_of(process: psutil.Process) -> Usage | None:
    """The usage now; None when the process is gone or a zombie."""
    try:
        with process.oneshot():
            memory, times = process.memory_info(), process.cpu_times()
        return Usage(process, memory.rss, memory.shared, times.user + times.system)
    except psutil.Error:
        return None


def proportional(usage: Usage) -> int:
    """Bytes where pages shared by n processes count 1/n; the resident size if not readable."""
    try:
        return int(usage.process.memory_full_info().pss)
    except psutil.Error:
        return usage.resident


def excess(usages: list[Usage], shm: int, limit: int | None) -> tuple[int, Usage | None]:
    """Bytes used together, and the process to kill because that is above ``limit``, or None.

    Resident sizes count shared pages once for each process; so when their sum is above the limit
    the proportional sizes decide. ``shm`` is what files in memory hold, counted once.
    """
    total = sum(usage.resident for usage in usages) + shm
    if limit is None or total <= limit:
        return total, None
    sizes = {usage: proportional(usage) for usage in usages}
    total = sum(sizes.values()) + shm
    if total <= limit or not sizes:
        return total, None
    return total, max(usages, key=lambda usage: sizes[usage])


class Watchdog:
    """Polls all processes of one sandbox and kills the largest while their memory is too much.

    It is the sandbox's ``Meter``; ``oom_kill`` counts its own kills.
    ``root`` is the keeper, whose child ``first_process`` is ours and not counted; ``shm`` is an
    open directory of the sandbox's file system in memory, which ``close`` closes.
    """

    peak_source: PeakSource = "sampled"

    def __init__(
        self, root: psutil.Process, first_process: int, shm: int, memory_limit: int | None
    ) -> None:
        self._root = root
        self._first_process = first_process
        self._shm = shm
        self._limit = memory_limit
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._cpu_of_ended = 0.0
        self._cpu_of_living: dict[psutil.Process, float] = {}
        self._killed: set[psutil.Process] = set()
        self._kills = 0
        self._peak = 0
        self._sample: Sample | None = None
        self._poll()
        self._thread = threading.Thread(target=self._run, name="reseval-watchdog", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL):
            self._poll()

    def _poll(self) -> None:
        with self._lock:
            processes = [p for p in sampled_descendants(self._root) if p.pid != self._first_process]
            usages = [usage for p in processes if (usage := usage_of(p)) is not None]
            shm = self._shm_bytes()
            total, victim = excess(usages, shm, self._limit)
            self._killed &= {usage.process for usage in usages if usage.resident}
            if victim is not None and not self._killed:
                self._kill(victim)
            self._peak = max(self._peak, total)
            anonymous = sum(max(0, usage.resident - usage.shared) for usage in usages)
            self._sample = Sample(
                time=time.monotonic(),
                anonymous=anonymous,
                cache=0,
                nonreclaimable=anonymous + shm,
                total=total,
                cpu_seconds=self._cpu_seconds(usages),
                throttled_seconds=0.0,
                pids=len(processes),
            )

    def _kill(self, victim: Usage) -> None:
        """Kill a process; as long as it has not given its memory back, no other will be."""
        with suppress(psutil.NoSuchProcess):
            victim.process.kill()
            self._killed.add(victim.process)
            self._kills += 1

    def _shm_bytes(self) -> int:
        status = os.fstatvfs(self._shm)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def _cpu_seconds(self, usages: list[Usage]) -> float:
        """CPU time of all processes ever seen, as of when each was last seen."""
        seen = {usage.process: usage.cpu_seconds for usage in usages}
        for process, seconds in self._cpu_of_living.items():
            if process in seen:
                continue
            if process.is_running():
                seen[process] = seconds
            else:
                self._cpu_of_ended += seconds
        self._cpu_of_living = seen
        return self._cpu_of_ended + sum(seen.values())

    def counters(self) -> Counters:
        """All figures of a new poll; None for those that only a kernel counts."""
        if not self._stopping.is_set():
            self._poll()
        with self._lock:
            sample = self._sample
            return Counters(
                current=sample.total if sample else None,
                peak=self._peak,
                nonreclaimable=sample.nonreclaimable if sample else None,
                cache=None,
                oom=self._kills,
                oom_kill=self._kills,
                cpu_seconds=sample.cpu_seconds if sample else None,
                throttled_seconds=None,
                throttled_periods=None,
                pids_max_events=None,
                memory_pressure_seconds=None,
                cpu_pressure_seconds=None,
            )

    def sample(self) -> Sample | None:
        """The figures of the last poll, stamped with the time of that poll; None once it ended."""
        with self._lock:
            return None if self._stopping.is_set() else self._sample

    def reset_peak(self) -> bool:
        """Start the high-water mark anew from now."""
        with self._lock:
            self._peak = self._sample.total if self._sample else 0
        return True

    def close(self) -> None:
        """End the polling; the last figures stay. Harmless when called twice."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._thread.join()
            os.close(self._shm)
