from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.conditions import Host, HostReading, Stalls, load_between

SOME = "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\n"
FULL = "full avg10=0.00 avg60=0.00 avg300=0.00 total={}\n"
TICKS = 100
"""Of /proc/stat in a second, on every Linux that this is run on."""


class FakeHost:
    """The files of /proc that a host is read from."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        (proc / "pressure").mkdir()

    def stat(self, figures: str) -> None:
        (self.proc / "stat").write_text(f"cpu  {figures}\ncpu0 {figures}\nctxt 1\n")

    def pressure(self, resource: str, text: str) -> None:
        (self.proc / "pressure" / resource).write_text(text)

    def read(self) -> HostReading:
        return Host(self.proc).read()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    return FakeHost(tmp_path)


def test_every_figure_is_read_from_the_kernels_files(fake: FakeHost) -> None:
    """user nice system idle iowait irq softirq steal guest guest_nice; guest is within user."""
    fake.stat("1000 200 300 4000 500 60 70 80 90 10")
    fake.pressure("cpu", SOME.format(1_500_000) + FULL.format(0))
    fake.pressure("memory", SOME.format(2_000_000) + FULL.format(250_000))
    fake.pressure("io", SOME.format(3_000_001) + FULL.format(1))
    read = fake.read()
    assert read.busy_seconds == pytest.approx((1000 + 200 + 300 + 60 + 70) / TICKS)
    assert read.steal_seconds == pytest.approx(80 / TICKS)
    assert read.cpu_seconds == pytest.approx((1000 + 200 + 300 + 4000 + 500 + 60 + 70 + 80) / TICKS)
    assert read.cpu_pressure == Stalls(1.5, None), "full has no meaning for the CPUs of a host"
    assert read.memory_pressure == Stalls(2.0, 0.25)
    assert read.io_pressure == Stalls(3.000001, 1e-6)


@pytest.mark.parametrize("text", ["", "some\n", "some avg10=0.00 total=-1\n", "total=1\n"])
def test_a_pressure_file_that_tells_nothing_is_no_figure(fake: FakeHost, text: str) -> None:
    fake.stat("1 1 1 1 1 1 1 1 1 1")
    fake.pressure("memory", text)
    read = fake.read()
    assert (read.cpu_pressure, read.memory_pressure, read.io_pressure) == (None, None, None)


def test_a_pressure_file_that_cannot_be_read_is_no_figure(fake: FakeHost) -> None:
    fake.stat("1 1 1 1 1 1 1 1 1 1")
    (fake.proc / "pressure" / "cpu").mkdir()
    assert fake.read().cpu_pressure is None


def test_without_the_stat_file_cpu_times_are_no_figures(fake: FakeHost) -> None:
    fake.pressure("io", SOME.format(1))
    read = fake.read()
    assert (read.cpu_seconds, read.busy_seconds, read.steal_seconds) == (None, None, None)
    assert read.io_pressure is not None


def test_a_memory_file_of_a_kernel_without_full_has_some_alone(fake: FakeHost) -> None:
    fake.stat("1 1 1 1 1 1 1 1 1 1")
    fake.pressure("memory", SOME.format(4_000_000))
    assert fake.read().memory_pressure == Stalls(4.0, None)


BEFORE = HostReading(
    time=100.0,
    cpu_seconds=1000.0,
    busy_seconds=400.0,
    steal_seconds=10.0,
    cpu_pressure=Stalls(5.0, None),
    memory_pressure=Stalls(2.0, 1.0),
    io_pressure=Stalls(0.0, 0.0),
)


def test_the_load_is_the_difference_of_two_readings() -> None:
    after = HostReading(
        time=110.0,
        cpu_seconds=1040.0,
        busy_seconds=410.0,
        steal_seconds=12.0,
        cpu_pressure=Stalls(8.0, None),
        memory_pressure=Stalls(2.5, 1.25),
        io_pressure=None,
    )
    load = load_between(BEFORE, after)
    assert load.seconds == 10.0
    assert load.busy_share == pytest.approx(0.25)
    assert load.steal_seconds == pytest.approx(2.0)
    assert load.steal_share == pytest.approx(0.05)
    assert load.cpu_pressure == Stalls(3.0, None)
    assert load.memory_pressure == Stalls(0.5, 0.25)
    assert load.io_pressure is None


def test_no_time_at_all_has_no_shares() -> None:
    load = load_between(BEFORE, BEFORE)
    assert (load.busy_share, load.steal_share) == (None, None)
    assert load.cpu_pressure == Stalls(0.0, None)


counts = st.one_of(st.none(), st.floats(0, 1e9))
stalls = st.one_of(st.none(), st.builds(Stalls, st.floats(0, 1e9), counts))
readings = st.builds(HostReading, st.floats(0, 1e9), counts, counts, counts, stalls, stalls, stalls)


@given(readings, readings)
def test_no_figure_is_below_0_and_no_share_above_1(before: HostReading, after: HostReading) -> None:
    load = load_between(before, after)
    for share in (load.busy_share, load.steal_share):
        assert share is None or 0 <= share <= 1
    for pressure in (load.cpu_pressure, load.memory_pressure, load.io_pressure):
        assert pressure is None or pressure.some >= 0
        assert pressure is None or pressure.full is None or pressure.full >= 0


def test_this_host_is_read_and_its_counters_only_rise() -> None:
    host = Host()
    before = host.read()
    sum(range(200_000))
    after = host.read()
    assert before.cpu_seconds is not None
    assert after.cpu_seconds is not None
    assert 0 < before.cpu_seconds <= after.cpu_seconds
    assert after.busy_seconds is not None
    assert 0 < after.busy_seconds < after.cpu_seconds
