"""Figures of this machine's kernel about real processes in a cgroup made by hand, v1 or v2."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_reseval.cgroups.locate import locate, open_meter, read_limits
from pytest_reseval.cgroups.meter import Counters, Meter
from pytest_reseval.cgroups.sampler import Sampler
from pytest_reseval.resources import MIB

if TYPE_CHECKING:
    from tests.unit.cgroups.conftest import HandMade

pytestmark = pytest.mark.root

PATIENCE = 60.0


def touch(mebibytes: int) -> str:
    """Code that touches that much memory and gives it back at once."""
    return f"block = bytearray({mebibytes * MIB}); block[::4096] = b'x' * len(block[::4096])"


def hold(mebibytes: int) -> str:
    """Code that touches that much memory, says so, and keeps it until its input ends."""
    return (
        f"import sys; block = b'x' * {mebibytes * MIB}; print('held', flush=True); sys.stdin.read()"
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)


def keeps_peaks(handmade: HandMade) -> bool:
    """Whether the kernel has a high-water mark: v1 always, v2 since 5.19."""
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    return handmade.version == 1 or release >= (5, 19)


def known(figure: int | None) -> int:
    assert figure is not None
    return figure


def test_a_spike_that_is_over_at_once_is_in_the_peak(handmade: HandMade) -> None:
    meter = handmade.meter()
    assert handmade.run(touch(300)) == 0
    counters = meter.counters()
    if keeps_peaks(handmade):
        assert meter.peak_source == "kernel"
        assert 300 * MIB <= known(counters.peak) <= 330 * MIB
    else:
        assert meter.peak_source == "sampled"
        assert known(counters.peak) < 50 * MIB, "nobody looked, so nobody can know"
    assert known(counters.current) < 50 * MIB
    assert counters.oom_kill == 0


def test_the_peak_of_each_phase_is_its_own(handmade: HandMade) -> None:
    meter = handmade.meter()
    if not keeps_peaks(handmade):
        assert not meter.reset_peak()
        return
    assert handmade.run(touch(120)) == 0
    assert known(meter.counters().peak) >= 120 * MIB
    reset = meter.reset_peak()
    assert handmade.run(touch(40)) == 0
    peak = known(meter.counters().peak)
    if reset:
        assert 40 * MIB <= peak < 100 * MIB
    else:
        assert handmade.version == 2, "v1 has always been able to reset its mark"
        assert peak >= 120 * MIB


def test_an_out_of_memory_kill_counts_once(handmade: HandMade) -> None:
    handmade.limit_memory(64 * MIB)
    meter = handmade.meter()
    before = meter.counters()
    assert handmade.run(touch(200)) == -signal.SIGKILL
    after = meter.counters()
    assert known(after.oom_kill) - known(before.oom_kill) == 1
    assert known(after.peak) <= 64 * MIB
    if keeps_peaks(handmade):
        assert known(after.peak) >= 60 * MIB
    if handmade.version == 2:
        assert known(after.oom) - known(before.oom) >= 1
    else:
        assert after.oom is None


def test_an_exit_like_that_of_a_kill_counts_nothing(handmade: HandMade) -> None:
    handmade.limit_memory(64 * MIB)
    meter = handmade.meter()
    assert handmade.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)") == -9
    assert meter.counters().oom_kill == 0


def test_throttling_is_counted(handmade: HandMade) -> None:
    handmade.limit_cpu(0.1)
    meter = handmade.meter()
    stat = str(handmade.directories["cpu"] / "cpu.stat")
    none = r"throttled_(time|usec) 0\b"
    spin = f"import re\nwhile re.search({none!r}, open({stat!r}).read()): pass"
    assert handmade.run(spin) == 0
    counters = meter.counters()
    assert counters.cpu_seconds is not None
    assert counters.cpu_seconds >= 0.01
    assert counters.throttled_seconds is not None
    assert counters.throttled_seconds > 0
    assert known(counters.throttled_periods) >= 1


def test_refused_forks_are_counted(handmade: HandMade) -> None:
    handmade.limit_pids(1)
    meter = handmade.meter()
    fork = "import os\ntry: os.fork()\nexcept BlockingIOError: print('refused')"
    process = handmade.start(fork)
    assert process.communicate()[0].strip() == "refused"
    assert known(meter.counters().pids_max_events) == 1


def test_shared_memory_that_stays_behind_is_true_demand(handmade: HandMade) -> None:
    meter = handmade.meter()
    left = Path(f"/dev/shm/{handmade.name}")
    try:
        assert handmade.run(f"open({str(left)!r}, 'wb').write(b'x' * {40 * MIB})") == 0
        counters = meter.counters()
        # Old kernels leave some pages in each processor's own count.
        assert 39 * MIB <= known(counters.nonreclaimable) <= 55 * MIB
        assert known(counters.cache) < 20 * MIB
    finally:
        left.unlink(missing_ok=True)


def test_a_written_file_is_cache_and_no_demand(handmade: HandMade) -> None:
    meter = handmade.meter()
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:  # /tmp may be in memory
        write = f"f = open({file.name!r}, 'wb'); f.write(b'x' * {40 * MIB}); f.close()"
        assert handmade.run(write) == 0
        counters = meter.counters()
    # Old kernels leave some pages in each processor's own count.
    assert 39 * MIB <= known(counters.cache) <= 60 * MIB
    assert known(counters.nonreclaimable) < 20 * MIB


def test_limits_are_read_back_as_they_were_set(handmade: HandMade) -> None:
    unlimited = handmade.limits()
    assert (unlimited.memory_limit, unlimited.cpu_limit, unlimited.pids_limit) == (None,) * 3
    handmade.limit_memory(64 * MIB)
    handmade.limit_cpu(0.5)
    handmade.limit_pids(20)
    limits = handmade.limits()
    assert limits.memory_limit == 64 * MIB
    assert limits.memory_swap_limit in (64 * MIB, None)
    assert limits.cpu_limit == 0.5
    assert limits.pids_limit == 20
    assert limits.memory_reservation is None


def test_a_process_leads_to_its_cgroup(handmade: HandMade) -> None:
    process = handmade.start(hold(1))
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    place = locate(process.pid, name=handmade.name)
    assert place is not None
    assert place.version == handmade.version
    assert dict(place.directories) == dict(handmade.directories)
    assert read_limits(process.pid) == handmade.limits()
    assert locate(process.pid, name="another") is None
    meter = open_meter(process.pid, name=handmade.name)
    assert meter is not None
    meter.close()


def test_a_series_shows_what_is_held_and_the_window_in_which_it_was(handmade: HandMade) -> None:
    meter = handmade.meter()
    sampler = Sampler(interval=0.01)
    series = sampler.watch(meter)
    began = time.monotonic()
    process = handmade.start(hold(50))
    until(lambda: series.samples[-1].nonreclaimable >= 50 * MIB)
    assert series.samples[-1].pids == 1
    process.communicate()
    until(lambda: series.samples[-1].pids == 0)
    ended = time.monotonic()
    series.stop()
    quiet, busy = series.peak(0, began), series.peak(began, ended)
    assert quiet is not None
    assert quiet.nonreclaimable < 10 * MIB
    assert busy is not None
    assert 50 * MIB <= busy.nonreclaimable <= busy.total <= 80 * MIB
    meter.close()


def test_figures_outlive_the_cgroup(handmade: HandMade) -> None:
    meter: Meter = handmade.meter()
    assert handmade.run(touch(20)) == 0
    before: Counters = meter.counters()
    series = Sampler(interval=0.01).watch(meter)
    handmade.remove()
    until(lambda: not series.running)
    assert meter.sample() is None
    assert meter.counters() == before
    assert not meter.reset_peak()
    meter.close()
