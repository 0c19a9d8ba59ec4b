from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.cgroups.kernel import (
    KernelFile,
    ancestry,
    flat_keyed,
    full_stall,
    integer,
    seconds,
)

PRESSURE = (
    "some avg10=1.20 avg60=3.45 avg300=1.05 total=9204519\n"
    "full avg10=1.00 avg60=3.00 avg300=1.00 total=8300100\n"
)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0\n", 0), ("9223372036854771712\n", 9223372036854771712), ("max\n", None), ("-1\n", None)]
    + [(text, None) for text in ("", "\n", "12 34", "1.5", "0x10", "²", None)],
)
def test_a_whole_number_or_nothing(text: str | None, number: int | None) -> None:
    assert integer(text) == number


def test_flat_keyed_lines_become_words() -> None:
    assert flat_keyed("oom 1\noom_kill 2\n") == {"oom": "1", "oom_kill": "2"}
    assert flat_keyed("oom 1\noom_kill") == {"oom": "1"}
    assert flat_keyed(None) == {}


@given(st.text())
def test_no_text_makes_reading_raise(text: str) -> None:
    figures = [integer(value) for value in flat_keyed(text).values()]
    assert all(figure is None or figure >= 0 for figure in figures)
    assert full_stall(text) is None or "full" in text


def test_the_full_line_of_a_pressure_file_counts() -> None:
    assert full_stall(PRESSURE) == pytest.approx(8.3001)


@pytest.mark.parametrize("text", [None, "", PRESSURE.splitlines()[0], "full avg10=0.00 total=x"])
def test_no_full_line_is_no_figure(text: str | None) -> None:
    assert full_stall(text) is None


def test_units_of_time() -> None:
    assert seconds("3460877686\n", 1e9) == pytest.approx(3.460877686)
    assert seconds("max", 1e6) is None


def test_a_kept_file_shows_each_change(tmp_path: Path) -> None:
    path = tmp_path / "memory.current"
    path.write_text("1\n")
    file = KernelFile(path)
    assert file.read() == "1\n"
    path.write_text("22\n")
    assert file.read() == "22\n"
    file.close()
    file.close()
    assert file.read() is None


def test_an_absent_file_reads_as_nothing(tmp_path: Path) -> None:
    for path in (None, tmp_path / "absent"):
        file = KernelFile(path, writable=True)
        assert file.read() is None
        assert not file.write("0")
        file.close()


def test_a_directory_in_place_of_a_file_reads_as_nothing(tmp_path: Path) -> None:
    assert KernelFile(tmp_path).read() is None


def test_mode_bits_decide_about_writing_even_for_root(tmp_path: Path) -> None:
    path = tmp_path / "memory.peak"
    path.write_text("7\n")
    path.chmod(0o444)
    reading = KernelFile(path, writable=True)
    assert not reading.write("0")
    assert path.read_text() == "7\n"
    path.chmod(0o644)
    assert KernelFile(path, writable=True).write("0")
    assert path.read_text() == "0\n"
    reading.close()


def test_ancestry_ends_where_the_hierarchy_is_mounted(tmp_path: Path) -> None:
    leaf = tmp_path / "mount" / "a" / "b"
    leaf.mkdir(parents=True)
    for place in (leaf, leaf.parent, leaf.parent.parent):
        (place / "cgroup.procs").touch()
    assert [place.name for place in ancestry(leaf)] == ["b", "a", "mount"]
