"""Every figure we read from cgroup v1, against cgroup-utils reading the same cgroup."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_reseval.cgroups.kernel import ancestry
from pytest_reseval.cgroups.locate import locate
from pytest_reseval.cgroups.meter import Counters, Sample
from pytest_reseval.cgroups.v1 import V1Meter, read_limits
from pytest_reseval.resources import MIB

pytestmark = pytest.mark.cgroup_utils

PATIENCE = 60.0

LOAD = f"""
import os, signal, sys, time
shared = open(sys.argv[1], "wb")
shared.write(b"x" * {20 * MIB})
anonymous = b"x" * {30 * MIB}
spike = b"x" * {60 * MIB}
del spike
if os.fork() == 0:
    hog = b"x" * {400 * MIB}
os.wait()
try:
    for _ in range(20):
        if os.fork() == 0:
            signal.pause()
except BlockingIOError:
    pass
while time.process_time() < 0.3 or "nr_throttled 0\\n" in open(sys.argv[2]).read():
    pass
os.kill(0, signal.SIGSTOP)
"""
"""Leaves something to see in every file: a peak, a kill, a refused fork, throttling; then stops."""

ENTER = 'for d in $DIRECTORIES; do echo $$ > "$d/cgroup.procs" || exit 99; done; exec "$@"'

SETTINGS = {
    "memory": {
        "memory.limit_in_bytes": 200 * MIB,
        "memory.memsw.limit_in_bytes": 200 * MIB,
        "memory.soft_limit_in_bytes": 100 * MIB,
    },
    "cpu": {"cpu.shares": 512, "cpu.cfs_period_us": 100_000, "cpu.cfs_quota_us": 20_000},
    "cpuacct": {},
    "pids": {"pids.max": 8},
}

ASKED = {
    "memory": [
        "usage_in_bytes",
        "max_usage_in_bytes",
        "kmem.usage_in_bytes",
        "stat",
        "oom_control",
        "limit_in_bytes",
        "memsw.limit_in_bytes",
        "soft_limit_in_bytes",
    ],
    "cpu": ["stat", "shares", "cfs_period_us", "cfs_quota_us"],
    "cpuacct": ["usage"],
    "pids": ["current", "events", "max"],
}


@pytest.fixture
def cgutils() -> ModuleType:
    """The module of cgroup-utils that reads; it has invalid escapes in its strings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("cgutils.cgroup")
        except (ImportError, OSError) as error:
            pytest.skip(f"cgroup-utils cannot be imported: {error!r}")


@pytest.fixture
def directories() -> Iterator[Mapping[str, Path]]:
    """A cgroup made by hand in every v1 hierarchy that we read."""
    own = locate("self")
    if os.geteuid() != 0 or own is None or own.version != 1 or set(own.directories) != set(ASKED):
        pytest.skip("needs root and cgroup v1 with memory, cpu, cpuacct and pids")
    made = {
        controller: list(ancestry(directory))[-1] / f"reseval-opinion-{os.getpid()}"
        for controller, directory in own.directories.items()
    }
    try:
        for directory in set(made.values()):
            directory.mkdir()
        for controller, files in SETTINGS.items():
            for name, value in files.items():
                (made[controller] / name).write_text(str(value))
    except OSError as error:
        pytest.skip(f"cgroup v1 is not writable as this test needs it: {error}")
    yield made
    for directory in set(made.values()):
        directory.rmdir()


@pytest.fixture
def load(directories: Mapping[str, Path]) -> Iterator[None]:
    """Processes that have used the cgroup up and now all stand still."""
    shared = Path(f"/dev/shm/reseval-opinion-{os.getpid()}")
    arguments = (str(shared), str(directories["cpu"] / "cpu.stat"))
    process = subprocess.Popen(
        ["/bin/sh", "-c", ENTER, "sh", sys.executable, "-S", "-c", LOAD, *arguments],
        env={**os.environ, "DIRECTORIES": " ".join(map(str, set(directories.values())))},
        start_new_session=True,
    )
    members = directories["memory"] / "cgroup.procs"
    try:
        _until_stopped(process, members)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shared.unlink(missing_ok=True)
        _until_empty(members)


