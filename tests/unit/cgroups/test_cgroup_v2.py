from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_reseval.cgroups.locate import locate, open_meter, read_limits
from pytest_reseval.cgroups.meter import Counters, Limits, Meter
from pytest_reseval.resources import KIB, MIB

Tree = Callable[[str], Path]

PODMAN = "6d1a2c1f0c5a4a5f9c9d3d4be1b7c1a0f2d3e4b5a69788766554433221100fed"


def meter_of(root: Path, name: str | None = None) -> Meter:
    meter = open_meter(4242, root, name=name)
    assert meter is not None
    return meter


def directory_of(root: Path, name: str | None = None) -> Path:
    place = locate(4242, root, name=name)
    assert place is not None
    return place.directories["memory"]


def test_every_figure_of_a_docker_container(tree: Tree) -> None:
    meter = meter_of(tree("v2-docker"))
    assert meter.peak_source == "kernel"
    assert meter.counters() == Counters(
        current=80044032,
        peak=256 * MIB,
        nonreclaimable=55521280 + 20971520 + 1015808,
        cache=23449600 - 20971520,
        oom=1,
        oom_kill=1,
        cpu_seconds=7.960902,
        throttled_seconds=7.162643,
        throttled_periods=152,
        pids_max_events=0,
        memory_pressure_seconds=1.028632,
        cpu_pressure_seconds=7.547969,
    )
    meter.close()


def test_a_sample_agrees_with_the_counters(tree: Tree) -> None:
    meter = meter_of(tree("v2-docker"))
    counters, sample = meter.counters(), meter.sample()
    assert sample is not None
    assert sample.anonymous == 55521280
    assert sample.total == counters.current
    assert sample.cache == counters.cache
    assert sample.nonreclaimable == counters.nonreclaimable
    assert sample.cpu_seconds == counters.cpu_seconds
    assert sample.throttled_seconds == counters.throttled_seconds
    assert sample.pids == 1


def test_kernel_memory_is_the_sum_of_its_parts_where_the_line_is_missing(tree: Tree) -> None:
    counters = meter_of(tree("v2-podman"), PODMAN).counters()
    kernel = (128 + 256 + 4) * KIB + 1572864
    assert counters.nonreclaimable == (60 + 10) * MIB + kernel
    assert counters.cache == (30 - 10) * MIB


def test_a_kill_in_the_child_is_counted_above_it(tree: Tree) -> None:
    counters = meter_of(tree("v2-podman"), PODMAN).counters()
    assert (counters.oom, counters.oom_kill) == (2, 3)
    assert counters.throttled_periods == 41
    assert counters.pids_max_events == 5


def test_what_an_old_kernel_lacks_is_none(tree: Tree) -> None:
    meter = meter_of(tree("v2-podman"), PODMAN)
    counters = meter.counters()
    assert meter.peak_source == "sampled"
    assert counters.peak == counters.current
    assert counters.memory_pressure_seconds is None
    assert counters.cpu_pressure_seconds is None
    assert not meter.reset_peak()


def test_a_pressure_file_without_a_full_line_is_none(tree: Tree) -> None:
    root = tree("v2-docker")
    pressure = directory_of(root) / "cpu.pressure"
    pressure.write_text(pressure.read_text().splitlines()[0] + "\n")
    counters = meter_of(root).counters()
    assert counters.cpu_pressure_seconds is None
    assert counters.memory_pressure_seconds == 1.028632


def test_controllers_that_are_not_delegated_are_none(tree: Tree) -> None:
    root = tree("v2-docker")
    directory = directory_of(root)
    for name in ("pids.current", "pids.max", "pids.events", "cpu.max", "cpu.weight"):
        (directory / name).unlink()
    (directory / "cpu.stat").write_text("usage_usec 10\nuser_usec 6\nsystem_usec 4\n")
    meter = meter_of(root)
    counters, sample, limits = meter.counters(), meter.sample(), read_limits(4242, root)
    assert counters.cpu_seconds == pytest.approx(10e-6)
    assert counters.throttled_seconds is None
    assert counters.throttled_periods is None
    assert counters.pids_max_events is None
    assert sample is not None
    assert (sample.pids, sample.throttled_seconds) == (0, 0.0)
    assert limits is not None
    assert (limits.cpu_limit, limits.cpu_weight, limits.pids_limit) == (None, None, None)


