"""Reading all meters of this process at a steady rate, from one thread."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread

from pytest_reseval.cgroups.meter import Meter, Sample

INTERVAL = 0.1
"""Seconds between two samples of one meter."""

LONGEST = 4096
"""Rows that a series keeps at most: seven minutes at full rate, three hours at one in 32."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest sampled memory figures of a window of time, in bytes.

    The two need not have stood at the same moment.
    """

    total: int
    nonreclaimable: int


class Series:
    """What was sampled from one meter.

    Rows are kept up to a bound; when it is reached every second one is dropped, and from then on
    only half as many are kept. Peaks come from all samples that were ever taken (24 bytes each), so
    thinning loses none. A first sample is taken at once and a last one by ``stop``. ``on_sample``
    is shown each of them, on the sampling thread.
    """

    def __init__(
        self,
        meter: Meter,
        *,
        longest: int = LONGEST,
        on_sample: Callable[[Sample], None] | None = None,
    ) -> None:
        self._meter = meter
        self._on_sample = on_sample
        self._longest = longest
        self._lock = Lock()
        self._rows: list[Sample] = []
        self._stride = 1
        self._times = array("d")
        self._totals = array("q")
        self._nonreclaimables = array("q")
        self._running = True
        self.take()

    @property
    def running(self) -> bool:
        """False after ``stop``, and once the meter can read nothing any more."""
        return self._running

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The rows that were kept, oldest first, at even distances."""
        with self._lock:
            return tuple(self._rows)

    def take(self) -> None:
        """Take one sample now, unless the series has ended."""
        with self._lock:
            if self._running:
                self._take()

    def peak(self, since: float, until: float) -> Peak | None:
        """The peaks from ``since`` to ``until``, ``time.monotonic()`` seconds, both included.

        None when no sample was taken in that window.
        """
        with self._lock:
            first, end = bisect_left(self._times, since), bisect_right(self._times, until)
            if first >= end:
                return None
            return Peak(max(self._totals[first:end]), max(self._nonreclaimables[first:end]))

    def stop(self) -> None:
        """Take a last sample and end the series; harmless when called twice.

        Once this returns the meter is not read any more.
        """
        with self._lock:
            if self._running:
                self._take()
                self._running = False

    def _take(self) -> None:
        row = self._meter.sample()
        if row is None:
            self._running = False
            return
        if self._on_sample is not None:
            self._on_sample(row)
        if len(self._times) % self._stride == 0:
            self._rows.append(row)
        self._times.append(row.time)
        self._totals.append(row.total)
        self._nonreclaimables.append(row.nonreclaimable)
        if len(self._rows) >= self._longest:
            del self._rows[1::2]
            self._stride *= 2


class Sampler:
    """Samples every watched meter about ten times a second, all from one daemon thread.

    One sampler serves a whole process. Its thread starts with the first meter that is watched and
    ends when none is left.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._lock = Lock()
        self._watched: list[Series] = []
        self._thread: Thread | None = None

    def watch(self, meter: Meter, on_sample: Callable[[Sample], None] | None = None) -> Series:
        """Sample a meter from now on, until ``Series.stop`` or until nothing can be read."""
        series = Series(meter, on_sample=on_sample)
        with self._lock:
            self._watched.append(series)
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="reseval-sampler", daemon=True)
                self._thread.start()
        return series

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            with self._lock:
                self._watched = [series for series in self._watched if series.running]
                if not self._watched:
                    self._thread = None
                    return
                watched = list(self._watched)
            for series in watched:
                series.take()
            due = max(due + self._interval, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
