"""What a trial met on its host besides its own limits: what could move a score and is no resource.

The host's figures hold the sandbox's own share: its work keeps the host busy, and its stalls, also
those at its own limits, are stalls on the host.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from pytest_reseval.cgroups.kernel import full_stall, some_stall
from pytest_reseval.service import ServiceUse


@dataclass(frozen=True, slots=True)
class Stalls:
    """Seconds of stall for want of one resource: Documentation/accounting/psi.rst.

    ``some``: at least one task stood still. ``full``: every task that was not idle did.
    """

    some: float
    full: float | None
    """None for CPU: undefined for a host, whatever its kernel prints."""


@dataclass(frozen=True, slots=True)
class HostReading:
    """Counters of a host at one moment, all since it booted; None: it keeps no such figure."""

    time: float
    """Seconds of ``time.monotonic``."""
    cpu_seconds: float | None
    """CPU seconds that went by on all CPUs together, in whatever state they were."""
    busy_seconds: float | None
    """Those of them in which something ran; stolen ones are not among them."""
    steal_seconds: float | None
    """Those in which something would have run, but the hypervisor ran others (proc_stat(5))."""
    cpu_pressure: Stalls | None
    memory_pressure: Stalls | None
    io_pressure: Stalls | None


@dataclass(frozen=True, slots=True)
class HostLoad:
    """What a host was busy with and waited for over some time; None: it keeps no such figure."""

    seconds: float
    """How long, by the clock."""
    busy_share: float | None
    """Of the host's CPU time, from 0 to 1."""
    steal_seconds: float | None
    steal_share: float | None
    """Of the host's CPU time, from 0 to 1."""
    cpu_pressure: Stalls | None
    memory_pressure: Stalls | None
    io_pressure: Stalls | None


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a trial met that its resources do not say."""

    host: HostLoad | None = None
    """From admission until the agent's sandbox was no longer measured.

    None where it was never admitted, or the sandbox is on another machine.
    """
    service: ServiceUse | None = None
    """What the agent told of its own service; its word alone."""
    service_problem: str | None = None
    """Why what it told was ignored."""


class Host:
    """The machine that we run on, by the figures of its kernel."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._pressure = proc / "pressure"

    def read(self) -> HostReading:
        """All counters now. Never raises."""
        now, total, busy, steal = time.monotonic(), None, None, None
        with suppress(OSError):
            times = psutil.cpu_times()
            steal = times.steal
            busy = times.user + times.nice + times.system + times.irq + times.softirq
            total = busy + steal + times.idle + times.iowait
        return HostReading(now, total, busy, steal, *map(self._stalls, ("cpu", "memory", "io")))

    def _stalls(self, resource: str) -> Stalls | None:
        try:  # a kernel booted without psi=1 may have the file and refuse to read it
            text = (self._pressure / resource).read_text()
        except OSError:
            return None
        some = some_stall(text)
        if some is None:
            return None
        return Stalls(some, None if resource == "cpu" else full_stall(text))


def load_between(before: HostReading, after: HostReading) -> HostLoad:
    """What went by between two readings.

    The kernel warns that idle and iowait may step back (proc_stat(5)), and CPUs can go offline: no
    figure is below 0 and no share above 1.
    """
    total = _increase(before.cpu_seconds, after.cpu_seconds)
    busy = _increase(before.busy_seconds, after.busy_seconds)
    steal = _increase(before.steal_seconds, after.steal_seconds)
    return HostLoad(
        seconds=after.time - before.time,
        busy_share=_share(busy, total),
        steal_seconds=steal,
        steal_share=_share(steal, total),
        cpu_pressure=_stalled(before.cpu_pressure, after.cpu_pressure),
        memory_pressure=_stalled(before.memory_pressure, after.memory_pressure),
        io_pressure=_stalled(before.io_pressure, after.io_pressure),
    )


def _stalled(before: Stalls | None, after: Stalls | None) -> Stalls | None:
    if before is None or after is None:
        return None
    return Stalls(max(0.0, after.some - before.some), _increase(before.full, after.full))


def _increase(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else min(1.0, part / whole)