def _until_stopped(process: subprocess.Popen[bytes], members: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, "the load ended instead of standing still"
        assert time.monotonic() < deadline, "the load never stood still"
        states = [_state(pid) for pid in members.read_text().split()]
        if states and set(states) == {"T"}:
            return
        time.sleep(0.01)


def _state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def _until_empty(members: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while members.read_text():
        assert time.monotonic() < deadline, "killed processes are still in the cgroup"
        time.sleep(0.01)


def _opinion(cgutils: ModuleType, directories: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """What cgroup-utils reads, by controller and file.

    Its own search for a cgroup's parent recurses without end where a mount point's path begins with
    another's (``cpuacct`` and ``cpu``), so the parent is given.
    """
    opinion = {}
    for controller, directory in directories.items():
        kind = getattr(cgutils, f"Subsystem{controller.capitalize()}")()
        above = cgutils.CGroup(kind, str(directory.parent))
        group = cgutils.CGroup(kind, str(directory), parent=above, filters=ASKED[controller])
        opinion[controller] = {**group.get_stats(), **group.get_configs()}
    return opinion


def _both(
    cgutils: ModuleType, directories: Mapping[str, Path]
) -> tuple[Counters, Sample, dict[str, dict[str, Any]]]:
    """Our figures and theirs, from a moment at which ours did not change.

    The kernel folds its per-CPU counts together now and then, even if nothing runs.
    """
    meter = V1Meter(directories)
    deadline = time.monotonic() + PATIENCE
    while True:
        counters, sample = meter.counters(), meter.sample()
        theirs = _opinion(cgutils, directories)
        if sample is not None and counters == meter.counters():
            meter.close()
            return counters, sample, theirs
        assert time.monotonic() < deadline, "the figures never came to rest"


@pytest.mark.usefixtures("load")
def test_both_read_the_same_figures(cgutils: ModuleType, directories: Mapping[str, Path]) -> None:
    counters, sample, theirs = _both(cgutils, directories)
    memory, cpu = theirs["memory"], theirs["cpu"]
    stat = memory["stat"]
    assert counters.current == sample.total == memory["usage_in_bytes"]
    assert counters.peak == memory["max_usage_in_bytes"]
    assert sample.anonymous == stat["total_rss"]
    assert counters.cache == sample.cache == stat["total_cache"] - stat["total_shmem"]
    assert (
        counters.nonreclaimable
        == sample.nonreclaimable
        == stat["total_rss"] + stat["total_shmem"] + memory["kmem.usage_in_bytes"]
    )
    assert counters.oom_kill == memory["oom_control"]["oom_kill"]
    assert counters.cpu_seconds == sample.cpu_seconds == theirs["cpuacct"]["usage"] / 1e9
    assert counters.throttled_seconds == cpu["stat"]["throttled_time"] / 1e9
    assert sample.throttled_seconds == counters.throttled_seconds
    assert counters.throttled_periods == cpu["stat"]["nr_throttled"]
    assert sample.pids == theirs["pids"]["current"]
    assert counters.pids_max_events == theirs["pids"]["events"]["max"]


@pytest.mark.usefixtures("load")
def test_the_load_left_something_to_see_in_every_figure(directories: Mapping[str, Path]) -> None:
    meter = V1Meter(directories)
    counters, sample = meter.counters(), meter.sample()
    meter.close()
    assert sample is not None
    assert sample.anonymous >= 30 * MIB
    assert sample.nonreclaimable >= 50 * MIB
    assert sample.pids == 8
    assert counters.peak is not None
    assert counters.peak > sample.total
    assert counters.oom_kill == 1
    assert counters.pids_max_events == 1
    assert counters.throttled_seconds
    assert counters.throttled_periods
    assert counters.cpu_seconds is not None
    assert counters.cpu_seconds >= 0.3


def test_both_read_the_same_limits(cgutils: ModuleType, directories: Mapping[str, Path]) -> None:
    ours, theirs = read_limits(directories), _opinion(cgutils, directories)
    memory, cpu = theirs["memory"], theirs["cpu"]
    assert ours.memory_limit == memory["limit_in_bytes"] == 200 * MIB
    assert ours.memory_swap_limit == memory["memsw.limit_in_bytes"] == 200 * MIB
    assert ours.memory_reservation == memory["soft_limit_in_bytes"] == 100 * MIB
    assert ours.cpu_limit == cpu["cfs_quota_us"] / cpu["cfs_period_us"] == 0.2
    assert ours.cpu_weight == cpu["shares"] == 512
    assert str(ours.pids_limit) == theirs["pids"]["max"] == "8"
