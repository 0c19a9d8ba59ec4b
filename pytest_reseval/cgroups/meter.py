"""What can be measured of one sandbox, whoever measures it: the kernel's files or a watchdog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

PeakSource = Literal["kernel", "sampled"]


@dataclass(frozen=True, slots=True)
class Counters:
    """Monotonic counters and gauges of one sandbox at one moment; None where there is no such figure.

    Bytes and seconds. ``peak`` is the high-water mark since the last ``Meter.reset_peak`` that
    answered True, else since the sandbox began. ``nonreclaimable`` is anonymous + shared + kernel
    memory: what no reclaim can give back. ``oom`` counts limits hit without reclaim (v2 only),
    ``oom_kill`` processes killed.
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


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of the sampled series. ``time`` is ``time.monotonic()`` seconds; the rest bytes, seconds."""

    time: float
    anonymous: int
    cache: int
    nonreclaimable: int
    total: int
    cpu_seconds: float
    throttled_seconds: float
    pids: int


class Meter(Protocol):
    """Reads one sandbox. Methods answer the last known figures once the sandbox is gone."""

    peak_source: PeakSource

    def counters(self) -> Counters:
        """All counters now."""

    def sample(self) -> Sample | None:
        """One cheap row for the series; None once nothing can be read any more."""

    def reset_peak(self) -> bool:
        """Start the high-water mark anew; False where the kernel cannot, and then it goes on."""

    def close(self) -> None:
        """Close kept file descriptors; harmless when called twice."""
