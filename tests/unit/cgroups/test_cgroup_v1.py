from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_reseval.cgroups.locate import locate, open_meter, read_limits
from pytest_reseval.cgroups.meter import Counters, Limits, Meter
from pytest_reseval.resources import MIB

Tree = Callable[[str], Path]


def meter_of(root: Path, pid: int | str) -> Meter:
    meter = open_meter(pid, root)  # type: ignore[arg-type]
    assert meter is not None
    return meter


def test_every_figure_of_a_docker_container(tree: Tree) -> None:
    meter = meter_of(tree("v1-docker"), 4242)
    assert meter.peak_source == "kernel"
    assert meter.counters() == Counters(
        current=82780160,
        peak=82989056,
        nonreclaimable=27123712 + 20971520 + 1777664,
        cache=53788672 - 20971520,
        oom=None,
        oom_kill=0,
        cpu_seconds=3.39992259,
        throttled_seconds=3.460877686,
        throttled_periods=67,
        pids_max_events=0,
        memory_pressure_seconds=None,
        cpu_pressure_seconds=None,
    )
    meter.close()


def test_a_sample_agrees_with_the_counters(tree: Tree) -> None:
    meter = meter_of(tree("v1-docker"), 4242)
    counters, sample = meter.counters(), meter.sample()
    assert sample is not None
    assert sample.anonymous == 27123712
    assert sample.total == counters.current
    assert sample.cache == counters.cache
    assert sample.nonreclaimable == counters.nonreclaimable
    assert sample.cpu_seconds == counters.cpu_seconds
    assert sample.throttled_seconds == counters.throttled_seconds
    assert sample.pids == 5


def test_what_an_old_kernel_lacks_is_none(tree: Tree) -> None:
    root = tree("v1-hybrid")
    meter = meter_of(root, "self")
    counters = meter.counters()
    assert meter.peak_source == "sampled"
    assert counters.oom_kill is None
    assert counters.pids_max_events is None
    assert counters.nonreclaimable == 100 * MIB
    assert counters.cache == 40 * MIB
    assert counters.throttled_periods == 12
    assert not meter.reset_peak()


def test_a_sampled_peak_is_the_highest_usage_seen(tree: Tree) -> None:
    root = tree("v1-hybrid")
    place = locate("self", root)
    assert place is not None
    usage = place.directories["memory"] / "memory.usage_in_bytes"
    meter = meter_of(root, "self")
    assert meter.counters().peak == 150 * MIB
    usage.write_text(f"{300 * MIB}\n")
    assert meter.sample() is not None
    usage.write_text(f"{10 * MIB}\n")
    counters = meter.counters()
    assert (counters.current, counters.peak) == (10 * MIB, 300 * MIB)


def test_limits_of_a_docker_container(tree: Tree) -> None:
    assert read_limits(4242, tree("v1-docker")) == Limits(
        memory_limit=200 * MIB,
        memory_swap_limit=200 * MIB,
        cpu_limit=0.5,
        cpu_weight=512,
        pids_limit=64,
        memory_reservation=100 * MIB,
    )


def test_the_huge_number_of_v1_is_no_limit(tree: Tree) -> None:
    assert read_limits("self", tree("v1-hybrid")) == Limits(
        memory_limit=None,
        memory_swap_limit=None,
        cpu_limit=1.5,
        cpu_weight=1024,
        pids_limit=None,
        memory_reservation=None,
    )


@pytest.mark.parametrize("pages", [4096, 16384, 65536])
def test_no_limit_is_rounded_to_pages_of_any_size(tree: Tree, pages: int) -> None:
    root = tree("v1-docker")
    place = locate(4242, root)
    assert place is not None
    unlimited = (2**63 - 1) // pages * pages
    place.directories["memory"].joinpath("memory.limit_in_bytes").write_text(f"{unlimited}\n")
    limits = read_limits(4242, root)
    assert limits is not None
    assert limits.memory_limit is None


def test_swap_accounting_that_is_off_is_none(tree: Tree) -> None:
    root = tree("v1-docker")
    place = locate(4242, root)
    assert place is not None
    place.directories["memory"].joinpath("memory.memsw.limit_in_bytes").unlink()
    limits = read_limits(4242, root)
    assert limits is not None
    assert (limits.memory_limit, limits.memory_swap_limit) == (200 * MIB, None)


@pytest.mark.parametrize("text", ["", "total_rss\n", "total_rss many\ntotal_cache 5\n", "\0\xff"])
def test_a_malformed_stat_leaves_the_other_figures(tree: Tree, text: str) -> None:
    root = tree("v1-docker")
    meter = meter_of(root, 4242)
    place = locate(4242, root)
    assert place is not None
    place.directories["memory"].joinpath("memory.stat").write_text(text, "latin-1")
    assert meter.sample() is None
    counters = meter.counters()
    assert (counters.current, counters.nonreclaimable, counters.cache) == (82780160, None, None)


def test_figures_that_can_no_longer_be_read_stay_as_they_were(tree: Tree) -> None:
    root = tree("v1-docker")
    meter = meter_of(root, 4242)
    before = meter.counters()
    meter.close()
    meter.close()
    assert meter.counters() == before
    assert meter.sample() is None
    assert not meter.reset_peak()
