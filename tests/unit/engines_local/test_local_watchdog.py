from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from pytest_reseval.engines.local import processes, watchdog
from pytest_reseval.engines.local.watchdog import Usage, Watchdog, excess, usage_of
from pytest_reseval.resources import MIB

HOLD = "b = b'x' * ({} << 20); print('held', flush=True); import time; time.sleep(600)"


@pytest.fixture
def process() -> psutil.Process:
    return psutil.Process()


def usages(process: psutil.Process, *sizes: int) -> list[Usage]:
    return [Usage(process, size, number, 0.0) for number, size in enumerate(sizes)]


def test_within_the_limit_nobody_dies(process: psutil.Process) -> None:
    assert excess(usages(process, 10, 20), 5, 35) == (35, None)
    assert excess(usages(process, 10, 20), 5, None) == (35, None)
    assert excess([], 5, 4) == (5, None)


def test_above_the_limit_the_largest_dies(
    process: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "proportional", lambda usage: usage.resident)
    found = usages(process, 10, 30, 20)
    assert excess(found, 5, 64) == (65, found[1])


def test_shared_pages_count_once(process: psutil.Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "proportional", lambda usage: usage.resident // 2)
    found = usages(process, 40, 40)
    assert excess(found, 0, 50) == (40, None)
    assert excess(found, 20, 50) == (60, found[0])


def test_a_process_that_ended_uses_nothing() -> None:
    child = subprocess.Popen(["true"])
    seen = psutil.Process(child.pid)
    child.wait()
    assert usage_of(seen) is None


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """A process whose child holds 64 MiB."""
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD.format(64)!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        for child in psutil.Process(process.pid).children() if process.poll() is None else []:
            child.kill()


def watch(process: subprocess.Popen[str], limit: int | None) -> Watchdog:
    no_memory = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    return Watchdog(psutil.Process(process.pid), 0, no_memory, limit)


def test_it_measures_descendants(holder: subprocess.Popen[str]) -> None:
    dog = watch(holder, None)
    try:
        counters, sample = dog.counters(), dog.sample()
        assert counters.current is not None
        assert 64 * MIB <= counters.current <= 96 * MIB
        assert counters.peak is not None
        assert counters.peak >= counters.current
        assert counters.oom == counters.oom_kill == 0
        assert counters.throttled_seconds is None
        assert sample is not None
        assert sample.pids == 1
        assert sample.anonymous >= 64 * MIB
    finally:
        dog.close()
    dog.close()
    assert dog.sample() is None
    assert dog.counters().peak == counters.peak


def test_it_kills_above_the_limit(holder: subprocess.Popen[str]) -> None:
    dog = watch(holder, 32 * MIB)
    try:
        holder.wait(30)
        counters = dog.counters()
        assert counters.oom == counters.oom_kill == 1
        assert counters.peak is not None
        assert counters.peak >= 64 * MIB
    finally:
        dog.close()


def test_both_ways_of_finding_descendants_agree(holder: subprocess.Popen[str]) -> None:
    root = psutil.Process(holder.pid)
    assert set(processes.sampled_descendants(root)) == set(processes.descendants(root))
    assert len(processes.descendants(root)) == 1


def test_a_tree_is_killed_from_the_root_down(holder: subprocess.Popen[str]) -> None:
    root = psutil.Process(holder.pid)
    [child] = processes.descendants(root)
    processes.kill_tree(root)
    assert holder.wait(30) == -9
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert processes.sampled_descendants(root) == processes.descendants(root) == []
    processes.kill_tree(root)
    assert processes.find(holder.pid) is None