def test_a_peak_that_may_be_written_is_reset_through_the_readers_own_descriptor(
    tree: Tree,
) -> None:
    root = tree("v2-docker")
    peak = directory_of(root) / "memory.peak"
    peak.chmod(0o644)
    meter = meter_of(root)
    assert meter.reset_peak()
    assert peak.read_text().startswith("0")


def test_a_peak_that_is_read_only_goes_on(tree: Tree) -> None:
    root = tree("v2-docker")
    peak = directory_of(root) / "memory.peak"
    peak.chmod(0o444)
    meter = meter_of(root)
    assert meter.peak_source == "kernel"
    assert not meter.reset_peak()
    assert meter.counters().peak == 256 * MIB


def test_limits_of_a_docker_container(tree: Tree) -> None:
    assert read_limits(4242, tree("v2-docker")) == Limits(
        memory_limit=256 * MIB,
        memory_swap_limit=256 * MIB,
        cpu_limit=0.5,
        cpu_weight=59,
        pids_limit=128,
        memory_reservation=128 * MIB,
    )


def test_limits_stand_on_the_named_cgroup_and_not_on_the_child(tree: Tree) -> None:
    root = tree("v2-podman")
    assert read_limits(4242, root, name=PODMAN) == Limits(
        memory_limit=128 * MIB,
        memory_swap_limit=128 * MIB,
        cpu_limit=0.5,
        cpu_weight=20,
        pids_limit=64,
        memory_reservation=None,
    )
    assert read_limits(4242, root) == Limits(
        memory_limit=None,
        memory_swap_limit=None,
        cpu_limit=None,
        cpu_weight=100,
        pids_limit=None,
        memory_reservation=None,
    )


def test_a_smaller_limit_on_the_child_counts(tree: Tree) -> None:
    """As under Podman 5.4 with crun and systemd, asked for no swap beyond 128 MiB of memory."""
    root = tree("v2-podman")
    scope = root / "sys/fs/cgroup/machine.slice" / f"libpod-{PODMAN}.scope"
    (scope / "memory.swap.max").write_text(f"{128 * MIB}\n")
    (scope / "container" / "memory.swap.max").write_text("0\n")
    limits = read_limits(4242, root, name=PODMAN)
    assert limits is not None
    assert limits.memory_swap_limit == limits.memory_limit == 128 * MIB


@pytest.mark.parametrize(
    ("swap", "both"), [("max\n", None), ("1048576\n", 257 * MIB), (None, None)]
)
def test_swap_beside_memory(tree: Tree, swap: str | None, both: int | None) -> None:
    root = tree("v2-docker")
    file = directory_of(root) / "memory.swap.max"
    if swap is None:
        file.unlink()
    else:
        file.write_text(swap)
    limits = read_limits(4242, root)
    assert limits is not None
    assert limits.memory_swap_limit == both


@pytest.mark.parametrize("text", ["", "max", "0 100000", "50000", "50000 0", "x y", "1 2 3"])
def test_a_quota_that_is_none(tree: Tree, text: str) -> None:
    root = tree("v2-docker")
    (directory_of(root) / "cpu.max").write_text(text)
    limits = read_limits(4242, root)
    assert limits is not None
    assert limits.cpu_limit is None


def test_figures_that_can_no_longer_be_read_stay_as_they_were(tree: Tree) -> None:
    meter = meter_of(tree("v2-docker"))
    before = meter.counters()
    meter.close()
    meter.close()
    assert meter.counters() == before
    assert meter.sample() is None
