from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace

import pytest

from pytest_reseval.cgroups.meter import Counters, PeakSource, Sample
from pytest_reseval.cgroups.sampler import Peak, Sampler, Series

PATIENCE = 30.0


class Scripted:
    """A meter whose rows are given: one second apart, memory as scripted, then nothing."""

    peak_source: PeakSource = "sampled"

    def __init__(self, totals: list[int]) -> None:
        self._rows = [
            Sample(
                time=float(index),
                anonymous=total // 2,
                cache=0,
                nonreclaimable=total // 2,
                total=total,
                cpu_seconds=0.0,
                throttled_seconds=0.0,
                pids=1,
            )
            for index, total in enumerate(totals)
        ]
        self.read = 0

    def counters(self) -> Counters:
        raise NotImplementedError

    def sample(self) -> Sample | None:
        if self.read >= len(self._rows):
            return None
        self.read += 1
        return self._rows[self.read - 1]

    def reset_peak(self) -> bool:
        return False

    def close(self) -> None:
        pass


class Endless(Scripted):
    """A meter that always answers, and tells from which threads it was asked."""

    def __init__(self) -> None:
        super().__init__([100])
        self.threads: set[threading.Thread] = set()
        self.enough = threading.Event()

    def sample(self) -> Sample | None:
        self.threads.add(threading.current_thread())
        self.read += 1
        if self.read >= 4:
            self.enough.set()
        return replace(self._rows[0], time=time.monotonic())


def series_of(totals: list[int], longest: int = 1000) -> Series:
    series = Series(Scripted(totals), longest=longest)
    while series.running:
        series.take()
    return series


def test_all_rows_are_kept_below_the_bound() -> None:
    series = series_of([10, 30, 20])
    assert [row.total for row in series.samples] == [10, 30, 20]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100, 1000, 12_345])
def test_thinning_keeps_the_bound_and_even_distances(count: int) -> None:
    series = series_of(list(range(count)), longest=8)
    times = [row.time for row in series.samples]
    assert len(times) < 8
    assert len(times) >= min(count, 4)
    assert times[0] == 0
    strides = {after - before for before, after in itertools.pairwise(times)}
    assert len(strides) <= 1
    assert times[-1] + max(strides, default=1) > count - 1


@pytest.mark.parametrize("spike", [0, 1, 501, 777, 998])
def test_no_peak_is_lost_by_thinning(spike: int) -> None:
    totals = [100] * 999
    totals[spike] = 5000
    series = series_of(totals, longest=8)
    assert series.peak(0, 998) == Peak(total=5000, nonreclaimable=2500)


def test_a_peak_belongs_to_its_window_alone() -> None:
    totals = [100] * 999
    totals[500] = 5000
    series = series_of(totals, longest=8)
    assert series.peak(500, 500) == Peak(total=5000, nonreclaimable=2500)
    assert series.peak(0, 499.9) == Peak(total=100, nonreclaimable=50)
    assert series.peak(500.1, 2000) == Peak(total=100, nonreclaimable=50)


def test_a_window_without_a_sample_has_no_peak() -> None:
    series = series_of([100, 200])
    assert series.peak(0.2, 0.8) is None
    assert series.peak(5, 9) is None
    assert series_of([]).peak(0, 9) is None


def test_stopping_takes_a_last_sample_and_no_more() -> None:
    meter = Scripted([1, 2, 3, 4])
    series = Series(meter)
    series.stop()
    series.stop()
    series.take()
    assert [row.total for row in series.samples] == [1, 2]
    assert meter.read == 2


def test_one_thread_reads_all_meters_and_ends_with_the_last_series() -> None:
    sampler, meters = Sampler(interval=0.001), [Endless() for _ in range(8)]
    watched = [sampler.watch(meter) for meter in meters]
    assert all(meter.enough.wait(PATIENCE) for meter in meters)
    (thread,) = set.union(*(meter.threads for meter in meters)) - {threading.current_thread()}
    assert thread.daemon
    for series in watched:
        series.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    reads = [meter.read for meter in meters]
    assert reads == [len(series.samples) for series in watched]


def test_a_sampler_starts_again_after_its_thread_has_ended() -> None:
    sampler, threads = Sampler(interval=0.001), []
    for _ in range(2):
        meter = Endless()
        series = sampler.watch(meter)
        assert meter.enough.wait(PATIENCE)
        series.stop()
        (thread,) = meter.threads - {threading.current_thread()}
        thread.join(PATIENCE)
        threads.append(thread)
    assert threads[0] is not threads[1]


def test_a_meter_that_can_read_nothing_more_ends_its_series() -> None:
    sampler, endless = Sampler(interval=0.001), Endless()
    series, other = sampler.watch(Scripted([1, 2, 3])), sampler.watch(endless)
    assert endless.enough.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while series.running and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not series.running
    assert other.running
    assert [row.total for row in series.samples] == [1, 2, 3]
    other.stop()
