"""When looks are taken, and what they lead to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import pytest

from pytest_reseval.disk import watcher
from pytest_reseval.disk.watcher import DiskWatch, DiskWatcher, pause_after
from pytest_reseval.engines.base import EngineLost
from pytest_reseval.resources import MIB
from tests.unit.builders import MemorySandbox
from tests.waiting import until

BOUND = 100 * MIB


class Clock:
    """A clock that others set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Holder(MemorySandbox):
    """Answers one figure after the other, the last for ever; each look takes ``seconds``."""

    def __init__(self, figures: Iterable[int | None], clock: Clock, seconds: float = 0.0) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = seconds
        self.figures = list(figures)
        self.looks = 0
        self.kills = 0
        self.on_look: Callable[[], None] = lambda: None

    def disk_used(self) -> int | None:
        self.looks += 1
        self.clock.now += self.seconds
        self.on_look()
        return self.figures.pop(0) if len(self.figures) > 1 else self.figures[0]

    def kill(self) -> None:
        self.kills += 1
        super().kill()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("took", "pause"), [(0.0, 1.0), (0.05, 1.0), (0.1, 2.0), (1.0, 20.0), (1.5, 30.0), (60.0, 30.0)]
)
def test_the_longer_a_look_the_longer_the_pause(took: float, pause: float) -> None:
    assert pause_after(took) == pytest.approx(pause)


@pytest.mark.parametrize(("took", "pause"), [(0.001, 1.0), (0.5, 10.0), (10.0, 30.0)])
def test_the_next_look_is_due_after_the_pause(clock: Clock, took: float, pause: float) -> None:
    watch = DiskWatch(Holder([MIB], clock, took), BOUND, clock)
    assert watch.due == 1001.0
    watch.look()
    assert watch.due == pytest.approx(1000.0 + took + pause)


def test_a_second_look_counts_as_time_too(clock: Clock) -> None:
    holder = Holder([BOUND + 1, MIB], clock, 0.5)
    watch = DiskWatch(holder, BOUND, clock)
    watch.look()
    assert holder.looks == 2
    assert watch.due == pytest.approx(1000.0 + 1.0 + 20.0)


def test_the_peak_is_the_most_that_was_seen(clock: Clock) -> None:
    watch = DiskWatch(Holder([1, 7, 3], clock), BOUND, clock)
    assert watch.peak is None
    for _ in range(3):
        watch.look()
    assert watch.peak == 7
    watch.restart()
    assert watch.peak == 3


def test_what_cannot_be_seen_is_no_figure(clock: Clock) -> None:
    holder = Holder([None], clock)
    watch = DiskWatch(holder, BOUND, clock)
    watch.look()
    assert (watch.peak, watch.exceeded, holder.kills) == (None, None, 0)


def test_the_bound_itself_may_be_held(clock: Clock) -> None:
    holder = Holder([BOUND], clock)
    watch = DiskWatch(holder, BOUND, clock)
    watch.look()
    assert watch.running
    assert (watch.exceeded, holder.kills) == (None, 0)


def test_above_the_bound_the_sandbox_is_ended(clock: Clock) -> None:
    holder = Holder([BOUND + 2], clock)
    watch = DiskWatch(holder, BOUND, clock)
    watch.look()
    watch.look()
    assert (watch.exceeded, watch.peak, holder.kills, holder.looks) == (BOUND + 2, BOUND + 2, 1, 2)
    assert not watch.running


@pytest.mark.parametrize("second", [MIB, BOUND, None])
def test_what_a_second_look_does_not_confirm_ends_nothing(clock: Clock, second: int | None) -> None:
    holder = Holder([2 * BOUND, second], clock)
    watch = DiskWatch(holder, BOUND, clock)
    watch.look()
    assert watch.running
    assert (watch.exceeded, watch.peak, holder.kills) == (None, second, 0)


def test_an_engine_that_does_not_answer_ends_nothing(clock: Clock) -> None:
    holder = Holder([MIB], clock)

    def fail() -> None:
        raise EngineLost("no answer")

    holder.on_look = fail
    watch = DiskWatch(holder, BOUND, clock)
    watch.look()
    assert watch.running
    assert watch.peak is None


def test_a_sandbox_that_could_not_be_ended_is_looked_at_again(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = Holder([BOUND + 1], clock)
    watch = DiskWatch(holder, BOUND, clock)
    with monkeypatch.context() as patch:

        def fail() -> None:
            raise EngineLost("no answer")

        patch.setattr(holder, "kill", fail)
        watch.look()
    assert watch.running
    watch.look()
    assert (watch.running, holder.kills, watch.exceeded) == (False, 1, BOUND + 1)


def test_a_look_that_is_overtaken_by_the_end_kills_nothing(clock: Clock) -> None:
    holder = Holder([BOUND + 1], clock)
    watch = DiskWatch(holder, BOUND, clock)
    holder.on_look = watch.stop
    watch.look()
    assert (holder.kills, watch.exceeded, watch.peak) == (0, None, None)


def test_one_thread_looks_at_all_and_ends_with_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "SHORTEST_PAUSE", 0.001)
    threads: set[threading.Thread] = set()
    holders = [Holder([MIB], Clock()) for _ in range(4)]
    for holder in holders:
        holder.on_look = lambda: threads.add(threading.current_thread())
    shared = DiskWatcher()
    watches = [shared.watch(holder, BOUND) for holder in holders]
    until(lambda: all(holder.looks >= 3 for holder in holders))
    (thread,) = threads
    assert thread.daemon
    for watch in watches:
        watch.stop()
    thread.join(120)
    assert not thread.is_alive()
    looks = holders[0].looks
    again = shared.watch(holders[0], BOUND)
    until(lambda: holders[0].looks > looks)
    again.stop()


def test_the_thread_ends_a_sandbox_above_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "SHORTEST_PAUSE", 0.001)
    greedy, modest = Holder([BOUND + 1], Clock()), Holder([MIB], Clock())
    shared = DiskWatcher()
    watch, other = shared.watch(greedy, BOUND), shared.watch(modest, BOUND)
    until(lambda: not watch.running)
    assert (greedy.kills, modest.kills) == (1, 0)
    other.stop()
