"""Finding a trial by what a person types, and its series in brief."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.runs import Run, read_run
from pytest_reseval.study.lookup import NoSuchTrial, find_trial
from pytest_reseval.study.series import rates, read_series, sparkline
from tests.unit.study.folders import records_of, write_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    records = records_of({"1x": {"unpack": "pp", "pack": "p"}, "3x": {"unpack": "p"}})
    order = (*(one.trial for one in records), "tasks/late/task.toml::run[1x-s0]")
    return read_run(write_run(tmp_path / "r", records, order=order))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("unpack[3x-s0]", "unpack[3x-s0]"),
        ("tasks/unpack/task.toml::run[1x-s1]", "unpack[1x-s1]"),
        ("unpack[3x", "unpack[3x-s0]"),
        ("tasks/pack", "pack[1x-s0]"),
        ("pack[1x-s0]", "pack[1x-s0]"),
        ("s1", "unpack[1x-s1]"),
    ],
)
def test_a_part_that_is_unique_is_enough(typed: str, found: str, run: Run) -> None:
    assert find_trial(run, typed).label == found


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("unpack", r"part of 3 trials: unpack\[1x-s0\], unpack\[1x-s1\], unpack\[3x-s0\]"),
        ("unpakc[3x-s0]", r"near it: unpack\[3x-s0\]"),
        ("zzzzzzzzzz", "without TRIAL all are listed"),
        ("late", "no verdict"),
    ],
)
def test_what_names_none_or_several_is_told_with_what_comes_near(
    typed: str, told: str, run: Run
) -> None:
    with pytest.raises(NoSuchTrial, match=told):
        find_trial(run, typed)


def test_torn_rows_of_a_series_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "series.csv"
    file.write_text("time,total\n0.1,5\n0.2,x\n0.3,nan\n0.4\n0.5,7\n0.6,")
    assert read_series(file) == {"time": [0.1, 0.5], "total": [5.0, 7.0]}


def test_a_sparkline_keeps_the_highest_of_what_shares_a_place() -> None:
    assert sparkline([0, 8, 0, 1, 4, 4], 3) == "█▂▅"
    assert sparkline([0, 0], 5) == "▁▁"
    assert sparkline([], 5) == ""


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=300), st.integers(1, 80))
def test_a_sparkline_fits_and_shows_the_top_if_there_is_one(
    values: list[float], width: int
) -> None:
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    assert ("█" in line) == (max(values) > 0)


def test_rates_are_per_second() -> None:
    assert rates([0, 1, 1], [0, 2, 2]) == [0.5, 0.0]
