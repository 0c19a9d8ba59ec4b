from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.reports.findings.series import (
    Sampled,
    UnreadableSeries,
    compact,
    kills,
    read_series,
)
from tests.unit.builders import make_phase

HEADER = "time,anonymous,cache,nonreclaimable,total,cpu_seconds,throttled_seconds,pids\n"


def sampled(totals: list[float]) -> Sampled:
    time = np.arange(len(totals), dtype=np.float64)
    total = np.array(totals, dtype=np.float64)
    return Sampled(time, total, total / 2, time * 0.5, time * 0.1)


def test_a_series_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "series.csv"
    file.write_text(HEADER + "1.000,1,2,3,4,5.000,6.000,7\n2.000,1,2,3,8,5.500,6.000,7\n")
    series = read_series(file)
    assert series.total.tolist() == [4, 8]
    assert series.nonreclaimable.tolist() == [3, 3]
    assert series.cpu_seconds.tolist() == [5, 5.5]


@pytest.mark.parametrize(
    "content",
    ["", "time,total\n1,2\n", HEADER + "1.0,2\n", HEADER + "a,b,c,d,e,f,g,h\n", HEADER + "nan" * 8],
    ids=["empty", "columns", "torn", "words", "nan"],
)
def test_what_is_no_series_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "series.csv"
    file.write_text(content)
    with pytest.raises(UnreadableSeries, match=r"series\.csv: "):
        read_series(file)


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=400), st.integers(1, 100))
def test_a_smaller_series_keeps_its_maxima(totals: list[int], rows: int) -> None:
    small = compact(sampled([float(one) for one in totals]), rows)
    assert len(small.time) <= rows
    assert len(small.cores) <= rows
    assert small.total.max() == max(totals)
    assert small.nonreclaimable.max() == max(totals) / 2
    assert (np.diff(small.time) > 0).all()


def test_cpu_use_is_the_mean_between_two_rows() -> None:
    small = compact(sampled([1.0] * 101), 10)
    assert small.cores == pytest.approx(0.5)
    assert small.throttled == pytest.approx(0.1)


def test_a_kill_is_where_memory_fell_the_most_in_its_phase() -> None:
    series = sampled([10, 50, 90, 20, 15, 15])
    phase = make_phase(started=0.0, seconds=5.0, oom_kill=2)
    (kill,) = kills([phase, make_phase("verifier", started=5.0)], series)
    assert (kill.time, kill.phase, kill.processes, kill.seen) == (2.0, "agent", 2, True)


def test_an_end_above_a_lenient_limit_is_marked_too() -> None:
    phase = make_phase(started=0.0, seconds=5.0, oom_kill=0, ended_above_limit=2.0)
    (kill,) = kills([phase], sampled([10, 90, 90, 90, 0]))
    assert (kill.processes, kill.time, kill.seen) == (0, 3.0, True)


@pytest.mark.parametrize("series", [None, sampled([10.0] * 6)])
def test_a_kill_that_no_sample_shows_is_at_the_end_of_its_phase(series: Sampled | None) -> None:
    (kill,) = kills([make_phase(started=1.0, seconds=3.0, oom_kill=1)], series)
    assert (kill.time, kill.seen) == (4.0, False)
