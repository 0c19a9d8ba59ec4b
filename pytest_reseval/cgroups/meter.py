"""What can be measured of one sandbox, whoever measures it: the kernel's files or a watchdog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

PeakSource = Literal["kernel", "sampled"]


@dataclass(frozen=True, slots=True)
class Counters:
    """Monotonic counters and gauges of one sandbox at one moment; None: there is no such figure.

    Bytes and seconds. ``peak`` is the high-water mark since the last ``Meter.reset_peak`` that
    answered True, else since the sandbox began. ``nonreclaimable`` is anonymous + shared + kernel
    memory: what reclaim can hardly give back. Reclaimable slab (dentries, inodes) is part of it,
    because v1 does not tell it apart, and figures of both versions shall mean the same. ``cache``
    is the file cache without shared memory. ``oom`` counts limits hit without reclaim (v2 only),
    ``oom_kill`` processes killed. ``throttled_seconds`` are summed over CPUs, so many threads can
    collect more of them than the clock shows.
    """

    current: int | None
    peak: int | None
    nonreclaimable: int | None
    cache: int | None
    oom: int | None
    oom_kill: int | None
    cpu_seconds: float | None
    throttled_seconds: float | None
    throttled_periods: int | None
    pids_max_events: int | None
    memory_pressure_seconds: float | None
    """PSI "full" stall total of memory; None where the kernel keeps none."""
    cpu_pressure_seconds: float | None
    """PSI "full" stall total of CPU: nobody in the sandbox ran though somebody could have.

    Throttling by the sandbox's own limit counts in it too.
    """


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of the sampled series.

    ``time`` is ``time.monotonic()`` seconds; the rest bytes and seconds. CPU, throttling and pids
    are 0 where the kernel keeps no such figure; ``Counters`` tells which do not exist.
    """

    time: float
    anonymous: int
    cache: int
    nonreclaimable: int
    total: int
    cpu_seconds: float
    throttled_seconds: float
    pids: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What the kernel enforces on one cgroup, read back. None: no limit, or no such file.

    Bytes and cores. ``memory_swap_limit`` is memory plus swap together; it is None too where the
    kernel does not account swap. ``cpu_weight`` is v1 ``cpu.shares`` or v2 ``cpu.weight``.
    ``memory_reservation`` is the v1 soft limit or v2 ``memory.low``.
    """

    memory_limit: int | None
    memory_swap_limit: int | None
    cpu_limit: float | None
    cpu_weight: int | None
    pids_limit: int | None
    memory_reservation: int | None


class Meter(Protocol):
    """Reads one sandbox. Methods answer the last known figures once the sandbox is gone.

    Safe to use from several threads at once.
    """

    peak_source: PeakSource

    def counters(self) -> Counters:
        """All counters now."""

    def sample(self) -> Sample | None:
        """One cheap row for the series; None once nothing can be read any more."""

    def reset_peak(self) -> bool:
        """Start the high-water mark anew; False where the kernel cannot, and then it goes on."""

    def close(self) -> None:
        """Close kept file descriptors; harmless when called twice."""
