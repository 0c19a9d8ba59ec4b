from __future__ import annotations

from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.cgroups.meter import Sample
from pytest_reseval.engines.base import EngineLost
from pytest_reseval.grace import GraceWatch
from tests.waiting import until

LIMIT = 100


def sample(time: float, nonreclaimable: int) -> Sample:
    return Sample(
        time=time,
        anonymous=nonreclaimable,
        cache=10 * LIMIT,
        nonreclaimable=nonreclaimable,
        total=nonreclaimable + 10 * LIMIT,
        cpu_seconds=0.0,
        throttled_seconds=0.0,
        pids=1,
    )


class Ends:
    """Counts how often the sandbox was ended."""

    def __init__(self) -> None:
        self.count = 0
        self.happened = Event()

    def __call__(self) -> None:
        self.count += 1
        self.happened.set()


def watched(grace: float, series: list[tuple[float, int]]) -> tuple[GraceWatch, Ends]:
    ends = Ends()
    watch = GraceWatch(LIMIT, grace, ends)
    for time, nonreclaimable in series:
        watch.note(sample(time, nonreclaimable))
    return watch, ends


def test_it_is_ended_once_after_its_grace() -> None:
    watch, ends = watched(2.0, [(0.0, 101), (1.0, 200), (2.0, 101), (2.5, 101), (3.0, 300)])
    assert ends.happened.wait(30)
    assert watch.exceeded == 2.5
    assert ends.count == 1


@pytest.mark.parametrize(
    "series",
    [
        [(0.0, 100), (5.0, 100), (9.0, 100)],
        [(0.0, 101), (2.0, 500)],
        [(0.0, 101), (2.0, 101), (2.5, 100), (3.0, 101), (5.0, 101)],
    ],
    ids=["at the limit", "not longer than its grace", "with a break"],
)
def test_what_is_tolerated(series: list[tuple[float, int]]) -> None:
    watch, ends = watched(2.0, series)
    assert watch.exceeded is None
    assert ends.count == 0


def test_an_engine_that_is_gone_is_no_second_fault() -> None:
    tried = Event()

    def lost() -> None:
        tried.set()
        raise EngineLost("it went away")

    watch = GraceWatch(LIMIT, 1.0, lost)
    for time in (0.0, 1.5):
        watch.note(sample(time, 101))
    assert tried.wait(30)
    assert watch.exceeded == 1.5


@given(
    st.lists(st.tuples(st.floats(0.01, 3), st.sampled_from([99, 100, 101, 400])), max_size=30),
    st.floats(0.1, 10),
)
def test_it_is_ended_exactly_if_it_stood_above_for_longer_than_its_grace(
    steps: list[tuple[float, int]], grace: float
) -> None:
    now, since, expected = 0.0, None, False
    series = []
    for step, level in steps:
        now += step
        series.append((now, level))
        since = None if level <= LIMIT else now if since is None else since
        expected = expected or (since is not None and now - since > grace)
    watch, ends = watched(grace, series)
    assert (watch.exceeded is not None) == expected
    until(lambda: ends.count == int(expected))
